"""Mappings as vectors, in two ways: exponents of prime factors, and points of a box.

`ExponentVectors` are integers whose neighbours are single moves, for local searches; many of them
are not valid. Every point of the box of a `Relaxed` map space is valid, for optimisers of real
variables that know nothing of mappings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.factors import DimensionLattice
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import start_point
from toolkit.search.evaluator import ArrayPair
from toolkit.search.moves import move_space

Vector = NDArray[np.float64]
"""Shape (variables,), or (batch, variables); integers, in SciPy's type."""
ABSENT = -0.5
"""Weight of a loop with one iteration, when a mapping is written as a point: all negative ones
count as 0, and this is in their middle."""
SCALES = np.arange(15, -1, -1) / 16
"""Shares of the wanted tile extents, on a logarithmic scale, tried in turn until they fit."""


class Decoder(Protocol):
    """Reads mappings from vectors."""

    def decode(self, vectors: NDArray[np.float64], /) -> ArrayPair:
        """Read vectors [batch, variables] as factors and orders."""
        ...


@dataclass(frozen=True)
class ExponentVectors:
    """Mappings of a space written as vectors of exponents and order numbers.

    A vector lists, for every prime of every dimension, its exponent at every level, outermost
    first; then, for every memory, the row of `orders` that is its loop order. Use
    `exponent_vectors`.

    Parameters
    ----------
    space : MapSpace
        Whose mappings.
    primes : tuple of (int, int)
        Dimension and prime of every group of exponents.
    moves : float64 array, shape (moves, variables)
        Differences that a single prime factor makes by changing its level.
    orders : tuple of int64 arrays, shape (classes, dimensions)
        Per memory, the loop orders to choose from.
    """

    space: MapSpace
    primes: tuple[tuple[int, int], ...]
    moves: Vector
    orders: tuple[IntArray, ...]

    @property
    def exponents(self) -> int:
        """How many of the variables are exponents."""
        return len(self.primes) * self.space.shape[0]

    @cached_property
    def order_counts(self) -> IntArray:
        """Loop orders to choose from, per memory."""
        return np.array([len(orders) for orders in self.orders], dtype=np.int64)

    def encode(self, factors: IntArray, order: IntArray) -> Vector:
        """Write one mapping, arrays of shape (levels, dimensions), as a vector.

        A loop order that is not among `orders` becomes the first of them.
        """
        parts = []
        for d, prime in self.primes:
            rest, exponents = factors[:, d].copy(), np.zeros(len(factors))
            while (divides := rest % prime == 0).any():
                rest[divides] //= prime
                exponents += divides
            parts.append(exponents)
        rows = [
            np.argmax((orders == order[level]).all(axis=1))
            for orders, level in zip(self.orders, self.space.memory_levels, strict=True)
        ]
        return np.concatenate([*parts, np.array(rows, dtype=np.float64)])

    def decode(self, vectors: Vector) -> ArrayPair:
        """Read vectors [batch, variables], rounded to integers.

        Returns
        -------
        factors, order : int64 arrays, shape (batch, levels, dimensions)
        """
        whole = np.rint(vectors).astype(np.int64)
        levels, dimensions = self.space.shape
        factors = np.ones((len(whole), levels, dimensions), dtype=np.int64)
        for i, (d, prime) in enumerate(self.primes):
            factors[:, :, d] *= prime ** whole[:, i * levels : (i + 1) * levels]
        order = np.tile(np.arange(dimensions, dtype=np.int64), (len(whole), levels, 1))
        for m, orders in enumerate(self.orders):
            order[:, self.space.memory_levels[m]] = orders[whole[:, self.exponents + m]]
        return factors, order

    def neighbours(self, vector: Vector) -> Vector:
        """All valid vectors that are one move away, [n, variables]."""
        near = vector + self.moves
        near = near[(near >= 0).all(axis=1)]
        factors, _ = self.decode(near)
        valid: Vector = near[self.space.check_factors(factors)]
        return valid

    def reorderings(self, vector: Vector, memory: int) -> Vector:
        """All vectors that differ in the loop order of one memory, [n, variables].

        None if at most one of its loops iterates, for then its order does not matter.
        """
        position, count = self.exponents + memory, int(self.order_counts[memory])
        factors, _ = self.decode(vector[None])
        running = int((factors[0, self.space.memory_levels[memory]] > 1).sum())
        others = np.tile(vector, (count if running > 1 else 0, 1))
        others[:, position] = np.arange(len(others))
        different: Vector = others[others[:, position] != vector[position]]
        return different


