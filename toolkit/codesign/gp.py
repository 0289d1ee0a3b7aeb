"""Optuna's Gaussian process over hardware."""

from __future__ import annotations

# Optuna imports it only when the first trial is asked for.
import scipy  # noqa: F401
import torch  # noqa: F401
from optuna.samplers import BaseSampler, GPSampler

from toolkit.codesign.scoring import Scorer


def gp_hardware(scorer: Scorer, seed: int) -> BaseSampler:
    """Choose the point of largest expected improvement: for few, dear evaluations.

    Its registry entry lets the first ones be drawn at random.
    """
    return GPSampler(n_startup_trials=1, deterministic_objective=True, seed=seed)
