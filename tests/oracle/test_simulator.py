"""The simulator against counts done by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.arch.levels import Fanout
from toolkit.errors import MappingError

from .by_hand import BUFFER, DRAM, LANES, conv, fanout, gemm, memory, run, workload
from .simulator import Traffic


def test_weight_stationary_gemm() -> None:
    """W changes 16 times, In and Out at each of the 64 steps; 16 tiles of Out are new."""
    result = run(gemm(4, 4, 4), (DRAM, {"m": 4, "k": 4, "n": 4}), (BUFFER, {}))
    assert result.traffic("dram", "W") == Traffic(reads=16, occupancy=16)
    assert result.traffic("dram", "In") == Traffic(reads=64, occupancy=16)
    assert result.traffic("dram", "Out") == Traffic(reads=48, updates=64, occupancy=16)
    assert result.traffic("buffer", "W") == Traffic(reads=64, fills=16, occupancy=1)
    assert result.traffic("buffer", "Out") == Traffic(48, 48, 64, 64, occupancy=1)
    assert (result.macs, result.temporal_steps) == (64, 64)


def test_output_stationary_gemm() -> None:
    """Out stays while k turns: 16 tiles, none revisited; the lane re-reads 64 - 16 sums."""
    result = run(gemm(4, 4, 4), (DRAM, {"m": 4, "n": 4, "k": 4}), (BUFFER, {}))
    assert result.traffic("dram", "Out") == Traffic(updates=16, occupancy=16)
    assert result.traffic("buffer", "Out") == Traffic(48, 0, 64, 16, occupancy=1)
    assert result.traffic("dram", "W").reads == result.traffic("dram", "In").reads == 64


def test_biases_are_read_once_per_tile_that_enters() -> None:
    """As above, and every one of the 16 tiles enters; the lane reads at all 64 steps."""
    loops = {"m": 4, "n": 4, "k": 4}
    result = run(gemm(4, 4, 4), (DRAM, loops), (BUFFER, {}), bias_read=True)
    assert result.traffic("dram", "Out") == Traffic(reads=16, updates=16, occupancy=16)
    assert result.traffic("buffer", "Out") == Traffic(64, 16, 64, 16, occupancy=1)


def test_tiles_of_several_values() -> None:
    """Loop k (2) outside m (2): Out's tile of 2x4 enters 4 times, 2 of them new; W's 2x2, 4."""
    loops = {"k": 2, "m": 2}
    result = run(gemm(4, 4, 4), (DRAM, loops), (BUFFER, {"m": 2, "n": 4, "k": 2}))
    assert result.traffic("dram", "Out") == Traffic(reads=16, updates=32, occupancy=16)
    assert result.traffic("dram", "W").reads == 16
    assert result.traffic("dram", "In").reads == 16  # k changes twice, 2x4 values
    assert result.traffic("buffer", "In").occupancy == 8


def test_nothing_is_kept_across_episodes() -> None:
    """W never changes in the buffer, but each turn of n there starts an episode below it."""
    result = run(gemm(1, 1, 2), (DRAM, {"n": 2}), (BUFFER, {}), (memory("register"), {}))
    assert result.traffic("dram", "W").reads == 1
    assert result.traffic("buffer", "W") == Traffic(reads=2, fills=1, occupancy=1)
    assert result.traffic("register", "W").fills == 2


@pytest.mark.parametrize(
    ("window", "tile", "reads"),
    [
        ("p+r", 1, 6),  # 3, then 1 new value at each of 3 advances
        ("2p+r", 1, 9),  # 3, then 2 new
        ("p+2r", 1, 12),  # {0,2,4} then {1,3,5}: no overlap
        ("4p+r", 1, 12),  # {0,1,2} then {4,5,6}: no overlap
        ("p+2r", 2, 8),  # {0..5} then {2..7}: 2 new
        ("2p+3r", 2, 11),  # {0,2,3,5,6,8} then {4,6,7,9,10,12}: only 6 is kept
    ],
)
def test_window_keeps_its_overlap(window: str, tile: int, reads: int) -> None:
    """Four outputs of three taps, `tile` outputs at a time."""
    work = conv(4, 3, window)
    result = run(work, (DRAM, {"p": 4 // tile}), (BUFFER, {"p": tile, "r": 3}))
    assert result.traffic("dram", "In").reads == reads
    assert result.traffic("buffer", "In").fills == reads


def test_strided_occupancy_counts_distinct_values() -> None:
    """``3p + r`` with 4 outputs and 2 taps touches {0,1,3,4,6,7,9,10}."""
    result = run(conv(4, 2, "3p+r"), (DRAM, {"p": 2}), (BUFFER, {"p": 2, "r": 2}))
    assert result.traffic("dram", "In").occupancy == 8
    assert result.traffic("buffer", "In").occupancy == 4


@pytest.mark.parametrize(("multiple_reuses", "reads"), [(True, 6), (False, 12)])
def test_overlap_under_a_stationary_loop(multiple_reuses: bool, reads: int) -> None:
    """Loop m inside p leaves In alone; the overlap also stays only with multiple reuses."""
    dram = memory("dram", multiple_reuses=multiple_reuses)
    result = run(conv(4, 3, "p+r", m=2), (dram, {"p": 4, "m": 2}), (BUFFER, {"r": 3}))
    assert result.traffic("dram", "In").reads == reads


def test_overlap_is_lost_when_the_window_wraps() -> None:
    """Loop m outside p: 3 + 1 + 1 + 1 values, twice."""
    result = run(conv(4, 3, "p+r", m=2), (DRAM, {"m": 2, "p": 4}), (BUFFER, {"r": 3}))
    assert result.traffic("dram", "In").reads == 12


@pytest.mark.parametrize(
    ("multicast", "selective", "reads"), [(True, False, 12), (True, True, 8), (False, True, 12)]
)
def test_windows_side_by_side(multicast: bool, selective: bool, reads: int) -> None:
    """Two instances, {0,1,2} and {1,2,3}, move by two: nothing stays, a union is 4 values."""
    mesh = fanout(multicast, selective)
    result = run(conv(4, 3, "p+r"), (DRAM, {"p": 2}), (mesh, {"p": 2}), (BUFFER, {"r": 3}))
    assert result.traffic("dram", "In").reads == reads
    assert result.traffic("buffer", "In").fills == 12


@pytest.mark.parametrize(("multicast", "reads"), [(True, 2), (False, 8)])
def test_multicast(multicast: bool, reads: int) -> None:
    """Four rows m side by side need the same In[k] at each of two steps; W and Out differ."""
    mesh = fanout(multicast)
    result = run(gemm(4, 2, 1), (DRAM, {"k": 2}), (mesh, {"m": 4}), (BUFFER, {}))
    assert result.traffic("dram", "In").reads == reads
    assert result.traffic("buffer", "In").fills == 8
    assert result.traffic("dram", "W").reads == 8
    assert result.traffic("dram", "Out").updates == 4
    assert result.memories["buffer"].active_instances == 4
    assert result.temporal_steps == 2


@pytest.mark.parametrize(("reduces", "updates"), [(True, 4), (False, 8)])
def test_spatial_reduction(reduces: bool, updates: int) -> None:
    """Loops k, m (2 each) over 2 instances along k: 4 tiles each, of which 2 are revisits.

    One of the instances reads the sums at these, the other starts from zero.
    """
    mesh = fanout(reduces)
    result = run(gemm(2, 4, 1), (DRAM, {"k": 2, "m": 2}), (mesh, {"k": 2}), (BUFFER, {}))
    assert result.traffic("dram", "Out") == Traffic(2, 0, updates, 0, occupancy=2)
    assert result.traffic("buffer", "Out") == Traffic(2, 2, 8, 8, occupancy=1)


def test_what_is_inside_of_a_new_start_starts_anew() -> None:
    """Two buffers sum up k, each with a register: three turns of k, two of n inside of a tile.

    The first buffer goes on with the sum at the last two turns of k, so its register reads a sum
    at all but the very first visit of each n; the other one's tile starts at each turn.
    """
    steps = (DRAM, {"k": 3, "m": 2}), (fanout(), {"k": 2}), (BUFFER, {"k": 2, "n": 2})
    result = run(gemm(2, 12, 2), *steps, (memory("register"), {}))
    assert result.traffic("dram", "Out").reads == 2 * 4
    assert result.traffic("buffer", "Out").fills == 2 * 4
    assert result.traffic("buffer", "Out").drains == 2 * 3 * 4
    assert result.traffic("buffer", "Out").reads == 4 * ((3 * 2 - 1) + (3 * 2 - 3))


def test_sums_read_without_multicast_and_written_with_reduction() -> None:
    """As above; nobody shares an old sum, so that multicast does not matter."""
    mesh = replace(fanout(), multicast=False)
    result = run(gemm(2, 4, 1), (DRAM, {"k": 2, "m": 2}), (mesh, {"k": 2}), (BUFFER, {}))
    assert result.traffic("dram", "Out") == Traffic(2, 0, 4, 0, occupancy=2)


@pytest.mark.parametrize(
    ("rows", "taps", "reads"),
    [
        (fanout(), fanout(), 6),  # every instance its own value
        (fanout(selective=True), fanout(), 6),  # per tap {r, r+1}
        (fanout(selective=True), fanout(selective=True), 4),  # {0,1,2,3}
        (fanout(selective=True), fanout(False, True), 6),  # the taps are not multicast at all
    ],
)
def test_two_fanouts_in_a_row(rows: Fanout, taps: Fanout, reads: int) -> None:
    """Two rows p times three taps r, all at once, one value ``p + r`` each."""
    taps = replace(taps, name="taps")
    result = run(conv(2, 3, "p+r"), (DRAM, {}), (rows, {"p": 2}), (taps, {"r": 3}), (BUFFER, {}))
    assert result.traffic("dram", "In").reads == reads
    assert result.traffic("buffer", "In").fills == 6


def test_stationarity_reaches_across_a_bypassing_memory() -> None:
    """W changes with m alone, not with n at either memory; glb adds no traffic of W."""
    glb = memory("glb", bypasses=("W",))
    result = run(gemm(2, 1, 4), (DRAM, {"m": 2, "n": 2}), (glb, {"n": 2}), (BUFFER, {}))
    assert result.traffic("dram", "W").reads == 2
    assert result.traffic("glb", "W") == Traffic()
    assert "W" not in result.memories["glb"].tensors


@pytest.mark.parametrize(("bypasses", "reads"), [(("weight",), 4), ((), 2)])
def test_bypassing_gives_up_the_tile(bypasses: tuple[str, ...], reads: int) -> None:
    """Loop n (2) over m (2): W's two values are read again unless glb holds both."""
    glb = memory("glb", bypasses=bypasses)
    result = run(gemm(2, 1, 2), (DRAM, {"n": 2}), (glb, {"m": 2}), (BUFFER, {}))
    assert result.traffic("dram", "W").reads == reads
    assert result.traffic("buffer", "W").fills == 4


