"""Optuna's samplers over hardware: how a point is written, and a function per strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
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

    Parameters
    ----------
    space : HardwareSpace
        Whose points.
    numbers : bool
        Whether all parameters are numbers: sizes that double are chosen by their logarithm, all
        others by their place in the range, as the strategies do. Otherwise parameters have the
        names and values of the template, those that are not evenly spaced as categories.

    Examples
    --------
    >>> from toolkit.codesign.space import hardware_space
    >>> space = hardware_space("gemmini-ws", ranges={"side": [8, 16, 32]})
    >>> encoding = Encoding(space)
    >>> encoding.encode(space.default)["log2 side"], list(encoding.distributions)[0]
    (4, 'log2 side')
    >>> Encoding(space, numbers=False).distributions["side"]
    CategoricalDistribution(choices=(8, 16, 32))
    """

    space: HardwareSpace
    numbers: bool = True

    @cached_property
    def _forms(self) -> dict[str, _Form]:
        """How each parameter of the template is written."""
        make = _counted if self.numbers else _valued
        return {name: make(name, found) for name, found in self.space.ranges.items()}

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """What Optuna chooses, by name."""
        return {form.name: form.distribution for form in self._forms.values()}

    def encode(self, parameters: Mapping[str, Number]) -> dict[str, Any]:
        """Write a point."""
        return {
            form.name: form.written[self.space.ranges[name].index(parameters[name])]
            for name, form in self._forms.items()
        }

    def decode(self, params: Mapping[str, Any]) -> dict[str, Number]:
        """Read a point."""
        return {
            name: self.space.ranges[name].values[form.places[params[form.name]]]
            for name, form in self._forms.items()
        }


@dataclass(frozen=True)
class _Form:
    """A parameter: its name and distribution, and what it is at every place of the range."""

    name: str
    distribution: BaseDistribution
    written: Sequence[Any]

    @cached_property
    def places(self) -> dict[Any, int]:
        """Place of each of these values."""
        return {value: place for place, value in enumerate(self.written)}


def _counted(name: str, found: Range) -> _Form:
    """Logarithms, if they are whole and the others follow; else places."""
    low, count = found.bounds[0], len(found.values)
    doubles = found.encoding == "log2" and low == int(low)
    first = int(low) if doubles else 0
    return _Form(
        f"log2 {name}" if doubles else f"place of {name}",
        IntDistribution(first, first + count - 1),
        range(first, first + count),
    )


def _valued(name: str, found: Range) -> _Form:
    values = found.values
    steps = {b - a for a, b in zip(values, values[1:], strict=False)}
    if len(steps) == 1 and all(isinstance(value, int) for value in values):
        low, high, step = int(values[0]), int(values[-1]), int(steps.pop())
        return _Form(name, IntDistribution(low, high, step=step), values)
    return _Form(name, CategoricalDistribution(values), values)


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
