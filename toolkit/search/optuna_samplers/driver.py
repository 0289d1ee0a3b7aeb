"""Lets an Optuna sampler spend an evaluator's budget: ask, decode, evaluate, tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from toolkit.mapping.mapping import IntArray
from toolkit.quiet import quiet_optuna
from toolkit.search.optuna_samplers.coding import Written
from toolkit.search.optuna_samplers.mapping_objective import MappingObjective

MakeSampler = Callable[[int], optuna.samplers.BaseSampler]
"""Makes a fresh sampler from a seed of 32 bits."""

ATTEMPTS = 5
"""Trials asked for, at most, to find a mapping that had not come up before; then one is drawn.
Different trials often are one mapping, and asking takes longer than an evaluation."""


def drive(
    objective: MappingObjective,
    make_sampler: MakeSampler,
    seed: int,
    starts: Sequence[Written] = (),
    *,
    batch: int = 1,
    memory: tuple[int, int] | None = None,
) -> None:
    """Spend the budget on trials of a sampler.

    Parameters
    ----------
    objective : MappingObjective
        Whose evaluator has the budget.
    make_sampler : MakeSampler
        Called for every study.
    seed : int
        Seed of all samplers.
    starts : sequence of parameters
        What the first trials are.
    batch : int
        Trials asked for before any of them is told.
    memory : (int, int), optional
        With the first many trials a study ends, and the next one sets out from the second many
        best of them, for samplers whose every trial takes as long as there are trials.
    """
    evaluator = objective.evaluator
    if not objective.parameters:
        evaluator.evaluate(*objective.coding.decode([{}]))
        return
    seeds = np.random.default_rng(seed)
    study = _new_study(objective, make_sampler, seeds)
    teller = _Teller(objective, seed)
    for start in starts[: evaluator.remaining_evaluations]:
        study.enqueue_trial(start)
    told = 0
    while not evaluator.exhausted:
        if memory is not None and told >= memory[0]:
            best = _best(study, memory[1])
            study = _new_study(objective, make_sampler, seeds)
            study.add_trials(best)
            told = len(best)
        # Some samplers learn what there is to choose from the first trials told.
        size = batch if told else min(batch, max(len(starts), 1))
        told += teller.advance(study, min(size, evaluator.remaining_evaluations))


def _new_study(
    objective: MappingObjective, make_sampler: MakeSampler, seeds: np.random.Generator
) -> optuna.Study:
    with quiet_optuna():
        return optuna.create_study(
            storage=optuna.storages.InMemoryStorage(),
            sampler=make_sampler(int(seeds.integers(2**32))),
            directions=objective.directions,
        )


def _best(study: optuna.Study, count: int) -> list[FrozenTrial]:
    """The front of a study, then what has the lowest sum of values."""
    front = {trial.number for trial in study.best_trials}
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    def rank(trial: FrozenTrial) -> tuple[float, bool, float]:
        excess = sum(max(lack, 0.0) for lack in trial.constraints.values())
        return excess, trial.number not in front, sum(trial.values)

    return sorted(done, key=rank)[:count]


class _Teller:
    """Evaluates trials and tells their values, or what they lack, to a study."""

    def __init__(self, objective: MappingObjective, seed: int) -> None:
        self._objective = objective
        self._coding, self._evaluator = objective.coding, objective.evaluator
        self._seen: set[bytes] = set()
        self._rng = np.random.default_rng([seed, 1])

    def advance(self, study: optuna.Study, count: int) -> int:
        """Run `count` trials, fewer if time is up; returns how many."""
        trials: list[Trial] = []
        mappings: list[tuple[IntArray, ...]] = []
        for attempt in range(ATTEMPTS):
            missing = count - len(trials)
            if missing and attempt == ATTEMPTS - 1:
                # The sampler has no new ideas of its own.
                for start in self._coding.random(missing, self._rng):
                    study.enqueue_trial(start)
            asked: list[Trial] = []
            while len(asked) < missing and not self._evaluator.exhausted:
                asked.append(study.ask(self._objective.parameters))
            if not asked:
                break
            arrays = self._coding.decode([trial.params for trial in asked])
            for trial, *mapping in zip(asked, *arrays, strict=True):
                key = b"".join(array.tobytes() for array in mapping)
                if key in self._seen and attempt < ATTEMPTS - 1:
                    # No result of a search: samplers pass over failed trials.
                    study.tell(trial, state=TrialState.FAIL)
                    continue
                self._seen.add(key)
                trials.append(trial)
                mappings.append(tuple(mapping))
        if trials:
            self._tell(study, trials, [np.stack(parts) for parts in zip(*mappings, strict=True)])
        return len(trials)

    def _tell(
        self, study: optuna.Study, trials: Sequence[Trial], mappings: Sequence[IntArray]
    ) -> None:
        for trial, told in zip(trials, self._objective.told_of(mappings), strict=False):
            for name, excess in told.lacking.items():
                trial.set_constraint(name, excess)
            study.tell(trial, self._objective.finite(told))
