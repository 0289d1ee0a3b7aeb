"""Groups at the cost of their layers' mappings: energy and latency."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import fsum

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.errors import DoesNotFitError, InputError
from toolkit.fusion.folded import FoldedGraph, FoldedLayer
from toolkit.fusion.group_model import FusionObjective, FusionOverhead, Option, resized
from toolkit.fusion.groups import Group, GroupView
from toolkit.fusion.layer_costs import NOT_FUSED, TILE_SEARCH, LayerCosts, Part, PartCost
from toolkit.fusion.tile.choice import plans
from toolkit.fusion.tile.group_plan import Assumptions, GroupPlan, single_plan
from toolkit.fusion.tile.residency import Home, Homes, capacity_words, fusion_level, fusion_levels
from toolkit.fusion.tile.tiling import Halo, Schedule
from toolkit.model.plan import port_cycles
from toolkit.search.network import LayerSearch
from toolkit.workload.kernel import Role

_SAFE = 1 - 1e-9
"""Keeps bounds below what sums of floats may round off."""

OVERHEAD = "fusion overhead"
"""What `FusionOverhead` costs in energy, beside the levels."""

TILE_SIZES = 10
"""Tile sizes that are looked at per axis: each costs searches of its own."""


@dataclass(frozen=True)
class GroupCost:
    """What a group costs under a plan.

    Parameters
    ----------
    levels : mapping of str to float
        Energy in pJ by level, of the vector unit and, where that costs any, of fusing.
    latency_cycles : float
        Of all steps, with the first load, the last store and what fusing takes.
    compute_cycles : float
        Of the layers, if nothing but what is on chip held them up.
    dram_cycles : float
        That the outermost memory's port is busy.
    plan : GroupPlan
        With the traffic that the mappings cause.
    """

    levels: Mapping[str, float]
    latency_cycles: float
    compute_cycles: float
    dram_cycles: float
    plan: GroupPlan

    @property
    def energy_pj(self) -> float:
        """Energy of all levels."""
        return fsum(self.levels.values())


class MappedModel:
    """Groups costed by mapping every part of every layer.

    Parameters
    ----------
    graph : FoldedGraph
        The network.
    arch : Architecture
        What it runs on.
    objective : {"dram", "energy", "latency", "edp"}
        What is minimised.
    level : str, optional
        The fusion level, which alone is used then. By default it is the outermost memory that
        can be one, and tensors between layers may wait on those inside it, too.
    schedule : {"time-shared", "pipelined"}
        How the layers of a group share the array.
    axes : int
        Axes that a tile may be cut along, at most.
    halos : tuple of Halo
        Ways to treat a halo.
    search : LayerSearch
        How parts of layers are mapped.
    overhead : FusionOverhead
        What fusing costs besides.
    cache : bool or path-like
        Where mappings are kept between runs.

    Raises
    ------
    ArchitectureError
        If there is no such fusion level.
    InputError
        If the objective is unknown, the values of a layer have bits, or the outermost memory
        moves bursts.
    """

    def __init__(
        self,
        graph: FoldedGraph,
        arch: Architecture,
        *,
        objective: FusionObjective = "edp",
        level: str | None = None,
        schedule: Schedule = "time-shared",
        axes: int = 2,
        halos: tuple[Halo, ...] = ("retain", "mixed", "recompute"),
        search: LayerSearch = TILE_SEARCH,
        overhead: FusionOverhead = FusionOverhead(),  # noqa: B008 - it is frozen
        cache: bool | str | os.PathLike[str] = True,
    ) -> None:
        if objective not in ("dram", "energy", "latency", "edp"):
            raise InputError(
                f"expected dram, energy, latency or edp, got {objective!r}", key="objective"
            )
        _check_words(graph, arch)
        memory = fusion_level(arch, level)
        most = sum(t.elements for la in graph.layers for t in (*la.inputs, la.output))
        capacity = capacity_words(memory, most + graph.weight_words)
        self.graph = graph
        self.arch = arch
        self.memory = memory
        self.objective = objective
        self.overhead = overhead
        inner = tuple(
            Home.of(other, capacity_words(other, most))
            for other in (fusion_levels(arch)[1:] if level is None else ())
        )
        self.given = Assumptions(
            capacity,
            axes,
            halos,
            schedule,
            weights_stay="weight" not in memory.bypasses,
            inner=inner,
            outer=Home.of(memory, capacity) if inner else None,
        )
        self.costs = LayerCosts(arch, search, cache=cache)
        self._known: dict[Group, tuple[Option, ...]] = {}
        self._refusals: dict[Group, str] = {}

    @property
    def costed(self) -> int:
        """Groups costed so far."""
        return len(self._known)

    def options(self, group: Group, limit: float | None = None) -> tuple[Option, ...]:
        """Ways to run a group, none worse than another.

        Plans that move no fewer words than its layers would on their own, each tensor once, are
        not looked at.
        """
        if group not in self._known:
            self._known[group] = self._options(group)
        return self._known[group]

    def with_capacity(self, words: int) -> MappedModel:
        """The same with another capacity of the fusion level for what groups keep there.

        Mappings stay as they are known, also those of layers on their own.
        """
        other = copy.copy(self)
        other.given = resized(self.given, words)
        other._known, other._refusals = {}, {}
        return other

    def refusal(self, group: Group) -> str | None:
        """Which layer of a group could not be mapped in any of its plans, and why."""
        return None if self.options(group) else self._refusals.get(group)

    def least(self, group: Group) -> tuple[float, ...]:
        """Compulsory traffic, and the work of the lanes; see `toolkit.model.floor`.

        Without the overhead of fusing, as the layers may run on their own.
        """
        view = GroupView(self.graph, group)
        dram = self._dram
        read = sum(tensor.elements for tensor in view.external)
        read += sum(layer.weight_words + layer.constant_words for layer in view.layers)
        written = sum(tensor.elements for tensor in view.leaving)
        if self.objective == "dram":
            return (float(read + written),)
        energies, cycles = zip(*(self.costs.least(layer) for layer in view.layers), strict=True)
        moved = read * dram.read_energy_pj + written * dram.write_energy_pj
        costs = {
            "energy": _SAFE * (moved + fsum(energies)),
            "latency": _SAFE * max(fsum(cycles), self._port_cycles(read, written)),
        }
        if self.objective == "edp":
            return costs["energy"], costs["latency"]
        return (costs[self.objective],)

    def cost(self, plan: GroupPlan) -> GroupCost:
        """Cost a plan: parts of all layers, transfers to and from DRAM, latency."""
        if not plan.staged:
            return self._single(plan)
        levels: dict[str, float] = {}
        weight_words, spent = 0, dict[str, float]()
        for layer, part, homes, times in self.parts(plan):
            cost = self.costs.cost(layer, part, homes)
            _add(levels, cost.levels, times)
            spent[layer.name] = spent.get(layer.name, 0.0) + times * cost.latency_cycles
            weight_words += times * cost.words["weight"]
        cycles = list(spent.values())
        weight_words += plan.resident_words
        plan = replace(plan, weight_words=weight_words)
        _add(levels, self._transfers(plan), 1)
        dram = self._port_cycles(plan.input_words + weight_words, plan.output_words)
        first = self._port_cycles(plan.first_words, 0)
        last = self._port_cycles(0, plan.last_words)
        compute = self._compute_cycles(cycles, plan)
        fusing_pj, fusing_cycles = self.overhead.of(len(plan.group))
        if fusing_pj:
            levels[OVERHEAD] = fusing_pj
        latency = max(compute, dram) + first + last + fusing_cycles
        return GroupCost(levels, latency, compute, dram, plan)

    def parts(self, plan: GroupPlan) -> Iterator[tuple[FoldedLayer, Part, Homes, int]]:
        """Yield what a plan runs: parts of layers, where their operands are, how often."""
        for layer in GroupView(self.graph, plan.group).layers:
            homes = self._homes(layer, plan) if plan.staged else NOT_FUSED
            for part, times in plan.made[layer.name].items():
                yield layer, part, homes, times

    def _options(self, group: Group) -> tuple[Option, ...]:
        view = GroupView(self.graph, group)
        if len(group) == 1:
            found = [single_plan(self.graph, view.layers[0].name)]
            if self.costs.laid_out(view.layers[0]):
                found += plans(view, self.given, most_sizes=TILE_SIZES)
        else:
            apart = sum(single_plan(self.graph, layer.name).dram_words for layer in view.layers)
            found = plans(view, self.given, apart, most_sizes=TILE_SIZES)
            if self.given.inner:
                alone = replace(self.given, inner=(), outer=None)
                found += plans(view, alone, apart, most_sizes=TILE_SIZES)
        options = [option for plan in found for option in self._mappable(plan)]
        return tuple(
            option
            for i, option in enumerate(options)
            if not any(_dominates(other, option, j < i) for j, other in enumerate(options))
        )

    def _mappable(self, plan: GroupPlan) -> Iterator[Option]:
        """The option of a plan, unless some part of a layer has no mapping."""
        try:
            yield self._option(self.cost(plan))
        except DoesNotFitError as cause:
            # A layer on its own has to run; there the message is for the user.
            if not plan.staged:
                raise
            self._refusals[plan.group] = str(cause)

    def _option(self, cost: GroupCost) -> Option:
        if self.objective == "edp":
            return Option((cost.energy_pj, cost.latency_cycles), cost.plan)
        values = {
            "dram": float(cost.plan.dram_words),
            "energy": cost.energy_pj,
            "latency": cost.latency_cycles,
        }
        return Option((values[self.objective],), cost.plan)

    def _single(self, plan: GroupPlan) -> GroupCost:
        (name,) = plan.group
        layer = self.graph.layer_of(name)
        cost: PartCost = self.costs.cost(layer, (), NOT_FUSED)
        moved = replace(
            plan,
            input_words=cost.words["input"],
            output_words=cost.words["output"],
            weight_words=cost.words["weight"],
        )
        read = cost.words["input"] + cost.words["weight"]
        dram = self._port_cycles(read, cost.words["output"])
        return GroupCost(cost.levels, cost.latency_cycles, cost.latency_cycles, dram, moved)

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
        levels: list[tuple[Role, str]] = [("input", read), ("output", made)]
        if layer.name in plan.resident:
            levels.append(("weight", self.memory.name))
        elif not layer.weight_words:
            levels.append(("weight", read))
        return Homes(tuple(levels), tuple(used))

    def _transfers(self, plan: GroupPlan) -> dict[str, float]:
        """Energy of words between DRAM and the fusion level, which mappings do not see."""
        dram, memory = self._dram, self.memory
        loaded = plan.input_words + plan.resident_words
        return {
            dram.name: loaded * dram.read_energy_pj + plan.output_words * dram.write_energy_pj,
            memory.name: loaded * memory.write_energy_pj
            + plan.output_words * memory.read_energy_pj,
        }

    def _compute_cycles(self, cycles: list[float], plan: GroupPlan) -> float:
        """Cycles of the layers, in turns or side by side on shares of the outermost fanout."""
        if self.given.schedule == "time-shared":
            return sum(cycles)
        mesh = self.arch.fanouts[0].mesh if self.arch.fanouts else 1
        if mesh < len(cycles) or not sum(cycles):
            return sum(cycles)
        slowest = max(
            spent * mesh / instances
            for spent, instances in zip(cycles, _shares(cycles, mesh), strict=True)
        )
        return (plan.steps + len(cycles) - 1) * slowest / plan.steps

    @property
    def _dram(self) -> Memory:
        return self.arch.memories[0]

    def _port_cycles(self, read: float, written: float) -> float:
        words = {"reads": read, "updates": written}
        return port_cycles(self._dram, self.costs.search.conventions, words)


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


def _dominates(a: Option, b: Option, first: bool) -> bool:
    """Whether a is as good as b everywhere, and better somewhere or listed first."""
    if any(x > y for x, y in zip(a.costs, b.costs, strict=True)):
        return False
    return a.costs != b.costs or first


def _check_words(graph: FoldedGraph, arch: Architecture) -> None:
    """Refuse layers whose values have bits, and bursts: what fused layers move counts in words."""
    dram = arch.memories[0]
    if dram.burst_words > 1:
        raise InputError(
            f"{dram.name} of {arch.name} has bursts of {dram.burst_words} words, but fusion "
            "counts the words of a tile alone; expected no bursts",
            key="levels[0].burst_words",
        )
    for folded in graph.layers:
        workload = folded.layer.workload
        for tensor in workload.tensors if workload is not None else ():
            if tensor.bits is not None:
                raise InputError(
                    f"its {tensor.name} has {tensor.bits} bits, but fusion counts a word for "
                    "every value; expected a workload without bits",
                    key=f"layer {folded.name}",
                )
