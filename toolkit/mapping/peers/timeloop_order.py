"""Which memory is meant where a Timeloop file calls its levels as it likes.

Directives name their levels, so Timeloop lets them stand in any order: people often list the
outermost level first, Timeloop's own tools the innermost. Names that are not our memories' are
taken to list all memories, one way or the other, but only where something tells which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from toolkit.errors import MappingError
from toolkit.mapping.mapping import Mapping
from toolkit.mapping.peers.loops import Target
from toolkit.mapping.peers.memories import (
    announce,
    level_kind,
    match_memories,
    memory_positions,
    mismatch,
    named_memories,
    other_kind,
)
from toolkit.messages import describe

Positions = dict[str, int]
"""Position among the levels by name."""


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
    found: list[tuple[Positions, Mapping]] = []
    causes: list[MappingError] = []
    for positions in readings:
        try:
            found.append((positions, read(positions)))
        except MappingError as cause:
            causes.append(cause)
    if not found:
        raise causes[0]
    if any(mapping != found[0][1] for _, mapping in found):
        memories = ", ".join(memory.name for memory in target.arch.memories)
        raise target.error(
            f"levels {', '.join(describe(name) for name, _ in names)} may be listed outermost "
            f"first or innermost first, and make different mappings; expected the names of the "
            f"memories of {target.arch.name}: {memories}",
            names[0][1],
        )
    positions, mapping = found[0]
    announce(target, positions)
    return mapping


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
    agreeing = [positions for positions in found if other_kind(target, positions) is None]
    found = agreeing or found
    if len(found) == 2:
        outermost_first = _outward(names[0][0]) - _outward(names[-1][0])
        if outermost_first:
            found = found[:1] if outermost_first > 0 else found[1:]
    if len(found) == 1 and not agreeing:
        raise mismatch(target, names, found[0], other_kind(target, found[0]) or "")
    return found


def _outward(name: str) -> int:
    """1 for what is called like memory off the chip, -1 for what is called like registers."""
    return {"off the chip": 1, "registers": -1}.get(level_kind(name), 0)
