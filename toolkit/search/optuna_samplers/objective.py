"""What every objective for Optuna has in common: studies are checked, trials asked and told.

An objective is called with a trial, as `optuna.Study.optimize` calls it, and returns its values;
so ``ask`` and ``tell`` work as well. What is searched is up to its classes: the mapping of a layer
(`toolkit.search.optuna_samplers.mapping_objective`), of a network, fusion, hardware.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import BaseTrial, FrozenTrial, Trial

from toolkit.arguments import check_integer
from toolkit.errors import InputError
from toolkit.messages import describe, suggest
from toolkit.search.optuna_samplers.encoding import Parameters

LEGACY_CONSTRAINTS = "constraints"
"""Optuna 5 keeps constraints one by one; optuna-dashboard 0.21 reads only this older list."""

NUMBERS_ONLY = ("CmaEsSampler", "QMCSampler")
"""Samplers of Optuna that draw categories at random, whatever was learned."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a trial is told.

    Parameters
    ----------
    values : tuple of float
        One per direction, all to be minimised; not finite where a constraint is broken.
    lacking : mapping of str to float
        Broken constraints and by how much, above 0; empty for what is valid.
    """

    values: tuple[float, ...]
    lacking: Mapping[str, float] = field(default_factory=dict)


class OptunaObjective(ABC):
    """Costs trials of a study. Call it, or hand it to ``study.optimize``.

    Attributes
    ----------
    title : str
        What is searched, for messages.
    metrics : tuple of str
        Names and units of the values, each to be minimised.
    """

    def __init__(self, title: str, metrics: Sequence[str]) -> None:
        self.title, self.metrics = title, tuple(metrics)
        self._worst: tuple[float, ...] | None = None
        self.__setstate__({})

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is of one process."""
        return {k: v for k, v in vars(self).items() if k not in ("_lock", "_checked")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._lock = Lock()
        self._checked: WeakKeyDictionary[optuna.Study, bool] = WeakKeyDictionary()

    @property
    @abstractmethod
    def parameters(self) -> Parameters:
        """What trials choose from, by name; for ``study.ask(objective.parameters)``."""

    @abstractmethod
    def told(self, params: Mapping[str, Any], trial: Trial | None = None) -> Told:
        """Cost one choice of parameters.

        Parameters
        ----------
        params : mapping of str to value
            One value for each of `parameters`.
        trial : Trial, optional
            Who hears intermediate values, where there are any.

        Raises
        ------
        optuna.TrialPruned
            If a pruner has seen enough.
        """

    @abstractmethod
    def first_values(self) -> Sequence[float]:
        """Values of something valid, where the first trial of all is not."""

    @property
    def directions(self) -> list[Literal["minimize", "maximize"]]:
        """What studies are created with."""
        return ["minimize" for _ in self.metrics]

    def create_study(self, **given: Any) -> optuna.Study:
        """Create a study of the right directions, its values named; else `optuna.create_study`."""
        study = optuna.create_study(directions=self.directions, **given)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(self.metrics))
        return study

    def __call__(self, trial: BaseTrial) -> float | tuple[float, ...]:
        """Cost a trial: its parameters are asked for, broken constraints written down.

        Raises
        ------
        InputError
            If it is no trial, the study has other directions, its sampler cannot draw the
            parameters, or what was enqueued is no choice of these.
        """
        if not isinstance(trial, BaseTrial):
            raise InputError(
                "expected a trial of Optuna (objective.told tells values of parameters alone), "
                f"got {describe(trial)}",
                key="trial",
            )
        asked = trial if isinstance(trial, Trial) else None
        if asked is not None:
            self._check(asked)
        params = {name: _drawn(trial, name, known) for name, known in self.parameters.items()}
        with self._lock:
            told = self.told(params, asked)
            values = self.finite(told)
            notes = self.noted(params) if asked is not None else {}
        if asked is not None:
            for name, value in notes.items():
                asked.set_user_attr(name, value)
        if asked is not None and told.lacking:
            note_constraints(asked, told.lacking)
        return values[0] if len(values) == 1 else values

    def noted(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What a trial of these parameters keeps as user attributes; nothing by default."""
        del params
        return {}

    def finite(self, told: Told) -> tuple[float, ...]:
        """Values that a study takes: the worst so far in place of those that are not finite.

        Samplers that know constraints rank what breaks one by that alone; to others it must not
        look good.
        """
        if all(map(np.isfinite, told.values)):
            self._worst = tuple(map(max, self._worst or told.values, told.values))
            return told.values
        if self._worst is None:
            values = tuple(self.first_values())
            self._worst = values if all(map(np.isfinite, values)) else (0.0,) * len(values)
        return self._worst

    def params_of(self, trial: FrozenTrial | Trial | Mapping[str, Any]) -> dict[str, Any]:
        """Read the parameters of a trial, or of a plain mapping, and check them.

        Raises
        ------
        InputError
            If one is missing or out of its range, or one is unknown that is named like these: the
            trial is of another problem. Parameters of the user's own may stand beside them.
        """
        if not isinstance(trial, Mapping | FrozenTrial | Trial):
            raise InputError(
                f"expected a trial of {self.title} or its parameters, got {describe(trial)}",
                key="trial",
            )
        given = trial if isinstance(trial, Mapping) else trial.params
        source = "parameters" if isinstance(trial, Mapping) else f"trial {trial.number}"
        missing = [name for name in self.parameters if name not in given]
        if missing:
            raise InputError(
                f"has no parameter {missing[0]!r}; expected a trial of {self.title}", source=source
            )
        self._check_values(self._ours(given), source)
        return {name: given[name] for name in self.parameters}

    def enqueue_params(self, study: optuna.Study, params: Mapping[str, Any]) -> None:
        """Let a study try parameters next, once they are checked.

        Parameters
        ----------
        params : mapping of str to value
            Some or all of `parameters`; the sampler chooses the others.

        Raises
        ------
        InputError
            If a parameter is unknown or out of its range.
        """
        self._check_values(params, "enqueued")
        study.enqueue_trial(dict(params))

    def _check(self, trial: Trial) -> None:
        if trial.study not in self._checked:
            self._check_study(trial.study)
            self._checked[trial.study] = True
        # Optuna itself takes whatever integer was enqueued, with a warning.
        fixed = getattr(trial, "_fixed_params", {})
        self._check_values(self._ours(fixed), f"trial {trial.number}")

    def _ours(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is named like a parameter: of its level or layer, or but for a slip of the pen."""
        known, groups = self.parameters, self._groups
        return {
            name: value
            for name, value in given.items()
            if name in known or name.partition(".")[0] in groups or suggest(str(name), known)
        }

    @cached_property
    def _groups(self) -> frozenset[str]:
        """What the names of parameters begin with."""
        return frozenset(name.partition(".")[0] for name in self.parameters)

    def _check_study(self, study: optuna.Study) -> None:
        names = [direction.name.lower() for direction in study.directions]
        if names != list(self.directions):
            raise InputError(
                f"has the directions {', '.join(names)}, but {self.title} has "
                f"{len(self.metrics)} to minimize ({', '.join(self.metrics)}); expected a study "
                "made with directions=objective.directions",
                source=f"study {study.study_name!r}",
            )
        kinds = self.parameters.values()
        sampler = _numbers_only(study.sampler)
        if sampler and any(isinstance(k, CategoricalDistribution) for k in kinds):
            raise InputError(
                f"{sampler} knows numbers only, and some parameters of {self.title} are "
                "categories; expected another sampler, or an objective made with numbers=True",
                source=f"study {study.study_name!r}",
                key="sampler",
            )

    def _check_values(self, given: Mapping[str, Any], source: str) -> None:
        known = self.parameters
        for name, value in given.items():
            if name not in known:
                raise InputError(
                    f"unknown parameter {name!r}{suggest(str(name), known)}; {self.title} has "
                    f"{', '.join(known) or 'none'}",
                    source=source,
                )
            if not _contains(known[name], value):
                raise InputError(
                    f"expected {_range_text(known[name])}, got {describe(value)}",
                    source=source,
                    key=name,
                )


def note_constraints(trial: Trial, lacking: Mapping[str, float]) -> None:
    """Write broken constraints where samplers look for them, and where the dashboard does."""
    for name, excess in lacking.items():
        trial.set_constraint(name, excess)
    # As samplers add up both kinds of constraints, only the largest excess stands there.
    trial.storage.set_trial_system_attr(
        trial._trial_id, LEGACY_CONSTRAINTS, [max(lacking.values())]
    )


def check_starts(count: object, seed: object) -> tuple[int, int]:
    """Read how many starts are asked for, and their seed.

    Raises
    ------
    InputError
        If one is no integer from 0.
    """
    return check_integer(count, 0, "count"), check_integer(seed, 0, "seed")


def _numbers_only(sampler: optuna.samplers.BaseSampler) -> str:
    """Name a sampler that draws categories at random; nothing if it is another."""
    while isinstance(sampler, optuna.samplers.PartialFixedSampler):
        sampler = sampler._base_sampler
    kinds = [kind.__name__ for kind in type(sampler).__mro__]
    return kinds[0] if any(name in kinds for name in NUMBERS_ONLY) else ""


def _drawn(trial: BaseTrial, name: str, known: optuna.distributions.BaseDistribution) -> Any:
    """Ask for a parameter.

    Raises
    ------
    InputError
        If the sampler cannot draw it, or draws what is no choice, as grids and fixed values may.
    """
    study = getattr(trial, "study", None)
    sampler = "the trial" if study is None else type(study.sampler).__name__
    try:
        value = _suggested(trial, name, known)
    except ValueError as cause:
        problem = f"{sampler} cannot draw it: {str(cause).rstrip('.')}"
    else:
        if _contains(known, value):
            return value
        problem = f"{sampler} drew {describe(value)}"
    raise InputError(
        f"{problem}; expected {_range_text(known)} (optuna.samplers.PartialFixedSampler fixes "
        "what another sampler shall not choose)",
        source=f"trial {trial.number}",
        key=name,
    )


def _suggested(trial: BaseTrial, name: str, known: optuna.distributions.BaseDistribution) -> Any:
    if isinstance(known, CategoricalDistribution):
        return trial.suggest_categorical(name, known.choices)
    if isinstance(known, FloatDistribution):
        return trial.suggest_float(name, known.low, known.high, step=known.step, log=known.log)
    assert isinstance(known, IntDistribution)
    return trial.suggest_int(name, known.low, known.high, step=known.step, log=known.log)


def _contains(known: optuna.distributions.BaseDistribution, value: Any) -> bool:
    try:
        return bool(known._contains(known.to_internal_repr(value)))
    except (TypeError, ValueError):
        return False


def _range_text(known: optuna.distributions.BaseDistribution) -> str:
    if isinstance(known, CategoricalDistribution):
        return f"one of {', '.join(map(repr, known.choices))}"
    assert isinstance(known, IntDistribution | FloatDistribution)
    kind = "an integer" if isinstance(known, IntDistribution) else "a number"
    step = f" in steps of {known.step}" if known.step not in (None, 1) else ""
    return f"{kind} from {known.low} to {known.high}{step}"
