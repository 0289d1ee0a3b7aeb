"""Compiled form of FactorFlow's level-by-level transfers (`toolkit.model.traffic.sequential`)."""

from __future__ import annotations

import numpy as np

from toolkit.compilation import inlined, merged
from toolkit.model.compiled_plan import (
    BELOW,
    FACTORS,
    INDICES,
    ITERATIONS,
    KIND,
    LEVEL,
    LISTED,
    MEMORY,
    NEST,
    NESTED,
    READ_SELECTIVE,
    READ_SHARED,
    REDUCTION_FOR_WRITES,
    RELEVANT,
    REUSES,
    SPATIAL,
    SPLIT,
    SUPPLIER,
    TILE,
    WRITE_SELECTIVE,
    WRITE_SHARED,
    Floats,
    Ints,
    KernelPlan,
    Scratch,
)
from toolkit.model.compiled_traffic import (
    orthogonal_product,
    scan_memory,
    sliding_sum,
    swept,
    window,
)


@inlined
def first_spatial(plan: KernelPlan, x: int, memory: int) -> int:
    """Position of the first spatial level of transfer `x` inside `memory`."""
    count = plan.transfers[x, SPATIAL]
    for i in range(count):
        if plan.spatial[x, i, LEVEL] > memory:
            return i
    return count


@inlined
def next_memory(plan: KernelPlan, memory: int) -> int:
    """Level of the next memory inside `memory`; the number of levels if there is none."""
    level = memory + 1
    while level < plan.levels.shape[0] and plan.levels[level, KIND] != MEMORY:
        level += 1
    return level


@inlined
def split_window(
    plan: KernelPlan,
    t: int,
    s: int,
    x: int,
    first: int,
    extents: Floats,
    flag: int,
    scratch: Scratch,
) -> float:
    """Window of adjacent instances: shared where fanouts are selective, repeated elsewhere."""
    terms, repeats = plan.sums[t, s], 1.0
    for k in range(terms[0]):
        scratch.vectors[SPLIT, terms[1 + 2 * k]] = extents[terms[1 + 2 * k]]
    for i in range(first, plan.transfers[x, SPATIAL]):
        if plan.spatial[x, i, flag] == 0:
            for k in range(terms[0]):
                d = terms[1 + 2 * k]
                f = scratch.tiles[FACTORS, plan.spatial[x, i, LEVEL], d]
                scratch.vectors[SPLIT, d] /= f
                repeats *= f
    return window(plan, t, s, scratch.vectors[SPLIT], -1, 1.0, scratch) * repeats


@inlined
def unshared(
    plan: KernelPlan, t: int, x: int, first: int, end: int, flag: int, scratch: Scratch
) -> float:
    """Copies that spatial levels `first` to `end` of a transfer cannot share."""
    copies = 1.0
    for i in range(first, end):
        if plan.spatial[x, i, flag] == 0:
            level = plan.spatial[x, i, LEVEL]
            copies *= orthogonal_product(
                plan.tensors[t, RELEVANT:],
                plan.levels[level, LISTED:],
                scratch.tiles[FACTORS, level],
            )
    return copies


@merged
def direct(
    plan: KernelPlan, t: int, x: int, memory: int, order: Ints, scratch: Scratch
) -> tuple[float, float, float]:
    """Reads, writes and revisits at one memory alone (reference section 2.1)."""
    relevant, factors = plan.tensors[t, RELEVANT:], scratch.tiles[FACTORS]
    first = first_spatial(plan, x, memory)
    extents = scratch.tiles[BELOW, memory]
    kept, revisits, inner, factor, skipped = 1.0, 1.0, -1, 1.0, False
    slides = -1
    following = next_memory(plan, memory)
    if following == plan.levels.shape[0]:
        kept = scratch.per_level[memory, ITERATIONS]
        revisits = orthogonal_product(relevant, plan.levels[memory, LISTED:], factors[memory])
    else:
        kept, revisits, inner, factor, skipped = scan_memory(
            relevant, order[memory], factors[memory], (kept, revisits, inner, factor, skipped)
        )
        if inner >= 0 and (plan.levels[memory, REUSES] or not skipped):
            slides = sliding_sum(plan, t, inner, memory + 1, following, factors)
    if slides >= 0:
        kept /= factor
    reads, writes = kept, kept
    for s in range(plan.tensors[t, INDICES]):
        if s == slides:
            held = swept(plan, t, s, extents, inner, factor, scratch)
        elif plan.sums[t, s, 0] == 1:
            held = extents[plan.sums[t, s, 1]]
        else:
            held = split_window(plan, t, s, x, first, extents, READ_SELECTIVE, scratch)
            if plan.switches[REDUCTION_FOR_WRITES]:
                writes *= (
                    split_window(plan, t, s, x, first, extents, WRITE_SELECTIVE, scratch) / held
                )
        reads *= held
        writes *= held
    count = plan.transfers[x, SPATIAL]
    reads *= unshared(plan, t, x, first, count, READ_SHARED, scratch)
    writes *= unshared(plan, t, x, first, count, WRITE_SHARED, scratch)
    return reads, writes, revisits


