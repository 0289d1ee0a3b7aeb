"""Any objective for Optuna as a function of vectors: a variable for every parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import IntDistribution
from scipy.optimize import LinearConstraint, NonlinearConstraint

from toolkit.mapping.mapping import FloatArray
from toolkit.search.optuna_samplers.objective import OptunaObjective
from toolkit.search.scipy_optimisers.functions import BoundedFunction, Limits


class ParameterVectors(BoundedFunction):
    """An objective whose parameters are numbers, as a function of vectors.

    Variables are the parameters in their order: integers, or binary logarithms of those whose
    scale is logarithmic, rounded. Called as `VectorObjective` is. What breaks a constraint is
    inf; `excess` says by how much.

    Parameters
    ----------
    objective : OptunaObjective
        Made with ``numbers=True``.
    """

    def __init__(self, objective: OptunaObjective) -> None:
        self.objective = objective
        kinds = list(objective.parameters.values())
        assert all(isinstance(kind, IntDistribution) for kind in kinds)
        self._kinds = [kind for kind in kinds if isinstance(kind, IntDistribution)]
        ends = np.array([(kind.low, kind.high) for kind in self._kinds], dtype=np.float64)
        logarithmic = np.array([kind.log for kind in self._kinds], dtype=np.bool_)
        ends = np.where(logarithmic[:, None], np.log2(np.maximum(ends, 1.0)), ends)
        self._limits = Limits(ends[:, 0], ends[:, 1], (~logarithmic).astype(np.int64))

    @property
    def limits(self) -> Limits:
        """Least and largest variables, and which are integers."""
        return self._limits

    @property
    def constraints(self) -> tuple[LinearConstraint | NonlinearConstraint, ...]:
        """None beside the bounds: what is too large is inf."""
        return ()

    def params(self, x: NDArray[np.float64]) -> dict[str, Any]:
        """Read the parameters of a vector [variables].

        Raises
        ------
        InputError
            If it is of another length, or holds NaN.
        """
        inside = np.clip(self.checked_one(x), self.limits.low, self.limits.high)
        values = np.where(self.limits.integral == 1, inside, np.exp2(inside))
        # Powers of two of logarithms of the ends may exceed these by rounding.
        return {
            name: min(max(round(value), kind.low), kind.high)
            for name, kind, value in zip(
                self.objective.parameters, self._kinds, values.tolist(), strict=True
            )
        }

    def vector(self, params: Mapping[str, Any]) -> FloatArray:
        """Write parameters as a vector.

        Raises
        ------
        InputError
            If one is missing, unknown or out of its range.
        """
        values = np.array([*self.objective.params_of(params).values()], dtype=np.float64)
        logarithms = np.log2(np.maximum(values, 1.0))
        return np.asarray(np.where(self.limits.integral == 1, values, logarithms))

    def rows(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values [batch], or [batch, values] of several, for vectors [batch, variables]."""
        given, count = self.checked(vectors), len(self.objective.metrics)
        array = np.full((len(given), count), np.inf)
        for row, x in zip(array, given, strict=True):
            if not np.isnan(x).any():
                told = self.objective.told(self.params(x))
                row[:] = np.inf if told.lacking else told.values
        return array[:, 0] if count == 1 else array

    def excess(self, x: NDArray[np.float64]) -> dict[str, float]:
        """Tell which constraints a vector breaks, and by how much."""
        return dict(self.objective.told(self.params(x)).lacking)
