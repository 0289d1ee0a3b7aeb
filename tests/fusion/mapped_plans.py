"""Mapped plans of small graphs at random: nests, tiles, depths and halos of the described space.

``PYTHONPATH=tests python -m fusion.mapped_plans 200`` compares bounds with the plans of many
graphs in ten minutes; the test suite (`tests/fusion/test_partition_bound.py`) looks at the first.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
from fusion.brute_force import legal
from fusion.networks import random_network
from fusion.products import small

import toolkit
from toolkit.arch.levels import Memory
from toolkit.errors import DoesNotFitError
from toolkit.fusion import GroupPlan, MappedModel
from toolkit.fusion.group_model import FusionObjective, Option
from toolkit.fusion.groups import Group, GroupView
from toolkit.fusion.partition.exact import State, hull
from toolkit.fusion.tile.choice import _Search
from toolkit.fusion.tile.nest import Nest, Sizes
from toolkit.fusion.tile.planned import plan_at
from toolkit.fusion.tile.search import Point
from toolkit.search.network import LayerSearch
from toolkit.search.objective import OBJECTIVES
from toolkit.search.result import Budget

CONVOLUTIONS = ("eyeriss-conv", "gemmini-ws", "simba-conv")
PRODUCTS = ("eyeriss", "gemmini")
PLANS = 30
"""Of each group."""
MISSES = 300
"""Points of nests that do not fit, after which a group has no further plans."""


def tight(
    arch: toolkit.Architecture, level: str, words: int, *, open_wires: bool = False
) -> toolkit.Architecture:
    """The same with so many words on one memory, which activations may pass by on open wires."""
    changes: dict[str, Any] = {"capacity_words": words}
    if open_wires:
        changes |= {"bypasses": (), "may_bypass": ("input", "output")}
    levels = tuple(
        replace(x, **changes) if isinstance(x, Memory) and x.name == level else x
        for x in arch.levels
    )
    return replace(arch, levels=levels)


def drawn_model(seed: int, objective: FusionObjective, seconds: float = 1.0) -> MappedModel:
    """A small graph on a machine whose fusion level holds some of its tensors."""
    draw = random.Random(seed)
    if seed % 3 == 2:
        graph, name = small(seed), draw.choice(PRODUCTS)
    else:
        graph, name = random_network(seed, most=4), draw.choice(CONVOLUTIONS)
    arch = toolkit.load_arch(name)
    level = MappedModel(graph, arch, cache=False).memory.name
    largest = max(layer.output.elements for layer in graph.layers)
    words = max(int(largest * draw.uniform(0.7, 4.0)), 24)
    search = LayerSearch("greedy", Budget(evaluations=1_000), objective=OBJECTIVES["edp"])
    return MappedModel(
        graph,
        tight(arch, level, words, open_wires=name == "gemmini-ws" and draw.random() < 0.5),
        objective=objective,
        loops=2,
        search=search,
        proof_seconds=seconds,
        cache=False,
    )


def points(
    draw: random.Random, model: MappedModel, view: GroupView
) -> Iterator[tuple[Point, dict]]:
    """Points of any nests that fit, each with the halos that are not retained."""
    search = _Search(view, model.given)
    numbers = range(len(search.ranks))
    orders = [o for k in range(model.given.loops + 1) for o in permutations(numbers, k)]
    misses = 0
    while misses < MISSES:
        misses += 1
        order = draw.choice(orders)
        if any(search.ranks[a].key & search.ranks[b].key for a in order for b in order if a != b):
            continue
        halo = draw.choice(list(search._halos(order)))
        apart = draw.choice(list(search._aparts()))
        nest = search._nest(order, halo, again=draw.random() < 0.3, apart=apart)
        found = drawn_point(draw, nest, model.given.capacity_words)
        if found is not None:
            yield found, dict(halo)


def drawn_point(draw: random.Random, nest: Nest, capacity_words: int) -> Point | None:
    if not all(len(spans.steps) for spans in nest.spans):
        return None
    at = tuple(draw.randrange(len(spans.steps)) for spans in nest.spans)
    one = tuple(np.array([i], dtype=np.int64) for i in at)
    ways = tuple(draw.choice(nest.ways(item, Sizes(one, one))) for item in nest.items)
    if int(nest.words_at(ways).max(initial=0)) > capacity_words:
        return None
    return Point(nest, at, ways, sum(int(way.moved[0]) for way in ways))


def plans(draw: random.Random, model: MappedModel, group: Group) -> Iterator[GroupPlan]:
    """Plans of a group at random, those that searches find among them."""
    yield from (option.plan for option in model.options(group))
    if len(group) == 1:
        return
    found = 0
    for point, halo in points(draw, model, GroupView(model.graph, group)):
        if not model.given.inner:
            yield plan_at(point, halo)
            found += 1
        if found == PLANS:
            return


def options(draw: random.Random, model: MappedModel, group: Group) -> list[Option]:
    """What plans of a group cost, those that can be mapped."""
    found = []
    for plan in plans(draw, model, group):
        try:
            found.append(model._option(model.cost(plan)))
        except DoesNotFitError:
            continue
    return found


def lowest(draw: random.Random, model: MappedModel) -> float:
    """The lowest objective value of all partitions, among the plans that are drawn."""
    known: dict[Group, list[Option]] = {}
    values = []
    for groups in legal(model.graph):
        front = [State((0.0,) * (2 if model.objective == "edp" else 1))]
        for group in groups:
            if group not in known:
                known[group] = options(draw, model, group)
            front = hull([state.then(option) for option in known[group] for state in front])
        values += [float(np.prod(state.costs)) for state in front]
    return min(values)


def gap(seed: int, objective: FusionObjective) -> float:
    """Lowest value of a drawn model against its bound; below 1 the bound is none."""
    model = drawn_model(seed, objective)
    bound = float(np.prod(model.bound))
    return lowest(random.Random(seed), model) / bound


def main(graphs: int) -> int:
    """Look at so many graphs; return how many bounds are none."""
    wrong, gaps = 0, []
    for seed in range(graphs):
        for objective in ("edp", "energy", "latency", "dram"):
            try:
                gaps.append(gap(seed, objective))  # type: ignore[arg-type]
            except DoesNotFitError:
                # So little room that some layer has no mapping on its own.
                continue
            if gaps[-1] < 1:
                wrong += 1
                print(f"graph {seed}, {objective}: {gaps[-1]} of the bound", flush=True)
    print(f"{len(gaps)} bounds, {wrong} wrong, values {np.median(gaps):.3f} times them (median)")
    return wrong


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])) > 0)
