"""How many mappings a proof covers, counted independently of the map space's own count."""

from __future__ import annotations

import numpy as np

from toolkit.search.exact.extents import reachable
from toolkit.search.exact.nest import Nest, window_plan
from toolkit.search.exact.spatial import each_spatial_choice
from toolkit.search.exact.transfers import Spatial
from toolkit.search.problem import Problem


def covered_tilings(problem: Problem) -> int:
    """Count the tilings on the paths that the exact search follows, over all branches.

    Equals `toolkit.mapping.space_size`'s where that is exact. Times the admissible loop orders
    these are all mappings.
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
