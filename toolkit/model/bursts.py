"""Whole bursts of the outermost memory: the words that a tile's rows touch beside its own.

Tensors lie densely, in the order of axes that the layout says (`toolkit.arch.layout`). What is
sent at once, to the instances of a child and of all fanouts inside of the loop that moves the
tensor, is a *tile*; it consists of *runs* of adjacent values, along an axis of which it has a
part, that go on over all axes further in of which it has all. Runs less than a burst apart
count as one, with what lies between. A tile touches every burst that has a part of one of its
runs, once, whatever has been moved before.

Tiles start at multiples of their steps, so that runs start at multiples of some g, which divides
a burst of b words. Where all of these occur equally often, a run of L words touches
``b + (L - 1) - (L - 1) mod g`` words on average: ``L + b - g`` if g divides L. That is exact for
many rows, and less than a burst off for each run otherwise. A window that slides moves what is
new at each step, which touches bursts of its own. Last tiles of windows count like complete ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from toolkit.lifted import (
    apart,
    ceil,
    floor,
    formula,
    gcd,
    is_never,
    maximum,
    minimum,
    negated,
    where,
)
from toolkit.model.movers import Mover
from toolkit.model.nest import Nest
from toolkit.model.plan_tables import PlanTables
from toolkit.model.windows import slides, swept, window
from toolkit.workload.distinct import ALL_GAPS, values_of


class Fetched(NamedTuple):
    """Of one tile: words of all bursts that it touches, and those that are moved; in units."""

    touched: Any
    moved: Any


class Sent(NamedTuple):
    """What leaves the outermost memory at once.

    Attributes
    ----------
    row : int
        Row of extents of the tile.
    inner, factor : number or array
        Dimension along which a window slides, -1 if none does, and how often.
    """

    row: int
    inner: Any
    factor: Any


class Run(NamedTuple):
    """Adjacent values, or nearly so: of a tile as far as its axes are looked at.

    Attributes
    ----------
    length : number or array
        From its first value to its last one, in units.
    values : number or array
        Units that are moved.
    count : number or array
        How many there are in the tile.
    apart : number or array
        At multiples of how many units they begin; 0 if there is one.
    """

    length: Any
    values: Any
    count: Any
    apart: Any


@formula
def remainder(x: Any, divisor: Any) -> Any:
    """What division leaves over."""
    return x - floor(x / divisor) * divisor


@formula
def extended(run: Run, positions: Any, values: Any, stride: Any, burst: Any) -> Run:
    """Go on to the next axis outwards, whose `positions` lie a stride apart.

    Runs become one if no more is touched then than by themselves.
    """
    joins = (run.count == 1) & ((positions - 1) * stride < (values - 1) * (run.length + burst))
    apart = where(negated(joins) & (positions > 1) & (run.apart == 0), stride, run.apart)
    return Run(
        where(joins, (positions - 1) * stride + run.length, run.length),
        where(joins, run.values * values, run.values),
        where(joins, run.count, run.count * values),
        apart,
    )


@formula
def touched_by(run: Run, start: Any, common: Any, burst: Any) -> Any:
    """Units of all bursts that a run touches which begins at `start` beyond what is common."""
    g = gcd(run.apart, common)
    return burst + run.length - 1 + remainder(start, g) - remainder(start + run.length - 1, g)


class Part(NamedTuple):
    """What a tile has of an axis: positions from its first to its last, and values.

    Of a step of a window that slides, what is new: `start` positions further on.
    """

    positions: Any
    values: Any
    start: Any


@formula
def spaced(
    plan: Any,
    nest: Any,
    t: int,
    s: int,
    row: int,
    inner: Any,
    factor: Any,
    stride: Any,
    common: Any,
) -> Any:
    """Go on to an axis: what the distances between places where tiles begin have in common."""
    for i in range(plan.axes[t, s].terms):
        d, c = plan.terms[t, s, i].dimension, plan.terms[t, s, i].coefficient
        # Sweeps lie further apart than their steps.
        extent = nest.extents[row, d]
        extent = where(inner == d, extent * factor, extent)
        apart = where(extent < plan.sizes[d] * nest.one, c * extent, 0 * extent)
        common = gcd(stride * apart, common)
    return common


@formula
def step_along(plan: Any, nest: Any, t: int, s: int, row: int, inner: Any) -> Any:
    """Positions of an axis from one step to the next of a window that slides, 0 if none does."""
    step = 0 * nest.one
    for i in range(plan.axes[t, s].terms):
        d, c = plan.terms[t, s, i].dimension, plan.terms[t, s, i].coefficient
        step = where(inner == d, c * nest.extents[row, d], step)
    return step


@formula
def new_part(
    plan: Any, nest: Any, t: int, s: int, row: int, inner: Any, factor: Any, held: Part
) -> Part:
    """What a step brings: beyond the window, unless it leaves gaps that are filled all over it."""
    step = step_along(plan, nest, t, s, row, inner)
    values = swept(plan, nest, t, s, row, inner, factor, held.values) - held.values
    values = values / maximum(factor - 1, nest.one)
    beyond = (step > 0) & (values <= step)
    return Part(
        where(beyond, minimum(step, held.positions), held.positions),
        where(step > 0, values, held.values),
        where(beyond, held.positions, 0 * step),
    )


@apart
@formula
def fetched(
    plan: Any, nest: Any, t: int, row: int, inner: Any, factor: Any, value: int, fresh: int
) -> Fetched:
    """Words that a tile touches, or (`fresh`) a step of a window that slides along `inner`.

    The extents of the tile stand in a row, and a value takes `value` units. Averaged over all
    tiles: where the innermost axis that is cut off leaves one that is shorter, over that one,
    too; axes further out count as if they were cut into equal tiles.
    """
    burst, whole_row = plan.bursts[t].burst * nest.one, plan.shape.levels + 2
    one, nothing = value * nest.one, 0 * nest.one
    full = last = Run(one, one, nest.one, nothing)
    stride, common, start, share = one, burst, nothing, nothing
    for d in range(plan.shape.dimensions):
        nest.extents[whole_row, d] = plan.sizes[d] * nest.one
    for k in range(plan.tensors[t].axes):
        s = plan.layouts[t, k]
        positions = values_of(plan, nest, t, s, row, ALL_GAPS)
        whole = values_of(plan, nest, t, s, whole_row, ALL_GAPS)
        common = spaced(plan, nest, t, s, row, inner, factor, stride, common)
        part = rest = Part(positions, positions, nothing)
        if plan.axes[t, s].terms > 1:
            part = rest = Part(positions, window(plan, nest, t, s, row), nothing)
            if fresh:
                part = rest = new_part(plan, nest, t, s, row, inner, factor, part)
                start = start + part.start * stride
                step = step_along(plan, nest, t, s, row, inner)
                common = gcd(where(factor > 2, step * stride, nothing), common)
        elif plan.switches.clips:
            tiles = ceil(whole / positions)
            cut_off = (share == 0) & (tiles * positions > whole)
            positions = where(cut_off, positions, whole / tiles)
            shorter = where(cut_off, whole - (tiles - 1) * positions, positions)
            share = where(cut_off, 1 / tiles, share)
            part, rest = Part(positions, positions, nothing), Part(shorter, shorter, nothing)
        full = extended(full, part.positions, part.values, stride, burst)
        last = extended(last, rest.positions, rest.values, stride, burst)
        stride = stride * whole
    touched = full.count * touched_by(full, start, common, burst)
    moved = full.count * full.values
    if not is_never(share > 0):
        less = last.count * touched_by(last, start, common, burst)
        touched = (1 - share) * touched + share * less
        moved = (1 - share) * moved + share * last.count * last.values
    return Fetched(touched, moved)


@formula
def burst_share(
    plan: Any, nest: Any, t: int, row: int, inner: Any, factor: Any, value: int
) -> Any:
    """Words of all bursts that tiles touch by words that they move: 1 or more.

    See `Sent` for `row`, `inner` and `factor`; a value takes `value` units.
    """
    first = fetched(plan, nest, t, row, inner, factor, value, 0)
    touched, moved = first.touched, first.moved
    if not is_never(inner >= 0):
        more = fetched(plan, nest, t, row, inner, factor, value, 1)
        times = where(inner >= 0, factor - 1, 0 * nest.one)
        touched, moved = touched + times * more.touched, moved + times * more.moved
    return touched / moved


@formula
def lies_inside(plan: PlanTables, x: int, level: int, mover: Mover) -> Any:
    """Whether a spatial level lies inside of the loop that moves a transfer's tensor.

    Every loop moves what lanes get, so that of these it is the innermost one of the last memory.
    """
    place = mover.place
    if plan.transfers[x].child < 0:
        last = plan.nests[x, plan.transfers[x].nested - 1]
        place = (last * plan.shape.dimensions) * (0 * mover.factor + 1)
    return place < level * plan.shape.dimensions


@formula
def sent_at_once(plan: PlanTables, nest: Nest, t: int, x: int, mover: Mover) -> Sent:
    """Write the extents of what leaves the outermost memory at once into a row."""
    row, held = plan.shape.levels + 4, plan.transfers[x].held
    first, slid = plan.nests[x, 0] + 1, nest.one < 0
    for s in range(plan.tensors[t].axes):
        if plan.axes[t, s].terms > 1:
            slid = slid | slides(plan, nest, t, s, mover.dimension, first, held)
    for d in range(plan.shape.dimensions):
        extent = nest.extents[held, d]
        for i in range(plan.transfers[x].spatial):
            level = plan.between[x, i]
            inside = lies_inside(plan, x, level, mover)
            extent = where(inside, extent * nest.factors[level, d], extent)
        nest.extents[row, d] = minimum(extent, plan.sizes[d] * nest.one)
    return Sent(row, where(mover.slides & slid, mover.dimension, 0 * nest.one - 1), mover.factor)


@formula
def first_share(plan: PlanTables, nest: Nest, t: int, x: int) -> Any:
    """Share like `burst_share` of the first tiles of all instances, which come at once."""
    row, held = plan.shape.levels + 4, plan.transfers[x].held
    for d in range(plan.shape.dimensions):
        extent = nest.extents[held, d]
        for i in range(plan.transfers[x].spatial):
            extent = extent * nest.factors[plan.between[x, i], d]
        nest.extents[row, d] = minimum(extent, plan.sizes[d] * nest.one)
    nowhere = 0 * nest.one - 1
    return burst_share(plan, nest, t, row, nowhere, nest.one, plan.bursts[t].value)
