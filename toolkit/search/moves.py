"""Moves of a map space, written as arrays for compiled searches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from toolkit.compilation import Block, Kernel, record_type
from toolkit.mapping.covering import covering_orders
from toolkit.mapping.mapping import BoolArray, IntArray
from toolkit.mapping.reaching import reached
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import changed, factor_changes
from toolkit.model.compiled import Batch, CompiledModel, CostRow
from toolkit.model.plan import Plan
from toolkit.search.compiled_moves import MoveSpace, Walker, WalkerState
from toolkit.search.evaluator import Evaluator


def move_space(space: MapSpace) -> MoveSpace:
    """List all moves of one factor and loop orders of every reuse class.

    Raises
    ------
    MappingError
        If a memory has too many reuse classes to list.
    """
    levels, dimensions = space.shape
    mesh = np.zeros(levels, dtype=np.int64)
    mesh[space.spatial_levels] = space.mesh[space.spatial_levels]
    orders = [np.arange(dimensions, dtype=np.int64)[None] for _ in range(levels)]
    for m in space.memory_levels:
        orders[m] = covering_orders(space.arch, int(m), space.workload)
    table = np.zeros((levels, max(map(len, orders)), dimensions), dtype=np.int64)
    for row, classes in zip(table, orders, strict=True):
        row[: len(classes)] = classes
    return MoveSpace(
        np.array(_moves(space), dtype=np.int64).reshape(-1, 4),
        space.sizes.copy(),
        space.ragged.astype(np.int64),
        space.lower.copy(),
        space.upper.copy(),
        mesh,
        table,
        np.array([len(classes) for classes in orders], dtype=np.int64),
    )


def _moves(space: MapSpace) -> list[tuple[int, int, int, int]]:
    """(dimension, change, giving level, taking level) that bounds do not rule out."""
    free = space.lower < space.upper
    return [
        (d, change, giver, taker)
        for d in range(space.shape[1])
        for change in factor_changes(space, d)
        for giver in range(len(free))
        for taker in range(len(free))
        if giver != taker and free[giver, d] and free[taker, d] and space.upper[taker, d] >= change
    ]


def first_orders(moves: MoveSpace) -> IntArray:
    """First loop order of every memory, int64 [levels, dimensions]."""
    return np.array(moves.orders[:, 0], dtype=np.int64)


def one_move_away(
    space: MapSpace, moves: MoveSpace, factors: IntArray, order: IntArray
) -> tuple[IntArray, IntArray]:
    """List the mappings one change of a factor or one loop order away, capacities aside.

    Parameters
    ----------
    factors, order : int64 arrays, shape (levels, dimensions)
        The mapping to leave.

    Returns
    -------
    factors, order : int64 arrays, shape (neighbours, levels, dimensions)
        Within bounds and meshes.
    """
    moved = moved_factors(space, moves, factors)
    ordered = [_reordered(moves, order, m) for m in _choosing(moves, factors)]
    orders = np.concatenate([np.tile(order, (len(moved), 1, 1)), *ordered])
    same = np.tile(factors, (len(orders) - len(moved), 1, 1))
    return np.concatenate([moved, same]), orders


def moved_factors(space: MapSpace, moves: MoveSpace, factors: IntArray) -> IntArray:
    """Make every move of factors [levels, dimensions] by itself, those within bounds and meshes.

    Returns
    -------
    int64 array, shape (neighbours, levels, dimensions)
        Without repetitions, which moves of ragged dimensions make.
    """
    everywhere = np.tile(factors, (len(moves.moves), 1, 1))
    possible = admitted(space, moves.moves, everywhere)
    moved = make_moves(space, moves.moves[possible], everywhere[possible])
    possible = ((moved >= moves.lower) & (moved <= moves.upper)).all(axis=(1, 2))
    used = moved.prod(axis=2, dtype=np.float64)
    possible &= ((used <= moves.mesh) | (moves.mesh == 0)).all(axis=1)
    moved = moved[possible]
    if space.ragged.any():
        moved = moved[(moved != factors).any(axis=(1, 2))]
        _, first = np.unique(moved, axis=0, return_index=True)
        moved = moved[np.sort(first)]
    return np.asarray(moved)


def admitted(space: MapSpace, moves: IntArray, factors: IntArray) -> BoolArray:
    """Whether moves, `Move` [batch], change mappings [batch, levels, dimensions] at all.

    Bounds are not looked at.
    """
    rows = np.arange(len(moves))
    d, change, giver, taker = moves.T
    old = factors[rows, taker, d]
    new = changed(old, change)
    divides = factors[rows, giver, d] % np.maximum(change, 1) == 0
    return np.asarray(np.where(space.ragged[d], (new != old) & (new >= 1), divides))


def make_moves(space: MapSpace, moves: IntArray, factors: IntArray) -> IntArray:
    """Make a move, `Move` [batch], of each mapping's factors [batch, levels, dimensions].

    Returns
    -------
    int64 array, shape (batch, levels, dimensions)
        Bounds are not looked at.
    """
    moved, rows = factors.copy(), np.arange(len(moves))
    d, change, giver, taker = moves.T
    moved[rows, taker, d] = changed(factors[rows, taker, d], change)
    ragged = space.ragged[d]
    whole, cut = rows[~ragged], rows[ragged]
    moved[whole, giver[whole], d[whole]] //= change[whole]
    columns = reached(moved[cut, :, d[cut]], space.sizes[d[cut]], giver[cut])
    moved[cut, :, d[cut]] = columns
    return moved


def _choosing(moves: MoveSpace, factors: IntArray) -> IntArray:
    """Memories whose loop order makes a difference."""
    several = (factors > 1).sum(axis=1) > 1
    return np.flatnonzero(several & (moves.order_counts > 1))


def _reordered(moves: MoveSpace, order: IntArray, level: int) -> IntArray:
    choices = moves.orders[level, : moves.order_counts[level]]
    orders = np.tile(order, (len(choices), 1, 1))
    orders[:, level] = choices
    return orders


class LocalSearch:
    """A walker through a map space, and the cost model that it calls; one per thread.

    Parameters
    ----------
    plan : Plan
        What is costed.
    moves : MoveSpace
        See `move_space`.
    powers : sequence of 3 floats
        Exponents of energy, latency and utilization in the objective.
    seed : int
        Of its random numbers.

    Attributes
    ----------
    walker : Walker
        Its mappings are yet to be filled in.
    state : record array, shape (1,)
        Fields of `toolkit.search.compiled_moves.WalkerState`.
    """

    def __init__(self, plan: Plan, moves: MoveSpace, powers: Iterable[float], seed: int) -> None:
        shape = moves.lower.shape
        self.model = CompiledModel(plan)
        self.state = np.zeros(1, dtype=record_type(WalkerState)).view(np.recarray)
        ones = np.ones((6, *shape), dtype=np.int64)
        self.walker = Walker(
            factors=ones[0],
            order=ones[1],
            base_factors=ones[2],
            base_order=ones[3],
            best_factors=ones[4],
            best_order=ones[5],
            saved=np.zeros(shape[1], dtype=np.int64),
            columns=np.zeros((2, shape[0]), dtype=np.int64),
            costs=np.zeros(1, dtype=record_type(CostRow)),
            state=self.state,
        )
        batch = Batch(self.walker.factors[None], self.walker.order[None], self.walker.costs)
        self._blocks = Block(self.walker), Block(moves), Block(batch)
        self.state.origin = self.state.local = self.state.best = np.inf
        self.state.random = int(np.random.default_rng(seed).integers(2**62))
        self.state.energy_power, self.state.latency_power, self.state.utilization_power = powers
        self.state.plan, self.state.nest = self.model.plan.address, self.model.nest.address
        self.state.batch = self._blocks[2].address
        self.state.kernel = self.model.kernel.address

    def run(self, kernel: Kernel, *arguments: float) -> Any:
        """Run a kernel that takes the moves, the walker and numbers."""
        walker, moves, _ = self._blocks
        return kernel(moves, walker, *arguments)

    def start(self, factors: IntArray, order: IntArray) -> None:
        """Set the walker on a mapping whose value is not known yet."""
        self.walker.factors[:], self.walker.order[:] = factors, order
        self.state.origin = self.state.local = np.inf
        self.state.idle = 0

    @property
    def spent(self) -> IntArray:
        """Evaluations so far, and how many of them were of mappings that are not valid."""
        return np.array([self.state.evaluations[0], self.state.invalid[0]], dtype=np.int64)

    def count_for(self, evaluator: Evaluator, before: IntArray) -> None:
        """Tell an evaluator what was spent since it was `before`."""
        evaluations, invalid = (self.spent - before).tolist()
        evaluator.spend(evaluations, invalid=invalid)

    def report_to(self, evaluator: Evaluator) -> None:
        """Tell an evaluator the best mapping so far."""
        best = float(self.state.best[0])
        evaluator.report(best, self.walker.best_factors, self.walker.best_order)
