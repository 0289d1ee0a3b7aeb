"""A plan as tables of named records, in which the formulas of the cost model look things up.

From Python the tables are lists and dictionaries of records, whose figures may be arrays, too
(hardware that is being searched). Compiled they are arrays of the same records.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.layout import bursts_of, inside_out
from toolkit.arch.levels import Compute, Fanout, Memory
from toolkit.arch.packing import footing, mac_energy_pj
from toolkit.arch.ports import TRAFFIC
from toolkit.compilation import Field, fields_of, record_type
from toolkit.errors import PrecisionError
from toolkit.lifted import Table
from toolkit.mapping.bounds import FOOTPRINT_GAPS, usable_words
from toolkit.model.plan import (
    Plan,
    Port,
    TensorPlan,
    Transfer,
    gates_idle_instances,
    leakage_pj_per_cycle,
    wire_energies,
)
from toolkit.model.values import WHOLE_WORD, ValueRow, value_row
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

READING, WRITING = range(2)
"""Ways of a transfer: from the supplier, and (of outputs) back to it."""

ALONE, IN_WINDOW = 1, 2
"""How a dimension indexes a tensor: alone along an axis, or as one term of several. 0: not."""


ALWAYS, DOUBLE_BUFFERED, NEVER = range(3)
OVERLAPS = {"always": ALWAYS, "double-buffered": DOUBLE_BUFFERED, "never": NEVER}
"""What of a memory's transfers hides behind the work inside of it."""

A_TILE, ALL_SEEN = 1, 2
"""What a memory holds of a tensor: a tile at a time, or for the whole run all that an instance
sees (`toolkit.mapping.kept`)."""


INWARDS, BOTH_WAYS = 1, 2
"""Which ways a level moves a tensor. 0: it does not."""


class ShapeRow(NamedTuple):
    """Numbers of levels, dimensions, tensors and ports.

    Then the transfer that brings the tiles that stay in a systolic array, and its tensor, or -1.
    """

    levels: int
    dimensions: int
    tensors: int
    ports: int
    stationary: int
    stationary_tensor: int


class SwitchRow(NamedTuple):
    """The conventions, as far as formulas ask for them; see `toolkit.model.conventions`.

    ``clips``: whether last tiles may be cut off at the sizes; otherwise factors are taken to
    multiply to these. ``packs``: whether some value is not one word in some memory or network.
    ``waits``: whether lanes may wait for transfers that nothing hides. ``bursts``: whether some
    tensor leaves the outermost memory in bursts.
    """

    sequential: int
    reduction_for_writes: int
    pairwise_windows: int
    window_gaps: int
    footprint_gaps: int
    leakage_until_end: int
    free_drains: int
    zero_fills: int
    seeds_all: int
    whole_cycles: int
    bias_read: int
    clips: int
    packs: int
    waits: int
    first_and_last: int
    bursts: int


class LevelRow(NamedTuple):
    """One level: what it is, and its figures; 0, 1 or inf where they do not apply.

    ``hops``: whether its instances start one cycle after the other. ``wired``: whether it is a
    fanout whose network costs something. ``following``: the next
    memory inwards, or the number of levels. ``ports``, ``ports_end``: rows of its ports.
    ``overlap``: what hides behind the work inside of a memory, and ``twice_words``, how large
    tiles may be where a second one has to fit. ``units_per_word``: see
    `toolkit.arch.packing.Footing`.
    """

    is_memory: int
    multiple_reuses: int
    power_gating: int
    hops: int
    wired: int
    following: int
    ports: int
    ports_end: int
    read_pj: float
    write_pj: float
    usable_words: float
    overlap: int
    twice_words: float
    units_per_word: float
    wordline_words: float
    leakage_pj: float
    mesh: float
    mac_pj: float
    step_cycles: float
    unicast_pj: float
    multicast_pj: float
    reduction_pj: float


class PortRow(NamedTuple):
    """What passes one port of a memory, or several that share a load: whether each kind may."""

    memory: int
    reads: int
    drains: int
    updates: int
    fills: int
    bandwidth: float


class TensorRow(NamedTuple):
    """One operand: its axes, and the rows of its transfers."""

    is_output: int
    axes: int
    transfers: int
    transfers_end: int


