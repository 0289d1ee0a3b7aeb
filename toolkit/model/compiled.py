"""The cost of one mapping in about a microsecond, for searches that go one mapping at a time.

The same formulas as `toolkit.model.counts` and `cost`, which the tests hold against this file
case by case; only totals come out here. See there for what each step means.
"""

from __future__ import annotations

import numpy as np

from toolkit.compilation import compiled, inlined, merged
from toolkit.model.compiled_plan import (
    ACTIVE,
    BIAS_READ,
    BUSY,
    CHILD,
    CYCLES,
    END,
    FACTORS,
    FANOUT,
    FIRST,
    FREE_DRAINS,
    GATED,
    HOPS,
    IN_FILLER,
    IN_WORDS,
    ITERATIONS,
    KIND,
    LEAKAGE,
    LISTED,
    MAC_PJ,
    MEMORY,
    MESH,
    NEST,
    OUT_FILLER,
    OUT_WORDS,
    OUTPUT,
    PER_INSTANCE,
    READ_BANDWIDTH,
    READ_PJ,
    RELEVANT,
    SHARED_PORTS,
    SUPPLIER,
    TEMPORAL,
    TOGETHER,
    UNTIL_END,
    WARM_UP,
    WHOLE_CYCLES,
    WHOLE_WORDLINES,
    WRITE_BANDWIDTH,
    WRITE_PJ,
    ZERO_FILLS,
    Floats,
    Ints,
    KernelPlan,
    Scratch,
)
from toolkit.model.compiled_sequential import sequential
from toolkit.model.compiled_traffic import (
    fits,
    orthogonal_product,
    per_instance,
    prepare,
)
from toolkit.model.totals import ROUNDING


@inlined
def outer_visits(plan: KernelPlan, t: int, level: int, scratch: Scratch) -> float:
    """How often memories outside `level` come back to the same outputs."""
    visits = 1.0
    for m in range(level):
        if plan.levels[m, KIND] == MEMORY and scratch.per_level[m, ITERATIONS] > 1.0:
            visits *= orthogonal_product(
                plan.tensors[t, RELEVANT:], plan.levels[m, LISTED:], scratch.tiles[FACTORS, m]
            )
    return visits


@inlined
def add_words(plan: KernelPlan, table: Floats, m: int, kind: int, words: float) -> None:
    """Add words that the instances of memory `m` read or write, and what their lines lack."""
    table[m, kind] += words
    if plan.switches[WHOLE_WORDLINES]:
        line = table[m, ACTIVE] * plan.costs[m, TOGETHER]
        table[m, kind + OUT_FILLER - OUT_WORDS] += np.ceil(words / line) * line - words


@merged
def count_per_instance(plan: KernelPlan, t: int, order: Ints, scratch: Scratch) -> None:
    """Add the accesses of one tensor, counted at the instances that take part."""
    table = scratch.per_level
    for x in range(plan.tensors[t, FIRST], plan.tensors[t, END]):
        reads, writes, entering, revisits = per_instance(plan, t, x, order, scratch)
        supplier, child = plan.transfers[x, SUPPLIER], plan.transfers[x, CHILD]
        outermost = plan.transfers[x, NEST]
        scale = table[outermost, TEMPORAL] * table[supplier, ACTIVE]
        reads *= scale
        if child >= 0:
            entering *= table[outermost, TEMPORAL] * table[child, ACTIVE]
        if plan.tensors[t, OUTPUT]:
            add_words(plan, table, supplier, IN_WORDS, writes * scale)
            if child >= 0 and not plan.switches[FREE_DRAINS]:
                add_words(plan, table, child, OUT_WORDS, entering)
            if not plan.switches[BIAS_READ]:
                visits = revisits * outer_visits(plan, t, outermost, scratch)
                reads -= reads / visits
                if not plan.switches[ZERO_FILLS]:
                    entering -= entering / visits
        add_words(plan, table, supplier, OUT_WORDS, reads)
        if child >= 0:
            add_words(plan, table, child, IN_WORDS, entering)


@merged
def count_sequential(plan: KernelPlan, t: int, order: Ints, scratch: Scratch) -> None:
    """Add the accesses of one tensor, carried inwards from level to level."""
    table = scratch.per_level
    x = plan.tensors[t, FIRST]
    carried_reads, carried_writes = 0.0, 0.0
    for level in range(plan.levels.shape[0]):
        if plan.levels[level, KIND] != MEMORY:
            if table[level, ITERATIONS] > 1.0:
                copies = orthogonal_product(
                    plan.tensors[t, RELEVANT:],
                    plan.levels[level, LISTED:],
                    scratch.tiles[FACTORS, level],
                )
                carried_reads *= copies
                carried_writes *= copies
            continue
        if x == plan.tensors[t, END] or plan.transfers[x, SUPPLIER] != level:
            continue
        reads, writes, revisits = sequential(plan, t, x, order, scratch)
        scale = table[level, TEMPORAL] * table[level, ACTIVE]
        reads *= scale
        writes *= scale
        x += 1
        if plan.tensors[t, OUTPUT] and not plan.switches[BIAS_READ]:
            visits = revisits * outer_visits(plan, t, level, scratch)
            reads -= np.ceil(reads / visits)
        add_words(plan, table, level, OUT_WORDS, reads)
        if plan.tensors[t, OUTPUT]:
            add_words(plan, table, level, IN_WORDS, writes)
        if not plan.holds[t, level]:
            continue
        add_words(plan, table, level, IN_WORDS, carried_reads)
        if plan.tensors[t, OUTPUT]:
            add_words(plan, table, level, OUT_WORDS, carried_writes)
            if not plan.switches[FREE_DRAINS]:
                carried_writes = writes + carried_reads
        carried_reads = reads


