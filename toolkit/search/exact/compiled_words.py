"""What one transfer moves, as a function of where its innermost kept loop stands.

Written for one choice of all spatial factors. Then a tensor's words depend on the tile inside
the loop that first moves it, on that loop (sliding windows), and on nothing outside: see
`toolkit.search.exact`. The tests hold the sums over all transfers against the cost model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolkit.compilation import inlined
from toolkit.model.compiled_plan import (
    INDICES,
    OUTPUT,
    RELEVANT,
    Floats,
    Ints,
    KernelPlan,
    Scratch,
)
from toolkit.model.compiled_traffic import swept, window


class Rows(NamedTuple):
    """Transfers, each seen from one memory of its nest; R rows, D dimensions, P costs.

    Attributes
    ----------
    ints : [R, 7]
        Tensor; whether stationarity and sliding windows go together; whether a window that
        slides is exchanged by a rounded division; what a loop that does not index the tensor
        does (`KEEPS` ...); whether the memory is the supplier; what leaving the memory
        does (`STAYS` ...); how first visits of outputs are left out (0: they are not).
    consts : [R, 7]
        Factors of reads, writes and entering values; those of reads and writes inside this
        memory, then outside of it.
    ext : [R, 4, D]
        Spatial extents inside the tile: as read, as written, as held by the child, and all
        those inside this memory.
    slide : [R, D]
        Index whose window slides along a dimension, -1 if none.
    coef : [R, P, 4]
        Costs of a word read, written, filled and entering.
    mult : [R, V]
        Iterations that count beside the loops outside, by state of the tensor.
    """

    ints: Ints
    consts: Floats
    ext: Floats
    slide: Ints
    coef: Floats
    mult: Floats


TENSOR, REUSE, ROUNDED, ORTHOGONAL, CLOSES, LEAVING, FIRST_VISITS = range(7)
KEEPS, MARKS, COUNTS, RESOLVES = range(4)
"""A loop that does not index the tensor leaves it in place, does so and marks it, does so but
counts all the same, or ends its stay."""
STAYS, UNMARKS, SETTLES = range(3)
"""Outside of a memory the tensor still waits, waits without its mark, or no more if marked."""
PLAIN, ROUNDED_UP = 1, 2
"""First visits are left out as they are, or rounded up."""
BASE_READ, BASE_WRITE, BASE_ENTER, PRE_READ, PRE_WRITE, POST_READ, POST_WRITE = range(7)
AS_READ, AS_WRITTEN, AS_HELD, ALL_INSIDE = range(4)


@inlined
def words(
    plan: KernelPlan,
    rows: Rows,
    r: int,
    n: Floats,
    tau: Floats,
    d: int,
    f: float,
    v: int,
    work: Floats,
    scratch: Scratch,
) -> tuple[float, float, float, float]:
    """Words read, written, filled and entering in the whole run.

    `tau` are the temporal extents inside the loop of dimension `d` with `f` iterations that
    ends the stay of the tensor in state `v`; `d` is -1 if none does up to the supplier.
    """
    t = rows.ints[r, TENSOR]
    events, visits = rows.mult[r, v], rows.mult[r, v]
    for e in range(n.shape[0]):
        outer = n[e] / tau[e]
        events *= outer
        if plan.tensors[t, RELEVANT + e]:
            for k in range(4):
                work[k, e] = rows.ext[r, k, e] * tau[e]
        else:
            visits *= outer
    slides = -1
    if d >= 0 and (rows.ints[r, REUSE] or v == 1):
        slides = rows.slide[r, d]
    if slides >= 0:
        events /= f
    rounded = slides >= 0 and rows.ints[r, ROUNDED] == 1
    read, write, enter = 1.0, 1.0, 1.0
    for s in range(plan.tensors[t, INDICES]):
        if s == slides and not rounded:
            values = swept(plan, t, s, work[AS_HELD], d, f, scratch)
            read *= values
            write *= values
            enter *= values
        else:
            read *= window(plan, t, s, work[AS_READ], -1, 1.0, scratch)
            if plan.tensors[t, OUTPUT]:
                write *= window(plan, t, s, work[AS_WRITTEN], -1, 1.0, scratch)
            enter *= window(plan, t, s, work[AS_HELD], -1, 1.0, scratch)
    if rounded:
        held = window(plan, t, slides, work[ALL_INSIDE], -1, 1.0, scratch)
        wide = swept(plan, t, slides, work[ALL_INSIDE], d, f, scratch)
        inside = rows.mult[r, v]
        read = np.floor(read * rows.consts[r, PRE_READ] * inside / held) * wide
        write = np.floor(write * rows.consts[r, PRE_WRITE] * inside / held) * wide
        read *= rows.consts[r, POST_READ] * (events / inside)
        write *= rows.consts[r, POST_WRITE] * (events / inside)
    else:
        read *= rows.consts[r, BASE_READ] * events
        write *= rows.consts[r, BASE_WRITE] * events
    enter *= rows.consts[r, BASE_ENTER] * events
    if plan.tensors[t, OUTPUT] == 0:
        return read, 0.0, enter, 0.0
    fill = enter
    if rows.ints[r, FIRST_VISITS] == PLAIN:
        read -= read / visits
        fill -= enter / visits
    elif rows.ints[r, FIRST_VISITS] == ROUNDED_UP:
        read -= np.ceil(read / visits)
    return read, write, fill, enter
