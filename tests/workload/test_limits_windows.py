"""Windows of any size: exact or refused."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from oracle.exact_integers import TooWideError, distinct

from toolkit.errors import PrecisionError
from toolkit.workload import gemm
from toolkit.workload.distinct import count_sum, count_window, distinct_values

EXACT = 2**53

numbers = st.integers(0, 62).flatmap(lambda bits: st.integers(1, 2**bits))
"""Of every order of magnitude."""

terms = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=4)


def law(term: list[tuple[int, int]]) -> int | None:
    try:
        return distinct(term)
    except TooWideError:
        return None


@given(terms)
@example([(1, 2**31), (2**31, 2**31), (2**62, 2**31)])
@example([(1, 1), (2, 2), (2, 2**31 - 1)])
def test_sums_of_any_magnitude(term: list[tuple[int, int]]) -> None:
    expected = law(term)
    try:
        count = count_sum(term)
    except PrecisionError:
        assert sum(extent > 1 for _, extent in term) > 2
        return
    assert expected in (None, count)
    assert count <= math.prod(extent for _, extent in term)
    coefficients, extents = zip(*term, strict=True)
    assert count_window(extents, coefficients) == count


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 6)), min_size=1, max_size=4))
def test_small_sums_are_counted_one_by_one(term: list[tuple[int, int]]) -> None:
    ranges = [range(0, step * count, step) for step, count in term]
    assert count_sum(term) == len({sum(values) for values in itertools.product(*ranges)})


@given(st.lists(st.tuples(st.sampled_from((1, 1, 2, 3, 65537)), numbers), min_size=1, max_size=2))
def test_floats_are_exact_up_to_2_to_the_53(term: list[tuple[int, int]]) -> None:
    expected = count_sum(term)
    coefficients, extents = zip(*term, strict=True)
    got = distinct_values([np.array([float(x)]) for x in extents], coefficients)[0]
    if expected <= EXACT and max(extents) <= EXACT:
        assert got == expected
    else:
        assert got == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("coefficient", [1, 3])
def test_nothing_on_the_way_exceeds_the_count(coefficient: int) -> None:
    """Three terms that sum up to more than the values they take."""
    extents = [np.array([float(x)]) for x in (EXACT - 1, 1, 1)]
    assert distinct_values(extents, [coefficient] * 3).tolist() == [EXACT - 1]


@pytest.mark.parametrize("stride", [2**62, 2**63, 2**1100])
def test_strides_that_no_array_holds_are_refused(stride: int) -> None:
    one = np.ones(1)
    with pytest.raises(PrecisionError, match="stride"):
        distinct_values([one, one], [1, stride])


def test_the_product_of_sizes_is_exact() -> None:
    assert gemm(2**31, 2**31 - 1, 2**31).macs == 2**62 * (2**31 - 1)
