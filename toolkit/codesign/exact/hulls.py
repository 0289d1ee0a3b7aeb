"""Lower hulls of energies and latencies: of one layer, of sums of layers, and what is least there.

An objective ``energy^a * latency^b`` with powers of at least 0 is quasi-concave: over a set of
trade-offs and over its convex hull its least value is the same, and stands at a corner of the
hull. A hull of sums is the sum of the hulls, and every corner of it is the sum of one corner of
each. So the best of all combinations of mappings, one per layer, is among a few sums, although
the best mappings of layers by themselves need not make it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.mapping import FloatArray

_TANGENTS = 12
"""Of a curve of constant product: with so many the polygon is within some thousandths of it."""


def lower_hull(points: FloatArray) -> NDArray[np.intp]:
    """Places of the corners of the lower left convex hull, by rising first column.

    Parameters
    ----------
    points : float64 array, shape (points, 2)
        Finite; at least one.

    Examples
    --------
    >>> lower_hull(np.array([[1.0, 9.0], [2.0, 8.5], [3.0, 2.0], [9.0, 1.0], [9.0, 5.0]])).tolist()
    [0, 2, 3]
    """
    kept: list[int] = []
    for place in np.lexsort((points[:, 1], points[:, 0])).tolist():
        if kept and points[place, 1] >= points[kept[-1], 1]:
            continue
        while len(kept) > 1 and _is_above(points, kept[-2], kept[-1], place):
            kept.pop()
        kept.append(place)
    return np.array(kept, dtype=np.intp)


def _is_above(points: FloatArray, left: int, middle: int, right: int) -> bool:
    """Whether a point lies on or above the line between two others."""
    (x0, y0), (x1, y1), (x2, y2) = points[[left, middle, right]]
    return bool((y1 - y0) * (x2 - x0) >= (y2 - y0) * (x1 - x0))


def product_hull(energy: float, latency: float, product: float) -> FloatArray:
    """Polygon around all pairs of at least so much energy, latency, and product of both.

    Returns
    -------
    float64 array, shape (corners, 2)
        By rising energy; no such pair lies below.

    Examples
    --------
    >>> product_hull(2.0, 3.0, 5.0).tolist()
    [[2.0, 3.0]]
    >>> corners = product_hull(1.0, 1.0, 4.0)
    >>> bool((corners.prod(axis=1) > 3.9).all()), corners[[0, -1]].tolist()
    (True, [[1.0, 4.0], [4.0, 1.0]])
    """
    if energy <= 0 or latency <= 0 or product <= energy * latency:
        return np.array([[energy, latency]])
    touching = np.geomspace(energy, product / latency, _TANGENTS)
    sums = touching[:-1] + touching[1:]
    corners = np.stack([2 * touching[:-1] * touching[1:] / sums, 2 * product / sums], axis=1)
    ends = np.array([[energy, product / energy], [product / latency, latency]])
    return np.concatenate([ends[:1], corners, ends[1:]])


def cut_hull(hull: FloatArray, energy: float, latency: float) -> FloatArray:
    """What is on or above a hull and of at least so much energy and latency.

    Examples
    --------
    >>> cut_hull(np.array([[0.0, 4.0], [4.0, 0.0]]), 1.0, 2.0).tolist()
    [[1.0, 3.0], [2.0, 2.0]]
    >>> cut_hull(np.array([[0.0, 4.0], [4.0, 0.0]]), 5.0, 2.0).tolist()
    [[5.0, 2.0]]
    """
    x, y = hull.T
    energy, latency = max(energy, float(x[0])), max(latency, float(y[-1]))
    ends = [[energy, np.interp(energy, x, y)], [np.interp(latency, y[::-1], x[::-1]), latency]]
    points = np.maximum(np.concatenate([ends, hull]), [energy, latency])
    inside = np.concatenate([[True, True], (x >= energy) & (y >= latency)])
    points = points[inside]
    cut: FloatArray = points[lower_hull(points)]
    return cut


def above_both(one: FloatArray, other: FloatArray) -> FloatArray:
    """Lower hull of what is on or above two hulls.

    Parameters
    ----------
    one, other : float64 array, shape (corners, 2)
        Convex, by rising energy and falling latency.

    Examples
    --------
    >>> above_both(np.array([[0.0, 4.0], [4.0, 0.0]]), np.array([[1.0, 2.0]])).tolist()
    [[1.0, 3.0], [2.0, 2.0]]
    """
    energies = np.unique(np.concatenate([one[:, 0], other[:, 0]]))
    energies = energies[energies >= max(one[0, 0], other[0, 0])]
    first, second = (np.interp(energies, *hull.T) for hull in (one, other))
    points = np.stack([energies, np.maximum(first, second)], axis=1)
    # Between two neighbours both are straight, and may cross.
    gap = first - second
    left = np.flatnonzero(gap[:-1] * gap[1:] < 0)
    share = gap[left] / (gap[left] - gap[left + 1])
    crossing = points[left].copy()
    crossing[:, 0] += share * (energies[left + 1] - energies[left])
    crossing[:, 1] = first[left] + share * (first[left + 1] - first[left])
    points = np.concatenate([points, crossing])
    joined: FloatArray = points[lower_hull(points)]
    return joined


@dataclass(frozen=True, eq=False)
class HullSum:
    """Sum of hulls, each counted so many times.

    Parameters
    ----------
    corners : float64 array, shape (corners, 2)
        By rising energy.
    picks : int64 array, shape (corners, hulls)
        Which corner of each hull makes a corner of the sum.
    """

    corners: FloatArray
    picks: NDArray[np.int64]

    def least(self, powers: Sequence[float]) -> tuple[float, int]:
        """Least value of ``energy^powers[0] * latency^powers[1]``, and the corner that has it."""
        values = self.corners[:, 0] ** powers[0] * self.corners[:, 1] ** powers[1]
        place = int(values.argmin())
        return float(values[place]), place


def sum_of_hulls(hulls: Sequence[FloatArray], counts: Sequence[float]) -> HullSum:
    """Add up hulls, each so many times.

    Parameters
    ----------
    hulls : sequence of float64 array, shape (corners, 2)
        Convex, by rising energy and falling latency.
    counts : sequence of float
        Positive.

    Examples
    --------
    >>> hull = np.array([[1.0, 5.0], [2.0, 1.0]])
    >>> sum_of_hulls([hull, hull + 1], [1, 2]).corners.tolist()
    [[5.0, 17.0], [6.0, 13.0], [8.0, 5.0]]
    """
    scaled = [hull * count for hull, count in zip(hulls, counts, strict=True)]
    steps = [np.diff(hull, axis=0) for hull in scaled]
    owners = np.repeat(np.arange(len(hulls)), [len(step) for step in steps])
    edges = np.concatenate([np.empty((0, 2)), *steps])
    with np.errstate(divide="ignore"):
        slopes = edges[:, 1] / edges[:, 0]
    # A corner after each edge; of equal slopes the order does not matter to the hull.
    order = np.argsort(slopes, kind="stable")
    start = sum((hull[0] for hull in scaled), np.zeros(2))
    corners = start + np.concatenate([np.zeros((1, 2)), np.cumsum(edges[order], axis=0)])
    picks = np.zeros((len(corners), len(hulls)), dtype=np.int64)
    np.add.at(picks, (np.arange(1, len(corners)), owners[order]), 1)
    return HullSum(corners, np.cumsum(picks, axis=0))
