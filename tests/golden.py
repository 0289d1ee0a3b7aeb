"""Reads golden cases of the FactorFlow reference model into the toolkit's own types."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.constraints import FactorConstraint
from toolkit.arch.levels import Compute, Fanout, Level, Memory
from toolkit.workload.kernel import Role, Tensor, Term, Workload

ROLES: dict[str, Role] = {"in": "input", "w": "weight", "out": "output"}
UNLIMITED = 2**64 - 1


@dataclass(frozen=True)
class GoldenCase:
    """One case: inputs in our types, expected statistics as the file gives them."""

    id: str
    arch: Architecture
    workload: Workload
    factors: np.ndarray
    order: np.ndarray
    bias_read: bool
    settings: dict[str, bool]
    expected: dict[str, Any]


def read_golden(path: Path) -> Iterator[GoldenCase]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield golden_case(json.loads(line))


def golden_case(record: dict[str, Any]) -> GoldenCase:
    workload = golden_workload(record["workload"], record["id"])
    arch = Architecture(
        record["arch"]["name"], tuple(golden_level(entry) for entry in record["arch"]["levels"])
    )
    dims = workload.dimensions
    factors = np.array([[e["factors"].get(d, 1) for d in dims] for e in record["mapping"]])
    order = np.tile(np.arange(len(dims)), (len(arch.levels), 1))
    for i, entry in enumerate(record["mapping"]):
        if isinstance(arch.levels[i], Memory):
            order[i] = [dims.index(d) for d in entry["order"]]
    return GoldenCase(
        record["id"],
        arch,
        workload,
        factors,
        order,
        record["bias_read"],
        record.get("settings", {}),
        record["expected"],
    )


def golden_workload(entry: dict[str, Any], name: str) -> Workload:
    coupling, sizes, strides = entry["coupling"], entry["sizes"], entry["strides"]
    tensors = []
    for short, role in ROLES.items():
        named = coupling[f"{short}_strides"]
        indices = tuple(
            tuple(Term(d, strides.get(named.get(d, ""), 1)) for d in index)
            for index in coupling[short]
        )
        tensors.append(Tensor(role, role, indices))
    return Workload(name, "golden", {d: sizes[d] for d in coupling["dims"]}, tuple(tensors))


def golden_level(entry: dict[str, Any]) -> Level:
    constraints = tuple(_constraint(k, v) for k, v in entry["factor_constraints"].items())
    name, area = entry["name"], entry["area"]
    if entry["type"] == "memory":
        return Memory(
            name,
            None if entry["size"] == UNLIMITED else entry["size"],
            entry["read_energy"],
            entry["write_energy"],
            entry["read_bandwidth"],
            entry["write_bandwidth"],
            entry["leakage_energy"],
            tuple(ROLES[short] for short in entry["bypasses"]),
            entry["multiple_buffering"],
            entry["multiple_reuses"],
            constraints,
            tuple(entry["loop_order_constraint"]),
            area,
        )
    if entry["type"] == "fanout":
        return Fanout(
            name,
            entry["mesh"],
            tuple(entry["dims"]),
            entry["spatial_multicast_support"],
            entry["spatial_reduction_support"],
            entry["selective_multicast_support"],
            entry["selective_reduction_support"],
            entry["pe_to_pe"],
            entry["power_gating_support"],
            constraints,
            area,
        )
    return Compute(
        name,
        entry["compute_energy"],
        entry["cycles"],
        entry["mesh"],
        tuple(entry["dims"]),
        entry["leakage_energy"],
        constraints,
        area,
    )


def _constraint(key: str, value: int) -> FactorConstraint:
    for relation in ("<=", ">="):
        if key.endswith(relation):
            return FactorConstraint(key[: -len(relation)], relation, value)
    return FactorConstraint(key, "==", value)
