"""A map space as a box whose every point is a valid mapping, for optimisers of real variables."""

from __future__ import annotations

from collections.abc import Sequence
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
_AT_ONCE = 64
"""Tilings tried at once where few do not fit: so many take little longer than one."""
_SPAN = 64.0
"""Above every binary logarithm of a size."""


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
        # Optimisers of real variables look beyond the bounds, too.
        shares = points[:, : len(self.places)].clip(0.0, 1.0)
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
    extents : int64 array, shape (states,)
        Divisors of all sizes, ascending, one dimension after another: each is a state.
    whole : int64 array, shape (dimensions,)
        The state that is a dimension's size.
    nearest : tuple of Nearest
        Per level, the states that a state may become.
    start : int64 array, shape (levels, dimensions)
        A valid tiling, for points where nothing else is.
    """

    space: MapSpace
    extents: IntArray
    whole: IntArray
    nearest: tuple[Nearest, ...]
    start: IntArray

    def fit(self, wanted: FloatArray) -> IntArray:
        """Valid factors whose tile extents are near the wanted ones, or evenly below."""
        factors = self._factors(wanted)
        rows, tried = np.flatnonzero(~self.space.check_factors(factors)), 0
        while len(rows) and tried < len(SCALES):
            scales = SCALES[tried : tried + max(_AT_ONCE // len(rows), 1)]
            shape = len(scales), len(rows), *self.space.shape
            scaled = scales[:, None, None, None] * wanted[rows]
            shrunk = self._factors(scaled.reshape(-1, *self.space.shape))
            fits: BoolArray = self.space.check_factors(shrunk).reshape(shape[:2])
            best = fits.argmax(axis=0), np.arange(len(rows))
            some = fits[best]
            factors[rows[some]] = shrunk.reshape(shape)[best][some]
            rows, tried = rows[~some], tried + len(scales)
        factors[rows] = self.start
        return factors

    def _factors(self, wanted: FloatArray) -> IntArray:
        """Factors whose tile extents are nearest to the wanted ones, dimension by dimension."""
        state = np.tile(self.whole, (len(wanted), 1))
        outer = self.extents[state]
        factors = np.empty(wanted.shape, dtype=np.int64)
        for level, nearest in enumerate(self.nearest):
            state = nearest.after(state, wanted[:, level])
            inner = self.extents[state]
            factors[:, level] = outer // inner
            outer = inner
        return factors


@dataclass(frozen=True)
class Nearest:
    """Which state is nearest to a wanted extent, of those that a level may lead to.

    All states have their limits in one ascending list, a `_SPAN` apart, so that one search of it
    does for a whole batch.

    Parameters
    ----------
    limits : float64 array
        Binary logarithms midway between neighbouring extents, of one state after another.
    ends : int64 array
        The states that one state after another may become, ascending.
    shift : int64 array, shape (states,)
        What leads from a place among the limits to one among the ends.
    """

    limits: FloatArray
    ends: IntArray
    shift: IntArray

    def after(self, state: IntArray, wanted: FloatArray) -> IntArray:
        """The nearest states, the lesser of two, to binary logarithms of extents."""
        place = self.limits.searchsorted(_SPAN * state + wanted)
        return np.asarray(self.ends[place + self.shift[state]])


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
    counts = [len(lattice.extents) for lattice in space.lattices]
    first = np.cumsum([0, *counts])
    steps = [_steps(lattice) for lattice in space.lattices]
    return Divisors(
        space,
        np.concatenate([lattice.extents for lattice in space.lattices]),
        first[1:] - 1,
        tuple(
            _nearest([own[level] for own in steps], space.lattices, first)
            for level in range(space.shape[0])
        ),
        start,
    )


def _nearest(
    steps: Sequence[BoolArray], lattices: Sequence[DimensionLattice], first: IntArray
) -> Nearest:
    """List what one level may lead to; `first` is the first state of each dimension."""
    limits, ends, shift = [np.zeros(0)], list[IntArray](), list[int]()
    passed = reached = 0
    for own, lattice, begin in zip(steps, lattices, first.tolist(), strict=False):
        logs = np.log2(lattice.extents)
        for state, allowed in enumerate(own):
            # What no tiling comes by may stay what it is.
            some = np.flatnonzero(allowed) if allowed.any() else np.array([state])
            limits.append(_SPAN * (begin + state) + (logs[some[:-1]] + logs[some[1:]]) / 2)
            ends.append(begin + some)
            shift.append(reached - passed)
            passed, reached = passed + len(some) - 1, reached + len(some)
    return Nearest(np.concatenate(limits), np.concatenate(ends), np.array(shift, dtype=np.int64))


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
