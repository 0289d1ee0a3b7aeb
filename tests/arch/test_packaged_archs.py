from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from toolkit.arch import (
    Architecture,
    Compute,
    FactorConstraint,
    Fanout,
    Level,
    Memory,
    arch_names,
    arch_to_yaml,
    load_arch,
    load_arch_file,
)

DATA = Path(__file__).parent.parent / "data" / "factorflow_library.json.gz"
REFERENCE = json.loads(gzip.decompress(DATA.read_bytes()))["architectures"]
ROLES = {"in": "input", "w": "weight", "out": "output"}
UNLIMITED = 2**64 - 1


def constraints(entry: dict[str, Any]) -> tuple[FactorConstraint, ...]:
    return tuple(
        FactorConstraint(key.rstrip("<="), "<=" if key.endswith("<=") else "==", value)
        for key, value in entry["factor_constraints"].items()
    )


def level(entry: dict[str, Any]) -> Level:
    if entry["type"] == "memory":
        return Memory(
            name=entry["name"],
            capacity_words=None if entry["size"] == UNLIMITED else entry["size"],
            read_energy_pj=entry["read_energy"],
            write_energy_pj=entry["write_energy"],
            read_bandwidth=entry["read_bandwidth"],
            write_bandwidth=entry["write_bandwidth"],
            leakage_pj_per_cycle=entry["leakage_energy"],
            bypasses=tuple(ROLES[operand] for operand in entry["bypasses"]),
            multiple_buffering=entry["multiple_buffering"],
            multiple_reuses=entry["multiple_reuses"],
            constraints=constraints(entry),
            loop_order=tuple(entry["loop_order_constraint"]),
            area_um2=entry["area"],
        )
    if entry["type"] == "fanout":
        return Fanout(
            name=entry["name"],
            mesh=entry["mesh"],
            dimensions=tuple(entry["dims"]),
            multicast=entry["spatial_multicast_support"],
            reduction=entry["spatial_reduction_support"],
            selective_multicast=entry["selective_multicast_support"],
            selective_reduction=entry["selective_reduction_support"],
            pe_to_pe=entry["pe_to_pe"],
            power_gating=entry["power_gating_support"],
            constraints=constraints(entry),
            area_um2=entry["area"],
        )
    return Compute(
        name=entry["name"],
        mac_energy_pj=entry["compute_energy"],
        cycles=entry["cycles"],
        mesh=entry["mesh"],
        dimensions=tuple(entry["dims"]),
        leakage_pj_per_cycle=entry["leakage_energy"],
        constraints=constraints(entry),
        area_um2=entry["area"],
    )


def test_the_packaged_architectures_are_the_references() -> None:
    assert set(arch_names()) >= set(REFERENCE)


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_every_figure_is_the_references(name: str) -> None:
    reference = Architecture(name, tuple(level(entry) for entry in REFERENCE[name]["levels"]))
    assert load_arch(name) == reference


@pytest.mark.parametrize("name", arch_names())
def test_files_are_called_and_described(name: str, tmp_path: Path) -> None:
    file = load_arch_file(name)
    assert file.name == name
    assert file.kernel in ("gemm", "conv")
    assert file.description
    arch = load_arch(name)
    copy = tmp_path / "copy.yaml"
    copy.write_text(arch_to_yaml(arch, description=file.description, kernel=file.kernel))
    assert load_arch(copy) == arch
    assert load_arch_file(copy).description == file.description
    assert load_arch_file(copy).kernel == file.kernel
