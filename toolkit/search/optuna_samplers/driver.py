"""Lets an Optuna sampler spend an evaluator's budget: ask, decode, evaluate, tell."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.sampling import random_tilings
from toolkit.mapping.space import MapSpace
from toolkit.search.evaluator import ArrayPair, Evaluator
from toolkit.search.optuna_samplers.encoding import (
    Genes,
    OrderClasses,
    Parameters,
    PrimeLevels,
    Repair,
    TilingRepair,
    shortfalls,
)
from toolkit.search.optuna_samplers.ragged import FactorChoices, RaggedRepair

MakeSampler = Callable[[int], optuna.samplers.BaseSampler]
"""Makes a fresh sampler from a seed of 32 bits."""

ATTEMPTS = 5
"""Trials asked for, at most, to find a mapping that had not come up before; then one is drawn.
Different trials often are one mapping, and asking takes longer than an evaluation."""

_COSTS = ("energy", "latency")
"""What the first columns of the cost model's results are."""


@dataclass(frozen=True)
class Coding:
    """How a mapping is written as the parameters of a trial.

    Parameters
    ----------
    space : MapSpace
        Whose mappings.
    tiling, orders : Genes
        The two halves.
    repair : TilingRepair or None
        Makes every tiling valid; without it trials may fall short.
    """

    space: MapSpace
    tiling: Genes
    orders: Genes
    repair: TilingRepair | None

    @cached_property
    def parameters(self) -> Parameters:
        """All that Optuna chooses; empty if there is a single mapping."""
        return {**self.tiling.parameters, **self.orders.parameters}

    def space_of(self, mapping: Sequence[IntArray]) -> MapSpace:
        """All mappings, whichever one is asked about."""
        del mapping
        return self.space

    def decode(self, trials: Sequence[dict[str, int]]) -> ArrayPair:
        """Read factors and orders [batch, levels, dimensions] from trials' parameters."""
        factors, order = self.unrepaired(trials)
        return factors if self.repair is None else self.repair.apply(factors), order

    def unrepaired(self, trials: Sequence[dict[str, int]]) -> ArrayPair:
        """Read them as they are written, valid or not."""
        genes = np.array([[row[name] for name in self.parameters] for row in trials], np.int64)
        genes = genes.reshape(len(trials), len(self.parameters))
        width = len(self.tiling.parameters)
        return self.tiling.decode(genes[:, :width]), self.orders.decode(genes[:, width:])

    def encode(self, factors: IntArray, order: IntArray) -> list[dict[str, int]]:
        """Write mappings [batch, levels, dimensions] as trials' parameters."""
        genes = np.concatenate([self.tiling.encode(factors), self.orders.encode(order)], axis=1)
        return [dict(zip(self.parameters, row, strict=True)) for row in genes.tolist()]

    def starts(self, count: int, known: Sequence[ArrayPair], seed: int) -> list[dict[str, int]]:
        """Choose where to set out from.

        Parameters
        ----------
        count : int
            How many; more if more are known.
        known : sequence of ArrayPair
            Mappings to begin with, if the coding can express them.
        seed : int
            Of the random mappings that come after these and one with large outer tiles.
        """
        rng = np.random.default_rng(seed)
        found: list[dict[str, int]] = []
        for factors, order in known:
            written = self.encode(factors[None], order[None])
            read = self.decode(written)
            memories = self.space.memory_levels
            if (read[0] == factors).all() and (read[1][:, memories] == order[memories]).all():
                found += written
        outermost = len(found)
        found += self.random(max(count - len(found), 1), rng)
        if self.repair is not None:
            first = self.tiling.encode(self.repair.anchor[None])[0].tolist()
            first += [0] * len(self.orders.parameters)
            found[outermost] = dict(zip(self.parameters, first, strict=True))
        return found

    def random(self, count: int, rng: np.random.Generator) -> list[dict[str, int]]:
        """Draw valid mappings, as trials' parameters."""
        genes = self.tiling.encode(random_tilings(self.space, count, rng))
        choices = self.orders.parameters.values()
        picks = [rng.integers(len(range_of(choice)), size=(count, 1)) for choice in choices]
        rows = np.concatenate([genes, *picks], axis=1)
        return [dict(zip(self.parameters, row, strict=True)) for row in rows.tolist()]


class AnyCoding(Protocol):
    """What the driver asks of a coding; see `Coding`."""

    @property
    def parameters(self) -> Parameters:
        """All that Optuna chooses; empty if there is a single mapping."""
        ...

    def decode(self, trials: Sequence[dict[str, int]], /) -> tuple[IntArray, ...]:
        """Read factors, orders and, if any, choices of bypasses from trials' parameters."""
        ...

    def random(self, count: int, rng: np.random.Generator, /) -> list[dict[str, int]]:
        """Draw valid mappings, as trials' parameters."""
        ...

    def space_of(self, mapping: Sequence[IntArray], /) -> MapSpace:
        """All mappings with the choice of one."""
        ...


def range_of(choice: optuna.distributions.BaseDistribution) -> range:
    """Integers that a parameter offers."""
    if isinstance(choice, optuna.distributions.CategoricalDistribution):
        return range(len(choice.choices))
    assert isinstance(choice, optuna.distributions.IntDistribution)
    return range(choice.low, choice.high + 1)


