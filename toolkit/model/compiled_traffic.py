"""Compiled form of `toolkit.model.traffic`: what one tensor moves in one mapping.

The tests hold it against that module case by case; see there for what each step means.
"""

from __future__ import annotations

import numpy as np

from toolkit.compilation import compiled, inlined, merged
from toolkit.model.compiled_plan import (
    ACTIVE,
    BELOW,
    BOUNDING,
    CHILD,
    EXTENTS,
    FACTORS,
    FOOTPRINT,
    IN_FILLER,
    IN_WORDS,
    INDICES,
    ITERATIONS,
    KIND,
    LEVEL,
    LISTED,
    MEMORY,
    NEST,
    NESTED,
    ONES,
    OUT_FILLER,
    OUT_WORDS,
    OVERESTIMATE,
    PAIRWISE,
    READ_SELECTIVE,
    READ_SHARED,
    RELEVANT,
    REUSES,
    SELECTIVE,
    SPATIAL,
    SPLIT,
    STRIDE_BLIND,
    STRIDES,
    SUPPLIER,
    TEMPORAL,
    TILE,
    USABLE,
    WRITE_SELECTIVE,
    WRITE_SHARED,
    Floats,
    Ints,
    KernelPlan,
    Scratch,
)

ALWAYS = 2
"""Includes the gaps of any number of strided terms; 1 only those of two."""


@compiled
def count_terms(scratch: Scratch, count: int) -> float:
    """Count the distinct values of a sum of the first `count` terms in `scratch`.

    Expects strides and extents in the vectors of that name; sorts them.
    """
    strides, extents, seen = scratch.vectors[STRIDES], scratch.vectors[EXTENTS], scratch.seen
    for i in range(1, count):
        for k in range(i, 0, -1):
            if strides[k] >= strides[k - 1]:
                break
            strides[k], strides[k - 1] = strides[k - 1], strides[k]
            extents[k], extents[k - 1] = extents[k - 1], extents[k]
    contiguous, closed = 1.0, True
    for k in range(count):
        if extents[k] > 1.0:
            if strides[k] > contiguous:
                closed = False
            contiguous += strides[k] * (extents[k] - 1.0)
    if closed:
        return contiguous
    top = 1
    seen[: int(contiguous)] = 0
    seen[0] = 1
    for k in range(count):
        covered, extent = 1, int(extents[k])
        while covered < extent:  # by doubling, so that a long term takes few passes
            more = min(covered, extent - covered)
            shift = more * int(strides[k])
            for v in range(top - 1, -1, -1):
                if seen[v]:
                    seen[v + shift] = 1
            top += shift
            covered += more
    values = 0
    for v in range(top):
        values += seen[v]
    return float(values)


@compiled
def wide_window(
    terms: Ints, extents: Floats, grown: int, factor: float, overestimate: int, scratch: Scratch
) -> float:
    """Distinct values of an index of three or more terms."""
    n = terms[0]
    total, span = 0.0, 1.0
    equal = True
    for k in range(n):
        d = terms[1 + 2 * k]
        scratch.vectors[STRIDES, k] = terms[2 + 2 * k]
        scratch.vectors[EXTENTS, k] = extents[d] * factor if d == grown else extents[d]
        total += scratch.vectors[EXTENTS, k] - 1.0
        span += scratch.vectors[STRIDES, k] * (scratch.vectors[EXTENTS, k] - 1.0)
        equal = equal and terms[2 + 2 * k] == 1
    if overestimate == ALWAYS:
        return span
    return total + 1.0 if equal else count_terms(scratch, n)


@inlined
def window(
    plan: KernelPlan,
    t: int,
    s: int,
    extents: Floats,
    grown: int,
    factor: float,
    scratch: Scratch,
) -> float:
    """Distinct values of index `s` of tensor `t`, dimension `grown` being `factor` longer."""
    return window_words(plan, t, s, extents, grown, factor, plan.switches[OVERESTIMATE], scratch)


@inlined
def window_words(
    plan: KernelPlan,
    t: int,
    s: int,
    extents: Floats,
    grown: int,
    factor: float,
    overestimate: int,
    scratch: Scratch,
) -> float:
    """Like `window`; includes the gaps of two strided terms, or of any number, if told so."""
    d = plan.sums[t, s, 1]
    x = extents[d] * factor if d == grown else extents[d]
    n = plan.sums[t, s, 0]
    if n == 1:
        return x
    if n > 2:
        return wide_window(plan.sums[t, s], extents, grown, factor, overestimate, scratch)
    a, d, b = plan.sums[t, s, 2], plan.sums[t, s, 3], plan.sums[t, s, 4]
    y = extents[d] * factor if d == grown else extents[d]
    if overestimate:
        return a * (x - 1.0) + b * (y - 1.0) + 1.0
    return a * (x - b) + b * y if x >= b and y >= a else x * y


