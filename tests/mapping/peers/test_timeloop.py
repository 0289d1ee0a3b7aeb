from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

import toolkit
from toolkit.arch import Architecture, Fanout, Memory
from toolkit.errors import MappingError
from toolkit.mapping.peers.timeloop import mapping_from_timeloop, mapping_to_timeloop

from .levels import ARCHS, COMPACT, GEMMINI, LAYER, loops

SAMPLE = Path(__file__).parents[2] / "data" / "timeloop_maps.csv.gz"
EXPECTED = [
    ("DRAM", [("P", 4), ("M", 2)]),
    ("Scratchpad", []),
    ("Columns", [("M", 4)]),
    ("Accumulator", [("Q", 4), ("C", 2), ("R", 3)]),
    ("Rows", [("C", 3)]),
    ("Register", []),
    ("MAC", []),
]
NEST = """\
DRAM [ Weights:144 (144) Inputs:144 (144) Outputs:128 (128) ]
-------------------------------------------------------------
| for P in [0:4)
|   for K in [0:2)

Scratchpad [ Weights:72 (72) Inputs:72 (72) ]
---------------------------------------------
|     for N in [0:1)
|       for K in [0:4) (Spatial-X)

Accumulator [ Outputs:4 (4) ]
-----------------------------
|         for Q in [0:4)
|           for C in [0:2)
|             for R in [0:3)
|               for C in [0:3) (Spatial-Y)

Register [ Weights:1 (1) ]
--------------------------
|                 << Compute >>
"""
YAML = """\
mapping:
  - {target: DRAM, type: temporal, factors: P=4 K=2, permutation: KPCQRS}
  - {target: Scratchpad, type: spatial, factors: [K4], permutation: K}
  - {target: Accumulator, type: temporal, factors: "Q4, C=2 R = 3", permutation: "R,C,Q"}
  - {target: Accumulator, type: spatial, factors: {C: 3}}
  - {target: register, type: datatype, keep: [Weights], bypass: [Inputs, Outputs]}
"""


def read(text, arch=GEMMINI, workload=LAYER):
    return mapping_from_timeloop(text, arch, workload, source="map")


@pytest.mark.parametrize("text", [COMPACT, NEST, YAML, f"\ufeff\n {COMPACT}\r\n"])
def test_three_syntaxes_of_one_mapping(text):
    assert loops(read(text)) == EXPECTED


def sample():
    with gzip.open(SAMPLE, "rt") as file:
        for row in csv.DictReader(file):
            text = row.pop("mapping")
            size = {key: int(value) for key, value in row.items()}
            yield (
                text,
                toolkit.conv2d(
                    *(size[d] for d in "MCPQRS"),
                    stride=(size["Pstride"], size["Qstride"]),
                    dilation=(size["Rdilation"], size["Sdilation"]),
                ),
            )


def test_published_mappings_are_read_as_they_are_written():
    for text, workload in sample():
        mapping = mapping_from_timeloop(text, GEMMINI, workload)
        levels = [words.split()[1:] for words in text.split(" - ")]
        given = dict(loops(mapping))
        memories = [memory.name for memory in GEMMINI.memories]
        inside = {"Scratchpad": "Columns", "Accumulator": "Rows"}
        for name, words in zip(memories, levels, strict=True):
            written = [word.replace("K", "M") for word in words if word[1:] != "1"]
            spatial = [f"{d}{n}X" for d, n in given.get(inside.get(name, ""), [])]
            assert [f"{d}{n}" for d, n in given[name]] + spatial == written


def test_published_mappings_survive_writing():
    for text, workload in list(sample())[::10]:
        mapping = mapping_from_timeloop(text, GEMMINI, workload)
        written = mapping_to_timeloop(mapping, GEMMINI, workload)
        assert mapping_from_timeloop(written, GEMMINI, workload) == mapping


