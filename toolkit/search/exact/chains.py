"""One dimension of a ragged space: what its tiles around spatial levels decide.

The cost of a mapping depends on a dimension by how often combinations of its counters occur
(`toolkit.model.traffic`). Fix its spatial factors and the tile extents right inside each spatial
level that unrolls it: a *chain*. Then such a number depends, beside the chain, on a single
further extent: that of the point at which the loop stands that moves the tensor. Loops in time
between two spatial levels, or between one and the point, count or do not count together, so their
extents in between do not matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.mapping.mapping import FloatArray

READ, WRITE, ENTER = range(3)
"""Ways of words: out of the supplier, back into it, and into the child."""


@dataclass(frozen=True)
class Line:
    """One transfer, seen from one memory of its nest; None for lanes, whose words are fixed.

    Parameters
    ----------
    tensor, transfer : int
        Numbers in the plan's tables.
    memory : int or None
        Level of that memory.
    supplier, child : int
        Levels; of lanes, the number of levels.
    place : int
        Level where what is read and written is counted: the supplier, or further in.
    shared : tuple of 2 frozensets of int
        Spatial levels from there on whose instances share what is read, and what is written; of
        old sums, that one instance alone gets, all inside the supplier.
    absorbed : tuple of 2 frozensets of int
        Those that share windows value by value.
    """

    tensor: int
    transfer: int
    memory: int | None
    supplier: int
    child: int
    place: int
    shared: tuple[frozenset[int], frozenset[int]]
    absorbed: tuple[frozenset[int], frozenset[int]]

    def apart(self, way: int, own: int) -> Callable[[int], bool]:
        """Whether instances of a spatial level inside the child's outside count one by one."""

        def counts(level: int) -> bool:
            if way != ENTER and level in self.shared[way]:
                return False
            return not own or (way != ENTER and level >= self.place)

        return counts


@dataclass(frozen=True)
class Wall:
    """A spatial level that unrolls the dimension: extents right inside it, and its factor."""

    level: int
    inner: Any
    factor: int


@dataclass(frozen=True)
class Chain:
    """Spatial levels that unroll one dimension, innermost first, for one or many mappings.

    Parameters
    ----------
    size : int
        Iterations of the dimension.
    walls : tuple of Wall
        Extents are numbers, or arrays of shape (chains,).
    """

    size: int
    walls: tuple[Wall, ...]

    def spatial(self, level: int, end: int | None = None) -> int:
        """Product of the factors inside a level (and outside of level `end`)."""
        factors = (
            w.factor for w in self.walls if w.level > level and (end is None or w.level < end)
        )
        return int(np.prod([1, *factors]))

    def combinations(
        self,
        counts: Callable[[int], bool],
        held: int,
        *,
        timed: bool,
        point: tuple[int, Any] | None = None,
        begin: tuple[Any, Any, Any] | None = None,
    ) -> Any:
        """Combinations of counters that occur in the whole run.

        Parameters
        ----------
        counts : function of int
            Whether a spatial level's counter is one of them.
        held : int
            Level outside of which counters are looked at.
        timed : bool
            Whether loops in time count: all outside the point.
        point : (int, extent), optional
            Level of a memory, and the extent there; without it all loops in time are outside.
        begin : (complete, last, extent), optional
            What one complete tile of an extent counts for, and the last one; by default 1 for
            any part of the innermost tile whose counters do not count.

        Returns
        -------
        float or float64 array
        """
        walk = _Walk(self.size, begin)
        loops = timed and point is None
        if loops and begin is None:
            walk.state = (1.0, 0.0, 1.0)
        passed = point is None
        for wall in self.walls:
            if wall.level >= held:
                continue
            if not passed and point is not None and wall.level < point[0]:
                walk.to(point[1], counted=False)
                loops, passed = timed, True
            walk.to(wall.inner, counted=loops)
            walk.to(wall.inner * wall.factor, counted=counts(wall.level))
        if not passed and point is not None:
            walk.to(point[1], counted=False)
            loops = timed
        return walk.finish(counted=loops)

    def steps(self) -> Any:
        """Steps in which the first lane, or any, has work."""
        return self.combinations(lambda _: False, 1 << 30, timed=True)

    def elements(self, level: int, own: int) -> Any:
        """Iterations that all instances of a level see, or the first one.

        Of a spatial level those that all its instances see inside the first of what lies outside.
        """
        if not own:
            return float(self.size)
        return self.combinations(lambda i: i >= level, 1 << 30, timed=True)

    def repeats(self, line: Line, way: int, own: int, extent: Any | None, *, timed: bool) -> Any:
        """Combinations for a transfer that the dimension does not index.

        Its stay ends at the line's memory with an extent; lanes have none.
        """
        point = None if line.memory is None or extent is None else (line.memory, extent)
        return self.combinations(line.apart(way, own), line.child, timed=timed, point=point)

    def tiles(self, line: Line, way: int, own: int, extent: FloatArray) -> tuple[Any, Any]:
        """Complete tiles of an extent, and last ones, of a window that the dimension indexes."""
        if not own:
            complete = np.floor(self.size / extent)
            return complete, (complete * extent < self.size) * 1.0
        level = line.child if way == ENTER else line.place
        absorbed = frozenset() if way == ENTER else line.absorbed[way]
        outside = Chain(self.size, tuple(w for w in self.walls if w.level not in absorbed))
        return tuple(
            outside.combinations(
                lambda i: i >= level, line.child, timed=True, begin=(*start, extent)
            )
            for start in ((1.0, 0.0), (0.0, 1.0))
        )


