"""Compiled memory of mappings: a table of fingerprints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import compiled
from toolkit.model.compiled_plan import Ints


@compiled
def count_seen(factors: Ints, order: Ints, weights: Ints, table: NDArray[np.int64]) -> int:
    """Count the mappings whose fingerprints the table holds, and put all of them there.

    A fingerprint is a sum, modulo 2^64, of odd random multiples of all entries, mixed so that
    its low bits depend on all of them.
    """
    slots, known = table.shape[0], 0
    for b in range(factors.shape[0]):
        mark = np.int64(0)
        for level in range(factors.shape[1]):
            for d in range(factors.shape[2]):
                mark += factors[b, level, d] * weights[0, level, d]
                mark += order[b, level, d] * weights[1, level, d]
        mark ^= mark >> 29
        mark = mark * np.int64(0x1E3779B97F4A7C15) | 1
        place = (mark >> 40) & (slots - 1)
        if table[place] == mark:
            known += 1
        table[place] = mark
    return known