@inlined
def prepare(plan: KernelPlan, factors: Ints, scratch: Scratch) -> None:
    """Fill in tile extents and products of the levels outside."""
    levels, dimensions = factors.shape
    per_level = scratch.per_level
    for i in range(levels - 1, -1, -1):
        product = 1.0
        for d in range(dimensions):
            f = float(factors[i, d])
            t = scratch.tiles[TILE, i + 1, d] if i + 1 < levels else 1.0
            product *= f
            scratch.tiles[FACTORS, i, d] = f
            scratch.tiles[BELOW, i, d] = t
            scratch.tiles[TILE, i, d] = f * t
        per_level[i, ITERATIONS] = product
        per_level[i, OUT_WORDS] = 0.0
        per_level[i, IN_WORDS] = 0.0
        per_level[i, OUT_FILLER] = 0.0
        per_level[i, IN_FILLER] = 0.0
    temporal, active = 1.0, 1.0
    for i in range(levels):
        per_level[i, TEMPORAL] = temporal
        per_level[i, ACTIVE] = active
        if plan.levels[i, KIND] == MEMORY:
            temporal *= per_level[i, ITERATIONS]
        else:
            active *= per_level[i, ITERATIONS]


@compiled
def fits(plan: KernelPlan, scratch: Scratch) -> bool:
    """Whether the tiles of all memories fit, after `prepare`."""
    for m in range(plan.levels.shape[0]):
        usable = plan.costs[m, USABLE]
        if usable == np.inf:
            continue
        words = 0.0
        for t in range(plan.tensors.shape[0]):
            if plan.holds[t, m] == 0:
                continue
            tile = 1.0
            for s in range(plan.tensors[t, INDICES]):
                if plan.switches[FOOTPRINT] == STRIDE_BLIND:
                    terms = plan.sums[t, s]
                    span = 1.0
                    for k in range(terms[0]):
                        span += scratch.tiles[TILE, m, terms[1 + 2 * k]] - 1.0
                    tile *= span
                else:
                    gaps = ALWAYS if plan.switches[FOOTPRINT] == BOUNDING else 0
                    tile *= window_words(
                        plan, t, s, scratch.tiles[TILE, m], -1, 1.0, gaps, scratch
                    )
            words += tile
        if words > usable:
            return False
    return True


@inlined
def scan_memory(
    relevant: Ints,
    order: Ints,
    factors: Floats,
    state: tuple[float, float, int, float, bool],
) -> tuple[float, float, int, float, bool]:
    """Continue a scan outwards through one memory.

    The state is (kept, kept orthogonal, innermost indexing dimension, its factor, skipped).
    """
    kept, orthogonal, inner, inner_factor, skipped = state
    for k in range(order.shape[0] - 1, -1, -1):
        d = order[k]
        f = factors[d]
        if f == 1.0:
            continue
        if inner < 0:
            if relevant[d]:
                inner = d
                inner_factor = f
                kept *= f
            else:
                skipped = True
        else:
            kept *= f
            if not relevant[d]:
                orthogonal *= f
    return kept, orthogonal, inner, inner_factor, skipped


@inlined
def orthogonal_product(relevant: Ints, listed: Ints, factors: Floats) -> float:
    """Product of listed factors whose dimensions do not index the tensor."""
    product = 1.0
    for d in range(relevant.shape[0]):
        if listed[d] and not relevant[d]:
            product *= factors[d]
    return product


@inlined
def sliding_sum(
    plan: KernelPlan, t: int, inner: int, start: int, stop: int, factors: Floats
) -> int:
    """Index of a tensor whose window slides along dimension `inner`, -1 if none.

    No spatial level from `start` to before `stop` may split the index.
    """
    for s in range(plan.tensors[t, INDICES]):
        terms = plan.sums[t, s]
        if terms[0] < 2:
            continue
        member, whole = False, True
        for k in range(terms[0]):
            d = terms[1 + 2 * k]
            member = member or d == inner
            for level in range(start, stop):
                if plan.levels[level, KIND] != MEMORY:
                    whole = whole and factors[level, d] == 1.0
        if member:
            return s if whole else -1
    return -1


