"""Executes a group turn by turn: DRAM's port, a clock, and tiles that need room.

It knows no formula of latencies. It walks through the nest of a plan, lists in which turn of which
layer each tile is first and last needed, and lets time pass: a tile is asked for as soon as it has
room (`Kept.during`, and a further tile beside the present one), the port serves what the earliest
turn waits for, a turn begins when its tiles are there and ends when what passes by has done so and
the results of its last time have left.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from toolkit.fusion.dram_port import PortWords
from toolkit.fusion.group_latency import GroupWork, name_of
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
class Tile:
    """A tile of an item: turns in which it is first and last needed, and words that move."""

    item: Kept
    first: int
    last: int
    alone_before: bool
    alone_after: bool
    read: float = 0.0
    written: float = 0.0


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


class Port:
    """Serves transfers, those first that the earliest beginning or end of a turn waits for."""

    def __init__(self) -> None:
        self.now = self.busy = 0.0
        self.jobs: list[tuple[int, int, float]] = []
        self.asked = 0

    def ask(self, event: int, cycles: float) -> None:
        """Ask for a transfer that an event waits for, from now on."""
        if cycles:
            self.asked += 1
            heapq.heappush(self.jobs, (event, self.asked, cycles))
            self.busy += cycles

    def until(self, time: float) -> None:
        """Serve up to a time."""
        while self.jobs and self.now < time:
            event, asked, cycles = heapq.heappop(self.jobs)
            left = cycles - (time - self.now)
            self.now = min(self.now + cycles, time)
            if left > 0:
                heapq.heappush(self.jobs, (event, asked, left))
        self.now = max(self.now, time)

    def done_for(self, event: int) -> float:
        """Serve all that events up to one wait for; when that is done."""
        while self.jobs and self.jobs[0][0] <= event:
            self.now += heapq.heappop(self.jobs)[2]
        return self.now


class Ports:
    """DRAM's ports: one for both directions, or one for each."""

    def __init__(self, work: GroupWork, shared: bool) -> None:
        self.work = work
        self.reads = Port()
        self.writes = self.reads if shared else Port()

    def read(self, event: int, words: float) -> None:
        self.reads.ask(event, self.work.port.cycles(PortWords(reads=words)))

    def write(self, event: int, words: float) -> None:
        self.writes.ask(event, self.work.port.cycles(PortWords(writes=words)))

    def until(self, time: float) -> None:
        self.reads.until(time)
        self.writes.until(time)

    def done_for(self, event: int) -> float:
        return max(self.reads.done_for(event), self.writes.done_for(event))


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
    ports, asked, made = Ports(work, shared), defaultdict[float, list[Tile]](list), {}
    for before, tile, after in _neighbours(tiles):
        if tile.item.kind == "output":
            # One tile of room: it has left when the next one is complete.
            made[id(tile)] = _end(len(order) if after is None else after.last)
        if before is not None and not tile.alone_before:
            asked[before.first].append(tile)
        else:
            shut = [i for i in range(tile.first) if order[i][0] not in tile.item.during]
            asked[shut[-1] + 0.5 if shut else -1].append(tile)
    complete = defaultdict[int, list[Tile]](list)
    for tile in tiles:
        complete[tile.last].append(tile)
    clock = 0.0
    for tile in asked[-1]:
        ports.read(_begin(tile.first), tile.read)
    for number, (layer, _) in enumerate(order):
        begin = max(clock, ports.done_for(_begin(number)))
        ports.until(begin)
        runs = work.runs(layer)
        passing = work.passing.get(layer, PortWords()) * (1 / runs)
        ports.read(_end(number), passing.reads)
        ports.write(_end(number), passing.writes)
        for tile in asked[number]:
            ports.read(_begin(tile.first), tile.read)
        clock = max(begin + work.cycles[layer] / runs, ports.done_for(_end(number)))
        ports.until(clock)
        for tile in complete[number]:
            ports.write(made.get(id(tile), 0), tile.written)
        for tile in asked[number + 0.5]:
            ports.read(_begin(tile.first), tile.read)
    end = max(clock, ports.done_for(_end(len(order))))
    return Ran(end, end - ports.reads.busy, end - ports.writes.busy, ports.reads.busy)


_MOVED = ("input", "weights", "output")


def _take_out(tiles: list[Tile], early: dict[str, float], late: dict[str, float]) -> None:
    for tile in tiles:
        if tile.item.kind != "output":
            tile.read -= early.pop(name_of(tile.item), 0.0)
    for tile in reversed(tiles):
        tile.written -= late.pop(tile.item.name, 0.0) if tile.item.kind == "output" else 0.0
    assert not early and not late
    assert all(tile.read >= 0 and tile.written >= 0 for tile in tiles)


def _neighbours(tiles: list[Tile]) -> Iterator[tuple[Tile | None, Tile, Tile | None]]:
    """Each tile with those of the same item before and after it."""
    for before, tile, after in zip([None, *tiles], tiles, [*tiles[1:], None], strict=False):
        yield (
            before if before is not None and before.item is tile.item else None,
            tile,
            after if after is not None and after.item is tile.item else None,
        )


def _begin(turn: int) -> int:
    return 2 * turn


def _end(turn: int) -> int:
    return 2 * turn + 1
