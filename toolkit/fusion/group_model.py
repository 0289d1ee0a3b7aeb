"""What a partition is asked to minimise, and what a group can cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum, isfinite, prod
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from toolkit.errors import InputError
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.groups import Group, GroupView
from toolkit.fusion.tile.assumptions import Assumptions
from toolkit.fusion.tile.group_plan import GroupPlan, least_words, single_plan, streamed_plan
from toolkit.fusion.tile.identical import PlanBook

if TYPE_CHECKING:
    from toolkit.fusion.prefetch import PrefetchedNetwork

FusionObjective = Literal["dram", "energy", "latency", "edp"]
"""Words moved to and from DRAM; pJ; cycles; pJ times cycles."""


@dataclass(frozen=True)
class FusionOverhead:
    """What fusing two layers costs besides their mappings, as FA-DOSA charges a fused pair.

    A group of n layers is fused n - 1 times.

    Parameters
    ----------
    energy_pj, cycles : float
        Of each fusion; at least 0.

    Raises
    ------
    InputError
        If one is negative or no number.

    Examples
    --------
    >>> FusionOverhead(energy_pj=100.0).of(3)
    (200.0, 0.0)
    """

    energy_pj: float = 0.0
    cycles: float = 0.0

    def __post_init__(self) -> None:
        for key, value in (("energy_pj", self.energy_pj), ("cycles", self.cycles)):
            if not isfinite(value) or value < 0:
                raise InputError(f"expected a number from 0, got {value!r}", key=key)

    def of(self, layers: int) -> tuple[float, float]:
        """Energy in pJ and cycles of fusing so many layers into one group."""
        return (layers - 1) * self.energy_pj, (layers - 1) * self.cycles


@dataclass(frozen=True)
class Option:
    """One way to run a group.

    Parameters
    ----------
    costs : tuple of float
        Costs that add up over groups: one, or energy in pJ and latency in cycles for the EDP.
    plan : GroupPlan
        How.
    """

    costs: tuple[float, ...]
    plan: GroupPlan


class GroupModel(Protocol):
    """Costs of groups, remembered."""

    @property
    def graph(self) -> FoldedGraph:
        """The network."""

    @property
    def given(self) -> Assumptions:
        """What groups may do."""

    @property
    def objective(self) -> FusionObjective:
        """What is minimised."""

    @property
    def costed(self) -> int:
        """Groups costed so far."""

    @property
    def complete(self) -> bool:
        """Whether options are the best of all that a group may do, not of those tried."""

    @property
    def bound(self) -> tuple[float, ...]:
        """Costs whose objective value no partition undercuts, whatever plans and mappings."""

    def options(self, group: Group, limit: float | None = None) -> Sequence[Option]:
        """Ways to run a group, none worse than another; empty if it does not fit.

        Ways that cost `limit` or more may be left out, where there is one cost only.
        """

    def alone(self, name: str) -> Option:
        """A layer on its own, as it runs where nothing is fused."""

    def least(self, group: Group) -> tuple[float, ...]:
        """Costs that no way to run a group undercuts, wherever it stands in a larger one."""


@runtime_checkable
class LengthBounded(Protocol):
    """A model that knows more of groups that are not too long."""

    def bound_within(self, most_layers: int) -> tuple[float, ...] | None:
        """Costs whose objective value no partition into such groups undercuts, if known."""


@runtime_checkable
class Resizable(Protocol):
    """A model that can tell what groups would cost with more room, as reasons ask."""

    def with_capacity(self, words: int) -> GroupModel:
        """The same with another capacity of the fusion level; layers on their own stay."""

    def refusal(self, group: Group) -> str | None:
        """Which layer of a group cannot run in any of its plans, and why; None if all can."""


@runtime_checkable
class Sequenced(Protocol):
    """A model that can tell what groups that follow each other hide under each other."""

    def in_sequence(self, options: Sequence[Option]) -> PrefetchedNetwork | None:
        """The groups of a partition in their best order; None if nothing is to be hidden."""


def whole_words(graph: FoldedGraph) -> int:
    """Room in which any group runs in one step: all tensors and weights, and a further copy."""
    words = sum(t.elements for layer in graph.layers for t in (*layer.inputs, layer.output))
    return 2 * (words + graph.weight_words + graph.constant_words) + 1


def resized(given: Assumptions, words: int) -> Assumptions:
    """The same with another capacity of the fusion level."""
    outer = given.outer and replace(given.outer, capacity_words=words)
    return replace(given, capacity_words=words, outer=outer)


def value_of(costs: Sequence[float]) -> float:
    """The objective value of total costs: the cost, or the product of both."""
    return prod(costs)


class TrafficModel:
    """Groups at the DRAM traffic that the capacity allows, layers on their own, too.

    Parameters
    ----------
    graph : FoldedGraph
        The network.
    given : Assumptions
        What groups may do.
    """

    objective: FusionObjective = "dram"

    def __init__(self, graph: FoldedGraph, given: Assumptions) -> None:
        self.graph = graph
        self.given = given
        self._plans = PlanBook(given)
        self._known: dict[Group, tuple[Option, ...]] = {}
        self._refused: dict[Group, float] = {}

    @property
    def complete(self) -> bool:
        """Whether all plans found so far were proved to be the best of their groups."""
        return self._plans.exact

    @property
    def costed(self) -> int:
        """Groups costed so far."""
        return len(self._known) + len(self._refused)

    def options(self, group: Group, limit: float | None = None) -> tuple[Option, ...]:
        """The plan with the least traffic, if any fits and moves fewer words than `limit`."""
        if group in self._known:
            return self._known[group]
        if limit is not None and limit <= self._refused.get(group, -1.0):
            return ()
        plan = self._plan(group, limit)
        if plan is None and limit is not None:
            self._refused[group] = limit
            return ()
        self._refused.pop(group, None)
        self._known[group] = () if plan is None else (Option((float(plan.dram_words),), plan),)
        return self._known[group]

    def _plan(self, group: Group, limit: float | None) -> GroupPlan | None:
        view = GroupView(self.graph, group)
        if len(group) > 1:
            return self._plans.best(view, limit)
        # A layer on its own always runs.
        return self._plans.best(view) or streamed_plan(self.graph, view.layers[0].name)

    def proved(self, group: Group) -> Option:
        """What no plan of a group undercuts, as far as plans were looked at."""
        view = GroupView(self.graph, group)
        least = self._plans.least(view)
        if least is None:
            least = least_words(view)
        if len(group) == 1:
            least = min(least, self.alone(view.layers[0].name).plan.dram_words)
        plan = replace(single_plan(self.graph, view.layers[0].name), group=group)
        return Option((float(least),), plan)

    def alone(self, name: str) -> Option:
        """A layer on its own."""
        (option,) = self.options(frozenset((name,)))
        return option

    @property
    def bound(self) -> tuple[float, ...]:
        """Compulsory words of the network."""
        return self.least(frozenset(self.graph.names))

    def with_capacity(self, words: int) -> TrafficModel:
        """The same with another capacity of the fusion level."""
        return TrafficModel(self.graph, resized(self.given, words))

    def refusal(self, group: Group) -> str | None:
        """None: traffic asks for no mapping."""
        return None

    def least(self, group: Group) -> tuple[float, ...]:
        """Compulsory words of the group."""
        return (float(least_words(GroupView(self.graph, group))),)


class ProvedTraffic:
    """A traffic model at what its groups are proved to move at least.

    Parameters
    ----------
    model : TrafficModel
        Whose plans were looked at.
    """

    objective: FusionObjective = "dram"
    complete = True

    def __init__(self, model: TrafficModel) -> None:
        self._model = model
        self.graph, self.given = model.graph, model.given
        self.costed, self.bound = model.costed, model.bound
        self._known: dict[Group, Option] = {}

    def options(self, group: Group, limit: float | None = None) -> tuple[Option, ...]:
        """Its proved least."""
        if group not in self._known:
            self._known[group] = self._model.proved(group)
        return (self._known[group],)

    def alone(self, name: str) -> Option:
        """The proved least of a layer on its own."""
        return self.options(frozenset((name,)))[0]

    def least(self, group: Group) -> tuple[float, ...]:
        """Compulsory words of the group."""
        return self._model.least(group)


def unfused(model: GroupModel) -> tuple[Option, ...]:
    """Every layer on its own, as it runs where nothing is fused."""
    return tuple(model.alone(name) for name in model.graph.names)


def total_costs(options: Sequence[Option]) -> tuple[float, ...]:
    """Sum costs over groups; the order of these does not matter."""
    return tuple(fsum(column) for column in zip(*(o.costs for o in options), strict=True))
