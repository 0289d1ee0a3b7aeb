"""Which strategy is better, over all problems: mean ranks, and whether chance explains them.

Notes
-----
A strategy's value on a problem is the median over its seeds: seeds of one problem are no
independent evidence, so that problems are the sample. Friedman's test asks whether all strategies
rank alike, with the correction of Iman and Davenport: Friedman's statistic is conservative, while
theirs, ``(n - 1) x / (n (k - 1) - x)`` for n problems, k strategies and Friedman's x, follows an
F-distribution with k - 1 and (k - 1) (n - 1) degrees of freedom. Wilcoxon's signed-rank test
compares pairs by the logarithm of the ratio of their values, and Holm's correction accounts for
the number of pairs.

References
----------
R. L. Iman and J. M. Davenport, "Approximations of the critical region of the Friedman statistic",
Communications in Statistics A 9(6), 1980.
J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from toolkit.mapping.mapping import FloatArray
from toolkit.study.compare.tables import summary_table
from toolkit.study.storage.runs import Comparison, problem_name

if TYPE_CHECKING:
    import pandas as pd


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
    friedman_statistic : float
        Of all strategies; NaN if there are fewer than three, or fewer than two problems.
    iman_davenport_statistic, iman_davenport_p : float
        The same corrected, and the probability of such ranks if all strategies rank alike; inf and
        0 where all problems rank them the same.
    pairs : DataFrame
        Per pair of strategies: on how many problems which is better, the geometric mean of the
        ratio of their values (missing if one failed), the probability of such differences by
        chance, the same after Holm's correction, and whether that is below `LEVEL`.
    note : str
        What to keep in mind about these numbers.
    """

    problems: int
    friedman_statistic: float
    iman_davenport_statistic: float
    iman_davenport_p: float
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
    problems, of median over reference, less 1: inf if the median run of any failed; ``proved``
    says whether all references are, so that a gap of zero is one.
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
                math.expm1(np.log1p(groups.get_group(name)["gap_median"].fillna(0.0)).mean())
                for name in medians.columns
            ],
            "proved": bool(summary["proved"].all()),
            "failed_runs": [int(groups.get_group(name)["failed"].sum()) for name in medians],
        }
    )
    return table.sort_values("mean_rank", kind="stable", ignore_index=True)


def significance(comparison: Comparison) -> Significance:
    """Test whether chance explains the ranks of a comparison."""
    medians = problem_medians(comparison)
    values = medians.to_numpy(dtype=np.float64)
    problems, strategies = values.shape
    statistic, corrected, p = math.nan, math.nan, math.nan
    if problems >= 2 and strategies >= 3:
        ranks = _ranks(values)
        # Without any difference the statistic is 0 / 0.
        if (ranks == ranks[:, :1]).all():
            statistic, corrected, p = 0.0, 0.0, 1.0
        else:
            statistic, corrected, p = _iman_davenport(ranks)
    pairs = _pairs(values, list(medians.columns))
    return Significance(problems, statistic, corrected, p, pairs, _note(problems, len(pairs)))


def _iman_davenport(ranks: FloatArray) -> tuple[float, float, float]:
    """Friedman's statistic, Iman and Davenport's, and its probability."""
    from scipy.stats import f, friedmanchisquare

    problems, strategies = ranks.shape
    statistic = float(friedmanchisquare(*ranks.T).statistic)
    left = problems * (strategies - 1) - statistic
    if left <= _EQUAL * statistic:
        return statistic, math.inf, 0.0
    corrected = (problems - 1) * statistic / left
    freedom = strategies - 1
    return statistic, corrected, float(f.sf(corrected, freedom, freedom * (problems - 1)))


def describe_test(test: Significance) -> str:
    """Say whether all strategies rank alike, and what to keep in mind."""
    if math.isnan(test.iman_davenport_p):
        return test.note
    p = f"{test.iman_davenport_p:.3g}"
    return f"Friedman, after Iman and Davenport: p = {p} that all rank alike. {test.note}"


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
            f"{problems} problems are few: p of all is approximate below {_FEW_PROBLEMS}, and "
            "only large, consistent differences can come out significant."
        )
    return "Problems are the sample; medians over seeds are compared."
