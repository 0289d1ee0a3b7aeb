"""A map space as a box whose every point is a valid mapping, for optimisers of real variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.factors import DimensionLattice
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.mapping.rounding import Rounding
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import start_point
from toolkit.search.evaluator import ArrayPair
from toolkit.search.moves import move_space

ABSENT = -0.5
"""Weight of a loop with one iteration, when a mapping is written as a point: all negative ones
count as 0, and this is in their middle."""
SCALES = np.arange(15, -1, -1) / 16
"""Shares of the wanted tile extents, on a logarithmic scale, tried in turn until they fit."""


class Tiler(Protocol):
    """Makes valid tilings."""

    def fit(self, wanted: FloatArray, /) -> IntArray:
        """Valid factors [batch, levels, dimensions] near wanted tiles.

        Parameters
        ----------
        wanted : float64 array, shape (batch, levels, dimensions)
            Binary logarithms of the tile extents inside every level.
        """
        ...


@dataclass(frozen=True)
class Relaxed:
    """A map space as a box of real variables. Use `relax`.

    A point has a weight in [-1, 1] for every level and dimension that may share the iterations,
    then a real number per memory that rounds to the row of its loop order. The logarithm of a
    dimension's size is shared out in proportion to the weights, negative ones counting as 0;
    tiles near that are what the tiler makes of it.

    Parameters
    ----------
    space : MapSpace
        Whose mappings.
    places : int64 array, shape (weights, 2)
        Level and dimension of every weight.
    orders : int64 array, shape (levels, classes, dimensions)
        Loop orders, one per reuse class, of every memory.
    low, high : float64 arrays, shape (variables,)
        Corners of the box.
    integral : bool array, shape (variables,)
        Which variables are rounded to integers.
    tiler : Tiler
        Of the same space.
    """

    space: MapSpace
    places: IntArray
    orders: IntArray
    low: FloatArray
    high: FloatArray
    integral: BoolArray
    tiler: Tiler

    def encode(self, factors: IntArray, order: IntArray) -> FloatArray:
        """Write mappings, arrays [batch, levels, dimensions], as points [batch, variables].

        `decode` gives the same factors again, and the same orders if they are among `orders`.
        """
        levels, dimensions = self.places.T
        size = np.log2(np.maximum(self.space.sizes, 2))
        weights = np.log2(self._turns(factors))[:, levels, dimensions] / size[dimensions]
        weights[weights == 0] = ABSENT
        rows = [
            (self.orders[level] == order[:, level, None]).all(axis=2).argmax(axis=1)
            for level in self.space.memory_levels
        ]
        return np.concatenate([weights, np.stack(rows, axis=1)], axis=1)

    def _turns(self, factors: IntArray) -> FloatArray:
        """Factors that multiply to the sizes: of what was cut off, the outermost loop has less."""
        turns, outermost = factors.astype(np.float64), (factors > 1).argmax(axis=1)[:, None]
        products = turns.prod(axis=1, keepdims=True)
        own = np.take_along_axis(turns, outermost, axis=1) * (self.space.sizes / products)
        np.put_along_axis(turns, outermost, own, axis=1)
        return turns

    def decode(self, points: NDArray[np.float64]) -> ArrayPair:
        """Read points [batch, variables] as valid mappings.

        Returns
        -------
        factors, order : int64 arrays, shape (batch, levels, dimensions)
        """
        return self.tiler.fit(self.wanted(points)), self.loop_orders(points)

    def loop_orders(self, points: FloatArray) -> IntArray:
        """Loop orders of points, [batch, levels, dimensions]."""
        levels, dimensions = self.space.shape
        order = np.tile(np.arange(dimensions, dtype=np.int64), (len(points), levels, 1))
        memories = self.space.memory_levels
        rows = np.clip(np.rint(points), self.low + 0.5, self.high - 0.5)[:, len(self.places) :]
        order[:, memories] = self.orders[memories, rows.astype(np.int64)]
        return order

    def wanted(self, points: FloatArray) -> FloatArray:
        """Binary logarithms of the tile extents inside every level, [batch, levels, dims]."""
        weights = np.zeros((len(points), *self.space.shape))
        shares = np.maximum(points[:, : len(self.places)], 0.0)
        weights[:, self.places[:, 0], self.places[:, 1]] = shares
        inside = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
        total = inside[:, :1]
        share = (inside - weights) / np.where(total > 0, total, 1.0)
        wanted: FloatArray = share * np.log2(self.space.sizes)
        return wanted


@dataclass(frozen=True)
class Divisors:
    """Tile extents are the nearest divisors that the map space has.

    Where tiles then exceed a mesh or a capacity, all of them shrink evenly, on a logarithmic
    scale, until they fit.

    Parameters
    ----------
    space : MapSpace
        Whose tilings.
    divisors : int64 array, shape (dimensions, divisors)
        Of every size, ascending, followed by ones where it has fewer than another.
    counts : int64 array, shape (dimensions,)
        How many there are.
    steps : bool array, shape (levels, dimensions, divisors, divisors)
        Whether a level may divide a tile of one extent into tiles of another.
    start : int64 array, shape (levels, dimensions)
        A valid tiling, for points where nothing else is.
    """

    space: MapSpace
    divisors: IntArray
    counts: IntArray
    steps: BoolArray
    start: IntArray

    def fit(self, wanted: FloatArray) -> IntArray:
        """Valid factors whose tile extents are near the wanted ones, or evenly below."""
        factors = self._nearest(wanted)
        rows = np.flatnonzero(~self.space.check_factors(factors))
        if not len(rows):
            return factors
        scaled = SCALES[:, None, None, None] * wanted[rows]
        shrunk = self._nearest(scaled.reshape(-1, *self.space.shape))
        fits: BoolArray = self.space.check_factors(shrunk).reshape(len(SCALES), len(rows))
        shrunk = shrunk.reshape(len(SCALES), len(rows), *self.space.shape)
        best = shrunk[fits.argmax(axis=0), np.arange(len(rows))]
        some: BoolArray = np.asarray(fits.any(axis=0))
        factors[rows] = np.where(some[:, None, None], best, self.start)
        return factors

    def _nearest(self, wanted: FloatArray) -> IntArray:
        """Factors whose tile extents are nearest to the wanted ones, dimension by dimension."""
        levels, dimensions = self.space.shape
        column = np.arange(dimensions)
        logarithms = np.log2(self.divisors)
        state = np.tile(self.counts - 1, (len(wanted), 1))
        extent = np.tile(self.space.sizes, (len(wanted), 1))
        factors = np.empty(wanted.shape, dtype=np.int64)
        for level in range(levels):
            distance = np.abs(logarithms - wanted[:, level, :, None])
            distance[~self.steps[level, column, state]] = np.inf
            state = distance.argmin(axis=2)
            inner = self.divisors[column, state]
            factors[:, level] = extent // inner
            extent = inner
        return factors


@dataclass(frozen=True)
class Ragged:
    """Tile extents are rounded to any that fit, see `toolkit.mapping.rounding.Rounding`.

    Parameters
    ----------
    space : MapSpace
        Whose tilings.
    rounding : Rounding
        Of the same space.
    start : int64 array, shape (levels, dimensions)
        A valid tiling, for points where nothing else is.
    """

    space: MapSpace
    rounding: Rounding
    start: IntArray

    def fit(self, wanted: FloatArray) -> IntArray:
        """Valid factors whose tile extents are near the wanted ones, or below."""
        sizes = np.broadcast_to(np.log2(self.space.sizes), wanted[:, :1].shape)
        own = np.concatenate([sizes, wanted[:, :-1]], axis=1) * np.log(2)
        factors, valid = self.rounding.near(own)
        factors[~valid] = self.start
        return factors


def relax(space: MapSpace) -> Relaxed:
    """Write the map space as a box of real variables.

    Raises
    ------
    DoesNotFitError
        If there is no valid tiling, or a bounded search found none.
    MappingError
        If a memory has too many reuse classes to list.
    """
    start = start_point(space)
    moves = move_space(space)
    free = np.array([_ranges(lattice) for lattice in space.lattices]).T
    places = np.argwhere(free)
    classes = moves.order_counts[space.memory_levels]
    ones = np.ones(len(places))
    return Relaxed(
        space,
        places,
        moves.orders,
        np.concatenate([-ones, np.full(len(classes), -0.5)]),
        np.concatenate([ones, classes - 0.5]),
        np.concatenate([ones < 0, classes > 0]),
        Ragged(space, Rounding(space), start) if space.ragged.any() else _divisors(space, start),
    )


def _divisors(space: MapSpace, start: IntArray) -> Divisors:
    count = max(len(lattice.extents) for lattice in space.lattices)
    divisors = np.ones((len(space.lattices), count), dtype=np.int64)
    steps = np.zeros((*space.shape, count, count), dtype=np.bool_)
    for d, lattice in enumerate(space.lattices):
        own = len(lattice.extents)
        divisors[d, :own] = lattice.extents
        steps[:, d, :own, :own] = _steps(lattice)
    counts = np.array([len(lattice.extents) for lattice in space.lattices])
    return Divisors(space, divisors, counts, steps, start)


def _ranges(lattice: DimensionLattice) -> list[bool]:
    """Whether the factor at each level is open."""
    ranges = [lattice.factor_range(level) for level in range(lattice.levels)]
    return [low < high for low, high in ranges]


def _steps(lattice: DimensionLattice) -> BoolArray:
    """Which tile extents a level may divide into which, bool [levels, divisors, divisors]."""
    values = lattice.extents
    factor, rest = np.divmod(values[:, None], values)
    allowed = [
        (rest == 0) & (factor >= low) & (factor <= high) & reachable
        for low, high, reachable in zip(
            lattice.lower, lattice.upper, lattice.reachable[1:], strict=True
        )
    ]
    return np.array(allowed)
