"""Pictures of a partition: the graph of layers, with the fusion groups as coloured clusters.

The layout is a record first (`layered`), which is what tests look at, and is then drawn by
Matplotlib as a PNG and by plotly as a HTML page.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx

from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.partition import FusionResult
from toolkit.yaml_files import write_text_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as Page

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which all readers can tell apart."""

_ALONE = "#8c8c8c"
_DPI = 130
_ROWS = 60
"""Most rows of layers below each other; longer graphs are spread evenly over columns."""


@dataclass(frozen=True)
class Placed:
    """A layer in the picture.

    Parameters
    ----------
    name, label : str
        What it is, and what is written beside it.
    x, y : float
        Where; y falls from the first row on.
    group : int or None
        Number of its group; None for a layer on its own.
    hint : str
        What is shown when it is pointed at.
    """

    name: str
    label: str
    x: float
    y: float
    group: int | None
    hint: str


def layered(graph: FoldedGraph) -> dict[str, tuple[float, float]]:
    """Places of all layers: by Graphviz where pygraphviz is installed, else in rows of our own.

    A row holds the layers with equally many layers on the longest path to them; within a row
    they stand where what they read from stands.
    """
    try:
        places: dict[str, tuple[float, float]] = nx.nx_agraph.graphviz_layout(graph, prog="dot")
    except (ImportError, OSError, ValueError):
        return _rows(graph)
    # Graphviz counts in points, of which a row takes 72.
    return {name: (x / 110.0, y / 72.0) for name, (x, y) in places.items()}


