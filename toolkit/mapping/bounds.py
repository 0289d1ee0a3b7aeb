"""What bounds a mapping: limits of its factors, words that tiles take and memories have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.constraints import FactorConstraint
from toolkit.arch.levels import Level, Memory
from toolkit.errors import ArchitectureError, InputError, WorkloadError
from toolkit.mapping.factors import SIZE_LIMIT, divisors
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.messages import shown
from toolkit.workload.distinct import (
    ALL_GAPS,
    NO_GAPS,
    UNIT_STRIDES,
    count_window,
    distinct_values,
)
from toolkit.workload.kernel import Index, Tensor, Workload

Footprint = Literal["distinct", "stride_blind", "bounding"]
"""How to count a window: its distinct values, as if all strides and dilations were 1, or all
values from its first to its last."""

FOOTPRINT_GAPS: dict[Footprint, int] = {
    "distinct": NO_GAPS,
    "bounding": ALL_GAPS,
    "stride_blind": UNIT_STRIDES,
}
"""The same as windows are counted (`toolkit.workload.distinct`)."""

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


def check_footprint(rule: str) -> None:
    """Raise InputError unless `rule` names a way to count footprints."""
    if rule not in get_args(Footprint):
        raise InputError(
            f"{rule!r} is not a footprint rule; choose one of {', '.join(get_args(Footprint))}",
            key="footprint",
        )


def tensor_words(
    tensor: Tensor, extents: FloatArray, dimensions: tuple[str, ...], rule: Footprint
) -> FloatArray:
    """Count the values of a tensor's tile: its words, if each takes one.

    Parameters
    ----------
    tensor : Tensor
        What is stored.
    extents : float64 array, shape (batch, dimensions)
        Tile extent along every dimension, at least 1.
    dimensions : tuple of str
        Names of the columns of `extents`.
    rule : {"distinct", "stride_blind", "bounding"}
        How to count a window.

    Returns
    -------
    float64 array, shape (batch,)
        Product over the tensor's indices of the values each takes; exact up to 2^53.

    Raises
    ------
    PrecisionError
        If a window is too wide to be counted by enumeration, or a stride is too large.
    """
    words = np.ones(len(extents))
    for index in tensor.indices:
        if len(index) == 1:  # Every step is a value of its own.
            words *= extents[:, dimensions.index(index[0].dimension)]
            continue
        columns = [extents[:, dimensions.index(term.dimension)] for term in index]
        words *= _window(index, columns, rule)
    return words


def exact_tensor_words(
    tensor: Tensor, extents: Sequence[int], dimensions: tuple[str, ...], rule: Footprint
) -> int:
    """Count like `tensor_words`, one tile of any magnitude in integers.

    Raises
    ------
    PrecisionError
        If a window is too wide to be counted by enumeration.
    """
    words = 1
    for index in tensor.indices:
        lengths = [extents[dimensions.index(term.dimension)] for term in index]
        coefficients = [term.coefficient for term in index]
        if rule == "distinct":
            words *= count_window(lengths, coefficients)
        else:
            words *= int(distinct_values(lengths, coefficients, FOOTPRINT_GAPS[rule]))
    return words


def whole_tensor_values(workload: Workload, tensor: Tensor) -> int:
    """Distinct values of a tensor that a workload touches."""
    sizes = tuple(workload.sizes.values())
    return exact_tensor_words(tensor, sizes, workload.dimensions, "distinct")


def _window(index: Index, columns: list[FloatArray], rule: Footprint) -> FloatArray:
    gaps, coefficients = FOOTPRINT_GAPS[rule], [term.coefficient for term in index]
    if len(columns) < 3 or gaps != NO_GAPS or len(set(coefficients)) == 1:
        return np.asarray(distinct_values(columns, coefficients, gaps), dtype=np.float64)
    # Three strided terms are counted one by one, so each combination only once.
    rows, where = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    counts = distinct_values(list(rows.T), coefficients)
    return np.asarray(counts, dtype=np.float64)[where.ravel()]
