"""Named ports and wires of fanouts on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolkit.cli.app import main

ARCH = """
name: wired
levels:
  - memory: DRAM
    capacity_words: unlimited
    access_energy_pj: 64
    ports:
      read: {serves: [reads], bandwidth_words_per_cycle: 8}
      any: {serves: [reads, updates], bandwidth_words_per_cycle: 2}
  - {memory: Buffer, capacity_words: 4096, access_energy_pj: 2, bandwidth_words_per_cycle: 64}
  - fanout: PEs
    mesh: 8
    dimensions: [M, K]
    wire_energy_pj_per_bit_hop: 0.125
    word_bits: 8
    bandwidth_words_per_cycle: 4
  - {memory: Register, capacity_words: 16, access_energy_pj: 0.5, bandwidth_words_per_cycle: 6}
  - {compute: MAC, mac_energy_pj: 1}
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> tuple[int, str, str]:
        return main(words), *capsys.readouterr()

    return call


@pytest.fixture
def arch(tmp_path: Path) -> str:
    path = tmp_path / "wired.yaml"
    path.write_text(ARCH)
    return str(path)


def test_map_shows_ports_and_networks(run: Any, arch: str) -> None:
    words = ("map", arch, "gemm:M=16,K=16,N=16", "--strategy", "exact")
    status, out, err = run(*words)
    assert status == 0, err
    for text in ("read + any", "Networks (words", "PEs network inwards", "proved optimal"):
        assert text in out
    record = json.loads(run(*words, "--json")[1])
    assert [row["port"] for row in record["ports"]] == [
        "any port",
        "read + any ports",
        "read port",
        "write port",
        "network inwards",
        "network outwards",
        "read port",
        "write port",
    ]
    wires = [row for row in record["energies"] if row["level"] == "PEs"]
    spent = sum(row["energy_total_pj"] for row in record["networks"])
    assert len(wires) == 1
    assert 0 < wires[0]["energy_total_pj"] == pytest.approx(spent)


def test_explain_names_the_network(run: Any, arch: str) -> None:
    saved = str(Path(arch).with_name("mapping.yaml"))
    assert run("map", arch, "16", "16", "16", "--save", saved)[0] == 0
    words = ("explain", arch, "gemm:M=16,K=16,N=16", saved)
    status, out, err = run(*words)
    assert status == 0, err
    assert "PEs network, " in out
    record = json.loads(run(*words, "--json")[1])
    shares = [part["share_percent"] for part in record["energy"]]
    assert sum(shares) == pytest.approx(100)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("serves: [reads]", "serves: [fills]", "levels[0].ports.read.serves: fills: never passes"),
        ("serves: [reads, updates]", "serves: [reads]", "levels[0].ports: no port serves updates"),
        ("word_bits: 8", "hop_mm: 8", "levels[2]: expected energy of wires as unicast_energy_pj;"),
    ],
)
def test_bad_files(run: Any, arch: str, old: str, new: str, message: str) -> None:
    Path(arch).write_text(ARCH.replace(old, new))
    status, out, err = run("map", arch, "8", "8", "8")
    assert (status, out) == (2, "")
    assert f"{arch}: {message}" in err


def test_conventions_that_do_not_count_crossings(run: Any, arch: str) -> None:
    status, _, err = run("map", arch, "8", "8", "8", "--conventions", "factorflow")
    assert status == 2
    assert "levels[2]: PEs has wires, and the conventions factorflow do not say" in err
