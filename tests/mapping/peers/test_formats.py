from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.errors import InputError, MappingError, ToolkitError
from toolkit.mapping.explain import broken_products
from toolkit.mapping.files import mapping_to_dict
from toolkit.mapping.mapping import to_arrays
from toolkit.mapping.peers import (
    MAPPING_FORMATS,
    detect_format,
    mapping_from_text,
    mapping_to_text,
    read_mapping_text,
)

from .levels import COMPACT, GEMMINI, LAYER, loops, mapped, ragged

MAPPING = mapping_from_text(COMPACT, GEMMINI, LAYER)


@given(mapped(), st.sampled_from(sorted(MAPPING_FORMATS)))
def test_mappings_survive_writing_and_reading(case, name):
    arch, workload, mapping = case
    text = mapping_to_text(mapping, arch, workload, format=name)
    assert detect_format(text) == name
    assert loops(mapping_from_text(text, arch, workload)) == loops(mapping)


@given(ragged(), st.sampled_from(["toolkit", "timeloop", "accelforge"]))
def test_cut_off_tiles_and_chosen_bypasses_survive_writing_and_reading(case, name):
    arch, workload, mapping = case
    if name == "accelforge" and cuts_windows(mapping, workload):
        with pytest.raises(MappingError, match="AccelForge cuts no tile off where windows move"):
            mapping_to_text(mapping, arch, workload, format=name)
        return
    text = mapping_to_text(mapping, arch, workload, format=name)
    read = mapping_from_text(text, arch, workload)
    assert loops(read) == loops(mapping)
    assert [x.bypasses for x in read.levels] == [x.bypasses for x in mapping.levels]


def cuts_windows(mapping, workload):
    """Whether tiles are cut off along a dimension of a convolution's window."""
    return any(
        math.prod(level.factor(d) for level in mapping.levels) > workload.sizes[d]
        for d in "PQRS"
        if d in workload.sizes
    )


@given(ragged())
def test_zigzag_is_told_what_it_can_be_told(case):
    arch, workload, mapping = case
    whole = all(
        math.prod(level.factor(d) for level in mapping.levels) == size
        for d, size in workload.sizes.items()
    )
    chooses = any(level.bypasses is not None for level in mapping.levels)
    if whole and not chooses:
        text = mapping_to_text(mapping, arch, workload, format="zigzag")
        assert loops(mapping_from_text(text, arch, workload)) == loops(mapping)
        return
    message = "leaves out what it holds" if whole else "cuts no tile off"
    with pytest.raises(MappingError, match=message):
        mapping_to_text(mapping, arch, workload, format="zigzag")


TEXTS = {name: mapping_to_text(MAPPING, GEMMINI, LAYER, format=name) for name in MAPPING_FORMATS}
TEXTS["compact"] = COMPACT
TEXTS["cut off"] = COMPACT.replace("Q4", "Q3,1").replace("P4", "P4 Q2")
RAGGED = toolkit.MapSpace(GEMMINI, LAYER, factors="ragged")
ALPHABET = st.one_of(st.sampled_from("0123456789KCPL[](){}:,=*-# \n\tX"), st.characters())


@given(
    st.sampled_from(sorted(TEXTS)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), st.text(ALPHABET, max_size=4))),
    st.sampled_from(["auto", *MAPPING_FORMATS]),
)
def test_damaged_texts_are_read_or_refused(name, edits, given_format):
    text = TEXTS[name]
    for where, length, new in edits:
        start = int(where * len(text))
        text = text[:start] + new + text[start + length :]
    try:
        mapping = mapping_from_text(text, GEMMINI, LAYER, format=given_format)
    except ToolkitError as error:
        assert len(str(error)) < 2000
        return
    # Our own format leaves products to `violations`, which names all mistakes at once.
    factors, _ = to_arrays(mapping, GEMMINI, LAYER)
    if given_format in ("timeloop", "accelforge"):
        assert not list(broken_products(RAGGED, factors.tolist()))
    elif given_format == "zigzag":
        assert factors.prod(axis=0).tolist() == list(LAYER.sizes.values())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (COMPACT, "timeloop"),
        ("\n  L0[W] P2\n", "timeloop"),
        ("DRAM [ Weights:8 (8) ]\n-----\n| for K in [0:4)\n", "timeloop"),
        ("mapping:\n  - target: DRAM\n", "timeloop"),
        ("- target: DRAM\n  type: temporal\n", "timeloop"),
        ("mapping: {version: 0.4, nodes: []}", "timeloop"),
        ("mapping: {nodes: [!Storage {tensors: []}]}", "accelforge"),
        ("- name: default\n  temporal_ordering: []\n", "zigzag"),
        ("Loop ordering for a; O=W*I\n===\nTemporal Loops  O W I\n", "zigzag"),
        ("levels: []", "toolkit"),
        ('{"mapping": {"levels": []}, "energy_pj": 3}', "toolkit"),
        ("", "toolkit"),
        ("no mapping at all", "toolkit"),
    ],
)
def test_formats_are_told_apart_by_their_contents(text, name):
    assert detect_format(text) == name


