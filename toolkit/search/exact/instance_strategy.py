"""Proofs in ragged spaces: choices in the order of their bounds, solved as they come up."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from toolkit.mapping.mapping import BoolArray, FloatArray
from toolkit.search.exact.branch import Branch
from toolkit.search.exact.choice_nest import ChoiceNest
from toolkit.search.exact.compiled_labels import GoalRow
from toolkit.search.exact.compiled_least import BEATEN, NONE, TOO_MANY
from toolkit.search.exact.family import Family
from toolkit.search.exact.grid import make_grid
from toolkit.search.exact.least import IMPOSSIBLE, LeastEnergy
from toolkit.search.exact.listing import NO_CHOICES, Choices, Listing
from toolkit.search.exact.nest import Nest, window_plan
from toolkit.search.exact.relaxations import COARSE, FINE, FINEST, Relaxations
from toolkit.search.exact.relaxed import Mix
from toolkit.search.exact.spatial import lanes_bound
from toolkit.search.exact.spatial_factors import Spatial
from toolkit.search.exact.store import ColumnStore
from toolkit.search.exact.strategy import ROUNDING, Prover
from toolkit.search.greedy import descents

MANY_CHOICES = 1 << 11
"""Choices of a family that are worth closer bounds, which take a tenth of a second."""
START, START_SHARE = 150_000, 0.1
"""Most evaluations of the descents that find a first mapping, enough for nearly the best one, and
their share of the seconds."""


@dataclass(frozen=True, order=True)
class Piece:
    """A part of the space that is yet to be looked at; ordered by its bound.

    Parameters
    ----------
    bound : float
        No mapping of it has a lower objective value.
    number : int
        Of its spatial factors.
    stage : int
        How closely its choices were bounded together: the next grid to take.
    choices : Choices or None
        Those of their chains that are left, by rising bound from `first` on; None if they are not
        listed yet.
    values : float64 array or None
        Their bounds.
    """

    bound: float
    number: int
    stage: int = field(default=COARSE, compare=False)
    choices: Choices | None = field(default=None, compare=False)
    values: FloatArray | None = field(default=None, compare=False)
    first: int = field(default=0, compare=False)

    @property
    def count(self) -> int:
        """Choices that it stands for."""
        return 1 if self.choices is None else len(self.choices.picks) - self.first


@dataclass(frozen=True)
class Leaks:
    """What leaks whichever lanes are used.

    Parameters
    ----------
    until_end, busy : float
        In pJ per cycle of all of the latency, and of those of the lanes.
    fixed_pj : float
        Whatever that takes.
    """

    until_end: float
    busy: float
    fixed_pj: float

    def over(self, cycles: FloatArray, lanes_cycles: FloatArray) -> FloatArray:
        """What leaks (pJ) while all of it takes so many cycles, and the lanes so many."""
        leaked = np.full(cycles.shape, self.fixed_pj)
        for rate, spent in ((self.until_end, cycles), (self.busy, lanes_cycles)):
            if rate:  # What is impossible takes endless cycles, of which nothing is no number.
                leaked = leaked + rate * spent
        return leaked

    @classmethod
    def least(cls, nest: Nest) -> Leaks:
        """Of a nest that uses no more lanes than one."""
        (until_end, fixed), (_, once) = nest.leakage_over(0.0), nest.leakage_over(1.0)
        return cls(until_end, once - fixed, fixed)


@dataclass(frozen=True)
class Tools:
    """What lists, bounds and solves choices."""

    listing: Listing
    relaxations: Relaxations
    solver: LeastEnergy


class InstanceProver(Prover):
    """Proves the optimum of a ragged problem."""

    def run(self) -> float:
        """Search; returns a bound of the objective, the optimum itself when all is done."""
        self.first_mapping()
        problem = self.evaluator.problem
        windows = window_plan(problem)
        ones = np.ones(problem.space.shape, dtype=np.int64)
        template = Nest(problem, windows, Spatial(problem, ones))
        self._leaks = Leaks.least(template)
        listing = Listing(template, lambda: self.evaluator.time_share >= 1)
        grid = make_grid(problem.space)
        solver = LeastEnergy(listing, ColumnStore(problem, grid))
        tools = Tools(listing, Relaxations(listing, grid), solver)
        hard: list[Branch] = []
        left = self._solve(tools, hard)
        unfinished = []
        for branch in sorted(hard, key=lambda b: b.bound):
            self.find_incumbent()
            nest = branch.nest
            assert isinstance(nest, ChoiceNest)
            to_go = partial(tools.relaxations.to_go, nest.family.number)
            labelled = Branch(
                ChoiceNest(nest.family, nest.chains, labels=to_go),
                branch.powers,
                branch.compulsory_pj,
            )
            labelled.energy_pj = max(labelled.energy_pj, branch.energy_pj)
            labelled.latency_cycles = max(labelled.latency_cycles, branch.latency_cycles)
            if self.evaluator.exhausted or not self._label(labelled):
                unfinished.append(labelled)
        self.counts["unfinished"] += len(unfinished)
        best = self.best_value()
        return min([best, left, *(b.bound for b in unfinished)])

    def first_mapping(self) -> None:
        """Descend a while, for the better the first mapping, the less is looked at."""
        evaluator = self.evaluator
        if evaluator.warm_starts:
            pairs = zip(*evaluator.warm_starts, strict=True)
            evaluator.evaluate(*(np.stack(arrays) for arrays in pairs))
        if evaluator.is_part:
            return  # There was one for all choices.
        descents(evaluator, 0, min(START, evaluator.remaining_evaluations // 2), START_SHARE)

    def _values(self, energy: FloatArray, steps: FloatArray, stalled: FloatArray) -> FloatArray:
        """Objective values that no mapping undercuts.

        One with at least that energy (pJ, leakage aside), those steps, and those cycles of the
        busiest port.
        """
        problem = self.evaluator.problem
        energy_power, latency_power, utilization_power = problem.objective.powers
        lanes_cycles = steps * problem.plan.arch.compute.cycles
        cycles = np.maximum(lanes_cycles, stalled)
        energy = energy + self._leaks.over(cycles, lanes_cycles)
        space = problem.space
        lanes = math.prod(float(space.mesh[i]) for i in space.spatial_levels.tolist())
        # Where idle lanes are worth more than cycles, as many as there could be count.
        slowest = float(problem.workload.macs)
        counted = steps if utilization_power <= latency_power else slowest
        used = problem.workload.macs / (counted * lanes)
        value = energy**energy_power * cycles**latency_power * used**utilization_power
        return np.asarray(value)

    def _worthwhile(self, energy: FloatArray, steps: FloatArray, stalled: FloatArray) -> BoolArray:
        """Which may be better than the best so far."""
        if not self.wants_front:
            return np.asarray(self._values(energy, steps, stalled) < self._limit)
        cycles = np.maximum(steps * self.evaluator.problem.plan.arch.compute.cycles, stalled)
        kept = np.ones(energy.shape, dtype=np.bool_)
        for best_energy, best_latency in self._front:
            beaten = (best_energy <= energy * (1 + ROUNDING)) & (
                best_latency <= cycles * (1 + ROUNDING)
            )
            kept &= ~beaten
        return kept

    def _chord(self, energy_pj: float, steps: float, stalled_cycles: float) -> Mix | None:
        """Weigh energy and latency so that two points with the best objective so far weigh alike.

        One has the least energy, one the least latency. Above the straight line between them
        nothing is better, for mappings that are worse than some value make a convex set.
        """
        energy_power, latency_power, utilization_power = self.evaluator.problem.objective.powers
        if self.wants_front or not (energy_power > 0 and energy_pj > 0):
            return None
        if not latency_power:
            leaked = self._leaks.until_end + self._leaks.busy
            return Mix(1.0, leaked) if leaked else None
        cycles = max(steps * self.evaluator.problem.plan.arch.compute.cycles, stalled_cycles)
        lower = np.array([energy_pj]), np.array([steps]), np.array([stalled_cycles])
        room = self._limit / float(self._values(*lower)[0])
        if utilization_power != 0 or not 1 < room < math.inf:
            return None
        return Mix(
            1 / (energy_pj * (room ** (1 / energy_power) - 1)),
            1 / (cycles * (room ** (1 / latency_power) - 1)),
        )

    def _beaten(
        self,
        energy: FloatArray,
        steps: FloatArray,
        stalled: FloatArray,
        mix: Mix,
        sums: FloatArray,
    ) -> BoolArray:
        """Which are no better than the best so far, by weighted sums of energy and latency.

        The objective is least at one of the ends of the line of that sum, also if memories leak.
        """
        cycles = np.maximum(steps * self.evaluator.problem.plan.arch.compute.cycles, stalled)
        with np.errstate(invalid="ignore"):  # What is impossible takes an endless amount of all.
            slower = np.maximum((sums - mix.energy * energy) / mix.cycles, cycles)
            dearer = np.maximum((sums - mix.cycles * cycles) / mix.energy, energy)
        ends = self._values(energy, steps, slower), self._values(dearer, steps, cycles)
        return np.asarray(np.minimum(*ends) * (1 - ROUNDING) >= self._limit)

    def _solve(self, tools: Tools, hard: list[Branch]) -> float:
        """Look at all pieces in the order of their bounds; returns the least one left open."""
        listing = tools.listing
        energy, steps = listing.spatial_bounds()
        idle = np.zeros_like(steps)
        bounds = self._values(energy, steps, idle)
        kept = self._worthwhile(energy, steps, idle)
        self.counts["spatial_choices"] += len(bounds)
        self.counts["by_compulsory_traffic"] += len(bounds) - int(kept.sum())
        open_ = [Piece(float(bounds[i]), int(i)) for i in np.flatnonzero(kept)]
        heapq.heapify(open_)
        left = math.inf
        if not listing.complete:
            self.counts["spatial_choices"] += 1
            self.counts["unfinished"] += 1
            left = lanes_bound(listing.problem)
        while open_:
            self.find_incumbent()
            piece = open_[0]
            if not self.wants_front and piece.bound >= self._limit:
                self.counts["by_compulsory_traffic"] += sum(x.count for x in open_)
                break
            if self.evaluator.exhausted:
                self.counts["unfinished"] += sum(x.count for x in open_)
                left = min(left, piece.bound)
                break
            heapq.heappop(open_)
            rest = self._rest(tools, piece, hard)
            if rest is None:
                left = min(left, piece.bound)
                self.counts["unfinished"] += 1
            elif rest.count:
                heapq.heappush(open_, rest)
        return left

    def _rest(self, tools: Tools, piece: Piece, hard: list[Branch]) -> Piece | None:
        """Do a part of a piece: bound it, list it, or solve its first choice; returns the rest.

        None if it is too large to be listed.
        """
        number = piece.number
        if piece.choices is not None and piece.values is not None:
            self._solve_choice(tools, piece, hard)
            first = piece.first + 1
            bound = float(piece.values[first]) if first < len(piece.values) else math.inf
            return replace(piece, bound=bound, first=first)
        least = tools.listing.least_steps(number)

        def wanted(energy_pj: float, stalled_cycles: float) -> bool:
            lower = np.array([energy_pj]), least, np.array([stalled_cycles])
            return bool(self._worthwhile(*lower)[0])

        def chord(energy_pj: float, stalled_cycles: float) -> Mix | None:
            return self._chord(energy_pj, float(least[0]), stalled_cycles)

        known = tools.relaxations.bounds(number, piece.stage, wanted, chord)
        lower = np.array([known.energy_pj]), least, np.array([known.stalled_cycles])
        floors = [(mix, tools.listing.mixed_floor(number, mix, x)) for mix, x in known.mixed]
        beaten = any(self._beaten(*lower, mix, np.array([floor]))[0] for mix, floor in floors)
        if beaten or not self._worthwhile(*lower)[0]:
            self.counts["by_compulsory_traffic"] += 1
            return replace(piece, choices=NO_CHOICES)
        if piece.stage < FINE:
            bound = max(float(self._values(*lower)[0]), piece.bound)
            return replace(piece, bound=bound, stage=piece.stage + 1)
        choices = tools.listing.choices(number, known, self._worthwhile, self._beaten)
        if choices is not None and len(choices.picks) > MANY_CHOICES:
            known = tools.relaxations.bounds(number, FINEST, wanted, chord)
            choices = tools.listing.choices(number, known, self._worthwhile, self._beaten)
        if choices is None:
            return None
        self.counts["spatial_choices"] += max(len(choices.picks) - 1, 0)
        self.counts["by_compulsory_traffic"] += not len(choices.picks)
        values = self._values(choices.energy, choices.steps, choices.stalled)
        order = np.argsort(values, kind="stable")
        choices = choices[order]
        bound = float(values[order[0]]) if len(order) else math.inf
        return replace(piece, bound=bound, choices=choices, values=values[order])

    def _solve_choice(self, tools: Tools, piece: Piece, hard: list[Branch]) -> None:
        """Find the mapping of least energy of a piece's first choice."""
        listing, solver = tools.listing, tools.solver
        choices, number = piece.choices, piece.number
        assert choices is not None
        one = choices[np.array([piece.first])]
        if self.wants_front and not self._worthwhile(one.energy, one.steps, one.stalled):
            self.counts["by_compulsory_traffic"] += 1
            return
        picks = choices.picks[piece.first].tolist()
        family = solver.family(number)
        entries = [solver.entry(number, d, pick) for d, pick in enumerate(picks)]
        if IMPOSSIBLE in entries:
            self.counts["empty"] += 1
            return
        stalled = float(one.stalled[0])
        goal = self._goal(family, float(one.steps[0]), stalled)
        front = np.ascontiguousarray(self._front, dtype=np.float64)
        energy = tools.relaxations.kept(number).energy
        outcome = solver.solve(number, energy, entries, goal, front)
        if outcome.code == BEATEN:
            self.counts["by_compulsory_traffic"] += 1
            return
        if outcome.code == NONE:
            self.counts["by_least_energy"] += 1
            return
        chains = [listing.chain(number, d, pick) for d, pick in enumerate(picks)]
        branch = Branch(
            ChoiceNest(family, chains),
            listing.problem.objective.powers,
            float(one.energy[0]),
        )
        branch.latency_cycles = max(branch.latency_cycles, stalled + family.nest.warm_up)
        if outcome.code == TOO_MANY:
            hard.append(branch)
            return
        branch.raise_energy(outcome.energy_pj)
        self._judge(branch, branch.mapping(list(outcome.path)), hard)

    def _goal(self, family: Family, steps: float, stalled: float) -> GoalRow:
        """What a mapping of a choice has to reach, but for what its lanes take."""
        problem = self.evaluator.problem
        space, compute = problem.space, problem.plan.arch.compute
        energy_power, latency_power, utilization_power = problem.objective.powers
        lanes = math.prod(float(space.mesh[i]) for i in space.spatial_levels.tolist())
        cycles = float(compute.cycles * steps)
        leakage, own = family.nest.leakage_over(cycles)
        cycles = max(cycles, stalled)
        return GoalRow(
            energy_power,
            latency_power,
            (problem.workload.macs / (steps * lanes)) ** utilization_power,
            math.inf if self.wants_front else self._limit,
            cycles,
            family.nest.warm_up,
            leakage,
            family.shared_pj + own,
            problem.conventions.whole_cycles,
        )
