"""`toolkit networks` as a user runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cli.test_app import Outcome
from workload.tiny_networks import model, node, value, weight

from toolkit.cli.app import main

FEW = ("--evaluations", "50", "--jobs", "1", "--no-cache")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> Any:
    monkeypatch.chdir(tmp_path)
    for name, rows in (("small", 8), ("large", 64)):
        proto = model(
            [node("MatMul", "x w", "h"), node("Relu", "h")],
            [value("x", ["rows" if name == "large" else rows, 16])],
            [weight("w", 16, 32)],
        )
        Path(f"{name}.onnx").write_bytes(proto.SerializeToString())

    def call(*words: str) -> Outcome:
        status = main(("networks", *words))
        return Outcome(status, *capsys.readouterr())

    return call


BOTH = ("small.onnx", "large.onnx", "--arch", "eyeriss", "--arch", "gemmini-chip")
ROWS = ("--dim", "rows=64")


def test_one_table_with_a_row_for_every_pair(run: Any) -> None:
    outcome = run(*BOTH, *ROWS, *FEW)
    assert outcome.status == 0
    lines = [line.split() for line in outcome.out.splitlines()]
    pairs = [tuple(words[:2]) for words in lines if words and words[0] in ("small", "large")]
    assert pairs == [
        ("small", "eyeriss"),
        ("small", "gemmini-chip"),
        ("large", "eyeriss"),
        ("large", "gemmini-chip"),
    ]
    for head in ("energy", "cycles", "ms", "TOPS/W", "DRAM", "greedy, objective edp, exact"):
        assert head in outcome.out
    # No level gives an area.
    assert "mm²" not in outcome.out


def test_json_tables_and_a_picture(run: Any, tmp_path: Path) -> None:
    record = run(*BOTH, *ROWS, *FEW, "--json", "--out", "side").record
    assert [row["arch"] for row in record["networks"]] == ["eyeriss", "gemmini-chip"] * 2
    written = {path.name for path in (tmp_path / "side").iterdir()}
    assert {Path(name).name for name in record["files"]} == written
    assert {"networks.csv", "layers.csv", "networks.png", "networks.html"} <= written
    table = pd.read_csv(tmp_path / "side" / "networks.csv")
    assert list(table["energy_total_pj"]) == [
        pytest.approx(row["energy_total_pj"]) for row in record["networks"]
    ]


def test_a_network_costs_what_it_costs_alone(run: Any, capsys: Any) -> None:
    row = run("small.onnx", "--arch", "eyeriss", *FEW, "--json").record["networks"][0]
    main(("network", "small.onnx", "eyeriss", *FEW, "--json"))
    alone = Outcome(0, *capsys.readouterr()).record["totals"]
    assert {key: row[key] for key in alone if key in row} == {
        key: alone[key] for key in alone if key in row
    }


def test_sizes_go_to_the_networks_that_have_them(run: Any) -> None:
    wrong = run(*BOTH, *ROWS, "--dim", "columns=3", *FEW)
    assert (wrong.status, wrong.out, wrong.err.count("\n")) == (2, "", 1)
    assert "dims['columns']: the model has no such dynamic dimension" in wrong.err
    missing = run(*BOTH, *FEW)
    assert missing.status == 2
    assert "large.onnx: dims: sizes of dynamic dimensions are not given: rows" in missing.err


def test_without_any_mapping_the_status_is_1(run: Any, tmp_path: Path) -> None:
    tiny = (tmp_path / "tiny.yaml").absolute()
    tiny.write_text(
        "name: tiny\nkernel: gemm\nlevels:\n"
        "  - {memory: DRAM, access_energy_pj: 1, bandwidth_words_per_cycle: 1, "
        "capacity_words: 4}\n"
        "  - {compute: MAC, mac_energy_pj: 1}\n"
    )
    outcome = run("small.onnx", "--arch", str(tiny), *FEW)
    assert outcome.status == 1
    assert "no mapping" in outcome.out
    assert "small on tiny: " in outcome.out


def test_an_architecture_must_be_given(run: Any) -> None:
    outcome = run("small.onnx")
    assert (outcome.status, outcome.out) == (2, "")
    assert "--arch" in outcome.err
