"""Steps between mappings written as vectors: steepest descent, and kicks that leave an optimum.

Both plug into SciPy: `GreedyStep` as a method of `scipy.optimize.minimize`, `Kick` as a step of
`scipy.optimize.basinhopping`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from toolkit.search.scipy_optimisers.chosen import FLIPPED, FlippingVectors
from toolkit.search.scipy_optimisers.functions import VectorFunction
from toolkit.search.scipy_optimisers.vectors import Neighbours, Vector

STRENGTH = 5
"""A kick makes at least two random moves, and fewer than two plus this, as those of `greedy`."""

_ROUNDING = 1e-12
"""By less, relative to the value, nothing is better."""


@dataclass(frozen=True)
class GreedyStep:
    """A method of `scipy.optimize.minimize`: step 3 of FactorFlow's mapper, steepest descent.

    All neighbours are costed as one batch, which SciPy's function of one vector cannot do. Of
    SciPy's options it knows ``maxiter``; ``callback`` is called with the vector after each step.

    Parameters
    ----------
    landscape : VectorFunction
        What is minimised.
    vectors : Neighbours
        What the vectors mean, and their neighbours.
    """

    landscape: VectorFunction
    vectors: Neighbours

    def __call__(
        self,
        fun: Callable[[Vector], float],
        x0: Vector,
        args: tuple[()] = (),
        *,
        maxiter: int | None = None,
        callback: Callable[[Vector], object] | None = None,
        **unused: Any,
    ) -> OptimizeResult:
        """Descend from `x0` until no move and no loop order helps; SciPy gives the rest unasked.

        Without success if `x0` is no mapping, or `maxiter` steps were not enough.

        Raises
        ------
        BudgetSpentError
            If a limit of the budget of a strategy is reached.
        """
        x, value = np.rint(x0), fun(x0, *args)
        steps, most = 0, np.inf if maxiter is None else maxiter
        if not np.isfinite(value):
            why = "The start is no valid mapping; expected one such as objective.starts(1)[0]."
            return OptimizeResult(x=x, fun=value, nit=0, success=False, status=2, message=why)
        while steps < most:
            for memory in range(len(self.vectors.orders)):
                x, value = self._best(x, value, self.vectors.reorderings(x, memory))
            moved, reached = self._best(x, value, self.vectors.neighbours(x))
            if not reached < value:
                why = "No move and no loop order makes it better."
                return OptimizeResult(
                    x=x, fun=value, nit=steps, success=True, status=0, message=why
                )
            x, value, steps = moved, reached, steps + 1
            if callback is not None:
                callback(x)
        why = f"After {steps} steps there may be better ones."
        return OptimizeResult(x=x, fun=value, nit=steps, success=False, status=1, message=why)

    def _best(self, x: Vector, value: float, others: Vector) -> tuple[Vector, float]:
        """Return the lowest of `others`, if any is lower than `x` by more than rounding."""
        if not len(others):
            return x, value
        values = self.landscape.rows(others)
        best = int(values.argmin())
        least = _ROUNDING * max(1.0, abs(value)) if np.isfinite(value) else 0.0
        if values[best] < value - least:
            return others[best], float(values[best])
        return x, value


@dataclass(frozen=True)
class Kick:
    """A step of `scipy.optimize.basinhopping`: a few random moves and a new loop order.

    Parameters
    ----------
    vectors : Neighbours
        What the vectors mean, and their neighbours.
    rng : numpy.random.Generator
        Source of randomness.
    """

    vectors: Neighbours
    rng: np.random.Generator

    def __call__(self, x: Vector) -> Vector:
        """Return another valid vector."""
        kicked = np.array(np.rint(x))
        if isinstance(self.vectors, FlippingVectors) and self.rng.random() < FLIPPED:
            flips = self.vectors.flips(kicked)
            kicked = flips[self.rng.integers(len(flips))] if len(flips) else kicked
        for _ in range(2 + int(self.rng.integers(STRENGTH))):
            near = self.vectors.neighbours(kicked)
            if len(near):
                kicked = near[self.rng.integers(len(near))]
        memory = int(self.rng.integers(len(self.vectors.orders)))
        choice = self.rng.integers(self.vectors.order_counts[memory])
        kicked[self.vectors.width + memory] = choice
        return kicked
