"""Values that one tensor moves between a memory and its next holder inwards.

The loops of memories that bypass the tensor (or of all outer memories) belong to the supplier's
nest, and what enters and leaves a memory is counted at its own instances. A transfer stands just
inside the innermost loop of its nest that indexes the tensor, the *mover*, and takes place
whenever the body of that loop runs: once for every combination of the counters of all loops
outside it. Loops of one iteration are no loops; a loop that is cut off after one is.

So the dimensions decide one by one. One that indexes the tensor contributes its iterations:
tiles cover each of them once. Any other contributes the combinations of its counters that occur,
of the loops outside the mover and of the instances that are served apart. Tiles start at
multiples of their extents, and all but the last are complete; `repeat` follows both kinds from
level to level. FactorFlow's way to count is in `toolkit.model.sequential`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from toolkit.lifted import (
    Table,
    floor,
    formula,
    is_idle,
    is_never,
    is_single,
    maximum,
    once,
    where,
)
from toolkit.model.nest import Nest, orthogonal
from toolkit.model.plan_tables import ALONE, READING, WRITING, PlanTables
from toolkit.model.windows import slides, swept, swept_last, window
from toolkit.workload.distinct import distinct_sums

ENTERING = 2
"""A third way, beside `READING` and `WRITING`: into the child, where no two instances share.

The words of the other two are counted at a *place*: instances of spatial levels outside of it
count apart, those from there inwards share what they can. At the supplier these are the words it
moves, at a fanout those that its networks take in and hand back, and right inside of it those of
all its instances.
"""


class Mover(NamedTuple):
    """The innermost loop of a transfer's nest that indexes the tensor.

    Attributes
    ----------
    slides : bool or array
        Whether there is one whose steps leave the rest of a window in place.
    place : number or array
        Where it stands among the loops of all levels, outermost first; -1 if there is none, and
        beyond all loops for lanes, which every loop supplies anew.
    dimension, factor : number or array
        What it iterates (-1 and 1 where there is none).
    """

    slides: Any
    place: Any
    dimension: Any
    factor: Any


class Tiles(NamedTuple):
    """Numbers of complete tiles and of last, incomplete ones, and the iterations of the latter."""

    complete: Any
    last: Any
    rest: Any


class Runs(NamedTuple):
    """Combinations of counters in a complete tile, and in the last, incomplete one."""

    complete: Any
    last: Any


@once
@formula
def find_mover(plan: PlanTables, nest: Nest, t: int, x: int) -> Mover:
    """Find the loop inside of which a transfer stands.

    Each memory's loops are asked by dimension, for where they stand: the innermost one counts.
    """
    transfer, nothing, width = plan.transfers[x], 0 * nest.one - 1, plan.shape.dimensions
    place, idle, dimension, factor = nothing, nothing, nothing, nest.one
    if transfer.child < 0:
        place = nest.one * (plan.shape.levels * width)
    for i in range(transfer.nested - 1 if transfer.child >= 0 else -1, -1, -1):
        m = plan.nests[x, i]
        if is_single(nest.levels[m].iterations):
            continue
        waits = place < m * width
        if is_never(waits):
            break
        for d in range(width):
            f = nest.factors[m, d]
            if is_single(f):
                continue
            stands = m * width * nest.one + nest.places[m, d]
            if plan.indexes[t, d]:
                inner = waits & (f > 1) & (stands > place)
                place, factor = where(inner, stands, place), where(inner, f, factor)
                dimension = where(inner, d * nest.one, dimension)
            else:
                idle = where((f > 1) & (stands > idle), stands, idle)
    found = dimension >= 0
    if not plan.levels[transfer.supplier].multiple_reuses:
        found = found & (idle < place)
    return Mover(found, place, dimension, factor)


@formula
def sums_go_on(plan: PlanTables, t: int) -> bool:
    """Whether old values go to one of the instances that sum them up apart, wherever it stands."""
    return bool(plan.tensors[t].is_output != 0 and plan.switches.seeds_all == 0)


@formula
def counts_apart(
    plan: PlanTables, x: int, i: int, side: int, way: int, place: int, own: int
) -> bool:
    """Whether instances of a spatial level, number `side` of the transfer's, count one by one."""
    if i >= place and way < ENTERING:
        return bool(plan.sharing[x, side, way].shared == 0)
    return own == 0


