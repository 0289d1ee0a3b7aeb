"""Compiled moves through the map space: one prime factor to another level, one loop order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolkit.compilation import compiled, inlined, merged
from toolkit.model.compiled import prepared_cost
from toolkit.model.compiled_plan import MESH, Floats, Ints, KernelPlan, Scratch
from toolkit.model.compiled_traffic import fits, prepare

TRIES = 64
"""Moves drawn in search of one that the present mapping admits."""

STRICTLY = 1.0 - 1e-12
"""Values must fall by more than rounding to count as better."""


class MoveSpace(NamedTuple):
    """Moves of a map space as arrays; L levels, D dimensions, N moves.

    Attributes
    ----------
    moves : [N, 4]
        Dimension, prime, level that gives and level that takes.
    lower, upper : [L, D]
        Bounds of the factors.
    spatial : [L]
        Whether the level unrolls.
    orders : [L, classes, D]
        Loop orders of every memory, one per reuse class.
    order_counts : [L]
        How many of them there are.
    """

    moves: Ints
    lower: Ints
    upper: Ints
    spatial: Ints
    orders: Ints
    order_counts: Ints


class Walker(NamedTuple):
    """Mappings that a local search works on, and its random state.

    Attributes
    ----------
    factors, order : [L, D]
        The mapping being changed.
    base_factors, base_order : [L, D]
        The mapping that kicks start from.
    best_factors, best_order : [L, D]
        The best one so far.
    values : [3]
        Objective of base, of the best since the present start, and of the best of all.
    counters : [4]
        Random state, evaluations, kicks since the last improvement, and how many of the
        evaluated mappings are not valid.
    saved : [D]
        Room for one loop order.
    """

    factors: Ints
    order: Ints
    base_factors: Ints
    base_order: Ints
    best_factors: Ints
    best_order: Ints
    values: Floats
    counters: Ints
    saved: Ints


BASE, LOCAL, BEST = range(3)
RANDOM, EVALUATIONS, IDLE, INVALID = range(4)


@inlined
def draw(walker: Walker, below: int) -> int:
    """Return a pseudorandom integer in [0, below): a 64-bit linear congruence, upper bits."""
    state = walker.counters[RANDOM] * 6364136223846793005 + 1442695040888963407
    walker.counters[RANDOM] = state
    return ((state >> 33) & 0x7FFFFFFF) % below


@inlined
def copy_into(target: Ints, source: Ints) -> None:
    """Copy a two-dimensional array."""
    for i in range(source.shape[0]):
        for k in range(source.shape[1]):
            target[i, k] = source[i, k]


@inlined
def power(cost: float, exponent: float) -> float:
    """Return ``cost ** exponent``, quickly for what most objectives need."""
    if exponent == 1.0:
        return cost
    return 1.0 if exponent == 0.0 else cost**exponent


@compiled
def value(plan: KernelPlan, factors: Ints, order: Ints, powers: Floats, scratch: Scratch) -> float:
    """Objective value of a mapping within bounds; inf if no tile fits or no cost is finite.

    `powers` are the exponents of energy, latency and utilization.
    """
    prepare(plan, factors, scratch)
    if not fits(plan, scratch):
        return np.inf
    energy, latency, utilization = prepared_cost(plan, order, scratch)
    result = power(energy, powers[0]) * power(latency, powers[1]) * power(utilization, powers[2])
    # A cost that is not a number must not pass for the lowest one.
    return result if result < np.inf else np.inf


@inlined
def counted_value(plan: KernelPlan, walker: Walker, powers: Floats, scratch: Scratch) -> float:
    """Objective value of the walker's mapping, counted as an evaluation."""
    result = value(plan, walker.factors, walker.order, powers, scratch)
    walker.counters[EVALUATIONS] += 1
    if result == np.inf:
        walker.counters[INVALID] += 1
    return result


@inlined
def can_move(plan: KernelPlan, space: MoveSpace, factors: Ints, k: int) -> bool:
    """Whether move `k` keeps all factors within bounds and meshes."""
    d, p = space.moves[k, 0], space.moves[k, 1]
    s, t = space.moves[k, 2], space.moves[k, 3]
    given = factors[s, d]
    if given % p != 0 or given // p < space.lower[s, d]:
        return False
    if factors[t, d] * p > space.upper[t, d]:
        return False
    if space.spatial[t]:
        used = p
        for e in range(factors.shape[1]):
            used *= factors[t, e]
        return used <= plan.costs[t, MESH]
    return True


@inlined
def apply(space: MoveSpace, factors: Ints, k: int) -> None:
    """Make move `k`."""
    d, p = space.moves[k, 0], space.moves[k, 1]
    factors[space.moves[k, 2], d] //= p
    factors[space.moves[k, 3], d] *= p


