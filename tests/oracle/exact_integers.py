"""What a mapping costs under the ``exact`` conventions, in Python's integers and fractions.

The second oracle beside `simulator`, which executes a nest step by step: this one counts the
steps instead, so it copes with sizes of any magnitude. It knows neither floats nor NumPy, shares
no formula with the cost model, and is itself held against the simulator. The machine and its
rules are those that `simulator` describes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Fanout, Memory, Spatial
from toolkit.workload.kernel import Term, Workload

from .arrays import array_of
from .ports import KINDS, least_cycles

Rows = list[list[int]]
"""Iterations or loop orders, ``rows[level][dimension]``."""

Digits = list[tuple[int, int]]
"""``(step, count)`` pairs that stand for the sums of ``step * i``, each i below its count."""

Loop = tuple[int, int, int]
"""Level, dimension and iterations."""

ENUMERATED = 1 << 17
"""Most sums that are listed one by one."""


class TooWideError(Exception):
    """An index has too many values to list and no law that this oracle knows."""


@dataclass(frozen=True)
class ExactCost:
    """Totals over all instances and the whole run.

    Parameters
    ----------
    accesses : dict of (memory, tensor, kind) to int
        Words by the names of memory and tensor; kinds are reads, updates, fills and drains.
    words, instances : dict of str to int
        By memory: what the tiles of one instance take (or, where it is the outermost holder, all
        that the instance sees in the whole run), and the instances in use.
    """

    macs: int
    accesses: dict[tuple[str, str, str], int]
    words: dict[str, int]
    instances: dict[str, int]
    energy_pj: Fraction
    latency_cycles: Fraction
    utilization: Fraction


def exact_cost(
    arch: Architecture, workload: Workload, factors: Rows, order: Rows, bias_read: bool
) -> ExactCost:
    """Count everything; `factors` and `order` as `toolkit.mapping.to_arrays` lays them out.

    Raises
    ------
    TooWideError
        If an index would have to be enumerated.
    """
    nest = _Nest(arch, workload, factors, order, bias_read)
    memories = [i for i, level in enumerate(arch.levels) if isinstance(level, Memory)]
    accesses: dict[tuple[str, str, str], int] = {}
    first: dict[tuple[str, str, str], Fraction] = {}
    words = {arch.levels[m].name: 0 for m in memories}
    for tensor in workload.tensors:
        view = _View(nest, tensor.role == "output", tensor.indices)
        holders = [m for m in memories if holds(arch.levels[m], tensor)]  # type: ignore[arg-type]
        for m in holders:
            name = arch.levels[m].name
            words[name] += view.whole(m) if m == holders[0] else view.tile(m)
            for kind in ("reads", "updates", "fills", "drains"):
                accesses[name, tensor.name, kind] = 0
        begun = 0 if bias_read else view.apart(0, holders[0])
        for parent, child in itertools.pairwise([*holders, len(arch.levels)]):
            moved = view.transfer(parent, child, begun)
            begun = moved.begun
            for (level, kind), count in moved.counts.items():
                if level < len(arch.levels):
                    accesses[arch.levels[level].name, tensor.name, kind] += count
            for (level, kind), number in moved.first.items():
                if level < len(arch.levels):
                    first[arch.levels[level].name, tensor.name, kind] = number
    instances = {arch.levels[m].name: nest.spatial(0, m) for m in memories}
    cycles = _latency(nest, first)
    return ExactCost(
        math.prod(workload.sizes.values()),
        accesses,
        words,
        instances,
        _energy(nest, accesses, cycles),
        cycles,
        math.prod(
            (
                Fraction(math.prod(factors[i]), level.mesh)
                for i, level in enumerate(arch.levels)
                if not isinstance(level, Memory)
            ),
            start=Fraction(1),
        ),
    )


@dataclass(frozen=True)
class _Nest:
    arch: Architecture
    workload: Workload
    factors: Rows
    order: Rows
    bias_read: bool

    def is_memory(self, level: int) -> bool:
        return isinstance(self.arch.levels[level], Memory)

    def extent(self, level: int, d: int) -> int:
        """Positions along a dimension that a tile of `level` spans."""
        return math.prod(row[d] for row in self.factors[level:])

    def loops(self, start: int, stop: int) -> list[Loop]:
        """Temporal loops that turn, outermost first."""
        return [
            (level, d, self.factors[level][d])
            for level in range(start, stop)
            if self.is_memory(level)
            for d in self.order[level]
            if self.factors[level][d] > 1
        ]

    def steps(self, start: int, stop: int) -> int:
        return math.prod(f for _, _, f in self.loops(start, stop))

    def spatial(self, start: int, stop: int) -> int:
        rows = (self.factors[i] for i in range(start, stop) if not self.is_memory(i))
        return math.prod(math.prod(row) for row in rows)


@dataclass(frozen=True)
class _Moved:
    """Words of all instances, those of the first one, and visits of a value from zero on."""

    counts: dict[tuple[int, str], int]
    first: dict[tuple[int, str], Fraction]
    begun: int


class _View:
    """One tensor's view of a nest."""

    def __init__(self, nest: _Nest, is_output: bool, indices: Sequence[tuple[Term, ...]]) -> None:
        names = nest.workload.dimensions
        self.nest, self.is_output = nest, is_output
        self.axes = [[(names.index(t.dimension), t.coefficient) for t in axis] for axis in indices]
        self.relevant = {d for axis in self.axes for d, _ in axis}

    def tile(self, level: int) -> int:
        """Values in the tile of one instance of `level`."""
        return math.prod(distinct(self._digits(axis, level)) for axis in self.axes)

    def whole(self, level: int) -> int:
        """Values that one instance of `level` sees in the whole run."""
        nest, values = self.nest, 1
        for axis in self.axes:
            digits = self._digits(axis, level)
            for x in range(level):
                if nest.is_memory(x):
                    digits += [(c * nest.extent(x + 1, d), nest.factors[x][d]) for d, c in axis]
            values *= distinct(digits)
        return values

    def apart(self, start: int, stop: int) -> int:
        """Instances of `stop` in one of `start` that work on the same values."""
        rows = [self.nest.factors[x] for x in range(start, stop) if not self.nest.is_memory(x)]
        others = [d for d in range(len(self.nest.workload.dimensions)) if d not in self.relevant]
        return math.prod(row[d] for row in rows for d in others)

    def transfer(self, parent: int, child: int, begun: int) -> _Moved:
        """Count what one pair of holders moves; `child` is past the last level for lanes.

        The parent's instances work on each value `begun` times after a start from zero.
        """
        nest, lanes = self.nest, child == len(self.nest.arch.levels)
        loops = nest.loops(parent, child)
        if not lanes:
            while loops and loops[-1][1] not in self.relevant:
                loops.pop()
        turns = math.prod(f for _, _, f in loops)
        slides = None if lanes or not loops else self._sliding_axis(parent, child, loops[-1])
        repeats = nest.steps(0, parent)
        before = [*nest.loops(0, parent), *loops]
        visits = math.prod(f for _, d, f in before if d not in self.relevant)

        def passing(shared: Callable[[Spatial], tuple[bool, bool]] | None) -> int:
            """Values per pass: of one child alone, or as the fanouts between share them."""
            copies, selective = self._sharing(parent, child, shared)
            whole = [distinct(self._digits(axis, child, selective)) for axis in self.axes]
            if slides is None:
                return copies * turns * math.prod(whole)
            axis, (level, d, f) = self.axes[slides], loops[-1]
            held = distinct(self._digits(axis, child))
            step = next(c for e, c in axis if e == d) * nest.extent(level + 1, d)
            both = distinct([*self._digits(axis, child), (step, 2)])
            others = math.prod(w for i, w in enumerate(whole) if i != slides)
            return copies * others * (turns // f) * (held + (f - 1) * (both - held))

        parents, children = nest.spatial(0, parent), nest.spatial(0, child)
        one = passing(None) * repeats
        reads = passing(lambda x: (x.multicast, _by_value(x, "multicast"))) * repeats
        counts = {(parent, "reads"): reads * parents, (child, "fills"): one * children}
        first = {(parent, "reads"): Fraction(reads), (child, "fills"): Fraction(one)}
        if not self.is_output:
            return _Moved(counts, first, 0)
        # One of the instances that sum up apart goes on where its parent's has not just begun.
        for x in range(parent, child):
            level = nest.arch.levels[x]
            if not isinstance(level, Memory) and not level.multicast:
                reads //= self.apart(x, x + 1)
        first[parent, "reads"] = Fraction(reads)
        continuing = self.apart(0, parent) * visits
        share = 1 - Fraction(begun, continuing)
        counts[parent, "reads"] = int(reads * parents * share)
        counts[child, "fills"] = int(one * children // self.apart(parent, child) * share)
        own = 1 - Fraction(not nest.bias_read, visits)
        first = {key: words * own for key, words in first.items()}
        writes = passing(lambda x: (x.reduction, _by_value(x, "reduction"))) * repeats
        counts |= {(child, "drains"): one * children, (parent, "updates"): writes * parents}
        first |= {(child, "drains"): Fraction(one), (parent, "updates"): Fraction(writes)}
        return _Moved(counts, first, begun + self.apart(0, child) * visits - continuing)

    def _digits(
        self, axis: list[tuple[int, int]], level: int, selective: Iterable[int] = ()
    ) -> Digits:
        """Positions on an axis of the tile at `level`, at all instances of some fanouts."""
        nest = self.nest
        digits = [(c, nest.extent(level, d)) for d, c in axis]
        for x in selective:
            digits += [(c * nest.extent(x + 1, d), nest.factors[x][d]) for d, c in axis]
        return digits

    def _sharing(
        self, parent: int, child: int, shared: Callable[[Spatial], tuple[bool, bool]] | None
    ) -> tuple[int, list[int]]:
        """Transmissions that instances take apart, and levels whose instances share values."""
        copies, selective = 1, []
        for x in range(parent, child):
            level, row = self.nest.arch.levels[x], self.nest.factors[x]
            if shared is None or isinstance(level, Memory):
                continue
            at_all, by_value = shared(level)
            if not at_all:
                copies *= math.prod(row)
            elif by_value:
                selective.append(x)
            else:
                copies *= math.prod(row[d] for d in self.relevant)
        return copies, selective

    def _sliding_axis(self, parent: int, child: int, innermost: Loop) -> int | None:
        """Position of the axis whose window overlaps the next one when `innermost` advances."""
        nest, (_, d, _) = self.nest, innermost
        slides = next(i for i, axis in enumerate(self.axes) if d in [e for e, _ in axis])
        axis = [e for e, _ in self.axes[slides]]
        split = any(
            nest.factors[x][e] > 1
            for x in range(parent, child)
            if not nest.is_memory(x)
            for e in axis
        )
        level = nest.arch.levels[parent]
        again = isinstance(level, Memory) and level.multiple_reuses
        last = nest.loops(parent, child)[-1] == innermost
        return slides if len(axis) > 1 and not split and (again or last) else None


def _by_value(level: Spatial, way: str) -> bool:
    """Whether a level shares windows value by value; multiply-accumulates hold no windows."""
    return isinstance(level, Fanout) and bool(getattr(level, f"selective_{way}"))


def _latency(nest: _Nest, first: dict[tuple[str, str, str], Fraction]) -> Fraction:
    levels = nest.arch.levels
    slowest = Fraction(nest.steps(0, len(levels)) * nest.arch.compute.cycles)
    array = array_of(nest.arch, nest.workload, nest.factors)
    if array.stays:
        memory, tensor = array.stays
        m, kind = levels.index(memory), "drains" if tensor.role == "output" else "fills"
        tile = _View(nest, tensor.role == "output", tensor.indices).tile(m)
        slowest += first[memory.name, tensor.name, kind] / tile * array.cycles
    for memory in nest.arch.memories:
        moved = dict.fromkeys(KINDS, Fraction(0))
        for (name, _, kind), words in first.items():
            moved[kind] += words if name == memory.name else 0
        slowest = max(slowest, least_cycles(memory, moved))
    return slowest + (0 if array.stays else array.cycles)


def _energy(nest: _Nest, accesses: dict[tuple[str, str, str], int], cycles: Fraction) -> Fraction:
    compute = nest.arch.compute
    energy = math.prod(nest.workload.sizes.values()) * Fraction(compute.mac_energy_pj)
    for memory in nest.arch.memories:
        for (name, _, kind), count in accesses.items():
            reading = kind in ("reads", "drains")
            each = memory.read_energy_pj if reading else memory.write_energy_pj
            energy += count * Fraction(each) if name == memory.name else 0
    powered = 1
    for x, level in enumerate(nest.arch.levels):
        if isinstance(level, Fanout):
            gated = level.power_gating or nest.arch.leakage.instances == "used"
            powered *= math.prod(nest.factors[x]) if gated else level.mesh
        elif isinstance(level, Memory) or nest.arch.leakage.macs:
            energy += Fraction(level.leakage_pj_per_cycle) * powered * cycles
    return energy


def distinct(digits: Digits) -> int:
    """Count the different sums that digits make.

    Digits that continue each other join first. Of two steps a and b without a common divisor,
    ``x + b`` steps of a and y of b make the same as x of a and ``y + a`` of b, so every sum is
    counted once at the smallest x: all pairs but those that can trade ``b`` for ``a``.

    Raises
    ------
    TooWideError
        If there are too many and no law applies.
    """
    joined: Digits = []
    for step, count in sorted((s, n) for s, n in digits if n > 1):
        if joined and step == joined[-1][0] * joined[-1][1]:
            joined[-1] = (joined[-1][0], joined[-1][1] * count)
        elif joined and step == joined[-1][0]:
            joined[-1] = (step, joined[-1][1] + count - 1)
        else:
            joined.append((step, count))
    if len(joined) < 2:
        return math.prod(count for _, count in joined)
    if len(joined) == 2:
        divisor = math.gcd(*(step for step, _ in joined))
        (a, x), (b, y) = ((step // divisor, count) for step, count in joined)
        return x * y - max(0, x - b) * max(0, y - a)
    reach = [0, *itertools.accumulate(step * (count - 1) for step, count in joined)]
    if all(step > r for (step, _), r in zip(joined, reach, strict=False)):
        return math.prod(count for _, count in joined)
    if math.prod(count for _, count in joined) > ENUMERATED:
        raise TooWideError(str(joined))
    ranges = [range(0, step * count, step) for step, count in joined]
    return len({sum(values) for values in itertools.product(*ranges)})
