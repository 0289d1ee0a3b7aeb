"""Latency corrections: counts worked out by hand, cycles times counts, and what is refused."""

from __future__ import annotations

import itertools
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
from toolkit.model.gemmini_library import array_width, library_tiles
from toolkit.model.gemmini_program import ACTIVITIES, SETUPS, TRANSFERS, program_counts
from toolkit.yaml_files import dump_yaml

ARCH = toolkit.load_arch("gemmini-ws")
GEMMINI = latency_correction("gemmini-rtl")
LAYER = toolkit.conv2d(8, 4, 4, 4, 3, 3)
MAPPED = "L3[WIO] K2 - L2[WI] N1 K4X - L1[O] R3 S3 Q4 C4X - L0[W] P4"


def mapped(layer: toolkit.Workload, text: str) -> Mapping:
    return mapping_from_timeloop(text, ARCH, layer)


def counts(layer: toolkit.Workload, text: str) -> dict[str, float]:
    """Activities of all tiles."""
    found = program_counts(layer, to_arrays(mapped(layer, text), ARCH, layer)[0][None])
    values = (*found.setups[0].sum(axis=0), found.array_cycles.sum(), *found.transfers[0].sum(0))
    return dict(zip((*SETUPS, "array", *TRANSFERS), map(float, values), strict=True))


def test_counts_of_a_convolution() -> None:
    """An array of 4 x 4, two tiles, in each 9 blocks of weights and 4 x 4 outputs.

    Inputs are 6 x 6 pixels of 4 channels, a beat each, as is a channel's weights of a tap. All
    fits the cache. A pixel's outputs are a row of the array; 4 rows of outputs begin a page each,
    and so do the weights of each tap.
    """
    assert counts(LAYER, MAPPED) == {
        "product_tile": 0,
        "convolution_tile": 2,
        "array": 2 * 9 * 16,
        "beat": 2 * (36 + 9 * 4),
        "cache_line": 0,
        "output_row": 2 * 16,
        "weight_page": 2 * 9,
        "output_page": 2 * 4,
    }


def test_partly_filled_blocks_cost_as_much_as_full_ones() -> None:
    """5 input channels, one of them in the array at a time, on 4 columns: 2 blocks of 4 x 4."""
    layer = toolkit.conv2d(4, 5, 8, 8, 3, 3)
    found = counts(layer, "L3[WIO] N1 - L2[WI] K4X - L1[O] R3 S3 C5 Q8 - L0[W] P8")
    assert found["array"] == 2 * 9 * 64


def test_a_block_of_weights_takes_at_least_the_width_of_the_array() -> None:
    """One instruction of 2 rows as long as 16, the other one 4 cycles."""
    layer = toolkit.conv2d(16, 16, 2, 2, 3, 3)
    found = counts(layer, "L3[WIO] N1 - L2[WI] K16X - L1[O] R3 S3 Q2 C16X - L0[W] P2")
    assert found["array"] == 9 * (16 + 4)


def test_filters_of_one_value_skip_inputs_between_strides() -> None:
    layer = toolkit.conv2d(4, 4, 8, 8, 1, 1, stride=2)
    found = counts(layer, "L3[WIO] N1 - L2[WI] K4X - L1[O] Q8 C4X - L0[W] P8")
    assert found["beat"] == 64 + 4
    layer = toolkit.conv2d(4, 4, 8, 8, 3, 3, stride=2)
    found = counts(layer, "L3[WIO] N1 - L2[WI] K4X - L1[O] R3 S3 Q8 C4X - L0[W] P8")
    assert found["beat"] == 17 * 17 + 9 * 4


def test_counts_of_a_matrix_product() -> None:
    """64 x 64 x 64 on 16 x 16, by two tiles of 2 x 4 blocks of weights and 64 rows."""
    layer = toolkit.conv2d(64, 64, 64, 1, 1, 1)
    assert counts(layer, "L3[WIO] K2 - L2[WI] K16X - L1[O] K2 C4 C16X - L0[W] P64") == {
        "product_tile": 2,
        "convolution_tile": 0,
        "array": 2 * 8 * 64,
        "beat": 2 * (64 * 4 + 64 * 2),
        "cache_line": 0,
        "output_row": 2 * 64 * 2,
        "weight_page": 2,
        "output_page": 2,
    }


