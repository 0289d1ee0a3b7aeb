"""Steepest descent by single prime factors and loop orders, several mappings as one batch."""

from __future__ import annotations

import numpy as np

from toolkit.mapping.lattice import FloatArray
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace
from toolkit.search.compiled_moves import STRICTLY, MoveSpace
from toolkit.search.evaluator import Evaluator


def polish(
    evaluator: Evaluator,
    moves: MoveSpace,
    factors: IntArray,
    order: IntArray,
    values: FloatArray,
    *,
    limit: int,
) -> None:
    """Give each mapping its best neighbour until none improves or the limit is spent.

    Parameters
    ----------
    moves : MoveSpace
        See `toolkit.search.moves.move_space`.
    factors, order : int64 arrays, shape (batch, levels, dimensions)
        Valid mappings, best first.
    values : float64 array, shape (batch,)
        Their objective.
    limit : int
        Most evaluations.
    """
    space, end = evaluator.problem.space, evaluator.evaluations + limit
    while len(values) and not evaluator.exhausted:
        near = [neighbours(space, moves, *pair) for pair in zip(factors, order, strict=True)]
        owner = np.repeat(np.arange(len(near)), [len(f) for f, _ in near])
        owner = owner[: min(end - evaluator.evaluations, evaluator.remaining_evaluations)]
        if len(owner) == 0:
            return
        near_factors, near_orders = (np.concatenate(arrays) for arrays in zip(*near, strict=True))
        scores = evaluator.evaluate(near_factors[: len(owner)], near_orders[: len(owner)])
        chosen = _best_of_each(owner, scores)
        chosen = chosen[scores[chosen] < values[owner[chosen]] * STRICTLY]
        chosen = chosen[np.argsort(scores[chosen], kind="stable")]
        factors, order, values = near_factors[chosen], near_orders[chosen], scores[chosen]


def _best_of_each(owner: IntArray, scores: FloatArray) -> IntArray:
    """Row of the lowest score of every owner."""
    ranked = np.lexsort((scores, owner))
    _, first = np.unique(owner[ranked], return_index=True)
    return np.asarray(ranked[first])


def neighbours(
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
