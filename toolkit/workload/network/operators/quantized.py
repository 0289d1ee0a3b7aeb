"""Products, convolutions and tables of ONNX Runtime whose operands are integers or short floats.

Codes that the file packs into bytes are tensors of their logical shape and of their few bits;
scales and zero points are weights beside them.
"""

from __future__ import annotations

import math
from dataclasses import replace

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators import output_shapes as shapes
from toolkit.workload.network.operators import products
from toolkit.workload.network.operators import vector as v
from toolkit.workload.network.operators.call import Call, Operator, make_layer
from toolkit.workload.network.operators.composition import Composition, retyped
from toolkit.workload.network.operators.output_shapes import Shape
from toolkit.workload.network.operators.vector import elementwise, movement, reduction, window
from toolkit.workload.network.values import Value
from toolkit.workload.ready_made import gemm


def _product_of_codes(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """A product with packed weights: K x N codes, then what scales them."""
    k, n, dtype = _packed(call)
    rows = math.prod(call.shape(0)[:-1])
    if call.shape(0)[-1:] != (k,):
        raise call.error(f"operand 0 has shape {list(call.shape(0))}; expected rows of {k}")
    operands = list(call.inputs)
    operands[1] = retyped(call.input(1), (k, n), dtype)
    points = _POINTS.get(call.operator)
    if points is not None and call.has(points):
        operands[points] = _unpacked_points(call, points, n, dtype)
    made = make_layer(
        replace(call, inputs=tuple(operands)),
        rule,
        workload=gemm(n, k, rows),
        elements=call.outputs[0].elements,
        operations_per_element=rule.operations_of(call),
    )
    return (made,)


_POINTS = {"com.microsoft.MatMulNBits": 3}
"""The operand that holds zero points, in codes of as many bits as the weights."""


def _packed(call: Call) -> tuple[int, int, str]:
    """Rows, columns and data type of packed weights."""
    operator = call.operator.rpartition(".")[2]
    if operator == "MatMulBlockQuantizedFp8Weight":
        n, k = call.shape(1, 2)
        return k, n, call.input(1).info.dtype
    if operator == "MatMulBlockQuantizedFp4Weight":
        n, half = call.shape(1, 2)
        return 2 * half, n, "float4e2m1"
    k, n = call.integer("K", 0), call.integer("N", 0)
    if k < 1 or n < 1:
        raise call.error(f"K {k} and N {n} must be positive")
    if operator == "MatMulBnb4":
        # Codes of a table of 16 normally distributed numbers are no floats of 4 bits.
        return k, n, "uint4" if call.integer("quant_type", 1) == 1 else "float4e2m1"
    return k, n, code_dtype(call, "bits", 4)


def code_dtype(call: Call, name: str, default: int) -> str:
    """Data type of codes of as many bits as an attribute says.

    Raises
    ------
    WorkloadError
        Naming the node, if that is not 1 to 8.
    """
    bits = call.integer(name, default)
    if not 1 <= bits <= 8:
        raise call.error(f"{name} {bits} is outside of 1 to 8")
    return f"uint{bits}"


def _unpacked_points(call: Call, operand: int, columns: int, dtype: str) -> Value:
    points, block = call.input(operand), call.integer("block_size", 0)
    if block < 1:
        raise call.error(f"block_size {block} must be positive")
    if points.info.dtype != "uint8":
        return points
    return retyped(points, (columns, -(-call.integer("K", 0) // block)), dtype)


def _normalized_products(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """MatMulNBitsQkv and MatMulNBitsMlp: a normalization, products, and a gate if there is one."""
    steps = Composition(call)
    data, skip, scale = call.input(0), *_optional(call, 1, 2)
    total = data
    if skip is not None:
        total = steps.step("Add", [total, skip], data.shape)
    normal = total
    if scale is not None:
        normal = steps.step("RMSNormalization", [total, scale], data.shape)
    mlp = call.operator.endswith("Mlp")
    widths = ["N", "N"] if mlp else ["Nq", "Nkv", "Nkv"]
    made = []
    for i, width in enumerate(widths):
        columns = call.integer(width, 0)
        codes, scales, bias = _optional(call, 3 + 3 * i, 4 + 3 * i, 5 + 3 * i)
        attributes = {key: call.attributes.get(key) for key in ("K", "bits", "block_size")}
        attributes = {key: value for key, value in attributes.items() if value is not None}
        made.append(
            steps.step(
                "com.microsoft.MatMulNBits",
                [normal, codes, scales, None, None, bias],
                (*data.shape[:-1], columns),
                attributes={**attributes, "N": columns},
            )
        )
    if mlp:
        gate = steps.activation(made[0], call.text("activation", ""))
        made = [steps.step("Mul", [gate, made[1]], gate.shape, main=True)]
    summed = len(call.outputs) > len(made) and total is not data
    return steps.layers(*made, handed_on=total if summed else None)


def _optional(call: Call, *operands: int) -> list[Value | None]:
    return [call.inputs[i] if call.has(i) else None for i in operands]


def _normalized_product_shapes(call: Call) -> list[Shape]:
    rows = call.shape(0)[:-1]
    widths = ["N"] if call.operator.endswith("Mlp") else ["Nq", "Nkv", "Nkv"]
    made = [(*rows, call.integer(width, 0)) for width in widths]
    return [*made, call.shape(0)][: len(call.outputs)]


def _adapted_product(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """MatMulNBitsQLoRA: the product, and two thin ones that are added to it."""
    steps = Composition(call)
    data, codes, scales, down, down_scales, up, up_scales = call.inputs[:7]
    k, n, rank = call.integer("K", 0), call.integer("N", 0), call.shape(4)[0]
    rows = call.shape(0)[:-1]
    base = {"K": k, "N": n, "bits": call.integer("bits", 4)}
    base["block_size"] = call.integer("block_size", 32)
    thin = {
        "bits": call.integer("lora_bits", 4),
        "block_size": call.integer("lora_block_size", 32),
    }
    product = "com.microsoft.MatMulNBits"
    made = steps.step(product, [data, codes, scales], (*rows, n), attributes=base, main=True)
    low = steps.step(
        product, [data, down, down_scales], (*rows, rank), attributes={**thin, "K": k, "N": rank}
    )
    high = steps.step(
        product, [low, up, up_scales], (*rows, n), attributes={**thin, "K": rank, "N": n}
    )
    return steps.layers(steps.step("Add", [made, high], (*rows, n)))


def _gathered_codes(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """GatherBlockQuantized: rows of codes, with the scales of their blocks, made numbers."""
    steps = Composition(call)
    table, indices = call.input(0), call.input(1)
    axis = shapes.axis_of(call, "gather_axis", 0, len(table.shape))
    dtype = table.info.dtype
    if dtype == "uint8":
        dtype = code_dtype(call, "bits", 4)
        table = retyped(table, _unpacked(call, table.shape), dtype)
    rows = call.outputs[0].shape
    codes = steps.step(
        "Gather",
        [table, indices, *_optional(call, 2, 3)],
        rows,
        attributes={"axis": axis},
        dtype=dtype,
        main=True,
    )
    return steps.layers(steps.step("DequantizeLinear", [codes], rows))


def _unpacked(call: Call, shape: Shape) -> Shape:
    """Codes that bytes hold along the last axis."""
    bits = call.integer("bits", 4)
    return (*shape[:-1], shape[-1] * (8 // bits if bits in (1, 2, 4, 8) else 1))


def _gathered_code_shapes(call: Call) -> list[Shape]:
    table = call.shape(0)
    if call.input(0).info.dtype == "uint8":
        table = _unpacked(call, table)
    axis = shapes.axis_of(call, "gather_axis", 0, len(table))
    return [(*table[:axis], *call.shape(1), *table[axis + 1 :])]


def _quantized_attention(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """QAttention: Attention, its operands in another order."""
    from toolkit.workload.network.operators.table import OPERATORS

    data, weight, bias, mask, past = _optional(call, 0, 1, 2, 5, 8)
    plain = OPERATORS["com.microsoft.Attention"]
    inner = replace(
        call, operator="com.microsoft.Attention", inputs=(data, weight, bias, mask, past)
    )
    return plain.handler(inner, plain)


def _quantized_attention_shapes(call: Call) -> list[Shape]:
    batch, length, _ = call.shape(0, 3)
    width = call.shape(1, 2)[1] // 3
    heads = call.integer("num_heads", 0)
    if heads < 1:
        raise call.error(f"num_heads {heads} must be positive")
    past = call.shape(8, 5)[3] if call.has(8) else 0
    present = (2, batch, heads, past + length, width // heads)
    return [(batch, length, width), present][: len(call.outputs)]


def _ordered_attention(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """QOrderedAttention: products for query, key and value, then attention on them."""
    steps = Composition(call)
    data, rows = call.input(0), call.shape(0, 3)[:2]
    made = []
    for weight, bias in ((5, 11), (6, 12), (7, 13)):
        columns = call.shape(weight, 2)[1]
        product = steps.step("MatMul", [data, call.input(weight)], (*rows, columns))
        made.append(steps.step("Add", [product, call.input(bias)], product.shape))
    shape = call.outputs[0].shape
    heads = {key: call.attributes[key] for key in ("num_heads", "unidirectional")
             if key in call.attributes}  # fmt: skip
    operator = "com.microsoft.MultiHeadAttention"
    return steps.layers(steps.step(operator, made, shape, attributes=heads, main=True))


def _ordered_attention_shapes(call: Call) -> list[Shape]:
    return [(*call.shape(0, 3)[:2], call.shape(7, 2)[1])]


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
    **dict.fromkeys(
        ("MatMulNBits", "MatMulBnb4"),
        Operator(
            "einsum",
            "as MatMul; codes, scales and zero points are read",
            _product_of_codes,
            data=(0, 1, 5),
            learned=(1, 5),
            scales=(2, 3, 4),
            shapes=shapes.rows_by("N"),
        ),
    ),
    **dict.fromkeys(
        ("MatMulBlockQuantizedFp4Weight", "MatMulBlockQuantizedFp8Weight"),
        Operator(
            "einsum",
            "as MatMul; codes and scales are read",
            _product_of_codes,
            data=(0, 1),
            learned=(1,),
            scales=(2, 3, 4, 5),
            shapes=lambda call: [(*call.shape(0)[:-1], call.shape(1, 2)[0])],
        ),
    ),
    "MatMulNBitsQkv": Operator(
        "einsum",
        "Add, RMSNormalization, MatMulNBits for query, key and value",
        _normalized_products,
        shapes=_normalized_product_shapes,
    ),
    "MatMulNBitsMlp": Operator(
        "einsum",
        "Add, RMSNormalization, two MatMulNBits, activation, Mul",
        _normalized_products,
        shapes=_normalized_product_shapes,
    ),
    "MatMulNBitsQLoRA": Operator(
        "einsum", "three MatMulNBits, Add", _adapted_product, shapes=shapes.rows_by("N")
    ),
    "GatherBlockQuantized": Operator(
        "movement",
        "Gather of codes and scales, DequantizeLinear",
        _gathered_codes,
        shapes=_gathered_code_shapes,
        dtype_of=2,
    ),
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
    "QAttention": Operator(
        "einsum",
        "as Attention",
        _quantized_attention,
        shapes=_quantized_attention_shapes,
        dtype_of=3,
    ),
    "QOrderedAttention": Operator(
        "einsum",
        "MatMul and Add for query, key and value, then MultiHeadAttention",
        _ordered_attention,
        shapes=_ordered_attention_shapes,
    ),
    **dict.fromkeys(
        ("QLinearAdd", "QLinearMul"),
        Operator(
            "elementwise",
            "both operands dequantized, added or multiplied, quantized",
            v.per_output,
            7,
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
