"""Lanes that do nothing: those of meshes that are not filled, and those that last tiles leave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory, Spatial
from toolkit.mapping.bounds import need
from toolkit.mapping.factors import divisors
from toolkit.mapping.mapping import IntArray, Mapping, to_arrays
from toolkit.model.conventions import Conventions
from toolkit.model.cost import BatchCost, batch_cost
from toolkit.model.plan import make_plan
from toolkit.workload.kernel import Workload

NOTED = 0.5
"""Fraction of the lanes that work below which it is said why."""

_FEW = "less than half of the lanes work"

_CLOSE = 1e-9


@dataclass(frozen=True, slots=True)
class CutOff:
    """Cycles of the run lost because the last tiles of a dimension leave instances without work.

    Parameters
    ----------
    dimension : str
        What is cut into tiles.
    levels : tuple of str
        Spatial levels that unroll it, outermost first.
    size : int
        Its iterations.
    tile : int
        Iterations that the instances do together before they go on; sizes that are multiples of
        it leave none of them without work.
    cycles : float
        Lost by the dimension, those before it lost already.
    """

    dimension: str
    levels: tuple[str, ...]
    size: int
    tile: int
    cycles: float

    @property
    def whole_sizes(self) -> tuple[int, ...]:
        """The next smaller and the next larger size that would lose nothing."""
        below = self.size // self.tile * self.tile
        return tuple(size for size in (below, below + self.tile) if size)


def cut_offs(cost: BatchCost, factors: IntArray, cycles: float) -> tuple[CutOff, ...]:
    """Divide what last tiles lose among the dimensions.

    Parameters
    ----------
    cost : BatchCost
        Of one mapping.
    factors : int64 array, shape (levels, dimensions)
        Its factors.
    cycles : float
        That its lanes would need if all of them worked all the time.
    """
    levels, found = cost.plan.arch.levels, []
    for d, (dimension, size) in enumerate(cost.plan.workload.sizes.items()):
        unrolling = [i for i, x in enumerate(levels) if _unrolls(x, factors, i, d)]
        if not unrolling or not cost.nest.ragged[d]:
            continue
        longer = cycles * cut_off(cost, factors, d)
        if longer > cycles * (1 + _CLOSE):
            tile = math.prod(factors[unrolling[0] :, d].tolist())
            names = tuple(levels[i].name for i in unrolling)
            found.append(CutOff(dimension, names, size, tile, longer - cycles))
            cycles = longer
    return tuple(found)


def cut_off(cost: BatchCost, factors: IntArray, d: int) -> float:
    """How many times as long a dimension takes because last tiles leave instances without work."""
    size = list(cost.plan.workload.sizes.values())[d]
    return steps_along(cost, factors, d) * _instances(cost.plan.arch, factors, d) / size


def steps_along(cost: BatchCost, factors: IntArray, d: int) -> int:
    """Steps of the first lane along a dimension; their product is the steps of the run."""
    if cost.nest.ragged[d]:
        complete = cost.nest.cuts[len(cost.plan.arch.levels), d].complete
        return int(np.asarray(complete).reshape(()))
    size = list(cost.plan.workload.sizes.values())[d]
    return size // _instances(cost.plan.arch, factors, d)


def compute_cycles(cost: BatchCost, factors: IntArray) -> float:
    """Cycles of the compute level without any stall: steps of the first lane, times its cycles."""
    dimensions = range(len(cost.plan.workload.dimensions))
    steps = math.prod(steps_along(cost, factors, d) for d in dimensions)
    return float(steps * cost.plan.arch.compute.cycles)


def costed(
    mapping: Mapping, arch: Architecture, workload: Workload, conventions: Conventions
) -> tuple[BatchCost, IntArray]:
    """Cost one mapping on arrays; also its factors, int64 [levels, dimensions]."""
    factors, order = to_arrays(mapping, arch, workload)
    plan = make_plan(arch, workload, conventions)
    with np.errstate(all="ignore"):  # What overflows, `evaluate` finds by name.
        return batch_cost(plan, factors[None].astype(np.float64), order[None]), factors


def _instances(arch: Architecture, factors: IntArray, d: int) -> int:
    """Instances over which all spatial levels together unroll a dimension."""
    return math.prod(
        int(factors[i, d]) for i, level in enumerate(arch.levels) if not isinstance(level, Memory)
    )


def _unrolls(level: object, factors: IntArray, i: int, d: int) -> bool:
    return not isinstance(level, Memory) and bool(factors[i, d] > 1)


def shape_notes(cost: BatchCost, factors: IntArray) -> tuple[str, ...]:
    """Say where less than half of the lanes work for want of a better shape.

    Parameters
    ----------
    cost : BatchCost
        Of one mapping.
    factors : int64 array, shape (levels, dimensions)
        Its factors.
    """
    arch, workload = cost.plan.arch, cost.plan.workload
    ragged = cost.plan.conventions.transfers != "sequential"
    working = float(np.asarray(cost.utilization).reshape(()))
    if working >= NOTED:
        return ()
    lost = cut_offs(cost, factors, 1.0)
    longer = 1 + math.fsum(cut.cycles for cut in lost)
    if longer**2 > 1 / working:  # Last tiles lose more than meshes that are not filled.
        return (f"{_FEW}: {'; '.join(describe_cut_off(cut) for cut in lost)}",)
    idle = [(level, factors[i]) for i, level in enumerate(arch.levels)]
    spatial = [(level, row) for level, row in idle if not isinstance(level, Memory)]
    level, row = max(spatial, key=lambda pair: pair[0].mesh / math.prod(pair[1].tolist()))
    for d, dimension in enumerate(workload.dimensions):
        # A dimension that is cut off already needs no factor that fits.
        if dimension in level.dimensions and not cost.nest.ragged[d]:
            elsewhere = _instances(arch, factors, d) // int(row[d])
            note = _missing_factor(level, row, d, workload, elsewhere)
            if note:
                way = "ragged factors (--factors ragged) or a " if ragged else "a "
                return (f"{_FEW}: {note}; {way}padded size (--pad {dimension}) may use more",)
    return ()


def _missing_factor(
    level: Spatial, row: Sequence[int] | IntArray, d: int, workload: Workload, elsewhere: int
) -> str:
    """Say that no factor of a dimension fills a mesh that its size could; empty if one does.

    `elsewhere` instances of other levels share the dimension.
    """
    dimension, size = workload.dimensions[d], list(workload.sizes.values())[d]
    left = size // elsewhere
    used = math.prod(int(f) for f in row)
    most = need(level, dimension, level.constraints).most
    room = min(level.mesh // (used // int(row[d])), most, left)
    whole = divisors(left)
    largest = int(whole[whole <= room].max())
    if largest > int(row[d]) or room < 2 * largest:
        return ""
    rest = f"{dimension} = {size}" if left == size else f"the {left} left of {dimension} = {size}"
    return (
        f"{level.name} uses {used:,} of {level.mesh:,} instances: {rest} has no factor "
        f"from {largest + 1} to {room}"
    )


def describe_cut_off(cut: CutOff) -> str:
    """Say which tiles are cut off, and which sizes would lose nothing."""
    sizes = " or ".join(str(size) for size in cut.whole_sizes)
    return (
        f"{' and '.join(cut.levels)} unroll{'s' if len(cut.levels) == 1 else ''} "
        f"{cut.dimension} = {cut.size} in tiles of {cut.tile} of which the last is cut off; "
        f"{cut.dimension} = {sizes} would leave no instance without work"
    )
