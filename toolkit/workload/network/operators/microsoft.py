"""Attention of ONNX Runtime (domain com.microsoft), which exporters and optimizers emit.

ONNX knows nothing of it, so each operator has its output shapes here.
"""

from __future__ import annotations

from dataclasses import replace

from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.operators.attention import Heads, attention_layers, part
from toolkit.workload.network.operators.call import Call, Operator
from toolkit.workload.network.operators.output_shapes import Shape
from toolkit.workload.ready_made import gemm


def _packed_attention(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """Attention: one product makes query, key and value, then attention on them."""
    batch, length, hidden = call.shape(0, 3)
    columns = call.shape(1, 2)[1]
    heads = call.integer("num_heads", 0)
    if heads < 1:
        raise call.error("num_heads must be positive")
    past = call.shape(4, 5)[3] if call.has(4) else 0
    widths = call.attributes.get("qkv_hidden_sizes") or [columns // 3] * 3
    made = TensorInfo(f"{call.name}/qkv", (batch, length, columns), call.outputs[0].dtype)
    # The present cache is one tensor of keys and values here.
    inner = replace(call, outputs=call.outputs[:1])
    product = part(
        call,
        rule,
        "/qkv",
        [*call.inputs[:3]],
        [made],
        workload=gemm(columns, hidden, batch * length),
    )
    size, value_size = int(widths[0]) // heads, int(widths[2]) // heads
    sizes = Heads(batch, heads, heads, length, past + length, size, value_size)
    mask = call.inputs[3] if call.has(3) else None
    cache = call.inputs[4:5]
    layers = attention_layers(inner, rule, sizes, [made] * 3, mask=mask, cache=cache)
    if len(call.outputs) > 1 and len(layers) == 4:
        present = replace(layers[0], outputs=(*layers[0].outputs, call.outputs[1]))
        layers = (present, *layers[1:])
    elif len(call.outputs) > 1:
        layers = (*layers[:-1], replace(layers[-1], outputs=call.outputs))
    return product, *layers


def _packed_attention_shapes(call: Call) -> list[Shape]:
    batch, length, _ = call.shape(0, 3)
    columns, heads = call.shape(1, 2)[1], max(call.integer("num_heads", 1), 1)
    past = call.shape(4, 5)[3] if call.has(4) else 0
    widths = call.attributes.get("qkv_hidden_sizes") or [columns // 3] * 3
    present = (2, batch, heads, past + length, int(widths[0]) // heads)
    return [(batch, length, int(widths[2])), present][: len(call.outputs)]


def _head_sizes(call: Call) -> Heads:
    heads = call.integer("num_heads", 0)
    kv_heads = call.integer("kv_num_heads", heads)
    if heads < 1 or kv_heads < 1 or not (call.has(1) and call.has(2)):
        raise call.error("expected num_heads and separate query, key and value")
    batch, queries, width = call.shape(0, 3)
    grouped = call.operator.endswith("GroupQueryAttention")
    cache = 3 if grouped else 6
    past = call.shape(cache, 4)[2] if call.has(cache) else 0
    key, value = call.shape(1), call.shape(2)
    # A key of four axes comes from another sequence: batch, heads, positions, size.
    keys = key[2] if len(key) == 4 else key[1]
    value_size = value[3] if len(value) == 4 else value[2] // kv_heads
    return Heads(batch, heads, kv_heads, queries, past + keys, width // heads, value_size)


def _head_attention(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """MultiHeadAttention and GroupQueryAttention, whose products with weights stand apart."""
    grouped = call.operator.endswith("GroupQueryAttention")
    sources = [*call.inputs, *[None] * 8]
    cache = sources[3:5] if grouped else sources[6:8]
    mask = None if grouped else sources[5]
    return attention_layers(call, rule, _head_sizes(call), sources[:3], mask=mask, cache=cache)


def _head_attention_shapes(call: Call) -> list[Shape]:
    sizes = _head_sizes(call)
    present = (sizes.batch, sizes.kv_heads, sizes.keys)
    shapes = [
        (sizes.batch, sizes.queries, sizes.heads * sizes.value_size),
        (*present, sizes.size),
        (*present, sizes.value_size),
    ]
    return shapes[: len(call.outputs)]


_RULES: dict[str, Operator] = {
    "Attention": Operator(
        "einsum",
        "one gemm for query, key and value, two products per head, the softmax between them",
        _packed_attention,
        learned=(1, 2),
        shapes=_packed_attention_shapes,
    ),
    "MultiHeadAttention": Operator(
        "einsum",
        "two products per head, the softmax between them",
        _head_attention,
        shapes=_head_attention_shapes,
    ),
    "GroupQueryAttention": Operator(
        "einsum",
        "two products per head, the softmax between them",
        _head_attention,
        shapes=_head_attention_shapes,
    ),
}

MICROSOFT = {f"com.microsoft.{name}": rule for name, rule in _RULES.items()}
"""Rules of attention as ONNX Runtime has it."""
