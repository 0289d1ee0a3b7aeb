"""A bound that holds whatever moves: the lanes' work alone."""

from __future__ import annotations

import math

from toolkit.search.exact.spatial import spatial_choices
from toolkit.search.exact.transfers import Spatial, leakage
from toolkit.search.problem import Problem


def plain_bound(problem: Problem) -> float:
    """Objective value of the computation itself, at the best choice of spatial factors."""
    values = [math.inf]
    arch = problem.arch
    for factors in spatial_choices(problem.space):
        spatial = Spatial(problem.plan, factors)
        energy = arch.compute.mac_energy_pj * problem.workload.macs
        if problem.conventions.leakage_until_end:
            energy += spatial.cycles * sum(x for _, x in leakage(spatial))
        used = 1.0
        for i in problem.space.spatial_levels.tolist():
            used *= float(spatial.used[i]) / float(problem.space.mesh[i])
        values.append(float(problem.objective.value(energy, spatial.cycles, used)))
    return min(values)
