"""Bounds that hold whatever moves: the lanes' work and the words next to them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from toolkit.model.floor import busy_cycles, least_energy_pj
from toolkit.search.exact.spatial import each_spatial_choice
from toolkit.search.exact.transfers import Spatial, leakage
from toolkit.search.problem import Problem


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
            energy += spatial.cycles * sum(x for _, x in leakage(spatial))
        used = 1.0
        for i in problem.space.spatial_levels.tolist():
            used *= float(spatial.used[i]) / float(problem.space.mesh[i])
        values.append(float(problem.objective.value(energy, spatial.cycles, used)))
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
