from pathlib import Path

import pytest

from toolkit.errors import InputError, MappingError
from toolkit.mapping.explain import violations
from toolkit.mapping.loop_nest import render
from toolkit.mapping.mapping import LevelMapping, Mapping
from toolkit.mapping.space import MapSpace

from .spaces import EYERISS, arch, conv1d, fanout, gemm, memory

GOLDEN = Path(__file__).parents[1] / "data"


def test_a_gemm_on_eyeriss():
    mapping = Mapping(
        (
            LevelMapping("DRAM", (("M", 8), ("N", 64)), ("N", "M", "K")),
            LevelMapping("GlobalBuffer", (("K", 16), ("N", 64)), ("N", "K", "M")),
            LevelMapping("SACols", (("M", 2), ("K", 4))),
            LevelMapping("SARows", (("M", 12),)),
            LevelMapping("InRegister", (), ("M", "K", "N")),
            LevelMapping("WRegister", (("K", 16),), ("M", "K", "N")),
            LevelMapping("OutRegister", (("M", 16),), ("M", "K", "N")),
            LevelMapping("MAC", ()),
        )
    )
    text = render(mapping, EYERISS, gemm(3072, 1024, 4096))
    assert violations(MapSpace(EYERISS, gemm(3072, 1024, 4096)), mapping) == ()
    assert text == (GOLDEN / "nest_eyeriss_gemm.txt").read_text(encoding="utf-8")


STRIP = arch(
    memory("DRAM"),
    fanout("PEs", 4, "M"),
    memory("Register", 64, bypasses=("weight",), multiple_buffering=2.0),
)
STRIP_MAPPING = Mapping(
    (
        LevelMapping("DRAM", (("P", 4),), ("P", "M", "R")),
        LevelMapping("PEs", (("M", 3),)),
        LevelMapping("Register", (("P", 2), ("R", 3)), ("R", "P", "M")),
        LevelMapping("MAC", ()),
    )
)


def test_a_strided_convolution():
    text = render(STRIP_MAPPING, STRIP, conv1d(3, 8, 3, stride=2))
    assert text == (GOLDEN / "nest_strided_conv.txt").read_text(encoding="utf-8")


def test_footprint_rule_is_honoured():
    text = render(STRIP_MAPPING, STRIP, conv1d(3, 8, 3, stride=2), footprint="stride_blind")
    assert "Register: In 4 + Out 2 = 6 x 2 copies of 64 words" in text
    with pytest.raises(InputError, match="footprint rule"):
        render(STRIP_MAPPING, STRIP, conv1d(3, 8, 3), footprint="exact")


def test_another_architecture():
    with pytest.raises(MappingError, match="levels"):
        render(STRIP_MAPPING, EYERISS, gemm(2, 2, 2))


RAGGED = arch(
    memory("DRAM"),
    memory("Buffer", 1000, may_bypass=("weight",)),
    fanout("PEs", 4, "MK"),
    memory("Register", 64),
)
RAGGED_MAPPING = Mapping(
    (
        LevelMapping("DRAM", (("M", 7), ("K", 2)), ("M", "K", "N")),
        LevelMapping("Buffer", (("M", 2), ("N", 5)), ("N", "M", "K"), ("W",)),
        LevelMapping("PEs", (("M", 4),)),
        LevelMapping("Register", (("M", 2), ("K", 5), ("N", 3)), ("M", "K", "N")),
        LevelMapping("MAC", ()),
    )
)


def test_tiles_that_are_cut_off_and_tensors_left_out():
    text = render(RAGGED_MAPPING, RAGGED, gemm(101, 9, 14))
    assert text == (GOLDEN / "nest_ragged_gemm.txt").read_text(encoding="utf-8")
    space = MapSpace(RAGGED, gemm(101, 9, 14), factors="ragged")
    assert violations(space, RAGGED_MAPPING) == ()


def test_perfect_factors_have_no_last_rounds():
    text = render(RAGGED_MAPPING, RAGGED, gemm(112, 10, 15))
    assert "#" not in text
    assert "leaves out W" in text


def test_no_tile_is_shown_larger_than_the_workload():
    text = render(RAGGED_MAPPING, RAGGED, gemm(97, 9, 14))
    assert "DRAM: In 126 + W 873 + Out 1,358 = 2,357 of unlimited words" in text
    assert "for m in 0..7  # tiles of 16, the last 1\n" in text


def test_factors_with_idle_iterations_are_no_cut_off_tiles():
    text = render(RAGGED_MAPPING, RAGGED, gemm(96, 10, 15))
    assert "#" not in text
    assert "DRAM: In 150 + W 1,120 + Out 1,680 = 2,950 of unlimited words" in text