class EvenChain(Chain):
    """Spatial levels that unroll one dimension whose tiles are all complete.

    Then extents inside them do not matter.
    """

    def combinations(
        self,
        counts: Callable[[int], bool],
        held: int,
        *,
        timed: bool,
        point: tuple[int, Any] | None = None,
        begin: tuple[Any, Any, Any] | None = None,
    ) -> Any:
        """See `Chain.combinations`."""
        outside = [w for w in self.walls if w.level < held]
        if not timed:
            return math.prod([1.0, *(w.factor for w in outside if counts(w.level))])
        complete, extent, inside = 1.0, 1.0, -1
        if begin is not None:
            complete, _, extent = begin
        elif point is not None:
            inside, extent = point
        found = complete * self.size / extent
        for wall in outside:
            counted = counts(wall.level)
            if wall.level > inside >= 0:
                found = found * (wall.factor if counted else 1)
            elif not counted:
                found = found / wall.factor
        return found


class _Walk:
    """Combinations in a complete tile and in the last one, from extent to extent outwards."""

    def __init__(self, size: int, begin: tuple[Any, Any, Any] | None) -> None:
        self.size = size
        self.state = begin

    def rest(self, extent: Any) -> Any:
        """Iterations of the last tile of an extent, 0 if it is complete."""
        return self.size - np.floor(self.size / extent) * extent

    def to(self, extent: Any, *, counted: bool) -> None:
        """Go on to a larger extent whose counters count or do not."""
        rest = self.rest(extent)
        if self.state is None:
            self.state = (1.0, (rest > 0) * 1.0, extent)
            return
        complete, last, inner = self.state
        turns = np.floor(rest / inner)
        if counted:
            self.state = (complete * (extent / inner), turns * complete + last, extent)
        else:
            self.state = (complete, np.where(turns >= 1, complete, last * (rest > 0)), extent)

    def finish(self, *, counted: bool) -> Any:
        """Combinations in everything."""
        if self.state is None:
            return 1.0
        complete, last, inner = self.state
        turns = np.floor(self.size / inner)
        last = np.where(turns * inner < self.size, last, 0.0)
        if counted:
            return turns * complete + last
        return np.where(turns >= 1, complete, last)


def used_levels(factors: Iterable[int]) -> list[int]:
    """Levels, innermost first, that unroll a dimension with these factors."""
    return [level for level, factor in reversed(list(enumerate(factors))) if factor > 1]
