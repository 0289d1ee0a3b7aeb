"""Operators of ONNX Runtime (domain com.microsoft), which exporters and quantizers emit.

ONNX knows nothing of them, so each has its output shapes here.
"""

from __future__ import annotations

import math

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators import convolution, products
from toolkit.workload.network.operators.attention import part
from toolkit.workload.network.operators.call import Call, Operator, Shapes
from toolkit.workload.network.operators.experts import EXPERTS
from toolkit.workload.network.operators.microsoft_attention import ATTENTION
from toolkit.workload.network.operators.rotary import rotary_embedding
from toolkit.workload.network.operators.vector import (
    elementwise,
    movement,
    per_output,
    reduction,
    same,
    window,
)
from toolkit.workload.network.operators.vector import taps as window_taps
from toolkit.workload.ready_made import gemm

Shape = tuple[int, ...]


def broadcast(a: int, b: int) -> Shapes:
    """The output has the shape of two operands broadcast together."""

    def shapes(call: Call) -> list[Shape]:
        return [_broadcast(call, call.shape(a), call.shape(b))]

    return shapes


def _broadcast(call: Call, left: Shape, right: Shape) -> Shape:
    rank = max(len(left), len(right))
    padded = [(1,) * (rank - len(shape)) + shape for shape in (left, right)]
    if any(1 != x != y != 1 for x, y in zip(*padded, strict=True)):
        raise call.error(f"shapes {list(left)} and {list(right)} cannot be broadcast together")
    return tuple(max(x, y) for x, y in zip(*padded, strict=True))


def product_shapes(a: int, b: int) -> Shapes:
    """The output has the shape of a matrix product, with ONNX Runtime's transpositions."""

    def shapes(call: Call) -> list[Shape]:
        left, right = call.shape(a), call.shape(b)
        if call.integer("transA", 0):
            left = (*left[:-2], left[-1], left[-2])
        if call.integer("transB", 0):
            right = (*right[:-2], right[-1], right[-2])
        if len(left) < 2 or len(right) < 2:
            raise call.error("expected operands of two or more axes")
        return [(*_broadcast(call, left[:-2], right[:-2]), left[-2], right[-1])]

    return shapes


def convolved(filter_operand: int) -> Shapes:
    """The output has the shape of a convolution with explicit padding."""

    def shapes(call: Call) -> list[Shape]:
        data, weight = call.shape(0), call.shape(filter_operand)
        return [(data[0], weight[0], *_positions(call, data[2:], weight[2:]))]

    return shapes


def pooled(call: Call) -> list[Shape]:
    """The output has the shape of a pooling with explicit padding."""
    data = call.shape(0)
    last = call.integer("channels_last", 0)
    axes = data[1:-1] if last else data[2:]
    kernel = tuple(call.integers("kernel_shape", [1] * len(axes)))
    positions = _positions(call, axes, kernel, ceil=bool(call.integer("ceil_mode", 0)))
    return [(data[0], *positions, data[-1]) if last else (*data[:2], *positions)]


