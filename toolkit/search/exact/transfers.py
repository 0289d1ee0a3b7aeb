"""Transfers as rows for the compiled search, for one choice of all spatial factors."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.levels import Fanout
from toolkit.compilation import record_type
from toolkit.mapping.mapping import IntArray
from toolkit.model.cost import number_nest
from toolkit.model.nest import measure_tiles, orthogonal
from toolkit.model.plan import Plan, Port, SpatialFlags, TensorPlan, Transfer, wire_energies
from toolkit.model.plan_tables import NEVER, READING, WRITING, PlanTables
from toolkit.model.sequential import first_inside, split, through_fanout, unshared
from toolkit.model.totals import powered_instances
from toolkit.model.traffic import parts, sums_go_on, union, widen
from toolkit.model.waits import (
    DRAINS,
    FILLS,
    READS,
    UPDATES,
    comes_in,
    passing_cycles,
    stay_cycles,
)
from toolkit.search.exact.compiled_steps import FirstRow
from toolkit.search.exact.compiled_words import (
    BY_DRAINS,
    BY_FILLS,
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
from toolkit.search.exact.limits import LANES, Limit
from toolkit.search.problem import Problem
from toolkit.workload.distinct import count_window

FloatArray = NDArray[np.float64]

READ, WRITE, FILL, ENTER, RAW, WAITED, TILES, MORE_READ, MORE_WRITTEN = range(9)
"""Kinds of words of a transfer: raw ones are reads with all first visits. Then what is waited for,
in cycles, the tiles that a memory gets, and words that bursts move beside those wanted."""
NOTHING = np.zeros(9)
"""None of any kind."""


@dataclass
class Account:
    """Costs of a value of one transfer, by kinds of words, [9].

    Attributes
    ----------
    place : int
        Where its words are counted: at the supplier, or at a fanout further in or right inside
        of one, whose words have an account of their own.
    energy : float64 array
        In pJ; of outputs also what others save or spend for it (see `_continued`).
    cheapest : float64 array
        The same at the cheapest way over wires, whichever the spatial factors are.
    least : float64 array
        The cheapest where only sums over all transfers matter and nothing is below 0.
    words : dict of (int, str) to float64 array
        Words at the ports that it passes, by memory or fanout and traffic.
    together : float64 array
        Values of all instances that cost energy together, by kind.
    copies : float
        Instances between the supplier and the place among which the first gets all old sums.
    exposed : bool
        Whether levels inside of the child wait for it.
    tile_cycles : float
        Cycles that they wait, and no port outside of the child, for each tile that it gets.
    """

    transfer: Transfer
    place: int
    energy: FloatArray
    cheapest: FloatArray
    least: FloatArray
    words: dict[tuple[int, str], FloatArray]
    together: FloatArray
    copies: float = 1.0
    exposed: bool = False
    tile_cycles: float = 0.0

    def add(self, spatial: Spatial, memory: int, kind: str, word: int, times: float) -> None:
        """Charge `times` words for each value of a kind to a memory's traffic."""
        level, line = spatial.plan.memory(memory), spatial.plan.charged_together(memory)
        if line > 1 and word < RAW:
            self.together[word] = spatial.active[memory] * line / times
        pj = level.read_energy_pj if kind in ("reads", "drains") else level.write_energy_pj
        self.energy[word] += pj * times
        self.words.setdefault((memory, kind), NOTHING.copy())[word] += times

    def passing(self, memory: int, port: Port) -> FloatArray:
        """How often each kind of words passes a port of a memory, [9]."""
        found = NOTHING.copy()
        for kind in port.kinds:
            found += self.words.get((memory, kind), NOTHING)
        return found

    def per_instance(self, memory: int, port: Port) -> FloatArray:
        """The same over all instances if all tiles are of one size, as the first one sees it."""
        found = self.passing(memory, port)
        found[READ] *= self.copies
        return found

    def costs(self, limit: Limit) -> FloatArray:
        """Cycles of a limit for each kind of words, [9]: of one instance, with its waits."""
        found = self.passing(limit.level, limit.port) / limit.port.bandwidth
        child = self.transfer.child
        if child is not None and child < limit.outside:
            found[WAITED] = float(self.exposed)
        if limit.port is LANES:
            found[TILES] = self.tile_cycles
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
    """Say which ports the values of a transfer pass, and what they cost.

    Outputs count as partial sums (see `CompleteOutputs`).
    """
    actual = _account(spatial, tensor, number, cheapest=False)
    if len(tensor.transfers[number].places) == 1:
        return actual
    bound = _account(spatial, tensor, number, cheapest=True)
    return replace(actual, cheapest=bound.energy, least=bound.least)


