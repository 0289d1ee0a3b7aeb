"""Optuna's quasi-Monte Carlo sequence."""

from __future__ import annotations

from optuna.samplers import BaseSampler, QMCSampler

from toolkit.search.evaluator import Evaluator
from toolkit.search.optuna_driver import drive, make_coding, require_limit

BATCH = 64
"""Trials evaluated together; nothing is learned from them."""


def qmc(evaluator: Evaluator, seed: int) -> None:
    """Cover the map space evenly by a scrambled Sobol sequence.

    Raises
    ------
    InputError
        If the budget has no limit.
    DoesNotFitError
        If no valid tiling is found.
    """
    require_limit(evaluator, "qmc")
    coding = make_coding(evaluator, ordered=True)
    starts = coding.starts(1, evaluator.warm_starts, seed)
    drive(evaluator, _sampler, seed, coding, starts, batch=BATCH)


def _sampler(seed: int) -> BaseSampler:
    return QMCSampler(scramble=True, warn_independent_sampling=False, seed=seed)
