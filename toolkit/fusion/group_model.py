"""What a partition is asked to minimise, and what a group can cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, prod
from typing import Literal, Protocol

from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.groups import Group, GroupView
from toolkit.fusion.tile.group_plan import Assumptions, GroupPlan, least_words, single_plan
from toolkit.fusion.tile.identical import PlanBook

FusionObjective = Literal["dram", "energy", "latency", "edp"]
"""Words moved to and from DRAM; pJ; cycles; pJ times cycles."""


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
        """Costs that no partition into groups undercuts, whatever plans and mappings they have."""

    def options(self, group: Group, limit: float | None = None) -> Sequence[Option]:
        """Ways to run a group, none worse than another; empty if it does not fit.

        Ways that cost `limit` or more may be left out, where there is one cost only.
        """

    def alone(self, name: str) -> Option:
        """A layer on its own, as it runs where nothing is fused."""

    def least(self, group: Group) -> tuple[float, ...]:
        """Costs that no way to run a group undercuts, wherever it stands in a larger one."""


def value_of(costs: Sequence[float]) -> float:
    """The objective value of total costs: the cost, or the product of both."""
    return prod(costs)


class TrafficModel:
    """Groups at their DRAM traffic, single layers at their compulsory traffic.

    Parameters
    ----------
    graph : FoldedGraph
        The network.
    given : Assumptions
        What groups may do.
    """

    objective: FusionObjective = "dram"
    complete = True

    def __init__(self, graph: FoldedGraph, given: Assumptions) -> None:
        self.graph = graph
        self.given = given
        self._plans = PlanBook(given)
        self._known: dict[Group, tuple[Option, ...]] = {}
        self._refused: dict[Group, float] = {}

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
        return self._plans.best(view) or single_plan(self.graph, view.layers[0].name)

    def alone(self, name: str) -> Option:
        """A layer on its own."""
        (option,) = self.options(frozenset((name,)))
        return option

    @property
    def bound(self) -> tuple[float, ...]:
        """Compulsory words of the network."""
        return self.least(frozenset(self.graph.names))

    def least(self, group: Group) -> tuple[float, ...]:
        """Compulsory words of the group."""
        return (float(least_words(GroupView(self.graph, group))),)


def unfused(model: GroupModel) -> tuple[Option, ...]:
    """Every layer on its own, as it runs where nothing is fused."""
    return tuple(model.alone(name) for name in model.graph.names)


def total_costs(options: Sequence[Option]) -> tuple[float, ...]:
    """Sum costs over groups; the order of these does not matter."""
    return tuple(fsum(column) for column in zip(*(o.costs for o in options), strict=True))
