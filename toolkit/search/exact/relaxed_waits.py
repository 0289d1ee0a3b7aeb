"""What relaxed ways wait for at least (`toolkit.model.waits`, `toolkit.search.exact.relaxed`).

The busiest instance of a memory is as busy as the average one; tiles are the smallest of a
bucket where they come for the first time, and the largest where their number counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.model.plan import Transfer
from toolkit.model.plan_tables import NEVER
from toolkit.search.exact.accounts import account
from toolkit.search.exact.limits import LANES, Limit
from toolkit.search.exact.nest import Nest
from toolkit.search.exact.spatial_factors import Spatial
from toolkit.search.exact.waits import Wait, ends_in, wait_of


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
    """A transfer to a memory at some spatial factors: tensor, what values and tiles take."""

    tensor: int
    transfer: Transfer
    child: int
    wait: Wait
    stay_cycles: float
    as_wide: bool


class RelaxedWaits:
    """Makes the tables of a problem's choices of spatial factors.

    Parameters
    ----------
    nest : Nest
        Of no spatial factors at all.
    """

    def __init__(self, nest: Nest) -> None:
        self._problem, self._memories = nest.problem, nest.memories
        self._shape = len(nest.memories), len(nest.problem.plan.tensors)
        # One choice is asked about port by port.
        self._last: tuple[bytes, list[_Arrival]] = (b"", [])

    def tables(self, factors: IntArray, limit: Limit | None) -> WaitTables:
        """Write what a limit waits for at some spatial factors; nothing if there is none."""
        found = WaitTables(
            np.zeros(self._shape), np.zeros((*self._shape, 4)), np.zeros(self._shape)
        )
        if limit is None:
            return found
        for arrival in self._arrivals(factors):
            t, child, wait = arrival.tensor, arrival.child, arrival.wait
            comes, leaves = ends_in(limit, self._problem, child)
            entry = comes * wait.come + leaves * wait.back
            found.entry[self._memories.index(child), t] = entry
            if child >= limit.outside:
                continue
            supplied, held = (
                float(factors[:i].prod()) for i in (arrival.transfer.supplier, child)
            )
            for k in map(self._memories.index, arrival.transfer.nest):
                if self._problem.tables.levels[child].overlap == NEVER:
                    # Complete outputs take less than that (see `CompleteOutputs`).
                    write, drain = wait.write * arrival.as_wide, wait.drain * arrival.as_wide
                    found.exposed[k, t] = wait.read, write, wait.fill, drain
                    found.exposed[k, t] /= supplied, supplied, held, held
                if limit.port is LANES:
                    found.stays[k, t] = arrival.stay_cycles / held
        return found

    def _arrivals(self, factors: IntArray) -> list[_Arrival]:
        tables = self._problem.tables
        if not tables.switches.waits and tables.shape.stationary < 0:
            return []
        if self._last[0] != factors.tobytes():
            spatial = Spatial(self._problem, factors)
            found = [
                self._arrival(spatial, t, number, transfer.child)
                for t, tensor in enumerate(self._problem.plan.tensors)
                for number, transfer in enumerate(tensor.transfers)
                if transfer.child is not None
            ]
            self._last = factors.tobytes(), found
        return self._last[1]

    def _arrival(self, spatial: Spatial, t: int, number: int, child: int) -> _Arrival:
        values = self._problem.tables.values
        transfer = self._problem.plan.tensors[t].transfers[number]
        costs = account(spatial, t, number)
        less = values[t, transfer.supplier].less_updated, values[t, child].less_drained
        wait = wait_of(spatial, t, number)
        return _Arrival(t, transfer, child, wait, costs.tile_cycles, not any(less))
