"""The best way to run one group: its tile, what becomes of halos, which weights stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from toolkit.errors import InputError
from toolkit.fusion.cuts import Chosen, choices, uniform_halos
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.groups import Group
from toolkit.fusion.intervals import Ints
from toolkit.fusion.placement import GroupView
from toolkit.fusion.residency import choose_resident
from toolkit.fusion.tiling import (
    AXES_REPEATED,
    Halo,
    Schedule,
    Tiling,
    make_tiling,
    tile_sizes,
)


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
    """

    capacity_words: int
    axes: int = 2
    halos: tuple[Halo, ...] = ("retain", "mixed", "recompute")
    schedule: Schedule = "time-shared"
    weights_stay: bool = True

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
        sum(tensor.elements for tensor in view.external),
        layer.output.elements,
        layer.weight_words,
        {name: {(): 1}},
        sum(tensor.elements for tensor in view.external),
        layer.output.elements,
    )


def least_words(view: GroupView) -> int:
    """Words that any plan of a group moves: no plan has fewer."""
    words = sum(tensor.elements for tensor in (*view.external, *view.leaving))
    return words + sum(layer.weight_words for layer in view.layers)


def best_plan(view: GroupView, given: Assumptions, limit: float | None = None) -> GroupPlan | None:
    """Find the plan of a group with the least DRAM traffic, then with the fewest steps.

    Parameters
    ----------
    limit : float, optional
        Only plans that move fewer words are of interest.

    Returns
    -------
    GroupPlan or None
        None if no tile fits the fusion level, or none stays below the limit. A layer on its own
        always runs.
    """
    if len(view.group) == 1:
        return single_plan(view.graph, view.layers[0].name)
    best: GroupPlan | None = None
    floor = least_words(view)
    for chosen in choices(view, given.axes):
        most = best.dram_words if best is not None else limit
        if most is not None and floor + _reread_words(view, chosen, given) >= most:
            continue
        for halo in uniform_halos(view, chosen, given.halos):
            tiling = tile_group(view, chosen, halo)
            best = _better(_pick(tiling, given, best, limit), best)
            if best is not None and best.dram_words == floor:
                return best
    return best


def plans(
    view: GroupView, given: Assumptions, limit: float | None = None, *, most_sizes: int = 64
) -> list[GroupPlan]:
    """For every way to cut a group and to treat its halos, the plan with the least DRAM traffic.

    A layer on its own is staged: its activations go through the fusion level tile by tile.

    Parameters
    ----------
    limit : float, optional
        Only plans that move fewer words are of interest.
    most_sizes : int
        Tile sizes to look at per axis.
    """
    found: dict[tuple[tuple[str, int, int], ...], GroupPlan] = {}
    floor = least_words(view)
    for chosen in choices(view, given.axes):
        if limit is not None and floor + _reread_words(view, chosen, given) >= limit:
            continue
        for halo in uniform_halos(view, chosen, given.halos):
            tiling = tile_group(view, chosen, halo, most_sizes)
            plan = _pick(tiling, given, None, limit)
            if plan is not None:
                known = found.get(plan.tile)
                found[plan.tile] = _better(known, plan) or plan
    return list(found.values())


def _reread_words(view: GroupView, chosen: Chosen, given: Assumptions) -> int:
    """Words of weights that are read again at least if a group runs in two steps or more."""
    cut = [layer for layer in view.layers if any(layer.output.name in at for _, _, at in chosen)]
    room = given.capacity_words if given.weights_stay else 0
    return max(0, sum(layer.weight_words for layer in cut) - room)


def refine(plan: GroupPlan, graph: FoldedGraph, given: Assumptions) -> GroupPlan:
    """Change the halo of one tensor at a time while that lowers the DRAM traffic of a plan."""
    view = GroupView(graph, plan.group)
    floor = least_words(view)
    for chosen in choices(view, given.axes) if len(given.halos) > 1 else ():
        if chosen:
            plan = _improved(view, chosen, given, plan, floor)
    return plan


def tile_group(
    view: GroupView, chosen: Chosen, halo: Mapping[str, Halo], most: int = 64
) -> Tiling:
    """Tile a group in all sizes worth a look, up to `most` per axis, fewer for two axes."""
    most = most if len(chosen) < 2 else min(most, 12)
    sizes = [tile_sizes(view.tensors[name].shape[axis], most) for name, axis, _ in chosen]
    return make_tiling(view, chosen, sizes, halo)


def _improved(
    view: GroupView, chosen: Chosen, given: Assumptions, best: GroupPlan, floor: int
) -> GroupPlan:
    """Change the halo of one tensor at a time while that helps."""
    if [(n, a) for n, a, _ in chosen] != [(n, a) for n, a, _ in best.tile]:
        return best
    cut = sorted(set.intersection(*(set(placement) for _, _, placement in chosen)))
    modes = [m for m in given.halos if m != "mixed" or len(chosen) > 1]
    changed = True
    while changed and best.dram_words > floor:
        changed = False
        for name in cut:
            for mode in modes:
                if best.halo.get(name, "retain") == mode:
                    continue
                trial = {**best.halo, name: mode}
                plan = _pick(tile_group(view, chosen, trial), given, best)
                if plan is not None and plan.dram_words < best.dram_words:
                    best, changed = plan, True
    return best


def _better(plan: GroupPlan | None, best: GroupPlan | None) -> GroupPlan | None:
    if plan is None or best is None:
        return plan or best
    return min(best, plan, key=lambda p: (p.dram_words, p.steps, p.footprint_words))


def _pick(
    tiling: Tiling, given: Assumptions, best: GroupPlan | None, below: float | None = None
) -> GroupPlan | None:
    """The tile size with the least traffic; None if none fits, improves or stays below."""
    held = tiling.footprint(given.schedule)
    inputs = tiling.input_words()
    least = inputs + tiling.output_words() + _least_weights(tiling, given, held)
    found: GroupPlan | None = None
    for tile in np.lexsort((tiling.steps, least)):
        limit = found or best
        if limit is not None and least[tile] > limit.dram_words:
            break
        if below is not None and least[tile] >= below:
            break
        if held[tile] <= given.capacity_words:
            plan = plan_at(tiling, int(tile), given, int(held[tile]), int(inputs[tile]))
            found = _better(plan, found)
    return found


def _least_weights(tiling: Tiling, given: Assumptions, held: Ints) -> Ints:
    """Words of weights that are read at least, if every free word saved the most it can."""
    total, most = np.zeros_like(held), np.ones_like(held)
    words = 0
    for layer in tiling.view.layers:
        if layer.weight_words:
            passes = tiling.passes(layer.output.name)
            total = total + layer.weight_words * passes
            most = np.maximum(most, passes)
            words += layer.weight_words
    room = given.capacity_words if given.weights_stay else 0
    saved = (most - 1) * np.minimum(words, np.maximum(room - held, 0))
    return np.asarray(np.maximum(total - (saved if given.weights_stay else 0), words))


def plan_at(tiling: Tiling, tile: int, given: Assumptions, held: int, inputs: int) -> GroupPlan:
    """The plan for one tile size that fits."""
    layers = tiling.view.layers
    words = {layer.name: layer.weight_words for layer in layers}
    passes = {layer.name: int(tiling.passes(layer.output.name)[tile]) for layer in layers}
    room = given.capacity_words - held if given.weights_stay else 0
    resident = choose_resident(words, passes, room)
    moved = sum(w * (1 if n in resident else passes[n]) for n, w in words.items())
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
        *(int(words[tile]) for words in tiling.edge_words()),
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
