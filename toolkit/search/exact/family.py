"""What all choices with the same spatial factors of a ragged space share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from toolkit.compilation import Block
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.model.movers import sums_go_on
from toolkit.model.plan import SpatialFlags
from toolkit.search.exact.accounts import RAW
from toolkit.search.exact.chains import ENTER, Chain, Line
from toolkit.search.exact.columns import Column
from toolkit.search.exact.compiled_words import Rows
from toolkit.search.exact.complete import CompleteOutputs
from toolkit.search.exact.nest import Nest
from toolkit.search.exact.spatial_factors import Spatial
from toolkit.search.exact.steps import strides
from toolkit.search.exact.store import ColumnStore, WallKey, wall_key
from toolkit.search.exact.transfers import make_rows
from toolkit.search.problem import Problem
from toolkit.workload.distinct import count_window

BEYOND = 1e200
"""Far more words than any mapping moves."""


@dataclass
class Family:
    """What all nests with the same spatial factors share.

    Parameters
    ----------
    problem : Problem
        Ragged, with transfers per instance.
    windows : Block
        See `toolkit.search.exact.nest.window_plan`.
    factors : int64 array, shape (levels, dimensions)
        Spatial ones; ones at memories.
    store : ColumnStore
        Of the problem.
    number : int
        Of these factors in the listing.

    Attributes
    ----------
    shared_pj : float
        Energy of the multiply-accumulates, less what complete outputs save.
    """

    problem: Problem
    windows: Block
    factors: IntArray
    store: ColumnStore
    number: int
    spatial: Spatial = field(init=False)
    nest: Nest = field(init=False)
    lines: list[Line] = field(init=False)
    shared_pj: float = field(init=False)
    _parts: dict[tuple[int, WallKey], tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    _tables: dict[tuple[int, WallKey, int], list[FloatArray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.spatial = Spatial(self.problem, self.factors)
        self.nest = Nest(self.problem, self.windows, self.spatial)
        self.lines = list_lines(self.nest)
        saved = float(CompleteOutputs(self.problem).energy_pj(self.factors))
        self.shared_pj = self.problem.tables.levels[-1].mac_pj * self.problem.workload.macs - saved
        self.compulsory = self._compulsory_kinds()
        self.floors = [self._open_lines(k) for k in range(len(self.nest.memories))]

    def _compulsory_kinds(self) -> FloatArray:
        """Which kinds of words no mapping can do without, [lines, 5]: not those that come back."""
        kinds = np.ones((len(self.lines), 1 + RAW))
        for r, (line, (_, costs)) in enumerate(zip(self.lines, self.nest.seen, strict=True)):
            if not self.problem.plan.tensors[line.tensor].is_output:
                kinds[r] = 1, 0, 1, 0, 1
            elif not self.problem.bias_read:
                kinds[r] = 0, 1, 0, 1, 1
            # The more of these words, the less energy: there is no least of them.
            kinds[r, costs.energy[: 1 + RAW] < 0] = BEYOND
        return kinds

    def waiting(self, k: int) -> IntArray:
        """Tensors that wait, as bits, by their states at memory number `k`, [flags]."""
        radix = np.array(self.nest.radix(k))
        digits = np.arange(math.prod(radix))[:, None] // strides(radix) % radix
        return np.asarray(((digits > 0) << np.arange(len(radix))).sum(axis=1))

    def _open_lines(self, k: int) -> tuple[FloatArray, IntArray, FloatArray]:
        """Transfers whose words are yet to be moved by the states of the tensors at a memory.

        Returns
        -------
        open : float64 array, shape (flags, transfers)
        lines : int64 array, shape (transfers,)
            One line of each.
        windows : float64 array, shape (transfers,)
            Values of the tensor's windows.
        """
        nest, sizes = self.nest, self.problem.space.sizes
        radix = nest.radix(k)
        flags = np.arange(math.prod(radix))
        lines: dict[int, int] = {}
        for r, line in enumerate(self.lines):
            if line.memory is not None:
                lines.setdefault(line.transfer, r)
        open_ = np.zeros((len(flags), len(lines)))
        windows = np.ones(len(lines))
        for i, r in enumerate(lines.values()):
            line = self.lines[r]
            t, current = line.tensor, int(nest.row_of[k, line.tensor])
            for terms in self.problem.plan.tensors[t].sums:
                if len(terms) > 1:
                    extents = [int(sizes[d]) for d, _ in terms]
                    windows[i] *= count_window(extents, [c for _, c in terms])
            under_way = self.lines[current].supplier if current >= 0 else 1 << 30
            if nest.memories[k] < self.problem.plan.tensors[t].transfers[0].supplier:
                under_way = -1  # Everything is done further in.
            waits = flags // int(strides(np.array(radix))[t]) % radix[t] > 0
            open_[:, i] = line.supplier < under_way
            open_[waits, i] = line.supplier <= under_way
        return open_, np.array(list(lines.values()), dtype=np.int64), windows

    @cached_property
    def row_arrays(self) -> Rows:
        """Transfers, whatever the choice, with their energy; the tables are a choice's own."""
        return make_rows(self.problem.plan, self.nest.seen, (), self.spatial.active)

    def parts(self, d: int, chain: Chain) -> tuple[FloatArray, FloatArray]:
        """What a dimension contributes whatever its loops: of all visits, and of first ones."""
        key = d, wall_key(chain)
        if key not in self._parts:
            self._parts[key] = fixed_parts(self.nest, self.lines, d, chain)
        return self._parts[key]

    def tables(self, d: int, chain: Chain, own: int) -> list[FloatArray]:
        """Table of every line [3, coordinates, 2], of all instances or of the first one."""
        key = d, wall_key(chain), own
        if key not in self._tables:
            column = self.store.column(d, chain)
            assert column is not None  # Only then are there steps.
            self._tables[key] = [
                _table(self.nest, r, line, d, chain, column, own)
                for r, line in enumerate(self.lines)
            ]
        return self._tables[key]


