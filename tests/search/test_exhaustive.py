"""Exhaustive search against brute force over every loop order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mapping.spaces import arch, memory
from search.brute import _order_choices as order_choices
from search.brute import every_tiling, mapping_count, objectives, optimum
from search.drawn import draw_problem
from search.problems import PROBLEMS

from toolkit.errors import InputError
from toolkit.mapping import admissible_orders, enumerate_tilings, space_size
from toolkit.model import EXACT, FACTORFLOW, TIMELOOP, batch_cost
from toolkit.search import OBJECTIVES, Budget, Evaluator, Problem, SearchResult, make_problem
from toolkit.search.exhaustive import all_mappings, check_size, exhaustive
from toolkit.search.front import nondominated
from toolkit.workload import conv1d, gemm

TINY = arch(memory("DRAM"), memory("Buffer", 40), memory("Reg", 12))
LARGEST = 20_000


def run(problem: Problem, budget: Budget | None = None) -> SearchResult:
    evaluator = Evaluator(problem, budget or Budget())
    return evaluator.result("exhaustive", 0, exhaustive(evaluator, 0))


def drawn() -> list[Problem]:
    problems = [draw_problem(seed) for seed in range(60)]
    return [
        problem
        for problem in problems
        if problem is not None and space_size(problem.space, effort=LARGEST).mappings <= LARGEST
    ]


def test_proves_the_optimum_over_all_orders() -> None:
    problems = drawn()
    assert len(problems) >= 20
    for problem in problems:
        result = run(problem)
        assert result.proved
        assert result.objective == result.bound
        assert result.objective == pytest.approx(optimum(problem, full_orders=True), rel=1e-12)
        assert result.evaluations <= mapping_count(problem)
        assert result.invalid == 0


@pytest.mark.parametrize("seed", [12, 37, 47, 74, 86, 106])
def test_knows_all_ragged_tilings(seed: int) -> None:
    problem = draw_problem(seed, "ragged")
    assert problem is not None
    tilings = every_tiling(problem.space)
    listed = np.concatenate(list(enumerate_tilings(problem.space)))
    np.testing.assert_array_equal(np.unique(listed, axis=0), np.unique(tilings, axis=0))
    assert len(listed) == len(tilings)
    assert (tilings.prod(axis=1) > problem.space.sizes).any()
    orders = order_choices(problem, full_orders=True)
    best = min(float(objectives(problem, tilings, order).min()) for order in orders)
    result = run(problem)
    assert result.proved
    assert result.objective == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("conventions", [EXACT, FACTORFLOW, TIMELOOP], ids=lambda c: c.name)
@pytest.mark.parametrize("reuses", [True, False])
def test_windows_keep_their_orders_apart(conventions: object, reuses: bool) -> None:
    """A memory with and without multiple reuses, another that the window's tensor bypasses."""
    workload = conv1d(1, 2, 2, 3)
    levels = (
        memory("DRAM", multiple_reuses=reuses),
        memory("Buffer", 12, bypasses=("input",)),
        memory("Reg", 9),
    )
    problem = make_problem(arch(*levels), workload, conventions=conventions)
    assert run(problem).objective == pytest.approx(optimum(problem, full_orders=True), rel=1e-12)


@pytest.mark.parametrize("conventions", [EXACT, FACTORFLOW, TIMELOOP], ids=lambda c: c.name)
def test_every_order_costs_what_one_of_its_tiling_does(conventions: object) -> None:
    """All costs that all orders reach, tiling by tiling, are reached."""
    problem = make_problem(TINY, conv1d(2, 2, 3, 2), conventions=conventions)
    seen: dict[bytes, set[float]] = {}
    for factors, order in all_mappings(problem.space):
        for tiling, value in zip(factors, objectives(problem, factors, order), strict=True):
            seen.setdefault(tiling.tobytes(), set()).add(float(value))
    rng = np.random.default_rng(0)
    choices = [admissible_orders(m, problem.space.dimensions) for m in problem.arch.memories]
    for tilings in enumerate_tilings(problem.space):
        for _ in range(20):
            order = np.tile(np.arange(4), (len(tilings), 4, 1))
            for level, orders in zip(problem.space.memory_levels, choices, strict=True):
                order[:, level] = orders[rng.integers(len(orders), size=len(tilings))]
            for tiling, value in zip(tilings, objectives(problem, tilings, order), strict=True):
                assert float(value) in seen[tiling.tobytes()]


def test_no_mapping_twice() -> None:
    space = make_problem(TINY, gemm(4, 6, 2)).space
    rows = [
        np.concatenate([factors.reshape(len(factors), -1), order.reshape(len(order), -1)], axis=1)
        for factors, order in all_mappings(space)
    ]
    everything = np.concatenate(rows)
    assert len(np.unique(everything, axis=0)) == len(everything)


@pytest.mark.parametrize("seed", [143, 150, 242])
def test_gives_the_full_front(seed: int) -> None:
    asked = draw_problem(seed)
    assert asked is not None
    problem = replace(asked, objective=OBJECTIVES["energy,latency"])
    orders = np.stack(list(order_choices(problem, full_orders=True)))
    costs = []
    for tilings in enumerate_tilings(problem.space, 1 << 14):
        pairs = np.repeat(tilings, len(orders), axis=0).astype(np.float64)
        cost = batch_cost(problem.plan, pairs, np.tile(orders, (len(tilings), 1, 1)))
        costs.append(np.stack([cost.energy_pj, cost.latency_cycles], axis=1))
    # The compiled model rounds otherwise, so that ties may go either way.
    every = np.concatenate(costs).round(6)
    expected = every[nondominated(every)]
    found = np.array([(p.energy_pj, p.latency_cycles) for p in run(problem).front]).round(6)
    assert len(expected) >= 3
    np.testing.assert_allclose(found[nondominated(found)], expected, rtol=1e-9)


def test_a_budget_that_suffices_proves() -> None:
    problem = make_problem(TINY, gemm(4, 6, 2))
    everything = run(problem).evaluations
    assert run(problem, Budget(evaluations=everything)).proved
    assert run(problem, Budget(evaluations=everything - 1)).bound is None
    assert run(problem, Budget(seconds=60.0)).proved


def test_too_little_time_proves_nothing() -> None:
    result = run(PROBLEMS["simba"](), Budget(seconds=1e-9))
    assert result.evaluations > 0
    assert result.bound is None


def test_refuses_large_spaces_with_their_size() -> None:
    problem = make_problem(
        arch(memory("DRAM"), *[memory(f"B{i}") for i in range(4)]), gemm(3072, 1024, 4096)
    )
    with pytest.raises(InputError, match="about [0-9]+ mappings.*20000000") as caught:
        run(problem)
    assert caught.value.key == "budget"


def test_size_counts_only_loops_that_iterate() -> None:
    """Two tilings of one dimension in two memories: orders do not matter."""
    space = make_problem(arch(memory("DRAM"), memory("Reg", 30)), gemm(2, 1, 1)).space
    check_size(space, 2)
    with pytest.raises(InputError, match="more than the 1 "):
        check_size(space, 1)
