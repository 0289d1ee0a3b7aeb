"""Pictures of a partition: the graph of layers, with the fusion groups as coloured clusters.

The graph is a record first (`fusion_graph`), which is what tests look at, and is then drawn by
Matplotlib as a PNG and by plotly as a page.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.fusion.partition import FusionResult
from toolkit.study.pictures.canvas import canvas, color, page, write_canvas, write_page
from toolkit.study.pictures.layers import Layout, Place, draw_edge, lay_out, lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

_ALONE = "#8c8c8c"
_THROUGH_DRAM = "#cc0000"
_INSIDE = "#333333"

# Labels stand beside the layers, not in boxes: rows are lower than those of `network`.
_ROWS = 40
# To the left, as the labels are on the right.
_ASIDE = -0.18
# A column holds a dot and its label: an operator and a shape such as 1x64x112x112.
_INCHES_ACROSS, _INCHES_DOWN = 2.3, 0.34
_PIXELS_ACROSS, _PIXELS_DOWN = 285, 34
# A band across several columns would cover what is between them.
_WIDEST_BAND = 2.4


@dataclass(frozen=True)
class DrawnLayer:
    """A layer in the picture.

    Parameters
    ----------
    name, label : str
        What it is, and what is written beside it.
    group : int or None
        Number of its group; None for a layer on its own.
    hint : str
        What is shown when it is pointed at.
    """

    name: str
    label: str
    group: int | None
    hint: str

    @property
    def color(self) -> str:
        """That of its group."""
        return _ALONE if self.group is None else color(self.group)


@dataclass(frozen=True)
class FusionGraph:
    """A partition, laid out.

    Parameters
    ----------
    title : str
        The network, and what fusion saves.
    layers : tuple of DrawnLayer
        In the order in which they run.
    layout : Layout
        Where each stands.
    """

    title: str
    layers: tuple[DrawnLayer, ...]
    layout: Layout

    @property
    def places(self) -> list[Place]:
        """Of the layers, in their order."""
        return [self.layout.places[layer.name] for layer in self.layers]

    def edges(self) -> Iterator[tuple[list[Place], str | None]]:
        """Yield the way of each edge, and the colour of the group that both its ends are in."""
        by_name = {layer.name: layer for layer in self.layers}
        for source, target in self.layout.edges:
            a, b = by_name[source], by_name[target]
            inside = a.group is not None and a.group == b.group
            yield self.layout.way(source, target, _ASIDE), a.color if inside else None


def fusion_graph(result: FusionResult) -> FusionGraph:
    """Lay out the graph of a partition, and say of each layer what it is and how it is tiled."""
    number = {
        name: i
        for i, group in enumerate(g for g in result.partition if len(g) > 1)
        for name in group
    }
    plans = {name: plan for plan in result.plans for name in plan.group}
    found = []
    for layer in result.graph.layers:
        shape = "x".join(map(str, layer.output.shape))
        tile = " ".join(f"{t}[{axis}]:{size}" for t, axis, size in plans[layer.name].tile)
        hint = f"{layer.name}: {' + '.join(layer.operators)}<br>{shape}"
        hint += f"<br>tile {tile}" if tile else ""
        label = f"{layer.layer.operator} {shape}"
        found.append(DrawnLayer(layer.name, label, number.get(layer.name), hint))
    return FusionGraph(_title(result), tuple(found), lay_out(result.graph, _ROWS))


def _title(result: FusionResult) -> str:
    fused = sum(len(group) > 1 for group in result.partition)
    share = result.dram_words / result.unfused_dram_words - 1 if result.unfused_dram_words else 0
    name = result.graph.graph.get("name") or "network"
    return (
        f"{name}: {fused} groups of several layers, DRAM traffic {share:+.0%}\n"
        "dashed red: a tensor that goes through DRAM"
    )


def write_fusion_pictures(folder: str | os.PathLike[str], result: FusionResult) -> list[Path]:
    """Draw ``fusion.png`` and ``fusion.html`` in a folder that exists.

    Raises
    ------
    MissingPackageError
        If plotly or Matplotlib is not installed.
    InputError
        If a file cannot be written.
    """
    png, html = Path(folder) / "fusion.png", Path(folder) / "fusion.html"
    picture = fusion_graph(result)
    write_canvas(png, draw_fusion(picture))
    write_page(html, fusion_page(picture))
    return [png, html]


def draw_fusion(picture: FusionGraph) -> Canvas:
    """Draw a partition with Matplotlib.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    left, (right, bottom) = picture.layout.left, picture.layout.extent
    size = _INCHES_ACROSS * (right + 0.4), _INCHES_DOWN * (bottom + 1.2)
    figure = canvas(max(size[0], 5), max(size[1], 3))
    axes = figure.add_subplot()
    for way, group in picture.edges():
        if group is not None and _has_band(way):
            axes.plot(
                *zip(*way, strict=True),
                color=group,
                lw=16,
                alpha=0.25,
                solid_capstyle="round",
                solid_joinstyle="round",
                zorder=0,
            )
        draw_edge(
            axes,
            way,
            color=_THROUGH_DRAM if group is None else _INSIDE,
            line="--" if group is None else "-",
            head="-|>",
            width=0.9,
            room=4,
        )
    xs, ys = zip(*picture.places, strict=True)
    colors = [layer.color for layer in picture.layers]
    axes.scatter(xs, ys, s=300, c=colors, alpha=0.25, linewidths=0, zorder=0)
    axes.scatter(xs, ys, s=42, c=colors, zorder=3)
    for layer, place in zip(picture.layers, picture.places, strict=True):
        axes.annotate(
            layer.label,
            place,
            (9, 0),
            textcoords="offset points",
            va="center",
            fontsize=6.5,
            zorder=4,
            bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 0.6},
        )
    axes.set_xlim(left - 0.4, left + right)
    axes.set_ylim(bottom, -1.0)
    axes.set_title(picture.title, fontsize=9)
    axes.set_axis_off()
    return figure


