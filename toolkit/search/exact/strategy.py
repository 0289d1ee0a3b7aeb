"""Branches in the order of their bounds, until none may hold anything better."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np

from toolkit.errors import DoesNotFitError, InputError
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.search.evaluator import Evaluator, checked_cost
from toolkit.search.exact.branch import MOST_STATES, Branch, Ends, LabelSearch
from toolkit.search.exact.extents import reachable
from toolkit.search.exact.nest import NOWHERE, Nest, window_plan
from toolkit.search.exact.spatial import compulsory_energy_pj, each_spatial_choice, lanes_bound
from toolkit.search.exact.spatial_factors import Spatial
from toolkit.search.greedy import descents
from toolkit.search.result import Certificate

ROUNDING = 1e-12
"""Relative difference below which two values count as the same."""
DOUBT = 1e-9
"""Relative difference of two ways to compute a cost that cannot be rounding."""
AT_ONCE = 4
"""Choices of spatial factors solved at once, whatever the number of threads, so that results do
not depend on that."""
MANY_LABELS = 1 << 19
"""Labels of a branch after which better values are settled first."""
NOTHING = 1e-9
"""Share of the best value below which a bound says nothing, such as one of free energy."""
SHARES = 0.1, 0.2, 0.35, 0.5, 0.65, 0.8
"""Parts of the way from a branch's bound to the best value, in logarithms, settled one by one."""
DESCENTS = (0.5, 0.1)
"""Parts of the seconds, where these are the only limit: after which descents are tried, and how
long."""


