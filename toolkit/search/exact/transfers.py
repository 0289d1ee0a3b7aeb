"""Transfers as rows for the compiled search, for one choice of all spatial factors."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.levels import Fanout
from toolkit.compilation import record_type
from toolkit.mapping.mapping import IntArray
from toolkit.model.cost import number_nest
from toolkit.model.nest import measure_tiles, orthogonal
from toolkit.model.plan import Plan, Port, SpatialFlags, TensorPlan, Transfer, wire_energies
from toolkit.model.plan_tables import READING, WRITING
from toolkit.model.sequential import first_inside, split, through_fanout, unshared
from toolkit.model.totals import powered_instances
from toolkit.model.traffic import parts, union, widen
from toolkit.search.exact.compiled_words import (
    COUNTS,
    KEEPS,
    MARKS,
    RESOLVES,
    SETTLES,
    STAYS,
    UNMARKS,
    RowRow,
    Rows,
)
from toolkit.search.problem import Problem

FloatArray = NDArray[np.float64]

READ, WRITE, FILL, ENTER = range(4)
"""Kinds of words of a transfer."""
NOTHING = np.zeros(4)
"""None of any kind."""


@dataclass
class Account:
    """Costs of a word of one transfer: energy (pJ) first, then the ports it passes.

    Parameters
    ----------
    transfer : Transfer
        What moves.
    place : int
        Where its words are counted: at the supplier, or at a fanout further in or right inside
        of one, whose words have an account of their own.
    energy, least_energy : float64 arrays, shape (4,)
        By kind, and the least for any choice of spatial factors.
    words : dict
        How often each kind passes, by memory or fanout and kind of traffic.
    """

    transfer: Transfer
    place: int
    energy: FloatArray
    least_energy: FloatArray
    words: dict[tuple[int, str], FloatArray]

    def add(self, plan: Plan, memory: int, kind: str, word: int, times: float = 1.0) -> None:
        """Charge `times` words to one kind of a memory's traffic."""
        level = plan.memory(memory)
        pj = level.read_energy_pj if kind in ("reads", "drains") else level.write_energy_pj
        self.energy[word] += pj * times
        self.least_energy[word] += pj * times
        self.words.setdefault((memory, kind), np.zeros(4))[word] += times

    def passing(self, memory: int, port: Port) -> FloatArray:
        """How often each kind of words passes a port of a memory, [4]."""
        found = NOTHING.copy()
        for kind in port.kinds:
            found += self.words.get((memory, kind), NOTHING)
        return found


class Spatial:
    """One choice of the factors of all spatial levels, [levels, dimensions]; ones at memories.

    Attributes
    ----------
    nest : Nest
        Of these factors alone: no memory has loops.
    inside : int64 array, shape (levels, dimensions)
        Spatial extents inside every level.
    temporal : int64 array, shape (dimensions,)
        Iterations left to the memories.
    used, active : list of int
        Instances of every level, within one of what lies outside, and of all that lies outside.
    cycles : float
        Of the lanes.
    """

    def __init__(self, problem: Problem, factors: IntArray) -> None:
        plan = problem.plan
        switches = problem.tables.switches._replace(clips=0)
        self.plan, self.factors = plan, factors
        self.tables = problem.tables._replace(switches=switches)
        self.nest = number_nest(plan, factors)
        measure_tiles(self.tables, self.nest)
        sizes = np.array(list(plan.workload.sizes.values()), dtype=np.int64)
        levels, dimensions = factors.shape
        extents = [
            [int(self.nest.extents[i, d]) for d in range(dimensions)] for i in range(levels)
        ]
        self.inside = np.array([*extents[1:], [1] * dimensions], dtype=np.int64)
        self.temporal = sizes // np.array(extents[0], dtype=np.int64)
        self.used = [int(level.iterations) for level in self.nest.levels]
        self.active = [int(level.active) for level in self.nest.levels]
        self.cycles = float(plan.arch.compute.cycles * math.prod(self.temporal.tolist()))

    def with_steps(self, steps: float) -> Spatial:
        """Return the same choice, whose lanes take another number of steps."""
        other = copy.copy(self)
        other.cycles = float(self.plan.arch.compute.cycles * steps)
        return other


@dataclass(frozen=True)
class Seen:
    """A transfer seen from one memory of its nest: one row of `Rows`."""

    row: RowRow
    ext: FloatArray
    slide: tuple[int, ...]
    mult: tuple[float, ...]

    @property
    def states(self) -> int:
        """Number of states of the tensor, 0 being at rest."""
        return len(self.mult)


