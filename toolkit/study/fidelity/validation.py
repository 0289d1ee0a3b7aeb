"""The cost model beside published numbers: its totals of their rows, and how well both agree.

Agreement is told by relative errors and by ranks, also for DOSA's roofline and by kinds of layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray
from toolkit.model.compiled import batch_totals
from toolkit.model.conventions import TIMELOOP, Conventions
from toolkit.model.correction import LatencyCorrection
from toolkit.model.cost import batch_cost
from toolkit.model.plan import make_plan
from toolkit.study.fidelity.published import PublishedGroup, PublishedResults
from toolkit.workload.kernel import Workload

if TYPE_CHECKING:
    import pandas as pd


TOLERANCE = 0.01
"""Relative error up to which a number counts as agreeing."""

_DRAM_WORDS_PER_CYCLE = 8
_ACCUMULATOR_WORDS_PER_CYCLE = 2


@dataclass(frozen=True, slots=True)
class Agreement:
    """Statistics of computed against measured numbers.

    Parameters
    ----------
    count : int
        Pairs of numbers.
    within : float
        Fraction of pairs whose relative error is at most 1 % (`TOLERANCE`).
    within_factor_two : float
        Fraction of pairs that differ by at most a factor of two.
    median_ratio : float
        Computed over measured; 1 if as many are too high as too low.
    mean_error : float
        Mean of the absolute relative errors.
    spearman, kendall : float
        Rank correlations (Kendall's tau-b); NaN where all numbers of one side are equal.
    """

    count: int
    within: float
    within_factor_two: float
    median_ratio: float
    mean_error: float
    spearman: float
    kendall: float


def relative_errors(computed: ArrayLike, measured: ArrayLike) -> NDArray[np.float64]:
    """Return ``computed / measured - 1``.

    Raises
    ------
    InputError
        If there are no numbers, the shapes differ, or a number is not finite and positive.

    Examples
    --------
    >>> relative_errors([1.5, 1.0], [1.0, 2.0]).tolist()
    [0.5, -0.5]
    """
    ours, theirs = np.asarray(computed, np.float64), np.asarray(measured, np.float64)
    if ours.shape != theirs.shape or ours.ndim != 1 or not ours.size:
        raise InputError(
            f"expected two lists of equally many numbers, got shapes {ours.shape}, {theirs.shape}"
        )
    for name, values in (("computed", ours), ("measured", theirs)):
        bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if bad.size:
            raise InputError(
                f"{name} number {bad[0]} is {values[bad[0]]}; expected numbers above zero"
            )
    errors: NDArray[np.float64] = ours / theirs - 1
    return errors


def rank_correlations(computed: ArrayLike, measured: ArrayLike) -> tuple[float, float]:
    """Return Spearman's rho and Kendall's tau-b; NaN where all numbers of a side are equal."""
    # Not everybody who asks for the other figures waits for SciPy.
    from scipy import stats

    ours, theirs = np.asarray(computed, np.float64), np.asarray(measured, np.float64)
    if ours.size < 2 or np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return float("nan"), float("nan")
    spearman = stats.spearmanr(ours, theirs).statistic
    return float(spearman), float(stats.kendalltau(ours, theirs).statistic)


def agreement(computed: ArrayLike, measured: ArrayLike) -> Agreement:
    """Compare computed with measured numbers.

    Parameters
    ----------
    computed, measured : array of shape (count,)
        Positive and finite.

    Raises
    ------
    InputError
        As `relative_errors` does.

    Examples
    --------
    >>> agreement([1.0, 2.0, 8.0, 4.0], [1.0, 2.0, 4.0, 8.0]).within
    0.5
    """
    errors = relative_errors(computed, measured)
    spearman, kendall = rank_correlations(computed, measured)
    ours, theirs = np.asarray(computed, np.float64), np.asarray(measured, np.float64)
    return Agreement(
        len(errors),
        float(np.mean(np.abs(ours - theirs) <= TOLERANCE * theirs)),
        float(np.mean((2 * ours >= theirs) & (ours <= 2 * theirs))),
        float(np.median(ours / theirs)),
        float(np.mean(np.abs(errors))),
        spearman,
        kendall,
    )


def agreement_table(computed: Mapping[str, ArrayLike], measured: ArrayLike) -> pd.DataFrame:
    """Tabulate how several ways of computing agree with one measurement; a row each.

    Parameters
    ----------
    computed : mapping of str to array, shape (count,)
        By the name of how they were computed.
    measured : array, shape (count,)

    Raises
    ------
    InputError
        As `relative_errors` does.
    """
    import pandas as pd

    rows = {name: agreement(values, measured) for name, values in computed.items()}
    return pd.DataFrame(
        {
            "rows": [row.count for row in rows.values()],
            "within_1_percent_of_rows": [100 * row.within for row in rows.values()],
            "within_factor_2_percent_of_rows": [
                100 * row.within_factor_two for row in rows.values()
            ],
            "median_ratio": [row.median_ratio for row in rows.values()],
            "mean_error_percent": [100 * row.mean_error for row in rows.values()],
            "spearman": [row.spearman for row in rows.values()],
            "kendall": [row.kendall for row in rows.values()],
        },
        index=pd.Index(rows, name="computed_by"),
    )


def agreement_by_kind(
    kinds: Sequence[str], computed: Mapping[str, ArrayLike], measured: ArrayLike
) -> pd.DataFrame:
    """Tabulate agreement kind by kind: how many rows, and per way the ratio and the ranks.

    Parameters
    ----------
    kinds : sequence of str
        What kind each row is of.
    computed, measured
        As for `agreement_table`.
    """
    import pandas as pd

    of_row, theirs = np.asarray(kinds), np.asarray(measured, np.float64)
    table = pd.DataFrame(index=pd.Index(sorted(set(kinds)), name="kind"))
    table["rows"] = [int(np.sum(of_row == kind)) for kind in table.index]
    for name, values in computed.items():
        ours = np.asarray(values, np.float64)
        found = [agreement(ours[of_row == k], theirs[of_row == k]) for k in table.index]
        table[f"median_ratio_{name}"] = [entry.median_ratio for entry in found]
        table[f"spearman_{name}"] = [entry.spearman for entry in found]
    return table


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
    """Name the kind of a convolution, by its channels, filters and the shape of its output.

    Examples
    --------
    >>> from toolkit.workload import conv2d
    >>> layer_kind(conv2d(64, 3, 112, 112, 7, 7, stride=2))
    'convolution, 7x7'
    """
    p, q, r, s = (workload.sizes[d] for d in "PQRS")
    if min(workload.sizes["M"], workload.sizes["C"]) == 1:
        return "one channel, as in depthwise"
    if q == r == s == 1:
        return "matrix-vector product" if p == 1 else "matrix product"
    return f"convolution, {r}x{s}" + (", output not square" if p != q else "")
