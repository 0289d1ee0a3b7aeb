"""Padded sizes that are chosen under the objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import toolkit
from toolkit.arch import Architecture, Compute, FactorConstraint, Fanout, Memory
from toolkit.errors import DoesNotFitError, InputError
from toolkit.mapping import fit
from toolkit.model.conventions import FACTORFLOW
from toolkit.search import make_problem, search_mappings
from toolkit.search.padding import MOST_MORE, MOST_SIZES, candidate_sizes
from toolkit.workload import Workload, gemm


def machine(*constraints: FactorConstraint) -> Architecture:
    """Lanes along M that can only run whole tiles."""
    return Architecture(
        "lanes",
        (
            Memory("DRAM", None, 10.0, 10.0, 64.0, 64.0),
            Fanout("Lanes", 8, ("M",), constraints=constraints),
            Memory("Registers", 16, 0.1, 0.1, 8.0, 8.0),
            Compute("MAC", mac_energy_pj=0.1),
        ),
    )


def best(arch: Architecture, workload: Workload, **options: Any) -> tuple[Any, float]:
    problem = make_problem(arch, workload, **options)
    return problem, search_mappings(problem, "greedy").objective


def test_the_size_that_searches_best_is_taken_and_named() -> None:
    workload = gemm(23, 4, 4)
    problem, value = best(machine(), workload, pad="all", objective="latency")
    assert problem.workload.sizes == {"M": 24, "K": 4, "N": 4}
    assert (problem.unpadded, problem.factors) == ((("M", 23),), "perfect")
    (note,) = problem.notes
    assert note.startswith("padded M from 23 to 24: latency ")
    assert " times lower than at 23, though 4.35 % more multiply-accumulates (best of " in note
    _, unpadded = best(machine(), workload, factors="perfect", objective="latency")
    assert value < unpadded / 4


def test_no_size_in_reach_is_better() -> None:
    found = {}
    for m in range(23, 27):
        _, found[m] = best(machine(), gemm(m, 4, 4), factors="perfect")
    problem, value = best(machine(), gemm(23, 4, 4), pad=["M"])
    assert value == min(found.values()) == found[problem.workload.sizes["M"]]
    assert len(set(found.values())) > 1


def test_what_no_padding_helps_stays_as_it_is() -> None:
    problem = make_problem(machine(), gemm(24, 4, 4), pad="all")
    assert (problem.workload.sizes["M"], problem.unpadded) == (24, ())
    assert problem.notes[0].startswith("padding M, K, N would not lower the EDP: ")


def test_only_dimensions_that_may_grow_do() -> None:
    problem = make_problem(machine(), gemm(23, 4, 4), pad="K")
    assert problem.workload.sizes["M"] == 23
    with pytest.raises(InputError, match="^pad: unknown dimension 'Q'; expected 'all' or some of"):
        make_problem(machine(), gemm(23, 4, 4), pad=("Q",))


def test_a_constraint_that_does_not_divide_is_met_in_any_case() -> None:
    arch = machine(FactorConstraint("M", "==", 8))
    with pytest.raises(DoesNotFitError, match="padding M to 24 would fit"):
        make_problem(arch, gemm(23, 4, 4), factors="perfect")
    chosen = make_problem(arch, gemm(23, 4, 4), pad="M")
    rounded = make_problem(arch, gemm(23, 4, 4), factors="perfect", round_up="M")
    assert chosen.workload.sizes["M"] == rounded.workload.sizes["M"] == 24
    assert rounded.notes == fit(arch, gemm(23, 4, 4), pad="M").notes
    assert rounded.unpadded == ()


def test_the_choice_is_the_same_each_time() -> None:
    arch = toolkit.load_arch("eyeriss")
    first, second = (make_problem(arch, gemm(37, 41, 8), pad="all") for _ in range(2))
    assert first == second
    assert first.unpadded


def test_objectives_that_are_functions_choose_too() -> None:
    def slow(energy: Any, latency: Any, utilization: Any) -> Any:
        return latency

    problem = make_problem(machine(), gemm(23, 4, 4), pad="M", objective=slow)
    assert problem.workload.sizes["M"] == 24
    assert "slow" in problem.notes[0]


def test_ragged_factors_and_padding_exclude_each_other() -> None:
    with pytest.raises(InputError, match="^pad: sizes are padded for whole tiles"):
        make_problem(machine(), gemm(23, 4, 4), pad="M", factors="ragged")
    with pytest.raises(InputError, match="^factors: the conventions factorflow"):
        make_problem(machine(), gemm(23, 4, 4), factors="ragged", conventions=FACTORFLOW)
    padded = make_problem(machine(), gemm(23, 4, 4), pad="M", conventions=FACTORFLOW)
    assert padded.workload.sizes["M"] == 24


def test_an_interruption_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def interrupted(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    monkeypatch.setattr("toolkit.search.padding.search_mappings", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_problem(machine(), gemm(23, 4, 4), pad="M")
    assert calls == 1


@pytest.mark.parametrize("size", [2, 7, 197, 1024, 11_008, 10**6 + 3, 10**12 + 39])
def test_candidates_are_few_near_and_among_them_the_size(size: int) -> None:
    sizes = candidate_sizes(toolkit.load_arch("eyeriss"), "M", size, size)
    assert sizes == sorted(set(sizes))
    assert len(sizes) <= MOST_SIZES
    assert sizes[0] == size
    assert sizes[-1] <= np.ceil(size * (1 + MOST_MORE))


def test_a_size_of_one_is_not_padded() -> None:
    assert candidate_sizes(machine(), "M", 1, 1) == [1]


@pytest.mark.parametrize(
    ("load", "sizes", "most"),
    [
        (lambda: toolkit.load_arch("eyeriss"), (197, 768, 768), 743),
        (lambda: toolkit.load_arch("simba"), (197, 768, 768), 624.1),
        (lambda: toolkit.load_arch("gemmini"), (197, 768, 768), 92.7),
    ],
)
def test_padding_is_as_good_as_by_hand(
    load: Callable[[], Architecture], sizes: tuple[int, int, int], most: float
) -> None:
    problem = make_problem(load(), gemm(*sizes), pad="all", conventions=toolkit.STEADY)
    found = search_mappings(problem, "greedy", budget=toolkit.Budget(200_000))
    assert found.edp_pj_cycles * 1e-12 < most
