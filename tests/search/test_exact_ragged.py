"""The exact mapper where factors need only reach the sizes, against whole map spaces."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from search.brute import best_front, optimum, without_ties
from search.drawn import draw_problem
from search.drawn_wide import draw_wide

from toolkit import load_arch
from toolkit.arch import Architecture, Compute, Fanout, Memory
from toolkit.arch.constraints import FactorConstraint
from toolkit.arch.levels import Level
from toolkit.errors import ToolkitError
from toolkit.mapping import sample
from toolkit.model import EXACT, STEADY, TIMELOOP, Conventions
from toolkit.search import Budget, Problem, make_problem, objective_named, search_mappings
from toolkit.search.evaluator import Evaluator
from toolkit.search.exact import exact_front, prove
from toolkit.search.exact.decomposition import decomposes
from toolkit.search.exact.instance_strategy import InstanceProver
from toolkit.workload import gemm

LARGEST = 60_000
TOLERANCE = 1e-9
J_CYCLES = 1e12


def ragged(
    drawn: Problem | None, largest: int = LARGEST, conventions: Conventions = EXACT
) -> Problem | None:
    """The same question with all factors that reach; None if it is too large or has no answer."""
    if drawn is None:
        return None
    try:
        problem = make_problem(
            drawn.arch,
            drawn.workload,
            objective=drawn.objective,
            conventions=conventions,
            bias_read=drawn.bias_read,
            factors="ragged",
        )
        apart = not decomposes(problem)
    except ToolkitError:
        return None
    space = problem.space
    orders = math.prod(min(rule.admissible, 6) for rule in space.order_rules)
    tilings = math.prod(lattice.total for lattice in space.lattices)
    small = 0 < tilings * orders <= largest
    return problem if small and space.ragged.any() and not apart else None


def check_optimum(problem: Problem) -> None:
    best = optimum(problem)
    if best == math.inf:
        return
    evaluator = Evaluator(problem, Budget())
    bound, certificate = prove(evaluator)
    assert certificate.unfinished == 0
    assert bound == pytest.approx(best, rel=TOLERANCE)
    assert evaluator.best_objective == pytest.approx(best, rel=TOLERANCE)


@examples(30)
@given(st.integers(0, 10**6))
def test_optimum_of_drawn_problems(seed: int) -> None:
    for draw in (draw_problem, draw_wide):
        problem = ragged(draw(seed))
        if problem is not None:
            check_optimum(problem)


@examples(12)
@given(st.integers(0, 10**6))
def test_front_of_drawn_problems(seed: int) -> None:
    drawn = ragged(draw_wide(seed), 300)
    if drawn is None:
        return
    problem = replace(drawn, objective=objective_named("energy,latency"))
    found = exact_front(Evaluator(problem, Budget()))
    assert found is not None
    costs = without_ties(np.array([point[:2] for point in found]))
    np.testing.assert_allclose(costs, best_front(problem), rtol=TOLERANCE)


@examples(15)
@given(st.integers(0, 10**6), st.sampled_from([1e-6, 0.01, 0.1]))
def test_a_limit_leaves_a_valid_bound(seed: int, seconds: float) -> None:
    problem = ragged(draw_wide(seed))
    if problem is None:
        return
    factors, order = sample(problem.space, 200, np.random.default_rng(seed))
    values = Evaluator(problem, Budget()).evaluate(factors, order)
    bound, _ = prove(Evaluator(problem, Budget(seconds=seconds)))
    assert bound <= values.min() * (1 + TOLERANCE)


@pytest.mark.parametrize(
    ("arch", "sizes", "edp_j_cycles"),
    [
        ("eyeriss", (127, 251, 509), 10.7134),
        ("eyeriss", (197, 768, 768), 524.4301),
        ("gemmini", (197, 768, 768), 89.3102),
        ("simba", (197, 768, 768), 621.177),
    ],
)
def test_sizes_that_do_not_divide(
    arch: str, sizes: tuple[int, int, int], edp_j_cycles: float
) -> None:
    """Perfect factors take up to 390 times as much: 4,179 J·cycle for the first one."""
    problem = make_problem(load_arch(arch), gemm(*sizes), factors="ragged", conventions=STEADY)
    result = search_mappings(problem, "exact")
    assert result.proved
    assert result.objective / J_CYCLES == pytest.approx(edp_j_cycles, rel=1e-5)


def test_perfect_factors_are_among_the_ragged_ones() -> None:
    arch, workload = load_arch("eyeriss"), gemm(96, 60, 64)
    perfect, cut = (
        search_mappings(make_problem(arch, workload, factors=rule), "exact")
        for rule in ("perfect", "ragged")
    )
    assert perfect.proved and cut.proved
    assert cut.objective <= perfect.objective


def no_first_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the proof without descents, which find small optima whatever it overlooks."""
    monkeypatch.setattr(InstanceProver, "first_mapping", lambda self: None)


def test_the_proof_finds_optima_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    no_first_mapping(monkeypatch)
    drawn = [draw(seed) for seed in range(5100, 5160) for draw in (draw_problem, draw_wide)]
    problems = [p for p in (ragged(x, 10_000) for x in drawn) if p is not None]
    assert len(problems) >= 30
    for problem in problems:
        check_optimum(problem)