def test_zigzag_results_in_json_are_refused_with_a_way_out():
    with pytest.raises(MappingError, match=r"r.json: .*loop_ordering.txt"):
        detect_format('{"inputs": {}, "outputs": {}}', source="r.json")


def test_own_format_may_be_part_of_printed_json():
    text = json.dumps({"mapping": mapping_to_dict(MAPPING), "energy_pj": 1.0})
    assert mapping_from_text(text, GEMMINI, LAYER) == MAPPING
    with pytest.raises(MappingError, match="f.json: mapping: holds no mapping"):
        mapping_from_text('{"mapping": null}', GEMMINI, LAYER, source="f.json")


def test_unknown_formats_are_refused():
    with pytest.raises(InputError, match="format: unknown format 'timelop' .*'timeloop'"):
        mapping_from_text(COMPACT, GEMMINI, LAYER, format="timelop")
    with pytest.raises(InputError, match="expected one of toolkit, timeloop, zigzag"):
        mapping_to_text(MAPPING, GEMMINI, LAYER, format="auto")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe", "not UTF-8 text: byte 0xff at offset 0"),
        (b" " * (1 << 20) + b" ", "larger than 1048576 bytes"),
    ],
)
def test_unreadable_files_are_refused(tmp_path, data, message):
    path = tmp_path / "m.txt"
    path.write_bytes(data)
    with pytest.raises(MappingError, match=f"m.txt: {message}"):
        read_mapping_text(path)


@pytest.mark.parametrize("text", [" " * 10**6 + "x", "a" * 10**6, "L0[W] " + "a" * 10**6])
@pytest.mark.parametrize("name", sorted(MAPPING_FORMATS))
def test_long_lines_are_refused_at_once(text, name):
    with pytest.raises(MappingError):
        mapping_from_text(text, GEMMINI, LAYER, format=name)


def test_dimensions_that_no_peer_can_spell_are_refused():
    sizes = {"m n": 2}
    tensors = (toolkit.Tensor("Out", "output", ((toolkit.Term("m n"),),)),)
    workload = toolkit.Workload("odd", "custom", sizes, tensors)
    arch = toolkit.Architecture(
        "tiny", (toolkit.Memory("DRAM", None, 1, 1, 1, 1), toolkit.Compute("MAC", 1))
    )
    mapping = toolkit.Mapping(
        (toolkit.LevelMapping("DRAM", (("m n", 2),), ("m n",)), toolkit.LevelMapping("MAC", ()))
    )
    for name in ("timeloop", "zigzag", "accelforge"):
        with pytest.raises(MappingError, match="odd: dimension 'm n' cannot be written"):
            mapping_to_text(mapping, arch, workload, format=name)


def test_factors_where_nothing_unrolls_are_not_lost():
    workload = toolkit.gemm(2, 1, 1)
    arch = toolkit.Architecture(
        "tiny", (toolkit.Memory("DRAM", None, 1, 1, 1, 1), toolkit.Compute("MAC", 1))
    )
    mapping = toolkit.Mapping(
        (toolkit.LevelMapping("DRAM", ()), toolkit.LevelMapping("MAC", (("M", 2),)))
    )
    for name in ("timeloop", "zigzag", "accelforge"):
        with pytest.raises(MappingError, match="tiny: MAC may unroll nothing"):
            mapping_to_text(mapping, arch, workload, format=name)
