"""Proofs put to the test: no strategy may find what another proved impossible."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.errors import BoundError
from toolkit.mapping.nest import render
from toolkit.study.runs import Outcome, problem_name

ROUNDING = 1e-9
"""Relative difference that two ways to add up one cost may have."""


def check_bounds(outcomes: Sequence[Outcome]) -> None:
    """Hold every result against every bound proved for its problem.

    Raises
    ------
    BoundError
        If a mapping is better than a bound; the message shows it.
    """
    proofs: dict[str, Outcome] = {}
    for outcome in outcomes:
        name = problem_name(outcome.run.problem)
        if outcome.bound is not None and (
            name not in proofs or outcome.bound > (proofs[name].bound or 0.0)
        ):
            proofs[name] = outcome
    for outcome in outcomes:
        proof = proofs.get(problem_name(outcome.run.problem))
        if proof is None or proof.bound is None or outcome.mapping is None:
            continue
        if outcome.objective < proof.bound - ROUNDING * abs(proof.bound):
            problem = outcome.run.problem
            nest = render(outcome.mapping, problem.arch, problem.workload)
            raise BoundError(
                f"{problem_name(problem)}: {outcome.run.strategy} (seed {outcome.run.seed}) found "
                f"{outcome.objective:.17g}, below {proof.bound:.17g}, which "
                f"{proof.run.strategy} proved to be impossible; please report this:\n{nest}"
            )
