"""Agreement worked out by hand, and the cost model beside published results: a regression test."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study.rows import FIRESIM, ROW, TIMELOOP, write_rows

from toolkit.errors import InputError
from toolkit.model import TIMELOOP as CONVENTIONS
from toolkit.model.correction import latency_correction
from toolkit.study.fidelity import agreement, agreement_by_kind, agreement_table, read_published
from toolkit.study.fidelity.validation import (
    corrected_cycles,
    dosa_roofline_cycles,
    layer_kind,
    published_totals,
    rank_correlations,
    relative_errors,
)
from toolkit.workload import conv2d

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


def test_timeloop_is_met_within_a_percent() -> None:
    results = read_published(TIMELOOP)
    totals = published_totals(results, CONVENTIONS)
    latency = agreement(totals.latency_cycles, results.measured["target.cycle"])
    energy = agreement(totals.energy_pj * 1e-6, results.measured["target.energy"])
    assert latency.within >= 0.98
    assert energy.within >= 0.97
    assert totals.fits.all()


def test_the_correction_ranks_rtl_runs_better() -> None:
    results = read_published(FIRESIM, ["target.gemmini_cycle"])
    cycles = results.measured["target.gemmini_cycle"]
    plain = agreement(published_totals(results, CONVENTIONS).latency_cycles, cycles)
    corrected = agreement(corrected_cycles(results, latency_correction("gemmini-rtl")), cycles)
    assert corrected.spearman > 0.95 > 0.9 > plain.spearman
    assert corrected.kendall > plain.kendall + 0.15


def test_dosas_roofline_is_the_longest_bound(tmp_path: Path) -> None:
    """A product of an 8 x 8 matrix and a vector at once: DRAM moves 8 + 64 + 8 words, 8 a cycle.

    The array needs 1 cycle, the scratchpad (72 filled, 72 read, 16 a cycle) 9. The other layer
    needs 4608 MACs / (4 columns x 4 rows) = 288 cycles, more than any memory.
    """
    vector = dict.fromkeys(("prob.P", "prob.Q", "prob.R", "prob.S"), "1") | {"prob.C": "8"}
    at_once = "L3[WIO] N1 - L2[WI] K8X - L1[O] C8X - L0[W] N1"
    rows = (ROW | vector | {"mapping.mapping": at_once}, ROW)
    results = read_published(write_rows(tmp_path / "rows.csv", *rows))
    assert dosa_roofline_cycles(results).tolist() == [10, 288]


def test_kinds_of_layers() -> None:
    assert layer_kind(conv2d(8, 8, 1, 1, 1, 1)) == "matrix-vector product"
    assert layer_kind(conv2d(8, 8, 4, 1, 1, 1)) == "matrix product"
    assert layer_kind(conv2d(8, 1, 4, 4, 3, 3)) == "one channel, as in depthwise"
    assert layer_kind(conv2d(1, 8, 1, 1, 1, 1)) == "one channel, as in depthwise"
    assert layer_kind(conv2d(8, 8, 4, 2, 3, 3)) == "convolution, 3x3, output not square"
