"""All choices of spatial factors, and what bounds the cost of each without any search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from toolkit.mapping.factors import divisors
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.space import MapSpace
from toolkit.model.floor import busy_cycles, least_energy_pj
from toolkit.model.plan import TensorPlan
from toolkit.search.exact.accounts import ENTER, FILL, RAW, READ, WRITE, Account
from toolkit.search.exact.compiled_words import AS_HELD, AS_READ, AS_WRITTEN
from toolkit.search.exact.nest import Nest
from toolkit.search.exact.spatial_factors import Spatial
from toolkit.search.problem import Problem
from toolkit.workload.distinct import distinct_values


def each_spatial_choice(space: MapSpace) -> Iterator[IntArray]:
    """Yield all factors of the spatial levels within bounds and meshes, one after the other.

    Yields
    ------
    int64 array, shape (levels, dimensions)
        Ones at memories.
    """
    levels = space.spatial_levels
    splits = [
        _splits(size, [(space.lower[i, d], space.upper[i, d]) for i in levels])
        for d, size in enumerate(space.sizes.tolist())
    ]

    def extended(factors: IntArray, d: int) -> Iterator[IntArray]:
        if d == len(splits):
            yield factors
            return
        for split in splits[d]:
            filled = factors.copy()
            filled[levels, d] = split
            if (filled.prod(axis=1)[levels] <= space.mesh[levels]).all():
                yield from extended(filled, d + 1)

    return extended(np.ones(space.shape, dtype=np.int64), 0)


def _splits(size: int, bounds: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    """All factors within bounds whose product divides `size`."""
    if not bounds:
        return [()]
    (lower, upper), rest = bounds[0], bounds[1:]
    return [
        (f, *inner)
        for f in divisors(size).tolist()
        if lower <= f <= upper
        for inner in _splits(size // f, rest)
    ]


def compulsory_energy_pj(nest: Nest) -> float:
    """Energy that no temporal loops can avoid: every transfer moves every value once.

    The sizes of all tiles add up to at least that of the whole, and so do the parts that slide
    into windows. What is left out at first visits counts as nothing, and so do tensors for
    which that sum does not hold: windows counted with their gaps, or exchanged by divisions
    that are rounded because fanouts split them.
    """
    visits: dict[int, float] = {}
    most: dict[int, float] = {}
    energy, counted = float(nest.constant.energy_pj), set(nest.fixed_rows)
    for r, (row, costs) in enumerate(nest.seen):
        tensor = nest.problem.plan.tensors[row.row.tensor]
        if r in counted or not _adds_up(nest, tensor, costs):
            continue
        counted.update(i for i, (_, other) in enumerate(nest.seen) if other is costs)
        read = row.row.base_read * _distinct(tensor, row.ext[AS_READ] * nest.n)
        enter = row.row.base_enter * _distinct(tensor, row.ext[AS_HELD] * nest.n)
        write = row.row.base_write * _distinct(tensor, row.ext[AS_WRITTEN] * nest.n)
        words, energy_of = np.array([read, write, enter, enter, read]), costs.energy[: 1 + RAW]
        if not tensor.is_output:
            words[[WRITE, ENTER]] = 0.0
        elif not nest.problem.plan.bias_read:
            energy -= float(energy_of[[READ, FILL]] @ words[[READ, FILL]])
        number = id(costs.transfer)
        visits[number] = visits.get(number, 0.0) + float(energy_of @ words)
        others = [not relevant for relevant in tensor.relevant]
        most[number] = math.prod(nest.n[others].tolist())
    # Visits of outputs may save energy further in; there are no more than loops beside theirs.
    return energy + sum(x if x >= 0.0 else x * most[n] for n, x in visits.items())


def _adds_up(nest: Nest, tensor: TensorPlan, costs: Account) -> bool:
    wide = [d for terms in tensor.sums if len(terms) > 1 for d, _ in terms]
    if not wide:
        return True
    conventions = nest.problem.plan.conventions
    if conventions.overestimate_windows:
        return False
    if conventions.transfers != "sequential" or len(costs.transfer.nest) == 1:
        return True
    levels = [x.level for x in costs.transfer.reading]
    return bool((nest.spatial.factors[levels][:, wide] == 1).all())


def _distinct(tensor: TensorPlan, extents: FloatArray) -> float:
    """Distinct values of a tile."""
    return math.prod(
        float(distinct_values([extents[d : d + 1] for d, _ in terms], [c for _, c in terms])[0])
        for terms in tensor.sums
    )


def plain_bound(problem: Problem, late: Callable[[], bool] = lambda: False) -> float:
    """Objective value of the words next to the lanes, at the best choice of spatial factors.

    Once it is `late`, that of `lanes_bound`, which takes no search.
    """
    values = [math.inf]
    least = least_energy_pj(problem.arch, problem.workload, problem.conventions)
    for factors in each_spatial_choice(problem.space):
        if late():
            return lanes_bound(problem)
        spatial, energy = Spatial(problem, factors), least
        if problem.conventions.leakage_until_end:
            energy += spatial.cycles * sum(x for _, x in spatial.leakage_pj)
        value = problem.objective.value(energy, spatial.cycles, spatial.utilization)
        values.append(float(value))
    return min(values)


def lanes_bound(problem: Problem) -> float:
    """Objective value of the words next to the lanes if all lanes that can be used are."""
    space = problem.space
    levels = space.spatial_levels
    most = np.minimum(space.upper.astype(np.float64).prod(axis=1), space.mesh)[levels]
    lanes = float(most.prod())
    energy = least_energy_pj(problem.arch, problem.workload, problem.conventions)
    cycles = busy_cycles(problem.arch, problem.workload, lanes)
    used = (1.0 if problem.objective.powers[2] > 0 else lanes) / float(space.mesh[levels].prod())
    return float(problem.objective.value(energy, cycles, used))
