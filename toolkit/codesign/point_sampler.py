"""What samplers that propose whole hardware points share."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from toolkit.codesign.encoding import Encoding
from toolkit.codesign.scoring import Scorer


class PointSampler(BaseSampler):
    """Chooses all parameters of a point together; a strategy says how in `sample_relative`.

    Parameters
    ----------
    scorer : Scorer
        Knows the space.
    seed : int
        Of all draws.
    """

    def __init__(self, scorer: Scorer, seed: int) -> None:
        self._space = scorer.job.space
        self._encoding = Encoding(self._space)
        self._rng = np.random.default_rng(seed)
        self._others = RandomSampler(seed=seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All parameters."""
        return dict(self._encoding.distributions)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw what was not proposed: what a mutation leaves open, and trials of others."""
        return self._others.sample_independent(study, trial, param_name, param_distribution)

    def _within_budgets(self) -> dict[str, int]:
        """Draw a point, as a trial has it."""
        return self._encoding.encode(self._space.sample(self._rng).parameters)