@formula
def enters_child(plan: PlanTables, x: int, place: int) -> bool:
    """Whether what enters the child is asked for: once for all places, at the supplier."""
    return bool(plan.transfers[x].child >= 0 and plan.transfers[x].supplier == place)


@formula
def repeat(
    plan: PlanTables,
    nest: Nest,
    t: int,
    x: int,
    d: int,
    mover: Mover,
    place: int,
    own: int,
    starts: int,
) -> None:
    """Multiply ``nest.runs`` by the counters of a dimension that does not index the tensor.

    By the combinations of them that occur: for what passes a place or enters the child, of
    all instances or (`own`) of the first one there. ``nest.first`` is multiplied by those
    without loops in time, if the tensor `starts` from nothing.
    """
    held, side, width = plan.transfers[x].held, plan.transfers[x].spatial, plan.shape.dimensions
    inward = plan.transfers[x].supplier if sums_go_on(plan, t) else place
    updates, enters = plan.tensors[t].is_output, enters_child(plan, x, place)
    inside = Runs(nest.one, 0 * nest.one)
    if nest.ragged[d]:
        inside = Runs(nest.one, where(nest.cuts[held, d].rest > 0, nest.one, 0 * nest.one))
    read, written, entered, first_read, first_entered = inside, inside, inside, inside, inside
    for i in range(held - 1, -1, -1):
        if plan.levels[i].is_memory:
            if is_idle(nest.factors[i, d]):
                continue
            counts = mover.place > i * width + nest.places[i, d]
            if i < plan.nests[x, 0]:
                counts = nest.one > 0
            read = runs_outside(nest, i, d, counts, read)
            if updates:
                written = runs_outside(nest, i, d, counts, written)
            if enters:
                entered = runs_outside(nest, i, d, counts, entered)
            if starts and nest.ragged[d]:
                first_read = runs_outside(nest, i, d, False, first_read)
                first_entered = runs_outside(nest, i, d, False, first_entered)
        else:
            side -= 1
            if is_idle(nest.factors[i, d]):
                continue
            leaves = counts_apart(plan, x, i, side, READING, inward, own)
            read = runs_outside(nest, i, d, leaves, read)
            if starts:
                first_read = runs_outside(nest, i, d, leaves, first_read)
            if updates:
                returns = counts_apart(plan, x, i, side, WRITING, place, own)
                written = runs_outside(nest, i, d, returns, written)
            if enters:
                arrives = counts_apart(plan, x, i, side, ENTERING, place, own)
                entered = runs_outside(nest, i, d, arrives, entered)
                if starts:
                    first_entered = runs_outside(nest, i, d, arrives, first_entered)
    nest.runs[READING] = nest.runs[READING] * in_all(nest, d, read)
    if updates:
        nest.runs[WRITING] = nest.runs[WRITING] * in_all(nest, d, written)
    if enters:
        nest.runs[ENTERING] = nest.runs[ENTERING] * in_all(nest, d, entered)
    if starts:
        nest.first[READING] = nest.first[READING] * in_all(nest, d, first_read)
        nest.first[ENTERING] = nest.first[ENTERING] * in_all(nest, d, first_entered)


@formula
def in_all(nest: Nest, d: int, runs: Runs) -> Any:
    """Combinations of the counters of all levels."""
    if not nest.ragged[d]:
        return runs.complete
    return nest.cuts[0, d].complete * runs.complete + nest.cuts[0, d].last * runs.last


@formula
def runs_outside(nest: Nest, i: int, d: int, counts: Any, runs: Runs) -> Runs:
    """Continue from the tiles inside a level to its own, where its counter counts or does not."""
    complete, last = runs.complete, runs.last
    if nest.ragged[d]:
        turns = nest.cuts[i, d].turns
        last = where(counts, turns * complete + last, where(turns >= 1, complete, last))
    return Runs(where(counts, complete * nest.factors[i, d], complete), last)


