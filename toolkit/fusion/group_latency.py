"""How long a group runs: its steps one after the other, and what DRAM moves meanwhile.

**Order.** Layers take turns on the array, in the loops of the nest. DRAM serves one transfer after
the other in the order in which the array needs them: the first tiles (with weights that stay) of
the layers as these first run, then in every step the tiles of the next one and the results of the
one before, for which the nest has set room aside.

**Steps.** A step of a loop lasts as long as the layers in it or as what DRAM moves meanwhile,
whichever takes longer. Steps in which an outer loop goes on, too, move more than others, and are
counted apart: what is stored in few of them is not spread over all. Layers outside of a loop, and
loops inside of one beside other layers, are runs of their own, with nothing in flight between
them: the room for that is not set aside.

**First and last.** Before a run its first tiles come in, as far as no earlier layer of its first
step computes meanwhile; after it the last results go out. Conventions of a steady state take
either for hidden, as they do for layers on their own.

Ragged tiles, and what they move, count with the average of all steps but the first (which loads
halos that are kept) and the last. Executed turn by turn (`tests/fusion/step_simulation.py`), no
group takes longer than this says; some take less, as runs within a step may overlap after all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import fsum, prod

from toolkit.fusion.dram_port import DramPort, PortWords
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.group_plan import GroupPlan, Kept
from toolkit.fusion.timeline import weights_of


@dataclass(frozen=True)
class GroupLatency:
    """How long a group runs.

    Parameters
    ----------
    cycles : float
        From the first load to the last store.
    first_cycles, last_cycles : float
        Those of them in which the array waits for first tiles, and for the last results to leave.
    moved : PortWords
        All that DRAM moves meanwhile.
    """

    cycles: float
    first_cycles: float
    last_cycles: float
    moved: PortWords


@dataclass(frozen=True)
class _Run:
    """Some layers in some loops: cycles of all, those of first loads and last stores, words."""

    cycles: float = 0.0
    first: float = 0.0
    last: float = 0.0
    moved: PortWords = field(default_factory=PortWords)

    def __add__(self, other: _Run) -> _Run:
        return _Run(
            self.cycles + other.cycles,
            self.first + other.first,
            self.last + other.last,
            self.moved + other.moved,
        )


_Branch = tuple[tuple[str, ...], _Run]
"""Layers that run one after the other in a step, and what that takes."""


@dataclass(frozen=True)
class GroupWork:
    """What a group asks of the array and of DRAM.

    Parameters
    ----------
    view : GroupView
        The group.
    plan : GroupPlan
        How it runs.
    port : DramPort
        What it loads and stores through.
    cycles : mapping of str to float
        Of all parts of each layer.
    passing : mapping of str to PortWords
        What all parts of a layer move past the fusion level.
    side_by_side_cycles : float, optional
        Of all steps, where the layers do not take turns.
    """

    view: GroupView
    plan: GroupPlan
    port: DramPort
    cycles: Mapping[str, float]
    passing: Mapping[str, PortWords]
    side_by_side_cycles: float | None = None

    def latency(
        self, early: Mapping[str, float] | None = None, late: Mapping[str, float] | None = None
    ) -> GroupLatency:
        """Count the cycles of a group.

        Parameters
        ----------
        early : mapping of str to float, optional
            Words of first loads that came before, by the name that timelines have for them.
        late : mapping of str to float, optional
            Words of last stores that leave afterwards, by tensor.
        """
        if not self.plan.double_buffered:
            return self._in_turn()
        run = _Walk(self, early or {}, late or {}).whole()
        # Where a steady state hides first loads and last stores, the port still moves them.
        cycles = max(run.cycles, self.port.cycles(run.moved))
        return GroupLatency(cycles, run.first, run.last, run.moved)

    def _in_turn(self) -> GroupLatency:
        """Of tiles that are held once: they come and go while no layer runs."""
        plan = self.plan
        staged = PortWords(
            plan.staged_input_words + plan.staged_weight_words, plan.staged_output_words
        )
        cycles = fsum(self.cycles.values()) + self.port.cycles(staged)
        return GroupLatency(cycles, 0.0, 0.0, sum(self.passing.values(), staged))

    @property
    def order(self) -> tuple[str, ...]:
        """Layers as they first run."""
        return tuple(self.plan.made)

    @property
    def first_loads(self) -> tuple[Kept, ...]:
        """What could come before the group begins: weights first, in the order of their layers.

        Only what has room from the group's first layer on, and no tensor that several layers load
        each on its own.
        """
        often = Counter(map(name_of, self.plan.kept))
        able = [
            item
            for item in self._once
            if item.kind in ("input", "weights")
            and self.plan.double_buffered
            and self.order[0] in item.during
            and often[name_of(item)] == 1
        ]
        able.sort(key=lambda item: (item.kind != "weights", self.order.index(self.user(item))))
        return tuple(able)

    @property
    def last_stores(self) -> tuple[Kept, ...]:
        """Results whose last tile is there, and waited for, when the group ends."""
        return tuple(
            item
            for item in self._once
            if item.kind == "output"
            and self.plan.double_buffered
            and self.order[-1] in item.during
        )

    @property
    def _once(self) -> tuple[Kept, ...]:
        """What comes first and leaves last once, not in every step of a loop further out."""
        walk = _Walk(self, {}, {})
        walk.whole()
        return tuple(walk.once)

    def user(self, item: Kept) -> str:
        """The layer that first reads something, or that makes it."""
        if item.kind == "weights":
            return item.name
        if item.kind == "input":
            return min(item.readers, key=self.order.index)
        return self.view.makers[item.name].name

    def runs(self, layer: str) -> int:
        """How often a layer runs."""
        return prod(loop.steps for loop in self.plan.loops if layer in loop.layers)


class _Walk:
    """One walk through the nest of a group."""

    def __init__(
        self, work: GroupWork, early: Mapping[str, float], late: Mapping[str, float]
    ) -> None:
        self.work, self.port = work, work.port
        self.loops = work.plan.loops
        self.early, self.late = early, late
        self.once: list[Kept] = []
        self.items = [
            (item, item.depth, work.user(item))
            for item in work.plan.kept
            if item.depth is not None and item.kind in ("input", "weights", "output")
        ]

    def whole(self) -> _Run:
        """The whole group."""
        order, cycles = self.work.order, self.work.side_by_side_cycles
        if cycles is None:
            return _total(self._branches(order, 0, ()))
        loops = tuple(range(len(self.loops)))
        steps = prod(loop.steps for loop in self.loops)
        moved = sum(self.work.passing.values(), PortWords()) * (1 / steps)
        return self._stepped(loops, [(order, _Run(cycles / steps, moved=moved))], ())

    def _branches(
        self, names: tuple[str, ...], loop: int, outside: tuple[int, ...]
    ) -> list[_Branch]:
        """What runs one after the other in the loops from a number on."""
        if loop == len(self.loops):
            return [self._turn(name, outside) for name in names]
        found: list[_Branch] = []
        for part, inside in self._segments(names, loop):
            if inside:
                found.append((part, self._looped(part, loop, outside)))
            else:
                found += self._branches(part, loop + 1, outside)
        return found

    def _segments(
        self, names: tuple[str, ...], loop: int
    ) -> Iterator[tuple[tuple[str, ...], bool]]:
        """Neighbours that are all inside of a loop, or all outside of it."""
        own = self.loops[loop].layers
        for inside, part in groupby(names, key=own.__contains__):
            yield tuple(part), inside

    def _turn(self, name: str, outside: tuple[int, ...]) -> _Branch:
        """One turn of a layer; what passes the fusion level comes while it runs."""
        runs = self.work.runs(name)
        moved = self.work.passing.get(name, PortWords()) * (1 / runs)
        cycles = max(self.work.cycles[name] / runs, self.port.cycles(moved))
        turn = (name,), _Run(cycles, moved=moved)
        return turn if outside else ((name,), self._stepped((), [turn], ()))

    def _looped(self, part: tuple[str, ...], loop: int, outside: tuple[int, ...]) -> _Run:
        """All steps of a loop, and of those inside of it that have the same layers."""
        chain: tuple[int, ...] = (loop,)
        loop += 1
        while loop < len(self.loops):
            segments = list(self._segments(part, loop))
            if len(segments) > 1:
                break
            chain += (loop,) * segments[0][1]
            loop += 1
        return self._stepped(chain, self._branches(part, loop, (*outside, *chain)), outside)

    def _stepped(
        self, chain: tuple[int, ...], branches: Sequence[_Branch], outside: tuple[int, ...]
    ) -> _Run:
        """Steps of loops around branches, their first loads and their last stores."""
        steps = [self.loops[i].steps for i in chain]
        tiles = list(self._tiles(chain, branches, outside))
        step, port = _total(branches), self.port
        cycles, began = 0.0, port.cycles(step.moved)
        for place, count in enumerate(steps):
            if count > 1:
                fresh = sum((t.next for t in tiles if t.place >= place), PortWords())
                began = port.cycles(step.moved + fresh)
                cycles += (count - 1) * prod(steps[:place]) * max(step.cycles, began)
        cycles += max(step.cycles, port.cycles(step.moved))
        moved = sum((t.moved for t in tiles), step.moved * prod(steps))
        inner = prod(steps)
        first, last = inner * step.first, inner * step.last
        if not port.conventions.first_and_last:
            return _Run(cycles, first, last, moved)
        fresh_cycles = began - port.cycles(step.moved)
        fill = self._fill(tiles, branches, fresh_cycles) - max(step.cycles, began)
        drain = port.cycles(PortWords(writes=sum(t.last for t in tiles)))
        return _Run(fill + cycles + drain, first + fill, last + drain, moved)

    def _tiles(
        self, chain: tuple[int, ...], branches: Sequence[_Branch], outside: tuple[int, ...]
    ) -> Iterator[_Tiles]:
        """What moves between steps of a chain of loops, or around a run outside of all loops."""
        home = {name: number for number, (names, _) in enumerate(branches) for name in names}
        runs = prod(self.loops[i].steps for i in outside)
        before = [name for names, _ in branches for name in names]
        for item, depth, user in self.items:
            if user not in home or (depth - 1 not in chain if depth else bool(outside)):
                continue
            place = chain.index(depth - 1) if depth else -1
            events = prod(self.loops[i].steps for i in chain[: place + 1])
            ready = depth > 0 or set(before[: before.index(user)]) <= set(item.during)
            stored = (item.moved_words + item.size_words) / 2 if item.kind == "output" else 0.0
            read, stored = (item.moved_words - stored) / runs, stored / runs
            again = item.kind == "output"
            first, last = (read / events if again else _one(item, read, events)), 0.0
            if again:
                last = _one(item, stored, events)
            many = max(events - 1, 1)
            fresh = PortWords((read - first) / many, (stored - last) / many)
            if not outside:
                self.once.append(item)
                first -= 0.0 if again else min(self.early.get(name_of(item), 0.0), first)
                last -= min(self.late.get(item.name, 0.0), last)
            moved = PortWords(first, last) + fresh * (events - 1)
            yield _Tiles(place, home[user], ready, first, last, fresh, moved)

    def _fill(
        self, tiles: Sequence[_Tiles], branches: Sequence[_Branch], fresh_cycles: float
    ) -> float:
        """Cycles from the first load to the end of the first step.

        What passes by while a layer runs goes first; what is left of the port's time brings first
        tiles of later branches, and then those of the next step.
        """
        cycles = idle = 0.0
        loads = [[t for t in tiles if t.branch == n and t.first > 0] for n in range(len(branches))]
        left = [self.port.cycles(PortWords(reads=sum(t.first for t in own))) for own in loads]
        for number, (_, run) in enumerate(branches):
            cycles += left[number] + run.cycles
            idle += run.cycles - self.port.cycles(run.moved)
            for later in range(number + 1, len(branches)):
                if all(tile.ready for tile in loads[later]):
                    taken = min(idle, left[later])
                    left[later], idle = left[later] - taken, idle - taken
        return cycles + max(fresh_cycles - idle, 0.0)


@dataclass(frozen=True)
class _Tiles:
    """Tiles of one item in a run: of the first and of the last step, and between two steps.

    `place` is that of the innermost loop of the chain that changes the tile, `branch` the first
    that needs it; `ready` says whether it has room before that.
    """

    place: int
    branch: int
    ready: bool
    first: float
    last: float
    next: PortWords
    moved: PortWords


def name_of(item: Kept) -> str:
    """The name of an item in timelines: weights of a layer are told from what it makes."""
    return weights_of(item.name) if item.kind == "weights" else item.name


def _one(item: Kept, words: float, events: int) -> float:
    """Words of a tile that comes first or leaves last, of all that move in a run."""
    return words if events == 1 else min(float(item.tile_words), words)


def _total(branches: Sequence[_Branch]) -> _Run:
    return sum((run for _, run in branches), _Run())
