"""Executes a group turn by turn: a queue at DRAM's port, a clock, and tiles that need room.

It knows no formula of latencies. It walks through the nest of a plan, lists in which turn of which
layer each tile is first and last needed, and lets time pass: a tile is asked for as soon as it has
room (`Kept.during`, and a further tile beside the present one), the port serves what was asked
for first, but before that what the array waits for (what passes by while a layer runs, first
tiles of a run); a turn begins when its tiles are there, and a result leaves when it is complete.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from toolkit.fusion.group_latency import GroupWork, PortWords, name_of
from toolkit.fusion.tile.group_plan import Kept

Turn = tuple[str, dict[int, int]]
"""A layer, and where the loops that it runs in stand."""


def turns(work: GroupWork) -> list[Turn]:
    """All turns of all layers, one after the other."""

    def walk(names: tuple[str, ...], loop: int, at: dict[int, int]) -> Iterator[Turn]:
        if loop == len(work.plan.loops):
            yield from ((name, at) for name in names)
            return
        own = work.plan.loops[loop].layers
        for inside, part in groupby(names, key=lambda name: name in own):
            some = tuple(part)
            if not inside:
                yield from walk(some, loop + 1, at)
                continue
            for i in range(work.plan.loops[loop].steps):
                yield from walk(some, loop + 1, {**at, loop: i})

    return list(walk(tuple(work.plan.made), 0, {}))


@dataclass
class Job:
    """A transfer, and when it is done."""

    kinds: tuple[str, ...]
    done: float


@dataclass
class Tile:
    """A tile of an item: turns in which it is first and last needed, and words that move."""

    item: Kept
    first: int
    last: int
    alone_before: bool
    alone_after: bool
    read: float = 0.0
    written: float = 0.0
    load: Job | None = None


def tiles_of(work: GroupWork, item: Kept, order: list[Turn]) -> list[Tile]:
    """The tiles of an item, one after the other, and whether others are in flight beside them."""
    users = {work.user(item), *item.readers}
    found: list[Tile] = []
    place: tuple[tuple[int, int], ...] | None = None
    for number, (layer, at) in enumerate(order):
        if layer not in users:
            continue
        here = tuple((i, n) for i, n in at.items() if i < (item.depth or 0))
        if here == place:
            found[-1].last = number
        else:
            found.append(Tile(item, number, number, True, True))
            place = here
    for before, after in zip(found, found[1:], strict=False):
        between = (order[i][0] for i in range(before.first, after.first))
        before.alone_after = after.alone_before = not all(x in item.during for x in between)
    _fill(item, found)
    return found


def _fill(item: Kept, tiles: list[Tile]) -> None:
    """Share out the words: a whole tile comes first in a run and leaves last, others are alike."""
    runs = sum(tile.alone_before for tile in tiles)
    events = len(tiles) / runs
    moved = item.moved_words / runs
    stored = (item.moved_words + item.size_words) / 2 / runs if item.kind == "output" else 0.0
    again = (moved - stored) / events
    for tile in tiles:
        if item.kind == "output":
            tile.read = again
            one = stored if events == 1 else min(item.tile_words, stored)
            tile.written = one if tile.alone_after else (stored - one) / (events - 1)
        else:
            one = moved if events == 1 else min(item.tile_words, moved)
            tile.read = one if tile.alone_before else (moved - one) / (events - 1)


@dataclass
class Queue:
    """DRAM's ports: one for both directions, or one for each."""

    work: GroupWork
    shared: bool
    free: dict[str, float] = field(default_factory=lambda: {"reads": 0.0, "writes": 0.0})
    busy: dict[str, float] = field(default_factory=lambda: {"reads": 0.0, "writes": 0.0})
    jobs: list[Job] = field(default_factory=list)
    urgent: float = 0.0

    def serve(self, now: float, kind: str, words: float) -> Job:
        """Move words after all that was asked for before."""
        kinds, taken = self._use(kind, words)
        if not words:
            return Job(kinds, now)
        job = Job(kinds, max(now, self.free[kind]) + taken)
        for one in kinds:
            self.free[one] = job.done
        self.jobs.append(job)
        return job

    def serve_first(self, now: float, kind: str, words: float) -> Job:
        """Move words that the array waits for: others wait meanwhile."""
        kinds, taken = self._use(kind, words)
        begin = max(now, self.urgent)
        for job in self.jobs:
            if job.done > begin and set(kinds) & set(job.kinds):
                job.done += taken
        for one in kinds:
            self.free[one] = max(begin, self.free[one]) + taken
        self.urgent = begin + taken if words else self.urgent
        return Job(kinds, begin + taken if words else now)

    def _use(self, kind: str, words: float) -> tuple[tuple[str, ...], float]:
        taken = self.work.port.cycles(PortWords(**{kind: words}))
        kinds = ("reads", "writes") if self.shared else (kind,)
        for one in kinds:
            self.busy[one] += taken
        return kinds, taken


