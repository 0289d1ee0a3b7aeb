"""Mappings that choose bypasses, as Optuna sees them: a parameter for every optional pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from toolkit.errors import DoesNotFitError
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace
from toolkit.search.chosen_mappings import grouped, sample_mappings
from toolkit.search.evaluator import Start
from toolkit.search.optuna_samplers.coding import (
    AnyCoding,
    Coding,
    Written,
    range_of,
    repair_of,
    value_of,
)
from toolkit.search.optuna_samplers.encoding import Parameters, choice
from toolkit.search.optuna_samplers.encodings import coding_of
from toolkit.search.optuna_samplers.repairs import TilingRepair
from toolkit.search.problem import Problem


@dataclass(frozen=True)
class FlippingCoding:
    """How a mapping and its choice are written as the parameters of a trial.

    Parameters named like ``Buffer.holds.input`` are true where the memory holds the tensor.

    Parameters
    ----------
    problem : Problem
        Whose mappings.
    plain : Coding
        Of the choice that is possible and leaves out most; of the others, too, but for repairs.
    most : int
        That choice.
    ordered : bool
        Whether parameters are numbers, for samplers that know numbers only.
    repaired : bool
        Whether every trial is made valid.
    """

    problem: Problem
    plain: Coding
    most: int
    ordered: bool
    repaired: bool = True
    _repairs: dict[int, TilingRepair | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def parameters(self) -> Parameters:
        """All that Optuna chooses."""
        pairs = {name: choice((False, True), ordered=self.ordered) for name in self._pairs}
        return {**self.plain.parameters, **pairs}

    @cached_property
    def _pairs(self) -> tuple[str, ...]:
        """Names of the parameters of optional pairs."""
        return tuple(f"{m}.holds.{tensor}" for m, tensor in self.problem.choices.names)

    def space_of(self, mapping: Sequence[IntArray]) -> MapSpace:
        """All mappings with the choice of one, whose last array that is."""
        return self.problem.choices.problem_of(int(mapping[-1])).space

    def decode(self, trials: Sequence[Mapping[str, Any]]) -> tuple[IntArray, IntArray, IntArray]:
        """Read factors, orders [batch, levels, dimensions] and choices [batch] from trials."""
        factors, order = self.plain.unrepaired(trials)
        chosen = [
            sum(1 << bit for bit, name in enumerate(self._pairs) if not trial[name])
            for trial in trials
        ]
        numbers = self.problem.choices.mended(np.array(chosen, dtype=np.int64))
        if not self.repaired:
            return factors, order, numbers
        for one, rows in grouped(numbers):
            repair = self._repair(one)
            if repair is None:
                numbers[rows], repair = self.most, self._repair(self.most)
            assert repair is not None
            factors[rows] = repair.apply(factors[rows])
        return factors, order, numbers

    def _repair(self, one: int) -> TilingRepair | None:
        """What makes tilings of a choice valid; None if none is found."""
        if one not in self._repairs:
            try:
                repair = repair_of(self.problem.choices.problem_of(one).space)
            except DoesNotFitError:
                self._repairs[one] = None
            else:
                self._repairs[one] = repair
        return self._repairs[one]

    def encode(self, factors: IntArray, order: IntArray, numbers: IntArray) -> list[Written]:
        """Write mappings [batch, levels, dimensions] with choices [batch] as parameters."""
        return [
            {**trial, **self._bits(one)}
            for trial, one in zip(self.plain.encode(factors, order), numbers.tolist(), strict=True)
        ]

    def _bits(self, one: int) -> Written:
        kind = int if self.ordered else bool
        return {name: kind(1 - (one >> bit & 1)) for bit, name in enumerate(self._pairs)}

    def written(self, start: Start) -> Written:
        """Write one mapping."""
        return self.encode(start[0][None], start[1][None], np.array([start[2]]))[0]

    def starts(self, count: int, known: Sequence[Start], seed: int) -> list[Written]:
        """Choose where to set out from, as `Coding.starts` does."""
        rng = np.random.default_rng(seed)
        found: list[Written] = []
        memories = self.problem.space.memory_levels
        for factors, order, one in known:
            written = self.encode(factors[None], order[None], np.array([one]))
            (read, orders, numbers) = self.decode(written)
            same = (read[0] == factors).all() and numbers[0] == one
            if same and (orders[0][memories] == order[memories]).all():
                found += written
        return [*found, *self.random(max(count - len(found), 1), rng)]

    def random(self, count: int, rng: np.random.Generator) -> list[Written]:
        """Draw valid mappings, as trials' parameters."""
        factors, order, numbers = sample_mappings(self.problem, count, rng)
        trials = self.encode(factors, order, numbers)
        for trial in trials:
            for name, options in self.plain.orders.parameters.items():
                trial[name] = value_of(options, int(rng.integers(len(range_of(options)))))
        return trials


def problem_coding(
    problem: Problem,
    known: Sequence[Start] = (),
    *,
    ordered: bool = False,
    encoding: str | None = None,
    repaired: bool = True,
) -> AnyCoding:
    """Build the coding of a problem, with its choices of bypasses if it has any.

    Parameters
    ----------
    problem : Problem
        Whose mappings.
    known : sequence of Start
        Mappings whose loop orders are among the choices.
    ordered, encoding, repaired
        As `toolkit.search.optuna_samplers.encodings.coding_of` takes them.

    Raises
    ------
    DoesNotFitError
        If no valid tiling is found.
    InputError
        If the encoding is unknown or does not write such mappings.
    """
    choices = problem.choices
    orders = [order for _, order, choice in known if choices or not choice]
    if not choices:
        return coding_of(
            problem.space, orders, ordered=ordered, encoding=encoding, repaired=repaired
        )
    most = int(choices.mended(np.array([choices.total - 1]))[0])
    space = choices.problem_of(most).space
    plain = coding_of(space, orders, ordered=ordered, encoding=encoding, repaired=repaired)
    return FlippingCoding(problem, plain, most, ordered, repaired)
