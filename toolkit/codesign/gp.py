"""Optuna's Gaussian process over hardware."""

from __future__ import annotations

# Optuna imports it only when the first trial is asked for.
import scipy  # noqa: F401
import torch  # noqa: F401
from optuna.samplers import BaseSampler, GPSampler

from toolkit.codesign.scoring import Scorer

STARTS = 10
"""Random points before the process guides."""


def gp_hardware(scorer: Scorer, seed: int) -> BaseSampler:
    """Choose the point of largest expected improvement: for few, dear evaluations."""
    return GPSampler(n_startup_trials=STARTS, deterministic_objective=True, seed=seed)
