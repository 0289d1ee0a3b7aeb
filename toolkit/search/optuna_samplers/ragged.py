"""Ragged map spaces as Optuna sees them: one integer per factor, on a logarithmic scale.

Primes of a size say nothing about factors that only have to reach it. All of a dimension's
factors but one are chosen freely; the outermost level that bounds leave open iterates as often
as it then takes. What breaks another rule is rounded to a valid tiling nearby.
``studies/compare_encodings.py`` compares this with shares of the sizes.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from optuna.distributions import IntDistribution

from toolkit.mapping.mapping import IntArray
from toolkit.mapping.reaching import closing_levels, reached, reached_one
from toolkit.mapping.rounding import Rounding
from toolkit.mapping.space import MapSpace
from toolkit.search.optuna_samplers.encoding import Parameters, PrimeLevels
from toolkit.search.optuna_samplers.repairs import valid_tiling


class FactorChoices:
    """The factors of ragged dimensions, the levels of all primes of others.

    Parameters
    ----------
    space : MapSpace
        Whose tilings.
    ordered : bool
        Whether the levels of primes are a scale, for samplers that know numbers only.
    """

    def __init__(self, space: MapSpace, *, ordered: bool = False) -> None:
        self._space = space
        self._whole = PrimeLevels(space, ordered=ordered)
        self._closing = closing_levels(space)
        self.parameters: Parameters = dict(self._whole.parameters)
        self._cells: list[tuple[int, int]] = []
        for d, level in ragged_cells(space):
            if level != self._closing[d]:
                self._cells.append((level, d))
                name = f"{space.arch.levels[level].name}.{space.dimensions[d]}"
                low, high = int(space.lower[level, d]), int(space.upper[level, d])
                high = min(high, int(space.sizes[d]))
                self.parameters[name] = IntDistribution(low, high, log=True)

    def decode(self, genes: IntArray) -> IntArray:
        """Read factors from genes."""
        space, width = self._space, len(self._whole.parameters)
        if len(genes) == 1 and space.ragged.all():
            return np.array([self._decode_one(genes[0].tolist())], dtype=np.int64)
        factors = self._whole.decode(genes[:, :width])
        for column, (level, d) in enumerate(self._cells):
            factors[:, level, d] = genes[:, width + column]
        for d in np.flatnonzero(space.ragged).tolist():
            sizes, closing = int(space.sizes[d]), int(self._closing[d])
            factors[:, :, d] = reached(factors[:, :, d], sizes, closing)
        return factors

    def _decode_one(self, genes: list[int]) -> list[list[int]]:
        """Read the factors of one tiling, all of whose dimensions are ragged."""
        columns = [list(column) for column in self._fixed]
        for (level, d), factor in zip(self._cells, genes, strict=True):
            columns[d][level] = factor
        closed = [
            reached_one(column, size, closing)
            for column, size, closing in zip(columns, self._sizes, self._closes, strict=True)
        ]
        return [list(row) for row in zip(*closed, strict=True)]

    @cached_property
    def _fixed(self) -> list[list[int]]:
        """Factors that bounds fix, by dimension; 1 elsewhere."""
        bound = self._space.lower == self._space.upper
        return [list(row) for row in np.where(bound, self._space.lower, 1).T.tolist()]

    @cached_property
    def _sizes(self) -> list[int]:
        return [int(size) for size in self._space.sizes]

    @cached_property
    def _closes(self) -> list[int]:
        return [int(level) for level in self._closing]

    def encode(self, arrays: IntArray) -> IntArray:
        """Write factors as genes."""
        columns = [arrays[:, level, d] for level, d in self._cells]
        chosen = np.array(columns, dtype=np.int64).reshape(len(columns), len(arrays)).T
        return np.concatenate([self._whole.encode(arrays), chosen], axis=1)


def ragged_cells(space: MapSpace) -> list[tuple[int, int]]:
    """Dimension and level of every factor of ragged dimensions that bounds leave open."""
    free = (space.lower < space.upper) & space.ragged
    return [(d, level) for d, level in np.argwhere(free.T).tolist()]


class RaggedRepair:
    """Rounds tilings that break a rule to valid ones nearby, the few that have none to one.

    Parameters
    ----------
    space : MapSpace
        Whose rules.

    Raises
    ------
    DoesNotFitError
        If no valid tiling is found.
    """

    def __init__(self, space: MapSpace) -> None:
        self._space = space
        self._rounding = Rounding(space)
        self.anchor = valid_tiling(space)

    def apply(self, factors: IntArray) -> IntArray:
        """Valid tilings [batch, levels, dimensions]; those that are valid stay as they are."""
        rows = np.flatnonzero(~self._space.check_factors(factors))
        if not len(rows):
            return factors
        found, valid = self._rounding.round(np.log(factors[rows].astype(np.float64)))
        found[~valid] = self.anchor
        factors = factors.copy()
        factors[rows] = found
        return factors
