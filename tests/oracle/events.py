"""Play the tiles of an executed loop nest on a clock, port by port.

This is the independent oracle of latency: slow, plain, without one closed formula. `movements`
says what moves, this module when.

The machine
-----------
1. The lanes execute one step after the other. A step takes the cycles of the compute level, and
   longer if the ports of what lies next to the lanes do not keep up with its words.
2. A tile moves as a whole: its words pass the supplier's ports and the memory's own at once, a
   word that several instances share once at the supplier. At no time do ports pass more words
   per cycle than their bandwidths, whatever they are divided among. What is due first goes first,
   and if that is for the same step, what is further in; or all tiles go before the lanes,
   whichever of these two arbiters is the faster one.
3. A tile can be sent on once all of it has arrived, and leave once the lanes have left it and all
   that left it inwards has come back.
4. A memory that hides has room for two tiles of every tensor: the next one comes as soon as the
   one before the present one has gone, while the lanes work on the present one. So does an output
   that leaves: the lanes go on with the next tile, but not with the one after that, which needs
   the room.
5. A memory that does not hide gets and sends between two steps, one tensor after the other, what
   leaves first. Meanwhile everything inside of it stands still.
6. The first tiles of a memory that hides come like that, too, as there is nothing to work on; and
   the last ones leave when the lanes have done their last step.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.mapping.mapping import IntArray
from toolkit.workload.kernel import Workload

from .movements import Movements, Words, movements
from .ports import KINDS, bandwidth_of

DONE = 1e-9
"""Share of a job that rounding may leave of it."""


@dataclass(eq=False, slots=True)
class Queue:
    """Jobs that are done one after the other."""

    jobs: list[Job] = field(default_factory=list)
    done: int = 0
    left: float = 1.0


@dataclass(eq=False, slots=True)
class Job:
    """A step of the lanes, or a tile on its way.

    Parameters
    ----------
    level : int
        Of the memory that gets or sends the tile; beyond all levels of the lanes.
    words : mapping of (int, frozenset) to float
        What it needs of every set of ports.
    cycles : float
        That it takes at least.
    halts : bool
        Whether everything inside of the level stands still meanwhile.
    due : int
        The step that waits for it.
    needs : list of (Queue, int)
        How many jobs of other queues have to be done before it.
    """

    level: int
    words: dict[tuple[int, frozenset[str]], float]
    cycles: float
    halts: bool
    due: int
    needs: list[tuple[Queue, int]] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether it can begin once its turn has come."""
        return all(queue.done >= count for queue, count in self.needs)

    @property
    def takes_no_time(self) -> bool:
        """Whether nothing of it takes time."""
        return not self.words and not self.cycles


@dataclass(frozen=True, slots=True)
class Played:
    """What the clock says.

    Parameters
    ----------
    cycles : float
        Of the whole run.
    moved : Movements
        What has moved.
    hides : mapping of int to bool
        Whether a memory hides what it gets and sends, by level.
    """

    cycles: float
    moved: Movements
    hides: dict[int, bool]


def play(
    arch: Architecture, workload: Workload, factors: IntArray, order: IntArray, bias_read: bool
) -> Played:
    """Run a mapped workload; the arguments are those of `simulator.simulate`."""
    moved = movements(arch, workload, factors, order, bias_read)
    hides = {
        i: _hides(level, moved.held.get(i, 0))
        for i, level in enumerate(arch.levels)
        if isinstance(level, Memory)
    }
    cycles = []
    for tiles_first in (False, True):
        schedule = _Schedule(arch, moved, hides)
        cycles.append(_run(schedule.queues, schedule.bandwidths, tiles_first=tiles_first))
    return Played(min(cycles), moved, hides)


def _hides(memory: Memory, held: int) -> bool:
    if memory.overlap != "double-buffered" or memory.capacity_words is None:
        return memory.overlap != "never"
    return 2 * held <= memory.capacity_words


