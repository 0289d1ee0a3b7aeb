"""How large the space of a problem is, over all its choices of bypasses."""

from __future__ import annotations

import math

import numpy as np

from toolkit.mapping.counting import COUNT_EFFORT, SpaceSize, space_size
from toolkit.search.problem import Problem

MOST_COUNTED = 64
"""Choices up to which each is counted; of more, so many are drawn and stand for all."""


def problem_size(problem: Problem, *, seed: int = 0) -> SpaceSize:
    """Count the valid tilings with every choice of bypasses, and loop orders.

    Returns
    -------
    SpaceSize
        Its tilings are pairs of a tiling and a choice; order classes are those of the choice that
        leaves out least.

    Raises
    ------
    MappingError
        If a memory has too many reuse classes to list.

    Examples
    --------
    >>> import toolkit
    >>> problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    >>> toolkit.problem_size(problem).method
    'combination of splits grouped by extent and spatial factor'
    """
    choices = problem.choices
    if not choices:
        return space_size(problem.space, seed=seed)
    rng, every = np.random.default_rng(seed), choices.total <= MOST_COUNTED
    drawn = range(choices.total) if every else rng.integers(choices.total, size=MOST_COUNTED)
    effort = COUNT_EFFORT // len(drawn)
    sizes = [
        space_size(choices.problem_of(one).space, effort=effort, seed=seed)
        for one in map(int, drawn)
        if choices.admits(one)
    ]
    first = space_size(choices.problem_of(choices.first).space, effort=1, seed=seed)
    tilings = sum(size.tilings for size in sizes)
    error = math.sqrt(math.fsum(size.standard_error**2 for size in sizes))
    method = f"sum over {len(sizes)} possible choices of bypasses"
    if not every:
        scale = choices.total / len(drawn)
        counts = [float(size.tilings) for size in sizes] + [0.0] * (len(drawn) - len(sizes))
        error = math.hypot(error * scale, float(np.std(counts)) * math.sqrt(len(drawn)) * scale)
        tilings = choices.total * tilings // len(drawn)
        method = f"{len(drawn)} of {choices.total} choices of bypasses, drawn at random"
    exact = every and all(size.tilings_exact for size in sizes)
    return SpaceSize(
        tilings, exact, 0.0 if exact else error, first.orders, first.order_classes, method
    )
