"""Random points of random nests over a group: any loops, tiles, depths and halos."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
from fusion.nest_operations import all_read
from fusion.products import attention, images, mlp, products

from toolkit.fusion import FoldedGraph, GroupPlan
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.assumptions import HALOS, Halo
from toolkit.fusion.tile.depths import Point
from toolkit.fusion.tile.nest import Nest, Sizes
from toolkit.fusion.tile.planned import plan_at
from toolkit.fusion.tile.shared import shared_ranks
from toolkit.fusion.tile.windows import make_cut, places_of, spans


def random_group(seed: int) -> FoldedGraph:
    """Attention, MLPs, products or images, the kinds in turn; all that is made is read."""
    draw = random.Random(seed)
    if seed % 5 == 0:
        shared, norm = draw.choice((1, 1, 2)), draw.random() < 0.4
        sizes = (draw.randint(2, 4), draw.randint(2, 5), draw.randint(2, 3))
        return attention(2 * shared, *sizes, shared=shared, mask=norm)
    if seed % 5 == 1:
        sizes = (draw.randint(2, 4), draw.randint(2, 4), draw.randint(2, 5))
        kind = draw.choice(("", "LayerNormalization", "RMSNormalization"))
        return mlp(*sizes, kind, gated=draw.random() < 0.4)
    if seed % 5 == 2:
        return products(seed, 6, 5)
    graph = images(seed)
    while not all_read(graph):
        seed += 1000
        graph = images(seed)
    return graph


def random_plan(graph: FoldedGraph, draw: random.Random, *, most_steps: int = 150) -> GroupPlan:
    """A plan of the whole graph that nobody would choose."""
    view = GroupView(graph, frozenset(graph.names))
    while True:
        plan = _plan(view, draw)
        if plan is not None and plan.steps <= most_steps:
            return plan


def _plan(view: GroupView, draw: random.Random) -> GroupPlan | None:
    ranks = list(shared_ranks(view))
    chosen = draw.sample(ranks, min(draw.randint(0, 4), len(ranks)))
    if any(a.key & b.key for a, b in combinations(chosen, 2)):
        return None
    cuts = [make_cut(rank, np.arange(1, rank.size + 1)) for rank in chosen]
    if not all(len(cut.tile) for cut in cuts):
        return None
    halo: dict[str, Halo] = {}
    windowed = [rank for rank in chosen if rank.windowed]
    if windowed and draw.random() < 0.6:
        names = sorted(set.intersection(*(set(places_of(rank)) for rank in windowed)))
        for name in names:
            mode = draw.choice(HALOS)
            if mode != "retain" and (mode != "mixed" or len(windowed) > 1):
                halo[name] = mode
    found = []
    for rank, cut in zip(chosen, cuts, strict=True):
        again = {
            name: True
            for name, mode in halo.items()
            if mode == "recompute" or (mode == "mixed" and rank is windowed[0])
        }
        found.append(spans(cut, again if rank.windowed else {}))
    several = [n for n, r in view.readings.items() if len(r) > 1 and n not in view.makers]
    nest = Nest(
        view,
        chosen,
        found,
        [cut.tile for cut in cuts],
        again=draw.random() < 0.4,
        apart=frozenset(n for n in several if draw.random() < 0.5),
    )
    at = tuple(draw.randrange(len(cut.tile)) for cut in cuts)
    one = tuple(np.array([i]) for i in at)
    ways = tuple(draw.choice(nest.ways(item, Sizes(one, one))) for item in nest.items)
    return plan_at(Point(nest, at, ways, 0), halo)
