"""Functions of vectors as SciPy, pymoo and others call them: one vector, or a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds

from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.messages import describe


def numbers_of(vectors: object) -> NDArray[np.float64]:
    """Read an array of real numbers.

    Raises
    ------
    InputError
        If it holds something else.
    """
    try:
        return np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"expected an array of numbers, got {describe(vectors)}", key="vectors"
        ) from None


class VectorFunction(ABC):
    """A function of vectors, called with one or with SciPy's batches."""

    @abstractmethod
    def rows(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values [batch], or [batch, values] of several, for vectors [batch, variables]."""

    def __call__(self, vectors: NDArray[np.float64]) -> NDArray[np.float64] | float:
        """Values of vectors [variables, batch], as SciPy has them, or of one [variables]."""
        given = numbers_of(vectors)
        if given.ndim == 1:
            first = self.rows(given[None])[0]
            return float(first) if np.ndim(first) == 0 else np.asarray(first)
        return np.asarray(self.rows(given.T).T)


@dataclass(frozen=True)
class Limits:
    """Least and largest values of all variables, and which are integers, [variables] each."""

    low: FloatArray
    high: FloatArray
    integral: IntArray


class BoundedFunction(VectorFunction):
    """A function of vectors within limits, as SciPy states them."""

    @property
    @abstractmethod
    def limits(self) -> Limits:
        """Least and largest variables, and which are integers."""

    @property
    def bounds(self) -> Bounds:
        """Bounds of all variables."""
        return Bounds(self.limits.low, self.limits.high)

    @property
    def integrality(self) -> IntArray:
        """1 where a variable is rounded to an integer, int64 [variables]."""
        return self.limits.integral

    def checked(self, vectors: object) -> NDArray[np.float64]:
        """Read vectors [batch, variables].

        Raises
        ------
        InputError
            If these are no numbers, or of another length.
        """
        given, count = numbers_of(vectors), len(self.limits.low)
        if given.ndim != 2 or given.shape[1] != count:
            raise InputError(
                f"expected {count} variables, got an array of shape {given.shape}; SciPy's "
                "batches are [variables, batch] for the objective itself, others [batch, "
                "variables] for objective.rows",
                key="vectors",
            )
        return given

    def checked_one(self, x: object) -> NDArray[np.float64]:
        """Read one vector [variables].

        Raises
        ------
        InputError
            If these are no numbers, or of another length.
        """
        (given,) = self.checked(numbers_of(x)[None])
        if np.isnan(given).any():
            raise InputError("expected numbers, got NaN", key="vectors")
        return np.asarray(given)
