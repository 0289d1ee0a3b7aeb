"""What an architect would write down in a minute: small registers, and the area full of units.

The honest baseline of searches over hardware: it looks at no network and at no score.
"""

from __future__ import annotations

import itertools
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from toolkit.codesign.filled_points import Point, filled_points
from toolkit.codesign.samplers import PointSampler
from toolkit.codesign.scoring import Scorer


def fill_area(scorer: Scorer, seed: int) -> BaseSampler:
    """Fill the area with units, then with buffers; `filled_points` says how. No seed matters."""
    return _Filling(scorer, seed)


class _Filling(PointSampler):
    """Point number n of a fixed sequence is trial number n, whoever asks; then all over again."""

    def __init__(self, scorer: Scorer, seed: int) -> None:
        super().__init__(scorer, seed)
        self._points: list[Point] = []
        self._rest = filled_points(scorer.job.space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        missing = trial.number + 1 - len(self._points)
        self._points += itertools.islice(self._rest, max(missing, 0))
        return dict(self._encoding.encode(self._points[trial.number % len(self._points)]))
