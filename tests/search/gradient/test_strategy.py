"""The gradient strategy beyond what test_contract asks of every strategy."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from search.problems import PROBLEMS

from toolkit.arch import load_arch
from toolkit.errors import InputError
from toolkit.mapping.sampling import sample
from toolkit.model import FACTORFLOW
from toolkit.search import Budget, Problem, make_problem, search_mappings
from toolkit.search.evaluator import Evaluator
from toolkit.search.gradient import descent, gradient
from toolkit.search.gradient.strategy import polish
from toolkit.search.moves import move_space, one_move_away
from toolkit.workload import conv2d, gemm

EYERISS = make_problem(load_arch("eyeriss"), gemm(768, 640, 1024), conventions=FACTORFLOW)


def run(problem: Problem, evaluations: int, seed: int = 0) -> Evaluator:
    evaluator = Evaluator(problem, Budget(evaluations=evaluations))
    gradient(evaluator, seed)
    return evaluator


@pytest.mark.parametrize(
    "problem",
    [
        EYERISS,
        make_problem(load_arch("simba"), gemm(64, 256, 48), conventions=FACTORFLOW),
        make_problem(load_arch("gemmini-ws"), conv2d(32, 16, 14, 14, 3, 3)),
    ],
    ids=["eyeriss", "simba", "gemmini-ws"],
)
def test_comes_near_the_best(problem: Problem) -> None:
    best = search_mappings(problem, "anneal", budget=Budget(evaluations=200_000)).objective
    assert run(problem, 5_000).best_objective <= 1.1 * best


def test_every_mapping_that_a_model_costs_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    costed = []
    log_objective, evaluate = descent.log_objective, Evaluator.evaluate

    def counted_loss(*args: object) -> torch.Tensor:
        values: torch.Tensor = log_objective(*args)  # type: ignore[arg-type]
        costed.append(len(values))
        return values

    def counted(self: Evaluator, factors: object, order: object) -> object:
        values = evaluate(self, factors, order)  # type: ignore[arg-type]
        costed.append(len(values))
        return values

    monkeypatch.setattr(descent, "log_objective", counted_loss)
    monkeypatch.setattr(Evaluator, "evaluate", counted)
    evaluator = run(EYERISS, 3_000)
    assert evaluator.evaluations == sum(costed) == 3_000


def test_more_rounds_follow_while_the_budget_lasts() -> None:
    evaluator = Evaluator(EYERISS, Budget(evaluations=1_000))
    gradient(evaluator, 0, starts=8)
    assert evaluator.evaluations == 1_000


def test_without_a_limit_one_round_is_made() -> None:
    evaluator = Evaluator(EYERISS, Budget())
    gradient(evaluator, 0, starts=4)
    assert 4 * 60 < evaluator.evaluations < 4 * 90


def test_better_than_its_starts() -> None:
    factors, order = sample(EYERISS.space, 4_000, np.random.default_rng(0))
    drawn = Evaluator(EYERISS, Budget())
    drawn.evaluate(factors, order)
    assert run(EYERISS, 4_000).best_objective < drawn.best_objective


def test_state_of_torch_is_left_alone() -> None:
    before = (torch.get_rng_state().tolist(), torch.get_num_threads(), torch.is_grad_enabled())
    run(EYERISS, 500)
    after = (torch.get_rng_state().tolist(), torch.get_num_threads(), torch.is_grad_enabled())
    assert after == before


def test_number_of_threads_makes_no_difference() -> None:
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(run(EYERISS, 3_000).best_objective)
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1]


def test_works_without_recording_gradients() -> None:
    with torch.no_grad():
        inside = run(EYERISS, 1_000).best_objective
    assert inside == run(EYERISS, 1_000).best_objective


def test_warm_starts_descend_too() -> None:
    ((factors,), (order,)) = sample(EYERISS.space, 1, np.random.default_rng(7))
    evaluator = Evaluator(EYERISS, Budget(evaluations=1), warm_starts=[(factors, order)])
    gradient(evaluator, 0)
    assert evaluator.best is not None
    np.testing.assert_array_equal(evaluator.best[0], factors)


def test_nothing_is_left_to_do_after_warm_starts_have_spent_the_budget() -> None:
    evaluator = Evaluator(EYERISS, Budget(evaluations=2))
    evaluator.evaluate(*sample(EYERISS.space, 2, np.random.default_rng(7)))
    gradient(evaluator, 0)
    assert evaluator.evaluations == 2


def test_functions_have_no_gradient() -> None:
    problem = make_problem(EYERISS.arch, EYERISS.workload, objective=lambda e, c, u: e + c)
    with pytest.raises(InputError, match="Python function"):
        run(problem, 100)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
def test_runs_on_a_gpu() -> None:
    evaluator = Evaluator(EYERISS, Budget(evaluations=3_000))
    partial(gradient, device="cuda")(evaluator, 0)
    assert evaluator.best_objective <= 1.1 * run(EYERISS, 3_000).best_objective


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
    near, orders = one_move_away(problem.space, moves, *evaluator.best)
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
