"""The depths and tile sizes of one nest that move the fewest words, by branch and bound.

Boxes of tile sizes are bounded by the words of their smallest and the steps of their largest
tiles, see `toolkit.fusion.tile.depths`; single points are solved exactly there, item by item.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod

import numpy as np

from toolkit.fusion.tile.depths import NEVER, Point, least_words, solve
from toolkit.fusion.tile.items import Item
from toolkit.fusion.tile.nest import Nest, Sizes, Way
from toolkit.fusion.tile.windows import Ints

SEGMENTS = 4
"""Parts that every side of a box is split into."""

COARSE = 256
"""Boxes that show whether loops inside of a nest could help."""

MOST_POINTS = 1024
"""Sizes up to which all are looked at without boxes."""

AT_ONCE = 64
"""Boxes that are split together, those with the lowest bounds first."""


def best_point(
    nest: Nest,
    capacity_words: int,
    limit: int,
    accepts: Callable[[Point], bool] | None = None,
) -> tuple[Point | None, int]:
    """Find the depths and tile sizes that move the fewest words.

    Parameters
    ----------
    nest : Nest
        The loops.
    capacity_words : int
        Of the fusion level.
    limit : int
        Only fewer words are of interest.
    accepts : callable, optional
        Whether a point can be run; others are passed over, and the bound does not know of it.

    Returns
    -------
    point : Point or None
        None if nothing fits and moves fewer words than `limit`.
    bound : int
        No depths and sizes move fewer words; at most `limit`.
    """
    bound = limit
    best: Point | None = None
    lows, highs = _boxes(nest)
    bounds = _bounds(nest, lows, highs, capacity_words, limit)
    while True:
        order = np.argsort(bounds, kind="stable")
        order = order[bounds[order] < limit]
        lows, highs, bounds = lows[order], highs[order], bounds[order]
        if not len(bounds):
            return best, min(bound, limit)
        single = (lows[:AT_ONCE] == highs[:AT_ONCE]).all(axis=1)
        for at in lows[:AT_ONCE][single]:
            point, least = solve(nest, tuple(int(i) for i in at), capacity_words, limit)
            bound = min(bound, least)
            if point is not None and (accepts is None or accepts(point)):
                best, limit = point, point.words
        parts = [
            _split(lo, hi)
            for lo, hi in zip(lows[:AT_ONCE][~single], highs[:AT_ONCE][~single], strict=True)
        ]
        new_lows = np.concatenate([lows[:0], *(p[0] for p in parts)])
        new_highs = np.concatenate([highs[:0], *(p[1] for p in parts)])
        new_bounds = _bounds(nest, new_lows, new_highs, capacity_words, limit)
        lows = np.concatenate([new_lows, lows[AT_ONCE:]])
        highs = np.concatenate([new_highs, highs[AT_ONCE:]])
        bounds = np.concatenate([new_bounds, bounds[AT_ONCE:]])


def least_words_within(nest: Nest, capacity_words: int, limit: int) -> int:
    """Words that this nest moves at least, whatever further loops are put inside of it.

    `limit`, or more, if they are not fewer than that.
    """
    if not nest.loops:
        return 0
    each = max(SEGMENTS, int(COARSE ** (1 / len(nest.loops))))
    sides = [_segments(0, len(spans.steps) - 1, each) for spans in nest.spans]
    corners = list(product(*sides))
    lows = np.array([[a for a, _ in corner] for corner in corners], dtype=np.int64)
    highs = np.array([[b for _, b in corner] for corner in corners], dtype=np.int64)
    bounds = _bounds(nest, lows, highs, capacity_words, limit, further=True)
    return int(bounds.min(initial=NEVER))


def _boxes(nest: Nest) -> tuple[Ints, Ints]:
    """Sizes that matter, one by one or as a box: loops that repeat nothing have small tiles."""
    found = mattering(nest)
    counts = [len(spans.steps) if i in found else 1 for i, spans in enumerate(nest.spans)]
    if prod(counts) <= MOST_POINTS:
        points = np.indices(counts).reshape(len(counts), -1).T if counts else np.zeros((1, 0), int)
        return points, points
    last = np.array(counts, dtype=np.int64) - 1
    return np.zeros((1, len(last)), dtype=np.int64), last[None]


def mattering(nest: Nest) -> frozenset[int]:
    """Loops on whose number of steps words that are moved depend."""
    found = {
        i
        for i, (loop, spans) in enumerate(zip(nest.loops, nest.spans, strict=True))
        if loop.windowed and (spans.fresh > spans.step).any()
    }
    for item in nest.items:
        if item.kind in ("inside", "state"):
            continue
        deepest = nest.depths(item)[-1]
        if item.kind == "output":
            name = nest.layers[item.users[0]].name
            found |= {i for i in range(deepest) if name in nest.loops[i].reduces}
            continue
        if item.kind == "weights" or nest.may_pass(item):
            deepest = len(nest.loops)
        entered = frozenset[int]().union(*(nest.inside[user] for user in item.users))
        found |= {i for i in entered if i < deepest and not item.cut[i]}
    return frozenset(found)


def _segments(low: int, high: int, count: int) -> list[tuple[int, int]]:
    """Split a side of a box evenly; both ends are included."""
    edges = np.unique(np.linspace(low, high + 1, min(count, high - low + 1) + 1).astype(np.int64))
    return [(int(a), int(b) - 1) for a, b in zip(edges, edges[1:], strict=False)]


def _split(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    sides = [_segments(int(a), int(b), SEGMENTS) for a, b in zip(low, high, strict=True)]
    corners = list(product(*sides))
    lows = np.array([[a for a, _ in corner] for corner in corners], dtype=np.int64)
    return lows, np.array([[b for _, b in corner] for corner in corners], dtype=np.int64)


def _bounds(
    nest: Nest,
    lows: Ints,
    highs: Ints,
    capacity_words: int,
    limit: int,
    *,
    further: bool = False,
) -> Ints:
    """Words that boxes move at least; out of reach if nothing fits and stays below a limit."""
    if not len(lows):
        return np.zeros(0, dtype=np.int64)
    small, large = tuple(lows.T), tuple(highs.T)
    sizes = Sizes(small, large)
    ways = [_options(nest, item, sizes, further) for item in nest.items]
    return least_words(nest, ways, len(lows), capacity_words, limit)


def _options(nest: Nest, item: Item, sizes: Sizes, further: bool) -> list[Way]:
    """Ways to keep an item; with `further`, also as if loops inside needed no room for it."""
    if further and item.kind in ("inside", "state"):
        return [nest.passing(item, sizes)]
    options = nest.ways(item, sizes)
    # Weights may pass by as it is.
    return [*options, nest.passing(item, sizes)] if further and item.kind != "weights" else options
