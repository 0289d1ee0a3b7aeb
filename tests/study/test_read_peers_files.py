"""The script that tries other tools' files tells what they hold, and counts what it reads."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(STUDIES))
    return importlib.import_module("read_peers_files")


def test_files_are_told_by_what_they_hold(script: Any, tmp_path: Path) -> None:
    files = {
        "a.yaml": "problem: {shape: gemm_ABZ, instance: {M: 4, N: 5, K: 6}}",
        "b.yaml": "problem: {shape: gemm_ABZ, instance: {M: 4, N: 5}}",
        "both.yaml": "problem:\n  shape: none\narchitecture: {subtree: []}",
        "net.csv": "Layer,M,N,K\na,2,3,4\n",
        "report.csv": "LayerID, Total Cycles\n0, 1\n",
        "other.csv": "a,b\n1,2\n",
        "notes.md": "problem:",
        "sub/w.yaml": "workload: {iteration_space_shape: [0 <= m < {{M}}], "
        "einsums: ['O[m]=I[m]*W[m]']}",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    rows = script.tried(tmp_path, {"M": 3})
    counts = {kind: (row.tried, row.read.total()) for kind, row in rows.items()}
    assert counts == {
        "problems": (3, 1),
        "architectures": (1, 0),
        "topologies (CSV)": (1, 1),
        "einsums": (1, 1),
    }
    assert rows["einsums"].read == {"with --value": 1}
    reasons = list(rows["problems"].refused)
    assert reasons[0] == "K: this key is required and missing"
