"""Mappings with tiles that are cut off and bypasses of their own, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from toolkit.cli.app import main

ARCH = """
name: tiny
levels:
- {memory: DRAM, capacity_words: unlimited, access_energy_pj: 64, bandwidth_words_per_cycle: 16}
- memory: Buffer
  capacity_words: 400
  access_energy_pj: 1
  bandwidth_words_per_cycle: 64
  may_bypass: [weight]
- {fanout: PEs, mesh: 4, dimensions: [M, K]}
- {memory: Reg, capacity_words: 64, access_energy_pj: 0.1, bandwidth_words_per_cycle: 64}
- {compute: MAC, mac_energy_pj: 0.2}
"""
MAPPING = """
levels:
- {level: DRAM, factors: {M: 7, K: 2}, order: [M, K]}
- {level: Buffer, factors: {M: 2, N: 5}, bypasses: [weight]}
- {level: PEs, factors: {M: 4}}
- {level: Reg, factors: {M: 2, K: 5, N: 3}}
- {level: MAC}
"""
SIZES = ["101", "9", "14"]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("arch.yaml").write_text(ARCH, encoding="utf-8")
    Path("mapping.yaml").write_text(MAPPING, encoding="utf-8")


def test_they_are_evaluated_shown_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["arch.yaml", *SIZES, "mapping.yaml"]
    assert main(["evaluate", *words]) == 0
    shown = capsys.readouterr().out
    assert "for m in 0..7  # tiles of 16, the last 5" in shown
    assert "Buffer: input 70 + output 224 = 294 of 400 words; leaves out weight" in shown
    assert main(["evaluate", *words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["violations"] == []
    assert main(["explain", *words, "--json"]) == 0
    explained = json.loads(capsys.readouterr().out)
    assert explained["energy_total_pj"] == record["energy_total_pj"]
    assert explained["mapping"] == record["mapping"]
    assert main(["explain", *words]) == 0
    assert "Buffer: 294 of 400 usable words per instance" in capsys.readouterr().out


def test_they_go_to_timeloop_and_come_back(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["arch.yaml", *SIZES]
    assert (
        main(["export", *words, "mapping.yaml", "--format", "timeloop", "--save", "t.yaml"]) == 0
    )
    assert "factors: M=2,1 K=5,4 N=3,2" in Path("t.yaml").read_text(encoding="utf-8")
    records = []
    for name in ("mapping.yaml", "t.yaml"):
        assert main(["evaluate", *words, name, "--json"]) == 0
        records.append(json.loads(capsys.readouterr().out))
    del records[0]["mapping"], records[1]["mapping"]  # Loops of one iteration have no place.
    assert records[0] == records[1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{M: 7, K: 2}", "{M: 8, K: 2}", "DRAM iterates 8 times over M in tiles of 16, but 7"),
        ("N: 5", "N: 4", "factors of N multiply to 12 but N is 14"),
        ("bypasses: [weight]", "bypasses: [output]", "Buffer cannot leave out output: tiny lets"),
        (", bypasses: [weight]", "", "Buffer: footprint 374 words > 300 usable"),
    ],
)
def test_what_is_wrong_is_one_message(
    capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    arch = ARCH.replace("400", "300") if "footprint" in message else ARCH
    Path("arch.yaml").write_text(arch, encoding="utf-8")
    assert old in MAPPING
    Path("mapping.yaml").write_text(MAPPING.replace(old, new), encoding="utf-8")
    assert main(["evaluate", "arch.yaml", *SIZES, "mapping.yaml"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_conventions_that_count_whole_tiles_refuse_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["arch.yaml", *SIZES, "mapping.yaml", "--conventions", "factorflow"]
    assert main(["evaluate", *words]) == 2
    assert "factors of M multiply to 112 but M is 101" in capsys.readouterr().err
