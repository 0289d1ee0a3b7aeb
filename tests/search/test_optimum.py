"""Strategies against the true optimum of small problems, found by trying everything."""

from __future__ import annotations

from functools import cache

import pytest
from search.brute import mapping_count, optimum
from search.drawn import draw_problem
from search.problems import SMALLER, budget_of

from toolkit.search import STRATEGIES, Problem, search_mappings

SEEDS = range(120)
RAGGED_SEEDS = range(1, 40)
LARGEST = 20_000
LARGEST_RAGGED = 3000
REACHED = 0.97

TOLERANCE = 1e-9


@cache
def drawn() -> dict[int, tuple[Problem, float]]:
    """Collect the drawn problems small enough to enumerate, by seed, with their optima."""
    return known({seed: draw_problem(seed) for seed in SEEDS}, LARGEST)


@cache
def drawn_ragged() -> dict[int, tuple[Problem, float]]:
    problems = {seed: draw_problem(seed, "ragged") for seed in RAGGED_SEEDS}
    return known(problems, LARGEST_RAGGED)


def known(problems: dict[int, Problem | None], most: int) -> dict[int, tuple[Problem, float]]:
    return {
        seed: (problem, optimum(problem))
        for seed, problem in problems.items()
        if problem is not None and mapping_count(problem) <= most
    }


def test_enough_problems_of_every_kind() -> None:
    problems = [problem for problem, _ in drawn().values()]
    assert len(problems) >= 60
    kinds = {(p.objective.name, p.conventions.name, p.workload.kernel) for p in problems}
    assert len(kinds) == 4 * 2 * 2
    ragged = [problem for problem, _ in drawn_ragged().values()]
    assert len(ragged) >= 10
    assert {len({*problem.space.ragged}) for problem in ragged} == {1, 2}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_beats_the_optimum(strategy: str) -> None:
    # Whatever breaks a strategy shows soon; the exact ones have to be right of everything.
    most = None if strategy in ("exact", "exhaustive") else 6 if strategy in SMALLER else 16
    some = [*list(drawn().items())[:most], *list(drawn_ragged().items())[:most]]
    better = {
        (seed, problem.factors): result.objective / best
        for seed, (problem, best) in some
        for result in [search_mappings(problem, strategy, budget=budget_of(strategy))]
        if result.objective < best * (1 - TOLERANCE)
    }
    assert better == {}


def test_greedy_reaches_the_optimum() -> None:
    for problems in (drawn(), drawn_ragged()):
        missed = {
            seed: result.objective / best
            for seed, (problem, best) in problems.items()
            for result in [search_mappings(problem)]
            if result.objective > best * (1 + TOLERANCE)
        }
        assert len(missed) <= (1 - REACHED) * len(problems), missed


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
