"""Loops as other tools write them, on their way to a mapping of ours.

Every reader of a peer's format ends here: its loops, each with its text and line, are put on the
levels of the architecture and checked together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Level, Memory
from toolkit.errors import MappingError
from toolkit.mapping.factors import SIZE_LIMIT
from toolkit.mapping.mapping import LevelMapping
from toolkit.mapping.mapping import Mapping as ToolkitMapping
from toolkit.mapping.orders import order_rule
from toolkit.messages import describe, shown, suggest
from toolkit.workload.kernel import Tensor, Workload

Names = Mapping[str, str | None]
"""A peer's names of dimensions and ours; None where the workload has no such dimension."""

_DIGITS = re.compile(r"[0-9]{1,17}")


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop of more than one iteration.

    Parameters
    ----------
    dimension : str
        The workload's name of it.
    factor : int
        Iterations.
    text : str
        How the file wrote it.
    line : int
        Where, from 1.
    """

    dimension: str
    factor: int
    text: str
    line: int


def merged(loops: Sequence[Loop]) -> list[Loop]:
    """Make one loop of adjacent loops over the same dimension."""
    found: list[Loop] = []
    for loop in loops:
        if found and found[-1].dimension == loop.dimension:
            last = found.pop()
            loop = replace(last, factor=last.factor * loop.factor)
        found.append(loop)
    return found


@dataclass(frozen=True, slots=True)
class Target:
    """What a text is read for, and how messages call the text."""

    arch: Architecture
    workload: Workload
    source: str | None

    def error(self, message: str, line: int | None = None) -> MappingError:
        """Build the exception for a mistake on `line`."""
        return MappingError(message, source=self.source, key=f"line {line}" if line else None)

    def factor(self, given: object, text: str, line: int) -> int:
        """Read the iterations of the loop that is written as `text`."""
        digits = str(given) if isinstance(given, str | int) else ""
        if isinstance(given, bool) or not _DIGITS.fullmatch(digits):
            raise self.error(f"{text}: expected a positive integer, got {describe(given)}", line)
        if not 1 <= int(digits) < SIZE_LIMIT:
            raise self.error(f"{text}: expected an integer from 1 to 2^53 - 1", line)
        return int(digits)

    def loop(
        self, names: Names, name: str, given: object, text: str, line: int
    ) -> tuple[Loop, ...]:
        """Read one loop; no loop at all if it iterates once."""
        factor = self.factor(given, text, line)
        dimension = self.dimension(names, name, text, line)
        if factor == 1:
            return ()
        if dimension is None:
            raise self.error(
                f"{text}: {self.workload.name} has no dimension that {name} stands for, "
                f"so it may only iterate once; its dimensions are {', '.join(self._sizes())}",
                line,
            )
        return (Loop(dimension, factor, text, line),)

    def dimension(self, names: Names, name: str, text: str, line: int) -> str | None:
        """Translate a dimension's name."""
        if name not in names:
            known = [theirs for theirs, ours in names.items() if ours is not None]
            raise self.error(
                f"{text}: unknown dimension {describe(name)}{suggest(name, known)}; "
                f"expected one of {', '.join(known)} for the dimensions "
                f"{', '.join(self._sizes())} of {self.workload.name}",
                line,
            )
        return names[name]

    def _sizes(self) -> list[str]:
        return [f"{d} = {size}" for d, size in self.workload.sizes.items()]


