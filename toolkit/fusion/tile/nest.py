"""A nest of loops over a group: what is kept where, and what that holds and moves.

Loops are over shared ranks, outermost first. Everything that is kept has a depth: it is there
for as long as the loops outside of that depth stand still, and holds what those inside touch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.items import Item, list_items
from toolkit.fusion.tile.runs import Runs
from toolkit.fusion.tile.shared import SharedRank
from toolkit.fusion.tile.windows import Ints, Spans


@dataclass(frozen=True)
class Way:
    """One depth at which an item is kept; arrays over tile sizes.

    Parameters
    ----------
    depth : int or None
        None for weights that pass by the fusion level.
    held : int array
        Words while users run, a further tile included where the next one is loaded meanwhile.
    tile : int array
        Words of the tile alone.
    kept : int array
        Those of them that stay from one step to the next.
    during : bool array, shape (layers,)
        Layers during which all of it is there.
    between : bool array, shape (layers,)
        Layers during which at least what is kept is there.
    moved : int array
        Words to and from DRAM.
    """

    depth: int | None
    held: Ints
    tile: Ints
    kept: Ints
    during: NDArray[np.bool_]
    between: NDArray[np.bool_]
    moved: Ints


@dataclass(frozen=True)
class Sizes:
    """Candidate tiles, one number per loop and point: the smallest, and the one with fewest steps.

    Both are the same for a point; a box of sizes has the words of its smallest and the steps of
    its largest tiles, which bounds both.
    """

    small: tuple[Ints, ...]
    large: tuple[Ints, ...]


class Nest:
    """An ordered list of loops over a group.

    Parameters
    ----------
    view : GroupView
        The group.
    loops : sequence of SharedRank
        Outermost first.
    spans : sequence of Spans
        What each loop needs of every tensor, for all its candidate tiles.
    tiles : sequence of int array
        Those tiles, in positions of the anchors.
    again : bool
        Whether operators without multiply-accumulates run again in loops that do not cut them.
    apart : frozenset of str
        Tensors from outside that each reader loads on its own.
    pipelined : bool
        Whether all layers run at once.
    weights_stay : bool
        Whether the fusion level can hold weights.
    ahead : bool
        Whether tiles move to and from DRAM while others are used.
    pass_by : collection of str
        Kinds of activations that may pass by the fusion level.
    elsewhere : bool
        Whether tensors between layers may wait on other memories, and do not count here.
    free_halos : bool
        Whether halos are there without being kept: less than any choice of halos needs.

    Attributes
    ----------
    layers, inside
        See `Runs`.
    """

    def __init__(
        self,
        view: GroupView,
        loops: Sequence[SharedRank],
        spans: Sequence[Spans],
        tiles: Sequence[Ints],
        *,
        again: bool = False,
        apart: frozenset[str] = frozenset(),
        pipelined: bool = False,
        weights_stay: bool = True,
        ahead: bool = True,
        pass_by: Collection[str] = (),
        elsewhere: bool = False,
        free_halos: bool = False,
    ) -> None:
        self.view = view
        self.loops = tuple(loops)
        self.spans = tuple(spans)
        self.tiles = tuple(tiles)
        self.again = again
        self.runs = Runs(view, self.loops, again=again)
        self.apart = apart
        self.pipelined = pipelined
        self.weights_stay = weights_stay
        self.ahead = ahead
        self.pass_by = frozenset(pass_by)
        self.elsewhere = elsewhere
        self.free_halos = free_halos
        self.layers, self.inside = self.runs.layers, self.runs.inside
        self._known: dict[object, tuple[NDArray[np.bool_], NDArray[np.bool_]]] = {}

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """All that is kept or moved."""
        return list_items(self.view, self.loops, self.runs, self.apart)

    def depths(self, item: Item) -> list[int]:
        """Depths at which an item may be kept, the deepest last.

        What faces DRAM may be dropped inside of loops that do not cut it, too: others that do not
        run in them have its room.
        """
        cut = [0] + [i + 1 for i in range(item.deepest) if item.cut[i]]
        if item.kind in ("inside", "state"):
            return cut[-1:]
        entered = self.inside[item.users[0]]
        return [0] + [i + 1 for i in range(item.deepest) if item.cut[i] or i in entered]

    def ways(self, item: Item, sizes: Sizes) -> list[Way]:
        """Depths at which an item may be kept, the deepest last."""
        if item.kind == "weights" and not self.weights_stay:
            return [self.passing(item, sizes)]
        depths = self.depths(item)
        found = [self._way(item, depth, sizes) for depth in depths]
        if item.kind == "weights" or self.may_pass(item):
            found.append(self.passing(item, sizes))
        return found

    def may_pass(self, item: Item) -> bool:
        """Whether activations may pass by: the only ones of the one layer that they are for.

        Results that are added to, or corrected, in a later step are on the fusion level then.
        """
        if item.kind not in self.pass_by or len(item.users) > 1:
            return False
        layer = self.layers[item.users[0]]
        if item.kind == "output" and any(
            layer.name in loop.reduces or layer.name in loop.recurrent for loop in self.loops
        ):
            return False
        single = item.kind == "output" or len(layer.inputs) == 1
        return single and layer.layer.workload is not None

    def passing(self, item: Item, sizes: Sizes) -> Way:
        """Take no room: what passes by, or what loops inside of this nest need none for."""
        nothing = np.zeros(_shape(sizes), dtype=np.int64)
        nowhere = np.zeros(len(self.layers), dtype=bool)
        moved = self._moved(item, len(self.loops), sizes)
        return Way(None, nothing, nothing, nothing, nowhere, nowhere, moved)

    def steps(self, loop: int, sizes: Sizes) -> Ints:
        """Steps of a loop."""
        return self.spans[loop].steps[sizes.large[loop]]

    def _way(self, item: Item, depth: int, sizes: Sizes) -> Way:
        tile, kept, further = self._held(item, depth, sizes)
        held = tile
        loaded = item.kind in ("input", "weights") and self.ahead
        if loaded or (self.pipelined and item.kind == "inside"):
            held = held + further
        key = (item.name, item.kind, item.users, depth)
        if key not in self._known:
            self._known[key] = self._alive(item, depth)
        during, between = self._known[key]
        if self.elsewhere and item.kind == "inside":
            during = between = np.zeros_like(during)
        return Way(depth, held, tile, kept, during, between, self._moved(item, depth, sizes))

    def _held(self, item: Item, depth: int, sizes: Sizes) -> tuple[Ints, Ints, Ints]:
        """Words held, those kept from step to step, and those of a further tile."""
        rest, extents = item.words, []
        for i in range(depth):
            if item.cut[i]:
                extent = self._extent(item, i, sizes)
                rest //= extent[0]
                extents.append(extent)
        held = further = np.full(_shape(sizes), rest, dtype=np.int64)
        kept, inner = np.zeros_like(held), rest
        for size, window, halo, made in reversed(extents):
            if halo is None:
                held, further, kept = window * held, further * made, window * kept
            elif self.free_halos:
                held, further = window * held, further * np.minimum(made, window - halo)
            else:
                # The halo of an outer loop stays for all positions of those inside of it.
                line, rows = halo * inner, window - halo
                held, kept, further = line + rows * held, line + rows * kept, further * made
            inner *= size
        several = any(i < depth for i in self.inside[item.users[0]])
        return held, kept, further if several else np.zeros_like(held)

    def _extent(
        self, item: Item, number: int, sizes: Sizes
    ) -> tuple[int, Ints, Ints | None, Ints]:
        """Positions along a loop: all, of a window, of its halo if any, and made by a step."""
        at, spans, loop = sizes.small[number], self.spans[number], self.loops[number]
        if item.kind == "weights":
            member = loop.members[item.name]
            tile = self.tiles[number][at] * member.rate.numerator // member.rate.denominator
            tile = np.minimum(tile, member.rank.size)
            return member.rank.size, tile, None, tile
        name = item.name
        if item.kind == "state":
            name = self.view.graph.layer_of(name).output.name
        row = spans.index[name]
        size, window = int(spans.size[row, 0]), spans.window[row][at]
        if not loop.windowed:
            return size, window, None, spans.made[row][at]
        return size, window, spans.halo[row][at], spans.later[row][at]

    def _alive(self, item: Item, depth: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Layers during which all of an item is there, and those during which some of it is."""
        count = len(self.layers)
        if self.pipelined:
            return np.ones(count, dtype=bool), np.ones(count, dtype=bool)
        during = np.zeros(count, dtype=bool)
        during[min(item.users) : max(item.users) + 1] = True
        for user in item.users:
            for i in self.inside[user]:
                if i >= depth:
                    during |= self.runs.beside(user, i)
        if item.kind in ("input", "weights", "output") and depth and self.ahead:
            # Loaded ahead, or still on its way out, while others run.
            during |= self.runs.beside(item.users[0], depth - 1)
        between = during.copy()
        for i in range(depth):
            if item.cut[i] and self.loops[i].windowed:
                between |= self.runs.beside(item.users[0], i)
        return during, between

    def _moved(self, item: Item, depth: int, sizes: Sizes) -> Ints:
        """Words to and from DRAM."""
        one = np.ones(_shape(sizes), dtype=np.int64)
        if item.kind in ("inside", "state"):
            return 0 * one
        if item.kind == "output":
            layer = self.layers[item.users[0]]
            times = one
            for i in range(depth):
                if layer.name in self.loops[i].reduces:
                    times = times * self.steps(i, sizes)
            return item.words * (2 * times - 1)
        times = one
        entered = {i for user in item.users for i in self.inside[user]}
        for i in range(depth):
            if not item.cut[i] and i in entered:
                times = times * self.steps(i, sizes)
        return self._loaded(item, depth, sizes) * times

    def _loaded(self, item: Item, depth: int, sizes: Sizes) -> Ints:
        """Words of one pass over an input: more than all where halos are loaded again."""
        words = np.full(_shape(sizes), item.words, dtype=np.int64)
        if item.kind == "weights":
            return words
        for i in range(depth):
            if item.cut[i] and self.loops[i].windowed:
                spans = self.spans[i]
                row = spans.index[item.name]
                total = np.maximum(spans.total[row], spans.size[row])[sizes.large[i]]
                words = words // spans.size[row] * total
        return words

    def words_at(self, ways: Sequence[Way]) -> Ints:
        """Words of the fusion level during each layer; shape (layers, tiles)."""
        use = np.zeros((len(self.layers), len(ways[0].held)), dtype=np.int64)
        for way in ways:
            use[way.during] += way.held
            use[way.between & ~way.during] += way.kept
        return use


def _shape(sizes: Sizes) -> tuple[int, ...]:
    return sizes.small[0].shape if sizes.small else (1,)
