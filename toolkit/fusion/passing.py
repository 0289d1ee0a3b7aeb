"""What passes by the fusion level, and what stays there: changes that mappings ask of a plan.

A plan with the fewest words lets weights pass that its nest reads once. A mapping may read them
several times while a layer runs, and staging them costs less then. Activations that come from
DRAM for one layer, or go there, need not stop at the fusion level where wires lead past it
(``may_bypass``): the mapping of the layer brings them, and its words are counted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.assumptions import Assumptions
from toolkit.fusion.tile.group_plan import GroupPlan, Kept
from toolkit.fusion.timeline import timeline, weights_of


def weights_kept(
    plan: GroupPlan, graph: FoldedGraph, given: Assumptions, read: Mapping[str, int]
) -> GroupPlan | None:
    """Keep weights that are read several times while the group runs, the most often read first.

    Parameters
    ----------
    read : mapping of str to int
        Words of weights that pass by, by layer.

    Returns
    -------
    GroupPlan or None
        None if there are none that there is room for.
    """
    often = {
        item.name: read.get(item.name, 0) / item.size_words
        for item in plan.kept
        if item.kind == "weights" and item.depth is None
    }
    chosen = plan
    for name in sorted(often, key=lambda name: (-often[name], name)):
        if often[name] <= 1:
            break
        kept = tuple(
            replace(
                item,
                depth=0,
                words=item.size_words,
                moved_words=item.size_words,
                during=tuple(plan.made),
                tile_words=item.size_words,
            )
            if item.kind == "weights" and item.name == name
            else item
            for item in chosen.kept
        )
        changed = _measured(replace(chosen, kept=kept), graph, given)
        if changed.peak_words <= given.capacity_words:
            chosen = changed
    return None if chosen is plan else chosen


def passed_by(
    plan: GroupPlan, graph: FoldedGraph, given: Assumptions, roles: Collection[str]
) -> GroupPlan | None:
    """Let activations pass by that one layer alone reads, or that nobody in the group reads.

    A layer whose sums or states go on from step to step finds its results on the fusion level.

    Parameters
    ----------
    roles : collection of str
        Which operands wires lead past it.

    Returns
    -------
    GroupPlan or None
        None if there are none, or nothing would be left on the fusion level.
    """
    view = GroupView(graph, plan.group)
    going_on = {name for loop in plan.loops for name in (*loop.sums, *loop.streams)}

    def passes(item: Kept) -> bool:
        if item.kind == "output" and "output" in roles and not item.readers:
            layer = view.makers[item.name]
            return layer.layer.workload is not None and layer.name not in going_on
        if item.kind == "input" and "input" in roles and len(item.readers) == 1:
            layer = graph.layer_of(item.readers[0])
            return layer.layer.workload is not None and len(layer.inputs) == 1
        return False

    kept = tuple(
        replace(item, depth=None, words=0, stays_words=0, during=(), between=(), tile_words=0)
        if passes(item)
        else item
        for item in plan.kept
    )
    changed = _measured(replace(plan, kept=kept), graph, given)
    return None if kept == plan.kept or not changed.footprint_words else changed


def _measured(plan: GroupPlan, graph: FoldedGraph, given: Assumptions) -> GroupPlan:
    """The same with the room that it needs."""
    phases = timeline(plan, graph, given).phases
    weights = {weights_of(name) for name in plan.resident}
    held = (sum(w for name, w in p.words.items() if name not in weights) for p in phases)
    peak = max((phase.total for phase in phases), default=0)
    return replace(plan, footprint_words=max(held, default=0), peak_words=peak)
