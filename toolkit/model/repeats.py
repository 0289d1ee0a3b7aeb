"""How often a value of a transfer passes: by dimensions that do not index the tensor."""

from __future__ import annotations

from typing import Any, NamedTuple

from toolkit.lifted import formula, is_idle, where
from toolkit.model.movers import ENTERING, Mover, enters_child, sums_go_on
from toolkit.model.nest import Nest
from toolkit.model.plan_tables import READING, WRITING, PlanTables


class Runs(NamedTuple):
    """Combinations of counters in a complete tile, and in the last, incomplete one."""

    complete: Any
    last: Any


@formula
def counts_apart(
    plan: PlanTables, x: int, i: int, side: int, way: int, place: int, own: int
) -> bool:
    """Whether instances of a spatial level, number `side` of the transfer's, count one by one."""
    if i >= place and way < ENTERING:
        return bool(plan.sharing[x, side, way].shared == 0)
    return own == 0


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