def test_axes_are_the_outer_and_the_inner_of_two_fanouts():
    workload = toolkit.conv2d(8, 2, 1, 7, 1, 3)
    text = "L4[WIO] - L3[IO] Q7X M4Y - L2[I] - L1[W] S3 C2 - L0[O] M2"
    mapping = mapping_from_timeloop(text, ARCHS["eyeriss-conv"], workload)
    assert dict(loops(mapping))["SACols"] == [("Q", 7)]
    assert dict(loops(mapping))["SARows"] == [("M", 4)]
    written = mapping_to_timeloop(mapping, ARCHS["eyeriss-conv"], workload)
    assert "split: 5" in written
    wrong = text.replace("Q7X", "Q7Y")
    with pytest.raises(MappingError, match="Q7Y unrolls Q over SARows, which may unroll S, C, M"):
        mapping_from_timeloop(wrong, ARCHS["eyeriss-conv"], workload)


def test_two_axes_may_be_named_together():
    """As in what Timeloop's front end writes of a container: a storage that holds nothing."""
    axes = (Fanout("PEs_X", 4, ("M", "C")), Fanout("PEs_Y", 4, ("M", "C")))
    levels = [level for level in GEMMINI.levels if isinstance(level, Memory)]
    arch = Architecture("a", (*levels[:2], *axes, *levels[2:], GEMMINI.compute))
    text = """\
mapping:
  - {target: pes, type: datatype, keep: [], bypass: [Weights, Inputs, Outputs]}
  - {target: pes, type: temporal, factors: C1 K1 P1 Q1, permutation: CKPQ}
  - {target: pes, type: spatial, factors: C3 K4, permutation: CK, split: 1}
  - {target: DRAM, type: temporal, factors: P4 K2 Q4 C2 R3, permutation: RCQKP}
"""
    found = dict(loops(read(text, arch)))
    assert (found["PEs_X"], found["PEs_Y"]) == ([("C", 3)], [("M", 4)])
    with pytest.raises(MappingError, match="unknown level 'pes'"):
        read(text.replace("K1 P1", "K2 P1").replace("P4 K2", "P4 K1"), arch)


def test_without_axes_spatial_loops_go_where_they_can():
    workload = toolkit.conv2d(8, 2, 1, 7, 1, 3)
    arch = ARCHS["eyeriss-conv"]
    text = "mapping:\n- {target: GlobalBuffer, type: spatial, factors: C2 M4 Q7}\n"
    text += "- {target: DRAM, type: temporal, factors: M0 S0, permutation: SM}\n"
    mapping = mapping_from_timeloop(text, arch, workload)
    assert dict(loops(mapping))["SACols"] == [("Q", 7)]
    assert dict(loops(mapping))["SARows"] == [("C", 2), ("M", 4)]
    with pytest.raises(MappingError, match="cannot be placed on eyeriss-conv: SACols unrolls Q"):
        mapping_from_timeloop(text.replace("C2 M4", "M8 C2"), arch, workload)


def test_networks_of_the_nest_belong_to_the_memory_above():
    text = NEST.replace(
        "|     for N in [0:1)\n", "|     for N in [0:1)\n\ninter_PE_spatial [ ]\n------\n"
    )
    assert text != NEST
    assert loops(read(text)) == EXPECTED


@pytest.mark.parametrize("level", ["DRAM [", "Scratchpad [", "Accumulator [", "Register ["])
def test_networks_that_unroll_nothing_are_no_levels(level):
    text = NEST.replace(level, f"inter_x_spatial [ ]\n{level}")
    if level == "DRAM [":
        with pytest.raises(MappingError, match="unknown level 'inter_x_spatial'"):
            read(text)
    else:
        assert loops(read(text)) == EXPECTED


def test_levels_of_other_names_count_from_outside():
    text = NEST.replace("DRAM", "MainMemory").replace("Register", "PE Buffer")
    with pytest.warns(UserWarning, match="MainMemory for DRAM, PE Buffer for Register"):
        assert loops(read(text)) == EXPECTED
    swapped = NEST.replace("Scratchpad [", "Temporary [").replace("Accumulator [", "Scratchpad [")
    with pytest.raises(MappingError, match="line 6: unknown level 'Temporary'; 4 levels"):
        read(swapped)


