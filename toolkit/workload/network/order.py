"""Which nodes of a graph are needed, and in which order they can run."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx
import onnx

from toolkit.errors import WorkloadError


def needed_nodes(graph: onnx.GraphProto, source: str) -> list[onnx.NodeProto]:
    """Nodes that some output of the graph depends on, each after those that it depends on.

    Raises
    ------
    WorkloadError
        If nodes depend on each other in a circle, or two nodes make the same tensor.
    """
    maker: dict[str, int] = {}
    for i, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if name in maker:
                raise WorkloadError(
                    f"tensor {name!r} is made by two nodes, this one and "
                    f"{describe_node(graph.node[maker[name]])}",
                    source=source,
                    key=describe_node(node),
                )
            maker[name] = i
    uses = [[maker[name] for name in used_names(node) if name in maker] for node in graph.node]
    needed = _reachable((maker[o.name] for o in graph.output if o.name in maker), uses)
    if all(use < i for i in needed for use in uses[i]):
        return [graph.node[i] for i in sorted(needed)]
    dependencies = nx.DiGraph((use, i) for i in needed for use in uses[i])
    dependencies.add_nodes_from(needed)
    try:
        return [graph.node[i] for i in nx.lexicographical_topological_sort(dependencies)]
    except nx.NetworkXUnfeasible:
        cycle = [describe_node(graph.node[i]) for i, _ in nx.find_cycle(dependencies)]
        message = f"its nodes form a cycle: {' -> '.join([*cycle[:8], cycle[0]])}"
        raise WorkloadError(message, source=source, key="graph") from None


def _reachable(start: Iterable[int], uses: list[list[int]]) -> set[int]:
    found: set[int] = set()
    stack = list(start)
    while stack:
        i = stack.pop()
        if i not in found:
            found.add(i)
            stack += uses[i]
    return found


def used_names(node: onnx.NodeProto) -> list[str]:
    """Tensors that a node reads, those that its bodies take from outside included."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for body in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            inner = {name for inside in body.node for name in inside.output}
            inner |= {value.name for value in body.input}
            inner |= {tensor.name for tensor in body.initializer}
            names += [n for inside in body.node for n in used_names(inside) if n not in inner]
            names += [value.name for value in body.output if value.name not in inner]
    return names


def describe_node(node: onnx.NodeProto) -> str:
    """How messages call a node; one without a name goes by its first output."""
    name = node.name or next(filter(None, node.output), "")
    return f"node {name!r} ({node.op_type})"