@merged
def latency_cycles(plan: KernelPlan, scratch: Scratch) -> float:
    """Latency of the run, and per memory its busy cycles, from the words it moves."""
    table = scratch.per_level
    cycles = plan.costs[-1, CYCLES]
    latency = cycles * table[-1, TEMPORAL]
    for m in range(plan.levels.shape[0] - 1, -1, -1):
        if plan.levels[m, KIND] != MEMORY:
            continue
        repeats = table[m, ACTIVE] * table[m, TEMPORAL]
        inside = cycles * table[m, ITERATIONS]
        reading, writing = inside, inside
        if plan.switches[SHARED_PORTS]:
            words = table[m, OUT_WORDS] + table[m, IN_WORDS]
            bandwidth = plan.costs[m, READ_BANDWIDTH] + plan.costs[m, WRITE_BANDWIDTH]
            if words > bandwidth * repeats * inside:
                reading = words / repeats / bandwidth
        else:
            if table[m, OUT_WORDS] > plan.costs[m, READ_BANDWIDTH] * repeats * inside:
                reading = table[m, OUT_WORDS] / repeats / plan.costs[m, READ_BANDWIDTH]
            if table[m, IN_WORDS] > plan.costs[m, WRITE_BANDWIDTH] * repeats * inside:
                writing = table[m, IN_WORDS] / repeats / plan.costs[m, WRITE_BANDWIDTH]
        cycles = max(reading, writing)
        table[m, BUSY] = cycles * table[m, TEMPORAL]
        latency = max(latency, table[m, BUSY])
    if plan.switches[WARM_UP]:
        for level in range(plan.levels.shape[0]):
            if plan.levels[level, HOPS]:
                latency += table[level, ITERATIONS] - 1.0
    if plan.switches[WHOLE_CYCLES]:
        nearest = np.rint(latency)
        return nearest if abs(latency - nearest) <= latency * ROUNDING else np.ceil(latency)
    return latency


@compiled
def cost(
    plan: KernelPlan, factors: Ints, order: Ints, scratch: Scratch
) -> tuple[float, float, float]:
    """Energy (pJ), latency (cycles) and utilization of one mapping.

    `factors` and `order` have shape (levels, dimensions). Whether the mapping is valid is
    a question for `fits` (after `prepare`) and for the bounds of the map space.
    """
    prepare(plan, factors, scratch)
    return prepared_cost(plan, order, scratch)


@compiled
def prepared_cost(plan: KernelPlan, order: Ints, scratch: Scratch) -> tuple[float, float, float]:
    """Cost of the mapping that `prepare` has written into `scratch`."""
    table = scratch.per_level
    for t in range(plan.tensors.shape[0]):
        if plan.switches[PER_INSTANCE]:
            count_per_instance(plan, t, order, scratch)
        else:
            count_sequential(plan, t, order, scratch)
    latency = latency_cycles(plan, scratch)
    compute = plan.levels.shape[0] - 1
    energy = plan.costs[-1, MAC_PJ] * (
        table[compute, ITERATIONS] * table[compute, TEMPORAL] * table[compute, ACTIVE]
    )
    utilization, powered = 1.0, 1.0
    for level in range(compute + 1):
        iterations = table[level, ITERATIONS]
        busy = latency
        if plan.levels[level, KIND] == MEMORY:
            energy += plan.costs[level, READ_PJ] * (
                table[level, OUT_WORDS] + table[level, OUT_FILLER]
            )
            energy += plan.costs[level, WRITE_PJ] * (
                table[level, IN_WORDS] + table[level, IN_FILLER]
            )
            if not plan.switches[UNTIL_END]:
                busy = table[level, BUSY]
        else:
            utilization *= iterations / plan.costs[level, MESH]
            if plan.levels[level, KIND] == FANOUT:
                powered *= iterations if plan.levels[level, GATED] else plan.costs[level, MESH]
                continue
            if not plan.switches[UNTIL_END]:
                busy = plan.costs[-1, CYCLES]
        energy += plan.costs[level, LEAKAGE] * busy * powered
    return energy, latency, utilization


@compiled
def cost_batch(
    plan: KernelPlan, factors: Ints, order: Ints, scratch: Scratch, results: Floats
) -> None:
    """Cost a batch into ``results[b] = (energy_pj, latency_cycles, utilization, fits)``."""
    for b in range(factors.shape[0]):
        prepare(plan, factors[b], scratch)
        results[b, 3] = 1.0 if fits(plan, scratch) else 0.0
        energy, latency, utilization = prepared_cost(plan, order[b], scratch)
        results[b, 0] = energy
        results[b, 1] = latency
        results[b, 2] = utilization
