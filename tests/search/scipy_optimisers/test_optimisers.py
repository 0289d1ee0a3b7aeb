"""SciPy's optimisers: FactorFlow's step among them, and the contract."""

from __future__ import annotations

import numpy as np
import pytest
from examples import examples
from mapping.spaces import arch, fanout, memory
from scipy.optimize import minimize
from search.brute import objectives, optimum
from search.drawn import draw_problem
from search.problems import NOTHING_FITS, PROBLEMS
from search.test_contract import check_trace, check_validity_and_costs, improvements

from toolkit.errors import DoesNotFitError
from toolkit.mapping import neighbours, order_classes, sample, space_size
from toolkit.search import Budget, Evaluator, Problem, SearchResult, make_problem
from toolkit.search.scipy_optimisers.optimisers import (
    BudgetedLandscape,
    BudgetSpentError,
    annealing_search,
    evolution_search,
    scipy_search,
)
from toolkit.search.scipy_optimisers.relaxed import relax
from toolkit.search.scipy_optimisers.steps import GreedyStep, Kick
from toolkit.search.scipy_optimisers.vectors import local_vectors
from toolkit.workload import gemm

STRATEGIES = {
    "scipy": scipy_search,
    "dual_annealing": annealing_search,
    "differential_evolution": evolution_search,
}

each_strategy = pytest.mark.parametrize("strategy", STRATEGIES)
each_problem = pytest.mark.parametrize("name", PROBLEMS)
few = examples(15)


def run(strategy: str, problem: Problem, budget: Budget | None, seed: int = 0) -> SearchResult:
    evaluator = Evaluator(problem, budget or Budget())
    return evaluator.result(strategy, seed, STRATEGIES[strategy](evaluator, seed))


def test_greedy_step_is_a_minimiser_that_ends_where_nothing_helps() -> None:
    problem = PROBLEMS["eyeriss"]()
    space = problem.space
    factors, order = sample(space, 1, np.random.default_rng(0))
    vectors = local_vectors(space, [(factors[0], order[0])])
    landscape = BudgetedLandscape(Evaluator(problem, Budget()), vectors)
    start = vectors.encode(factors[0], order[0])
    found = minimize(landscape, start, method=GreedyStep(landscape, vectors))
    assert found.success
    assert found.nit > 0
    assert found.fun < landscape(start)
    reached, orders = (rows[0] for rows in vectors.decode(found.x[None]))
    value = objectives(problem, reached[None], orders)[0]
    assert np.log(value) == pytest.approx(found.fun, rel=1e-12)
    around = neighbours(space, reached)
    assert objectives(problem, around, orders).min() >= value * (1 - 1e-11)
    for level in space.memory_levels:
        for row in order_classes(problem.arch, int(level), problem.workload):
            other = orders.copy()
            other[level] = row
            assert objectives(problem, reached[None], other)[0] >= value * (1 - 1e-11)


def test_greedy_step_counts_every_neighbour() -> None:
    """One dimension in two memories has no orders: the start, then its only neighbour."""
    problem = make_problem(arch(memory("DRAM"), memory("Reg", 5)), gemm(2, 1, 1))
    vectors = local_vectors(problem.space)
    evaluator = Evaluator(problem, Budget())
    landscape = BudgetedLandscape(evaluator, vectors)
    start = vectors.encode(np.array([[2, 1, 1], [1, 1, 1], [1, 1, 1]]), np.tile([0, 1, 2], (3, 1)))
    found = minimize(landscape, start, method=GreedyStep(landscape, vectors))
    assert found.nit <= 1
    assert evaluator.evaluations == 2 + found.nit


@each_problem
def test_kicks_lead_to_valid_mappings(name: str) -> None:
    space = PROBLEMS[name]().space
    vectors = local_vectors(space)
    factors, order = sample(space, 1, np.random.default_rng(2))
    kick = Kick(vectors, np.random.default_rng(0))
    x = vectors.encode(factors[0], order[0])
    for _ in range(20):
        x = kick(x)
        assert space.check(*vectors.decode(x[None])).tolist() == [True]


def test_spent_budgets_end_optimisers() -> None:
    problem = PROBLEMS["lanes"]()
    box = relax(problem.space)
    landscape = BudgetedLandscape(Evaluator(problem, Budget(evaluations=3)), box)
    landscape(np.tile(box.low[:, None], 2))
    with pytest.raises(BudgetSpentError):
        landscape(box.low)
    assert landscape.evaluator.evaluations == 3


# The contract


@each_strategy
@pytest.mark.parametrize("name", ["eyeriss", "window", "lower_bounds", "three_inputs", "ones"])
@pytest.mark.parametrize("evaluations", [1, 7, 400])
def test_budgets_validity_and_repetition(strategy: str, name: str, evaluations: int) -> None:
    first = run(strategy, PROBLEMS[name](), Budget(evaluations=evaluations))
    assert 0 < first.evaluations <= evaluations
    check_validity_and_costs(first)
    check_trace(first)
    again = run(strategy, PROBLEMS[name](), Budget(evaluations=evaluations))
    assert again.mapping == first.mapping
    assert improvements(again) == improvements(first)


@each_strategy
def test_global_random_state_is_untouched(strategy: str) -> None:
    before = str(np.random.get_state())
    run(strategy, PROBLEMS["strided"](), Budget(evaluations=200))
    assert str(np.random.get_state()) == before


@each_strategy
def test_ends_without_a_budget(strategy: str) -> None:
    problem = PROBLEMS["only_one"]()
    check_validity_and_costs(run(strategy, problem, None))


@each_strategy
def test_nothing_fits(strategy: str) -> None:
    with pytest.raises(DoesNotFitError):
        run(strategy, NOTHING_FITS, Budget(evaluations=5))


@each_strategy
def test_sets_out_from_what_is_given(strategy: str) -> None:
    problem = PROBLEMS["simba"]()
    factors, order = sample(problem.space, 1, np.random.default_rng(9))
    # The relaxed map space and the first mapping of a population keep only listed orders.
    for level in problem.space.memory_levels:
        order[:, level] = order_classes(problem.arch, int(level), problem.workload)[-1]
    start = (factors[0], order[0])
    evaluator = Evaluator(problem, Budget(evaluations=1), warm_starts=[start])
    STRATEGIES[strategy](evaluator, 0)
    assert evaluator.best is not None
    np.testing.assert_array_equal(evaluator.best[0], factors[0])
    value = objectives(problem, factors, order)[0]
    assert evaluator.best_objective == pytest.approx(value, rel=1e-12)


def test_functions_may_be_negative() -> None:
    def throughput(energy: np.ndarray, latency: np.ndarray, utilization: np.ndarray) -> np.ndarray:
        return -1e6 / latency

    problem = make_problem(
        arch(memory("DRAM"), fanout("PEs", 4, "M"), memory("Reg", 9)),
        gemm(8, 2, 2),
        objective=throughput,
    )
    best = optimum(problem)
    for strategy in STRATEGIES:
        assert run(strategy, problem, Budget(evaluations=2000)).objective == best


def test_basin_hopping_reaches_the_optimum_of_small_problems() -> None:
    missed, tried = 0, 0
    for seed in range(30):
        problem = draw_problem(seed)
        if problem is None or space_size(problem.space, effort=5000).mappings > 5000:
            continue
        tried += 1
        reached = run("scipy", problem, Budget(evaluations=2000)).objective
        missed += reached > optimum(problem) * (1 + 1e-9)
    assert tried >= 5
    assert missed == 0
