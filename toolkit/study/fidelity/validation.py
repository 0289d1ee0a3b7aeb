"""The cost model on published rows: its totals, DOSA's roofline, and kinds of layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.model.conventions import TIMELOOP, Conventions
from toolkit.model.correction import LatencyCorrection
from toolkit.model.cost import batch_cost
from toolkit.model.fast import batch_totals
from toolkit.model.plan import make_plan
from toolkit.study.fidelity.published import PublishedGroup, PublishedResults
from toolkit.workload.kernel import Workload

FloatArray = NDArray[np.float64]

_DRAM_WORDS_PER_CYCLE = 8
_ACCUMULATOR_WORDS_PER_CYCLE = 2


@dataclass(frozen=True, slots=True)
class Totals:
    """What the cost model says of every row of a file; arrays of shape (rows,)."""

    latency_cycles: FloatArray
    energy_pj: FloatArray
    fits: NDArray[np.bool_]
    """Whether the tiles fit the memories."""


def published_totals(results: PublishedResults, conventions: Conventions) -> Totals:
    """Cost all rows of a file, in batches of one layer on one hardware.

    Raises
    ------
    PrecisionError
        If a layer is too large for exact counts.
    """

    def totals(group: PublishedGroup) -> FloatArray:
        plan = make_plan(group.arch, group.workload, conventions)
        batch = batch_totals(plan, group.factors, group.order)
        return np.stack([batch.latency_cycles, batch.energy_pj, batch.fits], axis=1)

    latency, energy, fits = results.by_row(totals).T
    return Totals(latency, energy, fits > 0)


def dosa_roofline_cycles(results: PublishedResults) -> FloatArray:
    """Latency by DOSA's formula from the accesses of the ``timeloop`` conventions, shape (rows,).

    The longest of: MACs over the unrolled factors, accesses of the accumulators over 2 words per
    cycle and column in use, of the scratchpad over two words per cycle and row or column of the
    array, of DRAM over 8 words per cycle.

    References
    ----------
    C. Hong et al., "DOSA: Differentiable Model-Based One-Loop Search for DNN Accelerators",
    MICRO 2023, section 4.3.
    """

    def roofline(group: PublishedGroup) -> FloatArray:
        plan = make_plan(group.arch, group.workload, TIMELOOP)
        cost = batch_cost(plan, group.factors.astype(np.float64), group.order)
        dram, scratchpad, accumulator, _ = (
            sum(
                entry.reads + entry.updates + entry.fills + entry.drains
                for (memory, _), entry in cost.accesses.items()
                if memory == m
            )
            for m in plan.memories
        )
        columns, rows = (group.factors[:, i].prod(axis=1) for i in (2, 4))
        side = group.arch.fanouts[0].mesh
        bounds = (
            group.workload.macs / (columns * rows),
            accumulator / (_ACCUMULATOR_WORDS_PER_CYCLE * columns),
            scratchpad / (2 * side),
            dram / _DRAM_WORDS_PER_CYCLE,
        )
        longest: FloatArray = np.max(np.broadcast_arrays(*bounds), axis=0)
        return longest

    return results.by_row(roofline)


def corrected_cycles(results: PublishedResults, correction: LatencyCorrection) -> FloatArray:
    """Latency by a correction, in cycles, shape (rows,)."""
    return results.by_row(
        lambda group: correction.latency_cycles(group.arch, group.workload, group.factors)
    )


def layer_kind(workload: Workload) -> str:
    """Name the kind of a convolution, by its filters and the shape of its output.

    Examples
    --------
    >>> from toolkit.workload import conv2d
    >>> layer_kind(conv2d(64, 3, 112, 112, 7, 7, stride=2))
    'convolution, 7x7'
    """
    p, q, r, s = (workload.sizes[d] for d in "PQRS")
    if q == r == s == 1:
        return "matrix-vector product" if p == 1 else "matrix product"
    return f"convolution, {r}x{s}" + (", output not square" if p != q else "")
