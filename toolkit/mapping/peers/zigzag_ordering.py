"""The loop orderings that ZigZag prints and saves as ``loop_ordering.txt``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from toolkit.arch.architecture import holds
from toolkit.arch.levels import Memory
from toolkit.mapping.peers.loops import (
    Loop,
    Names,
    Target,
    match_memories,
    memory_positions,
    tensors_called,
)
from toolkit.mapping.peers.spatial import spatial_positions, spread_spatial
from toolkit.mapping.peers.zigzag_allocation import merged
from toolkit.workload.kernel import Tensor
from toolkit.yaml_files import describe

_TITLE = re.compile(r"Loop ordering for ([^;]*);?.*")
_HEADING = re.compile(r"(Temporal|Spatial) Loops(.*)")
_FOR = re.compile(r"(for|parfor)\s+(\w+)\s+in\s+\[\s*0\s*,\s*([^\s,)]+)\s*\)\s*:(.*)")


@dataclass(frozen=True, slots=True)
class _Ordering:
    """One printed ordering: numbered lines below its title."""

    name: str
    line: int
    lines: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Column:
    """The tensors whose memories one column names, and those memories once looked up."""

    word: str
    tensors: tuple[Tensor, ...]
    memories: dict[str, int] = field(default_factory=dict)


def ordering_rows(text: str, target: Target, names: Names) -> list[list[Loop]]:
    """Read the loops of every level, outermost first.

    Raises
    ------
    MappingError
        Naming source, line and loop.
    """
    columns: list[_Column] = []
    temporal: list[tuple[Loop, dict[str, int]]] = []
    spatial: list[Loop] = []
    for number, line in _chosen(text, target).lines:
        if heading := _HEADING.fullmatch(line):
            if heading[1] == "Temporal":
                columns = [
                    _Column(word, tensors_called(target, word, "Temporal Loops", number))
                    for word in heading[2].split()
                ]
        elif found := _FOR.fullmatch(line):
            label = line.partition(":")[0]
            loops = target.loop(names, found[2], found[3], label, number)
            if found[1] == "parfor":
                spatial.extend(loops)
            else:
                temporal.extend(
                    (loop, _memories(target, columns, found[4].split(), loop)) for loop in loops
                )
        elif line.strip("=-"):
            raise target.error(
                f"{describe(line)} is not a loop such as 'for K in [0, 4):' with its memories",
                number,
            )
    rows = _allocated(target, temporal)
    if spatial:
        spread = spread_spatial(target, spatial, spatial_positions(target.arch))
        for position, loops_there in spread.items():
            rows[position] = _united(loops_there)
    return rows


def _chosen(text: str, target: Target) -> _Ordering:
    found: list[_Ordering] = []
    for number, whole in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        line = whole.strip()
        title = _TITLE.fullmatch(line)
        if title is not None:
            found.append(_Ordering(title[1].strip(), number))
        elif line:
            if not found:
                found.append(_Ordering("", number))
            found[-1].lines.append((number, line))
    named = [ordering for ordering in found if ordering.name == target.workload.name]
    if len(found) == 1 or len(named) == 1:
        return (named or found)[0]
    raise target.error(
        f"{len(named)} of {len(found)} loop orderings are for {target.workload.name}, expected "
        f"one; found {', '.join(describe(o.name) for o in found[:12])}",
        named[1].line if named else None,
    )


def _memories(
    target: Target, columns: list[_Column], words: list[str], loop: Loop
) -> dict[str, int]:
    """Find, for every tensor that the loop indexes, the position of its memory."""
    if len(words) != len(columns) or not words:
        expected = ", ".join(column.word for column in columns) or "a heading 'Temporal Loops'"
        raise target.error(
            f"{loop.text}: {len(words)} memories for {len(columns)} tensors ({expected})",
            loop.line,
        )
    found: dict[str, int] = {}
    for column, word in zip(columns, words, strict=True):
        if word not in column.memories:
            column.memories[word] = match_memories(target, [(word, loop.line)])[word]
        for tensor in column.tensors:
            if loop.dimension in tensor.dimensions:
                found[tensor.name] = column.memories[word]
    return found


def _allocated(target: Target, temporal: list[tuple[Loop, dict[str, int]]]) -> list[list[Loop]]:
    """Put every loop as far inside as the memories of its tensors and the loops inside allow."""
    rows: list[list[Loop]] = [[] for _ in target.arch.levels]
    inside_out = memory_positions(target.arch)[::-1]
    tensors = {tensor.name: tensor for tensor in target.workload.tensors}
    current = 0
    for loop, wanted in reversed(temporal):
        fitting = [
            n
            for n in range(current, len(inside_out))
            if all(
                _home(target, inside_out[n], tensors[name]) == position
                for name, position in wanted.items()
            )
        ]
        if not fitting:
            levels = target.arch.levels
            places = ", ".join(f"{name} in {levels[i].name}" for name, i in wanted.items())
            raise target.error(
                f"{loop.text}: no memory of {target.arch.name} from "
                f"{levels[inside_out[current]].name} outwards can iterate it with {places} "
                "(an uneven mapping); here a memory has the same loops for all tensors",
                loop.line,
            )
        current = fitting[0]
        row = rows[inside_out[current]]
        row[:] = merged([loop, *row])
    return rows


def _home(target: Target, position: int, tensor: Tensor) -> int | None:
    """Position of the memory whose tile of `tensor` grows with a loop at `position`."""
    for i in range(position, -1, -1):
        level = target.arch.levels[i]
        if isinstance(level, Memory) and holds(level, tensor):
            return i
    return None


def _united(loops: list[Loop]) -> list[Loop]:
    """Make one loop of all spatial loops over the same dimension; their order has no meaning."""
    return merged(sorted(loops, key=lambda loop: loop.dimension))
