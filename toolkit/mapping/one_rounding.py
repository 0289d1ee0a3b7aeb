"""Rounding of a single ragged tiling, number by number; see `toolkit.mapping.rounding`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from toolkit.mapping.plain_room import PlainMemory

_BEYOND = 2.0**62
"""More than any factor: what is infinite has no whole part."""

Rows = tuple[tuple[float, ...], ...]
"""A number per level and dimension."""


@dataclass(frozen=True)
class OneRounding:
    """What `Rounding` knows of a space whose dimensions are all ragged, as plain numbers.

    Parameters
    ----------
    sizes : tuple of float
        Of the dimensions.
    lower, upper, outside, room : Rows
        Bounds of factors, iterations that levels outside may make, largest extents that leave
        these work.
    needed : Rows
        What has to lie inside of each level.
    mesh : tuple of float
        Instances of each level, inf of memories.
    settled, turns : tuple of tuples of int
        Per level, dimensions without a choice, and all others in the order in which they grow.
    memories : tuple of PlainMemory
        Those that can be too small.
    whole : float
        Share of a size from which on a tile stands for the whole dimension.
    """

    sizes: tuple[float, ...]
    lower: Rows
    upper: Rows
    outside: Rows
    room: Rows
    needed: Rows
    mesh: tuple[float, ...]
    settled: tuple[tuple[int, ...], ...]
    turns: tuple[tuple[int, ...], ...]
    memories: tuple[PlainMemory, ...]
    whole: float

    def near(self, wanted: list[list[float]]) -> list[list[int]]:
        """Factors [levels][dimensions] whose tiles are near wanted extents, or below."""
        extents = [1.0] * len(self.sizes)
        factors = [[1] * len(self.sizes) for _ in self.mesh]
        for level in reversed(range(len(self.mesh))):
            for d in self.settled[level]:
                factors[level][d] = int(self.lower[level][d])
                extents[d] *= self.lower[level][d]
            for d in self.turns[level]:
                factor = self._factor(level, d, wanted[level][d], extents, factors[level])
                factors[level][d] = int(factor)
                extents[d] *= factor
        return factors

    def _factor(
        self, level: int, d: int, wanted: float, extents: list[float], beside: list[int]
    ) -> float:
        """The largest factor up to the wanted one that fits."""
        size, inside = self.sizes[d], extents[d]
        least = max(self.lower[level][d], -(-size // (inside * self.outside[level][d])))
        most = min(-(-size // inside), self.room[level][d] // inside)
        ideal = min(wanted / inside, _BEYOND)
        below = ideal // 1
        factor = below + 1 if ideal * ideal > below * (below + 1) else below
        if ideal * inside >= size * self.whole:
            factor = most
        factor = min(factor, most, self.upper[level][d], self._mesh_left(level, d, beside))
        if factor <= least:
            return least
        if self._fits(level, d, inside * factor, extents):
            return factor
        low, high = least, factor
        while high - low > 1:
            middle = (low + high) // 2
            if self._fits(level, d, inside * middle, extents):
                low = middle
            else:
                high = middle
        return low

    def _mesh_left(self, level: int, d: int, beside: list[int]) -> float:
        """Instances that the other dimensions leave to one; inf at memories."""
        mesh = self.mesh[level]
        if mesh == math.inf:
            return mesh
        used = 1.0
        for other, (factor, least) in enumerate(zip(beside, self.lower[level], strict=True)):
            if other != d:
                used *= max(factor, least)
        return mesh // used

    def _fits(self, level: int, d: int, after: float, extents: list[float]) -> bool:
        """Whether tiles fit in all memories outside if nothing else grew more than it must."""
        tiles = extents.copy()
        tiles[d] = after
        for memory, musts in self._outside_of[level]:
            needed = self.needed[memory.level]
            grown = [
                min(tile * max(must, -(-need // tile)), size)
                for tile, must, need, size in zip(tiles, musts, needed, self.sizes, strict=True)
            ]
            if not memory.fits(grown):
                return False
        return True

    @cached_property
    def _outside_of(self) -> list[list[tuple[PlainMemory, tuple[float, ...]]]]:
        """By level, the memories outside, and what lies between must iterate by dimension."""
        return [
            [
                (
                    memory,
                    tuple(
                        math.prod(row[d] for row in self.lower[memory.level : level])
                        for d in range(len(self.sizes))
                    ),
                )
                for memory in self.memories
                if memory.level <= level
            ]
            for level in range(len(self.mesh))
        ]
