"""The study of a whole network as a user runs it."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tests" / "data" / "networks" / "resnet18.onnx"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    script = "resnet18_layers.py"
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        runpy.run_path(str(ROOT / "studies" / script), run_name="__main__")
    return int(exit_.value.code or 0)


@pytest.mark.usefixtures("unrendered")
def test_layers_of_resnet18(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = (
        "--archs",
        "eyeriss-conv,simba",
        "--evaluations",
        30,
        "--jobs",
        1,
        "--cache",
        tmp_path / "cache",
    )
    assert run(monkeypatch, MODEL, tmp_path / "out", *words) == 0
    printed = capsys.readouterr().out
    for text in ("eyeriss-conv: the five costliest of", "im2col", "einsum", "Whole network"):
        assert text in printed
    totals = pd.read_csv(tmp_path / "out" / "totals.csv")
    assert list(totals["arch"]) == ["eyeriss-conv", "simba"]
    assert set(totals["macs"]) == {1_814_073_344}
    layers = pd.read_csv(tmp_path / "out" / "simba" / "layers.csv")
    total = totals["energy_total_pj"][1]
    assert layers["energy_total_pj"].sum() == pytest.approx(total)
    assert (tmp_path / "out" / "simba" / "graph.png").is_file()


def test_a_missing_model_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, tmp_path / "none.onnx", tmp_path) == 2
    assert capsys.readouterr().err.startswith(f"resnet18_layers: {tmp_path / 'none.onnx'}: ")
