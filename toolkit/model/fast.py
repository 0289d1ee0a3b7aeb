"""Totals of whole batches by the compiled cost model, one thread per core."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.mapping import IntArray
from toolkit.model.compiled import CompiledModel
from toolkit.model.plan import Plan

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
