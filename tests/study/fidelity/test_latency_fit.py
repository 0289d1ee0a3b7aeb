"""Fitting: known coefficients are found again, and no group is on both sides of a fold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study.rows import FIRESIM

from toolkit.errors import InputError
from toolkit.study.fidelity import read_published
from toolkit.study.fidelity.latency_fit import (
    fit_correction,
    fit_cycles,
    fitted,
    grouped_folds,
    hold_out,
    unfitted,
)

COUNTS = np.array([[1.0, 2.0], [1.0, 30.0], [1.0, 400.0], [1.0, 7.0]])


def test_cycles_without_noise_are_found_again() -> None:
    assert fit_cycles(COUNTS, COUNTS @ [50.0, 3.0]) == pytest.approx([50.0, 3.0], rel=1e-4)


def test_one_row_off_by_a_hundred_hardly_matters() -> None:
    counts = np.tile(COUNTS, (10, 1))
    cycles = counts @ [50.0, 3.0]
    cycles[0] *= 100
    assert fit_cycles(counts, cycles) == pytest.approx([50.0, 3.0], rel=0.1)


def test_cycles_are_never_negative() -> None:
    """More activity, fewer cycles: the best that remains is no cycles for it."""
    cycles = fit_cycles(COUNTS, 1000.0 - COUNTS[:, 1])
    assert (cycles >= 0).all()
    assert cycles[1] == pytest.approx(0, abs=1e-3)


def test_an_activity_that_never_happens_is_refused() -> None:
    with pytest.raises(InputError, match="every activity must happen"):
        fit_cycles(COUNTS * [1.0, 0.0], COUNTS[:, 1])


@given(
    st.lists(st.sampled_from("abcdef"), min_size=6, max_size=40).filter(lambda g: len(set(g)) > 2),
    st.integers(2, 3),
    st.integers(0, 5),
)
def test_a_group_is_in_one_fold(groups: list[str], folds: int, seed: int) -> None:
    found = grouped_folds(groups, folds, seed)
    assert set(found.tolist()) == set(range(folds))
    for group in set(groups):
        assert len({fold for fold, name in zip(found, groups, strict=True) if name == group}) == 1


def test_more_folds_than_groups_are_refused() -> None:
    with pytest.raises(InputError, match="expected 2 to 2 folds"):
        grouped_folds(["a", "b", "b"], 3, 0)


def test_held_out_rows_were_not_learnt_from() -> None:
    """An estimator that halves whatever it did not learn from: all ratios are 1/2."""
    measured = np.array([2.0, 2.5, 3.0, 3.5, 4.0, 4.5])

    def recall(learn: np.ndarray) -> np.ndarray:
        return np.where(learn, measured, measured / 2)

    found = hold_out(recall, measured, ["a", "a", "b", "b", "c", "c"], folds=3, repeats=2)
    assert np.exp(found.log_ratios) == pytest.approx(np.full(12, 0.5))
    assert found.spearman == pytest.approx(np.ones(6))
    assert found.median_error == pytest.approx(1.0)


def test_unfitted_estimates_do_not_depend_on_the_rows() -> None:
    values = np.array([1.0, 2.0])
    assert unfitted(values)(np.array([True, False])) is values


def test_fitted_estimates_learn_from_their_rows_only() -> None:
    cycles = COUNTS @ [50.0, 3.0]
    cycles[3] = 1e6
    learn = np.array([True, True, True, False])
    assert fitted(COUNTS, cycles)(learn)[3] == pytest.approx(71.0, rel=1e-3)


def test_a_correction_fitted_to_the_sample_ranks_better_than_all_others() -> None:
    about = dict.fromkeys(("name", "description", "hardware", "file", "sha256", "script"), "x")
    column = "target.gemmini_cycle"
    results = read_published(FIRESIM, [column])
    file, scores = fit_correction(results, column, about | {"date": "x"}, folds=4, repeats=2)
    assert (file.fitted_to.rows, file.fitted_to.layers) == (264, 66)
    assert file.cross_validation.folds_improved == 8
    assert file.cross_validation.spearman.mean > 0.95
    assert max(scores[n].spearman.mean() for n in scores if n != "corrected") < 0.9
    assert file.cross_validation.kendall.mean > file.cross_validation.uncorrected_kendall.mean
