"""What must hold of the best nest of any group: floors, room, loops, names and tile sizes."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from examples import examples, some
from fusion.nest_points import random_group
from fusion.networks import random_network
from fusion.products import attention, mlp, small
from hypothesis import given
from hypothesis import strategies as st

from toolkit.fusion import (
    Assumptions,
    FoldedGraph,
    TrafficModel,
    best_plan,
    find_partition,
)
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile import choice
from toolkit.fusion.tile.choice import tile_sizes
from toolkit.fusion.tile.group_plan import least_words
from toolkit.fusion.tile.identical import PlanBook, renamed, signature

SEEDS = st.integers(0, 10**6)


def whole(graph: FoldedGraph) -> GroupView:
    return GroupView(graph, frozenset(graph.names))


def words(graph: FoldedGraph, room: int, loops: int = 2) -> float:
    plan = best_plan(whole(graph), Assumptions(room, loops=loops))
    return float("inf") if plan is None else plan.dram_words


@given(SEEDS, st.integers(8, 200))
@examples(20)
def test_no_plan_moves_less_than_the_floor_or_its_bound(seed: int, room: int) -> None:
    view = whole(random_group(seed))
    plan = best_plan(view, Assumptions(room, loops=2))
    if plan is not None:
        assert least_words(view) <= plan.bound_words <= plan.dram_words
        assert plan.peak_words <= room


@given(SEEDS, st.integers(8, 200), st.integers(2, 9), st.booleans())
@examples(20)
def test_more_steps_and_whole_weights_where_that_is_asked(
    seed: int, room: int, steps: int, cut: bool
) -> None:
    view, given = whole(small(seed)), Assumptions(room, loops=2)
    asked = replace(given, least_steps=steps, weights_cut=cut)
    plan, free = best_plan(view, asked), best_plan(view, given)
    if plan is None or free is None:
        assert plan is None
        return
    assert plan.steps >= steps
    assert plan.dram_words >= free.dram_words
    weights = [kept for kept in plan.kept if kept.kind == "weights"]
    assert cut or all(kept.tile_words == kept.size_words for kept in weights)


@given(SEEDS, st.integers(8, 120), st.integers(1, 60))
@examples(20)
def test_more_room_and_more_loops_never_move_more(seed: int, room: int, more: int) -> None:
    graph = small(seed)
    assert words(graph, room + more) <= words(graph, room)
    assert words(graph, room, 2) <= words(graph, room, 1)


@given(SEEDS, st.integers(30, 300))
@examples(12)
def test_exact_is_no_worse_than_others(seed: int, room: int) -> None:
    graph = random_network(seed, 6)
    model = TrafficModel(graph, Assumptions(room, loops=1))
    exact, greedy, segments, none = (
        find_partition(model, name).value for name in ("exact", "greedy", "segments", "none")
    )
    assert exact <= greedy <= none
    assert exact <= segments <= none
    assert exact >= graph.floor_words


@given(SEEDS, st.integers(16, 150))
@examples(12)
def test_groups_that_differ_in_names_have_plans_that_differ_in_names(seed: int, room: int) -> None:
    first, second = random_group(seed), prefixed(random_group(seed))
    before, after = whole(first), whole(second)
    assert signature(before) == signature(after)
    assumed = Assumptions(room, loops=2)
    plan, other = best_plan(before, assumed), best_plan(after, assumed)
    assert (plan is None) == (other is None)
    if plan is not None:
        assert renamed(plan, before, after) == other
        book = PlanBook(assumed)
        assert book.best(before) == plan
        assert book.best(after) == other


def prefixed(graph: FoldedGraph) -> FoldedGraph:
    """The same graph with other names of layers and tensors."""
    outputs = frozenset(f"z.{name}" for name in graph.outputs)
    result = FoldedGraph(name="other", outputs=outputs)
    makers = {f"z.{tensor}": f"z.{name}" for tensor, name in graph.makers.items()}
    for place, layer in enumerate(graph.layers):
        inputs = tuple(replace(t, name=f"z.{t.name}") for t in layer.inputs)
        output = replace(layer.output, name=f"z.{layer.output.name}")
        named = replace(layer, name=f"z.{layer.name}", inputs=inputs, output=output)
        result.add_node(named.name, layer=named, position=place)
        for tensor in inputs:
            if tensor.name in makers:
                result.add_edge(makers[tensor.name], named.name, tensor=tensor.name)
    return result


@pytest.mark.parametrize("seed", some(range(24), 10))
def test_no_other_tile_size_is_better(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest tile of each number of steps, against all sizes."""
    graph, draw = small(seed + 100), random.Random(seed)
    room = draw.randint(8, 60)
    few = words(graph, room)
    monkeypatch.setattr(choice, "tile_sizes", lambda size, _: np.arange(1, size + 1))
    assert words(graph, room) == few


def test_tile_sizes_are_the_smallest_of_their_steps() -> None:
    for size in range(1, 60):
        kept = tile_sizes(size).tolist()
        for tile in range(1, size + 1):
            steps = -(-size // tile)
            assert any(t <= tile and -(-size // t) == steps for t in kept)


def test_attention_is_streamed_as_flash_attention_does() -> None:
    """Queries outside of keys, in one head at a time: keys and values pass once per block."""
    plan = best_plan(whole(attention(12, 4096, 4096, 64)), Assumptions(64 * 1024))
    assert plan is not None
    kept = {(k.name, k.kind): k for k in plan.kept}
    order = [loop.tensor for loop in plan.loops]
    assert order[-1] == "softmax.out"
    assert kept["context.out", "output"].depth == kept["softmax", "state"].depth == 2
    assert kept["k", "input"].depth == kept["v", "input"].depth == 3
    blocks = plan.loops[1].steps
    one = 12 * 4096 * 64
    assert plan.dram_words == plan.bound_words == 2 * one + blocks * 2 * one <= 145e6


def test_the_hidden_dimension_of_an_mlp_is_cut() -> None:
    plan = best_plan(whole(mlp(4096, 768, 3072)), Assumptions(2 * 1024**2))
    assert plan is not None
    assert plan.dram_words == plan.bound_words <= 29.9e6
    assert "act.out" in {loop.tensor for loop in plan.loops}
