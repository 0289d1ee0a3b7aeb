"""Tilings of trials made valid, or told what they lack.

A `Repair` moves prime factors back to where a valid tiling has them; `shortfalls` says by how much
a tiling breaks which rule. Those of ragged sizes are rounded, see
`toolkit.search.optuna_samplers.ragged`.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from toolkit.errors import DoesNotFitError
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.mapping.plain_room import PlainMemory, plain_memories
from toolkit.mapping.sampling import random_tilings
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import start_point
from toolkit.search.optuna_samplers.encoding import Primes


class TilingRepair(Protocol):
    """Makes tilings valid.

    Attributes
    ----------
    anchor : int64 array, shape (levels, dimensions)
        A valid one, with large outer factors.
    """

    anchor: IntArray

    def apply(self, factors: IntArray) -> IntArray:
        """Valid tilings [batch, levels, dimensions]; those that are valid stay as they are."""


class _PrimeFactor(NamedTuple):
    """One of all prime factors of the sizes, and the level where a valid tiling has it."""

    number: int
    dimension: int
    prime: int
    home: int


class Repair:
    """Moves prime factors back to where some valid tiling has them, until a tiling is valid.

    Only primes move that a broken rule counts, in a fixed order. With all of them moved the
    tiling would be that valid one, so this always ends.

    Parameters
    ----------
    space : MapSpace
        Whose rules.

    Raises
    ------
    DoesNotFitError
        If no valid tiling is found.
    """

    def __init__(self, space: MapSpace) -> None:
        self._space = space
        self.anchor = valid_tiling(space)
        self._primes = Primes(space)
        self._home = self._primes.find(self.anchor[None])[0]
        # Neither dimension nor level should always be the first to give way.
        self._rank = np.random.default_rng(0).permutation(len(self._home))

    def apply(self, factors: IntArray) -> IntArray:
        """Valid tilings [batch, levels, dimensions]; those that are valid stay as they are."""
        rows = np.flatnonzero(~self._space.check_factors(factors))
        if not len(rows):
            return factors
        factors = factors.copy()
        levels = self._primes.find(factors[rows])
        if len(rows) == 1 and self._memories is not None:
            factors[rows[0]] = self._apply_one(factors[rows[0]], levels[0].tolist())
            return factors
        dimension, prime = self._primes.dimension, self._primes.prime
        blames = self._blamed(factors[rows], levels)
        while len(rows):
            away = levels != self._home
            blamed = blames & away
            blamed = np.where(blamed.any(axis=1, keepdims=True), blamed, away)
            first = np.where(blamed, self._rank, len(self._rank)).argmin(axis=1)
            each = np.arange(len(rows))
            factors[rows, levels[each, first], dimension[first]] //= prime[first]
            levels[each, first] = self._home[first]
            factors[rows, self._home[first], dimension[first]] *= prime[first]
            blames = self._blamed(factors[rows], levels)
            # What counts nothing as too much may break a rule yet.
            left = np.asarray(blames.any(axis=1))
            left[~left] = ~self._space.check_factors(factors[rows[~left]])
            rows, levels, blames = rows[left], levels[left], blames[left]
        return factors

    @cached_property
    def _memories(self) -> tuple[PlainMemory, ...] | None:
        return plain_memories(self._space)

    @cached_property
    def _instances(self) -> list[_PrimeFactor]:
        """All prime factors in the order they give way."""
        dimension, prime = self._primes.dimension.tolist(), self._primes.prime.tolist()
        home = self._home.tolist()
        return [
            _PrimeFactor(i, dimension[i], prime[i], home[i])
            for i in np.argsort(self._rank).tolist()
        ]

    def _apply_one(self, given: IntArray, levels: list[int]) -> IntArray:
        """Do the same with one tiling [levels, dimensions], in plain numbers."""
        space, factors = self._space, given.tolist()
        while True:
            broken, blamed = self._first_blamed(factors, levels)
            if not broken:
                found = np.array(factors, dtype=np.int64)
                if space.check_factors(found[None])[0]:
                    return found
            d = blamed.dimension
            factors[levels[blamed.number]][d] //= blamed.prime
            factors[blamed.home][d] *= blamed.prime
            levels[blamed.number] = blamed.home

    def _first_blamed(
        self, factors: list[list[int]], levels: list[int]
    ) -> tuple[bool, _PrimeFactor]:
        """Whether a broken rule counts a prime factor, and the first to go home for it."""
        full = [
            memory.level
            for memory in self._memories or ()
            if not memory.fits([math.prod(c) for c in zip(*factors[memory.level :], strict=True)])
        ]
        crowded = {
            level for level in self._meshes if math.prod(factors[level]) > self._meshes[level]
        }
        lower, upper = self._bounds
        broken, first = False, self._instances[0]
        away = False
        for one in self._instances:
            d, home, level = one.dimension, one.home, levels[one.number]
            if not away and level != home:
                away, first = True, one
            if (
                any(level >= memory > home for memory in full)
                or level in crowded
                or factors[level][d] > upper[level][d]
                or factors[home][d] < lower[home][d]
            ):
                if level != home:
                    return True, one
                broken = True
        return broken, first

    @cached_property
    def _meshes(self) -> dict[int, int]:
        levels = self._space.spatial_levels.tolist()
        return {level: int(self._space.mesh[level]) for level in levels}

    @cached_property
    def _bounds(self) -> tuple[list[list[int]], list[list[int]]]:
        return self._space.lower.tolist(), self._space.upper.tolist()

    def _blamed(self, factors: IntArray, levels: IntArray) -> BoolArray:
        """Which prime factors a broken rule counts, [batch, instances]."""
        space, dimension = self._space, self._primes.dimension
        words, mesh = capacity_excess(space, factors) > 0, mesh_excess(space, factors) > 0
        blamed = np.zeros(levels.shape, dtype=np.bool_)
        for m, level in enumerate(space.memory_levels):
            blamed |= words[:, m, None] & (levels >= level) & (self._home < level)
        for s, level in enumerate(space.spatial_levels):
            blamed |= mesh[:, s, None] & (levels == level)
        rows = np.arange(len(levels))[:, None]
        blamed |= (factors > space.upper)[rows, levels, dimension]
        blamed |= (factors < space.lower)[:, self._home, dimension]
        return blamed


def valid_tiling(space: MapSpace) -> IntArray:
    """Find one valid tiling [levels, dimensions], by search or else by drawing.

    Raises
    ------
    DoesNotFitError
        If neither finds one.
    """
    try:
        return start_point(space)
    except DoesNotFitError:
        return np.asarray(random_tilings(space, 1, np.random.default_rng(0))[0])


def capacity_excess(space: MapSpace, factors: IntArray) -> FloatArray:
    """Log2 of words over capacity [batch, memories]; above 0 is too much."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log2(space.footprints(factors)) - np.log2(space.capacity))


