"""Fitting: known cycles are found again, and nothing is estimated from its like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study.rows import FIRESIM

from toolkit.errors import InputError
from toolkit.model.correction import latency_correction
from toolkit.model.gemmini_program import ACTIVITIES, SETUPS, TRANSFERS, ProgramCounts
from toolkit.study.fidelity import read_published
from toolkit.study.fidelity.latency_fit import (
    counts_of,
    fit_correction,
    fit_cycles,
    fitted,
    grouped_folds,
    hold_out,
    rows_of,
    uncorrected_latencies,
)

COLUMN = "target.gemmini_cycle"
CYCLES = np.array([700.0, 130.0, 280.0, 1.5, 1.3, 4.0, 9.0, 90.0])
"""Of a machine that takes exactly what a correction says."""


def drawn_counts(rows: int = 60) -> ProgramCounts:
    """Tiles of random sizes, whose longest parts differ."""
    draw = np.random.default_rng(0)
    setups = np.zeros((rows, 2, len(SETUPS)))
    setups[np.arange(rows), :, np.arange(rows) % 2] = draw.integers(1, 50, (rows, 1))
    array = 10 ** draw.uniform(2, 5, (rows, 2))
    transfers = 10 ** draw.uniform(0, 4, (rows, 2, len(TRANSFERS)))
    transfers *= draw.random(transfers.shape) < 0.3
    transfers[:, :, -1] /= 10
    return ProgramCounts(setups, array, transfers, np.zeros(rows))


COUNTS = drawn_counts()


def test_cycles_without_noise_are_found_again() -> None:
    found = fit_cycles(COUNTS, COUNTS.latency_cycles(CYCLES))
    assert found == pytest.approx(CYCLES, rel=0.02)


def test_one_row_off_by_a_hundred_hardly_matters() -> None:
    cycles = COUNTS.latency_cycles(CYCLES)
    cycles[0] *= 100
    assert fit_cycles(COUNTS, cycles)[1:] == pytest.approx(CYCLES[1:], rel=0.15)


def test_cycles_are_never_negative() -> None:
    """Less than the array takes alone: the best that remains is no cycles for anything."""
    found = fit_cycles(COUNTS, COUNTS.array_cycles.sum(axis=1) / 2)
    assert (found >= 0).all()
    assert found[0] == pytest.approx(0, abs=1)


def test_an_activity_that_never_happens_is_refused() -> None:
    transfers = COUNTS.transfers * (np.arange(len(TRANSFERS)) != 0)
    without = replace(COUNTS, transfers=transfers)
    with pytest.raises(InputError, match="no row has any beat; expected some of every"):
        fit_cycles(without, without.latency_cycles(CYCLES))


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


def test_held_out_rows_share_neither_layer_nor_width_with_what_is_learnt() -> None:
    layer, width = np.repeat(np.arange(6), 4), np.tile([4, 8, 16, 32], 6)
    asked = []

    def recall(learn: np.ndarray) -> np.ndarray:
        asked.append(learn)
        return np.where(learn, 1.0, 2.0)

    found = hold_out(recall, layer, width, folds=3, repeats=2)
    assert found.tolist() == np.full((2, 24), 2.0).tolist()
    assert len(asked) == 2 * 3 * 4
    for learn in asked:
        assert len(set(width[learn])) == 3
        assert len(set(layer[learn])) == 4
        assert learn.sum() == 4 * 3


def test_fitted_estimates_learn_from_their_regular_rows_only() -> None:
    cycles = COUNTS.latency_cycles(CYCLES)
    cycles[3], cycles[4] = 1e9, 1e9
    learn, regular = np.arange(60) != 3, np.arange(60) != 4
    assert fitted(COUNTS, cycles, regular)(learn)[5:] == pytest.approx(cycles[5:], rel=0.02)


def test_rows_are_labelled_as_they_stand_in_the_file() -> None:
    results = read_published(FIRESIM, [COLUMN])
    rows, counts = rows_of(results, COLUMN), counts_of(results)
    names = [workload.name for workload in results.workloads]
    assert len(set(zip(rows.layer.tolist(), names, strict=True))) == len(set(names)) == 66
    assert set(rows.width.tolist()) == {4, 8, 16, 32, 64}
    estimate = latency_correction("gemmini-rtl")
    cycles = np.array([estimate.file.cycles_per[name] for name in ACTIVITIES])
    by_group = results.by_row(lambda g: estimate.latency_cycles(g.arch, g.workload, g.factors))
    assert counts.latency_cycles(cycles) == pytest.approx(by_group)


def test_facts_alone_order_mappings() -> None:
    results = read_published(FIRESIM, [COLUMN])
    rows = rows_of(results, COLUMN)
    found = {name: rows.ordered(c)["all"] for name, c in uncorrected_latencies(results).items()}
    by_library = found["exact on gemmini-rtl, as its library runs"]
    assert by_library.right > found["exact"].right + 0.05
    assert by_library.regret < found["exact"].regret


def test_a_correction_fitted_to_the_sample_is_better_on_what_it_has_not_seen() -> None:
    about = dict.fromkeys(("name", "description", "hardware", "file", "sha256", "script"), "x")
    results = read_published(FIRESIM, [COLUMN])
    file = fit_correction(results, COLUMN, about | {"date": "x"}, folds=4, repeats=1)
    assert (file.fitted_to.rows, file.fitted_to.layers) == (264, 66)
    scores = file.cross_validation
    ours, theirs = scores.corrected["all"], scores.uncorrected["all"]
    assert ours.rows == theirs.rows == 264
    assert ours.pairs_right is not None
    assert theirs.pairs_right is not None
    assert ours.pairs_right > theirs.pairs_right
    assert ours.median_error_percent < 15 < theirs.median_error_percent
    assert sum(found.rows for kind, found in scores.corrected.items() if kind != "all") == 264
    assert scores.spearman.mean > 0.95
