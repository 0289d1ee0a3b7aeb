"""Map spaces as Optuna sees them: a parameter per prime factor and per loop order.

A tiling is written as the level of each prime factor, so that every product equals its
dimension. Capacities, meshes and bounds remain: for `toolkit.search.optuna_samplers.repairs`.
``studies/compare_encodings.py`` compares this with other encodings.

Parameters are named as people read mappings: ``Buffer.order``, ``Buffer.holds.weight``. In here
each is an integer, its gene; `toolkit.search.optuna_samplers.coding` writes the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
)

from toolkit.mapping.mapping import BoolArray, IntArray
from toolkit.mapping.orders import order_classes, order_view
from toolkit.mapping.space import MapSpace

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
