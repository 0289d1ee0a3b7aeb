"""What other distributions add to our tables, by the entry points of their packages."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

Kind = TypeVar("Kind")


def offered(group: str, taken: Collection[str]) -> list[EntryPoint]:
    """List what installed distributions offer, by name; nothing of it is imported.

    Parameters
    ----------
    group : str
        The group of the entry points, such as ``toolkit.strategies``.
    taken : collection of str
        Names of our own, which nobody replaces: who tries is told of, and left out.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=lambda p: (p.name, origin(p))):
        if point.name in taken or point.name in found:
            _leave_out(point, f"the name {point.name!r} is taken")
        else:
            found[point.name] = point
    return list(found.values())


def loaded(group: str, kind: type[Kind], taken: Collection[str]) -> dict[str, Kind]:
    """Import what installed distributions offer; what is broken is told of, and left out.

    Parameters
    ----------
    group, taken
        As `offered` takes them.
    kind : type
        What their entry points have to lead to.
    """
    found: dict[str, Kind] = {}
    for point in offered(group, taken):
        try:
            value = point.load()
        except Exception as cause:  # noqa: BLE001 - whatever it is, it is not ours
            _leave_out(point, f"{point.value} cannot be imported: {cause}")
            continue
        if isinstance(value, kind):
            found[point.name] = value
        else:
            what = type(value).__name__
            _leave_out(point, f"{point.value} is a {what}; expected a {kind.__name__}")
    return found


def origin(point: EntryPoint) -> str:
    """Name the distribution that an entry point is of."""
    return point.dist.name if point.dist is not None else point.value


def _leave_out(point: EntryPoint, why: str) -> None:
    warnings.warn(f"{point.group} of {origin(point)} is left out: {why}", stacklevel=3)
