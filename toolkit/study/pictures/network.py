"""Pictures of a mapped network: roofline, bars of layers, their graph coloured by energy.

The graph is a record first (`energy_graph`), which is what tests look at, and is then drawn by
Matplotlib as a PNG and by plotly as a page.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx

from toolkit.display import short_energy
from toolkit.search.network import LayerResult, NetworkResult
from toolkit.study.pictures.bars import bars_page, draw_bars, layer_bars
from toolkit.study.pictures.canvas import canvas, page, write_figures
from toolkit.study.pictures.group_boxes import LABEL_INDENT, boxes_of
from toolkit.study.pictures.layers import Layout, draw_edge, lay_out, lines
from toolkit.study.pictures.look import MEDIUM, NARROW, SMALL, TINY, drawn, heading_lines
from toolkit.study.pictures.roofline import draw_roofline, roofline, roofline_page, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

_MAP = "YlOrRd"

# A page holds so many boxes below each other at a size that is read.
_ROWS = 24
# Edges that leave rows out pass half a column and a little more beside boxes of half a column.
_ASIDE = 0.55
# Columns beyond which an edge crosses others.
_FAR = 2.5
# Inches of a letter and of a line of so many points, and letters of a line if a name has breaks.
_POINTS, _INCH_ACROSS, _INCH_DOWN, _LINE = 6, 0.055, 0.1, 26
# That for which lists are laid out.
_LISTED = 6.5
# Larger than any screen or page; Matplotlib cannot draw pictures of any size.
_MOST_INCHES = 120


def write_pictures(folder: str | os.PathLike[str], result: NetworkResult) -> tuple[Path, ...]:
    """Draw ``roofline``, ``layers`` and ``graph``, each as PNG, SVG and page, in a folder.

    Raises
    ------
    MissingPackageError
        If plotly or Matplotlib is not installed.
    InputError
        If a file cannot be written.
    """
    roofs, bars, graph = roofline(result), layer_bars(result), energy_graph(result)
    written: list[Path] = []
    for name, figure, web in (
        ("roofline", draw_roofline(roofs), roofline_page(roofs)),
        ("layers", draw_bars(bars), bars_page(bars)),
        ("graph", draw_graph(graph), graph_page(graph)),
    ):
        written += write_figures(folder, name, figure, web)
    return tuple(written)


@dataclass(frozen=True)
class EnergyGraph:
    """The graph of layers, laid out.

    Parameters
    ----------
    title : str
        Network and architecture.
    nodes : tuple of LayerResult
        Layers that cost something and depend on the network's inputs.
    layout : Layout
        Where each stands; views between layers are left out.
    """

    title: str
    nodes: tuple[LayerResult, ...]
    layout: Layout


def energy_graph(result: NetworkResult) -> EnergyGraph:
    """Lay out the graph of a mapped network: each layer below all that it reads from.

    Views are left out, and so is what is computed from constants alone. Long networks go on in
    a further column.
    """
    graph = nx.DiGraph(result.graph)
    costly = {layer.name: layer for layer in result.layers if layer.cost or layer.vector}
    inputs = {tensor.name for tensor in result.graph.inputs}
    starts = [n for n in graph if inputs & {t.name for t in graph.nodes[n]["layer"].inputs}]
    living = set(starts).union(*(nx.descendants(graph, n) for n in starts)) or set(graph)
    for name in [n for n in graph if n not in costly or n not in living]:
        if name in living:
            pairs = [(a, b) for a in graph.predecessors(name) for b in graph.successors(name)]
            graph.add_edges_from(pairs)
        graph.remove_node(name)
    nodes = tuple(costly[layer.name] for layer in result.layers if layer.name in graph)
    return EnergyGraph(title(result), nodes, lay_out(graph, _ROWS))


@drawn
def draw_graph(picture: EnergyGraph, *, narrow: bool = False) -> Canvas:
    """Draw a graph of layers with Matplotlib, where it is to be narrow as a list.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    if narrow and picture.nodes:
        return _list(picture)
    layout = picture.layout
    right, bottom = layout.extent
    labels = {layer.name: box_lines(layer) for layer in picture.nodes}
    across = max((len(line) for lines in labels.values() for line in lines), default=0)
    down = max(map(len, labels.values()), default=1)
    width, height = max(1.45, 0.3 + _INCH_ACROSS * across), 0.2 + _INCH_DOWN * down
    # A narrow graph must leave room for the title.
    wide = max(width * right + 2, 0.11 * len(picture.title))
    figure = canvas(min(wide, _MOST_INCHES), min(height * bottom + 1.5, _MOST_INCHES))
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable

    axes: Axes = figure.subplots()
    norm, scale = _norm(picture), colormaps[_MAP]
    for before, after in layout.edges:
        _draw_edge(axes, layout, before, after)
    for layer in picture.nodes:
        x, y = layout.places[layer.name]
        share = float(norm(max(layer.energy_pj, norm.vmin or 0)))
        axes.text(
            x,
            y,
            "\n".join(labels[layer.name]),
            ha="center",
            va="center",
            fontsize=_POINTS,
            linespacing=1.1,
            color="white" if share > 0.7 else "black",
            bbox={
                "boxstyle": "round,pad=0.3",
                "facecolor": scale(share),
                "edgecolor": "0.5",
                "linewidth": 0.5,
            },
        )
    axes.set(xlim=(layout.left - 0.7, layout.left + right - 0.3), ylim=(bottom - 0.3, -0.7))
    axes.axis("off")
    axes.set_title(picture.title)
    bar = figure.colorbar(ScalarMappable(norm, scale), ax=axes, fraction=0.03, pad=0.01)
    bar.set_label("energy (pJ)")
    return figure


