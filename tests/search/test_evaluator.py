"""The evaluator's counters: evaluations, invalid mappings, duplicates."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolkit.arch import load_arch
from toolkit.mapping import sample
from toolkit.search import Budget, make_problem
from toolkit.search.compiled_check import SLOTS
from toolkit.search.evaluator import Evaluator
from toolkit.workload import conv2d, gemm

PROBLEM = make_problem(load_arch("eyeriss"), gemm(12, 8, 18))


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return sample(PROBLEM.space, count, np.random.default_rng(seed))


def repeats(factors: np.ndarray, order: np.ndarray) -> int:
    """Mappings of a batch that stand in it before, by comparison of all their numbers."""
    rows = np.concatenate([factors, order], axis=1).reshape(len(factors), -1)
    return len(rows) - len(np.unique(rows, axis=0))


@given(st.integers(0, 2**32), st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_duplicates_are_those_that_comparison_finds(seed: int, sizes: list[int]) -> None:
    factors, order = drawn(sum(sizes), seed)
    evaluator = Evaluator(PROBLEM, Budget())
    begin = 0
    for size in sizes:
        evaluator.evaluate(factors[begin : begin + size], order[begin : begin + size])
        begin += size
    assert evaluator.duplicates == repeats(factors, order)


def test_loop_orders_and_places_of_factors_tell_mappings_apart() -> None:
    problem = make_problem(load_arch("simba-conv"), conv2d(8, 8, 8, 8, 3, 3))
    factors, order = sample(problem.space, 1, np.random.default_rng(0))
    count = order.shape[2]
    rolled = np.stack([np.roll(order[0], shift, axis=1) for shift in range(count)])
    assert repeats(np.repeat(factors, count, axis=0), rolled) == 0
    evaluator = Evaluator(problem, Budget())
    evaluator.evaluate(np.repeat(factors, count, axis=0), rolled)
    assert evaluator.duplicates == 0
    evaluator.evaluate(factors[:, ::-1], order)
    assert evaluator.duplicates == 0
    evaluator.evaluate(factors, order)
    assert evaluator.duplicates == 1


def test_few_distinct_mappings_are_forgotten_or_mistaken() -> None:
    factors, order = drawn(4_096)
    evaluator = Evaluator(PROBLEM, Budget())
    evaluator.evaluate(factors, order)
    first = evaluator.duplicates
    evaluator.evaluate(factors, order)
    assert first is not None and evaluator.duplicates is not None
    # Two of the mappings in one slot of the table displace each other.
    lost = 4_096 * 4_096 / SLOTS
    lost += 5 * lost**0.5
    assert 4_096 - lost <= evaluator.duplicates - first <= 4_096


def test_what_exceeds_the_budget_is_left_out_and_invalid_mappings_cost_inf() -> None:
    factors, order = drawn(10)
    factors[3, 0, 0] += 1
    evaluator = Evaluator(PROBLEM, Budget(evaluations=8))
    values = evaluator.evaluate(factors, order)
    assert values.shape == (8,)
    assert np.isinf(values[3]) and np.isfinite(np.delete(values, 3)).all()
    assert (evaluator.evaluations, evaluator.invalid) == (8, 1)
    assert evaluator.exhausted and evaluator.evaluate(factors, order).shape == (0,)


def test_the_best_is_the_lowest_value_and_improvements_are_told() -> None:
    told: list[float] = []
    evaluator = Evaluator(PROBLEM, Budget(), lambda point: told.append(point.objective))
    values = np.concatenate([evaluator.evaluate(*drawn(50, seed)) for seed in range(5)])
    assert evaluator.best_objective == values.min() == told[-1]
    assert told == sorted(told, reverse=True)
