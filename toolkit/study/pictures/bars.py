"""Bars of what every layer of a network costs: energy by level, cycles by what they are spent on.

A record first (`layer_bars`), which is what tests look at; drawn by Matplotlib and by plotly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.display import energy_unit
from toolkit.model.vector_unit import UNIT
from toolkit.search.network import NetworkResult
from toolkit.search.network.cycles import HOPS, IDLE, layer_cycles
from toolkit.study.pictures.canvas import canvas, page
from toolkit.study.pictures.look import (
    GREY,
    LIGHT_GREY,
    MEDIUM,
    NARROW,
    drawn,
    heading_lines,
    level_colors,
    lighter,
)
from toolkit.study.pictures.roofline import title
from toolkit.study.units import cycles_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

# What makes less than this of all bars together is drawn as one.
_LEAST_SHARE = 0.0005
_REST = "the rest"

# A row for a name of 6 points, and the height at which rows become thinner instead of more.
_ROW_INCHES, _MOST_INCHES = 0.13, 14.0
_POINTS = 6
_HALF = 0.42


@dataclass(frozen=True)
class Part:
    """One part of every bar.

    Parameters
    ----------
    name : str
        A level, or what cycles are spent on.
    color : str
        As ``#rrggbb``.
    values : tuple of float
        Per layer.
    """

    name: str
    color: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class LayerBars:
    """Bars of every layer that costs something.

    Parameters
    ----------
    title : str
        Network and architecture.
    layers : tuple of str
        Their names, as in tables.
    operators : tuple of str
        What each is.
    energy_pj, cycles : tuple of Part
        Parts of the bars, which add up to what the layer costs.
    """

    title: str
    layers: tuple[str, ...]
    operators: tuple[str, ...]
    energy_pj: tuple[Part, ...]
    cycles: tuple[Part, ...]

    @property
    def panels(self) -> tuple[tuple[str, float, tuple[Part, ...]], ...]:
        """Label, divisor and parts of both plots."""
        unit, scale = energy_unit(max(_totals(self.energy_pj), default=0.0))
        words, cycles = cycles_unit(max(_totals(self.cycles), default=0.0))
        return (f"energy ({unit})", scale, self.energy_pj), (words, cycles, self.cycles)


def layer_bars(result: NetworkResult) -> LayerBars:
    """Work out the bars of a mapped network."""
    shown = [i for i, layer in enumerate(result.layers) if layer.cost or layer.vector]
    layers = [result.layers[i] for i in shown]
    cycles = layer_cycles(result)
    colors = level_colors(result.arch, result.level_energies())
    return LayerBars(
        title(result),
        tuple(layer.name for layer in layers),
        tuple(layer.layer.operator for layer in layers),
        _parts([layer.level_energies() for layer in layers], list(colors), colors),
        _parts([cycles[i] for i in shown], _causes(result), _cause_colors(colors)),
    )


def _causes(result: NetworkResult) -> list[str]:
    """What cycles are spent on, in the order of the bars: work first, then what is lost."""
    levels = [level.name for level in result.arch.levels]
    waits = [f"{name} {word}" for name in levels for word in ("stalls", "waits")]
    return [result.arch.compute.name, UNIT, IDLE, *waits, f"{UNIT} waits", HOPS]


def _cause_colors(colors: dict[str, str]) -> dict[str, str]:
    """Those of the levels; waits are lighter than stalls."""
    return {
        **colors,
        **{f"{name} stalls": shade for name, shade in colors.items()},
        **{f"{name} waits": lighter(shade) for name, shade in colors.items()},
        IDLE: GREY,
    }


def _parts(
    rows: Sequence[dict[str, float]], order: Sequence[str], colors: dict[str, str]
) -> tuple[Part, ...]:
    """A part for each name that matters, and one for all others together."""
    total = sum(sum(row.values()) for row in rows)
    sums = {name: sum(row.get(name, 0.0) for row in rows) for name in order}
    large = [name for name in order if sums[name] > _LEAST_SHARE * total]
    parts = [
        Part(name, colors.get(name, LIGHT_GREY), tuple(row.get(name, 0.0) for row in rows))
        for name in large
    ]
    rest = tuple(sum(value for name, value in row.items() if name not in large) for row in rows)
    return (*parts, Part(_REST, LIGHT_GREY, rest)) if any(rest) else tuple(parts)


def _totals(parts: Sequence[Part]) -> list[float]:
    return [sum(values) for values in zip(*(part.values for part in parts), strict=True)]


def named_layers(picture: LayerBars, most: int) -> list[int]:
    """Choose layers whose names have room: the costliest, so far apart that none overlap.

    Parameters
    ----------
    picture : LayerBars
        All layers.
    most : int
        How many names have room below each other.

    Returns
    -------
    list of int
        Places in the picture, in order.
    """
    count = len(picture.layers)
    if count <= most:
        return list(range(count))
    costs = []
    for parts in (picture.energy_pj, picture.cycles):
        totals = _totals(parts) or [0.0] * count
        costs.append([total / (sum(totals) or 1.0) for total in totals])
    order = sorted(range(count), key=lambda i: -max(cost[i] for cost in costs))
    apart, chosen = count / most, list[int]()
    for i in order:
        if all(abs(i - other) >= apart for other in chosen):
            chosen.append(i)
    return sorted(chosen)


@drawn
def draw_bars(picture: LayerBars, *, narrow: bool = False) -> Canvas:
    """Draw bars with Matplotlib, the first layer on top.

    Energy stands beside cycles, or where that is narrow above them.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    count = len(picture.layers)
    height = min(_ROW_INCHES * max(count, 8), _MOST_INCHES)
    named = named_layers(picture, int(_MOST_INCHES / _ROW_INCHES))
    figure = canvas(NARROW, 2 * height + 3.2) if narrow else canvas(13, height + 1.4)
    plots = figure.subplots(2, 1) if narrow else figure.subplots(1, 2, sharey=True)
    for axes, (label, scale, parts) in zip(plots, picture.panels, strict=True):
        _stack(axes, parts, scale)
        axes.set_xlabel(label)
        axes.grid(axis="x", alpha=0.3)
        if parts:
            _legend(axes, narrow=narrow)
        axes.set_yticks(named, [picture.layers[i] for i in named], fontsize=_POINTS)
        axes.set_ylim(max(count, 1) - 0.5, -0.5)
    heading = _heading(picture, len(named))
    if narrow:
        lines = [part for line in heading.split("\n") for part in heading_lines(line, NARROW)]
        figure.suptitle("\n".join(lines), fontsize=MEDIUM, weight="bold", x=0.02, ha="left")
    else:
        figure.suptitle(heading)
    return figure


