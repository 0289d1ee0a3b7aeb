"""Fusion groups: which sets and partitions of layers are legal, and who reads what in one.

A group is convex, and connected by tensors: one of its layers makes what another reads, or both
read the same, wherever that comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import networkx as nx

from toolkit.errors import InputError
from toolkit.fusion.folded import FoldedGraph, FoldedLayer
from toolkit.messages import suggest
from toolkit.workload.network.layer import TensorInfo

Group = frozenset[str]
"""Names of the folded layers that are fused."""


def check_group(graph: FoldedGraph, names: Iterable[str]) -> Group:
    """Return a group, in names of folded layers.

    Parameters
    ----------
    names : iterable of str
        Names of layers; those of operators that were folded away stand for where they went.

    Raises
    ------
    InputError
        If a layer is unknown, or the group is empty, not connected or not convex; the message
        names the layers in the way.
    """
    known = owners(graph)
    group = set()
    for name in names:
        if name not in known:
            raise InputError(f"no layer {name!r}{suggest(name, known)}", key="group")
        group.add(known[name])
    if not group:
        raise InputError("a group needs at least one layer", key="group")
    place = graph.positions.__getitem__
    parts = sorted(
        (sorted(part, key=place) for part in _parts(graph, group)), key=lambda part: place(part[0])
    )
    if len(parts) > 1:
        raise InputError(
            f"is not connected: no tensor leads from {_listed(parts[0])} to {_listed(parts[1])}, "
            "and none is read by both",
            key=f"group {_listed(sorted(group, key=place))}",
        )
    between = _between(graph, group)
    if between:
        raise InputError(
            f"is not convex: {_listed(between)} must run between its layers; add "
            f"{'it' if len(between) == 1 else 'them'} or split the group",
            key=f"group {_listed(sorted(group, key=place))}",
        )
    return frozenset(group)


def owners(graph: FoldedGraph) -> dict[str, str]:
    """The folded layer that each layer of the network went into."""
    return {part.name: layer.name for layer in graph.layers for part in layer.layers}


def is_connected(graph: FoldedGraph, group: Iterable[str]) -> bool:
    """Whether tensors connect all layers of a group: made by one for another, or read by both."""
    return len(_parts(graph, set(group))) == 1


def is_convex(graph: FoldedGraph, group: Iterable[str]) -> bool:
    """Whether no path leaves a group and returns to it."""
    return not _between(graph, set(group))


def check_partition(graph: FoldedGraph, groups: Iterable[Iterable[str]]) -> tuple[Group, ...]:
    """Complete groups to a partition, in an order in which they can run.

    Layers that no group names are groups of their own.

    Raises
    ------
    InputError
        If a group is not legal, two groups share a layer, or groups wait for each other.
    """
    chosen = [check_group(graph, names) for names in groups]
    seen: dict[str, Group] = {}
    for group in chosen:
        for name in group:
            if name in seen:
                raise InputError(f"layer {name!r} is in two groups", key="groups")
            seen[name] = group
    chosen += [frozenset((name,)) for name in graph.names if name not in seen]
    order = quotient(graph, chosen)
    try:
        position = {name: i for i, name in enumerate(graph.names)}
        ready = nx.lexicographical_topological_sort(
            order, key=lambda g: min(position[name] for name in chosen[g])
        )
        return tuple(chosen[g] for g in ready)
    except nx.NetworkXUnfeasible:
        cycle = [g for g, _ in nx.find_cycle(order)]
        shown = " and ".join(
            _listed(sorted(chosen[g], key=graph.positions.__getitem__)) for g in cycle
        )
        raise InputError(f"groups wait for each other: {shown}", key="groups") from None


def quotient(graph: FoldedGraph, groups: Sequence[Iterable[str]]) -> nx.DiGraph:
    """The graph of groups, by number: an edge where a tensor leads from one to another."""
    home = {name: i for i, group in enumerate(groups) for name in group}
    result = nx.DiGraph()
    result.add_nodes_from(range(len(groups)))
    result.add_edges_from((home[a], home[b]) for a, b in graph.edges if home[a] != home[b])
    return result


def is_partition(graph: FoldedGraph, groups: Sequence[Iterable[str]]) -> bool:
    """Whether groups cover all layers once, are connected, and do not wait for each other."""
    names = [name for group in groups for name in group]
    return (
        sorted(names) == sorted(graph.names)
        and all(is_connected(graph, group) for group in groups)
        and nx.is_directed_acyclic_graph(quotient(graph, groups))
    )


def candidates(graph: FoldedGraph, max_layers: int) -> Iterator[Group]:
    """All legal groups of two layers or more, up to a length, each once.

    Every group is grown from its first layer in the graph's order through neighbours that come
    later, so that none is met twice.
    """
    position = {name: i for i, name in enumerate(graph.names)}
    around = {name: sorted(neighbours(graph, name), key=position.__getitem__) for name in graph}
    for start in graph.names:
        yield from _grown(graph, position, around, {start}, set(), max_layers)


def _grown(
    graph: FoldedGraph,
    position: dict[str, int],
    around: dict[str, list[str]],
    group: set[str],
    refused: set[str],
    max_layers: int,
) -> Iterator[Group]:
    if len(group) > 1 and not _between(graph, group):
        yield frozenset(group)
    if len(group) == max_layers:
        return
    first = min(position[name] for name in group)
    refused = set(refused)
    for name in sorted({n for m in group for n in around[m]}, key=position.__getitem__):
        if name in group or name in refused or position[name] < first:
            continue
        yield from _grown(graph, position, around, group | {name}, refused, max_layers)
        refused.add(name)


def neighbours(graph: FoldedGraph, name: str) -> set[str]:
    """Layers that a tensor leads to or comes from, and those that read the same one."""
    return set(graph.neighbourhood[name])


def shared_words(graph: FoldedGraph, one: str, other: str) -> int:
    """Words of the tensors that one layer makes for another, or that both read."""
    known = [
        {tensor.name: tensor.elements for tensor in (*layer.inputs, layer.output)}
        for layer in (graph.layer_of(one), graph.layer_of(other))
    ]
    return sum(words for tensor, words in known[0].items() if tensor in known[1])


def siblings(
    graph: FoldedGraph, home: Mapping[str, int] | None = None
) -> list[tuple[str, str, str]]:
    """Readers of one tensor that are in different groups, and load it each on their own.

    Readers beside the layer that makes it are left out: its edges to the others say as much.

    Parameters
    ----------
    home : mapping of str to int, optional
        The number of the group that each layer is in; by default all are on their own.

    Returns
    -------
    list of (str, str, str)
        Two layers, the first readers of two groups that follow each other in the graph's order,
        and the tensor.
    """
    home = graph.positions if home is None else home
    found = []
    for tensor, names in graph.readers.items():
        maker = graph.makers.get(tensor)
        first: dict[int, str] = {}
        for name in names:
            if maker is None or home[name] != home[maker]:
                first.setdefault(home[name], name)
        found += [(a, b, tensor) for a, b in pairwise(first.values())]
    return found


def _parts(graph: FoldedGraph, group: set[str]) -> list[set[str]]:
    near = graph.neighbourhood.subgraph(group)
    return [set(part) for part in nx.connected_components(near)]


def _between(graph: FoldedGraph, group: set[str]) -> list[str]:
    """Layers outside of a group that lie on a path between two of its layers."""
    after = {n for name in group for n in nx.descendants(graph, name)}
    before = {n for name in group for n in nx.ancestors(graph, name)}
    return sorted((after & before) - group, key=graph.positions.__getitem__)


def _listed(names: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


@dataclass(frozen=True)
class GroupView:
    """A group in its graph: who makes and reads what.

    Parameters
    ----------
    graph : FoldedGraph
        The network.
    group : frozenset of str
        Names of its layers.
    """

    graph: FoldedGraph
    group: Group

    @cached_property
    def layers(self) -> tuple[FoldedLayer, ...]:
        """Layers in an order in which they can run."""
        if len(self.group) * 8 < len(self.graph):
            order = sorted(self.group, key=self.graph.positions.__getitem__)
            return tuple(self.graph.layer_of(name) for name in order)
        return tuple(layer for layer in self.graph.layers if layer.name in self.group)

    @cached_property
    def before(self) -> dict[str, frozenset[str]]:
        """For each layer, those of the group that must be done before it."""
        found: dict[str, frozenset[str]] = {}
        for layer in self.layers:
            makers = [self.makers[t.name] for t in layer.inputs if t.name in self.makers]
            found[layer.name] = frozenset().union(*({m.name} | found[m.name] for m in makers))
        return found

    @cached_property
    def makers(self) -> dict[str, FoldedLayer]:
        """The layer of the group that makes each tensor."""
        return {layer.output.name: layer for layer in self.layers}

    @cached_property
    def readers(self) -> dict[str, list[FoldedLayer]]:
        """Layers of the group that read each tensor."""
        found: dict[str, list[FoldedLayer]] = {}
        for layer in self.layers:
            for tensor in layer.inputs:
                found.setdefault(tensor.name, []).append(layer)
        return found

    @cached_property
    def readings(self) -> dict[str, list[tuple[FoldedLayer, int]]]:
        """Layers of the group that read each tensor, and which of their inputs it is."""
        found: dict[str, list[tuple[FoldedLayer, int]]] = {}
        for layer in self.layers:
            for number, tensor in enumerate(layer.inputs):
                found.setdefault(tensor.name, []).append((layer, number))
        return found

    @cached_property
    def external(self) -> tuple[TensorInfo, ...]:
        """Activations that come from outside, each once."""
        found = {t.name: t for layer in self.layers for t in layer.inputs}
        return tuple(t for name, t in found.items() if name not in self.makers)

    @cached_property
    def side_by_side(self) -> tuple[Group, ...]:
        """Layers that tensors made in the group connect; several if inputs connect the rest."""
        inside = self.graph.subgraph(self.group)
        parts = [frozenset(part) for part in nx.weakly_connected_components(inside)]
        place = self.graph.positions.__getitem__
        return tuple(sorted(parts, key=lambda part: min(map(place, part))))

    @cached_property
    def leaving(self) -> tuple[TensorInfo, ...]:
        """Tensors that somebody outside needs."""
        return tuple(
            layer.output
            for layer in self.layers
            if self.graph.leaves(layer)
            or not self.group.issuperset(self.graph.successors(layer.name))
        )

    @cached_property
    def internal(self) -> tuple[TensorInfo, ...]:
        """Tensors that only layers of the group see."""
        gone = {tensor.name for tensor in self.leaving}
        return tuple(layer.output for layer in self.layers if layer.output.name not in gone)

    @cached_property
    def sinks(self) -> tuple[FoldedLayer, ...]:
        """Layers whose output nobody in the group reads."""
        return tuple(layer for layer in self.layers if layer.output.name not in self.readers)

    @cached_property
    def tensors(self) -> dict[str, TensorInfo]:
        """All activations of the group by name: external ones, then by maker."""
        found = {tensor.name: tensor for tensor in self.external}
        return found | {layer.output.name: layer.output for layer in self.layers}
