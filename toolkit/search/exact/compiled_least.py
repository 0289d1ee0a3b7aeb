"""The mapping of least energy of one choice of a ragged space, in one call.

A choice is a column of extents per dimension (`toolkit.search.exact.columns`). Columns lie in
one store, and a choice is copied from there to a `Course`, of which each memory is a `Step` for
the labels of `compiled_labels`. Of labels with the same future only the cheapest is kept.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from toolkit.compilation import Kernel
from toolkit.lifted import Table, formula, once
from toolkit.search.exact.compiled_labels import Goal, Labels, enter, expand, reaches
from toolkit.search.exact.compiled_steps import (
    DimensionRow,
    Least,
    LoopRow,
    SizeRow,
    Step,
    WaitingRow,
    charge,
    has_room,
    leave,
    place,
    stop_extent,
)
from toolkit.search.exact.compiled_words import LabelRow, Room, Rows, WindowPlan, WindowRoom

NONE, FOUND, TOO_MANY, BEATEN = range(4)
"""What became of a choice: no mapping reaches the goal, one does, there are too many partial
mappings to tell, or what all mappings share is too much already."""


class ColumnRow(NamedTuple):
    """One column at one memory: where its parts begin in the store, and their sizes.

    ``above``, ``below``: extents at the memory's top and bottom. ``longest``: loops kept for
    each extent below.
    """

    tau: int
    counts: int
    loops: int
    above: int
    below: int
    longest: int


class EntryRow(NamedTuple):
    """What a dimension contributes to every transfer: where it begins in the store."""

    table: int
    parts: int


class Store(NamedTuple):
    """All columns of a problem, one after the other; K memories.

    Attributes
    ----------
    columns : `ColumnRow` [entries, K]
        Where they are.
    entries : `EntryRow` [entries]
        Where their contributions are.
    tau, cell : [sum of extents]
        Temporal extents, those above a memory, then those below, and their `Grid.cells`.
    idle, counts : [sum of extents below]
        See `Step`.
    loops : `LoopRow` [sum of loops]
        See `Step`.
    inside, seen : [entries, K]
        See `Step`.
    table : [sum over transfers of 6 x coordinates]
        See `Rows`, of all instances.
    parts : [sum over transfers of 6]
        Factors of what does not depend on the walk, of all visits and of first ones.
    """

    columns: Annotated[Table, ColumnRow, 2]
    entries: Annotated[Table, EntryRow, 1]
    tau: Annotated[Table, float, 1]
    cell: Annotated[Table, int, 1]
    idle: Annotated[Table, int, 1]
    counts: Annotated[Table, int, 1]
    loops: Annotated[Table, LoopRow, 1]
    inside: Annotated[Table, float, 2]
    seen: Annotated[Table, float, 2]
    table: Annotated[Table, float, 1]
    parts: Annotated[Table, float, 1]


class MemoryRow(NamedTuple):
    """A memory whatever the choice: states of the tensors, strict order of loops, its level."""

    flags: int
    strict: int
    level: int


class LineRow(NamedTuple):
    """A transfer as a row sees it.

    ``memory``: number of the row's memory, -1 if it has none. ``first_visits``: whether values
    are not read at first.
    """

    memory: int
    first_visits: int


class OpenRow(NamedTuple):
    """A transfer outside of some memory: its row, values of its windows, kinds it must move."""

    row: int
    windows: float
    read: float
    written: float
    filled: float
    entering: float


class Shared(NamedTuple):
    """What all choices with the same spatial factors share; K memories, T tensors.

    Attributes
    ----------
    memories : `MemoryRow` [K]
        Memories, outermost first.
    waiting : `WaitingRow` [K, T]
        Tensors at every memory.
    choices : [K, 2^D]
        See `Step`.
    lines : `LineRow` [R]
        Rows.
    fixed : [lanes]
        Rows whose words no loop in time changes.
    open : `OpenRow` [X]
        Transfers that a mapping has to make at least once per value.
    is_open : [K, flags, X]
        Whether they are yet to be made outside of a memory.
    subset : [K, flags]
        Tensors that wait, as bits, by their states at a memory.
    to_go : [K, subsets, cells]
        See `Relaxed`.
    """

    memories: Annotated[Table, MemoryRow, 1]
    waiting: Annotated[Table, WaitingRow, 2]
    choices: Annotated[Table, int, 2]
    lines: Annotated[Table, LineRow, 1]
    fixed: Annotated[Table, int, 1]
    open: Annotated[Table, OpenRow, 1]
    is_open: Annotated[Table, float, 3]
    subset: Annotated[Table, int, 2]
    to_go: Annotated[Table, float, 3]


class LabelSet(NamedTuple):
    """Labels, the cheapest of each future.

    Attributes
    ----------
    costs, rows : [N, 1], `LabelRow` [N]
        Labels. Inside a memory ``extent`` is the number of a state.
    slots, holders : [slots]
        Futures of the labels that were added last, and the labels.
    """

    costs: Annotated[Table, float, 2]
    rows: Annotated[Table, LabelRow, 1]
    slots: Annotated[Table, int, 1]
    holders: Annotated[Table, int, 1]


STATES = 1 << 20
"""More than tensors have states at any memory."""


class PathRow(NamedTuple):
    """Extents above a memory and loops placed there, innermost memory first."""

    extent: int
    sequence: int


class Course(NamedTuple):
    """One choice, and the cheapest way through it.

    Attributes
    ----------
    picked, loaded : [D]
        Entries of the choice, and those that the arrays hold.
    sizes, dimensions, tau, idle, counts, loops, inside, seen
        See `Step`, with one more index: the memory.
    cell : [K, D, C]
        `Grid.cells` by coordinate.
    floor : [K, flags]
        Energy of what is yet to be moved at least once.
    path : `PathRow` [K]
        Of the cheapest label.
    nothing : [0]
        What is worked out when it is asked.
    """

    picked: Annotated[Table, int, 1]
    loaded: Annotated[Table, int, 1]
    sizes: Annotated[Table, SizeRow, 1]
    dimensions: Annotated[Table, DimensionRow, 2]
    tau: Annotated[Table, float, 3]
    idle: Annotated[Table, int, 3]
    counts: Annotated[Table, int, 3]
    loops: Annotated[Table, LoopRow, 4]
    inside: Annotated[Table, float, 2]
    seen: Annotated[Table, float, 2]
    cell: Annotated[Table, int, 3]
    floor: Annotated[Table, float, 2]
    path: Annotated[Table, PathRow, 1]
    nothing: Annotated[Table, int, 1]


@once
@formula
def load_column(store: Store, shared: Shared, course: Course, rows: Rows, d: int) -> None:
    """Copy the picked column of one dimension."""
    entry = course.picked[d]
    for k in range(shared.memories.shape[0]):
        column = store.columns[entry, k]
        for c in range(column.above + column.below):
            course.tau[k, d, c] = store.tau[column.tau + c]
            course.cell[k, d, c] = store.cell[column.tau + c]
        for b in range(column.below):
            course.idle[k, d, b] = store.idle[column.counts + b]
            course.counts[k, d, b] = store.counts[column.counts + b]
            for i in range(course.counts[k, d, b]):
                loop = store.loops[column.loops + b * column.longest + i]
                course.loops[k, d, b, i].target = loop.target
                course.loops[k, d, b, i].factor = loop.factor
        course.dimensions[k, d].above, course.dimensions[k, d].below = column.above, column.below
        course.inside[k, d], course.seen[k, d] = store.inside[entry, k], store.seen[entry, k]
    place = store.entries[entry].table
    for r in range(shared.lines.shape[0]):
        coordinates = 1
        if shared.lines[r].memory >= 0:
            column = store.columns[entry, shared.lines[r].memory]
            coordinates = column.above + column.below
        for way in range(3):
            for c in range(coordinates):
                rows.table[r, 0, way, d, c, 0] = store.table[place]
                rows.table[r, 0, way, d, c, 1] = store.table[place + 1]
                place += 2
    course.loaded[d] = entry


@once
@formula
def load(store: Store, shared: Shared, course: Course, rows: Rows) -> None:
    """Copy the picked columns, and number the states of every memory."""
    count, dimensions = shared.memories.shape[0], course.picked.shape[0]
    for d in range(dimensions):
        if course.picked[d] != course.loaded[d]:
            load_column(store, shared, course, rows, d)
    for k in range(count):
        states, above, below = 1, 1, 1
        for e in range(dimensions):
            d = dimensions - 1 - e
            row = course.dimensions[k, d]
            row.stride, row.above_stride, row.below_stride = states, above, below
            row.outer_above, row.outer_stride = 0, 0
            states *= row.above + row.below
            above *= row.above
            below *= row.below
        memory = shared.memories[k]
        course.sizes[k].states, course.sizes[k].above = states, above
        course.sizes[k].flags, course.sizes[k].strict = memory.flags, memory.strict
        course.sizes[k].level = memory.level
    for r in range(shared.lines.shape[0]):
        for way in range(3):
            every, first = 1.0, 1.0
            for d in range(dimensions):
                place = store.entries[course.picked[d]].parts + 6 * r + way
                every *= store.parts[place]
                first *= store.parts[place + 3]
            rows.base[r, 0, way], rows.fresh[r, 0, way] = every, first
    for x in range(shared.open.shape[0]):
        # Worked out before `fresh` is left to those that are not read at first.
        row = shared.open[x]
        r = row.row
        least = row.windows * (
            rows.fresh[r, 0, 0] * rows.coef[r, 0, 0] * row.read
            + rows.fresh[r, 0, 1] * rows.coef[r, 0, 1] * row.written
            + rows.fresh[r, 0, 2] * rows.coef[r, 0, 2] * row.filled
            + rows.fresh[r, 0, 2] * rows.coef[r, 0, 3] * row.entering
        )
        for k in range(count):
            for flags in range(shared.memories[k].flags):
                if x == 0:
                    course.floor[k, flags] = 0.0
                course.floor[k, flags] += shared.is_open[k, flags, x] * least
    for r in range(shared.lines.shape[0]):
        if shared.lines[r].first_visits == 0:
            for way in range(3):
                rows.fresh[r, 0, way] = 0.0


@formula
def slot_of(set_: LabelSet, extent: int, waiting: int) -> int:
    """Slot of the label with a future, or the empty one where it would lie."""
    key, slots = extent * STATES + waiting + 1, set_.slots.shape[0]
    slot = int((key * 2654435761 >> 12) & (slots - 1))
    while set_.slots[slot] != 0 and set_.slots[slot] != key:
        slot = (slot + 1) & (slots - 1)
    return slot


@formula
def settle(
    set_: LabelSet,
    begin: int,
    end: int,
    cost: float,
    extent: int,
    waiting: int,
    parent: int,
    sequence: int,
) -> int:
    """Add a label to those from `begin` to `end`, the cheapest of each future; their new end.

    One past the room if there are too many.
    """
    slot = slot_of(set_, extent, waiting)
    if set_.slots[slot] != 0:
        j = int(set_.holders[slot])
        if set_.costs[j, 0] <= cost:
            return end
    else:
        room: int = set_.costs.shape[0]
        if end >= room or (end - begin) * 2 > set_.slots.shape[0]:
            return room + 1
        j = end
        end += 1
        set_.slots[slot], set_.holders[slot] = extent * STATES + waiting + 1, j
    set_.costs[j, 0] = cost
    set_.rows[j].extent, set_.rows[j].waiting = extent, waiting
    set_.rows[j].parent, set_.rows[j].sequence = parent, sequence
    return end


@formula
def forget(set_: LabelSet, begin: int, end: int) -> None:
    """Empty the slots of the labels from `begin` to `end`."""
    slots, room = set_.slots.shape[0], set_.costs.shape[0]
    if (end - begin) * 8 > slots or end > room:
        for slot in range(slots):
            set_.slots[slot] = 0
        return
    # The last one first, so that no slot that is emptied hides one further on.
    for j in range(begin, end):
        i = end - 1 - (j - begin)
        set_.slots[slot_of(set_, set_.rows[i].extent, set_.rows[i].waiting)] = 0


@formula
def next_place(sequence: int) -> int:
    """Bits of the loops placed while a tensor waited."""
    place_in = 0
    while sequence:
        sequence >>= 4
        place_in += 4
    return place_in


@formula
def may_reach(
    shared: Shared, course: Course, k: int, flags: int, cell: int, goal: Goal, cost: float
) -> bool:
    """Whether a label inside a memory, with the extents of a cell, may still reach the goal."""
    least = max(course.floor[k, flags], shared.to_go[k, shared.subset[k, flags], cell])
    return reaches(goal, goal.numbers.fixed + cost + least, goal.numbers.cycles)


@once
@formula
def pass_memory(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    step: Step,
    shared: Shared,
    course: Course,
    k: int,
    goal: Goal,
    kept: LabelSet,
    begin: int,
    layer: LabelSet,
    grown: LabelSet,
    size: int,
    room: Room,
) -> int:
    """Extend the first `size` labels of a layer, inside a memory, by a loop each.

    Those that need no more are added to `kept`, from ``room.state.found`` on, the others to the
    next layer, `grown`, whose size is returned: more than there is room for if there are too many.
    """
    dimensions, along = room.along.shape[0], room.along
    full, count, end = (1 << dimensions) - 1, 0, room.state.found
    for i in range(size):
        label, into = layer.rows[i], room.costs[1]
        state, flags, mask, cell = label.extent, label.waiting, 0, 0
        for d in range(dimensions):
            row = step.dimensions[d]
            c = state // row.stride % (row.above + row.below)
            along[d].coordinate, along[d].tau = c, step.tau[d, c]
            mask |= (c < row.above) << d
            cell += course.cell[k, d, c]
        if mask == 0 and not has_room(plan, nest, step, room):
            continue
        if not may_reach(shared, course, k, flags, cell, goal, layer.costs[i, 0]):
            continue
        if flags > 0 or mask == full:
            a = stop_extent(step, along)
            if a >= 0:
                into[0] = layer.costs[i, 0]
                new = leave(plan, nest, rows, step, flags, into, room)
                parent, sequence = label.parent, label.sequence
                end = settle(kept, begin, end, into[0], a, new, parent, sequence)
        for d in range(dimensions):
            if flags == 0 and mask & ((1 << d) - 1) != (1 << d) - 1:
                break
            if mask >> d & 1 or (flags > 0 and not step.choices[mask] >> d & 1):
                continue
            c = along[d].coordinate
            b = c - step.dimensions[d].above
            for j in range(step.counts[d, b]):
                loop = step.loops[d, b, j]
                f, target = loop.factor, loop.target
                if f == 1.0 and flags > 0 and not step.sizes.strict:
                    continue
                along[d].tau = step.tau[d, target]
                fits = has_room(plan, nest, step, room)
                along[d].tau = step.tau[d, c]
                if not fits:
                    break  # Nor do the larger ones.
                into[0] = layer.costs[i, 0]
                new = place(plan, nest, rows, step, flags, d, f, target, into, room)
                further = cell - course.cell[k, d, c] + course.cell[k, d, target]
                if not may_reach(shared, course, k, new, further, goal, into[0]):
                    continue
                new_state = state + (target - c) * step.dimensions[d].stride
                sequence = label.sequence
                if flags > 0:
                    sequence |= (d + 1) << next_place(sequence)
                count = settle(grown, 0, count, into[0], new_state, new, label.parent, sequence)
        if count > grown.costs.shape[0] or end > kept.costs.shape[0]:
            break
    room.state.found = end
    return count


@once
@formula
def solve(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    store: Store,
    shared: Shared,
    course: Course,
    kept: LabelSet,
    layer: LabelSet,
    grown: LabelSet,
    goal: Goal,
    room: Room,
) -> int:
    """Find the mapping of least energy of the picked choice, if it reaches the goal.

    Fills in ``course.path`` and its cost, ``room.costs[0, 0]``. Lanes are added to what the goal
    says all mappings share.
    """
    load(store, shared, course, rows)
    count, dimensions = shared.memories.shape[0], course.picked.shape[0]
    room.costs[0, 0] = 0.0
    for d in range(dimensions):
        room.along[d].coordinate, room.along[d].tau = 0, 1.0
    for i in range(shared.fixed.shape[0]):
        charge(plan, nest, rows, shared.fixed[i], room, -1, 1.0, 0, 1, room.costs[0])
    goal.numbers.fixed += room.costs[0, 0]
    kept.costs[0, 0] = 0.0
    kept.rows[0].extent, kept.rows[0].waiting = 0, 0
    kept.rows[0].parent, kept.rows[0].sequence = -1, 0
    if not may_reach(shared, course, count - 1, 0, 0, goal, 0.0):
        return BEATEN
    begin, end = 0, 1
    for j in range(count):
        k = count - 1 - j
        step = Step(
            course.sizes[k],
            course.dimensions[k],
            shared.waiting[k],
            course.tau[k],
            course.idle[k],
            course.counts[k],
            course.loops[k],
            shared.choices[k],
            course.nothing,
            course.inside[k],
            course.seen[k],
            course.nothing,
        )
        size = 0
        for i in range(begin, end):
            if size < layer.costs.shape[0]:
                layer.costs[size, 0] = kept.costs[i, 0]
                layer.rows[size].extent = enter(step, kept.rows[i].extent, room)
                layer.rows[size].waiting = kept.rows[i].waiting
                layer.rows[size].parent, layer.rows[size].sequence = i, 0
            size += 1
        begin, room.state.found = end, end
        for depth in range(dimensions + 1):
            if size <= layer.costs.shape[0]:
                take, give = layer, grown
                if depth % 2 == 1:
                    take, give = grown, layer
                size = pass_memory(
                    plan,
                    nest,
                    rows,
                    step,
                    shared,
                    course,
                    k,
                    goal,
                    kept,
                    begin,
                    take,
                    give,
                    size,
                    room,
                )
                forget(give, 0, size)
        end = room.state.found
        forget(kept, begin, end)
        if size > layer.costs.shape[0] or end > kept.costs.shape[0]:
            return TOO_MANY
        if begin == end:
            return NONE
    best = begin
    for i in range(begin, end):
        if kept.costs[i, 0] < kept.costs[best, 0]:
            best = i
    room.costs[0, 0] = kept.costs[best, 0]
    for j in range(count):
        path = course.path[count - 1 - j]
        path.extent, path.sequence = kept.rows[best].extent, kept.rows[best].sequence
        best = kept.rows[best].parent
    return FOUND


EXTEND, SOLVE = range(2)
"""What `label` does."""


@once
@formula
def label(
    task: int,
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    goal: Goal,
    room: Room,
    own: Least,
    step: Step,
    labels: Labels,
    found: Labels,
    store: Store,
    shared: Shared,
    course: Course,
    kept: LabelSet,
    layer: LabelSet,
    grown: LabelSet,
) -> int:
    """Do one task; they are one kernel, for they share most of its machine code."""
    if task == SOLVE:
        return solve(plan, nest, rows, store, shared, course, kept, layer, grown, goal, room)
    count: int = expand(plan, nest, rows, step, goal, own, labels, found, room)
    return count


LABEL = Kernel("toolkit.search.exact.compiled_least:label", "the exact search's labels")
