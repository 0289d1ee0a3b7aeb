"""All choices of spatial factors of a ragged space, and of the tiles inside them, by their bounds.

Nothing is searched here. Dimensions contribute to the compulsory traffic one by one, so that
bounds of many choices are products of a few columns; what cannot beat the best mapping known for
want of lanes is never listed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.mapping.ragged import idle_from
from toolkit.mapping.space import MapSpace
from toolkit.search.exact.accounts import RAW
from toolkit.search.exact.chains import ENTER, READ, Chain
from toolkit.search.exact.complete import CompleteOutputs
from toolkit.search.exact.family import list_lines
from toolkit.search.exact.nest import Nest
from toolkit.search.exact.options import IntRow, Options
from toolkit.search.exact.relaxed import Mix, Relaxed
from toolkit.workload.distinct import count_window

MOST_CHOICES = 1 << 24
"""Most combinations of chains looked at for one choice of spatial factors, 128 MiB; beyond it that
choice is left open."""


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
        combined = _combine(options, bounds, worthwhile)
        if combined is None:
            return None
        picks, steps = combined
        if not len(picks):
            return NO_CHOICES
        energy, lanes, reads = self._compulsory(factors, options, picks)
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

    def _compulsory(
        self, factors: IntArray, options: Sequence[Options], picks: IntArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Energy (pJ) of the compulsory words of picked chains: of memories, and of lanes.

        Last what lanes read beyond what is certain without a look at what else moves.
        """
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
        return energy, lanes, reads

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


def _combine(
    options: Sequence[Options],
    bounds: FamilyBounds,
    worthwhile: Callable[[FloatArray, FloatArray, FloatArray], BoolArray],
) -> tuple[IntArray, FloatArray] | None:
    """Combine chains of all dimensions whose steps are worthwhile; None if there are too many.

    Returns
    -------
    picks : int64 array, shape (choices, dimensions)
        Numbers of chains.
    steps : float64 array, shape (choices,)
        Of the lanes.
    """
    least = [float(option.steps.min()) for option in options]
    picks, steps = np.zeros((1, 0), dtype=np.int64), np.ones(1)
    for d, option in enumerate(options):
        rest = math.prod(least[d + 1 :])
        if len(steps) * len(option.steps) > MOST_CHOICES:
            return None
        product = np.multiply.outer(steps, option.steps)
        energy = np.full(product.shape, bounds.energy_pj)
        stalled = np.full(product.shape, bounds.stalled_cycles)
        rows, columns = np.nonzero(worthwhile(energy, product * rest, stalled))
        picks = np.concatenate([picks[rows], columns[:, None]], axis=1)
        steps = product[rows, columns]
    return picks, steps


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