def test_overlap_across_a_bypassing_memory() -> None:
    """Only the inner of two loops p keeps the overlap: 3 + 1, then 3 + 1 again."""
    glb = memory("glb", bypasses=("In",))
    result = run(conv(4, 3, "p+r"), (DRAM, {"p": 2}), (glb, {"p": 2}), (BUFFER, {"r": 3}))
    assert result.traffic("dram", "In").reads == 8


@pytest.mark.parametrize(("multiple_reuses", "reads"), [(True, 4), (False, 6)])
def test_stationary_loop_in_a_bypassing_memory(multiple_reuses: bool, reads: int) -> None:
    """The supplier's flag decides, the loop that lies inside p may be anywhere before In's."""
    dram = memory("dram", multiple_reuses=multiple_reuses)
    glb = memory("glb", bypasses=("In",), multiple_reuses=not multiple_reuses)
    result = run(conv(2, 3, "p+r", m=2), (dram, {"p": 2}), (glb, {"m": 2}), (BUFFER, {"r": 3}))
    assert result.traffic("dram", "In").reads == reads


def test_outermost_holder_is_not_the_outermost_memory() -> None:
    """Two buffers own W: no fills; 2 instances x 2 turns of n x 2 of k reach the lanes."""
    dram = memory("dram", bypasses=("W",))
    result = run(gemm(2, 2, 2), (dram, {"n": 2}), (fanout(), {"m": 2}), (BUFFER, {"k": 2}))
    assert result.traffic("dram", "W") == Traffic()
    assert result.traffic("buffer", "W") == Traffic(reads=8, occupancy=2)


