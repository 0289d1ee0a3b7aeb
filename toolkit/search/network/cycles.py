"""What the latency of every layer of a mapped network is spent on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.arch.architecture import Architecture
from toolkit.model.conventions import Conventions
from toolkit.model.evaluate import evaluate
from toolkit.model.vector_unit import UNIT, VectorCost
from toolkit.model.words import cycle_parts
from toolkit.search.network.cost import LayerCost
from toolkit.search.network.result import LayerResult, NetworkResult
from toolkit.search.network.workloads import nameless
from toolkit.workload.kernel import Workload

IDLE = "idle instances"
"""Cycles by which instances without work lengthen the run."""

HOPS = "hops"
"""Cycles from instance to instance, and those up to whole ones."""

if TYPE_CHECKING:
    import pandas as pd

Cycles = dict[str, float]


def layer_cycles(result: NetworkResult) -> tuple[Cycles, ...]:
    """Divide the latency of every layer by what it is spent on.

    Parameters
    ----------
    result : NetworkResult
        A mapped network.

    Returns
    -------
    tuple of dict
        Per layer, in the order of `NetworkResult.layers`, cycles of all repetitions that add up
        to its latency: of the compute level (by its name) if all instances worked all the time;
        `IDLE`; per memory ``NAME waits`` (transfers that nothing hides, such as first fills)
        and ``NAME stalls`` (a port that is too slow); `HOPS`; of the vector unit, and
        ``VectorUnit waits`` where memories feed it too slowly or elements are only moved.
    """
    done: dict[Workload, Cycles] = {}
    parts = []
    for layer in result.layers:
        array: Cycles = {}
        if layer.cost is not None:
            workload = nameless(layer.cost.workload)
            if workload not in done:
                done[workload] = _array(layer.cost, result.arch, result.search.conventions)
            array = done[workload]
        parts.append(_of_layer(layer, array))
    return tuple(parts)


def layer_parts(result: NetworkResult) -> dict[str, pd.DataFrame]:
    """Tabulate what every layer's energy and latency are made of.

    Returns
    -------
    dict of str to DataFrame
        ``layer_energy``: per layer, pJ of each level and of the vector unit;
        ``layer_cycles``: per layer, `layer_cycles`, a column for each entry.
    """
    import pandas as pd

    names = [layer.name for layer in result.layers]
    energies = [layer.level_energies() for layer in result.layers]
    return {
        name: pd.DataFrame(
            [{"layer": layer, **row} for layer, row in zip(names, rows, strict=True)]
        ).fillna(0.0)
        for name, rows in (("layer_energy", energies), ("layer_cycles", layer_cycles(result)))
    }


def _of_layer(layer: LayerResult, array: Cycles) -> Cycles:
    """All repetitions of a layer: the array, and what its vector operations take longer."""
    cycles = dict(array)
    if layer.vector is not None:
        behind = layer.cost.latency_cycles if layer.cost is not None else 0.0
        for name, count in _vector(layer.vector, behind).items():
            cycles[name] = cycles.get(name, 0.0) + count
    return {name: layer.repetitions * count for name, count in cycles.items() if count > 0}


def _vector(vector: VectorCost, behind: float) -> Cycles:
    """Cycles of the vector unit that are not spent at the same time as so many of the array."""
    working = max(vector.operation_cycles - behind, 0.0)
    return {UNIT: working, f"{UNIT} waits": max(vector.latency_cycles - behind, 0.0) - working}


def _array(cost: LayerCost, arch: Architecture, conventions: Conventions) -> Cycles:
    """One repetition on the array."""
    evaluation = evaluate(cost.mapping, arch, cost.workload, conventions=conventions)
    parts = cycle_parts(evaluation)
    cycles = {
        arch.compute.name: parts.ideal_cycles,
        IDLE: sum(i.cycles for i in parts.idle) + sum(cut.cycles for cut in parts.cut_off),
    }
    for wait in parts.waits:
        name = f"{wait.level} waits"
        cycles[name] = cycles.get(name, 0.0) + wait.cycles
    for stall in parts.stalls:
        name = f"{stall.level} stalls"
        cycles[name] = cycles.get(name, 0.0) + stall.cycles
    cycles[HOPS] = parts.warm_up_cycles + parts.rounding_cycles
    return cycles
