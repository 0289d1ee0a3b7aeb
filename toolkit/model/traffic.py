"""Values that one tensor moves between a memory and its next holder inwards.

Formulas: FactorFlow's reference model, sections 2.1 (`direct`) and 2.2 (`sequential`), and the
same with the loops of bypassing memories joined to the supplier's nest (`per_instance`).
All counts are per iteration of everything outside the transfer's nest, summed over the instances
inside one instance of the supplier, except `entering`, which is per instance of the child.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.model.loops import Array, Loops, Scan, product, scan
from toolkit.model.plan import SpatialFlags, TensorPlan, Transfer
from toolkit.workload.distinct import count_sum, distinct_values

Sum = tuple[tuple[int, int], ...]
"""(dimension number, coefficient) of every term of an index."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Counts of one transfer; arrays of shape [batch].

    Parameters
    ----------
    reads, writes : array
        Values read from and (for outputs) written to the supplier.
    entering : array
        Values that enter one instance of the child; as many leave it.
    revisits : array
        How often the same tile of outputs comes back within the nest.
    """

    reads: Array
    writes: Array
    entering: Array
    revisits: Array


def transfer_traffic(loops: Loops, tensor: TensorPlan, transfer: Transfer) -> Traffic:
    """Traffic of one transfer under the conventions of the plan."""
    if loops.plan.conventions.transfers == "sequential":
        return sequential(loops, tensor, transfer)
    return per_instance(loops, tensor, transfer)


def per_instance(loops: Loops, tensor: TensorPlan, transfer: Transfer) -> Traffic:
    """Traffic with bypassing (or all outer) memories' loops joined to the supplier's.

    Multiply-accumulate lanes (no child) hold nothing: every step fetches anew.
    """
    if transfer.child is None:
        nest = _whole_nest(loops, tensor, transfer.nest)
        extents = [loops.one] * len(tensor.relevant)
    else:
        nest = scan(loops, tensor, transfer.nest)
        extents = loops.tile[transfer.child]
    sliding = _sliding_sums(
        loops, tensor, nest, loops.plan.spatial_inside(transfer), transfer.supplier
    )
    if transfer.child is None:
        sliding = [None] * len(tensor.sums)
    reads = writes = entering = loops.one
    events = nest.kept
    for terms, slides in zip(tensor.sums, sliding, strict=True):
        held = _window(loops, terms, extents)
        read = _served(loops, terms, extents, held, transfer.reading)
        written = _served(loops, terms, extents, held, transfer.writing)
        if slides is not None:
            swept = _swept(loops, terms, extents, nest, held)
            held, read, written = (
                loops.xp.where(slides, swept, value) for value in (held, read, written)
            )
            events = loops.xp.where(slides, events / nest.factor, events)
        reads, writes, entering = reads * read, writes * written, entering * held
    return Traffic(
        reads * events * _unshared(loops, tensor, transfer.reading),
        writes * events * _unshared(loops, tensor, transfer.writing),
        entering * events,
        nest.kept_orthogonal,
    )


def direct(loops: Loops, tensor: TensorPlan, memory: int, transfer: Transfer) -> Traffic:
    """Traffic at one memory alone (reference section 2.1).

    Next to the compute level operands arrive at every iteration, without reuse.
    """
    conventions = loops.plan.conventions
    spatial = loops.plan.spatial_after[memory]
    reading = [x for x in transfer.reading if x.level in spatial]
    writing = [x for x in transfer.writing if x.level in spatial]
    last = memory == loops.plan.innermost_memory
    sliding: list[Array | None]
    if last:
        nest = _whole_nest(loops, tensor, (memory,))
        sliding = [None] * len(tensor.sums)
    else:
        nest = scan(loops, tensor, (memory,))
        sliding = _sliding_sums(loops, tensor, nest, spatial, memory)
    inner = loops.below[memory]
    reads = writes = loops.one
    events = nest.kept
    for terms, slides in zip(tensor.sums, sliding, strict=True):
        read = _split_window(loops, terms, inner, reading)
        written = read
        if conventions.reduction_for_writes:
            written = _split_window(loops, terms, inner, writing)
        if slides is not None:
            swept = _swept(loops, terms, inner, nest, _window(loops, terms, inner))
            read, written = (loops.xp.where(slides, swept, v) for v in (read, written))
            events = loops.xp.where(slides, events / nest.factor, events)
        reads, writes = reads * read, writes * written
    reads = reads * events * _unshared(loops, tensor, reading)
    writes = writes * events * _unshared(loops, tensor, writing)
    return Traffic(reads, writes, reads, nest.kept_orthogonal)


def sequential(loops: Loops, tensor: TensorPlan, transfer: Transfer) -> Traffic:
    """Extend the traffic of the innermost bypassing memory outwards (reference section 2.2)."""
    supplier, last = transfer.supplier, transfer.nest[-1]
    traffic = direct(loops, tensor, last, transfer)
    if supplier == last:
        return traffic
    xp = loops.xp
    reads, writes, revisits = traffic.reads, traffic.writes, traffic.revisits
    pending = _idle(loops, tensor, last, supplier)
    reading = {x.level: x for x in transfer.reading}
    writing = {x.level: x for x in transfer.writing}
    for level in range(last - 1, supplier - 1, -1):
        if level in reading:
            reads = _through_fanout(loops, tensor, reads, reading[level])
            writes = _through_fanout(loops, tensor, writes, writing[level])
            continue
        nest = scan(loops, tensor, (level,))
        whole = loops.iterations[level]
        grown_reads, grown_writes, events = _grow_windows(
            loops, tensor, nest, level, supplier, reads, writes
        )
        reads = xp.where(pending, grown_reads * events, reads * whole)
        writes = xp.where(pending, grown_writes * events, writes * whole)
        revisits = revisits * xp.where(
            pending, nest.kept_orthogonal, loops.orthogonal(tensor, level)
        )
        pending = pending & ~nest.found
    after = loops.plan.spatial_after[supplier]
    reads = reads * _unshared(loops, tensor, [x for x in transfer.reading if x.level in after])
    writes = writes * _unshared(loops, tensor, [x for x in transfer.writing if x.level in after])
    return Traffic(reads, writes, reads, revisits)


def _whole_nest(loops: Loops, tensor: TensorPlan, memories: Sequence[int]) -> Scan:
    """Return a scan of loops none of which leaves anything in place."""
    none = loops.one < 0
    return Scan(
        product([loops.iterations[m] for m in memories], loops.one),
        product([loops.orthogonal(tensor, m) for m in memories], loops.one),
        none,
        none,
        -loops.one,
        loops.one,
    )


def _sliding_sums(
    loops: Loops, tensor: TensorPlan, nest: Scan, spatial: Sequence[int], reuse_of: int
) -> list[Array | None]:
    """Per sum, where its window slides along the innermost loop (None: never).

    The fanouts in between must leave the sum whole, and a memory with a single reuse must not
    have spent it on stationarity.
    """
    free = nest.found
    if not loops.plan.multiple_reuses(reuse_of):
        free = free & ~nest.skipped
    masks: list[Array | None] = []
    for terms in tensor.sums:
        if len(terms) < 2:
            masks.append(None)
            continue
        inside = loops.one < 0
        for d, _ in terms:
            inside = inside | (nest.dimension == d)
        whole = product([loops.factors[x][d] for x in spatial for d, _ in terms], loops.one) == 1
        masks.append(free & inside & whole)
    return masks


def _window(loops: Loops, terms: Sum, extents: Sequence[Array]) -> Array:
    return distinct_values(
        [extents[d] for d, _ in terms],
        [c for _, c in terms],
        overestimate=loops.plan.conventions.overestimate_windows,
    )


def _swept(loops: Loops, terms: Sum, extents: Sequence[Array], nest: Scan, held: Array) -> Array:
    """Values that enter while the window slides through all iterations of its loop."""

    def grown(factor: Array) -> Array:
        longer = list(extents)
        for d, _ in terms:
            longer[d] = loops.xp.where(nest.dimension == d, extents[d] * factor, extents[d])
        return _window(loops, terms, longer)

    if not loops.plan.conventions.pairwise_windows:
        return grown(nest.factor)
    # A step beyond the window's own length leaves nothing of it, and brings no gap along.
    entering = loops.xp.minimum(grown(2 * loops.one) - held, held)
    return held + (nest.factor - 1) * entering


def _split_window(
    loops: Loops, terms: Sum, inner: Sequence[Array], flags: Sequence[SpatialFlags]
) -> Array:
    """Window of adjacent instances: shared where fanouts are selective, repeated elsewhere."""
    extents, repeats = list(inner), loops.one
    for x in flags:
        if not x.selective:
            for d, _ in terms:
                extents[d] = extents[d] / loops.factors[x.level][d]
                repeats = repeats * loops.factors[x.level][d]
    return _window(loops, terms, extents) * repeats


def _served(
    loops: Loops,
    terms: Sum,
    extents: Sequence[Array],
    held: Array,
    flags: Sequence[SpatialFlags],
) -> Array:
    """Values to send at once so that every instance gets its window."""
    if len(terms) == 1 or not any(x.selective for x in flags):
        return product([loops.factors[x.level][d] for x in flags for d, _ in terms], held)
    wide, repeats, scattered = list(extents), loops.one, loops.one < 0
    for x in reversed(flags):
        for d, _ in terms:
            f = loops.factors[x.level][d]
            if x.selective:
                scattered = scattered | ((loops.below[x.level][d] != wide[d]) & (f > 1))
                wide[d] = wide[d] * f
            else:
                repeats = repeats * f
    values = _window(loops, terms, wide)
    if bool(loops.xp.any(scattered)):
        values = loops.xp.where(scattered, _scattered(loops, terms, extents, flags), values)
    return values * repeats


def _scattered(
    loops: Loops, terms: Sum, extents: Sequence[Array], flags: Sequence[SpatialFlags]
) -> Array:
    """Union of windows that are not adjacent, counted mapping by mapping."""
    columns = [(c, loops.one, extents[d]) for d, c in terms]
    columns += [
        (c, loops.below[x.level][d], loops.factors[x.level][d])
        for x in flags
        if x.selective
        for d, c in terms
    ]
    spacing = [[c * int(s) for s in column.tolist()] for c, column, _ in columns]
    counts = [[int(n) for n in column.tolist()] for _, _, column in columns]
    unions = [
        float(count_sum(list(zip(s, n, strict=True))))
        for s, n in zip(zip(*spacing, strict=True), zip(*counts, strict=True), strict=True)
    ]
    return loops.xp.asarray(unions, dtype=loops.one.dtype)


def _unshared(loops: Loops, tensor: TensorPlan, flags: Sequence[SpatialFlags]) -> Array:
    """Copies made because a fanout cannot share one value among orthogonal instances."""
    return product([loops.orthogonal(tensor, x.level) for x in flags if not x.shared], loops.one)


def _idle(loops: Loops, tensor: TensorPlan, memory: int, supplier: int) -> Array:
    """Whether no loop of `memory` moves the tile (with a single reuse: no loop at all)."""
    if loops.plan.multiple_reuses(supplier):
        return loops.relevant(tensor, memory) == 1
    return loops.iterations[memory] == 1


def _grow_windows(
    loops: Loops,
    tensor: TensorPlan,
    nest: Scan,
    level: int,
    supplier: int,
    reads: Array,
    writes: Array,
) -> tuple[Array, Array, Array]:
    """Replace a window by the one swept at `level`; returns reads, writes and events."""
    xp, below = loops.xp, loops.below[level]
    events = nest.kept
    sliding = _sliding_sums(loops, tensor, nest, loops.plan.spatial_after[level], supplier)
    for terms, slides in zip(tensor.sums, sliding, strict=True):
        if slides is None:
            continue
        held = _window(loops, terms, below)
        swept = _swept(loops, terms, below, nest, held)
        reads = xp.where(slides, xp.floor(reads / held) * swept, reads)
        writes = xp.where(slides, xp.floor(writes / held) * swept, writes)
        events = xp.where(slides, events / nest.factor, events)
    return reads, writes, events


def _through_fanout(loops: Loops, tensor: TensorPlan, values: Array, flags: SpatialFlags) -> Array:
    """Carry traffic outwards through a fanout between bypassing memories."""
    row, below = loops.factors[flags.level], loops.below[flags.level]
    for terms in tensor.sums:
        if flags.selective and len(terms) > 1:
            held = _window(loops, terms, below)
            wide = _window(loops, terms, loops.tile[flags.level])
            values = loops.xp.floor(values / held) * wide
        else:
            values = product([row[d] for d, _ in terms], values)
    if not flags.shared:
        values = values * loops.orthogonal(tensor, flags.level)
    return values
