"""What a tiled group holds on chip and moves to and from DRAM, for all tile sizes at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.cuts import Chosen
from toolkit.fusion.tile.residency import Waiting
from toolkit.fusion.tile.windows import Cut, Ints, Spans, make_cut, spans

Halo = Literal["retain", "mixed", "recompute"]
"""What becomes of positions that neighbouring tiles share.

- ``retain``: kept on chip; everything is made or loaded once;
- ``mixed``: kept along the inner axis, made or loaded again along the outer one;
- ``recompute``: made or loaded again along both.
"""

MOST_SIZES, _MOST_OF_TWO = 64, 12
"""Tile sizes that are looked at per axis, and where two axes are cut, whose sizes are combined:
together they fit one array operation. Sizes of longer axes are thinned out geometrically."""

Schedule = Literal["time-shared", "pipelined"]
"""Whether the layers of a group take turns on the whole array, or each has a part of it."""

AXES_REPEATED: Mapping[Halo, tuple[bool, bool]] = {
    "retain": (False, False),
    "mixed": (True, False),
    "recompute": (True, True),
}


@dataclass(frozen=True)
class Tiling:
    """A group cut along up to two axes, halos treated in one way; arrays over tile sizes.

    Parameters
    ----------
    view : GroupView
        The group.
    axes : tuple of (str, int)
        For each cut, outermost first, the tensor of its anchor and the axis.
    cuts : tuple of Cut
        One per axis.
    spans : tuple of Spans
        What every tensor needs along each cut.
    halo : mapping of str to Halo
        Per tensor; those left out are retained.
    """

    view: GroupView
    axes: tuple[tuple[str, int], ...]
    cuts: tuple[Cut, ...]
    spans: tuple[Spans, ...]
    halo: Mapping[str, Halo]

    @cached_property
    def steps(self) -> Ints:
        """Tiles of the sinks."""
        steps = np.ones(1, dtype=np.int64)
        for cut in self.cuts:
            steps = steps * cut.steps
        return steps

    def passes(self, name: str) -> Ints:
        """How many steps make a part of a tensor."""
        passes = np.ones_like(self.steps)
        for span in self.spans:
            passes = passes * span.passes(name)
        return passes

    @cached_property
    def made_words(self) -> Ints:
        """Words of each tensor that all steps make or load; shape (tensors, tiles)."""
        words = self._rest
        for span in self.spans:
            words = words * span.total
        return words

    @cached_property
    def _rest(self) -> Ints:
        """Words per position of the cut axes; shape (tensors, 1)."""
        sizes = [tensor.elements for tensor in self.view.tensors.values()]
        words = np.array(sizes, dtype=np.int64)[:, None]
        for span in self.spans:
            words = words // span.size
        return words * np.ones_like(self.steps)

    @cached_property
    def _sizes(self) -> tuple[Ints, Ints, Ints]:
        """Words kept between steps, held in a step, and made by one; (tensors, tiles) each."""
        rest = self._rest
        if not self.spans:
            return 0 * rest, rest, rest
        outer = self.spans[0]
        if len(self.spans) == 1:
            return outer.halo * rest, outer.window * rest, outer.made * rest
        inner = self.spans[1]
        line = outer.halo * inner.size
        rows = outer.window - outer.halo
        return (
            (line + rows * inner.halo) * rest,
            (line + rows * inner.window) * rest,
            outer.made * inner.made * rest,
        )

    def facing(self) -> Ints:
        """Words of tensors that face DRAM, with room for a further tile; shape (tiles,)."""
        _, held, made = self._sizes
        further = np.where(self.steps > 1, made, 0)
        return np.asarray((held + further)[~self._lives[0]].sum(axis=0))

    def waiting(self, tile: int, schedule: Schedule) -> list[Waiting]:
        """What only the group sees, for one tile size."""
        kept, held, made = self._sizes
        inside, start, end = self._lives
        found = []
        for row, first, last in zip(np.flatnonzero(inside), start, end, strict=True):
            name = list(self.view.tensors)[row]
            readers, words = len(self.view.readings[name]), int(self.made_words[row, tile])
            keeps, holds = int(kept[row, tile]), int(held[row, tile])
            if schedule == "pipelined":
                holds += int(made[row, tile]) if self.steps[tile] > 1 else 0
                keeps = holds
            times = words, readers * words
            found.append(Waiting(name, keeps, holds, int(first), int(last), *times))
        return found

    def footprint(self, schedule: Schedule) -> Ints:
        """Words of activations that the fusion level holds at most; shape (tiles,).

        Tensors that face DRAM have room for a further tile, which is loaded or stored
        meanwhile. Others keep their halo from step to step; the rest of their window stays
        while the layers that make and read it run, or all the time, with room for a further
        tile, if all layers run at once.
        """
        return self._footprint(schedule, *self._sizes)

    def least_footprint(self, schedule: Schedule) -> Ints:
        """Words that are held at least, however halos are treated; shape (tiles,).

        Asked of a tiling that retains all halos: windows and parts are smallest there, and
        nothing but them is held where they are not.
        """
        held, made = self._rest, self._rest
        for span in self.spans:
            held, made = held * span.window, made * span.made
        return self._footprint(schedule, np.zeros_like(held), held, made)

    def _footprint(self, schedule: Schedule, kept: Ints, held: Ints, made: Ints) -> Ints:
        further = np.where(self.steps > 1, made, 0)
        inside, start, end = self._lives
        total = (held + further)[~inside].sum(axis=0)
        if schedule == "pipelined":
            return np.asarray(total + (held + further)[inside].sum(axis=0))
        change = np.zeros((len(self.view.layers) + 1, len(self.steps)), dtype=np.int64)
        briefly = (held - kept)[inside]
        np.add.at(change, start, briefly)
        np.subtract.at(change, end + 1, briefly)
        return np.asarray(total + kept[inside].sum(axis=0) + np.cumsum(change, axis=0).max(axis=0))

    @cached_property
    def _lives(self) -> tuple[NDArray[np.bool_], Ints, Ints]:
        """Which tensors only the group sees, and the places of their first and last users."""
        order = {layer.name: i for i, layer in enumerate(self.view.layers)}
        names = {tensor.name for tensor in self.view.internal}
        inside = np.array([name in names for name in self.view.tensors])
        alive = [name for name in self.view.tensors if name in names]
        start = [order[self.view.makers[name].name] for name in alive]
        end = [max(order[reader.name] for reader in self.view.readers[name]) for name in alive]
        return inside, np.array(start, dtype=np.int64), np.array(end, dtype=np.int64)

    def input_words(self) -> Ints:
        """Words read from DRAM besides weights, constants once; shape (tiles,)."""
        constants = sum(layer.constant_words for layer in self.view.layers)
        total = np.full_like(self.steps, constants)
        for row, tensor in enumerate(self.view.external):
            if self.halo.get(tensor.name, "retain") == "retain":
                total = total + tensor.elements
            else:
                total = total + np.maximum(self.made_words[row], tensor.elements)
        return total

    def edge_words(self) -> tuple[Ints, Ints]:
        """Words that come in before the first step, and go out after the last; (tiles,) each."""
        _, held, made = self._sizes
        rows = {name: row for row, name in enumerate(self.view.tensors)}
        first = held[[rows[tensor.name] for tensor in self.view.external]].sum(axis=0)
        parts = np.where(self.steps > 1, made, held)
        last = parts[[rows[tensor.name] for tensor in self.view.leaving]].sum(axis=0)
        return np.asarray(first), np.asarray(last)

    def output_words(self) -> int:
        """Words written to DRAM."""
        return sum(tensor.elements for tensor in self.view.leaving)


def make_tiling(
    view: GroupView,
    chosen: Chosen,
    sizes: Sequence[Ints],
    halo: Mapping[str, Halo],
) -> Tiling:
    """Tile a group.

    Parameters
    ----------
    chosen : Chosen
        At most two cuts.
    sizes : sequence of int array
        Tile sizes to look at, per cut; all combinations are.
    halo : mapping of str to Halo
        Per tensor.
    """
    alone = [make_cut(view, at, tile) for (_, _, at), tile in zip(chosen, sizes, strict=True)]
    grid = np.meshgrid(*(np.arange(len(cut.tile)) for cut in alone), indexing="ij")
    cuts, found = [], []
    for which, cut in enumerate(alone):
        repeated = {
            name: AXES_REPEATED[mode][which] if len(alone) > 1 else mode != "retain"
            for name, mode in halo.items()
        }
        index = grid[which].ravel()
        cuts.append(Cut(cut.placement, cut.tile[index], cut.steps[index]))
        found.append(spans(view, cut, repeated).at(index))
    axes = tuple((name, axis) for name, axis, _ in chosen)
    return Tiling(view, axes, tuple(cuts), tuple(found), halo)


def tile_sizes(size: int, most: int) -> Ints:
    """Tile sizes worth a look: the smallest for every number of steps, thinned out to `most`.

    Examples
    --------
    >>> tile_sizes(7, 9).tolist()
    [1, 2, 3, 4, 7]
    """
    found = sorted({-(-size // steps) for steps in range(1, size + 1)})
    if len(found) > most:
        places = np.unique(np.rint(np.geomspace(1, len(found), most)).astype(np.int64) - 1)
        found = [found[i] for i in places]
    return np.array(found, dtype=np.int64)


def tile_group(
    view: GroupView, chosen: Chosen, halo: Mapping[str, Halo], most: int = MOST_SIZES
) -> Tiling:
    """Tile a group in all sizes worth a look, up to `most` per axis, fewer for two axes."""
    most = most if len(chosen) < 2 else min(most, _MOST_OF_TWO)
    sizes = [tile_sizes(view.tensors[name].shape[axis], most) for name, axis, _ in chosen]
    return make_tiling(view, chosen, sizes, halo)


def uniform_halos(
    view: GroupView, chosen: Chosen, halos: tuple[Halo, ...]
) -> Iterator[dict[str, Halo]]:
    """Treat the halos of all tensors alike, in every way that differs."""
    cut = {name for _, _, placement in chosen for name in placement}
    whole = [n for n in cut if any(n not in placement for _, _, placement in chosen)]
    for mode in halos if chosen else halos[:1]:
        if mode == "mixed" and len(chosen) < 2:
            continue
        repeated: dict[str, Halo] = {}
        if mode != "retain":
            repeated.update((name, mode) for name in sorted(cut - set(whole)))
        if mode == "retain" or repeated:
            yield repeated
