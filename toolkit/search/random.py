"""Random search: the baseline that every strategy has to beat."""

from __future__ import annotations

import numpy as np

from toolkit.errors import InputError
from toolkit.mapping.sampling import sample
from toolkit.search.evaluator import Evaluator

BATCH = 4096


def random_search(evaluator: Evaluator, seed: int) -> None:
    """Draw valid mappings at random until the budget is spent.

    Raises
    ------
    InputError
        If the budget has no limit.
    """
    if evaluator.budget.evaluations is None and evaluator.budget.seconds is None:
        raise InputError("random search needs a limit of evaluations or seconds", key="budget")
    rng = np.random.default_rng(seed)
    while True:
        count = min(BATCH, evaluator.remaining_evaluations)
        evaluator.evaluate(*sample(evaluator.problem.space, count, rng))
        if evaluator.exhausted:
            return
