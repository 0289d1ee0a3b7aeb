"""Named patterns of layers that are worth fusing, found by subgraph matching."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import networkx as nx

from toolkit.errors import InputError
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.groups import Group, is_convex, owners
from toolkit.messages import suggest
from toolkit.workload.network.graph import LayerGraph


@dataclass(frozen=True)
class Pattern:
    """A small graph of operators.

    Parameters
    ----------
    name : str
        How users ask for it.
    operators : mapping of str to str
        For each node of the pattern, names of operators separated by ``|``; ``*`` and ``?``
        stand for any text.
    edges : tuple of (str, str)
        Nodes between which a tensor leads.

    Examples
    --------
    A pattern of one's own:

    >>> squeeze = Pattern(
    ...     "squeeze-excite", {"pool": "*Pool|ReduceMean", "fc": "Conv|Gemm", "scale": "Mul"},
    ...     (("pool", "fc"), ("fc", "scale")),
    ... )
    """

    name: str
    operators: Mapping[str, str]
    edges: tuple[tuple[str, str], ...]


def chain(name: str, *operators: str) -> Pattern:
    """A pattern of operators one after the other.

    Examples
    --------
    >>> chain("conv-relu", "Conv", "Relu").edges
    (('0', '1'),)
    """
    nodes = {str(i): operator for i, operator in enumerate(operators)}
    return Pattern(name, nodes, tuple((str(i), str(i + 1)) for i in range(len(operators) - 1)))


_ACTIVATION = "Relu|Clip|LeakyRelu|PRelu|HardSwish|Sigmoid|Swish|Gelu|Mish|Elu|Tanh"
_PRODUCT = "*MatMul*|*Gemm*"
_PLAIN_PRODUCT = "*MatMul*:gemm|*Gemm*:gemm"
_RESIDUAL = "Add|Sum|QLinearAdd"

PATTERNS: dict[str, Pattern] = {
    pattern.name: pattern
    for pattern in (
        chain("conv-relu", "Conv", _ACTIVATION),
        chain("conv-bn-relu", "Conv", "BatchNormalization", _ACTIVATION),
        chain("conv-conv", "Conv", "Conv"),
        Pattern(
            "residual-block",
            {"first": "Conv", "last": "Conv", "add": _RESIDUAL},
            (("first", "last"), ("last", "add")),
        ),
        Pattern(
            "bottleneck",
            {"reduce": "Conv", "conv": "Conv", "expand": "Conv", "add": _RESIDUAL},
            (("reduce", "conv"), ("conv", "expand"), ("expand", "add")),
        ),
        chain("inverted-bottleneck", "Conv", "Conv:depthwise-conv", "Conv"),
        chain("matmul-add-gelu", _PRODUCT, "Add", "Gelu|Erf"),
        chain("mlp", _PLAIN_PRODUCT, _PLAIN_PRODUCT),
        Pattern(
            "attention",
            {
                "scores": "MatMul|Attention",
                "softmax": "Softmax|Attention",
                "context": "MatMul|Attention",
            },
            (("scores", "softmax"), ("softmax", "context")),
        ),
    )
}
"""Patterns by name. ``OPERATOR:KERNEL`` also asks for a kernel of the workload."""


def find_pattern(name: str) -> Pattern:
    """Look up a pattern.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in PATTERNS:
        raise InputError(
            f"unknown pattern {name!r}{suggest(name, PATTERNS)}; there are {', '.join(PATTERNS)}",
            key="pattern",
        )
    return PATTERNS[name]


def matches(graph: FoldedGraph, network: LayerGraph, pattern: Pattern) -> list[Group]:
    """Groups in which a pattern occurs, in the network's order, each once.

    Operators that are folded away, views and layers between operators of vector units count:
    the pattern is looked for in the graph of all operators, elementwise ones between two
    einsums skipped where it does not name them.

    Parameters
    ----------
    graph : FoldedGraph
        The network as fusion sees it; groups are in its names.
    network : LayerGraph
        The network that it was folded from.
    pattern : Pattern
        What to look for.
    """
    home = owners(graph)
    found: dict[Group, None] = {}
    for detailed in (_operators(network), _folded_operators(graph)):
        for match in _occurrences(detailed, pattern):
            group = frozenset(home[name] for name in match if name in home)
            closed = _closed(graph, group)
            if closed and is_convex(graph, closed):
                found[closed] = None
    return sorted(found, key=lambda group: sorted(graph.positions[name] for name in group))


def _occurrences(graph: nx.DiGraph, pattern: Pattern) -> Iterator[tuple[str, ...]]:
    wanted = nx.DiGraph(list(pattern.edges))
    for node, operators in pattern.operators.items():
        wanted.add_node(node, operators=operators)
    matcher = nx.algorithms.isomorphism.DiGraphMatcher(
        graph, wanted, node_match=lambda node, want: _fits(node["kind"], want["operators"])
    )
    for match in matcher.subgraph_monomorphisms_iter():
        yield tuple(match)


def _fits(kind: tuple[str, str], operators: str) -> bool:
    operator, kernel = kind
    for wanted in operators.split("|"):
        name, _, asked = wanted.partition(":")
        if fnmatchcase(operator.rpartition(".")[2], name) and (not asked or asked == kernel):
            return True
    return False


def _operators(network: LayerGraph) -> nx.DiGraph:
    """All operators, views bridged."""
    graph = nx.DiGraph()
    for name, data in network.nodes(data=True):
        layer = data["layer"]
        graph.add_node(
            name, kind=(layer.operator, layer.workload.kernel if layer.workload else "")
        )
    graph.add_edges_from(network.edges)
    for name, data in network.nodes(data=True):
        if data["layer"].cost_class == "view":
            sources, readers = list(graph.predecessors(name)), list(graph.successors(name))
            graph.remove_node(name)
            graph.add_edges_from((a, b) for a in sources for b in readers)
    return graph


def _folded_operators(graph: FoldedGraph) -> nx.DiGraph:
    """First operators of all folded layers."""
    result = nx.DiGraph()
    for layer in graph.layers:
        workload = layer.layer.workload
        result.add_node(
            layer.name, kind=(layer.layer.operator, workload.kernel if workload else "")
        )
    result.add_edges_from(graph.edges)
    return result


def _closed(graph: FoldedGraph, group: Group) -> Group | None:
    """The group, if edges connect it; None otherwise, or if it is a single layer."""
    if len(group) < 2 or not nx.is_weakly_connected(graph.subgraph(group)):
        return None
    return group
