"""Tilings one by one: all of them, the neighbours of one, and where to start."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from toolkit.errors import DoesNotFitError, MappingError
from toolkit.mapping.kept import Seen
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.mapping.reaching import reached
from toolkit.mapping.space import MapSpace

SPLIT_LIMIT = 1 << 20
"""Most splits of one dimension that are listed: a table of 8 MiB per level, and crossed with those
of other dimensions more than anybody enumerates."""

SEARCH_LIMIT = 1 << 22
"""Most partial tilings that the search for any valid one looks at: some seconds of work, and only
where cheaper reasons neither found a tiling nor ruled all out."""

_Batches = Iterator[IntArray]


def enumerate_tilings(space: MapSpace, chunk: int = 1 << 16) -> Iterator[IntArray]:
    """Yield every valid tiling exactly once, in a fixed order.

    Parameters
    ----------
    space : MapSpace
        Where to look.
    chunk : int
        Most tilings per array.

    Yields
    ------
    int64 array, shape (b, levels, dimensions), 1 <= b <= chunk

    Raises
    ------
    MappingError
        If `chunk` is not positive, or one dimension alone has more than `SPLIT_LIMIT` splits.
    """
    if chunk < 1:
        raise MappingError(f"{chunk} is not a positive number of tilings", key="chunk")
    for name, lattice in zip(space.dimensions, space.lattices, strict=True):
        if lattice.total > SPLIT_LIMIT:
            raise MappingError(
                f"{name} = {lattice.size} has {lattice.total} splits over "
                f"{space.shape[0]} levels, more than the {SPLIT_LIMIT} that can be listed"
            )
    tables = [lattice.table() for lattice in space.lattices]
    return (_tilings(tables, picks) for picks in combine_splits(space, tables, chunk))


def combine_splits(
    space: MapSpace, tables: Sequence[IntArray], chunk: int, effort: int | None = None
) -> Iterator[IntArray]:
    """Cross splits of all dimensions, dropping early what no other choice can make valid.

    Parameters
    ----------
    space : MapSpace
        Whose meshes and capacities count.
    tables : sequence of int64 arrays, shape (rows, levels)
        Splits per dimension.
    chunk : int
        Most picks per array.
    effort : int, optional
        Most partial picks to look at.

    Yields
    ------
    int64 array, shape (b, dimensions)
        Row numbers into the tables that together respect every mesh and capacity.

    Raises
    ------
    EffortSpentError
        If `effort` did not suffice.
    """
    if any(len(table) == 0 for table in tables):
        return iter(())
    columns = _Columns(space, tables)
    left = None if effort is None else [effort]
    picks: _Batches = iter([np.empty((1, 0), dtype=np.int64)])
    for d, table in enumerate(tables):
        picks = _extend(picks, len(table), chunk, _partial_check(columns, d + 1), left)
    return picks


def _tilings(tables: Sequence[IntArray], picks: IntArray) -> IntArray:
    return np.stack([table[picks[:, d]] for d, table in enumerate(tables)], axis=2)


def _extend(
    picks: _Batches,
    rows: int,
    chunk: int,
    check: Callable[[IntArray], BoolArray],
    effort: list[int] | None,
) -> _Batches:
    """Append each row number of the next dimension to each pick; yield what passes `check`."""
    block = max(chunk, 1 << 14)
    waiting: list[IntArray] = []
    for batch in picks:
        for start in range(0, len(batch) * rows, block):
            stop = min(start + block, len(batch) * rows)
            number = np.arange(start, stop, dtype=np.int64)
            grown = np.column_stack([batch[number // rows], number % rows])
            if effort is not None:
                effort[0] -= len(grown)
                if effort[0] < 0:
                    raise EffortSpentError
            waiting.append(grown[check(grown)])
            if sum(map(len, waiting)) >= chunk:
                ready = np.concatenate(waiting)
                whole = len(ready) - len(ready) % chunk
                yield from np.split(ready[:whole], whole // chunk)
                waiting = [ready[whole:]]
    if any(map(len, waiting)):
        yield np.concatenate(waiting)


class EffortSpentError(Exception):
    """The bounded search ended without an answer."""


class _Columns:
    """Extents and spatial factors of every split, and their minima per dimension.

    `extents` are `Keeping.features`, by dimension [3, rows, memories]; `smallest` [3, memories,
    dimensions].
    """

    def __init__(self, space: MapSpace, tables: Sequence[IntArray]) -> None:
        self.space = space
        self.memories = np.flatnonzero(space.binding)
        self.extents: list[FloatArray] = []
        self.spatial: list[FloatArray] = []
        for d, table in enumerate(tables):
            self.extents.append(space.keeping.features(d, table)[:, :, self.memories])
            self.spatial.append(table[:, space.spatial_levels].astype(np.float64))
        self.smallest = np.stack([e.min(axis=1) for e in self.extents], axis=2)
        self.narrowest = np.stack([s.min(axis=0) for s in self.spatial], axis=1)


def _partial_check(columns: _Columns, decided: int) -> Callable[[IntArray], BoolArray]:
    """Check picks of the first `decided` dimensions, all others at their smallest."""
    space = columns.space

    def check(picks: IntArray) -> BoolArray:
        valid = np.ones(len(picks), dtype=np.bool_)
        for s, level in enumerate(space.spatial_levels):
            product = np.full(len(picks), np.prod(columns.narrowest[s, decided:]))
            for d in range(decided):
                product *= columns.spatial[d][picks[:, d], s]
            valid &= product <= space.mesh[level]
        for i, m in enumerate(columns.memories):
            extents = np.repeat(columns.smallest[:, i, None], len(picks), axis=1)
            for d in range(decided):
                extents[:, :, d] = columns.extents[d][:, picks[:, d], i]
            valid &= space.fits(int(m), extents[0], Seen(extents[1], extents[2]))
        return valid

    return check


ONE_MORE, ONE_LESS, HALF = 1, -1, -2
"""Changes of a factor of a ragged dimension that do not multiply it."""


def factor_changes(space: MapSpace, d: int) -> list[int]:
    """What may happen to one factor of a dimension while another one makes up for it.

    It is multiplied with a prime of the size; of a ragged dimension also with 2 or 3, halved
    (`HALF`, rounded up), or changed by one (`ONE_MORE`, `ONE_LESS`).
    """
    primes = [prime for prime, _ in space.primes[d]]
    if not space.ragged[d]:
        return primes
    if space.sizes[d] == 1:
        return []
    return [ONE_MORE, ONE_LESS, HALF, *sorted({2, 3, *primes[:-1]})]


def changed(factors: IntArray, change: IntArray | int) -> IntArray:
    """Change factors of ragged dimensions, or multiply others with primes."""
    multiplied = np.where(change > ONE_MORE, factors * change, factors + change)
    return np.asarray(np.where(change == HALF, (factors + 1) // 2, multiplied))


def neighbours(space: MapSpace, factors: IntArray) -> IntArray:
    """List all valid tilings in which one factor has changed and another one makes up for it.

    One prime factor has moved between two levels; of a ragged dimension, one factor is another
    (see `factor_changes`), and another level iterates as often as that takes.

    Parameters
    ----------
    space : MapSpace
        Where to look.
    factors : int64 array, shape (levels, dimensions)
        The tiling to leave.

    Returns
    -------
    int64 array, shape (n, levels, dimensions)
        Without repetitions, without `factors` itself; sources outermost first.
    """
    moved: dict[bytes, IntArray] = {factors.tobytes(): factors}
    levels, dimensions = space.shape
    free = space.lower < space.upper
    for source, d, target in itertools.product(range(levels), range(dimensions), range(levels)):
        if source == target or not (free[source, d] and free[target, d]):
            continue
        for change in factor_changes(space, d):
            candidate = factors.copy()
            candidate[target, d] = changed(factors[target, d : d + 1], change)[0]
            if space.ragged[d]:
                if candidate[target, d] < 1 or candidate[target, d] == factors[target, d]:
                    continue
                column = candidate[None, :, d]
                candidate[:, d] = reached(column, int(space.sizes[d]), source)[0]
            elif factors[source, d] % change == 0:
                candidate[source, d] //= change
            else:
                continue
            moved.setdefault(candidate.tobytes(), candidate)
    batch = np.array(list(moved.values())[1:], dtype=np.int64).reshape(-1, levels, dimensions)
    return batch[space.check_factors(batch)]


def start_point(space: MapSpace) -> IntArray:
    """Return the tiling with all factors as far outside as constraints allow.

    Factors stay on level 0 except for what ``==`` and ``>=`` put elsewhere and for what a
    ``<=`` pushes to the next level that can take it. Where the result would not be valid,
    the nearest valid tiling that the bounded search of `first_valid` meets is returned.

    Returns
    -------
    int64 array, shape (levels, dimensions)

    Raises
    ------
    DoesNotFitError
        If no valid tiling exists, or none was found among `SEARCH_LIMIT` partial ones.
    """
    factors, proven = first_valid(space)
    if factors is None:
        reason = "exists" if proven else f"was found among {SEARCH_LIMIT} partial ones"
        raise DoesNotFitError(
            f"{space.workload.name} does not fit, because no valid tiling {reason}",
            source=space.arch.name,
        )
    return factors


def first_valid(space: MapSpace) -> tuple[IntArray | None, bool]:
    """Find a valid tiling, trying large outer factors first.

    Only splits matter that no other one of the same dimension undercuts in every tile extent
    and spatial factor; they are combined depth first, with a limit on the effort.

    Returns
    -------
    factors : int64 array, shape (levels, dimensions), or None
        None if nothing was found.
    proven : bool
        Whether None means that no valid tiling exists.
    """
    if any(lattice.total == 0 for lattice in space.lattices):
        return None, True
    plain = np.stack([lattice.first() for lattice in space.lattices], axis=1)
    if space.check_factors(plain[None])[0]:
        return plain, True
    complete = True
    tables = []
    for d in range(len(space.lattices)):
        table, whole = _smallest_splits(space, d)
        tables.append(table)
        complete &= whole
    try:
        found = next(combine_splits(space, tables, 1, SEARCH_LIMIT), None)
    except EffortSpentError:
        return None, False
    return (None, complete) if found is None else (_tilings(tables, found)[0], True)


def _smallest_splits(space: MapSpace, d: int) -> tuple[IntArray, bool]:
    """List the splits of one dimension that no other one undercuts, and whether these are all."""
    lattice = space.lattices[d]
    if lattice.total > SPLIT_LIMIT:
        return lattice.first()[None], False
    table = lattice.table()
    features = split_features(space, d, table, space.binding, space.spatial_levels)
    # Stable, so that among equals the split with larger outer factors comes first.
    waiting = np.argsort(features.sum(axis=1), kind="stable")
    kept: list[int] = []
    while len(waiting):
        best = int(waiting[0])
        kept.append(best)
        waiting = waiting[(features[waiting] < features[best]).any(axis=1)]
    return table[sorted(kept)], True


def split_features(
    space: MapSpace, d: int, table: IntArray, memories: IntArray | BoolArray, spatial: IntArray
) -> FloatArray:
    """All that decides whether splits of one dimension [rows, levels] can be part of a tiling.

    By the capacities of some memories and the meshes of some spatial levels; none of it smaller
    makes a valid tiling invalid.
    """
    extents = space.keeping.features(d, table)[:, :, memories]
    keeps = np.asarray(space.keeping.tensors.any(axis=1))[memories]
    return np.concatenate(
        [extents[0], extents[1][:, keeps], extents[2][:, keeps], table[:, spatial]], axis=1
    )
