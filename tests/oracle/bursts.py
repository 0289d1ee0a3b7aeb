"""Bursts that the tiles of a nest touch, by the addresses of their values.

Executes the loops outside of what leaves the outermost memory at once, and lists the values of
every tile where they lie. Nothing here knows of a formula of the model.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from toolkit.arch import Architecture, Memory
from toolkit.arch.architecture import holds
from toolkit.mapping.mapping import IntArray
from toolkit.workload import Tensor, Workload

Counter = tuple[int, int]
"""Iterations of a loop or of instances, and how far apart they lie along their dimension."""


@dataclass(frozen=True)
class Touched:
    """Bits that all tiles of one tensor move, and those of all bursts that they touch.

    `average`: of all alignments that tiles have, each as often as the others. `actual`: of a
    tensor that begins with a burst. `runs`: how many parts the tiles have that share no burst.
    """

    moved: int
    average: Fraction
    actual: int
    runs: int


class Nest:
    """What leaves the outermost memory of one tensor, under `exact` conventions."""

    def __init__(
        self,
        arch: Architecture,
        workload: Workload,
        tensor: Tensor,
        factors: IntArray,
        order: IntArray,
    ) -> None:
        self.arch, self.tensor, self.workload = arch, tensor, workload
        self.names = list(workload.dimensions)
        self.sizes = list(workload.sizes.values())
        self.factors, self.order = factors.tolist(), order.tolist()
        holders = [
            i for i, x in enumerate(arch.levels) if isinstance(x, Memory) and holds(x, tensor)
        ]
        self.is_supplied = holders[0] == 0
        self.child = next((i for i in holders if i > 0), len(arch.levels))
        self.relevant = {self.names.index(d) for d in tensor.dimensions}
        self.lanes = self.child == len(arch.levels)
        self.mover = self._mover()

    def is_memory(self, level: int) -> bool:
        return isinstance(self.arch.levels[level], Memory)

    def extent(self, level: int, d: int) -> int:
        return math.prod(row[d] for row in self.factors[level:])

    def loops(self) -> list[tuple[int, int]]:
        """Loops that turn in time outside of the child, as (level, dimension), outermost first."""
        return [
            (level, d)
            for level in range(self.child)
            if self.is_memory(level)
            for d in self.order[level]
            if self.factors[level][d] > 1
        ]

    def _mover(self) -> tuple[int, int] | None:
        moving = [(level, d) for level, d in self.loops() if d in self.relevant]
        return moving[-1] if moving else None

    def at_once(self, level: int) -> bool:
        """Whether all instances of a spatial level get their values at once."""
        if self.lanes:
            return level > max(i for i in range(self.child) if self.is_memory(i))
        return self.mover is None or level > self.mover[0]

    def sliding_axis(self) -> int | None:
        """Axis along which each tile leaves a part of the one before in place."""
        if self.lanes or self.mover is None:
            return None
        axes = [[self.names.index(t.dimension) for t in index] for index in self.tensor.indices]
        axis = next(i for i, dims in enumerate(axes) if self.mover[1] in dims)
        split = any(
            self.factors[i][d] > 1
            for i in range(self.child)
            if not self.is_memory(i)
            for d in axes[axis]
        )
        again = self.arch.memories[0].multiple_reuses
        return (
            axis
            if len(axes[axis]) > 1 and not split and (again or self.loops()[-1] == self.mover)
            else None
        )

    def counters(self, d: int, *, inside: bool) -> list[Counter]:
        """Counters of a dimension inside of what is sent at once, or outside; outermost first.

        Of the latter the mover's loop, if it is of the dimension, is the last one in time.
        """
        found = []
        for level in range(self.child):
            apart = self.extent(level + 1, d)
            within = not self.is_memory(level) and self.at_once(level)
            if within == inside:
                found.append((self.factors[level][d], apart))
        if inside:
            found.append((self.extent(self.child, d), 1))
        return found

    def tiles(self) -> Iterator[tuple[list[frozenset[int]], bool]]:
        """Positions along every axis of all tiles, and whether each follows one in its sweep."""
        slides, dims = self.sliding_axis(), sorted(self.relevant)
        outside = [
            (d, level, self.factors[level][d], self.extent(level + 1, d))
            for d in dims
            for level in range(self.child)
            if self.is_memory(level) or not self.at_once(level)
        ]
        # The mover's loop runs fastest.
        outside.sort(key=lambda c: slides is not None and (c[1], c[0]) == self.mover)
        for turns in itertools.product(*(range(c[2]) for c in outside)):
            start = dict.fromkeys(dims, 0)
            for turn, (d, _, _, apart) in zip(turns, outside, strict=True):
                start[d] += turn * apart
            values = {d: self._values(d, start[d]) for d in dims}
            follows = slides is not None and turns[-1] > 0
            yield [self._axis(i, values) for i in range(len(self.tensor.indices))], follows

    def _values(self, d: int, start: int) -> list[int]:
        spread = [range(0, n * apart, apart) for n, apart in self.counters(d, inside=True)]
        found = (start + sum(x) for x in itertools.product(*spread))
        return [x for x in found if x < self.sizes[d]]

    def _axis(self, i: int, values: dict[int, list[int]]) -> frozenset[int]:
        terms = self.tensor.indices[i]
        common = math.gcd(*(t.coefficient for t in terms)) or 1
        strides = [t.coefficient // common for t in terms]
        along = [values[self.names.index(t.dimension)] for t in terms]
        pairs = itertools.product(*along)
        return frozenset(sum(c * x for c, x in zip(strides, p, strict=True)) for p in pairs)

    def span(self, i: int) -> int:
        """Positions along an axis of the whole tensor."""
        terms = self.tensor.indices[i]
        common = math.gcd(*(t.coefficient for t in terms)) or 1
        sizes = self.workload.sizes
        return 1 + sum(t.coefficient // common * (sizes[t.dimension] - 1) for t in terms)


def touched_bits(nest: Nest, innermost_first: list[int], value_bits: int, burst: int) -> Touched:
    """Fetch all tiles of a tensor, each once; a burst is so many bits."""
    spans = [nest.span(i) for i in innermost_first]
    strides = [math.prod(spans[:k]) * value_bits for k in range(len(spans))]
    first, fresh = list[tuple[int, int]](), list[tuple[int, int]]()
    moved, before = 0, frozenset[int]()
    for axes, follows in nest.tiles():
        along = [[x * s for x in axes[i]] for i, s in zip(innermost_first, strides, strict=True)]
        tile = frozenset(sum(x) for x in itertools.product(*along))
        new = tile - before if follows else tile
        before = tile
        if not new:
            continue
        moved += len(new) * value_bits
        (fresh if follows else first).extend(_runs(sorted(new), value_bits, burst))
    average = _average(first, burst) + _average(fresh, burst)
    actual = sum(_bursts(begin, end, burst) for begin, end in first + fresh)
    return Touched(moved, average * burst, actual * burst, len(first + fresh))


def _average(runs: list[tuple[int, int]], burst: int) -> Fraction:
    """Bursts that runs touch if they begin at all places of their lattice equally often."""
    step = math.gcd(burst, *(begin - runs[0][0] for begin, _ in runs))
    shifts = range(0, burst, step)
    found = sum(_bursts(a + shift, b + shift, burst) for a, b in runs for shift in shifts)
    return Fraction(found, len(shifts))


def _runs(addresses: list[int], value_bits: int, burst: int) -> list[tuple[int, int]]:
    """Begin and end of what lies less than a burst apart, so that bursts between are touched."""
    runs: list[tuple[int, int]] = []
    for address in addresses:
        if runs and address - runs[-1][1] < burst:
            runs[-1] = runs[-1][0], address + value_bits
        else:
            runs.append((address, address + value_bits))
    return runs


def _bursts(begin: int, end: int, burst: int) -> int:
    return (end - 1) // burst - begin // burst + 1