def _has_band(way: list[Place]) -> bool:
    """Whether an edge within a group is shown as a band: unless it goes far, or up again."""
    (x, y), (end, below) = way[0], way[-1]
    return below > y and abs(end - x) <= _WIDEST_BAND


def fusion_page(picture: FusionGraph) -> Figure:
    """Draw a partition with plotly: pan, zoom, and point at layers.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    ways: dict[str | None, list[list[Place]]] = {}
    for way, group in picture.edges():
        ways.setdefault(group, []).append(way)
    figure = page()
    for group, among in ways.items():
        if group is None:
            look = {"color": _THROUGH_DRAM, "width": 1.5, "dash": "dot"}
        else:
            look = {"color": group, "width": 14, "dash": "solid"}
        figure.add_scatter(
            **lines(among),
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            line=look,
            opacity=0.9 if group is None else 0.35,
        )
    xs, ys = zip(*picture.places, strict=True)
    figure.add_scatter(
        x=xs,
        y=ys,
        mode="markers",
        hovertext=[layer.hint for layer in picture.layers],
        hoverinfo="text",
        marker={"color": [layer.color for layer in picture.layers], "size": 12},
        showlegend=False,
    )
    for layer, (x, y) in zip(picture.layers, picture.places, strict=True):
        figure.add_annotation(
            x=x,
            y=y,
            text=layer.label,
            showarrow=False,
            xanchor="left",
            xshift=9,
            font={"size": 11},
            bgcolor="rgba(255,255,255,0.8)",
            borderpad=0,
        )
    left, (right, bottom) = picture.layout.left, picture.layout.extent
    figure.update_layout(
        title=picture.title.replace("\n", "<br>"),
        width=max(600, round(_PIXELS_ACROSS * (right + 0.35))),
        height=max(400, round(_PIXELS_DOWN * (bottom + 1)) + 100),
        template="simple_white",
    )
    figure.update_xaxes(visible=False, range=[left - 0.35, left + right])
    figure.update_yaxes(visible=False, range=[bottom, -1.0])
    return figure
