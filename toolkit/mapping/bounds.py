"""What an architecture asks of a workload's factors, as arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import FactorConstraint, Level, Memory
from toolkit.errors import ArchitectureError, WorkloadError
from toolkit.mapping.factors import SIZE_LIMIT, divisors
from toolkit.mapping.mapping import BoolArray, IntArray
from toolkit.messages import shown
from toolkit.workload.kernel import Workload

UNLIMITED = 2**62
"""Stands for no limit in integer arrays: above every size and mesh, which are below 2^53, and far
enough from the end of int64 to be added to."""

CAPACITY_LIMIT = 2**63
"""Capacities must stay below it, as in files."""


def check_sizes(workload: Workload) -> None:
    """Raise WorkloadError unless all sizes can be split, and all windows counted, exactly."""
    for tensor in workload.tensors:
        for term in (t for index in tensor.indices if len(index) > 1 for t in index):
            if term.coefficient >= SIZE_LIMIT:
                raise WorkloadError(
                    f"coefficient {shown(term.coefficient)} of {term.dimension} "
                    "is not between 1 and 2^53 - 1",
                    source=workload.name,
                    key=f"tensors.{tensor.name}",
                )
    for dimension, size in workload.sizes.items():
        try:
            divisors(size)
        except WorkloadError as cause:
            raise WorkloadError(
                str(cause), source=workload.name, key=f"sizes.{dimension}"
            ) from None


@dataclass(frozen=True, slots=True)
class Need:
    """Bounds that the constraints of one level put on the factor of one dimension.

    Parameters
    ----------
    least, most : int
        Bounds from ``>=`` and ``<=``, from ``==`` both, and from the mesh and the dimensions
        of a spatial level.
    exact : bool
        Whether there is an ``==``.
    """

    least: int
    most: int
    exact: bool


def need(level: Level, dimension: str, constraints: Iterable[FactorConstraint]) -> Need:
    """Collect the bounds on `dimension` at `level`."""
    least, most, exact = 1, UNLIMITED, False
    if not isinstance(level, Memory):
        most = level.mesh if dimension in level.dimensions else 1
    for constraint in constraints:
        if constraint.dimension != dimension:
            continue
        if constraint.relation != "<=":
            least = max(least, constraint.value)
        if constraint.relation != ">=":
            most = min(most, constraint.value)
        exact |= constraint.relation == "=="
    return Need(least, most, exact)


def factor_bounds(
    arch: Architecture, dimensions: tuple[str, ...], sizes: Sequence[int]
) -> tuple[IntArray, IntArray]:
    """Bounds of every factor, two int64 arrays [levels, dimensions].

    Upper bounds do not exceed the size; a lower bound above the upper one excludes everything.
    """
    needs = [[need(level, d, level.constraints) for d in dimensions] for level in arch.levels]
    lower = np.array([[min(n.least, UNLIMITED) for n in row] for row in needs], dtype=np.int64)
    upper = np.array(
        [[min(n.most, size) for n, size in zip(row, sizes, strict=True)] for row in needs],
        dtype=np.int64,
    )
    return lower, upper


def unrollable(arch: Architecture, dimensions: tuple[str, ...]) -> BoolArray:
    """Where a dimension may iterate more than once, bool [levels, dimensions]."""
    return np.array(
        [
            [isinstance(level, Memory) or d in level.dimensions for d in dimensions]
            for level in arch.levels
        ],
        dtype=np.bool_,
    )


def meshes(arch: Architecture) -> IntArray:
    """Instances of every level, int64 [levels]; `UNLIMITED` for memories."""
    return np.array(
        [UNLIMITED if isinstance(level, Memory) else level.mesh for level in arch.levels],
        dtype=np.int64,
    )


def check_limits(arch: Architecture) -> None:
    """Raise ArchitectureError unless all meshes and capacities can be compared exactly."""
    for i, level in enumerate(arch.levels):
        if isinstance(level, Memory):
            if level.capacity_words is not None and level.capacity_words >= CAPACITY_LIMIT:
                raise ArchitectureError(
                    f"capacity {shown(level.capacity_words)} of {level.name} is 2^63 or more; "
                    "expected less, or None for no limit",
                    source=arch.name,
                    key=f"levels[{i}].capacity_words",
                )
        elif level.mesh >= SIZE_LIMIT:
            raise ArchitectureError(
                f"mesh {shown(level.mesh)} of {level.name} is not between 1 and 2^53 - 1",
                source=arch.name,
                key=f"levels[{i}].mesh",
            )


def usable_words(memory: Memory) -> float:
    """Words of one instance that a tile may take: capacity over copies; inf if unlimited."""
    if memory.capacity_words is None:
        return float("inf")
    return memory.capacity_words / memory.multiple_buffering


def usable_text(memory: Memory) -> str:
    """Write the usable words of a limited memory, all digits of whole numbers."""
    usable, limit = usable_words(memory), word_limit(memory)
    whole = limit is not None and (usable == limit or usable >= SIZE_LIMIT)
    return str(limit) if whole else f"{usable:.10g}"


def word_limit(memory: Memory) -> int | None:
    """Most whole words that a tile may take, exact for any capacity; None if unlimited.

    Below 2^53, where all whole numbers are floats, no more than `usable_words`.
    """
    usable = usable_words(memory)
    if memory.capacity_words is None or not math.isfinite(usable):
        return None
    if usable < SIZE_LIMIT:
        return math.floor(usable)
    return math.floor(Fraction(memory.capacity_words) / Fraction(memory.multiple_buffering))
