"""The best partition, proved: dynamic programming over the down-sets of the graph."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.fusion.ideals import Order, Predecessors, State, all_ideals, cheapest
from toolkit.fusion.objective import GroupModel

MOST_IDEALS = 20_000
"""Down-sets up to which all are looked at."""


def exact_predecessors(order: Order, most_layers: int) -> Predecessors:
    """All down-sets with one group of up to `most_layers` layers less.

    Sets shrink by any layer that is last: whether a group is connected shows only once it is
    complete, as two branches may be joined by a later layer.
    """

    def predecessors(after: int) -> Iterator[int]:
        level = {after}
        for _ in range(most_layers):
            level = {before & ~bit for before in level for bit in order.last(before)}
            for before in sorted(level, reverse=True):
                if order.connected(after & ~before):
                    yield before

    return predecessors


def segment_predecessors(order: Order, most_layers: int) -> Predecessors:
    """All shorter beginnings of the graph's own order."""

    def predecessors(after: int) -> Iterator[int]:
        end = after.bit_length()
        for start in range(end - 1, max(-1, end - 1 - most_layers), -1):
            before = (1 << start) - 1
            if order.connected(after & ~before):
                yield before

    return predecessors


def exact_states(model: GroupModel, most_layers: int) -> tuple[list[State], int] | None:
    """Hull of the costs of all partitions into groups of limited length.

    Returns
    -------
    tuple or None
        The hull and the number of down-sets; None if there are more than `MOST_IDEALS`.
    """
    order = Order(model.graph)
    found = all_ideals(order, MOST_IDEALS)
    if found is None:
        return None
    return cheapest(order, model, found, exact_predecessors(order, most_layers)), len(found)


def segment_states(model: GroupModel, most_layers: int) -> list[State]:
    """Hull of the costs of all partitions into segments of the graph's own order."""
    order = Order(model.graph)
    prefixes = [(1 << end) - 1 for end in range(len(model.graph) + 1)]
    return cheapest(order, model, prefixes, segment_predecessors(order, most_layers))
