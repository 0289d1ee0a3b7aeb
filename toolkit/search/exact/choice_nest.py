"""The temporal nest of one choice of spatial factors and of the tiles inside them, if ragged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from toolkit.arch.ports import TRAFFIC
from toolkit.compilation import Block
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.model.waits import DRAINS, UPDATES, passing_cycles
from toolkit.search.exact.accounts import NOTHING, Account
from toolkit.search.exact.chains import Chain
from toolkit.search.exact.compiled_paths import Least
from toolkit.search.exact.compiled_steps import Step
from toolkit.search.exact.compiled_words import Rows
from toolkit.search.exact.complete import CompleteOutputs
from toolkit.search.exact.family import Family
from toolkit.search.exact.grid import Grid
from toolkit.search.exact.limits import LANES, limits_of
from toolkit.search.exact.nest import Constant, Floors, Nest
from toolkit.search.exact.relaxed import ToGo
from toolkit.search.exact.steps import LoopLists, linked
from toolkit.search.exact.transfers import Seen

WAY_OF_KIND = (0, 1, 2, 2, 0)
"""How words of each kind go: out of the supplier, back into it, into or out of the child."""


class ChoiceNest(Nest):
    """Tables of one choice of spatial factors and of all extents inside them.

    Parameters
    ----------
    family : Family
        Of the same spatial factors.
    chains : sequence of Chain
        Of every dimension.
    labels : function of tuple of int, optional
        Makes tables of the family by the numbers of limits, if labels are wanted, which take the
        words of the first instance at every port.
    """

    def __init__(
        self,
        family: Family,
        chains: Sequence[Chain],
        *,
        labels: Callable[[tuple[int, ...]], ToGo] | None = None,
    ) -> None:
        template = family.nest
        self.__dict__.update(
            {
                k: v
                for k, v in template.__dict__.items()
                if k not in ("constant", "ends", "entries", "steps", "reach")
            }
        )
        self.family, self.chains = family, list(chains)
        self.columns = [family.store.column(d, chain) for d, chain in enumerate(chains)]
        self.steps_in_time = math.prod(float(c.steps()) for c in chains)
        self.spatial = template.spatial.with_steps(self.steps_in_time)
        self.owners, self._to_go = 2 if labels else 1, labels
        self.limits = []
        if None not in self.columns:
            self.limits = limits_of(self.problem) if labels else []
            self.rows = self._ragged_rows()
            if labels:
                kinds = self._words_at_most()
                self.limits = [x for i, x in enumerate(self.limits) if self._may_stall(i, kinds)]
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
        coef = np.zeros((count, 1 + len(self.limits), len(NOTHING)))
        coef[:, :1] = family.row_arrays.coef
        for r, (_, costs) in enumerate(self.seen):
            for p, limit in enumerate(self.limits):
                coef[r, 1 + p] = costs.costs(limit)
        return family.row_arrays._replace(
            coef=coef,
            less=np.array([self._saved_cycles(*seen) for seen in self.seen]),
            table=np.ascontiguousarray(table),
            base=np.ascontiguousarray(base),
            fresh=np.ascontiguousarray(fresh),
        )

    def _saved_cycles(self, seen: Seen, costs: Account) -> tuple[float, float]:
        """Cycles that complete outputs take less, at a transfer's supplier and at its child."""
        is_output = self.problem.plan.tensors[seen.row.tensor].is_output
        if not is_output or not costs.exposed or costs.transfer.child is None:
            return 0.0, 0.0
        complete, tables = CompleteOutputs(self.problem), self.problem.tables

        def saved(m: int, kind: int) -> float:
            words = complete.words(self.spatial.factors, m, TRAFFIC[kind], self.chains)
            return float(passing_cycles(tables, self.spatial.nest, m, kind, words))

        return saved(costs.transfer.supplier, UPDATES), saved(costs.transfer.child, DRAINS)

    def _words_at_most(self) -> FloatArray:
        """Words of every transfer at most, [rows, kinds]."""
        # A window may have no complete tile but a last one, so that both count.
        most = self.rows.base[:, 1] * self.rows.table[:, 1].sum(axis=4).max(axis=3).prod(axis=2)
        for r, line in enumerate(self.family.lines):
            tensor = self.problem.plan.tensors[line.tensor]
            for terms in tensor.sums:
                if len(terms) > 1:  # As if no two tiles overlapped along any of its dimensions.
                    most[r] *= math.prod(float(self.chains[d].size) for d, _ in terms)
        return np.asarray(np.stack([most[:, i] for i in WAY_OF_KIND], axis=1))

    def _may_stall(self, p: int, kinds: FloatArray) -> bool:
        """Whether a port may take longer than the lanes: at the most words of every transfer.

        What it waits for lanes wait for, too.
        """
        if self.limits[p].port is LANES or self.may_add_words(self.limits[p].level):
            return True
        first: dict[int, float] = {}
        for r, (_, costs) in enumerate(self.seen):
            value = float(self.rows.coef[r, 1 + p, : len(WAY_OF_KIND)] @ kinds[r])
            first[id(costs)] = max(first.get(id(costs), 0.0), value)
        return sum(first.values()) * (1 - 1e-12) > self.spatial.cycles

    def costs_to_come(self, passes: int) -> tuple[list[Block], list[Floors]]:
        """What labels are judged by: compulsory words, and relaxed ways of the whole family.

        Few labels pass where the limit is close, so that least costs from every state would take
        far longer than they.
        """
        none = Block(no_least(passes))
        assert self._to_go is not None  # Only labels ask.
        numbers = {limit: i for i, limit in enumerate(limits_of(self.problem))}
        to_go = self._to_go(tuple(numbers[limit] for limit in self.limits))
        floors = [
            Floors(
                self._floor(k, passes),
                to_go.costs[k],
                self.family.waiting(k),
                self._cells(k, to_go.grid),
            )
            for k in range(len(self.memories))
        ]
        return [none] * len(floors), floors

    def _cells(self, k: int, grid: Grid) -> IntArray:
        """`Grid.cells` of memory number `k` by dimension and coordinate."""
        columns = [column for column in self.columns if column is not None]
        taus = [np.concatenate([c.taus[k], c.taus[k + 1]]) for c in columns]
        cells = np.zeros((len(taus), max(len(x) for x in taus)), dtype=np.int64)
        for d, x in enumerate(taus):
            inside = self.chains[d].spatial(self.memories[k])
            cells[d, : len(x)] = grid.cells(d, x, inside)
        return cells

    def _floor(self, k: int, passes: int) -> FloatArray:
        """Costs yet to come by the states of the tensors at memory number `k`, [flags, passes]."""
        open_, lines, windows = self.family.floors[k]
        kinds = self._once[lines] * windows[:, None]
        words = np.stack([kinds[:, i] for i in WAY_OF_KIND], axis=1)
        coef = self.rows.coef[lines, 0, : len(WAY_OF_KIND)]
        least = (coef * self.family.compulsory[lines] * words).sum(axis=1)
        floor = np.zeros((len(open_), passes))
        floor[:, 0] = open_ @ least
        return floor

    @cached_property
    def constant(self) -> Constant:
        """Words of the lanes, and the energy of the computation itself."""
        room = self.room(1 + len(self.limits))
        room.arrays.along["coordinate"] = 0
        costs = self.measured(room)
        complete, factors = CompleteOutputs(self.problem), self.spatial.factors
        saved = [complete.port_cycles(factors, limit, self.chains) for limit in self.limits]
        energy = self.problem.tables.levels[-1].mac_pj * self.problem.workload.macs
        energy += costs[0] - float(complete.energy_pj(factors))
        cycles = costs[1:] - np.array(saved)
        cycles += [self.spatial.cycles * (limit.port is LANES) for limit in self.limits]
        return Constant(float(energy), cycles)

    @cached_property
    def steps(self) -> list[Step]:
        """Memories, outermost first; empty if no tiling exists."""
        if not self.possible:
            return []
        return linked([self._step(k) for k in range(len(self.memories))])

    @property
    def table_sizes(self) -> list[tuple[int, int, int]]:
        """None: labels are judged without tables."""
        return []

    def turns(self, k: int, above: IntArray, below: IntArray) -> IntArray:
        """Iterations of memory number `k` between numbered extents."""
        columns = [column for column in self.columns if column is not None]
        return np.array([c.turns[k][a, b] for c, a, b in zip(columns, above, below, strict=True)])

    def _step(self, k: int) -> Step:
        columns = [column for column in self.columns if column is not None]
        m = self.memories[k]
        above, below = [c.taus[k] for c in columns], [c.taus[k + 1] for c in columns]
        lists = [LoopLists(c.loops[k], c.counts[k], c.idle[k]) for c in columns]
        return self.assembled(k, above, below, lists)._replace(
            inside=np.array([chain.spatial(m) for chain in self.chains], dtype=np.float64),
            spread=np.array([float(c.spatial(self.memories[0])) for c in self.chains]),
            seen=np.array([float(chain.elements(m, 1)) for chain in self.chains]),
        )


def no_least(passes: int) -> Least:
    """No tables at all."""
    return Least(
        np.zeros((passes, 0, 0)),
        np.zeros((passes, 0, 0)),
        np.zeros((passes, 0, 0)),
        np.zeros((0, 0), dtype=np.int32),
        np.zeros((0, 0), dtype=np.int32),
    )
