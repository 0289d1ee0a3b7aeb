"""Mappings together with their choices of bypasses: drawn, checked and made to fit in batches.

Where nothing is optional every choice is 0, and all of this is what the map space does alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from toolkit.errors import DoesNotFitError, InputError
from toolkit.mapping.bypasses import chosen_holds
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray, Mapping, to_arrays
from toolkit.mapping.sampling import sample
from toolkit.mapping.space import MapSpace
from toolkit.search.compiled_moves import MoveSpace
from toolkit.search.evaluator import Start
from toolkit.search.moves import moved_factors
from toolkit.search.problem import Problem

AT_ONCE = 8
"""Most choices of one draw: each has a map space to set up, and a batch of its own to fill."""

MOST_STEPS = 64
"""Moves after which a tiling that still exceeds capacities is given up."""


def sample_mappings(
    problem: Problem, count: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray, IntArray]:
    """Draw random valid mappings: choices first, then mappings of each, as `sample` does.

    Returns
    -------
    factors, order : int64 arrays, shape (count, levels, dimensions)
        As `to_arrays` writes them.
    choice : int64 array, shape (count,)
        A few different ones at a time.

    Raises
    ------
    DoesNotFitError
        If no valid mapping is found, whatever is left out.
    """
    if not problem.choices:
        return *sample(problem.space, count, rng), np.zeros(count, dtype=np.int64)
    few = problem.choices.draw(min(count, AT_ONCE), rng)
    choice = few[rng.integers(len(few), size=count)] if count else few[:0]
    factors = np.empty((count, *problem.space.shape), dtype=np.int64)
    order = np.empty_like(factors)
    failed, drawn = [], None
    for one, rows in grouped(choice):
        try:
            space = problem.choices.problem_of(one).space
            factors[rows], order[rows] = drawn = sample(space, len(rows), rng)
            found = rows
        except DoesNotFitError:
            failed.append(rows)
    if failed:
        if drawn is None:
            space = problem.choices.problem_of(problem.choices.first).space
            rows = np.arange(count)
            return *sample(space, count, rng), np.full(count, problem.choices.first)
        # What no draw of its own choice found is repeated from those of another.
        rows = np.concatenate(failed)
        copied = found[rng.integers(len(found), size=len(rows))]
        factors[rows], order[rows], choice[rows] = factors[copied], order[copied], choice[copied]
    return factors, order, choice


def checked_start(problem: Problem, mapping: Mapping, key: str) -> Start:
    """Write a valid mapping as arrays, with its choice of bypasses.

    Parameters
    ----------
    key : str
        The argument that gave it, for messages.

    Raises
    ------
    InputError
        If it is of another problem, or not valid.
    """
    factors, order = to_arrays(mapping, problem.arch, problem.workload)
    choice = problem.choices.number(chosen_holds(mapping, problem.arch, problem.workload))
    possible = problem.choices.admits(choice) if choice else True
    space = (problem.choices.problem_of(choice) if choice and possible else problem).space
    if not possible or not space.check(factors[None], order[None])[0]:
        raise InputError(
            f"not a valid mapping of {problem.workload.name} on {problem.arch.name}", key=key
        )
    return factors, order, choice


def grouped(choice: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Yield every different choice of a batch, and its rows."""
    for one in np.unique(choice).tolist():
        yield one, np.flatnonzero(choice == one)


def check_mappings(problem: Problem, factors: IntArray, choice: IntArray) -> BoolArray:
    """Tell which tilings [batch, levels, dimensions] are valid with their choices [batch]."""
    if not choice.any():
        return problem.space.check_factors(factors)
    valid = np.zeros(len(factors), dtype=np.bool_)
    for one, rows in grouped(choice):
        if problem.choices.admits(one):
            space = problem.choices.problem_of(one).space
            valid[rows] = space.check_factors(factors[rows])
    return valid


def space_of(problem: Problem, choice: int) -> MapSpace:
    """All mappings of one choice.

    Raises
    ------
    DoesNotFitError
        If there are none.
    """
    return problem.choices.problem_of(choice).space if problem.choices else problem.space


def fitted(space: MapSpace, moves: MoveSpace, factors: IntArray) -> IntArray | None:
    """Move factors of a tiling that exceeds capacities until it does not.

    Every step is the single move that leaves least in excess, so that what has room stays.

    Parameters
    ----------
    space : MapSpace
        Of the choice that is to fit.
    moves : MoveSpace
        What leads from one tiling to another.
    factors : int64 array, shape (levels, dimensions)
        Valid but for capacities.

    Returns
    -------
    int64 array, shape (levels, dimensions), or None
        None if no moves lead to a valid tiling.
    """
    if space.check_factors(factors[None])[0]:
        return factors
    excess = float(_excess(space, factors[None])[0])
    for _ in range(MOST_STEPS):
        near = moved_factors(space, moves, factors)
        if not len(near):
            return None
        left = _excess(space, near)
        best = int(left.argmin())
        if not left[best] < excess:
            return None
        excess, factors = float(left[best]), near[best]
        if excess == 0.0:
            return factors if space.check_factors(factors[None])[0] else None
    return None


def _excess(space: MapSpace, factors: IntArray) -> FloatArray:
    """Logarithms of words over capacities, summed where these are exceeded, [batch]."""
    over = np.log(np.maximum(space.footprints(factors), 1.0)) - np.log(space.capacity)
    return np.asarray(np.maximum(over, 0.0).sum(axis=1))
