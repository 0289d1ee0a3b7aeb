"""Writing a plan as the tables in which formulas look things up (`toolkit.model.plan_tables`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.layout import bursts_of, inside_out
from toolkit.arch.levels import Compute, Fanout, Memory
from toolkit.arch.packing import footing, mac_energy_pj
from toolkit.arch.ports import TRAFFIC
from toolkit.compilation import Field, fields_of, record_type
from toolkit.errors import PrecisionError
from toolkit.mapping.bounds import FOOTPRINT_GAPS, usable_words
from toolkit.model.plan import (
    Plan,
    TensorPlan,
    Transfer,
    gates_idle_instances,
    leakage_pj_per_cycle,
    wire_energies,
)
from toolkit.model.plan_ports import Port
from toolkit.model.plan_tables import (
    A_TILE,
    ALL_SEEN,
    ALONE,
    ALWAYS,
    BOTH_WAYS,
    DOUBLE_BUFFERED,
    IN_WINDOW,
    INWARDS,
    NEVER,
    BurstRow,
    LevelRow,
    PlanTables,
    PortRow,
    ShapeRow,
    SharingRow,
    SwitchRow,
    TensorRow,
    TransferRow,
)
from toolkit.model.values import WHOLE_WORD, value_row
from toolkit.workload.distinct import (
    GAPS_OF_PAIRS,
    NO_GAPS,
    SPAN_LIMIT,
    STRIDE_LIMIT,
    AxisRow,
    TermRow,
)

LIMIT = 2.0**53
"""Counts up to here are exact in double precision."""

OVERLAPS = {"always": ALWAYS, "double-buffered": DOUBLE_BUFFERED, "never": NEVER}
"""What of a memory's transfers hides behind the work inside of it."""


def plan_tables(plan: Plan) -> PlanTables:
    """Write a plan as tables for Python."""
    transfers = [x for tensor in plan.tensors for x in tensor.transfers]
    numbered, levels = list(enumerate(transfers)), range(len(plan.arch.levels))
    return PlanTables(
        shape=ShapeRow(
            len(levels),
            len(plan.workload.dimensions),
            len(plan.tensors),
            len(plan.ports),
            *_stationary(plan),
        ),
        switches=_switches(plan),
        sizes=[float(size) for size in plan.workload.sizes.values()],
        levels=[_level(plan, i) for i in levels],
        ports=[_port(plan, m, port) for m, port in plan.ports],
        tensors=list(_tensors(plan)),
        transfers=[_transfer(plan, transfer) for transfer in transfers],
        axes={(t, s): row for t, s, row in _axes(plan)},
        terms={(t, s, k): row for t, s, k, row in _terms(plan)},
        indexes={
            (t, d): how for t, x in enumerate(plan.tensors) for d, how in enumerate(_indexes(x))
        },
        holds={
            (t, i): ALL_SEEN if i == tensor.keeper else A_TILE * (i in tensor.holders)
            for t, tensor in enumerate(plan.tensors)
            for i in levels
        },
        passes={
            (t, i): _ways(plan, tensor, i) for t, tensor in enumerate(plan.tensors) for i in levels
        },
        values={(t, i): value_row(plan, t, i) for t in range(len(plan.tensors)) for i in levels},
        listed={(i, d): int(x) for i, row in enumerate(plan.listed) for d, x in enumerate(row)},
        arrives=_arrivals(plan),
        nests={(x, i): m for x, transfer in numbered for i, m in enumerate(transfer.nest)},
        between={
            (x, i): f.level for x, transfer in numbered for i, f in enumerate(transfer.reading)
        },
        sharing={
            (x, i, way): SharingRow(flags.shared, flags.selective)
            for x, transfer in numbered
            for way, sides in enumerate((transfer.reading, transfer.writing))
            for i, flags in enumerate(sides)
        },
        places={(x, i): p for x, transfer in numbered for i, p in enumerate(transfer.places)},
        bursts=[_bursts(plan, tensor) for tensor in plan.tensors],
        layouts={
            (t, k): s
            for t, tensor in enumerate(plan.tensors)
            for k, s in enumerate(inside_out(plan.arch.memories[0], tensor.tensor))
        },
    )


