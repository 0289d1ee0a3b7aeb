"""Prime factors and divisors of dimension sizes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from toolkit.errors import WorkloadError
from toolkit.mapping.mapping import IntArray
from toolkit.messages import shown as shown

SIZE_LIMIT = 2**53
"""Sizes must stay below it: tile extents are kept in float64, exact up to here."""

DIVISOR_LIMIT = 2048
"""Most divisors of one size; every size below 10^9 has fewer."""

_BLOCK = 1 << 20


@lru_cache(maxsize=4096)
def prime_factors(number: int) -> tuple[tuple[int, int], ...]:
    """Factor a positive integer below 2^53 by trial division.

    Returns
    -------
    tuple of (prime, multiplicity)
        Ascending primes; empty for 1.

    Raises
    ------
    WorkloadError
        If `number` is not in that range.

    Examples
    --------
    >>> prime_factors(360)
    ((2, 3), (3, 2), (5, 1))
    """
    if not 1 <= number < SIZE_LIMIT:
        raise WorkloadError(f"size {shown(number)} is not between 1 and 2^53 - 1")
    found: list[tuple[int, int]] = []
    rest, start, block = number, 2, 256
    while rest > 1 and start * start <= rest:
        candidates = np.arange(start, start + block, dtype=np.int64)
        for p in candidates[rest % candidates == 0].tolist():
            multiplicity = 0
            while rest % p == 0:
                rest //= p
                multiplicity += 1
            if multiplicity:
                found.append((p, multiplicity))
        start, block = start + block, min(4 * block, _BLOCK)
    if rest > 1:
        found.append((rest, 1))
    return tuple(found)


@lru_cache(maxsize=1024)
def divisors(number: int) -> IntArray:
    """List the divisors of a positive integer below 2^53, ascending (read-only array).

    Raises
    ------
    WorkloadError
        If there are more than `DIVISOR_LIMIT`.

    Examples
    --------
    >>> divisors(12).tolist()
    [1, 2, 3, 4, 6, 12]
    """
    factors = prime_factors(number)
    count = 1
    for _, multiplicity in factors:
        count *= multiplicity + 1
    if count > DIVISOR_LIMIT:
        raise WorkloadError(
            f"size {number} has {count} divisors, more than the {DIVISOR_LIMIT} supported"
        )
    values = np.ones(1, dtype=np.int64)
    for prime, multiplicity in factors:
        powers = np.int64(prime) ** np.arange(multiplicity + 1, dtype=np.int64)
        values = np.outer(values, powers).ravel()
    values.sort()
    values.setflags(write=False)
    return values
