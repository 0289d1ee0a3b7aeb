"""CMA-ES over hardware: the evolution strategy that other searches have to beat."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from cmaes import CMA
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from toolkit.arch.expressions import Number
from toolkit.codesign.filled_points import FIRST_POINTS, filled_points
from toolkit.codesign.samplers import PointSampler
from toolkit.codesign.scoring import Scorer

STEP = 0.08
"""Standard deviation at the start, of ranges of length 1: a step or two of most."""

_DRAWS = 200
"""Draws from one distribution until a point is within the budgets."""


def cma_es(scorer: Scorer, seed: int) -> BaseSampler:
    """Draw from a normal distribution that follows the best points (Hansen, 2016).

    It begins at the best of `FIRST_POINTS` points of `toolkit.codesign.filled_points`: from random
    ones, of 20 points in all, it ends about where the rule begins. Area and power are
    known before anything is mapped: what exceeds them is drawn again, and is no sample.
    """
    return _Evolving(scorer, seed)


class _Evolving(PointSampler):
    """Makes the distribution anew from all points that a study has, so that workers can share."""

    def __init__(self, scorer: Scorer, seed: int) -> None:
        super().__init__(scorer, seed)
        self._seed = seed
        self._objective = scorer.job.objective

    @cached_property
    def _first(self) -> list[dict[str, Number]]:
        """The points that it begins with, in turns where there are less than `FIRST_POINTS`."""
        return list(islice(filled_points(self._space), FIRST_POINTS))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        names = set(self._encoding.distributions)
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        known = [other for other in done if names <= set(other.params)]
        if trial.number < FIRST_POINTS or not known:
            return dict(self._encoding.encode(self._first[trial.number % len(self._first)]))
        strategy = self._strategy(known)
        seen = {tuple(self._encoding.decode(other.params).values()) for other in known}
        for _ in range(_DRAWS):
            point = self._point(strategy.ask())
            if tuple(point.values()) in seen:
                continue
            if not self._space.excess(self._space.build(point)):
                return dict(self._encoding.encode(point))
        return self._within_budgets()

    def _strategy(self, known: Sequence[FrozenTrial]) -> CMA:
        """Tell the strategy of one generation after the other, as long as they are complete."""
        first, rest = known[:FIRST_POINTS], known[FIRST_POINTS:]
        dimensions = len(self._space.ranges)
        strategy = CMA(
            mean=self._place(min(first, key=self._value)),
            sigma=STEP,
            bounds=np.array([[0.0, 1.0]] * dimensions),
            seed=self._seed,
        )
        size = strategy.population_size
        for i in range(0, len(rest) - size + 1, size):
            generation = rest[i : i + size]
            strategy.tell([(self._place(trial), self._value(trial)) for trial in generation])
        return strategy

    def _value(self, trial: FrozenTrial) -> float:
        """Logarithm of the value that ranks points, up to its unit."""
        values = trial.values
        if len(values) == 1:
            return float(values[0])
        return float(np.dot(self._objective.powers, values))

    def _place(self, trial: FrozenTrial) -> NDArray[np.float64]:
        """A point in the unit cube: how far up each of its ranges it is."""
        point = self._encoding.decode(trial.params)
        places = [
            found.index(point[name]) / max(len(found.values) - 1, 1)
            for name, found in self._space.ranges.items()
        ]
        return np.array(places, dtype=np.float64)

    def _point(self, place: NDArray[np.float64]) -> dict[str, Number]:
        pairs = zip(self._space.ranges.items(), place.tolist(), strict=True)
        return {
            name: found.values[round(min(max(x, 0.0), 1.0) * (len(found.values) - 1))]
            for (name, found), x in pairs
        }