@formula
def tiles_along(plan: PlanTables, nest: Nest, d: int, extent: Any) -> Tiles:
    """Tiles of an extent along a dimension."""
    if not nest.ragged[d]:
        return Tiles(nest.extents[0, d] / extent, 0 * nest.one, 0 * nest.one)
    size = plan.sizes[d] * nest.one
    turns = floor(size / extent)
    rest = size - turns * extent
    return Tiles(turns, where(rest > 0, nest.one, 0 * nest.one), rest)


@formula
def own_tiles_along(
    nest: Nest, d: int, extent: Any, sliding: Any, supplier: int, level: int
) -> Tiles:
    """Those of a level's first instance; of its supplier's where tiles are whole sweeps.

    Windows slide where no spatial level splits them, so that both have the same share of them.
    """
    outer, inner = nest.cuts[supplier, d], nest.cuts[level, d]
    whole = where(sliding, nest.extents[supplier, d], nest.extents[level, d])
    many, last = (
        where(sliding, outer.complete, inner.complete),
        where(sliding, outer.last, inner.last),
    )
    rest = where(sliding, outer.rest, inner.rest)
    turns = floor(rest / extent)
    rest = rest - turns * extent
    return Tiles(many * (whole / extent) + last * turns, where(rest > 0, last, 0 * rest), rest)


@formula
def elements(plan: PlanTables, nest: Nest, d: int, level: int, own: int) -> Any:
    """Iterations of a dimension that indexes the tensor: all, or those of a first instance."""
    if own:
        cut = nest.cuts[level, d]
        return cut.complete * nest.extents[level, d] + cut.last * cut.rest
    return plan.sizes[d] * nest.one if nest.ragged[d] else nest.extents[0, d]


@once
@formula
def cut_index(
    plan: PlanTables,
    nest: Nest,
    t: int,
    s: int,
    row: int,
    mover: Mover,
    sliding: Any,
    supplier: int,
    level: int,
    own: int,
) -> None:
    """Cut the dimensions of an index into tiles whose extents stand in a row.

    Where it is `sliding`, along the mover, tiles are what its sweeps see.
    """
    for k in range(plan.axes[t, s].terms):
        d = plan.terms[t, s, k].dimension
        extent = nest.extents[row, d]
        extent = where(sliding & (mover.dimension == d), extent * mover.factor, extent)
        if own:
            tiles = own_tiles_along(nest, d, extent, sliding, supplier, level)
        else:
            tiles = tiles_along(plan, nest, d, extent)
        part = nest.parts[k]
        part.complete, part.last, part.rest = tiles.complete, tiles.last, tiles.rest


@formula
def window_words(
    plan: Any, nest: Any, t: int, s: int, row: int, inner: Any, factor: Any, sliding: Any
) -> Any:
    """Values of an index in all tiles of ``nest.parts``, complete ones and others.

    Their extents stand in a row. Where it is `sliding`, along dimension `inner`, they are what
    sweeps of `factor` such tiles see.
    """
    room, terms, combinations = plan.shape.levels + 3, plan.axes[t, s].terms, 1
    for k in range(terms):
        if nest.ragged[plan.terms[t, s, k].dimension]:
            combinations = 1 << terms
    words = 0 * nest.one
    for chosen in range(combinations):
        times, cut_off = nest.one, 0 * nest.one
        for k in range(terms):
            d, part = plan.terms[t, s, k].dimension, nest.parts[k]
            extent = nest.extents[row, d]
            if chosen >> k & 1:
                times = times * part.last
                along = sliding & (inner == d)
                cut_off = where(along, part.rest, cut_off)
                extent = where(along, extent, maximum(part.rest, nest.one))
            else:
                times = times * part.complete
            nest.extents[room, d] = extent
        if is_never(times > 0):
            continue
        values = window(plan, nest, t, s, room)
        if not is_never(sliding):
            new = swept(plan, nest, t, s, room, inner, factor, values)
            if not is_never(cut_off > 0):
                length = maximum(cut_off, nest.one)
                shorter = swept_last(plan, nest, t, s, room, inner, length)
                new = where(cut_off > 0, shorter, new)
            values = where(sliding, new, values)
        words = words + times * values
    return words


