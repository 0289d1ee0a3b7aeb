"""Words of single tiles in plain numbers, where arrays take longer to make than to add up.

Costing trials one by one asks for one tiling at a time. Where no tensor has windows and nothing
is kept beyond its tile, words are sums of products, and Python adds them up ten times sooner than
arrays of one row do; otherwise `toolkit.mapping.space.MapSpace.fits` does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.mapping.factors import SIZE_LIMIT
from toolkit.mapping.space import MapSpace


@dataclass(frozen=True, slots=True)
class PlainMemory:
    """A memory that can be too small.

    Parameters
    ----------
    level : int
        Its place among all levels.
    capacity : float
        Words that it has room for.
    units_per_word : int
        What a word has room for.
    tensors : tuple of (int, tuple of int)
        Units that a value of each tensor takes, and the dimensions that index it.
    """

    level: int
    capacity: float
    units_per_word: int
    tensors: tuple[tuple[int, tuple[int, ...]], ...]

    def fits(self, tile: Sequence[float]) -> bool:
        """Whether it has room for tiles of these extents."""
        units = 0.0
        for unit, columns in self.tensors:
            values = float(unit)
            for column in columns:
                values *= tile[column]
            units += values
        if self.units_per_word == 1:
            return units <= self.capacity
        return math.ceil(units / self.units_per_word) <= self.capacity


def plain_memories(space: MapSpace) -> tuple[PlainMemory, ...] | None:
    """List the memories that can be too small; None where words are no sums of products."""
    found = []
    for m in np.flatnonzero(space.binding).tolist():
        limit = space.word_limits[m]
        if space.keeping.tensors[m].any() or (limit is not None and limit >= SIZE_LIMIT):
            return None
        tensors = []
        for t in np.flatnonzero(space.holds[m]).tolist():
            indices = space.workload.tensors[t].indices
            if any(len(index) != 1 for index in indices):
                return None
            columns = tuple(space.dimensions.index(index[0].dimension) for index in indices)
            tensors.append((space.footings[m].units[t], columns))
        found.append(
            PlainMemory(
                int(space.memory_levels[m]),
                float(space.capacity[m]),
                space.footings[m].units_per_word,
                tuple(tensors),
            )
        )
    return tuple(found)
