"""Proofs in ragged spaces: choices in the order of their bounds, solved as they come up."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.search.exact.branch import Branch
from toolkit.search.exact.compiled_labels import GoalRow
from toolkit.search.exact.compiled_least import BEATEN, NONE, TOO_MANY
from toolkit.search.exact.family import Family
from toolkit.search.exact.least import IMPOSSIBLE, LeastEnergy
from toolkit.search.exact.listing import Listing
from toolkit.search.exact.nest import Nest, window_plan
from toolkit.search.exact.ragged_nest import RaggedNest
from toolkit.search.exact.spatial import lanes_bound
from toolkit.search.exact.store import ColumnStore
from toolkit.search.exact.strategy import ROUNDING, Prover
from toolkit.search.exact.transfers import Spatial
from toolkit.search.greedy import descents

START = 150_000
"""Most evaluations of the descents that find a first mapping: enough for nearly the best one."""


@dataclass(frozen=True)
class Open:
    """Choices that may hold the best mapping, by rising bound.

    Parameters
    ----------
    bounds, energy, lanes, steps : float64 arrays, shape (n,)
        Least objective values and energies (pJ), leakage aside, those of the lanes and of what
        they are sent, and steps.
    family : int64 array, shape (n,)
        Number of their spatial factors.
    picks : int64 array, shape (n, dimensions)
        Numbers of their chains.
    left_out : float
        Least bound of what there was no time to list; inf if nothing.
    """

    bounds: FloatArray
    energy: FloatArray
    lanes: FloatArray
    steps: FloatArray
    family: IntArray
    picks: IntArray
    left_out: float


class RaggedProver(Prover):
    """Proves the optimum of a ragged problem."""

    def run(self) -> float:
        """Search; returns a bound of the objective, the optimum itself when all is done."""
        self._warm_up()
        self._first_mapping()
        problem = self.evaluator.problem
        windows = window_plan(problem)
        ones = np.ones(problem.space.shape, dtype=np.int64)
        template = Nest(problem, windows, Spatial(problem, ones))
        listing = Listing(template, lambda: self.evaluator.time_share >= 1)
        choices = self._list(listing)
        families: dict[int, Family] = {}
        hard: list[Branch] = []
        reached = self._solve(listing, choices, families, hard)
        left = [choices.left_out, reached]
        unfinished = []
        for branch in sorted(hard, key=lambda b: b.bound):
            nest = branch.nest
            assert isinstance(nest, RaggedNest)
            labelled = Branch(
                RaggedNest(nest.family, nest.chains, labels=True),
                branch.powers,
                branch.compulsory_pj,
            )
            labelled.energy_pj = max(labelled.energy_pj, branch.energy_pj)
            if self.evaluator.exhausted or not self._label(labelled):
                unfinished.append(labelled)
        self.counts["unfinished"] += len(unfinished)
        best = self.best_value()
        return min([best, *left, *(b.bound for b in unfinished)])

    def _warm_up(self) -> None:
        if self.evaluator.warm_starts:
            pairs = zip(*self.evaluator.warm_starts, strict=True)
            self.evaluator.evaluate(*(np.stack(arrays) for arrays in pairs))

    def _first_mapping(self) -> None:
        """Descend a while, for the better the first mapping, the less is looked at."""
        evaluator = self.evaluator
        most = min(START, evaluator.remaining_evaluations // 2)
        before = evaluator.evaluations
        descents(
            evaluator,
            0,
            lambda: evaluator.evaluations - before >= most or evaluator.time_share >= 0.1,
        )

    def _values(self, energy: FloatArray, steps: FloatArray) -> FloatArray:
        """Objective values that no mapping with at least that energy and those steps undercuts."""
        problem = self.evaluator.problem
        energy_power, latency_power, utilization_power = problem.objective.powers
        cycles = steps * problem.plan.arch.compute.cycles
        space = problem.space
        lanes = math.prod(float(space.mesh[i]) for i in space.spatial_levels.tolist())
        # Where idle lanes are worth more than cycles, as many as there could be count.
        slowest = float(problem.workload.macs)
        counted = steps if utilization_power <= latency_power else slowest
        used = problem.workload.macs / (counted * lanes)
        value = energy**energy_power * cycles**latency_power * used**utilization_power
        return np.asarray(value)

    def _worthwhile(self, energy: FloatArray, steps: FloatArray) -> BoolArray:
        """Which may be better than the best so far."""
        if not self.wants_front:
            return np.asarray(self._values(energy, steps) < self._limit)
        cycles = steps * self.evaluator.problem.plan.arch.compute.cycles
        kept = np.ones(energy.shape, dtype=np.bool_)
        for best_energy, best_latency in self._front:
            beaten = (best_energy <= energy * (1 + ROUNDING)) & (
                best_latency <= cycles * (1 + ROUNDING)
            )
            kept &= ~beaten
        return kept

    def _list(self, listing: Listing) -> Open:
        energy, steps = listing.spatial_bounds()
        bounds = self._values(energy, steps)
        order = np.argsort(bounds, kind="stable")
        kept = self._worthwhile(energy, steps)[order]
        parts, left_out = [], math.inf
        self.counts["spatial_choices"] += len(order)
        if not listing.complete:
            self.counts["spatial_choices"] += 1
            self.counts["unfinished"] += 1
            left_out = lanes_bound(listing.problem)
        for place, (number, open_) in enumerate(zip(order.tolist(), kept.tolist(), strict=True)):
            if not open_:
                self.counts["by_compulsory_traffic"] += 1
                continue
            if self.evaluator.time_share >= 1:
                left_out = min(left_out, float(bounds[number]))
                self.counts["unfinished"] += len(order) - place
                break
            listed = listing.choices(number, self._worthwhile)
            if listed is None:
                left_out = min(left_out, float(bounds[number]))
                self.counts["unfinished"] += 1
                continue
            own_energy, lanes, own_steps, picks = listed
            self.counts["spatial_choices"] += max(len(picks) - 1, 0)
            self.counts["by_compulsory_traffic"] += not len(picks)
            values = self._values(own_energy, own_steps)
            families = np.full(len(picks), number)
            parts.append((values, own_energy, lanes, own_steps, families, picks))
        dimensions = listing.problem.space.shape[1]
        none = np.zeros(0)
        whole = none.astype(np.int64)
        parts.append((none, none, none, none, whole, np.zeros((0, dimensions), np.int64)))
        values, energy, lanes, steps, family, picks = (
            np.concatenate(x) for x in zip(*parts, strict=True)
        )
        order = np.argsort(values, kind="stable")
        return Open(
            values[order],
            energy[order],
            lanes[order],
            steps[order],
            family[order],
            picks[order],
            left_out,
        )

    def _solve(
        self, listing: Listing, choices: Open, families: dict[int, Family], hard: list[Branch]
    ) -> float:
        """Solve choices for their least energy; returns the bound of the first one left open."""
        powers = listing.problem.objective.powers
        store = ColumnStore(listing.problem)
        least = LeastEnergy(listing, store)
        for i, bound in enumerate(choices.bounds.tolist()):
            if not self.wants_front and bound >= self._limit:
                self.counts["by_compulsory_traffic"] += len(choices.bounds) - i
                break
            if self.evaluator.exhausted:
                self.counts["unfinished"] += len(choices.bounds) - i
                return float(bound)
            number, picks = int(choices.family[i]), choices.picks[i].tolist()
            if number not in families:
                families[number] = Family(
                    listing.problem, listing.nest.windows, listing.spatial[number], store
                )
            family = families[number]
            entries = [least.entry(number, family, d, pick) for d, pick in enumerate(picks)]
            if IMPOSSIBLE in entries:
                self.counts["empty"] += 1
                continue
            goal = self._goal(family, float(choices.steps[i]))
            front = np.ascontiguousarray(self._front, dtype=np.float64)
            outcome = least.solve(number, family, entries, goal, front)
            if outcome.code == BEATEN:
                self.counts["by_compulsory_traffic"] += 1
                continue
            if outcome.code == NONE:
                self.counts["by_least_energy"] += 1
                continue
            chains = [listing.chain(number, d, pick) for d, pick in enumerate(picks)]
            branch = Branch(RaggedNest(family, chains), powers, float(choices.energy[i]))
            if outcome.code == TOO_MANY:
                hard.append(branch)
                continue
            branch.raise_energy(outcome.energy_pj)
            self._judge(branch, branch.mapping(list(outcome.path)), hard)
        return math.inf

    def _goal(self, family: Family, steps: float) -> GoalRow:
        """What a mapping of a choice has to reach, but for what its lanes take."""
        problem = self.evaluator.problem
        space, compute = problem.space, problem.plan.arch.compute
        energy_power, latency_power, utilization_power = problem.objective.powers
        lanes = math.prod(float(space.mesh[i]) for i in space.spatial_levels.tolist())
        cycles = float(compute.cycles * steps)
        leakage, own = family.nest.leakage_over(cycles)
        return GoalRow(
            energy_power,
            latency_power,
            (problem.workload.macs / (steps * lanes)) ** utilization_power,
            math.inf if self.wants_front else self._limit,
            cycles,
            family.nest.warm_up,
            leakage,
            compute.mac_energy_pj * problem.workload.macs + own,
        )
