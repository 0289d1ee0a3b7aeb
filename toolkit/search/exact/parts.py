"""Proofs of a problem that falls into parts: one after the other, with one best mapping."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict

from toolkit.search.evaluator import Evaluator
from toolkit.search.exact.strategy import ROUNDING
from toolkit.search.result import Certificate

Prove = Callable[[Evaluator], tuple[float, Certificate]]
"""Proves the optimum of one part, as `toolkit.search.exact.prove` does."""


def prove_parts(
    evaluator: Evaluator,
    parts: Iterable[tuple[float, Callable[[], Evaluator]]],
    prove: Prove,
) -> tuple[float, Counter[str]]:
    """Prove parts of a problem that together are all of it.

    A part is cut as a whole where its bound is no better than the best mapping of all; the better
    the best mapping of another one, the less of it is looked at.

    Parameters
    ----------
    evaluator : Evaluator
        Of the whole problem; its front, if asked for, ends complete.
    parts : iterable of (bound, function)
        By rising bound of the objective; the function makes the evaluator of the part.
    prove : Prove
        Proves one.

    Returns
    -------
    bound : float
        No mapping of a part that is left open has a lower objective value; inf if none is.
    counts : Counter
        Sums of all certificates. A part that was cut as a whole counts as one choice of spatial
        factors; one that there was no time for as one unfinished.
    """
    counts, left = Counter(dict.fromkeys(Certificate.__dataclass_fields__, 0)), math.inf
    for bound, part in parts:
        if evaluator.front is None and bound >= evaluator.best_objective * (1 - ROUNDING):
            counts.update(spatial_choices=1, by_compulsory_traffic=1)
        elif evaluator.exhausted:
            counts.update(spatial_choices=1, unfinished=1)
            left = min(left, bound)
        else:
            proved, certificate = prove(part())
            counts.update(asdict(certificate))
            if certificate.unfinished:
                left = min(left, max(proved, bound))
    return left, counts
