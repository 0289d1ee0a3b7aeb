"""The cost model as kernels: one mapping in half a microsecond, batches in a third of it for each.

Batches are costed `LANES` mappings at once, on all cores.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import Block, Kernel, fields_of, record_type
from toolkit.lifted import Table, formula, in_lane, is_never, lane, lanes, once
from toolkit.mapping.mapping import IntArray
from toolkit.model.nest import Nest, Nests, measure_tiles
from toolkit.model.plan import Plan
from toolkit.model.plan_tables import PlanTables
from toolkit.model.room import fits
from toolkit.model.sequential import count_sequential
from toolkit.model.tabulate import compiled_tables, widest_enumeration
from toolkit.model.totals import fill_bursts, pack_words, totals
from toolkit.model.traffic import count_per_instance


class CostRow(NamedTuple):
    """What one mapping costs, and whether the tiles of all memories fit."""

    energy_pj: float
    latency_cycles: float
    utilization: float
    fits: float


class Batch(NamedTuple):
    """Mappings and their costs.

    Attributes
    ----------
    factors, order : [B, L, D]
        As `toolkit.mapping.to_arrays` describes them.
    results : `CostRow` [B]
        Filled in.
    """

    factors: Annotated[Table, int, 3]
    order: Annotated[Table, int, 3]
    results: Annotated[Table, CostRow, 1]


@once
@formula
def load(plan: PlanTables, nest: Nest, batch: Batch, first: int, sequential: int) -> None:
    """Write factors and orders of mappings into the nest, those of the last one again if too few.

    Only sequential transfers ask for the loops one after the other.
    """
    for number in range(lanes(nest.one)):
        b = min(first + number, batch.factors.shape[0] - 1)
        factors, loops = in_lane(nest.factors, number), in_lane(nest.loops, number)
        places = in_lane(nest.places, number)
        for i in range(plan.shape.levels):
            for d in range(plan.shape.dimensions):
                factors[i, d] = batch.factors[b, i, d]
                if plan.levels[i].is_memory:
                    inner = batch.order[b, i, d]
                    places[i, inner] = d
                    if sequential:
                        loops[i, d].factor = batch.factors[b, i, inner]
                        loops[i, d].dimension = inner


@once
@formula
def note_fits(nest: Nest, batch: Batch, first: int, room: Any) -> None:
    """Write down which of the mappings in the nest fit."""
    for number in range(min(lanes(nest.one), batch.factors.shape[0] - first)):
        batch.results[first + number].fits = lane(room, number)


@once
@formula
def store(plan: PlanTables, nest: Nest, batch: Batch, first: int) -> None:
    """Write the costs of the mappings in the nest, whose accesses are counted."""
    cost = totals(plan, nest)
    for number in range(min(lanes(nest.one), batch.factors.shape[0] - first)):
        result = batch.results[first + number]
        result.energy_pj = lane(cost.energy_pj, number)
        result.latency_cycles = lane(cost.latency_cycles, number)
        result.utilization = lane(cost.utilization, number)


@once
@formula
def cost_each(plan: PlanTables, nest: Nest, batch: Batch, skip: int, sequential: int) -> None:
    """Cost a batch, as many mappings at once as the nest has room for.

    What no transfer moves is never written, and stays 0, as it is in `nest_room`.
    """
    for b in range(0, batch.factors.shape[0], lanes(nest.one)):
        load(plan, nest, batch, b, sequential)
        measure_tiles(plan, nest)
        room = fits(plan, nest)
        note_fits(nest, batch, b, room)
        if skip and is_never(room):
            continue
        for t in range(plan.shape.tensors):
            if sequential:
                count_sequential(plan, nest, t)
            else:
                count_per_instance(plan, nest, t)
        if plan.switches.packs:
            pack_words(plan, nest)
        if plan.switches.bursts and not sequential:
            fill_bursts(plan, nest)
        store(plan, nest, batch, b)


@once
@formula
def cost_per_instance(plan: PlanTables, nest: Nest, batch: Batch, skip: int) -> None:
    """Cost a batch; mappings that do not fit are left out if `skip` is not 0."""
    cost_each(plan, nest, batch, skip, 0)


@once
@formula
def cost_per_instance_at_once(plan: PlanTables, nest: Nests, batch: Batch, skip: int) -> None:
    """Cost a batch, several mappings at once."""
    cost_each(plan, nest, batch, skip, 0)


@once
@formula
def cost_sequential(plan: PlanTables, nest: Nest, batch: Batch, skip: int) -> None:
    """Cost a batch under sequential transfers."""
    cost_each(plan, nest, batch, skip, 1)


@once
@formula
def cost_sequential_at_once(plan: PlanTables, nest: Nests, batch: Batch, skip: int) -> None:
    """Cost a batch under sequential transfers, several mappings at once."""
    cost_each(plan, nest, batch, skip, 1)


PER_INSTANCE = Kernel("toolkit.model.compiled:cost_per_instance", "the cost model")
SEQUENTIAL = Kernel("toolkit.model.compiled:cost_sequential", "FactorFlow's cost model")
AT_ONCE = {
    kernel: Kernel(f"{kernel.entry}_at_once", f"{kernel.what}, many mappings at once")
    for kernel in (PER_INSTANCE, SEQUENTIAL)
}
"""Kernels that cost `LANES` mappings at once, by those that cost one after the other."""

WORTHWHILE = 3
"""Mappings from which on it is faster to cost them at once."""


class CompiledModel:
    """The cost model of one plan; one per thread.

    Parameters
    ----------
    plan : Plan
        What is costed.

    Raises
    ------
    PrecisionError
        If a window of the workload is too wide to be counted by enumeration, or a stride too
        large.
    """

    def __init__(self, plan: Plan) -> None:
        self.kernel = SEQUENTIAL if plan.conventions.transfers == "sequential" else PER_INSTANCE
        self._costed = plan
        self.plan = Block(compiled_tables(plan))
        self.nest = Block(nest_room(plan)._replace(indexes=self.plan.arrays.indexes))

    def cost_batch(self, factors: IntArray, order: IntArray, results: NDArray[np.float64]) -> None:
        """Cost mappings [batch, levels, dimensions] into a `CostRow` each, [batch, 4].

        All arrays are C-contiguous.
        """
        batch = Block(Batch(factors, order, results))
        if len(factors) < WORTHWHILE:
            self.kernel(self.plan, self.nest, batch, 0)
        else:
            AT_ONCE[self.kernel](self.plan, self._nests, batch, 0)

    @cached_property
    def _nests(self) -> Block:
        """Room for mappings that are costed at once."""
        room = nest_room(self._costed, Nests)
        return Block(room._replace(indexes=self.plan.arrays.indexes))


def nest_room(plan: Plan, arrays: type = Nest) -> Nest:
    """Allocate the nest of one mapping, but for what a dimension indexes.

    Raises
    ------
    PrecisionError
        If a window of the workload is too wide to be counted by enumeration.
    """
    levels, dimensions = len(plan.arch.levels), len(plan.workload.dimensions)
    terms = max((len(s) for tensor in plan.tensors for s in tensor.sums), default=1)
    sides = {
        "factors": (levels, dimensions),
        "loops": (levels, dimensions),
        "places": (levels, dimensions),
        "extents": (levels + 5, dimensions),
        "cuts": (levels + 1, dimensions),
        "ragged": dimensions + 1,
        "levels": levels,
        "moved": (levels, len(plan.tensors)),
        "busiest": (levels, len(plan.tensors)),
        "limited": len(plan.ports),
        # Instances that share a window add a term for each of their levels and dimensions.
        "terms": terms * (1 + levels),
        "parts": terms,
        "words": 3,
        "runs": 3,
        "first": 3,
        "marks": widest_enumeration(plan),
    }
    kinds = fields_of(arrays)
    room: dict[str, Any] = {
        name: np.zeros(shape, dtype=record_type(kinds[name].kind, kinds[name].lanes))
        for name, shape in sides.items()
    }
    nest: Nest = arrays(one=1, indexes=None, **room)
    return nest


CHUNK = 4096
"""Least mappings per task: as many as take the time in which the tables of a task are made."""

TASKS = 4
"""Most tasks per thread."""


@dataclass(frozen=True, slots=True)
class BatchTotals:
    """Totals of a batch of mappings; arrays of shape (batch,).

    Parameters
    ----------
    energy_pj, latency_cycles, utilization : float64 array
        As `toolkit.model.batch_cost` gives them.
    fits : bool array
        Whether the tiles of all memories fit; other rules are the map space's.
    """

    energy_pj: NDArray[np.float64]
    latency_cycles: NDArray[np.float64]
    utilization: NDArray[np.float64]
    fits: NDArray[np.bool_]


def batch_totals(
    plan: Plan, factors: IntArray, order: IntArray, *, threads: int | None = None
) -> BatchTotals:
    """Cost a batch of mappings, totals only, at millions per second.

    Parameters
    ----------
    plan : Plan
        See `toolkit.model.make_plan`.
    factors, order : int64 arrays, shape (batch, levels, dimensions)
        Mappings as `toolkit.mapping.to_arrays` describes them.
    threads : int, optional
        By default one per core.

    Raises
    ------
    PrecisionError
        If a window of the workload is too wide to be counted by enumeration.
    """
    factors = np.ascontiguousarray(factors, dtype=np.int64)
    order = np.ascontiguousarray(order, dtype=np.int64)
    results = np.empty((len(factors), 4))

    def work(rows: slice) -> None:
        CompiledModel(plan).cost_batch(factors[rows], order[rows], results[rows])

    workers = min(threads or os.cpu_count() or 1, math.ceil(len(factors) / CHUNK))
    if workers <= 1:
        work(slice(None))
    else:
        size = max(CHUNK, math.ceil(len(factors) / (TASKS * workers)))
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, (slice(i, i + size) for i in range(0, len(factors), size))))
    energy, latency, utilization, fits = results.T
    return BatchTotals(energy, latency, utilization, fits > 0)