def _stack(axes: Axes, parts: Sequence[Part], scale: float) -> None:
    """Draw bars part by part: one collection of rectangles each, as networks have hundreds."""
    from matplotlib.collections import PolyCollection

    before = [0.0] * (len(parts[0].values) if parts else 0)
    for part in parts:
        after = [a + value / scale for a, value in zip(before, part.values, strict=True)]
        boxes = [
            [(left, row - _HALF), (right, row - _HALF), (right, row + _HALF), (left, row + _HALF)]
            for row, (left, right) in enumerate(zip(before, after, strict=True))
            if right > left
        ]
        axes.add_collection(
            PolyCollection(boxes, facecolors=part.color, linewidths=0, label=part.name)
        )
        before = after
    axes.set_xlim(0, 1.02 * max(before, default=0.0) or 1.0)


def _legend(axes: Axes, *, narrow: bool) -> None:
    """Name the parts above the bars, from the left end of the picture if that is narrow."""
    from matplotlib.transforms import blended_transform_factory

    whole = blended_transform_factory(axes.figure.transFigure, axes.transAxes)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        bbox_transform=whole if narrow else axes.transAxes,
        ncols=3 if narrow else 4,
        columnspacing=1.0,
        handlelength=1.4,
        fontsize=_POINTS + 1,
    )


def _heading(picture: LayerBars, named: int) -> str:
    count = len(picture.layers)
    hint = "" if named == count else f"\n{count} layers, the costliest {named} with their names"
    return picture.title + hint


def bars_page(picture: LayerBars) -> Figure:
    """Draw bars with plotly; every bar shows its name when it is pointed at.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    figure = page(2, shared_yaxes=True, horizontal_spacing=0.03)
    rows = list(range(len(picture.layers)))
    hints = [f"{n} ({o})" for n, o in zip(picture.layers, picture.operators, strict=True)]
    for column, (label, scale, parts) in enumerate(picture.panels, start=1):
        for part in parts:
            figure.add_bar(
                x=[value / scale for value in part.values],
                y=rows,
                orientation="h",
                name=part.name,
                marker={"color": part.color, "line": {"width": 0}},
                text=hints,
                textposition="none",
                hovertemplate="%{text}<br>%{fullData.name}: %{x:.4g}<extra></extra>",
                legend="legend" if column == 1 else "legend2",
                row=1,
                col=column,
            )
        figure.update_xaxes(title=label, row=1, col=column)
    figure.update_yaxes(autorange="reversed", tickfont={"size": 9})
    figure.update_yaxes(tickvals=rows, ticktext=list(picture.layers), row=1, col=1)
    legend: dict[str, Any] = {"yanchor": "bottom", "y": 1.0, "orientation": "h"}
    figure.update_layout(
        title=picture.title,
        barmode="stack",
        bargap=0.1,
        height=max(500, 14 * len(rows) + 260),
        margin={"t": 160},
        legend={**legend, "x": 0.0, "entrywidth": 130},
        legend2={**legend, "x": 0.52, "entrywidth": 130},
    )
    return figure
