"""Quantizers whose results are floats of few values, and types of few bits."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto
from tiny_networks import assumptions, constant, load, model, node, value, weight

import toolkit

NUMBERS = {"s": 0.5, "z": 0.0, "one": 1.0, "two": 2.0, "half": 2.5, "four": 4.0, "many": 65.0}
TENSORS = [constant(name, number, "float") for name, number in NUMBERS.items()]
X = value("x", [1, 3, 8, 8])
GENERAL = "qonnx.custom_op.general."


@pytest.mark.parametrize(
    ("operator", "operands", "attributes", "dtype"),
    [
        (GENERAL + "Quant", "x s z four", {"signed": 1}, "int4"),
        (GENERAL + "Quant", "x s z four", {"signed": 0, "narrow": 0}, "uint4"),
        (GENERAL + "Quant", "x s z half", {}, "int3"),
        ("onnx.brevitas.Quant", "x s z two", {}, "int2"),
        ("finn.custom_op.general.BipolarQuant", "x s", {}, "int1"),
        (GENERAL + "Trunc", "x s z four two", {}, "int2"),
        (GENERAL + "Trunc", "x s z four s two", {"signed": 0}, "uint2"),
        (GENERAL + "FloatQuant", "x s two one z z", {}, "float4e2m1"),
        (GENERAL + "FloatQuant", "x s two two z z", {}, "int5"),
        (GENERAL + "MultiThreshold", "x t", {"out_dtype": "UINT2"}, "uint2"),
        (GENERAL + "QuantAvgPool2d", "x", {"stride": 2, "kernel": 2, "obits": 6}, "uint6"),
    ],
)
def test_bits_reach_the_tensor(
    tmp_path: Path, operator: str, operands: str, attributes: dict[str, object], dtype: str
) -> None:
    nodes = [
        node(operator, operands, "q", name="q", **attributes),
        node("Transpose", "q", "t1", perm=[0, 1, 3, 2]),
        node("MaxPool", "t1", "p", kernel_shape=[2, 2]),
        node("Conv", "p w"),
    ]
    tensors = [*TENSORS, weight("w", 4, 3, 1, 1), weight("t", 3, 3)]
    graph = load(tmp_path, model(nodes, [X], tensors))
    *handed, conv = graph.layers
    assert [layer.outputs[0].dtype for layer in handed] == [dtype] * 3
    assert (conv.inputs[0].dtype, conv.outputs[0].dtype) == (dtype, "float32")
    assert assumptions(graph) == ()


def test_weights_are_stored_in_few_bits(tmp_path: Path) -> None:
    nodes = [node(GENERAL + "Quant", "w s z four", "q"), node("Conv", "x q")]
    graph = load(tmp_path, model(nodes, [X], [*TENSORS, weight("w", 4, 3, 3, 3)]))
    (layer,) = graph.layers
    assert (layer.weights[0].dtype, layer.weight_bytes) == ("int4", 4 * 27 // 2)
    assert (graph.parameters, graph.parameter_bytes) == (108, 54)


def test_bits_that_are_not_said(tmp_path: Path) -> None:
    single = node(GENERAL + "Quant", "x s z z", name="q")
    graph = load(tmp_path, model([single], [X], TENSORS))
    assert graph.outputs[0].dtype == "float32"
    assert graph.warnings == ("qonnx.Quant 'q' does not say how many bits its values have",)
    single = node(GENERAL + "Quant", "x s z many", name="q")
    with pytest.raises(toolkit.InputError, match="node 'q' .* has 65 bits; expected 1 to 64"):
        load(tmp_path, model([single], [X], TENSORS))
    single = node(GENERAL + "Quant", "x s z n", name="q")
    with pytest.raises(toolkit.InputError, match=r"its bits \(operand 3\) are not a constant"):
        load(tmp_path, model([single], [X, value("n", [1])], TENSORS))


@pytest.mark.parametrize(
    ("number", "dtype"),
    [
        (TensorProto.INT4, "int4"),
        (TensorProto.UINT4, "uint4"),
        (TensorProto.INT16, "int16"),
        (TensorProto.FLOAT8E4M3FN, "float8e4m3fn"),
        (TensorProto.FLOAT8E5M2, "float8e5m2"),
        (TensorProto.FLOAT4E2M1, "float4e2m1"),
    ],
)
def test_types_of_quantized_tensors(tmp_path: Path, number: int, dtype: str) -> None:
    single = node("QuantizeLinear", "x s", output_dtype=number)
    graph = load(tmp_path, model([single], [X], TENSORS, opset=23))
    assert graph.outputs[0].dtype == dtype
    assert graph.outputs[0].bytes * 8 == toolkit.workload.network.layer.BITS[dtype] * 192


def test_packed_initializers_have_their_type(tmp_path: Path) -> None:
    codes = onnx.TensorProto(name="w", dims=[8, 4], data_type=TensorProto.INT4, raw_data=bytes(16))
    nodes = [node("DequantizeLinear", "w s", "f"), node("MatMul", "x f")]
    graph = load(tmp_path, model(nodes, [value("x", [2, 8])], [*TENSORS, codes], opset=21))
    (layer,) = graph.layers
    assert [(t.shape, t.dtype, t.bytes) for t in layer.weights[:1]] == [((8, 4), "int4", 16)]
