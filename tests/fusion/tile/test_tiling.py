"""What halos and the size of the array may change, and what they may not."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from examples import examples
from fusion.nest_points import random_plan
from fusion.networks import random_network, residual
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.arch.levels import Fanout
from toolkit.fusion import FoldedGraph, GroupPlan, MappedModel, best_plan
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.assumptions import Halo
from toolkit.fusion.tile.depths import solve
from toolkit.fusion.tile.group_plan import made_share
from toolkit.fusion.tile.nest import Nest
from toolkit.fusion.tile.planned import plan_at
from toolkit.fusion.tile.shared import shared_ranks
from toolkit.fusion.tile.windows import make_cut, spans
from toolkit.search.network import LayerSearch
from toolkit.search.result import Budget

SEEDS = st.integers(0, 10**6)


def macs(graph: FoldedGraph, plan: GroupPlan) -> float:
    """Multiply-accumulates of all steps."""
    layers = GroupView(graph, plan.group).layers
    return sum(made_share(plan, graph, layer.name) * layer.macs for layer in layers)


@given(SEEDS)
@examples(30)
def test_without_halos_made_again_no_operation_is_done_twice(seed: int) -> None:
    """Whatever is cut and kept; rows that nobody reads may be left out."""
    graph = random_network(seed, 6)
    plan = random_plan(graph, random.Random(seed))
    assert plan.halo or macs(graph, plan) <= graph.macs * (1 + 1e-12)


def in_rows(graph: FoldedGraph, halo: dict[str, Halo]) -> GroupPlan:
    """Two convolutions, in steps of one row."""
    view = GroupView(graph, frozenset({"one", "two"}))
    rows = next(r for r in shared_ranks(view) if r.members["two"].rank.axis == 2)
    cut = make_cut(rows, np.array([1]))
    again = {name: True for name in halo}
    nest = Nest(view, [rows], [spans(cut, again)], [cut.tile])
    point, _ = solve(nest, (0,), 10**6, 10**9)
    assert point is not None
    return plan_at(point, halo)


def test_recomputing_a_halo_is_work() -> None:
    """Steps of one row make the three rows that the next layer needs, but at the edges."""
    graph = residual(rows=8)
    one, two = graph.layer_of("one").macs, graph.layer_of("two").macs
    again = in_rows(graph, {"one.out": "recompute"})
    assert macs(graph, again) == pytest.approx(one * (6 * 3 + 2 * 2) / 8 + two)
    assert macs(graph, in_rows(graph, {})) == pytest.approx(one + two)


def sized(mesh: int) -> toolkit.Architecture:
    arch = toolkit.load_arch("eyeriss-conv")
    levels = tuple(
        replace(level, mesh=mesh) if isinstance(level, Fanout) else level for level in arch.levels
    )
    return replace(arch, levels=levels)


def model(graph: FoldedGraph, mesh: int) -> MappedModel:
    search = LayerSearch(budget=Budget(evaluations=100))
    return MappedModel(graph, sized(mesh), objective="dram", search=search, cache=False)


@given(SEEDS, st.integers(1, 64), st.integers(1, 64))
@examples(20)
def test_the_array_does_not_change_compulsory_traffic(seed: int, mesh: int, more: int) -> None:
    graph = random_network(seed)
    small, large = model(graph, mesh), model(graph, mesh + more)
    view = GroupView(graph, frozenset(graph.names))
    for group in (view.group, *(frozenset((name,)) for name in graph.names)):
        assert small.least(group) == large.least(group)
    assert best_plan(view, small.given) == best_plan(view, large.given)


@pytest.mark.parametrize("mesh", [4, 12, 24])
def test_no_array_moves_less_than_the_compulsory_traffic(mesh: int) -> None:
    priced = model(residual(), mesh)
    whole = frozenset(priced.graph.names)
    assert priced.least(whole) == (priced.graph.floor_words,)
    for option in priced.options(whole):
        assert priced.cost(option.plan).plan.dram_words >= priced.graph.floor_words