def account(spatial: Spatial, tensor: TensorPlan, number: int) -> Account:
    """Say which ports the words of a transfer pass, and what they cost."""
    plan, transfer = spatial.plan, tensor.transfers[number]
    free = plan.conventions.free_drains
    result = _empty_account(transfer, transfer.supplier)
    result.add(plan, transfer.supplier, "reads", READ)
    if tensor.is_output:
        result.add(plan, transfer.supplier, "updates", WRITE)
    for place in transfer.places[1:]:
        if place not in crossings(transfer):
            _cross(result, spatial, tensor, place)
    child = transfer.child
    if child is None:
        return result
    if plan.conventions.transfers != "sequential":
        result.add(plan, child, "fills", FILL)
        if tensor.is_output and not free:
            result.add(plan, child, "drains", ENTER)
        return result
    if transfer.supplier not in tensor.holders:
        return result
    t = _tensor_number(plan, tensor)
    copies = _copies(spatial, t, transfer)
    result.add(plan, child, "fills", READ, copies)
    if tensor.is_output and not free:
        result.add(plan, child, "drains", WRITE, copies)
        inner = tensor.transfers[number + 1]
        if inner.child is not None:
            copies *= _copies(spatial, t, inner)
            result.add(plan, inner.child, "drains", READ, copies)
    return result


def crossings(transfer: Transfer) -> list[int]:
    """Places of a transfer with instances on either side, whose words are counted there alone."""
    between = [flags.level for flags in transfer.reading]
    return [p for p in transfer.places[1:] if between[0] < p <= between[-1]]


def crossing(spatial: Spatial, tensor: TensorPlan, number: int, place: int) -> Account:
    """Say what the words of a transfer cost at one of its `crossings`: read and written there."""
    result = _empty_account(tensor.transfers[number], place)
    _cross(result, spatial, tensor, place)
    return result


def _empty_account(transfer: Transfer, place: int) -> Account:
    return Account(transfer, place, np.zeros(4), np.zeros(4), {})


def _cross(result: Account, spatial: Spatial, tensor: TensorPlan, place: int) -> None:
    """Charge what passes a place to the fanouts on either side of it."""
    levels, transfer = spatial.plan.arch.levels, result.transfer
    inside = any(flags.level >= place for flags in transfer.reading)
    # All instances are served on their own where none lies further in: their words enter.
    inwards, outwards = (READ, WRITE) if inside else (FILL, ENTER)
    for i, kinds in ((place, ("reads", "updates")), (place - 1, ("fills", "drains"))):
        level = levels[i]
        if not isinstance(level, Fanout) or level.wires is None:
            continue
        words = (inwards, outwards) if tensor.is_output else (inwards,)
        for word, kind in zip(words, kinds, strict=False):
            result.words.setdefault((i, kind), np.zeros(4))[word] += 1
        if i == place:
            continue
        alone, *together = wire_energies(level)
        t = _tensor_number(spatial.plan, tensor)
        shares = orthogonal(spatial.tables, spatial.nest, t, i) > 1
        for word, each in zip(words, together, strict=False):
            result.energy[word] += each if shares else alone
            result.least_energy[word] += min(each, alone)


def _copies(spatial: Spatial, t: int, transfer: Transfer) -> float:
    levels = (x.level for x in transfer.reading)
    return float(math.prod(orthogonal(spatial.tables, spatial.nest, t, level) for level in levels))


def see(
    spatial: Spatial,
    tensor: TensorPlan,
    number: int,
    memory: int,
    place: int,
    products: Sequence[int],
) -> Seen:
    """Describe a transfer whose stay may end at a memory of its nest, as counted at a place.

    `products` are all products of iterations that the last memory of the nest may have in loops
    that do not index the tensor.
    """
    if spatial.plan.conventions.transfers == "sequential":
        return _see_sequential(spatial, tensor, number, memory, products)
    return _see_per_instance(spatial, tensor, number, memory, place)


def _tensor_number(plan: Plan, tensor: TensorPlan) -> int:
    return next(i for i, t in enumerate(plan.tensors) if t is tensor)


