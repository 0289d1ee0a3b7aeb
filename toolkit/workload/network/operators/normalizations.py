"""Normalizations that ONNX Runtime fuses with what comes before or behind them, as its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators import output_shapes as shapes
from toolkit.workload.network.operators.call import Call, Operator
from toolkit.workload.network.operators.composition import (
    Composition,
    as_operator,
    operands_of,
)
from toolkit.workload.network.values import Value


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
    data, skip, scale, *rest = operands_of(call, 5)
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
    ids, segments, words, places, kinds, scale, shift, _, positions = operands_of(call, 9)
    steps = Composition(call)
    rows = [(words, ids), (places, positions), (kinds, segments)]
    return _embedded(call, steps, rows, [scale, shift])


def _embedded(
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
    ids, segments, words, places, kinds, scale, shift = operands_of(call, 7)
    rows = [(words, ids), (places, None), (kinds, segments)]
    return _embedded(call, Composition(call), rows, [scale, shift])


def _group_normalization(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """GroupNorm and SkipGroupNorm: a sum, GroupNormalization, and SiLU if that is asked."""
    data, scale, shift, skip, bias = operands_of(call, 5)
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


_RULES: dict[str, Operator] = {
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
}

NORMALIZATIONS = {f"com.microsoft.{name}": rule for name, rule in _RULES.items()} | {
    # ONNX Runtime's optimizer leaves this one in the standard domain, where ONNX has it not.
    "SimplifiedLayerNormalization": _RULES["SimplifiedLayerNormalization"],
}
"""Rules of fused normalizations."""
