from __future__ import annotations

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.mapping.last_rounds import last_rounds, reach


@pytest.mark.parametrize(
    ("factors", "size", "expected"),
    [
        ([2, 51], 64, [2, 13]),
        ([7, 2, 4, 2], 101, [7, 1, 3, 1]),
        ([3, 4], 12, [3, 4]),
        ([1, 3, 1, 4, 1], 11, [1, 3, 1, 3, 1]),
        ([2, 3], 7, [2, 3]),
        ([], 1, []),
    ],
)
def test_by_hand(factors: list[int], size: int, expected: list[int]) -> None:
    assert last_rounds(factors, size) == expected


def turns(factors: list[int], size: int, start: int = 0) -> list[list[int]]:
    """Iterations of every loop, outermost first, in the rounds in which they turn."""
    if not factors:
        return []
    stride = prod(factors[1:])
    starts = [s for i in range(factors[0]) if (s := start + i * stride) < size]
    inner = [turns(factors[1:], size, s) for s in starts]
    return [[len(starts)], *([n for part in inner for n in part[i]] for i in range(len(inner[0])))]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_loops_that_are_clipped_turn_as_often_the_last_time(
    factors: list[int], data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, prod(factors)))
    rounds = last_rounds(factors, size)
    assert rounds == [each[-1] for each in turns(factors, size)]
    assert reach(factors, rounds) == size
