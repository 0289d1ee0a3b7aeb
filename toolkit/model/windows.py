"""How many values an index takes: the window formulas of the cost model.

`plan` and `nest` are `PlanTables` and a `Nest`, or named tuples with those of their fields that
these formulas use.
"""

from __future__ import annotations

from typing import Any

from toolkit.lifted import apart, compiled_as, formula, minimum, namespace, where
from toolkit.model.nest import Nest
from toolkit.model.plan_tables import ALL_GAPS, GAPS_OF_PAIRS, UNIT_STRIDES
from toolkit.workload.distinct import count_sum, two_strides


@formula
def values_of(plan: Any, nest: Any, t: int, s: int, row: int, gaps: int) -> Any:
    """Distinct values of index `s` of tensor `t` whose dimensions have a row of extents.

    `gaps` says which values count that the index steps over (`toolkit.model.plan_tables`); see
    `toolkit.workload.distinct.distinct_values` for the formulas.
    """
    axis = plan.axes[t, s]
    if axis.terms == 1:
        return nest.extents[row, plan.terms[t, s, 0].dimension]
    if axis.contiguous or gaps >= ALL_GAPS or (gaps == GAPS_OF_PAIRS and axis.terms == 2):
        positions = nest.one
        for k in range(axis.terms):
            term = plan.terms[t, s, k]
            stride = 1 if gaps == UNIT_STRIDES else term.coefficient
            positions = positions + stride * (nest.extents[row, term.dimension] - 1)
        return positions
    if axis.terms > 2:
        for k in range(axis.terms):
            nest.terms[k].stride = plan.terms[t, s, k].coefficient * nest.one
            nest.terms[k].length = nest.extents[row, plan.terms[t, s, k].dimension]
        return distinct_sums(nest, axis.terms)
    first, second = plan.terms[t, s, 0], plan.terms[t, s, 1]
    x, y = nest.extents[row, first.dimension], nest.extents[row, second.dimension]
    return two_strides(x, y, first.coefficient, second.coefficient)


@formula
def window(plan: Any, nest: Any, t: int, s: int, row: int) -> Any:
    """Values of an index that are moved."""
    return values_of(plan, nest, t, s, row, plan.switches.window_gaps)


@formula
def tile_words(plan: Any, nest: Any, t: int, row: int) -> Any:
    """Words that a tile takes where it is held."""
    words = nest.one
    for s in range(plan.tensors[t].axes):
        words = words * values_of(plan, nest, t, s, row, plan.switches.footprint_gaps)
    return words


@formula
def slides(plan: Any, nest: Any, t: int, s: int, inner: Any, first: int, end: int) -> Any:
    """Whether the window of an index slides along the loop of dimension `inner`.

    No spatial level from `first` to before `end` may split the index.
    """
    inside, split = nest.one < 0, nest.one
    for k in range(plan.axes[t, s].terms):
        d = plan.terms[t, s, k].dimension
        inside = inside | (inner == d)
        for i in range(first, end):
            if not plan.levels[i].is_memory:
                split = split * nest.factors[i, d]
    return inside & (split == 1)


@formula
def swept(
    plan: Any, nest: Any, t: int, s: int, row: int, inner: Any, factor: Any, held: Any
) -> Any:
    """Values that enter while a window of `held` slides through `factor` iterations."""
    pairwise = plan.switches.pairwise_windows
    steps = 2 * nest.one if pairwise else factor
    room = plan.shape.levels + 1
    for k in range(plan.axes[t, s].terms):
        d = plan.terms[t, s, k].dimension
        x = nest.extents[row, d]
        nest.extents[room, d] = where(inner == d, x * steps, x)
    longer = window(plan, nest, t, s, room)
    # A step beyond the window's own length leaves nothing of it, and brings no gap along.
    return held + (factor - 1) * minimum(longer - held, held) if pairwise else longer


@apart
@formula
def marked_sums(nest: Nest, terms: int) -> Any:
    """Count as `distinct_sums` does; what is compiled in its place.

    Sorts the terms, and marks every sum unless small strides fill all gaps of larger ones.
    """
    for i in range(1, terms):
        for k in range(i, 0, -1):
            one, other = nest.terms[k - 1], nest.terms[k]
            if other.stride >= one.stride:
                break
            stride, length = one.stride, one.length
            one.stride, one.length = other.stride, other.length
            other.stride, other.length = stride, length
    contiguous, closed = 1.0, True
    for k in range(terms):
        if nest.terms[k].length > 1.0:
            closed = closed and nest.terms[k].stride <= contiguous
            contiguous += nest.terms[k].stride * (nest.terms[k].length - 1.0)
    if closed:
        return contiguous
    for v in range(int(contiguous)):
        nest.marks[v] = 0
    nest.marks[0] = 1
    top, values = 1, 0
    for k in range(terms):
        covered, length = 1, int(nest.terms[k].length)
        while covered < length:  # By doubling, so that a long term takes few passes.
            more = min(covered, length - covered)
            shift = more * int(nest.terms[k].stride)
            for v in range(top - 1, -1, -1):
                if nest.marks[v]:
                    nest.marks[v + shift] = 1
            top += shift
            covered += more
    for v in range(top):
        values += nest.marks[v]
    return float(values)


@compiled_as(marked_sums)
def distinct_sums(nest: Nest, terms: int) -> Any:
    """Count the distinct sums of terms, mapping by mapping.

    Term k takes the values ``nest.terms[k].stride`` times 0 up to before ``nest.terms[k].length``.
    """
    if isinstance(nest.one, float):
        return float(count_sum([(int(x.stride), int(x.length)) for x in nest.terms[:terms]]))
    strides = [_integers(nest.terms[k].stride) for k in range(terms)]
    lengths = [_integers(nest.terms[k].length) for k in range(terms)]
    counts = [
        count_sum(list(zip(s, n, strict=True)))
        for s, n in zip(zip(*strides, strict=True), zip(*lengths, strict=True), strict=True)
    ]
    device = getattr(nest.one, "device", None)
    return nest.one * namespace(nest.one).asarray(counts, device=device)


def _integers(values: Any) -> list[int]:
    return [int(value) for value in values.tolist()]