def _see_per_instance(
    spatial: Spatial, tensor: TensorPlan, number: int, memory: int, place: int
) -> Seen:
    plan, tables, nest = spatial.plan, spatial.tables, spatial.nest
    t = _tensor_number(plan, tensor)
    x, transfer = tables.tensors[t].transfers + number, tensor.transfers[number]
    lanes = transfer.child is None
    compute = len(spatial.factors) - 1
    entered = spatial.active[compute] * spatial.used[compute]
    if transfer.child is not None:
        entered = spatial.active[transfer.child]
    held = np.array(
        [nest.extents[tables.transfers[x].held, d] for d in range(len(tensor.relevant))]
    )
    read_ext, read_base = _served(spatial, t, x, READING, place, held)
    write_ext, write_base = _served(spatial, t, x, WRITING, place, held)
    reuse = plan.multiple_reuses(transfer.supplier)
    slide = None if lanes else _slides(spatial, tensor, plan.spatial_inside(transfer))
    tracks = not reuse and slide is not None and max(slide) >= 0
    active = float(spatial.active[transfer.supplier])
    return Seen(
        RowRow(
            tensor=t,
            reuse=int(reuse),
            rounded=0,
            orthogonal=MARKS if tracks else KEEPS,
            closes=int(memory == transfer.supplier),
            beside=-1,
            leaving=STAYS,
            base_read=read_base * active,
            base_write=write_base * active,
            base_enter=float(entered),
            pre_read=1.0,
            pre_write=1.0,
            post_read=1.0,
            post_write=1.0,
        ),
        np.stack([read_ext, write_ext, held, held]),
        slide or (-1,) * len(tensor.relevant),
        (1.0,) * (3 if tracks else 2),
    )


def _served(
    spatial: Spatial, t: int, x: int, way: int, place: int, held: FloatArray
) -> tuple[FloatArray, float]:
    """Extents of what is sent at once, and how often it is sent."""
    tables, nest = spatial.tables, spatial.nest
    wide, times = held.copy(), parts(tables, nest, t, x, way, place)
    for s in range(tables.tensors[t].axes):
        if tables.axes[t, s].terms == 1 or not tables.transfers[x].selective:
            continue
        dims = [tables.terms[t, s, k].dimension for k in range(tables.axes[t, s].terms)]
        if widen(tables, nest, t, s, x, way, place):
            # Only at lanes, which hold a single value (see `decomposes`): a constant.
            times *= union(tables, nest, t, s, x, way, place)
        else:
            wide[dims] = [nest.extents[tables.shape.levels + 2, d] for d in dims]
    return wide, times


def scattered_sums(
    tensor: TensorPlan, flags: Sequence[SpatialFlags], factors: IntArray
) -> list[tuple[tuple[int, int], ...]]:
    """Sums whose windows are shared by instances that lie apart.

    These are unrolled over a selective level along a dimension that another level further
    inside, which is not selective, cuts into parts. `factors` are of shape (levels, dimensions).
    """
    return [
        terms
        for terms in tensor.sums
        if len(terms) > 1
        and any(
            factors[x.level, d] > 1 and factors[y.level, d] > 1
            for x in flags
            for y in flags
            for d, _ in terms
            if x.selective and not y.selective and x.level < y.level
        )
    ]


def _slides(spatial: Spatial, tensor: TensorPlan, between: list[int]) -> tuple[int, ...]:
    """Per dimension the index whose window slides along it."""
    slide = [-1] * len(tensor.relevant)
    for s, terms in enumerate(tensor.sums):
        dims = [d for d, _ in terms]
        if len(terms) > 1 and (spatial.factors[between][:, dims] == 1).all():
            for d in dims:
                slide[d] = s
    return tuple(slide)