class _Schedule:
    """Writes movements as jobs that need one another."""

    def __init__(self, arch: Architecture, moved: Movements, hides: dict[int, bool]) -> None:
        self._arch, self._moved, self._hides = arch, moved, hides
        self.bandwidths = {
            (i, kinds): bandwidth
            for i, level in enumerate(arch.levels)
            if isinstance(level, Memory)
            for kinds, bandwidth in _sets(level)
        }
        self._lanes = Queue()
        serial = {i: Queue() for i, hidden in hides.items() if not hidden}
        self._arrive = [serial.get(stop.level) or Queue() for stop in moved.stops]
        self._leave = [serial.get(stop.level) or Queue() for stop in moved.stops]
        # How many jobs of a queue are done once a stop has seen its first n tiles.
        self._arrived: list[list[int]] = [[0] for _ in moved.stops]
        self._left: list[list[int]] = [[0] for _ in moved.stops]
        self._write_tiles()
        for s, words in enumerate(moved.lanes):
            self._lanes.jobs.append(self._step(s, words))
        self.queues = list(dict.fromkeys([self._lanes, *self._arrive, *self._leave]))

    def _write_tiles(self) -> None:
        stops = self._moved.stops
        tiles = [
            (move.step, arriving, i, v)
            for i, stop in enumerate(stops)
            for arriving, moves in ((False, stop.leaving), (True, stop.arriving))
            for v, move in enumerate(moves)
        ]
        # Those of one queue by step, what leaves first.
        for _, arriving, i, v in sorted(tiles):
            if arriving:
                self._arrive[i].jobs.append(self._arrival(i, v))
                self._arrived[i].append(len(self._arrive[i].jobs))
            else:
                self._leave[i].jobs.append(self._departure(i, v))
                self._left[i].append(len(self._leave[i].jobs))
        for i, stop in enumerate(stops):
            for v in range(len(stop.arriving)):
                self._add_arrival_needs(i, v)
            for v in range(len(stop.leaving)):
                self._add_departure_needs(i, v)
        # The first tiles of a memory one tensor after the other.
        for (i, a), (j, b) in itertools.pairwise(enumerate(stops)):
            if a.level == b.level and self._hides[a.level]:
                self._arrive[j].jobs[0].needs.append((self._arrive[i], 1))

    def _arrival(self, i: int, v: int) -> Job:
        stop = self._moved.stops[i]
        move = stop.arriving[v]
        halts = not self._hides[stop.level] or v == 0
        return Job(stop.level, self._through(move.words), 0.0, halts, move.step)

    def _departure(self, i: int, v: int) -> Job:
        stop = self._moved.stops[i]
        move, hidden = stop.leaving[v], self._hides[stop.level]
        # The tile after the next one needs the room.
        later = stop.leaving[v + 1].step if v + 1 < len(stop.leaving) else len(self._moved.lanes)
        due = later if hidden else move.step
        return Job(stop.level, self._through(move.words), 0.0, not hidden, due)

    def _add_arrival_needs(self, i: int, v: int) -> None:
        stop, job = self._moved.stops[i], self._arrive[i].jobs[self._arrived[i][v + 1] - 1]
        step, hidden = stop.arriving[v].step, self._hides[stop.level]
        begins = step if not hidden else stop.arriving[v - 1].step if v else 0
        job.needs.append((self._lanes, begins))
        if hidden and v:
            job.needs.append(self._left_until(i, begins))
        outside = self._outside(i)
        if outside is not None:
            job.needs.append(self._arrived_until(outside, step))

    def _add_departure_needs(self, i: int, v: int) -> None:
        stop, job = self._moved.stops[i], self._leave[i].jobs[self._left[i][v + 1] - 1]
        job.needs.append((self._lanes, stop.leaving[v].step))
        for j in range(len(self._moved.stops)):
            if self._outside(j) == i:
                job.needs.append(self._left_until(j, stop.leaving[v].step))

    def _step(self, s: int, words: Words) -> Job:
        job = Job(
            len(self._arch.levels), self._through(words), self._arch.compute.cycles, False, s
        )
        for i, stop in enumerate(self._moved.stops):
            job.needs.append(self._arrived_until(i, s))
            if stop.leaving:
                count = bisect_right([move.step for move in stop.leaving], s)
                if self._hides[stop.level]:
                    count = max(count - 1, 0)
                job.needs.append((self._leave[i], self._left[i][count]))
        return job

    def _outside(self, i: int) -> int | None:
        """Find where the supplier of a stop gets the tensor; None if it owns it."""
        stop = self._moved.stops[i]
        for j, other in enumerate(self._moved.stops):
            if other.tensor == stop.tensor and other.level == stop.supplier:
                return j
        return None

    def _arrived_until(self, i: int, step: int) -> tuple[Queue, int]:
        count = bisect_right([move.step for move in self._moved.stops[i].arriving], step)
        return self._arrive[i], self._arrived[i][count]

    def _left_until(self, i: int, step: int) -> tuple[Queue, int]:
        count = bisect_right([move.step for move in self._moved.stops[i].leaving], step)
        return self._leave[i], self._left[i][count]

    def _through(self, words: Words) -> dict[tuple[int, frozenset[str]], float]:
        found: dict[tuple[int, frozenset[str]], float] = {}
        for level, kinds in self.bandwidths:
            through = sum(words.get((level, kind), 0) for kind in kinds)
            if through:
                found[level, kinds] = float(through)
        return found


