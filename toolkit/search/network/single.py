"""Mapping one workload: through the cache, or by a search whose result goes there."""

from __future__ import annotations

import math
from dataclasses import replace

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.mapping.mapping import Mapping
from toolkit.search.network.cache import LayerCache
from toolkit.search.network.cost import LayerCost
from toolkit.search.network.settings import LayerSearch
from toolkit.search.problem import Problem, make_problem
from toolkit.workload.kernel import Workload


def map_workload(
    arch: Architecture,
    workload: Workload,
    search: LayerSearch | None = None,
    *,
    cache: LayerCache | None = None,
) -> LayerCost:
    """Find the best mapping of a workload, or read it from the cache.

    Parameters
    ----------
    arch : Architecture
        What it runs on.
    workload : Workload
        What runs; its name does not matter.
    search : LayerSearch, optional
        How to search; greedily for the least energy-delay product by default.
    cache : LayerCache, optional
        Where results are kept; nowhere by default.

    Returns
    -------
    LayerCost
        Its workload has the name of the one given.

    Raises
    ------
    InputError
        If the workload does not fit the architecture or the search is not as expected.
    """
    wanted = search or LayerSearch()
    if cache is not None:
        found = cache.read(arch, workload, wanted)
        if found is not None:
            return found
    cost = searched(arch, workload, wanted)
    if cache is not None:
        cache.write(arch, workload, wanted, cost)
    return cost


def searched(arch: Architecture, workload: Workload, search: LayerSearch) -> LayerCost:
    """Search without a cache.

    Raises
    ------
    InputError
        As `map_workload` does.
    KeyboardInterrupt
        If the search was interrupted: half a search is no result to keep.
    """
    from toolkit.model.evaluate import evaluate
    from toolkit.search.registry import search as run

    problem = problem_of(arch, workload, search)
    result = run(problem, search.strategy, budget=search.budget, seed=search.seed)
    if result.interrupted:
        raise KeyboardInterrupt
    evaluation = evaluate(
        result.mapping, problem.arch, problem.workload, conventions=search.conventions
    )
    return LayerCost(
        replace(problem.workload, name=workload.name),
        result.mapping,
        evaluation.energy_pj,
        evaluation.latency_cycles,
        compute_cycles(arch, result.mapping),
        evaluation.utilization,
        evaluation.energies,
        evaluation.accesses,
        result.evaluations,
        result.bound,
        problem.notes,
    )


def problem_of(arch: Architecture, workload: Workload, search: LayerSearch) -> Problem:
    """State the problem of a search; the workload is called by its sizes.

    Raises
    ------
    InputError
        As `toolkit.make_problem` does.
    """
    return make_problem(
        arch,
        replace(workload, name=content_name(workload)),
        objective=search.objective,
        conventions=search.conventions,
        pad="all" if search.pad else (),
    )


def compute_cycles(arch: Architecture, mapping: Mapping) -> float:
    """Cycles of the compute level without any stall: iterations in time, times its cycles."""
    steps = math.prod(
        factor
        for level, entry in zip(arch.levels, mapping.levels, strict=True)
        if isinstance(level, Memory)
        for _, factor in entry.factors
    )
    return float(steps * arch.compute.cycles)


def content_name(workload: Workload) -> str:
    """Name a workload by its sizes, so that equal workloads of any name are told alike.

    Examples
    --------
    >>> from toolkit.workload import gemm
    >>> content_name(gemm(4, 2, 3, name="mine"))
    'gemm:M=4,K=2,N=3'
    """
    sizes = ",".join(f"{dimension}={size}" for dimension, size in workload.sizes.items())
    return f"{workload.kernel}:{sizes}"
