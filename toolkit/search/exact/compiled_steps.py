"""Steps of a walk through the loops of one memory after the other: what a loop costs, and leaving.

Loops are placed one by one, the innermost first. A state of a memory says, per dimension,
either its temporal extent inside (no loop placed yet) or the one with the memory's own loop,
and per tensor whether it still waits for the first loop that moves it.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np

from toolkit.lifted import Table, ceil, formula
from toolkit.model.bursts import burst_share
from toolkit.model.plan_tables import A_TILE, ALL_SEEN
from toolkit.model.windows import room_taken, tile_values
from toolkit.search.exact.compiled_words import (
    BY_DRAINS,
    COUNTS,
    MARKS,
    RESOLVES,
    SETTLES,
    UNMARKS,
    Room,
    Rows,
    WindowPlan,
    WindowRoom,
    Words,
    charged_words,
    table_words,
    words,
)


class SizeRow(NamedTuple):
    """Numbers of states of a memory, of extents above it, and of states of the tensors.

    ``strict``: whether loops are placed in a strict order (then idle ones are placed, too).
    ``level``: of the memory.
    """

    states: int
    above: int
    flags: int
    strict: int
    level: int


class DimensionRow(NamedTuple):
    """Extents of one dimension at a memory, and how they number the states.

    ``above``, ``below``: how many there are with and without the memory's own loop. ``stride``,
    ``above_stride``, ``below_stride``: of coordinates in states, of extents above, and of those
    below. ``outer_above``, ``outer_stride``: the same at the next memory outwards.
    """

    above: int
    below: int
    stride: int
    above_stride: int
    below_stride: int
    outer_above: int
    outer_stride: int


class WaitingRow(NamedTuple):
    """One tensor at a memory, or one of its transfers where several can be under way at once.

    ``tensor``: its number. ``row``: of the transfer under way, -1 if none. ``radix``, ``weight``:
    number of its states, and its weight in the number of them all; ``outer_weight``: at the next
    memory outwards. ``begins``: whether the memory is a child, so that a new stay begins outside
    of it. ``with_outer``: whether the row before is the next outer transfer of the same tensor,
    also under way, which waits for as long as this one does.
    """

    tensor: int

    row: int
    radix: int
    weight: int
    outer_weight: int
    begins: int
    with_outer: int


class FirstRow(NamedTuple):
    """First and last tiles of a tensor in a memory: cycles of a value at either end of its way.

    Of the first one at its supplier and here, of the last one there and here; then whether words
    of the supplier are counted in whole bursts.
    """

    come_far: float
    come_near: float
    back_far: float
    back_near: float
    bursts: int


class LoopRow(NamedTuple):
    """A possible loop: the number of the extent above it, and its iterations."""

    target: int
    factor: float


class Step(NamedTuple):
    """One memory; D dimensions, T tensors, C coordinates of the longest dimension.

    A coordinate below ``dimensions[d].above`` says that the loop of `d` is placed and numbers
    the extent with it; one from there on numbers the extent below.

    Attributes
    ----------
    sizes : `SizeRow`
        Numbers of states.
    dimensions : `DimensionRow` [D]
        Extents.
    waiting : `WaitingRow` [T]
        Tensors, or their transfers.
    tau : [D, C]
        Temporal extent by coordinate.
    idle : [D, below]
        The extent above if the loop iterates once, -1 if it may not.
    counts : [D, below]
        Number of possible loops.
    loops : `LoopRow` [D, below, count]
        What they are.
    choices : [2^D]
        Bits of the loops that may come next outside of a set of loops.
    fits : [extents above]
        Whether the tiles fit; empty if that is to be worked out when it is asked.
    inside, seen : [D]
        Spatial extents inside the memory, whose level is in `sizes`, and iterations that one
        instance sees in the whole run.
    inner_fits : [extents below]
        Whether those of the next memory inwards fit.
    spread : [D]
        Spatial extents inside the outermost memory.
    entry : `FirstRow` [T]
        The memory's first tiles, and its last ones.
    comes, leaves : [P, T]
        What of their cycles is part of every cost.
    """

    sizes: Annotated[Any, SizeRow, 0]
    dimensions: Annotated[Table, DimensionRow, 1]
    waiting: Annotated[Table, WaitingRow, 1]
    tau: Annotated[Table, float, 2]
    idle: Annotated[Table, int, 2]
    counts: Annotated[Table, int, 2]
    loops: Annotated[Table, LoopRow, 3]
    choices: Annotated[Table, int, 1]
    fits: Annotated[Table, int, 1]
    inside: Annotated[Table, float, 1]
    seen: Annotated[Table, float, 1]
    inner_fits: Annotated[Table, int, 1]
    spread: Annotated[Table, float, 1]
    entry: Annotated[Table, FirstRow, 1]
    comes: Annotated[Table, float, 2]
    leaves: Annotated[Table, float, 2]


@formula
def add_costs(rows: Rows, r: int, moved: Words, into: Table, first: int, end: int) -> None:
    """Add what the words of a transfer cost: costs `first` to before `end`, energy being 0."""
    for p in range(first, end):
        paid = moved
        if p == 0:
            paid = charged_words(rows, r, moved)
        into[p] += (
            rows.coef[r, p, 0] * paid.read
            + rows.coef[r, p, 1] * paid.written
            + rows.coef[r, p, 2] * paid.filled
            + rows.coef[r, p, 3] * paid.entering
            + rows.coef[r, p, 4] * paid.raw
        )
        if rows.rows[r].bursts:
            into[p] += rows.coef[r, p, 7] * paid.more_read
            into[p] += rows.coef[r, p, 8] * paid.more_written
        if rows.coef[r, p, 5] > 0.0:
            row = rows.rows[r]
            read, written = moved.read + moved.more_read, moved.written + moved.more_written
            come = max(row.wait_read * read, row.wait_fill * moved.filled)
            back = row.wait_write * written - rows.less[r, 0]
            back = max(back, row.wait_drain * moved.entering - rows.less[r, 1])
            into[p] += rows.coef[r, p, 5] * (come + back)
        if rows.coef[r, p, 6] > 0.0:
            passed = moved.entering if rows.rows[r].stays == BY_DRAINS else moved.filled
            into[p] += rows.coef[r, p, 6] * passed / moved.tile


@formula
def charge(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    r: int,
    room: Room,
    d: int,
    f: float,
    target: int,
    v: int,
    into: Table,
) -> None:
    """Add the costs of a transfer whose stay a loop of `d` ends, -1 if none does."""
    while r >= 0:
        if rows.table.shape[0] == 0:
            moved = words(plan, nest, rows, r, room, d, f, v)
            add_costs(rows, r, moved, into, 0, into.shape[0])
        else:
            moved = table_words(plan, nest, rows, r, room, d, f, target, v, 0)
            add_costs(rows, r, moved, into, 0, 1)
            if into.shape[0] > 1:
                moved = table_words(plan, nest, rows, r, room, d, f, target, v, 1)
                add_costs(rows, r, moved, into, 1, into.shape[0])
        r = rows.rows[r].beside


@formula
def state_of(step: Step, flags: int, t: int) -> int:
    """State of one tensor at a memory, where `flags` numbers those of all; 0 if at rest."""
    return int(flags // step.waiting[t].weight % step.waiting[t].radix)


@formula
def place(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    step: Step,
    flags: int,
    d: int,
    f: float,
    target: int,
    into: Table,
    room: Room,
) -> int:
    """Place a loop outside of `room.along`, up to a target; returns new states, adds costs."""
    if f == 1.0 or flags == 0:
        return flags
    for t in range(step.waiting.shape[0]):
        v = state_of(step, flags, t)
        if v == 0:
            continue
        r = step.waiting[t].row
        rule = rows.rows[r].orthogonal
        new = v
        if plan.indexes[step.waiting[t].tensor, d] or rule == RESOLVES:
            charge(plan, nest, rows, r, room, d, f, target, v, into)
            new = 0
        elif rule == MARKS:
            new = 2
        elif rule == COUNTS:
            wanted = rows.mult[r, v] * f
            for k in range(1, step.waiting[t].radix):
                if rows.mult[r, k] == wanted:
                    new = k
        flags += (new - v) * step.waiting[t].weight
    return flags


@formula
def leave(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    step: Step,
    flags: int,
    into: Table,
    room: Room,
) -> int:
    """Leave a memory outwards with extents `room.along`; returns states for the next memory."""
    new = 0
    for t in range(step.waiting.shape[0]):
        v = state_of(step, flags, t)
        r = step.waiting[t].row
        if v > 0:
            rule = rows.rows[r].leaving
            if rows.rows[r].closes or (rule == SETTLES and v == 2):
                charge(plan, nest, rows, r, room, -1, 1.0, 0, v, into)
                v = 0
            elif rule == UNMARKS and v == 2:
                v = 1
        if step.waiting[t].begins:
            v = 1
        new += v * step.waiting[t].outer_weight
    add_entry(plan, nest, step, into, room)
    return new


@formula
def add_entry(plan: WindowPlan, nest: WindowRoom, step: Step, into: Table, room: Room) -> None:
    """Add the cycles in which a memory gets its first tiles, and the last ones leave."""
    row, costs = plan.shape.levels + 7, min(into.shape[0], step.comes.shape[0])
    if costs <= 1:
        return
    for d in range(room.along.shape[0]):
        nest.extents[row, d] = min(room.along[d].tau * step.inside[d], plan.sizes[d])
    for t in range(step.entry.shape[0]):
        first, more = step.entry[t], 1.0
        if first.come_far + first.come_near + first.back_far + first.back_near > 0.0:
            tile = tile_values(plan, nest, t, row)
            if first.bursts:
                more = first_bursts(plan, nest, step, room, t)
            come = tile * max(first.come_far * more, first.come_near)
            back = tile * max(first.back_far * more, first.back_near)
            for p in range(1, costs):
                into[p] += step.comes[p, t] * come + step.leaves[p, t] * back


@formula
def first_bursts(plan: WindowPlan, nest: WindowRoom, step: Step, room: Room, t: int) -> float:
    """Words of all bursts of the first tiles of all instances by words that come."""
    line = plan.shape.levels + 8
    for d in range(room.along.shape[0]):
        nest.extents[line, d] = min(room.along[d].tau * step.spread[d], plan.sizes[d])
    share: float = burst_share(plan, nest, t, line, -1.0, 1.0, plan.bursts[t].value)
    return share


@formula
def has_room(plan: WindowPlan, nest: WindowRoom, step: Step, room: Room) -> bool:
    """Whether tiles with the extents of ``room.along`` fit into a memory."""
    usable = plan.levels[step.sizes.level].usable_words
    if usable == np.inf:
        return True
    row, words = plan.shape.levels + 7, 0.0
    for how in (A_TILE, ALL_SEEN):
        for d in range(room.along.shape[0]):
            nest.extents[row, d] = min(room.along[d].tau * step.inside[d], plan.sizes[d])
            if how == ALL_SEEN:
                nest.extents[row, d] = step.seen[d]
        for t in range(plan.tensors.shape[0]):
            if plan.holds[t, step.sizes.level] == how:
                words += room_taken(plan, nest, t, step.sizes.level, row)
    if plan.switches.packs:
        words = ceil(words / plan.levels[step.sizes.level].units_per_word)
    return bool(words <= usable)


@formula
def tiles_fit(plan: WindowPlan, nest: WindowRoom, step: Step, room: Room, a: int) -> bool:
    """Whether the tiles with extents above number `a`, those of `room.along`, fit."""
    if step.fits.shape[0] > 0:
        return bool(step.fits[a] != 0)
    return has_room(plan, nest, step, room)


@formula
def stop_extent(step: Step, along: Table) -> int:
    """Number of the extents above if no more loops are placed, -1 if some must be."""
    a = 0
    for d in range(along.shape[0]):
        c = along[d].coordinate
        if c >= step.dimensions[d].above:
            c = step.idle[d, c - step.dimensions[d].above]
            if c < 0:
                return -1
        a += c * step.dimensions[d].above_stride
    return a
