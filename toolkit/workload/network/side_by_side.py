"""Tensors that graphs join and no machine copies: their readers read each where it is."""

from __future__ import annotations

from dataclasses import replace

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.wiring import Wiring


def read_side_by_side(wiring: Wiring) -> None:
    """Turn concatenations into views, whose readers read each part where it was made.

    Parts may lie anywhere, as whoever loads a tile of them all loads a tile of each. What leaves
    the network is one tensor, to which they are copied, and so are constants.
    """
    for layer in wiring.layers:
        if _only_joins(layer) and not _is_handed_out(wiring, layer):
            wiring.put(replace(layer, cost_class="view", elements=0))


def _only_joins(layer: Layer) -> bool:
    parts = {tensor.name for tensor in layer.inputs}
    return (
        layer.operator == "Concat"
        and layer.cost_class == "movement"
        and not layer.in_place
        and not layer.weights
        and len(parts) == len(layer.inputs) > 1
    )


def _is_handed_out(wiring: Wiring, layer: Layer) -> bool:
    uses = [use for made in layer.outputs for use in wiring.uses(made)]
    return not uses or any(use.reader is None for use in uses)