@formula
def values_alone(plan: PlanTables, nest: Nest, t: int, level: int, own: int) -> Any:
    """Values of all indices of one dimension: all, or those of a level's first instance."""
    values = nest.one
    for s in range(plan.tensors[t].axes):
        if plan.axes[t, s].terms == 1:
            values = values * elements(plan, nest, plan.terms[t, s, 0].dimension, level, own)
    return values


@once
@formula
def index_words(
    plan: PlanTables, nest: Nest, t: int, x: int, s: int, mover: Mover, place: int, own: int
) -> None:
    """Multiply the values of an index of several dimensions into ``nest.words``, by way."""
    transfer, values, first = plan.transfers[x], nest.one, plan.nests[x, 0] + 1
    sliding = mover.slides & slides(plan, nest, t, s, mover.dimension, first, transfer.held)
    for way in range(ENTERING + 1):
        if way == WRITING and not plan.tensors[t].is_output:
            continue
        if way == ENTERING and not enters_child(plan, x, place):
            continue
        if way == READING or own or transfer.selective:
            level = transfer.held if way == ENTERING else place
            row, scattered = transfer.held, nest.one < 0
            if way < ENTERING and transfer.selective:
                scattered = widen(plan, nest, t, s, x, way, place)
                row = plan.shape.levels + 2
            cut_index(plan, nest, t, s, row, mover, sliding, transfer.supplier, level, own)
            inner, factor = mover.dimension, mover.factor
            values = window_words(plan, nest, t, s, row, inner, factor, sliding)
            if row > transfer.held and not is_never(scattered):
                times = nest.one
                for k in range(plan.axes[t, s].terms):
                    times = times * nest.parts[k].complete
                values = where(scattered, times * union(plan, nest, t, s, x, way, place), values)
        nest.words[way] = nest.words[way] * values


@formula
def parts(plan: PlanTables, nest: Nest, t: int, x: int, way: int, place: int) -> Any:
    """How many tiles pass a place at once: those of instances that differ, and copies not shared.

    Of all instances between the supplier and the place.
    """
    count = nest.one
    for i in range(plan.transfers[x].spatial):
        level, sharing = plan.between[x, i], plan.sharing[x, i, way]
        if is_single(nest.levels[level].iterations):
            continue
        shared, selective = sharing.shared, sharing.selective
        if level < place:
            selective = 0
            shared = way == READING and sums_go_on(plan, t)
        for d in range(plan.shape.dimensions):
            how = plan.indexes[t, d]
            copied = how == 0 and plan.listed[level, d] and not shared
            if copied or how == ALONE or (how and not selective):
                count = count * nest.factors[level, d]
    return count


@formula
def widen(plan: PlanTables, nest: Nest, t: int, s: int, x: int, way: int, place: int) -> Any:
    """Widen the extents of an index by the instances that share them, into a row of the nest.

    Returns whether their windows are not adjacent, so that the row does not say how many values
    there are.
    """
    held, spatial = plan.transfers[x].held, plan.transfers[x].spatial
    room, scattered = plan.shape.levels + 2, nest.one < 0
    for k in range(plan.axes[t, s].terms):
        d = plan.terms[t, s, k].dimension
        wide = nest.extents[held, d]
        for i in range(spatial - 1, -1, -1):
            level = plan.between[x, i]
            if plan.sharing[x, i, way].selective and level >= place:
                apart = nest.extents[level + 1, d] != wide
                scattered = scattered | (apart & (nest.factors[level, d] > 1))
                wide = wide * nest.factors[level, d]
        nest.extents[room, d] = wide
    return scattered


