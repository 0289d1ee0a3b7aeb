"""How many distinct values an affine sum of dimensions takes: the size of a window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any

from toolkit.errors import PrecisionError
from toolkit.lifted import formula, namespace, where

SPAN_LIMIT = 2**28
"""Largest span of a sum of three or more strided terms that is counted by enumeration: one bit per
value, 32 MiB."""

STRIDE_LIMIT = 2**62
"""Strides of arrays must stay below it, after division by what they have in common."""


def distinct_values(
    extents: Sequence[Any], coefficients: Sequence[int], *, overestimate: bool = False
) -> Any:
    """Count the distinct values of ``sum(c_i * x_i)`` for ``0 <= x_i < X_i``, elementwise.

    Parameters
    ----------
    extents : sequence of arrays
        X_i of every term, arrays of equal shape (NumPy or torch), integer-valued, at least 1.
    coefficients : sequence of int
        c_i of every term, at least 1.
    overestimate : bool
        Count gaps between strided values too where a sum has two terms, as Timeloop does, and
        FactorFlow on request (``OVERESTIMATE_DISTINCT_VALUES``).

    Returns
    -------
    array
        Counts, of the shape of one extent.

    Raises
    ------
    PrecisionError
        If three or more strided terms span more than `SPAN_LIMIT` values, or a stride reaches
        `STRIDE_LIMIT`.

    Notes
    -----
    One term takes X values; unit strides take ``sum(X_i - 1) + 1``; two terms `two_strides`.
    """
    if len(extents) == 1:
        return extents[0]
    xp = namespace(extents[0])
    if all(c == coefficients[0] for c in coefficients):
        # One less per further term at once, so that nothing on the way exceeds the result.
        return sum((x - 1 for x in extents[1:]), start=extents[0])
    divisor = math.gcd(*coefficients)
    strides = [c // divisor for c in coefficients]
    if max(strides) >= STRIDE_LIMIT:
        raise PrecisionError("a stride is 2^62 or more, too large for exact counts")
    if len(extents) == 2:
        (x, y), (a, b) = extents, strides
        return a * (x - 1) + b * (y - 1) + 1 if overestimate else two_strides(x, y, a, b)
    return _many_terms(xp, extents, strides)


@formula
def two_strides(x: Any, y: Any, a: int, b: int) -> Any:
    """Count the distinct values of ``a * i + b * j`` for i < x and j < y, a and b coprime.

    Two pairs collide only if x >= b and y >= a (``a*b`` steps of one are ``b*a`` of the other);
    then the values fill their span except for ``(a-1)*(b-1)/2`` gaps at either end, the
    Frobenius gaps. Written so that nothing on the way exceeds the result.
    """
    return where((x >= b) & (y >= a), a * (x - b) + b * y, x * y)


def _many_terms(xp: ModuleType, extents: Sequence[Any], strides: Sequence[int]) -> Any:
    columns = [[int(v) for v in xp.reshape(x, (-1,)).tolist()] for x in extents]
    counts = [_count(tuple(row), tuple(strides)) for row in zip(*columns, strict=True)]
    flat = xp.asarray(counts, dtype=extents[0].dtype)
    return xp.reshape(flat, extents[0].shape)


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
def _count(extents: tuple[int, ...], strides: tuple[int, ...]) -> int:
    return count_sum(tuple(zip(strides, extents, strict=True)))


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
