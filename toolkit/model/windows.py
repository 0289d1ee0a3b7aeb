"""Windows of tensors: what a tile holds, and what enters as it slides along.

`plan` and `nest` are `PlanTables` and a `Nest`, or named tuples with those of their fields that
these formulas use.
"""

from __future__ import annotations

from typing import Any

from toolkit.lifted import formula, minimum, where
from toolkit.workload.distinct import values_of


@formula
def window(plan: Any, nest: Any, t: int, s: int, row: int) -> Any:
    """Values of an index that are moved."""
    return values_of(plan, nest, t, s, row, plan.switches.window_gaps)


@formula
def tile_words(plan: Any, nest: Any, t: int, row: int) -> Any:
    """Words that a tile takes where it is held."""
    words = nest.one
    for s in range(plan.tensors[t].axes):
        words = words * values_of(plan, nest, t, s, row, plan.switches.footprint_gaps)
    return words


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
