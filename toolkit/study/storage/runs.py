"""Runs of strategies and comparisons of them: what was asked and what came out, frozen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from toolkit.display import MOST_ROWS, object_html, shortened, table_html
from toolkit.mapping.mapping import Mapping
from toolkit.search.front import FrontPoint
from toolkit.search.problem import Problem
from toolkit.search.result import Budget, TracePoint
from toolkit.search.status import describe_status, within_best
from toolkit.study.units import format_value, plain_value

# Optuna's tables hold names of up to 512 characters; names from files have up to 500 each.
_MAX_NAME = 400


@dataclass(frozen=True)
class Run:
    """One strategy on one problem under one seed.

    Parameters
    ----------
    problem : Problem
        What is searched.
    strategy : str
        A key of `toolkit.STRATEGIES`.
    seed : int
        Seed of all randomness.
    budget : Budget
        Its limits; seconds are wall-clock time.
    """

    problem: Problem
    strategy: str
    seed: int
    budget: Budget

    @property
    def name(self) -> str:
        """How studies refer to it; unique within a comparison.

        Longer names than a database takes are cut, and kept apart by a hash.
        """
        name = f"{problem_name(self.problem)}: {self.strategy}, seed {self.seed}"
        if len(name) <= _MAX_NAME:
            return name
        return f"{name[:_MAX_NAME]}… {hashlib.sha256(name.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Outcome:
    """What came out of a run.

    Parameters
    ----------
    run : Run
        What was asked.
    objective : float
        Value of the best mapping, in the unit of the objective; inf if none was found.
    energy_pj, latency_cycles, utilization : float
        Its costs; NaN if none was found.
    evaluations : int or None
        Mappings costed; None if the run failed.
    invalid : int or None
        How many of them are not valid.
    duplicates : int or None
        How many were costed before; None where a compiled search does not tell.
    seconds : float
        Wall-clock time spent.
    trace : tuple of TracePoint
        Improvements in order, thinned where there are very many.
    mapping : Mapping or None
        The best valid mapping.
    front : tuple of FrontPoint
        Best trade-offs, by rising energy, if the objective asks for them.
    bound : float or None
        No mapping has a lower value, if the strategy proved one.
    error : str
        Why no mapping was found; empty if one was.
    stopped : bool
        Whether a limit of the budget ended it.
    """

    run: Run
    objective: float
    energy_pj: float
    latency_cycles: float
    utilization: float
    evaluations: int | None
    invalid: int | None
    duplicates: int | None
    seconds: float
    trace: tuple[TracePoint, ...]
    mapping: Mapping | None
    front: tuple[FrontPoint, ...] = ()
    bound: float | None = None
    error: str = ""
    stopped: bool = False

    def __repr__(self) -> str:
        found = self.error or format_value(self.objective, self.run.problem.objective)
        known = f", {self.status}" if self.status and not self.error else ""
        return f"<Outcome {shortened(self.run.name)}: {shortened(found)}{known}>"

    @property
    def proved(self) -> bool:
        """Whether the mapping is proved to be optimal."""
        return self.bound is not None and self.objective <= self.bound

    @property
    def within_fraction(self) -> float | None:
        """Fraction of the optimum by which the value exceeds it at most; None if unknown."""
        return within_best(self.objective, self.bound)

    @property
    def status(self) -> str:
        """What is known of the mapping, as `toolkit.SearchResult` says it."""
        return describe_status(self.within_fraction, stopped=self.stopped)

    def reached(self, value: float) -> TracePoint | None:
        """Return the first improvement to at most `value`, or None."""
        return next((point for point in self.trace if point.objective <= value), None)


@dataclass(frozen=True)
class Comparison:
    """What all runs gave.

    Parameters
    ----------
    problems : tuple of Problem
        In the order asked.
    strategies : tuple of str
        In the order asked.
    seeds : tuple of int
        Of every strategy on every problem.
    budget : Budget
        Of every run.
    outcomes : tuple of Outcome
        One per problem, strategy and seed, in this order.
    """

    problems: tuple[Problem, ...]
    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: Budget
    outcomes: tuple[Outcome, ...]

    def __repr__(self) -> str:
        names = shortened(", ".join(self.strategies))
        count, seeds = len(self.problems), len(self.seeds)
        what = f"{count:,} problem{'s' * (count != 1)}, {seeds:,} seed{'s' * (seeds != 1)}"
        return f"<Comparison {names}: {what}>"

    def _repr_html_(self) -> str:
        """For notebooks: the best and the median of each strategy on each problem."""
        heads = ("problem", "strategy", "best", "median", "evaluations", "known of the best")
        rows = []
        for problem in self.problems:
            name, objective = problem_name(problem), problem.objective
            for strategy in self.strategies:
                own = [
                    o
                    for o in self.outcomes
                    if o.run.strategy == strategy and problem_name(o.run.problem) == name
                ]
                own.sort(key=lambda outcome: outcome.objective)
                best, middle = own[0], own[(len(own) - 1) // 2]
                values = [
                    "nothing found" if o.error else plain_value(o.objective, objective)
                    for o in (best, middle)
                ]
                spent = f"{middle.evaluations or 0:,}"
                rows.append((name, strategy, *values, spent, best.status))
        left = (True, True, False, False, False, True)
        limits = {"evaluations": self.budget.evaluations, "seconds": self.budget.seconds}
        budget = [f"{limit:,} {unit}" for unit, limit in limits.items() if limit is not None]
        facts = [("seeds", f"{len(self.seeds):,}"), ("budget", " and ".join(budget) or "none")]
        table = table_html(heads, rows, left, MOST_ROWS)
        return object_html("Strategies side by side", facts, table)


def problem_name(problem: Problem) -> str:
    """Name a problem in full: workload, architecture, objective, conventions.

    Ragged factors, chosen bypasses and padding are named, too, so that nothing is taken for the
    same question that is not.

    Examples
    --------
    >>> import toolkit
    >>> arch, workload = toolkit.load_arch("eyeriss"), toolkit.load_workload("gemm:M=8,K=4,N=2")
    >>> problem_name(toolkit.make_problem(arch, workload))
    'gemm:M=8,K=4,N=2 on eyeriss, edp, exact, ragged'
    """
    bias = ", bias read" if problem.bias_read else ""
    where = f"{problem.workload.name} on {problem.arch.name}"
    asked = ", ragged" if problem.factors == "ragged" else ""
    asked += ", bypasses chosen" if problem.choices else ""
    sizes = problem.workload.sizes
    padded = "".join(f", {d} padded from {n} to {sizes[d]}" for d, n in problem.unpadded)
    return f"{where}, {problem.objective.name}, {problem.conventions.name}{bias}{asked}{padded}"
