import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import MappingError
from toolkit.mapping.bypasses import held, may_leave_out, with_holds
from toolkit.mapping.explain import violations
from toolkit.mapping.files import (
    mapping_from_dict,
    mapping_to_dict,
    read_mapping,
    write_mapping,
)
from toolkit.mapping.mapping import from_arrays, to_arrays
from toolkit.mapping.sampling import sample
from toolkit.mapping.space import MapSpace

from .spaces import all_valid, arch, fanout, gemm, memory, spaces

ARCH = arch(memory("DRAM", order="NM"), fanout("PEs", 4, "M"), memory("Reg"))
WORKLOAD = gemm(8, 4, 2)


CHOOSING = arch(
    memory("DRAM"),
    memory("Buffer", may_bypass=("In", "weight")),
    fanout("PEs", 4, "MK"),
    memory("Reg", bypasses=("In",), may_bypass=("output",)),
)


def levels(dram=None, pes=None, register=None):
    return {
        "levels": [
            {"level": "DRAM", **(dram or {})},
            {"level": "PEs", **(pes or {})},
            {"level": "Reg", **(register or {})},
            {"level": "MAC"},
        ]
    }


@given(spaces())
def test_mappings_survive_writing_and_reading(space):
    if not all_valid(space):
        return
    factors, order = sample(space, 1, np.random.default_rng(0))
    mapping = from_arrays(factors[0], order[0], space.arch, space.workload)
    assert mapping_from_dict(mapping_to_dict(mapping), space.arch, space.workload) == mapping


@given(*(st.integers(1, 13) for _ in "mkn"), st.integers(0, 2**32 - 1))
def test_ragged_factors_and_bypasses_survive_writing_and_reading(m, k, n, seed):
    rng = np.random.default_rng(seed)
    workload = gemm(m, k, n)
    space = MapSpace(CHOOSING, workload, factors="ragged")
    factors, order = sample(space, 1, rng)
    holds = held(CHOOSING, workload)
    holds &= ~(may_leave_out(CHOOSING, workload) & (rng.random(holds.shape) < 0.5))
    mapping = from_arrays(factors[0], order[0], CHOOSING, workload)
    mapping = with_holds(mapping, holds, CHOOSING, workload)
    data = mapping_to_dict(mapping)
    assert mapping_from_dict(json.loads(json.dumps(data)), CHOOSING, workload) == mapping
    assert violations(space, mapping) == ()
    chosen = [entry["level"] for entry in data["levels"] if "bypasses" in entry]
    assert chosen == [x.level for x in mapping.levels if x.bypasses is not None]


def choosing(buffer=None, pes=None, register=None):
    given = {"Buffer": buffer, "PEs": pes, "Reg": register}
    return {
        "levels": [
            {"level": x.name} | ({"bypasses": given[x.name]} if given.get(x.name) else {})
            for x in CHOOSING.levels
        ]
    }


def test_bypasses_name_tensors_or_roles():
    for words in (["W", "In"], ["weight", "input"], ["weight", "W", "In"]):
        mapping = mapping_from_dict(choosing(words, None, ["In", "output"]), CHOOSING, WORKLOAD)
        assert [mapping.levels[i].bypasses for i in (0, 1, 3)] == [
            None,
            ("In", "W"),
            ("In", "Out"),
        ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (choosing(["Out"]), "m.yaml: Buffer.bypasses: Buffer cannot leave out Out: tiny lets a"),
        (choosing(["Wight"]), "m.yaml: Buffer.bypasses: unknown tensor 'Wight'; small has In, W"),
        (choosing(None, ["W"]), "m.yaml: PEs.bypasses: PEs is not a memory"),
        (choosing(None, None, ["Out"]), "m.yaml: Reg.bypasses: Reg cannot hold In, which it"),
        (choosing("W"), r"m.yaml: levels\[1\].bypasses: expected a list, got 'W'"),
    ],
)
def test_bypasses_that_the_architecture_forbids_are_refused(data, message):
    with pytest.raises(MappingError, match=message):
        mapping_from_dict(data, CHOOSING, WORKLOAD, source="m.yaml")


@pytest.mark.parametrize("name", ["best.yaml", "best.json"])
def test_mappings_survive_files(tmp_path, name):
    data = levels({"factors": {"M": 2, "N": 2}, "order": ["N", "M", "K"]}, {"factors": {"M": 4}})
    data["levels"][2]["factors"] = {"K": 4}
    mapping = mapping_from_dict(data, ARCH, WORKLOAD)
    write_mapping(tmp_path / name, mapping)
    assert read_mapping(tmp_path / name, ARCH, WORKLOAD) == mapping
    if name.endswith(".json"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert json.loads(text) == mapping_to_dict(mapping)


def test_factors_and_orders_may_be_left_out():
    mapping = mapping_from_dict(levels({"factors": {"M": 8}}), ARCH, WORKLOAD)
    factors, _ = to_arrays(mapping, ARCH, WORKLOAD)
    assert factors.tolist() == [[8, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]]
    # N must be outside of M at DRAM; K is free and comes as far out as it may.
    assert mapping.levels[0].order == ("K", "N", "M")
    assert mapping.levels[2].order == ("M", "K", "N")
    assert mapping.levels[1].order == ()


def test_orders_may_leave_out_loops_of_one_iteration():
    data = levels(register={"factors": {"K": 4, "M": 2}, "order": ["K", "M"]})
    mapping = mapping_from_dict(data, ARCH, WORKLOAD)
    assert mapping.levels[2].order == ("N", "K", "M")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "map.yaml: expected a mapping, got 3"),
        ({}, "map.yaml: levels: this key is required and missing"),
        (levels({"factor": {}}), r"levels\[0\].factor: unknown key .*factors"),
        (levels({"factors": {"M": 0}}), r"levels\[0\].factors.M: expected at least 1, got 0"),
        (levels({"factors": {"M": 2.0}}), r"levels\[0\].factors.M: expected an integer, got 2.0"),
        (levels({"factors": {"M": True}}), r"factors.M: expected an integer, got true"),
        (levels({"factors": {"Q": 2}}), r"levels\[0\].factors: unknown dimension 'Q'; small has"),
        (levels({"order": ["Q"]}), r"levels\[0\].order: unknown dimension 'Q'"),
        (levels({"order": ["M", "M"]}), r"levels\[0\].order: M repeated"),
        (
            levels({"factors": {"M": 2, "K": 2}, "order": ["M"]}),
            r"levels\[0\].order: K missing, but every dimension that iterates",
        ),
        (levels(pes={"order": ["M"]}), r"levels\[1\].order: PEs is not a memory"),
        ({"levels": [{"level": "DRAM"}]}, "levels: missing PEs, Reg, MAC; expected the levels"),
        (levels() | {"levels": [{"level": "DRAN"}]}, "unknown level .DRAN. .did you mean 'DRAM'"),
        ({**levels(), "architecture": "tpu"}, "architecture: the mapping is for 'tpu', expected"),
        ({**levels(), "workload": "huge"}, "workload: the mapping is for 'huge', expected"),
    ],
)
def test_refusals_name_the_place(data, message):
    with pytest.raises(MappingError, match=message):
        mapping_from_dict(data, ARCH, WORKLOAD, source="map.yaml")


def test_refusals_name_the_file(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("levels: 3\n", encoding="utf-8")
    with pytest.raises(MappingError, match=r"bad\.yaml: levels: expected a list, got 3"):
        read_mapping(path, ARCH, WORKLOAD)
    with pytest.raises(MappingError, match="no such file"):
        read_mapping(tmp_path / "none.yaml", ARCH, WORKLOAD)
