"""Strategies where memories inside others hold tensors that nothing outside does."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from search.brute import mapping_count, objectives, optimum
from search.drawn import ROLES, Dice, draw_problem

from toolkit.arch.levels import Memory
from toolkit.errors import DoesNotFitError, ToolkitError
from toolkit.mapping import enumerate_tilings
from toolkit.model import EXACT
from toolkit.search import STRATEGIES, Problem, make_problem, search_mappings
from toolkit.search.exact.extents import splits_kept_windows

from .problems import budget_of

LARGEST = 20_000
TOLERANCE = 1e-9


@cache
def drawn() -> tuple[tuple[Problem, float], ...]:
    """Problems whose outermost memory bypasses tensors, with their optima by enumeration."""
    found = []
    for seed in range(300):
        problem = draw_problem(seed)
        if problem is None:
            continue
        dice, (outermost, *inner) = Dice(seed + 10**6), problem.arch.levels
        passed = dice.subset(ROLES, 0.5)
        tight = [
            replace(x, capacity_words=dice.one_of(12, 24, 48, 96)) if isinstance(x, Memory) else x
            for x in inner
        ]
        levels = (replace(outermost, bypasses=passed), *tight)
        try:
            problem = make_problem(
                replace(problem.arch, levels=levels),
                problem.workload,
                objective=problem.objective,
                conventions=EXACT,
            )
        except ToolkitError:
            continue
        if problem.space.keeping.tensors.any() and mapping_count(problem) <= LARGEST:
            found.append((problem, optimum(problem)))
    return tuple(found)


def test_the_rule_decides_in_many_of_them() -> None:
    chosen = [problem for problem, _ in drawn()]
    assert len(chosen) >= 30
    freed = [replace_rule(problem) for problem in chosen]
    more = [tilings(x) > tilings(y) for x, y in zip(freed, chosen, strict=True)]
    assert sum(more) >= 10
    assert any(problem.space.keeping.unsummed.any() for problem in chosen)
    assert any(splits_kept_windows(problem.space) for problem in chosen)


def replace_rule(problem: Problem) -> Problem:
    return replace(problem, conventions=replace(EXACT, charge_bypassing_outermost=True))


def tilings(problem: Problem) -> int:
    return sum(len(batch) for batch in enumerate_tilings(problem.space))


def test_exact_proves_the_optimum_by_enumeration() -> None:
    for problem, best in drawn():
        result = search_mappings(problem, "exact")
        assert result.proved
        assert result.objective == pytest.approx(best, rel=TOLERANCE)


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s != "exact"])
def test_nothing_beats_the_optimum(strategy: str) -> None:
    for problem, best in drawn()[:6]:
        try:
            result = search_mappings(problem, strategy, budget=budget_of(strategy))
        except DoesNotFitError:
            continue
        assert result.objective >= best * (1 - TOLERANCE)


def test_greedy_is_near_the_optimum() -> None:
    ratios = [search_mappings(problem).objective / best for problem, best in drawn()]
    assert np.mean(np.array(ratios) < 1 + TOLERANCE) > 0.9


def test_every_sampled_mapping_is_costed_as_valid() -> None:
    for problem, _ in drawn()[:10]:
        batch = next(enumerate_tilings(problem.space))
        order = np.tile(np.arange(problem.space.shape[1]), (problem.space.shape[0], 1))
        assert np.isfinite(objectives(problem, batch, order)).all()
