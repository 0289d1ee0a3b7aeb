"""The question of a job over hardware, as far as a proof can answer it."""

from __future__ import annotations

from toolkit.codesign.exact.question import Question
from toolkit.codesign.job import Job
from toolkit.errors import InputError
from toolkit.model.conventions import EXACT


def question_of(job: Job) -> Question:
    """State what is to be proved of a job: the best point, every layer mapped on its own.

    The mapper of the job does not matter: mappings of all layers are chosen together.

    Raises
    ------
    InputError
        If the job fuses layers, chooses padded sizes or asks for a front, of which nothing can
        be proved.
    """
    given = job.settings
    if given.fusion != "none":
        raise InputError(
            f"exact proves hardware for layers that are not fused, got fusion {given.fusion}; "
            "expected none, or other strategies",
            key="fusion",
        )
    if given.pad:
        raise InputError(
            "exact proves hardware for the sizes that layers have, got padded ones "
            f"({', '.join(given.pad)}); expected none, or other strategies",
            key="pad",
        )
    if job.objective.front:
        raise InputError(
            f"exact proves the best value of one objective, got {given.objective}; expected edp, "
            "edap, energy or latency, or other strategies",
            key="objective",
        )
    return Question(job.space, job.networks, job.objective, EXACT, given.factors)
