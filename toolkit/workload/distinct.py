"""How many distinct values an affine sum of dimensions takes: the size of a window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from toolkit.errors import PrecisionError
from toolkit.lifted import (
    Table,
    apart,
    compiled_as,
    formula,
    in_lane,
    lanes,
    namespace,
    where,
    with_lane,
)

SPAN_LIMIT = 2**28
"""Largest span of a sum of three or more strided terms that is counted by enumeration: one bit per
value, 32 MiB."""

STRIDE_LIMIT = 2**62
"""Strides of arrays must stay below it, after division by what they have in common."""


NO_GAPS, GAPS_OF_PAIRS, ALL_GAPS, UNIT_STRIDES = range(4)
"""Which gaps between the values of an index count as values: none, those of two strided terms
(as Timeloop counts, and FactorFlow on request), those of any number of terms; or strides count
as 1."""


class AxisRow(NamedTuple):
    """One index of a tensor: how many terms it sums, and whether they leave no gaps."""

    terms: int
    contiguous: int


class TermRow(NamedTuple):
    """One dimension of an index; coefficients are divided by what they have in common."""

    dimension: int
    coefficient: int


@dataclass(slots=True)
class Progression:
    """Multiples of `stride`, from 0 up to before ``length`` of them."""

    stride: Any = None
    length: Any = None


class _OneIndex(NamedTuple):
    """The only index of a plan of one tensor."""

    axes: dict[tuple[int, int], AxisRow]
    terms: dict[tuple[int, int, int], TermRow]


class _Extents(NamedTuple):
    """The only row of extents of a nest."""

    one: Any
    extents: dict[tuple[int, int], Any]
    terms: list[Progression]


def reduced(coefficients: Sequence[int]) -> list[int]:
    """Divide coefficients by what they have in common: that leaves all counts as they are.

    Raises
    ------
    PrecisionError
        If one reaches `STRIDE_LIMIT`.
    """
    divisor = math.gcd(*coefficients)
    strides = [c // divisor for c in coefficients]
    if max(strides, default=0) >= STRIDE_LIMIT:
        raise PrecisionError("a stride is 2^62 or more, too large for exact counts")
    return strides


def distinct_values(
    extents: Sequence[Any], coefficients: Sequence[int], gaps: int = NO_GAPS
) -> Any:
    """Count the distinct values of ``sum(c_i * x_i)`` for ``0 <= x_i < X_i``, elementwise.

    Parameters
    ----------
    extents : sequence of arrays
        X_i of every term, arrays of equal shape (NumPy or torch) or numbers, integer-valued, at
        least 1.
    coefficients : sequence of int
        c_i of every term, at least 1.
    gaps : int
        Which values count that are stepped over: `NO_GAPS`, `GAPS_OF_PAIRS`, `ALL_GAPS` or
        `UNIT_STRIDES`.

    Returns
    -------
    array
        Counts, of the shape of one extent.

    Raises
    ------
    PrecisionError
        If three or more strided terms span more than `SPAN_LIMIT` values, or a stride reaches
        `STRIDE_LIMIT`.
    """
    first = extents[0]
    if len(extents) == 1:
        return first
    one = 1 if isinstance(first, int) else first * 0 + 1
    strides = enumerate(reduced(coefficients))
    index = _OneIndex(
        {(0, 0): AxisRow(len(extents), len(set(coefficients)) == 1)},
        {(0, 0, k): TermRow(k, stride) for k, stride in strides},
    )
    rows = {(0, k): x for k, x in enumerate(extents)}
    return values_of(index, _Extents(one, rows, [Progression() for _ in extents]), 0, 0, 0, gaps)


@formula
def values_of(plan: Any, nest: Any, t: int, s: int, row: int, gaps: int) -> Any:
    """Distinct values of index `s` of tensor `t` whose dimensions have a row of extents.

    `plan` has ``axes[t, s]`` and ``terms[t, s, k]`` (`AxisRow`, `TermRow`), `nest` has
    ``extents[row, dimension]``, ``one``, and ``terms[k]`` (`Progression`) as room; `gaps` says
    which gaps between the values count as values. One term takes X values; unit strides take
    ``sum(X_i - 1) + 1``; two terms `two_strides`. Nothing on the way exceeds the result.
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
def two_strides(x: Any, y: Any, a: int, b: int) -> Any:
    """Count the distinct values of ``a * i + b * j`` for i < x and j < y, a and b coprime.

    Two pairs collide only if x >= b and y >= a (``a*b`` steps of one are ``b*a`` of the other);
    then the values fill their span except for ``(a-1)*(b-1)/2`` gaps at either end, the
    Frobenius gaps. Written so that nothing on the way exceeds the result.
    """
    return where((x >= b) & (y >= a), a * (x - b) + b * y, x * y)


