"""What halos and the size of the array may change, and what they may not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fusion.networks import random_network, residual
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit
from toolkit.arch.levels import Fanout
from toolkit.fusion import Assumptions, FoldedGraph, MappedModel
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.choice import plans
from toolkit.fusion.tile.cuts import choices
from toolkit.fusion.tile.group_plan import made_share, plan_at
from toolkit.fusion.tile.tiling import Halo, Tiling, tile_group
from toolkit.search.network import LayerSearch
from toolkit.search.result import Budget

SEEDS = st.integers(0, 10**6)
ROOM = Assumptions(10**6)


def macs(tiling: Tiling, tile: int) -> float:
    """Multiply-accumulates of all steps."""
    plan = plan_at(tiling, tile, ROOM, 1, 0)
    graph = tiling.view.graph
    return sum(made_share(plan, graph, la.name) * la.macs for la in tiling.view.layers)


@given(SEEDS, st.sampled_from(["mixed", "recompute"]), st.data())
@settings(max_examples=60, deadline=None)
def test_recomputing_never_saves_work(seed: int, halo: Halo, data: st.DataObject) -> None:
    graph = random_network(seed, 6)
    view = GroupView(graph, frozenset(graph.names))
    chosen = data.draw(st.sampled_from(list(choices(view, 2))))
    cut = sorted({name for _, _, placement in chosen for name in placement})
    again = data.draw(st.sets(st.sampled_from(cut)) if cut else st.just(set()))
    kept = tile_group(view, chosen, {}, 6)
    made = tile_group(view, chosen, dict.fromkeys(sorted(again), halo), 6)
    assert (made.made_words >= kept.made_words).all()
    for tile in range(len(kept.steps)):
        assert macs(kept, tile) == pytest.approx(graph.macs)
        assert macs(made, tile) >= macs(kept, tile) * (1 - 1e-12)


def test_recomputing_a_halo_is_work() -> None:
    """Steps of one row make the three rows that the next layer needs, but at the edges."""
    graph = residual(rows=8)
    view = GroupView(graph, frozenset({"one", "two"}))
    chosen = next(c for c in choices(view, 1) if c)
    made = tile_group(view, chosen, {"one.out": "recompute"})
    (row,) = (i for i, size in enumerate(made.cuts[0].tile) if size == 1)
    one, two = graph.layer_of("one").macs, graph.layer_of("two").macs
    assert macs(made, row) == pytest.approx(one * (6 * 3 + 2 * 2) / 8 + two)


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
@settings(max_examples=40, deadline=None)
def test_the_array_does_not_change_compulsory_traffic(seed: int, mesh: int, more: int) -> None:
    graph = random_network(seed)
    small, large = model(graph, mesh), model(graph, mesh + more)
    view = GroupView(graph, frozenset(graph.names))
    for group in (view.group, *(frozenset((name,)) for name in graph.names)):
        assert small.least(group) == large.least(group)
    assert plans(view, small.given) == plans(view, large.given)


@pytest.mark.parametrize("mesh", [4, 12, 24])
def test_no_array_moves_less_than_the_compulsory_traffic(mesh: int) -> None:
    priced = model(residual(), mesh)
    whole = frozenset(priced.graph.names)
    assert priced.least(whole) == (priced.graph.floor_words,)
    for option in priced.options(whole):
        assert priced.cost(option.plan).plan.dram_words >= priced.graph.floor_words
