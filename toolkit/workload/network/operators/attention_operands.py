"""Operands of ONNX Runtime's attention: packed, biased, or made by a product with weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from toolkit.workload.network.layer import TensorInfo
from toolkit.workload.network.operators.attention import (
    HEADS,
    Heads,
    in_heads,
)
from toolkit.workload.network.operators.call import Call, Operator
from toolkit.workload.network.operators.parts import Parts, Slice, Source
from toolkit.workload.network.values import Value
from toolkit.workload.ready_made import gemm

Shape = tuple[int, ...]

PRODUCTS = "two products per head, the softmax between them"
PROJECTED = f"query, key and value by three products, then {PRODUCTS}"


def operand_of(call: Call, index: int) -> Value | None:
    """An operand, None if it is left out."""
    return call.inputs[index] if call.has(index) else None


def first_of(call: Call, *indices: int) -> Value | None:
    """The first of some operands that is given."""
    return next((call.inputs[i] for i in indices if call.has(i)), None)


def widths_of(call: Call) -> list[int]:
    """Columns of the weights that make query, key and value."""
    columns = call.shape(1, 2)[1]
    given = [int(width) for width in call.attributes.get("qkv_hidden_sizes") or ()]
    if given and (len(given) != 3 or sum(given) != columns):
        raise call.error(f"qkv_hidden_sizes {given} are not {columns} columns of the weights")
    return given or [columns // 3] * 3


def projections(
    parts: Parts, call: Call, widths: Sequence[int], constants: Sequence[int], rule: Operator
) -> list[TensorInfo]:
    """Query, key and value of one operand, each by the columns of the weights that make it."""
    *rows, hidden = call.shape(0)
    made = []
    for word, width in zip(HEADS, widths, strict=True):
        sources: list[Source] = [call.input(0)]
        for index in constants:
            value = operand_of(call, index)
            if value is not None:
                sources.append(_columns(value, width, word, learned=index in (1, 2)))
        made.append(
            parts.add(
                f"/{word}_projection",
                "MatMul",
                "einsum",
                sources,
                [parts.tensor(f"{word}_projection", (*rows, width))],
                workload=gemm(width, hidden, math.prod(rows)),
                operations=rule.operations_of(call),
            )
        )
    return made


def _columns(value: Value, width: int, word: str, *, learned: bool) -> Source:
    """The columns of a constant that make one of query, key and value."""
    if not value.constant:
        return replace(value.info, shape=(*value.shape[:-1], width))
    if not value.shape or value.shape[-1] == 1:
        return Slice(value, value.shape, learned=learned)
    return Slice(value, (*value.shape[:-1], width), word, learned)


def three_in_heads(
    parts: Parts, call: Call, sizes: Heads, bias: Value | None = None
) -> list[Source]:
    """Query, key and value in heads, be they apart or packed into one or two operands."""
    query, key, value = call.input(0), operand_of(call, 1), operand_of(call, 2)
    if key is None and value is not None:
        raise call.error("operand 1, the key, is missing")
    packed = [key is None, value is None and key is not None]
    operands: list[Source] = [query, key or query, value or key or query]
    if bias is not None:
        # Each operand that is there takes its part of the bias.
        words = HEADS if not any(packed) else (("packed",) if packed[0] else ("query", "packed"))
        given = [operand for operand in (query, key, value) if operand is not None]
        biased = [
            _biased(parts, operand, word, bias) for operand, word in zip(given, words, strict=True)
        ]
        operands = [biased[min(i, len(biased) - 1)] for i in range(3)]
    alone = (not packed[0], not any(packed), not any(packed))
    return [
        in_heads(parts, operand, word, sizes, packed=not own)
        for operand, word, own in zip(operands, HEADS, alone, strict=True)
    ]


def _biased(parts: Parts, operand: Value, word: str, bias: Value) -> Source:
    if operand.constant or len(operand.shape) == 4:
        return operand
    width = math.prod(operand.shape[2:])
    return parts.add(
        f"/{word}_bias",
        "Add",
        "elementwise",
        [operand, Slice(bias, (width,), word) if bias.constant else bias],
        [parts.tensor(f"{word}_bias", operand.shape)],
        operations=1,
    )
