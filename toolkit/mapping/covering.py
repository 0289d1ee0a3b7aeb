"""Loop orders that stand for all others, whichever loops iterate.

`order_classes` lists one order per reuse class for one set of loops that iterate. Two orders of
the same class need not be of the same class once some of their loops have one iteration only,
and with a loop-order constraint the order that is needed then may not be on the list.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.orders import OrderView, ReuseKey, classes_of, order_view
from toolkit.workload.kernel import Workload

PATTERN_DIMENSIONS = 10
"""Dimensions up to which every set of iterating loops is looked at (2^10 of them); beyond it,
where that would double with each dimension, those sets that lack at most two loops."""


def covering_orders(arch: Architecture, level: int, workload: Workload) -> IntArray:
    """List admissible loop orders of a memory that are enough whichever loops iterate.

    For every reuse class of every set of iterating loops the list has an order that costs no
    more: one of that class, or one that keeps every tensor over as many loops and more.

    Parameters
    ----------
    arch : Architecture
        The accelerator.
    level : int
        Position of the memory in ``arch.levels``.
    workload : Workload
        What runs.

    Returns
    -------
    int64 array, shape (orders, dimensions), read-only
        `order_classes` first, then what these leave out where some loops do not iterate.

    Raises
    ------
    MappingError
        As `order_classes` does.
    """
    return _covering(order_view(arch, level, workload))


@lru_cache(maxsize=512)
def _covering(view: OrderView) -> IntArray:
    count = view.rule.count
    rows = [tuple(row) for row in classes_of(view, (True,) * count).tolist()]
    for active in _patterns(count):
        known = [view.key(row, active) for row in rows]
        for row in classes_of(view, active).tolist():
            key = view.key(row, active)
            if not any(_serves(other, key) for other in known):
                rows.append(tuple(row))
                known.append(key)
    table = np.array(rows, dtype=np.int64).reshape(-1, count)
    table.setflags(write=False)
    return table


def _serves(key: ReuseKey, wanted: ReuseKey) -> bool:
    """Whether a class costs no more than another: stationary over the same loops and more."""
    return all(
        mine is theirs
        or (
            mine is not None
            and theirs is not None
            and mine[0] | theirs[0] == mine[0]
            and mine[1] == theirs[1]
        )
        for mine, theirs in zip(key, wanted, strict=True)
    )


def _patterns(dimensions: int) -> Iterator[tuple[bool, ...]]:
    """Sets of iterating loops, the largest first."""
    most = dimensions if dimensions <= PATTERN_DIMENSIONS else 2
    for idle in range(1, most + 1):
        for chosen in itertools.combinations(range(dimensions), idle):
            yield tuple(d not in chosen for d in range(dimensions))
