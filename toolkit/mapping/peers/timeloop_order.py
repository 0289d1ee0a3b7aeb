"""Which memory is meant where a Timeloop file calls its levels as it likes.

Directives name their levels, so Timeloop lets them stand in any order: people often list the
outermost level first, Timeloop's own tools the innermost. Names that are not our memories' are
taken to list all memories, one way or the other, but only where something tells which.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from toolkit.errors import MappingError
from toolkit.mapping.mapping import Mapping
from toolkit.mapping.peers.loops import Target
from toolkit.mapping.peers.memories import match_memories, memory_positions, named_memories
from toolkit.messages import describe

Positions = dict[str, int]
"""Position among the levels by name."""

_OFF_CHIP = re.compile(r"dram|ddr|hbm|^main|off.?chip|backing", re.IGNORECASE)
_INNERMOST = re.compile(r"reg(?!ion)|(?:^|[^a-z])rf(?:$|[^a-z])", re.IGNORECASE)


def read_in_order(
    target: Target, names: Sequence[tuple[str, int]], read: Callable[[Positions], Mapping]
) -> Mapping:
    """Read a mapping with the levels that its names can mean.

    Parameters
    ----------
    target : Target
        What is read.
    names : sequence of (name, line)
        Distinct names of memories, in the text's order.
    read : callable
        From positions by name to the mapping; raises MappingError where that makes none.

    Raises
    ------
    MappingError
        If names are unknown and cannot list all memories, if nothing tells which way round they
        do, or of `read`.
    """
    readings = _readings(target, names)
    if len(readings) == 1:
        return read(readings[0])
    found: list[Mapping] = []
    causes: list[MappingError] = []
    for positions in readings:
        try:
            found.append(read(positions))
        except MappingError as cause:
            causes.append(cause)
    if not found:
        raise causes[0]
    if any(mapping != found[0] for mapping in found):
        memories = ", ".join(memory.name for memory in target.arch.memories)
        raise target.error(
            f"levels {', '.join(describe(name) for name, _ in names)} may be listed outermost "
            f"first or innermost first, and make different mappings; expected the names of the "
            f"memories of {target.arch.name}: {memories}",
            names[0][1],
        )
    return found[0]


def _readings(target: Target, names: Sequence[tuple[str, int]]) -> list[Positions]:
    """List what the names can mean: as said, else outermost or innermost first or either."""
    named = named_memories(target, names)
    if None not in named.values():
        return [match_memories(target, names)]
    positions = memory_positions(target.arch)
    orders = [positions, positions[::-1]] if len(names) == len(positions) else []
    found = [
        {name: i for (name, _), i in zip(names, order, strict=True)}
        for order in orders
        if all(named[name] in (None, i) for (name, _), i in zip(names, order, strict=True))
    ]
    if not found:
        return [match_memories(target, names)]
    if len(found) == 2:
        first, last = names[0][0], names[-1][0]
        outermost_first = _outward(first) - _outward(last)
        if outermost_first:
            return found[:1] if outermost_first > 0 else found[1:]
    return found


def _outward(name: str) -> int:
    """1 for what is called like memory off the chip, -1 for what is called like registers."""
    if _OFF_CHIP.search(name):
        return 1
    return -1 if _INNERMOST.search(name) else 0
