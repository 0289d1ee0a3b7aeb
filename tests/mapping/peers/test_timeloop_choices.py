"""Timeloop's mappings with last rounds, bypasses of their own, and names of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import toolkit
from toolkit.errors import MappingError
from toolkit.mapping.peers.timeloop import mapping_from_timeloop, mapping_to_timeloop

from ..spaces import arch as small_arch
from ..spaces import fanout, gemm, memory
from .levels import GEMMINI, LAYER, loops

DATA = Path(__file__).parents[2] / "data"
PLAIN = small_arch(memory("DRAM"), memory("Buf", 100000), name="pos")
ARRAY = small_arch(memory("DRAM"), memory("Buf"), fanout("PEs", 14, "K"), memory("Reg"))


def read(text, arch=PLAIN, workload=None):
    return mapping_from_timeloop(text, arch, workload or gemm(64, 64, 64), source="map")


def nest(k_dram, k_buf, k_pes, k_reg):
    """A product with K = 64 on `ARRAY`."""
    return f"""
    - {{target: DRAM, type: temporal, factors: 'M=4 K={k_dram}', permutation: KMN}}
    - {{target: Buf, type: temporal, factors: 'K={k_buf} N=3', permutation: KMN}}
    - {{target: Buf, type: spatial, factors: 'K={k_pes}', permutation: KMN}}
    - {{target: Reg, type: temporal, factors: 'K={k_reg}', permutation: KMN}}
    """


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        (("2", "51,13", "1", "1"), [2, 51, 1, 1]),
        (("51,51", "2,2", "1,1", "1"), None),
        (("1", "5,5", "14,8", "1"), [1, 5, 14, 1]),
        (("3", "2,1", "4", "3"), None),
        (("3", "2", "4,2", "3,1"), [3, 2, 4, 3]),
        # The outermost loop over a dimension has no round but its last one.
        (("9,2", "51,13", "1", "1"), [2, 51, 1, 1]),
        (("9,1", "14,5", "5", "3,4"), None),
        (("9,1", "7,5", "14,8", "1"), [1, 5, 14, 1]),
    ],
)
def test_last_rounds_end_at_the_size(factors, expected):
    workload = gemm(4, 64, 3)
    if expected is None:
        with pytest.raises(MappingError):
            read(nest(*factors), ARRAY, workload)
        return
    mapping = read(nest(*factors), ARRAY, workload)
    assert [level.factor("K") for level in mapping.levels[:4]] == expected
    space = toolkit.MapSpace(ARRAY, workload, factors="ragged")
    assert toolkit.violations(space, mapping) == ()
    assert read(mapping_to_timeloop(mapping, ARRAY, workload), ARRAY, workload) == mapping


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        (
            ("2", "51,12", "1", "1"),
            "line 3: Buf: Buf temporal K=51,12: with their last rounds, the loops over K reach "
            "63 but K is 64; tiles of these factors end with 13",
        ),
        (
            ("2", "13,51", "1", "1"),
            "line 3: Buf: Buf temporal K=13,51: the last round over K has 51 iterations and the "
            "others 13; tiles are aligned here",
        ),
        (("2", "1,63", "1", "1"), "K=1,63: the last round over K has 63 iterations and the oth"),
        (("2", "51", "1", "1"), "factors of K multiply to 102 but K is 64"),
        (("2", "51,0", "1", "1"), "Buf temporal K=51,0: expected an integer from 1"),
        (("2", "51,x", "1", "1"), "K=51.*expected a positive integer, got 'x'|unknown dimension"),
        (("0", "51,13", "1", "1"), "the factor 0 of K stands for the rest, which is not unique"),
    ],
)
def test_last_rounds_that_do_not_fit_are_refused(factors, message):
    with pytest.raises(MappingError, match=message):
        read(nest(*factors), ARRAY, gemm(4, 64, 3))


def test_a_comma_in_braces_is_explained():
    text = "- {target: DRAM, type: temporal, factors: M=64 K=2,1 N=64, permutation: KMN}"
    with pytest.raises(MappingError, match="unknown key '1 N=64'|quote factors"):
        read(text)
    text = "- {target: DRAM, type: temporal, factors: M=64 N=64 K=2,1, permutation: KMN}"
    with pytest.raises(MappingError, match="quote factors with last rounds: 'C=51,13'"):
        read(text)


@pytest.mark.parametrize("comma", [",", "/"])
def test_all_syntaxes_have_last_rounds(comma):
    workload = replace(LAYER, sizes=LAYER.sizes | {"M": 7, "P": 10})
    compact = f"L3[WIO] P4 M2 - L2[WI] N1 K4{comma}3X - L1[O] P3{comma}1 Q4 C2 R3 C3X - L0[W] N1"
    printed = f"""\
