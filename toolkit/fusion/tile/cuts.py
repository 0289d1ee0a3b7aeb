"""What a group can be cut along, and how a cut spreads: one axis and one rate per tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from toolkit.fusion.folded import FoldedLayer
from toolkit.fusion.groups import GroupView


@dataclass(frozen=True, slots=True)
class Place:
    """Where tiles cut a tensor.

    Parameters
    ----------
    axis : int
        Of the tensor.
    rate : Fraction
        Positions along it per position of the anchor.
    """

    axis: int
    rate: Fraction


Placement = Mapping[str, Place]
"""Tensors that tiles cut, by name; those left out are computed whole, before the first tile."""


Chosen = tuple[tuple[str, int, Placement], ...]
"""For each cut, outermost first: the tensor of its anchor, the axis, and where it cuts."""


def place(view: GroupView, anchor: FoldedLayer, axis: int) -> Placement | None:
    """Cut one axis of an anchor's output, and follow the cut through the group.

    Parameters
    ----------
    anchor : FoldedLayer
        A sink of the group.
    axis : int
        One of its open axes.

    Returns
    -------
    mapping or None
        None if paths disagree on how fast a tensor advances, so that no tile is consistent.
    """
    placed = _backward(view, {}, anchor, Place(axis, Fraction(1)))
    if placed is None:
        return None
    for sink in view.sinks:
        if sink.output.name not in placed:
            start = _forward(view, placed, sink)
            more = _backward(view, placed, sink, start) if start else None
            placed = placed if more is None else more
    return _without_whole(view, placed)


def _backward(
    view: GroupView, placed: Mapping[str, Place], sink: FoldedLayer, start: Place
) -> dict[str, Place] | None:
    """Places of all that a sink needs; None where they contradict others."""
    found = dict(placed)
    stack = [(sink.output.name, start)]
    while stack:
        name, wanted = stack.pop()
        if name in found:
            if found[name] != wanted:
                return None
            continue
        found[name] = wanted
        stack += _sources(view, name, wanted)
    return found


def _sources(view: GroupView, name: str, at: Place) -> Iterator[tuple[str, Place]]:
    layer = view.makers.get(name)
    if layer is None or at.axis not in layer.open_axes:
        return
    for tensor, links in zip(layer.inputs, layer.links, strict=True):
        reach = links.get(at.axis)
        if reach is not None:
            yield tensor.name, Place(reach.axis, at.rate * reach.stride / reach.share)


def _forward(view: GroupView, placed: Mapping[str, Place], sink: FoldedLayer) -> Place | None:
    """Where a further sink is cut if it follows the tensors that are placed already."""
    known = dict(placed)
    for layer in view.layers:
        if layer.output.name in known:
            continue
        for tensor, links in zip(layer.inputs, layer.links, strict=True):
            at = known.get(tensor.name)
            ahead = next((a for a, r in links.items() if at and r.axis == at.axis), None)
            if at is not None and ahead is not None:
                known[layer.output.name] = Place(
                    ahead, at.rate / links[ahead].stride * links[ahead].share
                )
                break
    return known.get(sink.output.name)


def _without_whole(view: GroupView, placed: Mapping[str, Place]) -> dict[str, Place]:
    """Drop tensors that some reader needs whole, or whose maker cannot be tiled there."""
    kept = dict(placed)
    for layer in reversed(view.layers):
        at = kept.get(layer.output.name)
        if at is not None and at.axis not in layer.open_axes:
            del kept[layer.output.name]
            at = None
        for tensor, links in zip(layer.inputs, layer.links, strict=True):
            if at is None or at.axis not in links:
                kept.pop(tensor.name, None)
    return kept


def placements(view: GroupView) -> dict[int, tuple[FoldedLayer, Placement]]:
    """Usable cuts: by axis of the first sink that has it, those that cut a tensor made and read.

    A layer on its own is cut where its output is.

    Keys are axes of the anchor that comes with them.
    """
    found: dict[int, tuple[FoldedLayer, Placement]] = {}
    inside = {name for name in view.makers if name in view.readers or len(view.layers) == 1}
    for sink in view.sinks:
        for axis in sorted(sink.open_axes):
            if sink.output.shape[axis] == 1 or axis in found:
                continue
            placement = place(view, sink, axis)
            if placement is not None and not inside.isdisjoint(placement):
                found[axis] = (sink, placement)
    return found


def choices(view: GroupView, axes: int) -> Iterator[Chosen]:
    """What to cut: nothing, one axis, two axes of the same anchor."""
    yield ()
    found = placements(view)
    seen = set()
    for axis, (anchor, placement) in found.items():
        shape = _profile(view, placement)
        if shape not in seen:
            seen.add(shape)
            yield ((anchor.output.name, axis, placement),)
    if axes < 2:
        return
    for (a, (first, one)), (b, (second, two)) in combinations(sorted(found.items()), 2):
        if first is second and all(
            name not in two or two[name].axis != place.axis for name, place in one.items()
        ):
            yield ((first.output.name, a, one), (second.output.name, b, two))


def _profile(view: GroupView, placement: Placement) -> tuple[object, ...]:
    """All that the sizes of tiles depend on: columns of square windows are like rows."""
    return tuple(
        (
            name,
            view.tensors[name].shape[at.axis],
            at.rate,
            tuple(
                (reach.stride, reach.extent, reach.pad, reach.share)
                for reader, number in view.readings.get(name, ())
                for reach in (reader.links[number][placement[reader.output.name].axis],)
            ),
        )
        for name, at in placement.items()
    )