@dataclass(frozen=True)
class Ran:
    """When a group was done, and how long the ports were idle until then."""

    cycles: float
    idle_reads: float
    idle_writes: float
    busy_reads: float


def run(
    work: GroupWork,
    shared: bool,
    early: Mapping[str, float] | None = None,
    late: Mapping[str, float] | None = None,
) -> Ran:
    """Run a group, less words that came before it, and that leave after it."""
    order = turns(work)
    items = [k for k in work.plan.kept if k.depth is not None and k.kind in _MOVED]
    tiles = [tile for item in items for tile in tiles_of(work, item, order)]
    _take_out(tiles, dict(early or {}), dict(late or {}))
    queue = Queue(work, shared)
    at_start, at_end, needed, complete = (defaultdict[int, list[Tile]](list) for _ in range(4))
    behind: dict[int, Tile] = {}
    for tile, before in _with_before(tiles):
        needed[tile.first].append(tile)
        if tile.item.kind == "output":
            complete[tile.last].append(tile)
            if before is not None:
                behind[id(tile)] = before
        if before is not None and not tile.alone_before:
            at_start[before.first].append(tile)
        else:
            shut = [i for i in range(tile.first) if order[i][0] not in tile.item.during]
            at_end[shut[-1] if shut else -1].append(tile)
    clock, left = 0.0, dict[int, Job]()
    _ask(queue, 0.0, at_end[-1], -1)
    for number, (layer, _) in enumerate(order):
        begin = max([clock, *(tile.load.done for tile in needed[number] if tile.load)])
        passing = work.passing.get(layer, PortWords()) * (1 / work.runs(layer))
        clock = max(
            begin + work.cycles[layer] / work.runs(layer),
            queue.serve_first(begin, "reads", passing.reads).done,
        )
        _ask(queue, begin, at_start[number], number)
        for tile in complete[number]:
            # One tile of room: the one before has left when this one is complete.
            if id(tile) in behind:
                clock = max(clock, left[id(behind[id(tile)])].done)
        for tile in complete[number]:
            left[id(tile)] = queue.serve(clock, "writes", tile.written)
        _ask(queue, clock, at_end[number], number)
    end = max([clock, *(job.done for job in left.values())])
    return Ran(end, end - queue.busy["reads"], end - queue.busy["writes"], queue.busy["reads"])


_MOVED = ("input", "weights", "output")


def _take_out(tiles: list[Tile], early: dict[str, float], late: dict[str, float]) -> None:
    for tile in tiles:
        if tile.item.kind != "output":
            tile.read -= early.pop(name_of(tile.item), 0.0)
    for tile in reversed(tiles):
        tile.written -= late.pop(tile.item.name, 0.0) if tile.item.kind == "output" else 0.0
    assert not early and not late
    assert all(tile.read >= 0 and tile.written >= 0 for tile in tiles)


def _with_before(tiles: list[Tile]) -> Iterator[tuple[Tile, Tile | None]]:
    before: Tile | None = None
    for tile in tiles:
        yield tile, before if before is not None and before.item is tile.item else None
        before = tile


def _ask(queue: Queue, now: float, tiles: list[Tile], number: int) -> None:
    """Ask for tiles; those that the next turn waits for come first."""
    for tile in sorted(tiles, key=lambda tile: tile.first):
        urgent = tile.alone_before and tile.first == number + 1
        serve = queue.serve_first if urgent else queue.serve
        tile.load = serve(now, "reads", tile.read)
