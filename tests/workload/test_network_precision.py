"""Bits of a network: from types, from the user, through quantization."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_networks import constant, load, model, node, value, weight

import toolkit
from toolkit.workload.network.precision import Precision, precision_of

HALF = [value("x", [4, 8], "half")]


def product(tmp_path: Path, dtype: str, bits: object = "file") -> toolkit.Workload:
    graph = model(
        [node("MatMul", "x w")], [value("x", [4, 8], dtype)], [weight("w", 8, 16, dtype=dtype)]
    )
    (layer,) = load(tmp_path, graph, bits=bits).layers
    return layer.workload


@pytest.mark.parametrize(
    ("dtype", "bits", "expected"),
    [
        ("float", "file", {}),
        ("half", "file", {"bits": 16, "sum_bits": 32}),
        ("half", "word", {}),
        ("half", {"sum": 24}, {"bits": 16, "sum_bits": 24}),
        ("float", 8, {"bits": 8, "sum_bits": 32}),
        ("half", {"weight": 4}, {"bits": 16, "weight_bits": 4, "sum_bits": 32}),
        ("float", {"weight": 4, "activation": 32}, {"bits": 32, "weight_bits": 4}),
    ],
)
def test_a_product_has_the_bits_of_its_tensors(
    tmp_path: Path, dtype: str, bits: object, expected: dict[str, int]
) -> None:
    plain = toolkit.gemm(16, 8, 4)
    assert product(tmp_path, dtype, bits) == toolkit.with_bits(plain, **expected)


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ({"weights": 4}, "bits: unknown key 'weights'; expected some of weight, activation, sum"),
        ({"weight": 0}, r"bits\['weight'\]: 0 is not an integer from 1"),
        (65, r"bits\['weight'\]: expected 1 to 64 bits, got 65"),
        ("int8", "bits: expected a number, or one of file, word, got 'int8'"),
    ],
)
def test_other_bits_are_refused(bits: object, message: str) -> None:
    with pytest.raises(toolkit.InputError, match=message):
        precision_of(bits)


def test_biases_and_indices_keep_their_bits(tmp_path: Path) -> None:
    nodes = [node("Gather", "table ids", "x"), node("Gemm", "x w b")]
    tensors = [weight("table", 100, 8), weight("w", 8, 16), weight("b", 16)]
    gather, gemm = load(
        tmp_path, model(nodes, [value("ids", [4], "int64")], tensors), bits=Precision(4, 8)
    ).layers
    assert gather.inputs[0].dtype == "int64"
    assert [t.dtype for t in (*gather.weights, *gather.outputs)] == ["int4", "int8"]
    assert [t.dtype for t in gemm.weights] == ["int4", "float32"]


QUANTIZED = [
    node("QuantizeLinear", "x s z", "xq", name="in"),
    node("DequantizeLinear", "xq s z", "xf", name="d1"),
    node("DequantizeLinear", "w ws wz", "wf", name="d2", axis=0),
    node("Conv", "xf wf", "c"),
    node("Relu", "c", "r"),
    node("QuantizeLinear", "r s z", "rq", name="q1"),
    node("DequantizeLinear", "rq s z", "rf", name="d3"),
    node("Transpose", "rf", "t", perm=[0, 2, 3, 1]),
    node("QuantizeLinear", "t s z", "tq", name="q2"),
    node("DequantizeLinear", "tq s z", "tf", name="d4"),
    node("Add", "tf tf", "a"),
    node("QuantizeLinear", "a s z", "aq", name="q3"),
    node("DequantizeLinear", "aq s z", "y", name="out"),
]


def quantized(tmp_path: Path) -> toolkit.LayerGraph:
    tensors = [
        weight("w", 16, 8, 3, 3, dtype="int8"),
        constant("s", 0.5, "float"),
        constant("z", 0, "uint8"),
        constant("ws", [0.5] * 16, "float"),
        constant("wz", [0] * 16, "int8"),
    ]
    return load(tmp_path, model(QUANTIZED, [value("x", [1, 8, 6, 6])], tensors))


def test_quantized_layers_read_and_write_integers(tmp_path: Path) -> None:
    graph = quantized(tmp_path)
    assert [layer.name for layer in graph.layers] == [
        "in",
        "conv",
        "relu",
        "transpose",
        "add",
        "out",
    ]
    conv, relu, transpose, add = graph.layers[1:5]
    assert (conv.inputs[0].dtype, conv.weights[0].dtype) == ("uint8", "int8")
    # The scales and zero points of its channels come with the weight.
    assert [t.elements for t in conv.weights[1:]] == [16, 16]
    assert graph.parameters == 16 * 8 * 9
    assert relu.outputs[0].dtype == "uint8"
    assert (transpose.inputs[0].dtype, transpose.outputs[0].dtype) == ("uint8", "uint8")
    assert transpose.operations == 0
    assert (add.inputs[0].dtype, add.outputs[0].dtype) == ("uint8", "uint8")
    # Two operands dequantized, added, quantized.
    assert add.operations == 16 * 16 * (2 + 2 + 1 + 3)


def test_what_runs_has_bits_in_the_array(tmp_path: Path) -> None:
    from toolkit.workload.network.elementwise import fold_elementwise

    conv = fold_elementwise(quantized(tmp_path)).nodes["conv"]["layer"]
    assert conv.operators == "Conv + Relu"
    plain = toolkit.conv2d(16, 8, 4, 4, 3, 3)
    assert conv.workload == toolkit.with_bits(plain, 8, sum_bits=32)


def test_weights_quantized_in_the_graph_are_stored_quantized(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", "w s z", "wq"),
        node("DequantizeLinear", "wq s z", "wf"),
        node("MatMul", "x wf"),
    ]
    tensors = [weight("w", 8, 16), constant("s", 0.5, "float"), constant("z", 0, "int8")]
    graph = load(tmp_path, model(nodes, [value("x", [4, 8])], tensors))
    assert (graph.parameters, graph.parameter_bytes) == (128, 128)
