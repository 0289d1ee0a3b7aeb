"""Tells how many of the mappings that a search evaluates it has evaluated before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.mapping import IntArray

SLOTS = 1 << 20
"""Fingerprints kept; a later one with the same last 20 bits displaces the older one."""

_MIX = np.uint64(0x9E3779B97F4A7C15)


class Seen:
    """Fingerprints of the mappings met lately.

    Parameters
    ----------
    levels, dimensions : int
        Shape of one mapping's factors.

    Notes
    -----
    Fingerprints have 64 bits, so that two mappings are practically never mistaken for one;
    mappings met long ago may be forgotten, so that the count is a lower bound.
    """

    def __init__(self, levels: int, dimensions: int) -> None:
        random = np.random.default_rng(0).integers(
            2**63, size=(2, levels * dimensions), dtype=np.uint64
        )
        self._weights = random * np.uint64(2) + np.uint64(1)
        self._table: NDArray[np.uint64] = np.zeros(SLOTS, dtype=np.uint64)

    def count(self, factors: IntArray, order: IntArray) -> int:
        """Count the mappings of a batch met before, in it or earlier, and remember all.

        Parameters
        ----------
        factors, order : int64 arrays, shape (batch, levels, dimensions)
            Mappings.
        """
        if not len(factors):
            return 0
        rows = (factors.reshape(len(factors), -1), order.reshape(len(order), -1))
        prints = sum(
            row.view(np.uint64) @ weights for row, weights in zip(rows, self._weights, strict=True)
        )
        prints = np.unique((prints ^ (prints >> np.uint64(29))) * _MIX | np.uint64(1))
        places = (prints >> np.uint64(40)) % np.uint64(SLOTS)
        known = int((self._table[places] == prints).sum())
        self._table[places] = prints
        return len(factors) - len(prints) + known
