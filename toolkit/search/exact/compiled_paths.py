"""Shortest paths: the least costs to come from every state of a memory on, each by itself."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from toolkit.compilation import Kernel
from toolkit.lifted import Table, formula, once
from toolkit.search.exact.compiled_steps import Step, charge, leave, place, state_of, stop_extent
from toolkit.search.exact.compiled_words import COUNTS, Room, Rows, WindowPlan, WindowRoom


class Least(NamedTuple):
    """Least costs to come, each of P costs by itself.

    Attributes
    ----------
    beyond : [P, states, flags]
        From every state of the next memory outwards on; of the outermost one, zeros.
    rest : [P, extents above, flags]
        From the top of a memory on.
    least : [P, states, flags]
        From every state on.
    left : [extents above, flags]
        States of the tensors outside of the memory.
    next : [states, flags]
        The best way on by cost 0: the next state times the number of flags, plus the next flags;
        -1 if no loop is placed any more. Not recorded in an empty array.
    """

    beyond: Annotated[Table, float, 3]
    rest: Annotated[Table, float, 3]
    least: Annotated[Table, float, 3]
    left: Annotated[Table, np.int32, 2]
    next: Annotated[Table, np.int32, 2]


@once
@formula
def close(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    step: Step,
    own: Least,
    room: Room,
) -> None:
    """Fill in the least costs from the top of a memory on."""
    rest, outer_rest = own.rest, own.beyond
    passes = rest.shape[0]
    into = room.costs[0]
    for a in range(step.sizes.above):
        place_in_outer = 0
        for d in range(room.along.shape[0]):
            c = a // step.dimensions[d].above_stride % step.dimensions[d].above
            room.along[d].tau, room.along[d].coordinate = step.tau[d, c], c
            place_in_outer += (step.dimensions[d].outer_above + c) * step.dimensions[
                d
            ].outer_stride
        for flags in range(step.sizes.flags):
            if not step.fits[a]:
                for p in range(passes):
                    rest[p, a, flags] = np.inf
                continue
            for p in range(passes):
                into[p] = 0.0
            new = leave(plan, nest, rows, step, flags, into, room)
            own.left[a, flags] = new
            for p in range(passes):
                rest[p, a, flags] = into[p] + outer_rest[p, place_in_outer, new]


@formula
def misplaced(plan: WindowPlan, step: Step, flags: int, along: Table) -> bool:
    """Whether some tensor waits although a loop that indexes it is placed.

    Or its inner transfer waits although the outer one does not: the same loop moves both.
    """
    outer_waits = False
    for t in range(step.waiting.shape[0]):
        if state_of(step, flags, t) == 0:
            outer_waits = False
            continue
        if step.waiting[t].with_outer and not outer_waits:
            return True
        outer_waits = True
        for d in range(along.shape[0]):
            c, indexed = along[d].coordinate, plan.indexes[step.waiting[t].tensor, d]
            if c < step.dimensions[d].above and indexed and not step.sizes.strict:
                return True
    return False


@formula
def same_for_all(rows: Rows, step: Step, flags: int, d: int) -> bool:
    """Whether what a loop of `d` costs and leads to does not depend on its iterations."""
    for t in range(step.waiting.shape[0]):
        if state_of(step, flags, t) > 0:
            r = step.waiting[t].row
            if rows.slide[r, d] >= 0 or rows.rows[r].orthogonal == COUNTS:
                return False
    return True


@formula
def next_state(step: Step, along: Table) -> None:
    """Count the coordinates of all dimensions up by one state."""
    d = along.shape[0] - 1
    along[d].coordinate += 1
    while along[d].coordinate == step.dimensions[d].above + step.dimensions[d].below:
        along[d].coordinate = 0
        d -= 1
        along[d].coordinate += 1


@once
@formula
def place_next(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    step: Step,
    own: Least,
    room: Room,
    state: int,
    flags: int,
    d: int,
) -> None:
    """Lower the least costs from a state on to those of placing a loop of `d` next."""
    least, along, into = own.least, room.along, room.costs[0]
    b = along[d].coordinate - step.dimensions[d].above
    known, new = False, flags
    for p in range(least.shape[0]):
        into[p] = 0.0
    for k in range(step.counts[d, b]):
        f, target = step.loops[d, b, k].factor, step.loops[d, b, k].target
        if f == 1.0 and flags > 0 and not step.sizes.strict:
            continue
        new_state = state + (target - along[d].coordinate) * step.dimensions[d].stride
        if f > 1.0 and flags > 0 and not known:
            for p in range(least.shape[0]):
                into[p] = 0.0
            new = place(plan, nest, rows, step, flags, d, f, target, into, room)
            known = same_for_all(rows, step, flags, d)
        for p in range(least.shape[0]):
            total = into[p] + least[p, new_state, new]
            if total < least[p, state, flags]:
                least[p, state, flags] = total
                if p == 0 and own.next.shape[0] > 0:
                    own.next[state, flags] = new_state * step.sizes.flags + new


@once
@formula
def sweep(
    plan: WindowPlan, nest: WindowRoom, rows: Rows, step: Step, own: Least, room: Room
) -> None:
    """Fill in the least costs from every state on, from those of the top."""
    rest, least, along = own.rest, own.least, room.along
    dimensions, passes = along.shape[0], rest.shape[0]
    for d in range(dimensions):
        along[d].coordinate = 0
    along[dimensions - 1].coordinate = -1
    for state in range(step.sizes.states):
        next_state(step, along)
        mask, lowest, inner = 0, -1, 0
        for d in range(dimensions):
            c = along[d].coordinate
            along[d].tau = step.tau[d, c]
            if c < step.dimensions[d].above:
                mask |= 1 << d
            else:
                inner += (c - step.dimensions[d].above) * step.dimensions[d].below_stride
                if lowest < 0:
                    lowest = d
        for p in range(passes):
            for flags in range(step.sizes.flags):
                least[p, state, flags] = np.inf
        if not step.inner_fits[inner]:
            # Nor would it with larger extents below of the loops that are placed.
            continue
        stop = stop_extent(step, along)
        for flags in range(step.sizes.flags):
            if own.next.shape[0] > 0:
                own.next[state, flags] = -1
            if misplaced(plan, step, flags, along):
                continue
            if stop >= 0 and (flags > 0 or lowest < 0):
                for p in range(passes):
                    least[p, state, flags] = rest[p, stop, flags]
            for d in range(dimensions):
                if mask >> d & 1 or (flags == 0 and d != lowest):
                    continue
                if flags == 0 or step.choices[mask] >> d & 1:
                    place_next(plan, nest, rows, step, own, room, state, flags, d)


@once
@formula
def measure(plan: WindowPlan, nest: WindowRoom, rows: Rows, r: int, room: Room) -> None:
    """Add the costs of a row if nothing moves it inside its supplier to ``room.costs[0]``."""
    charge(plan, nest, rows, r, room, -1, 1.0, 0, 1, room.costs[0])


CLOSE, SWEEP, MEASURE = range(3)
"""What `explore` does."""


@once
@formula
def explore(
    task: int,
    number: int,
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    room: Room,
    step: Step,
    own: Least,
) -> None:
    """Do one task at one memory; they are one kernel, for they share most of its machine code.

    `number` is the row to measure.
    """
    if task == CLOSE:
        close(plan, nest, rows, step, own, room)
    elif task == SWEEP:
        sweep(plan, nest, rows, step, own, room)
    else:
        measure(plan, nest, rows, number, room)


EXPLORE = Kernel("toolkit.search.exact.compiled_paths:explore", "the exact search")
