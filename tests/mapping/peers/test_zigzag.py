from __future__ import annotations

import pytest

import toolkit
from toolkit.errors import MappingError
from toolkit.mapping.peers.zigzag import mapping_from_zigzag, mapping_to_zigzag, zigzag_names

from ..spaces import arch as small_arch
from ..spaces import fanout, gemm, memory
from .levels import ARCHS, GEMMINI, LAYER, loops

YAML = """\
- name: default
  core_allocation: [1]
  spatial_mapping:
    D1:
      - K, 4
    D2:
      - C, 3
  temporal_ordering:
    - [FY, 3]  # at Accumulator
    - [C, 2]   # at accumulator
    - [OX, 4]  # at Accumulator
    - [K, 2]  # at DRAM
    - [OY, 4] # at DRAM
  memory_operand_links: {O: O, W: I2, I: I1}
"""
EXPECTED = [
    ("DRAM", [("P", 4), ("M", 2)]),
    ("Scratchpad", []),
    ("Columns", [("M", 4)]),
    ("Accumulator", [("Q", 4), ("C", 2), ("R", 3)]),
    ("Rows", [("C", 3)]),
    ("Register", []),
    ("MAC", []),
]
ORDERING = """\
Loop ordering for layer; O[b][k][oy][ox] = W[k][c][fy][fx] * I[b][c][iy][ix]
============================================================================
Temporal Loops                       O            W            I
============================================================================
for OY in [0, 4):                    DRAM         Scratchpad   DRAM
----------------------------------------------------------------------------
  for K in [0, 2):                   DRAM         DRAM         Scratchpad
----------------------------------------------------------------------------
    for OX in [0, 4):                Accumulator  Register     Scratchpad
----------------------------------------------------------------------------
      for C in [0, 2):               Accumulator  Scratchpad   Scratchpad
----------------------------------------------------------------------------
        for FY in [0, 3):            Accumulator  Scratchpad   Scratchpad
----------------------------------------------------------------------------
============================================================================
Spatial Loops
============================================================================
          parfor C in [0, 3):
----------------------------------------------------------------------------
          parfor K in [0, 4):
----------------------------------------------------------------------------
"""


def read(text, arch=GEMMINI, workload=LAYER):
    return mapping_from_zigzag(text, arch, workload, source="map")


@pytest.mark.parametrize("text", [YAML, ORDERING, ORDERING.replace("\n", "\r\n")])
def test_two_forms_of_one_mapping(text):
    assert loops(read(text)) == EXPECTED


@pytest.mark.parametrize(
    "spatial",
    [
        "{D1: [K, 4], D2: [C, 3]}",
        '{D1: ["K,4"], D2: [[C, 3]]}',
        '{columns: [K, 4], Rows: "C, 3"}',
        "{D1: [[K, 2], [K, 2]], D2: [C, 3], D3: [OX, 1]}",
    ],
)
def test_ways_to_write_spatial_loops(spatial):
    head, _, rest = YAML.partition("  spatial_mapping:\n")
    temporal = rest[rest.index("  temporal_ordering") :]
    assert loops(read(f"{head}  spatial_mapping: {spatial}\n{temporal}")) == EXPECTED


def test_a_star_is_the_rest():
    text = YAML.replace("[C, 2]", '[C, "*"]').replace("[OY, 4]", '[OY, "*"]')
    assert loops(read(text)) == EXPECTED


def test_written_mappings_say_where_every_loop_is():
    text = mapping_to_zigzag(read(YAML), GEMMINI, LAYER)
    assert "    - [OX, 4]  # at Accumulator\n    - [K, 2]  # at DRAM\n" in text
    assert "    D1:  # Columns\n      - K, 4\n" in text


def test_unmarked_loops_go_to_the_innermost_memory_where_tiles_fit():
    arch = small_arch(
        memory("DRAM"),
        memory("Buffer", 12),
        fanout("PEs", 2, "M"),
        memory("Register", 2, bypasses=("input", "output")),
    )
    text = """
    - name: default
      spatial_mapping: {D1: [K, 2]}
      temporal_ordering:
        - [C, 2]  # the two weights of a Register; Buffer: 2 + 4 + 2 = 8 of 12 words
        - [D, 2]  # indexes no weight; Buffer: 4 + 4 + 4 = 12
        - [K, 2]  # a third and fourth weight do not fit, nor would Buffer's 4 + 8 + 8
        - [D, 2]  # further out than the loop before, though of another dimension
    """
    found = mapping_from_zigzag(text, arch, gemm(4, 2, 4))
    assert loops(found) == [
        ("DRAM", [("N", 2), ("M", 2)]),
        ("Buffer", []),
        ("PEs", [("M", 2)]),
        ("Register", [("N", 2), ("K", 2)]),
        ("MAC", []),
    ]


