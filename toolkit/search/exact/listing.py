"""All choices of spatial factors of a ragged space, and of the tiles inside them, by their bounds.

Nothing is searched here. Dimensions contribute to the compulsory traffic one by one, so that
bounds of many choices are products of a few columns; what cannot beat the best mapping known for
want of lanes is never listed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.mapping.factors import ALL_EXTENTS, ragged_extents
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.mapping.ragged import idle_from
from toolkit.mapping.space import MapSpace
from toolkit.search.exact.chains import ENTER, READ, Chain, EvenChain, Line, Wall, used_levels
from toolkit.search.exact.complete import CompleteOutputs
from toolkit.search.exact.family import fixed_parts, list_lines
from toolkit.search.exact.grid import Grid
from toolkit.search.exact.nest import Nest
from toolkit.search.exact.relaxed import Mix, Relaxed
from toolkit.search.exact.transfers import RAW
from toolkit.workload.distinct import count_window

MOST_CHOICES = 1 << 24
"""Most combinations of chains looked at for one choice of spatial factors, 128 MiB; beyond it that
choice is left open."""

IntRow = tuple[int, ...]


class Options:
    """Chains of one dimension for given spatial factors, with what they contribute.

    Attributes
    ----------
    inner : int64 array, shape (chains, walls)
        Extents inside every wall, innermost first.
    steps : float64 array, shape (chains,)
        Steps of the dimension.
    base, fresh : float64 arrays, shape (lines, 3, chains)
        See `fixed_parts`, of all instances.
    """

    def __init__(
        self, nest: Nest, lines: list[Line], limits: IntArray, d: int, column: IntRow
    ) -> None:
        space = nest.problem.space
        self.size, self.levels = int(space.sizes[d]), used_levels(column)
        self.column, self.even = column, not space.ragged[d]
        if self.even:
            possible = self.size % math.prod(column) == 0
            self.inner = np.ones((int(possible), len(self.levels)), dtype=np.int64)
        else:
            self.inner = _inner_extents(space, limits, d, self.size, column, self.levels)
        chain = self.chain(slice(None))
        count = len(self.inner)
        self.steps = np.broadcast_to(np.asarray(chain.steps(), dtype=np.float64), (count,))
        base, fresh = fixed_parts(nest, lines, d, chain)
        shape = (*base.shape[:3], count)
        if base.ndim == 3:
            base, fresh = base[..., None], fresh[..., None]
        self.base = np.broadcast_to(base, shape)[:, 0]
        self.fresh = np.broadcast_to(fresh, shape)[:, 0]

    def buckets(self, grid: Grid, d: int, outer: int, inner: int) -> IntArray:
        """Bucket of every chain's extent in time between two memories."""
        wall = next(w for w in self.chain(slice(None)).walls if outer < w.level < inner)
        inside = math.prod(self.column[wall.level + 1 :])
        # Not as if what reaches the size with the instances did so inside of them, too.
        cells = grid.cells(d, wall.inner.astype(np.int64) // inside, 0)
        return np.asarray(cells // math.prod(grid.shape[d + 1 :]))

    def chain(self, rows: slice | int) -> Chain:
        """Chains as arrays, or one of them."""
        columns = zip(self.levels, self.inner[rows].T, strict=True)
        walls = (Wall(level, inner.astype(float), self.column[level]) for level, inner in columns)
        return (EvenChain if self.even else Chain)(self.size, tuple(walls))


def _inner_extents(
    space: MapSpace, limits: IntArray, d: int, size: int, column: IntRow, levels: list[int]
) -> IntArray:
    """Extents inside every wall, int64 [chains, walls]: multiples of what lies further in."""
    memories = space.memory_levels
    found = np.ones((1, 0), dtype=np.int64)
    reached, inside = np.ones(1, dtype=np.int64), len(column)
    for level in levels:
        between = memories[(memories > level) & (memories < inside)]
        most = int(min(size, math.prod(space.upper[between, d].tolist())))
        least = math.prod(space.lower[between, d].tolist())
        limit = size
        for i, memory in enumerate(between.tolist()):
            outside = math.prod(space.upper[between[:i], d].tolist())
            limit = min(limit, int(limits[memory, d]) * outside)
        grown, parents = [], []
        for i, extent in enumerate(reached.tolist()):
            room = min(limit // extent, most, (size - 1) // (extent * (column[level] - 1)))
            if size <= ALL_EXTENTS:
                values = np.arange(least, room + 1, dtype=np.int64) * extent
            else:
                values = ragged_extents(size)
                turns = values // extent
                values = values[(turns * extent == values) & (turns >= least) & (turns <= room)]
            grown.append(values)
            parents.append(np.full(len(values), i))
        if not grown:
            return np.zeros((0, len(levels)), dtype=np.int64)
        inner, parent = np.concatenate(grown), np.concatenate(parents)
        found = np.concatenate([found[parent], inner[:, None]], axis=1)
        reached, inside = inner * column[level], level
    return found


@dataclass(frozen=True)
class Choices:
    """Chains of all dimensions, by their numbers, for one choice of spatial factors.

    Parameters
    ----------
    energy, steps, stalled : float64 arrays, shape (n,)
        Least energy (pJ), leakage aside, steps, and least cycles of the busiest port.
    picks : int64 array, shape (n, dimensions)
        Numbers of the chains.
    """

    energy: FloatArray
    steps: FloatArray
    stalled: FloatArray
    picks: IntArray

    def __getitem__(self, chosen: IntArray) -> Choices:
        return Choices(
            self.energy[chosen], self.steps[chosen], self.stalled[chosen], self.picks[chosen]
        )


_NONE = np.zeros(0)
NO_CHOICES = Choices(_NONE, _NONE, _NONE, np.zeros((0, 0), dtype=np.int64))
"""No chains at all."""


@dataclass(frozen=True)
class FamilyBounds:
    """What is known of all choices with the same spatial factors.

    Parameters
    ----------
    energy_pj, stalled_cycles : float
        No mapping takes less energy, leakage aside, or keeps its busiest port less busy.
    energy : Relaxed
        Tables of the energy.
    ports : tuple of Relaxed
        Tables of ports that may be busier than the lanes.
    mixed : tuple of (Mix, Relaxed)
        Sums of energy and of cycles that lanes wait, with their tables; none if they wait for
        nothing.
    """

    energy_pj: float
    stalled_cycles: float
    energy: Relaxed
    ports: tuple[Relaxed, ...]
    mixed: tuple[tuple[Mix, Relaxed], ...] = ()


class Listing:
    """Choices of a ragged problem, and what they take at least.

    Parameters
    ----------
    nest : Nest
        Of no spatial factors at all.
    late : function
        Whether it is time to stop listing.
    chosen : iterable of int64 array, optional
        The choices of spatial factors that are looked at; all by default.

    Attributes
    ----------
    spatial : list of int64 array, shape (levels, dimensions)
        Choices of spatial factors.
    complete : bool
        Whether these are all.
    """

    def __init__(
        self,
        nest: Nest,
        late: Callable[[], bool],
        chosen: Iterable[IntArray] | None = None,
    ) -> None:
        self.nest, self.problem = nest, nest.problem
        self.lines = list_lines(nest)
        self._coef, self._complete = self._costs(), CompleteOutputs(self.problem)
        # What lanes read beyond what is certain without a look at what else moves.
        self._reads = np.array([x.cheapest[RAW] - x.least[RAW] for _, x in nest.seen])
        self._reads[[line.memory is not None for line in self.lines]] = 0.0
        self._macs_pj: float = self.problem.tables.levels[-1].mac_pj * self.problem.workload.macs
        self._options: dict[tuple[int, IntRow], Options] = {}
        self._limits = self.problem.space.extent_limits
        self.spatial: list[IntArray] = []
        self.complete = True
        for factors in each_choice(self.problem.space) if chosen is None else chosen:
            self.spatial.append(factors)
            if len(self.spatial) % 256 == 0 and late():
                self.complete = False
                break

    def _costs(self) -> FloatArray:
        """Energy (pJ) of compulsory words, [all or first visits, lines, 3].

        Each transfer counts at one of its lines. Its windows add up to at least the whole.
        """
        plan, nest = self.problem.plan, self.nest
        coef = np.zeros((2, len(self.lines), 3))
        done: set[int] = set()
        for r, (line, (_, costs)) in enumerate(zip(self.lines, nest.seen, strict=True)):
            if id(costs) in done:
                continue
            done.add(id(costs))
            tensor = plan.tensors[line.tensor]
            reads, writes, fills, drains, raw = costs.least[: 1 + RAW]
            windows = 1.0
            for terms in tensor.sums:
                sizes = [int(self.problem.space.sizes[d]) for d, _ in terms]
                if len(terms) > 1 and line.memory is None and not any(line.absorbed):
                    windows *= math.prod(sizes)
                elif len(terms) > 1:
                    windows *= count_window(sizes, [c for _, c in terms])
            fresh = tensor.is_output and not self.problem.bias_read
            lanes = line.memory is None
            every, first = coef[0, r], coef[1, r]
            target = every if lanes else first
            target += np.array(
                [raw + (0.0 if fresh else reads), writes, (0.0 if fresh else fills) + drains]
            )
            if lanes and fresh:  # What comes back is all but the first visits.
                every[0] += reads
                first[0] -= reads
            every *= windows
            first *= windows
        return coef

    def options(self, d: int, column: IntRow) -> Options:
        """Chains of one dimension."""
        key = d, column
        if key not in self._options:
            self._options[key] = Options(self.nest, self.lines, self._limits, d, column)
        return self._options[key]

    def spatial_bounds(self) -> tuple[FloatArray, FloatArray]:
        """Least energy and steps of every choice of spatial factors, whatever lies inside."""
        factors = np.stack(self.spatial).astype(np.float64)
        return self._least(factors), self._least_steps(factors)

    def least_steps(self, number: int) -> FloatArray:
        """Least steps of one choice of spatial factors, [1]."""
        return self._least_steps(self.spatial[number][None].astype(np.float64))

    def _least_steps(self, factors: FloatArray) -> FloatArray:
        steps = np.ceil(self.problem.space.sizes / factors.prod(axis=1)).prod(axis=1)
        return np.asarray(steps)

    def _least(self, factors: FloatArray) -> FloatArray:
        energy = self._macs_pj - self._complete.energy_pj(factors)
        sizes = self.problem.space.sizes.astype(np.float64)
        for r, line in enumerate(self.lines):
            tensor = self.problem.plan.tensors[line.tensor]
            relevant = np.array(tensor.relevant)
            wide = {d for terms in tensor.sums if len(terms) > 1 for d, _ in terms}
            whole = math.prod(
                float(s) for d, s in enumerate(sizes) if relevant[d] and d not in wide
            )
            others = np.flatnonzero(~relevant)
            repeats = math.prod(float(sizes[d]) for d in others)
            copies = factors[:, :, others].prod(axis=(1, 2))
            for way in range(3):
                every, first = self._coef[0, r, way], self._coef[1, r, way]
                shared = np.ones(len(factors))
                for level in line.shared[way] if way < ENTER else ():
                    shared *= factors[:, level][:, others].prod(axis=1)
                words = every * np.maximum(repeats / shared, 1.0)
                # What lanes do not get back at first is at most a value for each of them.
                words += first * (copies if first < 0 else 1.0)
                energy += whole * np.maximum(words, 0.0)
        # Complete outputs save no more than they take, of which less may be known.
        return np.asarray(np.maximum(energy, 0.0))

    def choices(
        self,
        number: int,
        bounds: FamilyBounds,
        worthwhile: Callable[[FloatArray, FloatArray, FloatArray], BoolArray],
        beaten: Callable[[FloatArray, FloatArray, FloatArray, Mix, FloatArray], BoolArray],
    ) -> Choices | None:
        """Chains for one choice of spatial factors that may be better than the best known.

        None if there are too many to look at.
        """
        factors = self.spatial[number]
        dimensions = factors.shape[1]
        options = [self.options(d, tuple(factors[:, d].tolist())) for d in range(dimensions)]
        if any(len(o.inner) == 0 for o in options):
            return NO_CHOICES
        floor = bounds.energy_pj
        least = [float(o.steps.min()) for o in options]
        picks, steps = np.zeros((1, 0), dtype=np.int64), np.ones(1)
        for d, option in enumerate(options):
            rest = math.prod(least[d + 1 :])
            if len(steps) * len(option.steps) > MOST_CHOICES:
                return None
            product = np.multiply.outer(steps, option.steps)
            shape = product.shape
            kept = worthwhile(
                np.full(shape, floor), product * rest, np.full(shape, bounds.stalled_cycles)
            )
            rows, columns = np.nonzero(kept)
            picks = np.concatenate([picks[rows], columns[:, None]], axis=1)
            steps = product[rows, columns]
        if not len(picks):
            return NO_CHOICES
        shared = self._macs_pj - float(self._complete.energy_pj(factors))
        energy, lanes = np.zeros(len(picks)), np.full(len(picks), shared)
        for visits, r, way in np.argwhere(self._coef).tolist():
            words = np.full(len(picks), self._coef[visits, r, way])
            for option, column in zip(options, picks.T, strict=True):
                words *= (option.fresh if visits else option.base)[r, way][column]
            if self.lines[r].memory is None:
                lanes += words
            else:
                energy += words
        reads = np.zeros(len(picks))
        for r in np.flatnonzero(self._reads).tolist():
            words = np.full(len(picks), self._reads[r])
            for option, column in zip(options, picks.T, strict=True):
                words *= option.base[r, READ][column]
            reads += words
        stalled = np.full(len(picks), bounds.stalled_cycles)
        sums = [np.zeros(len(picks)) for _ in bounds.mixed]
        working = steps * self.problem.plan.arch.compute.cycles
        memories = [*self.nest.memories, len(factors)]
        for k, (outer, inner) in enumerate(itertools.pairwise(memories)):
            unrolled = (factors[outer + 1 : inner] > 1).any(axis=0) & self.problem.space.ragged
            walls = np.flatnonzero(unrolled).tolist()
            place: list[Any] = [0] * dimensions
            for d in walls:
                place[d] = options[d].buckets(bounds.energy.grid, d, outer, inner)[picks[:, d]]
            at = tuple(place)
            energy = np.maximum(energy, bounds.energy.passing(k, walls)[at] + reads)
            for (mix, table), mixed in zip(bounds.mixed, sums, strict=True):
                np.maximum(mixed, table.passing(k, walls)[at] + mix.energy * reads, out=mixed)
            for port in bounds.ports:
                own = port.lanes + working * port.waits
                stalled = np.maximum(stalled, own + port.passing(k, walls)[at])
        energy = np.maximum(energy + lanes, 0.0)
        kept = worthwhile(energy, steps, stalled)
        for (mix, _), mixed in zip(bounds.mixed, sums, strict=True):
            mixed += mix.energy * lanes + mix.cycles * working
            kept &= ~beaten(energy, steps, stalled, mix, mixed)
        return Choices(energy[kept], steps[kept], stalled[kept], picks[kept])

    def mixed_floor(self, number: int, mix: Mix, table: Relaxed) -> float:
        """Least sum of weighted energy, leakage aside, and latency of some spatial factors."""
        cycles = float(self.least_steps(number)[0]) * self.problem.plan.arch.compute.cycles
        return table.least + mix.energy * self._macs_pj + mix.cycles * cycles

    def floor(self, number: int, relaxed: Relaxed) -> float:
        """Least energy (pJ) of one choice of spatial factors, leakage aside."""
        compulsory = self._least(self.spatial[number][None].astype(np.float64))
        return max(float(compulsory[0]), self._macs_pj + relaxed.least)

    def chain(self, number: int, d: int, pick: int) -> Chain:
        """A chain of one dimension by its number."""
        return self.options(d, tuple(self.spatial[number][:, d].tolist())).chain(pick)


def each_choice(space: MapSpace) -> Iterator[IntArray]:
    """Yield all factors of the spatial levels within bounds and meshes."""
    levels = space.spatial_levels.tolist()
    rows = [list(_level_choices(space, level)) for level in levels]

    def extended(factors: IntArray, i: int) -> Iterator[IntArray]:
        if i == len(levels):
            yield factors
            return
        for row in rows[i]:
            filled = factors.copy()
            filled[levels[i]] = row
            # The last of the outermost instances along a dimension must have something to do.
            if (idle_from(filled[None])[0] < space.sizes).all():
                yield from extended(filled, i + 1)

    return extended(np.ones(space.shape, dtype=np.int64), 0)


def _level_choices(space: MapSpace, level: int) -> Iterator[IntRow]:
    """All factors of one spatial level."""

    def extended(row: IntRow, left: int) -> Iterator[IntRow]:
        d = len(row)
        if d == space.shape[1]:
            yield row
            return
        least, most = int(space.lower[level, d]), int(min(space.upper[level, d], left))
        for f in range(least, most + 1):
            if space.ragged[d] or space.sizes[d] % f == 0:
                yield from extended((*row, f), left // f)

    return extended((), int(space.mesh[level]))
