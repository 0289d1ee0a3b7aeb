"""Attention of ONNX Runtime on packed sequences, on windows, and in integers."""

from __future__ import annotations

from itertools import pairwise

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators.attention import (
    HEADS,
    Heads,
    attention_layers,
    check_heads,
    in_heads,
)
from toolkit.workload.network.operators.attention_operands import (
    PRODUCTS,
    PROJECTED,
    first_of,
    operand_of,
    projections,
    three_in_heads,
    widths_of,
)
from toolkit.workload.network.operators.band import Band
from toolkit.workload.network.operators.call import Call, Operator
from toolkit.workload.network.operators.parts import Parts, whole
from toolkit.workload.ready_made import gemm

Shape = tuple[int, ...]


def _sequence_pairs(call: Call, tokens: int, index: int) -> int:
    """Pairs of tokens of the same sequence, several of which are packed behind each other."""
    ends = call.constant(index)
    if ends is not None:
        places = [int(end) for end in ends.reshape(-1)]
        return sum((end - start) ** 2 for start, end in pairwise(places))
    batch = max(call.shape(index, 1)[0] - 1, 1)
    if batch > 1:
        call.given.warn(
            f"{call.operator} {call.name!r}: lengths of its {batch} sequences depend on data; "
            f"its {tokens} tokens are taken as equal shares"
        )
    return max(tokens * tokens // batch, 1)


def _packed_projected(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """PackedAttention: tokens of all sequences without padding, then as Attention."""
    tokens, _ = call.shape(0, 2)
    heads = call.integer("num_heads", 0)
    widths = widths_of(call)
    if heads < 1:
        raise call.error("num_heads must be positive")
    pairs = _sequence_pairs(call, tokens, 4)
    query, _, value = (width // heads for width in widths)
    sizes = Heads(1, heads, heads, tokens, tokens, query, value, some_pairs=pairs)
    check_heads(call, sizes)
    parts = Parts(call)
    made = projections(parts, call, widths, (1, 2), rule)
    sources = [in_heads(parts, t, word, sizes) for t, word in zip(made, HEADS, strict=True)]
    return attention_layers(parts, sizes, sources, mask=operand_of(call, 5))


def _packed_projected_shapes(call: Call) -> list[Shape]:
    return [(call.shape(0, 2)[0], widths_of(call)[2])]


def _packed_sizes(call: Call) -> Heads:
    heads = call.integer("num_heads", 0)
    if heads < 1:
        raise call.error("num_heads must be positive")
    query = call.shape(0)
    size = query[3] if len(query) == 4 else call.shape(0, 2)[1] // heads
    value_size = call.shape(2, 2)[1] // heads if call.has(2) else size
    pairs = _sequence_pairs(call, query[0], 5)
    return Heads(1, heads, heads, query[0], query[0], size, value_size, some_pairs=pairs)


def _packed_apart(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """PackedMultiHeadAttention: as MultiHeadAttention, tokens without padding."""
    sizes = _packed_sizes(call)
    check_heads(call, sizes)
    parts = Parts(call)
    sources = three_in_heads(parts, call, sizes)
    return attention_layers(parts, sizes, sources, mask=operand_of(call, 6))


def _packed_apart_shapes(call: Call) -> list[Shape]:
    sizes = _packed_sizes(call)
    return [(sizes.queries, sizes.heads * sizes.value_size)]


def _ordered(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """QOrderedAttention: the three weights are operands of their own."""
    sizes, _ = _ordered_sizes(call)
    check_heads(call, sizes)
    parts, hidden = Parts(call), call.shape(0, 3)[2]
    rows = sizes.batch * sizes.queries
    sources = []
    for word, weight, bias, scale in zip(HEADS, (5, 6, 7), (11, 12, 13), (8, 9, 10), strict=True):
        width = call.shape(weight, 2)[1]
        given = [call.input(0), call.input(weight), call.input(bias)]
        made = parts.tensor(f"{word}_projection", (sizes.batch, sizes.queries, width))
        made = parts.add(
            f"/{word}_projection",
            "MatMul",
            "einsum",
            [*given, whole(call.input(scale), learned=False)],
            [made],
            workload=gemm(width, hidden, rows),
            operations=rule.operations_of(call),
        )
        sources.append(in_heads(parts, made, word, sizes))
    return attention_layers(parts, sizes, sources, mask=first_of(call, 17, 19))


def _ordered_sizes(call: Call) -> tuple[Heads, int]:
    batch, length, _ = call.shape(0, 3)
    heads = call.integer("num_heads", 0)
    if heads < 1:
        raise call.error("num_heads must be positive")
    if call.has(18):
        raise call.error("a cache is not read: ONNX Runtime has none here either")
    band = Band(right=0) if call.integer("unidirectional", 0) else Band()
    query, value = call.shape(5, 2)[1], call.shape(7, 2)[1]
    size, value_size = query // heads, value // heads
    return Heads(batch, heads, heads, length, length, size, value_size, band), value


def _ordered_shapes(call: Call) -> list[Shape]:
    sizes, width = _ordered_sizes(call)
    return [(sizes.batch, sizes.queries, width)]


def _longformer(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """LongformerAttention: a window to both sides, and tokens that all attend to."""
    batch, length, _ = call.shape(0, 3)
    heads, columns = call.integer("num_heads", 0), call.shape(1, 2)[1]
    if heads < 1:
        raise call.error("num_heads must be positive")
    window, size = call.integer("window", 0), columns // 3 // heads
    marks = call.constant(6)
    if marks is None:
        call.given.warn(
            f"{call.operator} {call.name!r}: which tokens all attend to depends on data; taken "
            "as none"
        )
    if call.shape(6, 2)[1] != length:
        raise call.error(f"operand 6 has shape {list(call.shape(6))}; expected {length} tokens")
    everywhere = 0 if marks is None else int((marks != 0).sum(axis=1).max())
    band = Band(0, window, window)
    pairs = min(band.pairs(length, length) + 2 * length * everywhere, length * length)
    sizes = Heads(batch, heads, heads, length, length, size, size, band, pairs)
    check_heads(call, sizes)
    parts = Parts(call)
    made = projections(parts, call, [columns // 3] * 3, (1, 2), rule)
    if everywhere:
        parts.add(
            "/global_projection",
            "MatMul",
            "einsum",
            [call.input(0), *call.inputs[4:6]],
            [parts.tensor("global_projection", (batch, length, columns))],
            workload=gemm(columns, call.shape(0)[2], batch * length),
        )
    sources = [in_heads(parts, t, word, sizes) for t, word in zip(made, HEADS, strict=True)]
    return attention_layers(parts, sizes, sources, mask=operand_of(call, 3))


def _longformer_shapes(call: Call) -> list[Shape]:
    return [(*call.shape(0, 3)[:2], call.shape(1, 2)[1] // 3)]


SPECIAL: dict[str, Operator] = {
    "PackedAttention": Operator(
        "einsum", f"{PROJECTED}, without padding", _packed_projected,
        shapes=_packed_projected_shapes,
    ),
    "PackedMultiHeadAttention": Operator(
        "einsum", f"{PRODUCTS}, without padding", _packed_apart, shapes=_packed_apart_shapes
    ),
    "QOrderedAttention": Operator(
        "einsum",
        f"{PROJECTED}; 2 operations per element of these to rescale it",
        _ordered,
        2,
        shapes=_ordered_shapes,
    ),
    "LongformerAttention": Operator(
        "einsum",
        f"{PROJECTED}; a window to both sides, tokens of which all are attended to",
        _longformer,
        shapes=_longformer_shapes,
    ),
}  # fmt: skip
"""Rules by operator, without the domain."""
