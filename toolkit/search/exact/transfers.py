"""Transfers as rows for the compiled search, for one choice of all spatial factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from toolkit.compilation import record_type
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.model.plan import Plan, TensorPlan, Transfer
from toolkit.model.plan_tables import READING, WRITING, PlanTables
from toolkit.model.sequential import first_inside, split, through_fanout, unshared
from toolkit.model.tiles import parts, union, widen
from toolkit.search.exact.accounts import NOTHING, Account, account, crossing, crossings, in_bursts
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
from toolkit.search.exact.limits import Limit
from toolkit.search.exact.slots import Slot
from toolkit.search.exact.spatial_factors import Spatial
from toolkit.search.exact.waits import NO_WAIT, how_it_stays, wait_of
from toolkit.workload.distinct import count_window


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


def see(
    spatial: Spatial,
    t: int,
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
        return _see_sequential(spatial, t, number, memory, products)
    return _see_per_instance(spatial, t, number, memory, place)


def _see_per_instance(spatial: Spatial, t: int, number: int, memory: int, place: int) -> Seen:
    plan, tables, nest = spatial.plan, spatial.tables, spatial.nest
    tensor = plan.tensors[t]
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
    # What waits, and which tiles stay, is said once: where the supplier's words are counted.
    first = place == transfer.supplier
    wait = wait_of(spatial, t, number) if first else NO_WAIT
    return Seen(
        RowRow(
            tensor=t,
            reuse=int(reuse),
            rounded=0,
            orthogonal=MARKS if tracks else KEEPS,
            closes=int(memory == transfer.nest[0]),
            beside=-1,
            leaving=STAYS,
            base_read=read_base * active,
            base_write=write_base * active,
            base_enter=float(entered),
            pre_read=1.0,
            pre_write=1.0,
            post_read=1.0,
            post_write=1.0,
            wait_read=wait.read,
            wait_fill=wait.fill,
            wait_write=wait.write,
            wait_drain=wait.drain,
            stays=how_it_stays(tables, x) if first else 0,
            bursts=int(first and in_bursts(plan, t, number)),
            complete=_complete(plan, tables, t) if first and not number else 0.0,
        ),
        np.stack([read_ext, write_ext, held, held, _sent(spatial, transfer, memory, held)]),
        slide or (-1,) * len(tensor.relevant),
        (1.0,) * (3 if tracks else 2),
    )


def _sent(spatial: Spatial, transfer: Transfer, memory: int, held: FloatArray) -> FloatArray:
    """Extents of what leaves for all instances at once if a loop of a memory moves the tensor."""
    inside = [flags.level for flags in transfer.reading if flags.level > memory]
    return np.asarray(held * spatial.factors[inside].prod(axis=0))


def _complete(plan: Plan, tables: PlanTables, t: int) -> float:
    """Outputs that touch other bursts once they are complete."""
    tensor, bursts = plan.tensors[t], tables.bursts[t]
    if not tensor.is_output or bursts.complete == bursts.value:
        return 0.0
    sizes, outputs = list(plan.workload.sizes.values()), 1
    for terms in tensor.sums:
        outputs *= count_window([sizes[d] for d, _ in terms], [c for _, c in terms])
    return float(outputs)


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
    spatial: Spatial, t: int, number: int, memory: int, products: Sequence[int]
) -> Seen:
    plan, tensor = spatial.plan, spatial.plan.tensors[t]
    transfer = tensor.transfers[number]
    last, lanes = transfer.nest[-1], transfer.child is None
    stay = _stay_of(plan, transfer, memory, products)
    read, written = (_one_way(spatial, t, number, memory, way) for way in (READING, WRITING))
    slide: tuple[int, ...] = (-1,) * len(tensor.relevant)
    if not (memory == last and lanes):
        slide = _slides(spatial, tensor, list(plan.spatial_after[memory]))
    whole, below = (spatial.inside[m].astype(np.float64) for m in (memory, last))
    return Seen(
        RowRow(
            tensor=t,
            reuse=int(stay.reuse),
            rounded=int(memory != last),
            orthogonal=stay.orthogonal,
            closes=int(memory == transfer.supplier),
            beside=-1,
            leaving=stay.leaving,
            base_read=read.inside * read.outside,
            base_write=written.inside * written.outside,
            base_enter=0.0,
            pre_read=read.inside,
            pre_write=written.inside,
            post_read=read.outside,
            post_write=written.outside,
        ),
        np.stack([read.extents, written.extents, below, whole, below]),
        slide,
        stay.mult,
    )


class _Stay(NamedTuple):
    """What ends the stay of a sequential transfer's tile at a memory; see `RowRow` and `Rows`."""

    reuse: bool
    orthogonal: int
    leaving: int
    mult: tuple[float, ...]


def _stay_of(plan: Plan, transfer: Transfer, memory: int, products: Sequence[int]) -> _Stay:
    last, lanes = transfer.nest[-1], transfer.child is None
    supplied = plan.multiple_reuses(transfer.supplier)
    reuse, marks = supplied, not supplied
    if memory == last and not lanes:
        reuse = plan.multiple_reuses(last)
        marks = not (supplied and reuse)
    mult: tuple[float, ...] = (1.0, 1.0, 1.0) if marks else (1.0, 1.0)
    orthogonal, leaving = (MARKS, UNMARKS) if marks else (KEEPS, STAYS)
    if lanes and transfer.supplier != last:
        if supplied:
            mult = (1.0, *map(float, products))
            orthogonal = COUNTS if memory == last else KEEPS
        elif memory == last:
            orthogonal = RESOLVES
    if memory == last and not lanes and not supplied:
        leaving = SETTLES
    return _Stay(bool(reuse), orthogonal, leaving, mult)


