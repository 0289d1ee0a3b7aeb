"""Compiled simulated annealing over the moves of a map space."""

from __future__ import annotations

import numpy as np

from toolkit.compilation import compiled, inlined
from toolkit.model.compiled_plan import MESH, Floats, Ints, KernelPlan, Scratch
from toolkit.search.compiled_moves import (
    BASE,
    BEST,
    EVALUATIONS,
    MoveSpace,
    Walker,
    apply,
    copy_into,
    counted_value,
    draw,
    undo,
)

TRIES = 64
"""Moves drawn in search of one that the present mapping admits."""
ORDER_SHARE, SINGLE_SHARE, SHARES = 3, 6, 16
"""Of 16 steps, so many redraw a loop order, so many move one prime factor; the rest moves two."""
RESOLUTION = 1 << 30
"""Random integers below it stand for fractions of it."""


@inlined
def within(plan: KernelPlan, space: MoveSpace, factors: Ints, level: int, d: int) -> bool:
    """Whether one factor keeps its bounds and its level its mesh."""
    if factors[level, d] < space.lower[level, d] or factors[level, d] > space.upper[level, d]:
        return False
    if space.spatial[level]:
        used = 1
        for e in range(factors.shape[1]):
            used *= factors[level, e]
        return used <= plan.costs[level, MESH]
    return True


@inlined
def keeps_bounds(plan: KernelPlan, space: MoveSpace, factors: Ints, k: int) -> bool:
    """Whether both factors that move `k` has changed keep bounds and meshes."""
    d = space.moves[k, 0]
    return within(plan, space, factors, space.moves[k, 2], d) and within(
        plan, space, factors, space.moves[k, 3], d
    )


@inlined
def draw_move(space: MoveSpace, walker: Walker, taker: int) -> int:
    """Draw a move whose prime divides the factor it comes from; -1 if none turns up.

    With `taker`, one that gives to that level.
    """
    for _ in range(TRIES):
        k = draw(walker, space.moves.shape[0])
        if taker >= 0 and space.moves[k, 3] != taker:
            continue
        if walker.factors[space.moves[k, 2], space.moves[k, 0]] % space.moves[k, 1] == 0:
            return k
    return -1


@inlined
def move_primes(plan: KernelPlan, space: MoveSpace, walker: Walker, kind: int) -> tuple[int, int]:
    """Make one or two moves at once; returns them, (-1, -1) if bounds forbid the outcome.

    A second move often gives back to the level that the first took from, which trades primes
    where capacities, meshes or bounds leave no room for either move alone.
    """
    first = draw_move(space, walker, -1)
    if first < 0:
        return -1, -1
    apply(space, walker.factors, first)
    second = -1
    if kind >= ORDER_SHARE + SINGLE_SHARE:
        taker = space.moves[first, 2] if draw(walker, 2) == 0 else -1
        second = draw_move(space, walker, taker)
        if second >= 0:
            apply(space, walker.factors, second)
    kept = keeps_bounds(plan, space, walker.factors, first)
    if second >= 0:
        kept = kept and keeps_bounds(plan, space, walker.factors, second)
    if kept:
        return first, second
    if second >= 0:
        undo(space, walker.factors, second)
    undo(space, walker.factors, first)
    return -1, -1


@inlined
def redraw_order(space: MoveSpace, walker: Walker) -> int:
    """Give a random memory a random loop order, saving its old one; returns its level or -1."""
    level = draw(walker, walker.order.shape[0])
    if space.order_counts[level] < 2:
        return -1
    choice = draw(walker, space.order_counts[level])
    for k in range(walker.order.shape[1]):
        walker.saved[k] = walker.order[level, k]
        walker.order[level, k] = space.orders[level, choice, k]
    return level


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
            first, second = move_primes(plan, space, walker, kind)
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
