"""How one group runs: what it may do, what was chosen, and what that moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import Literal

from toolkit.errors import InputError
from toolkit.fusion.folded import FoldedGraph, FoldedLayer
from toolkit.fusion.groups import Group, GroupView
from toolkit.fusion.tile.depths import Point
from toolkit.fusion.tile.residency import Home, Waiting
from toolkit.fusion.tile.shared import SharedRank

Halo = Literal["retain", "mixed", "recompute"]
"""What becomes of positions that neighbouring tiles share.

- ``retain``: kept on chip; everything is made or loaded once;
- ``mixed``: kept along inner loops, made or loaded again along the outermost one;
- ``recompute``: made or loaded again along all.
"""

HALOS: tuple[Halo, ...] = ("retain", "mixed", "recompute")

Schedule = Literal["time-shared", "pipelined"]
"""Whether the layers of a group take turns on the whole array, or each has a part of it."""

Part = tuple[tuple[int | str, int], ...]
"""Sizes by output axis, and by dimension of the workload where it is summed over; what is left out
is whole."""

LOOPS = 4
"""Most loops of a nest: attention has four that matter (heads, queries, keys, values)."""

MOST_NESTS = 700
"""Orders of loops per group: all of four loops over six ranks."""


@dataclass(frozen=True)
class Assumptions:
    """What a fused group may do.

    Parameters
    ----------
    capacity_words : int
        Words of the fusion level.
    loops : int
        Most loops of a nest; 1 with halos retained is tiles of whole rows, or of one other rank.
    nests : int
        Orders of loops that are looked at per group; groups of many ranks have shorter nests, over
        the ranks that cut most layers.
    halos : tuple of Halo
        Ways to treat a halo, tried one by one for each tensor.
    schedule : {"time-shared", "pipelined"}
        How the layers of a group share the array.
    weights_stay : bool
        Whether the fusion level can hold weights.
    sums_cut : bool
        Whether loops may cut what a layer sums over, or along which it keeps a state. Where they
        do, sums go on from step to step, which costs nothing in words of DRAM and yet something.
    weights_cut : bool
        Whether loops may cut weights; otherwise they go over rows and columns, batches and heads.
    double_buffered : bool
        Whether the next tile from DRAM comes while the present one is used, and the last one goes
        while others run. Otherwise tiles are there once, while they are used, and transfers take
        time of their own.
    least_steps : int
        Nests of fewer steps are passed over: the fewest words may be moved in a single step, in
        which layers wait for all loads, and stores for all layers. The bound does not know of it.
    pass_by : tuple of str
        Which activations may pass by the fusion level on their way from DRAM or to it: ``input``,
        ``output``, both or none.
    inner : tuple of Home
        Further memories, inside the fusion level, that tensors between layers can wait on.
    outer : Home or None
        The fusion level, where there are inner ones.
    """

    capacity_words: int
    loops: int = LOOPS
    nests: int = MOST_NESTS
    halos: tuple[Halo, ...] = HALOS
    schedule: Schedule = "time-shared"
    weights_stay: bool = True
    sums_cut: bool = True
    weights_cut: bool = True
    double_buffered: bool = True
    least_steps: int = 1
    pass_by: tuple[str, ...] = ()
    inner: tuple[Home, ...] = ()
    outer: Home | None = None

    def __post_init__(self) -> None:
        if self.capacity_words < 1:
            raise InputError(
                f"expected at least 1 word, got {self.capacity_words}", key="capacity_words"
            )
        if self.loops not in range(1, LOOPS + 1):
            raise InputError(f"expected 1 to {LOOPS}, got {self.loops!r}", key="loops")
        if self.least_steps < 1:
            raise InputError(f"expected at least 1, got {self.least_steps}", key="least_steps")
        if self.schedule == "pipelined" and not self.double_buffered:
            raise InputError(
                "expected double-buffered tiles of layers that run at once", key="double_buffered"
            )
        if not self.halos or not set(self.halos) <= set(HALOS):
            raise InputError(
                f"expected some of {', '.join(HALOS)}, got {self.halos!r}", key="halos"
            )


@dataclass(frozen=True)
class Loop:
    """A loop of a nest.

    Parameters
    ----------
    tensor : str
        One that it cuts: made by its last layer or, where that sums over it, read by it.
    axis : int or str
        Of that tensor. Where no tensor that is read has such an axis, as it is part of a larger
        one, the dimension that is summed over for what the layer makes.
    tile : int
        Positions of the axis per step.
    steps : int
        How many tiles there are.
    layers : frozenset of str
        Layers that run in it.
    sums : frozenset of str
        Those that sum over it: what they make is complete after the loop.
    streams : frozenset of str
        Those that run along it (a softmax, a normalisation), and keep a state of every row.
    """

    tensor: str
    axis: int | str
    tile: int
    steps: int
    layers: frozenset[str]
    sums: frozenset[str] = frozenset()
    streams: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Kept:
    """What is held for how long.

    Parameters
    ----------
    name : str
        Of a tensor; of a layer for its weights or for the state of its rows.
    kind : str
        See `toolkit.fusion.tile.nest.Kind`.
    depth : int or None
        Loops outside of it stand still while it is there; None for what passes by.
    words : int
        Held at once, a further tile included where the next one is loaded meanwhile.
    moved_words : int
        To and from DRAM.
    readers : tuple of str
        Layers that read it.
    stays_words : int
        Those of `words` that stay from step to step where windows overlap.
    during : tuple of str
        Layers that run while all of it is there.
    between : tuple of str
        Further layers that run while what stays is there.
    tile_words, size_words : int
        Of one tile, and of all of it.
    """

    name: str
    kind: str
    depth: int | None
    words: int
    moved_words: int
    readers: tuple[str, ...]
    stays_words: int = 0
    during: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    tile_words: int = 0
    size_words: int = 0


@dataclass(frozen=True)
class GroupPlan:
    """How a group runs.

    Parameters
    ----------
    group : frozenset of str
        Names of its layers.
    loops : tuple of Loop
        The nest, outermost loop first; empty if nothing is cut.
    kept : tuple of Kept
        What is held on chip, or passes by.
    halo : mapping of str to Halo
        Per tensor that is cut and not retained.
    footprint_words : int
        Most words on the fusion level at a time, without weights; 0 for a layer on its own,
        unless it is staged there.
    peak_words : int
        Most words there at a time, weights included.
    input_words, output_words, weight_words : int
        Words read from and written to DRAM; inputs include constants, and partial sums that are
        read back.
    made : mapping of str to dict
        Per layer, the parts that steps make, to the number of steps.
    homes : mapping of str to str
        Memories inside the fusion level, by the tensors between layers that wait there.
    double_buffered : bool
        Whether tiles come and go while layers run, as in `Assumptions`.
    bound_words : int
        No plan of the group moves fewer words to and from DRAM; see `toolkit.fusion.tile.choice`
        for which plans there are.
    """

    group: Group
    loops: tuple[Loop, ...]
    kept: tuple[Kept, ...]
    halo: Mapping[str, Halo]
    footprint_words: int
    peak_words: int
    input_words: int
    output_words: int
    weight_words: int
    made: Mapping[str, Mapping[Part, int]] = field(default_factory=dict)
    homes: Mapping[str, str] = field(default_factory=dict)
    double_buffered: bool = True
    bound_words: int = 0

    @property
    def dram_words(self) -> int:
        """Words read from and written to DRAM."""
        return self.input_words + self.output_words + self.weight_words

    @property
    def staged(self) -> bool:
        """Whether activations wait on the fusion level, as they always do between layers."""
        return self.footprint_words > 0

    @property
    def tile(self) -> tuple[tuple[str, int | str, int], ...]:
        """For each loop, outermost first: a tensor, its axis and the positions of a tile."""
        return tuple((loop.tensor, loop.axis, loop.tile) for loop in self.loops)

    @property
    def steps(self) -> int:
        """Iterations of the whole nest."""
        return prod(loop.steps for loop in self.loops)

    @property
    def resident(self) -> frozenset[str]:
        """Layers whose weights are kept on the fusion level, for a while at least."""
        return frozenset(k.name for k in self._weights)

    @property
    def resident_words(self) -> int:
        """Words of weights that are kept at once."""
        return sum(k.words for k in self._weights)

    @property
    def staged_weight_words(self) -> int:
        """Words of weights that come to the fusion level, all times together."""
        return sum(k.moved_words for k in self._weights)

    @property
    def staged_input_words(self) -> int:
        """Words of activations that come to the fusion level, all times together."""
        read = sum(k.moved_words for k in self.kept if k.kind == "input" and k.depth is not None)
        return read + sum((k.moved_words - k.size_words) // 2 for k in self._leaving)

    @property
    def staged_output_words(self) -> int:
        """Words of activations that leave the fusion level, all times together."""
        return sum((k.moved_words + k.size_words) // 2 for k in self._leaving)

    @property
    def passing(self) -> frozenset[str]:
        """Activations that pass by the fusion level on their way from DRAM, or to it."""
        return frozenset(
            k.name for k in self.kept if k.kind in ("input", "output") and k.depth is None
        )

    @property
    def _leaving(self) -> tuple[Kept, ...]:
        return tuple(k for k in self.kept if k.kind == "output" and k.depth is not None)

    @property
    def _weights(self) -> tuple[Kept, ...]:
        return tuple(k for k in self.kept if k.kind == "weights" and k.depth is not None)


def single_plan(graph: FoldedGraph, name: str) -> GroupPlan:
    """A layer on its own whose tensors move once, however the layer is mapped."""
    view = GroupView(graph, frozenset((name,)))
    layer = graph.layer_of(name)
    read = sum(tensor.elements for tensor in view.external)
    return GroupPlan(
        view.group,
        (),
        (),
        {},
        0,
        0,
        read + layer.constant_words,
        layer.output.elements,
        layer.weight_words,
        {name: {(): 1}},
        bound_words=least_words(view),
    )


def streamed_plan(graph: FoldedGraph, name: str) -> GroupPlan:
    """A layer on its own of which nothing can be kept: each operation fetches its operands.

    Operations without multiply-accumulates pass all of their tensors once.
    """
    plan, layer = single_plan(graph, name), graph.layer_of(name)
    operands = max(len(layer.layer.inputs), 1)
    return replace(
        plan,
        input_words=max(plan.input_words, operands * layer.macs + layer.constant_words),
        weight_words=max(plan.weight_words, layer.macs if layer.weight_words else 0),
    )


def least_words(view: GroupView) -> int:
    """Words that any plan of a group moves: no plan has fewer."""
    words = sum(tensor.elements for tensor in (*view.external, *view.leaving))
    return words + sum(layer.weight_words + layer.constant_words for layer in view.layers)


def constant_words(view: GroupView) -> int:
    """Words of constants beside weights, which every plan reads once."""
    return sum(layer.constant_words for layer in view.layers)


def plan_at(point: Point, halo: Mapping[str, Halo]) -> GroupPlan:
    """The plan of one point of a nest."""
    nest = point.nest
    inputs = outputs = weights = 0
    kept = []
    activations = [
        way for item, way in zip(nest.items, point.ways, strict=True) if item.kind != "weights"
    ]
    for item, way in zip(nest.items, point.ways, strict=True):
        moved = int(way.moved[0])
        readers = tuple(nest.layers[user].name for user in item.users if user != item.maker)
        during, between = (
            tuple(la.name for la, is_in in zip(nest.layers, mask, strict=True) if is_in)
            for mask in (way.during, way.between & ~way.during)
        )
        held, stays, tile = (int(words[0]) for words in (way.held, way.kept, way.tile))
        kept.append(
            Kept(
                item.name,
                item.kind,
                way.depth,
                held,
                moved,
                readers,
                stays,
                during,
                between,
                min(tile, item.words),
                item.words,
            )
        )
        if item.kind == "weights":
            weights += moved
        elif item.kind == "input":
            inputs += moved
        elif item.kind == "output":
            outputs += (moved + item.words) // 2
            inputs += (moved - item.words) // 2
    return GroupPlan(
        nest.view.group,
        _loops(point),
        tuple(kept),
        dict(halo),
        int(nest.words_at(activations).max(initial=0)),
        point.footprint_words,
        inputs + constant_words(nest.view),
        outputs,
        weights,
        {layer.name: parts(point, place) for place, layer in enumerate(nest.layers)},
        double_buffered=nest.ahead,
    )


def _loops(point: Point) -> tuple[Loop, ...]:
    found = []
    nest = point.nest
    for number, (shared, at) in enumerate(zip(nest.loops, point.at, strict=True)):
        tile = int(nest.tiles[number][at])
        name = next(la.name for la in reversed(nest.view.layers) if la.name in shared.members)
        layer = nest.view.graph.layer_of(name)
        tensor, axis, rate = _cut(shared, layer)
        inside = frozenset(
            la.name for la, loops in zip(nest.layers, nest.inside, strict=True) if number in loops
        )
        steps = int(nest.spans[number].steps[at])
        found.append(
            Loop(tensor, axis, int(tile * rate), steps, inside, shared.reduces, shared.recurrent)
        )
    return tuple(found)


def _cut(shared: SharedRank, layer: FoldedLayer) -> tuple[str, int | str, Fraction]:
    """A tensor that a loop cuts, an axis of it, and positions of that per position of the loop."""
    member = shared.members[layer.name]
    if member.rank.axis is not None:
        return layer.output.name, member.rank.axis, member.rate
    for number, tensor in enumerate(layer.inputs):
        place = shared.reading(layer, number)
        if place is not None:
            return tensor.name, place[0].axis, place[0].rate
    return layer.output.name, member.rank.dimension, member.rate


def parts(point: Point, place: int) -> dict[Part, int]:
    """Sizes of the parts that steps make of a layer, and how many steps make each."""
    nest = point.nest
    layer = nest.layers[place]
    found: dict[Part, int] = {(): 1}
    for number in sorted(nest.inside[place]):
        shared, spans, at = nest.loops[number], nest.spans[number], point.at[number]
        member = shared.members.get(layer.name)
        key: int | str | None
        if member is None:
            sizes, key = {0: int(spans.steps[at])}, None
        elif member.rank.axis is None:
            tile = int(nest.tiles[number][at] * member.rate)
            full, left = divmod(member.rank.size, tile)
            sizes = {tile: full} | ({left: 1} if left else {})
            sizes, key = {s: t for s, t in sizes.items() if t}, member.rank.dimension
        else:
            sizes, key = spans.made_at(layer.output.name, at), member.rank.axis
        found = {
            (*part, *(((key, size),) if key is not None else ())): times * count
            for part, times in found.items()
            for size, count in sizes.items()
        }
    return found


def waiting(point: Point) -> list[Waiting]:
    """Tensors between layers that have to wait somewhere."""
    nest = point.nest
    found = []
    for item, way in zip(nest.items, point.ways, strict=True):
        if item.kind != "inside" or item.maker is None:
            continue
        words = item.words * executions(point, item.maker)
        stays = any(i >= (way.depth or 0) for user in item.users for i in nest.inside[user])
        held = int(way.held[0])
        found.append(
            Waiting(
                item.name,
                held if stays else int(way.kept[0]),
                held,
                min(item.users),
                max(item.users),
                words,
                words * (len(item.users) - 1),
            )
        )
    return found


def executions(point: Point, place: int) -> int:
    """How often a layer runs again in loops that do not cut it."""
    nest = point.nest
    name = nest.layers[place].name
    return prod(
        int(nest.spans[i].steps[point.at[i]])
        for i in nest.inside[place]
        if name not in nest.loops[i].members
    )


def share_of(layer: FoldedLayer, part: Part) -> Fraction:
    """The part of the work, as a fraction of it."""
    shares = (Fraction(size, extent_of(layer, key)) for key, size in part)
    return prod(shares, start=Fraction(1))


def extent_of(layer: FoldedLayer, key: int | str) -> int:
    """All positions of an output axis, or of a dimension that is summed over."""
    if isinstance(key, int):
        return layer.output.shape[key]
    return next(rank.size for rank in layer.ranks if rank.dimension == key)


def made_share(plan: GroupPlan, graph: FoldedGraph, name: str) -> float:
    """What all steps make of a layer's output, against its size; above 1 if parts repeat."""
    layer = graph.layer_of(name)
    shares = (times * share_of(layer, part) for part, times in plan.made[name].items())
    return float(sum(shares, start=Fraction(0)))
