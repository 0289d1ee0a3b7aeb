"""The roofline of a mapped network: a record first, drawn by Matplotlib and by plotly.

Every memory has a roof: what its ports let the array do at so many MACs per word of it. A layer
is a point for the outermost memories, and one for every memory on chip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.arch.levels import Fanout, Memory
from toolkit.display import short_energy
from toolkit.model.vector_unit import UNIT
from toolkit.search.network import LayerCost, LayerResult, NetworkResult
from toolkit.study.pictures.canvas import canvas, page
from toolkit.study.pictures.look import (
    LARGE,
    MEDIUM,
    NARROW,
    SMALL,
    TINY,
    color,
    drawn,
    heading_lines,
    style,
)
from toolkit.study.pictures.roofline_names import SLANT, Plot, names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

_INTENSITY = "MACs, or operations of the vector unit, per word of a memory"
_PERFORMANCE = "MACs or operations per cycle"
_OFF_CHIP = "DRAM"


@dataclass(frozen=True)
class RooflinePoint:
    """A layer and what it moves through one memory.

    Parameters
    ----------
    layer, operator : str
        Its name, as in tables, and what it is.
    memory : str
        The `Roof` that it lies under.
    vector : bool
        Whether it runs on the vector unit, so that operations count instead of MACs.
    intensity, performance : float
        MACs per word of the memory, and per cycle.
    latency_cycles, energy_pj : float
        Of the layer.
    """

    layer: str
    operator: str
    memory: str
    vector: bool
    intensity: float
    performance: float
    latency_cycles: float
    energy_pj: float

    @property
    def label(self) -> str:
        """The operator, and where it runs if that is said."""
        return f"{self.operator}, {UNIT}" if self.vector else self.operator


@dataclass(frozen=True)
class Roof:
    """Words per cycle that all instances of a memory read and write together."""

    memory: str
    bandwidth: float

    @property
    def label(self) -> str:
        """The memory and its bandwidth."""
        digits = ",.0f" if self.bandwidth >= 1000 else ".4g"
        return f"{self.memory}, {self.bandwidth:{digits}} words per cycle"


@dataclass(frozen=True)
class Roofline:
    """What layers reach of what the array and the memories allow.

    Parameters
    ----------
    title : str
        Network and architecture.
    peak : float
        MACs per cycle of the whole array.
    lanes : float
        Operations per cycle of the vector unit.
    roofs : tuple of Roof
        The outermost memories together, called DRAM, and then every memory on chip of limited
        bandwidth.
    points : tuple of RooflinePoint
        Layers with MACs or operations that move words.
    """

    title: str
    peak: float
    lanes: float
    roofs: tuple[Roof, ...]
    points: tuple[RooflinePoint, ...]

    @property
    def bandwidth(self) -> float:
        """Words per cycle of the outermost memories."""
        return self.roofs[0].bandwidth

    @property
    def layers(self) -> tuple[RooflinePoint, ...]:
        """The points of the outermost memories: one per layer."""
        return tuple(point for point in self.points if point.memory == self.roofs[0].memory)

    @property
    def on_chip(self) -> tuple[RooflinePoint, ...]:
        """All other points."""
        return tuple(point for point in self.points if point.memory != self.roofs[0].memory)

    def roof(self, intensity: float, memory: str | None = None) -> float:
        """Most MACs per cycle at so many per word of a memory, the outermost one by default."""
        roof = next((r for r in self.roofs if r.memory == memory), self.roofs[0])
        return min(self.peak, intensity * roof.bandwidth)

    @property
    def span(self) -> tuple[float, float]:
        """Smallest and largest intensity to show: points, and the corner of the outermost roof."""
        every = [self.peak / self.bandwidth, *(point.intensity for point in self.points)]
        return min(every) / 3, max(every) * 3

    @property
    def height(self) -> tuple[float, float]:
        """Least and most MACs per cycle to show."""
        return min((p.performance for p in self.points), default=self.peak) / 4, 2 * self.peak

    def by_operator(self) -> dict[str, list[RooflinePoint]]:
        """The points of the outermost memories by operator, those of the array first."""
        groups: dict[str, list[RooflinePoint]] = {}
        for point in sorted(self.layers, key=lambda point: point.vector):
            groups.setdefault(point.label, []).append(point)
        return groups


def roofline(result: NetworkResult) -> Roofline:
    """Work out the roofline of a mapped network."""
    outermost = _outermost(result)
    on_chip = _bandwidths(result, without=outermost)
    total = sum(_bandwidths(result).get(name, 0.0) for name in outermost)
    name = outermost[0] if len(outermost) == 1 else _OFF_CHIP
    roofs = (Roof(name, total), *(Roof(*entry) for entry in on_chip.items()))
    points = [point for layer in result.layers for point in _points(layer, name, on_chip)]
    return Roofline(
        title(result),
        result.peak_macs_per_cycle,
        float(result.vector_unit.lanes),
        roofs,
        tuple(points),
    )


def title(result: NetworkResult) -> str:
    """Name a network and what it runs on, with what that costs."""
    name = result.graph.graph.get("name") or "network"
    energy, cycles = short_energy(result.energy_pj, 3), f"{result.latency_cycles:,.0f} cycles"
    return f"{name} on {result.arch.name}: {energy}, {cycles}"


def _outermost(result: NetworkResult) -> list[str]:
    """Memories that some tensor comes from."""
    names = {t.memory for layer in result.layers if layer.cost for t in layer.cost.dram}
    used = [memory.name for memory in result.arch.memories if memory.name in names]
    return used or [result.arch.memories[0].name]


def _bandwidths(result: NetworkResult, without: Sequence[str] = ()) -> dict[str, float]:
    """Words per cycle of all instances of each memory, where that is limited."""
    found, instances = {}, 1
    for level in result.arch.levels:
        if isinstance(level, Fanout):
            instances *= level.mesh
        elif isinstance(level, Memory) and level.name not in without:
            found[level.name] = instances * level.bandwidth
    return {name: words for name, words in found.items() if math.isfinite(words)}


def _points(layer: LayerResult, outermost: str, on_chip: dict[str, float]) -> list[RooflinePoint]:
    vector = layer.cost is None
    work = layer.layer.operations if vector else layer.layer.macs
    if not work or not layer.latency_cycles:
        return []
    words = {outermost: float(layer.dram_words)}
    if layer.cost is not None:
        inside = _moved(layer.cost)
        words |= {m: layer.repetitions * inside[m] for m in on_chip if inside.get(m)}
    return [
        RooflinePoint(
            layer.name,
            layer.layer.operator,
            memory,
            vector,
            work / count,
            work / layer.latency_cycles,
            layer.latency_cycles,
            layer.energy_pj,
        )
        for memory, count in words.items()
        if count
    ]


def _moved(cost: LayerCost) -> dict[str, float]:
    """Words that each memory moves in one repetition, all tensors and instances together."""
    moved: dict[str, float] = {}
    for entry in cost.accesses:
        values = entry.reads + entry.updates + entry.fills + entry.drains
        words = values if entry.words is None else entry.words
        moved[entry.level] = moved.get(entry.level, 0.0) + words
    return moved


@drawn
def draw_roofline(picture: Roofline, *, narrow: bool = False) -> Canvas:
    """Draw a roofline with Matplotlib, its legend to the right, or below where that is narrow.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    listed = 1 + len(picture.roofs) + len(picture.by_operator())
    inches = (NARROW - 0.8, 3.4) if narrow else (8.6, 6.0)
    figure = canvas(NARROW, inches[1] + 1.1 + 0.16 * listed) if narrow else canvas(12, 7)
    axes: Axes = figure.subplots()
    _draw_roofs(axes, picture)
    largest = max((point.latency_cycles for point in picture.layers), default=1.0)
    area = 90 if narrow else 200
    for shade, operator, points in _colored(picture):
        axes.scatter(
            [point.intensity for point in points],
            [point.performance for point in points],
            s=[20 + area * point.latency_cycles / largest for point in points],
            color=shade,
            marker="^" if points[0].vector else "o",
            alpha=0.6,
            linewidths=0,
            label=operator,
            zorder=3,
        )
    _label(axes, picture, Plot(picture.span, picture.height, inches))
    axes.set(xscale="log", yscale="log", ylabel=_PERFORMANCE)
    axes.set_xlabel(_INTENSITY.replace(", per", ",\nper") if narrow else _INTENSITY)
    axes.set(xlim=picture.span, ylim=picture.height)
    axes.grid(alpha=0.3, which="both")
    if narrow:
        heading = "\n".join(heading_lines(picture.title, NARROW))
        figure.suptitle(heading, fontsize=MEDIUM, weight="bold", x=0.02, ha="left")
        figure.legend(loc="outside lower left", fontsize=SMALL)
    else:
        axes.set_title(
            f"{picture.title}\nfilled: per word of {picture.roofs[0].memory}, area by cycles "
            "(triangles: on the vector unit); crosses: per word of a memory on chip",
            fontsize=LARGE,
        )
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=SMALL)
    return figure


