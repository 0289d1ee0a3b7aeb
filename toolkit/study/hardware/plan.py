"""What a search over hardware may spend, what it has spent, and what it chooses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from toolkit.arguments import check_integer, store_plain_numbers
from toolkit.codesign.evaluation import HardwareObjective
from toolkit.codesign.job import Job
from toolkit.codesign.registry import hardware_strategy
from toolkit.codesign.scoring import Score, Scorer, score_from_record
from toolkit.errors import InputError

JOB, PLAN, CHOICE = "job", "plan", "choice"
"""Attributes of a study: the job, the plan and, once it has ended, the choice."""

ASKED, BEST, COSTS = "asked", "best", "costs"
"""Attributes for people: what a study searches for and what it chose, what a point costs."""

SCORE, ELAPSED, EVALUATIONS = "score", "elapsed_seconds", "evaluations"
"""Attributes of a trial: what its point is worth; seconds and mappings that choosing and scoring
it took."""

WORKER, WITHDRAWN = "worker", "withdrawn"
"""Attributes of trials: who scores it (host and process), and whether it was one too many because
two workers asked at once."""


@dataclass(frozen=True)
class Plan:
    """Which strategy searches, and how much it may spend.

    Parameters
    ----------
    strategy : str
        A key of `toolkit.codesign.registry.HARDWARE_STRATEGIES`.
    seed : int
        Of all its randomness.
    samples : int
        Hardware points that are scored, at most.
    seconds : float or None
        Time that scoring and choosing them may take, all workers together.
    evaluations : int or None
        Mappings that may be costed for both, all workers together, relaxed ones included.
        A point that was begun is ended, and counts.
    within : float
        Fraction of the bound by which the best point may exceed it when a proof ends; of a
        strategy that proves. Neither samples nor evaluations limit that.
    """

    strategy: str
    seed: int
    samples: int
    seconds: float | None = None
    evaluations: int | None = None
    within: float = 0.0

    def __post_init__(self) -> None:
        hardware_strategy(self.strategy)
        store_plain_numbers(self)
        check_integer(self.seed, 0, "seeds")
        check_integer(self.samples, 1, "samples")
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise InputError(f"{self.seconds!r} is not a positive number", key="seconds")
        if self.evaluations is not None:
            check_integer(self.evaluations, 1, "evaluations")
        if not 0 <= self.within < float("inf"):
            raise InputError(f"{self.within!r} is not a number from 0", key="within")

    def record(self) -> dict[str, Any]:
        """Write the plan as plain data."""
        return asdict(self)

    def same_search(self, other: Plan) -> bool:
        """Whether another plan differs in its limits alone."""
        return (self.strategy, self.seed) == (other.strategy, other.seed)

    def is_done(self, trials: Sequence[FrozenTrial]) -> bool:
        """Whether the scored points of a study are all that it shall have."""
        return (
            len(trials) >= self.samples
            or (self.seconds is not None and seconds_of(trials) >= self.seconds)
            or (self.evaluations is not None and evaluations_of(trials) >= self.evaluations)
        )


def seconds_of(trials: Sequence[FrozenTrial]) -> float:
    """Seconds that choosing and scoring points took, of all workers together."""
    return math.fsum(trial.user_attrs.get(ELAPSED, 0.0) for trial in trials)


def evaluations_of(trials: Sequence[FrozenTrial]) -> int:
    """Mappings that choosing and scoring points took, relaxed ones included."""
    return sum(int(trial.user_attrs.get(EVALUATIONS, 0)) for trial in trials)


def scored_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The trials of a study whose points are scored, in the order of their numbers."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def score_of(trial: FrozenTrial) -> Score:
    """What the point of a trial is worth."""
    return score_from_record(trial.user_attrs[SCORE])


def choose(study: optuna.Study, plan: Plan, scorer: Scorer) -> Score | None:
    """Choose the best feasible point of a study that has ended, and fuse its layers.

    Returns
    -------
    Score or None
        None if no point is feasible.
    """
    known = study.user_attrs.get(CHOICE)
    if known:
        return score_from_record(known)
    scored = scored_trials(study)
    if not plan.is_done(scored):
        return None
    best = best_score([score_of(trial) for trial in scored], scorer.job)
    if best is None:
        return None
    fuses = scorer.job.settings.fusion != "none" and not best.fused
    chosen = scorer.score(best.parameters) if fuses else best
    keep_choice(study, scorer.job, chosen)
    return chosen


def keep_choice(study: optuna.Study, job: Job, chosen: Score) -> None:
    """Write down what a study chooses, for programs and for people."""
    study.set_user_attr(CHOICE, chosen.record())
    sizes = ", ".join(f"{name}={value}" for name, value in chosen.parameters.items())
    study.set_user_attr(BEST, f"{score_text(job.objective, chosen)}: {sizes}")


def score_text(objective: HardwareObjective, score: Score) -> str:
    """Write what a point costs with units, or why it does not run."""
    if score.reason:
        return f"does not run: {score.reason}"
    costs = score.energy_pj, score.latency_cycles, score.area_um2
    what = f"{objective.heading} {objective.described(*costs)}, {score.area_um2 * 1e-6:.4g} mm²"
    broken = [name for name, excess in score.constraints.items() if excess > 0]
    return what + (f", beyond the {' and '.join(broken)} budget" if broken else "")


def best_score(scores: Sequence[Score], job: Job) -> Score | None:
    """The feasible score of the lowest objective value, the first of equals."""
    feasible = [score for score in scores if score.feasible]
    if not feasible:
        return None
    return min(
        feasible,
        key=lambda s: job.objective.value(s.energy_pj, s.latency_cycles, s.area_um2),
    )
