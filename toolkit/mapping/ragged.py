"""Factors that reach a size instead of multiplying to it: what makes them valid."""

from __future__ import annotations

import numpy as np

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Fanout, Memory
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.workload.kernel import Workload


def idle_from(factors: IntArray) -> FloatArray:
    """Where the last iteration of the outermost loop of each dimension begins.

    A size up to there leaves that iteration nothing to do; all loops inside are complete at least
    once.

    Parameters
    ----------
    factors : int64 array, shape (batch, levels, dimensions)
        Iterations.

    Returns
    -------
    float64 array, shape (batch, dimensions)
    """
    products = np.prod(factors, axis=1, dtype=np.float64)
    outermost = np.argmax(factors > 1, axis=1)
    turns = np.take_along_axis(factors, outermost[:, None], axis=1)[:, 0]
    return np.asarray(products - products / turns)


def lie_apart(arch: Architecture, workload: Workload) -> frozenset[str]:
    """Dimensions of windows that instances share value by value though they may lie apart.

    They do where what lies between the level and the next one inwards that holds the tensor can
    iterate, too. Such windows are counted together, which takes complete tiles.
    """
    found: set[str] = set()
    for tensor in workload.tensors:
        wide = {t.dimension for index in tensor.indices if len(index) > 1 for t in index}
        for i, level in enumerate(arch.levels):
            if not isinstance(level, Fanout):
                continue
            if not (level.selective_multicast or level.selective_reduction):
                continue
            for inner in arch.levels[i + 1 :]:
                if isinstance(inner, Memory) and holds(inner, tensor):
                    break
                found |= wide & set(level.dimensions)
    return frozenset(found)
