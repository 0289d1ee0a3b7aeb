"""The one door between strategies and the cost model: it counts, times and remembers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import Block, clock
from toolkit.errors import DoesNotFitError, InputError
from toolkit.mapping.explain import violations
from toolkit.mapping.mapping import IntArray, from_arrays
from toolkit.model.compiled import CompiledModel
from toolkit.model.cost import batch_cost
from toolkit.search.compiled_check import ADMIT, Asked, Seen, make_rules
from toolkit.search.front import Front, FrontPoint
from toolkit.search.problem import Problem
from toolkit.search.result import Budget, Certificate, SearchResult, TracePoint

ArrayPair = tuple[IntArray, IntArray]
"""Factors and loop order of one mapping, each of shape (levels, dimensions)."""

Start = tuple[IntArray, IntArray, int]
"""The same, and the choice of bypasses (`toolkit.search.choices`)."""


class Costing:
    """The rules and the cost model of one problem, with nothing left to choose."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.model = CompiledModel(problem.plan)
        self._rules = Block(make_rules(problem.space))

    def __reduce__(self) -> tuple[type[Costing], tuple[Problem]]:
        # Machine code and the places of arrays are of one process.
        return Costing, (self._problem,)

    def costs(
        self, factors: IntArray, order: IntArray
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Energy, latency and utilization [batch, 4] and which rows are valid."""
        costs, valid = np.empty((len(factors), 4)), np.empty(len(factors), dtype=np.bool_)
        ADMIT(self._rules, Block(Asked(factors, order, valid)))
        if valid.all():
            self.model.cost_batch(factors, order, costs)
        else:
            # What is no mapping at all is not shown to the model.
            rows = np.flatnonzero(valid)
            costs[:] = 1.0
            some = np.empty((len(rows), 4))
            self.model.cost_batch(factors[rows], order[rows], some)
            costs[rows] = some
        return costs, valid & (costs[:, 3] > 0)


class Evaluator:
    """Evaluates mappings of one problem within a budget and keeps the best.

    Parameters
    ----------
    problem : Problem
        What is searched.
    budget : Budget
        Limits; time runs from construction, and stands still while something is compiled.
    on_improvement : callable, optional
        Called with every new best.
    warm_starts : sequence of ArrayPair or Start
        Valid mappings that a strategy may set out from; without a choice, nothing optional is
        left out.

    Attributes
    ----------
    starts : tuple of Start
        The warm starts.
    evaluations, invalid : int
        Mappings costed so far, and how many of them are not valid.
    duplicates : int or None
        How many were costed before; None as soon as a compiled search made some on its own.
    front : Front or None
        Best trade-offs so far, if the objective asks for them.
    certificate : Certificate or None
        What a proof covered: set by the strategy that makes it.
    best_objective : float
        Lowest objective value so far, inf before the first valid mapping.
    best_choice : int
        Which bypasses the best mapping chooses, see `toolkit.search.choices`.
    """

    def __init__(
        self,
        problem: Problem,
        budget: Budget,
        on_improvement: Callable[[TracePoint], None] | None = None,
        warm_starts: Sequence[ArrayPair | Start] = (),
    ) -> None:
        self.problem = problem
        self.budget = budget
        self.starts: tuple[Start, ...] = tuple(
            start if len(start) == 3 else (*start, 0) for start in warm_starts
        )
        self.evaluations = 0
        self.invalid = 0
        self.duplicates: int | None = 0
        self.front = Front(*problem.space.shape) if problem.objective.front else None
        self.certificate: Certificate | None = None
        self.best_objective = np.inf
        self._on_improvement = on_improvement
        self._trace: list[TracePoint] = []
        self._best: ArrayPair | None = None
        self.best_choice = 0
        self._costings: dict[int, Costing] = {0: Costing(problem)}
        self._seen = Seen(*problem.space.shape)
        self._start = clock()

    is_part = False
    """Whether it serves one choice of bypasses in a search of all of them."""

    @property
    def warm_starts(self) -> tuple[ArrayPair, ...]:
        """Those of the starts that leave out nothing optional."""
        return tuple((factors, order) for factors, order, choice in self.starts if not choice)

    @property
    def model(self) -> CompiledModel:
        """The cost model where nothing optional is left out."""
        return self.costing(0).model

    @property
    def powers(self) -> NDArray[np.float64]:
        """Exponents of energy, latency and utilization, for compiled searches.

        Raises
        ------
        InputError
            If the objective is a function, which compiled searches cannot call.
        """
        objective = self.problem.objective
        if objective.function is not None:
            raise InputError(
                f"{objective} is a Python function, which this strategy cannot call; expected "
                "an objective such as edp or energy*latency^2",
                key="objective",
            )
        return np.array(objective.powers)

    @property
    def seconds(self) -> float:
        """Wall-clock time since construction."""
        return clock() - self._start

    @property
    def remaining_evaluations(self) -> int:
        """Evaluations left; a very large number if unlimited."""
        if self.budget.evaluations is None:
            return 2**62
        return min(max(self.budget.evaluations - self.evaluations, 0), 2**62)

    @property
    def time_share(self) -> float:
        """Part of the budget's seconds that has passed; 0 without such a limit."""
        return 0.0 if self.budget.seconds is None else self.seconds / self.budget.seconds

    @property
    def exhausted(self) -> bool:
        """Whether a limit of the budget is reached."""
        return self.time_share >= 1 or self.remaining_evaluations == 0

    @property
    def best(self) -> ArrayPair | None:
        """Factors and order of the best mapping so far, each of shape (levels, dimensions)."""
        return self._best

    def evaluate(
        self, factors: IntArray, order: IntArray, choice: IntArray | None = None
    ) -> NDArray[np.float64]:
        """Cost a batch of mappings; what exceeds the budget of evaluations is left out.

        Parameters
        ----------
        factors, order : int64 arrays, shape (batch, levels, dimensions)
            Mappings; invalid ones get inf.
        choice : int64 array, shape (batch,), optional
            Their choices of bypasses (`toolkit.search.choices`); by default nothing optional is
            left out.

        Returns
        -------
        float64 array, shape (at most batch,)
            Objective values.
        """
        count = min(len(factors), self.remaining_evaluations)
        factors = np.ascontiguousarray(factors[:count], dtype=np.int64)
        order = np.ascontiguousarray(order[:count], dtype=np.int64)
        chosen = np.zeros(count, dtype=np.int64) if choice is None else choice[:count]
        costs, valid = self.costs(factors, order, chosen)
        broken = count - int(np.count_nonzero(valid))
        if broken:
            values = np.full(count, np.inf)
            values[valid] = self.problem.objective.value(*costs[valid, :3].T)
        else:
            values = np.empty(count)
            values[:] = self.problem.objective.value(costs[:, 0], costs[:, 1], costs[:, 2])
        values[np.isnan(values)] = np.inf
        self.evaluations += count
        self.invalid += broken
        if self.duplicates is not None:
            self.duplicates += self._seen.count(factors, order, chosen)
        if self.front is not None:
            self.front.add(costs[valid, :2], factors[valid], order[valid], chosen[valid])
        if count and values.min() < self.best_objective:
            row = values.argmin()
            self.report(float(values[row]), factors[row], order[row], int(chosen[row]))
        return values

    def costs(
        self, factors: IntArray, order: IntArray, choice: IntArray
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Cost a batch without counting it: the rest is as `evaluate` has it.

        Returns
        -------
        costs : float64 array, shape (batch, 4)
            Energy (pJ), latency (cycles) and utilization; the last column is none.
        valid : bool array, shape (batch,)
            Which mappings obey all rules; the costs of others mean nothing.
        """
        if not choice.any():
            return self.costing(0).costs(factors, order)
        costs, valid = np.ones((len(factors), 4)), np.zeros(len(factors), dtype=np.bool_)
        for one in np.unique(choice).tolist():
            rows = np.flatnonzero(choice == one)
            if self.problem.choices.admits(one):
                some = self.costing(one).costs(factors[rows], order[rows])
                costs[rows], valid[rows] = some
        return costs, valid

    def costing(self, choice: int) -> Costing:
        """Rules and cost model of one choice of bypasses, made once."""
        if choice not in self._costings:
            problem = self.problem
            chosen = problem.choices.problem_of(choice) if choice else problem
            self._costings[choice] = Costing(chosen)
        return self._costings[choice]

    def spend(self, evaluations: int, *, invalid: int) -> None:
        """Count evaluations that a compiled search made on its own."""
        self.evaluations += evaluations
        self.invalid += invalid
        if evaluations:
            self.duplicates = None

    def report(
        self, objective: float, factors: IntArray, order: IntArray, choice: int = 0
    ) -> None:
        """Remember a mapping that a strategy found valid, if it is the best so far."""
        if objective >= self.best_objective:
            return
        self.best_objective = objective
        self._best, self.best_choice = (factors.copy(), order.copy()), choice
        if self.front is not None:
            chosen = np.array([choice])
            costs, valid = self.costs(self._best[0][None], self._best[1][None], chosen)
            self.front.add(costs[valid, :2], self._best[0][None], self._best[1][None], chosen)
        known = tuple(map(tuple, factors.tolist()))
        point = TracePoint(self.evaluations, self.seconds, objective, known)
        self._trace.append(point)
        if self._on_improvement:
            self._on_improvement(point)

    def result(
        self, strategy: str, seed: int, bound: float | None, *, interrupted: bool = False
    ) -> SearchResult:
        """Recompute the best mapping's validity and costs from scratch and wrap them up.

        Raises
        ------
        DoesNotFitError
            If no valid mapping was found.
        """
        problem = self.problem
        if self._best is None:
            raise DoesNotFitError(
                f"no valid mapping with a finite cost found in {self.evaluations} evaluations",
                source=f"{problem.workload.name} on {problem.arch.name}",
            )
        # Before anything else takes time.
        stopped = interrupted or self.exhausted
        factors, order = self._best
        energy, latency, utilization = self._checked_cost(factors, order, self.best_choice)
        return SearchResult(
            strategy,
            problem,
            seed,
            problem.choices.mapping(factors, order, self.best_choice),
            energy,
            latency,
            utilization,
            float(problem.objective.value(energy, latency, utilization)),
            self.evaluations,
            self.seconds,
            tuple(self._trace),
            bound,
            self.invalid,
            self.duplicates,
            interrupted,
            self._front_points(),
            self.certificate,
            stopped,
        )

    def _front_points(self) -> tuple[FrontPoint, ...]:
        """Front with every point's validity and costs recomputed from scratch."""
        if self.front is None:
            return ()
        front, points = self.front, []
        rows = zip(front.factors, front.orders, front.choices.tolist(), strict=True)
        for factors, order, choice in rows:
            energy, latency, _ = self._checked_cost(factors, order, choice)
            mapping = self.problem.choices.mapping(factors, order, choice)
            points.append(FrontPoint(energy, latency, mapping))
        return tuple(points)

    def _checked_cost(
        self, factors: IntArray, order: IntArray, choice: int
    ) -> tuple[float, float, float]:
        problem = self.problem.choices.problem_of(choice) if choice else self.problem
        return checked_cost(problem, factors, order)


def checked_cost(
    problem: Problem, factors: IntArray, order: IntArray
) -> tuple[float, float, float]:
    """Cost one mapping on arrays: the same formulas, without the machine code that searches use.

    Raises
    ------
    RuntimeError
        If the mapping is not valid: a strategy reported what it must not.
    """
    if not problem.space.check(factors[None], order[None])[0]:
        mapping = from_arrays(factors, order, problem.arch, problem.workload)
        reasons = "; ".join(violations(problem.space, mapping))
        raise RuntimeError(f"a strategy returned an invalid mapping: {reasons}")
    cost = batch_cost(problem.plan, factors[None].astype(np.float64), order[None])
    return (
        float(cost.energy_pj[0]),
        float(cost.latency_cycles[0]),
        float(cost.utilization[0]),
    )
