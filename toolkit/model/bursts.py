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
new at each step, which touches bursts of its own; last tiles of windows that are cut off, and
sweeps, count like complete ones.
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
from toolkit.model.nest import Nest
from toolkit.model.plan_tables import PlanTables
from toolkit.model.traffic import Mover
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


@formula
def remainder(x: Any, divisor: Any) -> Any:
    """What division leaves over."""
    return x - floor(x / divisor) * divisor


@apart
@formula
def fetched(
    plan: Any, nest: Any, t: int, row: int, inner: Any, factor: Any, value: int, fresh: int
) -> Fetched:
    """Words that a tile touches, or (`fresh`) a step of a window that slides along `inner`.

    The extents of the tile stand in a row, and a value takes `value` units.
    """
    burst, whole_row = plan.bursts[t].burst * nest.one, plan.shape.levels + 2
    stride, length, mean = value * nest.one, value * nest.one, value * nest.one
    count, moved, common, start = nest.one, value * nest.one, burst, 0 * nest.one
    for d in range(plan.shape.dimensions):
        nest.extents[whole_row, d] = plan.sizes[d] * nest.one
    for k in range(plan.tensors[t].axes):
        s = plan.layouts[t, k]
        held = values_of(plan, nest, t, s, row, ALL_GAPS)
        whole = values_of(plan, nest, t, s, whole_row, ALL_GAPS)
        step = 0 * nest.one
        for i in range(plan.axes[t, s].terms):
            d, c = plan.terms[t, s, i].dimension, plan.terms[t, s, i].coefficient
            extent = nest.extents[row, d]
            apart = where(extent < plan.sizes[d] * nest.one, c * extent, 0 * extent)
            common = gcd(common, stride * apart)
            step = where(inner == d, c * extent, step)
        values, usual = held, held
        if plan.axes[t, s].terms > 1:
            values = window(plan, nest, t, s, row)
            if fresh:
                more = swept(plan, nest, t, s, row, inner, factor, values) - values
                more = more / maximum(factor - 1, nest.one)
                # Beyond the window, unless it leaves gaps that are filled all over it.
                beyond = (step > 0) & (more <= step)
                start = start + where(beyond, held * stride, 0 * held)
                held = where(beyond, minimum(step, held), held)
                values = where(step > 0, more, values)
                usual = held
        elif plan.switches.clips:
            # The last one of all tiles may be shorter.
            usual = whole / ceil(whole / held)
        joins = (count == 1) & ((held - 1) * stride < (values - 1) * (length + burst))
        separate = negated(joins) & (held > 1)
        common = where(separate, gcd(common, stride), common)
        if plan.axes[t, s].terms == 1:
            values = usual
        count = where(joins, count, count * values)
        length = where(joins, (held - 1) * stride + length, length)
        mean = where(joins, (usual - 1) * stride + mean, mean)
        moved, stride = moved * values, stride * whole
    ends = remainder(start, common) - remainder(start + length - 1, common)
    return Fetched(count * (burst + mean - 1 + ends), moved)


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

    Lanes are served anew whatever turns: with those inside of the last memory.
    """
    if plan.transfers[x].child < 0:
        return (mover.place >= 0) & (level > plan.nests[x, plan.transfers[x].nested - 1])
    return mover.place < level * plan.shape.dimensions


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
