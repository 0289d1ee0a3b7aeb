"""Optuna's NSGA-II over hardware."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from toolkit.codesign.point_sampler import PointSampler
from toolkit.codesign.scoring import Scorer

POPULATION = 16
"""Points of a generation: some for each of the sizes that templates have."""


def nsga2_hardware(scorer: Scorer, seed: int) -> BaseSampler:
    """Cross and mutate the best points of each generation, the first drawn within the budgets."""
    return _Nsga2(scorer, seed)


class _Nsga2(PointSampler):
    def __init__(self, scorer: Scorer, seed: int) -> None:
        super().__init__(scorer, seed)
        self._crossing = NSGAIISampler(population_size=POPULATION, seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._crossing.before_trial(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        # It has nothing to cross while the first generation is being made.
        crossed = self._crossing.sample_relative(study, trial, search_space)
        return crossed or self._within_budgets()

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._crossing.after_trial(study, trial, state, values)
