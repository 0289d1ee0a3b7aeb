"""Hardware at random: the baseline."""

from __future__ import annotations

from optuna.samplers import BaseSampler, RandomSampler

from toolkit.codesign.scoring import Scorer


def random_hardware(scorer: Scorer, seed: int) -> BaseSampler:
    """Draw every size on its own; budgets do not matter."""
    return RandomSampler(seed=seed)
