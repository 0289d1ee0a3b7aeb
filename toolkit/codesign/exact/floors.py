"""What layers cost at least by the instances that they use: one table for hardware of all sizes.

How many instances there are decides which spatial factors a mapping may have, and next to nothing
else of what it costs. So the least energy and cycles of all mappings with the same spatial factors
are found once for memories and wires of some kind, and serve all boxes whose memories are no
better, whatever their meshes: those choices count for which a box has the instances, within the
budget for areas. Only choices that would make the bound of a box are bounded closely.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field, replace
from typing import cast

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Fanout, Level
from toolkit.arch.packing import in_passes
from toolkit.codesign.exact.corners import Corner
from toolkit.codesign.exact.hulls import lower_hull
from toolkit.codesign.exact.layers import Proofs
from toolkit.codesign.exact.part_figures import (
    CAPACITY,
    LEAKAGE,
    Numbers,
    numbers_of,
    with_numbers,
)
from toolkit.codesign.exact.room import Room
from toolkit.errors import DoesNotFitError
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.model.conventions import Conventions
from toolkit.model.plan import gates_idle_instances, leakage_pj_per_cycle
from toolkit.search.exact.families import FamilyBounds, spatial_families
from toolkit.search.problem import Problem
from toolkit.workload.kernel import Workload

MOST_FAMILIES = 4_096
"""Choices of spatial factors of a workload that are looked at one by one."""
FLOOR, RELAXED, SOLVED = range(3)
"""How closely a family is bounded: by compulsory words, by all ways through buckets of extents, or
by its mapping of least energy and the least words of its busiest port."""
AT_ONCE = 4
"""Choices of a workload that are bounded closely before the whole box is looked at again."""
MOST_AWAKE = 48
"""Tables that are ready to bound families closely, the latest ones; others get ready anew."""
CAPACITY_BITS, ENERGY_BITS = 5, 7
"""Significant bits to which capacities are rounded up and energies down, so that boxes that differ
by little have one table."""

Figures = tuple[Level, ...]
"""Levels whose figures a table holds for, meshes, areas and leakage aside."""


@dataclass(eq=False)
class Table:
    """Least costs of the families of one workload on memories and wires of some kind.

    Parameters
    ----------
    problem : Problem
        On that hardware, as wide as any of the space.
    families : int64 array, shape (families, levels, dimensions)
        Choices of spatial factors.
    like : Table or None
        One of the workload that was made before.
    """

    problem: Problem
    families: IntArray
    like: InitVar[Table | None] = None

    # Beside the lanes nothing is known to cost energy before a family is settled.
    def __post_init__(self, like: Table | None) -> None:
        before = None if like is None else like._bounds
        bounds = FamilyBounds(self.problem, self.families, before)
        self._bounds: FamilyBounds | None = bounds
        self.used: IntArray = self.families[:, self.problem.space.spatial_levels].prod(axis=2)
        self.costs: FloatArray = np.stack([bounds.energy_pj, bounds.cycles], axis=1)
        self.lanes_pj, self.splits = bounds.lanes_pj, bounds.splits
        self.others_pj = np.zeros(len(self.costs))
        self.stages = np.full(len(self.costs), FLOOR)

    @property
    def rests(self) -> bool:
        """Whether it has to get ready before a family can be bounded."""
        return self._bounds is None

    def rest(self) -> None:
        """Forget all but the costs: what bounds them takes far more memory."""
        self._bounds = None

    def settle(self, number: int) -> None:
        """Bound a family more closely, if it is not solved."""
        if self._bounds is None:
            self._bounds = FamilyBounds(self.problem, self.families)
        known = self._bounds.closer if self.stages[number] == FLOOR else self._bounds.closest
        others, cycles = known(number)
        self.stages[number] += 1
        energy = float(self.lanes_pj[number]) + others
        self.others_pj[number] = max(others, float(self.others_pj[number]))
        self.costs[number] = np.maximum(self.costs[number], (energy, cycles))


@dataclass(eq=False)
class Rows:
    """Choices of spatial factors that a box has the instances for.

    Parameters
    ----------
    numbers : int64 array, shape (rows,)
        Of the families.
    costs : float64 array, shape (rows, 2)
        Least energies (pJ), leakage aside, and cycles.
    leaking_pj : float64 array, shape (rows,)
        Of a cycle.
    table : Table
        Of the figures of the box, where closer bounds are written down.
    """

    numbers: IntArray
    costs: FloatArray
    leaking_pj: FloatArray
    table: Table

    @property
    def points(self) -> FloatArray:
        """Least energies with leakage, and latencies; inf where nothing is possible."""
        energy, cycles = self.costs.T
        possible = np.isfinite(energy) & np.isfinite(cycles)
        leaking = np.multiply(self.leaking_pj, cycles, where=possible, out=np.zeros_like(cycles))
        return np.stack([energy + leaking, cycles], axis=1)

    def hull(self) -> FloatArray:
        """Lower hull of all rows: no mapping lies below it; no corners if nothing is possible."""
        points = self.points
        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            return points
        # Few are left of a thousand if what one with less of both beats goes first.
        points = points[np.lexsort((points[:, 1], points[:, 0]))]
        least = np.minimum.accumulate(points[:, 1])
        points = points[np.concatenate([[True], points[1:, 1] < least[:-1]])]
        hull: FloatArray = points[lower_hull(points)]
        return hull

    def settle(self, line: FloatArray, corner: FloatArray, stage: int) -> bool:
        """Bound rows closely that may lie at a corner of a hull, or below; tells if there are any.

        Parameters
        ----------
        line : float64 array, shape (2,)
            Weights of energy and latency whose sum is least at that corner.
        stage : int
            How closely: `RELAXED` or `SOLVED`.
        """
        points = self.points
        # What is impossible stays so where the line has no weight for it.
        possible = np.isfinite(points).all(axis=1)
        possible &= self.table.stages[self.numbers] < stage
        scores = np.where(possible, np.where(possible[:, None], points, 0.0) @ line, np.inf)
        places = np.argsort(scores, kind="stable")[:AT_ONCE]
        places = places[scores[places] <= float(corner @ line) * (1 + 1e-9)]
        for place in places.tolist():
            number = int(self.numbers[place])
            self.table.settle(number)
            self.costs[place] = np.maximum(self.costs[place], self.table.costs[number])
        return len(places) > 0


@dataclass(eq=False)
class Floors:
    """Tables of all workloads by figures, each made once.

    Parameters
    ----------
    proofs : Proofs
        States problems.
    widest : tuple of mapping of str to float
        Of every level the most of its mesh and of its constraints with ``<=`` in the whole space.
    """

    proofs: Proofs
    widest: Sequence[Numbers]
    _numbers: dict[Figures, int] = field(default_factory=dict, init=False, repr=False)
    _tables: dict[tuple[Workload, int], Table | None] = field(
        default_factory=dict, init=False, repr=False
    )
    _families: dict[object, IntArray | None] = field(default_factory=dict, init=False, repr=False)
    _latest: dict[object, Table] = field(default_factory=dict, init=False, repr=False)
    _awake: deque[Table] = field(default_factory=deque, init=False, repr=False)

    def figures(self, arch: Architecture) -> tuple[int, Architecture]:
        """Take the figures that tables depend on out of relaxed hardware: better ones, rounded.

        Returns
        -------
        number : int
            The same for the same figures.
        arch : Architecture
            That has them, as wide as any hardware of the space.
        """
        levels = []
        for level, widest in zip(arch.levels, self.widest, strict=True):
            numbers, _ = numbers_of(level)
            numbers = {name: _rounded(name, number) for name, number in numbers.items()} | widest
            levels.append(replace(cast(Level, with_numbers(level, numbers)), area_um2=None))
        bare = replace(arch, levels=tuple(levels), vector_unit=None)
        return self._numbers.setdefault(bare.levels, len(self._numbers)), bare

    def table(self, workload: Workload, number: int, arch: Architecture) -> Table | None:
        """The table of a workload for numbered figures; None if it is not to be had."""
        key = workload, number
        if key not in self._tables:
            self._tables[key] = self._made(workload, arch)
        return self._tables[key]

    def _made(self, workload: Workload, arch: Architecture) -> Table | None:
        try:
            problem = self.proofs.fitted(arch, workload)
        except DoesNotFitError:
            return None
        kind = _kind(problem)
        if kind not in self._families:
            self._families[kind] = spatial_families(problem, MOST_FAMILIES)
        families = self._families[kind]
        if families is None:
            return None
        like = self._latest.get(kind)
        self._latest[kind] = made = Table(problem, families, like)
        self._keep_awake(made)
        return made

    def _keep_awake(self, table: Table) -> None:
        self._awake.append(table)
        if len(self._awake) > MOST_AWAKE:
            self._awake.popleft().rest()

    def rows(
        self, corner: Corner, room: Room, workload: Workload, known: Sequence[int]
    ) -> Rows | None:
        """Least costs of a workload in a box, as far as they are known.

        Parameters
        ----------
        corner : Corner
            Of the box.
        room : Room
            Of the box.
        known : sequence of int
            Numbers of the figures of the box (last) and of larger ones.

        Returns
        -------
        Rows or None
            None if families of the workload are not looked at one by one.

        Raises
        ------
        DoesNotFitError
            If there is no mapping.
        """
        problem = self.proofs.fitted(corner.arch, workload)
        tables = [self._tables.get((workload, number)) for number in known]
        table = tables[-1] if tables else None
        if table is None or _kind(table.problem) != _kind(problem):
            return None
        if table.rests:
            self._keep_awake(table)
        spatial = problem.space.spatial_levels
        fits = (table.families[:, spatial] <= problem.space.upper[spatial]).all(axis=(1, 2))
        numbers = np.flatnonzero(fits & room.holds(table.used))
        if not len(numbers):
            raise DoesNotFitError("there are no instances to unroll", source=corner.arch.name)
        larger = [x for x in tables if x is not None]
        costs = np.max([x.costs[numbers] for x in larger], axis=0)
        if table.splits:
            # What lanes take is known; all else costs no less than where words are cheaper.
            others = np.max([x.others_pj[numbers] for x in larger if x.splits], axis=0)
            costs[:, 0] = np.maximum(costs[:, 0], table.lanes_pj[numbers] + others)
        used = table.used[numbers]
        leaking = leaking_pj_per_cycle(corner.arch, workload, used, self.proofs.conventions)
        return Rows(numbers, costs, leaking, table)


def leaking_pj_per_cycle(
    arch: Architecture, workload: Workload, used: IntArray, conventions: Conventions
) -> FloatArray:
    """What leaks in every cycle until a run ends, by the instances that it uses.

    Parameters
    ----------
    used : int64 array, shape (rows, spatial levels)
        Instances that are used within each of the level outside.

    Returns
    -------
    float64 array, shape (rows,)
        Zeros where memories leak for their own busy time, or as far as they are used.
    """
    found = np.zeros(len(used))
    if not conventions.leakage_until_end or conventions.only_used_memories_leak:
        return found
    instances = np.ones(len(used))
    columns = iter(used.T.astype(np.float64))
    for level in in_passes(arch, workload).levels:
        if isinstance(level, Fanout):
            own = next(columns)
            instances *= own if gates_idle_instances(arch, level, conventions) else level.mesh
        else:
            found += instances * leakage_pj_per_cycle(arch, level, conventions)
    return found


def _kind(problem: Problem) -> object:
    """What problems have in common whose families are the same but for how many there are."""
    fixed = [[c for c in level.constraints if c.relation != "<="] for level in problem.arch.levels]
    rests = [numbers_of(replace(level, area_um2=None))[1] for level in problem.arch.levels]
    return problem.workload, str(fixed), tuple(rests)


def _rounded(name: str, number: float) -> float:
    if name == LEAKAGE:
        return 0.0
    if name == CAPACITY:
        return float(_at_bits(number, CAPACITY_BITS, math.ceil))
    if "energy" in name or "energies" in name:
        return _at_bits(number, ENERGY_BITS, math.floor)
    return number


def _at_bits(number: float, bits: int, to_integer: Callable[[float], int]) -> float:
    mantissa, exponent = math.frexp(number)
    return math.ldexp(to_integer(math.ldexp(mantissa, bits)), exponent - bits)
