"""Moves through the map space for kernels: a factor that another one makes up for, a loop order.

Of a dimension whose factors multiply to its size, one level gives a prime factor to another. Of
a ragged one, a factor is multiplied, halved or changed by one, and another level iterates as
often as it then takes to reach the size.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np

from toolkit.lifted import Table, apart, formula, invoke
from toolkit.mapping.tilings import HALF, ONE_MORE
from toolkit.model.compiled import CostRow

TRIES = 64
"""Moves drawn in search of one that the present mapping admits: nearly always enough, and few
beside an evaluation."""

STRICTLY = 1.0 - 1e-12
"""Values must fall by more than rounding to count as better."""


class Move(NamedTuple):
    """A change of one level's factor that another level makes up for.

    ``change``: what the taker's factor is multiplied with, a prime of the giver's unless the
    dimension is ragged; or another change of `toolkit.mapping.tilings.factor_changes`.
    """

    dimension: int
    change: int
    giver: int
    taker: int


class MoveSpace(NamedTuple):
    """Moves of a map space as arrays; L levels, D dimensions, N moves.

    Attributes
    ----------
    moves : `Move` [N]
        All that bounds do not rule out.
    sizes, ragged : [D]
        Iterations of the dimensions, and whether last tiles may be cut off.
    lower, upper : [L, D]
        Bounds of the factors.
    mesh : [L]
        Most instances of spatial levels, 0 for memories.
    orders : [L, classes, D]
        Loop orders of every memory, one per reuse class.
    order_counts : [L]
        How many of them there are.
    """

    moves: Annotated[Table, Move, 1]
    sizes: Annotated[Table, int, 1]
    ragged: Annotated[Table, int, 1]
    lower: Annotated[Table, int, 2]
    upper: Annotated[Table, int, 2]
    mesh: Annotated[Table, int, 1]
    orders: Annotated[Table, int, 3]
    order_counts: Annotated[Table, int, 1]


class WalkerState(NamedTuple):
    """Where a local search stands, and how it calls the cost model.

    ``origin``, ``local``, ``best``: objective of what kicks start from, of the best since the
    present start, and of the best of all. ``random``: state of the random numbers. ``idle``:
    kicks since the last improvement; ``invalid``: how many of the evaluated mappings are not
    valid. Then the powers of the objective, and the addresses of a kernel of costs and of its
    blocks.
    """

    origin: float
    local: float
    best: float
    random: int
    evaluations: int
    idle: int
    invalid: int
    energy_power: float
    latency_power: float
    utilization_power: float
    kernel: int
    plan: int
    nest: int
    batch: int


class Walker(NamedTuple):
    """Mappings that a local search works on.

    Attributes
    ----------
    factors, order : [L, D]
        The mapping being changed.
    base_factors, base_order : [L, D]
        The mapping that kicks start from.
    best_factors, best_order : [L, D]
        The best one so far.
    saved : [D]
        Room for one loop order.
    columns : [2, L]
        Factors of one dimension, before the first and the second of two moves.
    costs : `CostRow` [1]
        Of the mapping being changed.
    state : `WalkerState`
        Everything else.
    """

    factors: Annotated[Table, int, 2]
    order: Annotated[Table, int, 2]
    base_factors: Annotated[Table, int, 2]
    base_order: Annotated[Table, int, 2]
    best_factors: Annotated[Table, int, 2]
    best_order: Annotated[Table, int, 2]
    saved: Annotated[Table, int, 1]
    columns: Annotated[Table, int, 2]
    costs: Annotated[Table, CostRow, 1]
    state: Annotated[Any, WalkerState, 0]


@apart
@formula
def draw(walker: Walker, below: int) -> int:
    """Return a pseudorandom integer in [0, below): a 64-bit linear congruence, upper bits."""
    state = walker.state.random * 6364136223846793005 + 1442695040888963407
    walker.state.random = state
    return int(((state >> 33) & 0x7FFFFFFF) % below)


@apart
@formula
def copy_into(target: Table, source: Table) -> None:
    """Copy a two-dimensional array."""
    for i in range(source.shape[0]):
        for k in range(source.shape[1]):
            target[i, k] = source[i, k]


@formula
def power(base: float, exponent: float) -> float:
    """Return ``base ** exponent``, quickly for what most objectives need."""
    if exponent == 1.0:
        return base
    return 1.0 if exponent == 0.0 else float(base**exponent)


@apart
@formula
def counted_value(walker: Walker) -> float:
    """Objective value of the walker's mapping, counted as an evaluation.

    Infinite if its tiles do not fit, or no cost is finite; bounds are the caller's.
    """
    state, cost, value = walker.state, walker.costs[0], np.inf
    invoke(state.kernel, state.plan, state.nest, state.batch, 1)
    state.evaluations += 1
    if cost.fits > 0:
        energy = power(cost.energy_pj, state.energy_power)
        latency = power(cost.latency_cycles, state.latency_power)
        product = energy * latency * power(cost.utilization, state.utilization_power)
        # A cost that is not a number must not pass for the lowest one.
        if product < np.inf:
            value = product
    if value == np.inf:
        state.invalid += 1
    return value


@apart
@formula
def keeps_mesh(space: MoveSpace, factors: Table, level: int) -> bool:
    """Whether the instances that a level uses are within its mesh."""
    if space.mesh[level] == 0:
        return True
    used = 1
    for d in range(factors.shape[1]):
        used *= factors[level, d]
    return bool(used <= space.mesh[level])


@formula
def reach(space: MoveSpace, factors: Table, d: int, level: int) -> None:
    """Let a level iterate as often as it takes to reach a size, and outer ones not too often."""
    others, extent = 1, 1
    for i in range(factors.shape[0]):
        if i != level:
            others *= factors[i, d]
    factors[level, d] = (space.sizes[d] + others - 1) // others
    for i in range(factors.shape[0] - 1, -1, -1):
        most = (space.sizes[d] + extent - 1) // extent
        if factors[i, d] > most:
            factors[i, d] = most
        extent *= factors[i, d]


@apart
@formula
def make(space: MoveSpace, walker: Walker, k: int, slot: int) -> bool:
    """Make move `k`, keeping the dimension's factors in a slot; tells whether there is one.

    Bounds are looked at by `keeps_bounds`.
    """
    move, factors = space.moves[k], walker.factors
    d, f = move.dimension, factors[move.taker, move.dimension]
    for i in range(factors.shape[0]):
        walker.columns[slot, i] = factors[i, d]
    if space.ragged[d] == 0:
        if factors[move.giver, d] % move.change != 0:
            return False
        factors[move.giver, d] //= move.change
        factors[move.taker, d] *= move.change
        return True
    if move.change > ONE_MORE:
        f *= move.change
    elif move.change == HALF:
        f = (f + 1) // 2
    else:
        f += move.change
    if f == factors[move.taker, d] or f < 1 or f > space.upper[move.taker, d]:
        return False
    factors[move.taker, d] = f
    reach(space, factors, d, move.giver)
    return True


@apart
@formula
def keeps_bounds(space: MoveSpace, factors: Table, k: int) -> bool:
    """Whether all factors that move `k` may have changed keep bounds and meshes."""
    d = space.moves[k].dimension
    for level in range(factors.shape[0]):
        f = factors[level, d]
        if f < space.lower[level, d] or f > space.upper[level, d]:
            return False
    kept = keeps_mesh(space, factors, space.moves[k].taker)
    for level in range(factors.shape[0]):
        kept = kept and (space.ragged[d] == 0 or keeps_mesh(space, factors, level))
    return kept and keeps_mesh(space, factors, space.moves[k].giver)


@apart
@formula
def undo(space: MoveSpace, walker: Walker, k: int, slot: int) -> None:
    """Take move `k` back."""
    d = space.moves[k].dimension
    for i in range(walker.factors.shape[0]):
        walker.factors[i, d] = walker.columns[slot, i]


@apart
@formula
def draw_move(space: MoveSpace, walker: Walker, taker: int, slot: int) -> int:
    """Draw a move and make it; -1 if none turns up.

    With `taker`, one that gives to that level.
    """
    for _ in range(TRIES):
        k = draw(walker, space.moves.shape[0])
        if taker >= 0 and space.moves[k].taker != taker:
            continue
        if make(space, walker, k, slot):
            return k
    return -1


@apart
@formula
def move_factors(space: MoveSpace, walker: Walker, two: bool) -> tuple[int, int]:
    """Make one or two moves at once; returns them, (-1, -1) if bounds forbid the outcome.

    A second move often gives back to the level that the first took from, which trades factors
    where capacities, meshes or bounds leave no room for either move alone.
    """
    first = draw_move(space, walker, -1, 0)
    if first < 0:
        return -1, -1
    second = -1
    if two:
        taker = space.moves[first].giver if draw(walker, 2) == 0 else -1
        second = draw_move(space, walker, taker, 1)
    kept = keeps_bounds(space, walker.factors, first)
    if second >= 0:
        kept = kept and keeps_bounds(space, walker.factors, second)
    if kept:
        return first, second
    take_back(space, walker, first, second)
    return -1, -1


@apart
@formula
def take_back(space: MoveSpace, walker: Walker, first: int, second: int) -> None:
    """Undo the moves that `move_factors` made."""
    if second >= 0:
        undo(space, walker, second, 1)
    if first >= 0:
        undo(space, walker, first, 0)


@formula
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
