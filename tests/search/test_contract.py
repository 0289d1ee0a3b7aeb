"""What every strategy promises; a new entry of STRATEGIES inherits all of it."""

from __future__ import annotations

import pickle
from functools import cache, partial

import numpy as np
import pytest
from search.problems import BUDGET, NOTHING_FITS, PROBLEMS, SMALLER, budget_of

from toolkit.errors import DoesNotFitError, InputError
from toolkit.mapping import to_arrays
from toolkit.mapping.explain import violations
from toolkit.model import EXACT, FACTORFLOW, Conventions, evaluate
from toolkit.search import (
    OBJECTIVES,
    STRATEGIES,
    Budget,
    Problem,
    SearchResult,
    TracePoint,
    make_problem,
    search_mappings,
)
from toolkit.search.evaluator import Evaluator
from toolkit.search.random import random_search
from toolkit.workload import gemm

each_strategy = pytest.mark.parametrize("strategy", STRATEGIES)
each_problem = pytest.mark.parametrize("name", PROBLEMS)


@cache
def problem(name: str) -> Problem:
    return PROBLEMS[name]()


each_pair = pytest.mark.parametrize(
    ("strategy", "name"),
    [(strategy, name) for strategy in STRATEGIES for name in PROBLEMS],
)


@cache
def found(strategy: str, name: str, evaluations: int = BUDGET) -> SearchResult:
    return search_mappings(problem(name), strategy, budget=budget_of(strategy, evaluations))


def check_validity_and_costs(result: SearchResult) -> None:
    """Recompute everything that a result claims about its mapping."""
    asked = result.problem
    factors, order = to_arrays(result.mapping, asked.arch, asked.workload)
    assert asked.space.check(factors[None], order[None]).tolist() == [True]
    assert violations(asked.space, result.mapping) == ()
    cost = evaluate(
        result.mapping,
        asked.arch,
        asked.workload,
        conventions=asked.conventions,
        bias_read=asked.bias_read,
    )
    assert cost.violations == ()
    assert result.energy_pj == pytest.approx(cost.energy_pj, rel=1e-12)
    assert result.latency_cycles == pytest.approx(cost.latency_cycles, rel=1e-12)
    assert result.utilization == pytest.approx(cost.utilization, rel=1e-12)
    assert result.edp_pj_cycles == pytest.approx(cost.edp_pj_cycles, rel=1e-12)
    objective = asked.objective.value(cost.energy_pj, cost.latency_cycles, cost.utilization)
    assert result.objective == pytest.approx(objective, rel=1e-12)


def check_trace(result: SearchResult) -> None:
    """Improvements come in order, and the last one is the result."""
    trace = result.trace
    for earlier, later in zip(trace, trace[1:], strict=False):
        assert later.objective < earlier.objective
        assert later.evaluations >= earlier.evaluations
        assert later.seconds >= earlier.seconds
    assert trace[0].evaluations >= 1
    assert trace[0].seconds >= 0
    assert trace[-1].evaluations <= result.evaluations
    assert trace[-1].seconds <= result.seconds
    assert trace[-1].objective == pytest.approx(result.objective, rel=1e-12)


def improvements(result: SearchResult) -> list[tuple[int, float]]:
    return [(point.evaluations, point.objective) for point in result.trace]


@each_pair
def test_a_result_is_valid_repeats_itself_and_costs_what_it_says(strategy: str, name: str) -> None:
    points: list[TracePoint] = []
    first = found(strategy, name)
    assert 0 < first.evaluations <= BUDGET
    check_validity_and_costs(first)
    check_trace(first)
    again = search_mappings(
        PROBLEMS[name](), strategy, budget=budget_of(strategy), on_improvement=points.append
    )
    assert again.mapping == first.mapping
    assert again.evaluations == first.evaluations
    assert improvements(again) == improvements(first)
    assert tuple(points) == again.trace


@each_strategy
@pytest.mark.parametrize("name", ["eyeriss", "strided", "ragged", "lower_bounds"])
@pytest.mark.parametrize("evaluations", [1, 7, 100])
def test_small_budgets_are_kept(strategy: str, name: str, evaluations: int) -> None:
    result = found(strategy, name, evaluations)
    assert 0 < result.evaluations <= evaluations
    check_trace(result)
    check_validity_and_costs(result)


@each_strategy
def test_seeds_matter_only_to_the_search(strategy: str) -> None:
    for seed in (1, 2**40):
        result = search_mappings(
            problem("strided"), strategy, budget=budget_of(strategy, 300), seed=seed
        )
        assert result.seed == seed
        check_validity_and_costs(result)


@each_strategy
def test_result_says_what_was_asked(strategy: str) -> None:
    result = found(strategy, "eyeriss")
    assert result.strategy == strategy
    assert result.problem is problem("eyeriss")
    assert result.seed == 0


@each_strategy
@pytest.mark.parametrize("name", ["strided", "lower_bounds"])
def test_inputs_are_left_alone(strategy: str, name: str) -> None:
    asked = PROBLEMS[name]()
    before = pickle.dumps((asked.arch, asked.workload))
    lower, upper = asked.space.lower.copy(), asked.space.upper.copy()
    random_state = str(np.random.get_state())
    search_mappings(asked, strategy, budget=budget_of(strategy, 300))
    assert pickle.dumps((asked.arch, asked.workload)) == before
    np.testing.assert_array_equal(asked.space.lower, lower)
    np.testing.assert_array_equal(asked.space.upper, upper)
    assert str(np.random.get_state()) == random_state


