"""Files of other tools on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from toolkit.cli.app import main

DESIGN = """
architecture:
  version: 0.4
  nodes:
  - !Component {name: Main, class: DRAM, attributes: {width: 32, datawidth: 8}}
  - !Container {name: PE, spatial: {meshX: 4}}
  - !Component {name: Registers, class: regfile, attributes: {depth: 64, datawidth: 8, width: 8}}
  - !Component {name: mac, class: intmac}
problem:
  shape:
    dimensions: [M, K, N]
    data_spaces:
    - {name: Weights, projection: [[[M]], [[K]]]}
    - {name: Inputs, projection: [[[K]], [[N]]]}
    - {name: Outputs, projection: [[[M]], [[N]]], read_write: true}
  instance: {M: 8, K: 4, N: 2}
mapping:
- {target: Main, type: temporal, factors: M=2 K=1 N=1, permutation: MKN}
- {target: PE, type: spatial, factors: M=4 K=1 N=1, permutation: MKN}
- {target: Registers, type: temporal, factors: M=1 K=4 N=2, permutation: MKN}
"""
ENERGIES = """
ERT:
  tables:
  - {name: Main, actions: [{name: read, energy: 400}, {name: write, energy: 400}]}
  - {name: Registers, actions: [{name: read, energy: 1}, {name: write, energy: 1}]}
  - {name: mac, actions: [{name: compute, energy: 0.5}]}
"""
LAYERS = """
- id: 0
  operator_type: Gemm
  equation: O[b][k]+=I[b][c]*W[c][k]
  loop_dims: [B, C, K]
  loop_sizes: [2, 4, 8]
  operand_precision: {W: 8, I: 8, O: 16, O_final: 8}
- id: 1
  operator_type: Gemm
  equation: O[b][k]+=I[b][c]*W[c][k]
  loop_dims: [B, C, K]
  loop_sizes: [2, 8, 3]
  operand_precision: {W: 8, I: 8, O: 16, O_final: 8}
  operand_source: {I: 0, W: 1}
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts = {"design.yaml": DESIGN, "energies.yaml": ENERGIES, "net.yaml": LAYERS}
    for name, text in texts.items():
        Path(name).write_text(text, encoding="utf-8")


def test_one_file_is_architecture_workload_and_mapping(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "design.yaml+energies.yaml", "design.yaml", "design.yaml", "--json"]
    assert main(words) == 0
    record = json.loads(capsys.readouterr().out)
    assert [level["level"] for level in record["mapping"]["levels"]][:2] == ["Main", "PE"]
    # ZigZag's layer is the same product, so the mapping of Timeloop's problem holds for it.
    assert main([*words[:2], "net.yaml:Layer0", *words[3:]]) == 0
    assert json.loads(capsys.readouterr().out) == {**record, "workload": "net/Layer0"}


def test_a_layer_is_mapped_on_a_converted_design(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "arch", "design.yaml+energies.yaml"]) == 0
    Path("own.yaml").write_text(capsys.readouterr().out, encoding="utf-8")
    words = ["--strategy", "random", "--evaluations", "20"]
    assert main(["map", "own.yaml", "net.yaml:Layer1", *words]) == 0
    assert "net/Layer1 (gemm: M = 3, K = 8, N = 2) on design" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["design.yaml", "design.yaml"], "design.yaml: architecture.nodes[0]: no energy for"),
        (["eyeriss", "net.yaml"], "net.yaml: holds 2 layers where one workload is expected"),
        (["eyeriss", "net.yaml:Layer2"], "net.yaml: no layer 'Layer2' (did you mean 'Layer1'?)"),
    ],
)
def test_what_is_missing_is_one_message(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["map", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"toolkit: {message}")
    assert captured.err.count("\n") == 1