def _positions(call: Call, axes: Shape, kernel: Shape, *, ceil: bool = False) -> Shape:
    count = len(axes)
    strides = call.integers("strides", [1] * count)
    dilations = call.integers("dilations", [1] * count)
    pads = call.integers("pads", [0] * (2 * count))
    if call.text("auto_pad", "NOTSET").startswith("SAME"):
        return tuple(-(-size // stride) for size, stride in zip(axes, strides, strict=True))
    out = []
    for i, (size, taps) in enumerate(zip(axes, kernel, strict=True)):
        room = size + pads[i] + pads[i + count] - dilations[i] * (taps - 1) - 1
        out.append((-(-room // strides[i]) if ceil else room // strides[i]) + 1)
    return tuple(out)


def _globally_pooled(call: Call) -> list[Shape]:
    data = call.shape(0)
    last = call.integer("channels_last", 0)
    ones = (1,) * (len(data) - 2)
    return [(data[0], *ones, data[-1]) if last else (*data[:2], *ones)]


def _concatenated(call: Call) -> list[Shape]:
    parts = [list(call.shape(i)) for i in range(2, len(call.inputs), 3)]
    axis = call.integer("axis", 0)
    parts[0][axis] = sum(part[axis] for part in parts)
    return [tuple(parts[0])]


def _normalized(call: Call) -> list[Shape]:
    data = call.shape(0)
    return [data, (*data[:-1], 1), (*data[:-1], 1), data][: len(call.outputs)]


def _embedded(call: Call) -> list[Shape]:
    batch, length = call.shape(0, 2)
    hidden = call.shape(2, 2)[1]
    return [(batch, length, hidden), (batch,), (batch, length, hidden)][: len(call.outputs)]


def _blocked_product(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """MatMulNBits: weights of a few bits in blocks, K and N in the attributes."""
    k, n = call.integer("K", 0), call.integer("N", 0)
    rows = math.prod(call.shape(0)[:-1])
    return (part(call, rule, "", [*call.inputs[:2]], call.outputs, workload=gemm(n, k, rows)),)


def _blocked_product_shapes(call: Call) -> list[Shape]:
    return [(*call.shape(0)[:-1], call.integer("N", 0))]


_RULES: dict[str, Operator] = {
    "FusedConv": Operator(
        "einsum",
        "as Conv; one operation per output for the activation",
        convolution.convolution,
        1,
        learned=(1, 2),
        shapes=convolved(1),
    ),
    "FusedGemm": Operator(
        "einsum",
        "as Gemm; one operation per output for the activation",
        products.general_matmul,
        1,
        learned=(0, 1, 2),
        shapes=product_shapes(0, 1),
    ),
    "FusedMatMul": Operator(
        "einsum", "as MatMul", products.matmul, learned=(0, 1), shapes=product_shapes(0, 1)
    ),
    "TransposeMatMul": Operator(
        "einsum", "as MatMul", products.matmul, learned=(0, 1), shapes=product_shapes(0, 1)
    ),
    "DynamicQuantizeMatMul": Operator(
        "einsum",
        "as MatMul; 5 operations per output for quantization",
        products.matmul,
        5,
        data=(0, 1, 4),
        learned=(1, 4),
        shapes=product_shapes(0, 1),
    ),
    "MatMulIntegerToFloat": Operator(
        "einsum",
        "as MatMul; 2 operations per output for the scale",
        products.matmul,
        2,
        data=(0, 1, 6),
        learned=(1, 6),
        shapes=product_shapes(0, 1),
        dtype_of=2,
    ),
    "MatMulNBits": Operator(
        "einsum",
        "as MatMul",
        _blocked_product,
        learned=(1,),
        shapes=_blocked_product_shapes,
    ),
    "QGemm": Operator(
        "einsum",
        "as Gemm; scale, zero point and clip per output",
        products.quantized_gemm,
        3,
        data=(0, 3, 6),
        learned=(3, 6),
        shapes=product_shapes(0, 3),
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
    "Gelu": elementwise(5, "x / 2 * (1 + erf(x / sqrt(2)))", shapes=same),
    "FastGelu": elementwise(9, "x / 2 * (1 + tanh(x * (a + b * x * x))), bias", shapes=same),
    "BiasGelu": elementwise(6, "bias, then Gelu", shapes=same),
    "QuickGelu": elementwise(5, "x / (1 + exp(-a * x))", shapes=same),
    "BiasAdd": elementwise(2, "bias and a further sum", shapes=same),
    "RotaryEmbedding": Operator(
        "elementwise",
        "two products and a sum; rows of the tables that are read",
        rotary_embedding,
        3,
        shapes=same,
    ),
    "QLinearAdd": elementwise(
        7, "both operands dequantized, added, quantized", data=(0, 3), shapes=broadcast(0, 3)
    ),
    "QLinearMul": elementwise(
        7, "both operands dequantized, multiplied, quantized", data=(0, 3), shapes=broadcast(0, 3)
    ),
    "QLinearSigmoid": elementwise(1, "a table of 256 entries", data=(0,), shapes=same),
    "QLinearLeakyRelu": elementwise(1, "a table of 256 entries", data=(0,), shapes=same),
    "QuantizeLinear": Operator(
        "elementwise", "scale, zero point, clip", per_output, 3, data=(0,), shapes=same, dtype_of=2
    ),
    "DequantizeLinear": Operator(
        "elementwise", "zero point, scale", per_output, 2, data=(0,), shapes=same, dtype_of=1
    ),
    "QLinearSoftmax": reduction(8, "maximum, subtract, exp, sum, divide, quantized", shapes=same),
    "BiasSoftmax": reduction(6, "bias, then Softmax", data=(0, 1), shapes=same),
    "SkipLayerNormalization": reduction(
        9,
        "a sum, a bias, then LayerNormalization",
        data=(0, 1, 2, 3, 4),
        learned=(2, 3, 4),
        shapes=_normalized,
    ),
    "SkipSimplifiedLayerNormalization": reduction(
        6,
        "a sum, a bias, then RMSNormalization",
        data=(0, 1, 2, 3),
        learned=(2, 3),
        shapes=_normalized,
    ),
    "SimplifiedLayerNormalization": reduction(
        4, "square, sum, normalize, scale", data=(0, 1), learned=(1,), shapes=_normalized
    ),
    "EmbedLayerNormalization": Operator(
        "reduction",
        "rows of three tables added, then LayerNormalization",
        per_output,
        9,
        data=(0, 1, 2, 3, 4, 5, 6),
        learned=(2, 3, 4, 5, 6),
        shapes=_embedded,
        dtype_of=2,
    ),
    "QLinearAveragePool": window(
        window_taps, "an addition per element of the window", shapes=pooled
    ),
    "NhwcMaxPool": window(window_taps, "a comparison per element of the window", shapes=pooled),
    "QLinearGlobalAveragePool": reduction(1, "add", shapes=_globally_pooled),
    "QLinearConcat": movement(
        "every element; 3 operations to rescale it",
        data=None,
        operations=3,
        shapes=_concatenated,
        dtype_of=1,
    ),
}

MICROSOFT = {
    f"com.microsoft.{name}": rule for name, rule in (_RULES | ATTENTION | EXPERTS).items()
} | {
    # ONNX Runtime's optimizer leaves this one in the standard domain, where ONNX has it not.
    "SimplifiedLayerNormalization": _RULES["SimplifiedLayerNormalization"],
}
"""Rules of the operators of ONNX Runtime."""
