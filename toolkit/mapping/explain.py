"""A mapping in words and numbers: the loop nest that it stands for, and the rules it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Compute, Level, Memory
from toolkit.mapping.bounds import Footprint, check_footprint, exact_tensor_words, usable_text
from toolkit.mapping.mapping import Mapping, to_arrays
from toolkit.mapping.space import MapSpace
from toolkit.workload.kernel import Index, Tensor, Workload

_Rows = list[list[int]]


_INDENT = "  "


def violations(space: MapSpace, mapping: Mapping) -> tuple[str, ...]:
    """Name every rule of the space that a mapping breaks, with numbers; empty if it is valid.

    Raises
    ------
    MappingError
        If the mapping does not describe the workload on the architecture.
    """
    factors, order = to_arrays(mapping, space.arch, space.workload)
    rows: _Rows = factors.tolist()
    found = [problem for _, _, problem in broken_products(space, rows)]
    for level, row in zip(space.arch.levels, rows, strict=True):
        found.extend(_constraints(space, level, row))
        if not isinstance(level, Memory):
            found.extend(_spatial(space, level.name, level.mesh, level.dimensions, row))
    found.extend(_capacities(space, rows))
    for m, level_number in enumerate(space.memory_levels):
        if not space.order_rules[m].check(order[level_number][None])[0]:
            memory = space.arch.memories[m]
            given = ", ".join(space.dimensions[d] for d in order[level_number])
            found.append(
                f"{memory.name}: loop order {given} does not follow "
                f"its constraint {', '.join(memory.loop_order)}"
            )
    return tuple(found)


def broken_products(space: MapSpace, rows: _Rows) -> Iterator[tuple[int, str, str]]:
    """Say which dimensions' factors do not make up their sizes: number, name and what is wrong."""
    for d, (dimension, size) in enumerate(space.workload.sizes.items()):
        column = [row[d] for row in rows]
        product = prod(column)
        if product < size or (product > size and space.factors == "perfect"):
            yield (
                d,
                dimension,
                f"factors of {dimension} multiply to {product} but {dimension} is {size}",
            )
        elif product > size and not space.ragged[d]:
            yield (
                d,
                dimension,
                f"factors of {dimension} multiply to {product}, more than its {size}, but "
                "instances that lie apart share its windows, which takes complete tiles",
            )
        elif product > size:
            level, turns = next((i, f) for i, f in enumerate(column) if f > 1)
            tile = product // turns
            if (turns - 1) * tile >= size:
                yield (
                    d,
                    dimension,
                    f"{space.arch.levels[level].name} iterates {turns} times over {dimension} in "
                    f"tiles of {tile}, but {-(-size // tile)} times reach its {size}",
                )


def _constraints(space: MapSpace, level: Level, row: list[int]) -> Iterator[str]:
    factor = dict(zip(space.dimensions, row, strict=True))
    for constraint in level.constraints:
        given = factor.get(constraint.dimension)
        if given is not None and not constraint.allows(given):
            yield (
                f"{level.name}: factor {given} of {constraint.dimension} "
                f"breaks the constraint {constraint}"
            )


def _spatial(
    space: MapSpace, name: str, mesh: int, allowed: tuple[str, ...], row: list[int]
) -> Iterator[str]:
    for dimension, factor in zip(space.dimensions, row, strict=True):
        if factor > 1 and dimension not in allowed:
            listed = ", ".join(allowed) or "no dimension"
            yield f"{name}: unrolls {dimension} by {factor} but may unroll {listed}"
    if prod(row) > mesh:
        product = " x ".join(
            f"{d} {f}" for d, f in zip(space.dimensions, row, strict=True) if f > 1
        )
        yield f"{name}: uses {prod(row)} instances ({product}) but its mesh is {mesh}"


def _capacities(space: MapSpace, rows: _Rows) -> Iterator[str]:
    for m, level in enumerate(space.memory_levels):
        memory, limit = space.arch.memories[m], space.word_limits[m]
        extents = []
        for d, (size, ragged) in enumerate(zip(space.sizes, space.ragged, strict=True)):
            extent = prod(row[d] for row in rows[level:])
            extents.append(min(extent, int(size)) if ragged else extent)
        words = 0 if limit is None else space.exact_words(m, extents)
        if limit is not None and words > limit:
            copies = memory.multiple_buffering
            shared = f" ({memory.capacity_words} / {copies:g} copies)" if copies != 1 else ""
            yield (
                f"{memory.name}: footprint {words} words > {usable_text(memory)} usable{shared}"
            )


def render(
    mapping: Mapping,
    arch: Architecture,
    workload: Workload,
    *,
    footprint: Footprint = "distinct",
) -> str:
    """Write a mapping as a readable loop nest.

    Every memory opens with the tensors it holds and the words of their tiles there, followed
    by its loops, outermost first; loops of one iteration are left out.

    Parameters
    ----------
    mapping : Mapping
        What to show; it need not be valid.
    arch, workload : Architecture, Workload
        What it maps.
    footprint : {"distinct", "stride_blind", "bounding"}
        How tiles are counted.

    Returns
    -------
    str
        Lines of text, the last one ended.

    Raises
    ------
    MappingError
        If the mapping does not describe `workload` on `arch`.
    PrecisionError
        If a window is too wide to be counted by enumeration.
    """
    check_footprint(footprint)
    factors, order = to_arrays(mapping, arch, workload)
    names = workload.dimensions
    lines: list[str] = []
    depth = 0
    for i, level in enumerate(arch.levels):
        extents = [
            min(prod(column), size)
            for column, size in zip(factors[i:].T.tolist(), workload.sizes.values(), strict=True)
        ]
        loops = [(names[d], int(factors[i, d])) for d in order[i] if factors[i, d] > 1]
        if isinstance(level, Memory):
            lines.append(_INDENT * depth + _heading(level, workload, extents, footprint))
        else:
            used = prod(factor for _, factor in loops)
            lines.append(_INDENT * depth + f"{level.name}: {used} of {level.mesh} instances")
        word = "for" if isinstance(level, Memory) else "parallel-for"
        for dimension, factor in loops:
            depth += 1
            lines.append(_INDENT * depth + f"{word} {dimension.lower()} in 0..{factor}")
        depth += 1
        if isinstance(level, Compute):
            lines.append(_INDENT * depth + _statement(workload))
    return "\n".join(lines) + "\n"


def _heading(memory: Memory, workload: Workload, extents: list[int], footprint: Footprint) -> str:
    held = []
    total = 0
    for tensor in workload.tensors:
        if holds(memory, tensor):
            words = exact_tensor_words(tensor, extents, workload.dimensions, footprint)
            total += words
            held.append(f"{tensor.name} {words:,}")
    capacity = "unlimited" if memory.capacity_words is None else f"{memory.capacity_words:,}"
    copies = memory.multiple_buffering
    times = f" x {copies:g} copies" if copies != 1 else ""
    tensors = " + ".join(held) or "nothing"
    words_text = f" = {total:,}" if len(held) > 1 else ""
    return f"{memory.name}: {tensors}{words_text}{times} of {capacity} words"


def _statement(workload: Workload) -> str:
    inputs = " * ".join(_access(t) for t in workload.tensors if t.role != "output")
    return f"{_access(workload.output)} += {inputs}"


def _access(tensor: Tensor) -> str:
    return f"{tensor.name}[{', '.join(_subscript(index) for index in tensor.indices)}]"


def _subscript(index: Index) -> str:
    return " + ".join(
        term.dimension.lower()
        if term.coefficient == 1
        else f"{term.coefficient}*{term.dimension.lower()}"
        for term in index
    )
