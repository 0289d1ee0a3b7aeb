"""Reasons of boundaries are true: each names the change that would remove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from examples import examples
from fusion.networks import add, conv, network, random_network, residual, tensor
from fusion.test_mapped import QUICK, eyeriss, model
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.fusion import (
    Assumptions,
    Boundary,
    FoldedGraph,
    FusionOverhead,
    FusionResult,
    Option,
    TrafficModel,
    cost_partition,
    find_partition,
    fold,
)
from toolkit.fusion.group_model import resized, total_costs, value_of, whole_words
from toolkit.fusion.groups import Group, GroupView, is_partition
from toolkit.fusion.mapped import MappedModel
from toolkit.fusion.partition.reasons import cut_obstacles, least_capacity, obstacle
from toolkit.workload.network import Layer, TensorInfo

SEEDS = st.integers(0, 10**6)


def short(words: int) -> Assumptions:
    """Nests of one or two loops, of which there are few enough to try many graphs."""
    return Assumptions(words, loops=2)


def joined(result: FusionResult, boundary: Boundary) -> list[Group]:
    """The partition with both layers in one group, and all that runs in between."""
    import networkx as nx

    from toolkit.fusion.groups import quotient

    groups = list(result.partition)
    home = {name: i for i, group in enumerate(groups) for name in group}
    a, b = home[boundary.source], home[boundary.target]
    order = quotient(result.graph, groups)
    merged = {a, b} | (nx.descendants(order, a) & nx.ancestors(order, b))
    merged |= nx.descendants(order, b) & nx.ancestors(order, a)
    joint = frozenset().union(*(groups[i] for i in merged))
    return [joint, *(group for i, group in enumerate(groups) if i not in merged)]


def edges(result: FusionResult) -> set[tuple[str, str]]:
    return {(b.source, b.target) for b in result.boundaries}


@given(SEEDS, st.sampled_from([3, 20, 60, 150, 400]), st.sampled_from([2, 4, 9]))
@examples(20)
def test_more_room_removes_what_capacity_is_the_reason_of(
    seed: int, words: int, most: int
) -> None:
    graph = random_network(seed, 6)
    priced = TrafficModel(graph, short(words))
    found = find_partition(priced, most_layers=most)
    roomy = find_partition(TrafficModel(graph, short(whole_words(graph))), most_layers=most)
    assert "capacity" not in {b.reason for b in roomy.boundaries}
    for boundary in found.boundaries:
        together = any({boundary.source, boundary.target} <= group for group in roomy.partition)
        if boundary.reason == "capacity":
            assert together
        elif together:
            # Too long for a group, but joining them would pay without more room, too.
            assert boundary.reason == "missed"
            assert _total(priced, joined(found, boundary)) < found.value


@given(SEEDS, st.sampled_from([3, 60, 150]), st.sampled_from([2, 3, 5]))
@examples(10)
def test_no_room_removes_a_barrier(seed: int, words: int, most: int) -> None:
    graph = random_network(seed, 7)
    found = find_partition(TrafficModel(graph, short(words)), most_layers=most)
    barriers = [{b.source, b.target} for b in found.boundaries if b.reason == "barrier"]
    for scale in (2, 10, 10**6):
        roomy = find_partition(TrafficModel(graph, short(words * scale)), most_layers=most)
        assert not any(pair <= group for pair in barriers for group in roomy.partition)


@given(SEEDS, st.sampled_from([20, 60, 150, 400]))
@examples(20)
def test_joining_does_as_the_reason_says(seed: int, words: int) -> None:
    """At the capacity that there is, and at any larger one."""
    graph = random_network(seed, 6)
    priced = TrafficModel(graph, short(words))
    found = find_partition(priced, "none")
    for boundary in found.boundaries:
        groups = joined(found, boundary)
        assert is_partition(graph, groups)
        now = priced.options(groups[0])
        gains = bool(now) and _total(priced, groups) < found.value
        assert (boundary.reason == "missed") == gains
        roomy = priced.with_capacity(whole_words(graph))
        if boundary.reason == "capacity":
            assert _total(roomy, groups) < _total(roomy, found.partition)
        if boundary.reason == "no gain":
            assert _total(roomy, groups) >= _total(roomy, found.partition)


def _total(priced: TrafficModel | MappedModel, groups: Sequence[Group]) -> float:
    options = [min(priced.options(g), key=lambda o: value_of(o.costs)) for g in groups]
    return value_of(total_costs(options))


def branches() -> FoldedGraph:
    """Two convolutions of one tensor, and what adds them; then a stride that shrinks."""
    one = conv("one", tensor("x", 2, 8), 2)
    two = conv("two", one.outputs[0], 4, 1)
    three = conv("three", one.outputs[0], 4)
    total = add("sum", two.outputs[0], three.outputs[0])
    return fold(network([one, two, three, total, conv("last", total.outputs[0], 2, 3, 2)]))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Mappings of parts, which all of a machine's buffers and overheads have in common."""
    return str(tmp_path_factory.mktemp("kept"))


