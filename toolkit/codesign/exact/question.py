"""What a proof over hardware is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.codesign.evaluation import HardwareObjective, NetworkWeight
from toolkit.codesign.job import Job
from toolkit.codesign.space import HardwareSpace
from toolkit.errors import InputError
from toolkit.mapping.space import Factors
from toolkit.model.conventions import EXACT, Conventions


@dataclass(frozen=True, eq=False)
class Question:
    """What is proved.

    Parameters
    ----------
    space : HardwareSpace
        Of which the best point within the budgets is looked for.
    networks : sequence of NetworkWeight
        What runs on it.
    objective : HardwareObjective
        A product of powers of at least 0; no front.
    conventions : Conventions
        How costs are counted.
    factors : {"perfect", "ragged"}, optional
        Which tile factors mappings may have; by default what the conventions say.
    """

    space: HardwareSpace
    networks: Sequence[NetworkWeight]
    objective: HardwareObjective
    conventions: Conventions = EXACT
    factors: Factors | None = None


def question_of(job: Job) -> Question:
    """State what is to be proved of a job: the best point or front, layers mapped on their own.

    The mapper of the job does not matter: mappings of all layers are chosen together.

    Raises
    ------
    InputError
        If the job fuses layers or chooses padded sizes, of which nothing can be proved.
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
    return Question(job.space, job.networks, job.objective, EXACT, given.factors)
