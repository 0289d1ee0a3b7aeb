"""Advice: moves of known effect, and a brute-force search for what it may have missed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mapping.spaces import arch, fanout, gemm, memory

import toolkit
from toolkit.arch import Architecture
from toolkit.errors import MappingError
from toolkit.mapping import (
    Mapping,
    from_arrays,
    mapping_from_dict,
    neighbours,
    order_classes,
    sample,
    to_arrays,
    violations,
)
from toolkit.model import EXACT, FACTORFLOW, STEADY, TIMELOOP, evaluate
from toolkit.search import Problem, make_problem
from toolkit.search.advice import Advice, advise

from .brute import objectives
from .drawn import draw_problem
from .problems import PROBLEMS


def problem_of(architecture: Architecture, m: int, k: int, n: int, objective: str) -> Problem:
    """Factors are perfect: what moves is a prime of a size. A steady state, for round numbers."""
    return make_problem(
        architecture,
        gemm(m, k, n),
        objective=objective,
        factors="perfect",
        conventions=STEADY,
    )


def mapped(problem: Problem, *levels: dict[str, int]) -> Mapping:
    """Each level's loops, outermost first."""
    given = list(levels) + [{}] * (len(problem.arch.levels) - len(levels))
    entries = []
    for level, loops in zip(problem.arch.levels, given, strict=True):
        entry: dict[str, object] = {"level": level.name, "factors": loops}
        if level in problem.arch.memories:
            entry["order"] = list(loops)
        entries.append(entry)
    return mapping_from_dict({"levels": entries}, problem.arch, problem.workload)


# Moves of known effect


SPATIAL = arch(memory("DRAM"), fanout("PEs", 4, "M"), memory("Reg"))


def test_an_idle_fanout_is_filled() -> None:
    """Three instances do six MACs in two cycles, two in three."""
    fast = replace(SPATIAL, levels=tuple(map(without_stalls, SPATIAL.levels)))
    problem = problem_of(fast, 6, 1, 1, "latency")
    advice = advise(problem, mapped(problem, {"M": 6}))
    best = advice.best[0]
    assert best.text == "move a factor 3 of M from DRAM to PEs"
    assert (advice.current.latency_cycles, best.costs.latency_cycles) == (6, 2)
    assert advice.best[1].costs.latency_cycles == 3
    assert advice.doublings == ()


def without_stalls(level: object) -> object:
    if hasattr(level, "read_bandwidth"):
        return replace(level, read_bandwidth=1e9, write_bandwidth=1e9)  # type: ignore[type-var]
    return level


def test_a_full_fanout_forbids_and_says_what_it_would_take() -> None:
    fast = replace(SPATIAL, levels=tuple(map(without_stalls, SPATIAL.levels)))
    problem = problem_of(fast, 8, 1, 1, "latency")
    advice = advise(problem, mapped(problem, {"M": 2}, {"M": 4}))
    assert advice.best == ()
    (move, *_) = advice.blocked
    assert move.text == "move a factor 2 of M from DRAM to PEs"
    assert move.costs.latency_cycles == 1
    (rule,) = move.obstacles
    assert (rule.kind, rule.level, rule.needed, rule.available) == ("mesh", "PEs", 8, 4)
    assert rule.text == "PEs would need 8 instances, 4 more than its mesh of 4"


def test_ragged_changes_are_tried() -> None:
    """Seven on four instances: in two steps, where primes offer all seven or none."""
    fast = replace(SPATIAL, levels=tuple(map(without_stalls, SPATIAL.levels)))
    problem = make_problem(
        fast, gemm(7, 1, 1), objective="latency", factors="ragged", conventions=STEADY
    )
    advice = advise(problem, mapped(problem, {"M": 7}))
    best = advice.best[0]
    assert best.text == "iterate M 4 times at PEs and 2 times at DRAM"
    assert (advice.current.latency_cycles, best.costs.latency_cycles) == (7, 2)
    (move, *_) = advice.blocked
    assert move.text == "iterate M 7 times at PEs and once at DRAM"
    assert [rule.kind for rule in move.obstacles] == ["mesh"]
    texts = {move.text for move in advise(problem, best.mapping, listed=99).best}
    assert texts == set()


