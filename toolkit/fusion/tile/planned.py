"""From a point of a nest to the plan of its group: what is kept and moved, what steps make."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import prod

from toolkit.fusion.folded import FoldedLayer
from toolkit.fusion.tile.assumptions import Halo
from toolkit.fusion.tile.depths import Point
from toolkit.fusion.tile.group_plan import GroupPlan, Kept, Loop, Part, constant_words
from toolkit.fusion.tile.residency import Waiting
from toolkit.fusion.tile.shared import SharedRank


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
