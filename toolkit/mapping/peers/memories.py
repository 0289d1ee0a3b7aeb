"""Memories and tensors as other tools name them: which is meant, and who holds what there."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence

from toolkit.arch.architecture import Architecture, holds, may_bypass
from toolkit.arch.levels import Memory
from toolkit.errors import MappingError
from toolkit.mapping.peers.loops import Target
from toolkit.messages import describe, suggest
from toolkit.workload.kernel import Tensor

_OFF_CHIP = re.compile(r"dram|ddr|hbm|^main|off.?chip|backing", re.IGNORECASE)
_REGISTERS = re.compile(r"reg(?!ion)|(?:^|[^a-z])rf(?:$|[^a-z])", re.IGNORECASE)
_BUFFER = re.compile(
    r"buf|sram|glb|global|scratch|cache|(?:^|[^a-z])l[1-3](?:$|\W)", re.IGNORECASE
)


def memory_positions(arch: Architecture) -> tuple[int, ...]:
    """Positions of the memories among the levels, outermost first."""
    return tuple(i for i, level in enumerate(arch.levels) if isinstance(level, Memory))


def tensors_called(target: Target, word: str, place: str, line: int) -> tuple[Tensor, ...]:
    """Find the tensors that `word` names: by name, role (``Weights``) or initial (``W``)."""
    wanted = word.casefold()
    by_name = tuple(t for t in target.workload.tensors if t.name.casefold() == wanted)
    if by_name:
        return by_name
    by_role = tuple(
        t for t in target.workload.tensors if wanted in (t.role, f"{t.role}s", t.role[0])
    )
    if not by_role:
        known = [tensor.name for tensor in target.workload.tensors]
        raise target.error(
            f"{place}: unknown tensor {describe(word)}{suggest(word, known)}; "
            f"{target.workload.name} has {', '.join(known)}",
            line,
        )
    return by_role


def check_kept(
    target: Target, memory: Memory, words: Iterable[str], place: str, line: int
) -> set[str]:
    """Refuse a list of tensors kept at a memory that bypasses one of them; return its tensors."""
    kept: set[str] = set()
    for word in words:
        held = {t.name for t in tensors_called(target, word, place, line) if holds(memory, t)}
        if not held:
            raise target.error(
                f"{place}: keeps {word} in {memory.name}, which bypasses it in {target.arch.name}",
                line,
            )
        kept |= held
    return kept


def left_out(
    target: Target, memory: Memory, words: Iterable[str], place: str, line: int
) -> tuple[str, ...] | None:
    """Read a list of all tensors at a memory as what a mapping bypasses there.

    Returns
    -------
    tuple of str or None
        As `LevelMapping.bypasses`: None if the list is what the architecture holds there.

    Raises
    ------
    MappingError
        If the architecture bypasses one of the tensors, or does not permit to leave one out.
    """
    kept = check_kept(target, memory, words, place, line)
    missing = {
        tensor.name: f"does not keep {tensor.name} in"
        for tensor in target.workload.tensors
        if holds(memory, tensor) and tensor.name not in kept
    }
    return chosen_bypasses(target, memory, missing, place, line)


def chosen_bypasses(
    target: Target, memory: Memory, missing: Mapping[str, str], place: str, line: int
) -> tuple[str, ...] | None:
    """List all tensors that a memory bypasses if it leaves out some that it may hold.

    Parameters
    ----------
    target, memory : Target, Memory
        What is read, and where in the architecture.
    missing : mapping of str to str
        What the text does, for messages, by name of a tensor that the architecture holds there.
    place, line : str, int
        How messages call the place.

    Raises
    ------
    MappingError
        If the architecture does not permit it.
    """
    tensors = target.workload.tensors
    permitted = [t.name for t in tensors if may_bypass(memory, t)]
    for name, does in missing.items():
        if name not in permitted:
            raise target.error(
                f"{place}: {does} {memory.name}, which holds it in {target.arch.name}; "
                f"there a mapping may leave out {', '.join(permitted) or 'nothing'} (may_bypass)",
                line,
            )
    if not missing:
        return None
    return tuple(t.name for t in tensors if t.name in missing or not holds(memory, t))


def named_memories(target: Target, names: Sequence[tuple[str, int]]) -> dict[str, int | None]:
    """Find the memory of each name, upper or lower case; None where there is none."""
    positions = memory_positions(target.arch)
    memories = [target.arch.levels[i].name for i in positions]
    folded = {name.casefold(): i for name, i in zip(memories, positions, strict=True)}
    # Names that differ only in upper and lower case are told apart when written exactly.
    exact = dict(zip(memories, positions, strict=True))
    return {name: exact.get(name, folded.get(name.casefold())) for name, _ in names}


def match_memories(target: Target, names: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Find the memory that each name stands for.

    Parameters
    ----------
    target : Target
        What is read.
    names : sequence of (name, line)
        Distinct names, in the text's order.

    Returns
    -------
    dict
        Position among the levels by name: the memory of that name, upper or lower case; if some
        name is not a memory's, the names are taken to list all memories, outermost first, and a
        warning says which stands for which.

    Raises
    ------
    MappingError
        If neither can be, or a name tells another kind of memory than the one in its place.
    """
    positions = memory_positions(target.arch)
    memories = [target.arch.levels[i].name for i in positions]
    found = named_memories(target, names)
    unknown = [(name, line) for name, line in names if found[name] is None]
    if not unknown:
        return {name: i for name, i in found.items() if i is not None}
    in_place = all(
        found[name] in (None, i) for (name, _), i in zip(names, positions, strict=False)
    )
    if len(names) == len(positions) and in_place:
        matched = {name: i for (name, _), i in zip(names, positions, strict=True)}
        other = other_kind(target, matched)
        if other is not None:
            raise mismatch(target, names, matched, other)
        announce(target, matched)
        return matched
    name, line = unknown[0]
    count = f"{len(names)} levels are named here; " if len(names) > 1 else ""
    raise target.error(
        f"unknown level {describe(name)}{suggest(name, memories)}; {count}{target.arch.name} has "
        f"{len(memories)} memories, outermost first: {', '.join(memories)}",
        line,
    )


