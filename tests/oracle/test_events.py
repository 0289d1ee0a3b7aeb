"""The clock against times worked out by hand.

The buffer has tiles of 6 W, 6 In and 4 Out of 12 multiply-accumulates; m turns four times outside
of it, so that W and Out change and In stays.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Compute, Memory, Overlap
from toolkit.arch.ports import MemoryPort
from toolkit.mapping.mapping import LevelMapping, Mapping, to_arrays

from .by_hand import Step, gemm
from .events import play

MAC = Compute("mac", 1.0)
TILES = {"m": 2, "k": 3, "n": 2}


def memory(name: str, read: float = math.inf, write: float = math.inf) -> Memory:
    return Memory(name, None, 1.0, 1.0, read, write)


def cycles(sizes: tuple[int, int, int], *steps: Step) -> float:
    work, steps = gemm(*sizes), (*steps, (MAC, {}))
    arch = Architecture("case", tuple(level for level, _ in steps))
    mapped = Mapping(
        tuple(
            LevelMapping(
                level.name,
                tuple(loops.items()),
                (*loops, *(d for d in work.dimensions if d not in loops)),
            )
            for level, loops in steps
        )
    )
    factors, order = to_arrays(mapped, arch, work)
    return play(arch, work, np.asarray(factors), np.asarray(order), False).cycles


DRAM = memory("dram", 1, 0.5)
BUFFER = memory("buffer", 4, 2)


def turned(dram: Memory, buffer: Memory) -> float:
    return cycles((8, 3, 2), (dram, {"m": 4}), (buffer, TILES))


def test_first_tiles_come_and_last_ones_leave() -> None:
    """12 words at one per cycle, 48 steps, and 4 words at half a word per cycle."""
    assert turned(DRAM, BUFFER) == pytest.approx(12 + 48 + 8)


def test_nothing_is_hidden() -> None:
    """Before every tile 6 W come and after it 4 Out leave."""
    waits = replace(BUFFER, overlap="never")
    assert turned(DRAM, waits) == pytest.approx(6 + 4 * (6 + 12 + 8))


def test_lanes_wait_between_transfers() -> None:
    """A step takes a W, an In and, but for the first one of an output, the old sum."""
    waits = replace(BUFFER, overlap="never", read_bandwidth=1.0)
    steps = 48 * 3 - 4 * 4  # The read port of the buffer passes all words one by one.
    assert turned(DRAM, waits) == pytest.approx(6 + 4 * (6 + 8) + steps)


@pytest.mark.parametrize(("words", "overlap"), [(31, "never"), (32, "always")])
def test_what_fits_twice_is_hidden(words: int, overlap: Overlap) -> None:
    twice = replace(BUFFER, overlap="double-buffered", capacity_words=words)
    assert turned(DRAM, twice) == turned(DRAM, replace(BUFFER, overlap=overlap))


def test_tiles_that_come_slowly() -> None:
    """After the first 12 words come 6 in 24 cycles, three times, while lanes work for 12."""
    slow = memory("dram", 0.25, 0.5)
    assert turned(slow, BUFFER) == pytest.approx(48 + 3 * 24 + 12 + 8)


def test_tiles_that_leave_slowly() -> None:
    """The third tile waits until the first has left: its room is not free before.

    The four tiles leave in 40 cycles each, one after the other, once the first is complete.
    """
    slow = memory("dram", 1, 0.1)
    assert turned(slow, BUFFER) == pytest.approx(12 + 12 + 4 * 40)


def test_a_port_that_is_shared() -> None:
    """One word per cycle: first 12, then 6 and 4 with each tile, and 4 in the end.

    6 words come while lanes work on the first tile, 10 pass with the second and third one, and
    the third tile leaves with the fourth one; no tile takes longer than its 12 steps.
    """
    shared = replace(memory("dram", 0.5, 0.5), shared_port=True)
    assert turned(shared, BUFFER) == pytest.approx(12 + 48 + 4)


def test_ports_divide_their_load() -> None:
    """Fills have a port of a quarter of a word per cycle, and share as much with drains."""
    ports = (
        MemoryPort("fill", ("fills",), 0.25),
        MemoryPort("any", ("fills", "drains"), 0.25),
        MemoryPort("inside", ("reads", "updates"), math.inf),
    )
    divided = Memory("buffer", None, 1.0, 1.0, ports=ports, overlap="never")
    found = turned(memory("dram"), divided)
    assert found == pytest.approx(6 / 0.5 + 4 * (6 / 0.5 + 12 + 4 / 0.25))


def test_memories_begin_one_after_the_other() -> None:
    """A tile of the inner one can leave the outer one once all of the outer tile is there."""
    outer, inner = memory("outer", 2, 4), memory("inner", 8, 8)
    found = cycles((4, 3, 1), (DRAM, {}), (outer, {"m": 4}), (inner, {"k": 3}))
    # 15 words into the outer one, 6 into the inner one; a tile of 3 steps needs 3 more words;
    # one output leaves the inner one at 4 words per cycle, all of them the outer one at a half.
    assert found == pytest.approx(15 + 3 + 12 + 1 / 4 + 4 / 0.5)


def test_a_memory_that_hides_begins_anew_inside_of_one_that_waits() -> None:
    """As above in two turns: before each of them 3 words come into the inner memory."""
    outer, inner = memory("outer", 2, 4), memory("inner", 8, 8)
    waits = replace(outer, overlap="never")
    found = cycles((4, 3, 1), (DRAM, {"m": 2}), (waits, {"m": 2}), (inner, {"k": 3}))
    first, second = 9 + 6 / 2, 6 + 3 / 2
    work, leave = 6 + 1 / 4, 2 / 0.5
    assert found == pytest.approx(first + second + 2 * (work + leave))
