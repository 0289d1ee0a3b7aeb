"""Descents from given mappings alone."""

from __future__ import annotations

import numpy as np
import pytest

import toolkit
from toolkit.errors import InputError
from toolkit.search.basin import Basins, basin
from toolkit.search.chosen_mappings import sample_mappings
from toolkit.search.evaluator import Evaluator
from toolkit.search.moves import move_space, one_move_away

PROBLEMS = {
    "perfect": ("eyeriss", "gemm:M=12,K=8,N=6", {"factors": "perfect"}),
    "ragged": ("simba", "gemm:M=13,K=7,N=6", {}),
    "conv": ("eyeriss-conv", "conv:M=4,C=2,P=6,Q=3,R=3,S=3,stride=2", {"factors": "perfect"}),
}


def problem_of(name: str) -> toolkit.Problem:
    arch, workload, options = PROBLEMS[name]
    return toolkit.make_problem(
        toolkit.load_arch(arch), toolkit.load_workload(workload), **options
    )


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_single_move_improves_the_bottom(name: str) -> None:
    """Of ragged dimensions, moves whose change small factors make by ones are not tried."""
    problem = problem_of(name)
    evaluator = Evaluator(problem, toolkit.Budget())
    basins, moves = Basins(evaluator), move_space(problem.space)
    factors, order, choice = sample_mappings(problem, 12, np.random.default_rng(3))
    drawn = evaluator.evaluate(factors, order, choice)
    for row in range(12):
        value, (f, o, _) = basins.bottom((factors[row], order[row], 0))
        assert value <= drawn[row]
        assert evaluator.evaluate(f[None], o[None])[0] == pytest.approx(value, rel=1e-12)
        if name != "ragged":
            near = Evaluator(problem, toolkit.Budget()).evaluate(
                *one_move_away(problem.space, moves, f, o)
            )
            assert near.min() >= value * (1 - 1e-9)


def test_an_optimum_is_where_its_own_descent_ends() -> None:
    problem = problem_of("perfect")
    optimum = toolkit.search_mappings(problem, "exact")
    result = toolkit.search_mappings(problem, basin, warm_starts=[optimum.mapping])
    assert result.strategy == "basin"
    assert result.objective == pytest.approx(optimum.objective, rel=1e-12)


def test_it_depends_on_the_start_alone() -> None:
    problem = problem_of("ragged")
    start = toolkit.search_mappings(
        problem, "random", budget=toolkit.Budget(evaluations=1), seed=5
    ).mapping
    found = {
        toolkit.search_mappings(problem, basin, seed=seed, warm_starts=[start]).mapping
        for seed in (0, 1, 2)
    }
    assert len(found) == 1


def test_tensors_are_left_out_where_that_helps() -> None:
    arch, work = toolkit.load_arch("simba"), toolkit.gemm(12, 8, 6)
    held = toolkit.make_problem(arch, work, bypass="fixed")
    start = toolkit.search_mappings(held, "random", budget=toolkit.Budget(evaluations=1)).mapping
    free = toolkit.make_problem(arch, work, bypass="free")
    ends = [
        toolkit.search_mappings(problem, basin, warm_starts=[start]).objective
        for problem in (held, free)
    ]
    assert ends[1] < ends[0]


def test_a_budget_is_kept() -> None:
    problem = problem_of("conv")
    start = toolkit.search_mappings(
        problem, "random", budget=toolkit.Budget(evaluations=1)
    ).mapping
    result = toolkit.search_mappings(
        problem, basin, warm_starts=[start, start], budget=toolkit.Budget(evaluations=7)
    )
    assert result.evaluations == 7
    assert result.stopped


def test_without_a_start_there_is_nothing_to_do() -> None:
    with pytest.raises(InputError, match="warm_starts: expected at least one mapping"):
        toolkit.search_mappings(problem_of("perfect"), basin)
