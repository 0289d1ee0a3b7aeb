"""The discrete descent that ends a round."""

from __future__ import annotations

import numpy as np
import pytest
from search.problems import PROBLEMS

from toolkit.mapping import tilings
from toolkit.mapping.sampling import sample
from toolkit.search import Budget
from toolkit.search.evaluator import Evaluator
from toolkit.search.gradient_polish import neighbours, polish
from toolkit.search.moves import move_space


@pytest.mark.parametrize("name", PROBLEMS)
def test_neighbours_are_those_of_the_map_space(name: str) -> None:
    space = PROBLEMS[name]().space
    moves = move_space(space)
    ((factors,), (order,)) = sample(space, 1, np.random.default_rng(0))
    found, orders = neighbours(space, moves, factors, order)
    moved = (found != factors).any(axis=(1, 2))
    valid = found[moved & space.check_factors(found)]
    expected = tilings.neighbours(space, factors)
    assert {x.tobytes() for x in valid} == {x.tobytes() for x in expected}
    assert len(valid) == len(expected)
    assert space.check(found[~moved], orders[~moved]).all()


@pytest.mark.parametrize("name", ["eyeriss", "lower_bounds", "only_one", "ones"])
def test_ends_where_no_neighbour_is_better(name: str) -> None:
    problem = PROBLEMS[name]()
    evaluator = Evaluator(problem, Budget())
    moves = move_space(problem.space)
    factors, order = sample(problem.space, 3, np.random.default_rng(0))
    values = evaluator.evaluate(factors, order)
    polish(evaluator, moves, factors, order, values, limit=10**6)
    assert evaluator.best is not None
    best = evaluator.best_objective
    assert best <= values.min()
    near, orders = neighbours(problem.space, moves, *evaluator.best)
    if len(near):
        assert evaluator.evaluate(near, orders).min() >= best * (1 - 1e-9)


@pytest.mark.parametrize("limit", [0, 1, 50])
def test_keeps_its_limit(limit: int) -> None:
    problem = PROBLEMS["eyeriss"]()
    evaluator = Evaluator(problem, Budget())
    factors, order = sample(problem.space, 3, np.random.default_rng(0))
    values = evaluator.evaluate(factors, order)
    before = evaluator.evaluations
    polish(evaluator, move_space(problem.space), factors, order, values, limit=limit)
    assert evaluator.evaluations - before == limit
