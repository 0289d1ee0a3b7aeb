"""How one group runs: what it may do, what was chosen, and what that moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

from toolkit.errors import InputError
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.groups import Group, GroupView
from toolkit.fusion.tile.residency import Home, choose_resident
from toolkit.fusion.tile.tiling import AXES_REPEATED, Halo, Schedule, Tiling


@dataclass(frozen=True)
class Assumptions:
    """What a fused group may do.

    Parameters
    ----------
    capacity_words : int
        Words of the fusion level.
    axes : int
        Axes that a tile may be cut along, at most: 1 (rows) or 2 (rows and columns).
    halos : tuple of Halo
        Ways to treat a halo, tried one by one for each tensor.
    schedule : {"time-shared", "pipelined"}
        How the layers of a group share the array.
    weights_stay : bool
        Whether the fusion level can hold weights.
    inner : tuple of Home
        Further memories, inside the fusion level, that tensors between layers can wait on.
    outer : Home or None
        The fusion level, where there are inner ones.
    """

    capacity_words: int
    axes: int = 2
    halos: tuple[Halo, ...] = ("retain", "mixed", "recompute")
    schedule: Schedule = "time-shared"
    weights_stay: bool = True
    inner: tuple[Home, ...] = ()
    outer: Home | None = None

    def __post_init__(self) -> None:
        if self.capacity_words < 1:
            raise InputError(
                f"expected at least 1 word, got {self.capacity_words}", key="capacity_words"
            )
        if self.axes not in (1, 2):
            raise InputError(f"expected 1 or 2, got {self.axes!r}", key="axes")
        if not self.halos or not set(self.halos) <= set(AXES_REPEATED):
            raise InputError(
                f"expected some of {', '.join(AXES_REPEATED)}, got {self.halos!r}", key="halos"
            )


@dataclass(frozen=True)
class GroupPlan:
    """How a group runs.

    Parameters
    ----------
    group : frozenset of str
        Names of its layers.
    tile : tuple of (str, int, int)
        For each axis that is cut, outermost first: the tensor, the axis and the positions of a
        tile; empty if the tensors are not cut.
    steps : int
        Tiles.
    halo : mapping of str to Halo
        Per tensor that is cut and not retained.
    footprint_words : int
        Activations on the fusion level; 0 for a layer on its own, unless it is staged there.
    resident : frozenset of str
        Layers whose weights stay on the fusion level.
    resident_words : int
        Those weights.
    input_words, output_words, weight_words : int
        Words read from and written to DRAM.
    made : mapping of str to dict
        Per layer, the parts of its output that steps make: sizes by axis, to the number of
        steps. An axis that is left out is whole.
    first_words, last_words : int
        Activations that must come in before the first step, and that are left to go out after
        the last one.
    homes : mapping of str to str
        Memories inside the fusion level, by the tensors between layers that wait there.
    """

    group: Group
    tile: tuple[tuple[str, int, int], ...]
    steps: int
    halo: Mapping[str, Halo]
    footprint_words: int
    resident: frozenset[str]
    resident_words: int
    input_words: int
    output_words: int
    weight_words: int
    made: Mapping[str, Mapping[tuple[tuple[int, int], ...], int]] = field(default_factory=dict)
    first_words: int = 0
    last_words: int = 0
    homes: Mapping[str, str] = field(default_factory=dict)

    @property
    def dram_words(self) -> int:
        """Words read from and written to DRAM."""
        return self.input_words + self.output_words + self.weight_words

    @property
    def staged(self) -> bool:
        """Whether activations wait on the fusion level, as they always do between layers."""
        return self.footprint_words > 0


def single_plan(graph: FoldedGraph, name: str) -> GroupPlan:
    """A layer on its own: every tensor moves once, however the layer is mapped."""
    view = GroupView(graph, frozenset((name,)))
    layer = graph.layer_of(name)
    return GroupPlan(
        view.group,
        (),
        1,
        {},
        0,
        frozenset(),
        0,
        sum(tensor.elements for tensor in view.external) + layer.constant_words,
        layer.output.elements,
        layer.weight_words,
        {name: {(): 1}},
        sum(tensor.elements for tensor in view.external),
        layer.output.elements,
    )


def least_words(view: GroupView) -> int:
    """Words that any plan of a group moves: no plan has fewer."""
    words = sum(tensor.elements for tensor in (*view.external, *view.leaving))
    return words + sum(layer.weight_words + layer.constant_words for layer in view.layers)


def plan_at(tiling: Tiling, tile: int, given: Assumptions, held: int, inputs: int) -> GroupPlan:
    """The plan for one tile size that fits."""
    layers = tiling.view.layers
    words = {layer.name: layer.weight_words for layer in layers}
    passes = {layer.name: int(tiling.passes(layer.output.name)[tile]) for layer in layers}
    room = given.capacity_words - held if given.weights_stay else 0
    resident = choose_resident(words, passes, room)
    moved = sum(w * (1 if n in resident else passes[n]) for n, w in words.items())
    first, last = tiling.edge_words()
    return GroupPlan(
        tiling.view.group,
        tuple(
            (name, axis, int(cut.tile[tile]))
            for (name, axis), cut in zip(tiling.axes, tiling.cuts, strict=True)
        ),
        int(tiling.steps[tile]),
        dict(tiling.halo),
        held,
        resident,
        sum(words[name] for name in resident),
        inputs,
        tiling.output_words(),
        moved,
        {layer.name: _parts(tiling, layer.output.name, tile) for layer in layers},
        int(first[tile]),
        int(last[tile]),
    )


def _parts(tiling: Tiling, name: str, tile: int) -> dict[tuple[tuple[int, int], ...], int]:
    """Sizes of the parts of a tensor that steps make, and how many steps make each."""
    parts: dict[tuple[tuple[int, int], ...], int] = {(): 1}
    for cut, span in zip(tiling.cuts, tiling.spans, strict=True):
        at = cut.placement.get(name)
        if at is None:
            continue
        sizes = span.made_at(name, tile)
        parts = {
            (*part, (at.axis, size)): times * count
            for part, times in parts.items()
            for size, count in sizes.items()
        }
    return parts


def made_share(plan: GroupPlan, graph: FoldedGraph, name: str) -> float:
    """What all steps make of a layer's output, against its size; above 1 if parts repeat."""
    shape = graph.layer_of(name).output.shape
    return sum(
        times * prod(size / shape[axis] for axis, size in part)
        for part, times in plan.made[name].items()
    )
