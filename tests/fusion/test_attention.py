"""Attention in one operator is fused as the same heads written out are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from workload.tiny_networks import constant, load, model, node, value

import toolkit
from toolkit.fusion import (
    Assumptions,
    FoldedGraph,
    MappedModel,
    TrafficModel,
    find_partition,
    find_pattern,
    fold,
    matches,
)
from toolkit.fusion.dram_port import PortWords
from toolkit.fusion.layer_costs import tile_workload
from toolkit.search.network import LayerSearch
from toolkit.search.result import Budget

TOKENS, HEADS, SIZE = 128, 8, 16
WORDS = 16 * 1024
"""On chip: less than a head's scores and what they are made of, as much as a few heads' keys and
values, of which the next head's are loaded meanwhile."""


def written_out(folder: Path) -> toolkit.LayerGraph:
    nodes = [
        node("Transpose", "k", "kt", perm=[0, 1, 3, 2]),
        node("MatMul", "q kt", "s", name="scores"),
        node("Softmax", "s", "p", axis=-1),
        node("MatMul", "p v", "y", name="context"),
    ]
    return load(folder, model(nodes, [value(n, [1, HEADS, TOKENS, SIZE]) for n in "qkv"]))


def standard(folder: Path) -> toolkit.LayerGraph:
    inputs = [value(name, [1, HEADS, TOKENS, SIZE]) for name in "qkv"]
    return load(folder, model([node("Attention", "q k v")], inputs, opset=23))


def together(folder: Path) -> toolkit.LayerGraph:
    inputs = [value(name, [1, TOKENS, HEADS * SIZE]) for name in "qkv"]
    single = node("com.microsoft.MultiHeadAttention", "q k v", num_heads=HEADS)
    return load(folder, model([single], inputs))


def packed(folder: Path) -> toolkit.LayerGraph:
    single = node("com.microsoft.MultiHeadAttention", "q", num_heads=HEADS)
    return load(folder, model([single], [value("q", [1, TOKENS, HEADS, 3, SIZE])]))


def grouped(folder: Path, kv_heads: int = 2, **attributes: int) -> toolkit.LayerGraph:
    inputs = [value("q", [1, TOKENS, HEADS * SIZE]), value("l", [1], "int32")]
    inputs += [value(name, [1, TOKENS, kv_heads * SIZE]) for name in "kv"]
    single = node(
        "com.microsoft.GroupQueryAttention", "q k v - - l t", num_heads=HEADS,
        kv_num_heads=kv_heads, **attributes,
    )  # fmt: skip
    return load(folder, model([single], inputs, [constant("t", TOKENS, "int32")]))


def fused_words(graph: FoldedGraph, words: int = WORDS) -> float:
    return find_partition(TrafficModel(graph, Assumptions(words)), most_layers=6).value


ONE = TOKENS * HEADS * SIZE


@pytest.mark.parametrize("form", [written_out, standard, together, packed])
def test_every_form_moves_four_tensors(
    tmp_path: Path, form: Callable[[Path], toolkit.LayerGraph]
) -> None:
    assert fused_words(fold(form(tmp_path))) == 4 * ONE


def test_parts_of_an_operator_are_the_pattern(tmp_path: Path) -> None:
    network = together(tmp_path)
    (found,) = matches(fold(network), network, find_pattern("attention"))
    name = "multiheadattention"
    assert found == {f"{name}/scores", f"{name}/softmax", name}


def test_heads_that_share_a_key_are_fused_together(tmp_path: Path) -> None:
    graph = fold(grouped(tmp_path, causal=0))
    assert fused_words(graph) == 2 * ONE + 2 * ONE * 2 // HEADS
    (scores,) = [layer for layer in graph.layers if layer.name.endswith("/scores")]
    part = tile_workload(scores, ((1, 4), (2, 16)))
    assert part is not None
    assert dict(part.sizes) == {"M": TOKENS, "K": SIZE, "N": 4 * 16} | {"B": 1}


def test_parts_of_masked_heads_compute_what_is_not_masked(tmp_path: Path) -> None:
    graph = fold(grouped(tmp_path, HEADS))
    assert fused_words(graph) == 4 * ONE
    (scores,) = [layer for layer in graph.layers if layer.name.endswith("/scores")]
    whole = scores.layer.macs
    part = tile_workload(scores, ((1, 1),))
    assert part is not None
    assert whole <= HEADS * part.macs < 1.01 * whole


def test_parts_of_masked_heads_in_one_block(tmp_path: Path) -> None:
    """Two heads of two tokens after one: ten pairs, which are no batch of equal products."""
    inputs = [value(name, [1, 2, 2, SIZE]) for name in "qkv"]
    inputs += [value(name, [1, 2, 1, SIZE]) for name in ("pk", "pv")]
    single = node("Attention", "q k v - pk pv", is_causal=1)
    graph = fold(load(tmp_path, model([single], inputs, opset=23)))
    scores = graph.layer_of("attention/scores")
    assert scores.layer.workload == toolkit.gemm(5, SIZE, 2)
    assert tile_workload(scores, ((1, 1),)) == toolkit.gemm(5, SIZE, 1)


def test_a_cache_in_place_is_read_where_it_is(tmp_path: Path) -> None:
    single = node("Attention", "q k v - pk pv", "y pk2 pv2")
    inputs = [value(name, [1, HEADS, 1, SIZE]) for name in "qkv"]
    inputs += [value(name, [1, HEADS, 2 * TOKENS - 1, SIZE]) for name in ("pk", "pv")]
    proto = model([single], inputs, outputs=["y", "pk2", "pv2"], opset=23)
    token, cached = HEADS * SIZE, 2 * 2 * TOKENS * HEADS * SIZE
    graph = fold(load(tmp_path, proto))
    update = graph.layer_of("attention/cache")
    assert (update.output.elements, sum(t.elements for t in update.inputs)) == (2 * token,) * 2
    assert fused_words(graph, 2 * WORDS) == 2 * 2 * token + cached + 2 * token
    copied = fold(load(tmp_path, proto, kv_cache="copied"))
    assert fused_words(copied, 2 * WORDS) > 2 * fused_words(graph, 2 * WORDS)


def test_keys_and_values_may_be_held_once_while_layers_wait(tmp_path: Path) -> None:
    graph = fold(written_out(tmp_path))
    group = frozenset(graph.names)
    # Keys and values of one head, but not those of the next one, too.
    arch = toolkit.load_arch("gemmini-ws:scratchpad_words=8192,side=8")
    model = MappedModel(
        graph,
        arch,
        search=LayerSearch(budget=Budget(evaluations=300)),
        cache=False,
        proof_seconds=0.1,
    )
    held_once = [o.plan for o in model.options(group) if not o.plan.double_buffered]
    assert held_once
    for plan in held_once:
        assert plan.dram_words == graph.floor_words
        work = model.cost(plan).work
        assert work is not None
        staged = PortWords(plan.staged_input_words, plan.staged_output_words)
        waiting = model.pricing.port.cycles(staged)
        assert work.latency().cycles == pytest.approx(sum(work.cycles.values()) + waiting)
        assert (work.first_loads, work.last_stores) == ((), ())
    found = find_partition(model, "exact", reasons=False)
    assert found.bound <= found.value
