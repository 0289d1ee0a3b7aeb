"""The same command prints the same result: whatever hashes, processes and caches are like."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli.test_network_fusion import model  # noqa: F401 - a fixture

from toolkit.cli.app import main

BERT = str(Path(__file__).parent.parent / "data" / "networks" / "bert_layer.onnx")
SIZES = ("--dim", "batch=1", "--dim", "seq=16", "--evaluations", "60")
CHANGING = ("seconds", "cached", "searches", "evaluations", "bound", "within", "status", "files")
"""Parts of names of what depends on time, caches and folders: proofs are cut short by seconds."""


def plain(record: Any) -> Any:
    """Without what takes how long, and where it comes from."""
    if isinstance(record, dict):
        return {
            key: plain(value)
            for key, value in record.items()
            if not any(word in key for word in CHANGING)
        }
    return [plain(entry) for entry in record] if isinstance(record, list) else record


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)


def fresh(*words: str) -> Any:
    """The result of a process of its own, in which hashes of strings are others."""
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", *words, "--json"],
        env=os.environ | {"PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return plain(json.loads(done.stdout))


def here(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main([*words, "--json"]) == 0
    return plain(json.loads(capsys.readouterr().out))


def test_networks(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("network", BERT, "eyeriss", "--strategy", "greedy", "--seed", "3", *SIZES)
    expected = here(capsys, *words, "--jobs", "1", "--no-cache")
    cache = ("--cache", "cache")
    assert fresh(*words, "--jobs", "2", *cache) == expected, "other hashes, two processes"
    assert here(capsys, *words, *cache) == expected, "a warm cache"


def test_fusion(
    model: str,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("network", model, "eyeriss-conv", "--fusion", "nsga2", "--evaluations", "60")
    expected = fresh(*words, "--cache", "cache")
    assert here(capsys, *words, "--cache", "cache") == expected, "other hashes, a warm cache"


def test_hardware(capsys: pytest.CaptureFixture[str]) -> None:
    strategies = ("--strategies", "random,tpe", "--samples", "2", "--evaluations", "60")
    strategies += ("--seeds", "1", "--range", "side=8,16")
    sizes = (BERT, "--dim", "batch=1", "--dim", "seq=16", "--no-cache")
    words = ("codesign", *sizes, "--template", "gemmini-ws", *strategies)
    expected = here(capsys, *words, "--jobs", "1", "--out", "one")
    assert fresh(*words, "--jobs", "2", "--out", "two") == expected, "two processes, other hashes"
