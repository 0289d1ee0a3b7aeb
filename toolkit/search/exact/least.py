"""Mappings of least energy of the choices of a ragged space, one call of a kernel each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from toolkit.compilation import Block, record_type
from toolkit.mapping.mapping import FloatArray
from toolkit.search.exact.chains import Chain
from toolkit.search.exact.choice_nest import no_least
from toolkit.search.exact.compiled_course import LineRow, MemoryRow, OpenRow, Shared
from toolkit.search.exact.compiled_labels import Goal, GoalRow, Labels
from toolkit.search.exact.compiled_least import FOUND, LABEL, SOLVE
from toolkit.search.exact.compiled_steps import Step, WaitingRow
from toolkit.search.exact.extents import choice_table, is_strict
from toolkit.search.exact.family import Family
from toolkit.search.exact.listing import Listing
from toolkit.search.exact.nest import NO_FLOORS, nothing_of
from toolkit.search.exact.relaxed import Relaxed
from toolkit.search.exact.store import ColumnStore, WallKey, make_course, make_label_set, wall_key

IMPOSSIBLE = -1
"""Entry of a dimension that cannot be split as a choice wants it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a choice.

    Parameters
    ----------
    code : int
        `NONE`, `FOUND`, `TOO_MANY` or `BEATEN` of `compiled_least`.
    energy_pj : float
        Of the mapping of least energy, beyond what lanes take.
    path : list of (int, int)
        Its extents and loops, the innermost memory first.
    """

    code: int
    energy_pj: float = math.inf
    path: tuple[tuple[int, int], ...] = ()


class LeastEnergy:
    """Solves choices, with room that all of them use.

    Parameters
    ----------
    listing : Listing
        Of the choices.
    store : ColumnStore
        Of their problem.
    """

    def __init__(self, listing: Listing, store: ColumnStore) -> None:
        self.problem, self.listing, self.store = listing.problem, listing, store
        self._families: dict[int, Family] = {}
        self._entries: dict[tuple[int, int, int], int] = {}
        self._by_extents: dict[tuple[int, WallKey, bytes], int] = {}
        self._shared: dict[int, Block] = {}
        self._rows: dict[int, Block] = {}
        self._sides, self._flags = (0, 0, 0), 0
        self._label_sets = [Block(make_label_set()) for _ in range(3)]
        self._none = Block(no_least(1))
        self._no_step, self._no_labels = Block(nothing_of(Step)), Block(nothing_of(Labels))
        self._numbers = np.zeros(1, dtype=record_type(GoalRow))

    def family(self, number: int) -> Family:
        """What choices with the same spatial factors share, by their number in the listing."""
        if number not in self._families:
            listing = self.listing
            spatial = listing.spatial[number]
            self._families[number] = Family(
                self.problem, listing.nest.windows, spatial, self.store, number
            )
        return self._families[number]

    def entry(self, number: int, d: int, pick: int) -> int:
        """Number of a dimension's entry in the store; `IMPOSSIBLE` if it cannot be split so."""
        key = number, d, pick
        found = self._entries.get(key)
        if found is None:
            found = self._entries[key] = self._added(
                self.family(number), d, self.listing.chain(number, d, pick)
            )
        return found

    def _added(self, family: Family, d: int, chain: Chain) -> int:
        if self.store.column(d, chain) is None:
            return IMPOSSIBLE
        extents = family.row_arrays.ext[:, :, d]
        key = d, wall_key(chain), extents.tobytes()
        if key not in self._by_extents:
            base, fresh = family.parts(d, chain)
            tables = family.tables(d, chain, 0)
            parts = np.concatenate([base[:, 0], fresh[:, 0]], axis=1).ravel()
            table = np.concatenate([x.ravel() for x in tables])
            self._by_extents[key] = self.store.add(d, chain, table, parts)
        return self._by_extents[key]

    def solve(
        self,
        number: int,
        energy: Relaxed,
        entries: list[int],
        goal: GoalRow,
        front: FloatArray,
    ) -> Outcome:
        """Find the mapping of least energy of a choice, if it reaches the goal.

        Parameters
        ----------
        number : int
            Of the family.
        energy : Relaxed
            Its tables.
        entries : list of int
            Of every dimension.
        goal : GoalRow
            What all its mappings share; the lanes' energy is added to it.
        front : float64 array, shape (points, 2)
            What else has to be undercut.
        """
        family = self.family(number)
        shared, rows = self._ready(number, family, energy)
        self._course.picked[:] = entries
        self._numbers[0] = goal
        sought = Block(Goal(self._numbers, front, *NO_FLOORS))
        code = LABEL(
            SOLVE,
            family.windows,
            family.nest.window_room,
            rows,
            sought,
            self._room,
            self._none,
            self._no_step,
            self._no_labels,
            self._no_labels,
            self.store.block,
            shared,
            self._course_block,
            *self._label_sets,
        )
        if code != FOUND:
            return Outcome(code)
        path = tuple((int(row["extent"]), int(row["sequence"])) for row in self._course.path)
        return Outcome(code, float(self._room.arrays.costs[0, 0]), path)

    def _ready(self, number: int, family: Family, energy: Relaxed) -> tuple[Block, Block]:
        """Blocks of a family, and room that is large enough for all entries."""
        if number not in self._shared:
            self._shared[number] = Block(share(family, energy))
        shared: Shared = self._shared[number].arrays
        if shared.to_go is not energy.to_go:
            shared = shared._replace(to_go=energy.to_go)
            self._shared[number] = Block(shared)
        flags = shared.is_open.shape[1]
        small = any(x < y for x, y in zip(self._sides, self.store.sides, strict=True))
        if small or flags > self._flags:
            self._make_room(family, flags)
        if number not in self._rows:
            self._rows[number] = Block(family.row_arrays._replace(**self._scratch))
        return self._shared[number], self._rows[number]

    def _make_room(self, family: Family, flags: int) -> None:
        width, depth, longest = self.store.sides
        self._sides = 2 * width, 2 * depth, 2 * longest  # So that it is rarely made anew.
        self._flags = max(flags, self._flags)
        self._course = make_course(self.problem, self._sides, self._flags)
        self._course_block = Block(self._course)
        self._room = family.nest.room(1)
        lines, dimensions = len(family.lines), self.problem.space.shape[1]
        self._scratch = {
            "table": np.ones((lines, 1, 3, dimensions, 2 * width, 2)),
            "base": np.ones((lines, 1, 3)),
            "fresh": np.ones((lines, 1, 3)),
        }
        self._rows.clear()


