"""Where energy and cycles go: tiny nests with known numbers, and parts that add up."""

from __future__ import annotations

import math

import pytest
from examples import examples
from hypothesis import given
from oracle.strategies import Case, cases, cases_with_bits

from toolkit.arch.levels import Compute
from toolkit.mapping import from_arrays
from toolkit.model import CONVENTIONS, TIMELOOP, Conventions, Evaluation, evaluate
from toolkit.model.reuse import Loop, Movement, Repetition, movements
from toolkit.model.words import Stall, cycle_parts, energy_parts

from .nests import conv, fanout, gemm, memory, run

DRAM = memory("dram")
BUFFER = memory("buffer")


def moved(result: Evaluation, level: str, tensor: str, kind: str) -> Movement:
    found = [m for m in movements(result) if (m.level, m.tensor, m.kind) == (level, tensor, kind)]
    assert len(found) == 1
    return found[0]


def why(result: Evaluation, level: str, tensor: str, kind: str) -> str:
    actions = [a for part in energy_parts(result) for a in part.actions]
    names = {(a.movement.level, a.movement.tensor, a.movement.kind): a.why for a in actions}
    return names[level, tensor, kind]


# How often words move, and why


def refetching() -> Evaluation:
    """W[m,k] stays for no loop: n stands outside k and m."""
    return run(gemm(2, 3, 4), (DRAM, {"n": 4, "k": 3, "m": 2}), (BUFFER, {}))


def test_a_loop_outside_of_an_indexing_one_fetches_again() -> None:
    movement = moved(refetching(), "buffer", "W", "fills")
    assert (movement.words, movement.distinct_words, movement.times) == (24, 6, 4)
    outside_of = Loop("dram", "k", 3, spatial=False)
    loop = Loop("dram", "n", 4, spatial=False)
    assert movement.repetitions == (Repetition(loop, 4.0, outside_of),)
    assert movement.rest == 1
    assert why(refetching(), "dram", "W", "reads") == (
        "each of 6 distinct words 4 times: n in 0..4 at dram does not index it "
        "but stands outside k in 0..3 at dram, which does"
    )


def test_a_loop_inside_of_all_indexing_ones_does_not() -> None:
    result = run(gemm(2, 3, 4), (DRAM, {"k": 3, "m": 2, "n": 4}), (BUFFER, {}))
    assert moved(result, "buffer", "W", "fills").repetitions == ()
    assert why(result, "buffer", "W", "fills") == "each of 6 distinct words once"


def test_partial_sums_return_for_all_visits_but_the_first() -> None:
    """Out[m,n] is visited once for each of three k, and n and m move it in between."""
    result = run(gemm(2, 3, 4), (DRAM, {"k": 3, "n": 4, "m": 2}), (BUFFER, {}))
    assert why(result, "buffer", "Out", "fills") == (
        "each of 8 outputs 2 times: k in 0..3 at dram does not index it but stands outside "
        "n in 0..4 at dram, which does; an output's first visit starts from zero, "
        "nothing comes back"
    )
    assert why(result, "buffer", "Out", "drains") == "each of 8 outputs 3 times: the same loops"
    assert why(result, "buffer", "Out", "updates") == "every MAC adds one partial sum"


def test_sums_that_all_return_have_no_first_visit() -> None:
    steps = (DRAM, {"k": 3, "m": 2}), (BUFFER, {})
    result = run(gemm(2, 3, 1), *steps, bias_read=True)
    assert moved(result, "buffer", "Out", "fills").times == 3
    assert "first visit" not in why(result, "buffer", "Out", "fills")


def test_instances_hold_copies() -> None:
    result = run(gemm(3, 1, 4), (DRAM, {"n": 4}), (fanout(3), {"m": 3}), (BUFFER, {}))
    assert moved(result, "dram", "In", "reads").times == 1
    copies = moved(result, "buffer", "In", "fills")
    assert copies.repetitions == (Repetition(Loop("fanout", "m", 3, spatial=True), 3.0, None),)
    assert why(result, "buffer", "In", "fills") == (
        "each of 4 distinct words 3 times: instances along m in 0..3 over fanout hold copies"
    )


def test_without_multicast_copies_are_read_one_by_one() -> None:
    levels = (DRAM, {"n": 4}), (fanout(3, multicast=False), {"m": 3}), (BUFFER, {})
    assert why(run(gemm(3, 1, 4), *levels), "dram", "In", "reads") == (
        "each of 4 distinct words 3 times: instances along m in 0..3 over fanout are sent "
        "their own copies"
    )


def test_lanes_that_share_a_word_are_counted() -> None:
    result = run(gemm(3, 2, 4), (DRAM, {"n": 4}), (BUFFER, {"k": 2}), (fanout(3), {"m": 3}))
    assert why(result, "buffer", "In", "reads") == (
        "each word read serves 3 MACs at once (m in 0..3 over fanout)"
    )
    assert why(result, "buffer", "W", "reads") == "every MAC reads one word"


def test_a_loop_outside_of_the_supplier_moves_tiles_that_stay_the_same() -> None:
    """The buffer's one W goes to the register again for each n of the DRAM; for Timeloop not."""
    levels = (DRAM, {"n": 4}), (BUFFER, {}), (memory("register"), {})
    assert why(run(gemm(1, 1, 4), *levels), "register", "W", "fills") == (
        "each of 1 distinct words 4 times: n in 0..4 at dram does not index it, "
        "yet every iteration moves it anew"
    )
    stays = run(gemm(1, 1, 4), *levels, conventions=TIMELOOP)
    assert why(stays, "register", "W", "fills") == "each of 1 distinct words once"


