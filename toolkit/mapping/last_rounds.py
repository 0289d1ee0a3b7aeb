"""How often loops turn the last time, where factors reach a size instead of multiplying to it.

Tiles form a chain of divisors, so the last position along a dimension is a number with one digit
per loop, whose radices are the factors: a loop makes its factor of iterations in every round but
in the last one, when all loops over the dimension outside of it are at their last iteration.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod


def cuts_off(factors: Sequence[int], size: int) -> bool:
    """Whether factors exceed a size, though their last iteration still has something to do.

    Examples
    --------
    >>> cuts_off([2, 51], 64), cuts_off([2, 51], 102), cuts_off([3, 51], 64)
    (True, False, False)
    """
    product = prod(factors)
    outermost = next((factor for factor in factors if factor > 1), 1)
    return size < product and product - product // outermost < size


def last_rounds(factors: Sequence[int], size: int) -> list[int]:
    """Count the iterations that every loop over a dimension makes in its last round.

    Parameters
    ----------
    factors : sequence of int
        Iterations, outermost loop first; they reach the size, else none is counted as cut off.
    size : int
        Of the dimension.

    Examples
    --------
    Of 64 positions in tiles of 51, the second tile has 13:

    >>> last_rounds([2, 51], 64)
    [2, 13]
    """
    if prod(factors) <= size:
        return list(factors)
    rounds: list[int] = []
    position = size - 1
    for factor in reversed(factors):
        position, digit = divmod(position, factor)
        rounds.append(digit + 1)
    return rounds[::-1]


def reach(factors: Sequence[int], rounds: Sequence[int]) -> int:
    """Count the positions along a dimension whose loops end in such last rounds.

    Examples
    --------
    >>> reach([2, 51], [2, 13])
    64
    """
    position = 0
    for factor, last in zip(factors, rounds, strict=True):
        position = position * factor + last - 1
    return position + 1