def _account(spatial: Spatial, tensor: TensorPlan, number: int, *, cheapest: bool) -> Account:
    result = _words_of(spatial, tensor, number, cheapest=cheapest)
    result = _with_waits(spatial, tensor, number, result)
    if _begins_anew(spatial, tensor):
        return _continued(spatial, tensor, number, result)
    return replace(result, cheapest=result.energy, least=result.energy)


def _begins_anew(spatial: Spatial, tensor: TensorPlan) -> bool:
    """Whether first visits of a transfer depend on those of the transfers outside of it.

    Outputs in windows come here only if no sum begins anew (see `decomposes`).
    """
    wide = any(len(terms) > 1 for terms in tensor.sums)
    return sums_go_on(spatial.tables, _tensor_number(spatial.plan, tensor)) and not wide


def _continued(spatial: Spatial, tensor: TensorPlan, number: int, alone: Account) -> Account:
    """Charge a transfer of outputs with what its visits change further in.

    Of the instances of its child that sum up a value apart, only one goes on with an old sum;
    further in, nothing is read at the first visit after the others have begun anew. So of each
    transfer count all reads, each as a fill, too, less those of tiles that began from zero: all
    that entered one (``ENTER``) but those that came as old sums (``RAW`` of the transfer
    outside). What begins in the outermost holder was never there. All this is the same at every
    place that an old sum passes, so that what it costs on wires belongs here, too.
    """
    back = [_back_pj(spatial, tensor, transfer) for transfer in tensor.transfers]
    further_in, is_for_lanes = sum(back[number + 1 :]), number + 1 == len(back)
    energy, least = NOTHING.copy(), NOTHING.copy()
    energy[WRITE] = least[WRITE] = alone.energy[WRITE]
    energy[MORE_READ:] = alone.energy[MORE_READ:]
    energy[RAW if number else READ] = back[number] + further_in
    entering = alone.energy[ENTER]
    if spatial.plan.conventions.zero_fills:
        entering += alone.energy[FILL]
    energy[ENTER] = entering - further_in
    # All reads for lanes count, less what has been drained where they come from: at no more than
    # draining costs, for there may be as much of that as of reads.
    read = min(back[-1], _drained_pj(spatial, tensor)) if len(back) > 1 else back[-1]
    if is_for_lanes:
        least[RAW if number else READ] = read
    else:
        least[ENTER] = entering - read * (number + 2 == len(back))
    return replace(alone, energy=energy, cheapest=energy, least=least)


def _drained_pj(spatial: Spatial, tensor: TensorPlan) -> float:
    """Energy of a partial sum that leaves the innermost holder."""
    plan, supplier = spatial.plan, tensor.transfers[-1].supplier
    if plan.conventions.free_drains:
        return 0.0
    t = _tensor_number(plan, tensor)
    return float(plan.memory(supplier).read_energy_pj * spatial.tables.values[t, supplier].words)


def _with_waits(spatial: Spatial, tensor: TensorPlan, number: int, account: Account) -> Account:
    tables, transfer = spatial.tables, tensor.transfers[number]
    if transfer.child is None:
        return account
    x = tables.tensors[_tensor_number(spatial.plan, tensor)].transfers + number
    cycles = stay_cycles(tables, spatial.nest) if x == tables.shape.stationary else 0.0
    exposed = tables.levels[transfer.child].overlap == NEVER
    return replace(account, exposed=exposed, tile_cycles=float(cycles))


def _stays(tables: PlanTables, x: int) -> int:
    if x != tables.shape.stationary:
        return 0
    return BY_DRAINS if tables.tensors[tables.shape.stationary_tensor].is_output else BY_FILLS


@dataclass(frozen=True)
class Wait:
    """Cycles per value of a transfer that nothing hides, at the slower end.

    Parameters
    ----------
    read, fill, write, drain : float
        Of a value that leaves the supplier, arrives, returns to it, or leaves the child: the
        words of the busiest instance alone pass the ports.
    first : FirstRow
        Of every value of the first tile, and of the last one.
    """

    read: float
    fill: float
    write: float
    drain: float
    first: FirstRow

    @property
    def come(self) -> float:
        """Of every value of the first tile, if bursts move no others."""
        return max(self.first.come_far, self.first.come_near)

    @property
    def back(self) -> float:
        """Of every value of the last tile, if bursts move no others."""
        return max(self.first.back_far, self.first.back_near)


NO_FIRST = FirstRow(0.0, 0.0, 0.0, 0.0, 0)
NO_WAIT = Wait(0.0, 0.0, 0.0, 0.0, NO_FIRST)