def _draw_roofs(axes: Axes, picture: Roofline) -> None:
    """A line for every memory, and small crosses for what layers move through those on chip."""
    xs = _geometric(*picture.span)
    for place, roof in enumerate(picture.roofs):
        shade = _roof_color(place)
        ys = [picture.roof(x, roof.memory) for x in xs]
        line = "-" if place == 0 else "--"
        axes.plot(xs, ys, color=shade, linewidth=1.2, linestyle=line, label=roof.label, zorder=1)
        if place:
            points = [point for point in picture.on_chip if point.memory == roof.memory]
            axes.scatter(
                [point.intensity for point in points],
                [point.performance for point in points],
                s=14,
                color=shade,
                marker="x",
                linewidths=0.7,
                alpha=0.7,
                zorder=2,
            )
    axes.axhline(
        picture.lanes,
        color="0.5",
        linewidth=1,
        linestyle=":",
        label=f"{UNIT}, {picture.lanes:,.0f} operations per cycle",
        zorder=1,
    )


def _roof_color(place: int) -> str:
    return "#000000" if place == 0 else style(place - 1).color


def _label(axes: Axes, picture: Roofline, plot: Plot) -> None:
    for name in names(picture.layers, plot):
        axes.annotate(
            name.text,
            (name.point.intensity, name.point.performance),
            xytext=(0, -9),
            textcoords="offset points",
            fontsize=TINY,
            rotation=SLANT if name.leftwards else -SLANT,
            rotation_mode="anchor",
            ha="right" if name.leftwards else "left",
            va="top",
            zorder=4,
        )


