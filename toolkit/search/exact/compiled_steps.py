"""Shortest paths and labels through the loops of one memory after the other.

Loops are placed one by one, the innermost first. A state of a memory says, per dimension,
either its temporal extent inside (no loop placed yet) or the one with the memory's own loop,
and per tensor whether it still waits for the first loop that moves it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolkit.compilation import compiled, inlined
from toolkit.model.compiled_plan import RELEVANT, Floats, Ints, KernelPlan, Scratch
from toolkit.search.exact.compiled_words import (
    CLOSES,
    COUNTS,
    LEAVING,
    MARKS,
    ORTHOGONAL,
    RESOLVES,
    SETTLES,
    UNMARKS,
    Rows,
    words,
)


class Step(NamedTuple):
    """One memory; D dimensions, T tensors, C coordinates of the longest dimension.

    A coordinate below ``above[d]`` says that the loop of `d` is placed and numbers the extent
    with it; one from there on numbers the extent below.

    Attributes
    ----------
    sizes : [4]
        States, extents above, states of the tensors, whether loops are placed in a strict order
        (then idle ones are placed too).
    above, below : [D]
        Number of extents with and without the memory's own loops.
    stride, above_stride : [D]
        Of coordinates in states, and of extents above.
    tau : [D, C]
        Temporal extent by coordinate.
    idle : [D, below]
        The extent above if the loop iterates once, -1 if it may not.
    loops : [D, below]
        Number of possible loops.
    target, factor : [D, below, loops]
        Extent above and iterations of each.
    choices : [2^D]
        Bits of the loops that may come next outside of a set of loops.
    row : [T]
        Row of the transfer under way, -1 if none.
    radix, flag : [T]
        Number of states of a tensor, and its weight in the number of them all.
    begins : [T]
        Whether the memory is a child, so that a new stay begins outside of it.
    fits : [extents above]
        Whether the tiles fit.
    inner_fits : [extents below]
        Whether those of the next memory inwards fit.
    inner_stride : [D]
        Of extents below.
    """

    sizes: Ints
    above: Ints
    below: Ints
    stride: Ints
    above_stride: Ints
    tau: Floats
    idle: Ints
    loops: Ints
    target: Ints
    factor: Floats
    choices: Ints
    row: Ints
    radix: Ints
    flag: Ints
    begins: Ints
    fits: Ints
    inner_fits: Ints
    inner_stride: Ints


STATES, ABOVE, FLAGS, STRICT = range(4)


class Room(NamedTuple):
    """Working memory.

    Attributes
    ----------
    coordinates, tau : [D]
        The state, and its temporal extents.
    work : [4, D]
        Extents of a transfer's windows.
    costs : [D + 3, P]
        Costs along a branch.
    stack : [D + 3, 6]
        Where a branch stands at every depth.
    """

    coordinates: Ints
    tau: Floats
    work: Floats
    costs: Floats
    stack: Ints


@inlined
def add_costs(rows: Rows, r: int, moved: tuple[float, float, float, float], into: Floats) -> None:
    """Add what the words of a transfer cost."""
    for p in range(into.shape[0]):
        coef = rows.coef[r, p]
        into[p] += (
            coef[0] * moved[0] + coef[1] * moved[1] + coef[2] * moved[2] + coef[3] * moved[3]
        )


@inlined
def place(
    plan: KernelPlan,
    rows: Rows,
    step: Step,
    n: Floats,
    flags: int,
    d: int,
    f: float,
    into: Floats,
    room: Room,
    scratch: Scratch,
) -> int:
    """Place a loop outside of `room.tau`; returns the tensors' new states, adds costs."""
    if f == 1.0 or flags == 0:
        return flags
    for t in range(step.row.shape[0]):
        v = flags // step.flag[t] % step.radix[t]
        if v == 0:
            continue
        r = step.row[t]
        rule = rows.ints[r, ORTHOGONAL]
        new = v
        if plan.tensors[t, RELEVANT + d] or rule == RESOLVES:
            moved = words(plan, rows, r, n, room.tau, d, f, v, room.work, scratch)
            add_costs(rows, r, moved, into)
            new = 0
        elif rule == MARKS:
            new = 2
        elif rule == COUNTS:
            wanted = rows.mult[r, v] * f
            for k in range(1, step.radix[t]):
                if rows.mult[r, k] == wanted:
                    new = k
        flags += (new - v) * step.flag[t]
    return flags


@inlined
def leave(
    plan: KernelPlan,
    rows: Rows,
    step: Step,
    outer: Step,
    n: Floats,
    flags: int,
    into: Floats,
    room: Room,
    scratch: Scratch,
) -> int:
    """Leave a memory outwards with extents `room.tau`; returns states for the next memory."""
    new = 0
    for t in range(step.row.shape[0]):
        v = flags // step.flag[t] % step.radix[t]
        r = step.row[t]
        if v > 0:
            rule = rows.ints[r, LEAVING]
            if rows.ints[r, CLOSES] or (rule == SETTLES and v == 2):
                moved = words(plan, rows, r, n, room.tau, -1, 1.0, v, room.work, scratch)
                add_costs(rows, r, moved, into)
                v = 0
            elif rule == UNMARKS and v == 2:
                v = 1
        if step.begins[t]:
            v = 1
        new += v * outer.flag[t]
    return new


