"""The exact mapper against whole map spaces, and against optima known from elsewhere."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from search.brute import best_front, optimum, order_count, tiling_count, without_ties
from search.drawn import draw_problem
from search.drawn_wide import draw_wide
from search.problems import PROBLEMS

from toolkit import load_arch, load_workload
from toolkit.arch import Architecture, Compute, Fanout, Memory
from toolkit.errors import InputError
from toolkit.mapping import space_size
from toolkit.model import EXACT, FACTORFLOW, STEADY, TIMELOOP, TIMELOOP_4, Conventions
from toolkit.search import (
    Budget,
    Objective,
    Problem,
    make_problem,
    objective_named,
    search_mappings,
)
from toolkit.search.evaluator import Evaluator, checked_cost
from toolkit.search.exact import branch as branch_module
from toolkit.search.exact import covered_tilings, exact, exact_front, prove
from toolkit.search.exact.branch import Branch, LabelSearch
from toolkit.search.exact.decomposition import decomposes
from toolkit.search.exact.nest import Nest, window_plan
from toolkit.search.exact.spatial import (
    compulsory_energy_pj,
    each_spatial_choice,
    lanes_bound,
    plain_bound,
)
from toolkit.search.exact.spatial_factors import Spatial
from toolkit.search.result import Certificate
from toolkit.workload import conv1d, conv2d, gemm

LARGEST = 6000
TOLERANCE = 1e-9
J_CYCLES = 1e12


def solve(problem: Problem, seconds: float | None = None) -> tuple[Evaluator, float, Certificate]:
    evaluator = Evaluator(problem, Budget(seconds=seconds))
    bound, certificate = prove(evaluator)
    return evaluator, bound, certificate


def is_small(problem: Problem | None, largest: int = LARGEST) -> bool:
    if problem is None or order_count(problem) > largest:
        return False
    count = covered_tilings(problem)
    return count > 0 and count * order_count(problem) <= largest


def check_optimum(problem: Problem) -> None:
    evaluator, bound, certificate = solve(problem)
    assert certificate.unfinished == 0
    assert bound == pytest.approx(optimum(problem, full_orders=True), rel=TOLERANCE)
    assert evaluator.best_objective == pytest.approx(bound, rel=TOLERANCE)
    result = evaluator.result("exact", 0, bound)
    assert result.proved
    assert result.objective == bound


@examples(30)
@given(st.integers(0, 10**6))
def test_optimum_of_drawn_problems(seed: int) -> None:
    problem = draw_problem(seed)
    if problem is not None and is_small(problem):
        check_optimum(problem)


@examples(70)
@given(st.integers(0, 10**6))
def test_optimum_with_everything_switched_on(seed: int) -> None:
    problem = draw_wide(seed)
    if problem is not None and is_small(problem):
        check_optimum(problem)


@examples(70)
@given(st.integers(0, 10**6), st.sampled_from((TIMELOOP, TIMELOOP_4)))
def test_optimum_as_timeloop_counts(seed: int, conventions: Conventions) -> None:
    problem = draw_wide(seed, conventions)
    if problem is not None and is_small(problem):
        check_optimum(problem)


@examples(30)
@given(st.integers(0, 10**6))
def test_front_of_drawn_problems(seed: int) -> None:
    drawn = draw_wide(seed)
    if drawn is None or not is_small(drawn, 2000):
        return
    problem = replace(drawn, objective=objective_named("energy,latency"))
    found = exact_front(Evaluator(problem, Budget()))
    assert found is not None
    costs = without_ties(np.array([point[:2] for point in found]))
    np.testing.assert_allclose(costs, best_front(problem), rtol=TOLERANCE)


@cache
def wide_problems() -> tuple[Problem, ...]:
    drawn = [draw_wide(seed) for seed in range(120)]
    drawn += [draw_wide(seed, TIMELOOP) for seed in range(60)]
    return tuple(p for p in drawn if p is not None and order_count(p) < 10**6)


def test_drawn_problems_are_of_every_kind() -> None:
    chosen = [p for p in wide_problems() if is_small(p)]
    assert len(chosen) >= 20
    assert {p.objective.name for p in chosen} >= {"edp", "energy", "latency"}
    assert {p.conventions.name for p in chosen} == {"exact", "factorflow", "timeloop"}
    assert len({p.workload.kernel for p in chosen}) >= 3
    certificates = [solve(p)[2] for p in chosen]
    assert any(c.by_labels for c in certificates)
    assert any(c.by_compulsory_traffic for c in certificates)
    assert any(c.labels > c.by_labels for c in certificates)


def test_every_mapping_is_covered() -> None:
    for problem in wide_problems()[:25]:
        assert covered_tilings(problem) == tiling_count(problem)


def test_compulsory_energy_is_a_bound() -> None:
    looked_at = 0
    for problem in wide_problems():
        if not decomposes(problem) or problem.tables.switches.waits:
            continue
        for factors in itertools.islice(each_spatial_choice(problem.space), 20):
            spatial = Spatial(problem, factors)
            nest = Nest(problem, window_plan(problem), spatial)
            if not nest.steps:
                continue
            branch = Branch(nest, problem.objective.powers, compulsory_energy_pj(nest))
            compulsory = branch.energy_pj
            branch.energy_pj = -math.inf
            if branch.solve_energy() is not None:
                assert compulsory <= branch.energy_pj * (1 + TOLERANCE)
                assert compulsory_energy_pj(nest) <= branch.energy_pj * (1 + TOLERANCE)
                looked_at += 1
    assert looked_at > 100


def test_lower_bounds_of_loops_that_only_count() -> None:
    """Found by drawing 20,000 problems: a loop not placed yet counts once, whatever its bound."""
    problem = draw_wide(11065)
    assert problem is not None
    check_optimum(problem)


def test_costs_along_paths_are_those_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branch_module, "MOST_COMPARISONS", 0)  # Nothing is undercut.
    compared = 0
    for problem in wide_problems():
        if not decomposes(problem) or problem.tables.switches.waits or not is_small(problem):
            continue
        for factors in each_spatial_choice(problem.space):
            spatial = Spatial(problem, factors)
            nest = Nest(problem, window_plan(problem), spatial)
            if not nest.steps or nest.stalls_leak:
                continue
            branch = Branch(nest, (1.0, 1.0, 0.0), compulsory_energy_pj(nest))
            ends = LabelSearch(branch).run(branch.goal(math.inf), lambda: False)
            assert ends is not None
            predicted = branch.values(ends.costs)
            for value, path in list(zip(predicted, ends.paths, strict=True))[:100]:
                energy, latency, _ = checked_cost(problem, *branch.mapping(path))
                assert value == pytest.approx(energy * latency, rel=TOLERANCE)
                compared += 1
    assert compared > 900


LEFT_OUT = ("simba", "grouped")
"""Large ones."""


@pytest.mark.parametrize("name", [n for n in PROBLEMS if n not in LEFT_OUT])
def test_nothing_beats_it_on_odd_problems(name: str) -> None:
    problem = PROBLEMS[name]()
    evaluator, bound, certificate = solve(problem)
    assert certificate.unfinished == 0
    assert evaluator.result("exact", 0, bound).proved
    other = search_mappings(problem, "greedy", budget=Budget(evaluations=20_000))
    assert other.objective >= bound * (1 - TOLERANCE)


@pytest.mark.parametrize(
    ("arch", "workload", "edp_j_cycles"),
    [
        ("eyeriss", "bert-large/KQV", 10849959.632270314),
        ("eyeriss", "bert-large/KTQ", 122704.7060114296),
        ("eyeriss", "bert-large/VScores", 126779.49610396747),
        ("eyeriss", "bert-large/Out", 1834620.1212028505),
        ("eyeriss", "maestro-blas/MB2", 7296551.972280583),
        ("eyeriss", "maestro-blas/MB3", 0.38960520757247996),
        ("gemmini", "bert-large/KQV", 908546.0898),
    ],
)
def test_optima_known_from_enumeration(arch: str, workload: str, edp_j_cycles: float) -> None:
    problem = make_problem(load_arch(arch), load_workload(workload), conventions=FACTORFLOW)
    evaluator, bound, certificate = solve(problem)
    assert certificate.unfinished == 0
    assert bound / J_CYCLES == pytest.approx(edp_j_cycles, rel=1e-9)


def test_branches_are_all_accounted_for() -> None:
    problem = make_problem(load_arch("eyeriss"), gemm(24, 20, 12), conventions=FACTORFLOW)
    certificate = solve(problem)[2]
    assert certificate.spatial_choices == sum(
        (
            certificate.empty,
            certificate.by_compulsory_traffic,
            certificate.by_least_energy,
            certificate.by_least_latency,
            certificate.by_labels,
            certificate.unfinished,
        )
    )
    assert covered_tilings(problem) == space_size(problem.space).tilings


def test_results_do_not_depend_on_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for cores in (1, 16):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        for seed in (1, 6, 16, 41):
            problem = draw_wide(seed, bits=False)
            assert problem is not None
            evaluator = Evaluator(problem, Budget(evaluations=3))
            found.append((*prove(evaluator), evaluator.best_objective))
    assert found[:4] == found[4:]


def test_a_limit_leaves_a_valid_bound() -> None:
    problem = make_problem(load_arch("simba"), gemm(16, 32, 24), conventions=EXACT)
    least = solve(problem)[1]
    evaluator = Evaluator(problem, Budget(evaluations=2))
    bound, certificate = prove(evaluator)
    assert certificate.unfinished > 0
    assert 0 < bound < least
    assert evaluator.best_objective >= least * (1 - TOLERANCE)
    assert not evaluator.result("exact", 0, bound * (1 - 1e-6)).proved


SELECTIVE = Architecture(
    "selective",
    (
        Memory("DRAM", None, 50, 50, 4, 4),
        Fanout("PEs", 2, ("P", "R"), selective_multicast=True),
        Memory("Weights", 8, 2, 2, 4, 4, bypasses=("input",)),
        Memory("Register", 6, 1, 1, 4, 4),
        Compute("MAC", 0.5),
    ),
)
"""Instances share overlapping windows across a memory whose loops move these windows."""


def test_enumerates_where_words_do_not_decompose() -> None:
    problem = make_problem(SELECTIVE, conv1d(1, 1, 4, 2))
    assert not decomposes(problem)
    evaluator, least, certificate = solve(problem)
    assert certificate.enumerated == evaluator.evaluations > 0
    assert least == pytest.approx(optimum(problem, full_orders=True), rel=TOLERANCE)
    assert evaluator.best_objective == pytest.approx(least, rel=TOLERANCE)
    limited = Evaluator(problem, Budget(evaluations=1))
    bound, certificate = prove(limited)
    assert certificate.unfinished == 1
    assert 0 < bound <= least * (1 + TOLERANCE)


DRAM = Memory("DRAM", None, 50, 50, 1, 1)
SHARING = Fanout("Rows", 2, ("P",), selective_multicast=True)
"""Its instances share windows that lie apart if something inside of it cuts P, too."""


@pytest.mark.parametrize("objective", ["edp", "energy", "latency", "edp_per_utilization"])
def test_windows_that_lie_apart_at_lanes(objective: str) -> None:
    buffer = Memory("Buffer", 20, 2, 2, 0.5, 0.5, bypasses=("input",))
    columns = Fanout("Columns", 2, ("P", "R"), selective_multicast=True)
    lanes = Compute("MAC", 0.5, mesh=4, dimensions=("P", "C", "R"))
    arch = Architecture("apart", (DRAM, buffer, SHARING, columns, lanes))
    problem = make_problem(arch, conv1d(1, 2, 4, 2), objective=objective)
    assert decomposes(problem)
    check_optimum(problem)


def test_windows_that_lie_apart_at_memories_are_enumerated() -> None:
    register = Memory("Register", 6, 1, 1, 4, 4)
    levels = (DRAM, SHARING, Fanout("Columns", 2, ("P",)), register, Compute("MAC", 0.5))
    arch = Architecture("apart", levels)
    problem = make_problem(arch, conv1d(1, 1, 4, 2), objective="edp_per_utilization")
    assert not decomposes(problem)
    check_optimum(problem)


def test_bounds_without_a_search() -> None:
    for problem in wide_problems():
        if is_small(problem):
            least = optimum(problem, full_orders=True) * (1 + TOLERANCE)
            assert 0 < lanes_bound(problem) <= plain_bound(problem) * (1 + TOLERANCE) <= least
            assert plain_bound(problem, lambda: True) == lanes_bound(problem)


def test_a_time_limit_holds_while_choices_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(Evaluator, "seconds", property(lambda _: next(ticks) / 10))
    layer = conv2d(256, 240, 56, 56, 3, 3, n=4)
    fanouts = [Fanout(name, 64, layer.dimensions) for name in ("Rows", "Columns")]
    buffer = Memory("Buffer", 4096, 5, 5, 16, 16)
    arch = Architecture("many choices", (DRAM, *fanouts, buffer, Compute("MAC", 0.5)))
    problem = make_problem(arch, layer)
    result = search_mappings(problem, "exact", budget=Budget(seconds=10))
    certificate = result.certificate
    assert certificate is not None and certificate.unfinished > 0
    # Of hundreds of thousands: the time is looked at after every 256.
    assert certificate.spatial_choices <= 30_000
    settled = certificate.empty + certificate.by_compulsory_traffic
    assert certificate.spatial_choices == settled + certificate.unfinished
    assert result.bound is not None and 0 < result.bound < result.objective


def test_refuses_what_it_cannot_prove() -> None:
    mixed = replace(FACTORFLOW, name="mixed", whole_wordlines=True)
    with pytest.raises(InputError, match="conventions: mixed has whole_wordlines"):
        solve(make_problem(load_arch("gemmini"), gemm(16, 16, 16), conventions=mixed))
    function = make_problem(load_arch("gemmini"), gemm(16, 16, 16), objective=lambda e, t, u: e)
    with pytest.raises(InputError, match="Python function"):
        exact(Evaluator(function, Budget()), 0)
    for powers in ((-1.0, 1.0, 0.0), (1.0, -0.5, 1.0)):
        falling = Objective("slow", powers)
        with pytest.raises(InputError, match="slow falls where energy or latency rises"):
            solve(make_problem(load_arch("gemmini"), gemm(16, 16, 16), objective=falling))


@pytest.mark.parametrize("strategy", ["greedy", "anneal", "evolution", "scipy"])
def test_idle_loops_under_an_order_constraint_are_no_obstacle(strategy: str) -> None:
    problem = draw_wide(147, bits=False)
    assert problem is not None
    result = search_mappings(problem, strategy, budget=Budget(evaluations=20_000))
    assert result.objective == pytest.approx(56)


LANES = """
name: lanes
kernel: gemm
levels:
  - {memory: DRAM, capacity_words: unlimited, access_energy_pj: 64, bandwidth_words_per_cycle: 8}
  - memory: Scratchpad
    capacity_words: 524288
    access_energy_pj: 3.47
    bandwidth_words_per_cycle: 32
    constraints: [K <= 128]
    bypasses: [output]
  - {fanout: PEs, mesh: 32, dimensions: [M, K], constraints: [M <= 8, K >= 2]}
  - memory: Accumulator
    capacity_words: 256
    access_energy_pj: 4.01
    bandwidth_words_per_cycle: 8
    constraints: [M == 1, K == 1, N >= 16]
    bypasses: [input, weight]
  - memory: Registers
    capacity_words: 4
    access_energy_pj: 0.01
    bandwidth_words_per_cycle: 2
    constraints: [M == 1, K == 1, N == 1]
    loop_order: [M, K, N]
    bypasses: [input, output]
"""


MESH = "{compute: MAC, mac_energy_pj: 0.28, mesh: 2, dimensions: [N]"


@pytest.mark.parametrize(
    ("lanes", "edp_j_cycles"),
    [
        ("{fanout: Lanes, mesh: 2, dimensions: [N]}", 0.0127792),
        (f"{MESH}}}", 0.0127792),
        (f"{MESH}, multicast: false}}", 0.0255691),
    ],
)
def test_one_machine_written_two_ways(lanes: str, edp_j_cycles: float, tmp_path: Path) -> None:
    """Lanes of a compute level share reads as instances of a fanout do."""
    path = tmp_path / "lanes.yaml"
    single = "" if "compute" in lanes else "  - {compute: MAC, mac_energy_pj: 0.28}\n"
    path.write_text(f"{LANES}  - {lanes}\n{single}")
    problem = make_problem(
        load_arch(path), gemm(64, 64, 64), objective="edp_per_utilization", conventions=STEADY
    )
    result = search_mappings(problem, "exact")
    assert result.proved
    assert result.edp_pj_cycles / J_CYCLES == pytest.approx(edp_j_cycles, rel=1e-5)
