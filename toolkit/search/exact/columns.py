"""Extents and loops of one dimension of a ragged space that a proof has to look at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import record_type
from toolkit.mapping.factors import divisors
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace
from toolkit.search.exact.chains import Chain, Wall
from toolkit.search.exact.compiled_steps import LoopRow


@dataclass(frozen=True)
class Column:
    """Extents and loops of one dimension between its walls.

    Parameters
    ----------
    taus : list of int64 array
        Temporal extents at the top of every memory, then at the bottom.
    turns : list of int64 array, shape (extents above, extents below)
        Iterations of every memory's loop from one to the other, 0 where there is none.
    loops : list of `LoopRow` array, shape (extents below, loops)
        The same as lists, of `counts` loops each.
    counts, idle : list of int64 array, shape (extents below,)
        How many loops there are, and the extent above with a single iteration, -1 if none.
    """

    taus: list[IntArray]
    turns: list[IntArray]
    loops: list[NDArray[Any]]
    counts: list[IntArray]
    idle: list[IntArray]


@dataclass(frozen=True)
class Loops:
    """Which loops a dimension may have.

    Parameters
    ----------
    memories, lower, upper : tuple of int
        Levels of all memories, and the bounds of their factors.
    ragged : bool
        Whether last tiles may be cut off.
    every : bool
        Whether tiles of all sizes differ, not only in number.
    """

    memories: tuple[int, ...]
    lower: tuple[int, ...]
    upper: tuple[int, ...]
    ragged: bool
    every: bool


def make_column(
    space: MapSpace, memories: list[int], d: int, chain: Chain, *, every: bool = False
) -> Column | None:
    """List the extents of a dimension that may be needed, memory by memory.

    Inside a wall they divide the extent there. Outside all walls only numbers of tiles matter,
    and whether the last block of tiles is a single one, which may keep fewer instances busy. So
    of each number the smallest extent is enough, which leaves the same number further out, and
    more room, and the one that leaves a single tile over. (Where windows leave gaps, or `every`
    size of a tile costs something else, all extents are listed.) What reaches the size counts as
    the size.
    """
    lower, upper = (tuple(x[memories, d].tolist()) for x in (space.lower, space.upper))
    every = every or has_gaps(space, d)
    walls = tuple(Wall(wall.level, int(wall.inner), wall.factor) for wall in chain.walls)
    loops = Loops(tuple(memories), lower, upper, bool(space.ragged[d]), every)
    return _column(loops, Chain(chain.size, walls))


@lru_cache(maxsize=128)  # Proofs that fall into parts ask for the same ones in each.
def _column(loops: Loops, chain: Chain) -> Column | None:
    memories, count, size = loops.memories, len(loops.memories), chain.size
    fixed: dict[int, int] = {}
    for wall in chain.walls if loops.ragged else ():
        k = sum(m < wall.level for m in memories)
        fixed.setdefault(k, int(wall.inner) // chain.spatial(wall.level))
    taus: list[IntArray] = [np.ones(1, dtype=np.int64)] * (count + 1)
    links: list[dict[tuple[int, int], int]] = [{} for _ in memories]
    if fixed.get(count, 1) != 1:
        return None
    for k in reversed(range(count)):
        m = memories[k]
        inside = chain.spatial(m)
        target = next((fixed[j] for j in range(k, 0, -1) if j in fixed), None)
        whole = -(-size // inside)
        for b in taus[k + 1].tolist():
            for f in _turns(loops, chain, k, b, target, exact=k in fixed):
                if not loops.lower[k] <= f <= loops.upper[k]:
                    continue
                above = b * f
                if target is None and above * inside >= size:
                    if (f - 1) * b * inside >= size and f > 1:
                        continue
                    above = whole
                links[k][above, b] = f
        taus[k] = np.array(sorted({a for a, _ in links[k]}), dtype=np.int64)
        if not len(taus[k]):
            return None
    for k in range(1, count):
        kept = {b for _, b in links[k - 1]}
        links[k] = {(a, b): f for (a, b), f in links[k].items() if a in kept}
        taus[k] = np.array([a for a in taus[k].tolist() if a in kept], dtype=np.int64)
        if not links[k]:
            return None
    turns = []
    for k in range(count):
        place = {int(a): i for i, a in enumerate(taus[k])}
        inner = {int(b): i for i, b in enumerate(taus[k + 1])}
        table = np.zeros((len(place), len(inner)), dtype=np.int64)
        for (a, b), f in links[k].items():
            if a in place and b in inner:
                table[place[a], inner[b]] = f
        turns.append(table)
    listed = [_as_lists(table) for table in turns]
    return Column(taus, turns, *(list(parts) for parts in zip(*listed, strict=True)))


def _as_lists(turns: IntArray) -> tuple[NDArray[Any], IntArray, IntArray]:
    """Loops from every extent below, their number, and the one of a single iteration."""
    counts = (turns > 0).sum(axis=0)
    loops = np.zeros((turns.shape[1], int(counts.max())), dtype=record_type(LoopRow))
    loops["factor"] = 1.0
    idle = np.full(turns.shape[1], -1, dtype=np.int64)
    for b, column in enumerate(turns.T):
        chosen = np.flatnonzero(column)
        loops["target"][b, : len(chosen)] = chosen
        loops["factor"][b, : len(chosen)] = column[chosen]
        single = np.flatnonzero(column == 1)
        idle[b] = single[0] if len(single) else -1
    return loops, counts, idle


def _turns(
    loops: Loops, chain: Chain, k: int, b: int, target: int | None, *, exact: bool
) -> list[int]:
    """Iterations that a loop of memory number `k` over tiles of temporal extent `b` may need.

    Of every number of tiles that it leaves, the fewest, and the fewest that its bound admits. If
    instances lie inside also those that leave a single tile over: it may keep fewer of them busy.
    """
    if target is not None:
        if target % b:
            return []
        return [target // b] if exact else [int(f) for f in divisors(target // b)]
    if not loops.ragged:
        left = chain.size // (b * chain.spatial(-1))
        return [left] if k == 0 else [int(f) for f in divisors(left)]
    tiles = -(-chain.size // (b * chain.spatial(loops.memories[k])))
    if k == 0:
        return [tiles]
    if loops.every:
        return list(range(1, tiles + 1))
    root = math.isqrt(tiles)
    few = {-(-tiles // q) for q in range(1, root + 1)} | set(range(1, -(-tiles // (root + 1)) + 1))
    turns = {-(-tiles // -(-tiles // f)) for f in few} | {loops.lower[k]}
    if chain.walls and tiles > 1:
        turns |= {int(f) for f in divisors(tiles - 1)}
    return sorted(f for f in turns if f <= tiles)


def has_gaps(space: MapSpace, d: int) -> bool:
    """Whether windows along a dimension leave values out, so that tiles of all sizes differ."""
    for tensor in space.workload.tensors:
        for index in tensor.indices:
            coefficients = {term.coefficient for term in index}
            inside = space.dimensions[d] in [term.dimension for term in index]
            if inside and len(index) > 1 and coefficients != {1}:
                return True
    return False
