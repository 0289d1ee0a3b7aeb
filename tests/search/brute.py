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
    orders = np.stack(list(_order_choices(problem, full_orders)))
    best = np.inf
    for tilings in enumerate_tilings(problem.space):
        for rows in np.array_split(
            np.arange(len(tilings) * len(orders)), len(tilings) * len(orders) // CHUNK + 1
        ):
            tiling, order = np.divmod(rows, len(orders))
            best = min(best, float(objectives(problem, tilings[tiling], orders[order]).min()))
    return best


def objectives(problem: Problem, factors: IntArray, order: IntArray) -> np.ndarray:
    """Objective values by the batched model; `order` may also be one for all."""
    cost = batch_cost(
        problem.plan,
        factors.astype(np.float64),
        np.broadcast_to(order, factors.shape),
    )
    values = problem.objective.value(cost.energy_pj, cost.latency_cycles, cost.utilization)
    return np.broadcast_to(values, len(factors))


def mapping_count(problem: Problem, *, full_orders: bool = False) -> int:
    tilings = sum(len(batch) for batch in enumerate_tilings(problem.space))
    return tilings * len(list(_order_choices(problem, full_orders)))


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
