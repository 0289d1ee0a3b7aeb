"""Words fetched beside those wanted, as `evaluate` and `explain` tell them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import toolkit
from toolkit.cli.app import main

MACHINE = """\
name: bursts
kernel: gemm
levels:
  - memory: DRAM
    capacity_words: unlimited
    access_energy_pj: 10
    bandwidth_words_per_cycle: 8
    word_bits: 8
    burst_bytes: 8
    layout: {weight: [K, M]}
  - memory: Buffer
    capacity_words: 64
    access_energy_pj: 1
    bandwidth_words_per_cycle: 8
  - compute: MAC
    mac_energy_pj: 0.2
"""

MAPPING = {
    "levels": [
        {"level": "DRAM", "factors": {"M": 8, "K": 2}, "order": ["N", "M", "K"]},
        {"level": "Buffer", "factors": {"M": 2, "K": 4}, "order": ["N", "M", "K"]},
        {"level": "MAC", "factors": {}},
    ]
}


@pytest.fixture
def paths(tmp_path: Path) -> tuple[str, str]:
    """Weights, 16 x 8 and column by column, come in tiles of 2 x 4."""
    arch, mapping = tmp_path / "bursts.yaml", tmp_path / "mapping.json"
    arch.write_text(MACHINE)
    mapping.write_text(json.dumps(MAPPING))
    return str(arch), str(mapping)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return " ".join(capsys.readouterr().out.split())


def test_words_fetched_beside_those_wanted(
    paths: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    arch, mapping = paths
    workload = "gemm:M=16,K=8,N=1"
    text = run(capsys, "evaluate", arch, workload, mapping)
    assert "drains in bursts" in text
    assert "DRAM weight 128 0 0 0 512" in text
    found = json.loads(run(capsys, "evaluate", arch, workload, mapping, "--json"))
    rows = {(row["level"], row["tensor"]): row for row in found["accesses"]}
    assert rows["DRAM", "weight"]["reads_total_words"] == 128
    assert rows["DRAM", "weight"]["fetched_total_words"] == 512
    assert rows["DRAM", "weight"]["energy_total_pj"] == 5120
    assert "fetched_total_words" not in rows["Buffer", "weight"]
    text = run(capsys, "explain", arch, workload, mapping)
    assert "reads: 128 words, 512 in whole bursts" in text


def test_values_with_bits_take_words_then_bursts(
    paths: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    arch, mapping = paths
    text = run(capsys, "explain", arch, "gemm:M=16,K=8,N=1,weight_bits=4", mapping)
    assert "reads: 128 values of 4 bits in 64 words, 512 in whole bursts" in text


def test_tables_lack_what_no_burst_moves() -> None:
    problem = toolkit.make_problem(toolkit.load_arch("gemmini"), toolkit.gemm(16, 16, 16))
    result = toolkit.search_mappings(problem, "greedy", budget=toolkit.Budget(evaluations=200))
    found = toolkit.evaluate(result.mapping, problem.arch, problem.workload)
    assert "fetched_total_words" not in found.access_table()
