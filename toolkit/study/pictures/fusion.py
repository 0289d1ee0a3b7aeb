"""Pictures of a partition: a box per fusion group, in the order in which they run, and its layers.

The graph is a record first (`fusion_graph`), which is what tests look at, and is then drawn by
Matplotlib as a PNG and by plotly as a page. Groups and layers have the numbers and names that they
have in tables.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.fusion.group_model import Option
from toolkit.fusion.partition import FusionResult
from toolkit.fusion.tile_names import tile_text
from toolkit.study.pictures.canvas import canvas, page, write_figures
from toolkit.study.pictures.group_boxes import (
    HEAD,
    LABEL_INDENT,
    WIDTH,
    Box,
    Boxes,
    Way,
    boxes_of,
)
from toolkit.study.pictures.layers import Layout, Place, draw_edge, lines
from toolkit.study.pictures.look import MEDIUM, NARROW, color, drawn, heading_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

_ALONE = "#8c8c8c"
_THROUGH_DRAM = "#cc0000"

_POINTS = 6.5
"""Size of all text but the title, for which boxes are laid out."""

_TOP = 0.6
"""Inches above the boxes, for the legend and a line of the title, but for further lines of it."""

_TITLE_ROW = 0.15

_PIXELS_PER_INCH = 135
"""Of pages: their text of 11 pixels is as wide then as that of the PNG."""

_LEGEND = {
    "fused": "a group of several layers",
    "alone": "a layer on its own",
    "inside": "stays on chip",
    "dram": "goes through DRAM",
}


@dataclass(frozen=True)
class DrawnLayer:
    """A layer in the picture.

    Parameters
    ----------
    name, label : str
        What it is called, and what is written behind its name.
    group : int
        Number of its group, as in tables.
    alone : bool
        Whether the group has no other layer.
    hint : str
        What is shown when it is pointed at.
    """

    name: str
    label: str
    group: int
    alone: bool
    hint: str

    @property
    def color(self) -> str:
        """That of its group."""
        return _ALONE if self.alone else color(self.group)


@dataclass(frozen=True)
class FusionGraph:
    """A partition, laid out.

    Parameters
    ----------
    title : str
        The network, and what fusion saves.
    layers : tuple of DrawnLayer
        In the order in which they run.
    boxes : Boxes
        Where groups and layers are, in inches from the upper left corner.
    """

    title: str
    layers: tuple[DrawnLayer, ...]
    boxes: Boxes

    @property
    def layout(self) -> Layout:
        """Places of the layers, and which are joined."""
        return self.boxes.layout

    @property
    def places(self) -> list[Place]:
        """Of the layers, in their order."""
        return [self.layout.places[layer.name] for layer in self.layers]

    def edges(self) -> Iterator[tuple[Way, str | None]]:
        """Yield the ways within columns, and the colour of the group that both ends are in."""
        by_name = {layer.name: layer for layer in self.layers}
        for way in self.boxes.ways:
            yield way, by_name[way.source].color if way.inside else None


def fusion_graph(result: FusionResult, *, narrow: bool = False) -> FusionGraph:
    """Lay out a partition, and say of each group and layer what it is and how it runs.

    All groups stand in one column where that is to be narrow.
    """
    group_of = {name: i for i, group in enumerate(result.partition) for name in group}
    found = []
    for layer in result.graph.layers:
        number = group_of[layer.name]
        option = result.groups[number]
        shape = "x".join(map(str, layer.output.shape))
        hint = f"{layer.name}: {' + '.join(layer.operators)}<br>{shape}"
        hint += "".join(f"<br>{line}" for line in _heading(result, number, option))
        label = f"{layer.layer.operator} {shape}"
        alone = len(option.plan.group) == 1
        found.append(DrawnLayer(layer.name, label, number, alone, hint))
    boxes = boxes_of(
        result.graph,
        result.partition,
        [_heading(result, number, option) for number, option in enumerate(result.groups)],
        {layer.name: f"{layer.name}  {layer.label}" for layer in found},
        result.graph.positions,
        columns=1 if narrow else None,
        width=NARROW if narrow else WIDTH,
    )
    return FusionGraph(_title(result), tuple(found), boxes)


def _heading(result: FusionResult, number: int, option: Option) -> tuple[str, ...]:
    """What is written into the box of a group."""
    plan = option.plan
    first = f"group {number}: {plan.dram_words:,} DRAM words"
    if len(plan.group) == 1 and not plan.staged:
        return (first,)
    tile = tile_text(plan, result.graph)
    steps = f"{plan.steps:,} step{'s' if plan.steps > 1 else ''}"
    held = f"{plan.footprint_words + plan.resident_words:,} words on chip"
    return first, f"{steps}, {held}", f"tile {tile}" if tile else "whole tensors"


def _title(result: FusionResult) -> str:
    fused = sum(len(group) > 1 for group in result.partition)
    share = result.dram_words / result.unfused_dram_words - 1 if result.unfused_dram_words else 0
    name = result.graph.graph.get("name") or "network"
    groups = "group" if fused == 1 else "groups"
    return f"{name}: {fused} {groups} of several layers, DRAM traffic {share:+.0%}"


def write_fusion_pictures(
    folder: str | os.PathLike[str], result: FusionResult
) -> tuple[Path, ...]:
    """Draw ``fusion.png``, ``.svg`` and ``.html`` in a folder that exists.

    Raises
    ------
    MissingPackageError
        If plotly or Matplotlib is not installed.
    InputError
        If a file cannot be written.
    """
    picture = fusion_graph(result)
    return write_figures(folder, "fusion", draw_fusion(picture), fusion_page(picture))


@drawn
def draw_fusion(picture: FusionGraph) -> Canvas:
    """Draw a partition with Matplotlib.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    heading = heading_lines(picture.title, picture.boxes.width)
    top = _TOP + _TITLE_ROW * len(heading)
    width, height = picture.boxes.width, picture.boxes.height + top
    figure = canvas(width, height)
    # Places are inches: nothing is to move them.
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, width)
    axes.set_ylim(height - top, -top)
    axes.set_axis_off()
    axes.text(0.1, -top + 0.1, "\n".join(heading), fontsize=MEDIUM, va="top")
    _draw_legend(axes)
    for box in picture.boxes.boxes:
        _draw_box(axes, box)
    for way, group in picture.edges():
        draw_edge(
            axes,
            way.places,
            color=group or _THROUGH_DRAM,
            line="-" if group else "--",
            head="-|>",
            width=0.9,
            room=2.5,
        )
    for layer, (x, y) in zip(picture.layers, picture.places, strict=True):
        axes.scatter([x], [y], s=16, c=[layer.color], zorder=3)
        text = axes.annotate(
            layer.name, (x + LABEL_INDENT, y), va="center", fontsize=_POINTS, zorder=4
        )
        axes.annotate(
            f"  {layer.label}",
            (1.0, 0.5),
            xycoords=text,
            va="center",
            fontsize=_POINTS,
            color="#666666",
            zorder=4,
        )
    for name, (places, words) in picture.boxes.elsewhere.items():
        axes.text(*places, words, va="center", fontsize=_POINTS, color=_THROUGH_DRAM, gid=name)
    return figure


