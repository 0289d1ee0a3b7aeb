"""Drawing a mapped network: by plotly as pages that open without a network, and as PNG.

Neither plotly nor Matplotlib is imported before it draws.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import InputError
from toolkit.extras import missing
from toolkit.search.network import LayerResult, NetworkResult
from toolkit.study.network_pictures import (
    EnergyGraph,
    Roofline,
    RooflinePoint,
    energy_graph,
    roofline,
    short_energy,
)
from toolkit.yaml_files import write_text_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which all readers can tell apart."""

_MAP = "YlOrRd"
_DPI = 150
_LABELLED = 12
_NEAR = 0.1
_MOST_INCHES = 120
_INTENSITY = "MACs per DRAM word"
_PERFORMANCE = "MACs per cycle"


def write_pictures(folder: str | os.PathLike[str], result: NetworkResult) -> tuple[Path, ...]:
    """Draw ``roofline`` and ``graph``, each as ``.png`` and ``.html``, in a folder.

    Raises
    ------
    MissingPackageError
        If plotly or Matplotlib is not installed.
    InputError
        If a file cannot be written.
    """
    target = Path(folder)
    roofs, graph = roofline(result), energy_graph(result)
    written = []
    for name, figure, page in (
        ("roofline", draw_roofline(roofs), roofline_page(roofs)),
        ("graph", draw_graph(graph), graph_page(graph)),
    ):
        png, html = target / f"{name}.png", target / f"{name}.html"
        try:
            figure.savefig(png)
        except OSError as cause:
            raise InputError(f"cannot be written: {cause.strerror}", source=str(png)) from None
        write_text_atomically(html, page.to_html(include_plotlyjs=True))
        written += [png, html]
    return tuple(written)


def draw_roofline(picture: Roofline) -> Canvas:
    """Draw a roofline with Matplotlib.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    figure = _canvas(9, 6)
    axes: Axes = figure.subplots()
    low, high = picture.span
    xs = _geometric(low, high)
    axes.plot(xs, [picture.roof(x) for x in xs], color="black", linewidth=1.2)
    largest = max((point.latency_cycles for point in picture.points), default=1.0)
    for color, operator, points in _colored(picture):
        axes.scatter(
            [point.intensity for point in points],
            [point.performance for point in points],
            s=[20 + 200 * point.latency_cycles / largest for point in points],
            color=color,
            alpha=0.6,
            linewidths=0,
            label=operator,
        )
    _label(axes, picture)
    axes.set(xscale="log", yscale="log", xlabel=_INTENSITY, ylabel=_PERFORMANCE)
    axes.grid(alpha=0.3, which="both")
    axes.set_title(f"{picture.title}\narea of a point: its cycles")
    if picture.points:
        axes.legend(frameon=False)
    return figure


def _label(axes: Axes, picture: Roofline) -> None:
    """Name the slowest layers, once where several lie at the same place."""
    groups: list[list[RooflinePoint]] = []
    for point in sorted(picture.points, key=lambda point: -point.latency_cycles):
        near = (group for group in groups if _near(group[0], point))
        group = next(near, None)
        if group is None:
            groups.append([point])
        else:
            group.append(point)
    for points in groups[:_LABELLED]:
        more = f" ({len(points)} layers)" if len(points) > 1 else ""
        axes.annotate(
            points[0].layer + more,
            (points[0].intensity, points[0].performance),
            xytext=(0, -9),
            textcoords="offset points",
            fontsize=7,
            rotation=-35,
            rotation_mode="anchor",
            va="top",
        )


def _near(one: RooflinePoint, other: RooflinePoint) -> bool:
    apart = math.log10(one.intensity / other.intensity)
    above = math.log10(one.performance / other.performance)
    return abs(apart) < _NEAR and abs(above) < _NEAR


def roofline_page(picture: Roofline) -> Figure:
    """Draw a roofline with plotly.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    figure = _figure()
    xs = _geometric(*picture.span)
    roof = [picture.roof(x) for x in xs]
    figure.add_scatter(x=xs, y=roof, mode="lines", line={"color": "black"}, name="roof")
    largest = max((point.latency_cycles for point in picture.points), default=1.0)
    for color, operator, points in _colored(picture):
        figure.add_scatter(
            x=[point.intensity for point in points],
            y=[point.performance for point in points],
            mode="markers",
            marker={
                "color": color,
                "opacity": 0.6,
                "size": [6 + 18 * math.sqrt(p.latency_cycles / largest) for p in points],
            },
            name=operator,
            text=[
                f"{p.layer}<br>{p.latency_cycles:,.0f} cycles<br>{short_energy(p.energy_pj)}"
                for p in points
            ],
            hovertemplate="%{text}<br>%{x:.4g} MACs per word<br>%{y:.4g} MACs per cycle",
        )
    figure.update_xaxes(type="log", title=_INTENSITY)
    figure.update_yaxes(type="log", title=_PERFORMANCE)
    figure.update_layout(title=picture.title, template="plotly_white")
    return figure


