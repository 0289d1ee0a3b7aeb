"""Greedy's descents for kernels: the best moves in turn until none helps, then a few at random."""

from __future__ import annotations

import numpy as np

from toolkit.compilation import Kernel
from toolkit.lifted import Table, apart, formula, invoke, once
from toolkit.mapping.tilings import HALF, ONE_LESS
from toolkit.search.compiled_moves import (
    STRICTLY,
    MoveSpace,
    Walker,
    copy_into,
    counted_value,
    draw,
    keeps_bounds,
    make,
    move_factors,
    redraw_order,
    take_back,
    undo,
)


@once
@formula
def improve_orders(space: MoveSpace, walker: Walker, current: float, limit: int) -> float:
    """Give every memory in turn its best loop order; returns the new value."""
    order, saved = walker.order, walker.saved
    for level in range(order.shape[0]):
        running = 0
        for d in range(order.shape[1]):
            running += walker.factors[level, d] > 1
        if running < 2 or space.order_counts[level] < 2:
            continue
        for k in range(order.shape[1]):
            saved[k] = order[level, k]
        for choice in range(space.order_counts[level]):
            if walker.state.evaluations >= limit:
                break
            for k in range(order.shape[1]):
                order[level, k] = space.orders[level, choice, k]
            new = counted_value(walker)
            if new < current * STRICTLY:
                current = new
                for k in range(order.shape[1]):
                    saved[k] = order[level, k]
        for k in range(order.shape[1]):
            order[level, k] = saved[k]
    return current


@apart
@formula
def leads_anew(space: MoveSpace, factors: Table, k: int) -> bool:
    """Whether move `k` leads where no other move of a ragged dimension does.

    A level that iterates once has nothing to give: others, farther outside, would. Small factors
    are changed by one rather than doubled or halved.
    """
    move = space.moves[k]
    if space.ragged[move.dimension] == 0:
        return True
    f = factors[move.taker, move.dimension]
    if move.change == ONE_LESS:
        return bool(f > 1)
    if move.change == HALF:
        return bool(f > 3)
    return bool(factors[move.giver, move.dimension] > 1 and not (move.change == 2 and f == 1))


@once
@formula
def improve_factors(space: MoveSpace, walker: Walker, current: float, limit: int) -> float:
    """Make the best of all single moves, if any is better; returns the new value.

    Ragged dimensions have many moves. The best of each of them is made at once.
    """
    best, move = current * STRICTLY, -1
    for k in range(space.moves.shape[0]):
        if walker.state.evaluations >= limit:
            break
        if move >= 0:
            d = space.moves[move].dimension
            if space.ragged[d] != 0 and space.moves[k].dimension != d:
                make(space, walker, move, 0)
                current, best, move = best, best * STRICTLY, -1
        if not leads_anew(space, walker.factors, k) or not make(space, walker, k, 0):
            continue
        if keeps_bounds(space, walker.factors, k):
            new = counted_value(walker)
            if new < best:
                best, move = new, k
        undo(space, walker, k, 0)
    if move < 0:
        return current
    make(space, walker, move, 0)
    return best


@once
@formula
def descend(space: MoveSpace, walker: Walker, limit: int) -> float:
    """Improve orders and factors in turn until neither helps; returns the value reached."""
    if walker.state.evaluations >= limit:
        return np.inf
    current = counted_value(walker)
    while True:
        current = improve_orders(space, walker, current, limit)
        moved = improve_factors(space, walker, current, limit)
        if not moved < current:
            return current
        current = moved


@once
@formula
def kick(space: MoveSpace, walker: Walker, strength: int) -> None:
    """Make a few random moves that fit, single ones and pairs, and redraw one loop order."""
    state = walker.state
    for _ in range(2 + draw(walker, strength)):
        first, second = move_factors(space, walker, draw(walker, 3) == 0)
        if first >= 0:
            invoke(state.kernel, state.plan, state.nest, state.batch, 1)
            if walker.costs[0].fits == 0:
                take_back(space, walker, first, second)
    redraw_order(space, walker)


@once
@formula
def settle(walker: Walker, reached: float, slack: float) -> bool:
    """Keep what a descent reached where it is good enough; returns whether it is the best."""
    state = walker.state
    if reached <= state.origin * (1.0 + slack):
        state.origin = reached
        copy_into(walker.base_factors, walker.factors)
        copy_into(walker.base_order, walker.order)
    if reached < state.local * STRICTLY:
        state.local = reached
        state.idle = 0
    if reached >= state.best * STRICTLY:
        return False
    state.best = reached
    copy_into(walker.best_factors, walker.factors)
    copy_into(walker.best_order, walker.order)
    return True


@once
@formula
def descend_and_kick(
    space: MoveSpace, walker: Walker, limit: int, kicks: int, strength: int, slack: float
) -> int:
    """Kick and descend up to `kicks` times; stops early at a new best and returns 1.

    Before the first descent of a start, the walker's origin is inf: that descent goes from
    the walker's own mapping, without a kick.
    """
    for _ in range(kicks):
        if walker.state.evaluations >= limit:
            return 0
        if walker.state.origin < np.inf:
            copy_into(walker.factors, walker.base_factors)
            copy_into(walker.order, walker.base_order)
            kick(space, walker, strength)
            walker.state.idle += 1
        if settle(walker, descend(space, walker, limit), slack):
            return 1
    return 0


DESCEND_AND_KICK = Kernel("toolkit.search.compiled_descent:descend_and_kick", "greedy's descents")
