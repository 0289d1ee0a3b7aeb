"""Optuna's tree-structured Parzen estimator over hardware."""

from __future__ import annotations

from optuna.samplers import BaseSampler, TPESampler

from toolkit.codesign.scoring import Scorer

STARTS = 10
"""Random points before the estimator guides."""


def tpe_hardware(scorer: Scorer, seed: int) -> BaseSampler:
    """Draw sizes where good points were denser than others; points under way count as bad."""
    return TPESampler(multivariate=True, n_startup_trials=STARTS, constant_liar=True, seed=seed)