def draw_graph(picture: EnergyGraph) -> Canvas:
    """Draw a graph of layers with Matplotlib.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable

    right, bottom = picture.extent
    inches = (min(1.45 * right + 2, _MOST_INCHES), min(0.36 * bottom + 1.5, _MOST_INCHES))
    figure = _canvas(*inches)
    axes: Axes = figure.subplots()
    norm, scale = _norm(picture), colormaps[_MAP]
    for before, after in picture.edges:
        _draw_edge(axes, picture, before, after)
    for layer in picture.nodes:
        x, y = picture.places[layer.name]
        share = float(norm(max(layer.energy_pj, norm.vmin or 0)))
        axes.text(
            x,
            y,
            f"{layer.layer.operator[:18]} {short_energy(layer.energy_pj)}",
            ha="center",
            va="center",
            fontsize=6,
            color="white" if share > 0.7 else "black",
            bbox={
                "boxstyle": "round,pad=0.3",
                "facecolor": scale(share),
                "edgecolor": "0.5",
                "linewidth": 0.5,
            },
        )
    left = min((x for x, _ in picture.places.values()), default=0.0)
    axes.set(xlim=(left - 0.7, left + right - 0.3), ylim=(bottom - 0.3, -0.7))
    axes.axis("off")
    axes.set_title(picture.title)
    bar = figure.colorbar(ScalarMappable(norm, scale), ax=axes, fraction=0.03, pad=0.01)
    bar.set_label("energy (pJ)")
    return figure


def _draw_edge(axes: Axes, picture: EnergyGraph, before: str, after: str) -> None:
    way = picture.way(before, after)
    if picture.goes_on(before, after):
        # Only hinted at: it runs from the end of one column to the start of the next.
        style: dict[str, Any] = {"color": "0.7", "linestyle": ":"}
    else:
        style = {"color": "0.35", "linestyle": "-"}
    for start, end in zip(way, way[1:-1], strict=False):
        axes.plot(*zip(start, end, strict=True), linewidth=0.7, zorder=0, **style)
    arrow = {"arrowstyle": "->", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 7, **style}
    axes.annotate("", xy=way[-1], xytext=way[-2], arrowprops=arrow, zorder=0)


def graph_page(picture: EnergyGraph) -> Figure:
    """Draw a graph of layers with plotly.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    figure = _figure()
    xs: list[float | None] = []
    ys: list[float | None] = []
    for before, after in picture.edges:
        way = picture.way(before, after)
        xs += [*(x for x, _ in way), None]
        ys += [*(y for _, y in way), None]
    grey = {"color": "#aaaaaa", "width": 1}
    figure.add_scatter(x=xs, y=ys, mode="lines", line=grey, hoverinfo="skip", showlegend=False)
    logs = [math.log10(max(layer.energy_pj, 1.0)) for layer in picture.nodes]
    ticks = list(range(math.floor(min(logs, default=0)), math.ceil(max(logs, default=1)) + 1))
    figure.add_scatter(
        x=[picture.places[layer.name][0] for layer in picture.nodes],
        y=[picture.places[layer.name][1] for layer in picture.nodes],
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
                "ticktext": [short_energy(10.0**tick) for tick in ticks],
            },
        },
        text=[layer.layer.operator for layer in picture.nodes],
        textposition="middle right",
        textfont={"size": 9},
        customdata=[_hover(layer) for layer in picture.nodes],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )
    right, bottom = picture.extent
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, autorange="reversed")
    figure.update_layout(
        title=picture.title,
        template="plotly_white",
        height=max(500, int(30 * bottom) + 120),
        width=max(800, int(170 * right) + 200),
    )
    return figure


def _hover(layer: LayerResult) -> str:
    lines = [
        f"{layer.name} ({layer.layer.operator})",
        layer.lowering,
        short_energy(layer.energy_pj),
        f"{layer.latency_cycles:,.0f} cycles",
        f"{layer.dram_words:,} DRAM words",
    ]
    return "<br>".join(lines)


def _norm(picture: EnergyGraph) -> Any:
    from matplotlib.colors import LogNorm

    energies = [layer.energy_pj for layer in picture.nodes if layer.energy_pj > 0]
    low, high = min(energies, default=1.0), max(energies, default=10.0)
    return LogNorm(low, high if high > low else 10 * low)


def _geometric(low: float, high: float, count: int = 200) -> list[float]:
    return [low * (high / low) ** (i / (count - 1)) for i in range(count)]


def _colored(picture: Roofline) -> list[tuple[str, str, list[RooflinePoint]]]:
    """A color, the operator and its points."""
    groups = picture.by_operator().items()
    return [(_COLORS[i % len(_COLORS)], name, points) for i, (name, points) in enumerate(groups)]


def _canvas(width: float, height: float) -> Canvas:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Canvas
    except ImportError:
        raise missing("a picture", "Matplotlib", "study") from None
    figure = Canvas(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _figure() -> Figure:
    try:
        from plotly.graph_objects import Figure
    except ImportError:
        raise missing("a picture", "plotly", "study") from None
    return Figure()