@pytest.mark.parametrize(
    ("drawn", "factors"),
    [
        # A window slides along a loop that reaches beyond the size.
        (draw_problem(57), "ragged"),
        # The outermost memory does not hold the input.
        (draw_wide(40, bits=False), "perfect"),
    ],
)
def test_compulsory_traffic_is_not_too_much(
    drawn: Problem, factors: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_first_mapping(monkeypatch)
    problem = make_problem(
        drawn.arch,
        drawn.workload,
        objective=drawn.objective,
        conventions=EXACT,
        bias_read=drawn.bias_read,
        factors=factors,
    )
    check_optimum(problem)


def machine(*levels: Level) -> Architecture:
    dram = Memory("DRAM", None, 10, 10, 4, 4)
    return Architecture("odd", (dram, *levels, Compute("MAC", 0.1)))


def only(dimension: str, relation: str, value: int) -> tuple[FactorConstraint, ...]:
    return (FactorConstraint(dimension, relation, value),)


ODD = {
    "nine tiles on 3 x 4 instances": (
        machine(
            Fanout("A", 3, ("M",), constraints=only("M", "==", 3)),
            Fanout("B", 4, ("M",), constraints=only("M", "==", 4)),
            Memory("Reg", 4, 1, 1, 8, 8),
        ),
        (9, 2, 3),
    ),
    "a least factor": (
        machine(
            Memory("Buf", 24, 2, 2, 8, 8, constraints=only("M", ">=", 3)),
            Memory("Reg", 4, 1, 1, 8, 8),
        ),
        (7, 2, 3),
    ),
    "stalls that leak": (
        machine(
            Memory("Buf", 24, 2, 2, 0.5, 0.5, leakage_pj_per_cycle=5),
            Fanout("A", 3, ("M",)),
            Memory("Reg", 4, 1, 1, 1, 1, leakage_pj_per_cycle=2),
        ),
        (7, 3, 4),
    ),
    "a latency that counts as energy": (
        machine(
            Memory("Buf", 24, 2, 2, 0.5, 0.5, leakage_pj_per_cycle=500),
            Fanout("A", 3, ("M",)),
            Memory("Reg", 4, 1, 1, 1, 1),
        ),
        (7, 3, 4),
    ),
    "a single tile left over": (
        machine(
            Memory("Buf", 40, 1, 1, 64, 64),
            Fanout("PE", 4, ("M",)),
            Memory("Reg", 3, 0.1, 500, 64, 64, constraints=only("M", "==", 1)),
        ),
        (14, 2, 3),
    ),
}


@pytest.mark.parametrize("objective", ["edp", "energy", "latency", "edp_per_utilization"])
@pytest.mark.parametrize("name", ODD)
def test_odd_machines(name: str, objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    no_first_mapping(monkeypatch)
    arch, sizes = ODD[name]
    check_optimum(make_problem(arch, gemm(*sizes), factors="ragged", objective=objective))


def test_bounds_of_proofs_cut_short_know_what_leaks() -> None:
    plain = Memory("Buf", 1024, 2, 2, 8, 8)

    def bound(buffer: Memory) -> float:
        arch = machine(buffer, Fanout("A", 13, ("M",)), Memory("Reg", 40, 1, 1, 8, 8))
        problem = make_problem(arch, gemm(500, 300, 400), factors="ragged", objective="energy")
        return prove(Evaluator(problem, Budget(seconds=0.02)))[0]

    leaked = bound(replace(plain, leakage_pj_per_cycle=100.0)) - bound(plain)
    assert leaked > 0.9 * 100.0 * 500 * 300 * 400 / 13


@pytest.mark.parametrize("seed", [5222, 5626])
def test_what_is_impossible_is_a_number_where_nothing_leaks(seed: int) -> None:
    """It takes endless cycles, and no energy per cycle times these is no number."""
    problem = ragged(draw_problem(seed), 3000, EXACT)
    assert problem is not None
    with np.errstate(invalid="raise"):
        check_optimum(problem)


def test_persistent_transfers_are_enumerated() -> None:
    """Where tiles are cut off and stays go on outside of their supplier; a limit says so."""
    dram = Memory("DRAM", None, 64.0, 64.0, 4.0, 4.0, values_per_wordline=4)
    buffer = Memory("Buffer", 24, 2.0, 2.0, 8.0, 8.0)
    arch = Architecture("a", (dram, buffer, Fanout("Rows", 2, ("M",)), Compute("MAC", 0.2)))
    small = make_problem(arch, gemm(5, 3, 4), conventions=TIMELOOP, factors="ragged")
    result = search_mappings(small, "exact")
    assert result.proved
    assert result.certificate is not None and result.certificate.enumerated > 0
    assert result.objective == pytest.approx(optimum(small), rel=TOLERANCE)
    roomy = replace(arch, levels=(dram, replace(buffer, capacity_words=4096), *arch.levels[2:]))
    large = make_problem(roomy, gemm(97, 89, 101), conventions=TIMELOOP, factors="ragged")
    limited = search_mappings(large, "exact", budget=Budget(seconds=1))
    assert not limited.proved
    assert limited.bound is not None and 0 < limited.bound < limited.objective