def mesh_excess(space: MapSpace, factors: IntArray) -> FloatArray:
    """Log2 of instances over those there are [batch, spatial levels]; above 0 is too much."""
    used = factors[:, space.spatial_levels].astype(np.float64).prod(axis=2)
    return np.asarray(np.log2(used) - np.log2(space.mesh[space.spatial_levels]))


def shortfalls(space: MapSpace, factors: IntArray, row: int) -> dict[str, float]:
    """Say what keeps one tiling of a batch from being valid.

    Parameters
    ----------
    factors : int64 array, shape (batch, levels, dimensions)
        Tilings; a factor of 0 stands for a dimension that does not divide.
    row : int
        Which one.

    Returns
    -------
    dict of str to float
        Per broken rule, the log2 of what is asked over what there is, always above 0.
    """
    one = np.maximum(factors[row : row + 1], 1)
    names = [level.name for level in space.arch.levels]
    words, mesh = capacity_excess(space, one)[0], mesh_excess(space, one)[0]
    found = {f"{names[i]}.words": words[m] for m, i in enumerate(space.memory_levels)}
    found |= {f"{names[i]}.mesh": mesh[s] for s, i in enumerate(space.spatial_levels)}
    bounds = np.maximum(np.log2(one[0] / space.upper), np.log2(space.lower / one[0]))
    for d, name in enumerate(space.dimensions):
        found |= {f"{names[i]}.{name}": bounds[i, d] for i in range(len(names))}
        product = factors[row, :, d].astype(np.float64).prod()
        if product < space.sizes[d] or (product > space.sizes[d] and not space.ragged[d]):
            found[f"{name}.product"] = max(
                1.0, abs(np.log2(one[0, :, d].astype(np.float64).prod() / space.sizes[d]))
            )
    return {name: float(excess) for name, excess in found.items() if excess > 0}