def wait_of(spatial: Spatial, tensor: TensorPlan, number: int) -> Wait:
    """Say how long values of a transfer take if nothing hides them."""
    plan, tables, nest = spatial.plan, spatial.tables, spatial.nest
    transfer, t = tensor.transfers[number], _tensor_number(plan, tensor)
    supplier, child = transfer.supplier, transfer.child
    if child is None or not tables.switches.waits:
        return NO_WAIT
    x = tables.tensors[t].transfers + number

    def cycles(memory: int, kind: int) -> float:
        return float(passing_cycles(tables, nest, memory, kind, tables.values[t, memory].words))

    read, fill = cycles(supplier, READS), cycles(child, FILLS)
    write, drain = cycles(supplier, UPDATES), cycles(child, DRAINS)
    if not tensor.is_output:
        write = drain = 0.0
    first = NO_FIRST
    if tables.switches.first_and_last:
        far = near = 0.0
        if comes_in(tables, t):
            far, near = read * float(parts(tables, nest, t, x, READING, supplier)), fill
        back = write * float(parts(tables, nest, t, x, WRITING, supplier))
        first = FirstRow(far, near, back, drain, int(_in_bursts(plan, tensor, number)))
    return Wait(read, fill, write, drain, first)


def ends_in(limit: Limit, problem: Problem, memory: int) -> tuple[float, float]:
    """Whether a memory's first tiles are a part of their own of a limit, and its last ones.

    Those of a memory that hides nothing are among all that levels inside wait for.
    """
    if memory < limit.outside and problem.tables.levels[memory].overlap == NEVER:
        return 0.0, 0.0
    return float(memory < limit.first), float(memory < limit.last)


def _in_bursts(plan: Plan, tensor: TensorPlan, number: int) -> bool:
    """Whether a transfer leaves the outermost memory, and in bursts of several words."""
    return number == 0 and plan.has_bursts(tensor)


def _back_pj(spatial: Spatial, tensor: TensorPlan, transfer: Transfer) -> float:
    """Energy of an old sum on its way inwards, beyond that of zeros."""
    plan, values = spatial.plan, spatial.tables.values
    t, supplier, child = _tensor_number(plan, tensor), transfer.supplier, transfer.child
    energy: float = plan.memory(supplier).read_energy_pj * values[t, supplier].words
    if child is not None and not plan.conventions.zero_fills:
        energy += plan.memory(child).write_energy_pj * values[t, child].words
    for flags in transfer.reading:
        level = plan.arch.levels[flags.level]
        if isinstance(level, Fanout) and level.wires is not None:
            energy += wire_energies(level)[0] * values[t, flags.level].words
    return energy


def _words_of(spatial: Spatial, tensor: TensorPlan, number: int, *, cheapest: bool) -> Account:
    plan, transfer = spatial.plan, tensor.transfers[number]
    free, t = plan.conventions.free_drains, _tensor_number(spatial.plan, tensor)
    result = _empty_account(transfer, transfer.supplier)

    def add(memory: int, kind: str, value: int, copies: float = 1.0) -> None:
        words = spatial.tables.values[t, memory].words
        result.add(spatial, memory, kind, value, copies * words)

    bursts = _in_bursts(plan, tensor, number)
    add(transfer.supplier, "reads", READ)
    if bursts:
        add(transfer.supplier, "reads", MORE_READ)
    if tensor.is_output:
        add(transfer.supplier, "updates", WRITE)
    if tensor.is_output and bursts:
        add(transfer.supplier, "updates", MORE_WRITTEN)
    between, apart = [flags.level for flags in transfer.reading], crossings(plan, transfer)
    for place in transfer.places[1:]:
        if place not in apart:
            # All instances are served on their own where none lies further in: their words enter.
            ways = (READ, WRITE) if place <= between[-1] else (FILL, ENTER)
            _cross(result, spatial, tensor, place, ways, cheapest=cheapest)
    child = transfer.child
    if child is None:
        return result
    if plan.conventions.transfers != "sequential":
        add(child, "fills", FILL)
        if tensor.is_output and not free:
            add(child, "drains", ENTER)
        return result
    if transfer.supplier not in tensor.holders:
        return result
    copies = _copies(spatial, t, transfer)
    add(child, "fills", READ, copies)
    if tensor.is_output and not free:
        add(child, "drains", WRITE, copies)
        inner = tensor.transfers[number + 1]
        if inner.child is not None:
            copies *= _copies(spatial, t, inner)
            add(inner.child, "drains", READ, copies)
    return result


