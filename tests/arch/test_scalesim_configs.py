"""SCALE-Sim's configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

import toolkit
from toolkit.arch import load_arch
from toolkit.errors import ArchitectureError

CONFIG = """
[general]
run_name = tile

[architecture_presets]
ArrayHeight:    12
ArrayWidth:     14
IfmapSramSzkB:   36
FilterSramSzkB:  18
OfmapSramSzkB:   9
IfmapOffset:    0
Dataflow : ws
Bandwidth : 10

[run_presets]
InterfaceBandwidth: CALC
"""


def config(folder: Path, *changes: tuple[str, str]) -> str:
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "a.cfg").write_text(text)
    return f"{folder}/a.cfg:default_energies=1"


def test_every_operand_has_a_buffer_of_two_halves(tmp_path: Path) -> None:
    arch = load_arch(config(tmp_path))
    assert arch.name == "tile:default_energies=1"
    capacities = {memory.name: memory.capacity_words for memory in arch.memories}
    assert capacities == {
        "DRAM": None,
        "IfmapSram": 36864,
        "FilterSram": 18432,
        "OfmapSram": 9216,
        "Register": 1,
    }
    assert [memory.multiple_buffering for memory in arch.memories[1:4]] == [2, 2, 2]
    assert [level.mesh for level in arch.fanouts] == [12, 14]


@pytest.mark.parametrize(
    ("dataflow", "rows", "columns", "kept"),
    [
        ("ws", "CRSK", "M", "weight"),
        ("os", "PQN", "M", "output"),
        ("is", "CRSK", "PQN", "input"),
    ],
)
def test_the_dataflow_says_what_runs_where(
    tmp_path: Path, dataflow: str, rows: str, columns: str, kept: str
) -> None:
    arch = load_arch(config(tmp_path, ("Dataflow : ws", f"Dataflow : {dataflow}")))
    assert [level.dimensions for level in arch.fanouts] == [tuple(rows), tuple(columns)]
    assert set(arch.memories[-1].bypasses) == {"input", "weight", "output"} - {kept}
    for workload in ("conv:M=16,C=8,P=7,Q=7,R=3,S=3", "gemm:M=16,K=8,N=4"):
        problem = toolkit.make_problem(arch, toolkit.load_workload(workload))
        found = toolkit.search_mappings(problem, "random", budget=toolkit.Budget(evaluations=10))
        assert found.evaluations > 0


def test_an_interface_limits_where_the_user_says_so(tmp_path: Path) -> None:
    arch = load_arch(config(tmp_path, ("CALC", "USER")))
    assert (arch.memories[0].read_bandwidth, arch.memories[0].write_bandwidth) == (20, 10)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ArrayHeight:    12", "", "architecture_presets.ArrayHeight: this key is required"),
        (
            "ArrayHeight:    12",
            "ArrayHeight: 0",
            "ArrayHeight: expected an integer from 1, got '0'",
        ),
        ("Dataflow : ws", "Dataflow : rs", "Dataflow: expected one of ws, os, is, got 'rs'"),
        ("[architecture_presets]", "[presets]", r"expected a section \[architecture_presets\]"),
        ("CALC", "FAST", "InterfaceBandwidth: expected CALC or USER, got 'FAST'"),
        ("[run_presets]", "[general]", "a.cfg: not a configuration: .* already exists"),
    ],
)
def test_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        load_arch(config(tmp_path, (old, new)))


def test_energies_are_estimates_only_on_request(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match="give no energies; accept estimates with the par"):
        load_arch(config(tmp_path).partition(":")[0])
