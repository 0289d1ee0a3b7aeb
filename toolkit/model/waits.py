"""Cycles in which lanes wait for transfers that nothing hides, and for a systolic array.

What a memory gets from outside and sends there is hidden behind the work inside of it where it
has room for the next tile beside the present one (`Memory.overlap`); then only the first tiles
that come and the last ones that leave are waited for. Otherwise all of it is. Such transfers take
place one after the other, each at the slower one of the ports that it passes; memory by memory,
for a memory inside begins when the one outside has its tile. Meanwhile the memory exchanges
nothing with the levels inside: those words pass its ports in the rest of the run.

An array through whose fanouts operands hop begins and ends a tile that stays in it hop by hop:
2 R + C - 2 cycles for R rows and C columns beyond those of its steps, as in SCALE-Sim's formula
for its three dataflows (Samajdar et al., ISPASS 2020, section III-B), where the tile itself comes
or goes along the rows, the innermost such fanout.
"""

from __future__ import annotations

from typing import Any

from toolkit.lifted import formula, maximum, once, where
from toolkit.model.bursts import first_share
from toolkit.model.nest import Nest
from toolkit.model.plan_tables import DOUBLE_BUFFERED, NEVER, READING, WRITING, PlanTables
from toolkit.model.room import clipped_extents, held_words
from toolkit.model.tiles import parts
from toolkit.model.windows import tile_values

READS, DRAINS, UPDATES, FILLS = range(4)
"""Kinds of traffic, in the order of `toolkit.arch.ports.TRAFFIC`."""


@formula
def passing_cycles(plan: PlanTables, nest: Nest, m: int, kind: int, words: Any) -> Any:
    """Cycles in which words of one kind pass a memory's ports if nothing else does."""
    cycles = 0 * nest.one
    for p in range(plan.levels[m].ports, plan.levels[m].ports_end):
        port = plan.ports[p]
        serves = (
            (kind == READS and port.reads)
            or (kind == DRAINS and port.drains)
            or (kind == UPDATES and port.updates)
            or (kind == FILLS and port.fills)
        )
        if serves:
            cycles = maximum(cycles, words / port.bandwidth)
    return cycles


@formula
def comes_in(plan: PlanTables, t: int) -> bool:
    """Whether the first tiles of a tensor come from outside."""
    return bool(not plan.tensors[t].is_output or plan.switches.bias_read)


@once
@formula
def tile_cycles(plan: PlanTables, nest: Nest, m: int, leaving: int) -> Any:
    """Cycles in which a memory gets a tile of each tensor, or those that are `leaving` do so.

    Complete tiles, in all instances that a supplier serves; windows that these share value by
    value count once.
    """
    cycles, row = 0 * nest.one, clipped_extents(plan, nest, m)
    for t in range(plan.shape.tensors):
        x = plan.arrives[t, m]
        if x < 0 or (leaving and not plan.tensors[t].is_output):
            continue
        if not leaving and not comes_in(plan, t):
            continue
        supplier, way = plan.transfers[x].supplier, WRITING if leaving else READING
        tile = tile_values(plan, nest, t, row)
        outside = tile * parts(plan, nest, t, x, way, supplier) * plan.values[t, supplier].words
        if plan.bursts[t].burst and x == plan.tensors[t].transfers:
            outside = outside * first_share(plan, nest, t, x)
        tile = tile * plan.values[t, m].words
        if leaving:
            far = passing_cycles(plan, nest, supplier, UPDATES, outside)
            near = passing_cycles(plan, nest, m, DRAINS, tile)
        else:
            far = passing_cycles(plan, nest, supplier, READS, outside)
            near = passing_cycles(plan, nest, m, FILLS, tile)
        cycles = cycles + maximum(far, near)
    return cycles


@once
@formula
def run_cycles(plan: PlanTables, nest: Nest, m: int) -> Any:
    """Cycles in which all that a memory gets and sends outwards passes, tensor by tensor."""
    cycles = 0 * nest.one
    for t in range(plan.shape.tensors):
        x = plan.arrives[t, m]
        if x < 0:
            continue
        supplier = plan.transfers[x].supplier
        far, near = nest.busiest[supplier, t], nest.busiest[m, t]
        cycles = cycles + maximum(
            passing_cycles(plan, nest, supplier, READS, far.reads),
            passing_cycles(plan, nest, m, FILLS, near.fills),
        )
        if plan.tensors[t].is_output:
            cycles = cycles + maximum(
                passing_cycles(plan, nest, supplier, UPDATES, far.updates),
                passing_cycles(plan, nest, m, DRAINS, near.drains),
            )
    return cycles


@formula
def note_waits(plan: PlanTables, nest: Nest, m: int) -> Any:
    """Fill in the cycles that the levels inside a memory wait for what it gets and sends."""
    level, state, nothing = plan.levels[m], nest.levels[m], 0 * nest.one
    fill, drain, exposed = nothing, nothing, nothing
    if plan.switches.first_and_last:
        fill, drain = tile_cycles(plan, nest, m, 0), tile_cycles(plan, nest, m, 1)
    state.first_cycles, state.last_cycles = fill, drain
    if level.overlap >= DOUBLE_BUFFERED:
        exposed = run_cycles(plan, nest, m)
        if level.overlap < NEVER:
            twice = held_words(plan, nest, m) <= level.twice_words
            exposed = where(twice, nothing, exposed)
            fill, drain = where(twice, fill, nothing), where(twice, drain, nothing)
        else:
            fill, drain = nothing, nothing
    state.fill_cycles, state.drain_cycles, state.exposed_cycles = fill, drain, exposed
    return fill + drain + exposed


@formula
def stay_cycles(plan: PlanTables, nest: Nest) -> Any:
    """Cycles in which a systolic array begins and ends one tile, or a run where none stays."""
    hops, rows = 0 * nest.one, nest.one
    for i in range(plan.shape.levels):
        if plan.levels[i].hops:
            hops = hops + (nest.levels[i].iterations - 1)
            rows = nest.levels[i].iterations
    if plan.shape.stationary < 0:
        return hops
    return hops + rows


@formula
def array_cycles(plan: PlanTables, nest: Nest) -> Any:
    """Cycles in which a systolic array begins and ends its tiles in the whole run."""
    x, cycles = plan.shape.stationary, stay_cycles(plan, nest)
    if x < 0:
        return cycles
    t, child = plan.shape.stationary_tensor, plan.transfers[x].child
    tile = tile_values(plan, nest, t, clipped_extents(plan, nest, child))
    return nest.levels[child].entering / tile * cycles
