"""Proofs over choices of bypasses: one problem after the other, with one incumbent.

A choice is cut as a whole where its least cost next to the lanes is no better than the best
mapping of all; what is left is proved like any other problem, and the better the best mapping of
another choice, the less of it is looked at. The bound is the least of all choices.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial

from toolkit.arch.levels import Memory
from toolkit.errors import DoesNotFitError
from toolkit.model.floor import busy_cycles, least_energy_pj
from toolkit.search.chosen_evaluator import ChosenEvaluator
from toolkit.search.evaluator import Evaluator, checked_cost
from toolkit.search.exact.parts import Prove, prove_parts
from toolkit.search.exact.spatial import lanes_bound
from toolkit.search.exact.strategy import Prover
from toolkit.search.greedy import flipping_descents
from toolkit.search.problem import Problem
from toolkit.search.result import Certificate

START = 400_000
"""Most evaluations of the descents over all choices that find a first mapping."""
START_SHARE = 0.1
"""Most of the seconds that they take, where these are limited."""


def prove_choices(evaluator: Evaluator, prove: Prove) -> tuple[float, Certificate]:
    """Prove the optimum over all choices of bypasses.

    Parameters
    ----------
    evaluator : Evaluator
        Of a problem with optional bypasses; its front, if asked for, ends complete.
    prove : Prove
        Proves the optimum of one choice.

    Returns
    -------
    bound : float
        No mapping has a lower objective value; the optimum itself if `Certificate.unfinished`
        is 0.
    certificate : Certificate
        Sums over all choices. One that was cut as a whole counts as one choice of spatial
        factors; those that there was no time to look at count as one unfinished.

    Raises
    ------
    InputError
        As `toolkit.search.exact.prove` does.
    """
    Prover(evaluator)  # Refuses what cannot be proved before anything is searched.
    problem = evaluator.problem
    _first_mapping(evaluator)
    listed, complete = _by_bound(evaluator)
    parts = ((bound, partial(ChosenEvaluator, evaluator, choice)) for bound, choice in listed)
    left, counts = prove_parts(evaluator, parts, prove)
    if not complete:
        counts.update(spatial_choices=1, unfinished=1)
        left = min(left, _least_bound(problem))
    return min(_best_value(evaluator), left), Certificate(**counts)


def _first_mapping(evaluator: Evaluator) -> None:
    """Descend a while in all choices, for the better the first mapping, the less is looked at."""
    if evaluator.is_part:
        return  # There was one already.
    most = min(START, evaluator.remaining_evaluations // 2)
    before = evaluator.evaluations

    def late() -> bool:
        spent = evaluator.evaluations - before
        return spent >= most or evaluator.time_share >= START_SHARE

    with suppress(DoesNotFitError):  # That they found none proves nothing.
        flipping_descents(evaluator, 0, late)


def _by_bound(evaluator: Evaluator) -> tuple[list[tuple[float, int]], bool]:
    """All choices with a bound of each, by rising bound; False if time did not suffice."""
    choices, found = evaluator.problem.choices, []
    for choice in choices.all():
        found.append((lanes_bound(choices.problem_of(choice)), choice))
        if evaluator.time_share >= 1:
            return sorted(found), False
    return sorted(found), True


def _least_bound(problem: Problem) -> float:
    """Objective value of the words next to the lanes, whatever holds them, on all lanes."""
    lanes = float(math.prod(x.mesh for x in problem.arch.levels if not isinstance(x, Memory)))
    energy = least_energy_pj(
        problem.arch,
        problem.workload,
        problem.conventions,
        anywhere=[memory.name for memory in problem.arch.memories],
    )
    cycles = busy_cycles(problem.arch, problem.workload, lanes)
    used = 1 / lanes if problem.objective.powers[2] > 0 else 1.0
    return float(problem.objective.value(energy, cycles, used))


def _best_value(evaluator: Evaluator) -> float:
    """Objective value of the best mapping, by the batched model; inf if there is none."""
    if evaluator.best is None:
        return math.inf
    problem = evaluator.problem.choices.problem_of(evaluator.best_choice)
    return float(problem.objective.value(*checked_cost(problem, *evaluator.best)))
