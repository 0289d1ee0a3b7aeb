"""The true optimum of a small problem: every tiling with every loop order, one by one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from toolkit.mapping import MapSpace, admissible_orders, enumerate_tilings
from toolkit.mapping.covering import covering_orders
from toolkit.mapping.mapping import IntArray
from toolkit.model import batch_cost
from toolkit.search import Problem
from toolkit.search.front import nondominated

CHUNK = 8192
"""Mappings costed at once."""


def every_tiling(space: MapSpace) -> IntArray:
    """All tilings, from all combinations of factors, knowing of rules for products alone."""
    columns = [
        [column for column in _columns(space, d) if _reaches(space, d, column)]
        for d in range(space.shape[1])
    ]
    everything = np.array(list(itertools.product(*columns)), dtype=np.int64).transpose(0, 2, 1)
    return everything[space.check_factors(everything)]


def _columns(space: MapSpace, d: int) -> Iterator[tuple[int, ...]]:
    size, levels = int(space.sizes[d]), range(space.shape[0])
    choices = [range(1, size + 1) if space.allowed[i, d] else (1,) for i in levels]
    return itertools.product(*choices)


def _reaches(space: MapSpace, d: int, column: tuple[int, ...]) -> bool:
    """Whether the last tile of the outermost loop, and no whole tile, is beyond the size."""
    size, product = int(space.sizes[d]), math.prod(column)
    if not space.ragged[d] or product <= size:
        return product == size
    turns = next(f for f in column if f > 1)
    return product - product // turns < size


def optimum(problem: Problem, *, full_orders: bool = False) -> float:
    """Lowest objective value of all valid mappings, inf if there is none.

    With `full_orders` every admissible permutation is tried, otherwise one per reuse class.
    """
    batches = all_costs(problem, full_orders=full_orders)
    values = (float(problem.objective.value(*costs.T).min()) for costs in batches)
    return min(values, default=math.inf)


def best_front(problem: Problem) -> np.ndarray:
    """Energies and latencies that none of any mapping beats, [point, 2]."""
    front = np.empty((0, 2))
    for costs in all_costs(problem, full_orders=True):
        merged = np.concatenate([front, costs[:, :2]])
        front = merged[nondominated(merged)]
    return without_ties(front)


def without_ties(front: np.ndarray) -> np.ndarray:
    """Merge points that rounding alone tells apart."""
    kept: list[tuple[float, float]] = []
    for energy, latency in front.tolist():
        if kept and latency > kept[-1][1] * (1 - 1e-9):
            continue
        if kept and energy < kept[-1][0] * (1 + 1e-9):
            kept.pop()
        kept.append((energy, latency))
    return np.array(kept).reshape(-1, 2)


def all_costs(problem: Problem, *, full_orders: bool = False) -> Iterator[np.ndarray]:
    """Energy, latency and utilization of all mappings in batches, [batch, 3]."""
    orders = np.stack(list(_order_choices(problem, full_orders)))
    for tilings in enumerate_tilings(problem.space):
        count = len(tilings) * len(orders)
        for rows in np.array_split(np.arange(count), count // CHUNK + 1):
            tiling, order = np.divmod(rows, len(orders))
            yield _costs(problem, tilings[tiling], orders[order])


def objectives(problem: Problem, factors: IntArray, order: IntArray) -> np.ndarray:
    """Objective values by the batched model; `order` may also be one for all."""
    return problem.objective.value(*_costs(problem, factors, order).T)


def _costs(problem: Problem, factors: IntArray, order: IntArray) -> np.ndarray:
    """Energy, latency and utilization of a batch, [batch, 3]."""
    cost = batch_cost(
        problem.plan,
        factors.astype(np.float64),
        np.broadcast_to(order, factors.shape),
    )
    columns = (cost.energy_pj, cost.latency_cycles, cost.utilization)
    return np.stack([np.broadcast_to(column, len(factors)) for column in columns], axis=1)


def tiling_count(problem: Problem) -> int:
    return sum(len(batch) for batch in enumerate_tilings(problem.space))


def order_count(problem: Problem) -> int:
    """Admissible orders of all memories together."""
    return math.prod(rule.admissible for rule in problem.space.order_rules)


def mapping_count(problem: Problem, *, full_orders: bool = False) -> int:
    return tiling_count(problem) * len(list(_order_choices(problem, full_orders)))


def _order_choices(problem: Problem, full_orders: bool) -> Iterator[IntArray]:
    space = problem.space
    choices: list[Sequence[IntArray]] = []
    for m, memory in zip(space.memory_levels, problem.arch.memories, strict=True):
        if full_orders:
            choices.append(list(admissible_orders(memory, space.dimensions)))
        else:
            choices.append(list(covering_orders(problem.arch, int(m), problem.workload)))
    for picked in itertools.product(*choices):
        order = np.tile(np.arange(space.shape[1], dtype=np.int64), (space.shape[0], 1))
        order[space.memory_levels] = picked
        yield order
