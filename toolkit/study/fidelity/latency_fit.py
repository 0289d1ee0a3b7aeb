"""Fitting cycles per activity to measured latencies, and judging the fit on layers left out.

`fit_correction` makes the data file of a latency correction (`toolkit.model.correction`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import InputError
from toolkit.model.conventions import CONVENTIONS
from toolkit.model.correction import CorrectionFile
from toolkit.model.gemmini_program import ACTIVITIES, array_width, program_counts
from toolkit.study.fidelity.published import PublishedResults
from toolkit.study.fidelity.validation import (
    dosa_roofline_cycles,
    published_totals,
    rank_correlations,
)

FloatArray = NDArray[np.float64]
Predict = Callable[[NDArray[np.bool_]], FloatArray]
"""Given the rows to learn from, shape (rows,), estimates every row."""

# Residuals are logarithms; beyond a factor of e^0.5 they count less than by their square, as a
# few published runs took 25 to 250 times as long as any other of their kind.
_OUTLIER = 0.5


@dataclass(frozen=True)
class HeldOut:
    """Estimates of rows that the estimator had not seen.

    Parameters
    ----------
    spearman, kendall : float array, shape (repeats * folds,)
        Rank correlations within each held-out fold.
    log_ratios : float array, shape (repeats * rows,)
        Natural logarithm of estimated over measured.
    """

    spearman: FloatArray
    kendall: FloatArray
    log_ratios: FloatArray

    @property
    def median_error(self) -> float:
        """Relative error that half of the estimates do not exceed."""
        return float(np.expm1(np.median(np.abs(self.log_ratios))))


def fit_cycles(counts: FloatArray, cycles: FloatArray) -> FloatArray:
    """Fit non-negative cycles per activity, to logarithms of latencies.

    Parameters
    ----------
    counts : array, shape (rows, activities)
        Not negative; every activity happens in some row.
    cycles : array, shape (rows,)
        Measured latencies, positive.

    Returns
    -------
    array, shape (activities,)
        Such that ``counts @ result`` is near `cycles`, by the soft-L1 loss of the log ratios.

    Raises
    ------
    InputError
        If an activity never happens, or a row has none.
    """
    from scipy.optimize import least_squares, nnls

    relative = counts / cycles[:, None]
    largest = relative.max(axis=0)
    if np.any(largest <= 0) or np.any(relative.max(axis=1) <= 0):
        raise InputError("every activity must happen in some row, and every row have one")
    scaled = relative / largest
    start = nnls(scaled, np.ones(len(scaled)))[0] + 1e-3

    def residuals(weights: FloatArray) -> FloatArray:
        logs: FloatArray = np.log(scaled @ weights)
        return logs

    def jacobian(weights: FloatArray) -> FloatArray:
        rows: FloatArray = scaled / (scaled @ weights)[:, None]
        return rows

    fitted = least_squares(
        residuals,
        start,
        jacobian,
        bounds=(0, np.inf),
        x_scale="jac",
        loss="soft_l1",
        f_scale=_OUTLIER,
    )
    result: FloatArray = fitted.x / largest
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
    predict: Predict, measured: FloatArray, groups: ArrayLike, *, folds: int, repeats: int
) -> HeldOut:
    """Judge estimates on groups of rows that were left out of the fit.

    Parameters
    ----------
    predict : callable
        Learns from the rows it is told and estimates all of them.
    measured : array, shape (rows,)
        What it is compared with.
    groups : array, shape (rows,)
        Labels; see `grouped_folds`.
    folds, repeats : int
        Every repeat deals the groups anew, with the seeds 0, 1, ...
    """
    ranks: list[tuple[float, float]] = []
    ratios: list[FloatArray] = []
    for seed in range(repeats):
        fold_of = grouped_folds(groups, folds, seed)
        for fold in range(folds):
            held = fold_of == fold
            estimate = predict(~held)[held]
            ranks.append(rank_correlations(estimate, measured[held]))
            ratios.append(np.log(estimate / measured[held]))
    spearman, kendall = np.array(ranks).T
    return HeldOut(spearman, kendall, np.concatenate(ratios))


def fitted(counts: FloatArray, measured: FloatArray) -> Predict:
    """Make the estimator that `fit_cycles` fits."""

    def predict(learn: NDArray[np.bool_]) -> FloatArray:
        estimate: FloatArray = counts @ fit_cycles(counts[learn], measured[learn])
        return estimate

    return predict


def unfitted(values: FloatArray) -> Predict:
    """Make the estimator that learns nothing: `values`, whatever the rows."""
    return lambda _: values


def fit_correction(
    results: PublishedResults, column: str, about: Mapping[str, str], *, folds: int, repeats: int
) -> tuple[CorrectionFile, dict[str, HeldOut]]:
    """Fit a latency correction to RTL simulations, and judge it on layers left out.

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
    dict of str to HeldOut
        Scores of the latency under every set of conventions, of DOSA's roofline (``roofline``)
        and of the fit (``corrected``), on the same folds.
    """
    measured = results.measured[column]
    layers = [workload.name for workload in results.workloads]
    counts = results.by_row(lambda group: program_counts(group.workload, group.factors))
    widths = results.by_row(lambda group: array_width(group.workload, group.factors))
    macs = [workload.macs for workload in results.workloads]
    predictions = {
        name: unfitted(published_totals(results, conventions).latency_cycles)
        for name, conventions in CONVENTIONS.items()
    }
    predictions["roofline"] = unfitted(dosa_roofline_cycles(results))
    predictions["corrected"] = fitted(counts, measured)
    scores = {
        name: hold_out(predict, measured, layers, folds=folds, repeats=repeats)
        for name, predict in predictions.items()
    }
    cycles = [float(f"{value:.5g}") for value in fit_cycles(counts, measured)]
    record = {
        **{key: about[key] for key in ("name", "description", "hardware")},
        "fitted_to": {
            **{key: about[key] for key in ("file", "sha256")},
            "rows": len(results),
            "layers": len(set(layers)),
            **{key: about[key] for key in ("date", "script")},
        },
        "cross_validation": {
            "folds": folds,
            "repeats": repeats,
            "grouped_by": "layer",
            **_scores_record(scores),
        },
        "fitted_range": {
            "array_width": [int(widths.min()), int(widths.max())],
            "macs": [min(macs), max(macs)],
        },
        "cycles_per": dict(zip(ACTIVITIES, cycles, strict=True)),
    }
    return CorrectionFile.model_validate(record), scores


def _scores_record(scores: Mapping[str, HeldOut]) -> dict[str, object]:
    ours = scores["corrected"]
    record: dict[str, object] = {
        "spearman": summary(ours.spearman),
        "kendall": summary(ours.kendall),
    }
    others = {name: found for name, found in scores.items() if name != "corrected"}
    best = max(others, key=lambda name: float(others[name].spearman.mean()))
    record["uncorrected_spearman"] = {"latency": best, **summary(others[best].spearman)}
    record["folds_improved"] = int(np.sum(ours.spearman > others[best].spearman))
    best = max(others, key=lambda name: float(others[name].kendall.mean()))
    record["uncorrected_kendall"] = {"latency": best, **summary(others[best].kendall)}
    record["median_error_percent"] = round(100 * ours.median_error, 1)
    return record


def summary(values: FloatArray) -> dict[str, float]:
    """Mean, standard deviation, minimum and maximum, rounded to four decimals."""
    found = {"mean": values.mean(), "std": values.std(), "min": values.min(), "max": values.max()}
    return {name: round(float(value), 4) for name, value in found.items()}
