"""Counting the values of affine sums against counting them one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import PrecisionError
from toolkit.workload.distinct import (
    GAPS_OF_PAIRS,
    NO_GAPS,
    SPAN_LIMIT,
    count_sum,
    distinct_values,
)

Terms = list[tuple[int, int]]

terms = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=4)
"""(coefficient, extent) pairs."""


def brute_force(terms: Terms) -> int:
    points = itertools.product(*(range(extent) for _, extent in terms))
    return len({sum(c * x for (c, _), x in zip(terms, p, strict=True)) for p in points})


def counted(terms: Terms, gaps: int = NO_GAPS) -> int:
    extents = [np.array([float(extent)]) for _, extent in terms]
    return int(distinct_values(extents, [c for c, _ in terms], gaps)[0])


@given(terms)
def test_distinct_values(drawn: Terms) -> None:
    assert counted(drawn) == count_sum(drawn) == brute_force(drawn)


@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.integers(1, 20), st.integers(1, 20))
def test_two_strided_terms(strides: tuple[int, int], x: int, y: int) -> None:
    drawn = [(strides[0], x), (strides[1], y)]
    assert counted(drawn) == brute_force(drawn)


@given(st.lists(st.tuples(*[st.integers(1, 9)] * 3), min_size=1, max_size=5))
def test_batches_are_counted_elementwise(rows: list[tuple[int, int, int]]) -> None:
    strides = (2, 3, 7)
    columns = [np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)]
    expected = [brute_force(list(zip(strides, row, strict=True))) for row in rows]
    assert distinct_values(columns, strides).tolist() == expected
    tensors = [torch.tensor(column) for column in columns]
    assert distinct_values(tensors, strides).tolist() == expected


@pytest.mark.parametrize(
    ("drawn", "count"),
    [
        ([(5, 7)], 7),
        ([(1, 4), (1, 3)], 6),
        ([(6, 4), (6, 3)], 6),  # a common stride spreads the values and nothing else
        ([(2, 4), (1, 3)], 9),  # 0..8
        ([(1, 4), (4, 3)], 12),  # 0..3, 4..7, 8..11
        ([(2, 4), (3, 2)], 8),  # 0 2 4 6, 3 5 7 9
        ([(2, 4), (3, 3)], 11),  # and 6 8 10 12, of which 6 is there already
        ([(1, 1), (9, 1), (4, 1)], 1),
        ([(100, 3), (10, 3), (1, 3)], 27),
    ],
)
def test_by_hand(drawn: Terms, count: int) -> None:
    assert counted(drawn) == brute_force(drawn) == count


def test_overestimate_counts_the_gaps() -> None:
    """{0, 1, 3, 4} leaves out 2: four values, or all five from first to last."""
    assert counted([(3, 2), (1, 2)]) == 4
    assert counted([(3, 2), (1, 2)], gaps=GAPS_OF_PAIRS) == 5


def test_wide_sums_without_a_closed_form_are_refused() -> None:
    """Terms 2x + 5y + 9z of 2^27 iterations each span sixteen times 2^27 values."""
    extent = 2**27
    span = 16 * (extent - 1) + 1
    with pytest.raises(PrecisionError, match=str(span)):
        count_sum([(2, extent), (5, extent), (9, extent)])
    assert span > SPAN_LIMIT


def test_wide_sums_that_never_collide_are_counted() -> None:
    """Every stride exceeds the span of all smaller ones: all combinations differ."""
    assert count_sum([(2, 2**10), (2**20, 2**10), (2**40, 2**10)]) == 2**30
