"""Greedy merging: the two neighbouring groups whose union gains most become one."""

from __future__ import annotations

import networkx as nx

from toolkit.fusion.groups import Group, quotient
from toolkit.fusion.objective import GroupModel, Option, value_of


def greedy_groups(model: GroupModel, most_layers: int) -> tuple[Option, ...]:
    """Merge neighbouring groups, best gain first, until none gains."""
    graph = model.graph
    groups = {
        frozenset((name,)): _cheapest(model, frozenset((name,)), None) for name in graph.names
    }
    options = {group: option for group, option in groups.items() if option is not None}
    while True:
        total = [sum(column) for column in zip(*(o.costs for o in options.values()), strict=True)]
        best: tuple[float, Group, Group, Option] | None = None
        for a, b in _neighbours(model, list(options), most_layers):
            apart = [x + y for x, y in zip(options[a].costs, options[b].costs, strict=True)]
            rest = [t - x for t, x in zip(total, apart, strict=True)]
            joint = _cheapest(model, a | b, rest)
            if joint is None:
                continue
            value = value_of([r + c for r, c in zip(rest, joint.costs, strict=True)])
            if value < value_of(total) and (best is None or value < best[0]):
                best = (value, a, b, joint)
        if best is None:
            return tuple(options.values())
        _, a, b, joint = best
        del options[a], options[b]
        options[a | b] = joint


def _cheapest(model: GroupModel, group: Group, rest: list[float] | None) -> Option | None:
    """The option that goes best with what the rest costs."""
    base = rest or [0.0, 0.0]
    return min(
        model.options(group),
        key=lambda o: value_of([r + c for r, c in zip(base, o.costs, strict=False)]),
        default=None,
    )


def _neighbours(
    model: GroupModel, groups: list[Group], most_layers: int
) -> list[tuple[Group, Group]]:
    """Pairs that may be merged: no path leads from one to the other through a third."""
    order = quotient(model.graph, groups)
    found = []
    for a, b in sorted(order.edges):
        if len(groups[a]) + len(groups[b]) > most_layers:
            continue
        around = any(c != b and nx.has_path(order, c, b) for c in order.successors(a))
        if not around:
            found.append((groups[a], groups[b]))
    return found
