"""What the tiles of a memory take, and whether there is room for them."""

from __future__ import annotations

from math import inf
from typing import Any

from toolkit.lifted import ceil, formula, minimum, once
from toolkit.model.nest import Nest
from toolkit.model.plan_tables import A_TILE, ALL_SEEN, IN_WINDOW, PlanTables
from toolkit.model.tiles import elements
from toolkit.model.windows import room_taken


@once
@formula
def fits(plan: PlanTables, nest: Nest) -> Any:
    """Whether all memories have room for what they hold; needs `measure_tiles`."""
    room = nest.one > 0
    for m in range(plan.shape.levels):
        usable = plan.levels[m].usable_words
        if plan.levels[m].is_memory and usable != inf:
            room = room & (held_words(plan, nest, m) <= usable)
    return room


@formula
def held_words(plan: PlanTables, nest: Nest, m: int) -> Any:
    """Words that the tiles of a memory take, one copy of each; needs `measure_tiles`."""
    words, row, kept = 0 * nest.one, m, plan.shape.levels + 2
    if nest.ragged[plan.shape.dimensions]:
        row = clipped_extents(plan, nest, m)
    for t in range(plan.shape.tensors):
        if plan.holds[t, m] == A_TILE:
            words = words + room_taken(plan, nest, t, m, row)
        elif plan.holds[t, m] == ALL_SEEN:
            for d in range(plan.shape.dimensions):
                nest.extents[kept, d] = seen_in_run(plan, nest, t, m, d)
            words = words + room_taken(plan, nest, t, m, kept)
    if plan.switches.packs:
        words = ceil(words / plan.levels[m].units_per_word)
    return words


@formula
def clipped_extents(plan: PlanTables, nest: Nest, m: int) -> int:
    """Write the extents of a memory's complete tiles, or the sizes, into a row; its number."""
    row = plan.shape.levels + 3
    for d in range(plan.shape.dimensions):
        nest.extents[row, d] = minimum(nest.extents[m, d], plan.sizes[d] * nest.one)
    return int(row)


@formula
def seen_in_run(plan: PlanTables, nest: Nest, t: int, m: int, d: int) -> Any:
    """Iterations of a dimension that the first instance of a memory sees in the whole run.

    In a window of the tensor those from the first to the last one (`toolkit.mapping.kept`).
    """
    if nest.ragged[plan.shape.dimensions] and plan.indexes[t, d] != IN_WINDOW:
        return elements(plan, nest, d, m, 1)
    extent, apart = nest.extents[m, d], plan.indexes[t, d] == IN_WINDOW
    for i in range(m - 1, -1, -1):
        if plan.levels[i].is_memory:
            if apart:
                extent = extent + (nest.factors[i, d] - 1) * nest.extents[i + 1, d]
            else:
                extent = extent * nest.factors[i, d]
    return minimum(extent, plan.sizes[d] * nest.one)
