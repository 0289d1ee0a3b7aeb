"""What Gemmini's library makes of mappings: by hand, and valid wherever it is put."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.mapping import MapSpace, from_arrays, to_arrays, violations
from toolkit.mapping.peers.timeloop import mapping_from_timeloop
from toolkit.model import EXACT, make_plan
from toolkit.model.compiled import batch_totals
from toolkit.model.gemmini_library import (
    TILE_ORDER,
    array_width,
    as_library_runs,
    library_tiles,
    wrapped_rows,
)

ARCH = toolkit.load_arch("gemmini-ws")


def factors_of(layer: toolkit.Workload, text: str) -> np.ndarray:
    return to_arrays(mapping_from_timeloop(text, ARCH, layer), ARCH, layer)[0][None]


def tiles(layer: toolkit.Workload, text: str) -> dict[str, tuple[int, int]]:
    """By dimension how many tiles, and how large complete ones are."""
    found = library_tiles(layer, factors_of(layer, text))
    return {d: (int(found.tiles(d)[0]), int(found.extents[d][0])) for d in layer.sizes}


def test_tiles_are_those_of_the_mapping() -> None:
    layer = toolkit.conv2d(8, 4, 4, 4, 3, 3)
    found = tiles(layer, "L3[WIO] K2 Q2 - L2[WI] N1 K4X - L1[O] R3 S3 Q2 C4X - L0[W] P4")
    expected = {"M": (2, 4), "P": (1, 4), "Q": (2, 2), "C": (1, 4), "R": (1, 3), "S": (1, 3)}
    assert found == expected


def test_outputs_run_square() -> None:
    """8 x 2 outputs, 2 x 2 at a time: not 4 tiles but 16."""
    layer = toolkit.conv2d(4, 4, 8, 2, 3, 3)
    found = tiles(layer, "L3[WIO] P4 - L2[WI] K4X - L1[O] R3 S3 Q2 C4X - L0[W] P2")
    assert (found["P"], found["Q"]) == ((4, 2), (4, 2))


def test_filters_of_even_size_leave_one_output_more() -> None:
    layer = toolkit.conv2d(4, 4, 8, 8, 2, 2)
    found = tiles(layer, "L3[WIO] P2 - L2[WI] K4X - L1[O] R2 S2 Q8 C4X - L0[W] P4")
    assert (found["P"], found["Q"]) == ((3, 4), (2, 8))


def test_matrix_products_take_a_block_for_every_sixteen() -> None:
    """On 4 x 4, tiles of 64 x 16 are 4 x 1 blocks; 256 channels are 64 tiles of one."""
    layer = toolkit.conv2d(16, 256, 1, 1, 1, 1)
    found = tiles(layer, "L3[WIO] C4 - L2[WI] K4X - L1[O] K4 C16 C4X - L0[W] N1")
    assert (found["M"], found["C"]) == ((4, 4), (16, 16))


def test_the_library_keeps_sums_until_they_are_complete() -> None:
    layer = toolkit.conv2d(8, 8, 4, 4, 3, 3)
    given_factors = factors_of(layer, "L3[WIO] C2 K2 Q4 - L2[WI] K4X - L1[O] R3 S3 C4X - L0[W] P4")
    workload, factors, order, width = as_library_runs(layer, given_factors)
    assert workload == layer
    assert width.tolist() == [4]
    dimensions = layer.dimensions
    assert "".join(dimensions[i] for i in order[0, 0]) == TILE_ORDER
    arch = toolkit.load_arch("gemmini-rtl:side=4")
    plan = make_plan(arch, workload, EXACT)
    moved = toolkit.evaluate(from_arrays(factors[0], order[0], arch, workload), arch, workload)
    output = next(r for r in moved.accesses if (r.level, r.tensor) == ("DRAM", "output"))
    assert (output.updates, output.reads) == (8 * 16, 0)
    assert batch_totals(plan, factors, order).fits.all()


def rows_of_tiles_beyond(layer: toolkit.Workload, text: str, step: int) -> int:
    """Go through all tiles; those beyond the input load 2^16 rows along one side."""
    found = library_tiles(layer, factors_of(layer, text))
    size, padding = found.sizes, found.sizes["R"] // 2
    inputs = max(layer.sizes["P"], layer.sizes["Q"]) * step
    extent = {d: int(e[0]) for d, e in found.extents.items()}
    total = 0
    for at in itertools.product(*(range(0, size[d], extent[d]) for d in "PRQSMC")):
        p, r, q, s, _, c = (min(extent[d], size[d] - x) for d, x in zip("PRQSMC", at, strict=True))
        blocks = -(-c // int(found.width[0]))
        for first, last, other in (
            (at[0] * step + at[1], (at[0] + p - 1) * step + at[1] + r, (q - 1) * step + s),
            (at[2] * step + at[3], (at[2] + q - 1) * step + at[3] + s, (p - 1) * step + r),
        ):
            if last - padding < 0 or first - padding > inputs:
                total += 2**16 * other * blocks
    return total


@pytest.mark.parametrize(
    ("size", "text", "wraps"),
    [
        (7, "P4 Q28 K2 S7 - L2[WI] K4X - L1[O] R7 P7 C3X - L0[W] N1", True),
        (7, "P4 Q14 K2 S7 - L2[WI] K4X - L1[O] R7 Q2 P7 C3X - L0[W] N1", False),
        (7, "P28 Q28 K2 R7 S7 - L2[WI] K4X - L1[O] C3X - L0[W] N1", True),
        (7, "P4 Q28 K2 - L2[WI] K4X - L1[O] S7 R7 P7 C3X - L0[W] N1", False),
        (6, "P4 K2 C3 R6 - L2[WI] K4X - L1[O] S6 Q28 - L0[W] P7", True),
        (6, "P7 Q7 S3 - L2[WI] K4X - L1[O] K2 S2 R6 Q4 P4 C3X - L0[W] N1", True),
        (6, "K2 Q7 P4 - L2[WI] K4X - L1[O] S6 R6 Q4 P7 C3X - L0[W] N1", False),
        (3, "K2 Q28 P28 S3 R3 - L2[WI] K4X - L1[O] C3X - L0[W] N1", False),
    ],
)
def test_counts_wrap_around_in_tiles_beyond_the_input(size: int, text: str, wraps: bool) -> None:
    """Padding of three: a row of taps and two outputs, stride 2, still ends in the input."""
    layer = toolkit.conv2d(8, 3, 28, 28, size, size, stride=2)
    rows = wrapped_rows(layer, factors_of(layer, f"L3[WIO] {text}"))
    assert rows.tolist() == [rows_of_tiles_beyond(layer, f"L3[WIO] {text}", 2)]
    assert (rows[0] > 0) == wraps


LAYERS = [
    (24, 10, 6, 4, 3),
    (40, 18, 9, 1, 1),
    (16, 16, 5, 5, 2),
    (8, 1, 4, 4, 3),
    (30, 7, 1, 1, 1),
]


@given(st.integers(0, 2**31), st.sampled_from(LAYERS))
def test_what_the_library_runs_is_a_mapping_of_the_layer(
    seed: int, sizes: tuple[int, ...]
) -> None:
    m, c, p, q, r = sizes
    layer = toolkit.conv2d(m, c, p, q, r, r)
    factors, _ = toolkit.sample(MapSpace(ARCH, layer), 12, np.random.default_rng(seed))
    widths = array_width(layer, factors)
    for side in np.unique(widths):
        chosen = factors[widths == side]
        workload, run, order, width = as_library_runs(layer, chosen)
        assert (width == side).all()
        arch = toolkit.load_arch("gemmini-rtl", {"side": int(side)})
        space = MapSpace(arch, workload, factors="ragged")
        for factor, turn in zip(run, order, strict=True):
            assert not violations(space, from_arrays(factor, turn, arch, workload))
