"""Greedy descents where last tiles may be cut off."""

from __future__ import annotations

import pytest

from toolkit.arch.files import load_arch
from toolkit.search import Budget, make_problem, search_mappings
from toolkit.workload import conv2d, gemm

RULES = ("perfect", "ragged")
PAIRS = {
    "gemm": ("eyeriss", gemm(96, 64, 197)),
    "conv": ("eyeriss-conv", conv2d(64, 32, 28, 28, 3, 3)),
    "fixed sizes": ("gemmini", gemm(64, 48, 80)),
}


@pytest.mark.parametrize("evaluations", [500, 5_000])
@pytest.mark.parametrize("name", PAIRS)
def test_no_worse_than_among_whole_tiles_with_half_the_budget(name: str, evaluations: int) -> None:
    arch, workload = PAIRS[name]
    whole, ragged = (make_problem(load_arch(arch), workload, factors=f) for f in RULES)
    for seed in (0, 1):
        half = search_mappings(whole, "greedy", budget=Budget(evaluations=evaluations), seed=seed)
        found = search_mappings(
            ragged, "greedy", budget=Budget(evaluations=2 * evaluations), seed=seed
        )
        assert found.objective <= half.objective
        assert found.evaluations <= 2 * evaluations


def test_sizes_without_whole_tiles_are_searched_too() -> None:
    """The array takes 16 rows, of which 197 are no multiple."""
    problem = make_problem(load_arch("gemmini"), gemm(197, 32, 48))
    result = search_mappings(problem, "greedy", budget=Budget(evaluations=2_000))
    padded = make_problem(load_arch("gemmini"), gemm(208, 32, 48), factors="perfect")
    assert (
        result.objective
        < search_mappings(padded, "greedy", budget=Budget(evaluations=2_000)).objective
    )


def test_large_sizes_take_what_a_prime_offers_none_of() -> None:
    """Of 127 rows, twelve at a time keep all but five lanes of the last round busy."""
    problem = make_problem(load_arch("eyeriss"), gemm(127, 32, 48), objective="latency")
    perfect = make_problem(problem.arch, problem.workload, objective="latency", factors="perfect")
    budget = Budget(evaluations=5_000)
    found, whole = (
        search_mappings(p, "greedy", budget=budget).objective for p in (problem, perfect)
    )
    assert found < whole / 5
