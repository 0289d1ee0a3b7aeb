"""What is wrong with a mapping, in words and numbers: the rules that it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

import numpy as np

from toolkit.arch.levels import Level, Memory
from toolkit.mapping.bounds import usable_text
from toolkit.mapping.bypasses import chosen_arch
from toolkit.mapping.kept import Seen
from toolkit.mapping.mapping import Mapping, to_arrays
from toolkit.mapping.space import MapSpace

_Rows = list[list[int]]


def violations(space: MapSpace, mapping: Mapping) -> tuple[str, ...]:
    """Name every rule of the space that a mapping breaks, with numbers; empty if it is valid.

    Raises
    ------
    MappingError
        If the mapping does not describe the workload on the architecture, or leaves out what
        that does not permit.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", evaluations=100)
    >>> toolkit.violations(best.problem.space, best.mapping)
    ()
    """
    factors, order = to_arrays(mapping, space.arch, space.workload)
    arch = chosen_arch(space.arch, space.workload, mapping)
    if arch is not space.arch:
        space = replace(space, arch=arch)
    rows: _Rows = factors.tolist()
    found = [problem for _, _, problem in broken_products(space, rows)]
    for level, row in zip(space.arch.levels, rows, strict=True):
        found.extend(_constraints(space, level, row))
        if not isinstance(level, Memory):
            found.extend(_spatial(space, level.name, level.mesh, level.dimensions, row))
    found.extend(_apart(space, rows))
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


def _apart(space: MapSpace, rows: _Rows) -> Iterator[str]:
    """Fanouts whose instances keep sums of the same outputs."""
    for i, d in zip(*np.nonzero(space.keeping.unsummed), strict=True):
        if rows[i][d] > 1:
            yield (
                f"{space.arch.levels[i].name}: unrolls {space.dimensions[d]} by {rows[i][d]}, "
                f"but {space.keeping.apart_text}"
            )


def _capacities(space: MapSpace, rows: _Rows) -> Iterator[str]:
    for m, level in enumerate(space.memory_levels):
        memory, limit = space.arch.memories[m], space.word_limits[m]
        extents = []
        for d, (size, ragged) in enumerate(zip(space.sizes, space.ragged, strict=True)):
            extent = prod(row[d] for row in rows[level:])
            extents.append(min(extent, int(size)) if ragged else extent)
        seen = space.keeping.seen(m, np.array(rows, dtype=object))
        words = 0 if limit is None else space.exact_words(m, extents, seen)
        if limit is not None and words > limit:
            copies = memory.multiple_buffering
            shared = f" ({memory.capacity_words} / {copies:g} copies)" if copies != 1 else ""
            yield (
                f"{memory.name}: footprint {words} words > {usable_text(memory)} usable{shared}"
                f"{kept_text(space, m, extents, seen)}"
            )


def kept_text(space: MapSpace, m: int, extents: list[int], seen: Seen | None) -> str:
    """Say, after the words that a memory needs, which of them stay there and why; else nothing."""
    kept = space.keeping.tensors[m]
    if not kept.any():
        return ""
    names = [t.name for t, own in zip(space.workload.tensors, kept, strict=True) if own]
    words = space.exact_words(m, extents, seen, kept)
    return (
        f"; it is the outermost memory that holds {' and '.join(names)}, of which it keeps "
        f"{space.keeping.share(m)}, {words} words, for the whole run"
    )
