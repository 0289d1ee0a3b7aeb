"""Where a mapping leads by itself: downhill, move by move, to the bottom of its basin.

These are greedy's own descents without its kicks, its other starts and its last look around the
best: what is found depends on the start alone.
"""

from __future__ import annotations

import numpy as np

from toolkit.errors import InputError
from toolkit.search.chosen_walks import Walkers
from toolkit.search.compiled_descent import DESCEND_AND_KICK
from toolkit.search.compiled_moves import STRICTLY
from toolkit.search.evaluator import Evaluator, Start


def basin(evaluator: Evaluator, seed: int) -> None:
    """Descend from every warm start, and from nowhere else.

    Nothing is random; `seed` is there as every strategy has one.

    Raises
    ------
    InputError
        If there is no warm start.
    """
    if not evaluator.starts:
        raise InputError("expected at least one mapping to descend from", key="warm_starts")
    basins = Basins(evaluator)
    for start in evaluator.starts:
        if evaluator.exhausted:
            return
        basins.bottom(start)


class Basins:
    """Descends from mappings of one problem.

    Parameters
    ----------
    evaluator : Evaluator
        Counts what is spent, and hears of the best.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._walkers = Walkers(evaluator, seed=0)

    def bottom(self, start: Start) -> tuple[float, Start]:
        """Descend by single moves until none improves.

        A move changes one factor or the loop order of one memory, and where bypasses may be
        chosen, leaves a tensor out of a memory or takes it in, followed by its own descent.

        Returns
        -------
        value : float
            Objective value reached; inf if the budget ended before it was known.
        mapping : Start
            That has it.
        """
        value, present = self._settled(start)
        while self._evaluator.problem.choices and not self._evaluator.exhausted:
            found = [
                self._settled(other)
                for other in self._walkers.flips(present)
                if not self._evaluator.exhausted
            ]
            best = min(found, key=lambda entry: entry[0], default=(np.inf, present))
            if not best[0] < value * STRICTLY:
                break
            value, present = best
        return value, present

    def _settled(self, start: Start) -> tuple[float, Start]:
        walker = self._walkers.of(start[2])
        search, evaluator = walker.search, walker.evaluator
        search.start(*start[:2])
        before = search.spent
        limit = int(before[0]) + evaluator.remaining_evaluations
        # The first descent of a start is without a kick, whatever strength and slack are.
        search.run(DESCEND_AND_KICK, limit, 1, 1, 0.0)
        search.count_for(evaluator, before)
        search.report_to(evaluator)
        return walker.value, walker.present
