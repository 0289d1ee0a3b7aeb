"""ZigZag's mapping YAML: one entry per operator, each with spatial and temporal loops."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod

from toolkit.arch.architecture import holds
from toolkit.arch.levels import Memory
from toolkit.arch.packing import footing
from toolkit.errors import MappingError
from toolkit.mapping.bounds import exact_tensor_words, word_limit
from toolkit.mapping.peers.loops import (
    Loop,
    Names,
    Target,
    check_products,
    merged,
)
from toolkit.mapping.peers.memories import match_memories, memory_positions
from toolkit.mapping.peers.spatial import check_spatial, spatial_positions
from toolkit.messages import KeyPath, describe, shown, suggest
from toolkit.peer_files import MarkedYaml, parse_marked

_KEYS = (
    "name",
    "core_allocation",
    "spatial_mapping",
    "spatial_mapping_hint",
    "temporal_ordering",
    "memory_operand_links",
)
_OPERATORS = {
    "conv": ("Conv",),
    "conv1d": ("Conv",),
    "grouped-conv": ("Conv",),
    "depthwise-conv": ("Conv",),
    "gemm": ("Gemm", "MatMul"),
    "batched-gemm": ("MatMul", "Gemm"),
}
_MARK = re.compile(r"-\s*\[[^\[\]]*\]\s*#\s*at\s+(.+)")


@dataclass(frozen=True, slots=True)
class _Entry:
    data: dict[str, object]
    path: KeyPath
    document: MarkedYaml
    target: Target

    def line(self, *path: str | int) -> int:
        return self.document.line(*self.path, *path)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A loop and the position of its memory; None where the text does not say."""

    loop: Loop
    memory: int | None


def yaml_rows(text: str, target: Target, names: Names) -> list[list[Loop]]:
    """Read the loops of every level, outermost first.

    Parameters
    ----------
    text : str
        A YAML document.
    target : Target
        What is read.
    names : mapping
        ZigZag's names of dimensions and ours.

    Raises
    ------
    MappingError
        Naming source, line and loop.
    """
    entry = _chosen(
        parse_marked(text, source=target.source or "mapping", error=MappingError), target
    )
    rows: list[list[Loop]] = [[] for _ in target.arch.levels]
    for position, loops in _spatial(entry, names).items():
        rows[position] = merged(loops)
    temporal = _temporal(entry, names, rows)
    check_products(target, [*chain(*rows), *(placed.loop for placed in temporal)])
    _allocate(target, rows, temporal)
    return rows


def _chosen(document: MarkedYaml, target: Target) -> _Entry:
    data = document.data
    if not isinstance(data, list) or not data:
        raise target.error(
            f"expected a list of entries with name and temporal_ordering, got {describe(data)}",
            1,
        )
    by_name: dict[str, _Entry] = {}
    for i, item in enumerate(data):
        line = document.line(i)
        if not isinstance(item, dict):
            raise target.error(f"expected an entry (a mapping), got {describe(item)}", line)
        name = item.get("name", "default")
        if not isinstance(name, str):
            raise target.error(f"name: expected text, got {describe(name)}", line)
        if name in by_name:
            raise target.error(f"a second entry for {describe(name)}", line)
        by_name[name] = _Entry(item, (i,), document, target)
    workload = target.workload
    wanted = (workload.name, *_OPERATORS.get(workload.kernel, ()), "default")
    found = next((by_name[name] for name in wanted if name in by_name), None)
    if found is None and len(by_name) == 1:
        (found,) = by_name.values()
    if found is None:
        raise target.error(
            f"no entry for {workload.name}; expected one of {', '.join(wanted)}, found "
            f"{', '.join(describe(name) for name in list(by_name)[:12])}"
        )
    for key in found.data:
        if key not in _KEYS:
            raise target.error(
                f"unknown key {describe(key)}{suggest(key, _KEYS)}; "
                f"an entry has {', '.join(_KEYS)}",
                found.line(key),
            )
    return found


def _spatial(entry: _Entry, names: Names) -> dict[int, list[Loop]]:
    target = entry.target
    given = entry.data.get("spatial_mapping")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise target.error(
            f"spatial_mapping: expected loops by array dimension, got {describe(given)}",
            entry.line("spatial_mapping"),
        )
    positions = spatial_positions(target.arch)
    levels = [target.arch.levels[i].name for i in positions]
    known = {f"d{n}": i for n, i in enumerate(positions, 1)}
    known |= {name.casefold(): i for name, i in zip(levels, positions, strict=True)}
    found: dict[int, list[Loop]] = {}
    for key, value in given.items():
        path = ("spatial_mapping", key)
        loops: list[Loop] = []
        for i, (name, factor) in enumerate(_pairs(entry, path, value)):
            size = describe(factor).strip("'")
            text = f"{key}: {name}, {size}"
            loops.extend(target.loop(names, name, factor, text, entry.line(*path, i)))
        position = known.get(key.casefold())
        if position is None and not loops:
            continue
        if position is None or position in found:
            problem = "unknown array dimension" if position is None else "a second entry for"
            listed = ", ".join(f"D{n} ({name})" for n, name in enumerate(levels, 1))
            raise target.error(
                f"spatial_mapping: {problem} {describe(key)}; {target.arch.name} has "
                f"{listed or 'none'}",
                entry.line(*path),
            )
        for loop in loops:
            check_spatial(target, position, loop, "spatial_mapping")
        found[position] = loops
    return found


