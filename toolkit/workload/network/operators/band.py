"""Which keys every query attends to, and the rectangle that computes just as many pairs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_MOST_PAIRS = 1 << 44
"""Of more pairs, those of four million tokens, factors take too long to find: the average number
of keys per query is rounded up."""


@dataclass(frozen=True)
class Band:
    """Keys that a query attends to, by how far they are from its own position.

    Query `i` stands at the key ``i + offset`` and attends to those from `left` before it up to
    `right` behind it.

    Parameters
    ----------
    offset : int
        Keys before the first query: those of earlier tokens.
    left, right : int or None
        How far it sees; None for as far as there are keys.
    """

    offset: int = 0
    left: int | None = None
    right: int | None = None

    def pairs(self, queries: int, keys: int) -> int:
        """Pairs of a query and a key that it attends to.

        Examples
        --------
        >>> Band(right=0).pairs(4, 4)
        10
        >>> Band(offset=2, left=1, right=0).pairs(3, 5)
        6
        """
        before = 0
        if self.left is not None:
            before = _clipped_sum(self.offset - self.left, queries, keys)
        if self.right is None:
            return queries * keys - before
        return _clipped_sum(self.offset + self.right + 1, queries, keys) - before

    def touched(self, queries: int, keys: int) -> int:
        """Keys that some query attends to.

        Examples
        --------
        >>> Band(offset=100, left=15, right=0).touched(1, 101)
        16
        """
        first = 0 if self.left is None else max(self.offset - self.left, 0)
        last = keys if self.right is None else min(self.offset + queries + self.right, keys)
        return max(last - first, 0)


def _clipped_sum(start: int, count: int, top: int) -> int:
    """Sum of `count` integers from `start` on, each clipped to between 0 and `top`."""

    def below(end: int) -> int:
        end = max(end, 0)
        rising = min(end, top)
        return rising * (rising - 1) // 2 + (end - rising) * top

    return below(start + count) - below(start)


@lru_cache(maxsize=1024)
def nearest_rectangle(
    groups: int, share: int, queries: int, touched: int, pairs: int
) -> tuple[int, int, int]:
    """Blocks, rows and keys of a batched product with as many pairs as the heads attend to.

    Heads that mask some pairs compute triangles and bands, which no product with one size per
    dimension has. Of all triples whose product is exactly the number of pairs, so that products
    and scores are exact, this is the one whose operands have the number of words nearest to what
    the heads read: a row of the query for every query, and every key that is attended to. Without
    a mask these are the heads, queries and keys. With a causal one there are about twice as many
    blocks of half the rows and keys, if the number of pairs has such factors; if not, rows or keys
    are understated or overstated, by a half at most and about a quarter where heads are many.

    Parameters
    ----------
    groups : int
        Heads of the key, times the batch.
    share : int
        Heads of the query that share one: rows of the query per row.
    queries, touched : int
        Queries of a head, and keys that they attend to.
    pairs : int
        Pairs of query and key that one head computes.

    Examples
    --------
    >>> nearest_rectangle(8, 4, 16, 100, 1600)
    (8, 16, 100)
    >>> nearest_rectangle(32, 1, 511, 511, 511 * 512 // 2)
    (56, 292, 256)
    >>> nearest_rectangle(2, 1, 9, 9, 45)
    (3, 6, 5)
    """
    if pairs > _MOST_PAIRS:
        return groups, queries, -(-pairs // queries)
    total = groups * pairs
    divisors = _divisors(groups, pairs)
    best: tuple[int, int, int, int] | None = None
    for rows in divisors:
        if rows > 2 * queries:
            break
        for keys in _around(divisors, pairs // queries, total // rows):
            blocks = total // rows // keys
            words = share * abs(blocks * rows - groups * queries)
            words += abs(blocks * keys - groups * touched)
            found = (words, abs(blocks - groups), -rows, keys)
            best = found if best is None else min(best, found)
    assert best is not None  # One row at least.
    rows, keys = -best[2], best[3]
    return total // rows // keys, rows, keys


def _around(divisors: list[int], wanted: int, number: int) -> Iterator[int]:
    """The divisors of a number nearest to the one wanted, from below and from above."""
    place = bisect_left(divisors, max(wanted, 1))
    yield next(d for d in reversed([1, *divisors[:place]]) if number % d == 0)
    above = next((d for d in divisors[place:] if number % d == 0), None)
    if above is not None:
        yield above


def _divisors(*numbers: int) -> list[int]:
    """All divisors of a product, in order."""
    powers: dict[int, int] = {}
    for number in numbers:
        factor = 2
        while factor * factor <= number:
            while number % factor == 0:
                powers[factor] = powers.get(factor, 0) + 1
                number //= factor
            factor += 1 if factor == 2 else 2
        if number > 1:
            powers[number] = powers.get(number, 0) + 1
    found = [1]
    for prime, power in powers.items():
        found = [d * prime**exponent for d in found for exponent in range(power + 1)]
    return sorted(found)
