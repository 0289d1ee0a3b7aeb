"""From the words that move to energy, latency and utilization.

Energy is a sum over accesses and over words on wires, latency a maximum over memories and networks
whose ports overlap with the levels inside, as in FactorFlow (Ronzani and Silvano, ASP-DAC 2025),
but for what these wait for (`toolkit.model.waits`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from toolkit.lifted import Table, apart, ceil, formula, maximum, nearest, once, where
from toolkit.model.bursts import burst_share, sent_at_once
from toolkit.model.movers import find_mover, sums_go_on
from toolkit.model.nest import Nest, orthogonal
from toolkit.model.plan_tables import ALONE, BOTH_WAYS, PlanTables
from toolkit.model.sequential import count_sequential
from toolkit.model.tiles import elements
from toolkit.model.traffic import count_per_instance
from toolkit.model.waits import array_cycles, note_waits
from toolkit.workload.distinct import NO_GAPS, values_of

ROUNDING = 2.0**-40
"""Share of a number of cycles that divisions may round off before cycles are rounded up."""


class Totals(NamedTuple):
    """Energy (pJ), latency (cycles) and utilization of the run; numbers or arrays."""

    energy_pj: Any
    latency_cycles: Any
    utilization: Any


class Ends(NamedTuple):
    """Cycles that levels inside wait for a memory, and those of first and last tiles.

    Attributes
    ----------
    own : number or array
        Of this memory; nothing at another level.
    first_inside, first, last_inside, last : number or array
        Of the first tiles of the memories inside of it, and of all from there on inwards; and of
        the last ones.
    """

    own: Any
    first_inside: Any
    first: Any
    last_inside: Any
    last: Any


@once
@formula
def clear_accesses(plan: PlanTables, nest: Nest) -> None:
    """Begin with no words at all."""
    for m in range(plan.shape.levels):
        for t in range(plan.shape.tensors):
            moved, zero = nest.moved[m, t], 0 * nest.one
            moved.reads, moved.updates, moved.fills, moved.drains = zero, zero, zero, zero
            if not plan.switches.sequential:
                own = nest.busiest[m, t]
                own.reads, own.updates, own.fills, own.drains = zero, zero, zero, zero


def count_accesses(plan: PlanTables, nest: Nest) -> None:
    """Fill in the words that all memories move."""
    clear_accesses(plan, nest)
    for t in range(plan.shape.tensors):
        if plan.switches.sequential:
            count_sequential(plan, nest, t)
        else:
            count_per_instance(plan, nest, t)


@apart
@formula
def pack_words(plan: PlanTables, nest: Nest) -> None:
    """Turn the values that memories and wires move into the words that these take there."""
    for m in range(plan.shape.levels):
        for t in range(plan.shape.tensors):
            if plan.passes[t, m]:
                pack_into(plan, nest, m, t, 0, nest.moved)
                if not plan.switches.sequential:
                    pack_into(plan, nest, m, t, 1, nest.busiest)


@formula
def pack_into(plan: PlanTables, nest: Nest, m: int, t: int, own: int, table: Table) -> None:
    """Turn values of a tensor at a memory into words, of all instances or (`own`) the first."""
    value, moved = plan.values[t, m], table[m, t]
    if value.words != 1:
        moved.reads, moved.fills = moved.reads * value.words, moved.fills * value.words
        if plan.passes[t, m] == BOTH_WAYS:
            moved.updates, moved.drains = moved.updates * value.words, moved.drains * value.words
    if value.less_updated > 0 or value.less_drained > 0:
        complete = complete_outputs(plan, nest, t, m, own)
        moved.updates = moved.updates - complete * value.less_updated
        moved.drains = moved.drains - complete * value.less_drained


@once
@formula
def complete_outputs(plan: PlanTables, nest: Nest, t: int, m: int, own: int) -> Any:
    """Outputs that are complete when a memory receives them for the last time, and sends them.

    Of all instances, or (`own`) of the first one: all that it sees, unless instances apart sum up
    the same outputs, along a dimension that does not index them alone.
    """
    values, room = nest.one, plan.shape.levels + 2
    even = own and not nest.ragged[plan.shape.dimensions]
    if even:
        values = values / nest.levels[m].active
    for s in range(plan.tensors[t].axes):
        if plan.axes[t, s].terms == 1:
            d = plan.terms[t, s, 0].dimension
            values = values * elements(plan, nest, d, m, own and not even)
        else:
            for k in range(plan.axes[t, s].terms):
                d = plan.terms[t, s, k].dimension
                nest.extents[room, d] = elements(plan, nest, d, m, 0)
            values = values * values_of(plan, nest, t, s, room, NO_GAPS)
    for i in range(m):
        if not plan.levels[i].is_memory:
            for d in range(plan.shape.dimensions):
                if plan.indexes[t, d] != ALONE:
                    values = where(nest.factors[i, d] > 1, 0 * values, values)
    return values


@apart
@formula
def fill_bursts(plan: PlanTables, nest: Nest) -> None:
    """Turn the words that the outermost memory sends and takes back into those of whole bursts."""
    for t in range(plan.shape.tensors):
        if plan.bursts[t].burst:
            x = plan.tensors[t].transfers
            sent = sent_at_once(plan, nest, t, x, find_mover(plan, nest, t, x))
            row, inner, factor, value = sent.row, sent.inner, sent.factor, plan.bursts[t].value
            share = burst_share(plan, nest, t, row, inner, factor, value)
            done, complete_share = 0 * nest.one, share
            if plan.bursts[t].complete != value:
                m = plan.transfers[x].supplier
                less = plan.values[t, m].words - plan.values[t, m].less_updated
                complete = plan.bursts[t].complete
                complete_share = burst_share(plan, nest, t, row, inner, factor, complete)
                done = complete_outputs(plan, nest, t, m, 0) * less
            widen_to_bursts(plan, nest, t, nest.moved, share, done, complete_share)
            widen_to_bursts(plan, nest, t, nest.busiest, share, done, complete_share)


@formula
def widen_to_bursts(
    plan: PlanTables, nest: Nest, t: int, table: Table, share: Any, done: Any, other: Any
) -> None:
    """Multiply what the outermost memory moves of a tensor, complete outputs by `other`."""
    moved = table[plan.transfers[plan.tensors[t].transfers].supplier, t]
    moved.reads = moved.reads * share
    moved.updates = (moved.updates - done) * share + done * other


@formula
def in_wordlines(words: Any, together: Any) -> Any:
    """Words rounded up to multiples of those that cost energy `together`."""
    return ceil(words / together) * together


@formula
def charged(plan: PlanTables, nest: Nest, m: int, words: Any) -> Any:
    """Words that cost energy if all instances of a memory move `words` of one kind."""
    line = plan.levels[m].wordline_words
    if line == 1:
        return words
    return in_wordlines(words, nest.levels[m].active * line)


@once
@formula
def access_energy_pj(plan: PlanTables, nest: Nest, m: int) -> Any:
    """Energy of all accesses to one memory."""
    sent, received = 0 * nest.one, 0 * nest.one
    for t in range(plan.shape.tensors):
        if plan.passes[t, m]:
            sent = sent + charged(plan, nest, m, nest.moved[m, t].reads)
            received = received + charged(plan, nest, m, nest.moved[m, t].fills)
        if plan.passes[t, m] == BOTH_WAYS:
            sent = sent + charged(plan, nest, m, nest.moved[m, t].drains)
            received = received + charged(plan, nest, m, nest.moved[m, t].updates)
    return plan.levels[m].read_pj * sent + plan.levels[m].write_pj * received


@formula
def wire_energy_pj(plan: PlanTables, nest: Nest, i: int, t: int) -> Any:
    """Energy of a tensor's words on the networks of a fanout, each as it reaches an instance.

    An old sum goes to one instance alone, others to all that share it at once.
    """
    level, together = plan.levels[i], orthogonal(plan, nest, t, i) > 1
    inwards = level.unicast_pj * nest.one
    if not sums_go_on(plan, t):
        inwards = where(together, level.multicast_pj * nest.one, inwards)
    outwards = where(together, level.reduction_pj * nest.one, level.unicast_pj * nest.one)
    return inwards * nest.moved[i, t].fills + outwards * nest.moved[i, t].drains


@formula
def port_words(plan: PlanTables, nest: Nest, p: int, exchanged: int) -> Any:
    """Words that pass one port of the busiest instance in the whole run: of the first one.

    All of them, or those that it exchanges (`exchanged`) with the levels inside.
    """
    port, words = plan.ports[p], 0 * nest.one
    alike = plan.switches.sequential
    for t in range(plan.shape.tensors):
        passes = plan.passes[t, port.memory]
        if not passes:
            continue
        moved = nest.moved[port.memory, t] if alike else nest.busiest[port.memory, t]
        if port.reads:
            words = words + moved.reads
        if port.fills and not exchanged:
            words = words + moved.fills
        if passes == BOTH_WAYS:
            if port.drains and not exchanged:
                words = words + moved.drains
            if port.updates:
                words = words + moved.updates
    return words / nest.levels[port.memory].active if alike else words


@formula
def steps(plan: PlanTables, nest: Nest) -> Any:
    """Steps in which lanes work, one after the other: those of the first lane."""
    levels, dimensions = plan.shape.levels, plan.shape.dimensions
    if not nest.ragged[dimensions]:
        return nest.levels[levels - 1].temporal
    count = nest.one
    for d in range(dimensions):
        count = count * nest.cuts[levels, d].complete
    return count


@formula
def in_whole_cycles(latency: Any) -> Any:
    """Latency rounded up.

    A whole number of cycles stays as it is where only divisions have rounded it.
    """
    whole = nearest(latency)
    off = maximum(latency - whole, whole - latency)
    return where(off <= latency * ROUNDING, whole, ceil(latency))


@formula
def note_ports(plan: PlanTables, nest: Nest, i: int, inside: Any, waits: Ends) -> Any:
    """Cycles of a level: those inside and what they wait for, or its slowest port's, filled in.

    What a memory exchanges with the levels inside passes while these do not wait for it: after
    its first tiles have come, and before its last ones leave. What goes inwards has passed before
    any last tile leaves, and nothing comes back outwards before all first tiles have come.
    """
    slowest = inside + waits.own
    for p in range(plan.levels[i].ports, plan.levels[i].ports_end):
        port, cycles = plan.ports[p], inside + waits.own
        words = port_words(plan, nest, p, 0)
        cycles = where(words / cycles <= port.bandwidth, cycles, words / port.bandwidth)
        if plan.switches.waits:
            inwards, outwards = port.reads or port.fills, port.updates or port.drains
            if not outwards:
                cycles = maximum(cycles, words / port.bandwidth + waits.last)
            elif not inwards:
                cycles = maximum(cycles, words / port.bandwidth + waits.first)
            if plan.levels[i].is_memory and (port.reads or port.updates):
                passing = port_words(plan, nest, p, 1) / port.bandwidth + waits.own
                if not port.updates:
                    passing = passing + waits.last_inside
                elif not port.reads:
                    passing = passing + waits.first_inside
                cycles = maximum(cycles, passing)
        nest.limited[p] = cycles
        slowest = maximum(slowest, cycles)
    return slowest


@once
@formula
def latency_cycles(plan: PlanTables, nest: Nest) -> Any:
    """Latency of the run; fills in how every memory and port keeps up."""
    innermost, passes = plan.shape.levels - 1, plan.shape.stationary >= 0
    cycles = plan.levels[innermost].step_cycles * steps(plan, nest)
    first, last = 0 * nest.one, 0 * nest.one
    if passes:
        cycles = cycles + array_cycles(plan, nest)
    for m in range(innermost, -1, -1):
        level = plan.levels[m]
        if not level.is_memory and level.ports == level.ports_end:
            continue
        waits = Ends(0 * nest.one, first, first, last, last)
        if level.is_memory and plan.switches.waits:
            own, inside = note_waits(plan, nest, m), nest.levels[m]
            waits = Ends(own, first, first + inside.first_cycles, last, last + inside.last_cycles)
            first, last = waits.first, waits.last
        slowest = note_ports(plan, nest, m, cycles, waits)
        nest.levels[m].inside_cycles = cycles + waits.own
        nest.levels[m].stall_cycles = slowest - (cycles + waits.own)
        nest.levels[m].busy_cycles = slowest
        cycles = slowest
    latency = cycles if passes else cycles + array_cycles(plan, nest)
    if plan.switches.whole_cycles:
        latency = in_whole_cycles(latency)
    return latency


@formula
def powered_instances(plan: PlanTables, nest: Nest, i: int) -> Any:
    """Instances of a fanout that leak: idle ones, too, unless their power is gated."""
    return nest.levels[i].iterations if plan.levels[i].power_gating else plan.levels[i].mesh


@once
@formula
def totals(plan: PlanTables, nest: Nest) -> Totals:
    """Energy, latency and utilization; needs `measure_tiles`, `count_accesses`, `pack_words`."""
    latency, last = latency_cycles(plan, nest), plan.shape.levels - 1
    energy, leaked, utilization, powered = 0 * nest.one, 0 * nest.one, nest.one, nest.one
    for i in range(last + 1):
        level = plan.levels[i]
        if level.is_memory:
            nest.levels[i].energy_pj = access_energy_pj(plan, nest, i)
        else:
            utilization = utilization * (nest.levels[i].iterations / level.mesh)
            if i < last:
                powered = powered * powered_instances(plan, nest, i)
                if level.wired:
                    nest.levels[i].energy_pj = 0 * nest.one
                    nest.levels[i].leakage_pj = 0 * nest.one
                    for t in range(plan.shape.tensors):
                        crossed = wire_energy_pj(plan, nest, i, t)
                        nest.levels[i].energy_pj = nest.levels[i].energy_pj + crossed
                    energy = energy + nest.levels[i].energy_pj
                continue
            macs = nest.levels[i].iterations * nest.levels[i].temporal * nest.levels[i].active
            if nest.ragged[plan.shape.dimensions]:
                offered = nest.levels[i].iterations * nest.levels[i].active * steps(plan, nest)
                macs = nest.one
                for d in range(plan.shape.dimensions):
                    macs = macs * plan.sizes[d]
                utilization = utilization * (macs / offered)
            nest.levels[i].energy_pj = level.mac_pj * macs
        busy = latency
        if not plan.switches.leakage_until_end:
            busy = nest.levels[i].busy_cycles if level.is_memory else level.step_cycles * nest.one
        nest.levels[i].leakage_pj = level.leakage_pj * busy * powered
        energy, leaked = energy + nest.levels[i].energy_pj, leaked + nest.levels[i].leakage_pj
    return Totals(energy + leaked, latency, utilization)
