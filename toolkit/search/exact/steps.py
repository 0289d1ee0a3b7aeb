"""Steps of the compiled search: the extents and loops of one memory, as its kernels read them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import record_type
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.orders import OrderRule
from toolkit.search.exact.compiled_steps import (
    DimensionRow,
    FirstRow,
    LoopRow,
    SizeRow,
    Step,
    WaitingRow,
)
from toolkit.search.exact.extents import choice_table, is_strict


@dataclass(frozen=True)
class LoopLists:
    """Possible loops of one dimension at one memory.

    Parameters
    ----------
    loops : `LoopRow` array, shape (extents below, loops)
        What they are.
    counts, idle : int64 arrays, shape (extents below,)
        How many, and the extent above if the loop iterates once, -1 if it may not.
    """

    loops: NDArray[Any]
    counts: IntArray
    idle: IntArray


def divided_loops(
    above: Sequence[IntArray], below: Sequence[IntArray], lower: IntArray, upper: IntArray
) -> list[LoopLists]:
    """List the loops by dimension that lead from an extent below to a multiple of it above.

    Parameters
    ----------
    above, below : sequences of int64 arrays
        Ascending extents in time by dimension.
    lower, upper : int64 arrays, shape (dimensions,)
        Bounds of the iterations.
    """
    lists = []
    for d in range(len(above)):
        idle = np.full(len(below[d]), -1, dtype=np.int64)
        count = np.zeros(len(below[d]), dtype=np.int64)
        loops = np.zeros((len(below[d]), len(above[d])), dtype=record_type(LoopRow))
        for b, inside in enumerate(below[d].tolist()):
            f, rest = np.divmod(above[d], inside)
            chosen = np.flatnonzero((rest == 0) & (f >= lower[d]) & (f <= upper[d]))
            count[b] = len(chosen)
            loops["target"][b, : len(chosen)] = chosen
            loops["factor"][b, : len(chosen)] = f[chosen]
            if len(chosen) and f[chosen[0]] == 1:
                idle[b] = chosen[0]
        lists.append(LoopLists(loops, count, idle))
    return lists


def assemble(
    level: int,
    rule: OrderRule,
    above: Sequence[IntArray],
    below: Sequence[IntArray],
    lists: Sequence[LoopLists],
    flags: int,
) -> Step:
    """Write the extents and loops of a memory, by dimension, as a step.

    Whether tiles fit is left to be worked out, and which tensors wait to be filled in.

    Parameters
    ----------
    level : int
        Of the memory.
    rule : OrderRule
        Of its loop order.
    above, below : sequences of int64 arrays
        Extents in time with and without its own loops.
    lists : sequence of LoopLists
        Its loops.
    flags : int
        States of the tensors.
    """
    dimensions = len(above)
    na = np.array([len(x) for x in above], dtype=np.int64)
    nb = np.array([len(x) for x in below], dtype=np.int64)
    depth, longest = int(nb.max()), max(x.loops.shape[1] for x in lists)
    tau = np.ones((dimensions, int((na + nb).max())))
    idle = np.full((dimensions, depth), -1, dtype=np.int64)
    count = np.zeros((dimensions, depth), dtype=np.int64)
    loops = np.zeros((dimensions, depth, longest), dtype=record_type(LoopRow))
    loops["factor"] = 1.0
    for d, own in enumerate(lists):
        tau[d, : na[d]], tau[d, na[d] : na[d] + nb[d]] = above[d], below[d]
        count[d, : nb[d]], idle[d, : nb[d]] = own.counts, own.idle
        loops[d, : nb[d], : own.loops.shape[1]] = own.loops
    strict = is_strict(rule)
    states, above_count = math.prod((na + nb).tolist()), math.prod(na.tolist())
    along = np.zeros(dimensions, dtype=record_type(DimensionRow))
    along["above"], along["below"] = na, nb
    along["stride"], along["above_stride"] = strides(na + nb), strides(na)
    along["below_stride"] = strides(nb)
    size = SizeRow(states, above_count, flags, strict, level)
    return Step(
        sizes=np.array([size], dtype=record_type(SizeRow)),
        dimensions=along,
        waiting=np.zeros(0, dtype=record_type(WaitingRow)),
        tau=tau,
        idle=idle,
        counts=count,
        loops=loops,
        choices=choice_table(rule, strict),
        fits=np.zeros(0, dtype=np.int64),
        inside=np.ones(dimensions),
        seen=np.ones(dimensions),
        inner_fits=np.ones(0, dtype=np.int64),
        spread=np.ones(dimensions),
        entry=np.zeros(0, dtype=record_type(FirstRow)),
        comes=np.zeros((0, 0)),
        leaves=np.zeros((0, 0)),
    )


def linked(steps: Sequence[Step]) -> list[Step]:
    """Tell every memory, outermost first, what it needs of its neighbours.

    No memory at all if no tiles fit some of them.
    """
    if not all(len(step.fits) == 0 or step.fits.any() for step in steps):
        return []
    for outer, inner in itertools.pairwise(steps):
        inner.dimensions["outer_above"] = outer.dimensions["above"]
        inner.dimensions["outer_stride"] = outer.dimensions["stride"]
        inner.waiting["outer_weight"] = outer.waiting["weight"]
    fits = [*(step.fits for step in steps[1:]), np.ones(1, dtype=np.int64)]
    return [step._replace(inner_fits=x) for step, x in zip(steps, fits, strict=True)]


def strides(counts: IntArray) -> IntArray:
    """Weights of coordinates in a number, the last one runs fastest."""
    return np.concatenate([np.cumprod(counts[::-1])[::-1][1:], [1]]).astype(np.int64)