@inlined
def undo(space: MoveSpace, factors: Ints, k: int) -> None:
    """Take move `k` back."""
    d, p = space.moves[k, 0], space.moves[k, 1]
    factors[space.moves[k, 2], d] *= p
    factors[space.moves[k, 3], d] //= p


@merged
def improve_orders(
    plan: KernelPlan,
    space: MoveSpace,
    walker: Walker,
    powers: Floats,
    current: float,
    limit: int,
    scratch: Scratch,
) -> float:
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
            if walker.counters[EVALUATIONS] >= limit:
                break
            for k in range(order.shape[1]):
                order[level, k] = space.orders[level, choice, k]
            new = counted_value(plan, walker, powers, scratch)
            if new < current * STRICTLY:
                current = new
                for k in range(order.shape[1]):
                    saved[k] = order[level, k]
        for k in range(order.shape[1]):
            order[level, k] = saved[k]
    return current


@merged
def improve_factors(
    plan: KernelPlan,
    space: MoveSpace,
    walker: Walker,
    powers: Floats,
    current: float,
    limit: int,
    scratch: Scratch,
) -> float:
    """Make the best of all single moves, if any is better; returns the new value."""
    best, move = current * STRICTLY, -1
    for k in range(space.moves.shape[0]):
        if walker.counters[EVALUATIONS] >= limit:
            break
        if can_move(plan, space, walker.factors, k):
            apply(space, walker.factors, k)
            new = counted_value(plan, walker, powers, scratch)
            undo(space, walker.factors, k)
            if new < best:
                best, move = new, k
    if move < 0:
        return current
    apply(space, walker.factors, move)
    return best


@merged
def descend(
    plan: KernelPlan,
    space: MoveSpace,
    walker: Walker,
    powers: Floats,
    limit: int,
    scratch: Scratch,
) -> float:
    """Improve orders and factors in turn until neither helps; returns the value reached."""
    if walker.counters[EVALUATIONS] >= limit:
        return np.inf
    current = counted_value(plan, walker, powers, scratch)
    while True:
        current = improve_orders(plan, space, walker, powers, current, limit, scratch)
        moved = improve_factors(plan, space, walker, powers, current, limit, scratch)
        if not moved < current:
            return current
        current = moved


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
def move_primes(plan: KernelPlan, space: MoveSpace, walker: Walker, two: bool) -> tuple[int, int]:
    """Make one or two moves at once; returns them, (-1, -1) if bounds forbid the outcome.

    A second move often gives back to the level that the first took from, which trades primes
    where capacities, meshes or bounds leave no room for either move alone.
    """
    first = draw_move(space, walker, -1)
    if first < 0:
        return -1, -1
    apply(space, walker.factors, first)
    second = -1
    if two:
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


@merged
def kick(
    plan: KernelPlan, space: MoveSpace, walker: Walker, strength: int, scratch: Scratch
) -> None:
    """Make a few random moves that fit, single ones and pairs, and redraw one loop order."""
    for _ in range(2 + draw(walker, strength)):
        first, second = move_primes(plan, space, walker, draw(walker, 3) == 0)
        if first < 0:
            continue
        prepare(plan, walker.factors, scratch)
        if not fits(plan, scratch):
            if second >= 0:
                undo(space, walker.factors, second)
            undo(space, walker.factors, first)
    redraw_order(space, walker)


@merged
def settle(walker: Walker, reached: float, slack: float) -> bool:
    """Keep what a descent reached where it is good enough; returns whether it is the best."""
    if reached <= walker.values[BASE] * (1.0 + slack):
        walker.values[BASE] = reached
        copy_into(walker.base_factors, walker.factors)
        copy_into(walker.base_order, walker.order)
    if reached < walker.values[LOCAL] * STRICTLY:
        walker.values[LOCAL] = reached
        walker.counters[IDLE] = 0
    if reached >= walker.values[BEST] * STRICTLY:
        return False
    walker.values[BEST] = reached
    copy_into(walker.best_factors, walker.factors)
    copy_into(walker.best_order, walker.order)
    return True


@compiled
def descend_and_kick(
    plan: KernelPlan,
    space: MoveSpace,
    walker: Walker,
    powers: Floats,
    limit: int,
    kicks: int,
    strength: int,
    slack: float,
    scratch: Scratch,
) -> bool:
    """Kick and descend up to `kicks` times; stops early at a new best and says so.

    Before the first descent of a start, the walker's base value is inf: that descent goes from
    the walker's own mapping, without a kick.
    """
    for _ in range(kicks):
        if walker.counters[EVALUATIONS] >= limit:
            return False
        if walker.values[BASE] < np.inf:
            copy_into(walker.factors, walker.base_factors)
            copy_into(walker.order, walker.base_order)
            kick(plan, space, walker, strength, scratch)
            walker.counters[IDLE] += 1
        if settle(walker, descend(plan, space, walker, powers, limit, scratch), slack):
            return True
    return False
