"""From real-valued tilings to valid ones nearby, a whole batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.mapping.factors import DimensionLattice
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.mapping.space import MapSpace


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
    among those that bounds, meshes and capacities admit, all other tiles being smallest.
    Because tile extents are rounded and not factors, errors do not add up over the levels.
    """

    def __init__(self, space: MapSpace) -> None:
        self._space = space
        self._steps = [_steps(lattice) for lattice in space.lattices]
        self._least = space.lower.astype(np.float64)

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
        count, (levels, dimensions) = len(logs), self._space.shape
        factors = np.ones((count, levels, dimensions), dtype=np.int64)
        wanted = np.cumsum(logs[:, ::-1], axis=1)[:, ::-1]
        state = np.zeros((count, dimensions), dtype=np.int64)
        extents = np.ones((count, dimensions))
        for level in reversed(range(levels)):
            for d in self._turns(level):
                self._choose(level, d, wanted[:, level, d], state, extents, factors)
        return factors, self._space.check_factors(factors)

    def _turns(self, level: int) -> list[int]:
        """Dimensions with a choice at the level come last, so that others are settled."""
        free = self._space.lower[level] < self._space.upper[level]
        return sorted(range(len(free)), key=lambda d: (bool(free[d]), d))

    def _choose(
        self,
        level: int,
        d: int,
        wanted: FloatArray,
        state: IntArray,
        extents: FloatArray,
        factors: IntArray,
    ) -> None:
        """Let one dimension's tile grow at one level."""
        steps = self._steps[d]
        rows, ends = np.nonzero(steps.allowed[level][state[:, d]])
        after = steps.divisors[ends]
        grown = after // steps.divisors[state[rows, d]]
        fits = self._fits_mesh(level, d, rows, grown, factors)
        fits &= self._fits_capacities(level, d, rows, after, extents)
        distance = np.full((len(state), len(steps.divisors)), np.inf)
        distance[rows, ends] = np.abs(np.log(after) - wanted[rows]) + np.where(fits, 0.0, 1e6)
        chosen = distance.argmin(axis=1)
        factors[:, level, d] = steps.divisors[chosen] // steps.divisors[state[:, d]]
        state[:, d] = chosen
        extents[:, d] = steps.divisors[chosen]

    def _fits_mesh(
        self, level: int, d: int, rows: IntArray, grown: IntArray, factors: IntArray
    ) -> BoolArray:
        if level not in self._space.spatial_levels:
            return np.ones(len(rows), dtype=np.bool_)
        used = np.maximum(factors[:, level], self._least[level])
        used[:, d] = 1.0
        return np.asarray(used.prod(axis=1)[rows] * grown <= self._space.mesh[level])

    def _fits_capacities(
        self, level: int, d: int, rows: IntArray, after: IntArray, extents: FloatArray
    ) -> BoolArray:
        """Whether tiles fit in all memories outside if nothing else grew more than it must."""
        space = self._space
        fits = np.ones(len(rows), dtype=np.bool_)
        tiles = extents[rows]
        tiles[:, d] = after
        for m in np.flatnonzero(space.binding):
            outer = space.memory_levels[m]
            if outer <= level:
                must = self._least[outer:level].prod(axis=0)
                fits &= space.fits(int(m), tiles * must)
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
