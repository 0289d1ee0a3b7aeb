"""`toolkit worker` and `toolkit proxy` as processes of their own, on a real PostgreSQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from cli.test_app import Outcome
from codesign.jobs import small_job
from codesign.postgres import postgres
from optuna.trial import TrialState

import toolkit
from toolkit.cli.app import main
from toolkit.codesign.job import JobSettings, make_job
from toolkit.study.hardware.plan import CHOICE, SCORE, WORKER, Plan
from toolkit.study.hardware.shared import BEAT, open_shared
from toolkit.study.hardware.workers import make_study

ROOT = Path(toolkit.__file__).parent.parent
BERT = Path(__file__).parents[1] / "data" / "networks" / "bert_layer.onnx"
PATIENCE = 300.0


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> Outcome:
        status = main(words)
        return Outcome(status, *capsys.readouterr())

    return call


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-m", "toolkit", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def until(holds: Callable[[], Any]) -> Any:
    """Wait until something is true of processes that nobody can hurry."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError


def record_bert(storage: Any, name: str, samples: int) -> optuna.Study:
    graph = toolkit.load_network(BERT, {"batch": 1, "seq": 64})
    job = make_job("gemmini-ws", [graph], JobSettings(mapper_evaluations=30_000))
    make_study(storage, job, Plan("random", 0, samples), name)
    return optuna.load_study(study_name=name, storage=storage)


def test_a_killed_worker_loses_nothing_and_nothing_runs_twice(database: str) -> None:
    with open_shared(database, 1) as storage:
        study = record_bert(storage, "killed", 6)

        def running(worker: subprocess.Popen[str]) -> optuna.trial.FrozenTrial | None:
            name = f"{socket.gethostname()}:{worker.pid}"
            trials = study.get_trials(states=(TrialState.RUNNING,))
            return next((t for t in trials if t.user_attrs.get(WORKER) == name), None)

        words = ("worker", database, "--study", "killed", "--heartbeat", "1", "--no-cache")
        with process(*words) as killed:
            while True:
                until(lambda: running(killed))
                # As it maps: stopped as it writes, it would keep the database from all others.
                time.sleep(0.2)
                os.kill(killed.pid, signal.SIGSTOP)
                caught = running(killed)
                if caught is not None:
                    break
                os.kill(killed.pid, signal.SIGCONT)
            with process(*words) as other:
                until(lambda: running(other))
                os.kill(killed.pid, signal.SIGKILL)
                killed_lines = killed.communicate()[1].splitlines()
                other_lines = other.communicate(timeout=PATIENCE)[1].splitlines()
                assert other.returncode == 0
        trials = study.get_trials()
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(done) == 6
    assert all(SCORE in trial.user_attrs for trial in done)
    assert trials[caught.number].state == TrialState.FAIL
    again = [t for t in trials if t.system_attrs.get("failed_trial") == caught.number]
    assert [trial.state for trial in again] == [TrialState.COMPLETE]
    assert again[0].params == caught.params
    # A worker writes a line for each point that it scored: none was scored by both.
    assert len(killed_lines) + len(other_lines) == 6
    assert study.user_attrs[CHOICE]


def test_a_terminated_worker_gives_its_trial_back(tmp_path: Path) -> None:
    path = str(tmp_path / "a.journal")
    with open_shared(path, 1) as storage:
        study = record_bert(storage, "ended", 50)
        with process("worker", path, "--no-cache") as worker:
            until(lambda: any(BEAT in trial.user_attrs for trial in study.get_trials()))
            worker.terminate()
            worker.communicate(timeout=PATIENCE)
            assert worker.returncode == 130
        assert not study.get_trials(states=(TrialState.RUNNING,))


def test_workers_behind_a_proxy(database: str) -> None:
    pytest.importorskip("grpc", reason="grpcio is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open_shared(database, 1) as storage:
        make_study(storage, small_job(), Plan("tpe", 0, 5), "proxied")
        study = optuna.load_study(study_name="proxied", storage=storage)
        with process("proxy", database, "--port", str(port)):
            words = ("worker", f"grpc://127.0.0.1:{port}", "--study", "proxied", "--no-cache")
            with process(*words) as worker:
                error = worker.communicate(timeout=PATIENCE)[1]
                assert worker.returncode == 0, error
        assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 5
        assert study.user_attrs[CHOICE]


def test_one_process_joins_all_studies(run: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "a.journal")
    with open_shared(path) as storage:
        for seed in (0, 1):
            make_study(storage, small_job(), Plan("random", seed, 3), f"study {seed}")
    outcome = run("worker", path, "--most", "4", "--no-cache", "--json")
    assert outcome.status == 0
    assert outcome.record["scored"] == {"study 0": 3, "study 1": 1}
    assert len(outcome.err.splitlines()) == 4
    again = run("worker", path, "--study", "study 1", "--no-cache")
    assert again.out == "2 points scored in study 1\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("empty.journal",), "holds no search over hardware"),
        (("empty.journal", "--study", "mine"), "has no study 'mine'"),
        (("new.journal",), "does not exist; toolkit codesign writes such files"),
        (("grpc://localhost:1",), "does not answer"),
        (("postgresql://a:secret@127.0.0.1:1/b",), "cannot be used"),
        (("no/such/folder.journal",), "does not exist"),
    ],
)
def test_bad_input(
    run: Any, tmp_path: Path, monkeypatch: Any, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("toolkit.study.hardware.shared._READY_SECONDS", 0.5)
    (tmp_path / "empty.journal").touch()
    outcome = run("worker", *words)
    assert [path.name for path in tmp_path.iterdir()] == ["empty.journal"]
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert "secret" not in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("::1", False)])
def test_a_proxy_for_all_warns(
    run: Any, monkeypatch: pytest.MonkeyPatch, host: str, *, warned: bool
) -> None:
    monkeypatch.setattr("toolkit.study.hardware.shared.serve_proxy", lambda *given: given[-1]())
    outcome = run("proxy", "designs.journal", "--host", host)
    assert ("no password and no encryption" in outcome.err) == warned
    assert ("ssh -L 13000:127.0.0.1:13000" in outcome.err) == warned


def test_a_proxy_that_cannot_serve_says_nothing_else(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="grpcio is not installed")
    outcome = run("proxy", str(tmp_path))
    assert (outcome.status, outcome.out) == (2, "")
    assert "is a folder; expected a file" in outcome.err
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        outcome = run("proxy", str(tmp_path / "new.journal"), "--port", port)
    assert (outcome.status, outcome.out) == (2, "")
    assert f"--port: 127.0.0.1:{port} cannot be listened on: Address already" in outcome.err


def test_a_proxy_that_cannot_be_says_nothing_else(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.study.hardware.shared.find_spec", lambda _: None)
    outcome = run("proxy", "designs.journal")
    assert (outcome.status, outcome.out) == (2, "")
    assert "a proxy needs grpcio, which is not installed" in outcome.err
