"""The objective as a function of vectors, as SciPy's optimisers ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.search.evaluator import ArrayPair, Evaluator

FLOOR = -746.0
"""Below the logarithm of every positive double."""


class BudgetSpentError(Exception):
    """Ends an optimiser that would go on beyond the budget."""


class Decoder(Protocol):
    """Reads mappings from vectors."""

    def decode(self, vectors: NDArray[np.float64], /) -> ArrayPair:
        """Read vectors [batch, variables] as factors and orders."""
        ...


@dataclass(frozen=True)
class Landscape:
    """Logarithms of the objective over vectors.

    Parameters
    ----------
    evaluator : Evaluator
        Costs and counts.
    decoder : Decoder
        Reads vectors.
    """

    evaluator: Evaluator
    decoder: Decoder

    def values(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithms of the objective, [batch], for vectors [batch, variables].

        Raises
        ------
        BudgetSpentError
            If a limit of the budget is reached.
        """
        values = self.evaluator.evaluate(*self.decoder.decode(vectors))
        if self.evaluator.exhausted:
            raise BudgetSpentError
        return log_scale(values)

    def value(self, vector: NDArray[np.float64]) -> float:
        """Logarithm of the objective of one vector.

        Raises
        ------
        BudgetSpentError
            If a limit of the budget is reached.
        """
        return float(self.values(vector[None])[0])

    def columns(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Do the same as `values` for vectors [variables, batch], or for one [variables]."""
        return self.values(np.atleast_2d(vectors.T)).reshape(vectors.shape[1:])


def log_scale(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms, continued below all of them to zero and negative values, rising throughout.

    Examples
    --------
    >>> log_scale(np.array([-1.0, 0.0, 1.0, np.inf])).round(2).tolist()
    [-746.69, -746.0, 0.0, inf]
    """
    positive = values > 0
    logarithms = np.log(np.where(positive, values, 1.0))
    return np.where(positive, logarithms, FLOOR - np.log1p(np.maximum(-values, 0.0)))
