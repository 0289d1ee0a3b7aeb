"""The roofline of a mapped network: a record first, drawn by Matplotlib and by plotly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.arch.levels import Memory
from toolkit.search.network import NetworkResult
from toolkit.study.pictures.canvas import canvas, color, page
from toolkit.study.units import short_energy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

_INTENSITY = "MACs per DRAM word"
_PERFORMANCE = "MACs per cycle"

# More names than this hide the points, and each other.
_LABELLED = 12
# Decades below which two points are one to the eye, and share their name.
_NEAR = 0.1


@dataclass(frozen=True)
class RooflinePoint:
    """A layer with a workload: MACs per DRAM word, MACs per cycle, and its cycles."""

    layer: str
    operator: str
    intensity: float
    performance: float
    latency_cycles: float
    energy_pj: float


@dataclass(frozen=True)
class Roofline:
    """What layers reach of what the array and the outermost memories allow.

    Parameters
    ----------
    title : str
        Network and architecture.
    peak : float
        MACs per cycle of the whole array.
    bandwidth : float
        Words per cycle that all outermost memories read and write together.
    points : tuple of RooflinePoint
        Layers with a workload.
    """

    title: str
    peak: float
    bandwidth: float
    points: tuple[RooflinePoint, ...]

    def roof(self, intensity: float) -> float:
        """Most MACs per cycle at so many MACs per DRAM word."""
        return min(self.peak, intensity * self.bandwidth)

    @property
    def span(self) -> tuple[float, float]:
        """Smallest and largest MACs per DRAM word to show, with some room."""
        every = [self.peak / self.bandwidth, *(point.intensity for point in self.points)]
        return min(every) / 3, max(every) * 3

    def by_operator(self) -> dict[str, list[RooflinePoint]]:
        """The points of each operator."""
        groups: dict[str, list[RooflinePoint]] = {}
        for point in self.points:
            groups.setdefault(point.operator, []).append(point)
        return groups


def roofline(result: NetworkResult) -> Roofline:
    """Work out the roofline of a mapped network."""
    points = tuple(
        RooflinePoint(
            layer.name,
            layer.layer.operator,
            layer.layer.macs / layer.dram_words,
            layer.layer.macs / layer.latency_cycles,
            layer.latency_cycles,
            layer.energy_pj,
        )
        for layer in result.layers
        if layer.cost is not None and layer.dram_words and layer.latency_cycles
    )
    return Roofline(title(result), result.peak_macs_per_cycle, _bandwidth(result), points)


def title(result: NetworkResult) -> str:
    """Name a network and what it runs on, with what that costs."""
    name = result.graph.graph.get("name") or "network"
    energy, cycles = short_energy(result.energy_pj, 3), f"{result.latency_cycles:,.0f} cycles"
    return f"{name} on {result.arch.name}: {energy}, {cycles}"


def _bandwidth(result: NetworkResult) -> float:
    """Words per cycle of the memories that some tensor comes from, reads and writes together."""
    names = {t.memory for layer in result.layers if layer.cost for t in layer.cost.dram}
    used = [m for m in result.arch.levels if isinstance(m, Memory) and m.name in names]
    return sum(m.bandwidth for m in used or result.arch.memories[:1])


def draw_roofline(picture: Roofline) -> Canvas:
    """Draw a roofline with Matplotlib.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    figure = canvas(9, 6)
    axes: Axes = figure.subplots()
    low, high = picture.span
    xs = _geometric(low, high)
    axes.plot(xs, [picture.roof(x) for x in xs], color="black", linewidth=1.2)
    largest = max((point.latency_cycles for point in picture.points), default=1.0)
    for shade, operator, points in _colored(picture):
        axes.scatter(
            [point.intensity for point in points],
            [point.performance for point in points],
            s=[20 + 200 * point.latency_cycles / largest for point in points],
            color=shade,
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
    figure = page()
    xs = _geometric(*picture.span)
    roof = [picture.roof(x) for x in xs]
    figure.add_scatter(x=xs, y=roof, mode="lines", line={"color": "black"}, name="roof")
    largest = max((point.latency_cycles for point in picture.points), default=1.0)
    for shade, operator, points in _colored(picture):
        figure.add_scatter(
            x=[point.intensity for point in points],
            y=[point.performance for point in points],
            mode="markers",
            marker={
                "color": shade,
                "opacity": 0.6,
                "size": [6 + 18 * math.sqrt(p.latency_cycles / largest) for p in points],
            },
            name=operator,
            text=[
                f"{p.layer}<br>{p.latency_cycles:,.0f} cycles<br>{short_energy(p.energy_pj, 3)}"
                for p in points
            ],
            hovertemplate="%{text}<br>%{x:.4g} MACs per word<br>%{y:.4g} MACs per cycle",
        )
    figure.update_xaxes(type="log", title=_INTENSITY)
    figure.update_yaxes(type="log", title=_PERFORMANCE)
    figure.update_layout(title=picture.title, template="plotly_white")
    return figure


def _geometric(low: float, high: float, count: int = 200) -> list[float]:
    return [low * (high / low) ** (i / (count - 1)) for i in range(count)]


def _colored(picture: Roofline) -> list[tuple[str, str, list[RooflinePoint]]]:
    """A color, the operator and its points."""
    groups = picture.by_operator().items()
    return [(color(i), name, points) for i, (name, points) in enumerate(groups)]