@pytest.mark.parametrize("graph", [residual(), branches()], ids=["residual", "branches"])
@pytest.mark.parametrize(("words", "overhead"), [(40, 0.0), (120, 2e4), (300, 1e6)])
def test_reasons_of_mapped_groups(
    graph: FoldedGraph, words: int, overhead: float, kept: str
) -> None:
    asked = model(graph, overhead=FusionOverhead(overhead), cache=kept)
    priced = asked.with_capacity(words)
    found = find_partition(priced)
    roomy = priced.with_capacity(whole_words(graph))
    assert found.boundaries or len(found.groups) == 1
    later = find_partition(roomy).partition
    for boundary in found.boundaries:
        pair = {boundary.source, boundary.target}
        assert (boundary.reason == "capacity") == any(pair <= group for group in later)
        groups = joined(found, boundary)
        assert roomy.options(groups[0])
        if boundary.reason == "no gain":
            assert _total(roomy, groups) >= _total(roomy, found.partition) * (1 - 1e-9)


def test_small_and_large_buffers_of_one_machine() -> None:
    """What capacity separates on a small buffer is one group on a large one."""
    graph = branches()
    small, large = (
        MappedModel(graph, eyeriss(words), search=QUICK, proof_seconds=0.0, cache=False)
        for words in (60, 4096)
    )
    found, roomy = find_partition(small), find_partition(large)
    lacking = {(b.source, b.target) for b in found.boundaries if b.reason == "capacity"}
    assert lacking
    assert lacking.isdisjoint(edges(roomy))


def test_a_layer_that_can_never_share_is_a_barrier() -> None:
    class Stubborn(TrafficModel):
        """A machine on which one layer runs from DRAM alone."""

        def options(self, group: Group, limit: float | None = None) -> tuple[Option, ...]:
            alone = len(group) == 1 or "two" not in group
            return super().options(group, limit) if alone else ()

        def with_capacity(self, words: int) -> TrafficModel:
            return Stubborn(self.graph, resized(self.given, words))

        def refusal(self, group: Group) -> str | None:
            return "layer 'two': it reads from DRAM alone" if len(group) > 1 else None

    found = find_partition(Stubborn(branches(), Assumptions(5000)))
    reasons = {(b.source, b.target): b for b in found.boundaries}
    for edge in (("one", "two"), ("two", "sum")):
        assert reasons[edge].reason == "barrier"
        assert "layer 'two': it reads from DRAM alone" in reasons[edge].detail
    with pytest.raises(InputError, match="group 'one', 'two': cannot run: layer 'two': it reads"):
        cost_partition(Stubborn(branches(), Assumptions(5000)), [["one", "two"]])


def test_too_many_layers_in_between_are_a_barrier() -> None:
    found = find_partition(TrafficModel(residual(), Assumptions(1000)), most_layers=3)
    (skip,) = (b for b in found.boundaries if (b.source, b.target) == ("stem", "sum"))
    assert skip.reason == "barrier"
    assert skip.detail.startswith("2 layers must run in between")


def flattened() -> FoldedGraph:
    """A convolution, and a product that reads all of it for every output."""
    first = conv("first", tensor("x", 2, 8), 2)
    out = TensorInfo("dense.out", (1, 9), "int8")
    weight = TensorInfo("dense.w", (9, 128), "int8")
    dense = Layer("dense", "Gemm", "einsum", first.outputs, (weight,), (out,), elements=9)
    return fold(network([first, dense]))


