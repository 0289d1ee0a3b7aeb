"""The whole map space of a small problem: every tiling with every admissible loop order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from toolkit.mapping import admissible_orders, enumerate_tilings
from toolkit.mapping.mapping import IntArray
from toolkit.model import batch_cost
from toolkit.search import Problem
from toolkit.search.front import nondominated

Costs = np.ndarray


def tiling_count(problem: Problem) -> int:
    return sum(len(batch) for batch in enumerate_tilings(problem.space))


def order_count(problem: Problem) -> int:
    return math.prod(rule.admissible for rule in problem.space.order_rules)


def all_costs(problem: Problem) -> Iterator[Costs]:
    """Energy, latency and utilization of all mappings in batches, [batch, 3]."""
    space = problem.space
    choices = [list(admissible_orders(m, space.dimensions)) for m in problem.arch.memories]
    for tilings in enumerate_tilings(space, 1 << 12):
        for picked in itertools.product(*choices):
            order: IntArray = np.tile(np.arange(space.shape[1]), (space.shape[0], 1))
            order[space.memory_levels] = picked
            cost = batch_cost(
                problem.plan,
                tilings.astype(np.float64),
                np.broadcast_to(order, tilings.shape),
            )
            columns = (cost.energy_pj, cost.latency_cycles, cost.utilization)
            yield np.stack([np.broadcast_to(c, len(tilings)) for c in columns], axis=1)


def best_value(problem: Problem) -> float:
    values = [float(problem.objective.value(*costs.T).min()) for costs in all_costs(problem)]
    return min(values, default=math.inf)


def best_front(problem: Problem) -> Costs:
    front = np.empty((0, 2))
    for costs in all_costs(problem):
        merged = np.concatenate([front, costs[:, :2]])
        front = merged[nondominated(merged)]
    return without_ties(front)


def without_ties(front: Costs) -> Costs:
    """Merge points that rounding alone tells apart."""
    kept: list[tuple[float, float]] = []
    for energy, latency in front.tolist():
        if kept and latency > kept[-1][1] * (1 - 1e-9):
            continue
        if kept and energy < kept[-1][0] * (1 + 1e-9):
            kept.pop()
        kept.append((energy, latency))
    return np.array(kept).reshape(-1, 2)
