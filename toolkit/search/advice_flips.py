"""Single moves that leave a tensor out of a memory, or let the memory hold it again."""

from __future__ import annotations

from dataclasses import replace

from toolkit.mapping.bypasses import chosen_holds
from toolkit.mapping.mapping import IntArray, Mapping
from toolkit.model.compiled import BatchTotals, batch_totals
from toolkit.search.advice_steps import Obstacle, capacity_obstacles
from toolkit.search.problem import Problem

Flip = tuple[str, Mapping, BatchTotals, tuple[Obstacle, ...]]
"""What it does, where it leads, what that costs (one row), and why it cannot run, if so."""


def single_flips(
    problem: Problem, answered: Problem, mapping: Mapping, factors: IntArray, order: IntArray
) -> list[Flip]:
    """List all flips of one optional pair; factors and loop orders stay as they are.

    Parameters
    ----------
    problem : Problem
        What was asked, with all that is optional.
    answered : Problem
        What the mapping answers, see `toolkit.search.problem.chosen_problem`.
    mapping : Mapping
        The valid mapping to leave.
    factors, order : int64 arrays, shape (levels, dimensions)
        Its loops.
    """
    choices = problem.choices
    if not choices:
        return []
    chosen = choices.number(chosen_holds(mapping, problem.arch, problem.workload))
    found: list[Flip] = []
    for bit, (memory, tensor) in enumerate(choices.names):
        other = chosen ^ 1 << bit
        if not choices.admits(other):
            continue
        asked = replace(choices.problem_of(other), factors=answered.factors)
        obstacles = tuple(capacity_obstacles(asked.space, factors))
        if not obstacles and not asked.space.check(factors[None], order[None])[0]:
            continue
        verb = "no longer holds" if other >> bit & 1 else "holds"
        totals = batch_totals(asked.plan, factors[None], order[None])
        flipped = choices.mapping(factors, order, other)
        found.append((f"{memory} {verb} {tensor}", flipped, totals, obstacles))
    return found