def _ways(plan: Plan, tensor: TensorPlan, i: int) -> int:
    level = plan.arch.levels[i]
    passes = i in tensor.holders or any(i in (x.supplier, x.child) for x in tensor.transfers)
    if not passes and not (isinstance(level, Fanout) and level.wires is not None):
        return 0
    return BOTH_WAYS if tensor.is_output else INWARDS


def _bursts(plan: Plan, tensor: TensorPlan) -> BurstRow:
    if not plan.has_bursts(tensor):
        return BurstRow(0, 1, 1)
    found = bursts_of(plan.arch, tensor.tensor)
    return BurstRow(found.burst_units, found.value_units, found.complete_units)


def _arrivals(plan: Plan) -> dict[tuple[int, int], int]:
    places = itertools.product(range(len(plan.tensors)), range(len(plan.arch.levels)))
    arrives, x = dict.fromkeys(places, -1), 0
    for t, tensor in enumerate(plan.tensors):
        for transfer in tensor.transfers:
            if transfer.child is not None:
                arrives[t, transfer.child] = x
            x += 1
    return arrives


def compiled_tables(plan: Plan) -> PlanTables:
    """Write a plan as arrays of records.

    Raises
    ------
    PrecisionError
        If a stride is too large to be counted with.
    """
    tables = plan_tables(plan)
    for (t, _, _), term in tables.terms.items():
        if term.coefficient >= STRIDE_LIMIT:
            raise PrecisionError(
                f"{plan.tensors[t].tensor.name}: a stride is 2^62 or more, "
                "too large for exact counts"
            )
    return PlanTables(
        *(
            _as_array(values, field)
            for values, field in zip(tables, fields_of(PlanTables).values(), strict=True)
        )
    )


def _as_array(values: Any, field: Field) -> NDArray[Any]:
    """Write one row, a list of rows, or rows or numbers by their indices, as an array."""
    dtype = record_type(field.kind)
    if field.indices < 2:
        return np.array(values if field.indices else [values], dtype=dtype)
    shape = np.max(list(values), axis=0) + 1 if values else (0,) * field.indices
    table = np.zeros(shape, dtype=dtype)
    for place, value in values.items():
        table[place] = value
    return table


def widest_enumeration(plan: Plan) -> int:
    """Span of the widest index that may have to be counted value by value.

    Raises
    ------
    PrecisionError
        If it is wider than `SPAN_LIMIT`.
    """
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


def _switches(plan: Plan) -> SwitchRow:
    conventions = plan.conventions
    return SwitchRow(
        sequential=conventions.transfers == "sequential",
        reduction_for_writes=conventions.reduction_for_writes,
        pairwise_windows=conventions.pairwise_windows,
        window_gaps=GAPS_OF_PAIRS if conventions.overestimate_windows else NO_GAPS,
        footprint_gaps=FOOTPRINT_GAPS[conventions.window_footprint],
        leakage_until_end=conventions.leakage_until_end,
        free_drains=conventions.free_drains,
        zero_fills=conventions.zero_fills,
        seeds_all=not conventions.sums_go_on,
        whole_cycles=conventions.whole_cycles,
        bias_read=plan.bias_read,
        clips=conventions.transfers != "sequential",
        packs=any(
            value_row(plan, t, m) != WHOLE_WORD
            for m in range(len(plan.arch.levels))
            for t in range(len(plan.tensors))
        ),
        waits=conventions.first_and_last or _exposes(plan),
        first_and_last=conventions.first_and_last,
        bursts=any(plan.has_bursts(tensor) for tensor in plan.tensors),
    )


def _exposes(plan: Plan) -> bool:
    """Whether some memory may not hide all that it gets and sends."""
    if plan.conventions.transfers == "sequential":
        return False
    return any(plan.memory(m).overlap != "always" for m in plan.memories)


def _stationary(plan: Plan) -> tuple[int, int]:
    """Transfer that brings the tiles that stay in a systolic array, and its tensor; -1 if none.

    The only one to a memory inside of all fanouts through which operands hop.
    """
    hops = [i for i, x in enumerate(plan.arch.levels) if isinstance(x, Fanout) and x.pe_to_pe]
    if not hops or not plan.conventions.pe_to_pe_warm_up:
        return -1, -1
    found, x = [], 0
    for t, tensor in enumerate(plan.tensors):
        for transfer in tensor.transfers:
            if transfer.child is not None and transfer.supplier < hops[-1] < transfer.child:
                found.append((x, t))
            x += 1
    return found[0] if len(found) == 1 else (-1, -1)


