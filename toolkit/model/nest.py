"""The loops of one mapping, or of a batch: tables that the formulas read and fill in.

From Python every entry is an array of shape [batch] and the tables are dictionaries; compiled,
an entry is a number and the tables are arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np

from toolkit.compilation import SideBySide
from toolkit.lifted import Table, floor, formula, is_never, is_single, lookup, negated, once, where
from toolkit.model.plan_tables import PlanTables
from toolkit.workload.distinct import Progression


@dataclass(slots=True)
class Accesses:
    """Values that one memory moves for one tensor, all instances, in the Buffets view.

    Of a fanout with wires: `reads` enter its networks, `fills` reach its instances, `drains`
    leave these, and `updates` leave the networks.

    Parameters
    ----------
    reads : number or array
        Sent inwards (for outputs: partial sums that come back).
    updates : number or array
        Outputs received from inside.
    fills : number or array
        Received from outside (for outputs: partial sums that come back).
    drains : number or array
        Outputs sent outwards.
    """

    reads: Any = None
    updates: Any = None
    fills: Any = None
    drains: Any = None


@dataclass(slots=True)
class LevelState:
    """What is worked out for one level; numbers or arrays.

    Parameters
    ----------
    iterations : number or array
        Product of its factors.
    temporal, active : number or array
        Product of the iterations of all memories, and of all spatial levels, outside of it.
    inside_cycles : number or array
        Of a memory or network: cycles of the run that the levels inside it need.
    entering : number or array
        Of a memory inside of a systolic array: values that come to stay, of the first instance.
    fill_cycles, drain_cycles, exposed_cycles : number or array
        Of a memory: cycles of the run that the levels inside wait for its first tiles, for its
        last ones to leave, and for all that it cannot hide; part of `inside_cycles`.
    first_cycles, last_cycles : number or array
        Of a memory: cycles in which its first tiles come and its last ones leave, hidden or not.
    stall_cycles : number or array
        Of these: cycles of the run by which the slowest port exceeds the levels inside.
    busy_cycles : number or array
        Of these: cycles of the run that it moves words or waits for the levels inside.
    energy_pj, leakage_pj : number or array
        Of all accesses, multiply-accumulates or words on wires, and of all powered instances.
    """

    iterations: Any = None
    temporal: Any = None
    active: Any = None
    inside_cycles: Any = None
    entering: Any = None
    fill_cycles: Any = None
    drain_cycles: Any = None
    exposed_cycles: Any = None
    first_cycles: Any = None
    last_cycles: Any = None
    stall_cycles: Any = None
    busy_cycles: Any = None
    energy_pj: Any = None
    leakage_pj: Any = None


@dataclass(slots=True)
class Loop:
    """A temporal loop: its iterations, and the number of its dimension."""

    factor: Any
    dimension: Any


@dataclass(slots=True)
class Cut:
    """How a dimension is cut into tiles of one level; numbers or arrays.

    Every tile starts at a multiple of its extent, so that all are complete but the last one.

    Parameters
    ----------
    rest : number or array
        Iterations of the last tile if it is not complete, 0 if it is.
    turns : number or array
        Complete iterations of the level's own loop inside that last tile.
    complete, last : number or array
        Complete tiles that the first instance gets in the whole run, and whether the
        incomplete one is among its tiles (1 or 0).
    """

    rest: Any = None
    turns: Any = None
    complete: Any = None
    last: Any = None


@dataclass(slots=True)
class Parts:
    """Tiles of one dimension: complete ones, whether one more is cut off, and what it iterates."""

    complete: Any = None
    last: Any = None
    rest: Any = None


class Nest(NamedTuple):
    """Tables of L levels, D dimensions, T tensors and P ports.

    Attributes
    ----------
    one : number or array
        1, of the type and shape of everything below.
    factors : [L, D]
        Iterations.
    loops : `Loop` [L, D]
        The loops of every memory, outermost first.
    places : [L, D]
        Where among them the loop of a dimension stands.
    indexes : [T, D]
        Whether a dimension indexes a tensor; see `lookup`.
    extents : [L + 4, D]
        Tile extents with a level's own loops, as if no tile were cut off; ones at row L; from
        there on room for windows.
    cuts : `Cut` [L + 1, D]
        How these cut a dimension; filled in where it is ragged.
    ragged : [D + 1]
        Whether the extents reach beyond a dimension's size, and at the end whether any do, in
        any mapping of a batch.
    levels : `LevelState` [L]
        What is worked out for every level.
    moved : `Accesses` [L, T]
        Values of the whole run, from `pack_words` on words.
    busiest : `Accesses` [L, T]
        Those of the first instance, which no other exceeds; not of sequential transfers.
    limited : [P]
        Cycles of the run if the levels inside and this port alone counted.
    terms : `Progression` [terms]
        Room for a sum whose values have to be counted.
    parts : `Parts` [terms]
        Room for how the dimensions of a sum are cut.
    words : [3]
        Room for the values of a transfer, by way.
    runs, first : [3]
        Room for how often each of them passes, ever and at first.
    marks : [span]
        Compiled: room to mark them.
    """

    one: Annotated[Any, 1, 0]
    factors: Annotated[Table, float, 2]
    loops: Annotated[Table, Loop, 2]
    places: Annotated[Table, float, 2]
    indexes: Annotated[Table, int, 2]
    extents: Annotated[Table, float, 2]
    cuts: Annotated[Table, Cut, 2]
    ragged: Annotated[Table, int, 1]
    levels: Annotated[Table, LevelState, 1]
    moved: Annotated[Table, Accesses, 2]
    busiest: Annotated[Table, Accesses, 2]
    limited: Annotated[Table, float, 1]
    terms: Annotated[Table, Progression, 1]
    parts: Annotated[Table, Parts, 1]
    words: Annotated[Table, float, 1]
    runs: Annotated[Table, float, 1]
    first: Annotated[Table, float, 1]
    marks: Annotated[Table, np.uint8, 1]


class Nests(Nest, SideBySide):
    """Nests of several mappings at once, for kernels: see `SideBySide`."""

    __slots__ = ()


class Stay(NamedTuple):
    """How long a tile stays in place, read from the innermost loop of a nest outwards.

    Of sequential transfers.

    Loops with one iteration do not count.

    Attributes
    ----------
    kept : number or array
        Product of the loops from the outermost to the innermost one that indexes the tensor:
        the loops inside it leave the tile in place (stationarity).
    revisits : number or array
        The part of `kept` whose dimensions do not index the tensor.
    found : bool or array
        Whether any loop indexes the tensor.
    skipped : bool or array
        Whether any loop leaves the tile in place.
    inner, factor : number or array
        Dimension number and iterations of the innermost loop that indexes the tensor (-1 and 1
        where there is none).
    """

    kept: Any
    revisits: Any
    found: Any
    skipped: Any
    inner: Any
    factor: Any


@once
@formula
def measure_tiles(plan: PlanTables, nest: Nest) -> None:
    """Fill in tile extents and products of loops from the factors."""
    levels, dimensions = plan.shape.levels, plan.shape.dimensions
    for d in range(dimensions):
        nest.extents[levels, d] = nest.one
    for i in range(levels - 1, -1, -1):
        product = nest.one
        for d in range(dimensions):
            product = product * nest.factors[i, d]
            inner = levels if i == levels - 1 else i + 1
            nest.extents[i, d] = nest.factors[i, d] * nest.extents[inner, d]
        nest.levels[i].iterations = product
    temporal, active = nest.one, nest.one
    for i in range(levels):
        nest.levels[i].temporal, nest.levels[i].active = temporal, active
        if plan.levels[i].is_memory:
            temporal = temporal * nest.levels[i].iterations
        else:
            active = active * nest.levels[i].iterations
    nest.ragged[dimensions] = 0
    for d in range(dimensions):
        beyond = nest.extents[0, d] != plan.sizes[d]
        nest.ragged[d] = plan.switches.clips and not is_never(beyond)
        if nest.ragged[d]:
            nest.ragged[dimensions] = 1
    if nest.ragged[dimensions]:
        for d in range(dimensions):
            measure_cuts(plan, nest, d)


@once
@formula
def measure_cuts(plan: PlanTables, nest: Nest, d: int) -> None:
    """Fill in how the tiles of all levels cut a dimension.

    An instance apart from the first one along a dimension has work only where the first one has,
    so that complete tiles and the incomplete one follow from level to level.
    """
    levels, size, nothing = plan.shape.levels, plan.sizes[d] * nest.one, 0 * nest.one
    complete = floor(size / nest.extents[0, d])
    last = where(size > complete * nest.extents[0, d], nest.one, nothing)
    for i in range(levels + 1):
        extent, cut = nest.extents[i, d], nest.cuts[i, d]
        rest = size - floor(size / extent) * extent
        cut.rest, cut.complete, cut.last = rest, complete, last
        if i == levels:
            break
        turns = floor(rest / nest.extents[i + 1, d])
        cut.turns = turns
        if plan.levels[i].is_memory:
            complete = complete * nest.factors[i, d] + last * turns
            last = where(rest > turns * nest.extents[i + 1, d], last, nothing)
        else:
            complete = complete + where(turns >= 1, last, nothing)
            last = where(turns >= 1, nothing, last)


@formula
def at_rest(nest: Nest) -> Stay:
    """Begin a scan, before any loop."""
    nothing = nest.one < 0
    return Stay(nest.one, nest.one, nothing, nothing, 0 * nest.one - 1, nest.one)


@formula
def pass_memory(plan: PlanTables, nest: Nest, t: int, m: int, stay: Stay) -> Stay:
    """Continue a scan outwards through a memory every loop of which moves the tile."""
    return Stay(
        stay.kept * nest.levels[m].iterations,
        stay.revisits * orthogonal(plan, nest, t, m),
        stay.found,
        stay.skipped,
        stay.inner,
        stay.factor,
    )


@formula
def scan_memory(plan: PlanTables, nest: Nest, t: int, m: int, stay: Stay) -> Stay:
    """Continue a scan outwards through the loops of one memory."""
    for k in range(plan.shape.dimensions - 1, -1, -1):
        f, d = nest.loops[m, k].factor, nest.loops[m, k].dimension
        if is_single(f):
            continue
        indexes, runs = lookup(nest.indexes, t, d), f > 1
        first = negated(stay.found) & indexes & runs
        found = stay.found | first
        stay = Stay(
            where(found, stay.kept * f, stay.kept),
            where(found & negated(indexes), stay.revisits * f, stay.revisits),
            found,
            stay.skipped | (negated(found) & negated(indexes) & runs),
            where(first, d, stay.inner),
            where(first, f, stay.factor),
        )
    return stay


@formula
def orthogonal(plan: PlanTables, nest: Nest, t: int, i: int) -> Any:
    """Product of the factors at a level of dimensions that do not index the tensor."""
    product = nest.one
    for d in range(plan.shape.dimensions):
        if plan.listed[i, d] and not plan.indexes[t, d]:
            product = product * nest.factors[i, d]
    return product
