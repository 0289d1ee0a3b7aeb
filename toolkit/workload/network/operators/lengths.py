"""How many positions of a cache of keys and values are in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from toolkit.workload.network.operators.call import Call


@dataclass(frozen=True)
class Lengths:
    """Positions in a cache.

    Parameters
    ----------
    past, new : int
        Of earlier tokens, and of those that come now.
    buffer : int
        That it has room for afterwards.
    """

    past: int
    new: int
    buffer: int

    @property
    def total(self) -> int:
        """Positions in use afterwards."""
        return self.past + self.new


def cache_lengths(
    call: Call,
    *,
    new: int,
    buffer: int | None,
    total: int | None = None,
    past: int | None = None,
    shared: bool = False,
) -> Lengths:
    """Positions in the cache of a node, from its constants and the user's sizes.

    Parameters
    ----------
    new : int
        Tokens that come now.
    buffer : int or None
        Positions in the tensor that comes in; None if none does.
    total, past : int or None
        Positions in use afterwards and before, where constants tell them.
    shared : bool
        Whether the tensor that comes in is longer than what is used, so that it does not grow.

    Raises
    ------
    WorkloadError
        Naming the node, if it cannot hold that many.
    """
    if buffer is None:
        return Lengths(0, new, new)
    if total is None and past is not None:
        total = past + new
    if total is None and shared:
        total = _named_total(call, new, buffer)
    if total is None:
        return Lengths(buffer, new, buffer + new)
    if not new <= total <= buffer + new:
        raise call.error(
            f"its cache of {buffer} positions and {new} new ones cannot be {total} in total"
        )
    return Lengths(total - new, new, max(buffer, total))


def _named_total(call: Call, new: int, buffer: int) -> int:
    """Positions in use of a buffer, as the user says; all of them otherwise."""
    total, past = call.given.size("total"), call.given.size("past")
    if total is None and past is not None and past + new <= buffer:
        total = past + new
    if total is None:
        call.given.warn(
            f"{call.operator} {call.name!r}: how much of its cache of {buffer} positions is in "
            "use depends on data; taken as all of it (--dim total=N)"
        )
        total = max(buffer, new)
    return total


def largest(data: NDArray[Any] | None) -> int | None:
    """The largest of some numbers; None if they are not known."""
    return int(data.max()) if data is not None and data.size else None


def keeps_its_size(call: Call, place: int, axis: int, buffer: int | None) -> bool:
    """Whether the file declares a result to be as long as the cache that comes in."""
    shapes = call.given.declared
    shape = shapes[place] if place < len(shapes) else None
    if shape is None or buffer is None or axis >= len(shape):
        return False
    size = shape[axis]
    return (call.given.size(size) if isinstance(size, str) else size) == buffer