def crossings(plan: Plan, transfer: Transfer) -> list[int]:
    """Places of a transfer whose words are counted there alone.

    Those with instances on either side. Others pass as many words as the supplier or the child
    moves, which is of use where wires cost what memories do: word by word, and nothing for zeros.
    """
    between = [flags.level for flags in transfer.reading]
    ends = [m for m in (transfer.supplier, transfer.child) if m is not None]
    if plan.rounds_wordlines(ends) or plan.conventions.zero_fills:
        return list(transfer.places[1:])
    return [p for p in transfer.places[1:] if between[0] < p <= between[-1]]


def crossing(spatial: Spatial, tensor: TensorPlan, number: int, place: int) -> Account:
    """Say what the words of a transfer cost at one of its `crossings`: read and written there."""
    transfer = tensor.transfers[number]
    actual, bound = _empty_account(transfer, place), _empty_account(transfer, place)
    _cross(actual, spatial, tensor, place, (READ, WRITE), cheapest=False)
    _cross(bound, spatial, tensor, place, (READ, WRITE), cheapest=True)
    copies, t = 1.0, _tensor_number(spatial.plan, tensor)
    if sums_go_on(spatial.tables, t):
        between = (flags.level for flags in transfer.reading if flags.level < place)
        copies = math.prod(float(orthogonal(spatial.tables, spatial.nest, t, i)) for i in between)
    return replace(actual, cheapest=bound.energy, least=bound.energy, copies=copies)


def _empty_account(transfer: Transfer, place: int) -> Account:
    return Account(transfer, place, NOTHING.copy(), NOTHING, NOTHING, {}, np.ones(RAW))


def _cross(
    result: Account,
    spatial: Spatial,
    tensor: TensorPlan,
    place: int,
    ways: tuple[int, int],
    *,
    cheapest: bool,
) -> None:
    """Charge what passes a place, inwards and outwards, to the fanouts on either side of it."""
    levels = spatial.plan.arch.levels
    for i, kinds in ((place, ("reads", "updates")), (place - 1, ("fills", "drains"))):
        level = levels[i]
        if not isinstance(level, Fanout) or level.wires is None:
            continue
        t = _tensor_number(spatial.plan, tensor)
        words, energies = spatial.tables.values[t, i].words, (0.0, 0.0)
        if i < place:
            energies = _wire_energies(spatial, tensor, i, cheapest=cheapest)
        for way, kind, pj in zip(ways[: 1 + tensor.is_output], kinds, energies, strict=False):
            result.words.setdefault((i, kind), NOTHING.copy())[way] += words
            result.energy[way] += pj * words


def _wire_energies(
    spatial: Spatial, tensor: TensorPlan, i: int, *, cheapest: bool
) -> tuple[float, float]:
    """Energies (pJ) of a word inwards and outwards; old sums inwards count in `_continued`."""
    level, t = spatial.plan.arch.levels[i], _tensor_number(spatial.plan, tensor)
    assert isinstance(level, Fanout)
    alone, together, summed = wire_energies(level)
    ways = (alone if sums_go_on(spatial.tables, t) else together), summed
    if cheapest:
        inwards, outwards = (min(each, alone) for each in ways)
    elif orthogonal(spatial.tables, spatial.nest, t, i) > 1:
        inwards, outwards = ways
    else:
        inwards = outwards = alone
    return (0.0 if _begins_anew(spatial, tensor) else inwards), outwards


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
    # What waits, and which tiles stay, is said once: where the supplier's words are counted.
    first = place == transfer.supplier
    wait = wait_of(spatial, tensor, number) if first else NO_WAIT
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
            stays=_stays(tables, x) if first else 0,
            bursts=int(first and _in_bursts(plan, tensor, number)),
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
            wait_read=0.0,
            wait_fill=0.0,
            wait_write=0.0,
            wait_drain=0.0,
            stays=0,
            bursts=0,
            complete=0.0,
        ),
        np.stack([read_ext, write_ext, below, whole, below]),
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
    limits: list[Limit],
    active: list[int],
) -> Rows:
    """Write rows as arrays; costs are energy (pJ), then cycles per port."""
    dimensions = len(plan.workload.dimensions)
    count = max(len(seen), 1)
    states = max((s.states for s in seen), default=1)
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
    for r, (row, cost) in enumerate(zip(seen, accounts, strict=True)):
        rows.rows[r], rows.ext[r], rows.slide[r] = row.row, row.ext, row.slide
        rows.mult[r, : row.states] = row.mult
        rows.coef[r, 0], rows.together[r] = cost.energy, cost.together
        for p, limit in enumerate(limits):
            words, width = cost.per_instance(limit.level, limit.port), limit.port.bandwidth
            rows.coef[r, 1 + p] = words / (active[limit.level] * width)
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
