"""Rounded mappings of a layer, costed by the true model, on any hardware of the same levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolkit.errors import ToolkitError
from toolkit.mapping.bypasses import arch_with_holds, held, with_bypass_rule, with_holds
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray, Mapping, from_arrays
from toolkit.model.cost import batch_cost
from toolkit.search.gradient.tilings import RoundedTilings, Tilings
from toolkit.search.problem import Problem


@dataclass(frozen=True, eq=False)
class Candidate:
    """One rounded mapping.

    Parameters
    ----------
    factors, order : int64 array, shape (levels, dimensions)
        Iterations and loop orders.
    held : bool array, shape (memories, tensors)
        Which memory holds which tensor.
    """

    factors: IntArray
    order: IntArray
    held: BoolArray

    def mapping(self, problem: Problem) -> Mapping:
        """Write it for the architecture of a problem."""
        plain = from_arrays(self.factors, self.order, problem.arch, problem.workload)
        return with_holds(plain, self.held, problem.arch, problem.workload)


@dataclass(frozen=True, eq=False)
class CandidateCosts:
    """What mappings cost; float64 arrays of shape (candidates,), inf where one is not valid."""

    objective: FloatArray
    energy_pj: FloatArray
    latency_cycles: FloatArray


def candidates(tilings: Tilings, found: RoundedTilings, layer: int) -> list[Candidate]:
    """Valid mappings of one layer of a module, each once."""
    listed: dict[bytes, Candidate] = {}
    for row in range(layer * tilings.starts, (layer + 1) * tilings.starts):
        if found.valid[row]:
            own = tilings.alternatives.problems[found.choice[row]][layer]
            kept = held(own.arch, own.workload)
            one = Candidate(found.factors[row], found.order[row], kept)
            key = one.factors.tobytes() + one.order.tobytes() + kept.tobytes()
            listed.setdefault(key, one)
    return list(listed.values())


def score(problem: Problem, found: Sequence[Candidate]) -> CandidateCosts:
    """Cost mappings by the true model, on the architecture of a problem."""
    costs = np.full((3, len(found)), np.inf)
    groups: dict[bytes, list[int]] = {}
    for place, one in enumerate(found):
        groups.setdefault(one.held.tobytes(), []).append(place)
    for places in groups.values():
        own = _holding(problem, found[places[0]].held)
        if own is None:
            continue
        factors = np.stack([found[place].factors for place in places])
        order = np.stack([found[place].order for place in places])
        rows = np.flatnonzero(own.space.check(factors, order))
        if len(rows):
            cost = batch_cost(own.plan, factors[rows].astype(np.float64), order[rows])
            places_of = np.array(places)[rows]
            spent = cost.energy_pj, cost.latency_cycles
            costs[0, places_of] = problem.objective.value(*spent, cost.utilization)
            costs[1:, places_of] = spent
    return CandidateCosts(*costs)


def _holding(problem: Problem, kept: BoolArray) -> Problem | None:
    """State the problem of mappings that hold tensors so; None if that is not permitted."""
    if (kept == held(problem.arch, problem.workload)).all():
        return problem
    try:
        arch = arch_with_holds(problem.arch, problem.workload, kept)
    except ToolkitError:
        return None
    return replace(problem, arch=with_bypass_rule(arch, "fixed"))
