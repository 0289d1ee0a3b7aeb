"""An evaluator as strategies see it that search the mappings of one choice of bypasses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.mapping import IntArray
from toolkit.search.evaluator import ArrayPair, Costing, Evaluator
from toolkit.search.front import Front
from toolkit.search.result import Certificate


class ChosenEvaluator(Evaluator):
    """Evaluates mappings of one choice, at the expense of the search of all choices.

    Budget, counts, front and the best objective value are those of the whole search; the
    problem, the warm starts and the best mapping are those of the choice.

    Parameters
    ----------
    whole : Evaluator
        Of the problem with all its choices.
    choice : int
        See `toolkit.search.choices`.

    Raises
    ------
    DoesNotFitError
        If no mapping can make that choice.
    """

    is_part = True

    def __init__(self, whole: Evaluator, choice: int) -> None:
        self._whole, self._choice = whole, choice
        self.problem = whole.problem.choices.problem_of(choice)
        self.budget = whole.budget
        self.starts = tuple((f, o, 0) for f, o, own in whole.starts if own == choice)
        self._own_objective = np.inf
        self._best: ArrayPair | None = None

    @property
    def seconds(self) -> float:
        """Wall-clock time since the whole search began."""
        return self._whole.seconds

    def evaluate(
        self, factors: IntArray, order: IntArray, choice: IntArray | None = None
    ) -> NDArray[np.float64]:
        """Cost a batch of mappings of this choice, as `Evaluator.evaluate`."""
        values = self._whole.evaluate(factors, order, np.full(len(factors), self._choice))
        if len(values) and values.min() < self._own_objective:
            row = values.argmin()
            self._remember(float(values[row]), factors[row], order[row])
        return values

    def costing(self, choice: int) -> Costing:
        """Rules and cost model of this choice."""
        return self._whole.costing(self._choice)

    def spend(self, evaluations: int, *, invalid: int) -> None:
        """Count evaluations that a compiled search made on its own."""
        self._whole.spend(evaluations, invalid=invalid)

    def report(
        self, objective: float, factors: IntArray, order: IntArray, choice: int = 0
    ) -> None:
        """Remember a mapping that a strategy found valid, if it is the best so far."""
        if objective < self._own_objective:
            self._remember(objective, factors, order)
        self._whole.report(objective, factors, order, self._choice)

    def _remember(self, objective: float, factors: IntArray, order: IntArray) -> None:
        self._own_objective = objective
        self._best = (factors.copy(), order.copy())

    @property
    def evaluations(self) -> int:  # type: ignore[override]
        """Mappings costed by the whole search."""
        return self._whole.evaluations

    @property
    def invalid(self) -> int:  # type: ignore[override]
        """How many of them are not valid."""
        return self._whole.invalid

    @property
    def front(self) -> Front | None:  # type: ignore[override]
        """Best trade-offs of all choices, if the objective asks for them."""
        return self._whole.front

    @property
    def best_objective(self) -> float:  # type: ignore[override]
        """Lowest objective value of all choices."""
        return self._whole.best_objective

    @property
    def certificate(self) -> Certificate | None:  # type: ignore[override]
        """What a proof of all choices covered."""
        return self._whole.certificate
