"""A plan as tables of named records, in which the formulas of the cost model look things up.

From Python the tables are lists and dictionaries of records, whose figures may be arrays, too
(hardware that is being searched). Compiled they are arrays of the same records. They are written
by `toolkit.model.tabulate`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

from toolkit.lifted import Table
from toolkit.model.values import ValueRow
from toolkit.workload.distinct import AxisRow, TermRow

READING, WRITING = range(2)
"""Ways of a transfer: from the supplier, and (of outputs) back to it."""

ALONE, IN_WINDOW = 1, 2
"""How a dimension indexes a tensor: alone along an axis, or as one term of several. 0: not."""

ALWAYS, DOUBLE_BUFFERED, NEVER = range(3)
"""What of a memory's transfers hides behind the work inside of it: all, what fits twice, none."""

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
    """One level: what it is, and its figures; what does not apply to it is left as it is here.

    ``hops``: whether its instances start one cycle after the other. ``wired``: whether it is a
    fanout whose network costs something. ``following``: the next memory inwards, or the number
    of levels. ``ports``, ``ports_end``: rows of its ports. ``overlap``: what hides behind the
    work inside of a memory, and ``twice_words``, how large tiles may be where a second one has
    to fit. ``units_per_word``: see `toolkit.arch.packing.Footing`.
    """

    is_memory: int = 0
    multiple_reuses: int = 0
    power_gating: int = 0
    hops: int = 0
    wired: int = 0
    following: int = 0
    ports: int = 0
    ports_end: int = 0
    read_pj: float = 0
    write_pj: float = 0
    usable_words: float = math.inf
    overlap: int = ALWAYS
    twice_words: float = math.inf
    units_per_word: float = 1
    wordline_words: float = 1
    leakage_pj: float = 0
    mesh: float = 1
    mac_pj: float = 0
    step_cycles: float = 0
    unicast_pj: float = 0
    multicast_pj: float = 0
    reduction_pj: float = 0


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
