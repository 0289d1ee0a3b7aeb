"""The strategy `exact` as a study: recorded, resumed, and what others are measured by."""

from __future__ import annotations

import itertools
import math
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from codesign.exact.test_search import tiny_job
from codesign.jobs import product, small_job
from optuna.trial import TrialState

from toolkit.cli.codesign_report import certificate_record, codesign_record, codesign_report
from toolkit.codesign.exact import HardwareProof, prove_front, prove_hardware
from toolkit.codesign.exact.question import question_of
from toolkit.codesign.job import Job, JobSettings, make_job
from toolkit.errors import InputError
from toolkit.study.hardware import proving, shared
from toolkit.study.hardware.comparison import HardwareComparison
from toolkit.study.hardware.plan import WORKER, Plan
from toolkit.study.hardware.proving import is_proved, proof_of, shares_of
from toolkit.study.hardware.shared import open_shared
from toolkit.study.hardware.shares import FOUND, REPEATED, _read_boxes
from toolkit.study.hardware.strategies import compare_hardware
from toolkit.study.hardware.workers import Worker, make_study
from toolkit.study.pictures.near_best import draw_tradeoffs, tradeoffs
from toolkit.study.storage.files import Results
from toolkit.workload.network import LayerGraph


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
        assert is_proved(early, short)
        make_study(opened, job, long, name)
        Worker(opened, name, cache=False).run()
        proof = proof_of(optuna.load_study(study_name=name, storage=opened))
    assert proof is not None
    assert proof.proved
    assert proof.seconds > early.seconds
    assert {e.box for e in early.boxes if e.closing == "area"} <= {e.box for e in proof.boxes}


def shared_job() -> Job:
    """A job of several boxes."""
    ranges = {
        "side": [1, 2, 3, 4],
        "scratchpad_words": [16, 32, 64],
        "accumulator_words": [4, 8],
    }
    network = LayerGraph.from_layers([product("a", 4, 6, 2, "x", "y")], name="one")
    settings = JobSettings(ranges=ranges, factors="perfect", objective="edap")
    return make_job("gemmini-ws", [network], settings)


def give_back_once(self: proving._Proving[HardwareProof], _: proving._Pause) -> bool:
    """Give boxes back when another worker waits for some; later on do nothing until killed."""
    if claims_of(self.study, os.getpid(), ended=True):
        time.sleep(1000)
    if len(self.prover.left) < 2:
        return False
    while not self.shares.somebody_waits():
        time.sleep(0.02)
    return True


def claims_of(study: optuna.Study, process: int, *, ended: bool) -> list[Any]:
    """Claims of boxes that a process has made, those with a result or those without."""
    trials = study.get_trials(deepcopy=False)
    return [
        trial
        for trial in trials
        if trial.user_attrs.get(WORKER, "").endswith(f":{process}")
        and REPEATED not in trial.user_attrs
        and (FOUND in trial.user_attrs) == ended
        and _read_boxes(trial)
    ]


@pytest.mark.parametrize("file", ["a.journal", "a.db"])
def test_workers_share_boxes_and_take_up_those_of_one_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    # A busy machine misses beats: before it is killed, nobody takes the other for dead.
    monkeypatch.setattr(shared, "GRACE_BEATS", 100)
    path, name = str(tmp_path / file), "mine"
    with open_shared(path, 1) as opened:
        make_study(opened, shared_job(), Plan("exact", 0, 1), name)
    child = os.fork()
    if child == 0:
        try:
            monkeypatch.setattr(proving._Proving, "_is_enough", give_back_once)
            with open_shared(path, 1) as opened:
                Worker(opened, name, cache=False, heartbeat=1).run()
        finally:
            os._exit(1)
    with open_shared(path, 1) as opened:
        study = optuna.load_study(study_name=name, storage=opened)
        while not claims_of(study, child, ended=False):
            time.sleep(0.02)

        def kill() -> None:
            """Kill the other worker when both hold boxes, or this one is through with its own."""
            while not (
                claims_of(study, os.getpid(), ended=True) and claims_of(study, child, ended=False)
            ):
                time.sleep(0.02)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            monkeypatch.setattr(shared, "GRACE_BEATS", 1)
            if file == "a.db":
                opened._backend.grace_period = 1

        killer = threading.Thread(target=kill)
        killer.start()
        Worker(opened, name, cache=False, heartbeat=1).run()
        killer.join()
        proof = proof_of(study)
        assert proof is not None
        assert proof.proved
        assert proof.bound == pytest.approx(prove_hardware(question_of(shared_job())).bound)
        ranges = [range(len(found.values)) for found in shared_job().space.ranges.values()]
        points = [
            point
            for entry in proof.boxes
            for point in itertools.product(*(range(a, b + 1) for a, b in entry.box.sides))
        ]
        assert sorted(points) == sorted(itertools.product(*ranges))
        assert len(claims_of(study, child, ended=True)) == 1
        (lost,) = claims_of(study, child, ended=False)
        assert lost.state == TrialState.FAIL
        mine = [box for x in claims_of(study, os.getpid(), ended=True) for box in _read_boxes(x)]
        assert set(_read_boxes(lost)) <= set(mine)


