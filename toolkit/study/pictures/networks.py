"""A picture of networks side by side: energy, cycles and efficiency of each on each architecture.

A record first (`networks_picture`), which is what tests look at; drawn by Matplotlib and plotly.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.display import energy_unit
from toolkit.search.network import NetworkComparison
from toolkit.study.pictures.canvas import canvas, page, write_figures
from toolkit.study.pictures.look import NARROW, drawn, style
from toolkit.study.units import cycles_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

_ROW_INCHES = 0.42


@dataclass(frozen=True)
class Figures:
    """One figure of every network on every architecture.

    Parameters
    ----------
    label : str
        What it is, with its unit.
    values : dict of str to tuple of float
        By architecture, a value per network; not a number where there is no mapping.
    """

    label: str
    values: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class NetworksPicture:
    """Networks in rows, a mark per architecture, a plot per figure.

    Parameters
    ----------
    networks : tuple of str
        Rows, from the top.
    figures : tuple of Figures
        Plots, from the left.
    """

    networks: tuple[str, ...]
    figures: tuple[Figures, ...]


def networks_picture(found: NetworkComparison) -> NetworksPicture:
    """Work out the picture of a comparison."""
    rows = found.rows()
    networks = tuple(dict.fromkeys(row["network"] for row in rows))
    archs = tuple(dict.fromkeys(row["arch"] for row in rows))
    by_pair = {(row["network"], row["arch"]): row for row in rows}
    most = max((row["energy_total_pj"] or 0.0 for row in rows), default=0.0)
    unit, scale = energy_unit(most)
    words, cycles = cycles_unit(max((row["latency_cycles"] or 0.0 for row in rows), default=0.0))
    figures = []
    for label, key, divisor in (
        (f"energy ({unit})", "energy_total_pj", scale),
        (words, "latency_cycles", cycles),
        ("TOPS/W", "tops_per_watt", 1.0),
    ):
        values = {
            arch: tuple(_number(by_pair[name, arch][key]) / divisor for name in networks)
            for arch in archs
        }
        figures.append(Figures(label, values))
    return NetworksPicture(networks, tuple(figures))


def _number(value: float | None) -> float:
    # A logarithmic axis has no zero either.
    return value or math.nan


def write_pictures(folder: str | os.PathLike[str], found: NetworkComparison) -> tuple[Path, ...]:
    """Draw ``networks.png``, ``.svg`` and ``.html`` in a folder.

    Raises
    ------
    MissingPackageError
        If plotly or Matplotlib is not installed.
    InputError
        If a file cannot be written.
    """
    picture = networks_picture(found)
    return write_figures(folder, "networks", draw_networks(picture), networks_page(picture))


@drawn
def draw_networks(picture: NetworksPicture, *, narrow: bool = False) -> Canvas:
    """Draw networks with Matplotlib, a line from the best architecture to the worst.

    Figures stand side by side, or where that is narrow below each other.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    count = len(picture.networks)
    plots_inches = _ROW_INCHES * max(count, 3)
    figures = len(picture.figures)
    figure = (
        canvas(NARROW, figures * (plots_inches + 0.6) + 1.2)
        if narrow
        else canvas(13, plots_inches + 1.6)
    )
    # After the canvas, which says what to install where Matplotlib is missing.
    from matplotlib.ticker import LogLocator

    plots = figure.subplots(*((figures, 1) if narrow else (1, figures)), sharey=True)
    rows = range(count)
    for axes, entry in zip(plots, picture.figures, strict=True):
        for row, values in enumerate(zip(*entry.values.values(), strict=True)):
            known = [value for value in values if not math.isnan(value)]
            if known:
                axes.plot([min(known), max(known)], [row, row], color="0.8", zorder=1)
        for place, (arch, column) in enumerate(entry.values.items()):
            look = style(place)
            axes.plot(
                column,
                rows,
                color=look.color,
                marker=look.marker,
                markersize=8,
                linestyle="",
                alpha=0.8,
                label=arch,
            )
        if not all(math.isnan(value) for column in entry.values.values() for value in column):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter("{x:.3g}")
            axes.xaxis.set_minor_formatter("")
        axes.set_xlabel(entry.label)
        axes.grid(axis="x", alpha=0.3, which="both")
    plots[0].set_yticks(rows, picture.networks)
    plots[0].set_ylim(count - 0.5, -0.5)
    handles, labels = plots[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2 if narrow else 6)
    return figure


def networks_page(picture: NetworksPicture) -> Figure:
    """Draw networks with plotly.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    figure = page(len(picture.figures), shared_yaxes=True, horizontal_spacing=0.03)
    for column, entry in enumerate(picture.figures, start=1):
        for place, (arch, values) in enumerate(entry.values.items()):
            figure.add_scatter(
                x=values,
                y=picture.networks,
                mode="markers",
                marker={"color": style(place).color, "size": 11},
                name=arch,
                legendgroup=arch,
                showlegend=column == 1,
                hovertemplate=f"%{{y}} on {arch}<br>%{{x:.5g}}<extra></extra>",
                row=1,
                col=column,
            )
        figure.update_xaxes(type="log", title=entry.label, row=1, col=column)
    figure.update_yaxes(autorange="reversed")
    height = max(400, 40 * len(picture.networks) + 200)
    figure.update_layout(height=height)
    return figure
