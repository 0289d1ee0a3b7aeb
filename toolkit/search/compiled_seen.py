"""Compiled memory of mappings: a table of fingerprints."""

from __future__ import annotations

import numpy as np

from toolkit.compilation import compiled
from toolkit.model.compiled_plan import Ints


@compiled
def count_seen(factors: Ints, order: Ints, weights: Ints, marks: Ints, table: Ints) -> int:
    """Count the mappings whose fingerprints the table holds, and put all of them there.

    Rows of factors and order, and the weights, are flat. A fingerprint is a sum, modulo 2^64, of
    odd random multiples of all entries, mixed so that its low bits depend on all of them; a loop
    order stands in the upper half of its factor, so that one multiplication does for both.
    `marks` is working memory of one entry per mapping: all fingerprints come before the first
    look-up, so that the table's cache misses overlap.
    """
    for b in range(factors.shape[0]):
        mark = np.int64(0)
        for i in range(factors.shape[1]):
            mark += (factors[b, i] ^ order[b, i] << 32) * weights[i]
        mark ^= mark >> 29
        marks[b] = mark * 0x1E3779B97F4A7C15 | 1
    slots, known = table.shape[0], 0
    for b in range(factors.shape[0]):
        place = (marks[b] >> 40) & (slots - 1)
        known += table[place] == marks[b]
        table[place] = marks[b]
    return known
