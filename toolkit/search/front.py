"""The best trade-offs between energy and latency met so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.mapping import IntArray, Mapping


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """One mapping that no other one beats in both energy and latency."""

    energy_pj: float
    latency_cycles: float
    mapping: Mapping


class Front:
    """Mappings of which none is beaten in both energy and latency, by rising energy.

    Parameters
    ----------
    levels, dimensions : int
        Shape of one mapping's factors.
    """

    def __init__(self, levels: int, dimensions: int) -> None:
        self.costs: NDArray[np.float64] = np.empty((0, 2))
        self.factors: IntArray = np.empty((0, levels, dimensions), dtype=np.int64)
        self.orders: IntArray = np.empty((0, levels, dimensions), dtype=np.int64)
        self.choices: IntArray = np.empty(0, dtype=np.int64)

    def add(
        self,
        costs: NDArray[np.float64],
        factors: IntArray,
        orders: IntArray,
        choices: IntArray | None = None,
    ) -> bool:
        """Take in mappings with (energy, latency) costs [batch, 2]; tells if the front changed.

        Choices of bypasses [batch] are 0 if not given.
        """
        # Only what lies below the front by itself is worth merging: few of a large batch.
        rows = np.flatnonzero(np.isfinite(costs).all(axis=1))
        rows = rows[nondominated(costs[rows])]
        if len(self.costs):
            place = np.searchsorted(self.costs[:, 0], costs[rows, 0], side="right") - 1
            reached = np.where(place >= 0, self.costs[np.maximum(place, 0), 1], np.inf)
            rows = rows[costs[rows, 1] < reached]
        if not len(rows):
            return False
        merged = np.concatenate([self.costs, costs[rows]])
        kept = nondominated(merged)
        self.costs = merged[kept]
        self.factors = np.concatenate([self.factors, factors[rows]])[kept]
        self.orders = np.concatenate([self.orders, orders[rows]])[kept]
        chosen = np.zeros(len(rows), np.int64) if choices is None else choices[rows]
        self.choices = np.concatenate([self.choices, chosen])[kept]
        return True


def nondominated(costs: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows that no other row beats or equals in both columns, by rising first column.

    Parameters
    ----------
    costs : float64 array, shape (points, 2)
        Finite values, both to be minimised.
    """
    order = np.lexsort((costs[:, 1], costs[:, 0]))
    second = costs[order, 1]
    best_before = np.concatenate([[np.inf], np.minimum.accumulate(second)[:-1]])
    rows: NDArray[np.intp] = order[second < best_before]
    return rows
