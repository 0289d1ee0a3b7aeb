"""Sizes of dimensions: prime factors, divisors, and every way to split one over the levels.

The splits are the paths through the lattice of divisors. A path visits the levels outermost first;
its state is what is left of the size, which is also the tile extent of the next level. Counting,
exact uniform sampling and listing of the paths all follow from the number of ways to finish from
each state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import WorkloadError
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.messages import shown

SIZE_LIMIT = 2**53
"""Sizes must stay below it: tile extents are kept in float64, exact up to here."""

DIVISOR_LIMIT = 2048
"""Most divisors of one size; every size below 10^9 has fewer. The square of it is the largest
table that a lattice computes."""

# Candidates tried at once: 8 MiB, of which a size near 2^53 takes about a hundred blocks.
_BLOCK = 1 << 20


_Exact = NDArray[np.object_]


@lru_cache(maxsize=4096)
def prime_factors(number: int) -> tuple[tuple[int, int], ...]:
    """Factor a positive integer below 2^53 by trial division.

    Returns
    -------
    tuple of (prime, multiplicity)
        Ascending primes; empty for 1.

    Raises
    ------
    WorkloadError
        If `number` is not in that range.

    Examples
    --------
    >>> prime_factors(360)
    ((2, 3), (3, 2), (5, 1))
    """
    if not 1 <= number < SIZE_LIMIT:
        raise WorkloadError(f"size {shown(number)} is not between 1 and 2^53 - 1")
    found: list[tuple[int, int]] = []
    rest, start, block = number, 2, 256
    while rest > 1 and start * start <= rest:
        candidates = np.arange(start, start + block, dtype=np.int64)
        for p in candidates[rest % candidates == 0].tolist():
            multiplicity = 0
            while rest % p == 0:
                rest //= p
                multiplicity += 1
            if multiplicity:
                found.append((p, multiplicity))
        start, block = start + block, min(4 * block, _BLOCK)
    if rest > 1:
        found.append((rest, 1))
    return tuple(found)


@lru_cache(maxsize=1024)
def divisors(number: int) -> IntArray:
    """List the divisors of a positive integer below 2^53, ascending (read-only array).

    Raises
    ------
    WorkloadError
        If there are more than `DIVISOR_LIMIT`.

    Examples
    --------
    >>> divisors(12).tolist()
    [1, 2, 3, 4, 6, 12]
    """
    factors = prime_factors(number)
    count = 1
    for _, multiplicity in factors:
        count *= multiplicity + 1
    if count > DIVISOR_LIMIT:
        raise WorkloadError(
            f"size {number} has {count} divisors, more than the {DIVISOR_LIMIT} supported"
        )
    values = np.ones(1, dtype=np.int64)
    for prime, multiplicity in factors:
        powers = np.int64(prime) ** np.arange(multiplicity + 1, dtype=np.int64)
        values = np.outer(values, powers).ravel()
    values.sort()
    values.setflags(write=False)
    return values


@dataclass(frozen=True)
class DimensionLattice:
    """Splits of `size` into one factor per level, within bounds.

    Parameters
    ----------
    size : int
        Iterations of the dimension.
    lower, upper : sequence of int
        Bounds of the factor at every level, outermost first.
    extent_limit : sequence of int
        Largest tile extent (own factor times all inner ones) at every level.
    """

    size: int
    lower: tuple[int, ...]
    upper: tuple[int, ...]
    extent_limit: tuple[int, ...]
    divisors: IntArray = field(init=False, repr=False, compare=False)
    _pairs: tuple[IntArray, IntArray, IntArray, IntArray] = field(
        init=False, repr=False, compare=False
    )
    _ways: tuple[_Exact, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "divisors", divisors(self.size))
        object.__setattr__(self, "_pairs", _divisor_pairs(self.divisors))
        object.__setattr__(self, "_ways", tuple(self._count_ways()))

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.lower)

    @property
    def total(self) -> int:
        """Exact number of splits."""
        return int(self._ways[0][-1])

    def _count_ways(self) -> list[_Exact]:
        """For every level, the ways to split each divisor over it and all inner levels."""
        _, factor, after, start = self._pairs
        ways = np.zeros(len(self.divisors), dtype=object)
        ways[0] = 1
        per_level = [ways]
        for level in reversed(range(self.levels)):
            fits = self._factor_fits(level)[factor]
            summands = np.where(fits, per_level[0][after], 0)
            counts: Any = np.add.reduceat(summands, start[:-1])
            counts[self.divisors > self.extent_limit[level]] = 0
            per_level.insert(0, counts)
        return per_level

    def _factor_fits(self, level: int) -> BoolArray:
        return np.asarray(
            (self.divisors >= self.lower[level]) & (self.divisors <= self.upper[level])
        )

    def _steps(self, level: int) -> BoolArray:
        """Which (extent, factor) pairs continue to at least one split at `level`."""
        rest, factor, after, _ = self._pairs
        alive = np.asarray(self._ways[level + 1] > 0, dtype=np.bool_)
        within = self.divisors[rest] <= self.extent_limit[level]
        return self._factor_fits(level)[factor] & alive[after] & within

    @cached_property
    def reachable(self) -> BoolArray:
        """Tile extents that occur in some split, bool [levels + 1, divisors]."""
        rest, _, after, _ = self._pairs
        reached = np.zeros((self.levels + 1, len(self.divisors)), dtype=np.bool_)
        reached[0, -1] = self.total > 0
        for level in range(self.levels):
            reached[level + 1, after[self._steps(level) & reached[level, rest]]] = True
        return reached

    def extent_range(self, level: int) -> tuple[int, int]:
        """Smallest and largest tile extent at `level` over all splits (total must be > 0)."""
        extents = self.divisors[self.reachable[level]]
        return int(extents.min()), int(extents.max())

    def factor_range(self, level: int) -> tuple[int, int]:
        """Smallest and largest factor at `level` over all splits (total must be > 0)."""
        rest, factor, _, _ = self._pairs
        used = self.divisors[factor[self._steps(level) & self.reachable[level, rest]]]
        return int(used.min()), int(used.max())

    def first(self) -> IntArray:
        """Return the split with the largest factors outside, int64 [levels] (total > 0)."""
        _, factor, after, start = self._pairs
        state = len(self.divisors) - 1
        split = np.empty(self.levels, dtype=np.int64)
        for level in range(self.levels):
            row = slice(start[state], start[state + 1])
            step = int(start[state] + np.argmax(self._steps(level)[row]))
            split[level] = self.divisors[factor[step]]
            state = int(after[step])
        return split

    def table(self) -> IntArray:
        """List all splits, int64 [total, levels], those with large outer factors first."""
        _, factor, after, start = self._pairs
        state = np.full(min(self.total, 1), len(self.divisors) - 1, dtype=np.int64)
        rows = np.empty((len(state), 0), dtype=np.int64)
        for level in range(self.levels):
            steps = np.flatnonzero(self._steps(level))
            first = np.searchsorted(steps, start)
            count = (first[1:] - first[:-1])[state]
            parent = np.repeat(np.arange(len(state)), count)
            offset = np.arange(len(parent)) - np.repeat(np.cumsum(count) - count, count)
            chosen = steps[first[state[parent]] + offset]
            column = self.divisors[factor[chosen]]
            rows = np.concatenate([rows[parent], column[:, None]], axis=1)
            state = after[chosen]
        return rows

    @cached_property
    def _cumulative(self) -> tuple[FloatArray, ...]:
        """Per level, state + cumulative probability of each of its steps, for searchsorted."""
        return tuple(self._cumulate(level) for level in range(self.levels))

    def _cumulate(self, level: int) -> FloatArray:
        rest, _, after, start = self._pairs
        weights = np.where(self._steps(level), self._ways[level + 1][after], 0)
        sums = np.cumsum(weights)
        before = np.concatenate([np.zeros(1, dtype=object), sums])[start[:-1]]
        totals = self._ways[level]
        safe = np.where(totals > 0, totals, 1)
        shares = ((sums - before[rest]) / safe[rest]).astype(np.float64)
        shares[~np.asarray(totals > 0, dtype=np.bool_)[rest]] = 1.0
        return np.asarray(rest + shares, dtype=np.float64)

    def sample(self, count: int, rng: np.random.Generator) -> IntArray:
        """Draw splits uniformly from all of them, int64 [count, levels] (total > 0)."""
        _, factor, after, _ = self._pairs
        state = np.full(count, len(self.divisors) - 1, dtype=np.int64)
        rows = np.empty((count, self.levels), dtype=np.int64)
        for level in range(self.levels):
            # Shrunk so that rounding of state + u cannot reach the next state.
            u = rng.random(count) * (1 - 1e-9)
            steps = np.searchsorted(self._cumulative[level], state + u, side="right")
            rows[:, level] = self.divisors[factor[steps]]
            state = after[steps]
        return rows


def build_lattice(
    size: int,
    lower: Sequence[int] | IntArray,
    upper: Sequence[int] | IntArray,
    extent_limit: Sequence[int] | IntArray | None = None,
) -> DimensionLattice:
    """Build a lattice from bounds per level; without `extent_limit` extents are free."""
    limit = [size] * len(lower) if extent_limit is None else extent_limit
    return DimensionLattice(
        int(size),
        tuple(int(v) for v in lower),
        tuple(int(v) for v in upper),
        tuple(int(v) for v in limit),
    )


def _divisor_pairs(values: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Index all (n, f) with f dividing n, both among `values`, large f first within each n.

    Returns
    -------
    rest, factor, after : int64 arrays, one entry per pair
        Positions of n, of f and of n / f in `values`.
    start : int64 array, shape (len(values) + 1,)
        Where the pairs of each n begin.
    """
    rest, after = np.nonzero((values[:, None] % values) == 0)
    factor = np.searchsorted(values, values[rest] // values[after])
    start = np.searchsorted(rest, np.arange(len(values) + 1))
    return rest, factor, after, start
