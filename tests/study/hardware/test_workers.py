"""Studies over hardware, shared by workers."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from codesign.jobs import small_job
from optuna.trial import TrialState

from toolkit.codesign.registry import HARDWARE_STRATEGIES
from toolkit.codesign.samplers import POPULATION
from toolkit.codesign.scoring import Scorer
from toolkit.errors import InputError
from toolkit.study.hardware import workers
from toolkit.study.hardware.plan import CHOICE, EVALUATIONS, SCORE, WITHDRAWN, Plan
from toolkit.study.hardware.shared import BEAT, GRACE_BEATS, Watch, open_shared
from toolkit.study.hardware.workers import Worker, make_study, study_name, study_names

OPTUNAS = [
    name for name, entry in HARDWARE_STRATEGIES.items() if not (entry.remembers or entry.proves)
]


@pytest.fixture(params=["a.journal", "a.db"])
def storage(request: Any, tmp_path: Path) -> Any:
    with open_shared(str(tmp_path / request.param), 1) as opened:
        yield opened


@pytest.fixture
def memory() -> optuna.storages.BaseStorage:
    return optuna.storages.InMemoryStorage()


def points(worker: Worker) -> list[Any]:
    trials = worker.study.get_trials(states=(TrialState.COMPLETE,))
    return [trial.user_attrs[SCORE]["parameters"] for trial in trials]


def worked(storage: Any, plan: Plan, **settings: Any) -> Worker:
    job = small_job(**settings)
    make_study(storage, job, plan, study_name(job, plan))
    worker = Worker(storage, study_name(job, plan), cache=False)
    worker.run()
    return worker


@pytest.mark.parametrize("strategy", OPTUNAS)
@pytest.mark.parametrize("objective", ["edp", "front"])
def test_strategies_keep_their_samples_and_choose_the_best(
    memory: Any, strategy: str, objective: str
) -> None:
    worker = worked(memory, Plan(strategy, 0, 12), objective=objective, area_budget_um2=6e5)
    trials = worker.study.get_trials(states=(TrialState.COMPLETE,))
    assert len(trials) == 12
    scores = [worker.scorer.score(trial.user_attrs[SCORE]["parameters"]) for trial in trials]
    feasible = [score.edp_pj_cycles for score in scores if score.feasible]
    assert worker.study.user_attrs[CHOICE]["energy_pj"] * worker.study.user_attrs[CHOICE][
        "latency_cycles"
    ] == min(feasible)
    for trial, score in zip(trials, scores, strict=True):
        largest = max(score.constraints.values())
        assert trial.constraints == pytest.approx({**score.constraints, "0": largest})
        assert trial.system_attrs["constraints"] == [largest]


@pytest.mark.parametrize(
    ("limits", "key"),
    [
        ({"samples": 0}, "samples"),
        ({"samples": 2, "seconds": 0.0}, "seconds"),
        ({"samples": 2, "evaluations": 0}, "evaluations"),
        ({"samples": 2, "evaluations": 1.5}, "evaluations"),
    ],
)
def test_limits_are_checked(limits: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError, match=key):
        Plan("random", 0, **limits)


def test_the_same_seed_draws_the_same_points(memory: Any) -> None:
    first = worked(memory, Plan("tpe", 3, 14))
    again = worked(optuna.storages.InMemoryStorage(), Plan("tpe", 3, 14))
    other = worked(optuna.storages.InMemoryStorage(), Plan("tpe", 4, 14))
    assert points(first) == points(again) != points(other)


def test_the_first_generation_is_within_the_budgets_and_the_next_crosses_it(memory: Any) -> None:
    wide = {"side": [4, 8, 16, 32, 64], "scratchpad_words": [8192, 65536, 524288]}
    job = small_job(ranges=wide, area_budget_um2=6e5)
    make_study(memory, job, Plan("nsga2", 0, POPULATION + 4), "mine")
    worker = Worker(memory, "mine", cache=False)
    worker.run()
    trials = worker.study.trials
    assert all(max(t.constraints.values()) <= 0 for t in trials[:POPULATION])
    generations = [v for t in trials for k, v in t.system_attrs.items() if "generation" in k]
    assert generations == [0] * POPULATION + [1] * 4


def test_a_study_goes_on_where_it_was_left(storage: Any) -> None:
    job, plan = small_job(), Plan("random", 0, 6)
    make_study(storage, job, plan, "mine")
    assert Worker(storage, "mine", cache=False).run(most=2) == 2
    worker = Worker(storage, "mine", cache=False)
    assert CHOICE not in worker.study.user_attrs
    assert worker.run() == 4
    assert Worker(storage, "mine", cache=False).run() == 0
    make_study(storage, job, Plan("random", 0, 8), "mine")
    assert Worker(storage, "mine", cache=False).run() == 2
    assert worker.study.user_attrs[CHOICE]
    assert study_names(storage) == ["mine"]


@pytest.mark.parametrize("strategy", ["random", "joint-gradient"])
def test_a_run_ends_when_its_mappings_are_spent(memory: Any, strategy: str) -> None:
    worker = worked(memory, Plan(strategy, 0, 50, evaluations=4_000))
    counts = [trial.user_attrs[EVALUATIONS] for trial in worker.study.trials]
    scored = [trial.user_attrs[SCORE]["evaluations"] for trial in worker.study.trials]
    assert sum(counts[:-1]) < 4_000 <= sum(counts)
    assert worker.study.user_attrs[CHOICE]
    # Descents count: the first points are given, those that follow one cost it, too.
    assert (counts == scored) == (strategy == "random")
    assert all(count >= own for count, own in zip(counts, scored, strict=True))


def test_what_is_remembered_counts_as_much(memory: Any, tmp_path: Path) -> None:
    job, plan = small_job(), Plan("random", 0, 4)
    for name in ("cold", "warm"):
        make_study(memory, job, plan, name)
        Worker(memory, name, cache=str(tmp_path)).run()
    cold, warm = (optuna.load_study(study_name=n, storage=memory) for n in ("cold", "warm"))
    counts = [[trial.user_attrs[EVALUATIONS] for trial in one.trials] for one in (cold, warm)]
    assert counts[0] == counts[1] and min(counts[0]) > 0


@pytest.mark.parametrize("fusion", ["none", "exact"])
def test_mappings_of_fused_parts_count(fusion: str, tmp_path: Path) -> None:
    job = small_job(fusion=fusion)
    first = Scorer(job, cache=tmp_path).score(job.space.default)
    again = Scorer(job, cache=tmp_path).score(job.space.default)
    plain = Scorer(small_job(), cache=False).score(job.space.default)
    assert first.evaluations == again.evaluations
    assert (first.evaluations > plain.evaluations) == (fusion == "exact")


def test_another_job_of_that_name_is_refused(memory: Any) -> None:
    make_study(memory, small_job(), Plan("random", 0, 2), "mine")
    with pytest.raises(InputError, match="holds another job \\(objective differ\\)"):
        make_study(memory, small_job(objective="edap"), Plan("random", 0, 2), "mine")
    with pytest.raises(InputError, match="strategy, seed differ"):
        make_study(memory, small_job(), Plan("random", 1, 2), "mine")


def test_what_is_no_study_is_refused(memory: Any) -> None:
    optuna.create_study(storage=memory, study_name="foreign")
    with pytest.raises(InputError, match="has no study 'mine'"):
        Worker(memory, "mine")
    with pytest.raises(InputError, match="is no search over hardware"):
        Worker(memory, "foreign")


def test_points_on_which_nothing_runs_are_samples_of_no_use(memory: Any, monkeypatch: Any) -> None:
    from toolkit.errors import DoesNotFitError

    def fails(self: Scorer, parameters: Any) -> None:
        raise DoesNotFitError("too small")

    monkeypatch.setattr(Scorer, "mapped", fails)
    worker = worked(memory, Plan("tpe", 0, 12))
    trials = worker.study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 12
    assert {trial.constraints["fits"] for trial in trials} == {1.0}
    assert trials[0].user_attrs[SCORE]["reason"] == "too small"
    assert worker.study.user_attrs.get(CHOICE) is None


def test_an_interrupted_trial_is_queued_again(storage: Any, monkeypatch: Any) -> None:
    make_study(storage, small_job(), Plan("random", 0, 3), "mine")
    worker = Worker(storage, "mine", cache=False)
    with monkeypatch.context() as patched:
        patched.setattr(worker.scorer, "score", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            worker.run()
    states = [trial.state for trial in worker.study.get_trials()]
    assert states == [TrialState.FAIL, TrialState.WAITING]
    assert worker.run() == 3
    trials = worker.study.get_trials()
    assert trials[0].params == trials[1].params
    assert [trial.state for trial in trials[1:]] == [TrialState.COMPLETE] * 3


def test_a_silent_trial_is_taken_over_once(tmp_path: Path, monkeypatch: Any) -> None:
    with open_shared(str(tmp_path / "a.journal"), 1) as storage:
        make_study(storage, small_job(), Plan("random", 0, 3), "mine")
        worker = Worker(storage, "mine", cache=False, heartbeat=1)
        lost = worker._next()
        assert lost is not None
        clock = [0.0]
        monkeypatch.setattr("toolkit.study.hardware.shared.time.monotonic", lambda: clock[0])
        watches = [Watch(worker.study, 1), Watch(worker.study, 1)]
        for watch in watches:
            watch.take_over()
        clock[0] = GRACE_BEATS - 1.0
        watches[0].take_over()
        assert worker.study.trials[0].state == TrialState.RUNNING
        clock[0] = GRACE_BEATS + 1.0
        for watch in watches:
            watch.take_over()
        states = [trial.state for trial in worker.study.trials]
        assert states == [TrialState.FAIL, TrialState.WAITING]
        # Who comes back from the dead finds the trial gone, and loses nothing.
        assert worker._run(lost) is None
        assert worker.run() == 3


@pytest.mark.parametrize("storage", ["a.db"], indirect=True)
def test_a_worker_killed_before_its_first_beat_is_taken_over(
    storage: Any, monkeypatch: Any
) -> None:
    make_study(storage, small_job(), Plan("random", 0, 3), "mine")
    worker = Worker(storage, "mine", cache=False)
    lost, beating = worker._next(), worker._next()
    assert lost is not None and beating is not None
    clock = [0.0]
    monkeypatch.setattr("toolkit.study.hardware.shared.time.monotonic", lambda: clock[0])
    watch = Watch(worker.study, 1)
    with watch.alive(beating._trial_id):
        while BEAT not in worker.study.trials[1].user_attrs:
            time.sleep(0.01)
        watch.take_over()
        clock[0] = GRACE_BEATS + 1.0
        watch.take_over()
        states = [trial.state for trial in worker.study.trials]
    assert states == [TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING]


def test_beats_keep_a_trial(tmp_path: Path, monkeypatch: Any) -> None:
    with open_shared(str(tmp_path / "a.journal"), 1) as storage:
        make_study(storage, small_job(), Plan("random", 0, 3), "mine")
        worker = Worker(storage, "mine", cache=False)
        trial = worker._next()
        assert trial is not None
        clock = [0.0]
        monkeypatch.setattr("toolkit.study.hardware.shared.time.monotonic", lambda: clock[0])
        watch = Watch(worker.study, 1)
        for beat in range(4):
            storage.set_trial_user_attr(trial._trial_id, "beat", beat)
            watch.take_over()
            clock[0] += GRACE_BEATS - 1.0
        assert worker.study.trials[0].state == TrialState.RUNNING


def test_two_that_ask_at_once_do_not_make_one_too_many(memory: Any, monkeypatch: Any) -> None:
    make_study(memory, small_job(), Plan("random", 0, 2), "mine")
    one, two = (Worker(memory, "mine", cache=False) for _ in range(2))
    assert one.run(most=1) == 1
    ask, between = workers._ask, []

    def slow(study: Any, encoding: Any) -> Any:
        if not between:
            between.append(True)
            between.append(two._next())
        return ask(study, encoding)

    monkeypatch.setattr(workers, "_ask", slow)
    monkeypatch.setattr(workers.time, "sleep", lambda _: two._run(between[1]))
    assert one._next() is None
    withdrawn = [trial for trial in one.study.trials if trial.user_attrs.get(WITHDRAWN)]
    assert [trial.state for trial in withdrawn] == [TrialState.FAIL]
    assert len(points(one)) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("grpc://", "expected grpc://HOST:PORT"),
        ("grpc://a:b", "expected grpc://HOST:PORT"),
        ("postgresql://nobody@127.0.0.1:1/none", "cannot be used"),
        ("nowhere/at/all.journal", "lies in no folder"),
    ],
)
def test_storages_that_cannot_be_reached(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message), open_shared(name):
        pass


def test_a_pipe_is_refused_before_anybody_waits_at_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.journal")
    name = str(tmp_path / "pipe.journal")
    with pytest.raises(InputError, match="not a regular file"), open_shared(name):
        pass


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (("none", 0, 1), "unknown strategy 'none'"),
        (("tpe", -1, 1), "-1 is not an integer from 0"),
        (("tpe", 0, 0), "0 is not an integer from 1"),
        (("tpe", 0, 1, 0.0), "0.0 is not a positive number"),
    ],
)
def test_plans_that_cannot_be(plan: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Plan(*plan)


def test_seconds_bind() -> None:
    storage = optuna.storages.InMemoryStorage()
    worker = worked(storage, Plan("random", 0, 1000, 0.01))
    assert 1 <= len(points(worker)) < 1000
    assert worker.study.user_attrs[CHOICE]
