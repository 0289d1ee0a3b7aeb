"""Optuna's Gaussian process with expected improvement."""

from __future__ import annotations

# Optuna imports it only when the first trial is asked for.
import scipy  # noqa: F401
from optuna.samplers import BaseSampler, GPSampler

from toolkit.search.evaluator import Evaluator
from toolkit.search.optuna_driver import drive, make_coding, require_limit
from toolkit.search.torch_threads import one_thread

STARTS = 20
"""Random valid mappings before the process guides."""


def gp(evaluator: Evaluator, seed: int) -> None:
    """Try the mapping of largest expected improvement: for few, dear evaluations.

    Raises
    ------
    InputError
        If the budget has no limit.
    DoesNotFitError
        If no valid tiling is found.
    """
    require_limit(evaluator, "gp")
    coding = make_coding(evaluator)
    starts = coding.starts(STARTS, evaluator.warm_starts, seed)
    with one_thread():
        drive(evaluator, _sampler, seed, coding, starts)


def _sampler(seed: int) -> BaseSampler:
    return GPSampler(n_startup_trials=1, deterministic_objective=True, seed=seed)
