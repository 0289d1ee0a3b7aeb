"""What is waited for: first and last tiles, memories that hide nothing, systolic arrays."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from toolkit.arch.levels import Memory, Overlap
from toolkit.model import EXACT, STEADY, TIMELOOP, Conventions
from toolkit.model.words import cycle_parts

from .nests import Step, fanout, gemm, memory, run


def buffer(overlap: Overlap = "always", words: int | None = None) -> Memory:
    return replace(
        memory("buffer", words=words, read_bandwidth=4, write_bandwidth=2), overlap=overlap
    )


DRAM = memory("dram", read_bandwidth=1, write_bandwidth=0.5)

TILES = {"m": 2, "k": 3, "n": 2}
"""Of the buffer: 6 weights, 6 inputs and 4 outputs, 12 multiply-accumulates."""


def latency(
    overlap: Overlap,
    conventions: Conventions = STEADY,
    loops: dict[str, int] | None = None,
    words: int | None = None,
) -> float:
    loops = {"m": 4} if loops is None else loops
    sizes = {d: loops.get(d, 1) * tile for d, tile in TILES.items()}
    result = run(
        gemm(**sizes), (DRAM, loops), (buffer(overlap, words), TILES), conventions=conventions
    )
    parts = cycle_parts(result)
    lost = [x.cycles for x in (*parts.waits, *parts.stalls, *parts.idle)]
    assert math.fsum((parts.ideal_cycles, *lost)) == pytest.approx(result.latency_cycles)
    return result.latency_cycles


def test_first_and_last_tiles() -> None:
    """12 words come at one per cycle, and 4 leave at half a word per cycle."""
    assert latency("always") == 48
    assert latency("always", EXACT) == 12 + 48 + 8


def test_first_tiles_come_through_the_slower_port() -> None:
    """What leaves the outer memory for two instances takes as long as both."""
    steps: tuple[Step, ...] = (DRAM, {}), (fanout(2), {"m": 2}), (buffer(), {"m": 2, "k": 3})
    result = run(gemm(4, 3, 1), *steps, conventions=EXACT)
    inputs, weights, outputs = 3.0, 12.0, 4 / 0.5
    assert result.latency_cycles == 6 + inputs + weights + outputs


def test_a_port_that_is_busy_all_the_time_hides_what_is_inside() -> None:
    """Ten turns of m at the 6 weights each and 6 inputs take 660 cycles; then 4 outputs leave."""
    slow = replace(DRAM, read_bandwidth=0.1)
    result = run(gemm(20, 3, 2), (slow, {"m": 10}), (buffer(), TILES), conventions=EXACT)
    assert result.latency_cycles == pytest.approx(660 + 8)


def test_nothing_is_hidden() -> None:
    """6 inputs stay; 6 weights and 4 outputs come and go with each of four tiles."""
    exposed = 6 + 4 * 6 + 4 * 4 / 0.5
    assert latency("never") == 48 + exposed
    assert latency("never", EXACT) == 48 + exposed


@pytest.mark.parametrize(("overlap", "waits"), [("never", 6 + 4 * (6 + 8)), ("always", 12 + 8)])
def test_a_memory_exchanges_nothing_while_levels_wait_for_it(
    overlap: Overlap, waits: float
) -> None:
    """48 steps take 128 words, one per cycle: a W, an In and all but the first of the old sums."""
    slow = replace(buffer(overlap), read_bandwidth=1.0)
    result = run(gemm(8, 3, 2), (DRAM, {"m": 4}), (slow, TILES), conventions=EXACT)
    assert result.latency_cycles == pytest.approx(128 + waits)
    parts = cycle_parts(result)
    assert math.fsum(wait.cycles for wait in parts.waits) == pytest.approx(waits)
    (stall,) = parts.stalls
    assert (stall.level, stall.cycles) == ("buffer", pytest.approx(128 - 48))
    assert stall.needed_bandwidth == pytest.approx(128 / 48)
    assert result.memories[1].ideal_bandwidth["read"] == pytest.approx(128 / 48)


def test_old_sums_that_come_back_are_waited_for() -> None:
    """Two turns of k around two of m: inputs come twice, outputs go four times, half return."""
    exposed = 4 * 6 + 2 * 6 + 2 * 4 + 4 * 4 / 0.5
    assert latency("never", loops={"k": 2, "m": 2}) == 48 + exposed


@pytest.mark.parametrize(("words", "hides"), [(31, False), (32, True)])
def test_what_fits_twice_is_hidden(words: int, hides: bool) -> None:
    expected = latency("always" if hides else "never", EXACT)
    assert latency("double-buffered", EXACT, words=words) == expected


def test_copies_that_have_to_fit_anyway_are_room_enough() -> None:
    twice = replace(buffer("double-buffered", 32), multiple_buffering=2)
    result = run(gemm(8, 3, 2), (DRAM, {"m": 4}), (twice, TILES), conventions=EXACT)
    assert result.latency_cycles == latency("always", EXACT)


def test_timeloop_counts_a_steady_state() -> None:
    assert latency("always", TIMELOOP) == latency(
        "always", replace(TIMELOOP, pe_to_pe_warm_up=False)
    )


ARRAYS = {
    "weight": ("k", "m", "n"),
    "input": ("k", "n", "m"),
    "output": ("m", "n", "k"),
}
"""What stays in a systolic array, and the dimensions of its rows, its columns and of its steps."""


@pytest.mark.parametrize("stays", ARRAYS)
@pytest.mark.parametrize(
    ("rows", "columns", "steps"), [(4, 3, 5), (1, 6, 2), (8, 1, 1), (2, 2, 9)]
)
def test_systolic_arrays(stays: str, rows: int, columns: int, steps: int) -> None:
    """SCALE-Sim: 2 R + C + T - 2 cycles for each tile that stays, here six of them."""
    of_rows, of_columns, of_steps = ARRAYS[stays]
    sizes = {of_rows: 3 * rows, of_columns: 2 * columns, of_steps: steps}
    others = [role for role in ARRAYS if role != stays]
    outer, inner = (
        replace(fanout(columns, pe_to_pe=True), name="columns"),
        fanout(rows, pe_to_pe=True),
    )
    register = memory("register", *others)
    result = run(
        gemm(**sizes),
        (memory("dram"), {of_rows: 3, of_columns: 2, of_steps: steps}),
        (outer, {of_columns: columns}),
        (inner, {of_rows: rows}),
        (register, {}),
    )
    assert result.latency_cycles == 6 * (2 * rows + columns + steps - 2)


def test_a_published_figure_of_a_large_array() -> None:
    """Side 128, 512 x 512 channels, 7 x 7 pixels, 3 x 3 taps: 144 folds of 431 cycles."""
    side = {"m": 4, "k": 36, "n": 49}
    outer, inner = replace(fanout(128, pe_to_pe=True), name="columns"), fanout(128, pe_to_pe=True)
    result = run(
        gemm(512, 512 * 9, 49),
        (memory("dram"), side),
        (outer, {"m": 128}),
        (inner, {"k": 128}),
        (memory("register", "input", "output"), {}),
    )
    assert result.latency_cycles == 62064
