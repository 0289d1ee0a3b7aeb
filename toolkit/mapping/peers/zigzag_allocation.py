"""From one order of loops to the memories they belong to, the same for all tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from toolkit.arch.architecture import holds
from toolkit.arch.levels import Memory
from toolkit.mapping.bounds import word_limit
from toolkit.mapping.footprint import exact_tensor_words
from toolkit.mapping.peers.loops import Loop, Target, memory_positions


@dataclass(frozen=True, slots=True)
class Placed:
    """A loop and the position of its memory; None where the text does not say."""

    loop: Loop
    memory: int | None


def merged(loops: Sequence[Loop]) -> list[Loop]:
    """Make one loop of adjacent loops over the same dimension."""
    found: list[Loop] = []
    for loop in loops:
        if found and found[-1].dimension == loop.dimension:
            last = found.pop()
            loop = replace(last, factor=last.factor * loop.factor)
        found.append(loop)
    return found


def allocate(target: Target, rows: list[list[Loop]], loops: Sequence[Placed]) -> None:
    """Put temporal loops on memories, as `toolkit.mapping.peers.zigzag` describes.

    Parameters
    ----------
    target : Target
        What is read.
    rows : list of list of Loop
        Per level, outermost first; holds the spatial loops and is extended by the others.
    loops : sequence of Placed
        Innermost first.

    Raises
    ------
    MappingError
        If a mark lies inside of the memory of a loop further inside.
    """
    inside_out = memory_positions(target.arch)[::-1]
    current = 0
    for placed in loops:
        loop = placed.loop
        if placed.memory is None:
            current = next(
                (
                    n
                    for n in range(current, len(inside_out))
                    if _admits(target, rows, inside_out[n], loop)
                    and all(_fits(target, rows, m, loop) for m in inside_out[n:])
                ),
                len(inside_out) - 1,
            )
        else:
            wanted = inside_out.index(placed.memory)
            if wanted < current:
                levels = target.arch.levels
                raise target.error(
                    f"{loop.text} at {levels[placed.memory].name} is outside of a loop at "
                    f"{levels[inside_out[current]].name}, which is further out in "
                    f"{target.arch.name}",
                    loop.line,
                )
            current = wanted
        row = rows[inside_out[current]]
        # Outermost first, so that the next loop goes to the front.
        row[:] = merged([loop, *row])


def _admits(target: Target, rows: list[list[Loop]], position: int, loop: Loop) -> bool:
    """Whether the memory may iterate that much, in one loop per dimension."""
    memory = target.arch.levels[position]
    row = rows[position]
    there = next((other.factor for other in row if other.dimension == loop.dimension), 1)
    if there > 1 and row[0].dimension != loop.dimension:
        return False
    return isinstance(memory, Memory) and all(
        there * loop.factor <= constraint.value
        for constraint in memory.constraints
        if constraint.dimension == loop.dimension and constraint.relation != ">="
    )


def _fits(target: Target, rows: list[list[Loop]], position: int, loop: Loop) -> bool:
    """Whether the tiles at a memory still fit with `loop` at it or further inside."""
    memory = target.arch.levels[position]
    limit = word_limit(memory) if isinstance(memory, Memory) else None
    if limit is None or not isinstance(memory, Memory):
        return True
    extents = dict.fromkeys(target.workload.dimensions, 1)
    extents[loop.dimension] *= loop.factor
    for row in rows[position:]:
        for other in row:
            extents[other.dimension] *= other.factor
    words = sum(
        exact_tensor_words(tensor, list(extents.values()), target.workload.dimensions, "distinct")
        for tensor in target.workload.tensors
        if holds(memory, tensor)
    )
    return words <= limit
