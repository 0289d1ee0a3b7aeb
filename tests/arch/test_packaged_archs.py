from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import toolkit
from toolkit import Technology
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
from toolkit.arch.summary import summarize
from toolkit.arch.technology import priced

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


def without_word_bits(arch: Architecture) -> Architecture:
    levels = (replace(x, word_bits=None) if isinstance(x, Memory) else x for x in arch.levels)
    return replace(arch, levels=tuple(levels))


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_every_figure_is_the_references(name: str) -> None:
    reference = Architecture(name, tuple(level(entry) for entry in REFERENCE[name]["levels"]))
    # What its words are is no figure of FactorFlow's.
    assert without_word_bits(load_arch(name)) == reference


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


TECHNOLOGIES = {
    "gemmini-chip": Technology(22),
    "nvdla": Technology(16),
    "tensor-core-sm": Technology(7, operators="horowitz", clock_ghz=1.41),
    "tpu-v1": Technology(28, clock_ghz=0.7),
}


@pytest.mark.parametrize("name", TECHNOLOGIES)
def test_energies_are_those_of_the_technology_that_the_file_names(name: str) -> None:
    arch = load_arch(name)
    assert arch.clock_mhz == pytest.approx(1000 * TECHNOLOGIES[name].clock_ghz)
    expected = priced(arch, load_arch_file(name).components(), TECHNOLOGIES[name])
    for ours, theirs in zip(arch.levels, expected.levels, strict=True):
        assert energies(ours) == pytest.approx(energies(theirs), rel=1e-3)


def energies(level: Level) -> tuple[float, ...]:
    if isinstance(level, Compute):
        return (level.mac_energy_pj,)
    return (level.read_energy_pj, level.write_energy_pj) if isinstance(level, Memory) else ()


def test_energies_of_the_eyeriss_chip_are_multiples_of_a_mac() -> None:
    arch = load_arch("eyeriss-chip")
    mac = arch.compute.mac_energy_pj
    assert mac == pytest.approx(Technology(65, operators="horowitz").mac(16, 16).energy_pj, 2e-3)
    times = [round(memory.read_energy_pj / mac, 9) for memory in arch.memories]
    assert times == [200, 6, 6, 1, 1, 1]


# Multiply-accumulates per second: Eyeriss' 33.6 G, half of the TPU's 92 T operations, and of the
# 312 T of an A100 with 108 of these.
PEAKS = {"eyeriss-chip": 33.6e9, "tpu-v1": 46e12, "tensor-core-sm": 156e12 / 108, "nvdla": 64e9}


@pytest.mark.parametrize("name", PEAKS)
def test_peaks_are_the_published_ones(name: str) -> None:
    file = load_arch_file(name)
    assert file.clock_mhz is not None
    assert summarize(file).lanes * file.clock_mhz * 1e6 == pytest.approx(PEAKS[name], rel=5e-3)


BUILT = {
    "eyeriss-chip": "conv:N=2,M=32,C=6,P=13,Q=13,R=3,S=3,bits=16",
    "gemmini-chip": "gemm:M=64,K=64,N=64,bits=8,sum_bits=32",
    "gemmini-rtl": "conv:M=32,C=16,P=14,Q=14,R=3,S=3,bits=8,sum_bits=32",
    "nvdla": "conv:M=32,C=16,P=14,Q=14,R=3,S=3,bits=8,sum_bits=34",
    "tensor-core-sm": "gemm:M=128,K=64,N=128,bits=16,sum_bits=32",
    "tpu-v1": "gemm:M=512,K=512,N=512,bits=8,sum_bits=32",
}


@pytest.mark.parametrize("name", BUILT)
def test_machines_that_were_built_run_a_layer(name: str) -> None:
    problem = toolkit.make_problem(load_arch(name), toolkit.load_workload(BUILT[name]))
    budget = toolkit.Budget(evaluations=20_000)
    found = toolkit.search_mappings(problem, "greedy", budget=budget, seed=0)
    evaluation = toolkit.evaluate(found.mapping, problem.arch, problem.workload)
    assert evaluation.valid
    assert evaluation.latency_cycles >= evaluation.macs / summarize(load_arch_file(name)).lanes


@pytest.mark.parametrize(
    ("name", "layer"),
    [("tpu", "gemm:M=1024,K=1024,N=8192"), ("tpu-conv", "conv:M=256,C=256,P=64,Q=64,R=3,S=3")],
)
def test_factorflows_tpu_never_exceeds_a_sixteenth_of_its_peak(name: str, layer: str) -> None:
    workload = toolkit.load_workload(layer)
    problem = toolkit.make_problem(
        load_arch(name), workload, objective="latency", conventions=toolkit.STEADY
    )
    fastest = toolkit.search_mappings(problem, "exact")
    assert fastest.proved
    assert workload.macs / fastest.latency_cycles == 65536 / 16


def test_the_published_tpu_does() -> None:
    workload = toolkit.load_workload("gemm:M=4096,K=4096,N=2048,bits=8,sum_bits=32")
    problem = toolkit.make_problem(
        load_arch("tpu-v1"), workload, objective="latency", conventions=toolkit.STEADY
    )
    budget = toolkit.Budget(evaluations=50_000)
    found = toolkit.search_mappings(problem, "greedy", budget=budget, seed=0)
    assert workload.macs / found.latency_cycles > 0.9 * 65536


def resnet50() -> Iterator[tuple[str, int]]:
    """Its layers (He et al., CVPR 2016) and how often each stands there."""
    conv = "conv:M={},C={},P={},Q={},R={},S={},stride={},bits=8,sum_bits=34"
    yield conv.format(64, 3, 112, 112, 7, 7, 2), 1
    for m, c, p, blocks, stride in (
        (64, 64, 56, 3, 1),
        (128, 256, 28, 4, 2),
        (256, 512, 14, 6, 2),
        (512, 1024, 7, 3, 2),
    ):
        yield conv.format(m, c, p, p, 1, 1, stride), 1
        yield conv.format(4 * m, c, p, p, 1, 1, stride), 1
        yield conv.format(m, m, p, p, 3, 3, 1), blocks
        yield conv.format(4 * m, m, p, p, 1, 1, 1), blocks
        yield conv.format(m, 4 * m, p, p, 1, 1, 1), blocks - 1
    yield conv.format(1000, 2048, 1, 1, 1, 1, 1), 1


# Frames per second at 1 GHz: the primer of NVDLA says 269 and 7.3, for which it gives no account.
@pytest.mark.parametrize(
    ("settings", "expected"),
    [("atomic_c=64,atomic_k=32,buffer_kib=512,dram_gb_per_s=20", 269), ("atomic_c=8", 14.0)],
)
def test_nvdla_runs_resnet50_at_this_rate(settings: str, expected: float) -> None:
    arch, cycles = load_arch(f"nvdla:{settings}"), 0.0
    budget = toolkit.Budget(evaluations=10_000)
    for layer, times in resnet50():
        workload = toolkit.load_workload(layer)
        problem = toolkit.make_problem(arch, workload, objective="latency")
        found = toolkit.search_mappings(problem, "greedy", budget=budget, seed=0)
        cycles += times * found.latency_cycles
    assert 1e9 / cycles == pytest.approx(expected, rel=0.08)
