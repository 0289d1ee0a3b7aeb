"""Moves of a map space, written as arrays for compiled searches."""

from __future__ import annotations

import numpy as np

from toolkit.mapping.covering import covering_orders
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace
from toolkit.search.compiled_moves import MoveSpace, Walker


def move_space(space: MapSpace) -> MoveSpace:
    """List all moves of one prime factor and loop orders of every reuse class.

    Raises
    ------
    MappingError
        If a memory has too many reuse classes to list.
    """
    levels, dimensions = space.shape
    spatial = np.zeros(levels, dtype=np.int64)
    spatial[space.spatial_levels] = 1
    orders = [np.arange(dimensions, dtype=np.int64)[None] for _ in range(levels)]
    for m in space.memory_levels:
        orders[m] = covering_orders(space.arch, int(m), space.workload)
    table = np.zeros((levels, max(map(len, orders)), dimensions), dtype=np.int64)
    for row, classes in zip(table, orders, strict=True):
        row[: len(classes)] = classes
    return MoveSpace(
        np.array(_moves(space), dtype=np.int64).reshape(-1, 4),
        space.lower.copy(),
        space.upper.copy(),
        spatial,
        table,
        np.array([len(classes) for classes in orders], dtype=np.int64),
    )


def _moves(space: MapSpace) -> list[tuple[int, int, int, int]]:
    """(dimension, prime, giving level, taking level) that bounds do not rule out."""
    free = space.lower < space.upper
    return [
        (d, prime, giver, taker)
        for d, primes in enumerate(space.primes)
        for prime, _ in primes
        for giver in range(len(free))
        for taker in range(len(free))
        if giver != taker and free[giver, d] and free[taker, d] and space.upper[taker, d] >= prime
    ]


def first_orders(moves: MoveSpace) -> IntArray:
    """First loop order of every memory, int64 [levels, dimensions]."""
    return moves.orders[:, 0].copy()


def one_move_away(
    space: MapSpace, moves: MoveSpace, factors: IntArray, order: IntArray
) -> tuple[IntArray, IntArray]:
    """List the mappings one prime factor or one loop order away, capacities aside.

    Parameters
    ----------
    factors, order : int64 arrays, shape (levels, dimensions)
        The mapping to leave.

    Returns
    -------
    factors, order : int64 arrays, shape (neighbours, levels, dimensions)
        Within bounds and meshes.
    """
    d, prime, giver, taker = moves.moves.T
    kept = (factors[giver, d] % prime == 0) & (factors[giver, d] // prime >= moves.lower[giver, d])
    kept &= factors[taker, d] * prime <= moves.upper[taker, d]
    used = factors.prod(axis=1, dtype=np.float64)
    kept &= (moves.spatial[taker] == 0) | (used[taker] * prime <= space.mesh[taker])
    d, prime, giver, taker = moves.moves[kept].T
    rows = np.arange(len(d))
    moved = np.tile(factors, (len(d), 1, 1))
    moved[rows, giver, d] //= prime
    moved[rows, taker, d] *= prime
    ordered = [_reordered(moves, order, m) for m in _choosing(moves, factors)]
    orders = np.concatenate([np.tile(order, (len(d), 1, 1)), *ordered])
    same = np.tile(factors, (len(orders) - len(d), 1, 1))
    return np.concatenate([moved, same]), orders


def _choosing(moves: MoveSpace, factors: IntArray) -> IntArray:
    """Memories whose loop order makes a difference."""
    several = (factors > 1).sum(axis=1) > 1
    return np.flatnonzero(several & (moves.order_counts > 1))


def _reordered(moves: MoveSpace, order: IntArray, level: int) -> IntArray:
    choices = moves.orders[level, : moves.order_counts[level]]
    orders = np.tile(order, (len(choices), 1, 1))
    orders[:, level] = choices
    return orders


def make_walker(space: MapSpace, seed: int) -> Walker:
    """Allocate a walker; its mappings are yet to be filled in."""

    def blank() -> IntArray:
        return np.ones(space.shape, dtype=np.int64)

    state = int(np.random.default_rng(seed).integers(2**62))
    return Walker(
        factors=blank(),
        order=blank(),
        base_factors=blank(),
        base_order=blank(),
        best_factors=blank(),
        best_order=blank(),
        values=np.full(3, np.inf),
        counters=np.array([state, 0, 0, 0], dtype=np.int64),
        saved=np.zeros(space.shape[1], dtype=np.int64),
    )
