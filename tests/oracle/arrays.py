"""Cycles in which systolic arrays begin and end their tiles, told from what moves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Fanout, Memory
from toolkit.workload.kernel import Tensor, Workload

from .strategies import Case


@dataclass(frozen=True)
class Array:
    """Fanouts through which operands hop.

    Parameters
    ----------
    cycles : int
        To begin and end a tile that stays, or a run if no single tensor does.
    tensor, level : Tensor or None, int
        What stays, and in which memory.
    """

    cycles: int
    tensor: Tensor | None = None
    level: int = -1


def array_of(arch: Architecture, workload: Workload, factors: Sequence[Sequence[int]]) -> Array:
    """Find the only tensor that comes through all such fanouts to a memory inside of them."""
    hopping = [i for i, x in enumerate(arch.levels) if isinstance(x, Fanout) and x.pe_to_pe]
    used = [math.prod(int(f) for f in factors[i]) for i in hopping]
    hops = sum(used) - len(used)
    staying = [
        (tensor, child)
        for tensor in workload.tensors
        for supplier, child in itertools.pairwise(
            i for i, x in enumerate(arch.levels) if isinstance(x, Memory) and holds(x, tensor)
        )
        if hopping and supplier < hopping[-1] < child
    ]
    return Array(hops + used[-1], *staying[0]) if len(staying) == 1 else Array(hops)


def array_cycles(
    case: Case, passed: Callable[[Tensor, int], int | Fraction]
) -> tuple[Fraction, int]:
    """Cycles beside those of the steps while memories move words, and before they do.

    `passed` says how many values of a tensor the first instance of a memory gets, of outputs
    sends outwards.
    """
    arch, workload, factors, _, _ = case
    array = array_of(arch, workload, factors.tolist())
    if array.tensor is None:
        return Fraction(0), array.cycles
    tile = factors[array.level :].prod(axis=0).tolist()
    extents = {
        d: min(extent, size)
        for (d, size), extent in zip(workload.sizes.items(), tile, strict=True)
    }
    values = math.prod(
        len(
            {
                sum(x.coefficient * place for x, place in zip(index, at, strict=True))
                for at in itertools.product(*(range(extents[x.dimension]) for x in index))
            }
        )
        for index in array.tensor.indices
    )
    return Fraction(passed(array.tensor, array.level), values) * array.cycles, 0
