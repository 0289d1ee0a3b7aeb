"""Transposes that no machine makes: products read their operands along any axis."""

from __future__ import annotations

from dataclasses import replace

from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.wiring import Use, Wiring


def absorb_transposes(wiring: Wiring) -> None:
    """Turn transposes that only matrix products read into views.

    Rows in another order, such as heads split and joined, may be read by any product, and by
    what writes them into a cache. An operand that is read along its columns may be one of two
    activations, such as the keys of attention.
    """
    for layer in wiring.layers:
        if layer.operator != "Transpose" or layer.cost_class != "movement":
            continue
        uses = list(wiring.uses(layer.outputs[0]))
        if uses and all(_absorbs(use, layer) for use in uses):
            wiring.put(replace(layer, cost_class="view", elements=0))


def _absorbs(use: Use, layer: Layer) -> bool:
    made = layer.outputs[0]
    order = dict(layer.attributes).get("perm")
    written = use.reader is not None and use.reader.in_place
    if not isinstance(order, tuple) or not (use.is_product or written):
        return False
    last = len(order) - 1
    if order[last] == last:
        return True
    as_columns = last > 0 and order[last - 1] == last
    return as_columns and use.of_two_activations and _same_matrix(use.tensor, made)


def _same_matrix(shown: TensorInfo, made: TensorInfo) -> bool:
    return shown.shape[-2:] == made.shape[-2:]