def test_a_full_memory_forbids_and_says_what_it_would_take() -> None:
    """Both n inside take 2 In + 1 W + 2 Out, in two copies."""
    buffer = memory("Buffer", 8, "K == 1", multiple_buffering=2.0)
    problem = problem_of(arch(memory("DRAM"), buffer), 1, 2, 2, "energy")
    advice = advise(problem, mapped(problem, {"N": 2, "K": 2}))
    forbidden = {move.text: move for move in advice.blocked}
    move = forbidden["move a factor 2 of N from DRAM to Buffer"]
    assert [rule.kind for rule in move.obstacles] == ["capacity"]
    assert (move.obstacles[0].needed, move.obstacles[0].available) == (10, 8)
    assert move.obstacles[0].text == (
        "Buffer would need 10 words per instance (2 copies of 5), 2 more than its 8"
    )


def test_a_better_order_is_found() -> None:
    """Four W once and two In four times: 12 words; with m innermost 8 + 2. Each costs 1 + 1 pJ."""
    problem = problem_of(arch(memory("DRAM"), memory("Reg", 3)), 4, 1, 2, "energy")
    advice = advise(problem, mapped(problem, {"M": 4, "N": 2}))
    (move,) = advice.best
    assert move.text == "order the loops at DRAM as n, m (outermost first)"
    assert advice.current.energy_pj - move.costs.energy_pj == 2 * (12 - 10)


def test_a_fixed_order_forbids() -> None:
    fixed = arch(memory("DRAM", order="MN"), memory("Reg", 3))
    problem = problem_of(fixed, 4, 1, 2, "energy")
    advice = advise(problem, mapped(problem, {"M": 4, "N": 2}))
    assert advice.best == ()
    rules = {move.text: move.obstacles for move in advice.blocked}
    (rule,) = rules["order the loops at DRAM as n, m (outermost first)"]
    assert (rule.kind, rule.text) == ("loop order", "DRAM fixes its loop order: M, N")


def test_a_constraint_forbids() -> None:
    fixed = arch(memory("DRAM", None, "M == 4"), memory("Reg", 100, "N == 1"))
    problem = problem_of(fixed, 4, 1, 2, "energy")
    advice = advise(problem, mapped(problem, {"M": 4, "N": 2}))
    texts = {move.text: [rule.text for rule in move.obstacles] for move in advice.blocked}
    assert texts["move a factor 2 of M from DRAM to Reg"] == [
        "DRAM would iterate M 2 times, but M == 4"
    ]


def test_a_bandwidth_that_stalls_is_doubled() -> None:
    """The DRAM sends 4 In and 1 W and receives 4 Out at one word per cycle for 4 MACs."""
    registers = without_stalls(memory("Reg"))
    problem = problem_of(arch(memory("DRAM"), registers), 1, 1, 4, "latency")  # type: ignore[arg-type]
    advice = advise(problem, mapped(problem, {"N": 4}))
    (doubling,) = advice.doublings
    assert (doubling.level, doubling.port, doubling.bandwidth) == ("DRAM", "read port", 1)
    assert (advice.current.latency_cycles, doubling.costs.latency_cycles) == (5, 4)


def test_each_named_port_is_doubled() -> None:
    """Of 4 cycles for 4 MACs, 9 at the second port: of no use is twice the first."""
    ports = (
        toolkit.MemoryPort("a", ("reads",), 1.0),
        toolkit.MemoryPort("b", ("reads", "updates"), 0.5),
    )
    dram = toolkit.Memory("DRAM", None, 1.0, 1.0, ports=ports)
    registers = without_stalls(memory("Reg"))
    problem = problem_of(arch(dram, registers), 1, 1, 4, "latency")  # type: ignore[arg-type]
    advice = advise(problem, mapped(problem, {"N": 4}))
    assert advice.current.latency_cycles == 8  # 4 updates at half a word per cycle.
    assert [(d.port, d.bandwidth) for d in advice.doublings] == [("b port", 0.5)]
    assert advice.doublings[0].costs.latency_cycles == 4.5  # 9 words at 2 words per cycle.


