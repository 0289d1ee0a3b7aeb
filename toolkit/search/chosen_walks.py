"""Walkers for searches that choose bypasses, too: compiled within one choice, flips between them.

A flip leaves a tensor out of a memory that held it, or holds it again; factors then move until
they fit.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from toolkit.errors import DoesNotFitError
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.sampling import sample
from toolkit.mapping.tilings import start_point
from toolkit.search.chosen_evaluator import ChosenEvaluator
from toolkit.search.chosen_mappings import fitted
from toolkit.search.evaluator import Evaluator, Start
from toolkit.search.moves import LocalSearch, first_orders, move_space


class Chosen:
    """A walker through the mappings of one choice.

    Parameters
    ----------
    whole : Evaluator
        Of the problem with all its choices.
    choice : int
        Which one.
    seed : int
        Of the walker's random numbers.

    Raises
    ------
    DoesNotFitError
        If no mapping can make that choice.
    """

    def __init__(self, whole: Evaluator, choice: int, seed: int) -> None:
        self.choice = choice
        self.evaluator = ChosenEvaluator(whole, choice)
        problem = self.evaluator.problem
        self.space = problem.space
        self.moves = move_space(problem.space)
        self.search = LocalSearch(problem.plan, self.moves, whole.powers, seed)

    def fitted(self, factors: IntArray) -> IntArray | None:
        """Make a tiling of another choice fit, see `toolkit.search.chosen_mappings.fitted`."""
        return fitted(self.space, self.moves, factors)

    @property
    def value(self) -> float:
        """Objective value of where the walker stands; inf before its first evaluation."""
        return float(self.search.state.origin[0])

    @property
    def present(self) -> Start:
        """The mapping that kicks start from."""
        walker = self.search.walker
        return walker.base_factors.copy(), walker.base_order.copy(), self.choice


@dataclass
class Walkers:
    """One walker for every choice that was visited; see `Chosen`.

    Parameters
    ----------
    whole : Evaluator
        Of the problem with all its choices.
    seed : int
        Of all randomness.
    """

    whole: Evaluator
    seed: int
    _known: dict[int, Chosen] = field(default_factory=dict, init=False, repr=False)

    def of(self, choice: int) -> Chosen:
        """Return the walker of a choice.

        Raises
        ------
        DoesNotFitError
            If no mapping can make that choice.
        """
        if choice not in self._known:
            seed = int(np.random.default_rng([self.seed, choice]).integers(2**62))
            self._known[choice] = Chosen(self.whole, choice, seed)
        return self._known[choice]

    def flips(self, start: Start) -> list[Start]:
        """List mappings that differ from one in a single pair, made to fit."""
        factors, order, choice = start
        found = []
        for other in self.whole.problem.choices.flipped(choice):
            moved = self.of(other).fitted(factors)
            if moved is not None:
                found.append((moved, order, other))
        return found

    def starts(self, count: int) -> list[Start]:
        """List what the user gave, everything outermost, and `count` random mappings.

        These are drawn in the first choice that has room, and make others at random.

        Raises
        ------
        DoesNotFitError
            If no valid mapping is found.
        """
        choices, rng = self.whole.problem.choices, np.random.default_rng(self.seed)
        first = self.of(choices.first)
        found: list[Start] = list(self.whole.starts)
        with suppress(DoesNotFitError):
            found.append((start_point(first.space), first_orders(first.moves), first.choice))
        try:
            factors, orders = sample(first.space, count, rng)
        except DoesNotFitError:
            if not found:
                raise
            return found
        for i, choice in enumerate(choices.draw(count, rng).tolist()):
            moved = self.of(choice).fitted(factors[i])
            if moved is None:
                found.append((factors[i], orders[i], first.choice))
            else:
                found.append((moved, orders[i], choice))
        return found