def share(family: Family, energy: Relaxed) -> Shared:
    """Write down what all choices of a family share."""
    nest, space = family.nest, family.problem.space
    radix = [np.array(nest.radix(k)) for k in range(len(nest.memories))]
    waiting = np.stack([nest.waiting(k, x, record_type(WaitingRow)) for k, x in enumerate(radix)])
    waiting["outer_weight"][1:] = waiting["weight"][:-1]
    memories, choices = [], []
    for k, m in enumerate(nest.memories):
        rule = space.order_rules[k]
        strict = is_strict(rule)
        memories.append(MemoryRow(int(radix[k].prod()), strict, m))
        choices.append(choice_table(rule, strict))
    plan = family.problem.plan
    lines = [
        LineRow(
            -1 if line.memory is None else nest.memories.index(line.memory),
            plan.tensors[line.tensor].is_output and not family.problem.bias_read,
        )
        for line in family.lines
    ]
    flags = max(row.flags for row in memories)
    _, rows, windows = family.floors[0]
    is_open = np.zeros((len(memories), flags, len(rows)))
    for k, (of_memory, _, _) in enumerate(family.floors):
        is_open[k, : len(of_memory)] = of_memory
    subset = np.zeros((len(memories), flags), dtype=np.int64)
    for k in range(len(memories)):
        subset[k, : len(family.waiting(k))] = family.waiting(k)
    open_ = [
        OpenRow(int(r), float(values), *family.compulsory[r].tolist())
        for r, values in zip(rows, windows, strict=True)
    ]
    return Shared(
        memories=np.array(memories, dtype=record_type(MemoryRow)),
        waiting=np.ascontiguousarray(waiting),
        choices=np.ascontiguousarray(np.stack(choices)),
        lines=np.array(lines, dtype=record_type(LineRow)),
        fixed=np.array(nest.fixed_rows, dtype=np.int64),
        open=np.array(open_, dtype=record_type(OpenRow)),
        is_open=is_open,
        subset=subset,
        to_go=energy.to_go,
    )
