"""The strategy `exact` as a study: workers share a proof, all find what it has proved.

What is proved is in trials (`toolkit.study.hardware.shares`), so that whoever comes after a worker
that was killed goes on with it. Points that improve on the best so far are trials, too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from toolkit.arch.expressions import Number
from toolkit.codesign.exact.certificate import (
    HardwareProof,
    PointCost,
    join_proofs,
    nothing_proved,
    proof_from_record,
)
from toolkit.codesign.exact.question import Question, question_of
from toolkit.codesign.exact.search import HardwareProver, Progress
from toolkit.codesign.job import Job, job_from_record
from toolkit.codesign.registry import hardware_strategy
from toolkit.codesign.samplers import Encoding
from toolkit.codesign.scoring import FITS, NetworkScore, Score
from toolkit.compilation import clock
from toolkit.study.hardware.plan import (
    CHOICE,
    ELAPSED,
    EVALUATIONS,
    JOB,
    PLAN,
    SCORE,
    Plan,
    best_score,
    score_of,
    scored_trials,
)
from toolkit.study.hardware.shared import Watch
from toolkit.study.hardware.shares import Claim, Kind, Shares

SHARE_SECONDS = 30.0
"""For how long a worker keeps boxes before it writes down what it has found of them."""
ASKED_SECONDS = 2.0
"""Between two looks whether another worker waits for boxes."""
_POLL_SECONDS = 0.5

OnPoint = Callable[[Score, int], None]
"""Called with every point that improves on the best so far, and how many these are."""

BOUNDS = Kind(proof_from_record, join_proofs)
"""Proofs of one value."""


def shares_of(study: optuna.Study, plan: Plan, job: Job) -> Shares[HardwareProof]:
    """The proof of a study, as its workers share it."""
    return Shares(study, BOUNDS, nothing_proved(job.space.ranges), plan.within)


def proof_of(study: optuna.Study) -> HardwareProof | None:
    """What a study has proved so far; None if nothing."""
    attributes = study.user_attrs
    plan = Plan(**attributes[PLAN])
    if not hardware_strategy(plan.strategy).proves:
        return None
    shares = shares_of(study, plan, job_from_record(attributes[JOB], study.study_name))
    proof = shares.read()
    return proof if shares.begun else None


def is_proved(proof: HardwareProof, plan: Plan) -> bool:
    """Whether a proof has ended: it is close enough, or its time is over."""
    late = plan.seconds is not None and proof.seconds >= plan.seconds
    return late or not proof.left(plan.within)


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
    study: optuna.Study, plan: Plan, job: Job, watch: Watch, on_point: OnPoint | None = None
) -> None:
    """Prove until a study has what its plan asks for, together with other workers.

    Raises
    ------
    InputError
        If of the job nothing can be proved.
    """
    proving = _Proving(study, plan, job, question_of(job), watch, on_point)
    proof = proving.run()
    if proof.best is not None:
        study.set_user_attr(CHOICE, score_of_point(proof.best, job, 0.0).record())


class _Proving:
    """A worker's part in a proof."""

    def __init__(
        self,
        study: optuna.Study,
        plan: Plan,
        job: Job,
        question: Question,
        watch: Watch,
        on_point: OnPoint | None,
    ) -> None:
        self._study, self._plan, self._job = study, plan, job
        self._watch, self._on_point = watch, on_point
        self._shares = shares_of(study, plan, job)
        self._prover = HardwareProver(question)
        self._encoding = Encoding(job.space)
        self._told, self._since = math.inf, clock()
        self._looked = False

    def run(self) -> HardwareProof:
        """Go on with open boxes until there are none, or the time of all workers is over."""
        while True:
            self._shares.take_over(self._watch)
            if is_proved(self._shares.read(), self._plan):
                break
            found = self._shares.claim(self._prover.left)
            if found is None:
                found = self._wait()
            if found is not None:
                self._go_on(*found)
        return self._shares.read()

    def _wait(self) -> tuple[HardwareProof, Claim] | None:
        """Wait for boxes; None if nothing is left to do."""
        with self._shares.waiting(self._watch):
            while not is_proved(self._shares.read(), self._plan):
                found = self._shares.claim(self._prover.left, waiting=True)
                if found is not None:
                    return found
                time.sleep(_POLL_SECONDS)
                self._shares.take_over(self._watch)
        return None

    def _go_on(self, before: HardwareProof, claim: Claim) -> None:
        """Look at claimed boxes for a while, and give them back."""
        with self._watch.alive(claim.trial_id):
            mine = set(claim.boxes)
            boxes = [entry for entry in before.boxes if entry.box in mine]
            self._prover.resume(before.of_boxes(boxes))
            self._told = math.inf if before.best is None else before.best.value
            self._since = clock()
            left = None if self._plan.seconds is None else self._plan.seconds - before.seconds
            try:
                self._try_good_points()
                pause = partial(self._is_enough, _Pause(clock()))
                proof = self._prover.run(left, self._plan.within, self._note, pause)
                if proof.best is not None:
                    self._tell(proof.best)
            finally:
                self._shares.give_back(claim, self._prover.proof())

    def _try_good_points(self) -> None:
        """Try the best points of other studies of the job, once."""
        if not self._looked:
            self._looked = True
            for parameters in _good_points(self._study, self._job):
                self._prover.points.try_point(parameters)

    def _note(self, progress: Progress) -> None:
        if progress.best is not None:
            self._tell(progress.best)

    def _is_enough(self, pause: _Pause) -> bool:
        """Whether it is time to write down what is found, or another worker waits for boxes."""
        now = clock()
        if now - pause.begun > SHARE_SECONDS:
            return True
        if now - pause.looked < ASKED_SECONDS:
            return False
        pause.looked = now
        return len(self._prover.left) > 1 and self._shares.somebody_waits()

    def _tell(self, best: PointCost) -> None:
        """Add a trial for a point that improves on the best so far."""
        if best.value >= self._told:
            return
        self._told, now = best.value, clock()
        score = score_of_point(best, self._job, now - self._since)
        self._since = now
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


@dataclass(eq=False)
class _Pause:
    """When a worker began with boxes, and last looked whether others wait."""

    begun: float
    looked: float = -math.inf


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
