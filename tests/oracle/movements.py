"""What every memory of an executed loop nest gets and sends, tile by tile.

The nest of `simulator` is walked once more, and what its links move at every turn is written
down: of which tensor, before which step of the lanes, and how many values pass the supplier and
the memory itself. Where several instances move tiles at once, those of the busiest one count, for
all of them go on together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.mapping.mapping import IntArray
from toolkit.workload.kernel import Tensor, Workload

from .arithmetic import draw_numbers
from .machine import Buffer, Chain, Link, build_chain
from .nest import build_nest, odometer

Words = Mapping[tuple[int, str], Fraction]
"""Words of one kind of traffic that pass one instance of a memory, by its level and the kind."""


@dataclass(frozen=True, slots=True)
class Move:
    """One tile on its way: a step of the lanes before which it moves, and its words."""

    step: int
    words: Words


@dataclass(frozen=True, slots=True)
class Stop:
    """A memory at which tiles of one tensor arrive, and from which they leave.

    Parameters
    ----------
    tensor : str
        What moves.
    level, supplier : int
        The memory, and the one outside that it exchanges tiles with.
    arriving, leaving : list of Move
        In the order of their steps. A tile that leaves does so before this step, or after the
        last one; one that arrives may move no words, if it starts from zero.
    """

    tensor: str
    level: int
    supplier: int
    arriving: list[Move] = field(default_factory=list)
    leaving: list[Move] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Movements:
    """All that one run moves.

    Parameters
    ----------
    stops : list of Stop
        Outermost memories first.
    lanes : list of Words
        Of every step of the lanes: what these take and bring back.
    held : mapping of int to int
        By level of a memory, the most words that the tiles of one instance take, one copy of each.
    """

    stops: list[Stop]
    lanes: list[Words]
    held: Mapping[int, int]


def movements(
    arch: Architecture, workload: Workload, factors: IntArray, order: IntArray, bias_read: bool
) -> Movements:
    """Walk a nest, whose arguments are those of `simulator.simulate`."""
    nest = build_nest(arch, workload, factors, order, bias_read, None)
    numbers = draw_numbers(workload)
    chains = {t.name: build_chain(nest, t, numbers[t.name]) for t in workload.tensors}
    # Outer memories first, as what they get comes before what is inside gets any of it.
    links = [_Watched(chain, i) for chain in chains.values() for i in range(len(chain.links))]
    links.sort(key=lambda x: x.child)
    lanes: list[dict[tuple[int, str], Fraction]] = []
    for advanced, counters in odometer(nest):
        moving = [x for x in links if x.link.moves(advanced)]
        for x in reversed(moving):
            x.leave(lanes, counters, retained=advanced == x.link.retaining)
        lanes.append({})
        for x in moving:
            x.enter(lanes, counters)
    for x in reversed(links):
        x.leave(lanes, counters, retained=False)
    held: dict[int, Fraction] = {}
    for tensor in workload.tensors:
        chain = chains[tensor.name]
        for level, buffers in zip(chain.holders, chain.buffers, strict=True):
            values = max(buffer.occupancy for buffer in buffers)
            words = values * _words_of_a_value(arch, level, tensor)
            held[level] = held.get(level, Fraction(0)) + words
    stops = [x.stop for x in links if x.child < len(arch.levels)]
    return Movements(stops, lanes, {level: math.ceil(words) for level, words in held.items()})


class _Watched:
    """A link that says what it moves at every turn."""

    def __init__(self, chain: Chain, number: int) -> None:
        self.link: Link = chain.links[number]
        ends = [*chain.holders, len(self.link.nest.arch.levels)]
        self.supplier, self.child = ends[number], ends[number + 1]
        self.stop = Stop(self.link.tensor.name, self.child, self.supplier)
        self._outside = chain.buffers[number]
        self._inside = [port.buffer for port in self.link.ports]

    def enter(
        self, lanes: list[dict[tuple[int, str], Fraction]], counters: tuple[int, ...]
    ) -> None:
        with_lanes = self.child == len(self.link.nest.arch.levels)
        moved = self._watch("reads", "fills", lambda: self.link.enter(counters))
        if with_lanes:
            _add(lanes[-1], moved)
        else:
            self.stop.arriving.append(Move(len(lanes) - 1, moved))

    def leave(
        self,
        lanes: list[dict[tuple[int, str], Fraction]],
        counters: tuple[int, ...],
        *,
        retained: bool,
    ) -> None:
        moved = self._watch(
            "updates", "drains", lambda: self.link.leave(counters, retained=retained)
        )
        if not lanes or not self.link.is_output:
            return
        if self.child == len(self.link.nest.arch.levels):
            _add(lanes[-1], moved)
        else:
            self.stop.leaving.append(Move(len(lanes), moved))

    def _watch(
        self, outside: str, inside: str, turn: Callable[[], None]
    ) -> dict[tuple[int, str], Fraction]:
        ends = ((self.supplier, outside, self._outside), (self.child, inside, self._inside))
        before = [[getattr(x, kind) for x in buffers] for _, kind, buffers in ends]
        turn()
        moved = {}
        for (level, kind, buffers), counted in zip(ends, before, strict=True):
            if level < len(self.link.nest.arch.levels):
                words = _most(buffers, kind, counted)
                moved[level, kind] = words * _words_of_a_value(
                    self.link.nest.arch, level, self.link.tensor
                )
        return moved


def _words_of_a_value(arch: Architecture, level: int, tensor: Tensor) -> Fraction:
    """Words that a value takes; partial sums are as wide as what they become."""
    memory = arch.levels[level]
    assert isinstance(memory, Memory) and tensor.sum_bits in (None, tensor.bits)
    if tensor.bits is None or memory.word_bits is None or not memory.packed:
        return Fraction(1)
    return Fraction(tensor.bits, memory.word_bits)


def _most(buffers: list[Buffer], kind: str, before: list[int]) -> int:
    return max(getattr(x, kind) - count for x, count in zip(buffers, before, strict=True))


def _add(total: dict[tuple[int, str], Fraction], moved: Words) -> None:
    for place, words in moved.items():
        total[place] = total.get(place, Fraction(0)) + words