def test_lanes_that_share_nothing() -> None:
    """Two lanes along k at two steps: each fetches and writes for itself, Out is new to both."""
    alone = replace(LANES, multicast=False, reduction=False)
    result = run(gemm(2, 2, 1), (DRAM, {"m": 2}), (alone, {"k": 2}))
    assert result.traffic("dram", "In").reads == 4
    assert result.traffic("dram", "W").reads == 4
    assert result.traffic("dram", "Out") == Traffic(updates=4, occupancy=2)
    assert result.temporal_steps == 2


def test_lanes_share_as_instances_do() -> None:
    """Two lanes along k at two steps: each has its own In and W, and they sum up one Out."""
    result = run(gemm(2, 2, 1), (DRAM, {"m": 2}), (LANES, {"k": 2}))
    assert result.traffic("dram", "In").reads == 4
    assert result.traffic("dram", "W").reads == 4
    assert result.traffic("dram", "Out") == Traffic(updates=2, occupancy=2)


def test_fanout_before_the_lanes() -> None:
    """Two instances along m share In[k,n] lane by lane: 2 steps k times 2 lanes n."""
    alone = replace(LANES, multicast=False, reduction=False)
    result = run(gemm(2, 2, 2), (DRAM, {"k": 2}), (fanout(), {"m": 2}), (alone, {"n": 2}))
    assert result.traffic("dram", "In").reads == 4
    assert result.traffic("dram", "W").reads == 8  # lanes along n do not share
    assert result.traffic("dram", "Out") == Traffic(reads=4, updates=8, occupancy=4)