def test_a_network_in_the_way_is_doubled() -> None:
    """In comes for both columns at once, W for each: 6 words for 2 steps, at half a word."""
    wires = toolkit.Wires(read_bandwidth=0.5)
    columns = toolkit.Fanout("Columns", 4, ("M",), wires=wires)
    fast = without_stalls(memory("DRAM"))
    levels = (fast, columns, without_stalls(memory("Reg")))
    problem = problem_of(arch(*levels), 2, 2, 1, "latency")  # type: ignore[arg-type]
    advice = advise(problem, mapped(problem, {"K": 2}, {"M": 2}))
    (doubling,) = advice.doublings
    assert (doubling.level, doubling.port) == ("Columns", "network inwards")
    assert (advice.current.latency_cycles, doubling.costs.latency_cycles) == (12, 6)


def test_invalid_mappings_are_refused() -> None:
    problem = problem_of(SPATIAL, 8, 1, 1, "edp")
    with pytest.raises(MappingError, match="only valid mappings.*its mesh is 4"):
        advise(problem, mapped(problem, {}, {"M": 8}))


# On all kinds of problems


def some_problems() -> list[tuple[str, Problem, int]]:
    found = [(f"drawn{seed}", draw_problem(seed), seed) for seed in range(40)]
    cases = [(name, problem, seed) for name, problem, seed in found if problem is not None]
    for number, name in enumerate(("strided", "depthwise", "grouped", "placeholders", "lanes")):
        problem = PROBLEMS[name]()
        conventions = (EXACT, FACTORFLOW, TIMELOOP)[number % 3]
        cases.append((name, replace(problem, conventions=conventions), number))
    return cases


CASES = {name: (problem, seed) for name, problem, seed in some_problems()}


def advice_on_a_sample(name: str) -> tuple[Problem, Mapping, Advice]:
    problem, seed = CASES[name]
    factors, order = sample(problem.space, 1, np.random.default_rng(seed))
    mapping = from_arrays(factors[0], order[0], problem.arch, problem.workload)
    return problem, mapping, advise(problem, mapping)


def best_by_brute_force(problem: Problem, mapping: Mapping) -> float:
    """Lowest objective among all neighbouring tilings and all reuse classes of one memory."""
    factors, order = to_arrays(mapping, problem.arch, problem.workload)
    tilings = neighbours(problem.space, factors)
    values = [objectives(problem, tilings, order)] if len(tilings) else []
    for m in problem.space.memory_levels.tolist():
        classes = order_classes(problem.arch, m, problem.workload)
        reordered = np.tile(order, (len(classes), 1, 1))
        reordered[:, m] = classes
        same = np.tile(factors, (len(classes), 1, 1))
        values.append(objectives(problem, same, reordered))
    return float(np.concatenate(values).min())


@pytest.mark.parametrize("name", CASES)
def test_nothing_better_is_missed(name: str) -> None:
    problem, mapping, advice = advice_on_a_sample(name)
    found = advice.best[0].costs.objective if advice.best else advice.current.objective
    assert found <= best_by_brute_force(problem, mapping) * (1 + 1e-8)


@pytest.mark.parametrize("name", CASES)
def test_claimed_costs_are_those_of_the_moved_mapping(name: str) -> None:
    problem, _, advice = advice_on_a_sample(name)
    for move in (*advice.best, *advice.blocked):
        result = evaluate(
            move.mapping,
            problem.arch,
            problem.workload,
            conventions=problem.conventions,
            bias_read=problem.bias_read,
        )
        assert move.costs.energy_pj == pytest.approx(result.energy_pj, rel=1e-9)
        assert move.costs.latency_cycles == pytest.approx(result.latency_cycles, rel=1e-9)
        value = problem.objective.value(
            result.energy_pj, result.latency_cycles, result.utilization
        )
        assert move.costs.objective == pytest.approx(value, rel=1e-9)
        assert move.costs.objective < advice.current.objective
        assert len(result.violations) == len(move.obstacles)


