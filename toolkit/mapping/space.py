"""The map space: every rule that a mapping must obey, checked over batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Memory
from toolkit.arch.packing import Footing, footing
from toolkit.arguments import check_kind
from toolkit.errors import InputError
from toolkit.mapping.bounds import (
    Footprint,
    check_footprint,
    check_limits,
    check_sizes,
    exact_tensor_words,
    factor_bounds,
    meshes,
    tensor_words,
    unrollable,
    usable_words,
    word_limit,
)
from toolkit.mapping.factors import SIZE_LIMIT, DimensionLattice, build_lattice, prime_factors
from toolkit.mapping.kept import Keeping, Seen
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.mapping.orders import OrderRule, order_rule
from toolkit.mapping.ragged import idle_from, lie_apart
from toolkit.workload.kernel import Workload

Factors = Literal["perfect", "ragged"]
"""How factors relate to sizes: they multiply to them, or reach them."""

_DOUBT = 1e-9
"""Footprints closer to a capacity of 2^53 or more, relative to it, are counted exactly."""


@dataclass(frozen=True)
class MapSpace:
    """All mappings of a workload on an architecture, and what makes them valid.

    A mapping is valid if the factors of every dimension multiply to its size (or, where it is
    ragged, reach it without a whole iteration beyond it), lie within the constraints, unroll
    only the dimensions that a spatial level lists and no further than its mesh, every memory's
    tile fits, and every loop order is admissible. What no memory outside of its holder supplies
    or takes back fits there as a whole, and its sums are not left apart (`toolkit.mapping.kept`).
    Dimensions that the architecture names and the workload lacks iterate once; `fit` shrinks
    constraints first.

    Parameters
    ----------
    arch : Architecture
        The accelerator, with constraints that fit the workload.
    workload : Workload
        What runs.
    footprint : {"distinct", "stride_blind", "bounding"}
        How a tile's words are counted: the distinct values of a window, or as if strides and
        dilations were 1, as FactorFlow does.
    factors : {"perfect", "ragged"}
        Whether factors multiply to the sizes, or last tiles may be cut off at these.
    outermost_supplies : bool
        Whether the outermost memory supplies and takes back what it bypasses, too, as FactorFlow
        has it (`Conventions.charge_bypassing_outermost`), so that nothing has to stay further in.

    Attributes
    ----------
    dimensions : tuple of str
        Columns of every array below: the workload's dimensions.
    sizes : int64 array, shape (dimensions,)
        Iterations.
    ragged : bool array, shape (dimensions,)
        Whose last tiles may be cut off: all dimensions, or none; but for those whose windows
        instances share value by value without being neighbours (see `lie_apart`).
    primes : tuple of tuple of (prime, multiplicity)
        Per dimension.
    lower, upper : int64 arrays, shape (levels, dimensions)
        Bounds of the factors.
    allowed : bool array, shape (levels, dimensions)
        Where a dimension may iterate at all: everywhere but on spatial levels not listing it.
    mesh : int64 array, shape (levels,)
        Instances of a spatial level; 2**62 at memories.
    memory_levels, spatial_levels : int64 arrays
        Positions of the memories and of the fanouts and the compute level.
    capacity : float64 array, shape (memories,)
        Usable words of one instance (capacity over multiple buffering); inf if unlimited.
    holds : bool array, shape (memories, tensors)
        Which tensors a memory stores.
    coupled : bool array, shape (tensors, dimensions)
        Which dimensions index a tensor.
    footings : tuple of Footing
        Per memory, how values of every tensor count against its words.
    keeping : Keeping
        Which tensors have to stay in which memory as a whole.
    order_rules : tuple of OrderRule
        What each memory asks of its loop order.

    Raises
    ------
    WorkloadError
        If a size, or a coefficient in a sum, is 2^53 or more, or a size has too many divisors.
    ArchitectureError
        If a mesh is 2^53 or more, or a capacity 2^63 or more.
    InputError
        If `footprint` is unknown, or an argument of another kind.

    Examples
    --------
    >>> import toolkit
    >>> problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    >>> problem.space.shape, problem.space.factors
    ((8, 3), 'ragged')
    """

    arch: Architecture
    workload: Workload
    footprint: Footprint = "distinct"
    factors: Factors = "perfect"
    outermost_supplies: bool = False
    dimensions: tuple[str, ...] = field(init=False, repr=False, compare=False)
    sizes: IntArray = field(init=False, repr=False, compare=False)
    ragged: BoolArray = field(init=False, repr=False, compare=False)
    primes: tuple[tuple[tuple[int, int], ...], ...] = field(init=False, repr=False, compare=False)
    lower: IntArray = field(init=False, repr=False, compare=False)
    upper: IntArray = field(init=False, repr=False, compare=False)
    allowed: BoolArray = field(init=False, repr=False, compare=False)
    mesh: IntArray = field(init=False, repr=False, compare=False)
    memory_levels: IntArray = field(init=False, repr=False, compare=False)
    spatial_levels: IntArray = field(init=False, repr=False, compare=False)
    capacity: FloatArray = field(init=False, repr=False, compare=False)
    holds: BoolArray = field(init=False, repr=False, compare=False)
    coupled: BoolArray = field(init=False, repr=False, compare=False)
    footings: tuple[Footing, ...] = field(init=False, repr=False, compare=False)
    keeping: Keeping = field(init=False, repr=False, compare=False)
    order_rules: tuple[OrderRule, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_kind(self.arch, Architecture, "arch")
        check_kind(self.workload, Workload, "workload")
        check_footprint(self.footprint)
        check_factors_rule(self.factors)
        keeping = Keeping(self.arch, self.workload, self.outermost_supplies)
        for name, value in _facts(keeping, self.factors).items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @property
    def shape(self) -> tuple[int, int]:
        """Levels and dimensions: the shape of one mapping's factors."""
        return len(self.arch.levels), len(self.dimensions)

    @cached_property
    def bound_lattices(self) -> tuple[DimensionLattice, ...]:
        """Per dimension, the splits within factor bounds, whatever the capacities."""
        return tuple(
            build_lattice(
                int(size), self.lower[:, d], self.upper[:, d], ragged=bool(self.ragged[d])
            )
            for d, size in enumerate(self.sizes)
        )

    @cached_property
    def lattices(self) -> tuple[DimensionLattice, ...]:
        """Per dimension, the splits that capacities admit if all other tiles are smallest.

        A superset of the valid ones: only capacities and meshes that several dimensions share
        are left to check.
        """
        if any(lattice.total == 0 for lattice in self.bound_lattices):
            return self.bound_lattices
        limits = self.extent_limits
        return tuple(
            build_lattice(
                int(size),
                self.lower[:, d],
                self.upper[:, d],
                limits[:, d],
                ragged=bool(self.ragged[d]),
            )
            for d, size in enumerate(self.sizes)
        )

    @cached_property
    def extent_limits(self) -> IntArray:
        """Largest tile extents that capacities admit if all other tiles are smallest.

        int64 array, shape (levels, dimensions).
        """
        limits = np.tile(self.sizes, (self.shape[0], 1))
        for m, level in enumerate(self.memory_levels):
            smallest = np.array([r.extent_range(level)[0] for r in self.bound_lattices])
            for d, lattice in enumerate(self.bound_lattices):
                extents = np.tile(smallest.astype(np.float64), (len(lattice.extents), 1))
                extents[:, d] = lattice.extents
                fitting = lattice.extents[self.fits(m, extents)]
                limits[level, d] = fitting.max(initial=0)
        return limits

    @cached_property
    def word_limits(self) -> tuple[int | None, ...]:
        """Most whole words that the tiles of every memory may take; None if unlimited."""
        return tuple(word_limit(memory) for memory in self.arch.memories)

    @cached_property
    def binding(self) -> BoolArray:
        """Which memories cannot hold everything at once, bool [memories]."""
        everything = self.sizes[None].astype(np.float64)
        whole = Seen(everything, everything)
        return np.array(
            [not self.fits(m, everything, whole)[0] for m in range(len(self.capacity))],
            dtype=np.bool_,
        )

    @cached_property
    def least_seen(self) -> IntArray:
        """Least that an instance of every memory sees in the whole run [memories, dimensions].

        Iterations, if the fanouts outside unroll each dimension as far as they can.
        """
        most = np.minimum(self.upper, self.mesh[:, None])
        most[self.memory_levels] = 1
        apart = [np.prod(most[:m], axis=0, dtype=np.float64) for m in self.memory_levels]
        return np.asarray(np.ceil(self.sizes / np.array(apart)).astype(np.int64))

    def memory_words(
        self, memory: int, extents: FloatArray, seen: Seen | None = None
    ) -> FloatArray:
        """Whole words that a memory has to have room for, float64 [batch].

        Parameters
        ----------
        memory : int
            Its number among the memories, outermost first.
        extents : float64 array, shape (batch, dimensions)
            Of its tiles.
        seen : Seen of such arrays, optional
            What an instance sees in the whole run; by default the least that it can see.
        """
        words, units = np.zeros(len(extents)), self.footings[memory].units
        for t in np.flatnonzero(self.holds[memory]).tolist():
            own, tensor = self._own_extents(memory, t, extents, seen), self.workload.tensors[t]
            values = tensor_words(tensor, own, self.dimensions, self.footprint)
            words += values if units[t] == 1 else values * units[t]
        per_word = self.footings[memory].units_per_word
        return words if per_word == 1 else np.ceil(words / per_word)

    def exact_words(
        self,
        memory: int,
        extents: Sequence[int],
        seen: Seen | None = None,
        tensors: BoolArray | None = None,
    ) -> int:
        """Count like `memory_words`, for one tiling in integers of any magnitude.

        Of all tensors that the memory holds, or of some `tensors` of them (bool [tensors]).
        """
        words, tile, footing = 0, np.array(extents, dtype=object), self.footings[memory]
        for t in np.flatnonzero(self.holds[memory] if tensors is None else tensors).tolist():
            own = self._own_extents(memory, t, tile, seen).tolist()
            tensor = self.workload.tensors[t]
            values = exact_tensor_words(tensor, own, self.dimensions, self.footprint)
            words += values * footing.units[t]
        return -(-words // footing.units_per_word)

    def needed_words(self, memory: int, factors: IntArray) -> int:
        """Words that one tiling [levels, dimensions] asks a memory to have room for, exactly."""
        level = int(self.memory_levels[memory])
        extents = [math.prod(column) for column in factors[level:].T.tolist()]
        tile = [min(x, size) for x, size in zip(extents, self.sizes.tolist(), strict=True)]
        return self.exact_words(memory, tile, self.keeping.seen(memory, factors.astype(object)))

    def _own_extents(self, memory: int, t: int, tile: Any, seen: Seen | None) -> Any:
        if seen is None and self.keeping.tensors[memory, t]:
            return np.maximum(tile, self.least_seen[memory])
        return self.keeping.extents(memory, t, tile, seen)

    def fits(self, memory: int, extents: FloatArray, seen: Seen | None = None) -> BoolArray:
        """Tell where a memory has room for what `memory_words` counts, bool [batch].

        Also where capacities exceed the 2^53 up to which that is exact.
        """
        words, capacity = self.memory_words(memory, extents, seen), self.capacity[memory]
        fits = np.asarray(words <= capacity)
        limit = self.word_limits[memory]
        if limit is not None and limit >= SIZE_LIMIT:
            for row in np.flatnonzero(np.abs(words - capacity) <= _DOUBT * capacity):
                tile, *own = (
                    np.array([int(x) for x in np.broadcast_to(part, extents.shape)[row]], object)
                    for part in (extents, *(seen or ()))
                )
                exact = self.exact_words(memory, tile.tolist(), Seen(*own) if own else None)
                fits[row] = exact <= limit
        return fits

    def footprints(self, factors: IntArray) -> FloatArray:
        """Words that every memory has to have room for.

        Parameters
        ----------
        factors : int64 array, shape (batch, levels, dimensions)
            Iterations.

        Returns
        -------
        float64 array, shape (batch, memories)
            Summed over the tensors a memory holds; rounded where they exceed 2^53.
        """
        words = np.empty((len(factors), len(self.memory_levels)))
        extents = np.ones((len(factors), len(self.dimensions)))
        outer = self.shape[0]
        for m in reversed(range(len(self.memory_levels))):
            for level in reversed(range(self.memory_levels[m], outer)):
                extents *= factors[:, level]
            outer = self.memory_levels[m]
            words[:, m] = self.memory_words(m, self.cut_off(extents), self._seen(m, factors))
        return words

    def _seen(self, memory: int, factors: IntArray) -> Seen | None:
        if not self.keeping.tensors[memory].any():
            return None
        return self.keeping.seen(memory, np.moveaxis(factors, 0, 1).astype(np.float64))

    def cut_off(self, extents: FloatArray) -> FloatArray:
        """Largest tiles of some extents [..., dimensions] that occur."""
        if self.factors == "perfect":
            return extents
        if self.ragged.all():
            return np.minimum(extents, self.sizes)
        return np.where(self.ragged, np.minimum(extents, self.sizes), extents)

    def check(self, factors: IntArray, order: IntArray) -> BoolArray:
        """Tell which mappings of a batch are valid.

        Parameters
        ----------
        factors, order : int64 arrays, shape (batch, levels, dimensions)
            Iterations, and loop orders as permutations of dimension numbers, outermost first;
            the orders of spatial levels are ignored.

        Returns
        -------
        bool array, shape (batch,)
        """
        valid = self.check_factors(factors)
        for rule, level in zip(self.order_rules, self.memory_levels, strict=True):
            valid &= rule.check(order[:, level])
        return valid

    def check_factors(self, factors: IntArray) -> BoolArray:
        """Tell which tilings [batch, levels, dimensions] are valid, loop orders aside."""
        valid = np.asarray(((factors >= self.lower) & (factors <= self.upper)).all(axis=(1, 2)))
        for level in self.spatial_levels:
            valid &= np.prod(factors[:, level], axis=1, dtype=np.float64) <= self.mesh[level]
        valid &= self._check_products(factors)
        return self._check_capacities(factors, valid)

    def _check_products(self, factors: IntArray) -> BoolArray:
        # Products in float64 cannot wrap around; above 2^53 they never equal a size.
        products = np.prod(factors, axis=1, dtype=np.float64)
        fine = products == self.sizes
        if self.ragged.any():
            fine |= self.ragged & (products > self.sizes) & (idle_from(factors) < self.sizes)
        return np.asarray(fine.all(axis=1))

    def _check_capacities(self, factors: IntArray, valid: BoolArray) -> BoolArray:
        if not self.binding.any() or not valid.any():
            return valid
        rows = np.flatnonzero(valid)
        chosen = factors if len(rows) == len(factors) else factors[rows]
        extents = np.ones((len(rows), len(self.dimensions)))
        outer = self.shape[0]
        fits = np.ones(len(rows), dtype=np.bool_)
        for m in np.flatnonzero(self.binding)[::-1]:
            for level in reversed(range(self.memory_levels[m], outer)):
                extents *= chosen[:, level]
            outer = self.memory_levels[m]
            fits &= self.fits(int(m), self.cut_off(extents), self._seen(int(m), chosen))
        valid[rows] = fits
        return valid


def check_factors_rule(rule: str) -> None:
    """Raise InputError unless `rule` says how factors relate to sizes."""
    if rule not in get_args(Factors):
        raise InputError(
            f"{rule!r} says nothing of factors; choose one of {', '.join(get_args(Factors))}",
            key="factors",
        )


def _facts(keeping: Keeping, rule: Factors) -> dict[str, object]:
    arch, workload = keeping.arch, keeping.workload
    dimensions = workload.dimensions
    check_sizes(workload)
    check_limits(arch)
    memories = arch.memories
    is_memory = np.array([isinstance(level, Memory) for level in arch.levels])
    lower, upper = factor_bounds(arch, dimensions, tuple(workload.sizes.values()))
    return {
        "dimensions": dimensions,
        "sizes": np.array(list(workload.sizes.values()), dtype=np.int64),
        "ragged": np.array(
            [rule == "ragged" and d not in lie_apart(arch, workload) for d in dimensions]
        ),
        "primes": tuple(prime_factors(size) for size in workload.sizes.values()),
        "lower": lower,
        "upper": np.where(keeping.unsummed, 1, upper),
        "allowed": unrollable(arch, dimensions) & ~keeping.unsummed,
        "mesh": meshes(arch),
        "memory_levels": np.flatnonzero(is_memory),
        "spatial_levels": np.flatnonzero(~is_memory),
        "capacity": np.array([usable_words(m) for m in memories], dtype=np.float64),
        "holds": np.array([[holds(m, t) for t in workload.tensors] for m in memories]),
        "coupled": np.array([[d in t.dimensions for d in dimensions] for t in workload.tensors]),
        "footings": tuple(footing(arch, workload, m) for m in memories),
        "keeping": keeping,
        "order_rules": tuple(order_rule(m, dimensions) for m in memories),
    }