def make_coding(evaluator: Evaluator, *, ordered: bool = False) -> Coding:
    """Build the coding that the strategies use, for samplers of numbers if `ordered`.

    Raises
    ------
    DoesNotFitError
        If no valid tiling is found.
    """
    known = [order for _, order in evaluator.warm_starts]
    return coding_of(evaluator.problem.space, known, ordered=ordered)


def coding_of(space: MapSpace, known: Sequence[IntArray], *, ordered: bool) -> Coding:
    """Build that of a map space; `known` loop orders are among the choices.

    Raises
    ------
    DoesNotFitError
        If no valid tiling is found.
    """
    orders = OrderClasses(space, known, ordered=ordered)
    if space.ragged.any():
        tiling: Genes = FactorChoices(space, ordered=ordered)
    else:
        tiling = PrimeLevels(space, ordered=ordered)
    return Coding(space, tiling, orders, repair_of(space))


def repair_of(space: MapSpace) -> TilingRepair:
    """Build what makes tilings of a map space valid.

    Raises
    ------
    DoesNotFitError
        If no valid tiling is found.
    """
    return RaggedRepair(space) if space.ragged.any() else Repair(space)


def drive(
    evaluator: Evaluator,
    make_sampler: MakeSampler,
    seed: int,
    coding: AnyCoding,
    starts: Sequence[dict[str, int]] = (),
    *,
    batch: int = 1,
    memory: tuple[int, int] | None = None,
    fronts: bool = False,
) -> None:
    """Spend the budget on trials of a sampler.

    Parameters
    ----------
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
    fronts : bool
        Whether the costs of a front are told apart, instead of their product.
    """
    if not coding.parameters:
        evaluator.evaluate(*coding.decode([{}]))
        return
    seeds = np.random.default_rng(seed)
    costs = evaluator.problem.objective.front if fronts else ()
    study = _new_study(make_sampler, seeds, len(costs))
    teller = _Teller(evaluator, coding, costs, seed)
    for start in starts[: evaluator.remaining_evaluations]:
        study.enqueue_trial(start)
    told = 0
    while not evaluator.exhausted:
        if memory is not None and told >= memory[0]:
            best = _best(study, memory[1])
            study = _new_study(make_sampler, seeds, len(costs))
            study.add_trials(best)
            told = len(best)
        # Some samplers learn what there is to choose from the first trials told.
        size = batch if told else min(batch, max(len(starts), 1))
        told += teller.advance(study, min(size, evaluator.remaining_evaluations))


def _new_study(make_sampler: MakeSampler, seeds: np.random.Generator, costs: int) -> optuna.Study:
    with _quiet():
        return optuna.create_study(
            storage=optuna.storages.InMemoryStorage(),
            sampler=make_sampler(int(seeds.integers(2**32))),
            directions=["minimize"] * max(costs, 1),
        )


def _best(study: optuna.Study, count: int) -> list[FrozenTrial]:
    """The front of a study, then what has the lowest sum of values."""
    front = {trial.number for trial in study.best_trials}
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    def rank(trial: FrozenTrial) -> tuple[float, bool, float]:
        excess = sum(max(lack, 0.0) for lack in trial.constraints.values())
        return excess, trial.number not in front, sum(trial.values)

    return sorted(done, key=rank)[:count]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from announcing studies and experimental features."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


class _Teller:
    """Evaluates trials and tells their values, or what they lack, to a study."""

    def __init__(
        self, evaluator: Evaluator, coding: AnyCoding, costs: Sequence[str], seed: int
    ) -> None:
        self._evaluator = evaluator
        self._coding = coding
        self._costs = [_COSTS.index(cost) for cost in costs]
        self._worst: list[float] = [0.0] * max(len(costs), 1)
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
                asked.append(study.ask(self._coding.parameters))
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
        values = self._evaluator.evaluate(*mappings)
        told = self._told(values, mappings)
        finite = [bool(np.isfinite(row).all()) for row in told]
        if any(finite):
            self._worst = np.maximum(self._worst, told[finite].max(axis=0)).tolist()
        for i, trial in enumerate(trials):
            if finite[i]:
                study.tell(trial, told[i].tolist())
                continue
            space = self._coding.space_of([array[i] for array in mappings])
            lacking = shortfalls(space, mappings[0], i) or {"finite objective": 1.0}
            for name, excess in lacking.items():
                trial.set_constraint(name, excess)
            # Samplers rank what breaks a constraint by that alone; any finite value will do.
            study.tell(trial, self._worst)

    def _told(self, values: FloatArray, mappings: Sequence[IntArray]) -> FloatArray:
        """What a study minimises, [batch, objectives]: logarithms, or a function's own values."""
        objective = self._evaluator.problem.objective
        if objective.function is not None:
            return values[:, None]
        if not self._costs:
            return np.asarray(np.log(values[:, None]))
        costs = np.full((len(values), 4), np.inf)
        rows = np.flatnonzero(np.isfinite(values))
        factors, order, *choice = (array[rows] for array in mappings)
        chosen = choice[0] if choice else np.zeros(len(rows), dtype=np.int64)
        # Once more for the values apart: the evaluator, which has counted them, returns one.
        costs[rows], _ = self._evaluator.costs(factors, order, chosen)
        return np.asarray(np.log(costs[:, self._costs]))
