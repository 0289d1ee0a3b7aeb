"""Fusion of matrix products and attention: heads, rows, and keys that are needed whole."""

from __future__ import annotations

from pathlib import Path

import pytest

import toolkit
from toolkit.fusion import (
    Assumptions,
    FoldedGraph,
    TrafficModel,
    best_plan,
    find_partition,
    find_pattern,
    fold,
    matches,
)
from toolkit.fusion.groups import GroupView
from toolkit.fusion.layer_costs import tile_workload
from toolkit.fusion.tile.shared import SharedRank, shared_ranks
from toolkit.fusion.tile_names import tile_text

BERT = Path(__file__).parent.parent / "data" / "networks" / "bert_layer.onnx"
CORE = ("node_matmul", "node_add_84", "node_softmax", "node_matmul_1")


@pytest.fixture(scope="module")
def network() -> toolkit.LayerGraph:
    return toolkit.load_network(BERT, {"batch": 1, "seq": 128})


@pytest.fixture(scope="module")
def graph(network: toolkit.LayerGraph) -> FoldedGraph:
    return fold(network)


def rank_of(graph: FoldedGraph, axis: int | None) -> SharedRank:
    """What a loop over an axis of the context cuts, or over what that sums."""
    view = GroupView(graph, frozenset(CORE))
    ranks = (r for r in shared_ranks(view) if CORE[-1] in r.members)
    return next(r for r in ranks if r.members[CORE[-1]].rank.axis == axis)


def read_in_tiles(rank: SharedRank) -> set[str]:
    """Tensors from outside of which a tile needs a part."""
    scores, added, *_, context = map(rank.view.graph.layer_of, CORE)
    return {
        tensor.name
        for layer in (scores, added, context)
        for number, tensor in enumerate(layer.inputs)
        if tensor.name not in rank.view.makers and rank.reading(layer, number) is not None
    }


def test_blocks_of_queries_read_all_keys_and_values(graph: FoldedGraph) -> None:
    rank = rank_of(graph, 2)
    assert set(rank.members) == set(CORE)
    queries, keys = (t.name for t in graph.layer_of(CORE[0]).inputs)
    assert queries in read_in_tiles(rank)
    assert keys not in read_in_tiles(rank)


def test_heads_cut_everything(graph: FoldedGraph) -> None:
    rank = rank_of(graph, 1)
    # All but the mask, which the heads share.
    assert {tensor.name for tensor in rank.view.external} - read_in_tiles(rank) == {"mul_55"}


def test_keys_and_values_are_streamed(graph: FoldedGraph) -> None:
    """The softmax runs along them and keeps a state, the context is summed over them."""
    rank = rank_of(graph, None)
    assert set(rank.members) == set(CORE)
    assert (rank.recurrent, rank.reduces) == ({"node_softmax"}, {"node_matmul_1"})
    queries, keys = (t.name for t in graph.layer_of(CORE[0]).inputs)
    values = graph.layer_of(CORE[-1]).inputs[1].name
    assert {keys, values} <= read_in_tiles(rank)
    assert queries not in read_in_tiles(rank)


def test_attention_fits_where_the_scores_do_not(graph: FoldedGraph) -> None:
    scores = graph.layer_of("node_matmul").output.elements
    plan = best_plan(GroupView(graph, frozenset(CORE)), Assumptions(scores // 2))
    assert plan is not None
    assert plan.footprint_words < scores // 2
    moved = 3 * 128 * 768 + 128 + 128 * 768
    assert plan.dram_words == moved


def test_attention_is_a_pattern(network: toolkit.LayerGraph, graph: FoldedGraph) -> None:
    own = matches(graph, network, toolkit.fusion.chain("a", "MatMul", "Div", "Add", "Softmax"))
    assert own == [frozenset(CORE[:3])]
    (ffn,) = matches(graph, network, find_pattern("mlp"))
    assert ffn == frozenset({"node_MatMul_65", "node_MatMul_67"})


def test_parts_are_workloads(graph: FoldedGraph) -> None:
    scores = tile_workload(graph.layer_of("node_matmul"), ((1, 3), (2, 16)))
    assert scores is not None
    assert dict(scores.sizes) == {"B": 3, "M": 128, "K": 64, "N": 16}
    product = tile_workload(graph.layer_of("node_MatMul_65"), ((1, 32),))
    assert product is not None
    assert dict(product.sizes) == {"M": 3072, "K": 768, "N": 32}
    assert product.name == "gemm:M=3072,K=768,N=32"


def test_a_layer_of_bert_gains(graph: FoldedGraph) -> None:
    found = find_partition(TrafficModel(graph, Assumptions(512 * 1024)), most_layers=10)
    assert found.value < 0.8 * found.unfused_value
    assert found.down_sets is not None


def test_a_sum_within_heads_may_be_cut(graph: FoldedGraph) -> None:
    """What it is summed from has no axis for it: the heads are side by side there."""
    more = ("node_MatMul_22", "node_MatMul_63")
    allowed = Assumptions(256 * 1024, loops=3, nests=100)
    plan = best_plan(GroupView(graph, frozenset((*CORE, *more))), allowed)
    assert plan is not None
    assert "K" in [axis for _, axis, _ in plan.tile]
    assert "sum over K" in tile_text(plan, graph)
