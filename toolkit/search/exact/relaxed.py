"""Least costs of all mappings with the same spatial factors, if tiles did not have to divide.

Extents in time are put into buckets, a few per dimension. A mapping becomes a way through them,
memory by memory from the innermost: loops lead from a bucket to any further one. A transfer
costs what it takes at the largest extents of a bucket, whose tiles need the room of the
smallest, and nothing that bursts move beside what is wanted; what overlapping windows share counts
once; the busiest instance of a memory is as busy as the average one. So no way costs more than a
mapping that it stands for, in energy or cycles of any port, and tables of all ways take few
operations (`compiled_relaxed`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from toolkit.compilation import Block, record_type
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.model.plan_tables import A_TILE
from toolkit.search.exact.accounts import ENTER, NOTHING, RAW, READ, WRITE
from toolkit.search.exact.chains import Line
from toolkit.search.exact.compiled_relaxed import RELAX, Relaxing, ShareRow, Ways
from toolkit.search.exact.complete import CompleteOutputs
from toolkit.search.exact.family import list_lines
from toolkit.search.exact.grid import Grid
from toolkit.search.exact.limits import LANES, limits_of
from toolkit.search.exact.nest import Nest
from toolkit.search.exact.relaxed_waits import RelaxedWaits, WaitTables
from toolkit.workload.distinct import count_window

ENERGY = -1
"""The cost that is no port's."""


class Mix(NamedTuple):
    """Weights of energy (per pJ) and of what lanes wait (per cycle) in one sum of both."""

    energy: float
    cycles: float


@dataclass(frozen=True)
class Relaxed:
    """Tables of one choice of spatial factors and one kind of costs.

    Parameters
    ----------
    grid : Grid
        Buckets.
    to_go : float64 array, shape (memories, subsets of tensors, cells)
        Least costs of what is to be moved from inside a memory on, by the tensors that wait for
        the first loop that moves them (bits).
    through : float64 array, shape (memories, cells)
        Least costs of all but the lanes on ways through a cell at the bottom of a memory.
    lanes : float
        Least costs of the lanes, less what complete outputs save.
    waits : bool
        Whether costs are cycles that lanes wait, beyond those of their steps.
    """

    grid: Grid
    to_go: FloatArray
    through: FloatArray
    lanes: float
    waits: bool = False

    @property
    def least(self) -> float:
        """Least costs of all mappings, in pJ or cycles."""
        return self.lanes + float(self.to_go[-1, 0, 0])

    def passing(self, k: int, dimensions: list[int]) -> FloatArray:
        """Least costs of all but the lanes by the buckets of some dimensions, else one bucket."""
        through = self.through[k].reshape(self.grid.shape)
        rest = tuple(d for d in range(through.ndim) if d not in dimensions)
        return np.asarray(through.min(axis=rest, keepdims=True))


class ToGo(NamedTuple):
    """`Relaxed.to_go` of several costs: [memories, costs, subsets of tensors, cells]."""

    grid: Grid
    costs: FloatArray


