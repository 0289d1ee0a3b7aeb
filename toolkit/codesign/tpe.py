"""Optuna's tree-structured Parzen estimator over hardware."""

from __future__ import annotations

from optuna.samplers import BaseSampler, TPESampler

from toolkit.codesign.scoring import Scorer


def tpe_hardware(scorer: Scorer, seed: int) -> BaseSampler:
    """Draw sizes where good points were denser than others; points under way count as bad.

    Its registry entry lets the first ones be drawn at random.
    """
    return TPESampler(multivariate=True, n_startup_trials=1, constant_liar=True, seed=seed)