def _see_sequential(
    spatial: Spatial, tensor: TensorPlan, number: int, memory: int, products: Sequence[int]
) -> Seen:
    plan, tables, nest = spatial.plan, spatial.tables, spatial.nest
    t = _tensor_number(plan, tensor)
    x, transfer = tables.tensors[t].transfers + number, tensor.transfers[number]
    last, lanes = transfer.nest[-1], transfer.child is None
    reuse = plan.multiple_reuses(transfer.supplier)
    at_last = memory == last
    first, end = first_inside(tables, x, last), len(transfer.reading)
    read_ext, pre_read = _split(spatial, t, x, last, READING)
    write_ext, pre_write = read_ext, pre_read
    if plan.conventions.reduction_for_writes:
        write_ext, pre_write = _split(spatial, t, x, last, WRITING)
    pre_read *= unshared(tables, nest, t, x, first, end, READING)
    pre_write *= unshared(tables, nest, t, x, first, end, WRITING)
    post_read = post_write = 1.0
    for i in range(first):
        reads = through_fanout(tables, nest, t, x, i, READING, 1.0)
        writes = through_fanout(tables, nest, t, x, i, WRITING, 1.0)
        if transfer.reading[i].level > memory:
            pre_read, pre_write = pre_read * reads, pre_write * writes
        else:
            post_read, post_write = post_read * reads, post_write * writes
    if transfer.supplier != last:
        # A fanout right inside the supplier counts once more.
        inner = first_inside(tables, x, transfer.nest[1])
        post_read *= unshared(tables, nest, t, x, 0, inner, READING)
        post_write *= unshared(tables, nest, t, x, 0, inner, WRITING)
    active = float(spatial.active[transfer.supplier])
    post_read, post_write = post_read * active, post_write * active
    slide: tuple[int, ...] = (-1,) * len(tensor.relevant)
    if not (at_last and lanes):
        slide = _slides(spatial, tensor, list(plan.spatial_after[memory]))
    if at_last and not lanes:
        marks = not (reuse and plan.multiple_reuses(last))
        reuses = plan.multiple_reuses(last)
    else:
        marks, reuses = not reuse, reuse
    mult: tuple[float, ...] = (1.0, 1.0, 1.0) if marks else (1.0, 1.0)
    rule = MARKS if marks else KEEPS
    if lanes and transfer.supplier != last:
        if reuse:
            mult = (1.0, *map(float, products))
            rule = COUNTS if at_last else KEEPS
        elif at_last:
            rule = RESOLVES
    leaving = UNMARKS if marks else STAYS
    if at_last and not lanes and not reuse:
        leaving = SETTLES
    whole = (spatial.inside[memory]).astype(np.float64)
    below = spatial.inside[last].astype(np.float64)
    return Seen(
        RowRow(
            tensor=t,
            reuse=int(reuses),
            rounded=int(not at_last),
            orthogonal=rule,
            closes=int(memory == transfer.supplier),
            beside=-1,
            leaving=leaving,
            base_read=pre_read * post_read,
            base_write=pre_write * post_write,
            base_enter=0.0,
            pre_read=pre_read,
            pre_write=pre_write,
            post_read=post_read,
            post_write=post_write,
        ),
        np.stack([read_ext, write_ext, below, whole]),
        slide,
        mult,
    )


def _split(spatial: Spatial, t: int, x: int, memory: int, way: int) -> tuple[FloatArray, float]:
    """Extents of the windows that instances share, and how often these are repeated."""
    tables, nest = spatial.tables, spatial.nest
    wide, repeats = spatial.inside[memory].astype(np.float64), 1.0
    for s in range(tables.tensors[t].axes):
        if tables.axes[t, s].terms > 1:
            repeats *= split(tables, nest, t, s, x, memory, way)
            dims = [tables.terms[t, s, k].dimension for k in range(tables.axes[t, s].terms)]
            wide[dims] = [nest.extents[tables.shape.levels + 2, d] for d in dims]
    return wide, repeats


def make_rows(
    plan: Plan,
    seen: list[Seen],
    accounts: list[Account],
    ports: list[tuple[int, Port]],
    active: list[int],
) -> Rows:
    """Write rows as arrays; costs are energy (pJ), then cycles per port."""
    dimensions = len(plan.workload.dimensions)
    count = max(len(seen), 1)
    states = max((s.states for s in seen), default=1)
    rows = Rows(
        np.zeros(count, dtype=record_type(RowRow)),
        np.ones((count, 4, dimensions)),
        np.full((count, dimensions), -1, dtype=np.int64),
        np.zeros((count, 1 + len(ports), 4)),
        np.ones((count, states)),
        np.zeros((0, 0, 0, 0, 0, 0)),
        np.zeros((0, 0, 0)),
        np.zeros((0, 0, 0)),
    )
    for r, (row, cost) in enumerate(zip(seen, accounts, strict=True)):
        rows.rows[r], rows.ext[r], rows.slide[r] = row.row, row.ext, row.slide
        rows.mult[r, : row.states] = row.mult
        rows.coef[r, 0] = cost.energy
        for p, (m, port) in enumerate(ports):
            rows.coef[r, 1 + p] = cost.passing(m, port) / (active[m] * port.bandwidth)
    return rows


def leakage(spatial: Spatial) -> list[tuple[int, float]]:
    """Leaked energy (pJ per cycle) of all powered instances, by level."""
    tables, powered, found = spatial.tables, 1.0, []
    for i, level in enumerate(tables.levels):
        if level.is_memory or i == len(tables.levels) - 1:
            found.append((i, level.leakage_pj * powered))
        else:
            powered *= powered_instances(tables, spatial.nest, i)
    return found