def is_word(name: str) -> bool:
    """Whether `name` can be written as a dimension of a peer's."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name) is not None


def written_names(
    arch: Architecture, workload: Workload, names: Names, tool: str
) -> tuple[str, ...]:
    """Translate the workload's dimensions to a peer's names, in the workload's order.

    Raises
    ------
    MappingError
        If a dimension or a level has a name that its syntax cannot express.
    """
    theirs: dict[str, str] = {}
    for name, ours in names.items():
        # Of two names for the same dimension the later one is the peer's own.
        if ours is not None:
            theirs[ours] = name
    for dimension in workload.dimensions:
        if not is_word(theirs[dimension]):
            raise MappingError(
                f"dimension {describe(dimension)} cannot be written for {tool}; expected "
                "letters, digits and _",
                source=workload.name,
            )
    for level in arch.levels:
        if not level.name.isprintable() or level.name != level.name.strip():
            raise MappingError(
                f"level {describe(level.name)} cannot be written for {tool}", source=arch.name
            )
    return tuple(theirs[d] for d in workload.dimensions)


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


def check_held(
    target: Target, memory: Memory, words: Iterable[str], place: str, line: int
) -> None:
    """Refuse a list of all tensors at a memory unless it is what the architecture holds there."""
    kept = check_kept(target, memory, words, place, line)
    for tensor in target.workload.tensors:
        if holds(memory, tensor) and tensor.name not in kept:
            raise target.error(
                f"{place}: does not keep {tensor.name} in {memory.name}, which holds it in "
                f"{target.arch.name}",
                line,
            )


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
        name is not a memory's, the names are taken to list all memories, outermost first.

    Raises
    ------
    MappingError
        If neither can be.
    """
    positions = memory_positions(target.arch)
    memories = [target.arch.levels[i].name for i in positions]
    folded = {name.casefold(): i for name, i in zip(memories, positions, strict=True)}
    # Names that differ only in upper and lower case are told apart when written exactly.
    exact = dict(zip(memories, positions, strict=True))
    found = {name: exact.get(name, folded.get(name.casefold())) for name, _ in names}
    unknown = [(name, line) for name, line in names if found[name] is None]
    if not unknown:
        return {name: i for name, i in found.items() if i is not None}
    in_place = all(
        found[name] in (None, i) for (name, _), i in zip(names, positions, strict=False)
    )
    if len(names) == len(positions) and in_place:
        return {name: i for (name, _), i in zip(names, positions, strict=True)}
    name, line = unknown[0]
    count = f"{len(names)} levels are named here; " if len(names) > 1 else ""
    raise target.error(
        f"unknown level {describe(name)}{suggest(name, memories)}; {count}{target.arch.name} has "
        f"{len(memories)} memories, outermost first: {', '.join(memories)}",
        line,
    )


def assemble(target: Target, rows: Sequence[Sequence[Loop]]) -> ToolkitMapping:
    """Make a mapping of the loops on every level.

    Parameters
    ----------
    target : Target
        What is read.
    rows : sequence of sequence of Loop
        Per level, outermost loop first.

    Raises
    ------
    MappingError
        If a dimension is looped over twice at a level, or its factors do not multiply to its
        size.
    """
    levels = target.arch.levels
    factors = [_level_factors(target, level, row) for level, row in zip(levels, rows, strict=True)]
    check_products(target, [loop for row in rows for loop in row])
    dimensions = target.workload.dimensions
    mapping = []
    for level, row, given in zip(levels, rows, factors, strict=True):
        order: tuple[str, ...] = ()
        if isinstance(level, Memory):
            order = _full_order(level, dimensions, tuple(loop.dimension for loop in row))
        mapping.append(LevelMapping(level.name, tuple(given.items()), order))
    return ToolkitMapping(tuple(mapping))


def _level_factors(target: Target, level: Level, row: Sequence[Loop]) -> dict[str, int]:
    factors = dict.fromkeys(target.workload.dimensions, 1)
    for loop in row:
        if factors[loop.dimension] != 1:
            raise target.error(
                f"{level.name}: {loop.text} is a second loop over {loop.dimension} there; "
                "a level has one loop per dimension",
                loop.line,
            )
        factors[loop.dimension] = loop.factor
    return factors


@lru_cache(maxsize=4096)
def _full_order(
    memory: Memory, dimensions: tuple[str, ...], wanted: tuple[str, ...]
) -> tuple[str, ...]:
    rule = order_rule(memory, dimensions)
    return tuple(dimensions[d] for d in rule.complete([dimensions.index(d) for d in wanted]))


def check_products(target: Target, loops: Iterable[Loop]) -> None:
    """Refuse loops whose factors do not multiply to the sizes of the workload.

    Raises
    ------
    MappingError
        Naming product, size and the loops.
    """
    by_dimension: dict[str, list[Loop]] = {d: [] for d in target.workload.dimensions}
    for loop in loops:
        by_dimension[loop.dimension].append(loop)
    for dimension, found in by_dimension.items():
        size, product = target.workload.sizes[dimension], prod(loop.factor for loop in found)
        if product == size:
            continue
        if not found:
            raise target.error(f"no loop over {dimension}, but {dimension} is {size}")
        parts = " and ".join(
            loop.text if loop.line == found[0].line else f"{loop.text} (line {loop.line})"
            for loop in found[:9]
        )
        raise target.error(
            f"factors of {dimension} multiply to {shown(product)} but {dimension} is {size}: "
            f"{parts}{' and more' if len(found) > 9 else ''}",
            found[0].line,
        )
