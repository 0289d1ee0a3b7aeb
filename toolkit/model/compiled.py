"""The cost model as kernels: one mapping in half a microsecond, batches on all cores."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import Block, Kernel, fields_of, record_type
from toolkit.lifted import Table, formula, once
from toolkit.mapping.mapping import IntArray
from toolkit.model.nest import Nest, measure_tiles
from toolkit.model.plan import Plan
from toolkit.model.plan_tables import PlanTables, compiled_tables, widest_enumeration
from toolkit.model.room import fits
from toolkit.model.sequential import count_sequential
from toolkit.model.totals import clear_accesses, fill_bursts, pack_words, totals
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
def load(plan: PlanTables, nest: Nest, batch: Batch, b: int) -> None:
    """Write the factors and loops of one mapping into the nest."""
    for i in range(plan.shape.levels):
        for d in range(plan.shape.dimensions):
            nest.factors[i, d] = batch.factors[b, i, d]
            if plan.levels[i].is_memory:
                inner = batch.order[b, i, d]
                nest.loops[i, d].factor = batch.factors[b, i, inner]
                nest.loops[i, d].dimension = inner
                nest.places[i, inner] = d


@once
@formula
def store(plan: PlanTables, nest: Nest, batch: Batch, b: int) -> None:
    """Write the costs of the mapping in the nest, whose accesses are counted."""
    cost = totals(plan, nest)
    batch.results[b].energy_pj = cost.energy_pj
    batch.results[b].latency_cycles = cost.latency_cycles
    batch.results[b].utilization = cost.utilization


@once
@formula
def cost_per_instance(plan: PlanTables, nest: Nest, batch: Batch, skip: int) -> None:
    """Cost a batch; mappings that do not fit are left out if `skip` is not 0."""
    for b in range(batch.factors.shape[0]):
        load(plan, nest, batch, b)
        measure_tiles(plan, nest)
        batch.results[b].fits = fits(plan, nest)
        if skip and batch.results[b].fits == 0:
            continue
        clear_accesses(plan, nest)
        for t in range(plan.shape.tensors):
            count_per_instance(plan, nest, t)
        if plan.switches.packs:
            pack_words(plan, nest)
        if plan.switches.bursts:
            fill_bursts(plan, nest)
        store(plan, nest, batch, b)


@once
@formula
def cost_sequential(plan: PlanTables, nest: Nest, batch: Batch, skip: int) -> None:
    """Cost a batch under sequential transfers."""
    for b in range(batch.factors.shape[0]):
        load(plan, nest, batch, b)
        measure_tiles(plan, nest)
        batch.results[b].fits = fits(plan, nest)
        if skip and batch.results[b].fits == 0:
            continue
        clear_accesses(plan, nest)
        for t in range(plan.shape.tensors):
            count_sequential(plan, nest, t)
        if plan.switches.packs:
            pack_words(plan, nest)
        store(plan, nest, batch, b)


PER_INSTANCE = Kernel("toolkit.model.compiled:cost_per_instance", "the cost model")
SEQUENTIAL = Kernel("toolkit.model.compiled:cost_sequential", "FactorFlow's cost model")


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
        self.plan = Block(compiled_tables(plan))
        self.nest = Block(nest_room(plan)._replace(indexes=self.plan.arrays.indexes))

    def cost_batch(self, factors: IntArray, order: IntArray, results: NDArray[np.float64]) -> None:
        """Cost mappings [batch, levels, dimensions] into a `CostRow` each, [batch, 4].

        All arrays are C-contiguous.
        """
        self.kernel(self.plan, self.nest, Block(Batch(factors, order, results)), 0)


def nest_room(plan: Plan) -> Nest:
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
    kinds = fields_of(Nest)
    arrays: dict[str, Any] = {
        name: np.zeros(shape, dtype=record_type(kinds[name].kind)) for name, shape in sides.items()
    }
    return Nest(one=1, indexes=None, **arrays)


CHUNK = 4096
"""Mappings per task: enough to hide what handing out a task costs."""


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

    chunks = [slice(i, i + CHUNK) for i in range(0, len(factors), CHUNK)]
    workers = min(threads or os.cpu_count() or 1, len(chunks))
    if workers <= 1:
        work(slice(None))
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, chunks))
    energy, latency, utilization, fits = results.T
    return BatchTotals(energy, latency, utilization, fits > 0)