class Relaxation:
    """Makes the tables of a problem's choices of spatial factors.

    Parameters
    ----------
    nest : Nest
        Of no spatial factors at all.
    grid : Grid
        Buckets.
    """

    def __init__(self, nest: Nest, grid: Grid) -> None:
        self.nest, self.grid, self.problem = nest, grid, nest.problem
        self.lines = list_lines(nest)
        plan, space = self.problem.plan, self.problem.space
        self.limits = limits_of(self.problem)
        self._waits = RelaxedWaits(nest)
        levels, self._tensors = space.shape[0], len(plan.tensors)
        self._memories = len(nest.memories)
        shape = self._memories, self._tensors
        self._rows = nest.row_of
        self._shares = np.array(
            [[self._share(k, t) for t in range(shape[1])] for k in range(shape[0])],
            dtype=record_type(ShareRow),
        )
        closes = [[r >= 0 and nest.seen[r][0].row.closes for r in rows] for rows in self._rows]
        begins = [
            [any(x.child == m for x in tensor.transfers) for tensor in plan.tensors]
            for m in nest.memories
        ]
        self._tensors_that = _bits(self._rows >= 0), _bits(closes), _bits(begins)
        self._held = np.zeros((*shape, 3, levels), dtype=np.bool_)
        self._counted = np.zeros((*shape, 3, levels), dtype=np.bool_)
        for k, t in np.ndindex(shape):
            if self._rows[k, t] >= 0:
                self._held[k, t], self._counted[k, t] = _levels(
                    self.lines[self._rows[k, t]], levels
                )
        self._indexes = np.array(
            [
                sum(1 << t for t, x in enumerate(plan.tensors) if x.relevant[d])
                for d in range(space.shape[1])
            ],
            dtype=np.int64,
        )
        self._axes = self._list_axes()
        self._coef = {ENERGY: self._costs(None)} | {
            p: self._costs(p) for p in range(len(self.limits))
        }
        buckets = np.array(grid.shape, dtype=np.int64)
        self._least = np.zeros((len(buckets), int(buckets.max())))
        for d, least in enumerate(grid.least):
            self._least[d, : len(least)] = least
        self._buckets = buckets
        levels_of = [self.problem.tables.levels[m] for m in nest.memories]
        whole = np.floor([x.usable_words for x in levels_of])
        self._room = whole * [x.units_per_word for x in levels_of]
        self.complete = CompleteOutputs(self.problem)

    def _share(self, k: int, t: int) -> ShareRow:
        plan, m = self.problem.plan, self.nest.memories[k]
        tensor, r = plan.tensors[t], int(self._rows[k, t])
        return ShareRow(
            r >= 0,
            self.problem.tables.holds[t, m] == A_TILE,
            tensor.is_output,
            tensor.is_output and not self.problem.bias_read,
            self._values(t),
            self.problem.tables.values[t, m].units,
        )

    def _values(self, t: int) -> float:
        """Values of a whole tensor."""
        values = 1.0
        for terms in self.problem.plan.tensors[t].sums:
            sizes = [int(self.problem.space.sizes[d]) for d, _ in terms]
            values *= count_window(sizes, [c for _, c in terms])
        return values

    def _list_axes(self) -> IntArray:
        tensors = self.problem.plan.tensors
        most = max(len(tensor.sums) for tensor in tensors)
        axes = np.full((len(tensors), most, self.problem.space.shape[1]), -1, dtype=np.int64)
        for t, tensor in enumerate(tensors):
            for s, terms in enumerate(tensor.sums):
                axes[t, s, : len(terms)] = [d for d, _ in terms]
        return axes

    def _costs(self, port: int | None) -> tuple[FloatArray, FloatArray]:
        """Cost of a word of every transfer, [memories, tensors, 9], and of the lanes', [lines, 9].

        Cycles of a port are those of all instances. Words that are counted further in, too, are
        no fewer there.
        """
        seen = self.nest.seen
        every = np.zeros((len(seen), len(NOTHING)))
        for r, (_, account) in enumerate(seen):
            every[r] = account.cheapest
            if port is not None:
                limit = self.limits[port]
                every[r] = account.passing(limit.level, limit.port) / limit.port.bandwidth
        together = every.copy()
        for r in reversed(range(len(seen))):
            if seen[r][0].row.beside >= 0:
                together[r] += together[seen[r][0].row.beside]
        coef = np.where((self._rows >= 0)[..., None], together[self._rows], 0.0)
        return coef, every

    def mixed(self, factors: IntArray, mix: Mix) -> Relaxed:
        """Make the tables of a weighted sum of energy and of what lanes wait for.

        Least sums are more than what is least of both, where one is to be had for the other.
        """
        coef, by_line = self._coef[ENERGY]
        waits = self._waits.tables(factors, self.limits[-1])
        coef = self._without_credits(coef, factors) * mix.energy
        ways = self._relax(
            factors,
            coef,
            WaitTables(*(mix.cycles * x for x in (waits.entry, waits.exposed, waits.stays))),
            through=True,
        )
        lanes = float(self._lanes(factors, by_line) - self.complete.energy_pj(factors))
        return Relaxed(self.grid, ways.to_go, ways.through, mix.energy * lanes)

    def tables(
        self,
        factors: IntArray,
        port: int = ENERGY,
        *,
        through: bool = False,
        at_lanes: float | None = None,
    ) -> Relaxed:
        """Make the tables of one choice of spatial factors.

        Parameters
        ----------
        factors : int64 array, shape (levels, dimensions)
            Spatial ones; ones at memories.
        port : int
            Number of the port whose cycles are wanted, or `ENERGY`.
        through : bool
            Whether costs through the bottoms of memories are wanted, too.
        at_lanes : float, optional
            As `at_lanes` has it, where that is known.
        """
        coef, _ = self._coef[port]
        coef = self._without_credits(coef, factors)
        instances = 1.0
        if port != ENERGY:
            instances = float(factors[: self.limits[port].level].prod())
        limit = None if port == ENERGY else self.limits[port]
        waits = self._waits.tables(factors, limit)
        ways = self._relax(factors, coef / instances, waits, through=through)
        lanes = float(self.at_lanes(factors, port)) if at_lanes is None else at_lanes
        lanes /= instances
        if limit is None:
            lanes -= float(self.complete.energy_pj(factors))
        else:
            lanes -= self.complete.port_cycles(factors, limit)
        waiting = limit is not None and limit.port is LANES
        return Relaxed(self.grid, ways.to_go, ways.through, lanes, waiting)

    def _relax(
        self, factors: IntArray, coef: FloatArray, waits: WaitTables, *, through: bool
    ) -> Ways:
        apart = _products(factors, self._held)
        first = _products(factors, self._counted)
        relevant = (self._indexes >> np.arange(self._tensors)[:, None] & 1).astype(np.bool_)
        first = np.where(relevant[None, :, None, :], 1.0, first).prod(axis=3)
        inside = np.array([factors[m + 1 :].prod(axis=0) for m in self.nest.memories])
        problem = Relaxing(
            self._shares,
            *self._tensors_that,
            self._indexes,
            self._axes,
            self._room,
            self.problem.space.sizes.astype(np.float64),
            inside.astype(np.float64),
            self._buckets,
            self._least,
            np.ascontiguousarray(coef),
            np.ascontiguousarray(apart),
            np.ascontiguousarray(first),
            waits.entry,
            waits.exposed,
            waits.stays,
        )
        ways = self._ways()
        RELAX(int(through), Block(problem), Block(ways))
        return ways

    def _without_credits(self, coef: FloatArray, factors: IntArray) -> FloatArray:
        """Charge reads and writes with what entering words save.

        At most as many enter for each as there are instances that sum up a value apart. What
        neither makes up for is charged to reads.
        """
        saved = np.minimum(coef[..., ENTER], 0.0)
        if not saved.any():
            return coef
        coef, sizes = coef.copy(), factors.shape[1]
        for k, t in np.argwhere(saved).tolist():
            line = self.lines[self._rows[k, t]]
            others = [d for d in range(sizes) if not self.problem.plan.tensors[t].relevant[d]]
            copies = float(factors[line.supplier + 1 : line.child, others].prod())
            left, one = -float(saved[k, t]) * copies, coef[k, t]
            by_reads = min(left, max(float(one[READ] + one[RAW]), 0.0))
            by_writes = min(left - by_reads, float(one[WRITE]))
            one[RAW] -= left - by_writes
            one[WRITE] -= by_writes
        coef[..., ENTER] -= saved
        return coef

    def _ways(self) -> Ways:
        cells, subsets = math.prod(self.grid.shape), 1 << self._tensors
        return Ways(
            np.empty((self._memories, subsets, cells)),
            np.empty((self._memories, cells)),
            np.zeros((self._tensors, cells)),
            np.empty(cells),
            np.empty((4, *self._least.shape)),
            np.empty((subsets, cells)),
            np.empty((subsets, cells)),
            np.empty(cells),
            np.empty(len(self._buckets), dtype=np.int64),
        )

    def lanes_pj(self, factors: IntArray) -> FloatArray:
        """Energy of the lanes, less what complete outputs save, as `Relaxed.lanes` has it.

        Parameters
        ----------
        factors : int64 array, shape (..., levels, dimensions)
            Spatial ones.

        Returns
        -------
        float64 array, shape (...)
        """
        return np.asarray(self.at_lanes(factors) - self.complete.energy_pj(factors))

    def at_lanes(self, factors: IntArray, port: int = ENERGY) -> FloatArray:
        """Energy, or cycles of all instances, of the words next to the lanes."""
        return self._lanes(factors, self._coef[port][1])

    @property
    def has_credits(self) -> bool:
        """Whether words that enter a memory save energy, so that dearer words may cost less."""
        return bool((self._coef[ENERGY][0][..., ENTER] < 0).any())

    def _lanes(self, factors: IntArray, coef: FloatArray) -> FloatArray:
        """Least costs of transfers to the lanes, whatever the loops in time."""
        sizes, total = self.problem.space.sizes, np.zeros(factors.shape[:-2])
        for r in self.nest.fixed_rows:
            line = self.lines[r]
            tensor = self.problem.plan.tensors[line.tensor]
            held, counted = _levels(line, factors.shape[-2])
            others = [d for d in range(len(sizes)) if not tensor.relevant[d]]
            values = self._values(line.tensor)
            if not any(line.absorbed):  # Then every lane gets a value of its own.
                values = math.prod(
                    float(sizes[d]) for d, relevant in enumerate(tensor.relevant) if relevant
                )
            words, first = np.ones((3, *total.shape)), np.ones((3, *total.shape))
            for way in range(3):
                inside = factors[..., held[way], :].prod(axis=-2)[..., others]
                words[way] = np.ceil(sizes[others] / inside).prod(axis=-1)
                first[way] = factors[..., counted[way], :][..., others].prod(axis=(-2, -1))
            net = words
            if tensor.is_output and not self.problem.bias_read:
                net = np.maximum(words - first, 0.0)
            total += values * (coef[r, 0] * net[0] + coef[r, 2] * net[2] + coef[r, RAW] * words[0])
            if tensor.is_output:
                total += values * (coef[r, 1] * words[1] + coef[r, 3] * words[2])
        return total


def _bits(of_tensors: Any) -> IntArray:
    """Number of a subset of tensors by memory, from a table of who belongs to it."""
    members = np.array(of_tensors, dtype=np.int64)
    return np.asarray((members << np.arange(members.shape[1])).sum(axis=1))


def _levels(line: Line, levels: int) -> tuple[BoolArray, BoolArray]:
    """Spatial levels inside a transfer whose instances do not count one by one, and the others.

    Two bool arrays, [3, levels], by way.
    """
    held, counted = np.zeros((3, levels), np.bool_), np.zeros((3, levels), np.bool_)
    for way in range(3):
        counts = line.apart(way, 0)
        for i in range(levels):
            counted[way, i] = i < line.child and counts(i)
            held[way, i] = i > line.child or (i > line.supplier and not counts(i))
    return held, counted


def _products(factors: IntArray, chosen: BoolArray) -> FloatArray:
    """Products of factors over chosen levels, [..., dimensions]."""
    products = np.where(chosen[..., None], factors, 1).prod(axis=-2)
    return np.asarray(products, dtype=np.float64)
