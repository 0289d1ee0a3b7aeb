"""The strategy `exact` as a study: recorded, resumed, and what others are measured by."""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path

import optuna
import pytest
from codesign.exact.test_search import tiny_job
from codesign.jobs import small_job

from toolkit.cli.codesign_report import certificate_record, codesign_record, codesign_report
from toolkit.codesign.job import Job
from toolkit.errors import InputError
from toolkit.study.hardware import proving, shared
from toolkit.study.hardware.plan import Plan
from toolkit.study.hardware.proving import is_proved, proof_of
from toolkit.study.hardware.shared import open_shared
from toolkit.study.hardware.strategies import HardwareComparison, compare_hardware
from toolkit.study.hardware.workers import Worker, make_study
from toolkit.study.storage.files import Results


def compared(job: Job, strategies: list[str], storage: Path) -> HardwareComparison:
    return compare_hardware(
        job, strategies, storage=str(storage), samples=3, seeds=2, jobs=1, cache=False
    )


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proof") / "a.journal"


@pytest.fixture(scope="module")
def found(storage: Path) -> HardwareComparison:
    return compared(tiny_job(), ["random", "exact"], storage)


def test_others_are_measured_by_what_is_proved(found: HardwareComparison) -> None:
    table = found.strategy_table().set_index("strategy")
    assert found.proof is not None
    assert found.proof.proved
    assert table.loc["exact", "gap_fraction"] == pytest.approx(0.0, abs=1e-9)
    assert table.loc["random", "gap_fraction"] >= 0
    assert (table.loc["exact", "seeds"], table.loc["random", "seeds"]) == (1, 2)
    assert found.best is not None
    assert found.value(found.best) == pytest.approx(found.proof.bound)


def test_points_that_improve_are_samples(found: HardwareComparison) -> None:
    run = next(run for run in found.runs if run.plan.strategy == "exact")
    values = [found.job.objective.value(s.energy_pj, s.latency_cycles, 1.0) for s in run.scores]
    assert values == sorted(values, reverse=True)
    assert run.choice is not None
    assert run.choice.parameters == run.scores[-1].parameters
    assert all(score.feasible for score in run.scores)


def test_what_is_proved_is_told(found: HardwareComparison) -> None:
    record = codesign_record(found, Results((), ()))["proof"]
    assert record["proved"] is True
    assert sum(entry["points"] for entry in record["closed"].values()) == found.job.space.size
    lines = [line for line in codesign_report(found, Results((), ())) if isinstance(line, str)]
    assert "proved: no hardware of these ranges has a lower edp" in lines
    boxes = certificate_record(found)["boxes"]
    assert boxes[0]["values"].keys() == found.job.space.ranges.keys()


def test_another_run_knows_what_an_earlier_one_proved(
    found: HardwareComparison, storage: Path
) -> None:
    again = compared(tiny_job(), ["random"], storage)
    assert again.proof == found.proof
    assert not math.isnan(again.strategy_table()["gap_fraction"][0])


def test_a_proof_that_was_cut_short_is_taken_up(tmp_path: Path) -> None:
    job, name = tiny_job(), "mine"
    with open_shared(str(tmp_path / "a.journal")) as opened:
        short, long = Plan("exact", 0, 1, seconds=1e-6), Plan("exact", 0, 1)
        make_study(opened, job, short, name)
        Worker(opened, name, cache=False).run()
        study = optuna.load_study(study_name=name, storage=opened)
        early = proof_of(study)
        assert early is not None
        assert not early.proved
        assert is_proved(study, short)
        make_study(opened, job, long, name)
        Worker(opened, name, cache=False).run()
        proof = proof_of(optuna.load_study(study_name=name, storage=opened))
    assert proof is not None
    assert proof.proved
    assert proof.seconds > early.seconds
    assert {e.box for e in early.boxes if e.closing == "area"} <= {e.box for e in proof.boxes}


def test_a_proof_that_was_killed_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "WRITE_SECONDS", 0.0)
    monkeypatch.setattr(shared, "GRACE_BEATS", 1)
    path, name = str(tmp_path / "a.journal"), "mine"
    with open_shared(path) as opened:
        make_study(opened, tiny_job(), Plan("exact", 0, 1), name)
    child = os.fork()
    if child == 0:
        write = proving._Proving._write

        def write_and_wait(self: proving._Proving) -> None:
            write(self)
            time.sleep(100)

        monkeypatch.setattr(proving._Proving, "_write", write_and_wait)
        with open_shared(path) as opened:
            Worker(opened, name, cache=False, heartbeat=1).run()
        os._exit(1)
    with open_shared(path) as opened:
        study, early = optuna.load_study(study_name=name, storage=opened), None
        while early is None:
            time.sleep(0.05)
            early = proof_of(study)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        Worker(opened, name, cache=False, heartbeat=1).run()
        proof = proof_of(study)
    assert not early.proved
    assert proof is not None
    assert proof.proved
    assert proof.seconds > early.seconds


def test_a_job_that_cannot_be_proved_is_refused_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    with pytest.raises(InputError, match="fusion: exact proves hardware for layers that are not"):
        compared(small_job(fusion="greedy"), ["random", "exact"], path)
    assert not path.exists()
