"""What happens between the steps of a group: sums go on, and what a stream changed is corrected.

Costs of mapped parts know nothing of it, as each part is a layer of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Fanout, Memory
from toolkit.fusion.folded import FoldedGraph, FoldedLayer
from toolkit.fusion.groups import GroupView
from toolkit.fusion.layer_costs import LayerCosts
from toolkit.fusion.tile.group_plan import GroupPlan, Loop, made_share
from toolkit.model.plan_ports import port_cycles
from toolkit.model.vector_unit import vector_cost
from toolkit.workload.kernel import Tensor

STATE_OPERATIONS = 4
"""Per row and step of a softmax or a normalisation that streams: compare or add, and rescale, for
both words of its state."""


@dataclass(frozen=True)
class BetweenSteps:
    """What a layer of a group costs besides its parts.

    Parameters
    ----------
    layer : str
        Its name.
    levels : dict of str to float
        Energy in pJ by level and of the vector unit.
    cycles : float
        That it takes.
    idle_cycles : float
        Those of them in which nothing computes; `levels` leave out what leaks meanwhile.
    """

    layer: str
    levels: dict[str, float]
    cycles: float
    idle_cycles: float = 0.0


def old_sum_pj(arch: Architecture, output: Tensor) -> dict[str, float]:
    """Energy in pJ by level of bringing a sum to where it is added to, in another step.

    It is read from the outermost memory that holds it, and written to and read from all others on
    its way to the one instance that goes on with it; none is left out that mappings may leave out.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> from toolkit.workload import gemm
    >>> old_sum_pj(load_arch("eyeriss"), gemm(2, 2, 2).output)["OutRegister"]
    2.68
    """
    found: dict[str, float] = {}
    for level in arch.levels:
        if isinstance(level, Memory) and holds(level, output):
            written = level.write_energy_pj if found else 0.0
            found[level.name] = level.read_energy_pj + written
        elif isinstance(level, Fanout) and level.wires is not None and found:
            found[level.name] = level.wires.unicast_energy_pj
    return found


def between_steps(
    plan: GroupPlan,
    graph: FoldedGraph,
    costs: LayerCosts,
    arch_for: Callable[[FoldedLayer], Architecture],
) -> Iterator[BetweenSteps]:
    """Cost sums that go on from step to step.

    What was summed before is brought back; where a softmax or a normalisation streams, the vector
    unit keeps the state of its rows and corrects what was summed from its results
    (FlashAttention; in each step for a softmax, whose maximum changes, or in the end).

    Parameters
    ----------
    plan : GroupPlan
        How the group runs.
    costs : LayerCosts
        Of its parts, for the machine and its vector unit.
    arch_for : callable
        Gives the machine as the parts of a layer see it.
    """
    conventions = costs.search.conventions
    for layer in GroupView(graph, plan.group).layers:
        loops = [loop for loop in plan.loops if layer.name in loop.sums]
        made = layer.output.elements * made_share(plan, graph, layer.name)
        again = made * (prod(loop.steps for loop in loops) - 1)
        if again > 0:
            arch, workload = arch_for(layer), layer.layer.workload
            assert workload is not None  # Nothing else is summed.
            brought = old_sum_pj(arch, workload.output)
            home = next(memory for memory in arch.memories if memory.name in brought)
            cycles = port_cycles(home, conventions, {"reads": again})
            levels = {name: again * energy for name, energy in brought.items()}
            yield BetweenSteps(layer.name, levels, cycles, idle_cycles=cycles)
        for loop in plan.loops:
            operations = _corrections(graph, layer, loop, made)
            if operations:
                vector = vector_cost(
                    costs.arch, costs.unit, operations, {}, conventions=conventions
                )
                energies = {entry.level: entry.energy_pj for entry in vector.levels}
                yield BetweenSteps(layer.name, energies, vector.latency_cycles)


def _corrections(graph: FoldedGraph, layer: FoldedLayer, loop: Loop, made: float) -> int:
    """Operations of the vector unit that streaming along a loop adds to a layer."""
    if layer.name in loop.streams:
        rows = made / next(rank.size for rank in layer.ranks if rank.recurrent)
        return round(STATE_OPERATIONS * rows * loop.steps)
    if layer.name not in loop.sums:
        return 0
    sources = [s for s in graph.predecessors(layer.name) if s in loop.streams]
    softmax = any("oftmax" in graph.layer_of(name).layer.operator for name in sources)
    return round(made * (loop.steps if softmax else 2)) if sources else 0
