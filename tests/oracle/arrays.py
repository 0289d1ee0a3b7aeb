"""Which tiles stay in a systolic array, and how long its hops take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Fanout, Memory
from toolkit.workload.kernel import Tensor, Workload


@dataclass(frozen=True)
class Array:
    """A systolic array.

    Attributes
    ----------
    stays : (Memory, Tensor) or None
        Where the only tensor is that a memory inside of all its fanouts gets from outside.
    cycles : int
        Hops of a tile that stays, or of the run if none does.
    """

    stays: tuple[Memory, Tensor] | None
    cycles: int


def array_of(arch: Architecture, workload: Workload, factors: Sequence[Sequence[int]]) -> Array:
    """Find what hops, and what stays meanwhile."""
    hops = [i for i, x in enumerate(arch.levels) if isinstance(x, Fanout) and x.pe_to_pe]
    if not hops:
        return Array(None, 0)
    used = []
    for i in hops:
        instances = 1
        for factor in factors[i]:
            instances *= int(factor)
        used.append(instances)
    found = []
    for tensor in workload.tensors:
        held = [i for i, x in enumerate(arch.levels) if isinstance(x, Memory) and holds(x, tensor)]
        for outer, inner in zip(held, held[1:], strict=False):
            memory = arch.levels[inner]
            if outer < hops[-1] < inner and isinstance(memory, Memory):
                found.append((memory, tensor))
    skew = sum(used) - len(used)
    if len(found) != 1:
        return Array(None, skew)
    return Array(found[0], skew + used[-1])