@once
@formula
def union(plan: PlanTables, nest: Nest, t: int, s: int, x: int, way: int, place: int) -> Any:
    """Values of windows that are not adjacent."""
    count = 0
    for k in range(plan.axes[t, s].terms):
        d, c = plan.terms[t, s, k].dimension, plan.terms[t, s, k].coefficient
        nest.terms[count].stride = c * nest.one
        nest.terms[count].length = nest.extents[plan.transfers[x].held, d]
        count += 1
        for i in range(plan.transfers[x].spatial):
            level = plan.between[x, i]
            if plan.sharing[x, i, way].selective and level >= place:
                nest.terms[count].stride = c * nest.extents[level + 1, d]
                nest.terms[count].length = nest.factors[level, d]
                count += 1
    return distinct_sums(nest, count)


@once
@formula
def count_per_instance(plan: PlanTables, nest: Nest, t: int) -> None:
    """Fill in what all memories move of one tensor, and what their first instances do.

    Then what crosses fanouts whose wires matter. Outputs start from zero at their first visit,
    unless a bias is read.
    """
    owners = 1
    if nest.ragged[plan.shape.dimensions]:
        owners = 2
    alone = values_alone(plan, nest, t, 0, 0)
    begun, own_begun = 0 * nest.one, 0 * nest.one
    for x in range(plan.tensors[t].transfers, plan.tensors[t].transfers_end):
        transfer, mover = plan.transfers[x], find_mover(plan, nest, t, x)
        # The supplier last: it says how often what lies further in has begun.
        for number in range(transfer.places - 1, -1, -1):
            place = plan.places[x, number]
            for own in range(owners):
                for way in range(ENTERING + 1):
                    nest.words[way] = alone
                    if own:
                        level = transfer.held if way == ENTERING else place
                        nest.words[way] = values_alone(plan, nest, t, level, own)
                for s in range(plan.tensors[t].axes):
                    if plan.axes[t, s].terms > 1:
                        index_words(plan, nest, t, x, s, mover, place, own)
                count_runs(plan, nest, t, x, mover, place, own)
                if number == 0 and x == plan.shape.stationary and own == owners - 1:
                    note_stays(plan, nest, x, own)
                if number > 0:
                    if own:
                        note_crossing(plan, nest, t, x, place, nest.busiest, own_begun)
                    else:
                        note_crossing(plan, nest, t, x, place, nest.moved, begun)
                        if owners == 1:
                            note_even_crossing(plan, nest, t, x, place)
                elif own:
                    own_begun = note_words(plan, nest, t, x, nest.busiest, own_begun)
                else:
                    begun = note_words(plan, nest, t, x, nest.moved, begun)
                    if owners == 1:
                        note_even_words(plan, nest, t, x)


@formula
def note_stays(plan: PlanTables, nest: Nest, x: int, own: int) -> None:
    """Note the values that come to stay in a systolic array, of the first instance."""
    held, entering = plan.transfers[x].held, nest.words[ENTERING] * nest.runs[ENTERING]
    if not own:
        entering = entering / nest.levels[held].active
    nest.levels[held].entering = entering


@formula
def count_runs(
    plan: PlanTables, nest: Nest, t: int, x: int, mover: Mover, place: int, own: int
) -> None:
    """Fill in how often every value of a transfer passes, by way: ever, and at first."""
    starts = plan.tensors[t].is_output and not plan.switches.bias_read
    for way in range(ENTERING + 1):
        nest.runs[way] = nest.one
        nest.first[way] = nest.one if starts else 0 * nest.one
    for d in range(plan.shape.dimensions):
        if not plan.indexes[t, d]:
            repeat(plan, nest, t, x, d, mover, place, own, starts)


@formula
def from_zero(plan: PlanTables, nest: Nest, t: int, x: int, begun: Any) -> Any:
    """How often a value starts from zero where it might come from the supplier, by `count_runs`.

    The supplier's tiles have `begun` from zero so often, by every value, if it is not the
    outermost holder.
    """
    if sums_go_on(plan, t) and x > plan.tensors[t].transfers:
        return begun
    return nest.first[READING]