def test_unmarked_loops_respect_bounds_and_one_loop_per_dimension():
    arch = small_arch(memory("DRAM"), memory("Buffer"), memory("Register", None, "K <= 2"))
    text = "- temporal_ordering: [[C, 2], [C, 2], [D, 2], [C, 2], [D, 2]]"
    found = mapping_from_zigzag(text, arch, gemm(1, 8, 4))
    assert loops(found) == [
        ("DRAM", [("N", 2), ("K", 2)]),
        ("Buffer", [("N", 2), ("K", 2)]),
        ("Register", [("K", 2)]),
        ("MAC", []),
    ]


def test_marked_and_unmarked_loops_mix():
    text = YAML.replace("# at accumulator", "").replace("[FY, 3]  # at Accumulator", "[FY, 3]")
    found = dict(loops(read(text)))
    assert found["Accumulator"] == [("Q", 4), ("C", 2), ("R", 3)]


def test_entries_are_chosen_by_name_then_kind_then_default():
    other = YAML.replace("[K, 2]", "[K, 1]")
    for name in ("layer", "Conv"):
        text = other + YAML.replace("name: default", f"name: {name}")
        assert loops(read(text)) == EXPECTED
    assert loops(read(YAML.replace("default", "whatever"))) == EXPECTED
    with pytest.raises(MappingError, match="no entry for layer; expected one of layer, Conv, def"):
        read(YAML.replace("default", "a") + YAML.replace("default", "b"))


def test_orderings_are_chosen_by_name():
    other = ORDERING.replace("ordering for layer", "ordering for Layer1").replace("OY", "OX")
    assert loops(read(other + "\n" + ORDERING)) == EXPECTED
    with pytest.raises(MappingError, match="line 24: 2 of 2 loop orderings are for layer"):
        read(ORDERING + "\n\n" + ORDERING)


def test_loops_that_a_tensor_does_not_have_may_be_anywhere_in_its_memories():
    # ZigZag moves them further inside, which changes no tile.
    assert "OX in [0, 4):                Accumulator  Register" in ORDERING
    assert loops(read(ORDERING.replace("DRAM         Scratchpad", "DRAM         Register  "))) == (
        EXPECTED
    )


def test_gemm_names_are_those_of_onnx():
    workload, arch = toolkit.gemm(16, 16, 16), ARCHS["gemmini"]
    text = "- {spatial_mapping: {D1: [K, 16], D2: [C, 16]}, temporal_ordering: [[D, 16]]}"
    found = mapping_from_zigzag(text, arch, workload)
    assert dict(loops(found))["SARows"] == [("M", 16)]
    assert dict(loops(found))["SACols"] == [("K", 16)]
    assert dict(loops(found))["Register"] == [("N", 16)]


