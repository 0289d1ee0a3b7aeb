"""FactorFlow's greedy step as SciPy's local minimiser, and SciPy's basin hopping around it.

`scipy.optimize.basinhopping` alternates a random step and a local minimisation. Here the
minimisation is step 3 of FactorFlow's mapper (Ronzani and Silvano, ASP-DAC 2025), steepest
descent over moves of one prime factor, with the loop order of each memory improved in turn; the
random step moves a few prime factors and redraws loop orders. So the search mirrors FactorFlow
and leaves the local optima in which it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, basinhopping

from toolkit.mapping.sampling import sample
from toolkit.mapping.tilings import start_point
from toolkit.search.evaluator import Evaluator
from toolkit.search.exponents import ExponentVectors, Vector, exponent_vectors
from toolkit.search.greedy import fill_fanouts
from toolkit.search.landscape import BudgetSpentError, Landscape

TEMPERATURE = 0.01
"""Of the test that accepts worse optima, in units of the logarithm of the objective."""
STRENGTH = 5
"""A kick makes at least two random moves, and fewer than two plus this."""
PATIENCE = 50
"""Hops without improvement after which another start is taken."""
UNLIMITED_STARTS = 4
"""Random starts of a search without a budget."""
HOPS = 1 << 31
"""More than any budget allows."""


def scipy_search(evaluator: Evaluator, seed: int) -> None:
    """Hop from optimum to optimum of FactorFlow's greedy step, from one start after another."""
    vectors = exponent_vectors(evaluator.problem.space, evaluator.warm_starts)
    landscape = Landscape(evaluator, vectors)
    rng = np.random.default_rng(seed)
    try:
        for start in _starts(evaluator, vectors, rng):
            basinhopping(
                landscape.value,
                start,
                niter=HOPS,
                T=TEMPERATURE,
                take_step=Kick(vectors, rng),
                minimizer_kwargs={"method": GreedyStep(landscape, vectors)},
                rng=rng,
                niter_success=PATIENCE,
            )
    except BudgetSpentError:
        return


def _starts(
    evaluator: Evaluator, vectors: ExponentVectors, rng: np.random.Generator
) -> Iterator[Vector]:
    """What the user gave, fanouts filled first, then random mappings as the budget allows."""
    space = evaluator.problem.space
    for factors, order in evaluator.warm_starts:
        yield vectors.encode(factors, order)
    _, first_order = vectors.decode(np.zeros((1, vectors.moves.shape[1])))
    yield vectors.encode(fill_fanouts(space, start_point(space)), first_order[0])
    unlimited = evaluator.budget.unlimited
    drawn = 0
    while not unlimited or drawn < UNLIMITED_STARTS:
        factors, _ = sample(space, 1, rng)
        start = vectors.encode(factors[0], first_order[0])
        start[vectors.exponents :] = rng.integers(vectors.order_counts)
        yield start
        drawn += 1


@dataclass(frozen=True)
class GreedyStep:
    """A method of `scipy.optimize.minimize`: steepest descent over single moves.

    All neighbours are costed as one batch, which SciPy's function of one vector cannot do.

    Parameters
    ----------
    landscape : Landscape
        What is minimised.
    vectors : ExponentVectors
        What the vectors mean, and their neighbours.
    """

    landscape: Landscape
    vectors: ExponentVectors

    def __call__(
        self, fun: Callable[[Vector], float], x0: Vector, args: tuple[()] = (), **unused: Any
    ) -> OptimizeResult:
        """Descend from `x0` until no move and no loop order helps; SciPy gives the rest unasked.

        Raises
        ------
        BudgetSpentError
            If a limit of the budget is reached.
        """
        x, value = np.rint(x0), fun(x0, *args)
        steps = 0
        while True:
            for memory in range(len(self.vectors.orders)):
                x, value = self._best(x, value, self.vectors.reorderings(x, memory))
            moved, reached = self._best(x, value, self.vectors.neighbours(x))
            if not reached < value:
                return OptimizeResult(x=x, fun=value, nit=steps, success=True)
            x, value, steps = moved, reached, steps + 1

    def _best(self, x: Vector, value: float, others: Vector) -> tuple[Vector, float]:
        """Return the lowest of `others`, if any is lower than `x` by more than rounding."""
        if not len(others):
            return x, value
        values = self.landscape.values(others)
        best = int(values.argmin())
        if values[best] < value - 1e-12:
            return others[best], float(values[best])
        return x, value


@dataclass(frozen=True)
class Kick:
    """A step of `scipy.optimize.basinhopping`: a few random moves and a new loop order.

    Parameters
    ----------
    vectors : ExponentVectors
        What the vectors mean, and their neighbours.
    rng : numpy.random.Generator
        Source of randomness.
    """

    vectors: ExponentVectors
    rng: np.random.Generator

    def __call__(self, x: Vector) -> Vector:
        """Return another valid vector."""
        kicked = np.array(np.rint(x))
        for _ in range(2 + int(self.rng.integers(STRENGTH))):
            near = self.vectors.neighbours(kicked)
            if len(near):
                kicked = near[self.rng.integers(len(near))]
        memory = int(self.rng.integers(len(self.vectors.orders)))
        choice = self.rng.integers(self.vectors.order_counts[memory])
        kicked[self.vectors.exponents + memory] = choice
        return kicked
