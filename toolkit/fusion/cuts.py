"""What a group may be cut along, and how its halos may be treated."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from toolkit.fusion.placement import GroupView, Placement, placements
from toolkit.fusion.tiling import Halo

Chosen = tuple[tuple[str, int, Placement], ...]
"""For each cut, outermost first: the tensor of its anchor, the axis, and where it cuts."""


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
                (reach.stride, reach.extent, reach.pad)
                for reader, number in view.readings.get(name, ())
                for reach in (reader.links[number][placement[reader.output.name].axis],)
            ),
        )
        for name, at in placement.items()
    )


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
