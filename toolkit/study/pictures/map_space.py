"""Where mappings that were found lie among all there are: random ones as histograms.

A record first (`space_picture`), which is what tests look at; drawn by Matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolkit.search.landscape import Landscape, histogram
from toolkit.search.problem import Problem
from toolkit.search.result import SearchResult
from toolkit.search.space_size import problem_size
from toolkit.study.pictures.canvas import canvas
from toolkit.study.pictures.look import (
    COLORS,
    GREY,
    INK,
    MEDIUM,
    QUIET,
    SMALL,
    TINY,
    drawn,
    heading_lines,
    style,
)
from toolkit.study.units import plain_value, scaled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

SAMPLES = 10_000
"""Random mappings of a histogram: what is rarer than that has no bar anyway."""

_BINS, _ASIDE = 60, 0.03
_WIDTH, _PLOT, _NAME_ROW = 5.2, 1.75, 0.17
"""Inches: of the picture, of a histogram, of a result in the list below."""

_HEADING, _UNDER, _BETWEEN = 0.15, 0.62, 0.16
"""Inches: of a line of the heading, of the axis below all, between histograms."""

_KINDS = {"random": GREY, "drawn": GREY, "descended": COLORS[5]}
"""Colours of histograms by what is counted."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A value that was found, or a bound.

    Parameters
    ----------
    name : str
        The strategy, or what else it is.
    value : float
        Of the objective, in the unit of the picture.
    text : str
        The same for people, and how random mappings compare.
    place : int
        Of the strategy among all, for its colour.
    """

    name: str
    value: float
    text: str
    place: int = 0


@dataclass(frozen=True)
class SpacePicture:
    """Random mappings, what became of them, and results among them.

    Parameters
    ----------
    title : str
        What is mapped on what, and how many mappings there are.
    label : str
        The objective with its unit.
    edges : array, shape (bins + 1,)
        Of the bins, evenly spaced in logarithm, or not where values are not positive.
    counts : dict of str to int array, shape (bins,)
        Mappings in each, by what they are: random, or drawn and descended.
    marks : tuple of Mark
        Results, the best first.
    bound : Mark or None
        What no mapping undercuts, if that is known.
    """

    title: str
    label: str
    edges: NDArray[np.float64]
    counts: Mapping[str, NDArray[np.int64]]
    marks: tuple[Mark, ...]
    bound: Mark | None


def landscape_picture(found: Landscape, proof: SearchResult | None) -> SpacePicture:
    """Work out how random mappings and the ends of descents lie to the best that is known.

    Parameters
    ----------
    found : Landscape
        Random mappings.
    proof : SearchResult or None
        What a search for the optimum found, if there was one.
    """
    results = [("best of these", found.best.objective)]
    bound = None
    if proof is not None:
        results.append((proof.strategy, proof.objective))
        bound = proof.bound
    return space_picture(found.problem, found.kinds, results, bound)


def space_picture(
    problem: Problem,
    kinds: Mapping[str, NDArray[np.float64]],
    results: Sequence[tuple[str, float]],
    bound: float | None = None,
) -> SpacePicture:
    """Work out where results lie among random mappings.

    Parameters
    ----------
    problem : Problem
        What was searched.
    kinds : mapping of str to array
        Values of the objective, in its own unit, by what was drawn: random mappings first.
    results : sequence of (str, float)
        Names of strategies, and values that they found.
    bound : float, optional
        What no mapping undercuts.
    """
    objective = problem.objective
    scale, unit = scaled(1.0, objective)
    values, *_ = kinds.values()
    known = [value for _, value in results] + ([] if bound is None else [bound])
    bins = histogram(kinds, 1 / scale, _BINS, _ends([*kinds.values(), np.array(known)]))
    ranked = sorted(enumerate(results), key=lambda entry: entry[1][1])
    marks = tuple(
        Mark(
            name, value * scale, f"{plain_value(value, objective)}; {_share(values, value)}", place
        )
        for place, (name, value) in ranked
    )
    lowest = None
    if bound is not None:
        lowest = Mark("bound", bound * scale, f"{plain_value(bound, objective)}: nothing is below")
    return SpacePicture(
        f"{problem.workload.name} on {problem.arch.name}: {_size(problem)}",
        f"{objective.label} ({unit})" if unit else objective.label,
        bins.edges,
        bins.counts,
        marks,
        lowest,
    )


def _ends(values: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Ends of the axis: all values lie between them, with some room."""
    every = np.concatenate(values)
    every = every[np.isfinite(every)]
    low, high = float(every.min()), float(every.max())
    if low > 0:
        aside = (high / low) ** _ASIDE * 1.01
        return low / aside, high * aside
    aside = (high - low) * _ASIDE or 1.0
    return low - aside, high + aside


