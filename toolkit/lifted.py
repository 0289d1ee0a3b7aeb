"""Operations that read the same for one mapping's numbers and for arrays of many mappings'.

The cost model is written once, in functions marked with `formula`. Called from Python, they work
on arrays of shape [batch] (NumPy, torch, fractions of integers): a condition that differs from
mapping to mapping becomes `where`, never `if`. Compiled (`toolkit.compilation`), the same
functions work on single numbers, or on those of a few mappings at once (`toolkit.machine_lanes`),
and the operations below become single instructions.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

Table = Any
"""Numbers, arrays or rows by one or more indices: a list, a dictionary or an array."""

FORMULAS: list[Callable[..., Any]] = []
"""All functions marked with `formula`."""

APART: set[Callable[..., Any]] = set()
"""Those of them that are also marked with `apart`."""

INSTEAD: dict[Callable[..., Any], Callable[..., Any]] = {}
"""Functions that only Python calls, and the formulas that are compiled in their place."""


def formula(function: F) -> F:
    """Mark a function that may be compiled, too, and change nothing about it."""
    FORMULAS.append(function)
    return function


def once(function: F) -> F:
    """Mark a long formula as a part of its single caller, for readers.

    Compiled, every formula that is not `apart` becomes a part of its callers.
    """
    return function


def apart(function: F) -> F:
    """Mark a formula that stays a function of its own when compiled, for it is rarely called."""
    APART.add(function)
    return function


def compiled_as(formula: Callable[..., Any]) -> Callable[[F], F]:
    """Mark a function that only Python calls, and the formula compiled in its place."""

    def mark(function: F) -> F:
        INSTEAD[function] = formula
        return function

    return mark


def where(condition: Any, chosen: Any, other: Any) -> Any:
    """Choose by a condition, elementwise."""
    if isinstance(condition, bool):
        return chosen if condition else other
    return namespace(condition).where(condition, chosen, other)


def minimum(a: Any, b: Any) -> Any:
    """Lesser of two numbers, elementwise; the first must be an array if either is."""
    return min(a, b) if isinstance(a, int | float) else namespace(a).minimum(a, b)


def maximum(a: Any, b: Any) -> Any:
    """Greater of two numbers, elementwise; the first must be an array if either is."""
    return max(a, b) if isinstance(a, int | float) else namespace(a).maximum(a, b)


def floor(x: Any) -> Any:
    """Round down."""
    return namespace(x).floor(x)


def ceil(x: Any) -> Any:
    """Round up."""
    return namespace(x).ceil(x)


def nearest(x: Any) -> Any:
    """Round to the nearest integer, halves to even ones."""
    return namespace(x).round(x)


@formula
def euclid(a: Any, b: Any) -> Any:
    """Greatest common divisor of two whole numbers, not both 0; what is compiled for `gcd`."""
    while not is_never(b > 0):
        more = b > 0
        a, b = where(more, b, a), where(more, a - floor(a / b) * b, b)
    return a


@compiled_as(euclid)
def gcd(a: Any, b: Any) -> Any:
    """Greatest common divisor, elementwise; of what is not whole, of the nearest numbers.

    Both must be arrays if either is. It has no gradient.
    """
    if isinstance(a, int | float):
        return float(math.gcd(round(a), round(b)))
    xp = namespace(a)
    plain = (x.detach() if hasattr(x, "detach") else x for x in (a, b))
    whole = (xp.asarray(xp.round(x), dtype=xp.int64) for x in plain)
    return xp.asarray(xp.gcd(*whole), dtype=a.dtype)


def negated(condition: Any) -> Any:
    """Whether a condition is false."""
    return not condition if isinstance(condition, bool) else ~condition


def is_never(condition: Any) -> bool:
    """Whether a condition holds for no mapping at all, so that what depends on it can be skipped.

    Arrays on other devices are not asked: an answer would have to wait for them.
    """
    if isinstance(condition, bool):
        return not condition
    return isinstance(condition, np.ndarray) and not condition.any()


def is_single(iterations: Any) -> bool:
    """Whether a loop surely has one iteration, so that it can be skipped.

    Says no where some mapping of a batch may have more: one iteration changes nothing anyway.
    Arrays on other devices are not asked.
    """
    if not isinstance(iterations, np.ndarray) or iterations.shape[:1] == (0,):
        return False
    return bool(iterations.flat[0] == 1 and (iterations == 1).all())


def is_idle(iterations: Any) -> bool:
    """Whether `is_single` says so of a batch; compiled code does not ask.

    For loops whose branch would cost more than what it skips.
    """
    return is_single(iterations)


def lookup(table: Any, row: int, column: Any) -> Any:
    """Look up a column that may differ from mapping to mapping."""
    return table[row][column]


def lanes(x: Any) -> int:
    """Of how many mappings a number is in compiled code: a loop's bound, one if it is simple."""
    return 1


def in_lane(table: Any, number: int) -> Any:
    """Take from a table of compiled code what belongs to one of these mappings."""
    return table


def lane(x: Any, number: int) -> Any:
    """Take a number that belongs to one of these mappings."""
    return x


def with_lane(x: Any, number: int, value: Any) -> Any:
    """Put a number in the place of one of these mappings."""
    return value


def invoke(kernel: int, plan: int, nest: int, batch: int, skip: int) -> None:
    """Call a kernel of costs by its address, with the addresses of its blocks."""
    words = [ctypes.c_int64] * 4
    call = ctypes.CFUNCTYPE(None, *words)(int(kernel))
    call(int(plan), int(nest), int(batch), int(skip))


def namespace(x: Any) -> Any:
    """Functions for arrays of one kind: NumPy itself, which needs nothing more, or another's."""
    if isinstance(x, np.ndarray | np.generic | float | int):
        return np
    from array_api_compat import array_namespace

    return array_namespace(x)
