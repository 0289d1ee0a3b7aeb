"""The best way to run one group: its tile, what becomes of halos, which weights stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.cuts import Chosen, choices
from toolkit.fusion.tile.group_plan import (
    Assumptions,
    GroupPlan,
    least_words,
    plan_at,
    single_plan,
)
from toolkit.fusion.tile.residency import choose_homes, words_held
from toolkit.fusion.tile.tiling import MOST_SIZES, Tiling, tile_group, uniform_halos
from toolkit.fusion.tile.windows import Ints


def best_plan(view: GroupView, given: Assumptions, limit: float | None = None) -> GroupPlan | None:
    """Find the plan of a group with the least DRAM traffic, then with the fewest steps.

    For each way to cut the group, halos are treated alike first, then tensor by tensor while
    that lowers the traffic, as `refine` does.

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
        most = best.dram_words + 1 if best is not None else limit
        if most is not None and floor + _reread_words(view, chosen, given) >= most:
            continue
        kept = tile_group(view, chosen, {})
        least = _least_of_all(kept, given)
        if least is None or (most is not None and least >= most):
            continue
        found = _best_cut(kept, chosen, given, floor)
        best = _better(found, best)
        if best is not None and best.dram_words == floor:
            return best
    return best if limit is None or best is None or best.dram_words < limit else None


def _best_cut(kept: Tiling, chosen: Chosen, given: Assumptions, floor: int) -> GroupPlan | None:
    """The best plan of a group that is cut in one way: halos alike first, then one by one."""
    best: GroupPlan | None = None
    for halo in uniform_halos(kept.view, chosen, given.halos):
        tiling = tile_group(kept.view, chosen, halo) if halo else kept
        best = _better(_pick(tiling, given, best), best)
        if best is not None and best.dram_words == floor:
            return best
    return best and _improved(kept.view, chosen, given, best, floor)


def _least_of_all(kept: Tiling, given: Assumptions) -> int | None:
    """Words that plans move at least, however halos are treated; None if no tile fits.

    Windows and parts are smallest where halos are retained, and nothing is kept between steps
    where they are not.
    """
    held = kept.least_footprint(given.schedule)
    if given.inner:
        held = np.zeros_like(held)
    words = kept.input_words() + kept.output_words() + _least_weights(kept, given, held)
    fits = held <= given.capacity_words
    return int(words[fits].min()) if fits.any() else None


def plans(
    view: GroupView,
    given: Assumptions,
    limit: float | None = None,
    *,
    most_sizes: int = MOST_SIZES,
) -> list[GroupPlan]:
    """For every way to cut a group and to treat its halos, the plan with the least DRAM traffic.

    Halos are treated alike, and, where that saves traffic, tensor by tensor (`refine`). A layer
    on its own is staged: its activations go through the fusion level tile by tile.

    Parameters
    ----------
    limit : float, optional
        Only plans that move fewer words are of interest.
    most_sizes : int
        Tile sizes to look at per axis.
    """
    found: dict[tuple[object, ...], GroupPlan] = {}
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
        best = min(found.values(), key=lambda plan: plan.dram_words, default=None)
        if best is not None and len(given.halos) > 1:
            better = _improved(view, chosen, given, best, floor, most_sizes)
            if better is not best:
                found[better.tile, "mixed"] = better
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
        plan = _improved(view, chosen, given, plan, floor)
    return plan


def _improved(
    view: GroupView,
    chosen: Chosen,
    given: Assumptions,
    best: GroupPlan,
    floor: int,
    most_sizes: int = MOST_SIZES,
) -> GroupPlan:
    """Change the halo of one tensor at a time while that helps; plans of another cut stay."""
    if not chosen or [(n, a) for n, a, _ in chosen] != [(n, a) for n, a, _ in best.tile]:
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
                plan = _pick(tile_group(view, chosen, trial, most_sizes), given, best)
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
    held = tiling.facing() if given.inner else tiling.footprint(given.schedule)
    inputs = tiling.input_words()
    least = inputs + tiling.output_words() + _least_weights(tiling, given, held)
    found: GroupPlan | None = None
    for tile in np.lexsort((tiling.steps, least)):
        limit = found or best
        # All that follow move as many words or more, in as many steps or more.
        if limit is not None and (least[tile], tiling.steps[tile]) > (
            limit.dram_words,
            limit.steps,
        ):
            break
        if below is not None and least[tile] >= below:
            break
        if held[tile] <= given.capacity_words:
            plan = _placed(tiling, int(tile), given, int(held[tile]), int(inputs[tile]))
            found = _better(plan, found)
    return found


def _placed(
    tiling: Tiling, tile: int, given: Assumptions, held: int, inputs: int
) -> GroupPlan | None:
    """The plan for one tile size, tensors on the cheapest memories that have room for them."""
    if given.outer is None:
        return plan_at(tiling, tile, given, held, inputs)
    waiting = tiling.waiting(tile, given.schedule)
    outer = replace(given.outer, capacity_words=given.capacity_words - held)
    homes = choose_homes(waiting, (outer, *given.inner))
    if homes is None:
        return None
    held += words_held([tensor for tensor in waiting if homes[tensor.name] == outer.name])
    inside = {name: home for name, home in homes.items() if home != outer.name}
    return replace(plan_at(tiling, tile, given, held, inputs), homes=inside)


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