@formula
def note_words(plan: PlanTables, nest: Nest, t: int, x: int, moved: Table, begun: Any) -> Any:
    """Note who moves the words of a transfer.

    The supplier's tiles have `begun` from zero so often (see `from_zero`); returns how often
    those of the child have. Old sums are read by one of the instances that sum up a value apart,
    and all others start from zero, unless all are to get it.
    """
    supplier, child = plan.transfers[x].supplier, plan.transfers[x].child
    words, runs, first = nest.words, nest.runs, nest.first
    entered, begun = runs[ENTERING], from_zero(plan, nest, t, x, begun)
    read = runs[READING] - begun
    if plan.tensors[t].is_output:
        moved[supplier, t].updates = words[WRITING] * runs[WRITING]
        filled = entered - first[ENTERING]
        if sums_go_on(plan, t):
            filled = read
            begun = begun + (entered - runs[READING])
        if not plan.switches.zero_fills:
            entered = filled
        if child >= 0 and not plan.switches.free_drains:
            moved[child, t].drains = words[ENTERING] * runs[ENTERING]
    moved[supplier, t].reads = words[READING] * read
    if child >= 0:
        moved[child, t].fills = words[ENTERING] * entered
    return begun


@formula
def note_even_words(plan: PlanTables, nest: Nest, t: int, x: int) -> None:
    """Note the words of first instances where all of them have tiles of the same size.

    Of the instances that sum up a value apart, the first one goes on with old sums.
    """
    supplier, child = plan.transfers[x].supplier, plan.transfers[x].child
    words, runs, first = nest.words, nest.runs, nest.first
    active = nest.levels[supplier].active
    nest.busiest[supplier, t].reads = words[READING] * (runs[READING] - first[READING]) / active
    if plan.tensors[t].is_output:
        nest.busiest[supplier, t].updates = nest.moved[supplier, t].updates / active
    if child >= 0:
        active, entered = nest.levels[child].active, runs[ENTERING] - first[ENTERING]
        if plan.switches.zero_fills:
            entered = runs[ENTERING]
        nest.busiest[child, t].fills = words[ENTERING] * entered / active
        if plan.tensors[t].is_output:
            nest.busiest[child, t].drains = nest.moved[child, t].drains / active


@formula
def note_crossing(
    plan: PlanTables, nest: Nest, t: int, x: int, place: int, moved: Table, begun: Any
) -> None:
    """Note what crosses a fanout: what its networks take in and hand back, or its instances.

    Nothing comes in where a value starts from zero (see `from_zero`).
    """
    outwards = 0 * nest.one
    inwards = nest.words[READING] * (nest.runs[READING] - from_zero(plan, nest, t, x, begun))
    if plan.tensors[t].is_output:
        outwards = nest.words[WRITING] * nest.runs[WRITING]
    note_at(plan, moved, t, place, inwards, outwards)


@formula
def note_even_crossing(plan: PlanTables, nest: Nest, t: int, x: int, place: int) -> None:
    """Note what crosses the first network where all tiles have the same size.

    Old sums on their way inwards all pass the first of the networks that sum up a value apart.
    """
    active, outwards = nest.levels[place].active, 0 * nest.one
    inwards = nest.words[READING] * (nest.runs[READING] - nest.first[READING])
    if plan.tensors[t].is_output:
        outwards = nest.words[WRITING] * nest.runs[WRITING] / active
    if sums_go_on(plan, t):
        for i in range(plan.transfers[x].spatial):
            if plan.between[x, i] < place:
                inwards = inwards * orthogonal(plan, nest, t, plan.between[x, i])
    note_at(plan, nest.busiest, t, place, inwards / active, outwards)


@formula
def note_at(
    plan: PlanTables, moved: Table, t: int, place: int, inwards: Any, outwards: Any
) -> None:
    """Note values that pass a place with the fanouts on either side of it."""
    if plan.levels[place].wired:
        moved[place, t].reads, moved[place, t].updates = inwards, outwards
    if plan.levels[place - 1].wired:
        moved[place - 1, t].fills, moved[place - 1, t].drains = inwards, outwards