def list_lines(nest: Nest) -> list[Line]:
    """Describe the transfer of every row of a nest."""
    plan, tables = nest.problem.plan, nest.problem.tables
    lines: list[Line | None] = [None] * len(nest.seen)
    numbers = {}
    for t, tensor in enumerate(plan.tensors):
        for number, transfer in enumerate(tensor.transfers):
            numbers[id(transfer)] = t, tables.tensors[t].transfers + number
    place: dict[int, int] = {}
    for k, m in enumerate(nest.memories):
        for r in nest.row_of[k].tolist():
            while r >= 0:
                place[r], r = m, nest.seen[r][0].row.beside
    for r, (_, costs) in enumerate(nest.seen):
        transfer, supplier = costs.transfer, costs.transfer.supplier
        t, x = numbers[id(transfer)]
        sides = (transfer.reading, transfer.writing)
        lines[r] = Line(
            t,
            x,
            place.get(r),
            supplier,
            len(plan.arch.levels) if transfer.child is None else transfer.child,
            costs.place,
            (
                _levels(sides[0], "shared", supplier if sums_go_on(tables, t) else costs.place),
                _levels(sides[1], "shared", costs.place),
            ),
            (
                _levels(sides[0], "selective", costs.place),
                _levels(sides[1], "selective", costs.place),
            ),
        )
    return [line for line in lines if line is not None]


def _levels(side: Sequence[SpatialFlags], what: str, place: int) -> frozenset[int]:
    """Spatial levels that share words counted at a place: those outside of it do not matter."""
    return frozenset(x.level for x in side if getattr(x, what) and x.level >= place)


def fixed_parts(
    nest: Nest, lines: Sequence[Line], d: int, chain: Chain
) -> tuple[FloatArray, FloatArray]:
    """What a dimension contributes to every line, two arrays [lines, 2, 3] (or [..., chains]).

    Tiles along it cover its iterations, all or those of a first instance, unless it belongs to
    a window; of dimensions that do not index the tensor what does not depend on loops in time.
    """
    plan = nest.problem.plan
    shape = np.shape(chain.walls[0].inner) if chain.walls else ()
    base = np.ones((len(lines), 2, 3, *shape))
    fresh = np.ones((len(lines), 2, 3, *shape))
    for r, line in enumerate(lines):
        tensor = plan.tensors[line.tensor]
        wide = any(len(terms) > 1 and d in [e for e, _ in terms] for terms in tensor.sums)
        if wide:
            continue
        for own in range(2):
            for way in range(3):
                if tensor.relevant[d]:
                    level = line.child if way == ENTER else line.place
                    base[r, own, way] = fresh[r, own, way] = chain.elements(level, own)
                    continue
                fresh[r, own, way] = chain.repeats(line, way, own, None, timed=False)
                if line.memory is None:
                    base[r, own, way] = chain.repeats(line, way, own, None, timed=True)
    return base, fresh


def _table(
    nest: Nest, r: int, line: Line, d: int, chain: Chain, column: Column, own: int
) -> FloatArray:
    """What a dimension contributes to one line at every coordinate, [3, coordinates, 2]."""
    tensor, row = nest.problem.plan.tensors[line.tensor], nest.seen[r][0]
    taus = np.ones(1)
    if line.memory is not None:
        k = nest.memories.index(line.memory)
        taus = np.concatenate([column.taus[k], column.taus[k + 1]]).astype(np.float64)
    table = np.ones((3, len(taus), 2))
    for way in range(3):
        if tensor.relevant[d]:
            table[way] = np.stack(chain.tiles(line, way, own, row.ext[way, d] * taus), axis=-1)
        elif line.memory is not None:
            extents = taus * chain.spatial(line.memory)
            table[way, :, 0] = chain.repeats(line, way, own, extents, timed=True)
    return table
