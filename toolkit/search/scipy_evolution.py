"""SciPy's differential evolution on the relaxed map space: a baseline in whole batches."""

from __future__ import annotations

import numpy as np
from scipy.optimize import differential_evolution

from toolkit.mapping.lattice import FloatArray
from toolkit.mapping.sampling import sample
from toolkit.search.evaluator import Evaluator
from toolkit.search.landscape import BudgetSpentError, Landscape
from toolkit.search.relaxed import Relaxed, relax

MEMBERS = 100
"""Points that evolve together."""
GENERATIONS = 1000
"""Of one run; it ends earlier when all points cost the same."""


def evolution_search(evaluator: Evaluator, seed: int) -> None:
    """Evolve points of the relaxed map space, again and again until the budget is spent."""
    rng = np.random.default_rng(seed)
    box = relax(evaluator.problem.space)
    landscape = Landscape(evaluator, box)
    bounds = list(zip(box.low, box.high, strict=True))
    unlimited = evaluator.budget.unlimited
    try:
        while True:
            differential_evolution(
                landscape.columns,
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
    evaluator: Evaluator, box: Relaxed, count: int, rng: np.random.Generator
) -> FloatArray:
    """Points of what the user gave and of random mappings, [count, variables]."""
    warm = evaluator.warm_starts[:count]
    drawn, orders = sample(evaluator.problem.space, count - len(warm), rng)
    points = [box.encode(factors[None], order[None]) for factors, order in warm]
    return np.concatenate([*points, box.encode(drawn, orders)])
