"""Transfers as rows for the compiled search, for one choice of all spatial factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.levels import Compute, Memory
from toolkit.mapping.mapping import IntArray
from toolkit.model.plan import Plan, SpatialFlags, TensorPlan, Transfer
from toolkit.search.exact.compiled_words import (
    COUNTS,
    KEEPS,
    MARKS,
    PLAIN,
    RESOLVES,
    ROUNDED_UP,
    SETTLES,
    STAYS,
    UNMARKS,
    Rows,
)
from toolkit.workload.distinct import count_sum

FloatArray = NDArray[np.float64]

READ, WRITE, FILL, ENTER = range(4)
"""Kinds of words of a transfer."""


@dataclass
class Account:
    """Costs of a word of one transfer: energy (pJ) first, then the ports it passes."""

    transfer: Transfer
    energy: FloatArray
    words: dict[tuple[int, str], FloatArray]

    def add(self, plan: Plan, memory: int, kind: str, word: int, times: float = 1.0) -> None:
        """Charge `times` words of a kind to what a memory sends or receives."""
        level = plan.memory(memory)
        pj = level.read_energy_pj if kind == "out" else level.write_energy_pj
        self.energy[word] += pj * times
        self.words.setdefault((memory, kind), np.zeros(4))[word] += times


@dataclass(frozen=True, slots=True)
class Port:
    """What a memory sends (``out``), receives (``in``), or both; bandwidth in words per cycle."""

    memory: int
    kinds: tuple[str, ...]
    bandwidth: float

    def words(self, costs: Account) -> FloatArray:
        """How often each kind of words of a transfer passes the port, [4]."""
        nothing = np.zeros(4)
        return sum((costs.words.get((self.memory, k), nothing) for k in self.kinds), nothing)


class Spatial:
    """One choice of the factors of all spatial levels, [levels, dimensions]; ones at memories."""

    def __init__(self, plan: Plan, factors: IntArray) -> None:
        self.plan = plan
        self.factors = factors
        sizes = np.array(list(plan.workload.sizes.values()), dtype=np.int64)
        self.inside = np.ones_like(factors)
        for level in reversed(range(len(factors) - 1)):
            self.inside[level] = self.inside[level + 1] * factors[level + 1]
        self.temporal = sizes // (self.inside[0] * factors[0])
        used = factors.prod(axis=1)
        self.active = [math.prod(used[:level].tolist()) for level in range(len(factors))]
        self.used = used
        self.cycles = float(plan.arch.compute.cycles * math.prod(self.temporal.tolist()))

    def orthogonal(self, tensor: TensorPlan, level: int) -> int:
        """Copies of a tensor's values at a spatial level."""
        row = zip(self.factors[level].tolist(), tensor.relevant, strict=True)
        return math.prod(f for f, relevant in row if not relevant)

    def relevant(self, tensor: TensorPlan, level: int) -> int:
        """Parts of a tensor at a spatial level."""
        row = zip(self.factors[level].tolist(), tensor.relevant, strict=True)
        return math.prod(f for f, relevant in row if relevant)


@dataclass(frozen=True)
class Seen:
    """A transfer seen from one memory of its nest: one row of `Rows`."""

    ints: tuple[int, ...]
    consts: tuple[float, ...]
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
    result = Account(transfer, np.zeros(4), {})
    result.add(plan, transfer.supplier, "out", READ)
    if tensor.is_output:
        result.add(plan, transfer.supplier, "in", WRITE)
    child = transfer.child
    if child is None:
        return result
    if plan.conventions.transfers != "sequential":
        result.add(plan, child, "in", FILL)
        if tensor.is_output and not free:
            result.add(plan, child, "out", ENTER)
        return result
    if transfer.supplier not in tensor.holders:
        return result
    copies = _copies(spatial, tensor, transfer)
    result.add(plan, child, "in", READ, copies)
    if tensor.is_output and not free:
        result.add(plan, child, "out", WRITE, copies)
        inner = tensor.transfers[number + 1]
        if inner.child is not None:
            copies *= _copies(spatial, tensor, inner)
            result.add(plan, inner.child, "out", READ, copies)
    return result


def _copies(spatial: Spatial, tensor: TensorPlan, transfer: Transfer) -> float:
    return float(math.prod(spatial.orthogonal(tensor, x.level) for x in transfer.reading))


