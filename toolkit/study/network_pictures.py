"""Pictures of a mapped network: a roofline, and the graph of layers coloured by energy.

These are the records that pictures are drawn from; `toolkit.study.network_drawing` draws them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import networkx as nx

from toolkit.arch.levels import Memory
from toolkit.search.network import LayerResult, NetworkResult

_ROWS = 24
_UNITS = (("J", 1e12), ("mJ", 1e9), ("µJ", 1e6), ("nJ", 1e3), ("pJ", 1.0))


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


@dataclass(frozen=True)
class EnergyGraph:
    """The graph of layers, laid out.

    Parameters
    ----------
    title : str
        Network and architecture.
    nodes : tuple of LayerResult
        Layers that cost something and depend on the network's inputs.
    places : dict of str to (float, float)
        Column and row of each, the first row on top.
    edges : tuple of (str, str)
        Which layer reads from which, views between them left out.
    """

    title: str
    nodes: tuple[LayerResult, ...]
    places: dict[str, tuple[float, float]]
    edges: tuple[tuple[str, str], ...]

    @property
    def extent(self) -> tuple[float, float]:
        """Columns and rows."""
        xs = [x for x, _ in self.places.values()] or [0.0]
        ys = [y for _, y in self.places.values()] or [0.0]
        return max(xs) - min(xs) + 1, max(ys) + 1

    def way(self, before: str, after: str) -> list[tuple[float, float]]:
        """Places that an edge passes: beside all rows that it leaves out."""
        start, end = self.places[before], self.places[after]
        if end[1] - start[1] <= 1 or abs(start[0] - end[0]) > 0.25:
            return [start, end]
        side = max(start[0], end[0]) + 0.55
        return [start, (side, start[1] + 0.6), (side, end[1] - 0.6), end]

    def goes_on(self, before: str, after: str) -> bool:
        """Whether an edge goes on in a further column."""
        return self.places[after][1] <= self.places[before][1]


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
    return Roofline(_title(result), result.peak_macs_per_cycle, _bandwidth(result), points)


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
    return EnergyGraph(_title(result), nodes, _layout(graph), tuple(graph.edges))


def _layout(graph: nx.DiGraph) -> dict[str, tuple[float, float]]:
    """Rows by the longest way to the end, ordered by where the layers before them stand."""
    rows: dict[str, int] = {}
    for name in reversed(list(nx.topological_sort(graph))):
        rows[name] = max((rows[after] + 1 for after in graph.successors(name)), default=0)
    depth = max(rows.values(), default=0)
    layers: dict[int, list[str]] = {}
    places: dict[str, tuple[float, float]] = {}
    for name in nx.topological_sort(graph):
        layers.setdefault(depth - rows[name], []).append(name)
    for row in sorted(layers):
        above = {
            name: [places[before][0] for before in graph.predecessors(name)]
            for name in layers[row]
        }
        layers[row].sort(key=lambda n: sum(above[n]) / len(above[n]) if above[n] else 0.0)
        spread = nx.multipartite_layout(
            graph.subgraph(layers[row]), subset_key={row: layers[row]}, align="horizontal"
        )
        step = len(layers[row]) - 1
        reach = max((abs(float(x)) for x, _ in spread.values()), default=0.0) or 1.0
        for name, (x, _) in spread.items():
            places[name] = (float(x) / reach * step / 2, float(row))
    return _in_columns(places)


def _in_columns(places: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Cut a long layout into columns side by side."""
    if not places:
        return {}
    depth = int(max(y for _, y in places.values())) + 1
    width = max(x for x, _ in places.values()) - min(x for x, _ in places.values()) + 1.4
    count = max(1, round(depth / max(_ROWS, math.sqrt(2 * depth * width))))
    rows = -(-depth // count)
    return {
        n: (x + width * (int(y) // rows), float(int(y) % rows)) for n, (x, y) in places.items()
    }


def _title(result: NetworkResult) -> str:
    name = result.graph.graph.get("name") or "network"
    energy, cycles = short_energy(result.energy_pj), f"{result.latency_cycles:,.0f} cycles"
    return f"{name} on {result.arch.name}: {energy}, {cycles}"


def short_energy(energy_pj: float) -> str:
    """Write an energy in the unit that suits it, to three digits."""
    unit, scale = next((u for u in _UNITS if energy_pj >= u[1]), _UNITS[-1])
    return f"{energy_pj / scale:.3g} {unit}"


def _bandwidth(result: NetworkResult) -> float:
    """Words per cycle of the memories that some tensor comes from, reads and writes together."""
    names = {t.memory for layer in result.layers if layer.cost for t in layer.cost.dram}
    used = [m for m in result.arch.levels if isinstance(m, Memory) and m.name in names]
    return sum(m.read_bandwidth + m.write_bandwidth for m in used or result.arch.memories[:1])
