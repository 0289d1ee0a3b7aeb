"""Mappings that choose bypasses, as Optuna sees them: a parameter for every optional pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from toolkit.errors import DoesNotFitError
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace
from toolkit.search.chosen_mappings import grouped, sample_mappings
from toolkit.search.evaluator import Evaluator, Start
from toolkit.search.optuna_samplers.driver import Coding, coding_of, range_of, repair_of
from toolkit.search.optuna_samplers.encoding import Parameters, TilingRepair, choice
from toolkit.search.problem import Problem


@dataclass(frozen=True)
class FlippingCoding:
    """How a mapping and its choice are written as the parameters of a trial.

    Parameters named like ``holds/Buffer/input`` are 1 where the memory holds the tensor.

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
    """

    problem: Problem
    plain: Coding
    most: int
    ordered: bool
    _repairs: dict[int, TilingRepair | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def parameters(self) -> Parameters:
        """All that Optuna chooses."""
        pairs = {
            f"holds/{memory}/{tensor}": choice(2, ordered=self.ordered)
            for memory, tensor in self.problem.choices.names
        }
        return {**self.plain.parameters, **pairs}

    def space_of(self, mapping: Sequence[IntArray]) -> MapSpace:
        """All mappings with the choice of one, whose last array that is."""
        return self.problem.choices.problem_of(int(mapping[-1])).space

    def decode(self, trials: Sequence[dict[str, int]]) -> tuple[IntArray, IntArray, IntArray]:
        """Read factors, orders [batch, levels, dimensions] and choices [batch] from trials."""
        factors, order = self.plain.unrepaired(trials)
        chosen = [
            sum(
                1 << bit
                for bit, (memory, tensor) in enumerate(self.problem.choices.names)
                if not trial[f"holds/{memory}/{tensor}"]
            )
            for trial in trials
        ]
        numbers = self.problem.choices.mended(np.array(chosen, dtype=np.int64))
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

    def encode(
        self, factors: IntArray, order: IntArray, numbers: IntArray
    ) -> list[dict[str, int]]:
        """Write mappings [batch, levels, dimensions] with choices [batch] as parameters."""
        return [
            {**trial, **self._bits(one)}
            for trial, one in zip(self.plain.encode(factors, order), numbers.tolist(), strict=True)
        ]

    def _bits(self, one: int) -> dict[str, int]:
        return {
            f"holds/{memory}/{tensor}": 1 - (one >> bit & 1)
            for bit, (memory, tensor) in enumerate(self.problem.choices.names)
        }

    def starts(self, count: int, known: Sequence[Start], seed: int) -> list[dict[str, int]]:
        """Choose where to set out from, as `Coding.starts` does."""
        rng = np.random.default_rng(seed)
        found: list[dict[str, int]] = []
        memories = self.problem.space.memory_levels
        for factors, order, one in known:
            written = self.encode(factors[None], order[None], np.array([one]))
            (read, orders, numbers) = self.decode(written)
            same = (read[0] == factors).all() and numbers[0] == one
            if same and (orders[0][memories] == order[memories]).all():
                found += written
        return [*found, *self.random(max(count - len(found), 1), rng)]

    def random(self, count: int, rng: np.random.Generator) -> list[dict[str, int]]:
        """Draw valid mappings, as trials' parameters."""
        factors, order, numbers = sample_mappings(self.problem, count, rng)
        trials = self.encode(factors, order, numbers)
        for trial in trials:
            for name, options in self.plain.orders.parameters.items():
                trial[name] = int(rng.integers(len(range_of(options))))
        return trials


def flipping_coding(evaluator: Evaluator, *, ordered: bool = False) -> FlippingCoding:
    """Build the coding for a problem whose mappings choose bypasses.

    Raises
    ------
    DoesNotFitError
        If no valid tiling is found.
    """
    problem = evaluator.problem
    most = int(problem.choices.mended(np.array([problem.choices.total - 1]))[0])
    orders = [order for _, order, _ in evaluator.starts]
    space = problem.choices.problem_of(most).space
    return FlippingCoding(problem, coding_of(space, orders, ordered=ordered), most, ordered)