def test_a_whole_tensor_is_no_barrier() -> None:
    """All of it may wait on chip, where it has room."""
    graph = flattened()
    small = find_partition(TrafficModel(graph, Assumptions(20)))
    (boundary,) = small.boundaries
    assert boundary.reason == "capacity"
    assert "'dense' (Gemm), which needs all 128 words of 'first' at once" in boundary.detail
    assert find_partition(TrafficModel(graph, Assumptions(1000))).boundaries == ()


def test_a_group_that_does_not_fit_says_how_much_would() -> None:
    graph = flattened()
    group = frozenset(graph.names)
    small = TrafficModel(graph, Assumptions(20))
    least = least_capacity(small, group)
    assert small.with_capacity(least).options(group)
    assert not small.with_capacity(least - 1).options(group)
    message = (
        f"no tile fits the 20 words .*; the smallest needs {least:,}; not to be cut .*'dense'"
    )
    with pytest.raises(InputError, match=message):
        cost_partition(small, [group])


def projected() -> FoldedGraph:
    """Heads of attention, and a product over all of them, as of a transposed view."""
    scores, mixed, last = (
        TensorInfo(name, shape, "int8")
        for name, shape in (("s", (4, 6, 6)), ("m", (4, 6, 8)), ("y", (4, 6, 8)))
    )
    query, key, value, other = (
        TensorInfo(name, shape, "int8")
        for name, shape in (("q", (4, 6, 8)), ("k", (4, 8, 6)), ("v", (4, 6, 8)), ("w", (4, 6, 6)))
    )
    return fold(
        network(
            [
                Layer("scores", "MatMul", "einsum", (query, key), (), (scores,), elements=144),
                Layer("mix", "MatMul", "einsum", (scores, value), (), (mixed,), elements=192),
                Layer("next", "MatMul", "einsum", (other, mixed), (), (last,), elements=192),
            ]
        )
    )


def test_where_no_axis_runs_through_all_it_is_said_where_tiles_end() -> None:
    """Rows of the first product are reduced by the last one, its heads and columns are not."""
    graph = projected()
    assert [obstacle(graph, *edge) for edge in graph.edges] == [None, None]
    found = cut_obstacles(GroupView(graph, frozenset(graph.names)))
    assert found == (
        "cut along columns of y, 'mix' (MatMul) needs all 144 words of 'scores' at once",
    )
    with pytest.raises(InputError, match=r"the smallest needs .*; cut along columns of y, 'mix' "):
        cost_partition(TrafficModel(graph, Assumptions(40)), [graph.names])


def test_a_group_that_fits_and_saves_nothing_is_refused_as_such() -> None:
    """Weights that are read once per tile cost more than the tensor between the layers."""
    graph = residual(rows=16, channels=16)
    group = frozenset(("one", "two"))
    small = model(graph).with_capacity(2200)
    assert least_capacity(small, group) <= 2200 and not small.options(group)
    with pytest.raises(InputError, match="no tile that fits the 2,200 words .* moves fewer words"):
        cost_partition(small, [group])


def test_what_goes_tile_by_tile_is_no_obstacle() -> None:
    graph = residual()
    assert [obstacle(graph, *edge) for edge in graph.edges] == [None] * len(graph.edges)


def test_models_that_cannot_be_resized_are_taken_as_they_are() -> None:
    from fusion.partition.test_registry import Priced

    graph = random_network(7, 6)
    found = find_partition(Priced(graph, "energy", 7), "none")
    assert {b.reason for b in found.boundaries} <= {"capacity", "no gain", "missed"}


def test_room_for_everything_is_room_for_any_group() -> None:
    for seed in range(20):
        graph = random_network(seed, 8)
        given_ = replace(Assumptions(1), capacity_words=whole_words(graph))
        (option,) = TrafficModel(graph, given_).options(frozenset(graph.names)) or (None,)
        assert option is not None and option.plan.dram_words == graph.floor_words
