"""Simulated annealing over the moves of a map space, as a kernel."""

from __future__ import annotations

import numpy as np

from toolkit.compilation import Kernel
from toolkit.lifted import formula, once
from toolkit.search.compiled_moves import (
    MoveSpace,
    Walker,
    copy_into,
    counted_value,
    draw,
    move_factors,
    redraw_order,
    take_back,
)

ORDER_SHARE, SINGLE_SHARE, SHARES = 3, 6, 16
"""Of 16 steps, so many redraw a loop order, so many change one factor; the rest changes two."""
RESOLUTION = 1 << 30
"""Random integers below it stand for fractions of it."""


@once
@formula
def anneal(
    space: MoveSpace, walker: Walker, evaluations: int, temperature: float, cooling: float
) -> float:
    """Anneal the walker's mapping for so many evaluations; returns the last temperature.

    A step to a value higher by the factor r is accepted with probability
    ``r ** (-1 / temperature)``; every evaluation multiplies the temperature by `cooling`.
    The origin is the value of the walker's mapping, inf before its first evaluation.
    """
    state = walker.state
    end = state.evaluations + evaluations
    if state.origin == np.inf and state.evaluations < end:
        state.origin = counted_value(walker)
        if state.origin < state.best:
            remember(walker)
    idle = 0
    while state.evaluations < end and idle < 1000:
        kind = draw(walker, SHARES)
        first, second, level = -1, -1, -1
        if kind < ORDER_SHARE or space.moves.shape[0] == 0:
            level = redraw_order(space, walker)
        else:
            first, second = move_factors(space, walker, kind >= ORDER_SHARE + SINGLE_SHARE)
        if level < 0 and first < 0:
            idle += 1
            continue
        idle = 0
        new = counted_value(walker)
        temperature *= cooling
        if accepts(walker, new, temperature):
            state.origin = new
            if new < state.best:
                remember(walker)
            continue
        take_back(space, walker, first, second)
        if level >= 0:
            for k in range(walker.order.shape[1]):
                walker.order[level, k] = walker.saved[k]
    return temperature


@formula
def remember(walker: Walker) -> None:
    """Keep the walker's mapping as the best one."""
    walker.state.best = walker.state.origin
    copy_into(walker.best_factors, walker.factors)
    copy_into(walker.best_order, walker.order)


@formula
def accepts(walker: Walker, new: float, temperature: float) -> bool:
    """Decide by the rule of Metropolis on logarithms of the value."""
    if new <= walker.state.origin:
        return new < np.inf
    if new == np.inf:
        return False
    rise = np.log(new / walker.state.origin) / temperature
    return bool(rise < 30.0 and draw(walker, RESOLUTION) < np.exp(-rise) * RESOLUTION)


ANNEAL = Kernel("toolkit.search.compiled_anneal:anneal", "simulated annealing")
