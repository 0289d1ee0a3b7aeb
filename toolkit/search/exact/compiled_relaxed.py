"""Tables of relaxed ways: see `toolkit.search.exact.relaxed`."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from toolkit.compilation import Kernel
from toolkit.lifted import Table, floor, formula, once


class ShareRow(NamedTuple):
    """A tensor at a memory.

    ``waits``: whether a transfer of it may be under way. ``held``: whether a tile of it
    needs room there. ``output``, ``unread``: whether values come back, and whether those that are
    seen first are not read. ``values``: of the whole tensor. ``units``: what a value takes of
    the room.
    """

    waits: int
    held: int
    output: int
    unread: int
    values: float
    units: float


class Relaxing(NamedTuple):
    """One choice of spatial factors; K memories, T tensors, D dimensions, B buckets.

    Attributes
    ----------
    shares : `ShareRow` [K, T]
        Tensors.
    waits, closes, begins : [K]
        Tensors whose transfer may be under way at a memory, of which it is the supplier, and of
        which it is the child, as bits.
    indexes : [D]
        Tensors that a dimension indexes, as bits.
    axes : [T, axes, D]
        Dimensions of every index of a tensor, -1 from the last one on.
    usable : [K]
        Room for tiles, in units of `toolkit.arch.packing.Footing`.
    sizes, inside : [D], [K, D]
        Iterations, and spatial extents inside a memory.
    buckets : [D]
        How many there are.
    least : [D, B]
        Smallest extents in time of them.
    coef : [K, T, 9]
        Cost of a word read, written, filled and entering, and of one read with first visits,
        which may be below 0; what waits is told by `exposed` and `stays`.
    apart : [K, T, 3, D]
        By way (`READ` ... of `chains`), iterations that instances see beside the tile without
        that the visits count one by one.
    first : [K, T, 3]
        Most visits that are first ones, of one value.
    entry, exposed, stays : [K, T], [K, T, 4], [K, T]
        See `toolkit.search.exact.relaxed_waits.WaitTables`.
    """

    shares: Annotated[Table, ShareRow, 2]
    waits: Annotated[Table, int, 1]
    closes: Annotated[Table, int, 1]
    begins: Annotated[Table, int, 1]
    indexes: Annotated[Table, int, 1]
    axes: Annotated[Table, int, 3]
    usable: Annotated[Table, float, 1]
    sizes: Annotated[Table, float, 1]
    inside: Annotated[Table, float, 2]
    buckets: Annotated[Table, int, 1]
    least: Annotated[Table, float, 2]
    coef: Annotated[Table, float, 3]
    apart: Annotated[Table, float, 4]
    first: Annotated[Table, float, 3]
    entry: Annotated[Table, float, 2]
    exposed: Annotated[Table, float, 3]
    stays: Annotated[Table, float, 2]


class Ways(NamedTuple):
    """What `relax` fills in; S subsets of tensors, C cells.

    Attributes
    ----------
    to_go : [K, S, C]
        Least costs from inside a memory on.
    through : [K, C]
        Least costs of all ways through a cell at the bottom of a memory.
    costs : [T, C]
        Of the transfers at one memory.
    room : [C]
        Where tiles fit into it the cycles in which the first ones come, else infinite.
    repeats : [4, D, B]
        Factors of one transfer's words: the least by way, and the most that are read.
    here, top : [S, C]
        Least costs up to inside a memory, and up to its top.
    changed : [C]
        Costs after a loop.
    coordinates : [D]
        Buckets of a cell.
    """

    to_go: Annotated[Table, float, 3]
    through: Annotated[Table, float, 2]
    costs: Annotated[Table, float, 2]
    room: Annotated[Table, float, 1]
    repeats: Annotated[Table, float, 3]
    here: Annotated[Table, float, 2]
    top: Annotated[Table, float, 2]
    changed: Annotated[Table, float, 1]
    coordinates: Annotated[Table, int, 1]


@formula
def advance(problem: Relaxing, ways: Ways) -> None:
    """Go on to the coordinates of the next cell."""
    d = problem.sizes.shape[0] - 1
    ways.coordinates[d] += 1
    while d > 0 and ways.coordinates[d] == problem.buckets[d]:
        ways.coordinates[d] = 0
        d -= 1
        ways.coordinates[d] += 1


@formula
def begin(ways: Ways) -> None:
    """Go to the first cell."""
    for d in range(ways.coordinates.shape[0]):
        ways.coordinates[d] = 0


@once
@formula
def fill_costs(problem: Relaxing, ways: Ways, k: int) -> None:
    """Costs of the transfers at memory number `k`, by the extents where their stays end."""
    dimensions, cells = problem.sizes.shape[0], ways.room.shape[0]
    for t in range(problem.shares.shape[1]):
        share = problem.shares[k, t]
        if not share.waits:
            continue
        for way in range(3):
            for d in range(dimensions):
                for b in range(problem.buckets[d]):
                    times = 1.0
                    if not problem.indexes[d] >> t & 1 and b + 1 < problem.buckets[d]:
                        most = (problem.least[d, b + 1] - 1.0) * problem.apart[k, t, way, d]
                        times = max(-floor(-problem.sizes[d] / most), 1.0)
                    ways.repeats[way, d, b] = times
        for d in range(dimensions):
            for b in range(problem.buckets[d]):
                extent, most = problem.least[d, b] * problem.inside[k, d], 1.0
                if not problem.indexes[d] >> t & 1:
                    most = max(-floor(-problem.sizes[d] / extent), 1.0)
                ways.repeats[3, d, b] = most
        begin(ways)
        for cell in range(cells):
            read, written, entering = share.values, share.values, share.values
            most = share.values
            for d in range(dimensions):
                b = ways.coordinates[d]
                read *= ways.repeats[0, d, b]
                written *= ways.repeats[1, d, b]
                entering *= ways.repeats[2, d, b]
                most *= ways.repeats[3, d, b]
            filled, raw, back = entering, read, problem.coef[k, t, 4]
            if share.unread:
                read = max(read - share.values * problem.first[k, t, 0], 0.0)
                filled = max(filled - share.values * problem.first[k, t, 2], 0.0)
            cost = problem.coef[k, t, 0] * read + problem.coef[k, t, 2] * filled
            if back < 0.0:
                # Judged together with what else reads cost, which may outweigh it.
                back += problem.coef[k, t, 0]
                cost -= problem.coef[k, t, 0] * read
                if share.unread:
                    cost -= problem.coef[k, t, 0] * share.values * problem.first[k, t, 0]
            cost += back * (raw if back >= 0.0 else most)
            if share.output:
                cost += problem.coef[k, t, 1] * written + problem.coef[k, t, 3] * entering
            exposed = problem.exposed[k, t]
            cost += max(exposed[0] * read, exposed[2] * filled)
            cost += max(exposed[1] * written, exposed[3] * entering)
            if problem.stays[k, t] > 0.0:
                tile = 1.0
                for d in range(dimensions):
                    b = ways.coordinates[d]
                    if problem.indexes[d] >> t & 1:
                        extent = problem.sizes[d]
                        if b + 1 < problem.buckets[d]:
                            largest = (problem.least[d, b + 1] - 1.0) * problem.inside[k, d]
                            extent = min(extent, largest)
                        tile *= max(extent, 1.0)
                passed = entering if share.output else filled
                cost += problem.stays[k, t] * passed / tile
            ways.costs[t, cell] = cost
            advance(problem, ways)


@once
@formula
def fill_room(problem: Relaxing, ways: Ways, k: int) -> None:
    """Where the smallest tiles of a cell fit into memory number `k`, and how long they take."""
    begin(ways)
    for cell in range(ways.room.shape[0]):
        words, cycles = 0.0, 0.0
        for t in range(problem.shares.shape[1]):
            needs = problem.shares[k, t].held and problem.usable[k] < np.inf
            if needs or problem.entry[k, t] > 0.0:
                tile = least_tile(problem, ways, k, t)
                cycles += tile * problem.entry[k, t]
                if needs:
                    words += tile * problem.shares[k, t].units
        ways.room[cell] = cycles if words <= problem.usable[k] else np.inf
        advance(problem, ways)


@formula
def least_tile(problem: Relaxing, ways: Ways, k: int, t: int) -> float:
    """Least values of a tile of a tensor with the extents of a cell."""
    tile = 1.0
    for s in range(problem.axes.shape[1]):
        # There are at least as many different sums of values as that.
        values = 1.0
        for i in range(problem.axes.shape[2]):
            d = problem.axes[t, s, i]
            if d >= 0:
                extent = problem.least[d, ways.coordinates[d]] * problem.inside[k, d]
                values += min(extent, problem.sizes[d]) - 1.0
        tile *= values
    return tile


@formula
def stride_of(problem: Relaxing, d: int) -> int:
    """Cells from a bucket of a dimension to the next."""
    stride = 1
    for e in range(d + 1, problem.sizes.shape[0]):
        stride *= problem.buckets[e]
    return stride


@formula
def suffix(problem: Relaxing, values: Table, d: int) -> None:
    """Replace values by the least from each bucket of a dimension on."""
    stride, count = stride_of(problem, d), problem.buckets[d]
    for block in range(values.shape[0] // (stride * count)):
        for b in range(count - 2, -1, -1):
            first = (block * count + b) * stride
            for cell in range(first, first + stride):
                values[cell] = min(values[cell], values[cell + stride])


@formula
def prefix(problem: Relaxing, values: Table, d: int) -> None:
    """Replace values by the least up to each bucket of a dimension."""
    stride, count = stride_of(problem, d), problem.buckets[d]
    for block in range(values.shape[0] // (stride * count)):
        for b in range(1, count):
            first = (block * count + b) * stride
            for cell in range(first, first + stride):
                values[cell] = min(values[cell], values[cell - stride])


@formula
def add_charges(problem: Relaxing, ways: Ways, moved: int, values: Table) -> None:
    """Add the costs of the tensors that move."""
    for t in range(problem.shares.shape[1]):
        if moved >> t & 1:
            for cell in range(values.shape[0]):
                values[cell] += ways.costs[t, cell]


@once
@formula
def go_back(problem: Relaxing, ways: Ways, k: int) -> None:
    """Least costs from inside memory number `k` on, from those of the next one outwards."""
    cells, dimensions = ways.room.shape[0], problem.sizes.shape[0]
    present = problem.waits[k]
    for waiting in range(ways.to_go.shape[1]):
        best = ways.to_go[k, waiting]
        if waiting & ~present:
            for cell in range(cells):
                best[cell] = np.inf
            continue
        closed = waiting & problem.closes[k]
        outside = waiting & ~closed | problem.begins[k]
        for cell in range(cells):
            best[cell] = ways.room[cell]
            if k > 0:
                best[cell] += ways.to_go[k - 1, outside, cell]
        add_charges(problem, ways, closed, best)
        for d in range(dimensions):
            moved = waiting & problem.indexes[d]
            if moved:
                for cell in range(cells):
                    ways.changed[cell] = ways.to_go[k, waiting & ~moved, cell]
                suffix(problem, ways.changed, d)
                add_charges(problem, ways, moved, ways.changed)
                for cell in range(cells):
                    best[cell] = min(best[cell], ways.changed[cell])
        for d in range(dimensions):
            if not waiting & problem.indexes[d]:
                suffix(problem, best, d)


@once
@formula
def go_on(problem: Relaxing, ways: Ways, k: int) -> None:
    """Least costs through the bottom of memory number `k`, and up to its top."""
    cells, dimensions, subsets = ways.room.shape[0], problem.sizes.shape[0], ways.here.shape[0]
    for cell in range(cells):
        ways.through[k, cell] = np.inf
    for waiting in range(subsets):
        for cell in range(cells):
            whole = ways.here[waiting, cell] + ways.to_go[k, waiting, cell]
            ways.through[k, cell] = min(ways.through[k, cell], whole)
            ways.top[waiting, cell] = np.inf
    present = problem.waits[k]
    for i in range(subsets):
        waiting = subsets - 1 - i
        if waiting & ~present:
            continue
        reached = ways.here[waiting]
        for d in range(dimensions):
            if not waiting & problem.indexes[d]:
                prefix(problem, reached, d)
        for d in range(dimensions):
            moved = waiting & problem.indexes[d]
            if moved:
                for cell in range(cells):
                    ways.changed[cell] = reached[cell]
                add_charges(problem, ways, moved, ways.changed)
                prefix(problem, ways.changed, d)
                after = ways.here[waiting & ~moved]
                for cell in range(cells):
                    after[cell] = min(after[cell], ways.changed[cell])
        closed = waiting & problem.closes[k]
        outside = ways.top[waiting & ~closed | problem.begins[k]]
        for cell in range(cells):
            ways.changed[cell] = reached[cell] + ways.room[cell]
        add_charges(problem, ways, closed, ways.changed)
        for cell in range(cells):
            outside[cell] = min(outside[cell], ways.changed[cell])
    for waiting in range(subsets):
        for cell in range(cells):
            ways.here[waiting, cell] = ways.top[waiting, cell]


@once
@formula
def relax(both: int, problem: Relaxing, ways: Ways) -> None:
    """Fill in ``ways.to_go``, and ``ways.through`` if `both` are wanted."""
    count = problem.shares.shape[0]
    for j in range(count + both * count):
        # Outwards in, then from the innermost memory outwards.
        k = j if j < count else 2 * count - 1 - j
        fill_costs(problem, ways, k)
        fill_room(problem, ways, k)
        if j < count:
            go_back(problem, ways, k)
            continue
        if j == count:
            for waiting in range(ways.here.shape[0]):
                for cell in range(ways.room.shape[0]):
                    ways.here[waiting, cell] = np.inf
            ways.here[0, 0] = 0.0
        go_on(problem, ways, k)


RELAX = Kernel("toolkit.search.exact.compiled_relaxed:relax", "the exact search's bounds")
