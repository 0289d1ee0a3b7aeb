"""Every mapping of a small map space: the optimum, proved.

One loop order per reuse class stands for all of them. Orders enter the cost model only through
`toolkit.model.nest.scan_memory`, over the memories of a nest, and what that returns is the
same for all orders of a class (`toolkit.mapping.orders`), whatever the conventions:

- Loops with one iteration do not count, so classes are told apart by the dimensions that do
  iterate in that tiling at that memory.
- A scan reads the loops from the innermost outwards to the first that indexes the tensor. In
  which memory that happens depends on the tiling alone; `kept`, `revisits` and `skipped`
  are products (or the presence) of all loops but those inside it in that memory, and that set
  of loops is the same within a class.
- The dimension of that loop (and its factor) is asked for only where it lies in a sum of
  several dimensions and either nothing was skipped or the memory named by the transfer has
  multiple reuses. ``exact`` (`per_instance`) names the memory that supplies the tensor,
  ``factorflow`` (`sequential`) that one or the memory itself; where nothing is skipped or
  either has multiple reuses, classes differ in the dimension too. Under ``timeloop``
  (`persistent`, where memories outside the supplier belong to the nest as well) no memory has
  multiple reuses, so that the first condition alone remains, and classes may be finer than
  needed but never coarser.
- Whether a tiling is valid does not depend on orders, and all representatives are admissible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from toolkit.errors import InputError
from toolkit.mapping.counting import space_size
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.orders import order_classes
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import enumerate_tilings
from toolkit.messages import shown
from toolkit.search.chosen_mappings import space_of
from toolkit.search.evaluator import ArrayPair, Evaluator, checked_cost
from toolkit.search.problem import Problem

LIMIT = 20_000_000
"""Most mappings that a search without a budget costs; whoever wants to wait for more should say
for how long."""
_UNLIMITED = (
    "exhaustive search looks at without a limit; give one of evaluations or seconds (nothing is "
    "then proved if it is reached), or use another strategy"
)
CHUNK = 1 << 12
"""Tilings, and mappings, at once: a batch costs little memory and is over before any limit."""


def exhaustive(evaluator: Evaluator, seed: int) -> float | None:
    """Cost all tilings with one loop order per reuse class, as far as the budget goes.

    Returns
    -------
    float or None
        The lowest objective value of all mappings; None if the budget ended before.

    Raises
    ------
    InputError
        If the budget has no limit and there are more than `LIMIT` mappings.
    MappingError
        If one dimension has too many splits, or a memory too many reuse classes, to list.
    """
    del seed  # There is nothing to draw.
    problem = evaluator.problem
    if evaluator.budget.unlimited:
        check_sizes(problem)
    for choice in problem.choices.all() if problem.choices else (0,):
        for factors, order in all_mappings(space_of(problem, choice)):
            if evaluator.evaluations and evaluator.exhausted:
                return None
            chosen = np.full(len(factors), choice)
            if len(evaluator.evaluate(factors, order, chosen)) < len(factors):
                return None
    if evaluator.best is None:
        return None
    answered = problem.choices.problem_of(evaluator.best_choice) if problem.choices else problem
    return float(problem.objective.value(*checked_cost(answered, *evaluator.best)))


def check_sizes(problem: Problem, limit: int = LIMIT) -> None:
    """Refuse a problem with more mappings than a limit, over all its choices of bypasses.

    Raises
    ------
    InputError
        Naming the number of one choice, as far as it is known.
    """
    if not problem.choices:
        check_size(problem.space, limit)
        return
    mappings = 0
    for choice in problem.choices.all():
        mappings += check_size(space_of(problem, choice), limit)
        if mappings > limit:
            raise InputError(
                f"{problem.workload.name} on {problem.arch.name} has more than the {limit} "
                f"mappings that {_UNLIMITED}",
                key="budget",
            )


def check_size(space: MapSpace, limit: int = LIMIT) -> int:
    """Refuse a space with more mappings than a limit, one loop order per reuse class.

    Returns
    -------
    int
        At least how many there are.

    Raises
    ------
    InputError
        Naming their number, as far as it is known.
    """
    size = space_size(space)
    mappings = size.tilings * size.order_classes
    if size.tilings_exact and mappings <= limit:
        return mappings
    about = f"about {shown(mappings)}"
    if size.tilings_exact and size.tilings <= limit:
        # Loops with one iteration merge classes, which that product does not know.
        mappings = 0
        for tilings in enumerate_tilings(space, CHUNK):
            mappings += int(_combinations(_choices(space, tilings)).sum())
            if mappings > limit:
                break
        else:
            return mappings
    raise InputError(
        f"{space.workload.name} on {space.arch.name} has {about} mappings, one loop order per "
        f"reuse class, more than the {limit} that {_UNLIMITED}",
        key="budget",
    )


def all_mappings(space: MapSpace) -> Iterator[ArrayPair]:
    """Yield every valid tiling with every combination of reuse classes of its loop orders.

    Yields
    ------
    factors, order : int64 arrays, shape (at most `CHUNK`, levels, dimensions)

    Raises
    ------
    MappingError
        If one dimension has too many splits, or a memory too many reuse classes, to list.
    """
    for tilings in enumerate_tilings(space, CHUNK):
        choices = _choices(space, tilings)
        ends = np.cumsum(_combinations(choices))
        for start in range(0, int(ends[-1]), CHUNK):
            number = np.arange(start, min(start + CHUNK, int(ends[-1])))
            tiling = np.searchsorted(ends, number, side="right")
            order = np.tile(np.arange(space.shape[1]), (len(number), space.shape[0], 1))
            left = ends[tiling] - 1 - number
            for level, choice in zip(space.memory_levels, choices, strict=True):
                left, picked = np.divmod(left, choice.count[tiling])
                order[:, level] = choice.orders[choice.first[tiling] + picked]
            yield tilings[tiling], order


@dataclass(frozen=True, slots=True)
class _Choice:
    """Loop orders of one memory: those of tiling b are ``orders[first[b]:][:count[b]]``."""

    orders: IntArray
    first: IntArray
    count: IntArray


def _choices(space: MapSpace, tilings: IntArray) -> list[_Choice]:
    """One loop order per reuse class of the loops that iterate, per memory and tiling."""
    choices = []
    bits = 1 << np.arange(space.shape[1])
    for level in space.memory_levels.tolist():
        patterns, which = np.unique((tilings[:, level] > 1) @ bits, return_inverse=True)
        orders = [
            order_classes(space.arch, level, space.workload, active=pattern & bits > 0)
            for pattern in patterns
        ]
        count = np.array([len(rows) for rows in orders])
        first = np.cumsum(count) - count
        choices.append(_Choice(np.concatenate(orders), first[which], count[which]))
    return choices


def _combinations(choices: list[_Choice]) -> IntArray:
    """Combinations of loop orders per tiling."""
    return np.asarray(np.prod([choice.count for choice in choices], axis=0))
