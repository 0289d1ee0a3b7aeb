"""A plan as plain arrays, the form in which the compiled cost model takes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.levels import Compute, Fanout, Memory
from toolkit.errors import PrecisionError
from toolkit.mapping.bounds import usable_words
from toolkit.model.plan import Plan, TensorPlan, Transfer
from toolkit.workload.distinct import SPAN_LIMIT, STRIDE_LIMIT

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MEMORY, FANOUT, COMPUTE = 0, 1, 2

DISTINCT, STRIDE_BLIND, BOUNDING = 0, 1, 2
_FOOTPRINTS = {"distinct": DISTINCT, "stride_blind": STRIDE_BLIND, "bounding": BOUNDING}

LIMIT = 2.0**53
"""Counts up to here are exact in double precision."""


class KernelPlan(NamedTuple):
    """A `Plan` as few arrays; L levels, D dimensions, T tensors, X transfers.

    Attributes
    ----------
    levels : [L, 4 + D]
        Kind, multiple reuses, power gating, pe-to-pe; from `LISTED` on, dimensions it iterates.
    costs : [L, 8]
        Read and write energy, read and write bandwidth, leakage, usable words, mesh, words that
        are charged together; of the
        compute level, the energy of a multiply-accumulate and the cycles of a step come first.
    tensors : [T, 4 + D]
        Output, number of indices, first transfer and the one after the last; from `RELEVANT`
        on, dimensions that index the tensor.
    holds : [T, L]
        Levels that hold the tensor.
    sums : [T, indices, 1 + 2 * terms]
        Number of terms, then (dimension, coefficient) pairs; the coefficients are divided by
        their common divisor, which leaves all counts as they are.
    transfers : [X, 5 + L]
        Supplier, child (-1: lanes), memories in the nest, spatial levels, whether any of
        these is selective; from `NEST` on, the memories of the nest.
    spatial : [X, L, 5]
        Level, then shared and selective for reading and for writing.
    switches : [13]
        The conventions and whether biases are read.
    """

    levels: Ints
    costs: Floats
    tensors: Ints
    holds: Ints
    sums: Ints
    transfers: Ints
    spatial: Ints
    switches: Ints


KIND, REUSES, GATED, HOPS, LISTED = range(5)
READ_PJ, WRITE_PJ, READ_BANDWIDTH, WRITE_BANDWIDTH, LEAKAGE, USABLE, MESH, TOGETHER = range(8)
MAC_PJ, CYCLES = READ_PJ, WRITE_PJ
OUTPUT, INDICES, FIRST, END, RELEVANT = range(5)
SUPPLIER, CHILD, NESTED, SPATIAL, SELECTIVE, NEST = range(6)
LEVEL, READ_SHARED, READ_SELECTIVE, WRITE_SHARED, WRITE_SELECTIVE = range(5)
(
    PER_INSTANCE,
    REDUCTION_FOR_WRITES,
    PAIRWISE,
    FOOTPRINT,
    UNTIL_END,
    WARM_UP,
    FREE_DRAINS,
    OVERESTIMATE,
    SHARED_PORTS,
    ZERO_FILLS,
    WHOLE_WORDLINES,
    WHOLE_CYCLES,
    BIAS_READ,
) = range(13)


class Scratch(NamedTuple):
    """Working memory of one evaluation; one per thread.

    Attributes
    ----------
    tiles : [3, L, D]
        Factors, tile extents inside every level, and those with its own loops.
    per_level : [L, 8]
        Iterations, product of the outer temporal and of the outer spatial levels, words read
        and written, busy cycles, words that fill up the last wordlines read and written.
    vectors : [4, at least D]
        Ones, and space for windows of several instances or of many terms.
    seen : [widest index]
        Marks the values of an index that has to be enumerated.
    """

    tiles: Floats
    per_level: Floats
    vectors: Floats
    seen: NDArray[np.uint8]


FACTORS, BELOW, TILE = range(3)
ONES, SPLIT, STRIDES, EXTENTS = range(4)
ITERATIONS, TEMPORAL, ACTIVE, OUT_WORDS, IN_WORDS, BUSY, OUT_FILLER, IN_FILLER = range(8)


def kernel_plan(plan: Plan) -> KernelPlan:
    """Write a plan as arrays."""
    levels, tensors = plan.arch.levels, plan.tensors
    transfers = [x for tensor in tensors for x in tensor.transfers]
    ends = np.cumsum([len(tensor.transfers) for tensor in tensors])
    return KernelPlan(
        levels=_ints([(*_level_row(plan, i), *listed) for i, listed in enumerate(plan.listed)]),
        costs=np.array([_level_costs(plan, i) for i in range(len(levels))], dtype=np.float64),
        tensors=_ints(
            [
                (t.is_output, len(t.sums), end - len(t.transfers), end, *t.relevant)
                for t, end in zip(tensors, ends, strict=True)
            ]
        ),
        holds=_ints([[i in t.holders for i in range(len(levels))] for t in tensors]),
        sums=_sums(tensors),
        transfers=_transfers(transfers, len(levels)),
        spatial=_spatial(transfers, len(levels)),
        switches=_switches(plan),
    )


def make_scratch(plan: Plan) -> Scratch:
    """Allocate working memory for mappings of a plan.

    Raises
    ------
    PrecisionError
        If the windows of the workload are too wide to be counted by enumeration.
    """
    levels, dimensions = len(plan.arch.levels), len(plan.workload.dimensions)
    width = max(len(s) for tensor in plan.tensors for s in (*tensor.sums, ()))
    return Scratch(
        np.ones((3, levels, dimensions)),
        np.zeros((levels, 8)),
        np.ones((4, max(dimensions, (width + 1) * (levels + 1)))),
        np.zeros(_widest_enumeration(plan), dtype=np.uint8),
    )


def _widest_enumeration(plan: Plan) -> int:
    """Span of the widest index that may have to be counted value by value."""
    selective = any(
        flags.selective
        for tensor in plan.tensors
        for transfer in tensor.transfers
        for flags in (*transfer.reading, *transfer.writing)
    )
    sizes = list(plan.workload.sizes.values())
    spans = [
        1 + sum(coefficient * (sizes[d] - 1) for d, coefficient in terms)
        for tensor in plan.tensors
        for terms in tensor.sums
        if (len(terms) > 2 and len({c for _, c in terms}) > 1) or (len(terms) > 1 and selective)
    ]
    widest = max(spans, default=1)
    if widest > SPAN_LIMIT:
        raise PrecisionError(
            f"{plan.workload.name}: an index spans {widest} values; "
            f"windows are counted exactly up to {SPAN_LIMIT}"
        )
    return widest


def _ints(rows: Sequence[Sequence[int]] | Sequence[int]) -> Ints:
    return np.array(rows, dtype=np.int64)


def _level_row(plan: Plan, i: int) -> tuple[int, int, int, int]:
    level = plan.arch.levels[i]
    if isinstance(level, Memory):
        return MEMORY, plan.multiple_reuses(i), False, False
    if isinstance(level, Fanout):
        return FANOUT, False, level.power_gating, level.pe_to_pe
    return COMPUTE, False, False, False


def _level_costs(plan: Plan, i: int) -> tuple[float, ...]:
    level = plan.arch.levels[i]
    if isinstance(level, Fanout):
        return (0.0, 0.0, np.inf, np.inf, 0.0, np.inf, level.mesh, 1.0)
    if isinstance(level, Compute):
        leakage = level.leakage_pj_per_cycle
        return (
            level.mac_energy_pj,
            level.cycles,
            np.inf,
            np.inf,
            leakage,
            np.inf,
            level.mesh,
            1.0,
        )
    # More than 2^53 words cannot be told apart, and no such footprint can be evaluated.
    usable = np.inf if level.capacity_words is None else usable_words(level)
    if LIMIT <= usable < np.inf:
        usable = LIMIT - 1
    return (
        level.read_energy_pj,
        level.write_energy_pj,
        level.read_bandwidth,
        level.write_bandwidth,
        level.leakage_pj_per_cycle,
        usable,
        1.0,
        plan.charged_together(i),
    )


def _sums(tensors: tuple[TensorPlan, ...]) -> Ints:
    terms = max((len(s) for tensor in tensors for s in tensor.sums), default=1)
    count = max(max(len(tensor.sums) for tensor in tensors), 1)
    table = np.zeros((len(tensors), count, 1 + 2 * terms), dtype=np.int64)
    for t, tensor in enumerate(tensors):
        for s, summed in enumerate(tensor.sums):
            table[t, s, 0] = len(summed)
            divisor = math.gcd(*(coefficient for _, coefficient in summed))
            for k, (dimension, coefficient) in enumerate(summed):
                table[t, s, 1 + 2 * k] = dimension
                if coefficient // divisor >= STRIDE_LIMIT:
                    raise PrecisionError(
                        f"{tensor.tensor.name}: a stride is 2^62 or more, "
                        "too large for exact counts"
                    )
                table[t, s, 2 + 2 * k] = coefficient // divisor
    return table


def _transfers(transfers: list[Transfer], levels: int) -> Ints:
    table = np.zeros((len(transfers), NEST + levels), dtype=np.int64)
    for row, transfer in zip(table, transfers, strict=True):
        flags = (*transfer.reading, *transfer.writing)
        row[SUPPLIER] = transfer.supplier
        row[CHILD] = -1 if transfer.child is None else transfer.child
        row[NESTED] = len(transfer.nest)
        row[SPATIAL] = len(transfer.reading)
        row[SELECTIVE] = any(x.selective for x in flags)
        row[NEST : NEST + len(transfer.nest)] = transfer.nest
    return table


def _spatial(transfers: list[Transfer], levels: int) -> Ints:
    table = np.zeros((len(transfers), levels, 5), dtype=np.int64)
    for rows, transfer in zip(table, transfers, strict=True):
        for row, r, w in zip(rows, transfer.reading, transfer.writing, strict=False):
            row[:] = (r.level, r.shared, r.selective, w.shared, w.selective)
    return table


def _switches(plan: Plan) -> Ints:
    conventions = plan.conventions
    return _ints(
        [
            conventions.transfers != "sequential",
            conventions.reduction_for_writes,
            conventions.pairwise_windows,
            _FOOTPRINTS[conventions.window_footprint],
            conventions.leakage_until_end,
            conventions.pe_to_pe_warm_up,
            conventions.free_drains,
            conventions.overestimate_windows,
            conventions.shared_ports,
            conventions.zero_fills,
            conventions.whole_wordlines,
            conventions.whole_cycles,
            plan.bias_read,
        ]
    )
