"""Networks written down by hand are what ONNX files would give."""

from __future__ import annotations

import pytest

from toolkit.arch import load_arch
from toolkit.errors import WorkloadError
from toolkit.fusion import TrafficModel, cost_partition, fold
from toolkit.fusion.tile.assumptions import Assumptions
from toolkit.search import Budget
from toolkit.search.network import map_network
from toolkit.workload import conv1d, conv2d, depthwise_conv2d, gemm
from toolkit.workload.network import NetworkByHand


def residual() -> NetworkByHand:
    """A block of a residual network: two convolutions of padded windows, and a sum."""
    net = NetworkByHand("block")
    net.add_layer("first", conv2d(16, 16, 14, 14, 3, 3))
    net.add_layer("second", conv2d(16, 16, 14, 14, 3, 3))
    net.add_layer("before", conv2d(16, 8, 14, 14, 1, 1))
    net.add_elementwise("sum")
    for source, target in (
        ("before", "first"),
        ("first", "second"),
        ("second", "sum"),
        ("before", "sum"),
    ):
        net.add_edge(source, target)
    return net


def test_layers_edges_and_shapes() -> None:
    graph = residual().graph()
    assert [layer.name for layer in graph.layers] == ["before", "first", "second", "sum"]
    assert list(graph.edges) == [
        ("before", "first"),
        ("before", "sum"),
        ("first", "second"),
        ("second", "sum"),
    ]
    first = graph.nodes["first"]["layer"]
    assert first.inputs[0].shape == (1, 16, 14, 14)
    assert dict(first.attributes)["pads"] == (1, 1, 1, 1)
    assert graph.macs == 14 * 14 * 16 * (8 + 2 * 9 * 16)
    assert [tensor.name for tensor in graph.outputs] == ["sum.output"]
    assert fold(graph).names == ("before", "first", "second", "sum")


def test_matrix_products_read_two_layers() -> None:
    net = NetworkByHand("attention")
    net.add_layer("keys", gemm(64, 32, 128))
    net.add_layer("queries", gemm(64, 32, 128))
    net.add_layer("scores", gemm(128, 64, 128))
    net.add_edge("queries", "scores")
    with pytest.raises(WorkloadError, match=r"reads \(64, 128\) as its weight, but is given"):
        net.add_edge("keys", "scores", "weight")
        net.graph()


def test_groups_added_one_by_one_are_costed() -> None:
    net = residual()
    net.add_group("first", "second")
    model = TrafficModel(fold(net.graph()), Assumptions(20_000))
    fused = cost_partition(model, net.groups)
    assert frozenset(("first", "second")) in fused.partition
    assert fused.value < fused.unfused_value


def test_a_network_by_hand_is_mapped() -> None:
    result = map_network(
        residual().graph(),
        load_arch("eyeriss"),
        "random",
        budget=Budget(evaluations=10),
        cache=False,
        jobs=1,
    )
    assert result["first"].cost is not None
    assert result["first"].cost.mapping == result["second"].cost.mapping  # type: ignore[union-attr]


def test_windows_along_one_axis() -> None:
    net = NetworkByHand()
    net.add_layer("a", conv1d(4, 2, 20, 3))
    net.add_layer("b", conv1d(4, 4, 9, 4, stride=2))
    net.add_edge("a", "b")
    assert dict(net.graph().nodes["b"]["layer"].attributes)["pads"] == (0, 0)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda net: net.add_layer("sum", gemm(1, 1, 1)), "layer 'sum': two layers have"),
        (
            lambda net: net.add_layer("x", depthwise_conv2d(4, 4, 4, 3, 3)),
            "layer 'x': expected one of gemm, batched_gemm, conv, conv1d, got",
        ),
        (lambda net: net.add_edge("firts", "sum"), "no layer 'firts' .did you mean 'first'"),
        (lambda net: net.add_edge("sum", "before"), "wait for each other: 'before' > "),
        (lambda net: net.add_edge("sum", "sum", "output"), "expected input or weight"),
        (lambda net: (net.add_group("first"), net.add_group("first")), "is in two groups"),
        (lambda net: net.add_group("first", "first"), "group: layer 'first' is named twice"),
        (lambda net: net.add_group(), "group: expected the names of layers"),
        (lambda net: net.add_group(["first"]), "group: expected the name of a layer, got a list"),
        (lambda net: net.add_layer(3, gemm(1, 1, 1)), "expected the name of a layer, got 3"),
        (lambda net: NetworkByHand("x", "int88"), "dtype: unknown data type 'int88'"),
    ],
)
def test_wrong_input_is_told(act: object, message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        act(residual())  # type: ignore[operator]
