"""The temporal nest of one choice of spatial factors, as steps for the compiled search."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.mapping import IntArray
from toolkit.model.compiled_plan import KernelPlan, Scratch
from toolkit.model.plan import TensorPlan
from toolkit.search.exact.compiled_steps import Room, Step, close, sweep
from toolkit.search.exact.compiled_words import Rows
from toolkit.search.exact.extents import Extents, choice_table, fitting_extents, reachable
from toolkit.search.exact.measure import measure
from toolkit.search.exact.transfers import (
    Account,
    Port,
    Seen,
    Spatial,
    account,
    leakage,
    make_rows,
    ports_of,
    scattered_sums,
    see,
)
from toolkit.search.problem import Problem

FloatArray = NDArray[np.float64]

NOWHERE = np.zeros((0, 2))


def decomposes(problem: Problem) -> bool:
    """Whether the words of every transfer depend on what the search keeps track of.

    They do not where instances share overlapping windows selectively across a memory in
    between whose loops move these windows, or across instances in between that get windows of
    their own: the distances of what is shared then depend on a further tile.
    """
    plan, space = problem.plan, problem.space
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


@dataclass(frozen=True)
class Constant:
    """What does not depend on the temporal loops: the lanes' energy (pJ) and cycles by port."""

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
    """

    def __init__(
        self, problem: Problem, kernel: KernelPlan, scratch: Scratch, spatial: Spatial
    ) -> None:
        self.problem = problem
        self.kernel = kernel
        self.scratch = scratch
        self.spatial = spatial
        self.memories = list(problem.plan.memories)
        self.n = spatial.temporal.astype(np.float64)
        self._seen: list[Seen] = []
        self._accounts: list[Account] = []
        self._fixed: list[int] = []
        self._row_of = self._list_rows()
        self.ports = [port for port in ports_of(problem.plan) if self._matters(port)]
        self.rows: Rows = make_rows(
            problem.plan, self._seen, self._accounts, self.ports, spatial.active
        )

    def _list_rows(self) -> IntArray:
        """Row of the transfer of each tensor that is under way at each memory, -1 if none."""
        plan = self.problem.plan
        row_of = np.full((len(self.memories), len(plan.tensors)), -1, dtype=np.int64)
        for t, tensor in enumerate(plan.tensors):
            for number, transfer in enumerate(tensor.transfers):
                costs = account(self.spatial, tensor, number)
                if self._is_fixed(t, number):
                    self._fixed.append(len(self._seen))
                    self._seen.append(self._see(tensor, number, transfer.nest[-1]))
                    self._accounts.append(costs)
                    continue
                for m in transfer.nest:
                    row_of[self.memories.index(m), t] = len(self._seen)
                    self._seen.append(self._see(tensor, number, m))
                    self._accounts.append(costs)
        return row_of

    @property
    def fixed_rows(self) -> list[int]:
        """Rows of transfers whose words are the same for all temporal loops."""
        return self._fixed

    @property
    def seen(self) -> list[tuple[Seen, Account]]:
        """All rows with what their words cost."""
        return list(zip(self._seen, self._accounts, strict=True))

    def _see(self, tensor: TensorPlan, number: int, memory: int) -> Seen:
        """Describe a transfer; the last memory of its nest may count loops that do not move it."""
        last = self.memories.index(tensor.transfers[number].nest[-1])
        products = {1}
        for d, relevant in enumerate(tensor.relevant):
            if not relevant and self.reach is not None:
                ratios = self.reach[last][d][:, None] // self.reach[last + 1][d][None, :]
                exact = self.reach[last][d][:, None] % self.reach[last + 1][d][None, :] == 0
                # A loop that is not placed yet counts once.
                products = {p * f for p in products for f in {1, *ratios[exact].tolist()}}
        return see(self.spatial, tensor, number, memory, sorted(products))

    def _is_fixed(self, t: int, number: int) -> bool:
        """Whether a transfer's words are the same for all temporal loops."""
        transfer = self.problem.plan.tensors[t].transfers[number]
        sequential = self.problem.plan.conventions.transfers == "sequential"
        return transfer.child is None and not (
            sequential and transfer.supplier != transfer.nest[-1]
        )

    def _matters(self, port: Port) -> bool:
        """Whether a port might ever take longer than the lanes."""
        if self.problem.conventions.overestimate_windows:
            return True
        words, done = 0.0, set()
        everything = math.prod(self.spatial.temporal.tolist())
        for row, costs in zip(self._seen, self._accounts, strict=True):
            moved = port.words(costs)
            if id(costs) in done:
                continue
            done.add(id(costs))
            relevant = np.array(self.problem.plan.tensors[row.ints[0]].relevant)
            most = row.ext[:, relevant].prod(axis=1) * everything
            read, write = row.consts[0] * most[0], row.consts[1] * most[1]
            entering = row.consts[2] * most[2]
            words += float(moved @ np.array([read, write, entering, entering]))
        cycles = words / (self.spatial.active[port.memory] * port.bandwidth)
        return bool(cycles * (1 - 1e-12) > self.spatial.cycles)

    @cached_property
    def constant(self) -> Constant:
        """Words of transfers without a choice, and the energy of the computation itself."""
        plan = self.problem.plan
        costs = np.zeros(1 + len(self.ports))
        ones = np.ones_like(self.n)
        for r in self._fixed:
            costs += measure(self.kernel, self.rows, r, self.n, ones, self.scratch)
        compute = len(self.spatial.factors) - 1
        macs = self.spatial.used[compute] * self.spatial.active[compute]
        energy = plan.arch.compute.mac_energy_pj * macs * math.prod(self.spatial.temporal.tolist())
        return Constant(float(energy + costs[0]), costs[1:])

    @property
    def warm_up(self) -> float:
        """Cycles until the last instances get their operands."""
        if not self.problem.conventions.pe_to_pe_warm_up:
            return 0.0
        hops = self.problem.plan.arch.levels
        return float(
            sum(
                self.spatial.used[i] - 1
                for i, level in enumerate(hops)
                if getattr(level, "pe_to_pe", False)
            )
        )

    @cached_property
    def leakage_pj_per_cycle(self) -> tuple[float, float]:
        """Leakage until the end, and in pJ the least of what leaks for other times."""
        leaks = leakage(self.spatial)
        if self.problem.conventions.leakage_until_end:
            return sum(x for _, x in leaks), 0.0
        compute = len(self.spatial.factors) - 1
        step = float(self.problem.plan.arch.compute.cycles)
        return 0.0, sum(x * (step if i == compute else self.spatial.cycles) for i, x in leaks)

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
        for k, inner in enumerate(steps[1:]):
            steps[k] = steps[k]._replace(inner_fits=inner.fits)
        steps[-1] = steps[-1]._replace(inner_fits=np.ones(1, dtype=np.int64))
        return steps

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
                math.prod(self._radix(k)),
            )
            for k, (above, below) in enumerate(itertools.pairwise(counts))
        ]

    def _radix(self, k: int) -> list[int]:
        """Number of states of every tensor at memory number `k`."""
        return [self._seen[r].states if r >= 0 else 1 for r in self._row_of[k]]

    @property
    def start(self) -> int:
        """States of the tensors inside the innermost memory."""
        step = self.steps[-1]
        waiting = [
            t
            for t, tensor in enumerate(self.problem.plan.tensors)
            for number, transfer in enumerate(tensor.transfers)
            if transfer.child is None and not self._is_fixed(t, number)
        ]
        return int(sum(step.flag[t] for t in waiting))

    @property
    def start_state(self) -> int:
        """State of the innermost memory before any loop is placed."""
        step = self.steps[-1]
        return int((step.above * step.stride).sum())

    def _step(self, k: int) -> Step:
        assert self.reach is not None  # Only then are there steps.
        above, below = self.reach[k], self.reach[k + 1]
        space, m = self.problem.space, self.memories[k]
        dimensions = len(above)
        na = np.array([len(x) for x in above], dtype=np.int64)
        nb = np.array([len(x) for x in below], dtype=np.int64)
        width, depth = int((na + nb).max()), int(nb.max())
        tau = np.ones((dimensions, width))
        idle = np.full((dimensions, depth), -1, dtype=np.int64)
        count = np.zeros((dimensions, depth), dtype=np.int64)
        target = np.zeros((dimensions, depth, int(na.max())), dtype=np.int64)
        factor = np.ones((dimensions, depth, int(na.max())))
        for d in range(dimensions):
            tau[d, : na[d]], tau[d, na[d] : na[d] + nb[d]] = above[d], below[d]
            for b, inside in enumerate(below[d].tolist()):
                f, rest = np.divmod(above[d], inside)
                fine = (rest == 0) & (f >= space.lower[m, d]) & (f <= space.upper[m, d])
                chosen = np.flatnonzero(fine)
                count[d, b] = len(chosen)
                target[d, b, : len(chosen)] = chosen
                factor[d, b, : len(chosen)] = f[chosen]
                if len(chosen) and f[chosen[0]] == 1:
                    idle[d, b] = chosen[0]
        rule = space.order_rules[k]
        strict = bool(rule.slots) or len(rule.sequence) > 1
        radix = np.array(self._radix(k))
        flag = np.concatenate([np.cumprod(radix[::-1])[::-1][1:], [1]]).astype(np.int64)
        return Step(
            sizes=np.array(
                [math.prod((na + nb).tolist()), math.prod(na.tolist()), radix.prod(), strict],
                dtype=np.int64,
            ),
            above=na,
            below=nb,
            stride=_strides(na + nb),
            above_stride=_strides(na),
            tau=tau,
            idle=idle,
            loops=count,
            target=target,
            factor=factor,
            choices=choice_table(rule, strict),
            row=self._row_of[k].copy(),
            radix=radix.astype(np.int64),
            flag=flag,
            begins=self._begins(m),
            fits=fitting_extents(self.problem.space, k, above, self.spatial.inside[m]),
            inner_fits=np.ones(0, dtype=np.int64),
            inner_stride=_strides(nb),
        )

    def _begins(self, m: int) -> IntArray:
        return np.array(
            [
                any(transfer.child == m for transfer in tensor.transfers)
                for tensor in self.problem.plan.tensors
            ],
            dtype=np.int64,
        )

    def is_open(self, port: Port, k: int) -> bool:
        """Whether a port's words may still grow outside of memory number `k`."""
        return any(
            costs.transfer.supplier < self.memories[k] and port.words(costs).any()
            for costs in self._accounts
        )

    def room(self, passes: int) -> Room:
        """Working memory for so many costs at once."""
        dimensions = len(self.n)
        return Room(
            np.zeros(dimensions, dtype=np.int64),
            np.ones(dimensions),
            np.ones((4, dimensions)),
            np.zeros((dimensions + 3, passes)),
            np.zeros((dimensions + 3, 6), dtype=np.int64),
        )

    def least_costs(self, passes: int) -> tuple[list[FloatArray], list[FloatArray]]:
        """Least costs to come, per memory: from every state, and from its top.

        The first `passes` costs, each by itself: arrays [passes, states, flags].
        """
        room, steps = self.room(passes), self.steps
        states: list[FloatArray] = []
        tops: list[FloatArray] = []
        outer, beyond = steps[0], _outside(steps[0])
        outer_rest = np.zeros((passes, 1, 1))
        for step in steps:
            rest = np.empty((passes, step.sizes[1], step.sizes[2]))
            least = np.empty((passes, step.sizes[0], step.sizes[2]))
            place = beyond if not states else outer
            arguments = (self.kernel, self.rows, step)
            close(*arguments, place, self.n, outer_rest, rest, room, self.scratch)
            sweep(*arguments, self.n, rest, least, room, self.scratch)
            states.append(least)
            tops.append(rest)
            outer, outer_rest = step, least
        return states, tops

    @property
    def beyond(self) -> Step:
        """A step outside of the outermost memory, where nothing is left to do."""
        return _outside(self.steps[0])


def _outside(step: Step) -> Step:
    nothing = np.zeros_like(step.above)
    return step._replace(above=nothing, stride=nothing, flag=np.zeros_like(step.flag))


def _strides(counts: IntArray) -> IntArray:
    return np.concatenate([np.cumprod(counts[::-1])[::-1][1:], [1]]).astype(np.int64)
