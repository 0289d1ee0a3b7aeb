"""Optuna's covariance matrix adaptation."""

from __future__ import annotations

# Optuna imports it only when the first trial is asked for.
import cmaes as _  # noqa: F401
from optuna.samplers import BaseSampler, CmaEsSampler

from toolkit.search.evaluator import Evaluator
from toolkit.search.optuna_driver import drive, make_coding, require_limit

BATCH = 16
"""Trials evaluated together."""


def cmaes(evaluator: Evaluator, seed: int) -> None:
    """Adapt a normal distribution over the levels of all prime factors.

    Raises
    ------
    InputError
        If the budget has no limit.
    DoesNotFitError
        If no valid tiling is found.
    """
    require_limit(evaluator, "cmaes")
    coding = make_coding(evaluator, ordered=True)
    starts = coding.starts(1, evaluator.warm_starts, seed)
    drive(evaluator, _sampler, seed, coding, starts, batch=BATCH)


def _sampler(seed: int) -> BaseSampler:
    return CmaEsSampler(with_margin=True, warn_independent_sampling=False, seed=seed)
