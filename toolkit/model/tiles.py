"""Values of a transfer: tiles along the dimensions that index the tensor, and their windows."""

from __future__ import annotations

from typing import Any, NamedTuple

from toolkit.lifted import floor, formula, is_never, is_single, maximum, once, where
from toolkit.model.movers import ENTERING, Mover, enters_child, sums_go_on
from toolkit.model.nest import Nest
from toolkit.model.plan_tables import ALONE, READING, WRITING, PlanTables
from toolkit.model.windows import slides, swept, swept_last, window
from toolkit.workload.distinct import distinct_sums


class Tiles(NamedTuple):
    """Numbers of complete tiles and of last, incomplete ones, and the iterations of the latter."""

    complete: Any
    last: Any
    rest: Any


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
