"""Tells how many of the mappings that a search evaluates it has evaluated before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import Block
from toolkit.mapping.mapping import IntArray
from toolkit.search.compiled_check import COUNT_SEEN, Met

SLOTS = 1 << 16
"""Fingerprints kept; a later one with the same last 16 bits displaces the older one."""


class Seen:
    """Fingerprints of the mappings met lately.

    Parameters
    ----------
    levels, dimensions : int
        Shape of one mapping's factors.

    Notes
    -----
    Fingerprints have 64 bits, of which loop orders decide the upper 32, so that two mappings are
    practically never mistaken for one; mappings met long ago may be forgotten, so that the count
    is a lower bound.
    """

    def __init__(self, levels: int, dimensions: int) -> None:
        random = np.random.default_rng(0)
        self._weights = random.integers(1, 2**62, size=levels * dimensions) * 2 + 1
        self._marks: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._table: NDArray[np.int64] = np.zeros(SLOTS, dtype=np.int64)

    def count(self, factors: IntArray, order: IntArray) -> int:
        """Count the mappings of a batch met before, in it or earlier, and remember all.

        Parameters
        ----------
        factors, order : int64 arrays, shape (batch, levels, dimensions)
            Mappings.
        """
        if len(self._marks) < len(factors):
            self._marks = np.zeros(len(factors), dtype=np.int64)
        rows = len(factors), self._weights.size
        met = Met(
            factors.reshape(rows), order.reshape(rows), self._weights, self._marks, self._table
        )
        return int(COUNT_SEEN(Block(met)))
