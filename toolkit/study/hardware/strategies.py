"""Strategies over hardware side by side: every one under every seed, as studies of one storage."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import optuna

from toolkit.arguments import check_integer
from toolkit.cluster import Cluster
from toolkit.codesign.exact.front import check_within
from toolkit.codesign.exact.question import question_of
from toolkit.codesign.job import Job
from toolkit.codesign.registry import hardware_strategy
from toolkit.codesign.scoring import Scorer, check_template, score_from_record
from toolkit.errors import InputError
from toolkit.processes import available_cores, in_processes
from toolkit.study.hardware.comparison import BASELINE, HardwareComparison, HardwareRun
from toolkit.study.hardware.plan import (
    CHOICE,
    Plan,
    best_score,
    evaluations_of,
    score_of,
    scored_trials,
    seconds_of,
)
from toolkit.study.hardware.proving import (
    best_front,
    best_proof,
    front_of,
    proof_of,
    scores_of_front,
)
from toolkit.study.hardware.shared import HEARTBEAT_SECONDS, open_shared
from toolkit.study.hardware.workers import OnBox, OnSample, Worker, make_study, study_name
from toolkit.study.storage.opening import guarded, open_storage, storage_name, storage_path


def compare_hardware(
    job: Job,
    strategies: Sequence[str],
    *,
    storage: str,
    samples: int,
    seconds: float | None = None,
    evaluations: int | None = None,
    within: float = 0.0,
    seeds: int = 1,
    jobs: int | None = None,
    cluster: Cluster | None = None,
    name: str = "",
    cache: bool | str | os.PathLike[str] = True,
    heartbeat: int = HEARTBEAT_SECONDS,
    on_sample: OnSample | None = None,
    on_box: OnBox | None = None,
) -> HardwareComparison:
    """Let strategies search for hardware, each within the same budget.

    Everything is recorded, and what is there already is not done again; `toolkit worker` may help
    meanwhile from other machines.

    Parameters
    ----------
    job : Job
        What is asked.
    strategies : sequence of str
        Keys of `toolkit.codesign.registry.HARDWARE_STRATEGIES`.
    storage : str
        As for `toolkit.study.hardware.shared.open_shared`.
    samples : int
        Hardware points that each run scores, at most.
    seconds : float, optional
        Time that choosing and scoring them may take.
    evaluations : int, optional
        Mappings that may be costed for both, those of descents included; a point that was
        begun is ended.
    within : float
        Fraction of the bound by which the best point of `exact` may exceed it when it ends.
    seeds : int
        Runs of each strategy, under the seeds 0, 1, ...; one of a strategy that proves.
    jobs : int, optional
        Processes; as many as there are cores by default.
    cluster : Cluster, optional
        Where `exact` proves fronts of layers side by side; the result does not depend on it.
    name : str
        First part of the names of the studies; the networks and the template by default.
    cache : bool or path-like
        Where mappings are kept between runs.
    heartbeat : int
        Seconds between two signs of life of this worker.
    on_sample : callable, optional
        Called after every point, in the process that scored it.
    on_box : callable, optional
        Called after every box that a proof has looked at, in the process that did.

    Raises
    ------
    InputError
        If a strategy is unknown, a layer does not run on the template, or the storage cannot be
        used. Nothing is lost then.
    KeyboardInterrupt
        If interrupted before there is anything to tell; later, what was found is returned.
    """
    limits = Plan(BASELINE, 0, samples, seconds, evaluations, within)
    plans = _plans(strategies, seeds, limits)
    for strategy in dict.fromkeys(strategies):
        entry = hardware_strategy(strategy)
        entry.load()
        if entry.proves:
            question_of(job)
            if job.objective.front:
                check_within(within)
    if cluster is not None:
        if not any(hardware_strategy(strategy).proves for strategy in strategies):
            raise InputError(
                f"proofs alone run on it, and {', '.join(strategies)} proves nothing; expected "
                "exact among the strategies (all of them run on machines that take part by "
                "toolkit worker)",
                key="cluster",
            )
        with cluster.connected():
            pass  # It is wrong now, or not at all.
    check_template(Scorer(job, cache=cache))
    named = {study_name(job, plan, name): plan for plan in plans}
    _make_schema(storage)
    with open_shared(storage, heartbeat) as opened:
        for study, plan in named.items():
            make_study(opened, job, plan, study)
    work = partial(_work, storage, cache, heartbeat, cluster, on_sample, on_box)
    processes = jobs or available_cores()
    proving = [name for name, plan in named.items() if hardware_strategy(plan.strategy).proves]
    interrupted = False
    try:
        # Any number of processes share a proof.
        for _ in in_processes(work, [*named, *proving * (processes - 1)], processes):
            pass
    except KeyboardInterrupt:
        interrupted = True
    with open_shared(storage, heartbeat, met=True) as opened, guarded(storage_name(storage)):
        runs = [_run(opened, study, plan, job) for study, plan in named.items()]
        proof, front = best_proof(opened, job), best_front(opened, job)
    if interrupted and not any(run.scores for run in runs):
        raise KeyboardInterrupt
    return HardwareComparison(job, tuple(runs), proof, front, interrupted)


def _plans(strategies: Sequence[str], seeds: int, limits: Plan) -> list[Plan]:
    if not strategies:
        raise InputError("expected at least one", key="strategies")
    repeated = sorted({name for name in strategies if strategies.count(name) > 1})
    if repeated:
        raise InputError(f"{', '.join(repeated)} given twice", key="strategies")
    return [
        replace(limits, strategy=strategy, seed=seed)
        for strategy in strategies
        for seed in range(check_integer(seeds, 1, "seeds"))
        if not (seed and hardware_strategy(strategy).proves)
    ]


def _make_schema(storage: str) -> None:
    """Create or repair a file before workers share it; others may have begun already."""
    path = None if "://" in storage and storage_path(storage) is None else storage_path(storage)
    if path is None:
        return
    try:
        with open_storage(storage):
            return
    except InputError as error:
        if "is locked" not in str(error):
            raise


def _work(
    storage: str,
    cache: bool | str | os.PathLike[str],
    heartbeat: int,
    cluster: Cluster | None,
    on_sample: OnSample | None,
    on_box: OnBox | None,
    study: str,
) -> int:
    with open_shared(storage, heartbeat, met=True) as opened:
        place = cache if isinstance(cache, bool) else os.fspath(cache)
        worker = Worker(opened, study, cache=place, heartbeat=heartbeat, cluster=cluster)
        return worker.run(on_sample, on_box=on_box)


def _run(storage: optuna.storages.BaseStorage, name: str, plan: Plan, job: Job) -> HardwareRun:
    study = optuna.load_study(study_name=name, storage=storage)
    scored = scored_trials(study)
    front = front_of(study)
    if not hardware_strategy(plan.strategy).proves:
        scored = scored[: plan.samples]
    record = study.user_attrs.get(CHOICE)
    # What was interrupted has chosen nothing yet.
    known = [score_of(trial) for trial in scored]
    choice = score_from_record(record) if record else best_score(known, job)
    # What was fused at the end alone is mapped once more for that.
    fused_last = choice is not None and choice.fused and not hardware_strategy(plan.strategy).fused
    proof = front or proof_of(study)
    return HardwareRun(
        plan,
        tuple(known) if front is None else tuple(scores_of_front(front, job)),
        choice,
        seconds_of(scored) if proof is None else proof.seconds,
        evaluations_of(scored) + (choice.evaluations if choice and fused_last else 0),
    )