def test_levels_that_iterate_once_may_be_left_out():
    assert loops(read(NEST.replace("Register [ Weights:1 (1) ]", ""))) == EXPECTED
    text = YAML.replace("DRAM", "DRUM").replace("  - {target: register", "  # {target: register")
    with pytest.raises(MappingError, match="line 2: unknown level 'DRUM' .did you mean 'DRAM'"):
        read(text)


def test_zero_and_one_gap_stand_for_the_rest():
    zero = YAML.replace("P=4 K=2", "P=0 K=0")
    assert loops(read(zero)) == EXPECTED
    gap = """
    - {target: DRAM, type: temporal, factors: P=1 Q=1 R=1 C=1, permutation: M}
    - {target: Scratchpad, type: temporal, factors: M=1 Q=1 R=1 C=1, permutation: P}
    - {target: Accumulator, type: temporal, factors: P=1 M=1, permutation: RCQ}
    - {target: Register, type: temporal, factors: P=1 M=1 Q=1 R=1 C=1, permutation: RCQ}
    """
    found = dict(loops(read(gap)))
    assert found["DRAM"] == [("M", 8)]
    assert found["Scratchpad"] == [("P", 4)]
    assert found["Accumulator"] == [("Q", 4), ("C", 6), ("R", 3)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("P4", "P5", r"line 1: factors of P multiply to 5 but P is 4: L3\[WIO\] P5"),
        ("P4 ", "", "no loop over P, but P is 4"),
        ("P4", "Z4", r"L3\[WIO\] Z4: unknown dimension 'Z'; expected one of M, P, Q, C, R, S, K"),
        ("N1 K4X", "N2 K4X", r"L2\[WI\] N2: layer has no dimension that N stands for"),
        ("P4", "P4.0", r"L3\[WIO\]: 'P4.0' is not a loop such as K4 or K4X"),
        ("P4", "P-4", r"'P-4' is not a loop"),
        ("P4", "P0", "P0: expected an integer from 1"),
        ("P4", "P" + "9" * 30, "expected a positive integer"),
        ("P4 M2", "P2 M2 P2", r"DRAM: L3\[WIO\] P2 is a second loop over P there"),
        ("P4 M2", "P4 M2 K1 K2", r"is a second loop over M there"),
        ("L0[W] N1", "L0[W] R3X", r"R3X, but no fanout lies directly inside of Register"),
        ("C3X", "R3X", r"L1\[O\] R3X unrolls R over Rows, which may unroll C"),
        ("L2[WI]", "L2[WO]", r"L2\[WO\]: keeps O in Scratchpad, which bypasses it in gemmini-ws"),
        ("L2[WI]", "L2[W]", r"L2\[W\]: does not keep input in Scratchpad"),
        ("L2[WI]", "L2[WZ]", r"L2\[WZ\]: unknown tensor 'Z'; layer has input, weight, output"),
        ("L2[WI]", "L2WI", "levels .*L2WI.*; expected the 4 memories"),
        ("L2[WI]", "L2[W I", r"'L2\[W' is not a level such as L2\[WI\]"),
        (" - L0[W] N1", "", "expected the 4 memories of gemmini-ws, outermost first: L3 DRAM"),
        ("L3", "L4", "L3 DRAM, L2 Scratchpad, L1 Accumulator, L0 Register"),
        ("N1 K4X", "N1 K4X\nL0[W] N1", "line 2: expected one mapping on one line"),
    ],
)
def test_wrong_lines_are_explained(old, new, message):
    assert old in COMPACT
    with pytest.raises(MappingError, match=f"map: .*{message}"):
        read(COMPACT.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[0:2)", "[0:3)", "line 4: factors of M multiply to 12 but M is 8: .* K in .*line 9"),
        ("for P in [0:4)", "for P in [0:4,2)", "line 3: DRAM: .*loops over P reach 2 but P is 4"),
        ("for P in [0:4)", "for P in [1:4)", "line 3: .*expected a loop from 0"),
        ("for P in [0:4)", "for P in [0:4.5)", "line 3: .*expected a positive integer"),
        ("for P in [0:4)", "for Y in [0:4)", "line 3: for Y in .*unknown dimension 'Y'"),
        ("for P in [0:4)", "P in [0:4)", "line 3: 'P in .*is neither a level"),
        ("for R in [0:3)", "for Q in [0:3)", "line 15: Accumulator: .*second loop over Q"),
        ("Scratchpad", "Accumulator", "level 'Accumulator' appears twice"),
        ("Outputs:4", "Inputs:4", "line 11: Accumulator: keeps Inputs in Accumulator, which"),
    ],
)
def test_wrong_nests_are_explained(old, new, message):
    assert old in NEST
    with pytest.raises(MappingError, match=f"map: .*{message}"):
        read(NEST.replace(old, new))


