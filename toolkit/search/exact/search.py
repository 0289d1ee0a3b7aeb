"""The strategy: a proof where costs decompose, else an enumeration; and what it covers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from toolkit.mapping.mapping import IntArray
from toolkit.mapping.orders import order_classes
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import SPLIT_LIMIT, enumerate_tilings
from toolkit.search.evaluator import Evaluator
from toolkit.search.exact.buffers import prove_buffered, undecided
from toolkit.search.exact.choices import prove_choices
from toolkit.search.exact.decomposition import decomposes
from toolkit.search.exact.extents import reachable
from toolkit.search.exact.instance_strategy import InstanceProver
from toolkit.search.exact.nest import Nest, window_plan
from toolkit.search.exact.spatial import each_spatial_choice, lanes_bound, plain_bound
from toolkit.search.exact.spatial_factors import Spatial
from toolkit.search.exact.strategy import Prover
from toolkit.search.problem import Problem
from toolkit.search.result import Certificate

CHUNK = 1 << 13
"""Mappings costed at once."""


def exact(evaluator: Evaluator, seed: int) -> float:
    """Prove the optimum; when the budget ends before, return a bound.

    Raises
    ------
    InputError
        If the objective is a function or falls where energy or latency rises, or the
        conventions are not covered.
    """
    del seed
    bound, evaluator.certificate = prove(evaluator)
    return bound


def prove(evaluator: Evaluator) -> tuple[float, Certificate]:
    """Prove the optimum of the evaluator's problem, and its front if that is asked for.

    Returns
    -------
    bound : float
        No mapping has a lower objective value; the optimum itself if `Certificate.unfinished`
        is 0.
    certificate : Certificate
        How much was covered by which rule.

    Raises
    ------
    InputError
        If the objective is a function or falls where energy or latency rises, or the
        conventions are not covered.
    """
    if evaluator.problem.choices:
        return prove_choices(evaluator, prove)
    ragged = evaluator.problem.space.ragged.any()
    by_instance = evaluator.problem.conventions.transfers == "per_instance"
    prover = InstanceProver(evaluator) if by_instance else Prover(evaluator)
    if isinstance(prover, InstanceProver) and undecided(evaluator.problem):
        return prove_buffered(prover, prove)
    # What tiles that are cut off wait for is known within their supplier only.
    if decomposes(evaluator.problem) and (by_instance or not ragged):
        return prover.run(), prover.certificate
    finished = _listable(evaluator.problem) and _enumerate(prover)
    prover.counts["unfinished"] = int(not finished)
    bound = prover.best_value()
    if not finished:
        prover.find_incumbent(0.0)
        bound = prover.best_value()
        if ragged:
            bound = min(bound, lanes_bound(evaluator.problem))
        else:
            bound = min(bound, plain_bound(evaluator.problem, lambda: evaluator.time_share >= 1))
    return bound, prover.certificate


class BestTradeOff(NamedTuple):
    """A mapping of a front: energy in pJ, latency in cycles, and its arrays."""

    energy_pj: float
    latency_cycles: float
    factors: IntArray
    order: IntArray


def exact_front(evaluator: Evaluator) -> list[BestTradeOff] | None:
    """All best trade-offs of energy and latency, by rising energy.

    The objective must ask for them (``energy,latency``).

    Returns
    -------
    list of BestTradeOff, or None
        None if the budget ended before the front was complete.
    """
    _, certificate = prove(evaluator)
    front = evaluator.front
    if front is None or certificate.unfinished:
        return None
    rows = zip(front.costs.tolist(), front.factors, front.orders, strict=True)
    return [
        BestTradeOff(energy, latency, factors, order) for (energy, latency), factors, order in rows
    ]


def _listable(problem: Problem) -> bool:
    """Whether the splits of every dimension can be listed."""
    return all(lattice.total <= SPLIT_LIMIT for lattice in problem.space.lattices)


def _enumerate(prover: Prover) -> bool:
    """Cost one mapping per tiling and combination of reuse classes; tells if all were."""
    evaluator = prover.evaluator
    space = evaluator.problem.space
    for tilings in enumerate_tilings(space, CHUNK):
        for chosen, orders in _with_orders(space, tilings):
            prover.counts["enumerated"] += len(evaluator.evaluate(chosen, orders))
            prover.find_incumbent()
            if evaluator.exhausted:
                return False
    return True


def _with_orders(space: MapSpace, tilings: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Pair tilings with one order per reuse class of the loops that iterate."""
    levels = space.memory_levels
    patterns, where = np.unique(tilings[:, levels] > 1, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        chosen = tilings[where.ravel() == number]
        classes = [
            order_classes(space.arch, int(m), space.workload, active=active.tolist())
            for m, active in zip(levels, pattern, strict=True)
        ]
        for picked in itertools.product(*classes):
            order = np.tile(np.arange(space.shape[1], dtype=np.int64), (space.shape[0], 1))
            order[levels] = picked
            yield chosen, np.broadcast_to(order, chosen.shape)


def covered_tilings(problem: Problem) -> int:
    """Count the tilings on the paths that the exact search follows, over all branches.

    Equals `toolkit.mapping.space_size`'s where that is exact, though counted independently of it.
    Times the admissible loop orders these are all mappings.
    """
    windows = window_plan(problem)
    total = 0
    for factors in each_spatial_choice(problem.space):
        spatial = Spatial(problem, factors)
        if reachable(problem.space, list(problem.plan.memories), spatial) is None:
            continue
        nest = Nest(problem, windows, spatial)
        total += _paths(nest) if nest.steps else 0
    return total


def _paths(nest: Nest) -> int:
    """Number of ways from the bottom to the top through extents that fit."""
    ways = np.ones((1,) * len(nest.n), dtype=object)
    for step in reversed(nest.steps):
        for d in range(len(nest.n)):
            above, below = step.dimensions[["above", "below"]][d].tolist()
            link = np.zeros((above, below), dtype=object)
            for b in range(below):
                link[step.loops["target"][d, b, : step.counts[d, b]], b] = 1
            ways = np.moveaxis(np.tensordot(link, ways, axes=(1, d)), 0, d)
        ways = ways * step.fits.reshape(step.dimensions["above"])
    return int(ways.sum())
