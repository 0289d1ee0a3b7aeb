"""The graph that fusion works on: elementwise operators folded into the layers before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import networkx as nx

from toolkit.fusion.ranks import Rank
from toolkit.search.network.vector_layers import (
    folded_constants,
    moved_values,
    only_moves,
    operand_values,
)
from toolkit.workload.network.layer import Layer, TensorInfo


@dataclass(frozen=True, eq=False)
class FoldedLayer:
    """A layer with the elementwise operators that are applied to its output on the way out.

    Parameters
    ----------
    name : str
        Of its first layer.
    layers : tuple of Layer
        The layer, then what is folded into it, in order.
    inputs : tuple of TensorInfo
        Activations that it reads, views replaced by what they show, each once.
    output : TensorInfo
        What it writes.
    weight_words : int
        Weights of the workload; biases and scales are among `constant_words`.
    ranks : tuple of Rank
        All dimensions that tiles may cut, open axes first.
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: tuple[TensorInfo, ...]
    output: TensorInfo
    weight_words: int
    ranks: tuple[Rank, ...] = ()

    @property
    def layer(self) -> Layer:
        """The first layer, which says what is computed."""
        return self.layers[0]

    @property
    def whole(self) -> Layer:
        """The first layer with the others folded into it, as `toolkit.map_network` takes it."""
        first, *folded = self.layers
        return replace(first, folded=tuple(folded)) if folded else first

    @property
    def macs(self) -> int:
        """Multiply-accumulates, repetitions included."""
        return self.layer.macs

    @property
    def constant_words(self) -> int:
        """Constants that operations without a workload read, repetitions included."""
        first, *folded = self.layers
        words = sum(constant_words(layer) * layer.repetitions for layer in folded)
        if first.workload is not None:
            return words + sum(tensor.elements for tensor in first.weights[1:])
        read = moved_values(first) if only_moves(first) else operand_values(first)
        return words + sum(v.count for v in read.get("weight", ())) * first.repetitions

    @property
    def operators(self) -> tuple[str, ...]:
        """Operators of its layers, in order."""
        return tuple(layer.operator for layer in self.layers)


class FoldedGraph(nx.DiGraph):  # type: ignore[misc]
    """A network of folded layers.

    Nodes are names with the attribute ``layer`` (a `FoldedLayer`); edges carry the name of the
    one tensor as ``tensor``. Made by `fold`.
    """

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the nodes, each after those that it reads from."""
        return tuple(nx.lexicographical_topological_sort(self, key=self._position))

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """The place of each node in `names`."""
        return {name: i for i, name in enumerate(self.names)}

    def _position(self, name: str) -> int:
        return int(self.nodes[name]["position"])

    def layer_of(self, name: str) -> FoldedLayer:
        """The folded layer of that name."""
        layer: FoldedLayer = self.nodes[name]["layer"]
        return layer

    @cached_property
    def layers(self) -> tuple[FoldedLayer, ...]:
        """All folded layers, each after those that it reads from."""
        return tuple(self.layer_of(name) for name in self.names)

    @property
    def outputs(self) -> frozenset[str]:
        """Names of the tensors that the network makes."""
        return frozenset(self.graph["outputs"])

    @cached_property
    def makers(self) -> Mapping[str, str]:
        """The node that makes each tensor."""
        return {layer.output.name: layer.name for layer in self.layers}

    def tensor(self, name: str) -> TensorInfo:
        """A tensor that nodes make or read."""
        if name in self.makers:
            return self.layer_of(self.makers[name]).output
        return self.inputs[name]

    @cached_property
    def neighbourhood(self) -> nx.Graph:
        """Which nodes share a tensor: one reads what the other makes, or both read the same."""
        near = nx.Graph(self.edges)
        near.add_nodes_from(self.names)
        for names in self.readers.values():
            near.add_edges_from(combinations(names, 2))
        return near

    @cached_property
    def readers(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes that read each tensor, in the graph's order."""
        found: dict[str, tuple[str, ...]] = {}
        for layer in self.layers:
            for tensor in layer.inputs:
                found[tensor.name] = (*found.get(tensor.name, ()), layer.name)
        return found

    @cached_property
    def inputs(self) -> Mapping[str, TensorInfo]:
        """Tensors that nodes read and no node makes."""
        return {
            tensor.name: tensor
            for layer in self.layers
            for tensor in layer.inputs
            if tensor.name not in self.makers
        }

    @property
    def weight_words(self) -> int:
        """Weights of all layers."""
        return sum(layer.weight_words for layer in self.layers)

    @property
    def constant_words(self) -> int:
        """Constants that operations without a workload read."""
        return sum(layer.constant_words for layer in self.layers)

    @property
    def floor_words(self) -> int:
        """Words that any execution moves: weights, constants, inputs and outputs, each once."""
        made = sum(layer.output.elements for layer in self.layers if self.leaves(layer))
        read = sum(t.elements for t in self.inputs.values())
        return self.weight_words + self.constant_words + made + read

    def leaves(self, layer: FoldedLayer) -> bool:
        """Whether the output of a layer is one of the network."""
        return layer.output.name in self.outputs

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run."""
        return sum(layer.macs for layer in self.layers)


def constant_words(layer: Layer) -> int:
    """Words of the constants that an operator reads where it is folded."""
    return sum(values.count for values in folded_constants(layer))