def _draw_box(axes: Axes, box: Box) -> None:
    from matplotlib.patches import Rectangle

    look = _ALONE if box.alone else color(box.number)
    axes.add_patch(
        Rectangle(
            (box.left, box.top),
            box.right - box.left,
            box.bottom - box.top,
            facecolor=(look, 0.10),
            edgecolor=(look, 0.8),
            lw=0.8,
            zorder=0,
        )
    )
    for row, line in enumerate(box.heading):
        weight = "bold" if row == 0 else "normal"
        place = box.text, box.top + (row + 0.7) * HEAD
        axes.text(*place, line, va="center", fontsize=_POINTS, fontweight=weight)


def _draw_legend(axes: Axes) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=(color(0), 0.10), edgecolor=color(0), label=_LEGEND["fused"]),
        Patch(facecolor=(_ALONE, 0.10), edgecolor=_ALONE, label=_LEGEND["alone"]),
        Line2D([], [], color=color(0), label=_LEGEND["inside"]),
        Line2D([], [], color=_THROUGH_DRAM, ls="--", label=_LEGEND["dram"]),
    ]
    axes.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(0.1, -0.25),
        bbox_transform=axes.transData,
        ncols=2,
        fontsize=_POINTS,
        borderpad=0,
        columnspacing=1.2,
        labelspacing=0.2,
    )


def fusion_page(picture: FusionGraph) -> Figure:
    """Draw a partition with plotly: pan, zoom, and point at layers.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    figure = page()
    ways: dict[str | None, list[tuple[Place, ...]]] = {None: []}
    for way, group in picture.edges():
        ways.setdefault(group, []).append(way.places)
    for number, (group, among) in enumerate(ways.items()):
        figure.add_scatter(
            **lines(among),
            mode="lines",
            hoverinfo="skip",
            name=_LEGEND["dram" if group is None else "inside"],
            showlegend=number < 2,
            line={"color": group or _THROUGH_DRAM, "dash": "solid" if group else "dot"},
        )
    figure.add_scatter(
        x=[x for x, _ in picture.places],
        y=[y for _, y in picture.places],
        mode="markers",
        hovertext=[layer.hint for layer in picture.layers],
        hoverinfo="text",
        marker={"color": [layer.color for layer in picture.layers], "size": 8},
        showlegend=False,
    )
    for key, look in (("fused", color(0)), ("alone", _ALONE)):
        marker = {"symbol": "square", "size": 12, "color": look, "opacity": 0.4}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=_LEGEND[key])
    for box in picture.boxes.boxes:
        look = _ALONE if box.alone else color(box.number)
        corners = {"x0": box.left, "x1": box.right, "y0": box.top, "y1": box.bottom}
        line = {"color": look, "width": 1}
        figure.add_shape(fillcolor=look, opacity=0.13, layer="below", line=line, **corners)
        for row, text in enumerate(box.heading):
            shown = f"<b>{text}</b>" if row == 0 else text
            _write(figure, box.text, box.top + (row + 0.7) * HEAD, shown)
    for layer, (x, y) in zip(picture.layers, picture.places, strict=True):
        text = f"{layer.name}  <span style='color:#666666'>{layer.label}</span>"
        _write(figure, x + LABEL_INDENT, y, text)
    for place, words in picture.boxes.elsewhere.values():
        _write(figure, *place, f"<span style='color:{_THROUGH_DRAM}'>{words}</span>")
    figure.update_layout(
        title=picture.title,
        width=round(_PIXELS_PER_INCH * picture.boxes.width),
        height=round(_PIXELS_PER_INCH * picture.boxes.height) + 110,
        margin={"l": 0, "r": 0, "t": 110, "b": 0},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "left", "x": 0.0},
    )
    figure.update_xaxes(visible=False, range=[0, picture.boxes.width])
    figure.update_yaxes(visible=False, range=[picture.boxes.height, 0])
    return figure


def _write(figure: Figure, x: float, y: float, text: str) -> None:
    """Write text that begins at a place."""
    figure.add_annotation(
        x=x, y=y, text=text, showarrow=False, xanchor="left", yanchor="middle", font={"size": 11}
    )
