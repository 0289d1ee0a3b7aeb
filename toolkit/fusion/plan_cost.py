"""What groups cost under their plans: every part mapped, transfers, what happens between steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import fsum

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.fusion.between_steps import between_steps
from toolkit.fusion.dram_port import DramPort, PortWords
from toolkit.fusion.folded import FoldedGraph, FoldedLayer
from toolkit.fusion.group_latency import GroupWork
from toolkit.fusion.group_model import FusionOverhead
from toolkit.fusion.groups import GroupView
from toolkit.fusion.layer_costs import NOT_FUSED, LayerCosts, PartCost
from toolkit.fusion.tile.assumptions import Assumptions
from toolkit.fusion.tile.group_plan import GroupPlan, Part, constant_words
from toolkit.fusion.tile.residency import Homes
from toolkit.model.vector_unit import idle_leakage_pj
from toolkit.workload.kernel import Role

OVERHEAD = "fusion overhead"
"""What `FusionOverhead` costs in energy, beside the levels."""


@dataclass(frozen=True)
class GroupCost:
    """What a group costs under a plan.

    Parameters
    ----------
    levels : mapping of str to float
        Energy in pJ by level, of the vector unit and, where that costs any, of fusing.
    energy_pj : float
        Of all levels.
    latency_cycles : float
        Of all steps, with the first load, the last store and what fusing takes.
    compute_cycles : float
        Of the layers, if nothing but what is on chip held them up.
    dram_cycles : float
        That the outermost memory's port is busy.
    plan : GroupPlan
        With the traffic that the mappings cause.
    work : GroupWork or None
        What its latency is counted from; None for a layer on its own that is not staged.
    """

    levels: Mapping[str, float]
    energy_pj: float
    latency_cycles: float
    compute_cycles: float
    dram_cycles: float
    plan: GroupPlan
    work: GroupWork | None = None


@dataclass(frozen=True)
class PlanCosts:
    """Costs plans of groups by the mappings of all parts of their layers.

    Parameters
    ----------
    graph : FoldedGraph
        The network.
    memory : Memory
        The fusion level.
    given : Assumptions
        Of the plans.
    costs : LayerCosts
        Maps parts.
    port : DramPort
        Of the outermost memory.
    overhead : FusionOverhead
        What fusing costs besides.
    """

    graph: FoldedGraph
    memory: Memory
    given: Assumptions
    costs: LayerCosts
    port: DramPort
    overhead: FusionOverhead

    def cost(self, plan: GroupPlan) -> GroupCost:
        """Cost a plan: parts of all layers, transfers to and from DRAM, latency."""
        if not plan.staged:
            return self._single(plan)
        levels: dict[str, float] = {}
        view, spent = GroupView(self.graph, plan.group), dict[str, float]()
        passing = {la.name: PortWords(weights=la.constant_words) for la in view.layers}
        by = dict[Role, int](input=0, weight=0, output=0)
        self.prepare([plan])
        for layer, part, homes, times in self.parts(plan):
            cost = self.costs.cost(layer, part, homes)
            _add(levels, cost.levels, times)
            spent[layer.name] = spent.get(layer.name, 0.0) + times * cost.latency_cycles
            passing[layer.name] += _moved(cost) * times
            for role, words in cost.words.items():
                by[role] += times * words
            by["output"] -= times * cost.again_words
            by["input"] += times * cost.again_words
        computing = fsum(spent.values())
        for more in between_steps(plan, self.graph, self.costs, partial(self._arch_for, plan)):
            _add(levels, more.levels, 1)
            spent[more.layer] += more.cycles
            computing += more.cycles - more.idle_cycles
        plan = replace(
            plan,
            input_words=plan.staged_input_words + constant_words(view) + by["input"],
            output_words=plan.staged_output_words + by["output"],
            weight_words=plan.staged_weight_words + by["weight"],
        )
        _add(levels, self._transfers(plan, view), 1)
        fusing_pj, fusing_cycles = self.overhead.of(len(plan.group))
        if fusing_pj:
            levels[OVERHEAD] = fusing_pj
        compute = self._compute_cycles(list(spent.values()), plan)
        together = compute if self.given.schedule == "pipelined" else None
        work = GroupWork(view, plan, self.port, spent, passing, together)
        found = work.latency()
        latency = found.cycles + fusing_cycles
        _add(levels, self._waiting_pj(latency - computing), 1)
        dram = self.port.cycles(found.moved)
        return GroupCost(levels, fsum(levels.values()), latency, compute, dram, plan, work)

    def prepare(self, plans: Iterable[GroupPlan]) -> None:
        """Map all parts of plans side by side, see `LayerCosts.prepare`."""
        self.costs.prepare(entry[:3] for plan in plans for entry in self.parts(plan))

    def parts(self, plan: GroupPlan) -> Iterator[tuple[FoldedLayer, Part, Homes, int]]:
        """Yield what a plan runs: parts of layers, where their operands are, how often."""
        for layer in GroupView(self.graph, plan.group).layers:
            homes = self._homes(layer, plan) if plan.staged else NOT_FUSED
            for part, times in plan.made[layer.name].items():
                yield layer, part, homes, times

    def _single(self, plan: GroupPlan) -> GroupCost:
        """A layer on its own, as `toolkit.map_network` costs it."""
        (name,) = plan.group
        found = self.costs.alone(self.graph.layer_of(name).whole)
        words: dict[Role, int] = {"input": 0, "weight": 0, "output": 0}
        for traffic in found.cost.dram if found.cost is not None else ():
            words[traffic.role] += found.repetitions * traffic.words  # type: ignore[index]
        if found.vector is not None:
            words["input"] += found.repetitions * found.vector.dram_reads
            words["output"] += found.repetitions * found.vector.dram_writes
        moved = replace(
            plan,
            input_words=words["input"],
            output_words=words["output"],
            weight_words=words["weight"],
        )
        dram = self.port.cycles(PortWords(words["input"], words["output"], words["weight"]))
        latency = found.latency_cycles
        return GroupCost(found.level_energies(), found.energy_pj, latency, latency, dram, moved)

    def _homes(self, layer: FoldedLayer, plan: GroupPlan) -> Homes:
        """Where activations are, and weights that stay.

        Several activations are taken to be where the outermost of them is.
        """
        order = [self.memory.name, *(home.name for home in self.given.inner)]
        used = [n for n in order if n == self.memory.name or n in plan.homes.values()]
        read, made = (
            min((plan.homes.get(t.name, order[0]) for t in tensors), key=order.index)
            for tensors in (layer.inputs or (layer.output,), (layer.output,))
        )
        levels: list[tuple[Role, str]] = []
        if not any(t.name in plan.passing for t in layer.inputs):
            levels.append(("input", read))
        if layer.output.name not in plan.passing:
            levels.append(("output", made))
        if layer.name in plan.resident:
            levels.append(("weight", self.memory.name))
        elif not layer.weight_words:
            levels.append(("weight", read))
        return Homes(tuple(levels), tuple(used))

    def _arch_for(self, plan: GroupPlan, layer: FoldedLayer) -> Architecture:
        return self.costs.arch_for(self._homes(layer, plan))

    def _transfers(self, plan: GroupPlan, view: GroupView) -> dict[str, float]:
        """Energy of words between DRAM and the fusion level, which parts do not see.

        They do see constants, unless weights are on chip for them, too.
        """
        constants = sum(
            layer.constant_words
            for layer in view.layers
            if "weight" in self._homes(layer, plan).roles
        )
        port, memory = self.port, self.memory
        weights = plan.staged_weight_words + constants
        loaded, stored = plan.staged_input_words + weights, plan.staged_output_words
        source = (port.weights or port.memory).name
        found = {source: port.energy_pj(PortWords(weights=weights))}
        _add(found, {port.memory.name: port.energy_pj(PortWords(loaded - weights, stored))}, 1)
        words = loaded * memory.write_energy_pj + stored * memory.read_energy_pj
        _add(found, {memory.name: words}, 1)
        return found

    def _waiting_pj(self, cycles: float) -> dict[str, float]:
        """What leaks while the array waits for the outermost memory, which parts know nothing of.

        Where instances leak until a run ends. What groups hide under each other counts as well.
        """
        conventions = self.costs.search.conventions
        if not conventions.leakage_until_end or cycles <= 0:
            return {}
        return idle_leakage_pj(self.costs.arch, cycles, conventions)

    def _compute_cycles(self, cycles: list[float], plan: GroupPlan) -> float:
        """Cycles of the layers, in turns or side by side on shares of the outermost fanout."""
        if self.given.schedule == "time-shared":
            return sum(cycles)
        fanouts = self.costs.arch.fanouts
        mesh = fanouts[0].mesh if fanouts else 1
        if mesh < len(cycles) or not sum(cycles):
            return sum(cycles)
        slowest = max(
            spent * mesh / instances
            for spent, instances in zip(cycles, _shares(cycles, mesh), strict=True)
        )
        return (plan.steps + len(cycles) - 1) * slowest / plan.steps


def _moved(cost: PartCost) -> PortWords:
    """Words of a part that pass the fusion level."""
    written = cost.words["output"] - cost.again_words
    return PortWords(cost.words["input"] + cost.again_words, written, cost.words["weight"])


def _shares(cycles: list[float], mesh: int) -> list[int]:
    """Instances for each layer, one at least, the rest where it shortens the slowest."""
    shares = [1] * len(cycles)
    for _ in range(mesh - len(cycles)):
        slowest = max(range(len(cycles)), key=lambda i: cycles[i] / shares[i])
        shares[slowest] += 1
    return shares


def _add(levels: dict[str, float], more: Mapping[str, float], times: int) -> None:
    for name, energy in more.items():
        levels[name] = levels.get(name, 0.0) + times * energy
