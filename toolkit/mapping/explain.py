"""Why a mapping is not valid, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from toolkit.arch.levels import Level, Memory
from toolkit.mapping.bounds import usable_text
from toolkit.mapping.mapping import Mapping, to_arrays
from toolkit.mapping.space import MapSpace

_Rows = list[list[int]]


def violations(space: MapSpace, mapping: Mapping) -> tuple[str, ...]:
    """Name every rule of the space that a mapping breaks, with numbers; empty if it is valid.

    Raises
    ------
    MappingError
        If the mapping does not describe the workload on the architecture.
    """
    factors, order = to_arrays(mapping, space.arch, space.workload)
    rows: _Rows = factors.tolist()
    found = list(_products(space, rows))
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


def _products(space: MapSpace, rows: _Rows) -> Iterator[str]:
    for d, (dimension, size) in enumerate(space.workload.sizes.items()):
        product = prod(row[d] for row in rows)
        if product != size:
            yield f"factors of {dimension} multiply to {product} but {dimension} is {size}"


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
        extents = [prod(row[d] for row in rows[level:]) for d in range(len(space.dimensions))]
        words = 0 if limit is None else space.exact_words(m, extents)
        if limit is not None and words > limit:
            copies = memory.multiple_buffering
            shared = f" ({memory.capacity_words} / {copies:g} copies)" if copies != 1 else ""
            yield (
                f"{memory.name}: footprint {words} words > {usable_text(memory)} usable{shared}"
            )
