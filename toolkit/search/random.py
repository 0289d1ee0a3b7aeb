"""Random search: the baseline that every strategy has to beat."""

from __future__ import annotations

import numpy as np

from toolkit.search.chosen_mappings import sample_mappings
from toolkit.search.evaluator import Evaluator
from toolkit.search.result import require_limit

BATCH = 4096
"""Mappings at once: enough that drawing and costing them run at full speed, few enough that a
limit of seconds is kept."""


def random_search(evaluator: Evaluator, seed: int) -> None:
    """Draw valid mappings at random until the budget is spent.

    Raises
    ------
    InputError
        If the budget has no limit.
    """
    require_limit(evaluator.budget, "random search")
    rng = np.random.default_rng(seed)
    while True:
        count = min(BATCH, evaluator.remaining_evaluations)
        evaluator.evaluate(*sample_mappings(evaluator.problem, count, rng))
        if evaluator.exhausted:
            return
