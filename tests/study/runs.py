"""Tiny problems to compare strategies on, and outcomes made by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from mapping.spaces import arch, fanout, memory

from toolkit.search import Budget, Problem, TracePoint, make_problem
from toolkit.study.storage.runs import Comparison, Outcome, Run
from toolkit.workload import gemm

SMALL = arch(memory("DRAM"), memory("Buffer", 64), fanout("PEs", 4, "MN"), memory("Reg", 12))
BUDGET = Budget(evaluations=120)


def problem(m: int = 12, **options: Any) -> Problem:
    """A GEMM of m x 6 x 4 on a small architecture."""
    return make_problem(SMALL, replace(gemm(m, 6, 4), name=f"gemm{m}"), **options)


def outcome(run: Run, *values: float, bound: float | None = None) -> Outcome:
    """An outcome whose trace is `values`, at 10, 20, ... evaluations and 1, 2, ... seconds."""
    trace = tuple(TracePoint(10 * i, float(i), v) for i, v in enumerate(values, start=1))
    best = values[-1] if values else math.inf
    error = "" if values else "nothing"
    return Outcome(
        run, best, best, 1.0, 1.0, 100, 0, 0, 9.0, trace, None, bound=bound, error=error
    )


def comparison(values: dict[str, list[list[tuple[float, ...]]]], **bounds: float) -> Comparison:
    """A comparison from traces, by strategy, problem and seed; bounds are by strategy."""
    problems = tuple(problem(2 * i + 2) for i in range(len(next(iter(values.values())))))
    seeds = tuple(range(len(next(iter(values.values()))[0])))
    outcomes = tuple(
        outcome(Run(p, name, seed, BUDGET), *values[name][i][seed], bound=bounds.get(name))
        for i, p in enumerate(problems)
        for name in values
        for seed in seeds
    )
    return Comparison(problems, tuple(values), seeds, BUDGET, outcomes)


def facts(outcome: Outcome) -> tuple[Any, ...]:
    """What of an outcome must be the same each time: all but seconds."""
    trace = [(point.evaluations, point.objective) for point in outcome.trace]
    return (
        outcome.run.name,
        outcome.objective,
        outcome.evaluations,
        outcome.invalid,
        outcome.duplicates,
        trace,
        outcome.mapping,
        outcome.front,
        outcome.bound,
        outcome.error,
    )
