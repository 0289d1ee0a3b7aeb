"""What an architecture asks of a workload's factors, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import FactorConstraint, Level, Memory
from toolkit.errors import WorkloadError
from toolkit.mapping.factors import divisors
from toolkit.mapping.lattice import BoolArray
from toolkit.mapping.mapping import IntArray
from toolkit.workload.kernel import Workload

UNLIMITED = 2**62
"""Stands for no limit in integer arrays."""


def check_sizes(workload: Workload) -> None:
    """Raise WorkloadError, naming the dimension, unless all sizes can be split exactly."""
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


def usable_words(memory: Memory) -> float:
    """Words of one instance that a tile may take: capacity over copies; inf if unlimited."""
    if memory.capacity_words is None:
        return float("inf")
    return memory.capacity_words / memory.multiple_buffering
