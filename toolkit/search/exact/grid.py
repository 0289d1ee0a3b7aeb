"""Buckets of extents in time, a few per dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from toolkit.mapping.factors import divisors, ragged_extents
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.space import MapSpace

MOST_CELLS = 1 << 13
"""Most combinations of buckets: a table of a few MiB per choice of spatial factors."""


@dataclass(frozen=True)
class Grid:
    """Buckets of the extents in time of every dimension.

    Parameters
    ----------
    least : tuple of int64 arrays, shape (buckets,)
        Smallest extent of each; the last one holds whatever reaches the size.
    """

    least: tuple[IntArray, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of buckets of every dimension."""
        return tuple(len(x) for x in self.least)

    def along(self, d: int, values: FloatArray) -> FloatArray:
        """Values of one dimension's buckets, as an array that fits tables."""
        return values.reshape([-1 if e == d else 1 for e in range(len(self.least))])

    def cells(self, d: int, taus: IntArray, inside: int) -> IntArray:
        """What extents add to the number of a cell; `inside` is spatial."""
        least = self.least[d]
        reached = taus * inside >= least[-1]
        found = np.where(reached, len(least), np.searchsorted(least, taus, side="right")) - 1
        return np.asarray(found * math.prod(self.shape[d + 1 :]), dtype=np.int64)


def make_grid(space: MapSpace, most: int = MOST_CELLS) -> Grid:
    """Choose buckets, all as fine as the number of cells allows."""
    return _grid(tuple(zip(space.sizes.tolist(), space.ragged.tolist(), strict=True)), most)


@lru_cache(maxsize=16)
def _grid(dimensions: tuple[tuple[int, bool], ...], most: int) -> Grid:
    every = [_extents(size, ragged=ragged) for size, ragged in dimensions]
    if math.prod(len(x) for x in every) <= most:
        return Grid(tuple(every))
    coarse, fine = 1.0, 64.0
    for _ in range(20):
        ratio = math.sqrt(coarse * fine)
        grid = Grid(tuple(_thinned(extents, ratio) for extents in every))
        if math.prod(grid.shape) > most:
            coarse = ratio
        else:
            fine = ratio
    return Grid(tuple(_thinned(extents, fine) for extents in every))


def _extents(size: int, *, ragged: bool) -> IntArray:
    if ragged:
        return ragged_extents(size)
    return np.array(divisors(size), dtype=np.int64)


def _thinned(extents: IntArray, ratio: float) -> IntArray:
    """Extents of which each is at least `ratio` times the one before, the first and the last."""
    kept = [int(extents[0])]
    while kept[-1] * ratio < extents[-1]:
        place = int(np.searchsorted(extents, kept[-1] * ratio))
        place = max(place, int(np.searchsorted(extents, kept[-1], side="right")))
        kept.append(int(extents[place]))
    if kept[-1] != extents[-1]:
        kept.append(int(extents[-1]))
    return np.array(kept, dtype=np.int64)
