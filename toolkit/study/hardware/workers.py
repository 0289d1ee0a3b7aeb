"""Searches over hardware as Optuna studies that any number of workers share.

A study is one strategy under one seed on one job. Its attributes describe the job completely, so
that ``toolkit worker`` on any machine can take part. A trial is one hardware point; what it costs
is an attribute. The choice is written when as many trials are complete as the study shall have.
"""

from __future__ import annotations

import os
import socket
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from toolkit.cluster import Cluster
from toolkit.codesign.brought import BROUGHT, NetworkMappings, read_brought
from toolkit.codesign.evaluation import HardwareObjective
from toolkit.codesign.exact.front import FrontProgress
from toolkit.codesign.exact.search import Progress
from toolkit.codesign.job import Job, job_from_record
from toolkit.codesign.registry import SeededSampler, hardware_strategy
from toolkit.codesign.samplers import Encoding
from toolkit.codesign.scoring import Score, Scorer
from toolkit.compilation import clock
from toolkit.errors import InputError
from toolkit.processes import Jobs
from toolkit.search.optuna_samplers.objective import LEGACY_CONSTRAINTS
from toolkit.study.hardware.plan import (
    ASKED,
    BEST,
    CHOICE,
    COSTS,
    ELAPSED,
    EVALUATIONS,
    JOB,
    PLAN,
    SCORE,
    WITHDRAWN,
    WORKER,
    Plan,
    choose,
    score_text,
)
from toolkit.study.hardware.proving import prove_study
from toolkit.study.hardware.shared import HEARTBEAT_SECONDS, Watch, retry
from toolkit.study.storage.opening import guarded, storage_name
from toolkit.study.storage.trials import NOTE_TEXT, NOTE_VERSION

POLL_SECONDS = 0.5
"""Between two looks at a study that waits for the trials of others, which take seconds or more."""


@dataclass(frozen=True)
class SampleProgress:
    """One more point is scored: how many are by now, of how many, and what is minimised.

    ``seconds_left`` is how long the others take if all go on as they did, None if unknown.
    """

    study: str
    done: int
    samples: int
    score: Score
    objective: HardwareObjective
    seconds_left: float | None = None


@dataclass(frozen=True)
class BoxProgress:
    """A proof has looked at one more box: how far it is, and how long it may still take.

    ``seconds_left`` is None where its time has no limit.
    """

    study: str
    proof: Progress | FrontProgress
    seconds_left: float | None


OnSample = Callable[[SampleProgress], None]
OnBox = Callable[[BoxProgress], None]


def study_name(job: Job, plan: Plan, prefix: str = "") -> str:
    """Name a study after its question, its strategy and its seed."""
    return f"{prefix or job.title}/{plan.strategy}/{plan.seed}"


def make_study(storage: BaseStorage, job: Job, plan: Plan, name: str) -> None:
    """Write a study that workers can join, unless it is there already.

    A plan for more samples than are recorded goes on from there.

    Raises
    ------
    InputError
        If another job or plan has that name, or the storage fails.
    """
    asked, given = job.record(), job.settings.objective
    with guarded(storage_name(storage)):
        try:
            study = optuna.create_study(
                storage=storage,
                study_name=name,
                directions=["minimize"] * len(job.objective.metrics),
            )
        except DuplicatedStudyError:
            study = optuna.load_study(study_name=name, storage=storage)
        there = study.user_attrs
        if JOB not in there:
            study.set_metric_names(job.objective.metrics)
            storage.set_study_system_attr(study._study_id, NOTE_VERSION, 1)
            storage.set_study_system_attr(study._study_id, NOTE_TEXT, _note(job, plan))
            # People read the first ones.
            study.set_user_attr(
                ASKED, f"{job.title}: {given} by {plan.strategy}, seed {plan.seed}"
            )
            study.set_user_attr(BEST, None)
            study.set_user_attr(PLAN, plan.record())
            # Whoever sees the job may begin.
            study.set_user_attr(JOB, asked)
            return
    before = Plan(**there[PLAN])
    if there[JOB] != asked or not before.same_search(plan):
        raise InputError(
            f"study {name!r} in {storage_name(storage)} holds another job ({_other(there, asked)} "
            "differ); choose another storage or --name",
            key="storage",
        )
    if before != plan:
        with guarded(storage_name(storage)):
            study.set_user_attr(PLAN, plan.record())
            study.set_user_attr(CHOICE, None)
            study.set_user_attr(BEST, None)


def _other(there: dict[str, Any], asked: dict[str, Any]) -> str:
    known = there[JOB]
    keys = [key for key in asked if known.get(key) != asked[key]]
    if keys == ["settings"]:
        before, after = known["settings"], asked["settings"]
        keys = [key for key in after if before.get(key) != after[key]]
    return ", ".join(keys) or "strategy, seed"


