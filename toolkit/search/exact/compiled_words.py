"""What one transfer moves, as a function of where its innermost kept loop stands.

Written for one choice of all spatial factors. Then a tensor's words depend on the tile inside
the loop that first moves it, on that loop (sliding windows), and on nothing outside: see
`toolkit.search.exact`. The tests hold the sums over all transfers against the cost model.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np

from toolkit.lifted import Table, apart, floor, formula
from toolkit.model.bursts import burst_share
from toolkit.model.nest import Parts
from toolkit.model.plan_tables import BurstRow, LevelRow, ShapeRow, SwitchRow, TensorRow
from toolkit.model.sequential import without_first_visits
from toolkit.model.tiles import window_words
from toolkit.model.totals import in_wordlines
from toolkit.model.values import ValueRow
from toolkit.model.windows import swept, tile_values, window
from toolkit.workload.distinct import AxisRow, Progression, TermRow


class RowRow(NamedTuple):
    """One transfer seen from one memory of its nest.

    ``reuse``: whether stationarity and sliding windows go together. ``rounded``: whether a
    window that slides is exchanged by a rounded division. ``orthogonal``: what a loop that does
    not index the tensor does (`KEEPS` ...). ``closes``: whether the memory is the supplier.
    ``beside``: row of what the same words cost further in, -1 if nothing more. ``leaving``: what
    leaving the memory does (`STAYS` ...). Then factors of reads, writes and entering values, and
    those of reads and writes inside this memory, and outside of it. Then cycles of a value at the
    ports that it passes, if it is waited for, and whether its tiles stay in a systolic array: 0,
    `BY_FILLS` or `BY_DRAINS`. Last whether words are counted in whole bursts, and outputs that are
    complete in the end and then touch others than partial sums do.
    """

    tensor: int
    reuse: int
    rounded: int
    orthogonal: int
    closes: int
    beside: int
    leaving: int
    base_read: float
    base_write: float
    base_enter: float
    pre_read: float
    pre_write: float
    post_read: float
    post_write: float
    wait_read: float = 0.0
    wait_fill: float = 0.0
    wait_write: float = 0.0
    wait_drain: float = 0.0
    stays: int = 0
    bursts: int = 0
    complete: float = 0.0


class Rows(NamedTuple):
    """Transfers, each seen from one memory of its nest; R rows, D dimensions, P costs.

    Attributes
    ----------
    rows : `RowRow` [R]
        What they are.
    ext : [R, 5, D]
        Spatial extents inside the tile: as read, as written, as held by the child, all those
        inside this memory, and of the child with what lies between.
    slide : [R, D]
        Index whose window slides along a dimension, -1 if none.
    coef : [R, P, 9]
        Costs of a word read, written, filled and entering, and of one read with first visits; of
        a cycle of waiting, and of a tile that the child gets; of a word that bursts read and write
        beside those.
    less : [R, 2]
        Cycles that complete outputs take less on their way back to the supplier: there, and at
        the child.
    mult : [R, V]
        Iterations that count beside the loops outside, by state of the tensor.
    table : [R, O, 3, D, C, 2]
        Of ragged spaces, empty otherwise: what a dimension contributes if the walk stands at a
        coordinate, of all instances and (in labels) of the first one, by way: combinations of
        its counters, or of a window complete tiles and last ones.
    base, fresh : [R, O, 3]
        What does not depend on the walk, of all visits and of first ones.
    together : [R, 4]
        Words of all instances that cost energy together, read, written, filled and entering; 1
        where every word does on its own.
    """

    rows: Annotated[Table, RowRow, 1]
    ext: Annotated[Table, float, 3]
    slide: Annotated[Table, int, 2]
    coef: Annotated[Table, float, 3]
    less: Annotated[Table, float, 2]
    mult: Annotated[Table, float, 2]
    table: Annotated[Table, float, 6]
    base: Annotated[Table, float, 3]
    fresh: Annotated[Table, float, 3]
    together: Annotated[Table, float, 2]


class WindowPlan(NamedTuple):
    """What formulas of windows need of a plan: fields of `PlanTables`."""

    shape: Annotated[Any, ShapeRow, 0]
    switches: Annotated[Any, SwitchRow, 0]
    sizes: Annotated[Table, float, 1]
    tensors: Annotated[Table, TensorRow, 1]
    axes: Annotated[Table, AxisRow, 2]
    terms: Annotated[Table, TermRow, 3]
    indexes: Annotated[Table, int, 2]
    levels: Annotated[Table, LevelRow, 1]
    holds: Annotated[Table, int, 2]
    values: Annotated[Table, ValueRow, 2]
    bursts: Annotated[Table, BurstRow, 1]
    layouts: Annotated[Table, int, 2]


class WindowRoom(NamedTuple):
    """What windows need of a nest: fields of `Nest`, of which `extents` has more rows."""

    one: Annotated[Any, 1, 0]
    extents: Annotated[Table, float, 2]
    ragged: Annotated[Table, int, 1]
    terms: Annotated[Table, Progression, 1]
    parts: Annotated[Table, Parts, 1]
    marks: Annotated[Table, np.uint8, 1]


class AlongRow(NamedTuple):
    """Where a walk stands along one dimension.

    Temporal iterations in all, the coordinate of its state, and the temporal extent there.
    """

    n: float
    coordinate: int
    tau: float


class RoomRow(NamedTuple):
    """What a walk returns.

    ``found``: labels found, ``dropped``: those that are not worthwhile. ``extent``, ``waiting``,
    ``sequence``: of a label that follows the cheapest way.
    """

    found: int
    dropped: int
    extent: int
    waiting: int
    sequence: int


class Room(NamedTuple):
    """Working memory of one branch; D dimensions, P costs.

    Attributes
    ----------
    along : `AlongRow` [D]
        Where the walk stands.
    costs : [D + 3, P]
        Costs along a branch.
    stack : `Depth` [D + 3]
        Where a branch stands at every depth.
    moved : [3]
        Values read, written and held by a tile.
    state : `RoomRow`
        What the walk returns.
    """

    along: Annotated[Table, AlongRow, 1]
    costs: Annotated[Table, float, 2]
    stack: Annotated[Table, Depth, 1]
    moved: Annotated[Table, float, 1]
    state: Annotated[Any, RoomRow, 0]


class Depth(NamedTuple):
    """Where a branch stands at one depth: dimension and loop tried next, and its state.

    ``mask``: loops placed; ``sequence``: those placed while a tensor waited.
    """

    d: int
    k: int
    flags: int
    state: int
    mask: int
    sequence: int


class LabelRow(NamedTuple):
    """A partial mapping at some boundary.

    Extents there, states of the tensors, the label that this one extends, and the loops placed
    while a tensor waited (four bits each, the innermost lowest).
    """

    extent: int
    waiting: int
    parent: int
    sequence: int


BY_FILLS, BY_DRAINS = 1, 2
"""How tiles that stay in a systolic array are told from what its memories get or send. 0: none."""
KEEPS, MARKS, COUNTS, RESOLVES = range(4)
"""A loop that does not index the tensor leaves it in place, does so and marks it, does so but
counts all the same, or ends its stay."""
STAYS, UNMARKS, SETTLES = range(3)
"""Outside of a memory the tensor still waits, waits without its mark, or no more if marked."""
AS_READ, AS_WRITTEN, AS_HELD, ALL_INSIDE, AS_SENT = range(5)


class Words(NamedTuple):
    """Words of one transfer in the whole run: what it reads, writes, fills and drains.

    ``raw``: what it would read if first visits were no different. ``tile``: values that the child
    holds at a time. ``more_read``, ``more_written``: what bursts move beside these.
    """

    read: float
    written: float
    filled: float
    entering: float
    raw: float
    tile: float
    more_read: float
    more_written: float


@formula
def with_bursts(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    r: int,
    room: Room,
    d: int,
    f: float,
    own: Words,
) -> Words:
    """Add what bursts move beside the words of a transfer.

    `d` is the dimension along which a window slides through `f` iterations, or -1.
    """
    row, line = rows.rows[r], plan.shape.levels + 8
    if not row.bursts:
        return own
    t = row.tensor
    for e in range(room.along.shape[0]):
        extent = rows.ext[r, AS_SENT, e] * room.along[e].tau
        nest.extents[line, e] = min(extent, plan.sizes[e])
    value, inner = plan.bursts[t].value, float(d)
    more = burst_share(plan, nest, t, line, inner, f, value) - 1.0
    read, written = own.read * more, (own.written - row.complete) * more
    if row.complete > 0.0:
        complete = plan.bursts[t].complete
        more = burst_share(plan, nest, t, line, inner, f, complete) - 1.0
        written += row.complete * more * complete / value
    return Words(own.read, own.written, own.filled, own.entering, own.raw, own.tile, read, written)


@apart
@formula
def words(
    plan: WindowPlan, nest: WindowRoom, rows: Rows, r: int, room: Room, d: int, f: float, v: int
) -> Words:
    """Words of one transfer if the loop of dimension `d` with `f` iterations ends a stay.

    ``room.along`` has the temporal extents inside that loop, `v` is the state of the tensor;
    `d` is -1 if no loop does up to the supplier.
    """
    row, work = rows.rows[r], plan.shape.levels + 4
    t = row.tensor
    events, visits = rows.mult[r, v], rows.mult[r, v]
    for e in range(room.along.shape[0]):
        outer = room.along[e].n / room.along[e].tau
        events *= outer
        if plan.indexes[t, e]:
            for k in range(4):
                nest.extents[work + k, e] = rows.ext[r, k, e] * room.along[e].tau
        else:
            visits *= outer
    slides, moved = -1, room.moved
    if d >= 0 and (row.reuse or v == 1):
        slides = rows.slide[r, d]
    new, held, rounded = 1.0, 1.0, False
    if slides >= 0:
        events /= f
        rounded = row.rounded == 1
        whole = work + (ALL_INSIDE if rounded else AS_HELD)
        held = window(plan, nest, t, slides, whole)
        new = swept(plan, nest, t, slides, whole, float(d), f, held)
    for k in range(3):
        moved[k] = 1.0
        for s in range(plan.tensors[t].axes):
            if s == slides and not rounded:
                moved[k] *= new
            else:
                moved[k] *= window(plan, nest, t, s, work + k)
    if rounded:
        inside = rows.mult[r, v]
        read = floor(moved[AS_READ] * row.pre_read * inside / held) * new
        written = floor(moved[AS_WRITTEN] * row.pre_write * inside / held) * new
        read *= row.post_read * (events / inside)
        written *= row.post_write * (events / inside)
    else:
        read = moved[AS_READ] * (row.base_read * events)
        written = moved[AS_WRITTEN] * (row.base_write * events)
    entering = moved[AS_HELD] * (row.base_enter * events)
    if slides < 0:
        d = -1
    tile = moved[AS_HELD]
    if not plan.tensors[t].is_output:
        own = Words(read, 0.0, entering, 0.0, read, tile, 0.0, 0.0)
        return with_bursts(plan, nest, rows, r, room, d, f, own)
    filled = entering
    if not plan.switches.zero_fills:
        filled = without_first_visits(plan, entering, visits)
    first = without_first_visits(plan, read, visits)
    own = Words(first, written, filled, entering, read, tile, 0.0, 0.0)
    return with_bursts(plan, nest, rows, r, room, d, f, own)


@apart
@formula
def table_words(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    r: int,
    room: Room,
    d: int,
    f: float,
    target: int,
    v: int,
    own: int,
) -> Words:
    """Words of one transfer like `words`, in a ragged space: of all instances or the first one.

    `target` is the coordinate of dimension `d` outside the loop that ends the stay.
    """
    row, slides, moved = rows.rows[r], -1, room.moved
    t = row.tensor
    if d >= 0 and (row.reuse or v == 1):
        slides = rows.slide[r, d]
    for way in range(3):
        line, values, windows = plan.shape.levels + 4 + way, rows.base[r, own, way], 1.0
        for e in range(room.along.shape[0]):
            if not plan.indexes[t, e]:
                values *= rows.table[r, own, way, e, room.along[e].coordinate, 0]
        for s in range(plan.tensors[t].axes):
            if plan.axes[t, s].terms == 1:
                continue
            for k in range(plan.axes[t, s].terms):
                e = plan.terms[t, s, k].dimension
                c, extent = room.along[e].coordinate, rows.ext[r, way, e] * room.along[e].tau
                nest.extents[line, e] = extent
                if slides == s and e == d:
                    c, extent = target, extent * f
                part = nest.parts[k]
                part.complete = rows.table[r, own, way, e, c, 0]
                part.last = rows.table[r, own, way, e, c, 1]
                part.rest = plan.sizes[e] - floor(plan.sizes[e] / extent) * extent
                if extent > plan.sizes[e]:  # What reaches the size is not complete.
                    part.complete, part.last = 0.0, part.complete + part.last
            windows *= window_words(plan, nest, t, s, line, float(d), f, slides == s)
        moved[way] = values * windows
        nest.extents[line, 0] = rows.fresh[r, own, way] * windows
    first = plan.shape.levels + 4
    read, entering, tile = moved[0], moved[2], 1.0
    if row.stays:
        for e in range(room.along.shape[0]):
            extent = rows.ext[r, AS_HELD, e] * room.along[e].tau
            nest.extents[first + 3, e] = min(extent, plan.sizes[e])
        tile = tile_values(plan, nest, t, first + 3)
    if slides < 0:
        d = -1
    if not plan.tensors[t].is_output:
        whole = Words(read, 0.0, entering, 0.0, read, tile, 0.0, 0.0)
        return with_bursts(plan, nest, rows, r, room, d, f, whole)
    filled = entering
    if not plan.switches.zero_fills:
        filled = entering - nest.extents[first + 2, 0]
    net = read - nest.extents[first, 0]
    whole = Words(net, moved[1], filled, entering, read, tile, 0.0, 0.0)
    return with_bursts(plan, nest, rows, r, room, d, f, whole)


@formula
def charged_together(words: float, together: float) -> float:
    """Words of one kind that cost energy."""
    charged = words
    if together != 1.0:
        charged = in_wordlines(words, together)
    return charged


@formula
def charged_words(rows: Rows, r: int, moved: Words) -> Words:
    """Words of one transfer that cost energy: whole wordlines, rounded up once for the run."""
    read, written = moved.read, moved.written
    more_read, more_written = moved.more_read, moved.more_written
    if rows.together[r, 0] != 1.0:
        read, more_read = read + more_read, 0.0
    if rows.together[r, 1] != 1.0:
        written, more_written = written + more_written, 0.0
    return Words(
        charged_together(read, rows.together[r, 0]),
        charged_together(written, rows.together[r, 1]),
        charged_together(moved.filled, rows.together[r, 2]),
        charged_together(moved.entering, rows.together[r, 3]),
        moved.raw,
        moved.tile,
        more_read,
        more_written,
    )
