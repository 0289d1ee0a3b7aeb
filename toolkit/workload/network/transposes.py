"""Transposes that no machine makes: products read their operands along any axis."""

from __future__ import annotations

from dataclasses import replace

from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.wiring import Use, Wiring

_MOVES = ("Split", "Slice", "Concat", "Pad", "Tile", "Expand")


def absorb_transposes(wiring: Wiring) -> None:
    """Turn transposes that only matrix products, or movements, read into views.

    Rows in another order, such as heads split and joined, may be read by any product, and by
    what writes them into a cache. An operand that is read along its columns may be one of two
    activations, such as the keys of attention.
    """
    for layer in wiring.layers:
        if layer.operator != "Transpose" or layer.cost_class != "movement":
            continue
        if _all_absorb(wiring, layer.outputs[0], layer):
            wiring.put(replace(layer, cost_class="view", elements=0))


def _all_absorb(wiring: Wiring, tensor: TensorInfo, layer: Layer) -> bool:
    uses = list(wiring.uses(tensor))
    return bool(uses) and all(_absorbs(wiring, use, layer) for use in uses)


def _absorbs(wiring: Wiring, use: Use, layer: Layer) -> bool:
    order, reader = dict(layer.attributes).get("perm"), use.reader
    if not isinstance(order, tuple) or reader is None:
        return False
    if reader.cost_class == "elementwise" and len(reader.inputs) == 1 and not reader.weights:
        # A number that scales all elements, in whatever order they are.
        return _all_absorb(wiring, reader.outputs[0], layer)
    if reader.operator in _MOVES and reader.cost_class == "movement" and not reader.in_place:
        # What is moved anyway is moved in another order at once.
        return True
    if not use.is_product and not reader.in_place:
        return False
    last = len(order) - 1
    if order[last] == last:
        return True
    as_columns = last > 0 and order[last - 1] == last
    same_matrix = use.tensor.shape[-2:] == layer.outputs[0].shape[-2:]
    return as_columns and use.of_two_activations and same_matrix
