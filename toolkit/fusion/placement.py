"""How tiles of a group's outputs spread over its tensors: one axis, one rate each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from toolkit.fusion.folded import FoldedGraph, FoldedLayer
from toolkit.fusion.groups import Group
from toolkit.workload.network.tensors import TensorInfo


@dataclass(frozen=True, slots=True)
class Place:
    """Where tiles cut a tensor.

    Parameters
    ----------
    axis : int
        Of the tensor.
    rate : Fraction
        Positions along it per position of the anchor.
    """

    axis: int
    rate: Fraction


Placement = Mapping[str, Place]
"""Tensors that tiles cut, by name; those left out are computed whole, before the first tile."""


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


def place(view: GroupView, anchor: FoldedLayer, axis: int) -> Placement | None:
    """Cut one axis of an anchor's output, and follow the cut through the group.

    Parameters
    ----------
    anchor : FoldedLayer
        A sink of the group.
    axis : int
        One of its open axes.

    Returns
    -------
    mapping or None
        None if paths disagree on how fast a tensor advances, so that no tile is consistent.
    """
    placed = _backward(view, {}, anchor, Place(axis, Fraction(1)))
    if placed is None:
        return None
    for sink in view.sinks:
        if sink.output.name not in placed:
            start = _forward(view, placed, sink)
            more = _backward(view, placed, sink, start) if start else None
            placed = placed if more is None else more
    return _without_whole(view, placed)


def _backward(
    view: GroupView, placed: Mapping[str, Place], sink: FoldedLayer, start: Place
) -> dict[str, Place] | None:
    """Places of all that a sink needs; None where they contradict others."""
    found = dict(placed)
    stack = [(sink.output.name, start)]
    while stack:
        name, wanted = stack.pop()
        if name in found:
            if found[name] != wanted:
                return None
            continue
        found[name] = wanted
        stack += _sources(view, name, wanted)
    return found


def _sources(view: GroupView, name: str, at: Place) -> Iterator[tuple[str, Place]]:
    layer = view.makers.get(name)
    if layer is None or at.axis not in layer.open_axes:
        return
    for tensor, links in zip(layer.inputs, layer.links, strict=True):
        reach = links.get(at.axis)
        if reach is not None:
            yield tensor.name, Place(reach.axis, at.rate * reach.stride)


def _forward(view: GroupView, placed: Mapping[str, Place], sink: FoldedLayer) -> Place | None:
    """Where a further sink is cut if it follows the tensors that are placed already."""
    known = dict(placed)
    for layer in view.layers:
        if layer.output.name in known:
            continue
        for tensor, links in zip(layer.inputs, layer.links, strict=True):
            at = known.get(tensor.name)
            ahead = next((a for a, r in links.items() if at and r.axis == at.axis), None)
            if at is not None and ahead is not None:
                known[layer.output.name] = Place(ahead, at.rate / links[ahead].stride)
                break
    return known.get(sink.output.name)


def _without_whole(view: GroupView, placed: Mapping[str, Place]) -> dict[str, Place]:
    """Drop tensors that some reader needs whole, or whose maker cannot be tiled there."""
    kept = dict(placed)
    for layer in reversed(view.layers):
        at = kept.get(layer.output.name)
        if at is not None and at.axis not in layer.open_axes:
            del kept[layer.output.name]
            at = None
        for tensor, links in zip(layer.inputs, layer.links, strict=True):
            if at is None or at.axis not in links:
                kept.pop(tensor.name, None)
    return kept


def placements(view: GroupView) -> dict[int, tuple[FoldedLayer, Placement]]:
    """Usable cuts: by axis of the first sink that has it, those that cut a tensor made and read.

    A layer on its own is cut where its output is.

    Keys are axes of the anchor that comes with them.
    """
    found: dict[int, tuple[FoldedLayer, Placement]] = {}
    inside = {name for name in view.makers if name in view.readers or len(view.layers) == 1}
    for sink in view.sinks:
        for axis in sorted(sink.open_axes):
            if sink.output.shape[axis] == 1 or axis in found:
                continue
            placement = place(view, sink, axis)
            if placement is not None and not inside.isdisjoint(placement):
                found[axis] = (sink, placement)
    return found