def see(
    spatial: Spatial, tensor: TensorPlan, number: int, memory: int, products: Sequence[int]
) -> Seen:
    """Describe a transfer whose stay may end at a memory of its nest.

    `products` are all products of iterations that the last memory of the nest may have in loops
    that do not index the tensor.
    """
    if spatial.plan.conventions.transfers == "sequential":
        return _see_sequential(spatial, tensor, number, memory, products)
    return _see_per_instance(spatial, tensor, number, memory)


def _tensor_number(plan: Plan, tensor: TensorPlan) -> int:
    return next(i for i, t in enumerate(plan.tensors) if t is tensor)


def _see_per_instance(spatial: Spatial, tensor: TensorPlan, number: int, memory: int) -> Seen:
    plan, transfer = spatial.plan, tensor.transfers[number]
    child = len(spatial.factors) - 1 if transfer.child is None else transfer.child
    held = np.ones(len(tensor.relevant))
    if transfer.child is not None:
        held = (spatial.inside[child] * spatial.factors[child]).astype(np.float64)
    # Selective or not is one question for both directions of a transfer.
    selective = any(x.selective for x in (*transfer.reading, *transfer.writing))
    read_ext, read_base = _served(spatial, tensor, transfer.reading, held, selective)
    write_ext, write_base = _served(spatial, tensor, transfer.writing, held, selective)
    reuse = plan.multiple_reuses(transfer.supplier)
    between = plan.spatial_inside(transfer)
    slide = _slides(spatial, tensor, between) if transfer.child is not None else None
    tracks = not reuse and slide is not None and max(slide) >= 0
    active = float(spatial.active[transfer.supplier])
    entering = 1.0 if transfer.child is None else float(spatial.active[child])
    return Seen(
        (
            _tensor_number(plan, tensor),
            int(reuse),
            0,
            MARKS if tracks else KEEPS,
            int(memory == transfer.supplier),
            STAYS,
            PLAIN if tensor.is_output and not plan.bias_read else 0,
        ),
        (read_base * active, write_base * active, entering, 1.0, 1.0, 1.0, 1.0),
        np.stack([read_ext, write_ext, held, held]),
        slide or (-1,) * len(tensor.relevant),
        (1.0,) * (3 if tracks else 2),
    )


def _served(
    spatial: Spatial,
    tensor: TensorPlan,
    flags: tuple[SpatialFlags, ...],
    held: FloatArray,
    selective: bool,
) -> tuple[FloatArray, float]:
    """Extents of what is sent at once, and how often it is sent."""
    wide, times = held.copy(), 1.0
    for x in flags:
        row = spatial.factors[x.level].astype(np.float64)
        if selective and x.selective:
            wide = np.where(tensor.relevant, wide * row, wide)
        else:
            times *= spatial.relevant(tensor, x.level)
        if not x.shared:
            times *= spatial.orthogonal(tensor, x.level)
    for terms in scattered_sums(tensor, flags, spatial.factors):
        # Only at lanes, which hold a single value (see `decomposes`), so that it is a constant.
        apart = [(x.level, d, c) for x in flags if x.selective for d, c in terms]
        inside, factors = spatial.inside, spatial.factors
        times *= count_sum([(c * int(inside[i, d]), int(factors[i, d])) for i, d, c in apart])
        for d, _ in terms:
            wide[d] = held[d]
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
    plan, transfer = spatial.plan, tensor.transfers[number]
    last, lanes = transfer.nest[-1], transfer.child is None
    reuse = plan.multiple_reuses(transfer.supplier)
    at_last = memory == last
    inside = [x for x in transfer.reading if x.level > last]
    written = [x for x in transfer.writing if x.level > last]
    read_ext, pre_read = _split(spatial, tensor, last, inside)
    write_ext, pre_write = read_ext, pre_read
    if plan.conventions.reduction_for_writes:
        write_ext, pre_write = _split(spatial, tensor, last, written)
    pre_read *= _unshared(spatial, tensor, inside)
    pre_write *= _unshared(spatial, tensor, written)
    post_read = post_write = 1.0
    for r, w in zip(transfer.reading, transfer.writing, strict=True):
        if r.level > last:
            continue
        reads = spatial.relevant(tensor, r.level) * _unshared(spatial, tensor, [r])
        writes = spatial.relevant(tensor, r.level) * _unshared(spatial, tensor, [w])
        if r.level > memory:
            pre_read, pre_write = pre_read * reads, pre_write * writes
        else:
            post_read, post_write = post_read * reads, post_write * writes
    if transfer.supplier != last:
        # A fanout right inside the supplier counts once more.
        first = range(transfer.supplier + 1, transfer.nest[1])
        post_read *= _unshared(spatial, tensor, [x for x in transfer.reading if x.level in first])
        post_write *= _unshared(spatial, tensor, [x for x in transfer.writing if x.level in first])
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
    orthogonal = MARKS if marks else KEEPS
    if lanes and transfer.supplier != last:
        if reuse:
            mult = (1.0, *map(float, products))
            orthogonal = COUNTS if at_last else KEEPS
        elif at_last:
            orthogonal = RESOLVES
    leaving = UNMARKS if marks else STAYS
    if at_last and not lanes and not reuse:
        leaving = SETTLES
    whole = (spatial.inside[memory]).astype(np.float64)
    below = spatial.inside[last].astype(np.float64)
    return Seen(
        (
            _tensor_number(plan, tensor),
            int(reuses),
            int(not at_last),
            orthogonal,
            int(memory == transfer.supplier),
            leaving,
            ROUNDED_UP if tensor.is_output and not plan.bias_read else 0,
        ),
        (
            pre_read * post_read,
            pre_write * post_write,
            0.0,
            pre_read,
            pre_write,
            post_read,
            post_write,
        ),
        np.stack([read_ext, write_ext, below, whole]),
        slide,
        mult,
    )


