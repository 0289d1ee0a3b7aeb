"""Values that one tensor moves between a memory and its next holder inwards.

The loops of memories that bypass the tensor (or of all outer memories) belong to the supplier's
nest, and what enters and leaves a memory is counted at its own instances. FactorFlow's way to
count is in `toolkit.model.sequential`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from toolkit.lifted import ceil, formula, is_never, is_single, negated, once, where
from toolkit.model.nest import Nest, orthogonal, scan
from toolkit.model.plan_tables import ALONE, READING, WRITING, PlanTables
from toolkit.model.windows import slides, swept, window
from toolkit.workload.distinct import distinct_sums


class Traffic(NamedTuple):
    """Counts of one transfer per iteration of everything outside its nest.

    Attributes
    ----------
    reads, writes : number or array
        Values read from and (for outputs) written to the supplier, summed over the instances
        inside one instance of the supplier.
    entering : number or array
        Values that enter one instance of the child; as many leave it.
    revisits : number or array
        How often the same tile of outputs comes back within the nest.
    """

    reads: Any
    writes: Any
    entering: Any
    revisits: Any


@once
@formula
def per_instance(plan: PlanTables, nest: Nest, t: int, x: int) -> Traffic:
    """Traffic of one transfer.

    Multiply-accumulate lanes hold nothing: every step fetches anew.
    """
    transfer, stay = plan.transfers[x], scan(plan, nest, t, x)
    free = stay.found
    if not plan.levels[transfer.supplier].multiple_reuses:
        free = free & negated(stay.skipped)
    reads, writes, entering, events = nest.one, nest.one, nest.one, stay.kept
    for s in range(plan.tensors[t].axes):
        held = window(plan, nest, t, s, transfer.held)
        read, written = held, held
        if plan.axes[t, s].terms > 1:
            if transfer.selective:
                read = served(plan, nest, t, s, x, READING)
                written = served(plan, nest, t, s, x, WRITING)
            first = plan.nests[x, 0] + 1
            sliding = free & slides(plan, nest, t, s, stay.inner, first, transfer.held)
            if not is_never(sliding):
                new = swept(plan, nest, t, s, transfer.held, stay.inner, stay.factor, held)
                held = where(sliding, new, held)
                read, written = where(sliding, new, read), where(sliding, new, written)
                events = where(sliding, events / stay.factor, events)
        reads, writes, entering = reads * read, writes * written, entering * held
    return Traffic(
        reads * events * parts(plan, nest, t, x, READING),
        writes * events * parts(plan, nest, t, x, WRITING),
        entering * events,
        stay.revisits,
    )


@formula
def parts(plan: PlanTables, nest: Nest, t: int, x: int, way: int) -> Any:
    """How many tiles leave at once: those of instances that differ, and copies not shared."""
    count = nest.one
    for i in range(plan.transfers[x].spatial):
        level, sharing = plan.between[x, i], plan.sharing[x, i, way]
        if is_single(nest.levels[level].iterations):
            continue
        for d in range(plan.shape.dimensions):
            how = plan.indexes[t, d]
            copied = how == 0 and plan.listed[level, d] and not sharing.shared
            if copied or how == ALONE or (how and not sharing.selective):
                count = count * nest.factors[level, d]
    return count


@once
@formula
def served(plan: PlanTables, nest: Nest, t: int, s: int, x: int, way: int) -> Any:
    """Values of an index to send at once so that instances which share them get their windows."""
    scattered = widen(plan, nest, t, s, x, way)
    values = window(plan, nest, t, s, plan.shape.levels + 2)
    if not is_never(scattered):
        values = where(scattered, union(plan, nest, t, s, x, way), values)
    return values


@formula
def widen(plan: PlanTables, nest: Nest, t: int, s: int, x: int, way: int) -> Any:
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
            if plan.sharing[x, i, way].selective:
                level = plan.between[x, i]
                apart = nest.extents[level + 1, d] != wide
                scattered = scattered | (apart & (nest.factors[level, d] > 1))
                wide = wide * nest.factors[level, d]
        nest.extents[room, d] = wide
    return scattered


@once
@formula
def union(plan: PlanTables, nest: Nest, t: int, s: int, x: int, way: int) -> Any:
    """Values of windows that are not adjacent."""
    count = 0
    for k in range(plan.axes[t, s].terms):
        d, c = plan.terms[t, s, k].dimension, plan.terms[t, s, k].coefficient
        nest.terms[count].stride = c * nest.one
        nest.terms[count].length = nest.extents[plan.transfers[x].held, d]
        count += 1
        for i in range(plan.transfers[x].spatial):
            if plan.sharing[x, i, way].selective:
                level = plan.between[x, i]
                nest.terms[count].stride = c * nest.extents[level + 1, d]
                nest.terms[count].length = nest.factors[level, d]
                count += 1
    return distinct_sums(nest, count)


@formula
def outer_visits(plan: PlanTables, nest: Nest, t: int, level: int) -> Any:
    """How often memories outside a level come back to the same outputs."""
    visits = nest.one
    for m in range(level):
        if plan.levels[m].is_memory and not is_single(nest.levels[m].iterations):
            visits = visits * orthogonal(plan, nest, t, m)
    return visits


@formula
def without_first_visits(plan: Any, values: Any, visits: Any) -> Any:
    """Outputs start from zero at their first visit, unless a bias is read."""
    if plan.switches.bias_read:
        return values
    first = values / visits
    return values - (ceil(first) if plan.switches.sequential else first)


@once
@formula
def count_per_instance(plan: PlanTables, nest: Nest, t: int) -> None:
    """Fill in what all memories move of one tensor."""
    is_output = plan.tensors[t].is_output
    for x in range(plan.tensors[t].transfers, plan.tensors[t].transfers_end):
        supplier, child = plan.transfers[x].supplier, plan.transfers[x].child
        outermost = plan.nests[x, 0]
        traffic = per_instance(plan, nest, t, x)
        scale = nest.levels[outermost].temporal * nest.levels[supplier].active
        reads, entering = traffic.reads * scale, traffic.entering
        if child >= 0:
            entering = entering * (nest.levels[outermost].temporal * nest.levels[child].active)
        fills = entering
        if is_output:
            visits = traffic.revisits * outer_visits(plan, nest, t, outermost)
            reads = without_first_visits(plan, reads, visits)
            nest.moved[supplier, t].updates = traffic.writes * scale
            if not plan.switches.zero_fills:
                fills = without_first_visits(plan, entering, visits)
        nest.moved[supplier, t].reads = reads
        if child >= 0:
            nest.moved[child, t].fills = fills
            if is_output and not plan.switches.free_drains:
                nest.moved[child, t].drains = entering
