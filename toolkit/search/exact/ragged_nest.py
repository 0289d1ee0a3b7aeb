"""The temporal nest of one choice of spatial factors and of the tiles inside them, if ragged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import Block, record_type
from toolkit.mapping.factors import divisors
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.space import MapSpace
from toolkit.model.plan import SpatialFlags
from toolkit.search.exact.chains import ENTER, Chain, Line
from toolkit.search.exact.compiled_steps import (
    DimensionRow,
    Least,
    LoopRow,
    SizeRow,
    Step,
    WaitingRow,
)
from toolkit.search.exact.compiled_words import RowRow, Rows
from toolkit.search.exact.extents import choice_table
from toolkit.search.exact.nest import Constant, Nest, strides
from toolkit.search.exact.transfers import Spatial
from toolkit.search.problem import Problem
from toolkit.workload.distinct import count_window


@dataclass(frozen=True)
class Column:
    """Extents and loops of one dimension between its walls.

    Parameters
    ----------
    taus : list of int64 array
        Temporal extents at the top of every memory, then at the bottom.
    turns : list of int64 array, shape (extents above, extents below)
        Iterations of every memory's loop from one to the other, 0 where there is none.
    loops : list of `LoopRow` array, shape (extents below, loops)
        The same as lists, of `counts` loops each.
    counts, idle : list of int64 array, shape (extents below,)
        How many loops there are, and the extent above with a single iteration, -1 if none.
    """

    taus: list[IntArray]
    turns: list[IntArray]
    loops: list[NDArray[Any]]
    counts: list[IntArray]
    idle: list[IntArray]


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
    """

    problem: Problem
    windows: Block
    factors: IntArray
    spatial: Spatial = field(init=False)
    nest: Nest = field(init=False)
    lines: list[Line] = field(init=False)
    _columns: dict[tuple[int, tuple[int, ...]], Column | None] = field(default_factory=dict)
    _parts: dict[tuple[int, tuple[int, ...]], tuple[FloatArray, FloatArray]] = field(
        default_factory=dict
    )
    _tables: dict[tuple[int, tuple[int, ...], int], list[FloatArray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.spatial = Spatial(self.problem, self.factors)
        self.nest = Nest(self.problem, self.windows, self.spatial)
        self.lines = list_lines(self.nest)
        self.compulsory = self._compulsory_kinds()
        self.floors = [self._open_lines(k) for k in range(len(self.nest.memories))]

    def _compulsory_kinds(self) -> FloatArray:
        """Which kinds of words no mapping can do without, [lines, 4]: not those that come back."""
        kinds = np.ones((len(self.lines), 4))
        for r, line in enumerate(self.lines):
            if not self.problem.plan.tensors[line.tensor].is_output:
                kinds[r] = 1, 0, 1, 0
            elif not self.problem.bias_read:
                kinds[r] = 0, 1, 0, 1
        return kinds

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
            waits = flags // int(strides(np.array(radix))[t]) % radix[t] > 0
            open_[:, i] = line.supplier < under_way
            open_[waits, i] = line.supplier <= under_way
        return open_, np.array(list(lines.values()), dtype=np.int64), windows

    def column(self, d: int, chain: Chain) -> Column | None:
        """Extents of a dimension; None if its loops cannot be split so."""
        key = d, _key(chain)
        if key not in self._columns:
            self._columns[key] = make_column(self.problem.space, self.nest.memories, d, chain)
        return self._columns[key]

    def parts(self, d: int, chain: Chain) -> tuple[FloatArray, FloatArray]:
        """What a dimension contributes whatever its loops: of all visits, and of first ones."""
        key = d, _key(chain)
        if key not in self._parts:
            self._parts[key] = fixed_parts(self.nest, self.lines, d, chain)
        return self._parts[key]

    def tables(self, d: int, chain: Chain, own: int) -> list[FloatArray]:
        """Table of every line [3, coordinates, 2], of all instances or of the first one."""
        key = d, _key(chain), own
        if key not in self._tables:
            column = self.column(d, chain)
            assert column is not None  # Only then are there steps.
            self._tables[key] = [
                _table(self.nest, r, line, d, chain, column, own)
                for r, line in enumerate(self.lines)
            ]
        return self._tables[key]


def _key(chain: Chain) -> tuple[int, ...]:
    return tuple(int(wall.inner) for wall in chain.walls)


def _no_least(passes: int) -> Least:
    return Least(
        np.zeros((passes, 0, 0)),
        np.zeros((passes, 0, 0)),
        np.zeros((passes, 0, 0)),
        np.zeros((0, 0), dtype=np.int32),
        np.zeros((0, 0), dtype=np.int32),
    )


def list_lines(nest: Nest) -> list[Line]:
    """Describe the transfer of every row of a nest."""
    plan, tables = nest.problem.plan, nest.problem.tables
    lines: list[Line | None] = [None] * len(nest.seen)
    numbers = {}
    for t, tensor in enumerate(plan.tensors):
        for number, transfer in enumerate(tensor.transfers):
            numbers[id(transfer)] = t, tables.tensors[t].transfers + number
    place = {r: m for k, m in enumerate(nest.memories) for r in nest.row_of[k].tolist() if r >= 0}
    for r, (_, costs) in enumerate(nest.seen):
        transfer = costs.transfer
        t, x = numbers[id(transfer)]
        sides = (transfer.reading, transfer.writing)
        lines[r] = Line(
            t,
            x,
            place.get(r),
            transfer.supplier,
            len(plan.arch.levels) if transfer.child is None else transfer.child,
            (_levels(sides[0], "shared"), _levels(sides[1], "shared")),
            (_levels(sides[0], "selective"), _levels(sides[1], "selective")),
        )
    return [line for line in lines if line is not None]


def _levels(side: Sequence[SpatialFlags], what: str) -> frozenset[int]:
    return frozenset(flags.level for flags in side if getattr(flags, what))


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
                    level = line.child if way == ENTER else line.supplier
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


def make_column(space: MapSpace, memories: list[int], d: int, chain: Chain) -> Column | None:
    """List the extents of a dimension that may be needed, memory by memory.

    Inside a wall they divide the extent there. Outside all walls only numbers of tiles matter,
    so of each number the smallest extent is enough: it leaves the same number further out, and
    more room. (Where windows leave gaps, all extents are listed.) What reaches the size counts
    as the size.
    """
    count, size = len(memories), chain.size
    fixed: dict[int, int] = {}
    for wall in chain.walls:
        k = sum(m < wall.level for m in memories)
        fixed.setdefault(k, int(wall.inner) // chain.spatial(wall.level))
    taus: list[IntArray] = [np.ones(1, dtype=np.int64)] * (count + 1)
    links: list[dict[tuple[int, int], int]] = [{} for _ in memories]
    if fixed.get(count, 1) != 1:
        return None
    for k in reversed(range(count)):
        m = memories[k]
        inside = chain.spatial(m)
        target = next((fixed[j] for j in range(k, 0, -1) if j in fixed), None)
        whole = -(-size // inside)
        for b in taus[k + 1].tolist():
            least, most = int(space.lower[m, d]), int(space.upper[m, d])
            for f in _turns(space, d, b, inside, size, target, exact=k in fixed, last=k == 0):
                if not least <= f <= most:
                    continue
                above = b * f
                if target is None and above * inside >= size:
                    if (f - 1) * b * inside >= size and f > 1:
                        continue
                    above = whole
                links[k][above, b] = f
        taus[k] = np.array(sorted({a for a, _ in links[k]}), dtype=np.int64)
        if not len(taus[k]):
            return None
    for k in range(1, count):
        kept = {b for _, b in links[k - 1]}
        links[k] = {(a, b): f for (a, b), f in links[k].items() if a in kept}
        taus[k] = np.array([a for a in taus[k].tolist() if a in kept], dtype=np.int64)
        if not links[k]:
            return None
    turns = []
    for k in range(count):
        place = {int(a): i for i, a in enumerate(taus[k])}
        inner = {int(b): i for i, b in enumerate(taus[k + 1])}
        table = np.zeros((len(place), len(inner)), dtype=np.int64)
        for (a, b), f in links[k].items():
            if a in place and b in inner:
                table[place[a], inner[b]] = f
        turns.append(table)
    listed = [_as_lists(table) for table in turns]
    return Column(taus, turns, *(list(parts) for parts in zip(*listed, strict=True)))


def _as_lists(turns: IntArray) -> tuple[NDArray[Any], IntArray, IntArray]:
    """Loops from every extent below, their number, and the one of a single iteration."""
    counts = (turns > 0).sum(axis=0)
    loops = np.zeros((turns.shape[1], int(counts.max())), dtype=record_type(LoopRow))
    loops["factor"] = 1.0
    idle = np.full(turns.shape[1], -1, dtype=np.int64)
    for b, column in enumerate(turns.T):
        chosen = np.flatnonzero(column)
        loops["target"][b, : len(chosen)] = chosen
        loops["factor"][b, : len(chosen)] = column[chosen]
        single = np.flatnonzero(column == 1)
        idle[b] = single[0] if len(single) else -1
    return loops, counts, idle


def _turns(
    space: MapSpace,
    d: int,
    b: int,
    inside: int,
    size: int,
    target: int | None,
    *,
    exact: bool,
    last: bool,
) -> list[int]:
    """Iterations that a loop over tiles of temporal extent `b` may need to have."""
    if target is not None:
        if target % b:
            return []
        return [target // b] if exact else [int(f) for f in divisors(target // b)]
    tiles = -(-size // (b * inside))
    if last:
        return [tiles]
    if not space.ragged[d]:
        return [int(f) for f in divisors(tiles)]
    if has_gaps(space, d):
        return list(range(1, tiles + 1))
    least = int(space.lower[space.memory_levels, d].max())
    root = math.isqrt(tiles)
    few = {-(-tiles // q) for q in range(1, root + 1)} | set(range(1, -(-tiles // (root + 1)) + 1))
    smallest = {-(-tiles // -(-tiles // f)) for f in few}
    return sorted(smallest | ({least} if least <= tiles else set()))


def has_gaps(space: MapSpace, d: int) -> bool:
    """Whether windows along a dimension leave values out, so that tiles of all sizes differ."""
    for tensor in space.workload.tensors:
        for index in tensor.indices:
            coefficients = {term.coefficient for term in index}
            inside = space.dimensions[d] in [term.dimension for term in index]
            if inside and len(index) > 1 and coefficients != {1}:
                return True
    return False


class RaggedNest(Nest):
    """Tables of one choice of spatial factors and of all extents inside them.

    Parameters
    ----------
    family : Family
        Of the same spatial factors.
    chains : sequence of Chain
        Of every dimension.
    labels : bool
        Whether labels are wanted, which take the words of the first instance at every port.
    known : (float, float), optional
        Energy (pJ) of the lanes and of what they are sent, and steps, if they are known.
    """

    def __init__(
        self,
        family: Family,
        chains: Sequence[Chain],
        *,
        labels: bool = False,
        known: tuple[float, float] | None = None,
    ) -> None:
        template = family.nest
        self.__dict__.update(
            {k: v for k, v in template.__dict__.items() if k not in ("constant", "steps", "reach")}
        )
        self.family, self.chains = family, list(chains)
        self.columns = [family.column(d, chain) for d, chain in enumerate(chains)]
        self._known_pj = None if known is None else known[0]
        steps = known[1] if known else math.prod(float(c.steps()) for c in chains)
        self.steps_in_time = float(steps)
        self.spatial = template.spatial.with_steps(self.steps_in_time)
        self.owners = 2 if labels else 1
        self.ports = []
        if None not in self.columns:
            self.ports = [
                p for p in self.problem.plan.ports if labels and math.isfinite(p[1].bandwidth)
            ]
            self.rows = self._ragged_rows()
            if labels:
                self.ports = [p for i, p in enumerate(self.ports) if self._may_stall(i)]
                self.rows = self._ragged_rows()
            self.row_block = Block(self.rows)

    @property
    def possible(self) -> bool:
        """Whether all dimensions can be split."""
        return None not in self.columns

    @property
    def utilization(self) -> float:
        """Share of the lanes' steps that do work."""
        space = self.problem.space
        lanes = math.prod(float(space.mesh[i]) for i in space.spatial_levels.tolist())
        return self.problem.workload.macs / (self.steps_in_time * lanes)

    def _ragged_rows(self) -> Rows:
        family, dimensions = self.family, len(self.chains)
        parts = [family.parts(d, chain) for d, chain in enumerate(self.chains)]
        base = np.prod([p[0] for p in parts], axis=0)[:, : self.owners]
        fresh = np.prod([p[1] for p in parts], axis=0)[:, : self.owners]
        width = 1
        tables = [
            [family.tables(d, chain, own) for own in range(self.owners)]
            for d, chain in enumerate(self.chains)
        ]
        width = max(t.shape[1] for per in tables for lines in per for t in lines)
        count = len(family.lines)
        table = np.ones((count, self.owners, 3, dimensions, width, 2))
        for d in range(dimensions):
            for own in range(self.owners):
                for r, one in enumerate(tables[d][own]):
                    table[r, own, :, d, : one.shape[1]] = one
        self._once = fresh[:, 0]
        outputs = np.array(
            [self.problem.plan.tensors[line.tensor].is_output for line in family.lines]
        )
        fresh = np.where((outputs & (not self.problem.bias_read))[:, None, None], fresh, 0.0)
        coef = np.zeros((count, 1 + len(self.ports), 4))
        states = max((row.states for row, _ in self.seen), default=1)
        rows = np.zeros(count, dtype=record_type(RowRow))
        ext = np.ones((count, 4, dimensions))
        slide = np.full((count, dimensions), -1, dtype=np.int64)
        for r, (row, costs) in enumerate(self.seen):
            rows[r], ext[r], slide[r] = row.row, row.ext, row.slide
            coef[r, 0] = costs.energy
            for p, (m, port) in enumerate(self.ports):
                coef[r, 1 + p] = costs.passing(m, port) / port.bandwidth
        return Rows(
            rows,
            ext,
            slide,
            coef,
            np.ones((count, states)),
            np.ascontiguousarray(table),
            np.ascontiguousarray(base),
            np.ascontiguousarray(fresh),
        )

    def _may_stall(self, p: int) -> bool:
        """Whether a port may take longer than the lanes: at the most words of every transfer."""
        most = self.rows.base[:, 1] * self.rows.table[:, 1, :, :, :, 0].max(axis=3).prod(axis=2)
        for r, line in enumerate(self.family.lines):
            tensor = self.problem.plan.tensors[line.tensor]
            for terms in tensor.sums:
                if len(terms) > 1:  # As if no two tiles overlapped along any of its dimensions.
                    most[r] *= math.prod(float(self.chains[d].size) for d, _ in terms)
        kinds = np.stack([most[:, 0], most[:, 1], most[:, 2], most[:, 2]], axis=1)
        first: dict[int, float] = {}
        for r, (_, costs) in enumerate(self.seen):
            value = float(self.rows.coef[r, 1 + p] @ kinds[r])
            first[id(costs)] = max(first.get(id(costs), 0.0), value)
        return sum(first.values()) * (1 - 1e-12) > self.spatial.cycles

    def costs_to_come(self, passes: int) -> tuple[list[Block], list[FloatArray]]:
        """What labels are judged by: the compulsory words of what is yet to be moved.

        Few labels pass where the limit is close, so that least costs from every state would take
        far longer than they.
        """
        none = Block(_no_least(passes))
        floors = [self._floor(k, passes) for k in range(len(self.memories))]
        return [none] * len(floors), floors

    def _floor(self, k: int, passes: int) -> FloatArray:
        """Costs yet to come by the states of the tensors at memory number `k`, [flags, passes]."""
        open_, lines, windows = self.family.floors[k]
        kinds = self._once[lines] * windows[:, None]
        words = np.stack([kinds[:, 0], kinds[:, 1], kinds[:, 2], kinds[:, 2]], axis=1)
        least = (self.rows.coef[lines, 0] * self.family.compulsory[lines] * words).sum(axis=1)
        floor = np.zeros((len(open_), passes))
        floor[:, 0] = open_ @ least
        return floor

    @cached_property
    def constant(self) -> Constant:
        """Words of the lanes, and the energy of the computation itself."""
        if self._known_pj is not None and not self.ports:
            return Constant(self._known_pj, np.zeros(0))
        room = self.room(1 + len(self.ports))
        room.arrays.along["coordinate"] = 0
        costs = self.measured(room)
        compute = self.problem.plan.arch.compute
        energy = compute.mac_energy_pj * self.problem.workload.macs
        return Constant(float(energy + costs[0]), costs[1:])

    @cached_property
    def steps(self) -> list[Step]:
        """Memories, outermost first; empty if no tiling exists."""
        if not self.possible:
            return []
        return self.linked([self._step(k) for k in range(len(self.memories))])

    @property
    def table_sizes(self) -> list[tuple[int, int, int]]:
        """States, states at its top, and flags of every memory, without its tables."""
        if not self.possible:
            return []
        taus = [column.taus for column in self.columns if column is not None]
        return [
            (
                math.prod(len(t[k]) + len(t[k + 1]) for t in taus),
                math.prod(len(t[k]) for t in taus),
                math.prod(self.radix(k)),
            )
            for k in range(len(self.memories))
        ]

    def turns(self, k: int, above: IntArray, below: IntArray) -> IntArray:
        """Iterations of memory number `k` between numbered extents."""
        columns = [column for column in self.columns if column is not None]
        return np.array([c.turns[k][a, b] for c, a, b in zip(columns, above, below, strict=True)])

    def _step(self, k: int) -> Step:
        columns = [column for column in self.columns if column is not None]
        space, m = self.problem.space, self.memories[k]
        above, below = [c.taus[k] for c in columns], [c.taus[k + 1] for c in columns]
        dimensions = len(above)
        na = np.array([len(x) for x in above], dtype=np.int64)
        nb = np.array([len(x) for x in below], dtype=np.int64)
        tau = np.ones((dimensions, int((na + nb).max())))
        idle = np.full((dimensions, int(nb.max())), -1, dtype=np.int64)
        count = np.zeros((dimensions, int(nb.max())), dtype=np.int64)
        longest = max(c.loops[k].shape[1] for c in columns)
        loops = np.zeros((dimensions, int(nb.max()), longest), dtype=record_type(LoopRow))
        for d, column in enumerate(columns):
            own = column.loops[k]
            tau[d, : na[d]], tau[d, na[d] : na[d] + nb[d]] = above[d], below[d]
            count[d, : nb[d]], idle[d, : nb[d]] = column.counts[k], column.idle[k]
            loops[d, : nb[d], : own.shape[1]] = own
        rule = space.order_rules[k]
        strict = bool(rule.slots) or len(rule.sequence) > 1
        radix = np.array(self.radix(k))
        states, above_count = math.prod((na + nb).tolist()), math.prod(na.tolist())
        size = SizeRow(states, above_count, int(radix.prod()), strict, m)
        along = np.zeros(dimensions, dtype=record_type(DimensionRow))
        along["above"], along["below"] = na, nb
        along["stride"], along["above_stride"] = strides(na + nb), strides(na)
        along["below_stride"] = strides(nb)
        return Step(
            sizes=np.array([size], dtype=record_type(SizeRow)),
            dimensions=along,
            waiting=self._waiting(k, radix, record_type(WaitingRow)),
            tau=tau,
            idle=idle,
            counts=count,
            loops=loops,
            choices=choice_table(rule, strict),
            fits=np.zeros(0, dtype=np.int64),
            inside=np.array([chain.spatial(m) for chain in self.chains], dtype=np.float64),
            seen=np.array([float(chain.elements(m, 1)) for chain in self.chains]),
            inner_fits=np.ones(0, dtype=np.int64),
        )
