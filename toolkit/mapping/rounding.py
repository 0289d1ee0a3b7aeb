"""From wanted tiles to valid tilings nearby, a whole batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from toolkit.mapping.factors import DimensionLattice
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.mapping.one_rounding import OneRounding
from toolkit.mapping.plain_room import plain_memories
from toolkit.mapping.reaching import roomiest
from toolkit.mapping.space import MapSpace

_WHOLE = 1 - 1e-9
"""Share of a size from which on a real-valued tile stands for the whole dimension."""

_PROBES = 32
"""Factors tried at once where a batch is small: checking so many takes little longer than one."""


@dataclass(frozen=True)
class Steps:
    """How one dimension's tile may grow from level to level.

    Parameters
    ----------
    divisors : int64 array, shape (n,)
        All tile extents, ascending.
    allowed : bool array, shape (levels, n, n)
        Whether a level may take the tile from one divisor to another: bounds hold there, and
        what is left can still be split over the levels outside.
    """

    divisors: IntArray
    allowed: BoolArray


class Rounding:
    """Rounds real-valued tilings of one map space, innermost level first.

    At every level each dimension takes the tile extent nearest to the real one (in logarithms)
    among those that bounds, meshes and capacities admit, all other tiles being smallest; where
    the dimension is ragged, the largest one below it if the nearest is not admitted.
    Because tile extents are rounded and not factors, errors do not add up over the levels.
    """

    def __init__(self, space: MapSpace) -> None:
        self._space = space
        self._steps = [
            None if ragged else _steps(lattice)
            for ragged, lattice in zip(space.ragged, space.lattices, strict=True)
        ]
        self._least = space.lower.astype(np.float64)
        # Where bounds leave nothing to choose, ragged factors are what they are.
        self._settled = (space.lower == space.upper) & space.ragged
        self._binding = [
            (int(m), int(space.memory_levels[m])) for m in np.flatnonzero(space.binding)
        ]
        self._room = roomiest(space)
        outside = np.ones((1, space.shape[1]))
        upper = np.concatenate([outside, space.upper[:-1].astype(np.float64)])
        self._outside = np.cumprod(upper, axis=0)
        # What the levels outside cannot iterate over has to lie inside.
        needed = -(-space.sizes // self._outside)
        self._needed = np.where(space.ragged, needed, 1.0)

    def round(self, logs: FloatArray) -> tuple[IntArray, BoolArray]:
        """Round a batch.

        Parameters
        ----------
        logs : float64 array, shape (batch, levels, dimensions)
            Logarithms of real-valued factors.

        Returns
        -------
        factors : int64 array, shape (batch, levels, dimensions)
            Nearby tilings.
        valid : bool array, shape (batch,)
            Which are valid: where a choice further in left none, nothing is repaired.
        """
        return self.near(np.cumsum(logs[:, ::-1], axis=1)[:, ::-1])

    def near(
        self, wanted: FloatArray, rng: np.random.Generator | None = None
    ) -> tuple[IntArray, BoolArray]:
        """Find tilings whose tiles are near the wanted ones.

        Parameters
        ----------
        wanted : float64 array, shape (batch, levels, dimensions)
            Logarithms of tile extents.
        rng : numpy.random.Generator, optional
            Draws which dimension is the first to fill a level; by default it is the first one.

        Returns
        -------
        factors, valid : arrays as of `round`
        """
        if len(wanted) == 1 and rng is None and self._one is not None:
            alone = np.array([self._one.near(np.exp(wanted[0]).tolist())], dtype=np.int64)
            return alone, self._space.check_factors(alone)
        count, (levels, dimensions) = len(wanted), self._space.shape
        # Columns are what steps work on, and lie together.
        columns = np.ones((levels, dimensions, count))
        factors, extents = columns.transpose(2, 0, 1), np.ones((dimensions, count)).T
        tiles = np.exp(wanted.transpose(1, 2, 0), order="C")
        state = np.zeros((count, dimensions), dtype=np.int64)
        for level in reversed(range(levels)):
            settled = self._settled[level]
            factors[:, level, settled] = self._least[level, settled]
            extents[:, settled] *= self._least[level, settled]
            for d in self._turns(level, rng):
                if self._space.ragged[d]:
                    self._grow(level, d, tiles[level, d], extents, factors)
                else:
                    self._choose(level, d, wanted[:, level, d], state, extents, factors)
        found = np.ascontiguousarray(factors, dtype=np.int64)
        return found, self._space.check_factors(found)

    @cached_property
    def _one(self) -> OneRounding | None:
        """The same for single tilings in plain numbers; None where these do not do."""
        space, memories = self._space, plain_memories(self._space)
        if memories is None or not space.ragged.all():
            return None

        def rows(array: IntArray | FloatArray) -> tuple[tuple[float, ...], ...]:
            return tuple(tuple(row) for row in array.astype(np.float64).tolist())

        mesh = np.full(space.shape[0], np.inf)
        mesh[space.spatial_levels] = space.mesh[space.spatial_levels]
        levels = range(space.shape[0])
        return OneRounding(
            tuple(space.sizes.astype(np.float64).tolist()),
            rows(space.lower),
            rows(space.upper),
            rows(self._outside),
            rows(self._room),
            rows(self._needed),
            tuple(mesh.tolist()),
            tuple(tuple(np.flatnonzero(self._settled[level]).tolist()) for level in levels),
            tuple(tuple(self._turns(level, None)) for level in levels),
            memories,
            _WHOLE,
        )

    def _turns(self, level: int, rng: np.random.Generator | None) -> list[int]:
        """Dimensions with a choice at the level come last, so that others are settled."""
        free = self._space.lower[level] < self._space.upper[level]
        rank = np.arange(len(free)) if rng is None else rng.permutation(len(free))
        turns = np.flatnonzero(~self._settled[level]).tolist()
        return sorted(turns, key=lambda d: (bool(free[d]), rank[d]))

    def _choose(
        self,
        level: int,
        d: int,
        wanted: FloatArray,
        state: IntArray,
        extents: FloatArray,
        factors: FloatArray,
    ) -> None:
        """Let one dimension's tile grow at one level, by a divisor."""
        steps = self._steps[d]
        assert steps is not None
        rows, ends = np.nonzero(steps.allowed[level][state[:, d]])
        after = steps.divisors[ends]
        grown = after // steps.divisors[state[rows, d]]
        fits = grown <= self._mesh_left(level, d, factors)[rows]
        fits &= self._fits_capacities(level, d, rows, after, extents)
        distance = np.full((len(state), len(steps.divisors)), np.inf)
        distance[rows, ends] = np.abs(np.log(after) - wanted[rows]) + np.where(fits, 0.0, 1e6)
        chosen = distance.argmin(axis=1)
        factors[:, level, d] = steps.divisors[chosen] // steps.divisors[state[:, d]]
        state[:, d] = chosen
        extents[:, d] = steps.divisors[chosen]

    def _grow(
        self, level: int, d: int, wanted: FloatArray, extents: FloatArray, factors: FloatArray
    ) -> None:
        """Let one ragged dimension's tile grow at one level, by any factor that fits."""
        size, inside = float(self._space.sizes[d]), extents[:, d].copy()
        # Quotients of integers below 2^53 are rounded to no integer that they are not.
        outside = inside * self._outside[level, d]
        least = np.maximum(self._least[level, d], np.ceil(size / outside))
        most = np.minimum(np.ceil(size / inside), np.floor(self._room[level, d] / inside))
        ideal = wanted / inside
        below = np.floor(ideal)
        factor = np.where(ideal * ideal > below * (below + 1), below + 1, below)
        factor = np.where(ideal * inside >= size * _WHOLE, most, factor)
        for limit in (most, self._space.upper[level, d], self._mesh_left(level, d, factors)):
            factor = np.minimum(factor, limit)
        factor = np.maximum(factor, least)
        rows = np.flatnonzero(factor > least)
        if len(rows):
            after = inside[rows] * factor[rows]
            rows = rows[~self._fits_capacities(level, d, rows, after, extents)]
        if len(rows):
            factor[rows] = self._largest(level, d, rows, least[rows], factor[rows], extents)
        factors[:, level, d] = factor
        extents[:, d] = inside * factor

    def _largest(
        self,
        level: int,
        d: int,
        rows: IntArray,
        low: FloatArray,
        high: FloatArray,
        extents: FloatArray,
    ) -> FloatArray:
        """Largest factors that fit, from `low`, which is taken anyway, to below `high`."""
        inside = extents[rows, d][:, None]
        count = max(_PROBES // len(rows), 1)
        shares = np.arange(1, count + 1) / (count + 1)
        many = np.repeat(rows, count)
        while (high - low > 1).any():
            probes = np.floor(low[:, None] + (high - low)[:, None] * shares)
            probes = np.maximum(
                np.minimum(np.maximum(probes, low[:, None] + 1), high[:, None] - 1), low[:, None]
            )
            fits = self._fits_capacities(level, d, many, (inside * probes).ravel(), extents)
            fits = fits.reshape(probes.shape) | (probes <= low[:, None])
            least = np.where(fits, high[:, None], probes).min(axis=1)
            low, high = np.where(fits, probes, low[:, None]).max(axis=1), least
        return low

    def _mesh_left(self, level: int, d: int, factors: FloatArray) -> FloatArray:
        """Instances that the other dimensions leave to one, float64 [batch]; inf at memories."""
        if level not in self._space.spatial_levels:
            return np.full(len(factors), np.inf)
        used = np.maximum(factors[:, level], self._least[level])
        used[:, d] = 1.0
        return np.asarray(self._space.mesh[level] // used.prod(axis=1))

    def _fits_capacities(
        self, level: int, d: int, rows: IntArray, after: IntArray | FloatArray, extents: FloatArray
    ) -> BoolArray:
        """Whether tiles fit in all memories outside if nothing else grew more than it must."""
        space = self._space
        fits = np.ones(len(rows), dtype=np.bool_)
        tiles = extents[rows]
        tiles[:, d] = after
        for m, outer in self._binding:
            if outer <= level:
                must = self._least[outer:level].prod(axis=0)
                if (self._needed[outer] > 1).any():
                    must = np.maximum(must, np.ceil(self._needed[outer] / tiles))
                fits &= space.fits(m, space.cut_off(tiles * must))
        return fits


def _steps(lattice: DimensionLattice) -> Steps:
    values = lattice.extents
    whole = values[None, :] % values[:, None] == 0
    factor = values[None, :] // values[:, None]
    allowed = np.zeros((lattice.levels, len(values), len(values)), dtype=np.bool_)
    for level in range(lattice.levels):
        within = (factor >= lattice.lower[level]) & (factor <= lattice.upper[level])
        allowed[level] = whole & within & lattice.reachable[level][None, :]
    return Steps(values, allowed)
