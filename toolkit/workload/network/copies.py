"""Copies that a graph has and a machine does not make."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit.workload.network.caches import grow_in_place, scale_results, scatter_in_place
from toolkit.workload.network.experts import run_chosen_experts
from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.operators.call import KvCache
from toolkit.workload.network.shared_heads import share_heads
from toolkit.workload.network.side_by_side import read_side_by_side
from toolkit.workload.network.transposes import absorb_transposes
from toolkit.workload.network.wiring import Wiring


def without_copies(
    layers: Iterable[Layer],
    inputs: Iterable[TensorInfo],
    outputs: Iterable[TensorInfo],
    kv_cache: KvCache,
    experts: int | None = None,
) -> list[Layer]:
    """Rewrite layers that copy what could be read, or kept, where it is.

    Weights are read of the experts that run, heads that are shared are not repeated, caches grow
    in place unless they are to be copied, tensors are read side by side, and products read
    transposed operands.
    """
    wiring = Wiring(layers, inputs, outputs)
    run_chosen_experts(wiring, experts)
    share_heads(wiring)
    if kv_cache == "in-place":
        grow_in_place(wiring)
        scale_results(wiring)
    scatter_in_place(wiring)
    read_side_by_side(wiring)
    absorb_transposes(wiring)
    return list(wiring.layers)
