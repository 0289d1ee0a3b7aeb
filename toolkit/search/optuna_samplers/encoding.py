"""Map spaces as Optuna sees them: a parameter per prime factor and per loop order.

A tiling is written as the level of each prime factor, so that every product equals its
dimension. Capacities, meshes and bounds remain: a `Repair` moves prime factors back until all
hold, so that every trial is a valid mapping; without one, `shortfalls` says what a trial lacks.
``studies/compare_encodings.py`` compares this with other encodings.

Parameters are named as people read mappings: ``Buffer.order``, ``Buffer.holds.weight``. In here
each is an integer, its gene; `toolkit.search.optuna_samplers.coding` writes the values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
)

from toolkit.errors import DoesNotFitError
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.mapping.orders import order_classes, order_view
from toolkit.mapping.plain_room import PlainMemory, plain_memories
from toolkit.mapping.sampling import random_tilings
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import start_point

Parameters = dict[str, BaseDistribution]
"""What Optuna chooses from, by name: integers, or categories whose genes are their positions."""

Value = str | int | bool
"""What a parameter is in a trial."""


class Genes(Protocol):
    """Factors or loop orders, written as one integer per parameter.

    Attributes
    ----------
    parameters : Parameters
        One per column of the genes.
    """

    parameters: Parameters

    def decode(self, genes: IntArray) -> IntArray:
        """Read factors or orders [batch, levels, dimensions] from genes [batch, parameters]."""

    def encode(self, arrays: IntArray) -> IntArray:
        """Write factors or orders as genes; decoding gives them back."""


class OrderGenes(Protocol):
    """Loop orders as `Genes`, whose encoding may look at the factors."""

    parameters: Parameters

    def decode(self, genes: IntArray) -> IntArray:
        """Read orders [batch, levels, dimensions] from genes [batch, parameters]."""

    def encode(self, arrays: IntArray, factors: IntArray | None = None) -> IntArray:
        """Write orders of mappings with these factors as genes."""


def choice(values: Sequence[Value], *, ordered: bool = False) -> BaseDistribution:
    """Offer some values as categories, or their positions as a scale if `ordered`.

    Examples
    --------
    >>> choice(["M K N", "K M N"])
    CategoricalDistribution(choices=('M K N', 'K M N'))
    >>> choice(["M K N", "K M N"], ordered=True)
    IntDistribution(high=1, log=False, low=0, step=1)
    """
    if ordered:
        return IntDistribution(0, len(values) - 1)
    return CategoricalDistribution(tuple(values))


class Primes:
    """The free prime factors one by one: their dimensions, values and possible levels.

    Factors that constraints fix are not among them, nor those of ragged dimensions. Instances of
    the same prime in a dimension are interchangeable and kept sorted, outermost first.

    Parameters
    ----------
    space : MapSpace
        Whose factors.

    Attributes
    ----------
    dimension, prime : int64 arrays, shape (instances,)
        What is placed.
    levels : tuple of int64 arrays
        Per instance, where bounds let it go, outermost first.
    """

    def __init__(self, space: MapSpace) -> None:
        bound = space.lower == space.upper
        self._fixed = np.where(bound, space.lower, 1)
        self._names = space.dimensions
        rest = space.sizes // self._fixed.prod(axis=0)
        dimension: list[int] = []
        prime: list[int] = []
        levels: list[IntArray] = []
        for d, primes in enumerate(space.primes):
            for p, most in primes if not space.ragged[d] else ():
                count = sum(int(rest[d]) % p**power == 0 for power in range(1, most + 1))
                dimension += [d] * count
                prime += [p] * count
                levels += [np.flatnonzero(~bound[:, d] & (space.upper[:, d] >= p))] * count
        self.dimension = np.array(dimension, dtype=np.int64)
        self.prime = np.array(prime, dtype=np.int64)
        self.levels = tuple(levels)

    @property
    def labels(self) -> list[str]:
        """One name per instance, such as ``K.2`` for a factor 2 of dimension K."""
        return [f"{self._names[d]}.{p}" for d, p in zip(self.dimension, self.prime, strict=True)]

    @cached_property
    def groups(self) -> list[IntArray]:
        """Numbers of the instances that are interchangeable, per dimension and prime."""
        kinds = np.stack([self.dimension, self.prime], axis=1)
        return [np.flatnonzero((kinds == kind).all(axis=1)) for kind in np.unique(kinds, axis=0)]

    def place(self, levels: IntArray) -> IntArray:
        """Factors [batch, levels, dimensions] from levels [batch, instances]."""
        factors = np.tile(self._fixed, (len(levels), 1, 1))
        rows = np.arange(len(levels))[:, None]
        np.multiply.at(factors, (rows, levels, self.dimension[None]), self.prime[None])
        return factors

    def find(self, factors: IntArray) -> IntArray:
        """Levels [batch, instances] from factors [batch, levels, dimensions]."""
        found = np.empty((len(factors), len(self.prime)), dtype=np.int64)
        for members in self.groups:
            d, p = self.dimension[members[0]], int(self.prime[members[0]])
            free = factors[:, :, d] // self._fixed[:, d]
            counts = sum(free % p**power == 0 for power in range(1, len(members) + 1))
            found[:, members] = spread(np.asarray(counts), len(members))
        return found


def spread(counts: IntArray, total: int) -> IntArray:
    """Position of every one of `total` items [batch, total] from how many [batch, positions].

    Examples
    --------
    >>> spread(np.array([[2, 0, 1]]), 3).tolist()
    [[0, 0, 2]]
    """
    reached = np.cumsum(counts, axis=1)
    return np.asarray((reached[:, :, None] <= np.arange(total)).sum(axis=1))


class PrimeLevels:
    """The level of each prime factor: ``M.2.1`` is where the first factor 2 of M is.

    Parameters
    ----------
    space : MapSpace
        Whose tilings.
    ordered : bool
        Whether levels are a scale, outermost first, for samplers that know numbers only.
    """

    def __init__(self, space: MapSpace, *, ordered: bool = False) -> None:
        self._primes = Primes(space)
        self._free = [i for i, levels in enumerate(self._primes.levels) if len(levels) > 1]
        names = [level.name for level in space.arch.levels]
        labels = self._primes.labels
        self.parameters: Parameters = {
            f"{labels[i]}.{labels[: i + 1].count(labels[i])}": choice(
                [names[level] for level in self._primes.levels[i]], ordered=ordered
            )
            for i in self._free
        }

    def decode(self, genes: IntArray) -> IntArray:
        """Read factors from genes."""
        outermost = np.array([levels[0] for levels in self._primes.levels], dtype=np.int64)
        placed = np.tile(outermost, (len(genes), 1))
        for column, i in enumerate(self._free):
            placed[:, i] = self._primes.levels[i][genes[:, column]]
        return self._primes.place(placed)

    def encode(self, arrays: IntArray) -> IntArray:
        """Write factors as genes."""
        found = self._primes.find(arrays)
        genes = np.empty((len(arrays), len(self._free)), dtype=np.int64)
        for column, i in enumerate(self._free):
            genes[:, column] = np.searchsorted(self._primes.levels[i], found[:, i])
        return genes


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


class OrderClasses:
    """The reuse class of each memory's loop order.

    Parameters
    ----------
    space : MapSpace
        Whose orders.
    known : sequence of int64 arrays, shape (levels, dimensions)
        Orders that must be among the choices, as those of warm starts.
    ordered : bool
        Whether classes are numbers, for samplers that know numbers only.
    """

    def __init__(
        self, space: MapSpace, known: Sequence[IntArray] = (), *, ordered: bool = False
    ) -> None:
        levels, dimensions = space.shape
        self._space = space
        self._orders = np.tile(np.arange(dimensions, dtype=np.int64), (levels, 1))
        self._tables: list[tuple[int, IntArray]] = []
        self.parameters: Parameters = {}
        for level in space.memory_levels.tolist():
            active = space.upper[level] > 1
            table = order_classes(space.arch, level, space.workload, active=active)
            for order in known:
                if not (table == order[level]).all(axis=1).any():
                    table = np.concatenate([table, order[None, level]])
            self._orders[level] = table[0]
            if len(table) > 1:
                self._tables.append((level, table))
                loops = [" ".join(space.dimensions[d] for d in row) for row in table.tolist()]
                name = f"{space.arch.levels[level].name}.order"
                self.parameters[name] = choice(loops, ordered=ordered)

    def decode(self, genes: IntArray) -> IntArray:
        """Read orders from genes."""
        order = np.tile(self._orders, (len(genes), 1, 1))
        for column, (level, table) in enumerate(self._tables):
            order[:, level] = table[genes[:, column]]
        return order

    def encode(self, arrays: IntArray, factors: IntArray | None = None) -> IntArray:
        """Write orders as genes.

        Parameters
        ----------
        arrays : int64 array, shape (batch, levels, dimensions)
            Loop orders. One that is no choice becomes one that costs the same, if there is any.
        factors : int64 array of the same shape, optional
            Says which loops iterate, for that.
        """
        genes = np.empty((len(arrays), len(self._tables)), dtype=np.int64)
        for column, (level, table) in enumerate(self._tables):
            same = (arrays[:, level, None] == table).all(axis=2)
            genes[:, column] = same.argmax(axis=1)
            for row in np.flatnonzero(~same.any(axis=1)).tolist():
                active = self._space.upper[level] > 1
                if factors is not None:
                    active = factors[row, level] > 1
                genes[row, column] = self._class(level, table, arrays[row, level], active)
        return genes

    def _class(self, level: int, table: IntArray, order: IntArray, active: BoolArray) -> int:
        """Row of a table with the reuse class of an order; the first one if there is none."""
        view = order_view(self._space.arch, level, self._space.workload)
        key = view.key(order.tolist(), active.tolist())
        keys = [view.key(row, active.tolist()) for row in table.tolist()]
        return keys.index(key) if key in keys else 0


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
    def _instances(self) -> list[tuple[int, int, int, int]]:
        """Number, dimension, value and home of every prime factor, in the order they give way."""
        dimension, prime = self._primes.dimension.tolist(), self._primes.prime.tolist()
        home = self._home.tolist()
        return [(i, dimension[i], prime[i], home[i]) for i in np.argsort(self._rank).tolist()]

    def _apply_one(self, given: IntArray, levels: list[int]) -> IntArray:
        """Do the same with one tiling [levels, dimensions], in plain numbers."""
        space, factors = self._space, given.tolist()
        while True:
            broken, blamed = self._first_blamed(factors, levels)
            if not broken:
                found = np.array(factors, dtype=np.int64)
                if space.check_factors(found[None])[0]:
                    return found
            number, d, prime, home = blamed
            factors[levels[number]][d] //= prime
            factors[home][d] *= prime
            levels[number] = home

    def _first_blamed(
        self, factors: list[list[int]], levels: list[int]
    ) -> tuple[bool, tuple[int, int, int, int]]:
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
            number, d, _, home = one
            level = levels[number]
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