def _note(job: Job, plan: Plan) -> str:
    given = job.settings
    rows = {
        "strategy": f"{plan.strategy}, seed {plan.seed}, {plan.samples} samples",
        "objective": given.objective,
        "mapper": f"{given.mapper}, {given.mapper_evaluations:,} evaluations per layer",
        "fusion": given.fusion,
        "factors": f"{given.factors}, padded {', '.join(given.pad)}"
        if given.pad
        else f"{given.factors}",
        "bypasses": given.bypass,
        "area budget": _budget(given.area_budget_um2, 1e-6, "mm²"),
        "power budget": _budget(given.power_budget_mw, 1.0, "mW"),
        "budget of DRAM": _budget(given.dram_budget_gb_per_s, 1.0, "GB/s"),
    }
    lines = [f"# {job.title}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {text} |" for name, text in rows.items()]
    return "\n".join(lines)


def _budget(value: float | None, factor: float, unit: str) -> str:
    return "none" if value is None else f"{value * factor:g} {unit}"


def study_names(storage: BaseStorage) -> list[str]:
    """Name the studies of a storage that workers can join, in the order of their making."""
    with guarded(storage_name(storage)):
        summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
    return [entry.study_name for entry in summaries if JOB in entry.user_attrs]


class Worker:
    """Takes part in one study: asks for points, scores them, tells.

    Parameters
    ----------
    storage : BaseStorage
        As `toolkit.study.hardware.shared.open_shared` opens it.
    name : str
        Of the study.
    cache : bool or str
        Where mappings are kept between runs.
    heartbeat : int
        Seconds between two beats.
    scorers : dict
        Kept by a process that works on several studies of one job.

    Raises
    ------
    InputError
        If there is no such study, or it is none of these.
    """

    def __init__(
        self,
        storage: BaseStorage,
        name: str,
        *,
        cache: bool | str = True,
        heartbeat: int = HEARTBEAT_SECONDS,
        scorers: dict[str, Scorer] | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        self.name, self._shown = name, storage_name(storage)
        with guarded(self._shown):
            if name not in optuna.get_all_study_names(storage):
                raise InputError(f"has no study {name!r}", source=self._shown)
            self.study = optuna.load_study(study_name=name, storage=storage)
            attributes = self.study.user_attrs
        if JOB not in attributes:
            raise InputError(f"study {name!r} is no search over hardware", source=self._shown)
        self.plan = Plan(**attributes[PLAN])
        self.entry = hardware_strategy(self.plan.strategy)
        known = {} if scorers is None else scorers
        key = repr((attributes[JOB], self.entry.mapper))
        if key not in known:
            job = job_from_record(attributes[JOB], f"{self._shown}: {name}")
            known[key] = Scorer(job, cache=cache, mapper=self.entry.mapper)
        self.scorer = known[key]
        self.encoding = Encoding(self.scorer.job.space)
        self.study.sampler = SeededSampler(self.entry, self.scorer, self.plan.seed)
        self._watch = Watch(self.study, heartbeat)
        self._heartbeat, self._cluster = heartbeat, cluster
        self._asking, self._descended = 0.0, 0

    def run(
        self,
        on_sample: OnSample | None = None,
        most: int | None = None,
        on_box: OnBox | None = None,
    ) -> int:
        """Score points until the study has its samples, then choose.

        Parameters
        ----------
        on_sample : callable, optional
            Called after every point.
        most : int, optional
            Points to score, at most; the study may go on afterwards.
        on_box : callable, optional
            Called after every box that a proof has looked at.

        Returns
        -------
        int
            Points that this worker scored.

        Raises
        ------
        InputError
            If the storage fails.
        """
        if self.entry.proves:
            return self._prove(on_sample, on_box)
        scored, first, began = 0, len(self._trials(TrialState.COMPLETE)), clock()
        while most is None or scored < most:
            trial = self._next()
            if trial is None:
                break
            score = self._run(trial)
            if score is None:
                continue
            scored += 1
            if on_sample is not None:
                done = len(self._trials(TrialState.COMPLETE))
                objective = self.scorer.job.objective
                samples = self.plan.samples
                # Of all workers.
                left = (samples - done) * (clock() - began) / max(done - first, 1)
                on_sample(SampleProgress(self.name, done, samples, score, objective, left))
        with guarded(self._shown):
            choose(self.study, self.plan, self.scorer)
        return scored

    def _prove(self, on_sample: OnSample | None, on_box: OnBox | None) -> int:
        """Prove, or wait until somebody else has; returns the points that improved on others."""
        found = 0

        def tell(score: Score, done: int) -> None:
            nonlocal found
            found += 1
            if on_sample is not None:
                objective = self.scorer.job.objective
                on_sample(SampleProgress(self.name, done, self.plan.samples, score, objective))

        def look(progress: Progress | FrontProgress) -> None:
            if on_box is not None:
                limit = self.plan.seconds
                left = None if limit is None else max(limit - progress.seconds, 0.0)
                on_box(BoxProgress(self.name, progress, left))

        with ExitStack() as stack:
            jobs: Jobs = 1
            if self._cluster is not None:
                jobs = stack.enter_context(self._cluster.connected())
            stack.enter_context(guarded(self._shown))
            prove_study(self.study, self.plan, self.scorer.job, self._watch, tell, look, jobs)
        return found

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        with guarded(self._shown):
            return self.study.get_trials(deepcopy=False, states=states)

    def _next(self) -> Trial | None:
        """Ask for a point; None if the study has all of its own, or its time is up."""
        while True:
            with guarded(self._shown):
                self._watch.take_over()
            done = self._trials(TrialState.COMPLETE)
            if self.plan.is_done(done):
                return None
            if len(done) + len(self._trials(TrialState.RUNNING)) >= self.plan.samples:
                # Others have the last ones; should one of them die, its trial is taken over.
                time.sleep(min(POLL_SECONDS, self._heartbeat / 2))
                continue
            start, descended = clock(), self.scorer.descended
            with guarded(self._shown):
                trial = _ask(self.study, self.encoding)
            self._asking = clock() - start
            self._descended = self.scorer.descended - descended
            if self._is_one_too_many(trial):
                trial.set_user_attr(WITHDRAWN, True)
                self.study.tell(trial, state=TrialState.FAIL)
                continue
            with guarded(self._shown):
                trial.set_user_attr(WORKER, f"{socket.gethostname()}:{os.getpid()}")
            return trial

    def _is_one_too_many(self, trial: Trial) -> bool:
        """Whether earlier trials already fill the plan, as seen after this one was made."""
        taken = self._trials(TrialState.COMPLETE, TrialState.RUNNING)
        return sum(other.number < trial.number for other in taken) >= self.plan.samples

    def _run(self, trial: Trial) -> Score | None:
        """Score one point; None if somebody else has taken it over meanwhile."""
        start = clock()
        try:
            with self._watch.alive(trial._trial_id):
                point = self.encoding.decode(trial.params)
                score = self.scorer.score(
                    point, fused=self.entry.fused, mappings=self._brought(trial)
                )
        except BaseException:
            # Whoever goes on scores this point, whatever stopped this worker.
            with guarded(self._shown):
                retry(self.study, trial._cached_frozen_trial)
            raise
        with guarded(self._shown):
            try:
                self._tell(trial, score, self._asking + clock() - start)
            except UpdateFinishedTrialError:
                return None
        return score

    def _brought(self, trial: Trial) -> tuple[NetworkMappings, ...] | None:
        """The mappings that come with a point; None if the mapper shall search."""
        if not self.entry.maps:
            return None
        with guarded(self._shown):
            attributes = self.study._storage.get_trial(trial._trial_id).user_attrs
        return read_brought(attributes[BROUGHT])

    def _tell(self, trial: Trial, score: Score, seconds: float) -> None:
        trial.set_user_attr(COSTS, score_text(self.scorer.job.objective, score))
        trial.set_user_attr(SCORE, score.record())
        trial.set_user_attr(ELAPSED, seconds)
        trial.set_user_attr(EVALUATIONS, score.evaluations + self._descended)
        for name, excess in score.constraints.items():
            trial.set_constraint(name, excess)
        # As samplers add up both kinds of constraints, only the largest excess stands there.
        self.study._storage.set_trial_system_attr(
            trial._trial_id, LEGACY_CONSTRAINTS, [max(score.constraints.values())]
        )
        if score.reason:
            values = self._beyond_all()
        else:
            values = self.scorer.job.objective.told(
                score.energy_pj, score.latency_cycles, score.area_um2
            )
        self.study.tell(trial, list(values))

    def _beyond_all(self) -> tuple[float, ...]:
        """Values of what does not run: ten times the worst so far, for inf would not be shown."""
        columns = [trial.values for trial in self._trials(TrialState.COMPLETE)]
        count = len(self.scorer.job.objective.metrics)
        return tuple(max((row[i] for row in columns), default=20.0) + 1 for i in range(count))


def _ask(study: optuna.Study, encoding: Encoding) -> Trial:
    with warnings.catch_warnings():
        # Heartbeats are the watch's own affair.
        warnings.simplefilter("ignore")
        return study.ask(dict(encoding.distributions))
