"""Weights that ONNX Runtime packs, codes of few bits in blocks: products and tables of them.

Codes are tensors of their logical shape and of their few bits; scales and zero points are weights
beside them.
"""

from __future__ import annotations

import math
from dataclasses import replace

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators import output_shapes as shapes
from toolkit.workload.network.operators.call import Call, Operator, make_layer
from toolkit.workload.network.operators.composition import (
    Composition,
    optional_operands,
    retyped,
)
from toolkit.workload.network.operators.output_shapes import Shape
from toolkit.workload.network.values import Value
from toolkit.workload.ready_made import gemm

_POINTS = {"com.microsoft.MatMulNBits": 3}
"""The operand that holds zero points, in codes of as many bits as the weights."""


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
    return k, n, _code_dtype(call, "bits", 4)


def _code_dtype(call: Call, name: str, default: int) -> str:
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
    data, skip, scale = call.input(0), *optional_operands(call, 1, 2)
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
        codes, scales, bias = optional_operands(call, 3 + 3 * i, 4 + 3 * i, 5 + 3 * i)
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
        dtype = _code_dtype(call, "bits", 4)
        table = retyped(table, _unpacked(call, table.shape), dtype)
    rows = call.outputs[0].shape
    codes = steps.step(
        "Gather",
        [table, indices, *optional_operands(call, 2, 3)],
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
}

PACKED = {f"com.microsoft.{name}": rule for name, rule in _RULES.items()}
"""Rules of operators with packed weights."""
