"""Operators that ONNX Runtime fuses from others: the layers of those others.

Convolutions and products with what follows them, activations with their bias. Those of
``com.microsoft.nchwc`` work on channels in blocks, a layout of processors;
`toolkit.workload.network.blocked` has given their tensors back their true sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators import output_shapes as shapes
from toolkit.workload.network.operators.call import Call, Handler, Operator
from toolkit.workload.network.operators.composition import Composition, as_operator, operands_of
from toolkit.workload.network.operators.output_shapes import Shape
from toolkit.workload.network.values import Value

_TANH = {"approximate": "tanh"}


def _activated(call: Call, steps: Composition, made: Value) -> Value:
    parameters = call.attributes.get("activation_params") or ()
    return steps.activation(made, call.text("activation", ""), parameters)


def _own_attributes(call: Call) -> dict[str, Any]:
    """Attributes of what is computed before the activation."""
    return {k: value for k, value in call.attributes.items() if not k.startswith("activation")}


def _fused_convolution(call: Call, rule: Operator) -> tuple[Layer, ...]:
    data, weight, bias, addend = operands_of(call, 4)
    steps = Composition(call)
    shape = call.outputs[0].shape
    if call.operator.startswith("com.microsoft.nchwc.") and _is_scale(call):
        made = _scaled(call, steps)
    else:
        operands = [data, weight, bias]
        made = steps.step("Conv", operands, shape, attributes=_own_attributes(call), main=True)
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
    operands, shape = operands_of(call, 3), call.outputs[0].shape
    made = steps.step("Gemm", operands, shape, attributes=_own_attributes(call), main=True)
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


def _dynamic_pads(call: Call, rule: Operator) -> tuple[Layer, ...]:
    data, weight, _, bias = operands_of(call, 4)
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

FUSED = {f"com.microsoft.{name}": rule for name, rule in _RULES.items()} | {
    f"com.microsoft.nchwc.{name}": rule for name, rule in _BLOCKED.items()
}
"""Rules of fused operators."""