def _share(values: NDArray[np.float64], value: float) -> str:
    """Say how many random mappings are as good as a value."""
    count, samples = int(np.count_nonzero(values <= value)), len(values)
    if count == 0:
        return f"none of {samples:,} random mappings is as good"
    return f"{count:,} of {samples:,} random mappings {'is' if count == 1 else 'are'} as good"


def _size(problem: Problem) -> str:
    size = problem_size(problem)
    total = size.tilings * size.orders
    if total < 10**6:
        return f"{'' if size.tilings_exact else 'about '}{total:,} mappings"
    power = round(math.log10(total)) if total < 10**300 else len(str(total)) - 1
    return f"about 10^{power} mappings"


@drawn
def draw_space(picture: SpacePicture) -> Canvas:
    """Draw histograms with Matplotlib, results as lines with marks, listed below.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    listed = len(picture.marks) + (picture.bound is not None)
    heading = heading_lines(picture.title, _WIDTH)
    under, over = _UNDER + _NAME_ROW * listed, 0.2 + _HEADING * len(heading)
    plots = len(picture.counts)
    height = under + plots * _PLOT + (plots - 1) * _BETWEEN + over
    figure = canvas(_WIDTH, height)
    figure.set_layout_engine("none")
    figure.text(
        0.02,
        1 - 0.1 / height,
        "\n".join(heading),
        fontsize=MEDIUM,
        weight="bold",
        va="top",
    )
    for number, (kind, counts) in enumerate(picture.counts.items()):
        bottom = under + (plots - 1 - number) * (_PLOT + _BETWEEN)
        axes = figure.add_axes((0.14, bottom / height, 0.83, _PLOT / height))
        _draw_kind(axes, picture, kind, counts)
        if number < plots - 1:
            axes.tick_params(axis="x", which="both", labelbottom=False)
        else:
            axes.set_xlabel(picture.label)
    row = under - 0.55
    for mark in picture.marks:
        look = style(mark.place)
        row -= _NAME_ROW
        _list(figure, row / height, mark, look.color, look.marker)
    if picture.bound is not None:
        _list(figure, (row - _NAME_ROW) / height, picture.bound, INK, None)
    return figure


def _draw_kind(axes: Axes, picture: SpacePicture, kind: str, counts: NDArray[np.int64]) -> None:
    """Draw a histogram, and results over it."""
    most = max(int(counts.max()), 1)
    axes.stairs(counts, picture.edges, fill=True, color=_KINDS.get(kind, GREY))
    axes.set(xscale="log" if picture.edges[0] > 0 else "linear")
    axes.set_xlim(picture.edges[0], picture.edges[-1])
    axes.set_ylim(0, 1.18 * most)
    axes.set_ylabel(f"{kind} mappings")
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:,.0f}")
    axes.locator_params(axis="y", integer=True)
    axes.grid(axis="y", alpha=0.4)
    for number, mark in enumerate(picture.marks):
        look = style(mark.place)
        axes.axvline(mark.value, color=look.color, linewidth=1.2)
        # Markers at different heights, so that equal results are all seen.
        top = (1.12 - 0.09 * (number % 8)) * most
        axes.plot(
            mark.value, top, marker=look.marker, color=look.color, markersize=6, clip_on=False
        )
    if picture.bound is not None:
        axes.axvline(picture.bound.value, color=INK, linewidth=1.2, linestyle="--")


def _list(figure: Canvas, y: float, mark: Mark, shade: str, marker: str | None) -> None:
    """Write a result below the plot."""
    from matplotlib.lines import Line2D

    line = Line2D([0.03, 0.065], [y, y], color=shade, marker=marker, markersize=5)
    line.set_linestyle("--" if marker is None else "-")
    figure.add_artist(line)
    figure.text(0.085, y, mark.name, fontsize=SMALL, va="center", color=INK)
    figure.text(0.26, y, mark.text, fontsize=TINY, va="center", color=QUIET)
