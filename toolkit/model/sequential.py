"""FactorFlow's level-by-level transfers (Ronzani and Silvano, ASP-DAC 2025).

Traffic is counted at one memory after the other, extended outwards over those that bypass the
tensor, and what enters and leaves a memory is carried inwards from the supplier's counts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from toolkit.lifted import ceil, floor, formula, is_never, is_single, negated, once, where
from toolkit.model.nest import Nest, at_rest, orthogonal, pass_memory, scan_memory
from toolkit.model.plan_tables import READING, WRITING, PlanTables
from toolkit.model.windows import slides, swept, window


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


@formula
def first_inside(plan: PlanTables, x: int, memory: int) -> int:
    """Number of the first spatial level of a transfer inside a memory."""
    inside = plan.transfers[x].spatial
    for i in range(plan.transfers[x].spatial - 1, -1, -1):
        if plan.between[x, i] > memory:
            inside = i
    return int(inside)


@formula
def unshared(plan: PlanTables, nest: Nest, t: int, x: int, first: int, end: int, way: int) -> Any:
    """Copies that spatial levels number `first` to `end` of a transfer cannot share."""
    copies = nest.one
    for i in range(first, end):
        if not plan.sharing[x, i, way].shared:
            copies = copies * orthogonal(plan, nest, t, plan.between[x, i])
    return copies


@formula
def split_window(
    plan: PlanTables, nest: Nest, t: int, s: int, x: int, memory: int, way: int
) -> Any:
    """Window of adjacent instances: shared where fanouts are selective, repeated elsewhere."""
    repeats = split(plan, nest, t, s, x, memory, way)
    return window(plan, nest, t, s, plan.shape.levels + 2) * repeats


@formula
def split(plan: PlanTables, nest: Nest, t: int, s: int, x: int, memory: int, way: int) -> Any:
    """Extents inside a memory over the instances that do not share, into a row of the nest.

    Returns how often such windows are repeated.
    """
    room, repeats = plan.shape.levels + 2, nest.one
    for k in range(plan.axes[t, s].terms):
        d = plan.terms[t, s, k].dimension
        wide = nest.extents[memory + 1, d]
        for i in range(first_inside(plan, x, memory), plan.transfers[x].spatial):
            if not plan.sharing[x, i, way].selective:
                wide = wide / nest.factors[plan.between[x, i], d]
                repeats = repeats * nest.factors[plan.between[x, i], d]
        nest.extents[room, d] = wide
    return repeats


@once
@formula
def direct(plan: PlanTables, nest: Nest, t: int, x: int, memory: int) -> Traffic:
    """Traffic at one memory alone.

    Next to the compute level operands arrive at every iteration, without reuse.
    """
    following = plan.levels[memory].following
    if following == plan.shape.levels:
        stay = pass_memory(plan, nest, t, memory, at_rest(nest))
    else:
        stay = scan_memory(plan, nest, t, memory, at_rest(nest))
    free = stay.found
    if not plan.levels[memory].multiple_reuses:
        free = free & negated(stay.skipped)
    reads, writes, events = nest.one, nest.one, stay.kept
    for s in range(plan.tensors[t].axes):
        if plan.axes[t, s].terms == 1:
            read = window(plan, nest, t, s, memory + 1)
            written = read
        else:
            read = split_window(plan, nest, t, s, x, memory, READING)
            written = read
            if plan.switches.reduction_for_writes:
                written = split_window(plan, nest, t, s, x, memory, WRITING)
            sliding = free & slides(plan, nest, t, s, stay.inner, memory + 1, following)
            if not is_never(sliding):
                held = window(plan, nest, t, s, memory + 1)
                new = swept(plan, nest, t, s, memory + 1, stay.inner, stay.factor, held)
                read, written = where(sliding, new, read), where(sliding, new, written)
                events = where(sliding, events / stay.factor, events)
        reads, writes = reads * read, writes * written
    first, end = first_inside(plan, x, memory), plan.transfers[x].spatial
    reads = reads * events * unshared(plan, nest, t, x, first, end, READING)
    writes = writes * events * unshared(plan, nest, t, x, first, end, WRITING)
    return Traffic(reads, writes, reads, stay.revisits)


@once
@formula
def sequential(plan: PlanTables, nest: Nest, t: int, x: int) -> Traffic:
    """Extend the traffic of the innermost bypassing memory outwards."""
    supplier, last = plan.transfers[x].supplier, plan.nests[x, plan.transfers[x].nested - 1]
    traffic = direct(plan, nest, t, x, last)
    if supplier == last:
        return traffic
    reads, writes, revisits = traffic.reads, traffic.writes, traffic.revisits
    reuses = plan.levels[supplier].multiple_reuses
    pending = is_idle(plan, nest, t, last, reuses)
    i = first_inside(plan, x, last) - 1
    for level in range(last - 1, supplier - 1, -1):
        if not plan.levels[level].is_memory:
            reads = through_fanout(plan, nest, t, x, i, READING, reads)
            writes = through_fanout(plan, nest, t, x, i, WRITING, writes)
            i -= 1
            continue
        stay = scan_memory(plan, nest, t, level, at_rest(nest))
        free = stay.found if reuses else stay.found & negated(stay.skipped)
        events, grown_reads, grown_writes = stay.kept, reads, writes
        for s in range(plan.tensors[t].axes):
            if plan.axes[t, s].terms > 1:
                end = plan.levels[level].following
                sliding = free & slides(plan, nest, t, s, stay.inner, level + 1, end)
                if not is_never(sliding):
                    held = window(plan, nest, t, s, level + 1)
                    new = swept(plan, nest, t, s, level + 1, stay.inner, stay.factor, held)
                    grown_reads = where(sliding, floor(grown_reads / held) * new, grown_reads)
                    grown_writes = where(sliding, floor(grown_writes / held) * new, grown_writes)
                    events = where(sliding, events / stay.factor, events)
        whole, outside = nest.levels[level].iterations, orthogonal(plan, nest, t, level)
        reads = where(pending, grown_reads * events, reads * whole)
        writes = where(pending, grown_writes * events, writes * whole)
        revisits = revisits * where(pending, stay.revisits, outside)
        pending = pending & negated(stay.found)
    # A fanout right inside the supplier counts once more where it cannot share.
    end = first_inside(plan, x, plan.nests[x, 1])
    reads = reads * unshared(plan, nest, t, x, 0, end, READING)
    writes = writes * unshared(plan, nest, t, x, 0, end, WRITING)
    return Traffic(reads, writes, reads, revisits)


@formula
def is_idle(plan: PlanTables, nest: Nest, t: int, memory: int, reuses: int) -> Any:
    """Whether no loop of a memory moves the tile (with a single reuse: no loop at all)."""
    moves = nest.one
    for d in range(plan.shape.dimensions):
        if plan.indexes[t, d] or not reuses:
            moves = moves * nest.factors[memory, d]
    return moves == 1


@formula
def through_fanout(
    plan: PlanTables, nest: Nest, t: int, x: int, i: int, way: int, values: Any
) -> Any:
    """Carry traffic outwards through a fanout between bypassing memories."""
    level, sharing = plan.between[x, i], plan.sharing[x, i, way]
    for s in range(plan.tensors[t].axes):
        if sharing.selective and plan.axes[t, s].terms > 1:
            held = window(plan, nest, t, s, level + 1)
            values = floor(values / held) * window(plan, nest, t, s, level)
        else:
            for k in range(plan.axes[t, s].terms):
                values = values * nest.factors[level, plan.terms[t, s, k].dimension]
    if not sharing.shared:
        values = values * orthogonal(plan, nest, t, level)
    return values


@once
@formula
def count_sequential(plan: PlanTables, nest: Nest, t: int) -> None:
    """Fill in what all memories move of one tensor, carried inwards from level to level."""
    is_output, x = plan.tensors[t].is_output, plan.tensors[t].transfers
    carried_reads, carried_writes = 0 * nest.one, 0 * nest.one
    for level in range(plan.shape.levels):
        if not plan.levels[level].is_memory:
            copies = orthogonal(plan, nest, t, level)
            carried_reads, carried_writes = carried_reads * copies, carried_writes * copies
            continue
        if x == plan.tensors[t].transfers_end or plan.transfers[x].supplier != level:
            continue
        traffic = sequential(plan, nest, t, x)
        scale = nest.levels[level].temporal * nest.levels[level].active
        reads, writes = traffic.reads * scale, traffic.writes * scale
        x += 1
        if is_output:
            visits = traffic.revisits * outer_visits(plan, nest, t, level)
            reads = without_first_visits(plan, reads, visits)
            nest.moved[level, t].updates = writes
        nest.moved[level, t].reads = reads
        if not plan.holds[t, level]:
            continue
        nest.moved[level, t].fills = carried_reads
        if is_output:
            nest.moved[level, t].drains = carried_writes
            if not plan.switches.free_drains:
                carried_writes = writes + carried_reads
        carried_reads = reads
