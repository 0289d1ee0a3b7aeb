"""Hardware at random: the baseline."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from toolkit.codesign.point_sampler import PointSampler
from toolkit.codesign.scoring import Scorer


def random_hardware(scorer: Scorer, seed: int) -> BaseSampler:
    """Draw points within the budgets, all such points alike."""
    return _Within(scorer, seed)


class _Within(PointSampler):
    """Area and power are known before anything is mapped: what exceeds them is no sample."""

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._within_budgets()
