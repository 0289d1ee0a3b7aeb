"""The exact mapper where levels wait, against whole map spaces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from search.brute import optimum
from search.drawn import Dice
from search.drawn_wide import draw_wide

from toolkit.arch import Fanout, Level, Memory
from toolkit.arch.levels import Overlap
from toolkit.model import EXACT
from toolkit.search import Budget, Problem, make_problem
from toolkit.search.evaluator import Evaluator
from toolkit.search.exact import prove
from toolkit.search.exact.buffers import BufferedEvaluator, decided

from .test_exact import TOLERANCE, check_optimum, is_small

OVERLAPS: tuple[Overlap, ...] = ("always", "double-buffered", "never")


def waiting(seed: int) -> Problem | None:
    """Draw a problem in which memories hide all, nothing or what fits twice, and operands hop."""
    drawn, dice = draw_wide(seed, EXACT), Dice(seed + 7 * 10**7)
    if drawn is None:
        return None
    levels: list[Level] = []
    for level in drawn.arch.levels:
        if isinstance(level, Memory):
            level = replace(level, overlap=OVERLAPS[dice.one_of(0, 1, 2)])
        elif isinstance(level, Fanout):
            level = replace(level, pe_to_pe=dice.chance(0.5))
        levels.append(level)
    return make_problem(
        replace(drawn.arch, levels=tuple(levels)),
        drawn.workload,
        objective=drawn.objective,
        conventions=replace(EXACT, first_and_last=dice.chance(0.7)),
        bias_read=drawn.bias_read,
        factors="perfect",
    )


@examples(25)
@given(st.integers(0, 10**6))
def test_optimum_where_levels_wait(seed: int) -> None:
    problem = waiting(seed)
    if problem is not None and is_small(problem, 3000):
        check_optimum(problem)


@examples(25)
@given(st.integers(0, 10**6))
def test_wordlines_where_sums_begin_anew(seed: int) -> None:
    """No named set rounds up what one instance alone goes on with; anybody's may."""
    drawn = draw_wide(seed, EXACT)
    if drawn is not None and is_small(drawn, 1000):
        conventions = replace(EXACT, whole_wordlines=True)
        check_optimum(replace(drawn, conventions=conventions))


def test_mappings_cost_no_more_than_where_all_is_decided() -> None:
    """Of the whole search, whatever part of it asks; in batches that are cut short, too."""
    problems = [p for p in map(waiting, range(150)) if p is not None and is_small(p, 3000)]
    compared = 0
    for problem in problems:
        space = problem.space
        for simpler in decided(problem):
            whole = Evaluator(problem, Budget(evaluations=3))
            part = BufferedEvaluator(whole, simpler)
            rows = np.stack(
                [space.sizes.astype(np.int64)] + [np.ones_like(space.sizes)] * (space.shape[0] - 1)
            )
            factors = np.repeat(rows[None], 8, axis=0)[::2]
            order = np.tile(np.arange(space.shape[1]), (8, space.shape[0], 1))[::2]
            values = part.evaluate(factors, order)
            assert len(values) == 3
            if np.isfinite(values).all():
                assert whole.best_objective <= values.min() * (1 + TOLERANCE)
                compared += 1
    assert compared > 5


def test_the_best_of_all_decisions_is_the_optimum() -> None:
    drawn = [p for p in map(waiting, range(150)) if p is not None and is_small(p, 800)]
    assert len(drawn) > 3
    for problem in drawn[:4]:
        best = min(optimum(simpler, full_orders=True) for simpler in decided(problem))
        assert best == pytest.approx(optimum(problem, full_orders=True), rel=TOLERANCE)
        assert prove(Evaluator(problem, Budget()))[0] == pytest.approx(best, rel=TOLERANCE)