def _split(
    spatial: Spatial, tensor: TensorPlan, memory: int, flags: list[SpatialFlags]
) -> tuple[FloatArray, float]:
    """Extents of the windows that instances share, and how often these are repeated."""
    wide, repeats = spatial.inside[memory].astype(np.float64), 1.0
    for terms in tensor.sums:
        if len(terms) == 1:
            continue
        for x in flags:
            for d, _ in terms:
                if not x.selective:
                    wide[d] /= spatial.factors[x.level, d]
                    repeats *= float(spatial.factors[x.level, d])
    return wide, repeats


def _unshared(spatial: Spatial, tensor: TensorPlan, flags: list[SpatialFlags]) -> float:
    return float(math.prod(spatial.orthogonal(tensor, x.level) for x in flags if not x.shared))


def make_rows(
    plan: Plan, seen: list[Seen], accounts: list[Account], ports: list[Port], active: list[int]
) -> Rows:
    """Write rows as arrays; costs are energy (pJ), then cycles per port."""
    dimensions = len(plan.workload.dimensions)
    count = max(len(seen), 1)
    states = max((s.states for s in seen), default=1)
    rows = Rows(
        np.zeros((count, 7), dtype=np.int64),
        np.ones((count, 7)),
        np.ones((count, 4, dimensions)),
        np.full((count, dimensions), -1, dtype=np.int64),
        np.zeros((count, 1 + len(ports), 4)),
        np.ones((count, states)),
    )
    for r, (row, cost) in enumerate(zip(seen, accounts, strict=True)):
        rows.ints[r], rows.consts[r], rows.ext[r] = row.ints, row.consts, row.ext
        rows.slide[r] = row.slide
        rows.mult[r, : row.states] = row.mult
        rows.coef[r, 0] = cost.energy
        for p, port in enumerate(ports):
            moved = port.words(cost)
            rows.coef[r, 1 + p] = moved / (active[port.memory] * port.bandwidth)
    return rows


def ports_of(plan: Plan) -> list[Port]:
    """List the ports of all memories whose bandwidth is finite."""
    found = []
    for m in plan.memories:
        memory = plan.memory(m)
        if plan.conventions.shared_ports:
            both = memory.read_bandwidth + memory.write_bandwidth
            found.append(Port(m, ("out", "in"), both))
            continue
        found.append(Port(m, ("out",), memory.read_bandwidth))
        found.append(Port(m, ("in",), memory.write_bandwidth))
    return [port for port in found if port.bandwidth < math.inf]


def leakage(spatial: Spatial) -> list[tuple[int, float]]:
    """Leaked energy (pJ per cycle) of all powered instances, by level."""
    powered, found = 1.0, []
    for i, level in enumerate(spatial.plan.arch.levels):
        if isinstance(level, Memory | Compute):
            found.append((i, level.leakage_pj_per_cycle * powered))
        else:
            powered *= float(spatial.used[i]) if level.power_gating else level.mesh
    return found