@compiled
def close(
    plan: KernelPlan,
    rows: Rows,
    step: Step,
    outer: Step,
    n: Floats,
    outer_rest: Floats,
    rest: Floats,
    room: Room,
    scratch: Scratch,
) -> None:
    """Least costs from the top of a memory on: ``rest[P, extents above, flags]``.

    `outer_rest` are those of the next memory's states; of the outermost one, zeros.
    """
    passes = rest.shape[0]
    into = room.costs[0]
    for a in range(step.sizes[ABOVE]):
        place_in_outer = 0
        for d in range(n.shape[0]):
            c = a // step.above_stride[d] % step.above[d]
            room.tau[d] = step.tau[d, c]
            place_in_outer += (outer.above[d] + c) * outer.stride[d]
        for flags in range(step.sizes[FLAGS]):
            if not step.fits[a]:
                for p in range(passes):
                    rest[p, a, flags] = np.inf
                continue
            for p in range(passes):
                into[p] = 0.0
            new = leave(plan, rows, step, outer, n, flags, into, room, scratch)
            for p in range(passes):
                rest[p, a, flags] = into[p] + outer_rest[p, place_in_outer, new]


@inlined
def stop_extent(step: Step, coordinates: Ints) -> int:
    """Number of the extents above if no more loops are placed, -1 if some must be."""
    a = 0
    for d in range(coordinates.shape[0]):
        c = coordinates[d]
        if c >= step.above[d]:
            c = step.idle[d, c - step.above[d]]
            if c < 0:
                return -1
        a += c * step.above_stride[d]
    return a


@inlined
def misplaced(plan: KernelPlan, step: Step, flags: int, coordinates: Ints) -> bool:
    """Whether some tensor waits although a loop that indexes it is placed."""
    for t in range(step.row.shape[0]):
        if flags // step.flag[t] % step.radix[t] == 0:
            continue
        for d in range(coordinates.shape[0]):
            c = coordinates[d]
            if c < step.above[d] and plan.tensors[t, RELEVANT + d] and not step.sizes[STRICT]:
                return True
    return False


@inlined
def same_for_all(rows: Rows, step: Step, flags: int, d: int) -> bool:
    """Whether what a loop of `d` costs and leads to does not depend on its iterations."""
    for t in range(step.row.shape[0]):
        if flags // step.flag[t] % step.radix[t] > 0:
            r = step.row[t]
            if rows.slide[r, d] >= 0 or rows.ints[r, ORTHOGONAL] == COUNTS:
                return False
    return True


@compiled
def sweep(
    plan: KernelPlan,
    rows: Rows,
    step: Step,
    n: Floats,
    rest: Floats,
    least: Floats,
    room: Room,
    scratch: Scratch,
) -> None:
    """Least costs from every state on: ``least[P, states, flags]``, from `rest` above."""
    dimensions, passes = n.shape[0], rest.shape[0]
    coordinates, into = room.coordinates, room.costs[0]
    for d in range(dimensions):
        coordinates[d] = 0
    coordinates[dimensions - 1] = -1
    for state in range(step.sizes[STATES]):
        d = dimensions - 1
        coordinates[d] += 1
        while coordinates[d] == step.above[d] + step.below[d]:
            coordinates[d] = 0
            d -= 1
            coordinates[d] += 1
        mask, lowest, inner = 0, -1, 0
        for d in range(dimensions):
            c = coordinates[d]
            room.tau[d] = step.tau[d, c]
            if c < step.above[d]:
                mask |= 1 << d
            else:
                inner += (c - step.above[d]) * step.inner_stride[d]
                if lowest < 0:
                    lowest = d
        if not step.inner_fits[inner]:
            # Nor would it with larger extents below of the loops that are placed.
            for p in range(passes):
                for flags in range(step.sizes[FLAGS]):
                    least[p, state, flags] = np.inf
            continue
        stop = stop_extent(step, coordinates)
        for flags in range(step.sizes[FLAGS]):
            for p in range(passes):
                least[p, state, flags] = np.inf
            if misplaced(plan, step, flags, coordinates):
                continue
            if stop >= 0 and (flags > 0 or lowest < 0):
                for p in range(passes):
                    least[p, state, flags] = rest[p, stop, flags]
            for d in range(dimensions):
                if mask >> d & 1 or (flags == 0 and d != lowest):
                    continue
                if flags > 0 and not step.choices[mask] >> d & 1:
                    continue
                b = coordinates[d] - step.above[d]
                known = False
                new = flags
                for p in range(passes):
                    into[p] = 0.0
                for k in range(step.loops[d, b]):
                    f = step.factor[d, b, k]
                    if f == 1.0 and flags > 0 and not step.sizes[STRICT]:
                        continue
                    new_state = state + (step.target[d, b, k] - coordinates[d]) * step.stride[d]
                    if f > 1.0 and flags > 0 and not known:
                        for p in range(passes):
                            into[p] = 0.0
                        new = place(plan, rows, step, n, flags, d, f, into, room, scratch)
                        known = same_for_all(rows, step, flags, d)
                    for p in range(passes):
                        total = into[p] + least[p, new_state, new]
                        if total < least[p, state, flags]:
                            least[p, state, flags] = total