DRAM [ Weights:144 (144) Inputs:144 (144) Outputs:128 (128) ]
| for P in [0:4)
|   for K in [0:2)
Scratchpad [ Weights:72 (72) Inputs:72 (72) ]
|       for K in [0:4{comma}3) (Spatial-X)
Accumulator [ Outputs:4 (4) ]
|         for P in [0:3{comma} 1)
|         for Q in [0:4)
|           for C in [0:2)
|             for R in [0:3)
|               for C in [0:3) (Spatial-Y)
"""
    mapping = read(compact, GEMMINI, workload)
    assert dict(loops(mapping))["Columns"] == [("M", 4)]
    assert dict(loops(mapping))["Accumulator"] == [("P", 3), ("Q", 4), ("C", 2), ("R", 3)]
    assert read(printed, GEMMINI, workload) == mapping


CHOOSING = small_arch(
    memory("DRAM"),
    memory("Buf", may_bypass=("input", "weight")),
    memory("Reg", bypasses=("input",), may_bypass=("output",)),
)
BYPASS = """
- {target: DRAM, type: temporal, factors: M=4 K=4 N=4, permutation: KMN}
- {target: Buf, type: bypass, keep: [Outputs], bypass: [Weights]}
- {target: Reg, type: datatype, keep: [W], bypass: [In, Outputs]}
"""


def choices(mapping):
    return [level.bypasses for level in mapping.levels]


def test_bypasses_of_a_mapping_are_its_choice():
    workload = gemm(4, 4, 4)
    mapping = read(BYPASS, CHOOSING, workload)
    assert choices(mapping) == [None, ("W",), ("In", "Out"), None]
    text = mapping_to_timeloop(mapping, CHOOSING, workload)
    assert "keep: [Inputs, Outputs]\n    bypass: [Weights]" in text
    assert read(text, CHOOSING, workload) == mapping
    compact = read("L2[WIO] M4 K4 N4 - L1[IO] - L0[W]", CHOOSING, workload)
    assert choices(compact) == choices(mapping)
    printed = "DRAM [ W:1 In:1 Out:1 ]\n for M in [0:4)\n for K in [0:4)\n for N in [0:4)\n"
    printed += "Buf [ In:1 Out:1 ]\nReg [ W:1 ]\n"
    assert choices(read(printed, CHOOSING, workload)) == choices(mapping)


def test_what_the_architecture_says_is_no_choice():
    text = BYPASS.replace("bypass: [Weights]", "bypass: []").replace(", Outputs]", "]")
    assert choices(read(text, CHOOSING, gemm(4, 4, 4))) == [None] * 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "keep: [Outputs], bypass: [Weights]",
            "bypass: [Weights, Outputs]",
            "line 3: Buf bypass: bypasses Outputs at Buf, which holds it in tiny; there a mapping "
            "may leave out In, W",
        ),
        ("keep: [Outputs]", "keep: [Weights]", "Buf bypass: keeps and bypasses W"),
        ("keep: [W]", "keep: [In]", "Reg bypass: keeps In in Reg, which bypasses it in tiny"),
        ("target: Buf", "target: DRAM", "bypasses Weights at DRAM, .* may leave out nothing"),
        ("[Weights]", "[Wights]", "unknown tensor 'Wights'"),
    ],
)
def test_bypasses_that_are_not_permitted_are_refused(old, new, message):
    assert old in BYPASS
    with pytest.raises(MappingError, match=f"map: .*{message}"):
        read(BYPASS.replace(old, new), CHOOSING, gemm(4, 4, 4))


@pytest.mark.parametrize("name", ["timeloop_inner_first.yaml", "timeloop_outer_first.yaml"])
def test_other_names_are_read_the_right_way_round(name):
    """Two listings of the same mapping: a product whose inner buffer holds all weights."""
    text = (DATA / name).read_text(encoding="utf-8")
    arch = toolkit.Architecture(
        "pos",
        (
            toolkit.Memory("DRAM", None, 64, 64, 8, 8),
            toolkit.Memory("Buf", 100000, 1, 1, 32, 32),
            toolkit.Compute("MAC", 0.2),
        ),
    )
    workload = toolkit.gemm(64, 64, 64)
    mapping = mapping_from_timeloop(text, arch, workload)
    assert loops(mapping) == [("DRAM", [("N", 64)]), ("Buf", [("M", 64), ("K", 64)]), ("MAC", [])]
    assert toolkit.evaluate(mapping, arch, workload).energy_pj == pytest.approx(1_895_628.8)


def listed(*names, outer="M=1 K=1 N=64", inner="M=64 K=64 N=1", last=""):
    """Entries of `outer`, then of `inner`, in the order of the names."""
    factors = (outer, inner) if len(names) == 2 else (outer, "M=1 K=1 N=1", inner)
    return "".join(
        f"- {{target: {name}, type: temporal, factors: {text}, permutation: KMN}}\n"
        for name, text in zip(names, factors, strict=True)
    ) + last  # fmt: skip


FORWARD = [("N", 64)]
BACKWARD = [("M", 64), ("K", 64)]


@pytest.mark.parametrize(
    ("names", "dram"),
    [
        (("DRAM", "Inner"), FORWARD),
        (("Inner", "DRAM"), FORWARD[:0] + BACKWARD),
        (("Outer", "Buf"), FORWARD),
        (("Buf", "Outer"), BACKWARD),
        (("off_chip", "Level"), FORWARD),
        (("Level", "LPDDR4"), BACKWARD),
        (("Level", "PE_RF"), FORWARD),
        (("RegisterFile", "Level"), BACKWARD),
    ],
)
def test_names_tell_the_order(names, dram):
    """`FORWARD` is what the first entry loops over, `BACKWARD` the last one."""
    assert dict(loops(read(listed(*names))))["DRAM"] == dram


@pytest.mark.parametrize("names", [("A", "B"), ("DDR4", "HBM2"), ("Region1", "Region2")])
def test_an_order_that_nothing_tells_is_refused(names):
    message = (
        f"map: line 1: levels '{names[0]}', '{names[1]}' may be listed outermost first or "
        "innermost first, and make different mappings; expected the names of the memories of "
        "pos: DRAM, Buf"
    )
    with pytest.raises(MappingError, match=message):
        read(listed(*names))


def test_levels_of_other_names_are_announced():
    message = "map: levels of other names .* of pos, in their order: Level for Buf, LPDDR4 for D"
    with pytest.warns(UserWarning, match=message):
        read(listed("Level", "LPDDR4"))


def test_a_name_of_another_kind_is_refused():
    arch = small_arch(memory("DRAM"), memory("GLB"), memory("Reg"))
    with pytest.raises(MappingError, match="level 'HBM' would stand for GLB, but its name says"):
        read(listed("DRAM", "HBM", "A"), arch)
    with pytest.raises(MappingError, match="'RF' would stand for GLB, .* says registers; expect"):
        read(listed("Main", "RF", "A"), arch)


def test_a_known_name_in_the_middle_does_not_tell():
    arch = small_arch(memory("DRAM"), memory("Buf"), memory("Reg"))
    with pytest.raises(MappingError, match="levels 'A', 'Buf', 'B' may be listed"):
        read(listed("A", "Buf", "B"), arch)


def test_what_levels_can_do_tells_the_order():
    spatial = "- {target: B, type: spatial, factors: K=4, permutation: K}\n"
    two = small_arch(memory("DRAM"), fanout("PEs", 4, "K"), memory("Buf"))
    inner = "M=64 K=16 N=1"
    found = read(listed("A", "B", inner=inner, last=spatial), two)
    assert dict(loops(found))["DRAM"] == [("M", 64), ("K", 16)]
    found = read(listed("B", "A", inner=inner, last=spatial), two)
    assert dict(loops(found))["DRAM"] == [("N", 64)]
    sums = small_arch(memory("DRAM"), memory("Sums", bypasses=("input", "weight")))
    keep = "- {target: A, type: bypass, keep: [Outputs], bypass: [Inputs, Weights]}\n"
    assert dict(loops(read(listed("A", "B", last=keep), sums)))["DRAM"] == BACKWARD


def test_a_capacity_does_not_tell_the_order():
    """Who asks what a mapping costs that does not fit must not get the cost of another one."""
    small = small_arch(memory("DRAM"), memory("Buf", 200), name="pos")
    with pytest.raises(MappingError, match="may be listed outermost first or innermost first"):
        read(listed("A", "B"), small)


def test_levels_that_do_the_same_need_no_order():
    mapping = read(listed("A", "B", outer="M=8 K=8 N=8", inner="M=8 K=8 N=8"))
    assert mapping.levels[0].factors == mapping.levels[1].factors


def test_names_that_fit_neither_way_are_refused_as_before():
    with pytest.raises(MappingError, match="unknown level 'A'; 3 levels are named here; pos has"):
        read(listed("A", "B", "C"))
    spatial = "- {target: A, type: spatial, factors: K=2, permutation: K}\n"
    with pytest.raises(MappingError, match="spatial loop A spatial K=2, but no fanout lies"):
        read(listed("A", "B", inner="M=64 K=32 N=1", last=spatial))
