"""What has to stay in place for the whole run.

The outermost memory that holds a tensor is where it is before the run and, an output, after it:
what lies outside passes the tensor by, and can neither bring a part of it back nor take one. So an
instance of that memory has room for all that it sees of the tensor in the whole run, whatever
loops in time lie outside. In the outermost memory of an architecture, which no loop surrounds,
that is its tile.

Along one dimension the instance sees iterations that may lie apart, where a fanout outside splits
what a loop further outside repeats. Of an axis with one dimension these alone are kept; a window
is kept from the first to the last iteration of each of its dimensions.

Nothing adds up partial sums that several such instances keep of the same output. And what stays
counts with all copies of multiple buffering, as the tiles beside it do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Fanout, Memory
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.workload.kernel import Workload


class Seen(NamedTuple):
    """What one instance of a memory, the first one, sees of every dimension in the whole run.

    Attributes
    ----------
    iterations : array
        How many; no other instance sees more.
    reach : array
        From the first to the last of these, those of other instances in between included. Where
        tiles are cut off and others lie in between, an upper bound.
    """

    iterations: Any
    reach: Any


def seen_in_run(factors: Any, level: int, in_time: BoolArray, sizes: Any) -> Seen:
    """Count what the first instance of a level sees in the whole run.

    Complete tiles and the last, incomplete one are followed from level to level, as in
    `toolkit.model.nest.measure_cuts`.

    Parameters
    ----------
    factors : array, shape (levels, ...)
        Iterations, outermost first; floats, or integers of any magnitude as objects.
    level : int
        Which level.
    in_time : bool array, shape (levels,)
        Which levels are memories.
    sizes : number or array
        Of the dimensions, to go with one level's factors.
    """
    extents = np.maximum(np.cumprod(factors[::-1], axis=0)[::-1], 1)
    complete, reach = np.where(extents[0] > sizes, 0, 1), extents[level]
    last = 1 - complete
    for i in range(level):
        inner = extents[i + 1]
        turns = sizes % extents[i] // inner
        if in_time[i]:
            complete = complete * factors[i] + last * turns
            last = np.where(sizes % inner > 0, last, 0)
            reach = reach + (factors[i] - 1) * inner
        else:
            complete = complete + np.where(turns >= 1, last, 0)
            last = np.where(turns >= 1, 0, last)
    rest = sizes % extents[level]
    return Seen(complete * extents[level] + last * rest, np.minimum(reach, sizes))


@dataclass(frozen=True)
class Keeping:
    """Which memories keep which tensors for the whole run, and what that asks of a tiling.

    Parameters
    ----------
    arch, workload : Architecture, Workload
        What runs on what.
    outermost_supplies : bool
        Whether the outermost memory supplies and takes back what it bypasses, too, so that
        nothing has to stay further in; see `MapSpace`.
    """

    arch: Architecture
    workload: Workload
    outermost_supplies: bool = False

    @cached_property
    def tensors(self) -> BoolArray:
        """Tensors that a memory keeps, bool [memories, tensors].

        Not those of the outermost memory of the architecture, whose tile is all there is.
        """
        memories = self.arch.memories
        held = np.array([[holds(m, t) for t in self.workload.tensors] for m in memories])
        kept = held & (np.cumsum(held, axis=0) == 1)
        kept[0] = False
        return np.asarray(kept & (not self.outermost_supplies))

    @cached_property
    def unsummed(self) -> BoolArray:
        """Where unrolling would leave partial sums apart, bool [levels, dimensions].

        At fanouts outside of the memory that keeps the output: instances apart in a dimension
        that does not index the output, or only as one of several terms, sum up the same values.
        """
        levels, output = self.arch.levels, self.workload.output
        found = np.zeros((len(levels), len(self.workload.dimensions)), dtype=np.bool_)
        keepers = np.flatnonzero(self.tensors[:, self.workload.tensors.index(output)])
        alone = set()
        for index in output.indices:
            running = [t.dimension for t in index if self.workload.sizes[t.dimension] > 1]
            alone |= set(running) if len(running) == 1 else set()
        for keeper in keepers:
            for i, level in enumerate(levels[: self._memory_levels[keeper]]):
                if isinstance(level, Fanout):
                    found[i] = [d not in alone for d in self.workload.dimensions]
        return found

    @property
    def apart_text(self) -> str:
        """What is wrong with unrolling where sums are left apart."""
        output = self.workload.output
        keeper = next(m.name for m in self.arch.memories if holds(m, output))
        return (
            f"nothing outside {keeper} holds {output.name}, so that the partial sums of its "
            "instances are never added"
        )

    def share(self, memory: int) -> str:
        """How much an instance keeps of a tensor, in words."""
        outside = self.arch.levels[: self._memory_levels[memory]]
        split = any(isinstance(level, Fanout) and level.mesh > 1 for level in outside)
        return "all that an instance sees" if split else "all"

    def extents(self, memory: int, t: int, tile: Any, seen: Seen | None) -> Any:
        """Extents of what a memory stores of a tensor: of a tile, or of all that is seen."""
        if seen is None or not self.tensors[memory, t]:
            return tile
        return np.where(self.in_windows[t], seen.reach, seen.iterations)

    def seen(self, memory: int, factors: Any) -> Seen | None:
        """What an instance of a memory sees in the whole run; None if it keeps nothing.

        Parameters
        ----------
        factors : array, shape (levels, ..., dimensions)
            Iterations; floats, or integers as objects.
        """
        if not self.tensors[memory].any():
            return None
        sizes = np.array(list(self.workload.sizes.values()), dtype=np.int64)
        return seen_in_run(factors, self._memory_levels[memory], self.in_time, sizes)

    def features(self, d: int, splits: IntArray) -> FloatArray:
        """Extents that capacities depend on, of splits of one dimension [rows, levels].

        Returns
        -------
        float64 array, shape (3, rows, memories)
            Of tiles and, of memories that keep something, as in `Seen`. Nothing that fits stops
            fitting where any of them shrinks.
        """
        columns, size = splits.T.astype(np.float64), float(list(self.workload.sizes.values())[d])
        extents = np.cumprod(columns[::-1], axis=0)[::-1]
        tiles = np.minimum(extents[self._memory_levels], size)
        found = np.stack([tiles, tiles, tiles])
        for m in np.flatnonzero(self.tensors.any(axis=1)):
            found[1:, m] = seen_in_run(columns, self._memory_levels[m], self.in_time, size)
        return np.moveaxis(found, 1, 2)

    @cached_property
    def in_time(self) -> BoolArray:
        """Which levels are memories, bool [levels]."""
        return np.array([isinstance(level, Memory) for level in self.arch.levels])

    @cached_property
    def _memory_levels(self) -> list[int]:
        return [int(level) for level in np.flatnonzero(self.in_time)]

    @cached_property
    def in_windows(self) -> BoolArray:
        """Which dimensions are one of several terms of an index, bool [tensors, dimensions]."""
        windows = [
            {term.dimension for index in tensor.indices if len(index) > 1 for term in index}
            for tensor in self.workload.tensors
        ]
        return np.array(
            [[d in own for d in self.workload.dimensions] for own in windows], dtype=np.bool_
        )
