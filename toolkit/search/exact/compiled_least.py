"""The mapping of least energy of one choice of a ragged space, in one call.

A choice is a column of extents per dimension (`toolkit.search.exact.columns`). Columns lie in
one store, and a choice is copied from there to a `Course`, of which each memory is a `Step` for
the labels of `compiled_labels`. Of labels with the same future only the cheapest is kept.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from toolkit.compilation import Kernel
from toolkit.lifted import Table, formula, once
from toolkit.search.exact.compiled_labels import Goal, Labels, expand, worthwhile
from toolkit.search.exact.compiled_steps import (
    DimensionRow,
    Least,
    LoopRow,
    SizeRow,
    Step,
    WaitingRow,
    charge,
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
    tau : [sum of extents]
        Temporal extents, those above a memory, then those below.
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
    """

    memories: Annotated[Table, MemoryRow, 1]
    waiting: Annotated[Table, WaitingRow, 2]
    choices: Annotated[Table, int, 2]
    lines: Annotated[Table, LineRow, 1]
    fixed: Annotated[Table, int, 1]
    open: Annotated[Table, OpenRow, 1]
    is_open: Annotated[Table, float, 3]


class PathRow(NamedTuple):
    """Extents above a memory and loops placed there, innermost memory first."""

    extent: int
    sequence: int


class Course(NamedTuple):
    """One choice, and the labels of its memories.

    Attributes
    ----------
    picked, loaded : [D]
        Entries of the choice, and those that the arrays hold.
    sizes, dimensions, tau, idle, counts, loops, inside, seen
        See `Step`, with one more index: the memory.
    floor : [K, flags, 1]
        See `Goal`.
    costs, rows : [N, 1], `LabelRow` [N]
        Labels, memory after memory, then room for those of a few to be extended.
    begins : [K + 1]
        Where those of a memory begin.
    slots, holders : [slots]
        Futures of the labels of one memory, and the labels.
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
    floor: Annotated[Table, float, 3]
    costs: Annotated[Table, float, 2]
    rows: Annotated[Table, LabelRow, 1]
    begins: Annotated[Table, int, 1]
    slots: Annotated[Table, int, 1]
    holders: Annotated[Table, int, 1]
    path: Annotated[Table, PathRow, 1]
    nothing: Annotated[Table, int, 1]


AT_ONCE = 64
"""Labels extended before those with the same future are merged."""


@once
@formula
def load_column(store: Store, shared: Shared, course: Course, rows: Rows, d: int) -> None:
    """Copy the picked column of one dimension."""
    entry = course.picked[d]
    for k in range(shared.memories.shape[0]):
        column = store.columns[entry, k]
        for c in range(column.above + column.below):
            course.tau[k, d, c] = store.tau[column.tau + c]
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
                    course.floor[k, flags, 0] = 0.0
                course.floor[k, flags, 0] += shared.is_open[k, flags, x] * least
    for r in range(shared.lines.shape[0]):
        if shared.lines[r].first_visits == 0:
            for way in range(3):
                rows.fresh[r, 0, way] = 0.0


@once
@formula
def merge(course: Course, count: int, begin: int, end: int, place: int) -> int:
    """Add labels from `place` on to those of a memory, one per future; returns their new end.

    -1 if there are too many.
    """
    slots = course.slots.shape[0]
    for i in range(place, place + count):
        waiting, extent = course.rows[i].waiting, course.rows[i].extent
        key = extent * 65536 + waiting + 1
        slot = (key * 2654435761 >> 12) & (slots - 1)
        while course.slots[slot] != 0 and course.slots[slot] != key:
            slot = (slot + 1) & (slots - 1)
        j = course.holders[slot]
        if course.slots[slot] == 0:
            if end == place or (end - begin) * 2 > slots:
                return -1
            j = end
            end += 1
            course.slots[slot], course.holders[slot] = key, j
        elif course.costs[j, 0] <= course.costs[i, 0]:
            continue
        course.costs[j, 0] = course.costs[i, 0]
        course.rows[j].extent, course.rows[j].waiting = extent, waiting
        course.rows[j].parent = course.rows[i].parent
        course.rows[j].sequence = course.rows[i].sequence
    return end


@once
@formula
def forget(course: Course, begin: int, end: int) -> None:
    """Empty the slots that labels of a memory hold."""
    slots = course.slots.shape[0]
    if (end - begin) * 8 > slots:
        for slot in range(slots):
            course.slots[slot] = 0
        return
    # In the order in which they came, so that no empty slot hides one further on.
    for i in range(end - 1, begin - 1, -1):
        key = course.rows[i].extent * 65536 + course.rows[i].waiting + 1
        slot = (key * 2654435761 >> 12) & (slots - 1)
        while course.slots[slot] != key:
            slot = (slot + 1) & (slots - 1)
        course.slots[slot] = 0


@once
@formula
def solve(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    store: Store,
    shared: Shared,
    course: Course,
    goal: Goal,
    own: Least,
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
    course.costs[0, 0] = 0.0
    course.rows[0].extent, course.rows[0].waiting = 0, 0
    course.rows[0].parent, course.rows[0].sequence = -1, 0
    course.begins[0], end = 0, 1
    first = Goal(goal.numbers, goal.front, course.floor[count - 1])
    if not worthwhile(first, course.costs[0], own.rest, 0, 0):
        return BEATEN
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
        reached = Goal(goal.numbers, goal.front, course.floor[k])
        begin, place = end, course.begins[j]
        while place < begin:
            last = min(place + AT_ONCE, begin)
            free = course.costs.shape[0] - (course.costs.shape[0] - end) // 2
            labels = Labels(course.costs[place:last], course.rows[place:last])
            found = Labels(course.costs[free:], course.rows[free:])
            room.state.found = 0
            done = expand(plan, nest, rows, step, reached, own, labels, found, room)
            grown = room.state.found
            for i in range(free, free + grown):
                course.rows[i].parent += place
            end = merge(course, grown, begin, end, free)
            if end < 0 or done == 0:
                for slot in range(course.slots.shape[0]):
                    course.slots[slot] = 0
                return TOO_MANY
            place += done
        forget(course, begin, end)
        course.begins[j + 1] = begin
        if begin == end:
            return NONE
    best = course.begins[count]
    for i in range(course.begins[count], end):
        if course.costs[i, 0] < course.costs[best, 0]:
            best = i
    room.costs[0, 0] = course.costs[best, 0]
    for j in range(count):
        path = course.path[count - 1 - j]
        path.extent, path.sequence = course.rows[best].extent, course.rows[best].sequence
        best = course.rows[best].parent
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
) -> int:
    """Do one task; they are one kernel, for they share most of its machine code."""
    if task == SOLVE:
        return solve(plan, nest, rows, store, shared, course, goal, own, room)
    count: int = expand(plan, nest, rows, step, goal, own, labels, found, room)
    return count


LABEL = Kernel("toolkit.search.exact.compiled_least:label", "the exact search's labels")
