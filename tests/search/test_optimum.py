"""Strategies against the true optimum of small problems, found by trying everything."""

from __future__ import annotations

from functools import cache

import pytest
from search.brute import mapping_count, optimum
from search.drawn import draw_problem
from search.problems import SMALLER, budget_of

from toolkit.search import STRATEGIES, Problem, search

SEEDS = range(160)
LARGEST = 20_000
REACHED = 0.97

TOLERANCE = 1e-9


@cache
def drawn() -> dict[int, tuple[Problem, float]]:
    """Collect the drawn problems small enough to enumerate, by seed, with their optima."""
    problems = {seed: draw_problem(seed) for seed in SEEDS}
    return {
        seed: (problem, optimum(problem))
        for seed, problem in problems.items()
        if problem is not None and mapping_count(problem) <= LARGEST
    }


def test_enough_problems_of_every_kind() -> None:
    problems = [problem for problem, _ in drawn().values()]
    assert len(problems) >= 80
    kinds = {(p.objective.name, p.conventions.name, p.workload.kernel) for p in problems}
    assert len(kinds) == 4 * 2 * 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_beats_the_optimum(strategy: str) -> None:
    some = list(drawn().items())[: 10 if strategy in SMALLER else None]
    better = {
        seed: result.objective / best
        for seed, (problem, best) in some
        for result in [search(problem, strategy, budget=budget_of(strategy))]
        if result.objective < best * (1 - TOLERANCE)
    }
    assert better == {}


def test_greedy_reaches_the_optimum() -> None:
    missed = {
        seed: result.objective / best
        for seed, (problem, best) in drawn().items()
        for result in [search(problem)]
        if result.objective > best * (1 + TOLERANCE)
    }
    assert len(missed) <= (1 - REACHED) * len(drawn()), missed


def test_reuse_classes_lose_nothing() -> None:
    chosen = [
        (problem, best)
        for problem, best in drawn().values()
        if mapping_count(problem, full_orders=True) <= LARGEST
    ]
    assert {problem.workload.kernel for problem, _ in chosen} == {"gemm", "conv1d"}
    assert {problem.conventions.name for problem, _ in chosen} == {"exact", "factorflow"}
    for problem, best in chosen:
        assert best == pytest.approx(optimum(problem, full_orders=True), rel=1e-12)