class TransferRow(NamedTuple):
    """A tensor on its way from its supplier to its child (-1: the lanes).

    ``held``: row of the extents that the child holds. ``nested``: memories whose loops move it,
    ``spatial``: levels between; ``selective``: whether any of these shares windows value by
    value. ``places``: where words are counted, the supplier first.
    """

    supplier: int
    child: int
    held: int
    nested: int
    spatial: int
    selective: int
    places: int


class SharingRow(NamedTuple):
    """Whether one transfer serves all instances of a spatial level, whole or value by value."""

    shared: int
    selective: int


class BurstRow(NamedTuple):
    """Units of a burst, 0 where single words are moved, of a value and of a complete output.

    See `toolkit.arch.layout.Bursts`.
    """

    burst: int
    value: int
    complete: int


class PlanTables(NamedTuple):
    """L levels, D dimensions, T tensors, X transfers, P ports; indexed as in brackets.

    Attributes
    ----------
    shape, switches : row
    sizes : [D]
        Iterations.
    levels, ports, tensors, transfers : rows [L], [P], [T], [X]
    axes, terms : rows [T, axis], [T, axis, term]
    indexes : [T, D]
        How a dimension indexes a tensor: 0, `ALONE` or `IN_WINDOW`.
    holds : [T, L]
        Whether a level holds a tensor: 0, `A_TILE` of it at a time, or `ALL_SEEN` of it.
    passes : [T, L]
        Whether a level moves a tensor: 0, `INWARDS` or `BOTH_WAYS`.
    values : rows [T, L]
        How much room values take, and how many words there, or on the wires of a fanout.
    listed : [L, D]
        Whether copies of a tensor along a dimension count, see `Plan.listed`.
    arrives : [T, L]
        Transfer of a tensor to a memory, -1 if none comes there.
    nests : [X, number]
        Memories of a transfer's nest, outermost first.
    between : [X, number]
        Spatial levels of a transfer, outermost first.
    sharing : rows [X, number, way]
        How these share it, by `READING` and `WRITING`.
    places : [X, number]
        Where the words of a transfer are counted: at its supplier, then at fanouts with wires
        and right inside of them.
    bursts : rows [T]
        How the outermost memory moves a tensor.
    layouts : [T, number]
        Axes of a tensor as they lie there, the innermost first.
    """

    shape: Annotated[Any, ShapeRow, 0]
    switches: Annotated[Any, SwitchRow, 0]
    sizes: Annotated[Table, float, 1]
    levels: Annotated[Table, LevelRow, 1]
    ports: Annotated[Table, PortRow, 1]
    tensors: Annotated[Table, TensorRow, 1]
    transfers: Annotated[Table, TransferRow, 1]
    axes: Annotated[Table, AxisRow, 2]
    terms: Annotated[Table, TermRow, 3]
    indexes: Annotated[Table, int, 2]
    holds: Annotated[Table, int, 2]
    passes: Annotated[Table, int, 2]
    values: Annotated[Table, ValueRow, 2]
    listed: Annotated[Table, int, 2]
    arrives: Annotated[Table, int, 2]
    nests: Annotated[Table, int, 2]
    between: Annotated[Table, int, 2]
    sharing: Annotated[Table, SharingRow, 3]
    places: Annotated[Table, int, 2]
    bursts: Annotated[Table, BurstRow, 1]
    layouts: Annotated[Table, int, 2]