def test_nests_begin_with_a_level_and_keep_the_order_of_the_levels():
    with pytest.raises(MappingError, match="line 1: for P in .*before the first level"):
        read("for P in [0:4)\n" + NEST)
    first, second, *rest = NEST.split("\n\n")
    with pytest.raises(MappingError, match="line 6: level DRAM is inside of Scratchpad here"):
        read("\n\n".join([second, first, *rest]))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("P=4", "P=3", r"line 2: factors of P multiply to 3 but P is 4: DRAM temporal P=3"),
        ("P=4", "P=x", r"line 2: DRAM temporal P=x: expected a positive integer, got 'x'"),
        ("P=4", "P=4 P=4", "line 2: DRAM temporal P=4: a second factor of P there"),
        ("P=4", "W=4", "line 2: DRAM temporal W=4: unknown dimension 'W'"),
        ("permutation: KPCQRS", "permutation: KPK", "permutation: K appears twice"),
        ("permutation: KPCQRS", "permutation: P", "line 2: DRAM temporal: M missing from the"),
        ("permutation: KPCQRS", "permutation: 7", "permutation: expected dimensions such as CKP"),
        ("type: temporal", "type: temporary", "line 2: DRAM: type: expected one of temporal"),
        ("target: DRAM", "target: 3", "line 2: target: expected the name of a level, got 3"),
        ("target: Scratchpad", "target: Register", "line 3: .*no fanout lies directly inside"),
        ("keep: [Weights]", "keep: [Outputs]", "register bypass: keeps Outputs in Register"),
        ("bypass: [Inputs, Outputs]", "bypass: [Weights]", "bypasses Weights at Register, which"),
        ("keep: [Weights]", "keep: Weights", "keep: expected a list of tensors, got 'Weights'"),
        ("keep: [Weights]", "kept: [Weights]", "line 6: unknown key 'kept' .did you mean 'keep'"),
        ("mapping:", "mapping: []\nx:", "expected a list of directives under mapping"),
        ("factors: [K4]", "factors: [4]", "factors: expected text such as C=3, got 4"),
        ("factors: [K4]", "factors: [K4], split: -1", "split: expected a number of dimensions"),
    ],
)
def test_wrong_yaml_is_explained(old, new, message):
    assert old in YAML
    with pytest.raises(MappingError, match=f"map: .*{message}"):
        read(YAML.replace(old, new, 1))


def test_the_rest_is_given_to_one_level_only():
    text = YAML.replace("P=4", "P=0").replace('"Q4,', '"P=0 Q4,')
    with pytest.raises(
        MappingError, match="line 4: .*the factor 0 of P .*DRAM temporal on line 2"
    ):
        read(text)
    with pytest.raises(MappingError, match="other factors of P multiply to 3, which does not"):
        read(text.replace("Q4,", "Q4 P=3,").replace("P=0 Q4", "Q4"))


def test_a_second_directive_is_refused():
    more = YAML + "  - {target: dram, type: temporal, factors: P=4}\n"
    with pytest.raises(
        MappingError, match="line 7: .*a second temporal directive for DRAM, after"
    ):
        read(more)


def test_gemm_keeps_its_names():
    arch, workload = ARCHS["gemmini"], toolkit.gemm(4, 2, 3)
    mapping = mapping_from_timeloop("L3[WIO] M4 K2 N3 - L2[WI] - L1[O] - L0[W]", arch, workload)
    assert mapping.levels[0].factors == (("M", 4), ("K", 2), ("N", 3))
    assert "factors: M=4 K=2 N=3" in mapping_to_timeloop(mapping, arch, workload)
