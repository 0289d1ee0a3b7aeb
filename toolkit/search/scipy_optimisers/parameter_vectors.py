"""Any objective for Optuna as a function of vectors: a variable for every parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import IntDistribution
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint

from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.search.optuna_samplers.objective import OptunaObjective
from toolkit.search.scipy_optimisers.constraints import Limits
from toolkit.search.scipy_optimisers.vectors import VectorFunction, numbers_of


class ParameterVectors(VectorFunction):
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
        self.limits = Limits(ends[:, 0], ends[:, 1], (~logarithmic).astype(np.int64))

    @property
    def bounds(self) -> Bounds:
        """Bounds of all variables."""
        return Bounds(self.limits.low, self.limits.high)

    @property
    def integrality(self) -> IntArray:
        """1 where a variable is an integer, int64 [variables]."""
        return self.limits.integral

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
        given = numbers_of(x)
        if np.isnan(given).any():
            raise InputError("expected numbers, got NaN", key="vectors")
        if given.shape != self.limits.low.shape:
            raise self._misshapen(given)
        inside = np.clip(given, self.limits.low, self.limits.high)
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
        given, count = numbers_of(vectors), len(self.objective.metrics)
        if given.ndim != 2 or given.shape[1] != len(self.limits.low):
            raise self._misshapen(given)
        array = np.full((len(given), count), np.inf)
        for row, x in zip(array, given, strict=True):
            if not np.isnan(x).any():
                told = self.objective.told(self.params(x))
                row[:] = np.inf if told.lacking else told.values
        return array[:, 0] if count == 1 else array

    def _misshapen(self, given: NDArray[np.float64]) -> InputError:
        return InputError(
            f"expected {len(self.limits.low)} variables, got an array of shape {given.shape}; "
            "SciPy's batches are [variables, batch] for the objective itself, others [batch, "
            "variables] for objective.rows",
            key="vectors",
        )

    def excess(self, x: NDArray[np.float64]) -> dict[str, float]:
        """Tell which constraints a vector breaks, and by how much."""
        return dict(self.objective.told(self.params(x)).lacking)
