"""Operators that ONNX Runtime fuses from others: the layers of those others.

Convolutions and products with what follows them, normalizations with what comes before them,
activations with their bias. Those of ``com.microsoft.nchwc`` work on channels in blocks, a layout
of processors; `toolkit.workload.network.blocked` has given their tensors back their true sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators import output_shapes as shapes
from toolkit.workload.network.operators.call import Call, Handler, Operator
from toolkit.workload.network.operators.composition import Composition
from toolkit.workload.network.operators.output_shapes import Shape
from toolkit.workload.network.values import Value

_TANH = {"approximate": "tanh"}


def _operands(call: Call, count: int) -> list[Value | None]:
    """The first operands, those left out as None."""
    return [*call.inputs, *[None] * count][:count]


def _activated(call: Call, steps: Composition, made: Value) -> Value:
    parameters = call.attributes.get("activation_params") or ()
    return steps.activation(made, call.text("activation", ""), parameters)


def _fused_convolution(call: Call, rule: Operator) -> tuple[Layer, ...]:
    data, weight, bias, addend = _operands(call, 4)
    steps = Composition(call)
    shape = call.outputs[0].shape
    if call.operator.startswith("com.microsoft.nchwc.") and _is_scale(call):
        made = _scaled(call, steps)
    else:
        made = steps.step(
            "Conv", [data, weight, bias], shape, attributes=call.attributes, main=True
        )
    if addend is not None:
        made = steps.step("Add", [made, addend], shape)
    return steps.layers(_activated(call, steps, made))


def _is_scale(call: Call) -> bool:
    """A factor per channel, as which blocked networks write Mul and BatchNormalization.

    They have one tap, and unlike convolutions do not say so.
    """
    channels, weight = call.shape(0)[1], call.shape(1)
    depthwise = call.integer("group", 1) == channels == weight[0] > 1
    return depthwise and set(weight[1:]) == {1} and "kernel_shape" not in call.attributes


def _scaled(call: Call, steps: Composition) -> Value:
    data, factor = call.input(0), call.input(1)
    if call.has(2):
        operands = [data, factor, call.input(2)]
        return steps.step("BatchNormalization", operands, data.shape, main=True)
    ones = (1,) * (len(data.shape) - 2)
    info = replace(factor.info, shape=(factor.shape[0], *ones))
    return steps.step("Mul", [data, replace(factor, info=info)], data.shape, main=True)


def _fused_gemm(call: Call, rule: Operator) -> tuple[Layer, ...]:
    steps = Composition(call)
    operands, shape = _operands(call, 3), call.outputs[0].shape
    made = steps.step("Gemm", operands, shape, attributes=call.attributes, main=True)
    return steps.layers(_activated(call, steps, made))


def _fused_product(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """FusedMatMul and its like: the product, its factor, its bias and its activation."""
    steps = Composition(call)
    shape = call.outputs[0].shape
    made = steps.step("MatMul", call.inputs[:2], shape, attributes=_orientation(call), main=True)
    if float(call.attributes.get("alpha", 1.0)) != 1.0:
        made = steps.step("Mul", [made], shape)
    if call.operator.endswith("GemmFastGelu"):
        if call.has(2):
            made = steps.step("Add", [made, call.inputs[2]], shape)
        made = steps.step("Gelu", [made], shape, attributes=_TANH)
    return steps.layers(_activated(call, steps, made))


def _orientation(call: Call) -> dict[str, int]:
    names = ("transA", "transB", "transBatchA", "transBatchB")
    return {name: 1 for name in names if call.integer(name, 0)}


def _normalization(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """SimplifiedLayerNormalization, which is RMSNormalization by its older name."""
    steps = Composition(call)
    attributes = {key: call.attributes[key] for key in ("axis",) if key in call.attributes}
    made = steps.step(
        "RMSNormalization",
        call.inputs[:2],
        call.outputs[0].shape,
        attributes=attributes,
        main=True,
    )
    return steps.layers(made)


def _skip_normalization(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """A sum with what skips a block, and with a bias, then the normalization."""
    data, skip, scale, *rest = _operands(call, 5)
    shape = call.outputs[0].shape
    steps = Composition(call)
    total = steps.step("Add", [data, skip], shape)
    if call.operator.endswith("SkipSimplifiedLayerNormalization"):
        if rest[0] is not None:
            total = steps.step("Add", [total, rest[0]], shape)
        made = steps.step("RMSNormalization", [total, scale], shape, main=True)
    else:
        shift, bias = rest
        if bias is not None:
            total = steps.step("Add", [total, bias], shape)
        made = steps.step("LayerNormalization", [total, scale, shift], shape, main=True)
    return _with_sum(call, steps, made, total)


def _with_sum(call: Call, steps: Composition, made: Value, total: Value) -> tuple[Layer, ...]:
    """Outputs of a normalization that may hand on the sum, as its last."""
    outputs = call.outputs
    # Outputs that nobody asked for are not listed; the sum alone is as large as the result.
    summed = len(outputs) > 1 and outputs[-1].shape == outputs[0].shape
    return steps.layers(made, handed_on=total if summed else None)


def _embedding(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """EmbedLayerNormalization: rows of two or three tables added, then LayerNormalization."""
    ids, segments, words, places, kinds, scale, shift, _, positions = _operands(call, 9)
    steps = Composition(call)
    rows = [(words, ids), (places, positions), (kinds, segments)]
    return embedded_rows(call, steps, rows, [scale, shift])


def embedded_rows(
    call: Call,
    steps: Composition,
    rows: Sequence[tuple[Value | None, Value | None]],
    norm: Sequence[Value | None],
) -> tuple[Layer, ...]:
    """Rows of tables by their indices; a table without indices is read in order."""
    shape, dtype = call.outputs[0].shape, call.outputs[0].dtype
    parts: list[Value] = []
    for table, indices in rows:
        if table is None:
            continue
        if indices is not None:
            row = steps.step("Gather", [table, indices], shape, dtype=table.info.dtype)
        else:
            # The first rows: a view of the table, of which the others are not read.
            row = replace(table, info=replace(table.info, shape=shape[1:]), data=None)
        if row.info.dtype != dtype:
            row = steps.step("DequantizeLinear", [row], row.shape, dtype=dtype)
        parts.append(row)
    total = parts[0]
    for part in parts[1:]:
        total = steps.step("Add", [total, part], shape)
    made = steps.step("LayerNormalization", [total, *norm], shape, main=True)
    return _with_sum(call, steps, made, total)


def _quantized_embedding(call: Call, rule: Operator) -> tuple[Layer, ...]:
    ids, segments, words, places, kinds, scale, shift = _operands(call, 7)
    rows = [(words, ids), (places, None), (kinds, segments)]
    return embedded_rows(call, Composition(call), rows, [scale, shift])


def _group_normalization(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """GroupNorm and SkipGroupNorm: a sum, GroupNormalization, and SiLU if that is asked."""
    data, scale, shift, skip, bias = _operands(call, 5)
    shape = call.outputs[0].shape
    steps = Composition(call)
    total = data
    if call.operator.endswith("SkipGroupNorm"):
        for addend in (skip, bias):
            if addend is not None:
                total = steps.step("Add", [total, addend], shape)
    made = steps.step(
        "GroupNormalization",
        [total, scale, shift],
        shape,
        attributes={"num_groups": call.integer("groups", 1)},
        main=True,
    )
    if call.integer("activation", 0):
        made = steps.activation(made, "silu")
    summed = len(call.outputs) > 1 and total is not data
    return steps.layers(made, handed_on=total if summed else None)


def _gated_normalization(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """GatedRMSNorm: the normalization times an activated gate."""
    data, scale, gate = call.inputs[0], call.inputs[1], call.input(2)
    shape = call.outputs[0].shape
    steps = Composition(call)
    made = steps.step("RMSNormalization", [data, scale], shape, main=True)
    gate = steps.activation(gate, call.text("activation", "silu"))
    return steps.layers(steps.step("Mul", [made, gate], shape))


def _biased(operator: str, attributes: Mapping[str, Any] | None = None) -> Handler:
    """An operator whose bias is added before it."""

    def handler(call: Call, rule: Operator) -> tuple[Layer, ...]:
        steps = Composition(call)
        made = call.input(0)
        if call.has(1):
            made = steps.step("Add", [made, call.input(1)], made.shape)
        given = attributes
        if given is None:
            given = {key: call.attributes[key] for key in ("axis",) if key in call.attributes}
        return steps.layers(steps.step(operator, [made], made.shape, attributes=given, main=True))

    return handler


def _summed(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """BiasAdd, and BiasDropout in inference: a bias, and what skips a block."""
    steps = Composition(call)
    shape = call.outputs[0].shape
    made = steps.step("Add", call.inputs[:2], shape, main=True)
    if call.has(2):
        made = steps.step("Add", [made, call.inputs[2]], shape)
    return steps.layers(made)


def _gated_gelu(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """BiasSplitGelu: a bias, then one half times the Gelu of the other."""
    steps = Composition(call)
    whole, shape = call.shape(0), call.outputs[0].shape
    biased = steps.step("Add", call.inputs[:2], whole)
    data, gate = steps.split(biased, [shape[-1]] * 2)
    gate = steps.step("Gelu", [gate], shape)
    return steps.layers(steps.step("Mul", [data, gate], shape, main=True))


def _gated_sum(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """GatedAdd: a sum whose second operand is multiplied by a gate per row."""
    steps = Composition(call)
    data, other, gate = call.input(0), call.input(1), call.input(2)
    if call.has(3):
        shape = (*gate.shape[:-1], 1)
        gate = steps.step("MatMul", [gate, call.inputs[3]], shape)
        gate = steps.activation(gate, "sigmoid")
    scaled = steps.step("Mul", [other, gate], data.shape)
    return steps.layers(steps.step("Add", [data, scaled], data.shape, main=True))


def _reordered(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """Blocks of channels are a matter of the processor; channels that were last are moved."""
    steps = Composition(call)
    shape = call.outputs[0].shape
    if not call.integer("channels_last", 0):
        return steps.layers(steps.step("Identity", call.inputs[:1], shape, main=True))
    axes = list(range(len(shape)))
    order = [0, axes[-1], *axes[1:-1]] if _goes_in(call) else [0, *axes[2:], 1]
    made = steps.step("Transpose", call.inputs[:1], shape, attributes={"perm": order}, main=True)
    return steps.layers(made)


def _goes_in(call: Call) -> bool:
    return call.operator.endswith("ReorderInput")


def _reordered_shape(call: Call) -> list[Shape]:
    shape = call.shape(0)
    if not call.integer("channels_last", 0):
        return [shape]
    if _goes_in(call):
        return [(shape[0], shape[-1], *shape[1:-1])]
    return [(shape[0], *shape[2:], shape[1])]


def _enlarged_shape(call: Call) -> list[Shape]:
    shape = call.shape(0)
    scales = call.integers("scales", [1] * len(shape))
    return [tuple(size * scale for size, scale in zip(shape, scales, strict=True))]


def as_operator(operator: str, operands: int) -> Handler:
    """The same under another name."""

    def handler(call: Call, rule: Operator) -> tuple[Layer, ...]:
        steps = Composition(call)
        made = steps.step(
            operator,
            call.inputs[:operands],
            call.outputs[0].shape,
            attributes=call.attributes,
            main=True,
        )
        return steps.layers(made)

    return handler


def _dynamic_pads(call: Call, rule: Operator) -> tuple[Layer, ...]:
    data, weight, _, bias = _operands(call, 4)
    steps = Composition(call)
    made = steps.step(
        "ConvTranspose",
        [data, weight, bias],
        call.outputs[0].shape,
        attributes=call.attributes,
        main=True,
    )
    return steps.layers(made)


_RULES: dict[str, Operator] = {
    "FusedConv": Operator(
        "einsum",
        "Conv, Add, activation",
        _fused_convolution,
        learned=(1, 2),
        shapes=shapes.convolved(1),
    ),
    "FusedGemm": Operator(
        "einsum",
        "Gemm, activation",
        _fused_gemm,
        learned=(1, 2),
        shapes=shapes.product_shapes(0, 1),
    ),
    **dict.fromkeys(
        ("FusedMatMul", "TransposeMatMul", "FusedMatMulActivation", "GemmFastGelu"),
        Operator(
            "einsum",
            "MatMul; its factor, bias and activation",
            _fused_product,
            learned=(1, 2),
            shapes=shapes.product_shapes(0, 1),
        ),
    ),
    "SkipLayerNormalization": Operator(
        "reduction",
        "Add, Add, LayerNormalization",
        _skip_normalization,
        learned=(2, 3, 4),
        shapes=shapes.normalized,
    ),
    "SkipSimplifiedLayerNormalization": Operator(
        "reduction",
        "Add, Add, RMSNormalization",
        _skip_normalization,
        learned=(2, 3),
        shapes=shapes.normalized,
    ),
    "SimplifiedLayerNormalization": Operator(
        "reduction", "RMSNormalization", _normalization, learned=(1,), shapes=shapes.normalized
    ),
    "EmbedLayerNormalization": Operator(
        "reduction",
        "Gather per table, Add, LayerNormalization",
        _embedding,
        learned=(2, 3, 4, 5, 6),
        shapes=shapes.embedded,
        dtype_of=2,
    ),
    "QEmbedLayerNormalization": Operator(
        "reduction",
        "Gather and DequantizeLinear per table, Add, LayerNormalization",
        _quantized_embedding,
        shapes=shapes.embedded,
        dtype_of=8,
    ),
    "GroupNorm": Operator(
        "reduction", "GroupNormalization, Swish", _group_normalization, shapes=shapes.same
    ),
    "SkipGroupNorm": Operator(
        "reduction",
        "Add, Add, GroupNormalization, Swish",
        _group_normalization,
        shapes=shapes.same,
    ),
    "GatedRMSNorm": Operator(
        "reduction", "RMSNormalization, Swish, Mul", _gated_normalization, shapes=shapes.same
    ),
    "BranchwiseRMSNorm": Operator(
        "reduction", "RMSNormalization", as_operator("RMSNormalization", 2), shapes=shapes.same
    ),
    "BiasGelu": Operator("elementwise", "Add, Gelu", _biased("Gelu"), shapes=shapes.same),
    "FastGelu": Operator(
        "elementwise", "Add, Gelu by tanh", _biased("Gelu", _TANH), shapes=shapes.same
    ),
    "BiasSoftmax": Operator("reduction", "Add, Softmax", _biased("Softmax"), shapes=shapes.same),
    **dict.fromkeys(
        ("BiasAdd", "BiasDropout", "BitmaskBiasDropout"),
        Operator("elementwise", "Add, Add", _summed, shapes=shapes.same),
    ),
    "BiasSplitGelu": Operator(
        "elementwise", "Add, Split, Gelu, Mul", _gated_gelu, shapes=shapes.halved
    ),
    "GatedAdd": Operator(
        "elementwise", "MatMul and Sigmoid of the gate, Mul, Add", _gated_sum, shapes=shapes.same
    ),
    "ConvTransposeWithDynamicPads": Operator(
        "einsum",
        "ConvTranspose",
        _dynamic_pads,
        learned=(1, 3),
        shapes=shapes.transposed_convolved,
    ),
}

_BLOCKED: dict[str, Operator] = {
    "Conv": Operator(
        "einsum",
        "Conv, BatchNormalization or Mul; Add, activation",
        _fused_convolution,
        learned=(1, 2),
        shapes=shapes.convolved(1),
    ),
    "MaxPool": Operator("window", "MaxPool", as_operator("MaxPool", 1), shapes=shapes.pooled),
    "AveragePool": Operator(
        "window", "AveragePool", as_operator("AveragePool", 1), shapes=shapes.pooled
    ),
    "GlobalMaxPool": Operator(
        "reduction",
        "GlobalMaxPool",
        as_operator("GlobalMaxPool", 1),
        shapes=shapes.globally_pooled,
    ),
    "GlobalAveragePool": Operator(
        "reduction",
        "GlobalAveragePool",
        as_operator("GlobalAveragePool", 1),
        shapes=shapes.globally_pooled,
    ),
    "Upsample": Operator("movement", "Resize", as_operator("Resize", 1), shapes=_enlarged_shape),
    **dict.fromkeys(
        ("ReorderInput", "ReorderOutput"),
        Operator(
            "view",
            "Identity, or Transpose from channels last",
            _reordered,
            shapes=_reordered_shape,
        ),
    ),
}

FUSED = (
    {f"com.microsoft.{name}": rule for name, rule in _RULES.items()}
    | {f"com.microsoft.nchwc.{name}": rule for name, rule in _BLOCKED.items()}
    # ONNX Runtime's optimizer leaves this one in the standard domain, where ONNX has it not.
    | {"SimplifiedLayerNormalization": _RULES["SimplifiedLayerNormalization"]}
)
"""Rules of fused operators."""