def test_windows_overlap() -> None:
    """Of 6 values of In, each of 2 buffers holds a window of 4."""
    levels = (DRAM, {}), (fanout(2), {"p": 2}), (BUFFER, {"p": 2, "r": 3})
    movement = moved(run(conv(4, 3, "p+r"), *levels), "buffer", "In", "fills")
    assert (movement.words, movement.distinct_words) == (8, 6)
    assert (movement.repetitions, movement.rest) == ((), 8 / 6)
    assert "windows that overlap move more than once (x 1.333)" in why(
        run(conv(4, 3, "p+r"), *levels), "buffer", "In", "fills"
    )


# Energy and cycles


def test_energy_parts_are_ranked() -> None:
    """The DRAM reads 5 words at 64 pJ; 4 MACs; see `test_energy_of_a_few_words`."""
    dram = memory("dram", read_pj=64.0)
    result = run(gemm(1, 1, 4), (dram, {"n": 2}), (memory("buffer", words=8), {"n": 2}))
    parts = energy_parts(result)
    assert [(p.level, p.tensor, p.energy_pj) for p in parts[:4]] == [
        ("dram", "In", 256),
        ("dram", "W", 64),
        ("buffer", "In", 8),
        ("buffer", "Out", 8),
    ]
    assert {(p.level, p.what) for p in parts if p.tensor is None} == {
        ("mac", "multiply-accumulates")
    }
    assert parts[0].share == 256 / 349


def test_leakage_is_a_part() -> None:
    mac = Compute("mac", 1.0, leakage_pj_per_cycle=7.0)
    result = run(gemm(1, 1, 3), (memory("dram", leakage=11.0), {"n": 3}), (BUFFER, {}), (mac, {}))
    leaked = {p.level: p.energy_pj for p in energy_parts(result) if p.what == "leakage"}
    assert leaked == {"dram": 33, "mac": 21}


def test_idle_instances_cost_cycles_level_by_level() -> None:
    """12 MACs of 2 cycles on 4 * 3 lanes: 2; a third of the fanout: 8; of 3 lanes one: 24."""
    mac = Compute("mac", 1.0, cycles=2, mesh=3, dimensions=("n",))
    result = run(gemm(1, 1, 12), (DRAM, {"n": 12}), (fanout(4), {}), (BUFFER, {}), (mac, {}))
    parts = cycle_parts(result)
    assert (parts.lanes, parts.ideal_cycles, parts.latency_cycles) == (12, 2, 24)
    assert [(x.level, x.used, x.mesh, x.cycles) for x in parts.idle] == [
        ("fanout", 1, 4, 6),
        ("mac", 1, 3, 16),
    ]
    assert parts.stalls == ()


def test_stalls_name_the_port() -> None:
    """Five words at half a word per cycle for 4 MACs: 6 cycles lost."""
    dram = memory("dram", read_bandwidth=0.5)
    result = run(gemm(1, 1, 4), (dram, {"n": 2}), (memory("buffer", words=8), {"n": 2}))
    assert cycle_parts(result).stalls == (
        Stall("dram", "read port", "reads and drains", 6.0, 1.25, 0.5),
    )


def test_warm_up_is_apart() -> None:
    result = run(
        gemm(3, 1, 2), (DRAM, {"n": 2}), (fanout(4, pe_to_pe=True), {"m": 3}), (BUFFER, {})
    )
    parts = cycle_parts(result)
    assert (parts.warm_up_cycles, parts.latency_cycles) == (2, 4)


# Everything adds up


@pytest.mark.parametrize("conventions", CONVENTIONS.values(), ids=lambda c: c.name)
@given(case=cases() | cases_with_bits())
@examples(30)
def test_parts_add_up(conventions: Conventions, case: Case) -> None:
    arch, workload, factors, order, bias_read = case
    mapping = from_arrays(factors, order, arch, workload)
    result = evaluate(mapping, arch, workload, conventions=conventions, bias_read=bias_read)
    parts = energy_parts(result)
    assert math.fsum(p.energy_pj for p in parts) == pytest.approx(result.energy_pj, rel=1e-9)
    assert math.fsum(p.share for p in parts) == pytest.approx(1, rel=1e-9)
    for part in parts:
        if part.actions:
            total = math.fsum(action.energy_pj for action in part.actions)
            assert total == pytest.approx(part.energy_pj, rel=1e-9)
        for action in part.actions:
            movement = action.movement
            repeated = math.prod(r.times for r in movement.repetitions)
            assert movement.times == pytest.approx(repeated * movement.rest, rel=1e-9)
            assert action.why
    cycles = cycle_parts(result)
    lost = math.fsum(x.cycles for x in (*cycles.idle, *cycles.waits, *cycles.stalls))
    total = cycles.ideal_cycles + lost + cycles.warm_up_cycles + cycles.rounding_cycles
    assert total == pytest.approx(result.latency_cycles, rel=1e-9)
    assert 0 <= cycles.rounding_cycles < 1 + 1e-6 * result.latency_cycles
    assert all(lost.cycles >= 0 for lost in cycles.idle)