@apart
@formula
def marked_sums(nest: Any, terms: int) -> Any:
    """Count as `distinct_sums` does; what is compiled in its place."""
    counts = 0 * nest.one
    for number in range(lanes(nest.one)):
        count = count_marks(in_lane(nest.terms, number), nest.marks, terms)
        counts = with_lane(counts, number, count)
    return counts


@formula
def count_marks(progressions: Table, marks: Table, terms: int) -> float:
    """Count the distinct sums of terms of one mapping.

    Sorts the terms, and marks every sum unless small strides fill all gaps of larger ones.
    """
    for i in range(1, terms):
        for k in range(i, 0, -1):
            one, other = progressions[k - 1], progressions[k]
            if other.stride >= one.stride:
                break
            stride, length = one.stride, one.length
            one.stride, one.length = other.stride, other.length
            other.stride, other.length = stride, length
    contiguous, closed = 1.0, True
    for k in range(terms):
        if progressions[k].length > 1.0:
            closed = closed and progressions[k].stride <= contiguous
            contiguous += progressions[k].stride * (progressions[k].length - 1.0)
    # Tiles that reach beyond the sizes span more than there is room for, and count for nothing.
    if closed or contiguous > marks.shape[0]:
        return contiguous
    for v in range(int(contiguous)):
        marks[v] = 0
    marks[0] = 1
    top, values = 1, 0
    for k in range(terms):
        covered, length = 1, int(progressions[k].length)
        while covered < length:  # By doubling, so that a long term takes few passes.
            more = min(covered, length - covered)
            shift = more * int(progressions[k].stride)
            for v in range(top - 1, -1, -1):
                if marks[v]:
                    marks[v + shift] = 1
            top += shift
            covered += more
    for v in range(top):
        values += marks[v]
    return float(values)


@compiled_as(marked_sums)
def distinct_sums(nest: Any, terms: int) -> Any:
    """Count the distinct sums of terms, mapping by mapping.

    Term k takes the values ``nest.terms[k].stride`` times 0 up to before ``nest.terms[k].length``.
    """
    if isinstance(nest.one, int | float):
        return nest.one * count_sum([(int(x.stride), int(x.length)) for x in nest.terms[:terms]])
    strides = [_integers(nest.terms[k].stride) for k in range(terms)]
    lengths = [_integers(nest.terms[k].length) for k in range(terms)]
    rows = zip(zip(*strides, strict=True), zip(*lengths, strict=True), strict=True)
    counts = [_count(*row) for row in rows]
    device = getattr(nest.one, "device", None)
    return nest.one * namespace(nest.one).asarray(counts, device=device)


def _integers(values: Any) -> list[int]:
    return [int(value) for value in values.tolist()]


def count_window(extents: Sequence[int], coefficients: Sequence[int]) -> int:
    """Count like `distinct_values`, one sum of any magnitude in integers.

    Raises
    ------
    PrecisionError
        As `count_sum` says.

    Examples
    --------
    >>> count_window((3, 2**60), (1, 3)) == 3 * 2**60
    True
    """
    return count_sum(tuple(zip(coefficients, extents, strict=True)))


@lru_cache(maxsize=65536)
def _count(strides: tuple[int, ...], lengths: tuple[int, ...]) -> int:
    return count_sum(tuple(zip(strides, lengths, strict=True)))


def count_sum(terms: Sequence[tuple[int, int]]) -> int:
    """Count the distinct values of a sum of ``(coefficient, extent)`` terms exactly.

    Raises
    ------
    PrecisionError
        If the span of the values exceeds `SPAN_LIMIT` and no closed form applies.
    """
    running = [(c, x) for c, x in terms if x > 1]
    divisor = math.gcd(*(c for c, _ in running))
    running = sorted((c // divisor, x) for c, x in running)
    if len(running) == 2:
        (a, x), (b, y) = running
        return int(two_strides(x, y, a, b))
    contiguous = 1
    rest: list[tuple[int, int]] = []
    for c, x in running:
        if not rest and c <= contiguous:
            contiguous += c * (x - 1)
        else:
            rest.append((c, x))
    if not rest:
        return contiguous
    span = contiguous + sum(c * (x - 1) for c, x in rest)
    if span > SPAN_LIMIT:
        if all(c >= 1 + _span(rest[:i], contiguous) for i, (c, _) in enumerate(rest)):
            return contiguous * math.prod(x for _, x in rest)
        raise PrecisionError(
            f"a sum of strided dimensions spans {span} values; "
            f"windows are counted exactly up to {SPAN_LIMIT}"
        )
    return _bits(rest, contiguous).bit_count()


def _span(terms: Sequence[tuple[int, int]], start: int) -> int:
    return start - 1 + sum(c * (x - 1) for c, x in terms)


def _bits(terms: Sequence[tuple[int, int]], contiguous: int) -> int:
    """Set of reachable sums as the bits of an integer; each term is added by doubling."""
    values = (1 << contiguous) - 1
    for c, x in terms:
        covered = 1
        while covered < x:
            step = min(covered, x - covered)
            values |= values << (c * step)
            covered += step
    return values
