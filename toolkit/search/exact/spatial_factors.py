"""One choice of the factors of all spatial levels, and what follows from it alone."""

from __future__ import annotations

import copy
import math
from functools import cached_property

import numpy as np

from toolkit.mapping.mapping import IntArray
from toolkit.model.cost import number_nest
from toolkit.model.nest import measure_tiles
from toolkit.model.totals import powered_instances
from toolkit.search.problem import Problem


class Spatial:
    """One choice of the factors of all spatial levels, [levels, dimensions]; ones at memories.

    Attributes
    ----------
    nest : Nest
        Of these factors alone: no memory has loops.
    inside : int64 array, shape (levels, dimensions)
        Spatial extents inside every level.
    temporal : int64 array, shape (dimensions,)
        Iterations left to the memories.
    used, active : list of int
        Instances of every level, within one of what lies outside, and of all that lies outside.
    cycles : float
        Of the lanes.
    """

    def __init__(self, problem: Problem, factors: IntArray) -> None:
        plan = problem.plan
        switches = problem.tables.switches._replace(clips=0)
        self.plan, self.space, self.factors = plan, problem.space, factors
        self.tables = problem.tables._replace(switches=switches)
        self.nest = number_nest(plan, factors)
        measure_tiles(self.tables, self.nest)
        sizes = np.array(list(plan.workload.sizes.values()), dtype=np.int64)
        levels, dimensions = factors.shape
        extents = [
            [int(self.nest.extents[i, d]) for d in range(dimensions)] for i in range(levels)
        ]
        self.inside = np.array([*extents[1:], [1] * dimensions], dtype=np.int64)
        self.temporal = sizes // np.array(extents[0], dtype=np.int64)
        self.used = [int(level.iterations) for level in self.nest.levels]
        self.active = [int(level.active) for level in self.nest.levels]
        self.cycles = float(plan.arch.compute.cycles * math.prod(self.temporal.tolist()))

    @property
    def utilization(self) -> float:
        """Share of the instances used."""
        used = 1.0
        for i in self.space.spatial_levels.tolist():
            used *= float(self.used[i]) / float(self.space.mesh[i])
        return used

    @cached_property
    def leakage_pj(self) -> list[tuple[int, float]]:
        """Leaked energy (pJ per cycle) of all powered instances, by level."""
        powered, found = 1.0, []
        for i, level in enumerate(self.tables.levels):
            if level.is_memory or i == len(self.tables.levels) - 1:
                found.append((i, level.leakage_pj * powered))
            else:
                powered *= powered_instances(self.tables, self.nest, i)
        return found

    def with_steps(self, steps: float) -> Spatial:
        """Return the same choice, whose lanes take another number of steps."""
        other = copy.copy(self)
        other.cycles = float(self.plan.arch.compute.cycles * steps)
        return other
