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

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Level, Memory
from toolkit.errors import MappingError
from toolkit.mapping.factors import SIZE_LIMIT
from toolkit.mapping.last_rounds import last_rounds, reach
from toolkit.mapping.mapping import LevelMapping
from toolkit.mapping.mapping import Mapping as ToolkitMapping
from toolkit.mapping.orders import order_rule
from toolkit.messages import describe, shown, suggest
from toolkit.workload.kernel import Workload

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
    last : int or None
        Iterations in its last round, when all loops over the dimension outside of it are at their
        last iteration; None where the file does not say, so that they are as many as ever.
    """

    dimension: str
    factor: int
    text: str
    line: int
    last: int | None = None


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
        self, names: Names, name: str, given: object, text: str, line: int, last: object = None
    ) -> tuple[Loop, ...]:
        """Read one loop, and its last round if that is given; none at all if it iterates once."""
        factor = self.factor(given, text, line)
        rounds = None if last is None else self.factor(last, text, line)
        dimension = self.dimension(names, name, text, line)
        if factor == 1 and rounds in (None, 1):
            return ()
        if dimension is None:
            raise self.error(
                f"{text}: {self.workload.name} has no dimension that {name} stands for, "
                f"so it may only iterate once; its dimensions are {', '.join(self._sizes())}",
                line,
            )
        return (Loop(dimension, factor, text, line, rounds),)

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


def assemble(
    target: Target,
    rows: Sequence[Sequence[Loop]],
    bypasses: Mapping[int, tuple[str, ...] | None] | None = None,
) -> ToolkitMapping:
    """Make a mapping of the loops on every level.

    Parameters
    ----------
    target : Target
        What is read.
    rows : sequence of sequence of Loop
        Per level, outermost loop first.
    bypasses : mapping of int to tuple of str, optional
        By position of a memory, what the mapping bypasses there; others as the architecture says.

    Raises
    ------
    MappingError
        If a dimension is looped over twice at a level, or its factors do not multiply to its
        size or, with their last rounds, reach it.
    """
    levels = target.arch.levels
    factors = [_level_factors(target, level, row) for level, row in zip(levels, rows, strict=True)]
    check_products(target, [loop for row in rows for loop in row])
    for dimension in target.workload.dimensions:
        _cut_off(target, dimension, rows, factors)
    dimensions = target.workload.dimensions
    mapping = []
    for i, (level, row, given) in enumerate(zip(levels, rows, factors, strict=True)):
        order: tuple[str, ...] = ()
        if isinstance(level, Memory):
            turning = (loop.dimension for loop in row if given[loop.dimension] > 1)
            order = _full_order(level, dimensions, tuple(turning))
        chosen = (bypasses or {}).get(i)
        mapping.append(LevelMapping(level.name, tuple(given.items()), order, chosen))
    return ToolkitMapping(tuple(mapping))


def _cut_off(
    target: Target,
    dimension: str,
    rows: Sequence[Sequence[Loop]],
    factors: Sequence[dict[str, int]],
) -> None:
    """Check the last rounds over a dimension, and let the outermost loop make nothing else.

    A loop is in its last round when all loops outside of it are at their last iteration, so the
    outermost one always is.
    """
    size = target.workload.sizes[dimension]
    found = [
        (i, loop) for i, row in enumerate(rows) for loop in row if loop.dimension == dimension
    ]
    if all(loop.last is None for _, loop in found):
        return
    given = [loop.factor for _, loop in found]
    last = [loop.factor if loop.last is None else loop.last for _, loop in found]
    for (i, loop), rounds in zip(found, last, strict=True):
        if rounds > loop.factor:
            raise target.error(
                f"{target.arch.levels[i].name}: {loop.text}: the last round over {dimension} has "
                f"{rounds} iterations and the others {loop.factor}; tiles are aligned here, so a "
                "last round has at most as many",
                loop.line,
            )
    covered = reach(given, last)
    if covered != size:
        right = last_rounds(given, size) if prod(given) > size else last
        wrong = [n for n, (a, b) in enumerate(zip(last, right, strict=True)) if a != b]
        i, loop = found[wrong[-1] if wrong else -1]
        hint = f"; tiles of these factors end with {right[wrong[-1]]}" if wrong else ""
        raise target.error(
            f"{target.arch.levels[i].name}: {loop.text}: with their last rounds, the loops over "
            f"{dimension} reach {shown(covered)} but {dimension} is {size}{hint}",
            loop.line,
        )
    for (i, _), rounds in zip(found, last, strict=True):
        factors[i][dimension] = rounds
        if rounds > 1:
            break


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

    Dimensions with a last round are left to `assemble`, which knows the order of their loops.

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
        if product == size or any(loop.last is not None for loop in found):
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
