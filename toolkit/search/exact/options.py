"""Chains of one dimension of a ragged space at given spatial factors, and what they contribute."""

from __future__ import annotations

import math

import numpy as np

from toolkit.mapping.factors import ALL_EXTENTS, ragged_extents
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace
from toolkit.search.exact.chains import Chain, EvenChain, Line, Wall, used_levels
from toolkit.search.exact.family import fixed_parts
from toolkit.search.exact.grid import Grid
from toolkit.search.exact.nest import Nest

IntRow = tuple[int, ...]


class Options:
    """Chains of one dimension for given spatial factors, with what they contribute.

    Attributes
    ----------
    inner : int64 array, shape (chains, walls)
        Extents inside every wall, innermost first.
    steps : float64 array, shape (chains,)
        Steps of the dimension.
    base, fresh : float64 arrays, shape (lines, 3, chains)
        See `fixed_parts`, of all instances.
    """

    def __init__(
        self, nest: Nest, lines: list[Line], limits: IntArray, d: int, column: IntRow
    ) -> None:
        space = nest.problem.space
        self.size, self.levels = int(space.sizes[d]), used_levels(column)
        self.column, self.even = column, not space.ragged[d]
        if self.even:
            possible = self.size % math.prod(column) == 0
            self.inner = np.ones((int(possible), len(self.levels)), dtype=np.int64)
        else:
            self.inner = _inner_extents(space, limits, d, self.size, column, self.levels)
        chain = self.chain(slice(None))
        count = len(self.inner)
        self.steps = np.broadcast_to(np.asarray(chain.steps(), dtype=np.float64), (count,))
        base, fresh = fixed_parts(nest, lines, d, chain)
        shape = (*base.shape[:3], count)
        if base.ndim == 3:
            base, fresh = base[..., None], fresh[..., None]
        self.base = np.broadcast_to(base, shape)[:, 0]
        self.fresh = np.broadcast_to(fresh, shape)[:, 0]

    def buckets(self, grid: Grid, d: int, outer: int, inner: int) -> IntArray:
        """Bucket of every chain's extent in time between two memories."""
        wall = next(w for w in self.chain(slice(None)).walls if outer < w.level < inner)
        inside = math.prod(self.column[wall.level + 1 :])
        # Not as if what reaches the size with the instances did so inside of them, too.
        cells = grid.cells(d, wall.inner.astype(np.int64) // inside, 0)
        return np.asarray(cells // math.prod(grid.shape[d + 1 :]))

    def chain(self, rows: slice | int) -> Chain:
        """Chains as arrays, or one of them."""
        columns = zip(self.levels, self.inner[rows].T, strict=True)
        walls = (Wall(level, inner.astype(float), self.column[level]) for level, inner in columns)
        return (EvenChain if self.even else Chain)(self.size, tuple(walls))


def _inner_extents(
    space: MapSpace, limits: IntArray, d: int, size: int, column: IntRow, levels: list[int]
) -> IntArray:
    """Extents inside every wall, int64 [chains, walls]: multiples of what lies further in."""
    memories = space.memory_levels
    found = np.ones((1, 0), dtype=np.int64)
    reached, inside = np.ones(1, dtype=np.int64), len(column)
    for level in levels:
        between = memories[(memories > level) & (memories < inside)]
        most = int(min(size, math.prod(space.upper[between, d].tolist())))
        least = math.prod(space.lower[between, d].tolist())
        limit = size
        for i, memory in enumerate(between.tolist()):
            outside = math.prod(space.upper[between[:i], d].tolist())
            limit = min(limit, int(limits[memory, d]) * outside)
        grown, parents = [], []
        for i, extent in enumerate(reached.tolist()):
            room = min(limit // extent, most, (size - 1) // (extent * (column[level] - 1)))
            if size <= ALL_EXTENTS:
                values = np.arange(least, room + 1, dtype=np.int64) * extent
            else:
                values = ragged_extents(size)
                turns = values // extent
                values = values[(turns * extent == values) & (turns >= least) & (turns <= room)]
            grown.append(values)
            parents.append(np.full(len(values), i))
        if not grown:
            return np.zeros((0, len(levels)), dtype=np.int64)
        inner, parent = np.concatenate(grown), np.concatenate(parents)
        found = np.concatenate([found[parent], inner[:, None]], axis=1)
        reached, inside = inner * column[level], level
    return found