class _OneWay(NamedTuple):
    """Extents that are sent at once one way; how often inside of a memory, and outside of it."""

    extents: FloatArray
    inside: float
    outside: float


def _one_way(spatial: Spatial, t: int, number: int, memory: int, way: int) -> _OneWay:
    """Say what goes one way of a sequential transfer, as seen from a memory of its nest."""
    plan, tables, nest = spatial.plan, spatial.tables, spatial.nest
    x, transfer = tables.tensors[t].transfers + number, plan.tensors[t].transfers[number]
    last, end = transfer.nest[-1], len(transfer.reading)
    shared = way if plan.conventions.reduction_for_writes else READING
    extents, inside = _split(spatial, t, x, last, shared)
    first, outside = first_inside(tables, x, last), 1.0
    inside *= unshared(tables, nest, t, x, first, end, way)
    for i in range(first):
        times = through_fanout(tables, nest, t, x, i, way, 1.0)
        if transfer.reading[i].level > memory:
            inside *= times
        else:
            outside *= times
    if transfer.supplier != last:
        # A fanout right inside the supplier counts once more.
        inner = first_inside(tables, x, transfer.nest[1])
        outside *= unshared(tables, nest, t, x, 0, inner, way)
    return _OneWay(extents, inside, outside * float(spatial.active[transfer.supplier]))


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


@dataclass(frozen=True)
class TransferRows:
    """All transfers as rows: each as seen from every memory where its stay may end.

    Where words are counted at several places there is a row for each, beside the one before.

    Parameters
    ----------
    seen : list of (Seen, Account)
        Rows, with what their words cost.
    fixed : list of int
        Those of transfers whose words are the same for all temporal loops.
    row_of : int64 array, shape (memories, slots)
        First row of the transfer of each slot that is under way at each memory, -1 if none.
        Slots are tensors unless transfers are persistent (see `list_slots`).
    """

    seen: list[tuple[Seen, Account]]
    fixed: list[int]
    row_of: IntArray


def list_rows(
    plan: Plan, spatial: Spatial, slots: Sequence[Slot], reach: Sequence[Sequence[IntArray]] | None
) -> TransferRows:
    """Describe all transfers at a choice of spatial factors.

    Parameters
    ----------
    plan : Plan
        Whose transfers.
    spatial : Spatial
        The choice.
    slots : sequence of Slot
        What waits on its own.
    reach : sequences of int64 arrays or None
        See `toolkit.search.exact.extents.reachable`; matters to sequential transfers.
    """
    memories = list(plan.memories)
    row_of = np.full((len(memories), len(slots)), -1, dtype=np.int64)
    seen: list[tuple[Seen, Account]] = []
    fixed: list[int] = []
    for s, slot in enumerate(slots):
        t = slot.tensor
        for number in slot.numbers:
            transfer = plan.tensors[t].transfers[number]
            accounts = [account(spatial, t, number)]
            accounts += [crossing(spatial, t, number, at) for at in crossings(plan, transfer)]
            products = _products(plan.tensors[t], memories.index(transfer.nest[-1]), reach)
            never_ends = is_fixed(plan, transfer)
            for m in transfer.nest[-1:] if never_ends else transfer.nest:
                if not never_ends:
                    row_of[memories.index(m), s] = len(seen)
                for costs in accounts:
                    row = see(spatial, t, number, m, costs.place, products)
                    if never_ends:
                        fixed.append(len(seen))
                    elif costs is not accounts[-1]:
                        row = replace(row, row=row.row._replace(beside=len(seen) + 1))
                    seen.append((row, costs))
    return TransferRows(seen, fixed, row_of)


def is_fixed(plan: Plan, transfer: Transfer) -> bool:
    """Whether a transfer's words are the same for all temporal loops."""
    several = plan.conventions.transfers == "sequential" and transfer.supplier != transfer.nest[-1]
    return transfer.child is None and not several


def _products(
    tensor: TensorPlan, last: int, reach: Sequence[Sequence[IntArray]] | None
) -> list[int]:
    """All products of iterations of a memory in loops that do not index a tensor."""
    products = {1}
    for d, relevant in enumerate(tensor.relevant):
        if not relevant and reach is not None:
            ratios, rest = np.divmod(reach[last][d][:, None], reach[last + 1][d][None, :])
            # A loop that is not placed yet counts once.
            products = {p * f for p in products for f in {1, *ratios[rest == 0].tolist()}}
    return sorted(products)


def make_rows(
    plan: Plan, seen: Sequence[tuple[Seen, Account]], limits: Sequence[Limit], active: list[int]
) -> Rows:
    """Write rows as arrays; costs are energy (pJ), then cycles per port."""
    dimensions = len(plan.workload.dimensions)
    count = max(len(seen), 1)
    states = max((s.states for s, _ in seen), default=1)
    rows = Rows(
        np.zeros(count, dtype=record_type(RowRow)),
        np.ones((count, 5, dimensions)),
        np.full((count, dimensions), -1, dtype=np.int64),
        np.zeros((count, 1 + len(limits), len(NOTHING))),
        np.zeros((count, 2)),
        np.ones((count, states)),
        np.zeros((0, 0, 0, 0, 0, 0)),
        np.zeros((0, 0, 0)),
        np.zeros((0, 0, 0)),
        np.ones((count, 4)),
    )
    for r, (row, cost) in enumerate(seen):
        rows.rows[r], rows.ext[r], rows.slide[r] = row.row, row.ext, row.slide
        rows.mult[r, : row.states] = row.mult
        rows.coef[r, 0], rows.together[r] = cost.energy, cost.together
        for p, limit in enumerate(limits):
            words, width = cost.per_instance(limit.level, limit.port), limit.port.bandwidth
            rows.coef[r, 1 + p] = words / (active[limit.level] * width)
    return rows
