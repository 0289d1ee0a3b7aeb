"""The strategy `exact` as a study: workers share a proof, all find what it has proved.

What is proved is in trials (`toolkit.study.hardware.shares`), so that whoever comes after a worker
that was killed goes on with it. Points that improve on the best so far are trials, too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from toolkit.arch.expressions import Number
from toolkit.codesign.exact.boxes import Box
from toolkit.codesign.exact.certificate import (
    HardwareProof,
    PointCost,
    TradeOff,
    join_proofs,
    nothing_proved,
    proof_from_record,
)
from toolkit.codesign.exact.front import FrontProgress, FrontProver, check_within
from toolkit.codesign.exact.front_certificate import (
    FrontProof,
    front_from_record,
    join_fronts,
    no_front,
)
from toolkit.codesign.exact.question import question_of
from toolkit.codesign.exact.search import HardwareProver, Progress
from toolkit.codesign.job import Job, job_from_record
from toolkit.codesign.registry import hardware_strategy
from toolkit.codesign.samplers import Encoding
from toolkit.codesign.scoring import FITS, NetworkScore, Score
from toolkit.compilation import clock
from toolkit.processes import Jobs
from toolkit.study.hardware.plan import (
    COSTS,
    ELAPSED,
    EVALUATIONS,
    JOB,
    PLAN,
    SCORE,
    Plan,
    best_score,
    keep_choice,
    score_of,
    score_text,
    scored_trials,
)
from toolkit.study.hardware.shared import Watch
from toolkit.study.hardware.shares import Claim, Kind, Shares

SHARE_SECONDS = 30.0
"""For how long a worker keeps boxes before it writes down what it has found of them."""
ASKED_SECONDS = 2.0
"""Between two looks whether another worker waits for boxes."""
_POLL_SECONDS = 0.5

Q = TypeVar("Q", HardwareProof, FrontProof)

OnPoint = Callable[[Score, int], None]
"""Called with every point that improves on the best so far, and how many these are."""

OnProgress = Callable[[Progress | FrontProgress], None]
"""Called after every box."""

BOUNDS = Kind(proof_from_record, join_proofs)
"""Proofs of one value."""
FRONTS = Kind(front_from_record, join_fronts)
"""Proofs of fronts."""


def shares_of(study: optuna.Study, plan: Plan, job: Job) -> Shares[HardwareProof]:
    """The proof of a study, as its workers share it."""
    return Shares(study, BOUNDS, nothing_proved(job.space.ranges), plan.within)


def front_shares_of(study: optuna.Study, plan: Plan, job: Job) -> Shares[FrontProof]:
    """The front of a study, as its workers share it."""
    return Shares(study, FRONTS, no_front(job.space.ranges), plan.within)


def proof_of(study: optuna.Study) -> HardwareProof | None:
    """What a study has proved of one value so far; None if nothing."""
    found = _proving_study(study)
    if found is None or found[1].objective.front:
        return None
    shares = shares_of(study, *found)
    proof = shares.read()
    return proof if shares.begun else None


def front_of(study: optuna.Study) -> FrontProof | None:
    """The front that a study has proved so far; None if none."""
    found = _proving_study(study)
    if found is None or not found[1].objective.front:
        return None
    shares = front_shares_of(study, *found)
    proof = shares.read()
    return proof if shares.begun else None


def _proving_study(study: optuna.Study) -> tuple[Plan, Job] | None:
    """The plan and the job of a study whose strategy proves."""
    attributes = study.user_attrs
    plan = Plan(**attributes[PLAN])
    if not hardware_strategy(plan.strategy).proves:
        return None
    return plan, job_from_record(attributes[JOB], study.study_name)


def is_proved(proof: HardwareProof | FrontProof, plan: Plan) -> bool:
    """Whether a proof has ended: it is close enough, or its time is over."""
    late = plan.seconds is not None and proof.seconds >= plan.seconds
    return late or not proof.left(plan.within)


def best_proof(storage: BaseStorage, job: Job) -> HardwareProof | None:
    """Of all proofs of a job in a storage the one with the highest bound."""
    proofs = [proof_of(study) for study in _studies_of(storage, job)]
    return max((p for p in proofs if p is not None), key=lambda p: p.bound, default=None)


def best_front(storage: BaseStorage, job: Job) -> FrontProof | None:
    """Of all proved fronts of a job in a storage the one that may miss least."""
    fronts = [front_of(study) for study in _studies_of(storage, job)]
    return min((f for f in fronts if f is not None), key=lambda f: f.miss, default=None)


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
    on_progress: OnProgress | None = None,
    jobs: Jobs = 1,
) -> None:
    """Prove until a study has what its plan asks for, together with other workers.

    Raises
    ------
    InputError
        If of the job nothing can be proved.
    """
    question = question_of(job)
    if job.objective.front:
        check_within(plan.within)
        front = _Proving(
            study,
            plan,
            job,
            watch,
            front_shares_of(study, plan, job),
            FrontProver(question, jobs=jobs),
            on_progress,
        ).run()
        best = best_score(scores_of_front(front, job), job)
        if best is not None:
            keep_choice(study, job, best)
        return
    prover = HardwareProver(question, jobs=jobs)
    shares = shares_of(study, plan, job)
    proof = _Improving(study, plan, job, watch, shares, prover, on_progress, on_point).run()
    if proof.best is not None:
        keep_choice(study, job, score_of_point(proof.best, job, 0.0))


class _Prover(Protocol[Q]):
    """What proves, box by box."""

    @property
    def left(self) -> frozenset[Box]:
        """Boxes that are open."""

    @property
    def known(self) -> frozenset[Box]:
        """Boxes that it ever left open."""

    def resume(self, before: Q) -> None:
        """Go on with some boxes."""

    def try_point(self, parameters: Mapping[str, Number]) -> object:
        """Look at a point that may be a good one."""

    def run(
        self,
        seconds: float | None,
        within: float,
        on_progress: Callable[[Any], None] | None,
        pause: Callable[[], bool],
    ) -> Q:
        """Look at boxes for a while."""

    def proof(self) -> Q:
        """What is proved of them."""


@dataclass(eq=False)
class _Proving(Generic[Q]):
    """A worker's part in a proof."""

    study: optuna.Study
    plan: Plan
    job: Job
    watch: Watch
    shares: Shares[Q]
    prover: _Prover[Q]
    on_progress: OnProgress | None
    _looked: bool = field(default=False, init=False)

    def run(self) -> Q:
        """Go on with open boxes until there are none, or the time of all workers is over."""
        while True:
            self.shares.take_over(self.watch)
            if is_proved(self.shares.read(), self.plan):
                break
            found = self.shares.claim(self.prover.known)
            if found is None:
                found = self._wait()
            if found is not None:
                self._go_on(*found)
        return self.shares.read()

    def _wait(self) -> tuple[Q, Claim] | None:
        """Wait for boxes; None if nothing is left to do."""
        with self.shares.waiting(self.watch):
            while not is_proved(self.shares.read(), self.plan):
                found = self.shares.claim(self.prover.known, waiting=True)
                if found is not None:
                    return found
                time.sleep(_POLL_SECONDS)
                self.shares.take_over(self.watch)
        return None

    def _go_on(self, before: Q, claim: Claim) -> None:
        """Look at claimed boxes for a while, and give them back."""
        with self.watch.alive(claim.trial_id):
            mine = set(claim.boxes)
            boxes: Any = [entry for entry in before.boxes if entry.box in mine]
            self.prover.resume(before.of_boxes(boxes))
            self.begin(before)
            limit = self.plan.seconds
            left = None if limit is None else limit - before.seconds
            try:
                self._try_good_points()
                pause = partial(self._is_enough, _Pause(clock()))
                self.end(self.prover.run(left, self.plan.within, self.note, pause))
            finally:
                self.shares.give_back(claim, self.prover.proof())

    def begin(self, before: Q) -> None:
        """Called before boxes are looked at, with what is known."""

    def note(self, progress: Any) -> None:
        """Tell of every box that was looked at."""
        if self.on_progress is not None:
            self.on_progress(progress)

    def end(self, proof: Q) -> None:
        """Called after boxes were looked at."""

    def _try_good_points(self) -> None:
        """Try the best points of other studies of the job, once."""
        if not self._looked:
            self._looked = True
            for parameters in _good_points(self.study, self.job):
                self.prover.try_point(parameters)

    def _is_enough(self, pause: _Pause) -> bool:
        """Whether it is time to write down what is found, or another worker waits for boxes."""
        now = clock()
        if now - pause.begun > SHARE_SECONDS:
            return True
        if now - pause.looked < ASKED_SECONDS:
            return False
        pause.looked = now
        return len(self.prover.left) > 1 and self.shares.somebody_waits()