def test_output_that_is_a_sum() -> None:
    """``Out[p+r]``: one value leaves per advance of p and three at the end, twice; c revisits."""
    work = workload({"c": 2, "p": 4, "r": 3}, "p+r", "c,r", "c,p")
    result = run(work, (DRAM, {"c": 2, "p": 4}), (BUFFER, {"r": 3}))
    assert result.traffic("dram", "Out") == Traffic(reads=6, updates=12, occupancy=6)
    assert result.traffic("buffer", "Out").drains == 12
    assert result.traffic("buffer", "Out").occupancy == 3


@pytest.mark.parametrize(
    ("reduces", "selective", "updates"), [(True, False, 6), (True, True, 4), (False, True, 6)]
)
def test_output_windows_side_by_side(reduces: bool, selective: bool, updates: int) -> None:
    """Two instances write {0,1,2} and {1,2,3} of ``Out[p+r]``; a union is 4 values."""
    work = workload({"p": 2, "r": 3}, "p+r", "r", "p")
    mesh = fanout(reduces, selective)
    result = run(work, (DRAM, {}), (mesh, {"p": 2}), (BUFFER, {"r": 3}))
    assert result.traffic("dram", "Out") == Traffic(updates=updates, occupancy=4)
    assert result.traffic("buffer", "Out").drains == 6


@pytest.mark.parametrize("rows", [3, 8])
def test_a_nest_that_is_not_the_workload_is_refused(rows: int) -> None:
    """Three rows of four, or eight."""
    with pytest.raises(MappingError):
        run(gemm(4, 2, 2), (DRAM, {"m": rows, "k": 2, "n": 2}))
