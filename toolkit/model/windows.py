"""Windows of tensors: what a tile holds, and what enters as it slides along.

`plan` and `nest` are `PlanTables` and a `Nest`, or named tuples with those of their fields that
these formulas use.
"""

from __future__ import annotations

from typing import Any

from toolkit.lifted import floor, formula, maximum, minimum, where
from toolkit.workload.distinct import values_of


@formula
def window(plan: Any, nest: Any, t: int, s: int, row: int) -> Any:
    """Values of an index that are moved."""
    return values_of(plan, nest, t, s, row, plan.switches.window_gaps)


@formula
def tile_values(plan: Any, nest: Any, t: int, row: int) -> Any:
    """Values of a tile where it is held."""
    values = nest.one
    for s in range(plan.tensors[t].axes):
        values = values * values_of(plan, nest, t, s, row, plan.switches.footprint_gaps)
    return values


@formula
def room_taken(plan: Any, nest: Any, t: int, m: int, row: int) -> Any:
    """Room that a tile takes in a memory: in units of `Footing`, which are words without bits."""
    values = tile_values(plan, nest, t, row)
    return values * plan.values[t, m].units if plan.switches.packs else values


@formula
def slides(plan: Any, nest: Any, t: int, s: int, inner: Any, first: int, end: int) -> Any:
    """Whether the window of an index slides along the loop of dimension `inner`.

    No spatial level from `first` to before `end` may split the index.
    """
    inside, split = nest.one < 0, nest.one
    for k in range(plan.axes[t, s].terms):
        d = plan.terms[t, s, k].dimension
        inside = inside | (inner == d)
        for i in range(first, end):
            if not plan.levels[i].is_memory:
                split = split * nest.factors[i, d]
    return inside & (split == 1)


@formula
def swept(
    plan: Any, nest: Any, t: int, s: int, row: int, inner: Any, factor: Any, held: Any
) -> Any:
    """Values that enter while a window of `held` slides through `factor` iterations."""
    pairwise = plan.switches.pairwise_windows
    steps = 2 * nest.one if pairwise else factor
    room = plan.shape.levels + 1
    for k in range(plan.axes[t, s].terms):
        d = plan.terms[t, s, k].dimension
        x = nest.extents[row, d]
        nest.extents[room, d] = where(inner == d, x * steps, x)
    longer = window(plan, nest, t, s, room)
    # A step beyond the window's own length leaves nothing of it, and brings no gap along.
    return held + (factor - 1) * minimum(longer - held, held) if pairwise else longer


@formula
def swept_last(plan: Any, nest: Any, t: int, s: int, row: int, inner: Any, rest: Any) -> Any:
    """Values that enter while a window slides over `rest` iterations of dimension `inner`.

    Its steps are the extents in `row`; the last one is shorter if they do not divide `rest`.
    """
    step = rest
    for k in range(plan.axes[t, s].terms):
        d = plan.terms[t, s, k].dimension
        step = where(inner == d, nest.extents[row, d], step)
    turns = floor(rest / step)
    more = rest - turns * step
    if not plan.switches.pairwise_windows:
        return window_along(plan, nest, t, s, row, inner, rest)
    alone = window_along(plan, nest, t, s, row, inner, where(turns < 1, rest, step))
    twice = window_along(plan, nest, t, s, row, inner, 2 * step)
    longer = window_along(plan, nest, t, s, row, inner, step + more)
    tail = window_along(plan, nest, t, s, row, inner, maximum(more, nest.one))
    values = alone + maximum(turns - 1, 0 * turns) * minimum(twice - alone, alone)
    return where((turns < 1) | (more < 1), values, values + minimum(longer - alone, tail))


@formula
def window_along(plan: Any, nest: Any, t: int, s: int, row: int, inner: Any, extent: Any) -> Any:
    """Values of an index with another extent along dimension `inner`."""
    room = plan.shape.levels + 1
    for k in range(plan.axes[t, s].terms):
        d = plan.terms[t, s, k].dimension
        nest.extents[room, d] = where(inner == d, extent, nest.extents[row, d])
    return window(plan, nest, t, s, room)
