"""Compiled simulated annealing over the moves of a map space."""

from __future__ import annotations

import numpy as np

from toolkit.compilation import compiled, inlined
from toolkit.model.compiled_plan import Floats, KernelPlan, Scratch
from toolkit.search.compiled_moves import (
    BASE,
    BEST,
    EVALUATIONS,
    MoveSpace,
    Walker,
    copy_into,
    counted_value,
    draw,
    move_primes,
    redraw_order,
    undo,
)

ORDER_SHARE, SINGLE_SHARE, SHARES = 3, 6, 16
"""Of 16 steps, so many redraw a loop order, so many move one prime factor; the rest moves two."""
RESOLUTION = 1 << 30
"""Random integers below it stand for fractions of it."""


@compiled
def anneal(
    plan: KernelPlan,
    space: MoveSpace,
    walker: Walker,
    powers: Floats,
    evaluations: int,
    temperature: float,
    cooling: float,
    scratch: Scratch,
) -> float:
    """Anneal the walker's mapping for so many evaluations; returns the last temperature.

    A step to a value higher by the factor r is accepted with probability
    ``r ** (-1 / temperature)``; every evaluation multiplies the temperature by `cooling`.
    ``values[BASE]`` is the value of the walker's mapping, inf before its first evaluation.
    """
    end = walker.counters[EVALUATIONS] + evaluations
    if walker.values[BASE] == np.inf and walker.counters[EVALUATIONS] < end:
        walker.values[BASE] = counted_value(plan, walker, powers, scratch)
        if walker.values[BASE] < walker.values[BEST]:
            remember(walker)
    idle = 0
    while walker.counters[EVALUATIONS] < end and idle < 1000:
        kind = draw(walker, SHARES)
        first, second, level = -1, -1, -1
        if kind < ORDER_SHARE or space.moves.shape[0] == 0:
            level = redraw_order(space, walker)
        else:
            first, second = move_primes(plan, space, walker, kind >= ORDER_SHARE + SINGLE_SHARE)
        if level < 0 and first < 0:
            idle += 1
            continue
        idle = 0
        new = counted_value(plan, walker, powers, scratch)
        temperature *= cooling
        if accepts(walker, new, temperature):
            walker.values[BASE] = new
            if new < walker.values[BEST]:
                remember(walker)
            continue
        if second >= 0:
            undo(space, walker.factors, second)
        if first >= 0:
            undo(space, walker.factors, first)
        if level >= 0:
            for k in range(walker.order.shape[1]):
                walker.order[level, k] = walker.saved[k]
    return temperature


@inlined
def remember(walker: Walker) -> None:
    """Keep the walker's mapping as the best one."""
    walker.values[BEST] = walker.values[BASE]
    copy_into(walker.best_factors, walker.factors)
    copy_into(walker.best_order, walker.order)


@inlined
def accepts(walker: Walker, new: float, temperature: float) -> bool:
    """Decide by the rule of Metropolis on logarithms of the value."""
    if new <= walker.values[BASE]:
        return new < np.inf
    if new == np.inf:
        return False
    rise = np.log(new / walker.values[BASE]) / temperature
    return rise < 30.0 and draw(walker, RESOLUTION) < np.exp(-rise) * RESOLUTION