def _pairs(entry: _Entry, path: KeyPath, value: object) -> list[tuple[str, object]]:
    """Read ``[K, 16]``, ``["K, 16"]``, ``[[K, 16]]`` or nothing as names and factors."""
    items = value if isinstance(value, list) else [] if value is None else [value]
    if len(items) == 2 and isinstance(items[0], str) and isinstance(items[1], int):
        items = [items]
    pairs: list[tuple[str, object]] = []
    for i, item in enumerate(items):
        parts = item.split(",") if isinstance(item, str) else item
        if not isinstance(parts, list) or len(parts) != 2 or not isinstance(parts[0], str):
            raise entry.target.error(
                f"{path[-1]}: expected a loop such as 'K, 16', got {describe(item)}",
                entry.line(*path, i),
            )
        factor = parts[1]
        pairs.append((parts[0].strip(), factor.strip() if isinstance(factor, str) else factor))
    return pairs


def _temporal(entry: _Entry, names: Names, rows: list[list[Loop]]) -> list[_Placed]:
    """Read the temporal loops, innermost first, with the memories that comments name."""
    target, key = entry.target, "temporal_ordering"
    given = entry.data.get(key)
    if given is None:
        raise target.error(
            "no temporal_ordering, so ZigZag would search for one; take the loop ordering it "
            "found (loop_ordering.txt)",
            entry.line(),
        )
    if not isinstance(given, list):
        raise target.error(f"{key}: expected a list of loops, got {describe(given)}", entry.line())
    pairs: list[tuple[str, object]] = []
    for i, item in enumerate(given):
        if not isinstance(item, list) or len(item) != 2 or not isinstance(item[0], str):
            raise target.error(
                f"{key}: expected a loop such as [C, 8], got {describe(item)}", entry.line(key, i)
            )
        pairs.append((item[0], item[1]))
    sizes = _rest(entry, names, pairs, rows)
    placed: list[_Placed] = []
    marks: dict[str, int] = {}
    for i, ((name, _), size) in enumerate(zip(pairs, sizes, strict=True)):
        line = entry.line(key, i)
        mark = _MARK.fullmatch(entry.document.text(*entry.path, key, i).strip())
        for loop in target.loop(names, name, size, f"[{name}, {describe(size)}]", line):
            memory = mark[1].strip() if mark else None
            if memory is not None and memory not in marks:
                marks[memory] = match_memories(target, [(memory, line)])[memory]
            placed.append(_Placed(loop, None if memory is None else marks[memory]))
    return placed


def _rest(
    entry: _Entry, names: Names, pairs: list[tuple[str, object]], rows: list[list[Loop]]
) -> list[object]:
    """Replace sizes of ``*`` by what spatial loops and other temporal ones leave."""
    target, key = entry.target, "temporal_ordering"
    sizes = [size for _, size in pairs]
    starred: dict[str, int] = {}
    for i, (name, size) in enumerate(pairs):
        if size != "*":
            continue
        line = entry.line(key, i)
        if name == "*":
            raise target.error("[*, *] leaves loops open; every loop must be given", line)
        dimension = target.dimension(names, name, f"[{name}, *]", line)
        if dimension is None:
            sizes[i] = 1
            continue
        if dimension in starred:
            raise target.error(f"[{name}, *]: a second * for {name}", line)
        starred[dimension] = i
    for dimension, i in starred.items():
        spatial = prod(loop.factor for row in rows for loop in row if loop.dimension == dimension)
        known = spatial * prod(
            target.factor(size, f"[{name}, {describe(size)}]", entry.line(key, j))
            for j, (name, size) in enumerate(pairs)
            if names.get(name) == dimension and size != "*"
        )
        size = target.workload.sizes[dimension]
        if size % known:
            raise target.error(
                f"[{pairs[i][0]}, *]: the other factors of {dimension} multiply to "
                f"{shown(known)}, which does not divide {dimension} = {size}",
                entry.line(key, i),
            )
        sizes[i] = size // known
    return sizes


def _allocate(target: Target, rows: list[list[Loop]], loops: Sequence[_Placed]) -> None:
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
    room = footing(target.arch, target.workload, memory)
    taken = sum(
        units
        * exact_tensor_words(
            tensor, list(extents.values()), target.workload.dimensions, "distinct"
        )
        for tensor, units in zip(target.workload.tensors, room.units, strict=True)
        if holds(memory, tensor)
    )
    return taken <= limit * room.units_per_word
