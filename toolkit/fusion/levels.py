"""Where fused tensors live: the fusion level, and the architecture as a fused layer sees it."""

from __future__ import annotations

from dataclasses import replace

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Fanout, Memory
from toolkit.errors import ArchitectureError
from toolkit.records import suggest
from toolkit.workload.kernel import Role

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


def fused_arch(arch: Architecture, level: str, roles: frozenset[Role]) -> Architecture:
    """The architecture for a layer some of whose operands are on the fusion level as a whole.

    Memories outside of it bypass these operands, and it holds them whatever it holds otherwise.
    It has no capacity there, because all that a group keeps on it is counted at once, and it
    bypasses weights that do not stay there: no room is set aside for them.

    Parameters
    ----------
    level : str
        Name of the fusion level.
    roles : frozenset of {"input", "weight", "output"}
        Operands that are there.
    """
    place = next(i for i, entry in enumerate(arch.levels) if entry.name == level)
    levels = list(arch.levels)
    for i in range(place):
        outer = levels[i]
        if isinstance(outer, Memory):
            bypasses = (*outer.bypasses, *sorted(roles - set(outer.bypasses)))
            levels[i] = replace(outer, bypasses=bypasses)
    memory = levels[place]
    if isinstance(memory, Memory):
        kept = tuple(name for name in memory.bypasses if name not in roles)
        added = () if "weight" in roles or "weight" in kept else ("weight",)
        levels[place] = replace(memory, bypasses=(*kept, *added), capacity_words=None)
    return replace(arch, levels=tuple(levels))
