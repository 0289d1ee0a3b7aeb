"""The strategy `exact` as a study: one worker proves, all find what it has proved.

A proof is an attribute of the study, written while it grows, so that whoever comes after a worker
that was killed goes on with it. Points that improve on the best so far are its trials.
"""

from __future__ import annotations

import base64
import json
import math
import time
import zlib
from collections.abc import Callable, Mapping

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from toolkit.arch.expressions import Number
from toolkit.codesign.exact.certificate import HardwareProof, PointCost, proof_from_record
from toolkit.codesign.exact.question import question_of
from toolkit.codesign.exact.search import HardwareProver, Progress
from toolkit.codesign.job import Job
from toolkit.codesign.samplers import Encoding
from toolkit.codesign.scoring import FITS, NetworkScore, Score
from toolkit.compilation import clock
from toolkit.processes import Jobs
from toolkit.study.hardware.plan import (
    CHOICE,
    ELAPSED,
    EVALUATIONS,
    JOB,
    SCORE,
    WITHDRAWN,
    Plan,
    best_score,
    score_of,
    scored_trials,
)
from toolkit.study.hardware.shared import Watch

PROOF = "proof"
"""Attribute of a study of a strategy that proves: what is proved, as compressed text."""

WRITE_SECONDS = 30.0
"""Between two times that a growing proof is written down."""
_POLL_SECONDS = 0.5
_MAX_BYTES = 1 << 28

OnPoint = Callable[[Score, int], None]
"""Called with every point that improves on the best so far, and how many these are."""


def proof_of(study: optuna.Study) -> HardwareProof | None:
    """What a study has proved so far; None if nothing."""
    text = study.user_attrs.get(PROOF)
    if not text:
        return None
    data = zlib.decompressobj().decompress(base64.b85decode(text), _MAX_BYTES)
    return proof_from_record(json.loads(data))


def is_proved(study: optuna.Study, plan: Plan) -> bool:
    """Whether a proof has ended: it is close enough, or its time is over."""
    proof = proof_of(study)
    if proof is None:
        return False
    late = plan.seconds is not None and proof.seconds >= plan.seconds
    return late or proof.proved or proof.gap <= plan.within


def best_proof(storage: BaseStorage, job: Job) -> HardwareProof | None:
    """Of all proofs of a job in a storage the one with the highest bound."""
    proofs = [proof_of(study) for study in _studies_of(storage, job)]
    return max((p for p in proofs if p is not None), key=lambda p: p.bound, default=None)


def _studies_of(storage: BaseStorage, job: Job) -> list[optuna.Study]:
    """All studies of a job, whatever their strategy."""
    record = job.record()
    summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
    return [
        optuna.load_study(study_name=entry.study_name, storage=storage)
        for entry in summaries
        if entry.user_attrs.get(JOB) == record
    ]


def prove_study(
    study: optuna.Study,
    plan: Plan,
    job: Job,
    watch: Watch,
    on_point: OnPoint | None = None,
    jobs: Jobs = 1,
) -> None:
    """Prove until a study has what its plan asks for, or wait until another worker has.

    Raises
    ------
    InputError
        If of the job nothing can be proved.
    """
    question = question_of(job)
    while not is_proved(study, plan):
        watch.take_over()
        trial = study.ask({})
        if _is_first(study, trial.number):
            with watch.alive(trial._trial_id):
                try:
                    _Proving(study, plan, job, HardwareProver(question, jobs=jobs), on_point).run()
                finally:
                    _withdraw(study, trial)
            break
        _withdraw(study, trial)
        time.sleep(_POLL_SECONDS)
    proof = proof_of(study)
    if proof is not None and proof.best is not None:
        study.set_user_attr(CHOICE, score_of_point(proof.best, job, 0.0).record())


def _withdraw(study: optuna.Study, trial: optuna.Trial) -> None:
    """End the trial that keeps others from proving the same."""
    trial.set_user_attr(WITHDRAWN, True)
    study.tell(trial, state=TrialState.FAIL)


def _is_first(study: optuna.Study, number: int) -> bool:
    """Whether no earlier trial proves."""
    proving = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return all(trial.number >= number for trial in proving)


class _Proving:
    """A proof that writes down what it has as it goes along."""

    def __init__(
        self,
        study: optuna.Study,
        plan: Plan,
        job: Job,
        prover: HardwareProver,
        on_point: OnPoint | None,
    ) -> None:
        self._study, self._plan, self._job = study, plan, job
        self._prover, self._on_point = prover, on_point
        self._encoding = Encoding(job.space)
        self._written, self._told = clock(), math.inf
        self._spent = 0.0

    def run(self) -> None:
        """Go on from what is written until the plan is met."""
        before = proof_of(self._study)
        if before is not None:
            self._prover.resume(before)
            self._spent = before.seconds
            self._told = math.inf if before.best is None else before.best.value
        for parameters in _good_points(self._study, self._job):
            self._prover.points.try_point(parameters)
        seconds = None if self._plan.seconds is None else self._plan.seconds - self._spent
        try:
            proof = self._prover.run(seconds, self._plan.within, self._note)
            if proof.best is not None:
                self._tell(proof.best, proof.seconds)
        finally:
            self._write()

    def _note(self, progress: Progress) -> None:
        if progress.best is not None:
            self._tell(progress.best, progress.seconds)
        if clock() - self._written > WRITE_SECONDS:
            self._write()

    def _write(self) -> None:
        record = self._prover.proof().record()
        data = json.dumps(record, separators=(",", ":")).encode()
        self._study.set_user_attr(PROOF, base64.b85encode(zlib.compress(data, 9)).decode())
        self._written = clock()

    def _tell(self, best: PointCost, seconds: float) -> None:
        """Add a trial for a point that improves on the best so far."""
        if best.value >= self._told:
            return
        self._told = best.value
        score = score_of_point(best, self._job, seconds - self._spent)
        self._spent = seconds
        told = self._job.objective.told(best.energy_pj, best.latency_cycles, best.area_um2)
        trial: FrozenTrial = create_trial(
            values=list(told),
            params=dict(self._encoding.encode(best.parameters)),
            distributions=dict(self._encoding.distributions),
            user_attrs={SCORE: score.record(), ELAPSED: score.seconds, EVALUATIONS: 0},
        )
        self._study.add_trial(trial)
        if self._on_point is not None:
            done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            self._on_point(score, len(done))


def score_of_point(best: PointCost, job: Job, seconds: float) -> Score:
    """The score of a point as other strategies have it."""
    names = [
        str(use.graph.graph.get("name") or f"network {i}") for i, use in enumerate(job.networks)
    ]
    shares = job.space.shares(job.space.build(best.parameters))
    constraints = {name: math.log(max(share, 1e-300)) for name, share in shares.items()}
    networks = tuple(
        NetworkScore(name, energy, latency)
        for name, (energy, latency) in zip(names, best.networks, strict=True)
    )
    return Score(
        dict(best.parameters),
        best.area_um2,
        best.power_mw,
        {**constraints, FITS: 0.0},
        best.energy_pj,
        best.latency_cycles,
        networks,
        seconds=seconds,
    )


def _good_points(study: optuna.Study, job: Job) -> list[Mapping[str, Number]]:
    """The best point of every other study of the job."""
    found: list[Mapping[str, Number]] = []
    for other in _studies_of(study._storage, job):
        if other.study_name != study.study_name:
            best = best_score([score_of(trial) for trial in scored_trials(other)], job)
            found += [] if best is None else [best.parameters]
    return found
