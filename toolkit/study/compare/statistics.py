"""Which strategy is better, over all problems: mean ranks, and whether chance explains them.

Notes
-----
A strategy's value on a problem is the median over its seeds: seeds of one problem are no
independent evidence, so that problems are the sample. Friedman's test asks whether all strategies
rank alike; Wilcoxon's signed-rank test compares pairs by the logarithm of the ratio of their
values, and Holm's correction accounts for the number of pairs.

References
----------
J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.study.compare.tables import summary_table
from toolkit.study.storage.runs import Comparison, problem_name

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]

LEVEL = 0.05
"""Probability below which a difference is called significant, by convention."""

# Values that differ by less are the same mapping, or one as good, costed in another order.
_EQUAL = 1e-9
# Of Friedman's statistic the distribution is only known approximately, and badly for few.
_FEW_PROBLEMS = 10


@dataclass(frozen=True)
class Significance:
    """Whether chance explains that strategies rank differently.

    Parameters
    ----------
    problems : int
        Size of the sample.
    friedman_statistic, friedman_p : float
        Of all strategies; NaN if there are fewer than three, or fewer than two problems.
    pairs : DataFrame
        Per pair of strategies: on how many problems which is better, the geometric mean of the
        ratio of their values (missing if one failed), the probability of such differences by
        chance, the same after Holm's correction, and whether that is below `LEVEL`.
    note : str
        What to keep in mind about these numbers.
    """

    problems: int
    friedman_statistic: float
    friedman_p: float
    pairs: pd.DataFrame
    note: str


def problem_medians(comparison: Comparison) -> pd.DataFrame:
    """Tabulate the median over seeds: a row per problem, a column per strategy."""
    table = summary_table(comparison).pivot(index="problem", columns="strategy", values="median")
    names = [problem_name(problem) for problem in comparison.problems]
    return table.loc[names, list(comparison.strategies)]


def rank_table(comparison: Comparison) -> pd.DataFrame:
    """Tabulate strategies by their mean rank over all problems, the best first.

    Ranks are of the medians over seeds; equal ones share the mean of their ranks. ``first`` says
    on how many problems a strategy is best or as good. The gap is the geometric mean, over the
    problems, of median over reference, less 1: inf if the median run of any failed.
    """
    import pandas as pd

    medians = problem_medians(comparison)
    ranks = _ranks(medians.to_numpy(dtype=np.float64))
    summary = summary_table(comparison)
    groups = summary.groupby("strategy")
    table = pd.DataFrame(
        {
            "strategy": medians.columns,
            "mean_rank": ranks.mean(axis=0),
            "first": (ranks == ranks.min(axis=1, keepdims=True)).sum(axis=0),
            "problems": len(medians),
            "gap": [
                math.expm1(np.log1p(groups.get_group(name)["gap_median"]).mean())
                for name in medians.columns
            ],
            "failed_runs": [int(groups.get_group(name)["failed"].sum()) for name in medians],
        }
    )
    return table.sort_values("mean_rank", kind="stable", ignore_index=True)


def significance(comparison: Comparison) -> Significance:
    """Test whether chance explains the ranks of a comparison."""
    from scipy.stats import friedmanchisquare

    medians = problem_medians(comparison)
    values = medians.to_numpy(dtype=np.float64)
    problems, strategies = values.shape
    statistic, p = math.nan, math.nan
    if problems >= 2 and strategies >= 3:
        ranks = _ranks(values)
        # Without any difference the statistic is 0 / 0.
        if (ranks == ranks[:, :1]).all():
            statistic, p = 0.0, 1.0
        else:
            statistic, p = map(float, friedmanchisquare(*ranks.T))
    pairs = _pairs(values, list(medians.columns))
    return Significance(problems, statistic, p, pairs, _note(problems, len(pairs)))


def describe_test(test: Significance) -> str:
    """Say whether all strategies rank alike, and what to keep in mind."""
    if math.isnan(test.friedman_p):
        return test.note
    return f"Friedman: p = {test.friedman_p:.3g} that all rank alike. {test.note}"


def holm(probabilities: ArrayLike) -> FloatArray:
    """Correct probabilities for their number, after Holm.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(probabilities, np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    factors = len(p) - np.arange(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return corrected


def _ranks(values: FloatArray) -> FloatArray:
    """Ranks along rows, from 1; values that are equal but for rounding share theirs."""
    from scipy.stats import rankdata

    order = np.argsort(values, axis=1, kind="stable")
    rising = np.take_along_axis(values, order, axis=1)
    with np.errstate(invalid="ignore"):
        steps = np.diff(rising, axis=1) > _EQUAL * np.abs(rising[:, :-1])
    groups = np.zeros(values.shape)
    np.put_along_axis(groups, order[:, 1:], np.cumsum(steps, axis=1), axis=1)
    ranks: FloatArray = rankdata(groups, axis=1)
    return ranks


def _pairs(values: FloatArray, names: list[str]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for a, b in combinations(range(len(names)), 2):
        differences = _log_ratios(values[:, a], values[:, b])
        finite = bool(np.isfinite(differences).all() and values[:, [a, b]].min() > 0)
        rows.append(
            {
                "strategy": names[a],
                "other": names[b],
                "better": int((differences < 0).sum()),
                "equal": int((differences == 0).sum()),
                "worse": int((differences > 0).sum()),
                "ratio": float(np.exp(differences.mean())) if finite else math.nan,
                "p": _wilcoxon(differences),
            }
        )
    columns = ["strategy", "other", "better", "equal", "worse", "ratio", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = holm(table["p"])
    table["significant"] = table["p_holm"] < LEVEL
    return table


def _log_ratios(ours: FloatArray, theirs: FloatArray) -> FloatArray:
    """Logarithms of ratios; 0 where both are equal or failed.

    Functions of users may give values that have no ratio: then their differences.
    """
    if min(ours.min(), theirs.min()) <= 0:
        with np.errstate(invalid="ignore"):
            return np.where(ours == theirs, 0.0, ours - theirs)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs: FloatArray = np.log(ours) - np.log(theirs)
    equal = (ours == theirs) | (np.abs(logs) <= _EQUAL)
    return np.where(equal, 0.0, logs)


def _wilcoxon(differences: FloatArray) -> float:
    """Probability of such differences if either sign is as likely; two-sided."""
    from scipy.stats import wilcoxon

    differing = differences[differences != 0]
    if not len(differing):
        return 1.0
    # Only their order counts, which takes a failed run as the largest difference.
    sizes = np.unique(np.abs(differing), return_inverse=True)[1] + 1.0
    return float(wilcoxon(np.sign(differing) * sizes).pvalue)


def _note(problems: int, pairs: int) -> str:
    least = 2.0 ** (1 - problems) * max(pairs, 1)
    if problems < 2:
        return (
            "One problem says nothing about others: no test. Seeds of one problem are not "
            "independent evidence on strategies."
        )
    if least >= LEVEL:
        needed = math.ceil(1 - math.log2(LEVEL / max(pairs, 1)) + 1e-9)
        return (
            f"With {problems} problems no pair can come out significant: even if one strategy "
            f"were better on all of them, the corrected p would be {min(least, 1.0):.2g}. "
            f"At least {needed} problems are needed for {pairs} pairs."
        )
    if problems < _FEW_PROBLEMS:
        return (
            f"{problems} problems are few: Friedman's p is approximate below {_FEW_PROBLEMS}, and "
            "only large, consistent differences can come out significant."
        )
    return "Problems are the sample; medians over seeds are compared."
