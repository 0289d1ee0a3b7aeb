"""`toolkit dashboard` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli.test_app import Outcome
from study.browser import visit

import toolkit
from toolkit.cli.app import main

pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")

ROOT = Path(toolkit.__file__).parent.parent
COMPARE = ("compare", "eyeriss", "64", "8", "4", "--strategies", "greedy", "--evaluations", "100")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> Any:
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Outcome:
        status = main(words)
        return Outcome(status, *capsys.readouterr())

    return call


@contextmanager
def process(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "toolkit", "dashboard", "--port", "0", "--no-browser", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def test_what_compare_recorded_is_shown_until_interrupted(run: Any, tmp_path: Path) -> None:
    assert run(*COMPARE).status == 0
    with process(tmp_path, "--json") as child:
        assert child.stdout is not None
        record = json.loads("".join(child.stdout.readline() for _ in range(5)))
        assert (record["storage"], record["studies"]) == ("comparison.journal", 3)
        with visit(record["url"]) as seen:
            seen.page.click(
                "text=gemm:M=64,K=8,N=4 on eyeriss, edp, exact, ragged: greedy, seed 2"
            )
            seen.page.wait_for_selector("text=Best Trial")
            assert seen.errors == []
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=300) == 130
        assert child.stderr is not None
        assert child.stderr.read() == "toolkit: interrupted\n"


def test_a_folder_stands_for_the_storage_in_it(run: Any, tmp_path: Path) -> None:
    assert run(*COMPARE, "--out", "results").status == 0
    with process(tmp_path, "results") as child:
        assert child.stdout is not None
        first, second = child.stdout.readline(), child.stdout.readline()
        assert first.startswith("3 studies of results/comparison.journal at http://127.0.0.1:")
        assert second == "Ctrl-C ends.\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "STORAGE: comparison.journal does not exist; toolkit compare writes such files"),
        ((".",), "STORAGE: comparison.journal does not exist"),
        (("text",), "STORAGE: text is neither a journal nor a database of Optuna"),
        (("",), "STORAGE: expected a file or a URL"),
        (("nosuch://host/a",), "STORAGE: nosuch://host/a cannot be used"),
        (("sqlite:///none.db",), "STORAGE: none.db does not exist"),
        (("text", "--port", "70000"), "--port"),
        (("text", "--port", "x"), "--port"),
        (("a", "b"), "unexpected extra argument"),
    ],
)
def test_wrong_input(run: Any, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    (tmp_path / "text").write_text("text")
    outcome = run("dashboard", *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_port_in_use(run: Any) -> None:
    assert run(*COMPARE).status == 0
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        outcome = run("dashboard", "--port", port)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(f"toolkit: --port: cannot listen on port {port} of '127.0.0.1'")


def test_without_the_package(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    outcome = run("dashboard")
    assert outcome.status == 2
    assert "pip install 'accel-search-toolkit[dashboard]'" in outcome.err
