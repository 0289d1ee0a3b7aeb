"""Bounds of all mappings with the same spatial factors, for many choices of these one by one.

A proof of one problem looks at the families of mappings that its best mapping makes worth it.
Proofs over hardware ask about families by themselves: which of them hardware has instances for,
and what they cost at least there (`toolkit.codesign.exact.floors`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Compute, Memory
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.search.exact.buffers import undecided
from toolkit.search.exact.choice_nest import ChoiceNest
from toolkit.search.exact.compiled_labels import GoalRow
from toolkit.search.exact.compiled_least import FOUND
from toolkit.search.exact.decomposition import decomposes
from toolkit.search.exact.grid import make_grid
from toolkit.search.exact.least import IMPOSSIBLE, LeastEnergy
from toolkit.search.exact.limits import LANES
from toolkit.search.exact.listing import Listing, each_choice
from toolkit.search.exact.nest import NOWHERE, Nest, window_plan
from toolkit.search.exact.relaxations import COARSE_CELLS, NEARLY, TRIALS
from toolkit.search.exact.relaxed import ENERGY, Relaxation, Relaxed
from toolkit.search.exact.spatial_factors import Spatial
from toolkit.search.exact.store import ColumnStore
from toolkit.search.problem import Problem

_PRICED = (("reads", "drains"), ("fills", "updates"))
"""Kinds of words that cost what a memory takes to read a word, and to write one."""


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
    if not 0 < len(found) <= most:
        return None
    space, families = problem.space, np.stack(found)
    # Levels divide a size each; together they may not.
    even = space.ragged | (space.sizes % families.prod(axis=1) == 0)
    return np.asarray(families[even.all(axis=1)])


def unit_priced(arch: Architecture, name: str, read_pj: float, written_pj: float) -> Architecture:
    """The architecture where words of one memory cost something, and all else nothing."""
    levels = []
    for level in arch.levels:
        if isinstance(level, Memory):
            here = level.name == name
            level = replace(
                level,
                read_energy_pj=read_pj if here else 0.0,
                write_energy_pj=written_pj if here else 0.0,
                leakage_pj_per_cycle=0.0,
            )
        elif isinstance(level, Compute):
            nothing = tuple((bits, 0.0) for bits, _ in level.energies_by_bits)
            level = replace(
                level, mac_energy_pj=0.0, leakage_pj_per_cycle=0.0, energies_by_bits=nothing
            )
        elif level.wires is not None:
            free = replace(
                level.wires,
                unicast_energy_pj=0.0,
                multicast_energy_pj=0.0,
                reduction_energy_pj=0.0,
            )
            level = replace(level, wires=free)
        levels.append(level)
    return replace(arch, levels=tuple(levels))


def _counted(kinds: Collection[str]) -> tuple[float, float]:
    """Prices that count words of a port, read and written, and none that pass another one.

    A price is of two kinds of words: where a port serves only one of them, neither is counted.
    """
    return tuple(float(set(pair) <= set(kinds)) for pair in _PRICED)  # type: ignore[return-value]


class FamilyBounds:
    """What mappings cost at least, by their spatial factors.

    Parameters
    ----------
    problem : Problem
        One of which `spatial_families` lists the choices.
    families : int64 array, shape (families, levels, dimensions)
        These choices.
    like : FamilyBounds, optional
        Of the same workload on other hardware of the kind: ports that were never busy there are
        hardly looked at.

    Attributes
    ----------
    energy_pj, cycles : float64 arrays, shape (families,)
        Least energy, leakage aside, and cycles, whatever the loops in time.
    lanes_pj : float64 array, shape (families,)
        The part of the energy that multiply-accumulates and words next to them take.
    """

    def __init__(
        self, problem: Problem, families: IntArray, like: FamilyBounds | None = None
    ) -> None:
        nothing = np.ones(problem.space.shape, dtype=np.int64)
        nest = Nest(problem, window_plan(problem), Spatial(problem, nothing))
        listing = Listing(nest, lambda: False, families)
        self._problem = problem
        self._solvers: dict[int, _LeastEnergies] = {}
        self._families, self._step = families, float(problem.plan.arch.compute.cycles)
        self.energy_pj, steps = listing.spatial_bounds()
        self.cycles: FloatArray = steps * self._step
        self._relaxation = Relaxation(nest, make_grid(problem.space, COARSE_CELLS))
        shared = problem.tables.levels[-1].mac_pj * problem.workload.macs
        self.lanes_pj: FloatArray = shared + self._relaxation.lanes_pj(families)
        ports = range(len(self._relaxation.limits))
        self._ports: dict[int, int] = dict.fromkeys(ports, 0)
        if like is not None:
            self._ports |= like._ports
        self._trials = 0 if like is None else TRIALS - 1
        self._at_lanes: dict[int, FloatArray] = {}

    def closest(self, number: int) -> tuple[float, float]:
        """Solve one family for its least energy, and for the least words of its busiest port.

        Returns
        -------
        energy_pj, cycles : float
            As of `closer`; floors where tiles may be ragged, of which a family has many.
        """
        if self._problem.space.ragged.any():
            return 0.0, float(self.cycles[number])
        energy = self._solved(ENERGY).least_pj(number) - float(self.lanes_pj[number])
        factors, least = self._families[number], float(self.cycles[number])
        limits = self._relaxation.limits
        slowest = {
            p: self._tables(number, p).least
            for p, often in self._ports.items()
            if often
            and limits[p].level in self._problem.plan.memories
            and limits[p].port is not LANES
            and any(_counted(limits[p].port.kinds))
        }
        cycles = least
        port = max(slowest, key=slowest.__getitem__, default=None)
        if port is not None:
            limit = limits[port]
            instances = float(factors[: limit.level].prod())
            words = self._solved(port).least_pj(number)
            cycles = max(cycles, words / instances / limit.port.bandwidth)
        return energy, cycles

    def _solved(self, cost: int) -> _LeastEnergies:
        if cost not in self._solvers:
            problem = self._problem
            if cost != ENERGY:
                limit = self._relaxation.limits[cost]
                name = problem.arch.levels[limit.level].name
                arch = unit_priced(problem.arch, name, *_counted(limit.port.kinds))
                problem = replace(problem, arch=arch)
            self._solvers[cost] = _LeastEnergies(problem, self._families)
        return self._solvers[cost]

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
        least = cycles = float(self.cycles[number])
        for port, often in self._ports.items():
            if self._trials >= TRIALS and not often:
                continue  # None of some families keeps it busy.
            table = self._tables(number, port)
            slowest = table.least + least * table.waits
            if slowest >= NEARLY * least:
                self._ports[port] += 1
            cycles = max(cycles, slowest)
        self._trials += 1
        energy = float(self._tables(number, ENERGY).to_go[-1, 0, 0])
        return energy, cycles

    def _tables(self, number: int, cost: int) -> Relaxed:
        known = self._at_lanes.get(cost)
        if known is None:
            known = self._at_lanes[cost] = self._relaxation.at_lanes(self._families, cost)
        return self._relaxation.tables(self._families[number], cost, at_lanes=float(known[number]))


class _LeastEnergies:
    """Solves families of even tiles for the mapping of least energy, leakage aside."""

    def __init__(self, problem: Problem, families: IntArray) -> None:
        nothing = np.ones(problem.space.shape, dtype=np.int64)
        nest = Nest(problem, window_plan(problem), Spatial(problem, nothing))
        grid = make_grid(problem.space)
        self._listing = Listing(nest, lambda: False, families)
        self._relaxation = Relaxation(nest, grid)
        self._solver = LeastEnergy(self._listing, ColumnStore(problem, grid))

    def least_pj(self, number: int) -> float:
        """Least energy of a family; that of all ways where there are too many labels."""
        listing, solver = self._listing, self._solver
        dimensions = range(listing.problem.space.shape[1])
        relaxed = self._relaxation.tables(listing.spatial[number])
        entries = [solver.entry(number, d, 0) for d in dimensions]
        family = solver.family(number)
        lanes = family.shared_pj
        if IMPOSSIBLE in entries:
            return math.inf
        cycles = float(listing.least_steps(number)[0])
        goal = GoalRow(1.0, 0.0, 1.0, math.inf, cycles, 0.0, 0.0, lanes, False)
        outcome = solver.solve(number, relaxed, entries, goal, NOWHERE)
        if outcome.code != FOUND:
            return listing.floor(number, relaxed)
        chains = [listing.chain(number, d, 0) for d in dimensions]
        return ChoiceNest(family, chains).constant.energy_pj + outcome.energy_pj
