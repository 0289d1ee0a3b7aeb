"""Optuna's NSGA-II over hardware."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from toolkit.codesign.encoding import Encoding
from toolkit.codesign.scoring import Scorer

POPULATION = 16
"""Points of a generation: some for each of the sizes that templates have."""


def nsga2_hardware(scorer: Scorer, seed: int) -> BaseSampler:
    """Cross and mutate the best points of each generation, the first drawn within the budgets."""
    return _Nsga2(scorer, seed)


class _Nsga2(NSGAIISampler):
    def __init__(self, scorer: Scorer, seed: int) -> None:
        super().__init__(population_size=POPULATION, seed=seed)
        self._space, self._encoding = scorer.job.space, Encoding(scorer.job.space)
        self._draws = np.random.default_rng(seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return dict(self._encoding.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        # It has nothing to cross while the first generation is being made.
        crossed = super().sample_relative(study, trial, search_space)
        return crossed or dict(self._encoding.encode(self._space.sample(self._draws).parameters))
