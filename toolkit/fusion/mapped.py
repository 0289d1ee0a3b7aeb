"""Groups at the cost of their layers' mappings: energy and latency."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.errors import DoesNotFitError, InputError
from toolkit.fusion.dram_port import DramPort, PortWords
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.group_model import FusionObjective, FusionOverhead, Option, resized
from toolkit.fusion.groups import Group, GroupView
from toolkit.fusion.layer_costs import NOT_FUSED, LayerCosts
from toolkit.fusion.mapped_bound import MappedBound
from toolkit.fusion.needed import needed_shares
from toolkit.fusion.part_bounds import PartBounds
from toolkit.fusion.passing import passed_by, weights_kept
from toolkit.fusion.plan_cost import GroupCost, PlanCosts
from toolkit.fusion.prefetch import PrefetchedNetwork, Running, prefetch
from toolkit.fusion.tile.assumptions import HALOS, Assumptions, Halo, Schedule
from toolkit.fusion.tile.group_plan import GroupPlan, least_words, single_plan
from toolkit.fusion.tile.identical import PlanBook
from toolkit.fusion.tile.residency import Home, capacity_words, fusion_level, fusion_levels
from toolkit.processes import Jobs
from toolkit.search.network import LayerSearch

MAPPED_LOOPS, MAPPED_NESTS = 3, 100
"""Of nests whose parts are mapped: all of three loops over five ranks, such as those of attention.
Further loops hardly change what is mapped."""

SHARES = (1.0, 0.5)
"""Parts of the fusion level within which traffic is made least, before tiles grow into all of it:
less of it leaves room for larger parts of what is summed over, which the array runs faster."""

STEPS = (4, 8)
"""Of further plans, where those of the fewest words have fewer: in a single step, layers wait for
what they read first, and DRAM for the last of them."""

PROOF_SECONDS = 4.0
"""Limit of each proof by default: what is left open then is mostly a fraction of a percent."""


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
    loops : int
        Most loops of a group's nest.
    halos : tuple of Halo
        Ways to treat a halo.
    search : LayerSearch, optional
        How layers on their own and parts of fused ones are mapped alike; as `toolkit.map_network`
        maps them by default.
    proof_seconds : float
        Limit of each proof behind `bound`, of which there is one for every layer that differs; 0
        for a bound without any.
    overhead : FusionOverhead
        What fusing costs besides.
    prefetch : bool
        Whether partitions that are found hide first loads and last stores of their groups under
        neighbouring ones (`toolkit.fusion.prefetch`). The search itself adds up groups that run
        one after the other, which is what the result costs at most.
    cache : bool or path-like
        Where mappings are kept between runs.
    costs : LayerCosts, optional
        What maps parts instead of `search`.
    jobs : int or Cluster
        Processes in which parts are mapped side by side; results do not depend on it, unless
        proofs are cut short.

    Raises
    ------
    ArchitectureError
        If there is no such fusion level.
    InputError
        If the objective is unknown, the values of a layer have bits, the outermost memory
        moves bursts, or conventions of a steady state are to prefetch what they hide already.
    """

    complete = False

    def __init__(
        self,
        graph: FoldedGraph,
        arch: Architecture,
        *,
        objective: FusionObjective = "edp",
        level: str | None = None,
        schedule: Schedule = "time-shared",
        loops: int = MAPPED_LOOPS,
        halos: tuple[Halo, ...] = HALOS,
        search: LayerSearch | None = None,
        proof_seconds: float = PROOF_SECONDS,
        overhead: FusionOverhead = FusionOverhead(),  # noqa: B008 - it is frozen
        prefetch: bool = False,
        cache: bool | str | os.PathLike[str] = True,
        costs: LayerCosts | None = None,
        jobs: Jobs = 1,
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
        self.prefetch = prefetch
        inner = tuple(
            Home.of(other, capacity_words(other, most))
            for other in (fusion_levels(arch)[1:] if level is None else ())
        )
        self.given = Assumptions(
            capacity,
            loops,
            MAPPED_NESTS,
            halos,
            schedule,
            weights_stay="weight" not in memory.bypasses,
            inner=inner,
            outer=Home.of(memory, capacity) if inner else None,
        )
        self.costs = LayerCosts(arch, search, cache=cache, jobs=jobs) if costs is None else costs
        port = DramPort.of(arch, self.costs.search.conventions)
        self.pricing = PlanCosts(graph, memory, self.given, self.costs, port, overhead)
        if prefetch and not port.conventions.first_and_last:
            raise InputError(
                f"{port.conventions.name} conventions take first loads and last stores for "
                "hidden already; expected exact ones",
                key="prefetch",
            )
        self._books = _plan_books(self.given, memory, objective)
        places = (memory.name, *(home.name for home in inner))
        made = needed_shares(graph)
        self.bounds = PartBounds(self.costs, places, seconds=proof_seconds, made=made)
        self._bound = self._proofs()
        self._known: dict[Group, tuple[Option, ...]] = {}
        self._alone: dict[str, Option] = {}
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

    def alone(self, name: str) -> Option:
        """A layer on its own, as `toolkit.map_network` runs it."""
        if name not in self._alone:
            if not self._alone:  # Whoever asks for one will ask for all.
                self.costs.prepare((layer, (), NOT_FUSED) for layer in self.graph.layers)
            self._alone[name] = self._option(self.cost(single_plan(self.graph, name)))
        return self._alone[name]

    def with_capacity(self, words: int) -> MappedModel:
        """The same with another capacity of the fusion level for what groups keep there.

        Mappings stay as they are known, also those of layers on their own.
        """
        other = copy.copy(self)
        other.given = resized(self.given, words)
        other.pricing = replace(self.pricing, given=other.given)
        other._books = _plan_books(other.given, self.memory, self.objective)
        other._bound = other._proofs()
        other._known, other._refusals = {}, {}
        return other

    def _proofs(self) -> MappedBound:
        # The others have fewer plans.
        books = [book for book in self._books if book.share == 1 and book.given.sums_cut]
        return MappedBound(
            self.graph,
            self.given,
            self.objective,
            self.memory,
            self.overhead,
            self.bounds,
            books,
            prefetch=self.prefetch,
        )

    def refusal(self, group: Group) -> str | None:
        """Which layer of a group could not be mapped in any of its plans, and why."""
        return None if self.options(group) else self._refusals.get(group)

    def least(self, group: Group) -> tuple[float, ...]:
        """Compulsory traffic, and the work of the lanes; see `toolkit.model.floor`.

        Without the overhead of fusing, as the layers may run on their own.
        """
        return self._bound.least(group)

    @property
    def bound(self) -> tuple[float, ...]:
        """Costs whose objective value nothing undercuts; see `partition_bound`.

        It speaks of all partitions, all plans that `tile.choice` describes and all mappings, those
        that are not looked at included. Without proofs, where there are too many down-sets, or
        where groups hide cycles under each other, words that pass the outermost memory count once
        each.
        """
        return self._bound.within(len(self.graph)) or self._bound.compulsory()

    def bound_within(self, most_layers: int) -> tuple[float, ...] | None:
        """The same of groups of limited length; None without proofs or with too many down-sets."""
        return self._bound.within(most_layers)

    def cost(self, plan: GroupPlan) -> GroupCost:
        """Cost a plan: parts of all layers, transfers to and from DRAM, latency."""
        return self.pricing.cost(plan)

    def in_sequence(self, options: Sequence[Option]) -> PrefetchedNetwork | None:
        """What the groups of a partition hide under each other; None without `prefetch`."""
        if not self.prefetch:
            return None
        return prefetch(self.graph, self.pricing.port, [self._running(o.plan) for o in options])

    def _running(self, plan: GroupPlan) -> Running:
        cost = self.cost(plan)
        if cost.work is not None:
            room, moved = self.given.capacity_words - plan.peak_words, cost.work.latency().moved
            return Running(plan.group, cost.latency_cycles, moved, room, cost.work)
        (name,) = plan.group
        held = self.costs.held_words(self.graph.layer_of(name).whole, self.memory)
        words = cost.plan
        moved = PortWords(words.input_words, words.output_words, words.weight_words)
        room = 0 if held is None else max(self.given.capacity_words - held, 0)
        return Running(plan.group, cost.latency_cycles, moved, room)

    def _options(self, group: Group) -> tuple[Option, ...]:
        view, options = GroupView(self.graph, group), list[Option]()
        if len(group) == 1:
            (layer,), found = view.layers, list[GroupPlan]()
            options.append(self.alone(layer.name))
            if self.costs.laid_out(layer):
                found = self._plans(view)
        else:
            apart = sum(single_plan(self.graph, layer.name).dram_words for layer in view.layers)
            found = self._plans(view, apart)
        self.pricing.prepare(found)
        options += [option for plan in found for option in self._mappable(plan)]
        return tuple(
            option
            for i, option in enumerate(options)
            if not any(_dominates(other, option, j < i) for j, other in enumerate(options))
        )

    def _plans(self, view: GroupView, limit: float | None = None) -> list[GroupPlan]:
        """Plans worth mapping, each once."""
        found: dict[object, GroupPlan] = {}
        for book in self._books:
            if _is_asked(book, view, list(found.values())):
                plan = book.best(view, limit)
                if plan is not None:
                    found.setdefault((plan.loops, plan.kept, tuple(plan.homes.items())), plan)
        return list(found.values())

    def _mappable(self, plan: GroupPlan) -> Iterator[Option]:
        """Options of a plan, and of what mappings make better; none where there is no mapping."""
        changes = (None, self._weights_stay, self._pass_by)
        for change in changes if plan.double_buffered else changes[:1]:
            changed = plan if change is None else change(plan)
            if changed is None:
                continue
            try:
                yield self._option(self.cost(changed))
            except DoesNotFitError as cause:
                self._refusals.setdefault(plan.group, str(cause))
                if change is None:
                    return
            else:
                plan = changed

    def _weights_stay(self, plan: GroupPlan) -> GroupPlan | None:
        """Keep weights that mappings read several times, where there is room for all of them."""
        read: dict[str, int] = {}
        for layer, part, homes, times in (
            self.pricing.parts(plan) if self.given.weights_stay else ()
        ):
            words = self.costs.cost(layer, part, homes).words["weight"]
            read[layer.name] = read.get(layer.name, 0) + times * words
        return weights_kept(plan, self.graph, self.given, read)

    def _pass_by(self, plan: GroupPlan) -> GroupPlan | None:
        """Let activations pass by the fusion level where its wires let them."""
        return passed_by(plan, self.graph, self.given, self.memory.may_bypass)

    def _option(self, cost: GroupCost) -> Option:
        if self.objective == "edp":
            return Option((cost.energy_pj, cost.latency_cycles), cost.plan)
        values = {
            "dram": float(cost.plan.dram_words),
            "energy": cost.energy_pj,
            "latency": cost.latency_cycles,
        }
        return Option((values[self.objective],), cost.plan)


def _plan_books(given: Assumptions, memory: Memory, objective: FusionObjective) -> list[PlanBook]:
    """Where plans worth mapping come from, with and without memories inside the fusion level.

    Sums that go on from step to step are not worth it where as few words move without. Tiles that
    are held once leave room for larger ones, where not all words move once without. In more steps
    less is waited for at both ends. Where wires lead past the level, there are also plans that set
    no room aside for what may take them.
    """
    alone = replace(given, inner=(), outer=None)
    ways = (given, alone) if given.inner else (given,)
    books = [PlanBook(way, share) for way in ways for share in SHARES]
    books += [PlanBook(replace(way, sums_cut=False)) for way in ways]
    if given.schedule == "time-shared":
        books += [PlanBook(replace(way, double_buffered=False)) for way in ways]
    if objective in ("latency", "edp"):
        finer = replace(alone, sums_cut=False, weights_cut=False)
        books += [PlanBook(replace(finer, least_steps=steps)) for steps in STEPS]
    past = tuple(role for role in ("input", "output") if role in memory.may_bypass)
    return [*books, PlanBook(replace(alone, pass_by=past))] if past else books


def _is_asked(book: PlanBook, view: GroupView, found: Sequence[GroupPlan]) -> bool:
    """Whether the plans of a book may be worth mapping beside those that are found."""
    given = book.given
    if given.pass_by and len(view.group) == 1:
        return False
    if not found or any(loop.sums for plan in found for loop in plan.loops):
        return True
    if given.least_steps > 1:
        return all(plan.steps < given.least_steps for plan in found)
    if not given.double_buffered:
        return all(plan.dram_words > least_words(view) for plan in found)
    return book.share == 1 and given.sums_cut


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
