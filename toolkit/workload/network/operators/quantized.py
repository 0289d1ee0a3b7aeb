"""Operators of ONNX Runtime on integers and short floats; scales are weights beside the others."""

from __future__ import annotations

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators import output_shapes as shapes
from toolkit.workload.network.operators import products
from toolkit.workload.network.operators import vector as v
from toolkit.workload.network.operators.call import Call, Operator, make_layer
from toolkit.workload.network.operators.output_shapes import Shape
from toolkit.workload.network.operators.vector import elementwise, movement, reduction, window


def _ordered_product(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """QOrderedMatMul: the second operand stands after the scale of the first."""
    right = _ordered_weight(call)
    workload = products.matmul_workload(call, call.shape(0), right)
    made = make_layer(
        call,
        rule,
        workload=workload,
        elements=call.outputs[0].elements,
        operations_per_element=rule.operations_of(call),
    )
    return (made,)


def _ordered_weight(call: Call) -> Shape:
    """The second operand as rows and columns; by columns it is stored transposed."""
    shape = call.shape(2)
    by_columns = call.integer("order_B", 1) != 1
    return (*shape[:-2], shape[-1], shape[-2]) if by_columns else shape


def _ordered_product_shapes(call: Call) -> list[Shape]:
    return [(*call.shape(0)[:-1], _ordered_weight(call)[-1])]


_TABLE = "a table of 256 entries"

_RULES: dict[str, Operator] = {
    "DynamicQuantizeMatMul": Operator(
        "einsum",
        "as MatMul; 5 operations per output for quantization",
        products.matmul,
        5,
        data=(0, 1, 4),
        learned=(1, 4),
        scales=(2, 3),
        shapes=shapes.product_shapes(0, 1),
    ),
    "MatMulIntegerToFloat": Operator(
        "einsum",
        "as MatMul; 2 operations per output for the scale",
        products.matmul,
        2,
        data=(0, 1, 6),
        learned=(1, 6),
        scales=(2, 3, 4, 5),
        shapes=shapes.product_shapes(0, 1),
        dtype_of=2,
    ),
    "QGemm": Operator(
        "einsum",
        "as Gemm; scale, zero point and clip per output",
        products.quantized_gemm,
        3,
        data=(0, 3, 6),
        learned=(3, 6),
        scales=(1, 2, 4, 5, 7, 8),
        shapes=shapes.product_shapes(0, 3),
    ),
    "DynamicQuantizeLSTM": Operator(
        "einsum",
        "as LSTM",
        products.recurrent,
        22,
        data=(0, 1, 2, 3, 5, 6, 7),
        learned=(1, 2, 3, 7),
        shapes=products.quantized_lstm_shapes,
    ),
    "MatMulInteger16": Operator(
        "einsum", "as MatMul", products.matmul, learned=(0, 1), shapes=shapes.product_shapes(0, 1)
    ),
    "GemmFloat8": Operator(
        "einsum",
        "as Gemm",
        products.general_matmul,
        data=(0, 1, 2),
        learned=(0, 1, 2),
        scales=(3, 4, 5),
        shapes=shapes.product_shapes(0, 1),
    ),
    "QOrderedMatMul": Operator(
        "einsum",
        "as MatMul; scale and clip per output",
        _ordered_product,
        2,
        data=(0, 2, 5, 6),
        learned=(2, 5),
        scales=(1, 3, 4, 7),
        shapes=_ordered_product_shapes,
    ),
    **dict.fromkeys(
        ("QLinearAdd", "QLinearMul"),
        Operator(
            "elementwise",
            "both operands dequantized (2 each), added or multiplied, quantized (3)",
            v.per_output,
            8,
            data=(0, 3),
            scales=(1, 2, 4, 5, 6, 7),
            shapes=shapes.broadcast(0, 3),
        ),
    ),
    "QLinearWhere": Operator(
        "elementwise",
        "both operands dequantized, chosen, quantized",
        v.per_output,
        8,
        data=(0, 1, 4),
        scales=(2, 3, 5, 6, 7, 8),
        shapes=shapes.broadcast(0, 1, 4),
        dtype_of=1,
    ),
    "MulInteger": Operator(
        "elementwise",
        "zero points, multiply",
        v.per_output,
        3,
        data=(0, 2),
        scales=(1, 3),
        shapes=shapes.broadcast(0, 2),
    ),
    **dict.fromkeys(
        ("QLinearSigmoid", "QLinearLeakyRelu", "QOrderedGelu"),
        elementwise(1, _TABLE, data=(0,), shapes=shapes.same),
    ),
    **dict.fromkeys(
        ("QuantizeLinear", "QuantizeWithOrder"),
        Operator(
            "elementwise",
            "scale, zero point, clip",
            v.per_output,
            3,
            data=(0,),
            scales=(1, 2),
            shapes=shapes.same,
            dtype_of=2,
        ),
    ),
    **dict.fromkeys(
        ("DequantizeLinear", "DequantizeWithOrder"),
        Operator(
            "elementwise",
            "zero point, scale",
            v.per_output,
            2,
            data=(0,),
            scales=(1, 2),
            shapes=shapes.same,
            dtype_of=1,
        ),
    ),
    "QLinearSoftmax": reduction(
        8, "maximum, subtract, exp, sum, divide, quantized", shapes=shapes.same
    ),
    "QOrderedLayerNormalization": reduction(
        10,
        "as LayerNormalization, quantized",
        data=(0, 2, 3),
        learned=(2, 3),
        shapes=shapes.same,
    ),
    "QLinearReduceMean": reduction(1, "add", shapes=shapes.reduced),
    "ReduceSumInteger": reduction(1, "add", shapes=shapes.reduced),
    "QLinearAveragePool": window(
        v.taps, "an addition per element of the window", shapes=shapes.pooled
    ),
    "QLinearGlobalAveragePool": reduction(1, "add", shapes=shapes.globally_pooled),
    "QLinearConcat": movement(
        "every element; 3 operations to rescale it",
        data=None,
        operations=3,
        shapes=shapes.concatenated,
        dtype_of=1,
    ),
}

QUANTIZED = {f"com.microsoft.{name}": rule for name, rule in _RULES.items()}
"""Rules of operators on integers and short floats."""