@dataclass(eq=False)
class _Improving(_Proving[HardwareProof]):
    """The same where one value is proved: points that improve on the best so far are trials."""

    on_point: OnPoint | None
    _told: float = field(default=math.inf, init=False)
    _since: float = field(default=0.0, init=False)

    def begin(self, before: HardwareProof) -> None:
        """Remember what others know."""
        self._told = math.inf if before.best is None else before.best.value
        self._since = clock()

    def note(self, progress: Progress) -> None:
        """Tell of the box, and of a better point."""
        if progress.best is not None:
            self._tell(progress.best)
        super().note(progress)

    def end(self, proof: HardwareProof) -> None:
        """Tell of a better point."""
        if proof.best is not None:
            self._tell(proof.best)

    def _tell(self, best: PointCost) -> None:
        """Add a trial for a point that improves on the best so far."""
        if best.value >= self._told:
            return
        self._told, now = best.value, clock()
        score = score_of_point(best, self.job, now - self._since)
        self._since = now
        told = self.job.objective.told(best.energy_pj, best.latency_cycles, best.area_um2)
        encoding = Encoding(self.job.space)
        trial: FrozenTrial = create_trial(
            values=list(told),
            params=dict(encoding.encode(best.parameters)),
            distributions=dict(encoding.distributions),
            user_attrs={
                COSTS: score_text(self.job.objective, score),
                SCORE: score.record(),
                ELAPSED: score.seconds,
                EVALUATIONS: 0,
            },
        )
        # Since the best before it, for timelines.
        ended = datetime.now()
        trial.datetime_start, trial.datetime_complete = (
            ended - timedelta(seconds=score.seconds),
            ended,
        )
        self.study.add_trial(trial)
        if self.on_point is not None:
            done = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            self.on_point(score, len(done))


@dataclass(eq=False)
class _Pause:
    """When a worker began with boxes, and last looked whether others wait."""

    begun: float
    looked: float = -math.inf


def scores_of_front(front: FrontProof, job: Job) -> list[Score]:
    """The scores of all trade-offs, as other strategies have them."""
    return [score_of_point(point, job, 0.0) for point in front.points]


def score_of_point(best: TradeOff, job: Job, seconds: float) -> Score:
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
