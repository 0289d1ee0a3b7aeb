"""Optuna's tree-structured Parzen estimator."""

from __future__ import annotations

from optuna.samplers import BaseSampler, TPESampler

from toolkit.search.evaluator import Evaluator
from toolkit.search.optuna_driver import drive, make_coding, require_limit

STARTS = 50
"""Random valid mappings before the estimator guides."""
LONGEST, KEPT = 300, 100
"""Trials of a study, and how many of the best the next one begins with: the estimator takes as
long as there are trials."""


def tpe(evaluator: Evaluator, seed: int) -> None:
    """Draw each mapping where good ones were denser than others so far.

    Raises
    ------
    InputError
        If the budget has no limit.
    DoesNotFitError
        If no valid tiling is found.
    """
    require_limit(evaluator, "tpe")
    coding = make_coding(evaluator)
    starts = coding.starts(STARTS, evaluator.warm_starts, seed)
    drive(evaluator, tpe_sampler, seed, coding, starts, memory=(LONGEST, KEPT), fronts=True)


def tpe_sampler(seed: int) -> BaseSampler:
    """Make Optuna's estimator, for several objectives too."""
    return TPESampler(multivariate=True, n_startup_trials=1, constant_liar=False, seed=seed)
