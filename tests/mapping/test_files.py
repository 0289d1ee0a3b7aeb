import json

import numpy as np
import pytest
from hypothesis import given

from toolkit.errors import MappingError
from toolkit.mapping.files import (
    mapping_from_dict,
    mapping_to_dict,
    read_mapping,
    write_mapping,
)
from toolkit.mapping.mapping import from_arrays, to_arrays
from toolkit.mapping.sampling import sample

from .spaces import all_valid, arch, deterministic, fanout, gemm, memory, spaces

ARCH = arch(memory("DRAM", order="NM"), fanout("PEs", 4, "M"), memory("Reg"))
WORKLOAD = gemm(8, 4, 2)


def levels(dram=None, pes=None, register=None):
    return {
        "levels": [
            {"level": "DRAM", **(dram or {})},
            {"level": "PEs", **(pes or {})},
            {"level": "Reg", **(register or {})},
            {"level": "MAC"},
        ]
    }


@deterministic
@given(spaces())
def test_mappings_survive_writing_and_reading(space):
    if not all_valid(space):
        return
    factors, order = sample(space, 1, np.random.default_rng(0))
    mapping = from_arrays(factors[0], order[0], space.arch, space.workload)
    assert mapping_from_dict(mapping_to_dict(mapping), space.arch, space.workload) == mapping


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