class Prover:
    """Proves the optimum of one problem; the evaluator sees every mapping that may be best.

    Parameters
    ----------
    evaluator : Evaluator
        Of the problem; its front, if the objective asks for one, ends complete.

    Raises
    ------
    InputError
        If the objective is a function or falls where energy or latency rises, or the
        conventions are not covered.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        problem = evaluator.problem
        if problem.objective.function is not None:
            raise InputError(
                f"{problem.objective} is a Python function, of which nothing can be proved; "
                "expected an objective such as edp or energy*latency^2",
                key="objective",
            )
        if min(problem.objective.powers[:2]) < 0:
            raise InputError(
                f"{problem.objective} falls where energy or latency rises, of which nothing can "
                "be proved; expected powers of energy and latency of at least 0",
                key="objective",
            )
        conventions = problem.conventions
        lines = [x.name for x in problem.arch.memories if x.whole_wordlines]
        lines = [conventions.name] if conventions.whole_wordlines else lines
        if conventions.transfers == "sequential" and lines:
            raise InputError(
                f"{lines[0]} has whole_wordlines with sequential transfers, whose words "
                "add up before they are rounded; expected one of them off",
                key="conventions",
            )
        self.counts = dict.fromkeys(Certificate.__dataclass_fields__, 0)
        self.unlisted = False
        budget = evaluator.budget
        self._may_descend = budget.seconds is not None and budget.evaluations is None
        self._may_descend &= not evaluator.is_part
        self.wants_front = evaluator.front is not None

    @property
    def certificate(self) -> Certificate:
        """What was looked at so far."""
        return Certificate(**self.counts)

    def run(self) -> float:
        """Search; returns a bound of the objective, the optimum itself when all is done."""
        if self.evaluator.warm_starts:
            pairs = zip(*self.evaluator.warm_starts, strict=True)
            self.evaluator.evaluate(*(np.stack(arrays) for arrays in pairs))
        branches = self._branches()
        if self.unlisted:
            self.counts["unfinished"] = len(branches) + 1
            self.find_incumbent(0.0)
            return min(self.best_value(), lanes_bound(self.evaluator.problem))
        hard: list[Branch] = []
        unfinished: list[Branch] = []
        for branch, mapping in self._shortest_paths(branches, unfinished):
            self._judge(branch, mapping, hard)
        for branch in sorted(hard, key=lambda b: b.bound):
            self.find_incumbent()
            if self.evaluator.exhausted or not self._label(branch):
                unfinished.append(branch)
        self.counts["unfinished"] = len(unfinished)
        if unfinished:
            self.find_incumbent(0.0)
        best = self.best_value()
        return min([best, *(b.bound for b in unfinished)])

    def find_incumbent(self, share: float = DESCENTS[0]) -> None:
        """Descend once, from a share of the seconds on, so that a search cut short ends well.

        Evaluations that are limited are left to the proof, which needs few.
        """
        if not self._may_descend or self.evaluator.time_share < share:
            return
        self._may_descend = False
        end = self.evaluator.time_share + DESCENTS[1]
        with suppress(DoesNotFitError):  # That they found none proves nothing.
            evaluations = self.evaluator.remaining_evaluations
            descents(self.evaluator, 0, evaluations, min(end, 1.0))

    def best_value(self) -> float:
        """Objective value of the best mapping, by the batched model; inf if there is none."""
        if self.evaluator.best is None:
            return math.inf
        problem = self.evaluator.problem
        return float(problem.objective.value(*checked_cost(problem, *self.evaluator.best)))

    def _branches(self) -> list[Branch]:
        """All choices of spatial factors with splits within bounds, by rising bound.

        Not all of them, where the time ends before.
        """
        problem = self.evaluator.problem
        found, windows = [], window_plan(problem)
        for factors in each_spatial_choice(problem.space):
            self.counts["spatial_choices"] += 1
            self.find_incumbent()
            if self.evaluator.time_share >= 1:
                self.unlisted = True
                break
            spatial = Spatial(problem, factors)
            # Before the nest, which takes ten times as long.
            if reachable(problem.space, list(problem.plan.memories), spatial) is None:
                self.counts["empty"] += 1
                continue
            nest = Nest(problem, windows, spatial)
            found.append(Branch(nest, problem.objective.powers, compulsory_energy_pj(nest)))
        return sorted(found, key=lambda b: b.bound)

    def _shortest_paths(
        self, branches: list[Branch], unfinished: list[Branch]
    ) -> Iterator[tuple[Branch, tuple[IntArray, IntArray] | None]]:
        """Solve for the least energy of every branch that may matter, a few at once."""
        with ThreadPoolExecutor(max(os.cpu_count() or 1, 1)) as pool:
            for i in range(0, len(branches), AT_ONCE):
                self.find_incumbent()
                chosen: list[Branch] = []
                for branch in branches[i : i + AT_ONCE]:
                    if self._is_beaten(branch):
                        self.counts["by_compulsory_traffic"] += 1
                    elif self.evaluator.exhausted or branch.entries(1) > MOST_STATES:
                        unfinished.append(branch)
                    else:
                        chosen.append(branch)
                yield from zip(chosen, pool.map(Branch.solve_energy, chosen), strict=True)

    @property
    def _limit(self) -> float:
        """Values from here on are no improvement."""
        return self.evaluator.best_objective * (1 - ROUNDING)

    @property
    def _front(self) -> FloatArray:
        return NOWHERE if self.evaluator.front is None else self.evaluator.front.costs

    def _is_beaten(self, branch: Branch) -> bool:
        """Whether no mapping of a branch can be better than (all of) the best so far."""
        if not self.wants_front:
            return branch.bound >= self._limit
        lower = np.array([branch.energy_pj, branch.latency_cycles]) * (1 + ROUNDING)
        return bool((self._front <= lower).all(axis=1).any())

    def _judge(
        self, branch: Branch, mapping: tuple[IntArray, IntArray] | None, hard: list[Branch]
    ) -> None:
        """Cost the mapping of least energy; a branch with that very bound is done."""
        if mapping is None:
            self.counts["empty"] += 1
            return
        self._cost(mapping, branch.bound)
        if self._is_beaten(branch):
            self.counts["by_least_energy"] += 1
        else:
            hard.append(branch)

    def _cost(
        self, mapping: tuple[IntArray, IntArray], bound: float, *, reached: bool = False
    ) -> None:
        """Evaluate a mapping, which may have to reach its bound.

        Raises
        ------
        RuntimeError
            If it is invalid, or better than the bound that was derived for it.
        """
        values = self.evaluator.evaluate(mapping[0][None], mapping[1][None])
        if len(values) and not values[0] >= bound * (1 - DOUBT):
            raise RuntimeError(
                f"a mapping has the value {values[0]} although its bound is {bound}: {mapping}"
            )
        if len(values) and reached and not values[0] <= bound * (1 + DOUBT):
            raise RuntimeError(
                f"a mapping has the value {values[0]}, not {bound} as derived: {mapping}"
            )
        if len(values) and values[0] == math.inf and bound < math.inf:
            raise RuntimeError(f"the exact search made an invalid mapping: {mapping}")

    def _label(self, branch: Branch) -> bool:
        """Search a branch for every mapping that may be better; tells if that was finished."""
        if self._is_beaten(branch):
            self.counts["by_least_energy"] += 1
            return True
        if branch.entries(1 + len(branch.nest.limits)) > 2 * MOST_STATES:
            return False
        search = LabelSearch(branch)
        branch.latency_cycles = max(branch.latency_cycles, search.least_latency)
        if self._is_beaten(branch):
            self.counts["by_least_latency"] += 1
            return True
        ends = self._all_ends(branch, search)
        self.counts["labels"] += search.labels
        self.counts["not_worthwhile"] += search.not_worthwhile
        self.counts["undercut"] += search.undercut
        if ends is None or not self._cost_ends(branch, ends):
            return False
        self.counts["by_labels"] += 1
        return True

    def _all_ends(self, branch: Branch, search: LabelSearch) -> Ends | None:
        """Find all mappings that may be better than the best so far; None if there is no time.

        Where there are many labels, first those that may be much better: few are, so that a
        search cut short raises the branch's bound by what it has settled.
        """

        def late() -> bool:
            return self.evaluator.exhausted

        if self.wants_front:
            return search.run(branch.goal(math.inf, self._front), late)
        few = search.run(branch.goal(self._limit), lambda: late() or search.labels > MANY_LABELS)
        if few is not None or late():
            return few
        limit = self._limit
        bound = max(branch.bound, limit * NOTHING)
        for share in SHARES:
            goal = bound * (limit / bound) ** share
            ends = search.run(branch.goal(goal), late)
            if ends is None:
                return None
            if len(ends.costs):
                # With these the incumbent falls, and what is worse than it does not matter.
                if not self._cost_ends(branch, ends):
                    return None
                break
            branch.settled = goal
        return search.run(branch.goal(self._limit), late)

    def _cost_ends(self, branch: Branch, ends: Ends) -> bool:
        """Cost complete mappings, those with the lowest bounds first."""
        values = branch.values(ends.costs)
        derived = not branch.nest.stalls_leak
        for i in np.argsort(values, kind="stable"):
            if values[i] >= self._limit and not self.wants_front:
                break
            if self.evaluator.exhausted:
                return False
            self._cost(branch.mapping(ends.paths[i]), float(values[i]), reached=derived)
        return True
