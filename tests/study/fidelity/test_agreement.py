"""Statistics of agreement in cases that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.study.fidelity import agreement, agreement_by_kind, agreement_table
from toolkit.study.fidelity.agreement import rank_correlations, relative_errors

NUMBERS = st.lists(st.floats(1e-3, 1e9), min_size=2, max_size=20)


def test_one_pair_of_ranks_swapped() -> None:
    """Of 4 numbers the ranks 3 and 4 swap: rho = 1 - 6*2/(4*15), tau = (5 - 1)/6."""
    found = agreement([1.0, 2.0, 8.0, 4.0], [1.0, 2.0, 4.0, 8.0])
    assert found.spearman == pytest.approx(0.8)
    assert found.kendall == pytest.approx(2 / 3)
    assert found.count == 4
    assert found.within == 0.5
    assert found.within_factor_two == 1.0
    assert found.median_ratio == 1.0
    assert found.mean_error == pytest.approx((1.0 + 0.5) / 4)


def test_reversed_ranks() -> None:
    assert rank_correlations([3, 2, 1], [1, 2, 3]) == (-1.0, -1.0)


def test_kendall_counts_ties_as_tau_b() -> None:
    """Pairs: two concordant, one tied on one side: 2 / sqrt(2 * 3)."""
    assert rank_correlations([1, 1, 2], [1, 2, 3])[1] == pytest.approx(2 / math.sqrt(6))


def test_equal_numbers_have_no_ranks() -> None:
    assert np.isnan(rank_correlations([1, 1], [1, 2])).all()


def test_exactly_one_percent_is_within_one_percent() -> None:
    assert agreement([101.0, 98.0], [100.0, 100.0]).within == 0.5


@given(NUMBERS)
def test_everything_agrees_with_itself(numbers: list[float]) -> None:
    found = agreement(numbers, numbers)
    assert (found.within, found.median_ratio, found.mean_error) == (1.0, 1.0, 0.0)


@given(NUMBERS, st.floats(0.1, 10))
def test_a_common_factor_leaves_ranks_alone(numbers: list[float], factor: float) -> None:
    ours = [factor * number for number in numbers]
    if len(set(ours)) == len(set(numbers)) > 1:
        assert rank_correlations(ours, numbers) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize(
    ("computed", "measured", "message"),
    [
        ([1.0], [1.0, 2.0], "equally many"),
        ([], [], "equally many"),
        ([1.0, math.nan], [1.0, 1.0], "computed number 1 is nan"),
        ([1.0], [0.0], "measured number 0 is 0.0"),
    ],
)
def test_numbers_without_a_relative_error_are_refused(
    computed: list[float], measured: list[float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        relative_errors(computed, measured)


def test_tables_name_units_and_kinds() -> None:
    computed = {"ours": [1.0, 2.0, 9.0], "theirs": [1.0, 1.0, 3.0]}
    table = agreement_table(computed, [1.0, 2.0, 3.0])
    assert list(table.index) == ["ours", "theirs"]
    assert table.loc["ours", "within_1_percent_of_rows"] == pytest.approx(200 / 3)
    by_kind = agreement_by_kind(["b", "a", "b"], computed, [1.0, 2.0, 3.0])
    assert by_kind["rows"].to_dict() == {"a": 1, "b": 2}
    assert by_kind["median_ratio_ours"].to_dict() == {"a": 1.0, "b": 2.0}