def exponent_vectors(space: MapSpace, known: Sequence[ArrayPair] = ()) -> ExponentVectors:
    """Write the mappings of a space as vectors.

    Parameters
    ----------
    space : MapSpace
        Whose mappings.
    known : sequence of ArrayPair
        Mappings whose loop orders are listed too, beside one per reuse class.

    Raises
    ------
    MappingError
        If a memory has too many reuse classes to list.
    """
    compiled = move_space(space)
    levels = space.shape[0]
    primes = tuple((d, p) for d, factors in enumerate(space.primes) for p, _ in factors)
    moves = np.zeros((len(compiled.moves), len(primes) * levels + len(space.memory_levels)))
    for row, (d, prime, giver, taker) in zip(moves, compiled.moves.tolist(), strict=True):
        group = primes.index((d, prime)) * levels
        row[group + giver], row[group + taker] = -1, 1
    orders = []
    for level in space.memory_levels:
        rows = compiled.orders[level, : compiled.order_counts[level]]
        for _, order in known:
            if not (rows == order[level]).all(axis=1).any():
                rows = np.concatenate([rows, order[level][None]])
        orders.append(rows)
    return ExponentVectors(space, primes, moves, tuple(orders))


@dataclass(frozen=True)
class Relaxed:
    """A map space as a box of real variables. Use `relax`.

    A point has a weight in [-1, 1] for every level and dimension that may share the iterations,
    then a real number per memory that rounds to the row of its loop order. The logarithm of a
    dimension's size is shared out in proportion to the weights, negative ones counting as 0;
    tile extents are the nearest ones that the map space has. Where tiles then exceed a mesh or
    a capacity, all of them shrink evenly, on a logarithmic scale, until they fit.

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
    places: IntArray
    orders: IntArray
    low: FloatArray
    high: FloatArray
    integral: BoolArray
    divisors: IntArray
    counts: IntArray
    steps: BoolArray
    start: IntArray

    def encode(self, factors: IntArray, order: IntArray) -> FloatArray:
        """Write mappings, arrays [batch, levels, dimensions], as points [batch, variables].

        `decode` gives the same factors again, and the same orders if they are among `orders`.
        """
        levels, dimensions = self.places.T
        size = np.log2(np.maximum(self.space.sizes, 2))
        weights = np.log2(factors)[:, levels, dimensions] / size[dimensions]
        weights[weights == 0] = ABSENT
        rows = [
            (self.orders[level] == order[:, level, None]).all(axis=2).argmax(axis=1)
            for level in self.space.memory_levels
        ]
        return np.concatenate([weights, np.stack(rows, axis=1)], axis=1)

    def decode(self, points: NDArray[np.float64]) -> ArrayPair:
        """Read points [batch, variables] as valid mappings.

        Returns
        -------
        factors, order : int64 arrays, shape (batch, levels, dimensions)
        """
        return self._fit(self._wanted(points)), self._orders(points)

    def _orders(self, points: FloatArray) -> IntArray:
        levels, dimensions = self.space.shape
        order = np.tile(np.arange(dimensions, dtype=np.int64), (len(points), levels, 1))
        memories = self.space.memory_levels
        rows = np.clip(np.rint(points), self.low + 0.5, self.high - 0.5)[:, len(self.places) :]
        order[:, memories] = self.orders[memories, rows.astype(np.int64)]
        return order

    def _wanted(self, points: FloatArray) -> FloatArray:
        """Binary logarithms of the tile extents inside every level, [batch, levels, dims]."""
        weights = np.zeros((len(points), *self.space.shape))
        shares = np.maximum(points[:, : len(self.places)], 0.0)
        weights[:, self.places[:, 0], self.places[:, 1]] = shares
        inside = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
        total = inside[:, :1]
        share = (inside - weights) / np.where(total > 0, total, 1.0)
        wanted: FloatArray = share * np.log2(self.space.sizes)
        return wanted

    def _fit(self, wanted: FloatArray) -> IntArray:
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
    count = max(len(lattice.extents) for lattice in space.lattices)
    divisors = np.ones((len(space.lattices), count), dtype=np.int64)
    steps = np.zeros((*space.shape, count, count), dtype=np.bool_)
    for d, lattice in enumerate(space.lattices):
        own = len(lattice.extents)
        divisors[d, :own] = lattice.extents
        steps[:, d, :own, :own] = _steps(lattice)
    ones = np.ones(len(places))
    return Relaxed(
        space,
        places,
        moves.orders,
        np.concatenate([-ones, np.full(len(classes), -0.5)]),
        np.concatenate([ones, classes - 0.5]),
        np.concatenate([ones < 0, classes > 0]),
        divisors,
        np.array([len(lattice.extents) for lattice in space.lattices]),
        steps,
        start,
    )


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
