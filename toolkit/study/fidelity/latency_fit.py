"""Fitting cycles per activity to measured latencies, and judging the fit on rows left out.

`fit_correction` makes the data file of a latency correction (`toolkit.model.correction`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.model.conventions import EXACT
from toolkit.model.correction import CorrectionFile
from toolkit.model.gemmini_library import array_width, wrapped_rows
from toolkit.model.gemmini_program import (
    ACTIVITIES,
    SETUPS,
    TRANSFERS,
    ProgramCounts,
    program_counts,
)
from toolkit.study.fidelity.gemmini_runs import simulated
from toolkit.study.fidelity.ordering import Ordering, ordering, ordering_by_kind
from toolkit.study.fidelity.published import PublishedResults
from toolkit.study.fidelity.validation import layer_kind, published_totals, rank_correlations

Predict = Callable[[NDArray[np.bool_]], FloatArray]
"""Given the rows to learn from, shape (rows,), estimates every row."""

ALL = "all"
"""Stands for the layers of all kinds."""

# Residuals are logarithms; beyond a factor of e^0.5 they count less than by their square, as a
# few published runs take several times as long as any other of their kind.
_OUTLIER = 0.5

# Where fits begin: orders of magnitude, so that each activity is the longest somewhere.
_START = np.array([500.0, *[100.0] * len(SETUPS), *[1.0] * len(TRANSFERS)])


@dataclass(frozen=True)
class Rows:
    """Published rows as a fit sees them.

    Parameters
    ----------
    measured : float array, shape (rows,)
        Cycles.
    layers : sequence of int arrays
        Rows of each layer.
    layer, width : array, shape (rows,)
        Labels of the layer and the width of the array.
    kinds : sequence of str
        Kind of layer of each row.
    regular : bool array, shape (rows,)
        Whether a fit may learn from it: no count wraps around
        (`toolkit.model.gemmini_library.wrapped_rows`).
    """

    measured: FloatArray
    layers: Sequence[IntArray]
    layer: NDArray[np.int64]
    width: NDArray[np.int64]
    kinds: Sequence[str]
    regular: NDArray[np.bool_]

    def ordered(self, computed: FloatArray) -> dict[str, Ordering]:
        """Hold estimates against the measurements, by kind of layer and of `ALL`."""
        of_all = ordering(self.layers, computed, self.measured)
        of_kinds = ordering_by_kind(self.kinds, self.layers, computed, self.measured)
        return {ALL: of_all, **of_kinds}


def fit_cycles(counts: ProgramCounts, cycles: FloatArray) -> FloatArray:
    """Fit non-negative cycles per activity, to logarithms of latencies.

    Parameters
    ----------
    counts : ProgramCounts
        Of as many mappings; every activity happens in some of them.
    cycles : array, shape (rows,)
        Measured latencies, positive.

    Returns
    -------
    array, shape (len(ACTIVITIES),)
        Such that ``counts.latency_cycles(result)`` is near `cycles`, by the soft-L1 loss of the
        log ratios.

    Raises
    ------
    InputError
        If an activity never happens.
    """
    from scipy.optimize import least_squares

    happen = np.concatenate([counts.setups, counts.transfers], axis=2).max(axis=(0, 1)) > 0
    if not happen.all():
        idle = [name for name, some in zip(ACTIVITIES[1:], happen, strict=True) if not some]
        raise InputError(f"no row has any {' or '.join(idle)}; expected some of every activity")

    def residuals(weights: FloatArray) -> FloatArray:
        logs: FloatArray = np.log(counts.latency_cycles(weights * _START) / cycles)
        return logs

    fitted = least_squares(
        residuals,
        np.ones(len(_START)),
        bounds=(0, np.inf),
        x_scale="jac",
        loss="soft_l1",
        f_scale=_OUTLIER,
    )
    result: FloatArray = fitted.x * _START
    return result


def grouped_folds(groups: ArrayLike, folds: int, seed: int) -> NDArray[np.int64]:
    """Deal groups of rows out to folds at random; rows of one group share a fold.

    Parameters
    ----------
    groups : array, shape (rows,)
        Any labels.
    folds : int
        At least 2 and at most the number of groups.
    seed : int
        Of the order in which groups are dealt.

    Returns
    -------
    int array, shape (rows,)
        From 0 to folds - 1.

    Raises
    ------
    InputError
        If there are fewer groups than folds.
    """
    labels, members = np.unique(np.asarray(groups), return_inverse=True)
    if not 2 <= folds <= len(labels):
        raise InputError(f"expected 2 to {len(labels)} folds, one group each, got {folds}")
    dealt = np.random.default_rng(seed).permutation(len(labels)) % folds
    result: NDArray[np.int64] = dealt[members]
    return result


def hold_out(
    predict: Predict, layer: ArrayLike, width: ArrayLike, *, folds: int, repeats: int
) -> FloatArray:
    """Estimate rows from others: of other layers, on arrays of other widths.

    Parameters
    ----------
    predict : callable
        Learns from the rows it is told and estimates all of them.
    layer, width : array, shape (rows,)
        Labels. A row is learnt from only if its layer is in another fold (`grouped_folds`), and
        its width another one.
    folds, repeats : int
        Every repeat deals the layers anew, with the seeds 0, 1, ...

    Returns
    -------
    float array, shape (repeats, rows)
    """
    widths = np.asarray(width)
    estimates = np.empty((repeats, len(widths)))
    for seed in range(repeats):
        fold_of = grouped_folds(layer, folds, seed)
        for fold in range(folds):
            for value in np.unique(widths[fold_of == fold]):
                held = (fold_of == fold) & (widths == value)
                learn = (fold_of != fold) & (widths != value)
                estimates[seed, held] = predict(learn)[held]
    return estimates


def fitted(counts: ProgramCounts, measured: FloatArray, regular: NDArray[np.bool_]) -> Predict:
    """Make the estimator that `fit_cycles` fits, to rows that are `regular`."""

    def predict(learn: NDArray[np.bool_]) -> FloatArray:
        known = learn & regular
        return counts.latency_cycles(fit_cycles(counts.rows(known), measured[known]))

    return predict


def rows_of(results: PublishedResults, column: str) -> Rows:
    """Label published rows with what a fit leaves out together."""
    layer, width = np.empty((2, len(results)), np.int64)
    regular = np.empty(len(results), np.bool_)
    layers: dict[str, int] = {}
    for group in results.groups:
        layer[group.rows] = layers.setdefault(group.workload.name, len(layers))
        width[group.rows] = array_width(group.workload, group.factors)
        regular[group.rows] = wrapped_rows(group.workload, group.factors) == 0
    kinds = [layer_kind(workload) for workload in results.workloads]
    of_groups = [group.rows for group in results.groups]
    return Rows(results.measured[column], of_groups, layer, width, kinds, regular)


def counts_of(results: PublishedResults) -> ProgramCounts:
    """Count the activities of all rows."""
    parts = [program_counts(group.workload, group.factors) for group in results.groups]
    back = np.argsort(np.concatenate([group.rows for group in results.groups]))
    return ProgramCounts(
        np.concatenate([part.setups for part in parts]),
        np.concatenate([part.array_cycles for part in parts]),
        np.concatenate([part.transfers for part in parts]),
        np.concatenate([part.wrapped_rows for part in parts]),
    ).rows(back)


def uncorrected_latencies(results: PublishedResults) -> dict[str, FloatArray]:
    """Cost the rows with nothing fitted, as published and as Gemmini's library runs them."""
    conventions = replace(EXACT, first_and_last=True)
    ways = {
        "exact": results,
        "exact on gemmini-rtl": simulated(results, by_library=False),
        "exact on gemmini-rtl, as its library runs": simulated(results, by_library=True),
    }
    return {
        name: published_totals(rows, conventions).latency_cycles for name, rows in ways.items()
    }


