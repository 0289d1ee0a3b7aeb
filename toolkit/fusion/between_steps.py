"""What happens between the steps of a group: sums go on, and what a stream changed is corrected.

Costs of mapped parts know nothing of it, as each part is a layer of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

from toolkit.arch.levels import Memory
from toolkit.fusion.folded import FoldedGraph, FoldedLayer
from toolkit.fusion.groups import GroupView
from toolkit.fusion.layer_costs import LayerCosts
from toolkit.fusion.tile.group_plan import GroupPlan, Loop, made_share
from toolkit.model.plan_ports import port_cycles
from toolkit.model.vector_unit import vector_cost

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


def between_steps(
    plan: GroupPlan, graph: FoldedGraph, costs: LayerCosts, home_of: Callable[[str], Memory]
) -> Iterator[BetweenSteps]:
    """Cost sums that go on from step to step.

    What was summed before is read again; where a softmax or a normalisation streams, the vector
    unit keeps the state of its rows and corrects what was summed from its results
    (FlashAttention; in each step for a softmax, whose maximum changes, or in the end).

    Parameters
    ----------
    plan : GroupPlan
        How the group runs.
    costs : LayerCosts
        Of its parts, for the machine and its vector unit.
    home_of : callable
        Gives the memory on which a tensor waits.
    """
    conventions = costs.search.conventions
    for layer in GroupView(graph, plan.group).layers:
        loops = [loop for loop in plan.loops if layer.name in loop.sums]
        made = layer.output.elements * made_share(plan, graph, layer.name)
        again = made * (prod(loop.steps for loop in loops) - 1)
        if again > 0:
            home = home_of(layer.output.name)
            cycles = port_cycles(home, conventions, {"reads": again})
            read = {home.name: again * home.read_energy_pj}
            yield BetweenSteps(layer.name, read, cycles, idle_cycles=cycles)
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
