"""The temporal nest of one choice of spatial factors, as steps for the compiled search."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import Block, fields_of, record_type
from toolkit.mapping.mapping import IntArray
from toolkit.model.compiled import nest_room
from toolkit.model.plan import TensorPlan
from toolkit.model.plan_tables import compiled_tables
from toolkit.model.totals import in_whole_cycles
from toolkit.search.exact.compiled_steps import (
    CLOSE,
    EXPLORE,
    MEASURE,
    SWEEP,
    DimensionRow,
    FirstRow,
    Least,
    LoopRow,
    SizeRow,
    Step,
    WaitingRow,
)
from toolkit.search.exact.compiled_words import (
    AlongRow,
    Depth,
    Room,
    RoomRow,
    Rows,
    WindowPlan,
    WindowRoom,
)
from toolkit.search.exact.complete import CompleteOutputs
from toolkit.search.exact.extents import (
    Extents,
    choice_table,
    fitting_extents,
    is_strict,
    reachable,
    splits_kept_windows,
)
from toolkit.search.exact.limits import Limit
from toolkit.search.exact.slots import Slot, list_slots
from toolkit.search.exact.transfers import (
    Account,
    Seen,
    Spatial,
    account,
    crossing,
    crossings,
    ends_in,
    leakage,
    make_rows,
    scattered_sums,
    see,
    wait_of,
)
from toolkit.search.problem import Problem

FloatArray = NDArray[np.float64]

NOWHERE = np.zeros((0, 2))


class Floors(NamedTuple):
    """Least costs to come by memory, where no tables of all states are made: see `Goal`."""

    floor: FloatArray
    to_go: FloatArray
    subset: IntArray
    cells: IntArray


_WHOLE = np.zeros((0, 0), dtype=np.int64)
NO_FLOORS = Floors(NOWHERE, np.zeros((0, 0, 0)), np.zeros(0, dtype=np.int64), _WHOLE)
"""Where such tables are made."""


def decomposes(problem: Problem) -> bool:
    """Whether the words of every transfer depend on what the search keeps track of.

    They do not where instances share overlapping windows selectively across a memory in
    between whose loops move these windows, or across instances in between that get windows of
    their own: the distances of what is shared then depend on a further tile. Neither does what
    fits, where fanouts split windows that have to be kept as a whole, nor do outputs in windows
    whose sums begin anew somewhere inside.
    """
    plan, space = problem.plan, problem.space
    if splits_kept_windows(space) or _begins_windows_anew(problem) or _is_unknown(problem):
        return False
    most = np.minimum(space.upper, space.mesh[:, None])
    for tensor in plan.tensors:
        if all(len(terms) == 1 for terms in tensor.sums):
            continue
        for transfer in tensor.transfers:
            flags = (*transfer.reading, *transfer.writing)
            if any(x.selective and x.level < transfer.nest[-1] for x in flags):
                return False
            if plan.conventions.transfers == "sequential" or transfer.child is None:
                continue
            if any(scattered_sums(tensor, x, most) for x in (transfer.reading, transfer.writing)):
                return False
    return True


def _is_unknown(problem: Problem) -> bool:
    """Whether costs have parts that only some of the searches follow.

    Waits are known of transfers per instance; wordlines of outputs are rounded up where all of
    these are as wide as partial sums, none of which begins anew, and no transfer is charged with
    what its visits change further in.
    """
    tables, conventions, plan = problem.tables, problem.conventions, problem.plan
    waits = bool(tables.switches.waits) or tables.shape.stationary >= 0
    narrows = any(row.less_updated or row.less_drained for row in tables.values.values())
    rounds = (narrows or conventions.sums_go_on) and plan.rounds_wordlines(
        m for tensor in plan.tensors if tensor.is_output for m in tensor.holders
    )
    return (waits and conventions.transfers != "per_instance") or rounds


def _begins_windows_anew(problem: Problem) -> bool:
    """Whether first visits of outputs in windows depend on two tiles.

    Or whether they save energy that nothing makes up for.
    """
    plan, space = problem.plan, problem.space
    if not plan.conventions.sums_go_on:
        return False
    output = next(tensor for tensor in plan.tensors if tensor.is_output)
    others = [d for d, relevant in enumerate(output.relevant) if not relevant]
    most = np.minimum(space.upper, space.mesh[:, None])[:, others]
    apart = any(
        (most[x.level] > 1).any() for transfer in output.transfers[:-1] for x in transfer.writing
    )
    wide = any(len(terms) > 1 for terms in output.sums)
    return apart and (wide or plan.conventions.free_drains)


@dataclass(frozen=True)
class LoopLists:
    """Possible loops of one dimension at one memory.

    Parameters
    ----------
    loops : `LoopRow` array, shape (extents below, loops)
        What they are.
    counts, idle : int64 arrays, shape (extents below,)
        How many, and the extent above if the loop iterates once, -1 if it may not.
    """

    loops: NDArray[Any]
    counts: IntArray
    idle: IntArray


@dataclass(frozen=True)
class Constant:
    """What does not depend on the temporal loops: energy (pJ) and cycles by port.

    Those of the lanes, less what complete outputs save.
    """

    energy_pj: float
    cycles: FloatArray


class Nest:
    """Tables of one choice of spatial factors.

    Attributes
    ----------
    steps : list of Step
        Memories, outermost first.
    rows : Rows
        Transfers; costs are energy and the ports that may matter.
    limits : list of Limit
        Those ports, in a proof of choices also what lanes wait for.
    """

    def __init__(self, problem: Problem, windows: Block, spatial: Spatial) -> None:
        self.problem = problem
        self.windows = windows
        self.spatial = spatial
        self.memories = list(problem.plan.memories)
        self.n = spatial.temporal.astype(np.float64)
        self._seen: list[Seen] = []
        self._accounts: list[Account] = []
        self._fixed: list[int] = []
        self._slots = list_slots(problem.plan)
        self._row_of = self._list_rows()
        self.limits = [Limit(m, port, m, m, m) for m, port in problem.plan.ports]
        self.limits = [limit for limit in self.limits if self._matters(limit)]
        self.rows: Rows = make_rows(
            problem.plan, self._seen, self._accounts, self.limits, spatial.active
        )
        self.row_block = Block(self.rows)
        self.window_room = Block(_window_room(problem))

    def _list_rows(self) -> IntArray:
        """Row of the transfer of each slot that is under way at each memory, -1 if none."""
        plan = self.problem.plan
        row_of = np.full((len(self.memories), len(self._slots)), -1, dtype=np.int64)
        for s, slot in enumerate(self._slots):
            for number in slot.numbers:
                tensor = plan.tensors[slot.tensor]
                accounts, transfer = (
                    [account(self.spatial, tensor, number)],
                    tensor.transfers[number],
                )
                for at in crossings(plan, transfer):
                    accounts.append(crossing(self.spatial, tensor, number, at))
                fixed = self._is_fixed(slot.tensor, number)
                for m in transfer.nest[-1:] if fixed else transfer.nest:
                    first = self._add_rows(tensor, number, m, accounts, fixed=fixed)
                    if not fixed:
                        row_of[self.memories.index(m), s] = first
        return row_of

    def _add_rows(
        self, tensor: TensorPlan, number: int, m: int, accounts: list[Account], *, fixed: bool
    ) -> int:
        """Add a row of a transfer for every account, each beside the one before; its first."""
        first, last = len(self._seen), len(self._seen) + len(accounts) - 1
        for costs in accounts:
            seen, beside = self._see(tensor, number, m, costs.place), -1
            if fixed:
                self._fixed.append(len(self._seen))
            elif len(self._seen) < last:
                beside = len(self._seen) + 1
            self._seen.append(replace(seen, row=seen.row._replace(beside=beside)))
            self._accounts.append(costs)
        return first

    @property
    def fixed_rows(self) -> list[int]:
        """Rows of transfers whose words are the same for all temporal loops."""
        return self._fixed

    @property
    def seen(self) -> list[tuple[Seen, Account]]:
        """All rows with what their words cost."""
        return list(zip(self._seen, self._accounts, strict=True))

    def _see(self, tensor: TensorPlan, number: int, memory: int, place: int) -> Seen:
        """Describe a transfer; the last memory of its nest may count loops that do not move it."""
        last = self.memories.index(tensor.transfers[number].nest[-1])
        products = {1}
        sequential = self.problem.conventions.transfers == "sequential"
        for d, relevant in enumerate(tensor.relevant if sequential else ()):
            if not relevant and self.reach is not None:
                ratios = self.reach[last][d][:, None] // self.reach[last + 1][d][None, :]
                exact = self.reach[last][d][:, None] % self.reach[last + 1][d][None, :] == 0
                # A loop that is not placed yet counts once.
                products = {p * f for p in products for f in {1, *ratios[exact].tolist()}}
        return see(self.spatial, tensor, number, memory, place, sorted(products))

    def _is_fixed(self, t: int, number: int) -> bool:
        """Whether a transfer's words are the same for all temporal loops."""
        transfer = self.problem.plan.tensors[t].transfers[number]
        sequential = self.problem.plan.conventions.transfers == "sequential"
        return transfer.child is None and not (
            sequential and transfer.supplier != transfer.nest[-1]
        )

    @cached_property
    def _most_words(self) -> list[tuple[Account, FloatArray]]:
        """Most words of every kind that each transfer can ever move."""
        everything = math.prod(self.spatial.temporal.tolist())
        found: dict[int, tuple[Account, FloatArray]] = {}
        for row, costs in zip(self._seen, self._accounts, strict=True):
            if id(costs) in found:
                continue
            relevant = np.array(self.problem.plan.tensors[row.row.tensor].relevant)
            most = row.ext[:, relevant].prod(axis=1) * everything
            entering = row.row.base_enter * most[2]
            words = [row.row.base_read * most[0], row.row.base_write * most[1]]
            found[id(costs)] = costs, np.array([*words, entering, entering, words[0], *4 * (0.0,)])
        return list(found.values())

    def _matters(self, limit: Limit) -> bool:
        """Whether a port might ever take longer than the lanes."""
        memory, port = limit.level, limit.port
        if math.isinf(port.bandwidth):
            return False
        if self.problem.conventions.overestimate_windows or self.may_add_words(memory):
            return True
        words = sum(float(x.per_instance(memory, port) @ most) for x, most in self._most_words)
        cycles = words / (self.spatial.active[memory] * port.bandwidth)
        return bool(cycles * (1 - 1e-12) > self.spatial.cycles)

    def may_add_words(self, memory: int) -> bool:
        """Whether bursts may move more through the ports of a memory than is wanted."""
        return memory == self.memories[0] and bool(self.problem.tables.switches.bursts)

    @cached_property
    def constant(self) -> Constant:
        """Words of transfers without a choice, and the energy of the computation itself."""
        room = self.room(1 + len(self.limits))
        costs = self.measured(room)
        compute = len(self.spatial.factors) - 1
        macs = self.spatial.used[compute] * self.spatial.active[compute]
        mac_pj = self.problem.tables.levels[compute].mac_pj
        energy = mac_pj * macs * math.prod(self.spatial.temporal.tolist())
        complete, factors = CompleteOutputs(self.problem), self.spatial.factors
        saved = [complete.port_cycles(factors, limit) for limit in self.limits]
        energy += costs[0] - float(complete.energy_pj(factors))
        return Constant(float(energy), costs[1:] - np.array(saved))

    def measured(self, room: Block) -> FloatArray:
        """Costs of all transfers without a choice."""
        costs, nothing = room.arrays.costs[0], Block(nothing_of(Step))
        costs[:] = 0.0
        for r in self._fixed:
            self._explore(MEASURE, room, nothing, Block(nothing_of(Least)), r)
        found: FloatArray = costs.copy()
        return found

    @property
    def row_of(self) -> IntArray:
        """Row of the transfer of each slot that is under way at each memory, -1 if none.

        Slots are tensors unless transfers are persistent (see `list_slots`).
        """
        return self._row_of

    @property
    def utilization(self) -> float:
        """Share of the instances used."""
        used, space = 1.0, self.problem.space
        for i in space.spatial_levels.tolist():
            used *= float(self.spatial.used[i]) / float(space.mesh[i])
        return used

    @property
    def warm_up(self) -> float:
        """Cycles until the last instances get their operands."""
        tables = self.problem.tables
        if not self.problem.conventions.pe_to_pe_warm_up or tables.shape.stationary >= 0:
            return 0.0
        levels = self.problem.tables.levels
        used = zip(self.spatial.used, levels, strict=True)
        return float(sum(instances - 1 for instances, level in used if level.hops))

    def whole_cycles(self, latency: Any) -> Any:
        """Latency (cycles), rounded up where the conventions do."""
        return in_whole_cycles(latency) if self.problem.conventions.whole_cycles else latency

    @cached_property
    def leakage_pj_per_cycle(self) -> tuple[float, float]:
        """Leakage until the end, and in pJ the least of what leaks for other times."""
        return self.leakage_over(self.spatial.cycles)

    def leakage_over(self, cycles: float) -> tuple[float, float]:
        """Leakage like `leakage_pj_per_cycle` if the lanes take so many cycles."""
        leaks = leakage(self.spatial)
        if self.problem.conventions.leakage_until_end:
            return sum(x for _, x in leaks), 0.0
        compute = len(self.spatial.factors) - 1
        step = float(self.problem.plan.arch.compute.cycles)
        return 0.0, sum(x * (step if i == compute else cycles) for i, x in leaks)

    @property
    def stalls_leak(self) -> bool:
        """Whether memories leak for as long as they are busy themselves."""
        if self.problem.conventions.leakage_until_end:
            return False
        return any(bool(x > 0) for i, x in leakage(self.spatial) if i in self.memories)

    @cached_property
    def reach(self) -> Extents | None:
        """Temporal extents at the top of every memory and at the bottom, [memories + 1][dims].

        A superset of those that occur in valid mappings; None if there are none.
        """
        return reachable(self.problem.space, self.memories, self.spatial)

    @cached_property
    def steps(self) -> list[Step]:
        """Memories, outermost first; empty if no tiling exists."""
        if self.reach is None:
            return []
        steps: list[Step] = []
        for k in range(len(self.memories)):
            steps.append(self._step(k))
            if not steps[-1].fits.any():
                return []
        return self.linked(steps)

    def linked(self, steps: list[Step]) -> list[Step]:
        """Tell every memory what it needs of its neighbours."""
        if not all(len(step.fits) == 0 or step.fits.any() for step in steps):
            return []
        for outer, inner in itertools.pairwise(steps):
            inner.dimensions["outer_above"] = outer.dimensions["above"]
            inner.dimensions["outer_stride"] = outer.dimensions["stride"]
            inner.waiting["outer_weight"] = outer.waiting["weight"]
        fits = [*(step.fits for step in steps[1:]), np.ones(1, dtype=np.int64)]
        return [step._replace(inner_fits=x) for step, x in zip(steps, fits, strict=True)]

    @cached_property
    def step_blocks(self) -> list[Block]:
        """The same for kernels."""
        return [Block(step) for step in self.steps]

    @property
    def table_sizes(self) -> list[tuple[int, int, int]]:
        """States, states at its top, and flags of every memory, without its tables."""
        if self.reach is None:
            return []
        counts = [[len(x) for x in extents] for extents in self.reach]
        return [
            (
                math.prod(a + b for a, b in zip(above, below, strict=True)),
                math.prod(above),
                math.prod(self.radix(k)),
            )
            for k, (above, below) in enumerate(itertools.pairwise(counts))
        ]

    def radix(self, k: int) -> list[int]:
        """Number of states of every slot at memory number `k`."""
        return [self._seen[r].states if r >= 0 else 1 for r in self._row_of[k]]

    @property
    def start(self) -> int:
        """States of the tensors inside the innermost memory."""
        step = self.steps[-1]
        waiting = [
            s
            for s, slot in enumerate(self._slots)
            if None in self._children(slot) and not self._is_fixed(slot.tensor, slot.numbers[-1])
        ]
        return int(sum(step.waiting["weight"][t] for t in waiting))

    @property
    def start_state(self) -> int:
        """State of the innermost memory before any loop is placed."""
        step = self.steps[-1]
        return int((step.dimensions["above"] * step.dimensions["stride"]).sum())

    def turns(self, k: int, above: IntArray, below: IntArray) -> IntArray:
        """Iterations of memory number `k` between numbered extents, [dimensions]."""
        assert self.reach is not None  # Only then are there numbers.
        outer, inner = self.reach[k], self.reach[k + 1]
        pairs = zip(outer, inner, above.tolist(), below.tolist(), strict=True)
        return np.array([a[i] // b[j] for a, b, i, j in pairs], dtype=np.int64)

    def waiting(self, k: int, radix: IntArray, kind: np.dtype[Any]) -> NDArray[Any]:
        """Describe the slots at memory number `k`, whose states `radix` numbers."""
        waiting = np.zeros(len(radix), dtype=kind)
        waiting["row"], waiting["radix"], waiting["weight"] = (
            self._row_of[k],
            radix,
            strides(radix),
        )
        waiting["tensor"] = [slot.tensor for slot in self._slots]
        waiting["begins"] = [self.memories[k] in self._children(slot) for slot in self._slots]
        alike = waiting["tensor"][1:] == waiting["tensor"][:-1]
        waiting["with_outer"][1:] = alike & (waiting["row"][1:] >= 0) & (waiting["row"][:-1] >= 0)
        return waiting

    def _children(self, slot: Slot) -> list[int | None]:
        """Who holds the tensor inside of the transfers of a slot."""
        transfers = self.problem.plan.tensors[slot.tensor].transfers
        return [transfers[number].child for number in slot.numbers]

    def _step(self, k: int) -> Step:
        assert self.reach is not None  # Only then are there steps.
        above, below = self.reach[k], self.reach[k + 1]
        space, m = self.problem.space, self.memories[k]
        lists = []
        for d in range(len(above)):
            idle = np.full(len(below[d]), -1, dtype=np.int64)
            count = np.zeros(len(below[d]), dtype=np.int64)
            loops = np.zeros((len(below[d]), len(above[d])), dtype=record_type(LoopRow))
            for b, inside in enumerate(below[d].tolist()):
                f, rest = np.divmod(above[d], inside)
                fine = (rest == 0) & (f >= space.lower[m, d]) & (f <= space.upper[m, d])
                chosen = np.flatnonzero(fine)
                count[b] = len(chosen)
                loops["target"][b, : len(chosen)] = chosen
                loops["factor"][b, : len(chosen)] = f[chosen]
                if len(chosen) and f[chosen[0]] == 1:
                    idle[b] = chosen[0]
            lists.append(LoopLists(loops, count, idle))
        return self.assembled(k, above, below, lists)._replace(
            fits=fitting_extents(space, k, above, self.spatial),
            inside=self.spatial.inside[m].astype(np.float64),
            spread=self.spatial.inside[self.memories[0]].astype(np.float64),
        )

    def assembled(
        self,
        k: int,
        above: Sequence[IntArray],
        below: Sequence[IntArray],
        lists: Sequence[LoopLists],
    ) -> Step:
        """Write the extents and loops of memory number `k`, by dimension, as a step.

        Whether tiles fit is left to be worked out.
        """
        dimensions = len(above)
        na = np.array([len(x) for x in above], dtype=np.int64)
        nb = np.array([len(x) for x in below], dtype=np.int64)
        depth, longest = int(nb.max()), max(x.loops.shape[1] for x in lists)
        tau = np.ones((dimensions, int((na + nb).max())))
        idle = np.full((dimensions, depth), -1, dtype=np.int64)
        count = np.zeros((dimensions, depth), dtype=np.int64)
        loops = np.zeros((dimensions, depth, longest), dtype=record_type(LoopRow))
        loops["factor"] = 1.0
        for d, own in enumerate(lists):
            tau[d, : na[d]], tau[d, na[d] : na[d] + nb[d]] = above[d], below[d]
            count[d, : nb[d]], idle[d, : nb[d]] = own.counts, own.idle
            loops[d, : nb[d], : own.loops.shape[1]] = own.loops
        rule, m = self.problem.space.order_rules[k], self.memories[k]
        strict = is_strict(rule)
        radix = np.array(self.radix(k))
        states, above_count = math.prod((na + nb).tolist()), math.prod(na.tolist())
        size = SizeRow(states, above_count, int(radix.prod()), strict, m)
        along = np.zeros(dimensions, dtype=record_type(DimensionRow))
        along["above"], along["below"] = na, nb
        along["stride"], along["above_stride"] = strides(na + nb), strides(na)
        along["below_stride"] = strides(nb)
        return Step(
            sizes=np.array([size], dtype=record_type(SizeRow)),
            dimensions=along,
            waiting=self.waiting(k, radix, record_type(WaitingRow)),
            tau=tau,
            idle=idle,
            counts=count,
            loops=loops,
            choices=choice_table(rule, strict),
            fits=np.zeros(0, dtype=np.int64),
            inside=np.ones(dimensions),
            seen=np.ones(dimensions),
            inner_fits=np.ones(0, dtype=np.int64),
            spread=np.ones(dimensions),
            entry=self.entries[m],
            comes=self.ends[m][0],
            leaves=self.ends[m][1],
        )

    @cached_property
    def entries(self) -> dict[int, NDArray[Any]]:
        """Cycles of a value of first and last tiles, `FirstRow` by tensor, by memory."""
        return {m: self._entry(m) for m in self.memories}

    @cached_property
    def ends(self) -> dict[int, FloatArray]:
        """What of these is part of every cost, [first or last, 1 + limits, tensors], by memory."""
        tensors = len(self.problem.plan.tensors)
        parts = {
            m: [(0.0, 0.0), *(ends_in(limit, self.problem, m) for limit in self.limits)]
            for m in self.memories
        }
        return {m: np.tile(np.array(part).T[..., None], tensors) for m, part in parts.items()}

    def _entry(self, memory: int) -> NDArray[Any]:
        entry = np.zeros(len(self.problem.plan.tensors), dtype=record_type(FirstRow))
        for t, tensor in enumerate(self.problem.plan.tensors):
            for number, transfer in enumerate(tensor.transfers):
                if transfer.child == memory:
                    entry[t] = wait_of(self.spatial, tensor, number).first
        return entry

    def is_open(self, limit: Limit, k: int) -> bool:
        """Whether the cycles of a limit may still grow outside of memory number `k`."""
        p = 1 + self.limits.index(limit)
        outer = [m for m in self.memories[:k] if self.ends[m][:, p].any()]
        return any(takes_time(self.entries[m]) for m in outer) or any(
            costs.transfer.nest[0] < self.memories[k] and costs.costs(limit).any()
            for costs in self._accounts
        )

    def room(self, passes: int) -> Block:
        """Working memory for so many costs at once."""
        dimensions = len(self.n)
        along = np.zeros(dimensions, dtype=record_type(AlongRow))
        along["n"], along["tau"] = self.n, 1.0
        return Block(
            Room(
                along,
                np.zeros((dimensions + 3, passes)),
                np.zeros(dimensions + 3, dtype=record_type(Depth)),
                np.zeros(3),
                np.zeros(1, dtype=record_type(RoomRow)),
            )
        )

    def costs_to_come(self, passes: int) -> tuple[list[Block], list[Floors]]:
        """What labels are judged by: least costs from every state, or floors by memory."""
        return self.least_costs(passes), []

    def least_costs(self, passes: int, *, recorded: bool = False) -> list[Block]:
        """Least costs to come by memory: the first `passes` costs, each by itself.

        With `recorded`, the best way on by the first cost, too.

        Returns
        -------
        list of Block
            Of `Least`.
        """
        room = self.room(passes)
        found: list[Block] = []
        beyond = np.zeros((passes, 1, 1))
        for step, block in zip(self.steps, self.step_blocks, strict=True):
            states, above, flags, *_ = step.sizes[0].tolist()
            own = Block(
                Least(
                    beyond,
                    np.empty((passes, above, flags)),
                    np.empty((passes, states, flags)),
                    np.empty((above, flags), dtype=np.int32),
                    np.empty((states if recorded else 0, flags), dtype=np.int32),
                )
            )
            self._explore(CLOSE, room, block, own)
            self._explore(SWEEP, room, block, own)
            found.append(own)
            beyond = own.arrays.least
        return found

    def _explore(self, task: int, room: Block, step: Block, own: Block, number: int = 0) -> None:
        windows, rows = self.windows, self.row_block
        EXPLORE(task, number, windows, self.window_room, rows, room, step, own)


def takes_time(entry: NDArray[Any]) -> bool:
    """Whether first or last tiles do, `FirstRow` by tensor."""
    return any(entry[name].any() for name in FirstRow._fields[:-1])


def window_plan(problem: Problem) -> Block:
    """What kernels need to know of a problem's windows; for all its nests."""
    tables = compiled_tables(problem.plan)
    return Block(WindowPlan(*(getattr(tables, name) for name in WindowPlan._fields)))


def _window_room(problem: Problem) -> WindowRoom:
    room = nest_room(problem.plan)
    rows, dimensions = room.extents.shape
    return WindowRoom(
        1,
        np.ones((rows + 4, dimensions)),
        np.ones(dimensions + 1, dtype=np.int64),
        room.terms,
        room.parts,
        room.marks,
    )


def nothing_of(arrays: Any) -> Any:
    """Arrays without entries, where a kernel's task needs none."""
    return arrays(
        *(
            np.zeros((0,) * field.indices or 1, dtype=record_type(field.kind))
            for field in fields_of(arrays).values()
        )
    )


def strides(counts: IntArray) -> IntArray:
    """Weights of coordinates in a number, the last one runs fastest."""
    return np.concatenate([np.cumprod(counts[::-1])[::-1][1:], [1]]).astype(np.int64)