@pytest.mark.parametrize("name", CASES)
def test_moves_are_single_and_ranked(name: str) -> None:
    problem, mapping, advice = advice_on_a_sample(name)
    factors, order = to_arrays(mapping, problem.arch, problem.workload)
    for moves in (advice.best, advice.blocked):
        values = [move.costs.objective for move in moves]
        assert values == sorted(values)
        for move in moves:
            moved, reordered = to_arrays(move.mapping, problem.arch, problem.workload)
            if move.kind == "order":
                assert (moved == factors).all()
                assert (reordered != order).any(axis=1).sum() == 1
            else:
                assert (moved != factors).sum() == 2
            assert (np.prod(moved, axis=0) == problem.space.sizes).all()
    assert not any(violations(problem.space, move.mapping) for move in advice.best)
    assert advice.least is None or not violations(problem.space, advice.least.mapping)


def test_advice_keeps_to_what_a_mapping_chooses() -> None:
    free = toolkit.Memory("Buffer", 4096, 1, 1, 8, 8, may_bypass=("weight",))
    fixed = replace(free, bypasses=("weight",), may_bypass=())
    workload = toolkit.gemm(10, 9, 8)
    found = []
    for buffer, bypasses in ((free, ("weight",)), (fixed, None)):
        arch = toolkit.Architecture(
            "tiny",
            (
                toolkit.Memory("DRAM", None, 64, 64, 8, 8),
                buffer,
                toolkit.Fanout("PEs", 4, ("M",)),
                toolkit.Compute("MAC", 1.0),
            ),
        )
        mapping = toolkit.Mapping(
            (
                toolkit.LevelMapping("DRAM", (("K", 9), ("M", 3))),
                toolkit.LevelMapping("Buffer", (("N", 8),), (), bypasses),
                toolkit.LevelMapping("PEs", (("M", 4),)),
                toolkit.LevelMapping("MAC", ()),
            )
        )
        problem = toolkit.make_problem(arch, workload)
        evaluation = toolkit.evaluate(mapping, arch, workload)
        found.append(advise(problem, mapping))
        assert found[-1].current.energy_pj == evaluation.energy_pj
        for move in found[-1].best:
            if move.kind == "bypass":
                assert move.text == "Buffer holds weight"
                assert move.mapping.levels[1].bypasses is None
            else:
                assert move.mapping.levels[1].bypasses == bypasses
            cost = toolkit.evaluate(move.mapping, arch, workload)
            assert cost.violations == ()
            assert move.costs.objective == pytest.approx(cost.edp_pj_cycles, rel=1e-12)
        assert all(move.obstacles for move in found[-1].blocked)
    flips, others = (
        [move.costs for move in found[0].best if (move.kind == "bypass") == flip]
        for flip in (True, False)
    )
    assert len(flips) == 1
    assert others == [move.costs for move in found[1].best][: len(others)]
    assert others


def test_a_search_starts_from_a_mapping_that_chooses() -> None:
    buffer = toolkit.Memory("Buffer", 4096, 1, 1, 8, 8, may_bypass=("weight",))
    dram = toolkit.Memory("DRAM", None, 64, 64, 8, 8)
    arch = toolkit.Architecture("tiny", (dram, buffer, toolkit.Compute("MAC", 1.0)))
    levels = (
        toolkit.LevelMapping("DRAM", (("K", 9), ("M", 10), ("N", 8))),
        toolkit.LevelMapping("Buffer", (), (), ("weight",)),
        toolkit.LevelMapping("MAC", ()),
    )
    problem = make_problem(arch, toolkit.gemm(10, 9, 8))
    budget, start = toolkit.Budget(evaluations=1), toolkit.Mapping(levels)
    result = toolkit.search_mappings(problem, "random", budget=budget, warm_starts=[start])
    assert result.mapping.levels[1].bypasses == ("weight",)
    cost = toolkit.evaluate(start, arch, problem.workload)
    assert result.objective == cost.edp_pj_cycles
    fixed = make_problem(arch, toolkit.gemm(10, 9, 8), bypass="fixed")
    with pytest.raises(toolkit.InputError, match="Buffer cannot leave out weight"):
        toolkit.search_mappings(fixed, "random", budget=budget, warm_starts=[start])