def test_of_two_claims_of_a_box_the_first_one_holds(tmp_path: Path) -> None:
    plan, job = Plan("exact", 0, 1), tiny_job()
    with open_shared(str(tmp_path / "a.journal"), 1) as opened:
        make_study(opened, job, plan, "mine")
        study = optuna.load_study(study_name="mine", storage=opened)
        one, other = shares_of(study, plan, job), shares_of(study, plan, job)
        read = other.read

        def read_before_the_first_claims() -> HardwareProof:
            proof = read()
            assert one.claim(frozenset()) is not None
            return proof

        other.read = read_before_the_first_claims  # type: ignore[method-assign]
        assert other.claim(frozenset()) is None
        assert one.claim(frozenset()) is None
        assert not one.somebody_waits()


def test_a_job_that_cannot_be_proved_is_refused_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    with pytest.raises(InputError, match="fusion: exact proves hardware for layers that are not"):
        compared(small_job(fusion="greedy"), ["random", "exact"], path)
    assert not path.exists()


def front_job() -> Job:
    settings = JobSettings(
        ranges={"side": [1, 2], "scratchpad_words": [32, 64], "accumulator_words": [4, 8]},
        factors="perfect",
        objective="front",
    )
    network = LayerGraph.from_layers([product("a", 4, 6, 2, "x", "y")], name="one")
    return make_job("gemmini-ws", [network], settings)


def test_a_front_is_stored_shown_and_drawn(tmp_path: Path) -> None:
    job, path = front_job(), tmp_path / "a.journal"
    limits: dict[str, Any] = {"samples": 2, "jobs": 1, "cache": False, "within": 0.1}
    found = compare_hardware(job, ["random", "exact"], storage=str(path), **limits)
    front = found.front
    assert front is not None
    assert found.proof is None
    assert front.miss <= 0.1
    expected = prove_front(question_of(job), within=0.1)
    table = found.front_table()
    costs = [(x.energy_pj, x.latency_cycles, x.area_um2) for x in expected.points]
    assert table[["energy_pj", "latency_cycles", "area_um2"]].to_numpy() == pytest.approx(
        np.array(costs)
    )
    run = next(run for run in found.runs if run.plan.strategy == "exact")
    assert len(run.scores) == len(table)
    assert run.choice is not None
    assert run.choice.edp_pj_cycles == pytest.approx(table["edp_pj_cycles"].min())
    record = codesign_record(found, Results((), ()))["front"]
    assert record["miss_fraction"] == front.miss
    assert sum(entry["points"] for entry in record["closed"].values()) == job.space.size
    lines = [line for line in codesign_report(found, Results((), ())) if isinstance(line, str)]
    assert any(line.startswith(f"front: {len(table)} trade-offs") for line in lines)
    assert len(certificate_record(found)["boxes"]) == len(front.boxes)
    title = draw_tradeoffs(tradeoffs(found), front.miss).get_suptitle()
    assert title.endswith(f"nothing is missed by more than {front.miss:.2%}")
    # Whoever comes next finds it there; less that may be missed goes on from it.
    limits["within"] = 0.02
    again = compare_hardware(job, ["exact"], storage=str(path), **limits).front
    assert again is not None
    assert again.miss <= 0.02
    assert again.seconds > front.seconds


def test_a_front_needs_a_fraction(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="within: a front is proved to a fraction"):
        compared(front_job(), ["exact"], tmp_path / "a.journal")
