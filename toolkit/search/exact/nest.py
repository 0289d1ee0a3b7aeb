"""The temporal nest of one choice of spatial factors, as steps for the compiled search."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import Block, fields_of, record_type
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.model.compiled import nest_room
from toolkit.model.tabulate import compiled_tables
from toolkit.model.totals import in_whole_cycles
from toolkit.search.exact.accounts import Account
from toolkit.search.exact.compiled_paths import CLOSE, EXPLORE, MEASURE, SWEEP, Least
from toolkit.search.exact.compiled_steps import Step, WaitingRow
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
from toolkit.search.exact.extents import Extents, fitting_extents, reachable
from toolkit.search.exact.limits import Limit
from toolkit.search.exact.slots import list_slots
from toolkit.search.exact.spatial_factors import Spatial
from toolkit.search.exact.steps import LoopLists, assemble, divided_loops, linked, strides
from toolkit.search.exact.transfers import is_fixed, list_rows, make_rows
from toolkit.search.exact.waits import ends_in, first_and_last, takes_time
from toolkit.search.problem import Problem

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
    seen, fixed_rows, row_of
        See `TransferRows`.
    """

    def __init__(self, problem: Problem, windows: Block, spatial: Spatial) -> None:
        self.problem = problem
        self.windows = windows
        self.spatial = spatial
        self.memories = list(problem.plan.memories)
        self.n = spatial.temporal.astype(np.float64)
        self._slots = list_slots(problem.plan)
        sequential = problem.conventions.transfers == "sequential"
        reach = self.reach if sequential else None
        listed = list_rows(problem.plan, spatial, self._slots, reach)
        self.seen, self.fixed_rows, self.row_of = listed.seen, listed.fixed, listed.row_of
        self.limits = [Limit(m, port, m, m, m) for m, port in problem.plan.ports]
        self.limits = [limit for limit in self.limits if self._matters(limit)]
        self.rows: Rows = make_rows(problem.plan, self.seen, self.limits, spatial.active)
        self.row_block = Block(self.rows)
        self.window_room = Block(_window_room(problem))

    @cached_property
    def _most_words(self) -> list[tuple[Account, FloatArray]]:
        """Most words of every kind that each transfer can ever move."""
        everything = math.prod(self.spatial.temporal.tolist())
        found: dict[int, tuple[Account, FloatArray]] = {}
        for row, costs in self.seen:
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
        for r in self.fixed_rows:
            self._explore(MEASURE, room, nothing, Block(nothing_of(Least)), r)
        found: FloatArray = costs.copy()
        return found

    @property
    def utilization(self) -> float:
        """Share of the instances used."""
        return self.spatial.utilization

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
        leaks = self.spatial.leakage_pj
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
        return any(bool(x > 0) for i, x in self.spatial.leakage_pj if i in self.memories)

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
        return linked(steps)

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
        return [self.seen[r][0].states if r >= 0 else 1 for r in self.row_of[k]]

    @property
    def start(self) -> int:
        """States of the tensors inside the innermost memory."""
        step, plan = self.steps[-1], self.problem.plan
        waiting = [
            s
            for s, slot in enumerate(self._slots)
            if None in slot.children and not is_fixed(plan, slot.transfers[-1])
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
        waiting["row"], waiting["radix"] = self.row_of[k], radix
        waiting["weight"] = strides(radix)
        waiting["tensor"] = [slot.tensor for slot in self._slots]
        waiting["begins"] = [self.memories[k] in slot.children for slot in self._slots]
        alike = waiting["tensor"][1:] == waiting["tensor"][:-1]
        waiting["with_outer"][1:] = alike & (waiting["row"][1:] >= 0) & (waiting["row"][:-1] >= 0)
        return waiting

    def _step(self, k: int) -> Step:
        assert self.reach is not None  # Only then are there steps.
        above, below = self.reach[k], self.reach[k + 1]
        space, m = self.problem.space, self.memories[k]
        lists = divided_loops(above, below, space.lower[m], space.upper[m])
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
        rule, m = self.problem.space.order_rules[k], self.memories[k]
        radix = np.array(self.radix(k))
        return assemble(m, rule, above, below, lists, int(radix.prod()))._replace(
            waiting=self.waiting(k, radix, record_type(WaitingRow)),
            entry=self.entries[m],
            comes=self.ends[m][0],
            leaves=self.ends[m][1],
        )

    @cached_property
    def entries(self) -> dict[int, NDArray[Any]]:
        """Cycles of a value of first and last tiles, `FirstRow` by tensor, by memory."""
        return {m: first_and_last(self.spatial, m) for m in self.memories}

    @cached_property
    def ends(self) -> dict[int, FloatArray]:
        """What of these is part of every cost, [first or last, 1 + limits, tensors], by memory."""
        tensors = len(self.problem.plan.tensors)
        parts = {
            m: [(0.0, 0.0), *(ends_in(limit, self.problem, m) for limit in self.limits)]
            for m in self.memories
        }
        return {m: np.tile(np.array(part).T[..., None], tensors) for m, part in parts.items()}

    def is_open(self, limit: Limit, k: int) -> bool:
        """Whether the cycles of a limit may still grow outside of memory number `k`."""
        p = 1 + self.limits.index(limit)
        outer = [m for m in self.memories[:k] if self.ends[m][:, p].any()]
        return any(takes_time(self.entries[m]) for m in outer) or any(
            costs.transfer.nest[0] < self.memories[k] and costs.costs(limit).any()
            for _, costs in self.seen
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
