"""What relaxed ways wait for at least (`toolkit.model.waits`, `toolkit.search.exact.relaxed`).

The busiest instance of a memory is as busy as the average one; tiles are the smallest of a
bucket where they come for the first time, and the largest where their number counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.model.plan import Port, SpatialFlags, TensorPlan
from toolkit.model.plan_tables import ALONE, ALWAYS, NEVER
from toolkit.model.waits import comes_in
from toolkit.search.exact.nest import Nest
from toolkit.search.exact.transfers import LANES, NO_WAIT, Wait, wait_of


@dataclass(frozen=True)
class WaitTables:
    """Cycles that one limit of the latency waits, for K memories and T tensors.

    Parameters
    ----------
    entry : float64 array, shape (K, T)
        Of a value of a memory's first tile, and of the last one.
    exposed : float64 array, shape (K, T, 4)
        Of a value read, written, filled and entering of the transfer that is under way there.
    stays : float64 array, shape (K, T)
        Of a tile that it brings to all instances together.
    """

    entry: FloatArray
    exposed: FloatArray
    stays: FloatArray


@dataclass(frozen=True)
class _Arrival:
    """A transfer: its ends, what its values take, and who gets a tile of its own (by way)."""

    supplier: int
    child: int
    wait: Wait
    apart: tuple[BoolArray, BoolArray]
    stationary: bool


class RelaxedWaits:
    """Makes the tables of a problem's choices of spatial factors.

    Parameters
    ----------
    nest : Nest
        Of no spatial factors at all.
    """

    def __init__(self, nest: Nest) -> None:
        self.nest, plan = nest, nest.problem.plan
        self._tables = nest.problem.tables
        shape = len(nest.memories), len(plan.tensors)
        self._coming: dict[tuple[int, int], _Arrival] = {}
        self._under_way: dict[tuple[int, int], _Arrival] = {}
        for t, tensor in enumerate(plan.tensors):
            for number, transfer in enumerate(tensor.transfers):
                if transfer.child is None:
                    continue
                arrival = self._arrival(tensor, t, number)
                self._coming[nest.memories.index(transfer.child), t] = arrival
                for m in transfer.nest:
                    self._under_way[nest.memories.index(m), t] = arrival
        self._shape = shape

    def _arrival(self, tensor: TensorPlan, t: int, number: int) -> _Arrival:
        transfer = tensor.transfers[number]
        x = self._tables.tensors[t].transfers + number
        return _Arrival(
            transfer.supplier,
            -1 if transfer.child is None else transfer.child,
            wait_of(self.nest.spatial, tensor, number) if self._tables.switches.waits else NO_WAIT,
            (self._apart(t, transfer.reading), self._apart(t, transfer.writing)),
            x == self._tables.shape.stationary,
        )

    def _apart(self, t: int, side: tuple[SpatialFlags, ...]) -> BoolArray:
        """Factors by which tiles leave at once, as `toolkit.model.traffic.parts` counts them."""
        apart = np.zeros(self.nest.problem.space.shape, dtype=np.bool_)
        for flags in side:
            for d in range(apart.shape[1]):
                how = self._tables.indexes[t, d]
                copied = how == 0 and not flags.shared
                apart[flags.level, d] = copied or how == ALONE or (how and not flags.selective)
        return apart

    def tables(self, factors: IntArray, level: int, port: Port) -> WaitTables:
        """Write what a limit at a level waits for at some spatial factors."""
        entry, exposed = np.zeros(self._shape), np.zeros((*self._shape, 4))
        stays = np.zeros(self._shape)
        for place, arrival in self._coming.items():
            if arrival.child < level:
                entry[place] = self._tile_cycles(factors, place[1], arrival)
        for place, arrival in self._under_way.items():
            outside = [float(factors[:i].prod()) for i in (arrival.supplier, arrival.child)]
            wait, overlap = arrival.wait, self._tables.levels[arrival.child].overlap
            if arrival.child < level and overlap == NEVER:
                # Complete outputs take less than this says (see `CompleteOutputs`).
                sent = self._as_wide(place[1], arrival)
                exposed[place] = wait.read, wait.write * sent, wait.fill, wait.drain * sent
                exposed[place] /= outside[0], outside[0], outside[1], outside[1]
            if port is LANES and arrival.child < level and arrival.stationary:
                stays[place] = self._stay_cycles(factors) / outside[1]
        return WaitTables(entry, exposed, stays)

    def _as_wide(self, t: int, arrival: _Arrival) -> bool:
        """Whether complete outputs are as wide as partial sums at both ends of a transfer."""
        values = self._tables.values
        less = values[t, arrival.supplier].less_updated, values[t, arrival.child].less_drained
        return not any(less)

    def _tile_cycles(self, factors: IntArray, t: int, arrival: _Arrival) -> float:
        switches, wait = self._tables.switches, arrival.wait
        if not switches.first_and_last or self._tables.levels[arrival.child].overlap != ALWAYS:
            return 0.0
        reading, writing = (float(factors[apart].prod()) for apart in arrival.apart)
        cycles = max(wait.write * writing, wait.drain)
        if comes_in(self._tables, t):
            cycles += max(wait.read * reading, wait.fill)
        return cycles

    def _stay_cycles(self, factors: IntArray) -> float:
        used = [f.prod() for f, x in zip(factors, self._tables.levels, strict=True) if x.hops]
        return float(sum(used) - len(used) + used[-1])
