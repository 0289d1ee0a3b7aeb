"""Access counts of one mapping in fractions of integers, for where floats could round.

Where what is moved is counted at each instance, no number on the way exceeds the
multiply-accumulates, so floats are exact as long as those are. Conventions that count windows
with gaps, or one copy of a value several times, can pass 2^53 on the way to a smaller count.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from toolkit.arch.levels import Fanout, Memory
from toolkit.model.cost import BatchCost
from toolkit.model.counts import AccessTable, access_counts
from toolkit.model.loops import Loops

EXACT_LIMIT = 2**53
"""Counts up to here are exact in double precision."""


def exact_accesses(cost: BatchCost) -> AccessTable:
    """Return the accesses of the only mapping in a batch without rounding.

    Returns
    -------
    AccessTable
        Arrays of shape [1] of floats, or of fractions where floats may have rounded.
    """
    return access_counts(_in_fractions(cost.loops)) if _may_round(cost.loops) else cost.accesses


def _may_round(loops: Loops) -> bool:
    """Whether a number on the way to some count may exceed 2^53."""
    conventions, workload = loops.plan.conventions, loops.plan.workload
    if conventions.transfers != "sequential" and not conventions.overestimate_windows:
        return workload.macs > EXACT_LIMIT
    # A tensor's copies may be counted once on the way in, and twice on the way out at spatial
    # levels that cannot share; its fills count among its drains, and its gaps at two levels.
    copies, gaps = 2, 1
    for i, level in enumerate(loops.plan.arch.levels):
        if not isinstance(level, Memory):
            instances = int(loops.iterations[i][0])
            shares = isinstance(level, Fanout) and level.multicast and level.reduction
            copies *= instances if shares else instances**3
    if conventions.overestimate_windows:
        sums = [terms for tensor in loops.plan.tensors for terms in tensor.sums]
        gaps = math.prod(sum(c for _, c in terms) for terms in sums if len(terms) > 1)
    return workload.macs * copies * gaps**2 > EXACT_LIMIT


def _in_fractions(loops: Loops) -> Loops:
    return replace(
        loops,
        factors=[[_fractions(f) for f in row] for row in loops.factors],
        sorted_factors={
            m: [_fractions(f) for f in row] for m, row in loops.sorted_factors.items()
        },
    )


def _fractions(values: Any) -> Any:
    exact = np.empty(len(values), dtype=object)
    exact[:] = [Fraction(int(value)) for value in values]
    return exact