def fit_correction(
    results: PublishedResults, column: str, about: Mapping[str, str], *, folds: int, repeats: int
) -> CorrectionFile:
    """Fit a latency correction to RTL simulations, and judge it on layers and arrays left out.

    Parameters
    ----------
    results : PublishedResults
        Rows to fit to.
    column : str
        Measured cycles.
    about : mapping of str to str
        The texts of a `CorrectionFile`: name, description, hardware, and of its fit: file,
        sha256, date, script.
    folds, repeats : int
        See `hold_out`.

    Returns
    -------
    CorrectionFile
        What the data file holds.
    """
    rows, counts = rows_of(results, column), counts_of(results)
    macs = [workload.macs for workload in results.workloads]
    estimates = hold_out(
        fitted(counts, rows.measured, rows.regular),
        rows.layer,
        rows.width,
        folds=folds,
        repeats=repeats,
    )
    plain = {name: rows.ordered(c) for name, c in uncorrected_latencies(results).items()}
    best = max(plain, key=lambda name: plain[name][ALL].right)
    spearman, kendall = np.array([rank_correlations(e, rows.measured) for e in estimates]).T
    cycles = [
        float(f"{value:.5g}")
        for value in fit_cycles(counts.rows(rows.regular), rows.measured[rows.regular])
    ]
    record = {
        **{key: about[key] for key in ("name", "description", "hardware")},
        "fitted_to": {
            **{key: about[key] for key in ("file", "sha256")},
            "rows": len(results),
            "layers": int(rows.layer.max()) + 1,
            **{key: about[key] for key in ("date", "script")},
        },
        "cross_validation": {
            "folds": folds,
            "repeats": repeats,
            "grouped_by": "layers and array widths",
            "spearman": summary(spearman),
            "kendall": summary(kendall),
            "uncorrected_latency": best,
            "corrected": _figures(rows, [rows.ordered(e) for e in estimates]),
            "uncorrected": _figures(rows, [plain[best]]),
        },
        "fitted_range": {
            "array_width": [int(rows.width.min()), int(rows.width.max())],
            "macs": [min(macs), max(macs)],
        },
        "cycles_per": dict(zip(ACTIVITIES, cycles, strict=True)),
    }
    return CorrectionFile.model_validate(record)


def _figures(rows: Rows, found: Sequence[Mapping[str, Ordering]]) -> dict[str, dict[str, object]]:
    """Average over repeats, by kind of layer."""

    def mean(kind: str, figure: str) -> float:
        return float(np.mean([getattr(each[kind], figure) for each in found]))

    return {
        kind: {
            "rows": len(rows.kinds) if kind == ALL else list(rows.kinds).count(kind),
            "pairs": of_kind.pairs,
            "pairs_right": round(mean(kind, "right"), 4) if of_kind.pairs else None,
            "regret": round(mean(kind, "regret"), 4),
            "median_error_percent": round(100 * mean(kind, "median_error"), 1),
        }
        for kind, of_kind in found[0].items()
    }


def summary(values: FloatArray) -> dict[str, float]:
    """Mean, standard deviation, minimum and maximum, rounded to four decimals."""
    found = {"mean": values.mean(), "std": values.std(), "min": values.min(), "max": values.max()}
    return {name: round(float(value), 4) for name, value in found.items()}
