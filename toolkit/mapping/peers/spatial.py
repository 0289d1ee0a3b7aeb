"""Where the spatial loops of other tools run on an architecture of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory, Spatial
from toolkit.errors import MappingError
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.peers.loops import Loop, Target


def spatial_positions(arch: Architecture, memory: int | None = None) -> tuple[int, ...]:
    """Positions of the spatial levels that may unroll something, outermost first.

    Parameters
    ----------
    arch : Architecture
        Where to look.
    memory : int, optional
        Only those directly inside the memory at this position.
    """
    positions = []
    for i in range(0 if memory is None else memory + 1, len(arch.levels)):
        level = arch.levels[i]
        if isinstance(level, Memory):
            if memory is not None:
                break
        elif level.dimensions:
            positions.append(i)
    return tuple(positions)


def check_no_hidden_unrolling(factors: IntArray, arch: Architecture) -> None:
    """Refuse to write factors of a spatial level that unrolls nothing: readers skip it.

    Raises
    ------
    MappingError
        Naming the level.
    """
    for level, row in zip(arch.levels, factors, strict=True):
        if not isinstance(level, Memory) and not level.dimensions and row.max() > 1:
            raise MappingError(
                f"{level.name} may unroll nothing, so its factors cannot be written",
                source=arch.name,
            )


def check_spatial(target: Target, position: int, loop: Loop, place: str) -> None:
    """Refuse a spatial loop that the level at `position` can never unroll."""
    level = target.arch.levels[position]
    if not isinstance(level, Memory) and loop.dimension not in level.dimensions:
        raise target.error(
            f"{place}: spatial loop {loop.text} unrolls {loop.dimension} over {level.name}, "
            f"which may unroll {', '.join(level.dimensions) or 'nothing'}",
            loop.line,
        )


def place_spatial(
    target: Target,
    rows: Sequence[list[Loop]],
    memory: int,
    loops: Mapping[str, Sequence[Loop]],
    place: str,
) -> None:
    """Put the spatial loops of a memory on the fanouts directly inside of it.

    Parameters
    ----------
    target : Target
        What is read.
    rows : sequence of list of Loop
        Per level; extended.
    memory : int
        Position of the memory.
    loops : mapping of str to sequence of Loop
        By axis: with two fanouts, those of ``X`` run on the outer and those of ``Y`` on the inner
        one, and those of any other key wherever they can.
    place : str
        How messages call the level.

    Raises
    ------
    MappingError
        If there is no fanout, or none for the dimension of a loop.
    """
    everything = [loop for along in loops.values() for loop in along]
    if not everything:
        return
    inside = spatial_positions(target.arch, memory)
    if not inside:
        raise target.error(
            f"{place}: spatial loop {everything[0].text}, but no fanout lies directly inside of "
            f"{target.arch.levels[memory].name} in {target.arch.name}",
            everything[0].line,
        )
    named = all(axis in ("X", "Y") for axis, along in loops.items() if along)
    if len(inside) == 1 or (len(inside) == 2 and named):
        for axis, along in loops.items():
            position = inside[-1] if axis == "Y" else inside[0]
            for loop in along:
                check_spatial(target, position, loop, place)
            rows[position].extend(along)
        return
    for position, spread in spread_spatial(target, everything, inside).items():
        rows[position].extend(spread)


def spread_spatial(
    target: Target, loops: Sequence[Loop], positions: Sequence[int]
) -> dict[int, list[Loop]]:
    """Put spatial loops on spatial levels that list their dimensions and have room for them.

    The peer does not say which loop runs on which level: each goes as far out as all others
    allow.

    Parameters
    ----------
    target : Target
        What is read.
    loops : sequence of Loop
        In the text's order.
    positions : sequence of int
        Positions of the levels to choose from, outermost first.

    Raises
    ------
    MappingError
        If there is no way to place them all.
    """
    levels = [target.arch.levels[i] for i in positions]
    spatial = [level for level in levels if not isinstance(level, Memory)]
    found: list[int] | None = None
    if prod(loop.factor for loop in loops) <= prod(level.mesh for level in spatial):
        found = _spread(loops, spatial, 0, tuple(1 for _ in spatial), set())
    if found is None:
        listed = "; ".join(
            f"{level.name} unrolls {', '.join(level.dimensions)} up to {level.mesh} instances"
            for level in spatial
        )
        texts = ", ".join(loop.text for loop in loops[:10])
        raise target.error(
            f"spatial loops {texts} cannot be placed on {target.arch.name}: "
            f"{listed or 'nothing there unrolls any dimension'}",
            loops[0].line,
        )
    placed: dict[int, list[Loop]] = {}
    for loop, choice in zip(loops, found, strict=True):
        placed.setdefault(positions[choice], []).append(loop)
    return placed


def _spread(
    loops: Sequence[Loop],
    levels: Sequence[Spatial],
    number: int,
    used: tuple[int, ...],
    dead: set[tuple[int, tuple[int, ...]]],
) -> list[int] | None:
    """Depth first; as every loop at least doubles `used`, the meshes bound the depth."""
    if number == len(loops):
        return []
    if (number, used) in dead:
        return None
    loop = loops[number]
    for i, level in enumerate(levels):
        if loop.dimension in level.dimensions and used[i] * loop.factor <= level.mesh:
            grown = (*used[:i], used[i] * loop.factor, *used[i + 1 :])
            rest = _spread(loops, levels, number + 1, grown, dead)
            if rest is not None:
                return [i, *rest]
    dead.add((number, used))
    return None