@inlined
def swept(
    plan: KernelPlan,
    t: int,
    s: int,
    extents: Floats,
    inner: int,
    factor: float,
    scratch: Scratch,
) -> float:
    """Values that enter while the window of an index slides through `factor` iterations."""
    if plan.switches[PAIRWISE]:
        held = window(plan, t, s, extents, -1, 1.0, scratch)
        longer = window(plan, t, s, extents, inner, 2.0, scratch)
        return held + (factor - 1.0) * min(longer - held, held)
    return window(plan, t, s, extents, inner, factor, scratch)


@compiled
def served(
    plan: KernelPlan, t: int, s: int, x: int, extents: Floats, flag: int, scratch: Scratch
) -> float:
    """Values to send at once so that every instance gets its window of one index."""
    terms, count = plan.sums[t, s], plan.transfers[x, SPATIAL]
    wide, repeats, scattered = scratch.vectors[SPLIT], 1.0, False
    for k in range(terms[0]):
        wide[terms[1 + 2 * k]] = extents[terms[1 + 2 * k]]
    for i in range(count - 1, -1, -1):
        level = plan.spatial[x, i, LEVEL]
        for k in range(terms[0]):
            d = terms[1 + 2 * k]
            f = scratch.tiles[FACTORS, level, d]
            if f > 1.0 and plan.spatial[x, i, flag]:
                scattered = scattered or scratch.tiles[BELOW, level, d] != wide[d]
                wide[d] *= f
            else:
                repeats *= f
    if terms[0] == 1 or not scattered:
        return window(plan, t, s, wide, -1, 1.0, scratch) * repeats
    n = 0
    for k in range(terms[0]):
        d = terms[1 + 2 * k]
        scratch.vectors[STRIDES, n], scratch.vectors[EXTENTS, n] = terms[2 + 2 * k], extents[d]
        n += 1
        for i in range(count):
            level = plan.spatial[x, i, LEVEL]
            if plan.spatial[x, i, flag]:
                scratch.vectors[STRIDES, n] = terms[2 + 2 * k] * scratch.tiles[BELOW, level, d]
                scratch.vectors[EXTENTS, n] = scratch.tiles[FACTORS, level, d]
                n += 1
    return count_terms(scratch, n) * repeats


@merged
def per_instance(
    plan: KernelPlan, t: int, x: int, order: Ints, scratch: Scratch
) -> tuple[float, float, float, float]:
    """Reads, writes, values entering one child and revisits of transfer `x`."""
    supplier, child = plan.transfers[x, SUPPLIER], plan.transfers[x, CHILD]
    relevant, factors = plan.tensors[t, RELEVANT:], scratch.tiles[FACTORS]
    kept, revisits, inner, factor, skipped = 1.0, 1.0, -1, 1.0, False
    slides, extents = -1, scratch.vectors[ONES]
    for i in range(plan.transfers[x, NESTED] - 1, -1, -1):
        m = plan.transfers[x, NEST + i]
        if child < 0:
            kept *= scratch.per_level[m, ITERATIONS]
            revisits *= orthogonal_product(relevant, plan.levels[m, LISTED:], factors[m])
        elif scratch.per_level[m, ITERATIONS] > 1.0:
            kept, revisits, inner, factor, skipped = scan_memory(
                relevant, order[m], factors[m], (kept, revisits, inner, factor, skipped)
            )
    if child >= 0:
        extents = scratch.tiles[TILE, child]
        if inner >= 0 and (plan.levels[supplier, REUSES] or not skipped):
            slides = sliding_sum(plan, t, inner, plan.transfers[x, NEST] + 1, child, factors)
    if slides >= 0:
        kept /= factor
    reads, writes, entering = kept, kept, kept
    plain = plan.transfers[x, SELECTIVE] == 0
    for s in range(plan.tensors[t, INDICES]):
        if s == slides:
            held = swept(plan, t, s, extents, inner, factor, scratch)
        else:
            held = window(plan, t, s, extents, -1, 1.0, scratch)
        if plain or s == slides:
            reads *= held
            writes *= held
        else:
            reads *= served(plan, t, s, x, extents, READ_SELECTIVE, scratch)
            writes *= served(plan, t, s, x, extents, WRITE_SELECTIVE, scratch)
        entering *= held
    for i in range(plan.transfers[x, SPATIAL]):
        level = plan.spatial[x, i, LEVEL]
        if scratch.per_level[level, ITERATIONS] == 1.0:
            continue
        for d in range(relevant.shape[0]):
            f = factors[level, d]
            if relevant[d]:
                if plain:
                    reads *= f
                    writes *= f
            elif plan.levels[level, LISTED + d]:
                if not plan.spatial[x, i, READ_SHARED]:
                    reads *= f
                if not plan.spatial[x, i, WRITE_SHARED]:
                    writes *= f
    return reads, writes, entering, revisits
