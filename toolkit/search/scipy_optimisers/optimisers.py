"""SciPy's optimisers over one landscape: basin hopping, dual annealing, differential evolution.

`scipy.optimize.basinhopping` alternates a random step and a local minimisation. Here the
minimisation is step 3 of FactorFlow's mapper (Ronzani and Silvano, ASP-DAC 2025), steepest
descent over moves of one factor, with the loop order of each memory improved in turn; the
random step moves a few factors and redraws loop orders. So the search mirrors FactorFlow
and leaves the local optima in which it ends.

The other two work on the relaxed map space: baselines that know nothing of mappings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import basinhopping, differential_evolution, dual_annealing

from toolkit.mapping.mapping import FloatArray
from toolkit.mapping.sampling import sample
from toolkit.mapping.tilings import start_point
from toolkit.search.evaluator import Evaluator
from toolkit.search.greedy import fill_fanouts
from toolkit.search.objective import log_scale
from toolkit.search.scipy_optimisers.chosen import FlippingBox, FlippingVectors, flipping_vectors
from toolkit.search.scipy_optimisers.objective import Landscape, vectors_of
from toolkit.search.scipy_optimisers.relaxed import Relaxed
from toolkit.search.scipy_optimisers.steps import GreedyStep, Kick
from toolkit.search.scipy_optimisers.vectors import LocalVectors, Neighbours, Vector, local_vectors

TEMPERATURE = 0.01
"""Of the test that accepts worse optima, in units of the logarithm of the objective."""
PATIENCE = 50
"""Hops without improvement after which another start is taken, as `greedy` gives starts up."""
UNLIMITED_STARTS = 4
"""Random starts of a search without a budget, which has to end at some time."""
HOPS = 1 << 31
"""More than any budget allows."""
ITERATIONS = 1000
"""Of one cooling, SciPy's default."""
MEMBERS = 100
"""Points that evolve together, evaluated as one batch."""
GENERATIONS = 1000
"""Of one run; it ends earlier when all points cost the same."""


class BudgetSpentError(Exception):
    """Ends an optimiser that would go on beyond the budget."""


@dataclass(frozen=True)
class BudgetedLandscape(Landscape):
    """Logarithms of the objective over vectors, until a limit of the budget is reached."""

    def rows(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithms of the objective, [batch], for vectors [batch, variables].

        Raises
        ------
        BudgetSpentError
            If a limit of the budget is reached.
        """
        values = self.evaluator.evaluate(*self.decoder.decode(vectors))
        if self.evaluator.exhausted:
            raise BudgetSpentError
        return log_scale(values)


def scipy_search(evaluator: Evaluator, seed: int) -> None:
    """Hop from optimum to optimum of FactorFlow's greedy step, from one start after another."""
    rng = np.random.default_rng(seed)
    if evaluator.problem.choices:
        flipping = flipping_vectors(evaluator)
        _hop(evaluator, flipping, _flipping_starts(evaluator, flipping, rng), rng)
        return
    vectors = local_vectors(evaluator.problem.space, evaluator.warm_starts)
    _hop(evaluator, vectors, _starts(evaluator, vectors, rng), rng)


def _hop(
    evaluator: Evaluator, vectors: Neighbours, starts: Iterator[Vector], rng: np.random.Generator
) -> None:
    landscape = BudgetedLandscape(evaluator, vectors)
    try:
        for start in starts:
            basinhopping(
                landscape,
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
    evaluator: Evaluator, vectors: LocalVectors, rng: np.random.Generator
) -> Iterator[Vector]:
    """What the user gave, fanouts filled first, then random mappings as the budget allows."""
    space = evaluator.problem.space
    for factors, order in evaluator.warm_starts:
        yield vectors.encode(factors, order)
    _, first_order = vectors.decode(np.zeros((1, vectors.width + len(vectors.orders))))
    yield vectors.encode(fill_fanouts(space, start_point(space)), first_order[0])
    unlimited = evaluator.budget.unlimited
    drawn = 0
    while not unlimited or drawn < UNLIMITED_STARTS:
        factors, _ = sample(space, 1, rng)
        start = vectors.encode(factors[0], first_order[0])
        start[vectors.width :] = rng.integers(vectors.order_counts)
        yield start
        drawn += 1


def _flipping_starts(
    evaluator: Evaluator, vectors: FlippingVectors, rng: np.random.Generator
) -> Iterator[Vector]:
    """The same where bypasses are to be chosen."""
    yield from map(vectors.encode, evaluator.starts)
    yield vectors.encode(vectors.filled())
    drawn = 0
    while not evaluator.budget.unlimited or drawn < UNLIMITED_STARTS:
        yield vectors.random(rng)
        drawn += 1


def annealing_search(evaluator: Evaluator, seed: int) -> None:
    """Anneal the relaxed map space, again and again until the budget is spent.

    Without SciPy's local searches: they follow gradients, and the objective is a staircase.
    """
    rng = np.random.default_rng(seed)
    box = vectors_of(evaluator, "box")
    assert isinstance(box, Relaxed | FlippingBox)
    landscape = BudgetedLandscape(evaluator, box)
    bounds = list(zip(box.low, box.high, strict=True))
    unlimited = evaluator.budget.unlimited
    starts = population(evaluator, box, 1 + len(evaluator.starts), rng)
    try:
        while True:
            for start in starts:
                dual_annealing(
                    landscape,
                    bounds,
                    maxiter=ITERATIONS,
                    maxfun=1 << 62,
                    rng=rng,
                    no_local_search=True,
                    x0=start,
                )
            if unlimited:
                return
            starts = population(evaluator, box, 1 + len(evaluator.starts), rng)[-1:]
    except BudgetSpentError:
        return


def evolution_search(evaluator: Evaluator, seed: int) -> None:
    """Evolve points of the relaxed map space, again and again until the budget is spent."""
    rng = np.random.default_rng(seed)
    box = vectors_of(evaluator, "box")
    assert isinstance(box, Relaxed | FlippingBox)
    landscape = BudgetedLandscape(evaluator, box)
    bounds = list(zip(box.low, box.high, strict=True))
    unlimited = evaluator.budget.unlimited
    try:
        while True:
            differential_evolution(
                landscape,
                bounds,
                maxiter=GENERATIONS,
                init=population(evaluator, box, MEMBERS, rng),
                integrality=box.integral,
                vectorized=True,
                updating="deferred",
                polish=False,
                rng=rng,
            )
            if unlimited:
                return
    except BudgetSpentError:
        return


def population(
    evaluator: Evaluator, box: Relaxed | FlippingBox, count: int, rng: np.random.Generator
) -> FloatArray:
    """Points of what the user gave and of random mappings, [count, variables]."""
    if isinstance(box, FlippingBox):
        return box.population(evaluator.starts, count, rng)
    warm = evaluator.warm_starts[:count]
    drawn, orders = sample(evaluator.problem.space, count - len(warm), rng)
    points = [box.encode(factors[None], order[None]) for factors, order in warm]
    return np.concatenate([*points, box.encode(drawn, orders)])
