"""Positions along one axis that a tile of the sinks needs: windows, new positions and halos.

All sizes are arrays over candidate tile sizes, so that a group is looked at once for all tiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from toolkit.fusion.folded import FoldedLayer
from toolkit.fusion.reach import Reach
from toolkit.fusion.tile.shared import Place, SharedRank

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cut:
    """How one rank is cut: where, in how many steps, and by how much each tensor advances.

    Parameters
    ----------
    shared : SharedRank
        What is cut.
    tile : int array, shape (tiles,)
        Positions of the anchor per step.
    steps : int array, shape (tiles,)
        Steps until every sink is done.
    """

    shared: SharedRank
    tile: Ints
    steps: Ints


@dataclass(frozen=True)
class Spans:
    """Positions of all tensors of a group along one cut; arrays of shape (tensors, tiles).

    Parameters
    ----------
    names : tuple of str
        The tensors, in the order of the first axis.
    size : int array, shape (tensors, 1)
        All positions; 1 for a tensor that is not cut.
    low, high : int array
        Window of step 0, before clipping to the tensor; `high` is excluded.
    fresh : int array
        Positions at the end of the window that a step makes or loads; all of it if its halo is
        not retained.
    step : int array
        Positions by which the window moves per step; 0 for a tensor that is not cut, which is
        needed whole from the first step on.
    steps : int array, shape (tiles,)
        Number of steps.
    """

    names: tuple[str, ...]
    size: Ints
    low: Ints
    high: Ints
    fresh: Ints
    step: Ints
    steps: Ints

    @cached_property
    def index(self) -> dict[str, int]:
        """The row of each tensor."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def whole(self) -> NDArray[np.bool_]:
        """Which tensors are needed whole; shape (tensors, 1)."""
        return np.asarray((self.step == 0).all(axis=1, keepdims=True))

    @cached_property
    def window(self) -> Ints:
        """Most positions that a step holds: the first one makes all from the edge on.

        None are held beyond an edge, which the windows of all steps reach where these are few.
        """
        step, last = np.maximum(self.step, 1), self.steps - 1
        # Windows grow until they have left one edge, and shrink once they reach the other.
        turns = (-(self.low // step), (self.size - self.high) // step)
        numbers = [0 * last, np.minimum(last, 1)]
        numbers += [np.clip(turn + more, 0, last) for turn in turns for more in (0, 1)]
        held = [
            np.minimum(self.size, self.high + i * self.step)
            - np.maximum(np.where(i > 0, self.low + i * self.step, 0), 0)
            for i in numbers
        ]
        return np.asarray(np.maximum.reduce(np.broadcast_arrays(*held)))

    @cached_property
    def made(self) -> Ints:
        """Positions that a step in the middle makes or loads; none of a whole tensor."""
        made = np.minimum(self._steady, self.fresh)
        return np.asarray(np.where(self.whole & (self.steps > 1), 0, made))

    @cached_property
    def later(self) -> Ints:
        """Most positions that a step after the first one makes: of two, what is left."""
        end = self.high + self.step
        second = np.minimum(self.size, end) - np.clip(end - self.fresh, 0, self.size)
        return np.asarray(np.where(self.steps == 2, np.minimum(self.made, second), self.made))

    @cached_property
    def halo(self) -> Ints:
        """Positions kept from step to step: as many as there are, if windows are longer."""
        kept = np.minimum(self.size, self.high - self.low - self.fresh)
        return np.asarray(np.where(self.whole & (self.steps > 1), self._steady, kept))

    @cached_property
    def _steady(self) -> Ints:
        return np.asarray(np.minimum(self.size, self.high - self.low))

    @cached_property
    def total(self) -> Ints:
        """Positions that all steps together make, those made again included."""
        total = np.minimum(self.size, self.high + (self.steps - 1) * self.step)
        for row in np.flatnonzero((self.fresh > self.step).any(axis=1) & ~self.whole[:, 0]):
            made = self._made(int(row))
            running = np.arange(made.shape[1]) < self.steps[:, None]
            total[row] = np.where(running, made, 0).sum(axis=1)
        return total

    def passes(self, name: str) -> Ints:
        """How many steps make a part of a tensor; shape (tiles,)."""
        whole = self.whole[self.index[name], 0]
        return np.ones_like(self.steps) if whole else self.steps

    def made_at(self, name: str, tile: int) -> dict[int, int]:
        """How many positions the steps make, for one candidate: positions to number of steps."""
        row = self.index[name]
        if self.whole[row, 0]:
            return {int(self.size[row, 0]): 1}
        made = self._made(row)[tile, : int(self.steps[tile])]
        values, times = np.unique(made, return_counts=True)
        return {int(m): int(t) for m, t in zip(values, times, strict=True) if m > 0}

    def _made(self, row: int) -> Ints:
        """Positions of a tensor that every step makes; shape (tiles, most steps)."""
        i = np.arange(int(self.steps.max(initial=1)))
        end = self.high[row][:, None] + i * self.step[row][:, None]
        start = end - self.fresh[row][:, None]
        start[:, :1] = np.minimum(self.low[row], 0)[:, None]
        size = int(self.size[row, 0])
        return np.asarray(np.minimum(size, end) - np.clip(start, 0, size))

    def at(self, tiles: Ints) -> Spans:
        """The same tensors for other tiles, chosen by number."""
        return Spans(
            self.names,
            self.size,
            self.low[:, tiles],
            self.high[:, tiles],
            self.fresh[:, tiles],
            self.step[:, tiles],
            self.steps[tiles],
        )


def make_cut(shared: SharedRank, tile: Ints) -> Cut:
    """Cut a rank into several tiles, of sizes at which nothing advances by fractions.

    Heads that share a key are in one tile. What is a single tile is not cut.

    Parameters
    ----------
    tile : int array
        Positions of the anchor per step.
    """
    tile = tile[tile % whole_positions(shared) == 0]
    steps = np.ones_like(tile)
    for name in _last(shared):
        member = shared.members[name]
        advance = tile * member.rate.numerator // member.rate.denominator
        steps = np.maximum(steps, -(-member.rank.size // advance))
    several = steps > 1
    return Cut(shared, tile[several], steps[several])


def whole_positions(shared: SharedRank) -> int:
    """Positions of the anchor of which tiles hold multiples, so that nothing is cut in between."""
    rates = [member.rate for member in shared.members.values()]
    rates += [place.rate for place, _ in _readings(shared).values()]
    return math.lcm(1, *(rate.denominator for rate in rates))


def _last(shared: SharedRank) -> Iterator[str]:
    """Members that nothing in the loop follows: the loop ends when they are done."""
    for name in shared.members:
        layer = shared.view.graph.layer_of(name)
        readings = shared.view.readings.get(layer.output.name, ())
        if not any(shared.tied(layer, reader, number) for reader, number in readings):
            yield name


def _readings(shared: SharedRank) -> dict[tuple[str, str], tuple[Place, Reach]]:
    """Where members read tile by tile, by tensor and reader."""
    found = {}
    for name in shared.members:
        layer = shared.view.graph.layer_of(name)
        for number, tensor in enumerate(layer.inputs):
            read = shared.reading(layer, number)
            if read is not None:
                found[tensor.name, name] = read
    return found


def _untied(shared: SharedRank) -> set[str]:
    """Tensors that members make and others need whole."""
    view = shared.view
    return {
        name
        for name in shared.made
        for reader, number in view.readings.get(name, ())
        if not shared.tied(view.makers[name], reader, number)
    }


def places_of(shared: SharedRank) -> dict[str, Place]:
    """Tensors that a loop cuts: those that members make or, from outside, read tile by tile."""
    found = dict(shared.made)
    for (name, _), (place, _) in _readings(shared).items():
        if name not in shared.view.makers:
            found.setdefault(name, place)
    return found


def spans(cut: Cut, repeated: Mapping[str, bool]) -> Spans:
    """Walk a group backwards: what every tensor needs of every step.

    Parameters
    ----------
    cut : Cut
        From `make_cut`.
    repeated : mapping of str to bool
        Tensors whose halo is not kept but made or loaded again; False if left out.
    """
    view, placement = cut.shared.view, places_of(cut.shared)
    readings = _readings(cut.shared)
    names = tuple(view.tensors)
    shape = (len(names), len(cut.tile))
    size = np.ones((shape[0], 1), dtype=np.int64)
    low, high, fresh = (np.full(shape, value, dtype=np.int64) for value in (0, 1, 1))
    step = np.zeros(shape, dtype=np.int64)
    result = Spans(names, size, low, high, fresh, step, cut.steps)
    asked = {tensor.name for tensor in view.leaving} | _untied(cut.shared)
    for row in range(len(names) - 1, -1, -1):
        name = names[row]
        at = placement.get(name)
        if at is None:
            continue
        size[row] = view.tensors[name].shape[at.axis]
        step[row] = cut.tile * at.rate.numerator // at.rate.denominator
        low[row], high[row] = _needed(cut, readings, result, name, at)
        if name in asked:
            # Positions that no reader in the loop asks for are asked for from outside.
            low[row] = np.minimum(low[row], 0)
            high[row] = np.maximum(high[row], size[row] - (cut.steps - 1) * step[row])
        low[row] = np.minimum(low[row], high[row] - step[row])
        fresh[row] = high[row] - low[row] if repeated.get(name, False) else step[row]
    return result


def _needed(
    cut: Cut,
    readings: Mapping[tuple[str, str], tuple[Place, Reach]],
    found: Spans,
    name: str,
    at: Place,
) -> tuple[Ints, Ints]:
    """Hull of what the readers in the loop need to make their own part of step 0."""
    low: Ints | None = None
    high: Ints | None = None
    for reader, _ in cut.shared.view.readings.get(name, ()):
        place, reach = readings.get((name, reader.name), (None, None))
        if place != at or reach is None:
            continue
        start, end = _positions(cut, found, reader)
        first = reach.stride * (start // reach.share) - reach.pad
        last = reach.stride * ((end - 1) // reach.share) + (reach.extent - reach.pad)
        low = first if low is None else np.minimum(low, first)
        high = last if high is None else np.maximum(high, last)
    if low is None or high is None:
        step = cut.tile * at.rate.numerator // at.rate.denominator
        return np.zeros_like(step), step
    return low, high


def _positions(cut: Cut, found: Spans, layer: FoldedLayer) -> tuple[Ints, Ints]:
    """Positions of its rank that a layer works on in step 0."""
    member = cut.shared.members[layer.name]
    if member.rank.axis is not None:
        row = found.index[layer.output.name]
        return found.high[row] - found.fresh[row], found.high[row]
    end = cut.tile * member.rate.numerator // member.rate.denominator
    return np.zeros_like(end), end
