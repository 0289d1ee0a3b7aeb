"""Least energy of all mappings with the same spatial factors, if tiles did not have to divide.

Extents in time are put into buckets, a few per dimension. A mapping becomes a way through them,
memory by memory from the innermost: loops lead from a bucket to any further one. A transfer
costs what it takes at the largest extents of a bucket, whose tiles need the room of the
smallest; what overlapping windows share counts once. So no way costs more than a mapping that it
stands for, and tables of all ways are products of a few arrays.
"""

from __future__ import annotations

import math

import numpy as np

from toolkit.mapping.mapping import FloatArray
from toolkit.model.plan_tables import A_TILE
from toolkit.search.exact.chains import Line
from toolkit.search.exact.family import Family
from toolkit.search.exact.grid import Grid
from toolkit.workload.distinct import count_window


class Relaxed:
    """Tables of one choice of spatial factors.

    Parameters
    ----------
    family : Family
        That choice.
    grid : Grid
        Buckets.

    Attributes
    ----------
    to_go : float64 array, shape (memories, subsets of tensors, cells)
        Least energy (pJ) of what is to be moved from inside a memory on, by the tensors that
        wait for the first loop that moves them (bits).
    passing : list of float64 array, shape (buckets of every dimension, or 1)
        Least energy of all but the lanes on ways that pass the bottom of a memory in a bucket,
        by the dimensions that are unrolled right there.
    """

    def __init__(self, family: Family, grid: Grid) -> None:
        self.family, self.grid = family, grid
        nest = family.nest
        self._sizes = family.problem.space.sizes.astype(np.float64)
        tensors = family.problem.plan.tensors
        self._subsets = 1 << len(tensors)
        self._indexes = [
            [bool(tensor.relevant[d]) for d in range(len(self._sizes))] for tensor in tensors
        ]
        memories = range(len(nest.memories))
        self._costs = [
            [self._cost(int(r)) if r >= 0 else None for r in nest.row_of[k]] for k in memories
        ]
        self._closes = [
            sum(
                1 << t
                for t, r in enumerate(nest.row_of[k])
                if r >= 0 and nest.seen[r][0].row.closes
            )
            for k in memories
        ]
        self._begins = [
            sum(
                1 << t
                for t, tensor in enumerate(tensors)
                if any(x.child == m for x in tensor.transfers)
            )
            for m in nest.memories
        ]
        self._fits = [self._room(m) for m in nest.memories]
        tables = self._backward()
        self.to_go = np.ascontiguousarray(tables.reshape(len(tables), self._subsets, -1))
        self.passing = self._forward(tables)

    @property
    def least_pj(self) -> float:
        """Least energy (pJ) of all but the lanes."""
        return float(self.to_go[-1, 0, 0])

    def _cost(self, r: int) -> FloatArray:
        """Energy of a transfer whose stay ends with the extents of a cell."""
        family, line = self.family, self.family.lines[r]
        tensor = family.problem.plan.tensors[line.tensor]
        values = self._values(line)
        coef = family.row_arrays.coef[r, 0]
        words = [self._repeats(line, way) for way in range(3)]
        first = [0.0, 0.0, 0.0]
        if tensor.is_output and not family.problem.bias_read:
            first = [
                float(np.prod([self._counted(line, way, d) for d in self._others(line)]))
                for way in range(3)
            ]
        net = [np.maximum(w - f, 0.0) for w, f in zip(words, first, strict=True)]
        if not tensor.is_output:
            return np.asarray(values * (coef[0] * words[0] + coef[2] * words[2]))
        return np.asarray(
            values
            * (coef[0] * net[0] + coef[1] * words[1] + coef[2] * net[2] + coef[3] * words[2])
        )

    def _values(self, line: Line) -> float:
        """Values of the whole tensor that windows reach."""
        values = 1.0
        for terms in self.family.problem.plan.tensors[line.tensor].sums:
            sizes = [int(self._sizes[d]) for d, _ in terms]
            values *= count_window(sizes, [c for _, c in terms])
        return values

    def _others(self, line: Line) -> list[int]:
        relevant = self.family.problem.plan.tensors[line.tensor].relevant
        return [d for d in range(len(self._sizes)) if not relevant[d]]

    def _repeats(self, line: Line, way: int) -> FloatArray:
        """Least visits of every value: as many as iterations of counters that do not count allow.

        Each combination of the others stands for at most their product of iterations.
        """
        found = np.ones((1,) * len(self._sizes))
        factors = self.family.factors
        counts = line.apart(way, 0)
        for d in self._others(line):
            held = math.prod(
                int(factors[i, d])
                for i in range(len(factors))
                if i > line.child or (i > line.supplier and not counts(i))
            )
            most = np.append(self.grid.least[d][1:] - 1.0, np.inf)
            found = found * self.grid.along(d, np.ceil(self._sizes[d] / (most * held)).clip(1.0))
        return found

    def _counted(self, line: Line, way: int, d: int) -> int:
        """Most instances that count one by one."""
        counts = line.apart(way, 0)
        factors = self.family.factors
        return math.prod(
            int(factors[i, d]) for i in range(len(factors)) if i < line.child and counts(i)
        )

    def _room(self, m: int) -> FloatArray:
        """0 where the smallest tiles of a cell fit into a memory, else inf."""
        plan, d_count = self.family.problem.plan, len(self._sizes)
        usable = self.family.problem.tables.levels[m].usable_words
        if usable == math.inf:
            return np.zeros((1,) * d_count)
        inside = self.family.nest.spatial.inside[m]
        extents = [
            self.grid.along(d, np.minimum(self.grid.least[d] * float(inside[d]), self._sizes[d]))
            for d in range(d_count)
        ]
        words = np.zeros((1,) * d_count)
        for t, tensor in enumerate(plan.tensors):
            if self.family.problem.tables.holds[t, m] != A_TILE:
                continue
            tile = np.ones((1,) * d_count)
            for terms in tensor.sums:
                # There are at least as many different sums of values as that.
                tile = tile * (sum(extents[d] for d, _ in terms) - (len(terms) - 1))
            words = words + tile
        return np.where(words <= usable, 0.0, np.inf)

    def _moved(self, waiting: int, d: int) -> int:
        """Tensors that a loop of a dimension moves, of those that wait."""
        return sum(
            1 << t for t, indexed in enumerate(self._indexes) if indexed[d] and waiting >> t & 1
        )

    def _charge(self, k: int, moved: int) -> FloatArray | float:
        parts = [
            cost for t, cost in enumerate(self._costs[k]) if moved >> t & 1 and cost is not None
        ]
        return sum(parts) if parts else 0.0

    def _present(self, k: int) -> list[int]:
        """Subsets of the tensors that can wait at a memory, small ones first."""
        here = sum(1 << t for t, cost in enumerate(self._costs[k]) if cost is not None)
        return [w for w in range(self._subsets) if w & ~here == 0]

    def _backward(self) -> FloatArray:
        shape = self.grid.shape
        count = len(self._costs)
        go = np.full((count, self._subsets, *shape), np.inf)
        dimensions = range(len(shape))
        for k in range(count):
            for waiting in self._present(k):
                closed = waiting & self._closes[k]
                outside = waiting & ~closed | self._begins[k]
                best = self._charge(k, closed) + self._fits[k] + np.zeros(shape)
                if k > 0:
                    best += go[k - 1, outside]
                for d in dimensions:
                    moved = self._moved(waiting, d)
                    if moved:
                        after = _suffix(go[k, waiting & ~moved], d)
                        best = np.minimum(best, self._charge(k, moved) + after)
                for d in dimensions:
                    if not self._moved(waiting, d):
                        best = _suffix(best, d)
                go[k, waiting] = best
        return go

    def _forward(self, go: FloatArray) -> list[FloatArray]:
        shape = self.grid.shape
        count, dimensions = len(self._costs), range(len(shape))
        here = {0: np.full(shape, np.inf)}
        here[0][(0,) * len(shape)] = 0.0
        passing: list[FloatArray] = []
        for k in reversed(range(count)):
            through = np.min([x + go[k, w] for w, x in here.items()], axis=0)
            passing.append(self._unrolled(k, through))
            top: dict[int, FloatArray] = {}
            for waiting in reversed(self._present(k)):
                if waiting not in here:
                    continue
                reached = here[waiting]
                for d in dimensions:
                    if not self._moved(waiting, d):
                        reached = _prefix(reached, d)
                for d in dimensions:
                    moved = self._moved(waiting, d)
                    if moved:
                        after = _prefix(reached + self._charge(k, moved), d)
                        _lower(here, waiting & ~moved, after)
                closed = waiting & self._closes[k]
                outside = waiting & ~closed | self._begins[k]
                _lower(top, outside, reached + self._charge(k, closed) + self._fits[k])
            here = top
        return passing[::-1]

    def _unrolled(self, k: int, through: FloatArray) -> FloatArray:
        """Least values by the dimensions that are unrolled right inside memory number `k`."""
        walls = self.walls(k)
        rest = tuple(d for d in range(through.ndim) if d not in walls)
        return np.asarray(through.min(axis=rest, keepdims=True))

    def walls(self, k: int) -> list[int]:
        """Dimensions that are unrolled between memory number `k` and the next one inwards."""
        memories = [*self.family.nest.memories, len(self.family.factors)]
        between = self.family.factors[memories[k] + 1 : memories[k + 1]]
        return [d for d in range(between.shape[1]) if (between[:, d] > 1).any()]


def _suffix(values: FloatArray, d: int) -> FloatArray:
    """Least values from each bucket of a dimension on."""
    return np.flip(np.minimum.accumulate(np.flip(values, d), axis=d), d)


def _prefix(values: FloatArray, d: int) -> FloatArray:
    """Least values up to each bucket of a dimension."""
    return np.minimum.accumulate(values, axis=d)


def _lower(tables: dict[int, FloatArray], key: int, values: FloatArray) -> None:
    tables[key] = np.minimum(tables[key], values) if key in tables else values