def _rows(graph: FoldedGraph) -> dict[str, tuple[float, float]]:
    slots: dict[str, float] = {}
    rows = [list(row) for row in nx.topological_generations(graph)]
    for row in rows:
        middle = {
            name: _mean([slots[source] for source in graph.predecessors(name)]) for name in row
        }
        row.sort(key=lambda name: (middle[name], graph.positions[name]))
        for place, name in enumerate(row):
            slots[name] = place - (len(row) - 1) / 2
        if len(row) == 1:
            continue
        spread = {name: middle[name] for name in row}
        if len({round(value, 3) for value in spread.values()}) == len(row):
            slots.update(spread)
    width = 2.6 * max(max(map(len, rows)), 2)
    deep = -(-len(rows) // -(-len(rows) // _ROWS))
    return {
        name: (2.2 * slots[name] + width * (i // deep), -float(i % deep))
        for i, row in enumerate(rows)
        for name in row
    }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def placed_layers(result: FusionResult) -> tuple[Placed, ...]:
    """Layers with their places and groups, in the order in which they run."""
    graph, places = result.graph, layered(result.graph)
    number = {
        name: i
        for i, group in enumerate(g for g in result.partition if len(g) > 1)
        for name in group
    }
    plans = {name: plan for plan in result.plans for name in plan.group}
    found = []
    for layer in graph.layers:
        x, y = places[layer.name]
        shape = "x".join(map(str, layer.output.shape))
        tile = " ".join(f"{t}[{axis}]:{size}" for t, axis, size in plans[layer.name].tile)
        hint = f"{layer.name}: {' + '.join(layer.operators)}<br>{shape}"
        hint += f"<br>tile {tile}" if tile else ""
        label = f"{layer.layer.operator} {shape}"
        found.append(Placed(layer.name, label, x, y, number.get(layer.name), hint))
    return tuple(found)


def write_fusion_pictures(folder: str | os.PathLike[str], result: FusionResult) -> list[Path]:
    """Draw ``fusion.png`` and ``fusion.html`` in a folder that exists."""
    png, html = Path(folder) / "fusion.png", Path(folder) / "fusion.html"
    figure = fusion_figure(result)
    figure.savefig(png, dpi=_DPI)
    write_text_atomically(html, fusion_page(result).to_html(include_plotlyjs=True))
    return [png, html]


def _color(group: int | None) -> str:
    return _ALONE if group is None else _COLORS[group % len(_COLORS)]


def _links(
    result: FusionResult, layers: tuple[Placed, ...]
) -> Iterator[tuple[Placed, Placed, bool]]:
    """Edges, and whether both ends are in one group."""
    by_name = {layer.name: layer for layer in layers}
    for source, target in result.graph.edges:
        a, b = by_name[source], by_name[target]
        yield a, b, a.group is not None and a.group == b.group


def fusion_figure(result: FusionResult) -> Figure:
    """Draw a partition with Matplotlib."""
    from matplotlib.figure import Figure

    layers = placed_layers(result)
    xs, ys = [layer.x for layer in layers], [layer.y for layer in layers]
    wide, high = max(xs) - min(xs) + 4.2, max(ys) - min(ys) + 2.2
    figure = Figure(figsize=(max(1.05 * wide, 5), max(0.34 * high, 3)), layout="constrained")
    axes = figure.add_subplot()
    for a, b, inside in _links(result, layers):
        far = a.y < b.y or abs(a.x - b.x) > 2.6 * 2
        if inside and not far:
            axes.plot(
                [a.x, b.x],
                [a.y, b.y],
                color=_color(a.group),
                lw=16,
                alpha=0.25,
                solid_capstyle="round",
                zorder=1,
            )
        axes.annotate(
            "",
            (b.x, b.y),
            (a.x, a.y),
            zorder=2,
            arrowprops={
                "arrowstyle": "-|>",
                "shrinkA": 4,
                "shrinkB": 4,
                "lw": 0.9,
                "color": "#333333" if inside else "#cc0000",
                "linestyle": "-" if inside else "--",
                "connectionstyle": f"arc3,rad={_bend(a, b)}",
            },
        )
    axes.scatter(
        xs,
        ys,
        s=300,
        c=[_color(layer.group) for layer in layers],
        alpha=0.25,
        linewidths=0,
        zorder=1,
    )
    axes.scatter(xs, ys, s=42, c=[_color(layer.group) for layer in layers], zorder=3)
    for layer in layers:
        axes.annotate(
            layer.label,
            (layer.x, layer.y),
            (9, 0),
            textcoords="offset points",
            va="center",
            fontsize=6.5,
            zorder=4,
            bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 0.6},
        )
    axes.set_xlim(min(xs) - 1.0, max(xs) + 3.0)
    axes.set_ylim(min(ys) - 1.0, max(ys) + 1.0)
    axes.set_title(_title(result), fontsize=9)
    axes.set_axis_off()
    return figure


def _bend(a: Placed, b: Placed) -> float:
    """Edges that skip rows go around what is between them."""
    return 0.25 if a.x == b.x and abs(a.y - b.y) > 1.5 else 0.0


def _title(result: FusionResult) -> str:
    fused = sum(len(group) > 1 for group in result.partition)
    share = result.dram_words / result.unfused_dram_words - 1 if result.unfused_dram_words else 0
    name = result.graph.graph.get("name") or "network"
    return (
        f"{name}: {fused} groups of several layers, DRAM traffic {share:+.0%}\n"
        "dashed red: a tensor that goes through DRAM"
    )


def fusion_page(result: FusionResult) -> Page:
    """Draw a partition with plotly: pan, zoom, and point at layers."""
    import plotly.graph_objects as go

    layers = placed_layers(result)
    lines: dict[tuple[str, str], tuple[list[float | None], list[float | None]]] = {}
    for a, b, inside in _links(result, layers):
        xs, ys = lines.setdefault(
            (_color(a.group), "solid") if inside else ("#cc0000", "dot"), ([], [])
        )
        # Edges that skip rows go around what is between them, as in the other picture.
        aside = _bend(a, b) * abs(a.y - b.y) / 2
        xs += [a.x, a.x - aside, a.x - aside, b.x, None] if aside else [a.x, b.x, None]
        ys += [a.y, a.y - 0.5, b.y + 0.5, b.y, None] if aside else [a.y, b.y, None]
    page = go.Figure()
    for (color, dash), (xs, ys) in lines.items():
        width = 14 if dash == "solid" else 1.5
        page.add_scatter(
            x=xs,
            y=ys,
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            line={"color": color, "width": width, "dash": dash},
            opacity=0.35 if dash == "solid" else 0.9,
        )
    page.add_scatter(
        x=[layer.x for layer in layers],
        y=[layer.y for layer in layers],
        mode="markers",
        hovertext=[layer.hint for layer in layers],
        hoverinfo="text",
        marker={"color": [_color(layer.group) for layer in layers], "size": 12},
        showlegend=False,
    )
    for layer in layers:
        page.add_annotation(
            x=layer.x,
            y=layer.y,
            text=layer.label,
            showarrow=False,
            xanchor="left",
            xshift=9,
            font={"size": 11},
            bgcolor="rgba(255,255,255,0.8)",
            borderpad=0,
        )
    across = [layer.x for layer in layers]
    down = [layer.y for layer in layers]
    wide, high = max(across) - min(across) + 3.0, max(down) - min(down) + 2.0
    page.update_layout(
        title=_title(result).replace("\n", "<br>"),
        width=max(600, round(130 * wide)),
        height=max(400, round(34 * high) + 100),
        template="simple_white",
    )
    page.update_xaxes(visible=False, range=[min(across) - 0.8, max(across) + 2.2])
    page.update_yaxes(visible=False, range=[min(down) - 1.0, max(down) + 1.0])
    return page
