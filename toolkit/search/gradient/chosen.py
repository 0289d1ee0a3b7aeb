"""Rounds of a gradient descent over several choices of bypasses, and flips of what they found.

A choice is no real number, so a round descends from starts of a few choices side by side: the best
so far, one flip away from it, and others at random. At its end flips of the best mapping are
polished as rounded mappings are, while that helps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from toolkit.mapping.mapping import IntArray
from toolkit.search.chosen_walks import Chosen, Walkers
from toolkit.search.compiled_moves import STRICTLY
from toolkit.search.evaluator import Evaluator

GROUPS = 4
"""Choices of one round: few, so that each has starts enough for its own optimum."""


def round_choices(walkers: Walkers, rng: np.random.Generator) -> list[int]:
    """Pick the choices of one round, different ones."""
    whole = walkers.whole
    choices = whole.problem.choices
    if whole.best is None:
        known = [choice for _, _, choice in whole.starts]
        picked = [*known, choices.first, choices.total - 1]
    else:
        flips = choices.flipped(whole.best_choice)
        picked = [whole.best_choice, *rng.permutation(flips)[:1].tolist()]
    drawn = [*picked, *choices.draw(GROUPS, rng).tolist()]
    return list(dict.fromkeys(choices.mended(np.array(drawn)).tolist()))[:GROUPS]


Polish = Callable[[Chosen, IntArray, IntArray, float, int], None]
"""Takes a walker, a mapping's factors and order, its value, and the most evaluations to spend."""


def flip_on(walkers: Walkers, polish: Polish, limit: int) -> None:
    """Flip the best mapping while that helps: as it is, or else after polishing.

    Parameters
    ----------
    polish : Polish
        Improves a mapping by single moves.
    limit : int
        Most evaluations of all flips.
    """
    whole: Evaluator = walkers.whole
    end = whole.evaluations + limit
    while whole.best is not None and whole.evaluations < end and not whole.exhausted:
        before = whole.best_objective
        flips = walkers.flips((*whole.best, whole.best_choice))[: end - whole.evaluations]
        if not flips:
            return
        factors, order, choice = (np.stack(arrays) for arrays in zip(*flips, strict=True))
        values = whole.evaluate(factors, order, choice)
        if whole.best_objective < before * STRICTLY:
            continue
        for row in np.argsort(values, kind="stable").tolist():
            if whole.evaluations >= end or whole.exhausted:
                return
            walker = walkers.of(int(choice[row]))
            left = end - whole.evaluations
            polish(walker, factors[row], order[row], float(values[row]), left)
            if whole.best_objective < before * STRICTLY:
                break
        else:
            return
