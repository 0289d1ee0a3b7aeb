"""The mapping of a problem as an objective for Optuna; the strategies spend budgets on it."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray, IntArray, Mapping
from toolkit.search.chosen_mappings import checked_start
from toolkit.search.evaluator import Evaluator
from toolkit.search.optuna_samplers.coding import AnyCoding, mapping_start
from toolkit.search.optuna_samplers.encoding import Parameters
from toolkit.search.optuna_samplers.objective import OptunaObjective, Told, check_starts
from toolkit.search.optuna_samplers.repairs import shortfalls
from toolkit.search.result import Budget, SearchResult, TracePoint

_COSTS = ("energy", "latency")
"""What the first columns of the cost model's results are."""

_UNITS = {"energy": "pJ", "latency": "cycles"}


class MappingObjective(OptunaObjective):
    """Costs the mappings that trials choose.

    Parameters
    ----------
    evaluator : Evaluator
        Costs and counts; a budget ends nothing here.
    coding : AnyCoding
        How mappings are written.
    fronts : bool
        Whether the costs of a front are told apart, where the problem asks for one, instead of
        their product.
    logarithms : bool
        Whether natural logarithms are told, for samplers that fit values; those of functions are
        told as they are.
    notes : bool
        Whether trials keep the factors of their mappings as user attributes.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        coding: AnyCoding,
        *,
        fronts: bool = True,
        logarithms: bool = False,
        notes: bool = False,
    ) -> None:
        objective, problem = evaluator.problem.objective, evaluator.problem
        self.evaluator, self.coding = evaluator, coding
        self._costs = [_COSTS.index(cost) for cost in objective.front if fronts]
        self._logarithms = logarithms and objective.function is None
        self._notes = notes
        names = [f"{cost} ({_UNITS[cost]})" for cost in objective.front if fronts] or [
            f"{objective.name} ({objective.unit})" if objective.unit else objective.name
        ]
        super().__init__(
            f"{problem.workload.name} on {problem.arch.name}",
            [f"log {name}" for name in names] if self._logarithms else names,
        )

    @property
    def parameters(self) -> Parameters:
        """Factors, loop orders and what memories hold, such as ``Buffer.order``."""
        return self.coding.parameters

    def told(self, params: MappingOf[str, Any], trial: Trial | None = None) -> Told:
        """Cost one mapping, as `OptunaObjective.told` describes it."""
        del trial
        return self.told_of(self.coding.decode([params]))[0]

    def noted(self, params: MappingOf[str, Any]) -> dict[str, Any]:
        """Factors that bounds leave open, such as ``GlobalBuffer.M``, as the mapping has them."""
        if not self._notes:
            return {}
        arrays = self.coding.decode([params])
        space, (factors, *_) = self.coding.space_of([a[0] for a in arrays]), arrays
        levels = space.arch.levels
        return {
            f"{levels[level].name}.{space.dimensions[d]}": int(factors[0, level, d])
            for level, d in np.argwhere(space.lower < space.upper).tolist()
        }

    def told_of(self, mappings: Sequence[IntArray]) -> list[Told]:
        """Cost a batch of decoded mappings."""
        values = self.evaluator.evaluate(*mappings)
        rows = self._values(values, mappings)
        finite = np.asarray(np.isfinite(rows).all(axis=1))
        return [
            Told(tuple(row), {} if finite[i] else self._lacking(mappings, i))
            for i, row in enumerate(rows.tolist())
        ]

    def first_values(self) -> Sequence[float]:
        """What a random valid mapping costs, which nobody counts."""
        drawn = self.coding.random(1, np.random.default_rng(0))
        factors, order, *choice = self.coding.decode(drawn)
        chosen = choice[0] if choice else np.zeros(1, dtype=np.int64)
        costs, _ = self.evaluator.costs(factors, order, chosen)
        value = np.asarray(self.evaluator.problem.objective.value(*costs[:, :3].T), dtype=float)
        return [float(one) for one in self._values(value.reshape(1), (factors, order, chosen))[0]]

    def _values(self, values: FloatArray, mappings: Sequence[IntArray]) -> FloatArray:
        """What is minimised, [batch, objectives]."""
        costs = values[:, None]
        if self._costs:
            rows = np.flatnonzero(np.isfinite(values))
            factors, order, *choice = (array[rows] for array in mappings)
            chosen = choice[0] if choice else np.zeros(len(rows), dtype=np.int64)
            costs = np.full((len(values), len(self._costs)), np.inf)
            # Once more for the values apart: the evaluator, which has counted them, returns one.
            apart, _ = self.evaluator.costs(factors, order, chosen)
            costs[rows] = apart[:, self._costs]
        return np.asarray(np.log(costs)) if self._logarithms else costs

    def _lacking(self, mappings: Sequence[IntArray], row: int) -> dict[str, float]:
        space = self.coding.space_of([array[row] for array in mappings])
        return shortfalls(space, mappings[0], row) or {"finite objective": 1.0}

    def mapping(self, trial: FrozenTrial | Trial | MappingOf[str, Any]) -> Mapping:
        """Read the mapping that a trial chose.

        Raises
        ------
        InputError
            If the trial is of another problem.
        """
        arrays = self.coding.decode([self.params_of(trial)])
        return self.evaluator.problem.choices.mapping(*mapping_start(arrays))

    def params(self, mapping: Mapping) -> dict[str, Any]:
        """Write a mapping as parameters; loop orders become equivalent ones.

        Raises
        ------
        InputError
            If it is not valid, or the encoding cannot express it.
        """
        start = checked_start(self.evaluator.problem, mapping, "mapping")
        written = self.coding.written(start)
        read = self.coding.decode([written])
        factors, _, choice = mapping_start(read)
        lost = "factors" if choice != start[2] or (factors != start[0]).any() else ""
        if not lost and self._cost(read) != self._cost([np.array([part]) for part in start]):
            lost = "loop orders"
        if lost:
            raise InputError(
                f"this encoding cannot express its {lost}; expected an objective with another "
                f"encoding{' or with known=[mapping]' if lost == 'loop orders' else ''}",
                key="mapping",
            )
        return written

    def _cost(self, mapping: Sequence[IntArray]) -> tuple[float, float]:
        """Energy and latency of a batch of one, which nobody counts."""
        factors, order, *choice = mapping
        chosen = choice[0] if choice else np.zeros(1, dtype=np.int64)
        costs, _ = self.evaluator.costs(factors, order, chosen)
        return float(costs[0, 0]), float(costs[0, 1])

    def enqueue(self, study: optuna.Study, mapping: Mapping) -> None:
        """Let a study try a known mapping next.

        Raises
        ------
        InputError
            If it is not valid, or the encoding cannot express it.
        """
        study.enqueue_trial(self.params(mapping))

    def enqueue_starts(self, study: optuna.Study, count: int, seed: int = 0) -> None:
        """Let a study set out as the built-in strategies do.

        Parameters
        ----------
        count : int
            Mappings: one with large outer tiles, then random valid ones.
        seed : int
            Of these.

        Raises
        ------
        InputError
            If one is no integer from 0.
        """
        wanted, number = check_starts(count, seed)
        for params in self.coding.starts(wanted, self.evaluator.starts, number)[:wanted]:
            study.enqueue_trial(params)

    def result(self, strategy: str, seed: int = 0) -> SearchResult:
        """Wrap up what this objective has costed until now, for `toolkit.study` to compare.

        Raises
        ------
        DoesNotFitError
            If no valid mapping was found.
        """
        return self.evaluator.result(strategy, seed, None)

    def result_of(self, study: optuna.Study, strategy: str, seed: int = 0) -> SearchResult:
        """Wrap up a study, whichever processes ran its trials: they are costed again.

        Evaluations are its complete trials in the order they ended, seconds those from the start
        of the first trial.

        Raises
        ------
        InputError
            If it has trials of another problem.
        DoesNotFitError
            If no valid mapping was found.
        """
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        ended = sorted(
            (trial.datetime_complete, trial.number, trial)
            for trial in done
            if trial.datetime_complete is not None
        )
        again = Evaluator(self.evaluator.problem, Budget())
        first = min((t.datetime_start for *_, t in ended if t.datetime_start), default=None)
        trace: list[TracePoint] = []
        seconds = 0.0
        for when, _, trial in ended:
            again.evaluate(*self.coding.decode([self.params_of(trial)]))
            seconds = (when - first).total_seconds() if first else 0.0
            if np.isfinite(best := again.best_objective) and (
                not trace or best < trace[-1].objective
            ):
                trace.append(TracePoint(again.evaluations, seconds, best))
        found = again.result(strategy, seed, None)
        return replace(found, trace=tuple(trace), seconds=seconds)
