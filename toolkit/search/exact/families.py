"""Bounds of all mappings with the same spatial factors, for many choices of these one by one.

A proof of one problem looks at the families of mappings that its best mapping makes worth it.
Proofs over hardware ask about families by themselves: which of them hardware has instances for,
and what they cost at least there (`toolkit.codesign.exact.floors`).
"""

from __future__ import annotations

import itertools

import numpy as np

from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.search.exact.buffers import undecided
from toolkit.search.exact.grid import make_grid
from toolkit.search.exact.listing import Listing, each_choice
from toolkit.search.exact.nest import Nest, decomposes, window_plan
from toolkit.search.exact.relaxations import COARSE_CELLS, NEARLY, TRIALS
from toolkit.search.exact.relaxed import Relaxation
from toolkit.search.exact.transfers import Spatial
from toolkit.search.problem import Problem


def spatial_families(problem: Problem, most: int) -> IntArray | None:
    """List the choices of spatial factors of a problem.

    Parameters
    ----------
    problem : Problem
        What is mapped.
    most : int
        More choices than that are not listed.

    Returns
    -------
    int64 array, shape (families, levels, dimensions), or None
        Ones at memories. None if there are more, or the costs of some are not bounded one by one:
        where bypasses are to be chosen, memories hide what fits twice, or words depend on more
        than the exact search keeps track of.
    """
    by_instance = problem.conventions.transfers == "per_instance"
    if problem.choices or not by_instance or undecided(problem) or not decomposes(problem):
        return None
    found = list(itertools.islice(each_choice(problem.space), most + 1))
    return np.stack(found) if 0 < len(found) <= most else None


class FamilyBounds:
    """What mappings cost at least, by their spatial factors.

    Parameters
    ----------
    problem : Problem
        One of which `spatial_families` lists the choices.
    families : int64 array, shape (families, levels, dimensions)
        These choices.

    Attributes
    ----------
    energy_pj, cycles : float64 arrays, shape (families,)
        Least energy, leakage aside, and cycles, whatever the loops in time.
    lanes_pj : float64 array, shape (families,)
        The part of the energy that multiply-accumulates and words next to them take.
    """

    def __init__(self, problem: Problem, families: IntArray) -> None:
        nothing = np.ones(problem.space.shape, dtype=np.int64)
        nest = Nest(problem, window_plan(problem), Spatial(problem, nothing))
        listing = Listing(nest, lambda: False, families)
        self._families, self._step = families, float(problem.plan.arch.compute.cycles)
        self.energy_pj, steps = listing.spatial_bounds()
        self.cycles: FloatArray = steps * self._step
        self._relaxation = Relaxation(nest, make_grid(problem.space, COARSE_CELLS))
        shared = problem.tables.levels[-1].mac_pj * problem.workload.macs
        self.lanes_pj: FloatArray = shared + self._relaxation.lanes_pj(families)
        self._ports = dict.fromkeys(range(len(self._relaxation.limits)), 0)
        self._trials = 0

    @property
    def splits(self) -> bool:
        """Whether all other words cost no less where any words are dearer."""
        return not self._relaxation.has_credits

    def closer(self, number: int) -> tuple[float, float]:
        """Bound one family by all ways through buckets of extents (`relaxed`).

        Returns
        -------
        energy_pj, cycles : float
            No mapping of the family takes less energy beside `lanes_pj`, or fewer cycles.
        """
        factors, cycles = self._families[number], float(self.cycles[number])
        least = cycles
        for port, often in self._ports.items():
            if self._trials >= TRIALS and not often:
                continue  # None of some families keeps it busy.
            table = self._relaxation.tables(factors, port)
            slowest = table.least + least * table.waits
            if slowest >= NEARLY * least:
                self._ports[port] += 1
            cycles = max(cycles, slowest)
        self._trials += 1
        energy = float(self._relaxation.tables(factors).to_go[-1, 0, 0])
        return energy, cycles
