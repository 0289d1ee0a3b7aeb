from __future__ import annotations

from dataclasses import replace

from toolkit.arch.constraints import FactorConstraint
from toolkit.model.headroom import Growth, capacity_uses, mesh_uses

from .nests import conv, fanout, gemm, memory, run

DRAM = memory("dram")
BUFFER = memory("buffer")


def test_capacity_tells_what_would_fit() -> None:
    """Tiles of 2 In, 2 W and 1 Out fill 5 of 8 words; twice m takes 8, thrice n 11."""
    levels = (DRAM, {"m": 2, "n": 3}), (memory("buffer", words=8), {"k": 2})
    (use,) = capacity_uses(run(gemm(2, 2, 3), *levels), "perfect")
    assert (use.level, use.used_words, use.usable_words, use.binds) == ("buffer", 5, 8, True)
    assert use.growth == (Growth("m", 2, 2, 8, True), Growth("n", 3, 3, 11, False))


def test_mesh_tells_what_would_fit() -> None:
    levels = (DRAM, {"m": 3, "n": 2}), (fanout(4), {"n": 2}), (BUFFER, {})
    (use, _) = mesh_uses(run(gemm(3, 1, 4), *levels), "perfect")
    assert (use.used, use.mesh, use.binds) == (2, 4, True)
    assert use.growth == (Growth("m", 3, 3, 6, False), Growth("n", 2, 4, 4, True))


def test_unlimited_memories_have_no_capacity_to_use() -> None:
    assert capacity_uses(run(gemm(2, 1, 1), (DRAM, {"m": 2}), (BUFFER, {}))) == ()


def test_copies_halve_the_room() -> None:
    buffer = replace(memory("buffer", words=12), multiple_buffering=2.0)
    (use,) = capacity_uses(run(gemm(2, 1, 1), (DRAM, {"m": 2}), (buffer, {})), "perfect")
    assert (use.used_words, use.usable_words) == (3, 6)
    assert use.growth == (Growth("m", 2, 2, 5, True),)


def test_windows_grow_by_their_distinct_values() -> None:
    """Three p and two r at stride 2 touch 6 values of In; the buffer holds 3 Out and no W."""
    levels = (DRAM, {"p": 2}), (memory("buffer", "W", words=20), {"p": 3, "r": 2})
    (use,) = capacity_uses(run(conv(6, 2, "2p+r"), *levels), "perfect")
    assert use.used_words == 6 + 3
    assert use.growth == (Growth("p", 2, 6, 12 + 6, True),)


def test_constraints_limit_unrolling() -> None:
    """Of m at most two instances, of k none at all."""
    array = replace(
        fanout(8), dimensions=("m", "n"), constraints=(FactorConstraint("m", "<=", 2),)
    )
    levels = (DRAM, {"m": 2, "k": 2, "n": 2}), (array, {"m": 2}), (BUFFER, {})
    fan, _ = mesh_uses(run(gemm(4, 2, 2), *levels), "perfect")
    assert fan.growth == (Growth("n", 2, 2, 4, True),)


def test_what_stays_takes_its_room_whatever_grows() -> None:
    """Six Out stay; tiles of 2 In and 2 W more, or 4 and 2, or 2 and 4."""
    dram, buffer = memory("dram", "Out"), memory("buffer", words=13)
    stays = run(gemm(2, 2, 3), (dram, {"m": 2, "n": 3}), (buffer, {"k": 2}))
    (use,) = capacity_uses(stays, "perfect")
    assert (use.used_words, use.binds) == (10, True)
    assert use.growth == (Growth("m", 2, 2, 12, True), Growth("n", 3, 3, 14, False))
    (use,) = capacity_uses(stays, "ragged")
    assert use.growth == (Growth("m", None, 2, 12, True), Growth("n", None, 2, 12, True))


def test_ragged_dimensions_grow_by_an_iteration() -> None:
    """Tiles of 4 In, 2 x 2 W and 2 Out fill 8 of 11 words; a third m takes 2 + 6 + 3.

    Of seven m, the last tile of 3 x 3 would be cut off; there is no more than two k.
    """
    levels = (DRAM, {"m": 4, "n": 3}), (memory("buffer", words=11), {"m": 2, "k": 2})
    (use,) = capacity_uses(run(gemm(7, 2, 3), *levels))
    assert (use.used_words, use.binds) == (8, True)
    assert use.growth == (Growth("m", None, 3, 11, True), Growth("n", None, 2, 12, False))


def test_tiles_grow_no_further_than_the_size() -> None:
    """A tile of 2 x 4 m, of which there are 7: all In, W and Out are 1 + 7 + 7 words."""
    levels = (DRAM, {"m": 2}), (memory("outer", words=15), {}), (BUFFER, {"m": 4})
    (use,) = capacity_uses(run(gemm(7, 1, 1), *levels))
    assert (use.used_words, use.growth) == (9, (Growth("m", None, 2, 15, True),))


def test_ragged_dimensions_are_unrolled_over_one_more_instance() -> None:
    levels = (DRAM, {"m": 2, "n": 2}), (fanout(6), {"m": 2, "n": 2}), (BUFFER, {})
    (use, _) = mesh_uses(run(gemm(3, 1, 4), *levels))
    assert (use.used, use.mesh, use.binds) == (4, 6, False)
    assert use.growth == (Growth("m", None, 3, 6, True), Growth("n", None, 3, 6, True))


def test_what_is_cut_off_stays_ragged() -> None:
    """Of three m the mapping cuts one off, four n are two times two."""
    levels = (DRAM, {"m": 2, "n": 2}), (fanout(6), {"m": 2, "n": 2}), (BUFFER, {})
    (use, _) = mesh_uses(run(gemm(3, 1, 4), *levels), "perfect")
    assert use.growth == (Growth("m", None, 3, 6, True), Growth("n", 2, 4, 8, False))
