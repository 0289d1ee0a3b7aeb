"""Random valid mappings, by the ten thousand."""

from __future__ import annotations

import numpy as np

from toolkit.errors import DoesNotFitError, MappingError
from toolkit.mapping.mapping import BoolArray, IntArray
from toolkit.mapping.orders import random_orders
from toolkit.mapping.rounding import Rounding
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import enumerate_tilings, first_valid, neighbours, start_point

__all__ = [
    "enumerate_tilings",
    "neighbours",
    "random_loop_orders",
    "random_tilings",
    "sample",
    "start_point",
]

PROBE = 4096
"""Tilings drawn before the acceptance is judged: enough to tell `ACCEPTANCE` from less of it (some
80 hits), few enough not to matter."""

ACCEPTANCE = 0.02
"""Below this share of valid draws, where fifty are thrown away for each one kept, invalid ones are
repaired instead. Repaired ones are no longer uniform, so that drawing goes first while it is
affordable."""

ATTEMPTS = 1 << 20
"""Draws without a valid one after which a space in which a bounded search failed is given up: some
seconds, where nothing better is known."""

GROUPS = 16
"""Orders in which dimensions fill the levels of tilings under repair: a few of each level's."""

# Enough rows that the overhead of NumPy does not count, in a few megabytes.
_BATCH = 1 << 14