@pytest.mark.parametrize(
    ("workload", "names"),
    [
        (toolkit.batched_gemm(2, 2, 2, 2), {"B": "B", "K": "M", "C": "K", "D": "N"}),
        (toolkit.conv1d(2, 2, 2, 2), {"K": "M", "C": "C", "OX": "P", "FX": "R"}),
        (
            toolkit.depthwise_conv2d(2, 2, 2, 2, 2),
            {"G": "C", "OY": "P", "OX": "Q", "FY": "R", "FX": "S"},
        ),
        (
            toolkit.grouped_conv2d(2, 2, 2, 2, 2, 2, 2, n=2),
            {
                "B": "N",
                "G": "G",
                "K": "M",
                "C": "C",
                "OY": "P",
                "OX": "Q",
                "FY": "R",
                "FX": "S",
            },
        ),
        (toolkit.transposed_conv2d(2, 2, 2, 2, 2, 2), {d: d for d in "MPQCRS"}),
    ],
)
def test_names_by_kernel(workload, names):
    given = {theirs: ours for theirs, ours in zigzag_names(workload).items() if ours}
    assert given == names


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[OY, 4]", "[OY, 5]", r"line 13: factors of P multiply to 5 but P is 4: \[OY, 5\]"),
        ("[OY, 4]", "[OY, 0]", r"line 13: \[OY, 0\]: expected an integer from 1"),
        ("[OY, 4]", "[OY, 4.5]", r"line 13: \[OY, 4.5\]: expected a positive integer, got 4.5"),
        ("[OY, 4]", "[OZ, 4]", "line 13: .*unknown dimension 'OZ'; expected one of K, C, OX"),
        ("[OY, 4]", "[G, 4]", "line 13: .*has no dimension that G stands for"),
        ("[OY, 4]", "[OY]", r"temporal_ordering: expected a loop such as \[C, 8\], got a list"),
        ("[OY, 4]", "['*', '*']", r"line 13: \[\*, \*\] leaves loops open"),
        ("[OX, 4]", "[OX, '*'] \n    - [OX, '*']", r"line 12: \[OX, \*\]: a second \* for OX"),
        ("[OX, 4]", "[OX, 3] \n    - [OX, '*']", "line 12: .*multiply to 3, which does not div"),
        ("# at DRAM", "# at DRUM", "line 12: unknown level 'DRUM' .did you mean 'DRAM'"),
        ("# at accumulator", "# at DRAM", "line 11: .*OX, 4. at Accumulator is outside of a loop"),
        ("D1:", "D7:", "line 4: spatial_mapping: unknown array dimension 'D7'; gemmini-ws has D1"),
        ("D1:", "D2:", "appears twice"),
        ("D1:\n      - K, 4", "Rows:\n      - C, 3", "line 6: .*a second entry for 'D2'"),
        ("- K, 4", "- FX, 4", "line 5: .*spatial loop D1: FX, 4 unrolls S over Columns"),
        ("- K, 4", "- K 4", "line 5: D1: expected a loop such as 'K, 16', got 'K 4'"),
        ("- K, 4", "- K, x", "line 5: D1: K, x: expected a positive integer, got 'x'"),
        ("core_allocation", "core_alocation", "line 2: unknown key .*did you mean 'core_alloc"),
        ("- name", "- temporal_ordering: []\n- name", "a second entry for 'default'"),
    ],
)
def test_wrong_yaml_is_explained(old, new, message):
    assert old in YAML
    with pytest.raises(MappingError, match=f"map: .*{message}"):
        read(YAML.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a list of entries with name and temporal_ordering, got nothing"),
        ("a: 1", "expected a list of entries with name and temporal_ordering, got a mapping"),
        ("- 1", "line 1: expected an entry .a mapping., got 1"),
        ("- {name: 1}", "line 1: name: expected text, got 1"),
        ("- name: default", "line 1: no temporal_ordering, so ZigZag would search for one"),
        ("- {spatial_mapping: 1}", "line 1: spatial_mapping: expected loops by array dimension"),
        ("- {temporal_ordering: 1}", "line 1: temporal_ordering: expected a list of loops, got 1"),
        ("- {temporal_ordering: []}", "no loop over M, but M is 8"),
    ],
)
def test_incomplete_yaml_is_explained(text, message):
    with pytest.raises(MappingError, match=f"map: .*{message}"):
        read(text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("OY in [0, 4)", "OY in [0, 3)", "line 5: factors of P multiply to 3 but P is 4"),
        ("OY in [0, 4)", "OZ in [0, 4)", "line 5: for OZ in .*unknown dimension 'OZ'"),
        ("OY in [0, 4)", "OY in [0, 4.0)", "line 5: .*expected a positive integer"),
        ("for OY in [0, 4)", "for OY in 4", "line 5: 'for OY in 4.*is not a loop such as"),
        ("DRAM         Scratchpad", "DRAM", "line 5: for OY in .*2 memories for 3 tensors"),
        ("DRAM         Scratchpad", "DRUM         Scratchpad", "line 5: unknown level 'DRUM'"),
        ("O            W            I", "O  W  Z", "line 3: Temporal Loops: unknown tensor 'Z'"),
        (
            "DRAM         DRAM         Scratchpad",
            "Accumulator  DRAM         Scratchpad",
            "line 7: for K in .*no memory of gemmini-ws from Accumulator outwards can iterate it "
            "with output in Accumulator, weight in DRAM .an uneven mapping.",
        ),
        ("parfor C in [0, 3)", "parfor FX in [0, 3)", "line 18: spatial loops parfor FX .*cannot"),
        ("parfor C in [0, 3)", "parfor C in [0, 3000)", "cannot be placed on gemmini-ws: Columns"),
    ],
)
def test_wrong_orderings_are_explained(old, new, message):
    assert old in ORDERING
    with pytest.raises(MappingError, match=f"map: .*{message}"):
        read(ORDERING.replace(old, new))


def test_the_same_loop_twice_at_a_memory_is_refused():
    text = YAML.replace("[OX, 4]", "[OX, 2]").replace(
        "    - [C, 2] ", "    - [OX, 2]  # at Accumulator\n    - [C, 2] "
    )
    with pytest.raises(MappingError, match="Accumulator: .*a second loop over Q there"):
        read(text)
    adjacent = text.replace("    - [C, 2]   # at accumulator\n", "").replace("- C, 3", "- C, 6")
    assert dict(loops(read(adjacent)))["Accumulator"] == [("Q", 4), ("R", 3)]
