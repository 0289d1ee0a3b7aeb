"""Whether a problem's costs depend on nothing but what the exact search keeps track of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.mapping.mapping import IntArray
from toolkit.model.plan import SpatialFlags, TensorPlan
from toolkit.search.exact.extents import splits_kept_windows
from toolkit.search.problem import Problem


def scattered_sums(
    tensor: TensorPlan, flags: Sequence[SpatialFlags], factors: IntArray
) -> list[tuple[tuple[int, int], ...]]:
    """Sums whose windows are shared by instances that lie apart.

    These are unrolled over a selective level along a dimension that another level further
    inside, which is not selective, cuts into parts. `factors` are of shape (levels, dimensions).
    """
    return [
        terms
        for terms in tensor.sums
        if len(terms) > 1
        and any(
            factors[x.level, d] > 1 and factors[y.level, d] > 1
            for x in flags
            for y in flags
            for d, _ in terms
            if x.selective and not y.selective and x.level < y.level
        )
    ]


def decomposes(problem: Problem) -> bool:
    """Whether the words of every transfer depend on what the search keeps track of.

    They do not where instances share overlapping windows selectively across a memory in
    between whose loops move these windows, or across instances in between that get windows of
    their own: the distances of what is shared then depend on a further tile. Neither does what
    fits, where fanouts split windows that have to be kept as a whole, nor do outputs in windows
    whose sums begin anew somewhere inside.
    """
    plan, space = problem.plan, problem.space
    if splits_kept_windows(space) or _begins_windows_anew(problem) or _is_unknown(problem):
        return False
    most = np.minimum(space.upper, space.mesh[:, None])
    for tensor in plan.tensors:
        if all(len(terms) == 1 for terms in tensor.sums):
            continue
        for transfer in tensor.transfers:
            flags = (*transfer.reading, *transfer.writing)
            if any(x.selective and x.level < transfer.nest[-1] for x in flags):
                return False
            if plan.conventions.transfers == "sequential" or transfer.child is None:
                continue
            if any(scattered_sums(tensor, x, most) for x in (transfer.reading, transfer.writing)):
                return False
    return True


def _is_unknown(problem: Problem) -> bool:
    """Whether costs have parts that only some of the searches follow.

    Waits are known of transfers per instance; wordlines of outputs are rounded up where all of
    these are as wide as partial sums, none of which begins anew, and no transfer is charged with
    what its visits change further in.
    """
    tables, conventions, plan = problem.tables, problem.conventions, problem.plan
    waits = bool(tables.switches.waits) or tables.shape.stationary >= 0
    narrows = any(row.less_updated or row.less_drained for row in tables.values.values())
    rounds = (narrows or conventions.sums_go_on) and plan.rounds_wordlines(
        m for tensor in plan.tensors if tensor.is_output for m in tensor.holders
    )
    return (waits and conventions.transfers != "per_instance") or rounds


def _begins_windows_anew(problem: Problem) -> bool:
    """Whether first visits of outputs in windows depend on two tiles.

    Or whether they save energy that nothing makes up for.
    """
    plan, space = problem.plan, problem.space
    if not plan.conventions.sums_go_on:
        return False
    output = next(tensor for tensor in plan.tensors if tensor.is_output)
    others = [d for d, relevant in enumerate(output.relevant) if not relevant]
    most = np.minimum(space.upper, space.mesh[:, None])[:, others]
    apart = any(
        (most[x.level] > 1).any() for transfer in output.transfers[:-1] for x in transfer.writing
    )
    wide = any(len(terms) > 1 for terms in output.sums)
    return apart and (wide or plan.conventions.free_drains)