def _port(plan: Plan, memory: int, port: Port) -> PortRow:
    kinds = plan.passing(memory, port)
    reads, drains, updates, fills = (kind in kinds for kind in TRAFFIC)
    return PortRow(memory, reads, drains, updates, fills, port.bandwidth)


def _level(plan: Plan, i: int) -> LevelRow:
    level = plan.arch.levels[i]
    numbers = [p for p, (m, _) in enumerate(plan.ports) if m == i]
    row = LevelRow(
        following=next((m for m in plan.memories if m > i), len(plan.arch.levels)),
        ports=numbers[0] if numbers else 0,
        ports_end=numbers[-1] + 1 if numbers else 0,
    )
    if isinstance(level, Fanout):
        unicast, multicast, reduction = wire_energies(level)
        return row._replace(
            power_gating=gates_idle_instances(plan.arch, level, plan.conventions),
            hops=level.pe_to_pe and plan.conventions.pe_to_pe_warm_up,
            wired=level.wires is not None,
            mesh=level.mesh,
            unicast_pj=unicast,
            multicast_pj=multicast,
            reduction_pj=reduction,
        )
    row = row._replace(leakage_pj=leakage_pj_per_cycle(plan.arch, level, plan.conventions))
    if isinstance(level, Compute):
        mac_pj = mac_energy_pj(plan.arch, plan.workload)
        return row._replace(mesh=level.mesh, mac_pj=mac_pj, step_cycles=level.cycles)
    twice = replace(level, multiple_buffering=max(2.0, level.multiple_buffering))
    sequential = plan.conventions.transfers == "sequential"
    return row._replace(
        is_memory=1,
        multiple_reuses=plan.multiple_reuses(i),
        read_pj=level.read_energy_pj,
        write_pj=level.write_energy_pj,
        usable_words=_usable_words(level),
        overlap=ALWAYS if sequential else OVERLAPS[level.overlap],
        twice_words=_usable_words(twice),
        units_per_word=footing(plan.arch, plan.workload, level).units_per_word,
        wordline_words=plan.charged_together(i),
    )


def _usable_words(memory: Memory) -> float:
    """Room of a memory: more than 2^53 words are not told apart, and cannot be evaluated."""
    usable = math.inf if memory.capacity_words is None else usable_words(memory)
    return LIMIT - 1 if LIMIT <= usable < math.inf else usable


def _tensors(plan: Plan) -> Iterable[TensorRow]:
    end = 0
    for tensor in plan.tensors:
        first, end = end, end + len(tensor.transfers)
        yield TensorRow(tensor.is_output, len(tensor.sums), first, end)


def _axes(plan: Plan) -> Iterable[tuple[int, int, AxisRow]]:
    for t, tensor in enumerate(plan.tensors):
        for s, terms in enumerate(tensor.sums):
            yield t, s, AxisRow(len(terms), len({c for _, c in terms}) == 1)


def _terms(plan: Plan) -> Iterable[tuple[int, int, int, TermRow]]:
    for t, tensor in enumerate(plan.tensors):
        for s, terms in enumerate(tensor.sums):
            divisor = math.gcd(*(c for _, c in terms))
            for k, (d, c) in enumerate(terms):
                yield t, s, k, TermRow(d, c // divisor)


def _indexes(tensor: TensorPlan) -> Sequence[int]:
    windows = {d for terms in tensor.sums if len(terms) > 1 for d, _ in terms}
    return [
        IN_WINDOW if d in windows else ALONE if relevant else 0
        for d, relevant in enumerate(tensor.relevant)
    ]


def _transfer(plan: Plan, transfer: Transfer) -> TransferRow:
    flags = (*transfer.reading, *transfer.writing)
    return TransferRow(
        supplier=transfer.supplier,
        child=-1 if transfer.child is None else transfer.child,
        held=len(plan.arch.levels) if transfer.child is None else transfer.child,
        nested=len(transfer.nest),
        spatial=len(transfer.reading),
        selective=any(x.selective for x in flags),
        places=len(transfer.places),
    )
