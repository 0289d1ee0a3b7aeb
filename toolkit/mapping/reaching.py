"""Factors that reach the sizes of ragged dimensions, a whole batch at a time."""

from __future__ import annotations

import math

import numpy as np

from toolkit.mapping.bounds import UNLIMITED
from toolkit.mapping.factors import SIZE_LIMIT
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.space import MapSpace


def reached(columns: IntArray, sizes: IntArray | int, closing: IntArray | int) -> IntArray:
    """Let one level iterate as often as it takes to reach a size, and none in vain.

    From the innermost level outwards, loops iterate less often where whole iterations would have
    nothing to do.

    Parameters
    ----------
    columns : int64 array, shape (batch, levels)
        Factors of one dimension each, of which the closing one does not count.
    sizes, closing : int64 arrays, shape (batch,), or int
        What is to be reached, and the level that makes up for all others.

    Returns
    -------
    int64 array, shape (batch, levels)

    Examples
    --------
    >>> reached(np.array([[1, 4, 3], [5, 4, 30]]), 20, 0).tolist()
    [[2, 4, 3], [1, 1, 20]]
    """
    found, rows = columns.copy(), np.arange(len(columns))
    found[rows, closing] = 1
    # In floats products cannot wrap around; what is beyond every size needs no digits.
    others = np.minimum(found.prod(axis=1, dtype=np.float64), SIZE_LIMIT).astype(np.int64)
    found[rows, closing] = -(-sizes // others)
    extent = np.ones(len(columns), dtype=np.int64)
    for level in reversed(range(columns.shape[1])):
        found[:, level] = np.minimum(found[:, level], -(-sizes // extent))
        extent *= found[:, level]
    return found


def reached_one(column: list[int], size: int, closing: int) -> list[int]:
    """Do the same as `reached` with the factors of one dimension, in plain numbers.

    Examples
    --------
    >>> reached_one([1, 4, 3], 20, 0), reached_one([5, 4, 30], 20, 0)
    ([2, 4, 3], [1, 1, 20])
    """
    found = list(column)
    found[closing] = 1
    found[closing] = -(-size // min(math.prod(found), SIZE_LIMIT))
    extent = 1
    for level in reversed(range(len(found))):
        found[level] = min(found[level], -(-size // extent))
        extent *= found[level]
    return found


def closing_levels(space: MapSpace) -> IntArray:
    """Outermost level per dimension that bounds leave open, the outermost of all if none is."""
    return np.asarray((space.lower < space.upper).argmax(axis=0))


def roomiest(space: MapSpace) -> FloatArray:
    """Largest extents of loops, float64 [levels, dimensions], that leave those outside work.

    The last of the iterations that outer levels must make would begin beyond the size otherwise.
    Where none of them must iterate it is `UNLIMITED`.
    """
    levels, dimensions = space.shape
    room = np.full((levels, dimensions), float(UNLIMITED))
    for d, size in enumerate(space.sizes.tolist()):
        for level in range(1, levels):
            outside = space.lower[level - 1, d]
            if room[level - 1, d] < UNLIMITED:
                room[level, d] = room[level - 1, d] // outside
            elif outside > 1:
                room[level, d] = (size - 1) // (outside - 1)
    return room
