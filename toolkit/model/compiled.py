"""The cost model as kernels: one mapping in half a microsecond."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import Block, Kernel, fields_of, record_type
from toolkit.lifted import Table, formula, once
from toolkit.model.nest import Nest, measure_tiles
from toolkit.model.plan import Plan
from toolkit.model.plan_tables import PlanTables, compiled_tables, widest_enumeration
from toolkit.model.sequential import count_sequential
from toolkit.model.totals import clear_accesses, fits, totals
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

    def cost_batch(
        self, factors: NDArray[np.int64], order: NDArray[np.int64], results: NDArray[np.float64]
    ) -> None:
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
        "extents": (levels + 3, dimensions),
        "levels": levels,
        "moved": (levels, len(plan.tensors)),
        "limited": len(plan.ports),
        # Instances that share a window add a term for each of their levels and dimensions.
        "terms": terms * (1 + levels),
        "marks": widest_enumeration(plan),
    }
    kinds = fields_of(Nest)
    arrays: dict[str, Any] = {
        name: np.zeros(shape, dtype=record_type(kinds[name].kind)) for name, shape in sides.items()
    }
    return Nest(one=1, indexes=None, **arrays)
