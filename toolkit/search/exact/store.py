"""Columns of all choices of a ragged problem, as the compiled search takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import Block, fields_of, record_type
from toolkit.search.exact.chains import Chain
from toolkit.search.exact.columns import Column, make_column
from toolkit.search.exact.compiled_course import ColumnRow, Course, EntryRow, PathRow, Store
from toolkit.search.exact.compiled_least import LabelSet
from toolkit.search.exact.compiled_steps import DimensionRow, FirstRow, LoopRow, SizeRow
from toolkit.search.exact.compiled_words import LabelRow
from toolkit.search.exact.grid import Grid
from toolkit.search.problem import Problem

MOST_LABELS = 1 << 18
"""Labels of one choice, or of one number of loops placed at a memory: 18 MiB with their slots."""

WallKey = tuple[tuple[int, int, int], ...]


class _Pile:
    """An array that grows at its end."""

    def __init__(self, kind: Any, *sides: int) -> None:
        self.array: NDArray[Any] = np.zeros((64, *sides), dtype=kind)
        self.used = 0

    def add(self, values: NDArray[Any]) -> int:
        """Append entries; returns where they begin."""
        begin, self.used = self.used, self.used + len(values)
        if self.used > len(self.array):
            larger = np.zeros((2 * self.used, *self.array.shape[1:]), dtype=self.array.dtype)
            larger[:begin] = self.array[:begin]
            self.array = larger
        self.array[begin : self.used] = values
        return begin


class ColumnStore:
    """Makes columns when they are asked for, each once.

    Parameters
    ----------
    problem : Problem
        Ragged or not.
    grid : Grid
        Its buckets of extents.

    Attributes
    ----------
    sides : tuple of 3 ints
        Most extents of a column at a memory, those below it, and loops from one of them.
    """

    def __init__(self, problem: Problem, grid: Grid) -> None:
        self.problem, self.grid = problem, grid
        self.memories = list(problem.plan.memories)
        count = len(self.memories)
        self._columns: dict[tuple[int, WallKey], Column | None] = {}
        self._rows: dict[tuple[int, WallKey], NDArray[Any]] = {}
        self._piles = {
            name: _Pile(
                record_type(field.kind), *(count,) * (name in ("columns", "inside", "seen"))
            )
            for name, field in fields_of(Store).items()
        }
        self.sides = 1, 1, 1
        self._block: Block | None = None
        self._addresses: list[int] = []

    def column(self, d: int, chain: Chain) -> Column | None:
        """Extents of a dimension; None if its loops cannot be split so."""
        key = d, wall_key(chain)
        if key not in self._columns:
            self._columns[key] = make_column(
                self.problem.space, self.memories, d, chain, every=self._all_matter(d)
            )
        return self._columns[key]

    def _all_matter(self, d: int) -> bool:
        """Whether tiles of all sizes along a dimension differ, for bursts that they touch."""
        tensors, bursts = self.problem.plan.tensors, self.problem.tables.bursts
        return any(x.relevant[d] and row.burst for x, row in zip(tensors, bursts, strict=True))

    def add(self, d: int, chain: Chain, table: NDArray[Any], parts: NDArray[Any]) -> int:
        """Keep what a dimension contributes; returns the number of the entry.

        Parameters
        ----------
        d : int
            Dimension, of which there is a column.
        chain : Chain
            Its spatial levels.
        table : float64 array
            See `Store.table`.
        parts : float64 array
            See `Store.parts`.
        """
        key = d, wall_key(chain)
        if key not in self._rows:
            self._rows[key] = self._placed(d, chain)
        piles = self._piles
        number = piles["columns"].add(self._rows[key][None])
        piles["entries"].add(
            np.array(
                [(piles["table"].add(table), piles["parts"].add(parts))],
                dtype=record_type(EntryRow),
            )
        )
        inside = [[float(chain.spatial(m)) for m in self.memories]]
        piles["inside"].add(np.array(inside))
        piles["seen"].add(np.array([[float(chain.elements(m, 1)) for m in self.memories]]))
        return number

    def _placed(self, d: int, chain: Chain) -> NDArray[Any]:
        """Put a column into the store; returns where its parts are."""
        column, piles = self.column(d, chain), self._piles
        assert column is not None  # Nobody asks for the contribution of nothing.
        rows = np.zeros(len(self.memories), dtype=record_type(ColumnRow))
        for k in range(len(self.memories)):
            taus = np.concatenate([column.taus[k], column.taus[k + 1]])
            below, longest = column.loops[k].shape
            cells = self.grid.cells(d, taus, chain.spatial(self.memories[k]))
            piles["cell"].add(cells)
            counts = piles["counts"].add(column.counts[k])
            piles["idle"].add(column.idle[k])
            loops = piles["loops"].add(column.loops[k].ravel())
            row = ColumnRow(
                piles["tau"].add(taus), counts, loops, len(column.taus[k]), below, longest
            )
            rows[k] = row
            width, depth, most = self.sides
            self.sides = max(width, len(taus)), max(depth, below), max(most, longest)
        return rows

    @property
    def block(self) -> Block:
        """All of it for kernels."""
        arrays = Store(*(pile.array for pile in self._piles.values()))
        addresses = [array.ctypes.data for array in arrays]
        if self._block is None or addresses != self._addresses:
            self._block, self._addresses = Block(arrays), addresses
        return self._block


def wall_key(chain: Chain) -> WallKey:
    """What tells chains of one dimension apart."""
    return tuple((wall.level, wall.factor, int(wall.inner)) for wall in chain.walls)


def make_label_set() -> LabelSet:
    """Room for labels."""
    return LabelSet(
        np.zeros((MOST_LABELS, 1)),
        np.zeros(MOST_LABELS, dtype=record_type(LabelRow)),
        np.zeros(2 * MOST_LABELS, dtype=np.int64),
        np.zeros(2 * MOST_LABELS, dtype=np.int64),
    )


def make_course(problem: Problem, sides: tuple[int, int, int], flags: int) -> Course:
    """Room for one choice.

    Parameters
    ----------
    problem : Problem
        Ragged or not.
    sides : tuple of 3 ints
        Most extents of a column at a memory, those below it, and loops from one of them.
    flags : int
        Most states of the tensors at any memory.
    """
    count, dimensions = len(problem.plan.memories), problem.space.shape[1]
    width, depth, longest = sides
    whole = np.int64
    return Course(
        picked=np.zeros(dimensions, dtype=whole),
        loaded=np.full(dimensions, -1, dtype=whole),
        sizes=np.zeros(count, dtype=record_type(SizeRow)),
        dimensions=np.zeros((count, dimensions), dtype=record_type(DimensionRow)),
        tau=np.ones((count, dimensions, width)),
        idle=np.zeros((count, dimensions, depth), dtype=whole),
        counts=np.zeros((count, dimensions, depth), dtype=whole),
        loops=np.zeros((count, dimensions, depth, longest), dtype=record_type(LoopRow)),
        inside=np.ones((count, dimensions)),
        seen=np.ones((count, dimensions)),
        cell=np.zeros((count, dimensions, width), dtype=whole),
        floor=np.zeros((count, flags)),
        path=np.zeros(count, dtype=record_type(PathRow)),
        nothing=np.zeros(0, dtype=whole),
        unseen=np.zeros(0),
        first=np.zeros(0, dtype=record_type(FirstRow)),
        ends=np.zeros((0, 0)),
    )