def test_what_the_cache_does_not_hold_comes_from_memory() -> None:
    """1 MiB of weights in four tiles, each of which fits: all fetch theirs, and the inputs."""
    layer = toolkit.conv2d(1024, 1024, 2, 1, 1, 1)
    found = counts(layer, "L3[WIO] K4 - L2[WI] K16X - L1[O] K16 C64 C16X - L0[W] P2")
    weights, inputs, outputs = 1024 * 1024 // 64, 2 * 1024 // 64, 2 * 1024 // 64
    assert found["cache_line"] == weights + 4 * inputs + outputs


def executed(layer: toolkit.Workload, text: str) -> dict[str, int]:
    """Run the loops of the library, tile by tile and instruction by instruction."""
    factors = to_arrays(mapped(layer, text), ARCH, layer)[0][None]
    tiles = library_tiles(layer, factors)
    width, sizes = int(tiles.width[0]), tiles.sizes
    step = {d: int(tiles.extents[d][0]) for d in sizes}
    found = dict.fromkeys(("tiles", "array", "beat", "output_row"), 0)
    starts = [range(0, sizes[d], step[d]) for d in "QPMSRC"]
    for at in itertools.product(*starts):
        q, p, m, s, r, c = (min(step[d], sizes[d] - x) for d, x in zip("QPMSRC", at, strict=True))
        found["tiles"] += 1
        rows, columns = (n - 1 + t for n, t in ((q, s), (p, r)))
        found["beat"] += sum(-(-c // 16) for _ in range(rows * columns))
        found["beat"] += sum(-(-m // 16) for _ in range(r * s * c))
        if at[3:] == (0, 0, 0):
            found["output_row"] += q * p * -(-m // width)
        for _ in range(r * s * -(-m // width) * -(-c // width)):
            new = True
            for _, column in itertools.product(range(q), range(0, p, width)):
                taken = max(min(width, p - column), 4)
                found["array"] += width if new else taken
                new = False
    return found


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ((8, 4, 4, 4, 3, 3), MAPPED),
        ((8, 16, 10, 10, 3, 3), "Q5 C2 - L2[WI] K8X - L1[O] R3 S3 Q2 C8X - L0[W] P10"),
        ((16, 4, 9, 9, 2, 2), "P3 Q3 K2 R2 - L2[WI] K8X - L1[O] S2 C4 Q3 - L0[W] P3"),
        ((8, 8, 7, 7, 4, 4), "P7 S4 - L2[WI] K4X - L1[O] K2 R4 C4 Q7 C2X - L0[W] N1"),
        ((4, 20, 12, 4, 3, 3), "Q4 P3 - L2[WI] K4X - L1[O] R3 S3 C5 P4 C4X - L0[W] N1"),
    ],
)
def test_counts_are_those_of_the_executed_loops(sizes: tuple[int, ...], text: str) -> None:
    layer = toolkit.conv2d(*sizes)
    text = text if text == MAPPED else f"L3[WIO] {text}"
    found = counts(layer, text)
    expected = executed(layer, text)
    assert found["convolution_tile"] == expected.pop("tiles")
    assert {name: found[name] for name in expected} == expected


@given(st.integers(0, 2**31), st.sampled_from([(24, 10, 6, 4, 3), (40, 18, 9, 1, 1)]))
def test_the_array_is_never_faster_than_its_lanes(seed: int, sizes: tuple[int, ...]) -> None:
    m, c, p, q, r = sizes
    layer = toolkit.conv2d(m, c, p, q, r, r)
    generator = np.random.default_rng(seed)
    space = MapSpace(ARCH, layer)
    factors = toolkit.sample(space, 20, generator)[0]
    found = program_counts(layer, factors)
    width = array_width(layer, factors)
    assert (found.setups.sum(axis=(1, 2)) >= 1).all()
    assert (found.array_cycles.sum(axis=1) * width**2 >= layer.macs).all()
    beats = found.transfers[:, :, TRANSFERS.index("beat")].sum(axis=1)
    assert (16 * beats >= m * c * r * r).all()


def with_cycles(**cycles_per: float) -> LatencyCorrection:
    cycles = dict.fromkeys(ACTIVITIES, 0.0) | cycles_per
    return LatencyCorrection(GEMMINI.file.model_copy(update={"cycles_per": cycles}))


@pytest.mark.parametrize(
    ("cycles_per", "of_a_tile"),
    [
        ({}, 9 * 16),
        ({"convolution_tile": 200}, 200),
        ({"beat": 1.5, "output_row": 4}, 72 * 1.5 + 16 * 4),
        ({"convolution_tile": 200, "beat": 1.5, "output_row": 10}, 72 * 1.5 + 160),
    ],
)
def test_a_tile_takes_what_takes_longest(cycles_per: dict[str, float], of_a_tile: float) -> None:
    """Setting it up, 9 blocks of 16 outputs, or its transfers; there are two tiles."""
    correction = with_cycles(run=1000, **cycles_per)
    factors = to_arrays(mapped(LAYER, MAPPED), ARCH, LAYER)[0]
    both = correction.latency_cycles(ARCH, LAYER, np.stack([factors, factors]))
    assert both.tolist() == [1000 + 2 * of_a_tile] * 2


def test_smaller_tiles_at_the_edge_take_less() -> None:
    """10 outputs by 4: sides of 4, 4 and 2, 9 tiles."""
    layer = toolkit.conv2d(4, 4, 10, 10, 3, 3)
    text = "L3[WIO] P5 Q5 - L2[WI] K4X - L1[O] R3 S3 Q2 C4X - L0[W] P2"
    factors = to_arrays(mapped(layer, text), ARCH, layer)[0][None]
    factors[0, 0, 1:3], factors[0, 3, 2], factors[0, 5, 1] = 3, 4, 4
    latency = with_cycles().latency_cycles(ARCH, layer, factors)[0]
    assert latency == 9 * (4 * 16 + 2 * (2 * 4) + 2 * 16 + (2 * 4))


def test_an_evaluation_gets_the_latency_and_its_provenance() -> None:
    evaluation = toolkit.evaluate(mapped(LAYER, MAPPED), ARCH, LAYER)
    corrected = GEMMINI.corrected(evaluation)
    factors = to_arrays(mapped(LAYER, MAPPED), ARCH, LAYER)[0][None]
    expected = GEMMINI.latency_cycles(ARCH, LAYER, factors)[0]
    assert corrected.latency_cycles == expected
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


def test_counts_that_wrap_around_are_said() -> None:
    layer = toolkit.conv2d(64, 3, 112, 112, 7, 7, stride=2)
    text = "L3[WIO] P4 Q112 K8 S7 - L2[WI] N1 K4X - L1[O] K2 R7 P7 C3X - L0[W] P4"
    evaluation = toolkit.evaluate(mapped(layer, text), ARCH, layer)
    assert any("wraps around" in note for note in GEMMINI.corrected(evaluation).notes)


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
    del data["cycles_per"]["beat"]
    with pytest.raises(
        InputError, match="x.yaml: cycles_per: expected cycles per run, product_tile"
    ):
        read_correction(dump_yaml(data).encode(), "x.yaml")
    data["cycles_per"] = {"beat": -1.0}
    with pytest.raises(InputError, match="x.yaml: cycles_per.beat: expected at least 0"):
        read_correction(dump_yaml(data).encode(), "x.yaml")


def test_the_packaged_correction_is_better_than_none_where_it_has_not_learnt() -> None:
    scores = GEMMINI.file.cross_validation
    ours, theirs = scores.corrected, scores.uncorrected
    assert list(ours) == list(theirs)
    assert ours["all"].pairs_right is not None
    assert ours["all"].pairs_right > 0.9
    assert ours["all"].median_error_percent < 15
    for kind, found in ours.items():
        assert found.pairs_right is not None
        assert found.pairs_right >= (theirs[kind].pairs_right or 0)
        assert found.median_error_percent <= theirs[kind].median_error_percent


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
