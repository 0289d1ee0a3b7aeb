"""One choice of a ragged space as kernels read it: columns of extents, copied from a store.

A choice is a column of extents per dimension (`toolkit.search.exact.columns`). Columns lie in
one store, and a choice is copied from there to a `Course`, of which each memory is a `Step` for
the labels of `compiled_labels`.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from toolkit.lifted import Table, formula, once
from toolkit.search.exact.compiled_steps import (
    DimensionRow,
    FirstRow,
    LoopRow,
    SizeRow,
    WaitingRow,
)
from toolkit.search.exact.compiled_words import Rows


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
    raw: float


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
    nothing, unseen, first, ends : [0], [0], [0], [0, 0]
        What is worked out when it is asked, and what is no part of the energy.
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
    unseen: Annotated[Table, float, 1]
    first: Annotated[Table, FirstRow, 1]
    ends: Annotated[Table, float, 2]


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
            + rows.fresh[r, 0, 0] * rows.coef[r, 0, 4] * row.raw
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
