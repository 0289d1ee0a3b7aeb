"""How well computed numbers agree with measured ones: relative errors and ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 0.01
"""Relative error up to which a number counts as agreeing."""


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