def plan_tables(plan: Plan) -> PlanTables:
    """Write a plan as tables for Python."""
    transfers = [x for tensor in plan.tensors for x in tensor.transfers]
    numbered = list(enumerate(transfers))
    return PlanTables(
        ShapeRow(
            len(plan.arch.levels),
            len(plan.workload.dimensions),
            len(plan.tensors),
            len(plan.ports),
            *_stationary(plan),
        ),
        _switches(plan),
        [float(size) for size in plan.workload.sizes.values()],
        [_level(plan, i) for i in range(len(plan.arch.levels))],
        [_port(plan, m, port) for m, port in plan.ports],
        list(_tensors(plan)),
        [_transfer(plan, transfer) for transfer in transfers],
        {(t, s): row for t, s, row in _axes(plan)},
        {(t, s, k): row for t, s, k, row in _terms(plan)},
        {(t, d): how for t, x in enumerate(plan.tensors) for d, how in enumerate(_indexes(x))},
        {
            (t, i): ALL_SEEN if i == tensor.keeper else A_TILE * (i in tensor.holders)
            for t, tensor in enumerate(plan.tensors)
            for i in range(len(plan.arch.levels))
        },
        {
            (t, i): _ways(plan, tensor, i)
            for t, tensor in enumerate(plan.tensors)
            for i in range(len(plan.arch.levels))
        },
        {
            (t, i): value_row(plan, t, i)
            for t in range(len(plan.tensors))
            for i in range(len(plan.arch.levels))
        },
        {(i, d): int(x) for i, row in enumerate(plan.listed) for d, x in enumerate(row)},
        _arrivals(plan),
        {(x, i): m for x, transfer in numbered for i, m in enumerate(transfer.nest)},
        {(x, i): f.level for x, transfer in numbered for i, f in enumerate(transfer.reading)},
        {
            (x, i, way): SharingRow(flags.shared, flags.selective)
            for x, transfer in numbered
            for way, sides in enumerate((transfer.reading, transfer.writing))
            for i, flags in enumerate(sides)
        },
        {(x, i): p for x, transfer in numbered for i, p in enumerate(transfer.places)},
        [_bursts(plan, tensor) for tensor in plan.tensors],
        {
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
        conventions.transfers == "sequential",
        conventions.reduction_for_writes,
        conventions.pairwise_windows,
        GAPS_OF_PAIRS if conventions.overestimate_windows else NO_GAPS,
        FOOTPRINT_GAPS[conventions.window_footprint],
        conventions.leakage_until_end,
        conventions.free_drains,
        conventions.zero_fills,
        not conventions.sums_go_on,
        conventions.whole_cycles,
        plan.bias_read,
        conventions.transfers != "sequential",
        any(
            value_row(plan, t, m) != WHOLE_WORD
            for m in range(len(plan.arch.levels))
            for t in range(len(plan.tensors))
        ),
        conventions.first_and_last or _exposes(plan),
        conventions.first_and_last,
        any(plan.has_bursts(tensor) for tensor in plan.tensors),
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
    level, inf = plan.arch.levels[i], math.inf
    following = next((m for m in plan.memories if m > i), len(plan.arch.levels))
    numbers = [p for p, (m, _) in enumerate(plan.ports) if m == i]
    ports = (numbers[0], numbers[-1] + 1) if numbers else (0, 0)
    if isinstance(level, Fanout):
        hops = level.pe_to_pe and plan.conventions.pe_to_pe_warm_up
        gated = gates_idle_instances(plan.arch, level, plan.conventions)
        wired, energies = level.wires is not None, wire_energies(level)
        nothing = (0, 0, inf, ALWAYS, inf, 1, 1, 0, level.mesh, 0, 0)
        return LevelRow(0, 0, gated, hops, wired, following, *ports, *nothing, *energies)
    leakage = leakage_pj_per_cycle(plan.arch, level, plan.conventions)
    if isinstance(level, Compute):
        mac_pj = mac_energy_pj(plan.arch, plan.workload)
        figures = (0, 0, inf, ALWAYS, inf, 1, 1, leakage, level.mesh, mac_pj, level.cycles)
        return LevelRow(0, 0, 0, 0, 0, following, *ports, *figures, 0, 0, 0)
    return LevelRow(
        1,
        plan.multiple_reuses(i),
        0,
        0,
        0,
        following,
        *ports,
        level.read_energy_pj,
        level.write_energy_pj,
        _usable_words(level),
        ALWAYS if plan.conventions.transfers == "sequential" else OVERLAPS[level.overlap],
        _usable_words(replace(level, multiple_buffering=max(2.0, level.multiple_buffering))),
        footing(plan.arch, plan.workload, level).units_per_word,
        plan.charged_together(i),
        leakage,
        1,
        0,
        0,
        0,
        0,
        0,
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
        transfer.supplier,
        -1 if transfer.child is None else transfer.child,
        len(plan.arch.levels) if transfer.child is None else transfer.child,
        len(transfer.nest),
        len(transfer.reading),
        any(x.selective for x in flags),
        len(transfer.places),
    )