def roofline_page(picture: Roofline) -> Figure:
    """Draw a roofline with plotly; what is clicked in the legend disappears.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    figure = page()
    xs = _geometric(*picture.span)
    for place, roof in enumerate(picture.roofs):
        shade = _roof_color(place)
        figure.add_scatter(
            x=xs,
            y=[picture.roof(x, roof.memory) for x in xs],
            mode="lines",
            line={"color": shade, "dash": "dash" if place else "solid"},
            name=roof.label,
            legendgroup=roof.memory,
        )
        points = [point for point in picture.on_chip if point.memory == roof.memory]
        if points:
            marker = {"color": shade, "symbol": "x-thin-open", "size": 5}
            _add_points(figure, points, roof.memory, marker, legendgroup=roof.memory)
    lanes = [picture.lanes, picture.lanes]
    dots = {"color": "#888888", "dash": "dot"}
    figure.add_scatter(x=[xs[0], xs[-1]], y=lanes, mode="lines", line=dots, name=UNIT)
    largest = max((point.latency_cycles for point in picture.layers), default=1.0)
    for shade, operator, points in _colored(picture):
        marker = {
            "color": shade,
            "opacity": 0.6,
            "symbol": "triangle-up" if points[0].vector else "circle",
            "size": [6 + 18 * math.sqrt(p.latency_cycles / largest) for p in points],
        }
        _add_points(figure, points, operator, marker)
    figure.update_xaxes(type="log", title=_INTENSITY)
    figure.update_yaxes(type="log", title=_PERFORMANCE)
    figure.update_layout(title=picture.title, height=700)
    return figure


def _add_points(
    figure: Figure,
    points: Sequence[RooflinePoint],
    name: str,
    marker: dict[str, object],
    legendgroup: str | None = None,
) -> None:
    figure.add_scatter(
        x=[point.intensity for point in points],
        y=[point.performance for point in points],
        mode="markers",
        marker=marker,
        name=name,
        legendgroup=legendgroup,
        showlegend=legendgroup is None,
        text=[
            f"{p.layer}<br>{p.memory}<br>{p.latency_cycles:,.0f} cycles"
            f"<br>{short_energy(p.energy_pj, 3)}"
            for p in points
        ],
        hovertemplate="%{text}<br>%{x:.4g} per word<br>%{y:.4g} per cycle<extra></extra>",
    )


def _geometric(low: float, high: float, count: int = 200) -> list[float]:
    return [low * (high / low) ** (i / (count - 1)) for i in range(count)]


def _colored(picture: Roofline) -> list[tuple[str, str, list[RooflinePoint]]]:
    """A color, the operator and its points."""
    groups = picture.by_operator().items()
    return [(color(i), name, points) for i, (name, points) in enumerate(groups)]
