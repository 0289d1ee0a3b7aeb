"""Ports of memories: what each serves, and what of that can pass a memory at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from toolkit.arguments import store_plain_numbers

TRAFFIC = ("reads", "drains", "updates", "fills")
"""Kinds of traffic: reads and drains leave a memory, updates and fills enter it; reads and updates
are exchanged with what lies inside, fills and drains with what lies outside."""
EXCHANGED = frozenset({"reads", "updates"})
"""Those that a memory exchanges with the levels inside."""


@dataclass(frozen=True, slots=True)
class MemoryPort:
    """One port of a memory that has several, each with a name.

    Parameters
    ----------
    name : str
        Unique within the memory.
    serves : tuple of str
        Kinds of `TRAFFIC` that may pass; those that other ports serve, too, are divided among them
        as it suits.
    bandwidth : float
        Words per cycle.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.MemoryPort("read", ("reads", "drains"), 16).bandwidth
    16
    """

    name: str
    serves: tuple[str, ...]
    bandwidth: float

    def __post_init__(self) -> None:
        store_plain_numbers(self)


def passing_traffic(bypasses: Sequence[str], *, outermost: bool) -> tuple[str, ...]:
    """Kinds of traffic that may pass a memory, as far as an architecture alone tells.

    Nothing is outside of the outermost memory, and outputs alone are updated and drained.
    """
    never = {"fills", "drains"} if outermost else set()
    if "output" in bypasses:
        never |= {"updates", "drains"}
    return tuple(kind for kind in TRAFFIC if kind not in never)


def port_mistakes(
    ports: Sequence[MemoryPort], bypasses: Sequence[str], *, outermost: bool
) -> Iterator[tuple[str, str]]:
    """Name ports that are no use, and traffic without a port: keys beside ``ports``, and why."""
    passing = passing_traffic(bypasses, outermost=outermost)
    why = "nothing lies outside of it" if outermost else "it bypasses output"
    for port in ports:
        if not set(port.serves) & set(passing):
            kinds = " and ".join(port.serves) or "nothing"
            yield (
                f".{port.name}.serves",
                f"{kinds}: never passes this memory ({why}); expected some of {_list(passing)}",
            )
    lacking = [kind for kind in passing if not any(kind in port.serves for port in ports)]
    if ports and lacking:
        yield "", f"no port serves {_list(lacking)}; expected a port for each of {_list(passing)}"


def _list(kinds: Sequence[str]) -> str:
    return ", ".join(kinds)
