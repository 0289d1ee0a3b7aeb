"""The one door between strategies and the cost model: it counts, times and remembers."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import DoesNotFitError
from toolkit.mapping.explain import violations
from toolkit.mapping.mapping import IntArray, from_arrays
from toolkit.model.compiled import cost_batch
from toolkit.model.compiled_plan import KernelPlan, Scratch, kernel_plan, make_scratch
from toolkit.model.cost import batch_cost
from toolkit.search.problem import OBJECTIVES, Problem, objective_value
from toolkit.search.result import Budget, SearchResult, TracePoint


class Evaluator:
    """Evaluates mappings of one problem within a budget and keeps the best.

    Parameters
    ----------
    problem : Problem
        What is searched.
    budget : Budget
        Limits; time runs from construction, or from `start_clock` once more.
    on_improvement : callable, optional
        Called with every new best.

    Attributes
    ----------
    evaluations : int
        Mappings costed so far.
    best_objective : float
        Lowest objective value so far, inf before the first valid mapping.
    """

    def __init__(
        self,
        problem: Problem,
        budget: Budget,
        on_improvement: Callable[[TracePoint], None] | None = None,
    ) -> None:
        self.problem = problem
        self.budget = budget
        self.evaluations = 0
        self.best_objective = np.inf
        self.kernel: KernelPlan = kernel_plan(problem.plan)
        self.scratch: Scratch = make_scratch(problem.plan)
        self._on_improvement = on_improvement
        self._trace: list[TracePoint] = []
        self._best: tuple[IntArray, IntArray] | None = None
        nothing = np.ones((0, *problem.space.shape), dtype=np.int64)
        cost_batch(self.kernel, nothing, nothing, self.scratch, np.empty((0, 4)))
        self.start_clock()

    def start_clock(self) -> None:
        """Let time run from now: a strategy has compiled what it needs."""
        self._start = time.perf_counter()

    @property
    def objective_number(self) -> int:
        """Position of the objective in `OBJECTIVES`, for compiled searches."""
        return OBJECTIVES.index(self.problem.objective)

    @property
    def seconds(self) -> float:
        """Wall-clock time since construction."""
        return time.perf_counter() - self._start

    @property
    def remaining_evaluations(self) -> int:
        """Evaluations left; a very large number if unlimited."""
        if self.budget.evaluations is None:
            return 2**62
        return min(max(self.budget.evaluations - self.evaluations, 0), 2**62)

    @property
    def exhausted(self) -> bool:
        """Whether a limit of the budget is reached."""
        late = self.budget.seconds is not None and self.seconds >= self.budget.seconds
        return late or self.remaining_evaluations == 0

    @property
    def best(self) -> tuple[IntArray, IntArray] | None:
        """Factors and order of the best mapping so far, each of shape (levels, dimensions)."""
        return self._best

    def evaluate(self, factors: IntArray, order: IntArray) -> NDArray[np.float64]:
        """Cost a batch of mappings; what exceeds the budget of evaluations is left out.

        Parameters
        ----------
        factors, order : int64 arrays, shape (batch, levels, dimensions)
            Mappings; invalid ones get inf.

        Returns
        -------
        float64 array, shape (at most batch,)
            Objective values.
        """
        count = min(len(factors), self.remaining_evaluations)
        factors, order = factors[:count], order[:count]
        results = np.empty((count, 4))
        cost_batch(
            self.kernel,
            np.ascontiguousarray(factors, dtype=np.int64),
            np.ascontiguousarray(order, dtype=np.int64),
            self.scratch,
            results,
        )
        values = np.asarray(objective_value(self.problem.objective, *results[:, :3].T))
        values = np.where(self.problem.space.check(factors, order), values, np.inf)
        self.evaluations += count
        if count and values.min() < self.best_objective:
            self.report(float(values.min()), factors[values.argmin()], order[values.argmin()])
        return values

    def spend(self, evaluations: int) -> None:
        """Count evaluations that a compiled search made on its own."""
        self.evaluations += evaluations

    def report(self, objective: float, factors: IntArray, order: IntArray) -> None:
        """Remember a mapping that a strategy found valid, if it is the best so far."""
        if objective >= self.best_objective:
            return
        self.best_objective = objective
        self._best = (factors.copy(), order.copy())
        point = TracePoint(self.evaluations, self.seconds, objective)
        self._trace.append(point)
        if self._on_improvement:
            self._on_improvement(point)

    def result(self, strategy: str, seed: int, bound: float | None) -> SearchResult:
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
        factors, order = self._best
        energy, latency, utilization = checked_cost(problem, factors, order)
        return SearchResult(
            strategy,
            problem,
            seed,
            from_arrays(factors, order, problem.arch, problem.workload),
            energy,
            latency,
            utilization,
            float(objective_value(problem.objective, energy, latency, utilization)),
            self.evaluations,
            self.seconds,
            tuple(self._trace),
            bound,
        )


def checked_cost(
    problem: Problem, factors: IntArray, order: IntArray
) -> tuple[float, float, float]:
    """Cost one mapping by the batched model, independently of the compiled one.

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
