"""Where fused tensors live: the fusion level, and the architecture as a fused layer sees it."""

from __future__ import annotations

from dataclasses import replace

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Fanout, Memory
from toolkit.errors import ArchitectureError
from toolkit.fusion.homes import Homes
from toolkit.records import suggest

_ACTIVATIONS = ("input", "output")


def fusion_levels(arch: Architecture) -> tuple[Memory, ...]:
    """Memories that can hold fused tensors, outermost first.

    They are on chip, are not repeated by a fanout, and hold inputs or outputs.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> [memory.name for memory in fusion_levels(load_arch("eyeriss-conv"))]
    ['GlobalBuffer']
    """
    found = []
    for level in arch.levels[1:]:
        if isinstance(level, Fanout):
            break
        if isinstance(level, Memory) and not set(_ACTIVATIONS) <= set(level.bypasses):
            found.append(level)
    return tuple(found)


def fusion_level(arch: Architecture, name: str | None = None) -> Memory:
    """Return the memory that holds fused tensors, the outermost one that can by default.

    Raises
    ------
    ArchitectureError
        If there is none, or the one that is named does not exist or cannot hold them.
    """
    able = fusion_levels(arch)
    known = [level.name for level in arch.levels]
    if name is None:
        if not able:
            raise ArchitectureError(
                "no memory on chip and outside of all fanouts holds inputs or outputs, "
                "so that no tensor can stay there",
                source=arch.name,
            )
        return able[0]
    if name not in known:
        raise ArchitectureError(
            f"no level {name!r}{suggest(name, known)}; levels: {', '.join(known)}",
            source=arch.name,
            key="fusion level",
        )
    for memory in able:
        if memory.name == name:
            return memory
    raise ArchitectureError(
        f"{name!r} {_obstacle(arch, name)}; it cannot hold fused tensors"
        + (f", {' or '.join(m.name for m in able)} can" if able else ""),
        source=arch.name,
        key="fusion level",
    )


def _obstacle(arch: Architecture, name: str) -> str:
    place = next(i for i, level in enumerate(arch.levels) if level.name == name)
    level = arch.levels[place]
    if not isinstance(level, Memory):
        return "is no memory"
    if place == 0:
        return "is the outermost memory"
    if any(isinstance(outer, Fanout) for outer in arch.levels[:place]):
        return "is repeated by a fanout"
    return "holds neither inputs nor outputs"


def capacity_words(memory: Memory, most: int) -> int:
    """Words that fused tensors and weights may take; `most` if the memory is unlimited.

    Its `multiple_buffering` is left out: what must be there twice is counted twice.
    """
    return most if memory.capacity_words is None else memory.capacity_words


def fused_arch(arch: Architecture, homes: Homes) -> Architecture:
    """The architecture for a layer some of whose operands are on chip as a whole.

    Memories outside of an operand's home bypass it, and its home holds it whatever it holds
    otherwise. Memories that the group uses have no capacity here, because all that a group keeps
    on them is counted at once, and other tensors pass them by: no room is set aside for those.

    Parameters
    ----------
    homes : Homes
        Which operand is where.
    """
    places = {level.name: place for place, level in enumerate(arch.levels)}
    levels = list(arch.levels)
    for place, level in enumerate(arch.levels):
        if not isinstance(level, Memory):
            continue
        bypasses = list(level.bypasses)
        for role, home in homes.levels:
            elsewhere = level.name in homes.used and home != level.name
            if (place < places[home] or elsewhere) and role not in bypasses:
                bypasses.append(role)
            elif home == level.name and role in bypasses:
                bypasses.remove(role)
        if level.name in homes.used:
            if "weight" not in homes.roles and "weight" not in bypasses:
                bypasses.append("weight")
            level = replace(level, capacity_words=None)
        levels[place] = replace(level, bypasses=tuple(bypasses))
    return replace(arch, levels=tuple(levels))
