"""Caches of keys and values in graphs: what comes new is written where the cache is.

Exporters write a cache that grows as Concat of an input and what is new, or as a scatter into a
buffer, and hand the result out. A machine keeps it where it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.wiring import Wiring

_UPDATES = {"ScatterND": -1, "ScatterElements": -1, "Scatter": -1, "TensorScatter": 1}
"""Operators that write into their first activation, and which one of them they write."""

_SELECTIONS = ("Slice", "Split", "Gather", "Transpose")


def grow_in_place(wiring: Wiring) -> None:
    """Write only what is new into caches that come in, grow, and go out."""
    for layer in wiring.layers:
        written = _written(layer)
        # What comes from outside like the first input is joined with it, not appended.
        if layer.in_place or any(wiring.source(t.name) in wiring.inputs for t in written):
            continue
        selections = _back_to_input(wiring, layer.inputs[0]) if written else None
        if selections is None:
            continue
        # One that is turned for the update is turned back.
        turned = any(entry.operator == "Transpose" for entry in selections)
        if _leaves(wiring, layer.outputs[0], turned=turned):
            wiring.put(_updated(layer, written))
            for moved in (*selections, *_stacks(wiring, layer.outputs[0], turned=turned)):
                wiring.put(replace(moved, cost_class="view", elements=0))


def scatter_in_place(wiring: Wiring) -> None:
    """Write only the updates into a tensor that nobody else reads."""
    for layer in wiring.layers:
        written = _written(layer) if layer.operator in _UPDATES else []
        if not written or layer.in_place:
            continue
        into = layer.inputs[0].name
        if wiring.maker(into) is not None and list(wiring.readers(into)) == [layer]:
            wiring.put(_updated(layer, written))


def _updated(layer: Layer, written: list[TensorInfo]) -> Layer:
    return replace(layer, elements=sum(tensor.elements for tensor in written), in_place=True)


def scale_results(wiring: Wiring) -> None:
    """Scale what a product makes instead of all of a cache, where exporters scale the latter."""
    for layer in wiring.layers:
        if layer.operator != "Mul" or len(layer.inputs) != 1 or layer.weights:
            continue
        maker = wiring.maker(_moved_from(wiring, layer.inputs[0]))
        uses = list(wiring.uses(layer.outputs[0]))
        if maker is None or not maker.in_place or layer.cost_class != "elementwise":
            continue
        if not uses or not all(use.of_two_activations for use in uses):
            continue
        for use in uses:
            product = use.reader
            if product is not None:
                more = product.operations_per_element + layer.operations_per_element
                wiring.put(replace(product, operations_per_element=more))
        wiring.put(replace(layer, cost_class="view", elements=0, operations_per_element=0))


def _written(layer: Layer) -> list[TensorInfo]:
    """What a layer writes behind its first input, or into it; nothing if it does neither."""
    inputs, weights = layer.inputs, layer.weights
    if layer.cost_class != "movement" or len(inputs) < 2:
        return []
    if layer.operator == "Concat":
        return list(inputs[1:]) if len(inputs) <= 3 and not weights else []
    place = _UPDATES.get(layer.operator)
    if place is None or inputs[0].shape != layer.outputs[0].shape:
        return []
    return [inputs[place]]


def _leaves(wiring: Wiring, tensor: TensorInfo, *, turned: bool) -> bool:
    """Whether a tensor is handed out, alone, cut to a window, or stacked with others."""
    if tensor.name in wiring.outputs and not turned:
        return True
    return any(
        _leaves(wiring, made, turned=turned and reader.operator != "Transpose")
        for reader in wiring.readers(tensor.name)
        if reader.cost_class == "view" or _hands_on(reader, turned=turned)
        for made in reader.outputs
    )


def _hands_on(layer: Layer, *, turned: bool) -> bool:
    """Whether a layer only stacks caches, drops what is oldest, or turns them back."""
    stacks = layer.operator == "Concat" and len({t.shape for t in layer.inputs}) == 1
    return stacks or layer.operator == "Slice" or (turned and layer.operator == "Transpose")


def _stacks(wiring: Wiring, tensor: TensorInfo, *, turned: bool) -> Iterator[Layer]:
    """Layers between a cache and an output that move it on without need."""
    for reader in wiring.readers(tensor.name):
        made = reader.outputs[0]
        still = turned and reader.operator != "Transpose"
        if reader.cost_class == "view":
            yield from _stacks(wiring, made, turned=still)
        elif _hands_on(reader, turned=turned) and _leaves(wiring, made, turned=still):
            yield reader
            yield from _stacks(wiring, made, turned=still)


def _back_to_input(wiring: Wiring, tensor: TensorInfo) -> list[Layer] | None:
    """Layers that select a cache from an input of the network; None if it is none."""
    selections: list[Layer] = []
    name = tensor.name
    while name not in wiring.inputs:
        layer = wiring.maker(name)
        if layer is None or len(layer.inputs) != 1:
            return None
        if layer.operator in _SELECTIONS and layer.cost_class == "movement":
            selections.append(layer)
        elif layer.cost_class != "view":
            return None
        name = layer.inputs[0].name
    return selections


def _moved_from(wiring: Wiring, tensor: TensorInfo) -> str:
    """The tensor that is shown, or only transposed, under this name."""
    name, layer = tensor.name, wiring.maker(tensor.name)
    while layer is not None and len(layer.inputs) == 1:
        if layer.cost_class != "view" and layer.operator != "Transpose":
            break
        name = layer.inputs[0].name
        layer = wiring.maker(name)
    return name