def sample(space: MapSpace, count: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Draw random valid mappings: tilings of `random_tilings`, orders uniformly.

    Parameters
    ----------
    space : MapSpace
        Where to look.
    count : int
        How many, repetitions possible.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    factors, order : int64 arrays, shape (count, levels, dimensions)
        As `to_arrays` writes them.

    Raises
    ------
    DoesNotFitError
        If no valid tiling exists, or neither a bounded search nor `ATTEMPTS` draws met one.
    MappingError
        If `count` is negative.

    Examples
    --------
    >>> import toolkit
    >>> import numpy as np
    >>> problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    >>> factors, order = toolkit.sample(problem.space, 3, np.random.default_rng(0))
    >>> factors.shape == (3, *problem.space.shape)
    True
    """
    factors = random_tilings(space, count, rng)
    return factors, random_loop_orders(space, count, rng)


def random_loop_orders(space: MapSpace, count: int, rng: np.random.Generator) -> IntArray:
    """Draw admissible orders uniformly, int64 [count, levels, dimensions]."""
    levels, dimensions = space.shape
    order = np.tile(np.arange(dimensions, dtype=np.int64), (count, levels, 1))
    for rule, level in zip(space.order_rules, space.memory_levels, strict=True):
        order[:, level] = random_orders(rule, count, rng)
    return order


def random_tilings(space: MapSpace, count: int, rng: np.random.Generator) -> IntArray:
    """Draw random valid tilings, int64 [count, levels, dimensions].

    Each dimension's split is drawn uniformly from all that fit on their own; combinations that
    exceed a mesh or a capacity are redrawn, so valid tilings are uniform. If fewer than
    `ACCEPTANCE` of the draws are valid, invalid ones are repaired instead: prime factors go back
    to their place in the start point, in random order, until the tiling is valid; in ragged
    spaces, tiles shrink until they fit. Tilings at the limits of mesh and capacity are then more
    likely than others.

    Raises
    ------
    DoesNotFitError, MappingError
        As `sample` says.
    """
    if count < 0:
        raise MappingError(f"{count} is not a number of samples", key="count")
    if any(lattice.total == 0 for lattice in space.lattices):
        raise _no_tiling(space, "exists")
    kept: list[IntArray] = []
    found = drawn = 0
    repair: _Repair | _RaggedRepair | None = None
    while found < count:
        share = max(found / drawn, ACCEPTANCE) if drawn else 1.0
        batch = _draw(space, min(int((count - found) / share * 1.1) + 16, _BATCH), rng)
        valid = space.check_factors(batch)
        found += int(valid.sum())
        drawn += len(batch)
        if repair is None and found < drawn * ACCEPTANCE and drawn >= PROBE:
            anchor = _anchor(space, batch[valid], kept)
            ragged = space.ragged.any()
            repair = _RaggedRepair(space, anchor) if ragged else _Repair(space, anchor)
        if repair is not None:
            batch[~valid] = repair.apply(batch[~valid], rng)
            found += int((~valid).sum())
            kept.append(batch)
        else:
            kept.append(batch[valid])
    levels, dimensions = space.shape
    everything = np.concatenate(kept) if kept else np.empty((0, levels, dimensions), np.int64)
    return everything[:count]


def _draw(space: MapSpace, count: int, rng: np.random.Generator) -> IntArray:
    return np.stack([lattice.sample(count, rng) for lattice in space.lattices], axis=2)


def _no_tiling(space: MapSpace, reason: str) -> DoesNotFitError:
    return DoesNotFitError(
        f"{space.workload.name} does not fit, because no valid tiling {reason}",
        source=space.arch.name,
    )


def _anchor(space: MapSpace, fresh: IntArray, kept: list[IntArray]) -> IntArray:
    """Find the valid tiling that repairs lead to, by search or else by drawing on."""
    start, proven = first_valid(space)
    if start is not None:
        return start
    if proven:
        raise _no_tiling(space, "exists")
    for tilings in (fresh, *kept):
        if len(tilings):
            return np.asarray(tilings[0])
    rng = np.random.default_rng(0)
    for _ in range(ATTEMPTS // _BATCH):
        batch = _draw(space, _BATCH, rng)
        valid = space.check_factors(batch)
        if valid.any():
            return np.asarray(batch[valid][0])
    raise _no_tiling(space, f"was found by a bounded search and {ATTEMPTS} random draws")


class _Repair:
    """Return prime factors of invalid tilings to a valid one, as few as needed.

    A tiling is written as the level of each instance of each prime. Reverting the first k
    instances of a random sequence leads from the tiling (k = 0) to the start point (all);
    bisection finds a k that is valid while k - 1 (or a smaller one probed) is not.
    """

    def __init__(self, space: MapSpace, start: IntArray) -> None:
        self._space = space
        primes = [(d, p, e) for d, factors in enumerate(space.primes) for p, e in factors]
        self._primes = primes
        self._start = self._assign(start[None])

    def apply(self, factors: IntArray, rng: np.random.Generator) -> IntArray:
        """Repair tilings [batch, levels, dimensions]; every result is valid."""
        levels = self._assign(factors)
        batch, instances = levels.shape
        rank = rng.permuted(np.tile(np.arange(instances), (batch, 1)), axis=1)
        invalid = np.zeros(batch, dtype=np.int64)
        valid = np.full(batch, instances, dtype=np.int64)
        result = self._collect(np.where(rank < instances, self._start, levels))
        while (valid - invalid > 1).any():
            middle = (valid + invalid) // 2
            candidate = self._collect(np.where(rank < middle[:, None], self._start, levels))
            passed: BoolArray = self._space.check_factors(candidate)
            result[passed] = candidate[passed]
            valid = np.where(passed, middle, valid)
            invalid = np.where(passed, invalid, middle)
        return result

    def _assign(self, factors: IntArray) -> IntArray:
        """Levels of all prime instances, outermost first within a prime, [batch, instances]."""
        columns: list[IntArray] = []
        for d, prime, multiplicity in self._primes:
            exponents = np.zeros(factors.shape[:2], dtype=np.int64)
            for power in range(1, multiplicity + 1):
                exponents += factors[:, :, d] % prime**power == 0
            reached = np.cumsum(exponents, axis=1)
            columns += [(reached <= i).sum(axis=1) for i in range(multiplicity)]
        return np.stack(columns, axis=1)

    def _collect(self, levels: IntArray) -> IntArray:
        factors = np.ones((len(levels), *self._space.shape), dtype=np.int64)
        rows = np.arange(len(levels))
        i = 0
        for d, prime, multiplicity in self._primes:
            for _ in range(multiplicity):
                factors[rows, levels[:, i], d] *= prime
                i += 1
        return factors


class _RaggedRepair:
    """Rounds invalid tilings to valid ones nearby; the few that stay invalid become a valid one.

    Tiles shrink to what fits, from the innermost level outwards, in groups that give way to
    dimensions in different orders.
    """

    def __init__(self, space: MapSpace, start: IntArray) -> None:
        self._rounding, self._start = Rounding(space), start

    def apply(self, factors: IntArray, rng: np.random.Generator) -> IntArray:
        """Repair tilings [batch, levels, dimensions]; every result is valid."""
        logs = np.log(factors.astype(np.float64))
        wanted = np.cumsum(logs[:, ::-1], axis=1)[:, ::-1]
        found = factors.copy()
        for rows in np.array_split(np.arange(len(factors)), GROUPS):
            if len(rows):
                rounded, valid = self._rounding.near(wanted[rows], rng)
                found[rows] = np.where(valid[:, None, None], rounded, self._start)
        return found