def _sets(memory: Memory) -> list[tuple[frozenset[str], float]]:
    """List the sets of kinds that may be the first to fill their ports, with their bandwidth.

    None that another could join at no more ports, and none that falls into two that share none.
    """
    kinds = [
        frozenset(chosen)
        for count in range(1, 1 + len(KINDS))
        for chosen in itertools.combinations(KINDS, count)
    ]
    width = {s: bandwidth_of(memory, sorted(s)) for s in kinds}
    return [
        (s, float(width[s]))
        for s in kinds
        if math.isfinite(width[s])
        and not any(s < other and width[other] == width[s] for other in kinds)
        and not any(part < s and width[part] + width[s - part] == width[s] for part in kinds)
    ]


def _run(
    queues: Sequence[Queue],
    bandwidths: dict[tuple[int, frozenset[str]], float],
    *,
    tiles_first: bool,
) -> float:
    """Let time pass from one job's end to the next."""
    now = 0.0
    while True:
        heads = _heads(queues)
        if not heads:
            break
        last = min((job.level for _, job in heads if job.halts), default=math.inf)
        running = [(queue, job) for queue, job in heads if job.level <= last]
        running.sort(key=lambda x: (tiles_first and x[1].cycles > 0, x[1].due, -x[1].level))
        free, rates = dict(bandwidths), []
        for _, job in running:
            rate = min([free[p] / words for p, words in job.words.items()], default=math.inf)
            rate = min(rate, 1 / job.cycles) if job.cycles else rate
            rates.append(rate)
            for p, words in job.words.items():
                free[p] = max(free[p] - rate * words, 0.0)
        passed = min(q.left / rate for (q, _), rate in zip(running, rates, strict=True) if rate)
        now += passed
        for (queue, _), rate in zip(running, rates, strict=True):
            queue.left -= rate * passed
            if queue.left <= DONE:
                queue.done, queue.left = queue.done + 1, 1.0
    assert all(queue.done == len(queue.jobs) for queue in queues)
    return now


def _heads(queues: Sequence[Queue]) -> list[tuple[Queue, Job]]:
    """List the jobs that can go on; those that take no time are done at once."""
    again = True
    while again:
        again, heads = False, []
        for queue in queues:
            while queue.done < len(queue.jobs) and queue.jobs[queue.done].ready:
                if not queue.jobs[queue.done].takes_no_time:
                    heads.append((queue, queue.jobs[queue.done]))
                    break
                queue.done, again = queue.done + 1, True
    return heads