def _list(picture: EnergyGraph) -> Canvas:
    """Draw layers below each other in the order in which they run, tensors beside them."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable

    graph = nx.DiGraph(picture.layout.edges)
    names = [layer.name for layer in picture.nodes]
    graph.add_nodes_from(names)
    labels = {n.name: f"{n.name}  {short_energy(n.energy_pj, 3)}" for n in picture.nodes}
    order = {name: place for place, name in enumerate(names)}
    boxes = boxes_of(graph, [frozenset(names)], [("",)], labels, order, columns=1, width=NARROW)
    heading = heading_lines(picture.title, boxes.width)
    top, bottom = 0.1 + 0.15 * len(heading), 0.7
    height = top + boxes.height + bottom
    figure = canvas(boxes.width, height)
    # Places are inches: nothing is to move them.
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, boxes.width), ylim=(height - top, -top))
    axes.set_axis_off()
    axes.text(0.1, 0.1 - top, "\n".join(heading), fontsize=MEDIUM, weight="bold", va="top")
    for way in boxes.ways:
        draw_edge(axes, way.places, color="0.55", line="-", head="->", width=0.6, room=3)
    norm, scale = _norm(picture), colormaps[_MAP]
    for layer in picture.nodes:
        x, y = boxes.layout.places[layer.name]
        shade = scale(float(norm(max(layer.energy_pj, norm.vmin or 0))))
        axes.scatter([x], [y], s=30, marker="s", c=[shade], edgecolors="0.4", linewidths=0.5)
        label = labels[layer.name]
        axes.text(x + LABEL_INDENT, y, label, va="center", fontsize=_LISTED, zorder=4)
    bar = figure.add_axes((0.1, (bottom - 0.25) / height, 0.8, 0.12 / height))
    figure.colorbar(ScalarMappable(norm, scale), cax=bar, orientation="horizontal")
    bar.set_xlabel("energy (pJ)", fontsize=SMALL)
    bar.tick_params(labelsize=TINY)
    return figure


def box_lines(layer: LayerResult) -> list[str]:
    """What stands in the box of a layer: its name, broken where it is long, and its energy.

    Names are those of tables, whole.
    """
    lines = [""]
    for piece in re.findall(r"[^/.]*[/.]?", layer.name):
        if lines[-1] and len(lines[-1]) + len(piece) > _LINE:
            lines.append("")
        lines[-1] += piece
    return [*lines, short_energy(layer.energy_pj, 3)]


def _draw_edge(axes: Axes, layout: Layout, before: str, after: str) -> None:
    # Only hinted at where it runs from the end of one column to the start of the next, or past
    # other columns.
    across = abs(layout.places[before][0] - layout.places[after][0])
    hinted = layout.goes_on(before, after) or across > _FAR
    draw_edge(
        axes,
        layout.way(before, after, _ASIDE),
        color="0.7" if hinted else "0.35",
        line=":" if hinted else "-",
        head="->",
        width=0.7,
        room=7,
    )


def graph_page(picture: EnergyGraph) -> Figure:
    """Draw a graph of layers with plotly.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    figure, layout = page(), picture.layout
    edges = lines(layout.way(before, after, _ASIDE) for before, after in layout.edges)
    grey = {"color": "#aaaaaa", "width": 1}
    figure.add_scatter(**edges, mode="lines", line=grey, hoverinfo="skip", showlegend=False)
    logs = [math.log10(max(layer.energy_pj, 1.0)) for layer in picture.nodes]
    ticks = list(range(math.floor(min(logs, default=0)), math.ceil(max(logs, default=1)) + 1))
    figure.add_scatter(
        x=[layout.places[layer.name][0] for layer in picture.nodes],
        y=[layout.places[layer.name][1] for layer in picture.nodes],
        mode="markers+text",
        marker={
            "color": logs,
            "colorscale": _MAP,
            "size": 16,
            "symbol": "square",
            "line": {"color": "#777777", "width": 1},
            "colorbar": {
                "title": "energy",
                "tickvals": ticks,
                "ticktext": [short_energy(10.0**tick, 3) for tick in ticks],
            },
        },
        text=[layer.name for layer in picture.nodes],
        textposition="middle right",
        textfont={"size": 9},
        customdata=[_hover(layer) for layer in picture.nodes],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )
    right, bottom = layout.extent
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, autorange="reversed")
    figure.update_layout(
        title=picture.title,
        height=max(500, int(30 * bottom) + 120),
        width=max(800, int(_pixels(picture) * right) + 200),
    )
    return figure


def _pixels(picture: EnergyGraph) -> int:
    """Width of a column: the longest name stands beside its square."""
    return 60 + 5 * max((len(layer.name) for layer in picture.nodes), default=0)


def _hover(layer: LayerResult) -> str:
    texts = [
        f"{layer.name} ({layer.layer.operator})",
        layer.lowering,
        short_energy(layer.energy_pj, 3),
        f"{layer.latency_cycles:,.0f} cycles",
        f"{layer.dram_words:,} DRAM words",
    ]
    return "<br>".join(texts)


def _norm(picture: EnergyGraph) -> Any:
    from matplotlib.colors import LogNorm

    energies = [layer.energy_pj for layer in picture.nodes if layer.energy_pj > 0]
    low, high = min(energies, default=1.0), max(energies, default=10.0)
    return LogNorm(low, high if high > low else 10 * low)