@each_strategy
def test_ends_soon_after_its_seconds(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    readings: list[int] = []

    def tick(evaluator: Evaluator) -> float:
        """Pass a tenth of a second whenever somebody looks."""
        readings.append(evaluator.evaluations)
        return len(readings) / 10

    monkeypatch.setattr(Evaluator, "seconds", property(tick))
    # Ragged factors are more than `exhaustive` lists.
    asked = make_problem(problem("simba").arch, gemm(3072, 1024, 4096), factors="perfect")
    result = search_mappings(asked, strategy, budget=Budget(seconds=1.0))
    assert len(readings) < 20
    # What was drawn by then is still costed.
    assert result.evaluations - readings[9] <= 10
    check_validity_and_costs(result)
    check_trace(result)


@each_strategy
def test_evaluations_limit_even_with_seconds_to_spare(strategy: str) -> None:
    most = min(50, SMALLER.get(strategy, 50))
    budget = Budget(evaluations=most, seconds=1000.0)
    assert search_mappings(problem("strided"), strategy, budget=budget).evaluations <= most


@each_strategy
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(("conventions", "bias_read"), [(EXACT, False), (FACTORFLOW, True)])
def test_every_objective(
    strategy: str, objective: str, conventions: Conventions, bias_read: bool
) -> None:
    for name in ("eyeriss", "lanes"):
        asked = problem(name)
        result = search_mappings(
            make_problem(
                asked.arch,
                asked.workload,
                objective=objective,
                conventions=conventions,
                bias_read=bias_read,
                factors="perfect",
            ),
            strategy,
            budget=budget_of(strategy, 500),
        )
        check_validity_and_costs(result)
        check_trace(result)


@each_problem
def test_greedy_is_never_worse_for_more_evaluations(name: str) -> None:
    results = [found("greedy", name, budget).objective for budget in (1, 7, 100, BUDGET)]
    assert results == sorted(results, reverse=True)


@each_strategy
def test_the_only_mapping_is_found(strategy: str) -> None:
    result = found(strategy, "only_one", 1)
    factors, order = to_arrays(result.mapping, result.problem.arch, result.problem.workload)
    assert factors.tolist() == [[2, 1, 3], [1, 5, 1], [1, 1, 1]]
    assert order[:2].tolist() == [[0, 1, 2], [2, 1, 0]]


@each_problem
def test_a_bound_is_a_bound(name: str) -> None:
    results = [found(strategy, name) for strategy in STRATEGIES if strategy not in SMALLER]
    bounds = [result.bound for result in results if result.bound is not None]
    assert bounds
    least = min(result.objective for result in results)
    assert max(bounds) <= least * (1 + 1e-12)


@each_strategy
def test_ragged_tiles_pay(strategy: str) -> None:
    """Primes leave all lanes but one idle unless tiles are cut off, and warm starts are kept."""
    machine, workload = problem("ragged").arch, gemm(127, 251, 509)
    budget = budget_of(strategy, 1000)
    perfect = make_problem(machine, workload, factors="perfect")
    whole = search_mappings(perfect, strategy, budget=budget)
    asked = make_problem(machine, workload, factors="ragged")
    cut = search_mappings(asked, strategy, budget=budget, seed=1)
    check_validity_and_costs(cut)
    if strategy != "exhaustive":
        assert cut.objective < whole.objective / 50
        products = to_arrays(cut.mapping, machine, workload)[0].prod(axis=0)
        assert (products > asked.space.sizes).any()
    again = search_mappings(
        asked, strategy, budget=Budget(evaluations=3), warm_starts=[cut.mapping]
    )
    assert again.objective <= cut.objective


@each_strategy
@pytest.mark.parametrize("budget", [Budget(evaluations=1), Budget(seconds=1.0)])
def test_no_mapping_is_an_error(strategy: str, budget: Budget) -> None:
    with pytest.raises(DoesNotFitError, match="gemm:M=2,K=2,N=2"):
        search_mappings(NOTHING_FITS, strategy, budget=budget)


@each_strategy
def test_without_limit_it_ends_or_asks_for_one(strategy: str) -> None:
    try:
        result = search_mappings(problem("only_one"), strategy)
    except InputError as error:
        assert error.key == "budget"
    else:
        check_validity_and_costs(result)


@each_problem
def test_greedy_needs_no_limit(name: str) -> None:
    result = search_mappings(problem(name), "greedy")
    check_validity_and_costs(result)
    assert result.objective <= found("greedy", name).objective


def test_a_function_is_a_strategy_too() -> None:
    budget = Budget(evaluations=200)
    named = search_mappings(problem("eyeriss"), "random", budget=budget)
    for function in (random_search, partial(random_search)):
        result = search_mappings(problem("eyeriss"), function, budget=budget)
        assert (result.strategy, result.mapping) == ("random_search", named.mapping)


def test_random_needs_a_limit() -> None:
    with pytest.raises(InputError, match="limit"):
        search_mappings(problem("eyeriss"), "random")


def test_unknown_strategy_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="'gready'.*greedy"):
        search_mappings(problem("ones"), "gready")


@pytest.mark.parametrize("limit", [0, -1, float("inf"), float("nan")])
def test_budgets_are_positive(limit: float) -> None:
    with pytest.raises(InputError, match="budget.seconds"):
        Budget(seconds=limit)
