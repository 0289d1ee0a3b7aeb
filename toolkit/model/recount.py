"""Access counts of one mapping in fractions of integers, for where floats could round.

Where what is moved is counted at each instance, no number on the way exceeds the
multiply-accumulates, so floats are exact as long as those are. Conventions that count windows
with gaps, or one copy of a value several times, can pass 2^53 on the way to a smaller count.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from toolkit.arch.levels import Fanout, Memory
from toolkit.model.cost import AccessTable, BatchCost, access_counts, converted

EXACT_LIMIT = 2**53
"""Counts up to here are exact in double precision."""


def exact_accesses(cost: BatchCost) -> AccessTable:
    """Return the accesses of the only mapping in a batch without rounding.

    Returns
    -------
    AccessTable
        Arrays of shape [1] of floats, or of fractions where floats may have rounded.
    """
    if not _may_round(cost):
        return cost.accesses
    return access_counts(cost.plan, converted(cost.plan, cost.nest, _fractions))


def _may_round(cost: BatchCost) -> bool:
    """Whether a number on the way to some count may exceed 2^53."""
    conventions, workload = cost.plan.conventions, cost.plan.workload
    if conventions.transfers != "sequential" and not conventions.overestimate_windows:
        return workload.macs > EXACT_LIMIT
    # A tensor's copies may be counted once on the way in, and twice on the way out at spatial
    # levels that cannot share; its fills count among its drains, and its gaps at two levels.
    copies, gaps = 2, 1
    for i, level in enumerate(cost.plan.arch.levels):
        if not isinstance(level, Memory):
            instances = int(cost.nest.levels[i].iterations[0])
            shares = isinstance(level, Fanout) and level.multicast and level.reduction
            copies *= instances if shares else instances**3
    if conventions.overestimate_windows:
        sums = [terms for tensor in cost.plan.tensors for terms in tensor.sums]
        gaps = math.prod(sum(c for _, c in terms) for terms in sums if len(terms) > 1)
    return workload.macs * copies * gaps**2 > EXACT_LIMIT


def _fractions(values: Any) -> Any:
    exact = np.empty(len(values), dtype=object)
    exact[:] = [Fraction(int(value)) for value in values]
    return exact
