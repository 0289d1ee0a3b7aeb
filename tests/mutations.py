"""Slightly broken data, for readers of files that nobody vouches for."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

ODD = st.sampled_from(
    [None, [], {}, "", "x", "9" * 30, "[", "é\n", -1, 0, 2**70, 0.5, 1e300, float("inf"), True]
    + [["a"], [None], {"a": 1}, [[]]]
)


@st.composite
def mutated(draw: st.DrawFn, data: object) -> object:
    """Draw `data` with one value replaced, removed, or joined by one of another key."""
    path = draw(st.sampled_from([path for path in _places(data) if path]))
    changed = copy.deepcopy(data)
    parent: Any = changed
    for step in path[:-1]:
        parent = parent[step]
    change = draw(st.sampled_from(["replace", "remove", "add"]))
    if change == "remove":
        del parent[path[-1]]
    elif change == "add" and isinstance(parent, dict):
        parent[draw(st.sampled_from(["zz", "name", ""]))] = draw(ODD)
    else:
        parent[path[-1]] = draw(ODD)
    return changed


def _places(data: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    entries = data.items() if isinstance(data, dict) else ()
    if isinstance(data, list):
        entries = enumerate(data)
    for key, value in entries:
        yield from _places(value, (*path, key))
