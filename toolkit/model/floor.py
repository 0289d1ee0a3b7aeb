"""Energy and latency that no mapping undercuts, from the architecture and the workload alone.

Every multiply-accumulate fetches its operands from, and hands its result to, the innermost
memory that holds them; spatial levels between can share these words among as many instances as
they have, or as the dimensions over which sharing is possible have iterations. Partial sums are
read again but for their first visit, of which there is one per output and instance that sums on
its own. An output is complete once, and has fewer bits then. All lanes that can ever be used are
busy all the time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from math import prod

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Memory, Spatial
from toolkit.arch.packing import mac_energy_pj, sum_bits, words_per_value
from toolkit.model.conventions import Conventions
from toolkit.model.plan import sharing
from toolkit.workload.kernel import Tensor, Workload

_INTERCHANGEABLE = ({"O", "P", "Q"}, {"T", "R", "S"})
"""Axes of a convolution that may be laid along one another."""


def least_cycles(arch: Architecture, workload: Workload) -> float:
    """Cycles if every lane that the workload's sizes can use always works."""
    lanes = prod(_most(level, level.dimensions, workload) for level in _spatial(arch))
    return busy_cycles(arch, workload, lanes)


def busy_cycles(arch: Architecture, workload: Workload, lanes: float) -> float:
    """Cycles if so many lanes always work."""
    return arch.compute.cycles * max(workload.macs / lanes, 1.0)


def least_energy_pj(
    arch: Architecture,
    workload: Workload,
    conventions: Conventions,
    *,
    anywhere: Collection[str] = (),
) -> float:
    """Energy of the multiply-accumulates and of the words next to them.

    Parameters
    ----------
    arch : Architecture
        What runs the workload, or a part of it: a part has fewer iterations of dimensions that
        index the output, and costs its share at least.
    workload : Workload
        What is run; padding it only adds to its cost.
    conventions : Conventions
        Words are known unless transfers are sequential: then lanes may keep some.
    anywhere : collection of str
        Memories that may hold any tensor, or none, whatever the architecture says.

    Notes
    -----
    Counts are those of `toolkit.model.traffic.count_per_instance` for the transfer without a
    child, with every spatial factor at the most that it can be.
    """
    energy = mac_energy_pj(arch, workload)
    if conventions.transfers != "sequential":
        energy += sum(
            _least_per_mac(arch, workload, tensor, conventions, anywhere)
            for tensor in workload.tensors
        )
    return workload.macs * energy


def _least_per_mac(
    arch: Architecture,
    workload: Workload,
    tensor: Tensor,
    conventions: Conventions,
    anywhere: Collection[str],
) -> float:
    costs = []
    for place in range(len(arch.levels) - 1, -1, -1):
        memory = arch.levels[place]
        if not isinstance(memory, Memory):
            continue
        own = memory.name not in anywhere
        if own and not holds(memory, tensor):
            continue
        inside = [level for level in arch.levels[place:] if not isinstance(level, Memory)]
        read, written = (
            prod(_most_sharing(x, tensor, workload, conventions, w) for x in inside)
            for w in (False, True)
        )
        words = words_per_value(memory, sum_bits(tensor))
        energy, saved = memory.read_energy_pj / read, 0.0
        if tensor.role == "output":
            # What needs no read where a tile began anew has been drained from here.
            free = conventions.free_drains and conventions.sums_go_on
            back = 0.0 if free else _least_revisits(arch, workload)
            energy = memory.write_energy_pj / written + energy * back
            less = float(words - words_per_value(memory, tensor.bits))
            saved = memory.write_energy_pj * less / _additions(workload)
        costs.append(max(energy * float(words) - saved, 0.0))
        if own:
            break
    return min(costs, default=0.0)


def _least_revisits(arch: Architecture, workload: Workload) -> float:
    """Share of the partial sums that are not the first of their output where they are summed."""
    summed = workload.reduction_dimensions
    apart = prod(_most(level, summed, workload) for level in _spatial(arch))
    return max(1.0 - apart / _additions(workload), 0.0)


def _additions(workload: Workload) -> int:
    """Least that are summed up to an output on average: it is complete once."""
    return prod(workload.sizes[d] for d in workload.reduction_dimensions)


def _most_sharing(
    level: Spatial, tensor: Tensor, workload: Workload, conventions: Conventions, written: bool
) -> int:
    shared, selective = sharing(level, conventions, written=written)
    shared = shared or (tensor.role == "output" and not written and conventions.sums_go_on)
    dimensions = set(workload.dimensions) - set(tensor.dimensions) if shared else set()
    if selective:
        windows = (index for index in tensor.indices if len(index) > 1)
        dimensions |= {term.dimension for index in windows for term in index}
    return _most(level, dimensions, workload)


def _spatial(arch: Architecture) -> tuple[Spatial, ...]:
    return (*arch.fanouts, arch.compute)


def _most(level: Spatial, dimensions: Iterable[str], workload: Workload) -> int:
    """Most iterations of some dimensions that a spatial level can unroll."""
    unrolled = set(dimensions) & set(level.dimensions)
    sizes = workload.sizes
    return min(level.mesh, prod(_size(d, sizes) for d in unrolled & set(sizes)))


def _size(dimension: str, sizes: Mapping[str, int]) -> int:
    alike = next((axes for axes in _INTERCHANGEABLE if dimension in axes), {dimension})
    return max(sizes.get(d, 1) for d in alike)
