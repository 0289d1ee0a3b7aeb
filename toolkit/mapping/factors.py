"""Sizes of dimensions: prime factors, divisors, and every way to split one over the levels.

The splits are the paths through a lattice of tile extents. A path visits the levels outermost
first; its state is the tile extent there. Extents inside are divisors of those outside. The whole
dimension is the outermost one, and it may be *ragged*: the loop that first divides it into tiles
turns as often as it takes to reach the size, and the last tile is smaller. Counting, exact
uniform sampling and listing of the paths all follow from the number of ways to finish from each
state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

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

ALL_EXTENTS = 1 << 16
"""Sizes up to here may be cut into tiles of any extent. Of larger ones all extents up to
`SMALL_EXTENTS` are on the lattice, and as many numbers of tiles, each with its smallest extent:
a few thousand states that leave out little."""

SMALL_EXTENTS = 1 << 12

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


@lru_cache(maxsize=256)
def ragged_extents(size: int) -> IntArray:
    """List the tile extents that a size may be cut into, ascending, the size last (read-only).

    See `ALL_EXTENTS`.
    """
    if size <= ALL_EXTENTS:
        values = np.arange(1, size + 1, dtype=np.int64)
    else:
        small = np.arange(1, SMALL_EXTENTS + 1, dtype=np.int64)
        values = np.unique(np.concatenate([small, -(-size // small), divisors(size)]))
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
        Largest tile extent (own factor times all inner ones, cut off at the size) at every level.
    ragged : bool
        Whether the last tile may be cut off; otherwise factors multiply to the size.

    Attributes
    ----------
    extents : int64 array
        All tile extents on the lattice, ascending.
    """

    size: int
    lower: tuple[int, ...]
    upper: tuple[int, ...]
    extent_limit: tuple[int, ...]
    ragged: bool = False
    extents: IntArray = field(init=False, repr=False, compare=False)
    _steps_of: _Steps = field(init=False, repr=False, compare=False)
    _ways: tuple[_Exact, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        steps = _all_steps(self.size, self.ragged)
        object.__setattr__(self, "extents", steps.extents)
        object.__setattr__(self, "_steps_of", steps)
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
        """For every level, the ways to split each extent over it and all inner levels."""
        _, _, factor, after, start = self._steps_of
        ways = np.zeros(len(self.extents), dtype=object)
        ways[0] = 1
        per_level = [ways]
        for level in reversed(range(self.levels)):
            fits = (factor >= self.lower[level]) & (factor <= self.upper[level])
            summands = np.where(fits, per_level[0][after], 0)
            counts: Any = np.add.reduceat(summands, start[:-1])
            counts[self.extents > self.extent_limit[level]] = 0
            per_level.insert(0, counts)
        return per_level

    def _steps(self, level: int) -> BoolArray:
        """Which (extent, factor) pairs continue to at least one split at `level`."""
        extents, rest, factor, after, _ = self._steps_of
        alive = np.asarray(self._ways[level + 1] > 0, dtype=np.bool_)
        within = extents[rest] <= self.extent_limit[level]
        fits = (factor >= self.lower[level]) & (factor <= self.upper[level])
        return np.asarray(fits & alive[after] & within)

    @cached_property
    def reachable(self) -> BoolArray:
        """Tile extents that occur in some split, bool [levels + 1, extents]."""
        _, rest, _, after, _ = self._steps_of
        reached = np.zeros((self.levels + 1, len(self.extents)), dtype=np.bool_)
        reached[0, -1] = self.total > 0
        for level in range(self.levels):
            reached[level + 1, after[self._steps(level) & reached[level, rest]]] = True
        return reached

    def extent_range(self, level: int) -> tuple[int, int]:
        """Smallest and largest tile extent at `level` over all splits (total must be > 0)."""
        extents = self.extents[self.reachable[level]]
        return int(extents.min()), int(extents.max())

    def factor_range(self, level: int) -> tuple[int, int]:
        """Smallest and largest factor at `level` over all splits (total must be > 0)."""
        _, rest, factor, _, _ = self._steps_of
        used = factor[self._steps(level) & self.reachable[level, rest]]
        return int(used.min()), int(used.max())

    def first(self) -> IntArray:
        """Return the split with the largest factors outside, int64 [levels] (total > 0)."""
        _, _, factor, after, start = self._steps_of
        state = len(self.extents) - 1
        split = np.empty(self.levels, dtype=np.int64)
        for level in range(self.levels):
            row = slice(start[state], start[state + 1])
            step = int(start[state] + np.argmax(self._steps(level)[row]))
            split[level] = factor[step]
            state = int(after[step])
        return split

    def table(self) -> IntArray:
        """List all splits, int64 [total, levels], those with large outer factors first."""
        _, _, factor, after, start = self._steps_of
        state = np.full(min(self.total, 1), len(self.extents) - 1, dtype=np.int64)
        rows = np.empty((len(state), 0), dtype=np.int64)
        for level in range(self.levels):
            steps = np.flatnonzero(self._steps(level))
            first = np.searchsorted(steps, start)
            count = (first[1:] - first[:-1])[state]
            parent = np.repeat(np.arange(len(state)), count)
            offset = np.arange(len(parent)) - np.repeat(np.cumsum(count) - count, count)
            chosen = steps[first[state[parent]] + offset]
            column = factor[chosen]
            rows = np.concatenate([rows[parent], column[:, None]], axis=1)
            state = after[chosen]
        return rows

    @cached_property
    def _cumulative(self) -> tuple[FloatArray, ...]:
        """Per level, state + cumulative probability of each of its steps, for searchsorted."""
        return tuple(self._cumulate(level) for level in range(self.levels))

    def _cumulate(self, level: int) -> FloatArray:
        _, rest, _, after, start = self._steps_of
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
        _, _, factor, after, _ = self._steps_of
        state = np.full(count, len(self.extents) - 1, dtype=np.int64)
        rows = np.empty((count, self.levels), dtype=np.int64)
        for level in range(self.levels):
            # Shrunk so that rounding of state + u cannot reach the next state.
            u = rng.random(count) * (1 - 1e-9)
            steps = np.searchsorted(self._cumulative[level], state + u, side="right")
            rows[:, level] = factor[steps]
            state = after[steps]
        return rows


def build_lattice(
    size: int,
    lower: Sequence[int] | IntArray,
    upper: Sequence[int] | IntArray,
    extent_limit: Sequence[int] | IntArray | None = None,
    *,
    ragged: bool = False,
) -> DimensionLattice:
    """Build a lattice from bounds per level; without `extent_limit` extents are free."""
    limit = [size] * len(lower) if extent_limit is None else extent_limit
    bounds = (tuple(int(v) for v in values) for values in (lower, upper, limit))
    return _lattice(int(size), *bounds, ragged)


@lru_cache(maxsize=64)  # Proofs that fall into parts ask for the same ones in each.
def _lattice(
    size: int,
    lower: tuple[int, ...],
    upper: tuple[int, ...],
    extent_limit: tuple[int, ...],
    ragged: bool,
) -> DimensionLattice:
    return DimensionLattice(size, lower, upper, extent_limit, ragged)


class _Steps(NamedTuple):
    """All steps inwards on a lattice of extents, from each the largest factors first.

    Attributes
    ----------
    extents : int64 array
        Ascending; the last one is the size.
    rest, after : int64 arrays, one entry per step
        Numbers of the extents outside and inside of a loop.
    factor : int64 array, one entry per step
        Its iterations.
    start : int64 array, shape (len(extents) + 1,)
        Where the steps from each extent begin.
    """

    extents: IntArray
    rest: IntArray
    factor: IntArray
    after: IntArray
    start: IntArray


def _multiples(extents: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Extents that are multiples of others: their numbers, how often, and the others' numbers."""
    size, inner = int(extents[-1]), extents[:-1]
    if size <= ALL_EXTENTS:  # Then all multiples are extents, too.
        turns = (size - 1) // inner
        after = np.repeat(np.arange(len(inner)), turns)
        factor = np.arange(len(after)) - np.repeat(np.cumsum(turns) - turns, turns) + 1
        return inner[after] * factor - 1, factor, after
    pairs = [np.flatnonzero(inner % extent == 0) for extent in inner.tolist()]
    rest = np.concatenate(pairs)
    after = np.repeat(np.arange(len(inner)), [len(x) for x in pairs])
    return rest, inner[rest] // inner[after], after


@lru_cache(maxsize=256)
def _all_steps(size: int, ragged: bool) -> _Steps:
    extents = ragged_extents(size) if ragged else divisors(size)
    count = len(extents)
    if ragged:
        rest, factor, after = _multiples(extents)
        inner = np.arange(count)
        after = np.concatenate([after, inner])
        factor = np.concatenate([factor, -(-size // extents)])
        rest = np.concatenate([rest, np.full(count, count - 1)])
    else:
        rest, after = np.nonzero((extents[:, None] % extents) == 0)
        factor = extents[rest] // extents[after]
    order = np.lexsort((-factor, rest))
    rest, factor, after = rest[order], factor[order], after[order]
    start = np.searchsorted(rest, np.arange(count + 1))
    return _Steps(extents, rest, factor, after, start)
