"""A batch of mappings as one array per level and dimension, and scans over their loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import mul
from types import ModuleType
from typing import Any

from array_api_compat import array_namespace

from toolkit.errors import InputError
from toolkit.model.plan import Plan, TensorPlan

Array = Any
"""A NumPy or torch array of shape [batch]."""


def product(values: Sequence[Array], start: Array) -> Array:
    """Multiply arrays elementwise, beginning with `start`."""
    return reduce(mul, values, start)


@dataclass(frozen=True)
class Loops:
    """Loops of a batch of mappings, derived quantities computed at first use.

    Parameters
    ----------
    plan : Plan
        The architecture and workload.
    factors : list of list of arrays
        ``factors[level][dimension]``, each of shape [batch], floating point.
    sorted_factors, sorted_dimensions : dict of int to list of arrays
        Per memory, the factors and dimension numbers of its loops, outermost first.
    """

    plan: Plan
    xp: ModuleType
    factors: list[list[Array]]
    sorted_factors: dict[int, list[Array]]
    sorted_dimensions: dict[int, list[Array]]

    @cached_property
    def one(self) -> Array:
        """Ones of shape [batch]."""
        return self.xp.ones_like(self.factors[0][0])

    @cached_property
    def below(self) -> list[list[Array]]:
        """``below[level][dimension]``: tile extent inside the level (T in the reference)."""
        rows = [[self.one] * len(self.factors[0])]
        for row in reversed(self.factors[1:]):
            rows.append([f * t for f, t in zip(row, rows[-1], strict=True)])
        return rows[::-1]

    @cached_property
    def tile(self) -> list[list[Array]]:
        """``tile[level][dimension]``: tile extent with the level's own loops."""
        return [
            [f * t for f, t in zip(row, below, strict=True)]
            for row, below in zip(self.factors, self.below, strict=True)
        ]

    @cached_property
    def iterations(self) -> list[Array]:
        """Product of all factors of every level."""
        return [product(row[1:], row[0]) for row in self.factors]

    @cached_property
    def temporal(self) -> list[Array]:
        """Product of the iterations of all memories outside every level."""
        return self._outside(set(self.plan.memories))

    @cached_property
    def active(self) -> list[Array]:
        """Product of the iterations of all fanouts outside every level."""
        levels = set(range(len(self.factors))) - set(self.plan.memories)
        return self._outside(levels)

    def _outside(self, counted: set[int]) -> list[Array]:
        products = [self.one]
        for level in range(len(self.factors) - 1):
            outer = products[-1]
            products.append(outer * self.iterations[level] if level in counted else outer)
        return products

    def orthogonal(self, tensor: TensorPlan, level: int) -> Array:
        """Product of the factors at `level` of dimensions that do not index the tensor.

        Only dimensions that count as `Plan.listed` there.
        """
        listed = self.plan.listed[level]
        row = zip(self.factors[level], tensor.relevant, listed, strict=True)
        return product([f for f, indexes, counts in row if counts and not indexes], self.one)

    def relevant(self, tensor: TensorPlan, level: int) -> Array:
        """Product of the factors at `level` of dimensions that index the tensor."""
        row = self.factors[level]
        return product([f for f, r in zip(row, tensor.relevant, strict=True) if r], self.one)


def make_loops(plan: Plan, factors: Array, order: Array) -> Loops:
    """Split batch arrays into one array per level and dimension.

    Parameters
    ----------
    factors : floating array, shape (batch, levels, dimensions)
        Iterations; NumPy or torch.
    order : int array, shape (batch, levels, dimensions)
        Per level a permutation of dimension numbers, outermost loop first.

    Raises
    ------
    InputError
        If `factors` are machine integers.
    """
    xp = array_namespace(factors)
    # Machine integers wrap around; an array of Python's own numbers is exact.
    if factors.dtype != object and not xp.isdtype(factors.dtype, "real floating"):
        raise InputError(
            f"factors of type {factors.dtype}; expected floating point, such as float64",
            key="factors",
        )
    levels, dimensions = factors.shape[1], factors.shape[2]
    columns = [[factors[:, i, d] for d in range(dimensions)] for i in range(levels)]
    sorted_factors, sorted_dimensions = {}, {}
    for m in plan.memories:
        ranked = xp.take_along_axis(factors[:, m, :], order[:, m, :], axis=1)
        sorted_factors[m] = [ranked[:, k] for k in range(dimensions)]
        sorted_dimensions[m] = [order[:, m, k] for k in range(dimensions)]
    return Loops(plan, xp, columns, sorted_factors, sorted_dimensions)


@dataclass(frozen=True, slots=True)
class Scan:
    """What a tensor sees of a nest of temporal loops, read from the innermost outwards.

    Loops with one iteration do not count. All fields are arrays of shape [batch].

    Parameters
    ----------
    kept : array
        Product of the loops from the outermost to the innermost one that indexes the tensor:
        the loops inside it leave the tile in place (stationarity).
    kept_orthogonal : array
        The part of `kept` whose dimensions do not index the tensor.
    found : bool array
        Whether any loop indexes the tensor.
    skipped : bool array
        Whether any loop leaves the tile in place.
    dimension, factor : arrays
        Dimension number and iterations of the innermost loop that indexes the tensor
        (-1 and 1 where there is none).
    """

    kept: Array
    kept_orthogonal: Array
    found: Array
    skipped: Array
    dimension: Array
    factor: Array


def scan(loops: Loops, tensor: TensorPlan, memories: Sequence[int]) -> Scan:
    """Scan the temporal loops of `memories` (outermost first) for one tensor."""
    xp, one = loops.xp, loops.one
    relevance = xp.asarray(tensor.relevant, device=getattr(one, "device", None))
    kept, orthogonal, factor = one, one, one
    found = skipped = one < 0
    dimension = -one
    for m in reversed(memories):
        pairs = zip(loops.sorted_factors[m], loops.sorted_dimensions[m], strict=True)
        for f, d in reversed(list(pairs)):
            indexes = relevance[d]
            runs = f > 1
            first = ~found & indexes & runs
            dimension = xp.where(first, d, dimension)
            factor = xp.where(first, f, factor)
            skipped = skipped | (~found & ~indexes & runs)
            found = found | first
            kept = xp.where(found, kept * f, kept)
            orthogonal = xp.where(found & ~indexes, orthogonal * f, orthogonal)
    return Scan(kept, orthogonal, found, skipped, dimension, factor)
