"""A mapping in words and numbers: the loop nest that it stands for, and the rules it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

import numpy as np

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Compute, Level, Memory
from toolkit.arch.packing import Footing, footing
from toolkit.mapping.bounds import Footprint, check_footprint, exact_tensor_words, usable_text
from toolkit.mapping.bypasses import chosen_arch
from toolkit.mapping.kept import Keeping, Seen
from toolkit.mapping.last_rounds import cuts_off, last_rounds
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


def render(
    mapping: Mapping,
    arch: Architecture,
    workload: Workload,
    *,
    footprint: Footprint = "distinct",
    outermost_supplies: bool = False,
) -> str:
    """Write a mapping as a readable loop nest.

    Every memory opens with the tensors it holds and the words of their largest tiles there (or,
    where nothing outside holds a tensor, of all that stays), and with those that the mapping
    leaves out though it need not, followed by its loops, outermost first; loops of one iteration
    are left out. Where factors reach a size instead of multiplying to it, a loop says how large
    its last tile is, and how often it turns in its last round.

    Parameters
    ----------
    mapping : Mapping
        What to show; it need not be valid.
    arch, workload : Architecture, Workload
        What it maps.
    footprint : {"distinct", "stride_blind", "bounding"}
        How tiles are counted.
    outermost_supplies : bool
        Whether the outermost memory supplies what it bypasses, too; see `MapSpace`.

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

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", evaluations=100)
    >>> text = toolkit.render(best.mapping, best.problem.arch, best.problem.workload)
    >>> text.splitlines()[-1].strip()
    'output[m, n] += input[k, n] * weight[m, k]'
    """
    check_footprint(footprint)
    factors, order = to_arrays(mapping, arch, workload)
    chosen = chosen_arch(arch, workload, mapping)
    columns: _Rows = factors.T.tolist()
    pairs = zip(columns, workload.sizes.values(), strict=True)
    whole = [size if cuts_off(column, size) else prod(column) for column, size in pairs]
    cuts = _cuts(columns, whole)
    keeping = Keeping(chosen, workload, outermost_supplies)
    lines: list[str] = []
    depth = 0
    for i, (level, usual) in enumerate(zip(chosen.levels, arch.levels, strict=True)):
        loops = [(int(d), int(factors[i, d])) for d in order[i] if factors[i, d] > 1]
        if isinstance(level, Memory) and isinstance(usual, Memory):
            extents = [min(prod(x[i:]), most) for x, most in zip(columns, whole, strict=True)]
            m = chosen.memories.index(level)
            seen = keeping.seen(m, factors.astype(object))
            kept = {
                tensor.name: keeping.extents(m, t, extents, seen).tolist()
                for t, tensor in enumerate(workload.tensors)
                if keeping.tensors[m, t]
            }
            left_out = [t for t in workload.tensors if holds(usual, t) and not holds(level, t)]
            room = footing(chosen, workload, level)
            heading = _heading(level, workload, room, extents, kept, footprint)
            names = ", ".join(tensor.name for tensor in left_out)
            lines.append(_INDENT * depth + heading + (f"; leaves out {names}" if names else ""))
        elif not isinstance(level, Memory):
            used = prod(factor for _, factor in loops)
            lines.append(_INDENT * depth + f"{level.name}: {used} of {level.mesh} instances")
        word = "for" if isinstance(level, Memory) else "parallel-for"
        for d, factor in loops:
            depth += 1
            name = workload.dimensions[d].lower()
            lines.append(_INDENT * depth + f"{word} {name} in 0..{factor}{cuts[d][i]}")
        depth += 1
        if isinstance(level, Compute):
            lines.append(_INDENT * depth + _statement(workload))
    return "\n".join(lines) + "\n"


def _cuts(columns: _Rows, whole: list[int]) -> list[list[str]]:
    """Say per dimension and level what is cut off of factors that reach the `whole`."""
    found: list[list[str]] = []
    for column, size in zip(columns, whole, strict=True):
        texts: list[str] = []
        for i, last in enumerate(last_rounds(column, size)):
            tile, parts = prod(column[i + 1 :]), []
            rest = (size - 1) % tile + 1
            if rest < tile:
                parts.append(f"tiles of {tile}, the last {rest}")
            if last < column[i]:
                parts.append(f"{last} in the last round")
            texts.append(f"  # {'; '.join(parts)}" if parts else "")
        found.append(texts)
    return found


def _heading(
    memory: Memory,
    workload: Workload,
    room: Footing,
    extents: list[int],
    kept: dict[str, list[int]],
    footprint: Footprint,
) -> str:
    held = []
    total, one = 0, room.units_per_word
    for tensor, units in zip(workload.tensors, room.units, strict=True):
        if holds(memory, tensor):
            own = kept.get(tensor.name, extents)
            taken = exact_tensor_words(tensor, own, workload.dimensions, footprint) * units
            total += taken
            words = f"{taken // one:,}" if taken % one == 0 else f"{taken / one:,.10g}"
            stays = " for the whole run" if tensor.name in kept else ""
            held.append(f"{tensor.name} {words}{stays}")
    capacity = "unlimited" if memory.capacity_words is None else f"{memory.capacity_words:,}"
    copies = memory.multiple_buffering
    times = f" x {copies:g} copies" if copies != 1 else ""
    tensors = " + ".join(held) or "nothing"
    words_text = f" = {-(-total // one):,}" if len(held) > 1 or total % one else ""
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
