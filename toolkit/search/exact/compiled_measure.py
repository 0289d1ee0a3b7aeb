"""Costs of one transfer without a choice."""

from __future__ import annotations

from toolkit.compilation import compiled
from toolkit.model.compiled_plan import Floats, KernelPlan, Scratch
from toolkit.search.exact.compiled_steps import add_costs
from toolkit.search.exact.compiled_words import Rows, words


@compiled
def measure_into(
    plan: KernelPlan,
    rows: Rows,
    r: int,
    n: Floats,
    tau: Floats,
    work: Floats,
    into: Floats,
    scratch: Scratch,
) -> None:
    """Add the costs of row `r` with extents `tau` to `into` [P]."""
    add_costs(rows, r, words(plan, rows, r, n, tau, -1, 1.0, 1, work, scratch), into)
