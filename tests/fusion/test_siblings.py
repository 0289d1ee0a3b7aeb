"""Projections of one tensor: it is loaded once for all of them, where that moves fewer words."""

from __future__ import annotations

import pytest
from examples import examples
from fusion.networks import network
from fusion.products import attention, made, multiply, project, rows, sharing, small
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.errors import InputError
from toolkit.fusion import (
    Assumptions,
    FoldedGraph,
    MappedModel,
    TrafficModel,
    find_partition,
    fold,
)
from toolkit.search.network import LayerSearch
from toolkit.search.result import Budget

SEEDS = st.integers(0, 10**6)
MI = 1024**2


def projections(tokens: int, width: int) -> FoldedGraph:
    """Queries, keys and values."""
    x = rows("x", tokens, width)
    return fold(network([project(name, x, width) for name in "qkv"]))


def test_queries_keys_and_values_read_their_input_once() -> None:
    graph = projections(4096, 768)
    found = find_partition(TrafficModel(graph, Assumptions(2 * MI)))
    assert found.partition == (frozenset("qkv"),)
    assert found.value == found.bound == graph.floor_words
    assert found.unfused_value == graph.floor_words + 2 * 4096 * 768


def test_columns_side_by_side_share_tiles_of_the_input() -> None:
    """Half of all weights at a time, held once: the input comes twice, not three times.

    Where weights of the next half come meanwhile there is no room for this.
    """
    graph = projections(96, 12)
    room = 3 * 12 * 6 + 36
    twice, once = (
        find_partition(TrafficModel(graph, Assumptions(room, double_buffered=ahead)))
        for ahead in (True, False)
    )
    assert once.value == once.bound < twice.value
    assert twice.proved
    assert once.value == graph.floor_words + 96 * 12


def test_what_fits_whole_is_loaded_while_it_runs() -> None:
    """In one step all loads and stores would be waited for, longer than without fusion."""
    model = MappedModel(
        projections(512, 64),
        toolkit.load_arch("gemmini-ws"),
        search=LayerSearch(budget=Budget(evaluations=2000)),
        proof_seconds=0,
        cache=False,
    )
    (fused,) = find_partition(model, reasons=False).plans
    assert fused.group == frozenset("qkv")
    assert fused.steps >= 4
    one, *_, many = sorted(model.options(fused.group), key=lambda option: option.plan.steps)
    apart = [model.alone(name).costs for name in "qkv"]
    whole = sum(energy for energy, _ in apart) * sum(cycles for _, cycles in apart)
    assert many.costs[0] * many.costs[1] < 0.9 * whole < whole < one.costs[0] * one.costs[1]


def test_neighbouring_readers_have_reasons() -> None:
    """In too little room each projection loads the input on its own."""
    graph = projections(4096, 768)
    found = find_partition(TrafficModel(graph, Assumptions(MI)))
    assert [(b.source, b.target, b.tensor, b.shared) for b in found.boundaries] == [
        ("q", "k", "x", True),
        ("k", "v", "x", True),
    ]
    assert {b.reason for b in found.boundaries} == {"capacity"}
    assert found.proved


def test_chances_speak_of_readers_too() -> None:
    pytest.importorskip("torch")
    graph = projections(64, 8)
    found = find_partition(TrafficModel(graph, Assumptions(512)), "gradient", reasons=False)
    assert [(c.source, c.target, c.shared) for c in found.chances] == [
        ("q", "k", True),
        ("k", "v", True),
    ]
    assert all(chance.probability > 0.5 for chance in found.chances)
    assert found.value == found.exact_value == graph.floor_words


@pytest.mark.parametrize("strategy", ["exact", "greedy", "segments", "nsga2", "gradient"])
def test_all_strategies_know_such_groups(strategy: str) -> None:
    if strategy == "gradient":
        pytest.importorskip("torch")
    graph = projections(64, 8)
    model = TrafficModel(graph, Assumptions(512))
    assert find_partition(model, strategy, reasons=False).value == graph.floor_words


def gated_projections() -> FoldedGraph:
    """Scores of queries and keys that are made from one tensor."""
    x = rows("x", 1, 6, 4)
    q, k = project("q", x, 4), project("k", x, 4)
    return fold(network([q, k, multiply("scores", made(q), made(k), transposed=True)]))


def test_a_tensor_that_is_read_along_two_axes_is_there_as_a_whole() -> None:
    """Rows of queries follow rows of scores, those of keys columns."""
    graph = gated_projections()
    found = find_partition(TrafficModel(graph, Assumptions(200)))
    assert found.proved
    assert found.value == graph.floor_words


@given(SEEDS, st.integers(8, 60))
@examples(10)
def test_nests_of_four_loops_are_no_worse(seed: int, room: int) -> None:
    """Under partition search: bounds hold; more loops, and tiles held once, do no harm."""
    graph = (sharing, small)[seed % 2](seed)
    four, two, once = (
        find_partition(TrafficModel(graph, given_), reasons=False)
        for given_ in (
            Assumptions(room, loops=4),
            Assumptions(room, loops=2),
            Assumptions(room, loops=4, double_buffered=False),
        )
    )
    assert graph.floor_words <= four.bound <= four.value <= two.value
    assert once.value <= four.value
    assert all(plan.peak_words <= room for plan in four.plans if plan.staged)


def test_attention_with_tiles_held_once() -> None:
    graph = attention(12, 4096, 4096, 64)
    model = TrafficModel(graph, Assumptions(64 * 1024, double_buffered=False))
    found = find_partition(model, reasons=False)
    assert found.value == found.bound == 62_914_560


def test_layers_that_run_at_once_need_both_tiles() -> None:
    with pytest.raises(InputError, match="double_buffered: expected double-buffered tiles"):
        Assumptions(100, schedule="pipelined", double_buffered=False)
