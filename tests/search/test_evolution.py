"""Evolution: its parts on literal cases, its results against the optimum, and the contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from search.brute import optimum
from search.drawn import draw_problem
from search.problems import NOTHING_FITS, PROBLEMS
from search.test_contract import check_trace, check_validity_and_costs, improvements

from toolkit.errors import DoesNotFitError
from toolkit.mapping import sample, space_size
from toolkit.search import OBJECTIVES, Budget, Evaluator, Problem, SearchResult
from toolkit.search.evolution import (
    MEMBERS,
    Population,
    _Breeding,
    by_front,
    crowding,
    evolution,
    survivors,
)
from toolkit.search.exhaustive import exhaustive
from toolkit.search.front import nondominated
from toolkit.search.moves import move_space

each_problem = pytest.mark.parametrize("name", PROBLEMS)
few = examples(30)


def run(problem: Problem, budget: Budget | None, seed: int = 0) -> SearchResult:
    evaluator = Evaluator(problem, budget or Budget())
    return evaluator.result("evolution", seed, evolution(evaluator, seed))


def population(costs: list[list[float]]) -> Population:
    numbers = np.arange(len(costs))[:, None, None]
    return Population(numbers, numbers, numbers.ravel(), np.array(costs))


def test_the_best_of_distinct_costs_survive() -> None:
    people = population([[3.0], [1.0], [2.0], [1.0], [4.0]])
    assert survivors(people, 3).costs.tolist() == [[1.0], [2.0], [3.0]]
    assert survivors(people, 3).factors.ravel().tolist() == [1, 2, 0]


def test_fronts_come_one_after_the_other() -> None:
    costs = np.array([[2.0, 2.0], [1.0, 3.0], [3.0, 1.0], [2.0, 3.0], [3.0, 3.0]])
    ranked = by_front(costs).tolist()
    assert sorted(ranked[:3]) == [0, 1, 2]
    assert ranked[3:] == [3, 4]


def test_lonely_members_of_a_front_come_first() -> None:
    """Between 1 and 9, the point at 2 is crowded and the one at 5 is not."""
    costs = np.array([[1.0, 9.0], [2.0, 8.0], [5.0, 5.0], [9.0, 1.0]])
    assert crowding(costs).tolist() == [np.inf, 1.0, 1.75, np.inf]
    assert by_front(costs).tolist() == [0, 3, 2, 1]


@few
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, unique=True))
def test_nobody_outranks_who_dominates_him(points: list[tuple[int, int]]) -> None:
    costs = np.array(points, dtype=np.float64)
    ranked = by_front(costs).tolist()
    assert sorted(ranked) == list(range(len(costs)))
    place = {row: i for i, row in enumerate(ranked)}
    for a in ranked:
        for b in ranked:
            if (costs[a] <= costs[b]).all() and a != b:
                assert place[a] < place[b]


@each_problem
def test_children_are_valid_and_parents_left_alone(name: str) -> None:
    problem = PROBLEMS[name]()
    space = problem.space
    factors, order = sample(space, 30, np.random.default_rng(0))
    before = factors.copy(), order.copy()
    breeding = _Breeding(problem, space, move_space(space), np.random.default_rng(0))
    people = Population(factors, order, np.zeros(30, dtype=np.int64), np.zeros((30, 1)))
    *children, choice = breeding.children(people, 50)
    assert space.check(*children).all()
    assert not choice.any()
    np.testing.assert_array_equal(factors, before[0])
    np.testing.assert_array_equal(order, before[1])


def test_children_inherit_and_move() -> None:
    problem = PROBLEMS["eyeriss"]()
    space = problem.space
    factors, order = sample(space, MEMBERS, np.random.default_rng(0))
    breeding = _Breeding(problem, space, move_space(space), np.random.default_rng(0))
    choice = np.zeros(MEMBERS, dtype=np.int64)
    people = Population(factors, order, choice, np.zeros((MEMBERS, 1)))
    children, _, _ = breeding.children(people, MEMBERS)
    known = {tiling.tobytes() for tiling in factors}
    columns = {(d, tiling[:, d].tobytes()) for tiling in factors for d in range(3)}
    new = [tiling for tiling in children if tiling.tobytes() not in known]
    kept = [sum((d, tiling[:, d].tobytes()) in columns for d in range(3)) for tiling in children]
    assert len(new) > MEMBERS // 2
    assert np.mean(kept) > 1


def test_reaches_the_optimum_of_small_problems() -> None:
    missed, tried = [], 0
    for seed in range(30):
        problem = draw_problem(seed)
        if problem is None or space_size(problem.space, effort=5000).mappings > 5000:
            continue
        tried += 1
        reached = run(problem, Budget(evaluations=4000)).objective
        if reached > optimum(problem) * (1 + 1e-9):
            missed.append(seed)
    assert tried >= 5
    assert missed == []


@pytest.mark.parametrize("seed", [273, 112, 143, 150, 188, 242])
def test_reaches_the_whole_front_of_small_problems(seed: int) -> None:
    asked = draw_problem(seed)
    assert asked is not None
    problem = replace(asked, objective=OBJECTIVES["energy,latency"])
    evaluator = Evaluator(problem, Budget())
    exhaustive(evaluator, 0)
    assert evaluator.front is not None
    expected = evaluator.front.costs.round(6)
    found = run(problem, Budget(evaluations=6000)).front
    reached = np.array([(p.energy_pj, p.latency_cycles) for p in found]).round(6)
    assert len(expected) >= 3
    np.testing.assert_allclose(
        reached[nondominated(reached)], expected[nondominated(expected)], rtol=1e-9
    )


@each_problem
@pytest.mark.parametrize("evaluations", [1, 7, 1000])
def test_budgets_validity_and_repetition(name: str, evaluations: int) -> None:
    first = run(PROBLEMS[name](), Budget(evaluations=evaluations))
    assert 0 < first.evaluations <= evaluations
    assert first.invalid == 0
    check_validity_and_costs(first)
    check_trace(first)
    again = run(PROBLEMS[name](), Budget(evaluations=evaluations))
    assert again.mapping == first.mapping
    assert improvements(again) == improvements(first)


@each_problem
def test_ends_without_a_budget(name: str) -> None:
    check_validity_and_costs(run(PROBLEMS[name](), None))


def test_nothing_fits() -> None:
    with pytest.raises(DoesNotFitError):
        run(NOTHING_FITS, Budget(evaluations=5))


def test_sets_out_from_what_is_given() -> None:
    problem = PROBLEMS["simba"]()
    evaluator = Evaluator(problem, Budget(evaluations=2000))
    evolution(evaluator, 0)
    assert evaluator.best is not None
    later = Evaluator(problem, Budget(evaluations=1), warm_starts=[evaluator.best])
    evolution(later, 1)
    assert later.best_objective == evaluator.best_objective
