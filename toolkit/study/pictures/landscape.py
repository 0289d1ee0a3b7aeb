"""The picture of random mappings: how many cost how many times the best known."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from toolkit.search.landscape import Histogram, Landscape, histogram
from toolkit.study.pictures.canvas import canvas, write_canvas
from toolkit.study.pictures.look import color, drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from toolkit.search.result import SearchResult

BINS = 60


def landscape_bins(found: Landscape, best: SearchResult) -> Histogram:
    """Work out the picture: mappings by multiples of the best value that is known."""
    return histogram(found.kinds, best.objective, BINS)


def write_landscape(path: str | os.PathLike[str], found: Landscape, best: SearchResult) -> None:
    """Draw the distribution of costs, and where descents ended if there were any.

    Parameters
    ----------
    path : path-like
        A PNG or SVG, by its suffix.
    found : Landscape
        What was drawn.
    best : SearchResult
        Holds the best value that is known.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    InputError
        If the file cannot be written.
    """
    write_canvas(path, draw_landscape(landscape_bins(found, best), found))


@drawn
def draw_landscape(bins: Histogram, found: Landscape) -> Canvas:
    """Draw what `landscape_bins` worked out."""
    problem = found.problem
    figure = canvas(7.0, 4.0)
    axes = figure.add_subplot()
    for place, (kind, counts) in enumerate(bins.counts.items()):
        axes.stairs(
            counts / max(len(found.drawn), 1),
            bins.edges,
            fill=True,
            alpha=0.6,
            color=color(place),
            label=kind,
        )
    if bins.edges[0] > 0:
        axes.set_xscale("log")
    axes.set_xlabel(f"{problem.objective} in multiples of the best known")
    axes.set_ylabel("share of mappings")
    axes.set_title(f"{problem.workload.name} on {problem.arch.name}, {len(found.drawn):,} drawn")
    axes.legend()
    return figure
