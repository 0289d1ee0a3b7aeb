"""Hardware at random: the baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from toolkit.codesign.encoding import Encoding
from toolkit.codesign.scoring import Scorer


def random_hardware(scorer: Scorer, seed: int) -> BaseSampler:
    """Draw points within the budgets, all such points alike."""
    return _Within(scorer, seed)


class _Within(BaseSampler):
    """Area and power are known before anything is mapped: what exceeds them is no sample."""

    def __init__(self, scorer: Scorer, seed: int) -> None:
        self._space = scorer.job.space
        self._encoding = Encoding(self._space)
        self._rng = np.random.default_rng(seed)
        self._others = RandomSampler(seed=seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return dict(self._encoding.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return dict(self._encoding.encode(self._space.sample(self._rng).parameters))

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._others.sample_independent(study, trial, param_name, param_distribution)
