"""Temporal extents that can occur, and what a memory's loop order allows."""

from __future__ import annotations

import math

import numpy as np

from toolkit.errors import InputError
from toolkit.mapping.factors import divisors
from toolkit.mapping.kept import Seen
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.orders import OrderRule
from toolkit.mapping.space import MapSpace
from toolkit.search.exact.spatial_factors import Spatial

Extents = list[list[IntArray]]
"""Ascending temporal extents by boundary and dimension."""

MOST_DIMENSIONS = 15
"""Loop orders are kept in 64 bits, four per loop."""


def reachable(space: MapSpace, memories: list[int], spatial: Spatial) -> Extents | None:
    """List extents at the top of every memory and at the bottom; None if there is no split.

    A superset of those in valid mappings: bounds count, and capacities as if all other
    dimensions had their smallest extents.
    """
    depth = len(memories) + 1
    free = [[divisors(int(x))] * depth for x in spatial.temporal]
    tables = _linked_extents(space, memories, free)
    if tables is None:
        return None
    return _linked_extents(space, memories, _fitting(space, memories, spatial, tables))


def _linked_extents(space: MapSpace, memories: list[int], allowed: Extents) -> Extents | None:
    """Extents that lie on some split of their dimension, of those allowed [dims][boundaries]."""
    depth = len(memories)
    tables: Extents = [[] for _ in range(depth + 1)]
    for d, columns in enumerate(allowed):
        lower, upper = space.lower[memories, d], space.upper[memories, d]
        reached = [columns[0][-1:]]
        for k in range(depth):
            kept = _linked(columns[k + 1], reached[-1], lower[k], upper[k], inwards=True)
            reached.append(kept)
        kept = np.intersect1d(reached[-1], [1])
        tables[depth].append(kept)
        for k in reversed(range(depth)):
            kept = _linked(reached[k], kept, lower[k], upper[k], inwards=False)
            tables[k].append(kept)
        if len(kept) == 0:
            return None
    return tables


def _fitting(space: MapSpace, memories: list[int], spatial: Spatial, tables: Extents) -> Extents:
    """Extents that fit if all other dimensions take their smallest ones [dims][boundaries]."""
    fitting = [list(columns) for columns in zip(*tables, strict=True)]
    for k in np.flatnonzero(space.binding).tolist():
        seen = seen_by_one(space, k, spatial)
        inside = spatial.inside[memories[k]]
        columns = [column * inside[d] for d, column in enumerate(tables[k])]
        counts = [len(column) for column in columns]
        rows = np.tile([float(column[0]) for column in columns], (sum(counts), 1))
        ends = np.cumsum(counts)
        for d, (column, end) in enumerate(zip(columns, ends, strict=True)):
            rows[end - len(column) : end, d] = column
        fits = space.fits(k, rows, seen)
        for d, (count, end) in enumerate(zip(counts, ends, strict=True)):
            fitting[d][k] = tables[k][d][fits[end - count : end]]
    return fitting


def fitting_extents(
    space: MapSpace, k: int, columns: list[IntArray], spatial: Spatial
) -> IntArray:
    """Tell which combinations of temporal extents fit memory number `k`.

    The last dimension runs fastest in the result.
    """
    inside = spatial.inside[space.memory_levels[k]]
    count = math.prod(len(column) for column in columns)
    if not space.binding[k]:
        return np.ones(count, dtype=np.int64)
    grid = np.meshgrid(*(c * i for c, i in zip(columns, inside, strict=True)), indexing="ij")
    extents = np.stack([g.ravel() for g in grid], axis=1).astype(np.float64)
    return space.fits(k, extents, seen_by_one(space, k, spatial)).astype(np.int64)


def seen_by_one(space: MapSpace, k: int, spatial: Spatial) -> Seen:
    """Say what an instance of memory number `k` sees in the whole run, whatever loops turn.

    As far as windows go, only where `splits_kept_windows` says no.
    """
    outside = spatial.factors[: space.memory_levels[k]].prod(axis=0)
    seen = (space.sizes // outside)[None].astype(np.float64)
    return Seen(seen, seen)


def splits_kept_windows(space: MapSpace) -> bool:
    """Whether loops decide how far apart the parts of a window lie that a memory has to keep.

    They do if a fanout outside of it splits such a window.
    """
    most = np.minimum(space.upper, space.mesh[:, None])
    for k, t in np.argwhere(space.keeping.tensors & space.binding[:, None]).tolist():
        fanouts = space.spatial_levels[space.spatial_levels < space.memory_levels[k]]
        if (most[fanouts][:, space.keeping.in_windows[t]] > 1).any():
            return True
    return False


def _linked(
    values: IntArray, start: IntArray, lower: int, upper: int, *, inwards: bool
) -> IntArray:
    """Extents one step inwards (outwards) of any of `start`, by a factor within bounds."""
    outer, inner = (start, values) if inwards else (values, start)
    f, rest = np.divmod(outer[:, None], inner[None, :])
    fine = (rest == 0) & (f >= lower) & (f <= upper)
    kept: IntArray = values[fine.any(axis=0 if inwards else 1)]
    return kept


def is_strict(rule: OrderRule) -> bool:
    """Whether a rule fixes places of loops, so that idle ones have to be placed, too."""
    return bool(rule.slots) or len(rule.sequence) > 1


def choice_table(rule: OrderRule, strict: bool) -> IntArray:
    """Bits of the dimensions that may come next outside of every set of them."""
    if rule.count > MOST_DIMENSIONS:
        raise InputError(
            f"{rule.count} dimensions; the exact search handles at most {MOST_DIMENSIONS}",
            key="strategy",
        )
    full = (1 << rule.count) - 1
    if not strict:
        return np.full(1 << rule.count, full, dtype=np.int64)
    table = np.zeros(1 << rule.count, dtype=np.int64)
    reached = {0}
    while reached:
        grown = set()
        for used in reached:
            if used == full:
                continue
            for d in rule.innermost_choices(used):
                table[used] |= 1 << d
                grown.add(used | 1 << d)
        reached = grown
    return table