@inlined
def through_fanout(
    plan: KernelPlan, t: int, x: int, i: int, flag: int, values: float, scratch: Scratch
) -> float:
    """Carry traffic outwards through a fanout between bypassing memories."""
    level = plan.spatial[x, i, LEVEL]
    factors = scratch.tiles[FACTORS, level]
    for s in range(plan.tensors[t, INDICES]):
        terms = plan.sums[t, s]
        if plan.spatial[x, i, flag + 1] and terms[0] > 1:
            held = window(plan, t, s, scratch.tiles[BELOW, level], -1, 1.0, scratch)
            wide = window(plan, t, s, scratch.tiles[TILE, level], -1, 1.0, scratch)
            values = np.floor(values / held) * wide
        else:
            for k in range(terms[0]):
                values *= factors[terms[1 + 2 * k]]
    if plan.spatial[x, i, flag] == 0:
        values *= orthogonal_product(
            plan.tensors[t, RELEVANT:], plan.levels[level, LISTED:], factors
        )
    return values


@merged
def sequential(
    plan: KernelPlan, t: int, x: int, order: Ints, scratch: Scratch
) -> tuple[float, float, float]:
    """Reads, writes and revisits of transfer `x` (reference section 2.2)."""
    relevant, factors = plan.tensors[t, RELEVANT:], scratch.tiles[FACTORS]
    supplier = plan.transfers[x, SUPPLIER]
    last = plan.transfers[x, NEST + plan.transfers[x, NESTED] - 1]
    reads, writes, revisits = direct(plan, t, x, last, order, scratch)
    if supplier == last:
        return reads, writes, revisits
    pending = True
    for d in range(relevant.shape[0]):
        if factors[last, d] > 1.0 and (relevant[d] or not plan.levels[supplier, REUSES]):
            pending = False
    i = first_spatial(plan, x, last) - 1
    for level in range(last - 1, supplier - 1, -1):
        if plan.levels[level, KIND] != MEMORY:
            reads = through_fanout(plan, t, x, i, READ_SHARED, reads, scratch)
            writes = through_fanout(plan, t, x, i, WRITE_SHARED, writes, scratch)
            i -= 1
            continue
        if not pending:
            whole = scratch.per_level[level, ITERATIONS]
            if whole > 1.0:
                reads *= whole
                writes *= whole
                revisits *= orthogonal_product(
                    relevant, plan.levels[level, LISTED:], factors[level]
                )
            continue
        kept, orthogonal, inner, factor, skipped = scan_memory(
            relevant, order[level], factors[level], (1.0, 1.0, -1, 1.0, False)
        )
        if inner >= 0 and (plan.levels[supplier, REUSES] or not skipped):
            slides = sliding_sum(plan, t, inner, level + 1, next_memory(plan, level), factors)
            if slides >= 0:
                extents = scratch.tiles[BELOW, level]
                held = window(plan, t, slides, extents, -1, 1.0, scratch)
                wide = swept(plan, t, slides, extents, inner, factor, scratch)
                reads = np.floor(reads / held) * wide
                writes = np.floor(writes / held) * wide
                kept /= factor
        reads *= kept
        writes *= kept
        revisits *= orthogonal
        pending = inner < 0
    if plan.levels[supplier + 1, KIND] != MEMORY:
        end = first_spatial(plan, x, plan.transfers[x, NEST + 1])
        reads *= unshared(plan, t, x, 0, end, READ_SHARED, scratch)
        writes *= unshared(plan, t, x, 0, end, WRITE_SHARED, scratch)
    return reads, writes, revisits
