"""SciPy's dual annealing on the relaxed map space: a baseline that knows nothing of mappings."""

from __future__ import annotations

import numpy as np
from scipy.optimize import dual_annealing

from toolkit.search.evaluator import Evaluator
from toolkit.search.landscape import BudgetSpentError, Landscape
from toolkit.search.relaxed import relax
from toolkit.search.scipy_evolution import population

ITERATIONS = 1000
"""Of one cooling, SciPy's default."""


def annealing_search(evaluator: Evaluator, seed: int) -> None:
    """Anneal the relaxed map space, again and again until the budget is spent.

    Without SciPy's local searches: they follow gradients, and the objective is a staircase.
    """
    rng = np.random.default_rng(seed)
    box = relax(evaluator.problem.space)
    landscape = Landscape(evaluator, box)
    bounds = list(zip(box.low, box.high, strict=True))
    unlimited = evaluator.budget.unlimited
    starts = population(evaluator, box, 1 + len(evaluator.warm_starts), rng)
    try:
        while True:
            for start in starts:
                dual_annealing(
                    landscape.value,
                    bounds,
                    maxiter=ITERATIONS,
                    maxfun=1 << 62,
                    rng=rng,
                    no_local_search=True,
                    x0=start,
                )
            if unlimited:
                return
            starts = population(evaluator, box, 1 + len(evaluator.warm_starts), rng)[-1:]
    except BudgetSpentError:
        return
