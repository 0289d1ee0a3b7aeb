"""How real-valued factors become mappings: nearest divisors, and three loop orders."""

from __future__ import annotations

import numpy as np

from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.rounding import Rounding
from toolkit.mapping.space import MapSpace
from toolkit.workload.kernel import ROLES, Workload

_INNERMOST_FIRST = {"weight": "PQNRSCM", "input": "MRSPQCN", "output": "RSCMPQN"}
"""Loops of the outermost memory that keep a tensor in place, of a convolution."""


def rounded(space: MapSpace, factors: FloatArray) -> IntArray:
    """Round the factors of one tiling to divisors.

    Spatial factors come first, then temporal ones, innermost levels first: each becomes the
    divisor nearest to it of what is left of its dimension, and the outermost memory takes what
    is left in the end. What then exceeds the space, of which DOSA's has no bounds, is rounded
    anew within it.

    Parameters
    ----------
    space : MapSpace
        Of the workload on the largest hardware.
    factors : float64 array, shape (levels, dimensions)
        Real factors.

    Returns
    -------
    int64 array, shape (levels, dimensions)
        A tiling; valid, unless rounding within the space finds none either.
    """
    found = np.where(space.lower == space.upper, space.lower, 1)
    left = space.sizes // found[1:].prod(axis=0)
    for level in _turns(space):
        for d in np.flatnonzero(space.lower[level] < space.upper[level]).tolist():
            found[level, d] = nearest_divisor(float(factors[level, d]), int(left[d]))
            left[d] //= found[level, d]
    found[0] = left
    if space.check_factors(found[None])[0]:
        return found
    within, _ = Rounding(space).round(np.log(np.maximum(factors, 1.0))[None])
    return np.asarray(within[0])


def _turns(space: MapSpace) -> list[int]:
    """Levels in the order of their rounding; the outermost memory is not among them."""
    levels = list(reversed(range(1, space.shape[0])))
    spatial = set(space.spatial_levels.tolist())
    return [i for i in levels if i in spatial] + [i for i in levels if i not in spatial]


def nearest_divisor(value: float, size: int) -> int:
    """Find the divisor of a size nearest to a value, the larger one of two.

    A value that rounds to a divisor becomes that one.

    Examples
    --------
    >>> nearest_divisor(5.2, 12), nearest_divisor(3.4, 12), nearest_divisor(99.0, 12)
    (6, 3, 12)
    """
    whole = max(1, round(value))
    if size % whole == 0:
        return whole
    divisors = [i for i in range(1, size + 1) if size % i == 0]
    return min(divisors, key=lambda divisor: (abs(divisor - value), -divisor))


def stationary_orders(workload: Workload) -> IntArray:
    """Loop orders that keep weights, inputs or outputs in place at the outermost memory.

    Dimensions that do not index the tensor are its innermost loops.

    Parameters
    ----------
    workload : Workload
        Of any kernel.

    Returns
    -------
    int64 array, shape (tensors, dimensions)
        Dimension numbers, outermost loop first.
    """
    orders = []
    for tensor in sorted(workload.tensors, key=lambda tensor: ROLES.index(tensor.role)):
        indexing = {term.dimension for index in tensor.indices for term in index}
        usual = _INNERMOST_FIRST[tensor.role]
        inner = sorted(workload.dimensions, key=lambda d: (d in indexing, usual.find(d)))
        orders.append([workload.dimensions.index(d) for d in reversed(inner)])
    return np.array(orders, dtype=np.int64)
