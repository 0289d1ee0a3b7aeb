"""Latency corrections: counts worked out by hand, cycles times counts, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.errors import InputError
from toolkit.mapping import LevelMapping, Mapping, MapSpace, to_arrays
from toolkit.mapping.peers.timeloop import mapping_from_timeloop
from toolkit.model import EXACT, make_plan
from toolkit.model.compiled import batch_totals
from toolkit.model.correction import (
    LatencyCorrection,
    latency_correction,
    latency_correction_names,
    read_correction,
)
from toolkit.model.gemmini_program import ACTIVITIES, array_width, program_counts
from toolkit.yaml_files import dump_yaml

ARCH = toolkit.load_arch("gemmini-ws")
GEMMINI = latency_correction("gemmini-rtl")
LAYER = toolkit.conv2d(8, 4, 4, 4, 3, 3)
MAPPED = "L3[WIO] K2 - L2[WI] N1 K4X - L1[O] R3 S3 Q4 C4X - L0[W] P4"


def mapped(layer: toolkit.Workload, text: str) -> Mapping:
    return mapping_from_timeloop(text, ARCH, layer)


def counts(layer: toolkit.Workload, text: str) -> dict[str, float]:
    factors = to_arrays(mapped(layer, text), ARCH, layer)[0][None]
    return dict(zip(ACTIVITIES, program_counts(layer, factors)[0].tolist(), strict=True))


def test_counts_of_a_convolution() -> None:
    """An array of 4 x 4, two tiles, in each 9 blocks of weights and 4 x 4 outputs.

    Inputs are 6 x 6 pixels of 4 channels.
    """
    assert counts(LAYER, MAPPED) == {
        "run": 1,
        "tile": 2,
        "array_cycle": 2 * 9 * 16,
        "instruction": 2 * 9 * 4,
        "input_word": 2 * 36 * 4,
        "input_row": 2 * 36,
        "weight_word": 2 * 9 * 4 * 4,
    }


def test_partly_filled_blocks_cost_as_much_as_full_ones() -> None:
    """5 input channels, one of them in the array at a time, on 4 columns: 2 blocks of 4 x 4."""
    layer = toolkit.conv2d(4, 5, 8, 8, 3, 3)
    found = counts(layer, "L3[WIO] N1 - L2[WI] K4X - L1[O] R3 S3 C5 Q8 - L0[W] P8")
    assert found["array_cycle"] == 2 * 9 * 64
    assert found["instruction"] == 2 * 9 * 8 * 2


def test_a_block_of_weights_takes_at_least_the_width_of_the_array() -> None:
    layer = toolkit.conv2d(16, 16, 2, 2, 3, 3)
    found = counts(layer, "L3[WIO] N1 - L2[WI] K16X - L1[O] R3 S3 Q2 C16X - L0[W] P2")
    assert found["array_cycle"] == 9 * 16


def test_outputs_run_square() -> None:
    """8 x 2 outputs, 2 x 2 at a time: not 4 tiles but 16."""
    layer = toolkit.conv2d(4, 4, 8, 2, 3, 3)
    found = counts(layer, "L3[WIO] P4 - L2[WI] K4X - L1[O] R3 S3 Q2 C4X - L0[W] P2")
    assert found["tile"] == 16


def test_counts_of_a_matrix_product() -> None:
    """64 x 64 x 64 on 16 x 16, by two tiles of 2 x 4 blocks of weights and 64 rows."""
    layer = toolkit.conv2d(64, 64, 64, 1, 1, 1)
    assert counts(layer, "L3[WIO] K2 - L2[WI] K16X - L1[O] K2 C4 C16X - L0[W] P64") == {
        "run": 1,
        "tile": 2,
        "array_cycle": 2 * 8 * 64,
        "instruction": 2 * 8 * 4,
        "input_word": 2 * 64 * 64,
        "input_row": 2 * 64,
        "weight_word": 2 * 64 * 32,
    }


def test_a_product_on_a_narrow_array_has_small_tiles() -> None:
    """Tiles of 64 x 16 on 4 x 4 are 4 x 1 blocks; 256 channels are 64 blocks of 16 columns."""
    layer = toolkit.conv2d(16, 256, 1, 1, 1, 1)
    found = counts(layer, "L3[WIO] C4 - L2[WI] K4X - L1[O] K4 C16 C4X - L0[W] N1")
    assert found["tile"] == (64 / 4) * (4 / 1)
    assert found["weight_word"] == 256 * 16


@given(st.integers(0, 2**31), st.sampled_from([(24, 10, 6, 4, 3), (40, 18, 9, 1, 1)]))
def test_the_array_is_never_faster_than_its_lanes(seed: int, sizes: tuple[int, ...]) -> None:
    m, c, p, q, r = sizes
    layer = toolkit.conv2d(m, c, p, q, r, r)
    generator = np.random.default_rng(seed)
    space = MapSpace(ARCH, layer)
    factors = toolkit.sample(space, 20, generator)[0]
    found = program_counts(layer, factors)
    width = array_width(layer, factors)
    assert (found >= 1).all()
    assert (found[:, ACTIVITIES.index("array_cycle")] * width**2 >= layer.macs).all()
    assert (found[:, ACTIVITIES.index("weight_word")] >= m * c * r * r).all()


def test_latency_is_the_sum_over_activities() -> None:
    cycles_per = dict(zip(ACTIVITIES, [1000.0, 100.0, 1.0, 0.0, 0.5, 0.0, 0.25], strict=True))
    correction = LatencyCorrection(GEMMINI.file.model_copy(update={"cycles_per": cycles_per}))
    factors = to_arrays(mapped(LAYER, MAPPED), ARCH, LAYER)[0]
    both = correction.latency_cycles(ARCH, LAYER, np.stack([factors, factors]))
    assert both.tolist() == [1000 + 200 + 288 + 144 + 72] * 2


def test_an_evaluation_gets_the_latency_and_its_provenance() -> None:
    evaluation = toolkit.evaluate(mapped(LAYER, MAPPED), ARCH, LAYER)
    corrected = GEMMINI.corrected(evaluation)
    expected = sum(GEMMINI.file.cycles_per[name] * n for name, n in counts(LAYER, MAPPED).items())
    assert corrected.latency_cycles == pytest.approx(expected)
    assert corrected.energy_pj == evaluation.energy_pj
    assert corrected.edp_pj_cycles == pytest.approx(evaluation.energy_pj * expected)
    notes = "\n".join(corrected.notes[len(evaluation.notes) :])
    assert "fitted on 2026" in notes
    assert "1567 rows of 66 layers in firesim_gemmini.csv.gz" in notes
    assert f"without it the latency is {evaluation.latency_cycles:.10g} cycles" in notes
    assert "extrapolated" not in notes
    assert not any("correct" in note for note in evaluation.notes)


def test_totals_get_the_latency() -> None:
    factors, order = (a[None] for a in to_arrays(mapped(LAYER, MAPPED), ARCH, LAYER))
    totals = batch_totals(make_plan(ARCH, LAYER, EXACT), factors, order)
    corrected = GEMMINI.corrected_totals(ARCH, LAYER, factors, totals)
    assert corrected.latency_cycles == GEMMINI.latency_cycles(ARCH, LAYER, factors)
    assert corrected.energy_pj is totals.energy_pj


def test_what_lies_outside_of_the_fit_is_said() -> None:
    layer = toolkit.conv2d(2, 1, 1, 1, 1, 1)
    evaluation = toolkit.evaluate(
        mapped(layer, "L3[WIO] N1 - L2[WI] K2X - L1[O] N1 - L0[W] N1"), ARCH, layer
    )
    notes = "\n".join(GEMMINI.corrected(evaluation).notes)
    assert "extrapolated: an array width of 2 is outside of the fit's 4 to 64" in notes
    assert "extrapolated: a layer of (MACs) 2 is outside" in notes


def test_other_architectures_are_refused() -> None:
    arch = toolkit.load_arch("eyeriss-conv")
    factors = np.ones((1, len(arch.levels), 6), dtype=np.int64)
    with pytest.raises(InputError, match="eyeriss.*: levels: .*fitted to the levels of gemmini"):
        GEMMINI.latency_cycles(arch, LAYER, factors)
    levels = (*ARCH.levels[:2], *ARCH.levels[3:])
    with pytest.raises(InputError, match="levels"):
        GEMMINI.latency_cycles(replace(ARCH, levels=levels), LAYER, factors)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (toolkit.gemm(4, 4, 4), "fitted to convolutions .*got gemm over M = 4"),
        (toolkit.conv2d(4, 4, 4, 4, 3, 3, n=2), "of batch size 1, got conv over N = 2"),
        (toolkit.conv2d(4, 4, 4, 4, 3, 3, dilation=2), "without dilation"),
    ],
)
def test_other_workloads_are_refused(layer: toolkit.Workload, message: str) -> None:
    with pytest.raises(InputError, match=message):
        GEMMINI.latency_cycles(ARCH, layer, np.ones((1, 7, len(layer.sizes)), dtype=np.int64))


def test_a_batch_of_one_is_a_convolution_like_any_other() -> None:
    layer = toolkit.conv2d(8, 4, 4, 4, 3, 3, n=1)
    assert counts(layer, MAPPED) == counts(LAYER, MAPPED)


def test_unknown_corrections_are_refused() -> None:
    assert latency_correction_names() == ("gemmini-rtl",)
    with pytest.raises(InputError, match="'gemini-rtl' .did you mean 'gemmini-rtl'"):
        latency_correction("gemini-rtl")


def test_a_file_that_lacks_an_activity_is_refused() -> None:
    data = GEMMINI.file.model_dump()
    assert read_correction(dump_yaml(data).encode(), "x.yaml") == GEMMINI
    del data["cycles_per"]["tile"]
    with pytest.raises(InputError, match="x.yaml: cycles_per: expected cycles per run, tile"):
        read_correction(dump_yaml(data).encode(), "x.yaml")
    data["cycles_per"] = {"tile": -1.0}
    with pytest.raises(InputError, match="x.yaml: cycles_per.tile: expected at least 0"):
        read_correction(dump_yaml(data).encode(), "x.yaml")


def test_the_packaged_correction_is_better_on_every_fold() -> None:
    scores = GEMMINI.file.cross_validation
    assert scores.folds_improved == scores.folds * scores.repeats
    assert scores.spearman.min > scores.uncorrected_spearman.max
    assert scores.kendall.min > scores.uncorrected_kendall.max


def test_level_mappings_are_not_needed_for_spatial_levels() -> None:
    """Orders do not matter: a mapping with any order has the same latency."""
    mapping = mapped(LAYER, MAPPED)
    turned = Mapping(
        tuple(
            LevelMapping(level.level, level.factors, level.order[::-1]) for level in mapping.levels
        )
    )
    found = [
        GEMMINI.corrected(toolkit.evaluate(m, ARCH, LAYER)).latency_cycles
        for m in (mapping, turned)
    ]
    assert found[0] == found[1]
