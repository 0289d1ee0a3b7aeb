"""Which groups are legal, which patterns are found, and what is said of those that are not."""

from __future__ import annotations

import networkx as nx
import pytest
from examples import examples
from fusion.brute_force import share_tensors
from fusion.networks import add, conv, network, pool, random_network, relu, residual, tensor
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.fusion import (
    PATTERNS,
    Assumptions,
    FoldedGraph,
    Pattern,
    TrafficModel,
    candidates,
    chain,
    check_group,
    check_partition,
    cost_partition,
    find_pattern,
    fold,
    matches,
)
from toolkit.fusion.groups import siblings
from toolkit.workload import gemm
from toolkit.workload.network import Layer, LayerGraph, TensorInfo


def diamonds() -> FoldedGraph:
    """Two chains of two layers that exchange tensors: a -> b, c -> d, a -> d, c -> b."""
    a, c = conv("a", tensor("x", 1, 4), 1), conv("c", tensor("y", 1, 4), 1)
    b = add("b", a.outputs[0], c.outputs[0])
    d = add("d", c.outputs[0], a.outputs[0])
    return fold(network([a, c, b, d]))


def test_groups_are_named_by_layers_that_were_folded_away() -> None:
    first = conv("first", tensor("x", 1, 4), 1)
    graph = fold(network([first, relu("act", first.outputs[0])]))
    assert check_group(graph, ["act"]) == frozenset({"first"})


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "at least one layer"),
        (["stemm"], "no layer 'stemm' .did you mean 'stem'"),
        (["stem", "two"], "'stem', 'two': is not connected: no tensor leads from 'stem' to 'two'"),
        (["stem", "sum"], "is not convex: 'one', 'two' must run between its layers; add them"),
    ],
)
def test_bad_groups(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_group(residual(), names)


def test_layers_that_read_one_tensor_are_connected() -> None:
    """By a tensor of the network, or one that a layer outside of the group makes."""
    stem = conv("stem", tensor("x", 1, 4), 1)
    readers = [conv(name, stem.outputs[0], 1, 1) for name in "abc"]
    graph = fold(network([stem, *readers, conv("other", tensor("x", 1, 4), 1)]))
    assert check_group(graph, "ac") == frozenset("ac")
    assert check_group(graph, ["stem", "other"])
    with pytest.raises(InputError, match="leads from 'a' to 'other', and none is read by both"):
        check_group(graph, ["a", "other"])
    assert siblings(graph) == [
        ("stem", "other", "x"),
        ("a", "b", "stem.out"),
        ("b", "c", "stem.out"),
    ]
    home = {"stem": 0, "a": 0, "b": 1, "c": 2, "other": 2}
    assert siblings(graph, home) == [("stem", "other", "x"), ("b", "c", "stem.out")]


def test_groups_that_wait_for_each_other() -> None:
    graph = diamonds()
    assert check_group(graph, "ab") and check_group(graph, "cd")
    with pytest.raises(InputError, match="wait for each other: .*'a', 'b'.* and .*'c', 'd'"):
        check_partition(graph, ["ab", "cd"])


def test_a_layer_is_in_one_group() -> None:
    with pytest.raises(InputError, match="'one' is in two groups"):
        check_partition(residual(), [["stem", "one"], ["one", "two"]])


def test_layers_that_no_group_names_are_on_their_own() -> None:
    assert check_partition(residual(), [["one", "two"]]) == (
        frozenset({"stem"}),
        frozenset({"one", "two"}),
        frozenset({"sum"}),
    )


def test_a_given_group_that_does_not_fit() -> None:
    model = TrafficModel(residual(), Assumptions(3))
    with pytest.raises(InputError, match="group 'one', 'two': no tile fits the 3 words"):
        cost_partition(model, [["one", "two"]])


def test_a_given_partition_is_costed() -> None:
    model = TrafficModel(residual(), Assumptions(1000))
    found = cost_partition(model, [["stem", "one", "two", "sum"]])
    assert found.value == found.graph.floor_words


@given(st.integers(0, 10**6), st.integers(2, 5))
@examples(20)
def test_candidates_are_all_legal_groups_once(seed: int, length: int) -> None:
    graph = random_network(seed, most=7)
    found = list(candidates(graph, length))
    assert len(set(found)) == len(found)
    order = list(graph.names)
    expected = set()
    for bits in range(1, 1 << len(order)):
        names = {order[i] for i in range(len(order)) if bits >> i & 1}
        if not 2 <= len(names) <= length or not share_tensors(graph, names):
            continue
        paths = (nx.descendants(graph, a) & nx.ancestors(graph, b) for a in names for b in names)
        if all(path <= names for path in paths):
            expected.add(frozenset(names))
    assert set(found) == expected


def test_folding_needs_a_single_reader() -> None:
    first = conv("first", tensor("x", 1, 4), 1)
    act = relu("act", first.outputs[0])
    both = add("both", act.outputs[0], first.outputs[0])
    assert fold(network([first, act, both])).names == ("first", "act", "both")


def test_views_show_what_they_view() -> None:
    x, y, z = (
        TensorInfo(n, s, "int8") for n, s in (("x", (1, 8, 4)), ("y", (8, 4)), ("z", (8, 2)))
    )
    view = Layer("view", "Reshape", "view", (x,), (), (y,))
    weight = TensorInfo("w", (4, 2), "int8")
    product = Layer("mm", "MatMul", "einsum", (y,), (weight,), (z,), workload=gemm(2, 4, 8))
    graph = fold(LayerGraph.from_layers([view, product], inputs=[x], outputs=[z]))
    (layer,) = graph.layers
    assert layer.inputs == (x,)
    rows = next(rank for rank in layer.ranks if rank.axis == 0)
    assert [reach and reach.axis for reach in rows.reads] == [1]
    assert layer.weight_words == 8


def residual_network() -> LayerGraph:
    stem = conv("stem", tensor("x", 2, 8), 2)
    one = conv("one", stem.outputs[0], 2)
    act = relu("act", one.outputs[0])
    two = conv("two", act.outputs[0], 2)
    total = add("sum", two.outputs[0], stem.outputs[0])
    last = pool("pool", total.outputs[0])
    return network([stem, one, act, two, total, last])


def test_patterns_are_found_in_the_names_of_folded_layers() -> None:
    plain = residual_network()
    graph = fold(plain)
    assert matches(graph, plain, find_pattern("residual-block")) == [
        frozenset({"one", "two", "sum"})
    ]
    # A rectifier is folded into its convolution: nothing is left to fuse.
    assert matches(graph, plain, find_pattern("conv-relu")) == []
    own = Pattern("sum-pool", {"a": "Add|Sum", "p": "*Pool"}, (("a", "p"),))
    assert matches(graph, plain, own) == [frozenset({"sum", "pool"})]
    assert matches(graph, plain, chain("three", "Conv", "Conv", "Add"))[0] >= {"two", "sum"}


def test_unknown_patterns() -> None:
    with pytest.raises(InputError, match="unknown pattern 'atention'.*attention"):
        find_pattern("atention")
    assert set(PATTERNS) >= {"conv-bn-relu", "residual-block", "attention", "matmul-add-gelu"}


def test_a_layer_that_cannot_be_tiled_is_named() -> None:
    first = conv("first", tensor("x", 2, 8), 2)
    out = TensorInfo("kept.out", (9, 4), "int64")
    kept = Layer("kept", "NonZero", "reduction", first.outputs, (), (out,), elements=128)
    model = TrafficModel(fold(network([first, kept])), Assumptions(20))
    with pytest.raises(InputError, match="not to be cut into tiles: 'kept' .NonZero."):
        cost_partition(model, [["first", "kept"]])