def level_kind(name: str) -> str:
    """Tell from its name what kind of memory a level is; nothing if that does not tell.

    Examples
    --------
    >>> level_kind("LPDDR4"), level_kind("PE_RF"), level_kind("GlobalBuffer"), level_kind("A")
    ('off the chip', 'registers', 'a buffer', '')
    """
    if _OFF_CHIP.search(name):
        return "off the chip"
    if _REGISTERS.search(name):
        return "registers"
    return "a buffer" if _BUFFER.search(name) else ""


def other_kind(target: Target, matched: Mapping[str, int]) -> str | None:
    """Find a name that tells another kind of memory than the one that it is matched to."""
    kinds = {i: level_kind(target.arch.levels[i].name) for i in matched.values()}
    for name, i in matched.items():
        told = level_kind(name)
        if not told or not kinds[i] or told == kinds[i]:
            continue
        # A small buffer may well be called registers, but not where registers are elsewhere.
        elsewhere = told == "registers" and told in kinds.values()
        if elsewhere or "off the chip" in (told, kinds[i]):
            return name
    return None


def mismatch(
    target: Target, names: Sequence[tuple[str, int]], matched: Mapping[str, int], name: str
) -> MappingError:
    """Build the exception for a name of another kind."""
    memories = ", ".join(memory.name for memory in target.arch.memories)
    return target.error(
        f"level {describe(name)} would stand for {target.arch.levels[matched[name]].name}, but "
        f"its name says {level_kind(name)}; expected the names of the memories of "
        f"{target.arch.name}: {memories}",
        dict(names)[name],
    )


def announce(target: Target, matched: Mapping[str, int]) -> None:
    """Warn which memories stand for levels of other names: only people can tell if that is so."""
    levels = target.arch.levels
    renamed = [
        f"{name} for {levels[i].name}"
        for name, i in matched.items()
        if name.casefold() != levels[i].name.casefold()
    ]
    if renamed:
        place = f"{target.source}: " if target.source else ""
        warnings.warn(
            f"{place}levels of other names stand for those of {target.arch.name}, in their "
            f"order: {', '.join(renamed)}",
            stacklevel=2,
        )
