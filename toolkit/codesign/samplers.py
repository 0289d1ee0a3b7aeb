"""Optuna's samplers over hardware: how a point is written, and a function per strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from toolkit.arch.expressions import Number
from toolkit.arch.ranges import Range
from toolkit.codesign.scoring import Scorer
from toolkit.codesign.space import HardwareSpace

POPULATION = 16
"""Points of a generation of NSGA-II: some for each of the sizes that templates have."""


def random(scorer: Scorer, seed: int) -> BaseSampler:
    """Draw points within the budgets, all such points alike: the baseline."""
    return _Within(scorer, seed)


def tpe(scorer: Scorer, seed: int) -> BaseSampler:
    """Draw sizes where good points were denser than others; points under way count as bad.

    Its registry entry lets the first ones be drawn at random.
    """
    return TPESampler(multivariate=True, n_startup_trials=1, constant_liar=True, seed=seed)


def gp(scorer: Scorer, seed: int) -> BaseSampler:
    """Choose the point of largest expected improvement: for few, dear evaluations.

    Its registry entry lets the first ones be drawn at random.
    """
    return GPSampler(n_startup_trials=1, deterministic_objective=True, seed=seed)


def nsga2(scorer: Scorer, seed: int) -> BaseSampler:
    """Cross and mutate the best points of each generation, the first drawn within the budgets."""
    return _Crossing(scorer, seed)


@dataclass(frozen=True, eq=False)
class Encoding:
    """How the points of a space are written.

    Sizes that double are chosen by their logarithm, all others by their place in the range.

    Parameters
    ----------
    space : HardwareSpace
        Whose points.

    Examples
    --------
    >>> from toolkit.codesign.space import hardware_space
    >>> space = hardware_space("gemmini-ws", ranges={"side": [8, 16, 32]})
    >>> encoding = Encoding(space)
    >>> encoding.encode(space.default)["log2 side"], list(encoding.distributions)[0]
    (4, 'log2 side')
    """

    space: HardwareSpace

    @cached_property
    def distributions(self) -> dict[str, IntDistribution]:
        """What Optuna chooses."""
        return {
            _name(name, found): IntDistribution(first, first + len(found.values) - 1)
            for name, found in self.space.ranges.items()
            for first in (_first(found),)
        }

    def encode(self, parameters: Mapping[str, Number]) -> dict[str, int]:
        """Write a point."""
        return {
            _name(name, found): _first(found) + found.index(parameters[name])
            for name, found in self.space.ranges.items()
        }

    def decode(self, params: Mapping[str, int]) -> dict[str, Number]:
        """Read a point."""
        return {
            name: found.values[params[_name(name, found)] - _first(found)]
            for name, found in self.space.ranges.items()
        }


def _first(found: Range) -> int:
    """Code of the first value: its logarithm, if that is whole and the others follow."""
    low = found.bounds[0]
    return int(low) if found.encoding == "log2" and low == int(low) else 0


def _name(name: str, found: Range) -> str:
    if found.encoding == "log2" and found.bounds[0] == int(found.bounds[0]):
        return f"log2 {name}"
    return f"place of {name}"


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


class _Within(PointSampler):
    """Area and power are known before anything is mapped: what exceeds them is no sample."""

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._within_budgets()


class _Crossing(PointSampler):
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
