"""Attention operators of ONNX Runtime: how each has its operands, and where its cache is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.operators.attention import (
    HEADS,
    Cache,
    Heads,
    attention_layers,
    check_heads,
    in_heads,
    normalized,
    rotated,
)
from toolkit.workload.network.operators.band import Band
from toolkit.workload.network.operators.call import Call, Operator
from toolkit.workload.network.operators.lengths import (
    Lengths,
    cache_lengths,
    keeps_its_size,
    largest,
)
from toolkit.workload.network.operators.parts import Parts, Slice, Source, whole
from toolkit.workload.network.values import Value
from toolkit.workload.ready_made import gemm

Shape = tuple[int, ...]


def _operand(call: Call, index: int) -> Value | None:
    return call.inputs[index] if call.has(index) else None


def _first(call: Call, *indices: int) -> Value | None:
    """The first of some operands that is given."""
    return next((call.inputs[i] for i in indices if call.has(i)), None)


@dataclass(frozen=True)
class _Projected:
    """Where an operator has what makes query, key and value of its first operand.

    Parameters
    ----------
    mask : tuple of int
        Operands that mask scores, or are added to them.
    past, length : int
        The cache, keys and values in one, and how much of it is in use; -1 for none.
    scales : tuple of int
        Scales and zero points of the weights.
    """

    mask: tuple[int, ...]
    past: int = -1
    length: int = -1
    scales: tuple[int, ...] = ()

    def widths(self, call: Call) -> list[int]:
        """Columns of the weights that make query, key and value."""
        columns = call.shape(1, 2)[1]
        given = [int(width) for width in call.attributes.get("qkv_hidden_sizes") or ()]
        if given and (len(given) != 3 or sum(given) != columns):
            raise call.error(f"qkv_hidden_sizes {given} are not {columns} columns of the weights")
        return given or [columns // 3] * 3

    def sizes(self, call: Call) -> tuple[Heads, Lengths]:
        """Heads, and positions of the cache."""
        batch, queries, _ = call.shape(0, 3)
        heads = max(call.integer("num_heads", 0), 0)
        if not heads:
            raise call.error("num_heads must be positive")
        buffer = call.shape(self.past, 5)[3] if self.past > 0 and call.has(self.past) else None
        shared = bool(call.integer("past_present_share_buffer", 0)) or call.has(self.length)
        past = largest(call.constant(self.length)) if self.length > 0 else None
        lengths = cache_lengths(call, new=queries, buffer=buffer, past=past, shared=shared)
        causal = Band(lengths.past, right=0) if call.integer("unidirectional", 0) else Band()
        query, _, value = (width // heads for width in self.widths(call))
        return Heads(batch, heads, heads, queries, lengths.total, query, value, causal), lengths

    def layers(self, call: Call, rule: Operator) -> tuple[Layer, ...]:
        """Three products with the weights, then attention on what they make."""
        sizes, lengths = self.sizes(call)
        check_heads(call, sizes)
        parts = Parts(call)
        made = _projections(parts, call, self.widths(call), (1, 2, *self.scales), rule)
        new = replace(sizes, keys=lengths.new)
        sources = [in_heads(parts, t, word, new) for t, word in zip(made, HEADS, strict=True)]
        if call.integer("do_rotary", 0):
            rotating = call.integer("rotary_embedding_dim", 0)
            sources[:2] = [
                rotated(parts, source, word, (), rotating)
                for source, word in zip(sources[:2], HEADS, strict=False)
            ]
        past, present = _operand(call, self.past), call.result(1)
        cache = None
        if past is not None or present is not None:
            cache = Cache((past, past), (None, None), lengths, joined=present)
        return attention_layers(parts, sizes, sources, mask=_first(call, *self.mask), cache=cache)

    def shapes(self, call: Call) -> list[Shape]:
        """Of the output and the cache."""
        sizes, lengths = self.sizes(call)
        output = (sizes.batch, sizes.queries, sizes.heads * sizes.value_size)
        present = (2, sizes.batch, sizes.heads, lengths.buffer, sizes.size)
        return [output, present][: len(call.outputs)]


def _projections(
    parts: Parts, call: Call, widths: Sequence[int], constants: Sequence[int], rule: Operator
) -> list[TensorInfo]:
    """Query, key and value of one operand, each by the columns of the weights that make it."""
    *rows, hidden = call.shape(0)
    made = []
    for word, width in zip(HEADS, widths, strict=True):
        sources: list[Source] = [call.input(0)]
        for index in constants:
            value = _operand(call, index)
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


@dataclass(frozen=True)
class _Apart:
    """Where an operator whose query, key and value are made elsewhere has its other operands.

    Parameters
    ----------
    bias : int
        Added to query, key and value; -1 for none.
    mask : tuple of int
        Operands that mask scores, or are added to them.
    past : tuple of int
        Keys and values of earlier tokens.
    length : int
        How much of these is in use, if they are longer; -1 for none.
    """

    bias: int
    mask: tuple[int, ...]
    past: tuple[int, int]
    length: int

    def sizes(self, call: Call) -> tuple[Heads, Lengths | None]:
        """Heads, and positions of the cache unless another sequence made keys and values."""
        heads = call.integer("num_heads", 0)
        if heads < 1:
            raise call.error("num_heads must be positive")
        query = call.shape(0)
        if len(query) == 5:
            batch, queries, size, value_size = query[0], query[1], query[4], query[4]
            new = queries
        else:
            batch, queries, width = call.shape(0, 3)
            packed = not call.has(1)
            size = width // heads // (3 if packed else 1)
            new, value_size = queries, size
        lengths, key = None, call.shape(1) if call.has(1) else ()
        if len(key) == 4:
            # Keys of another sequence: batch, heads, positions, size.
            new, value_size = key[2], call.shape(2, 4)[3]
        elif len(key) == 5:
            new, value_size = key[1], key[4]
        elif key:
            new, value_size = call.shape(1, 3)[1], call.shape(2, 3)[2] // heads
        total = new
        if len(key) != 4:
            buffer = call.shape(self.past[0], 4)[2] if call.has(self.past[0]) else None
            shared = bool(call.integer("past_present_share_buffer", 0)) or call.has(self.length)
            past = largest(call.constant(self.length))
            lengths = cache_lengths(call, new=new, buffer=buffer, past=past, shared=shared)
            total = lengths.total
        causal = bool(call.integer("unidirectional", 0))
        band = Band(total - new, right=0) if causal else Band()
        return Heads(batch, heads, heads, queries, total, size, value_size, band), lengths

    def layers(self, call: Call, rule: Operator) -> tuple[Layer, ...]:
        """Biases, the cache, and attention."""
        sizes, lengths = self.sizes(call)
        check_heads(call, sizes)
        parts = Parts(call)
        new = replace(sizes, keys=lengths.new if lengths else sizes.keys)
        sources = _three(parts, call, new, _operand(call, self.bias))
        cache = None
        present = (call.result(1), call.result(2))
        if lengths is not None and (call.has(self.past[0]) or any(present)):
            past = (_operand(call, self.past[0]), _operand(call, self.past[1]))
            cache = Cache(past, present, lengths)
        return attention_layers(
            parts,
            sizes,
            sources,
            mask=_first(call, *self.mask),
            cache=cache,
            written_scores=call.result(3),
        )

    def shapes(self, call: Call) -> list[Shape]:
        """Of the output, the cache and the scores."""
        sizes, lengths = self.sizes(call)
        present = (sizes.batch, sizes.heads, lengths.buffer if lengths else sizes.keys)
        shapes = [
            (sizes.batch, sizes.queries, sizes.heads * sizes.value_size),
            (*present, sizes.size),
            (*present, sizes.value_size),
            (sizes.batch, sizes.heads, sizes.queries, sizes.keys),
        ]
        return shapes[: len(call.outputs)]


def _three(parts: Parts, call: Call, sizes: Heads, bias: Value | None = None) -> list[Source]:
    """Query, key and value in heads, be they apart or packed into one or two operands."""
    query, key, value = call.input(0), _operand(call, 1), _operand(call, 2)
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


def _grouped_sizes(call: Call) -> tuple[Heads, Lengths]:
    heads = call.integer("num_heads", 0)
    kv_heads = call.integer("kv_num_heads", heads)
    if heads < 1 or kv_heads < 1:
        raise call.error("num_heads and kv_num_heads must be positive")
    batch, queries, width = call.shape(0, 3)
    size = width // (heads if call.has(1) else heads + 2 * kv_heads)
    new = call.shape(1, 3)[1] if call.has(1) else queries
    value_size = call.shape(2, 3)[2] // kv_heads if call.has(2) else size
    buffer = call.shape(3, 4)[2] if call.has(3) else None
    sparse = call.operator.endswith("SparseAttention")
    total = largest(call.constant(7 if sparse else 6))
    ends = largest(call.constant(8 if sparse else 5))
    if total is None and ends is not None:
        total = ends if sparse else ends + 1
    sliding = bool(call.integer("sliding_window_cache", 0))
    if sliding and total is not None and buffer is not None:
        total = min(total, buffer)
    shared = sparse or sliding or keeps_its_size(call, 1, 2, buffer)
    lengths = cache_lengths(call, new=new, buffer=buffer, total=total, shared=shared)
    band = Band()
    if sparse or call.integer("causal", 1):
        window = call.integer("local_window_size", -1)
        left = window - 1 if window > 0 and not sparse else None
        band = Band(lengths.past, left, right=0)
    sizes = Heads(batch, heads, kv_heads, queries, lengths.total, size, value_size, band)
    return (_sparse(call, sizes) if sparse else sizes), lengths


def _sparse(call: Call, sizes: Heads) -> Heads:
    """Count the pairs of blocks that are not masked, where constants tell them."""
    rows, columns = call.constant(5), call.constant(6)
    block = call.integer("sparse_block_size", 0)
    if rows is None or columns is None or block < 1:
        call.given.warn(
            f"{call.operator} {call.name!r}: its sparse blocks are not constants; taken as "
            "causal without gaps"
        )
        return sizes
    counts = []
    for starts, present in zip(np.atleast_2d(rows), np.atleast_2d(columns), strict=True):
        pairs = 0
        for query in range(sizes.band.offset, sizes.band.offset + sizes.queries):
            line = query // block
            if line + 1 < len(starts):
                for place in present[starts[line] : starts[line + 1]]:
                    pairs += max(min(query + 1 - int(place) * block, block), 0)
        counts.append(pairs)
    return replace(sizes, some_pairs=max(-(-sum(counts) // len(counts)), 1))


def _grouped(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """GroupQueryAttention and SparseAttention, their rotary embeddings and norms inside."""
    sizes, lengths = _grouped_sizes(call)
    check_heads(call, sizes)
    sparse = call.operator.endswith("SparseAttention")
    parts = Parts(call)
    sources = _three(parts, call, replace(sizes, keys=lengths.new))
    norms = () if sparse else (14, 15)
    for place, index in enumerate(norms):
        weight = _operand(call, index)
        if weight is not None:
            sources[place] = normalized(parts, sources[place], HEADS[place], weight)
    if call.integer("do_rotary", 0):
        tables = [_operand(call, index) for index in ((9, 10) if sparse else (7, 8))]
        rotating = 2 * tables[0].shape[-1] if tables[0] is not None else 0
        sources[:2] = [
            rotated(parts, source, word, tables, min(rotating, sizes.size))
            for source, word in zip(sources[:2], HEADS, strict=False)
        ]
    past, present = (_operand(call, 3), _operand(call, 4)), (call.result(1), call.result(2))
    cache = None
    if any(entry is not None for entry in (*past, *present)):
        packed = not sparse and call.integer("kv_cache_bit_width", 0) == 4
        cache = Cache(past, present, lengths, dtype="int4" if packed else "")
    return attention_layers(
        parts,
        sizes,
        sources,
        mask=None if sparse else _operand(call, 10),
        capped=bool(call.attributes.get("softcap", 0)),
        cache=cache,
        written_scores=None if sparse else call.result(3),
    )


def _grouped_shapes(call: Call) -> list[Shape]:
    sizes, lengths = _grouped_sizes(call)
    past = _operand(call, 3)
    present = (sizes.batch, sizes.kv_heads, lengths.buffer)
    # Two numbers of four bits are one of the tensor.
    width = past.shape[3] if past is not None else sizes.size
    value = _operand(call, 4)
    value_width = value.shape[3] if value is not None else sizes.value_size
    shapes = [
        (sizes.batch, sizes.queries, sizes.heads * sizes.value_size),
        (*present, width),
        (*present, value_width),
        (sizes.batch, sizes.heads, sizes.queries, sizes.keys),
    ]
    return shapes[: len(call.outputs)]


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
    widths = _Projected(()).widths(call)
    if heads < 1:
        raise call.error("num_heads must be positive")
    pairs = _sequence_pairs(call, tokens, 4)
    query, _, value = (width // heads for width in widths)
    sizes = Heads(1, heads, heads, tokens, tokens, query, value, some_pairs=pairs)
    check_heads(call, sizes)
    parts = Parts(call)
    made = _projections(parts, call, widths, (1, 2), rule)
    sources = [in_heads(parts, t, word, sizes) for t, word in zip(made, HEADS, strict=True)]
    return attention_layers(parts, sizes, sources, mask=_operand(call, 5))


def _packed_projected_shapes(call: Call) -> list[Shape]:
    return [(call.shape(0, 2)[0], _Projected(()).widths(call)[2])]


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
    sources = _three(parts, call, sizes)
    return attention_layers(parts, sizes, sources, mask=_operand(call, 6))


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
    return attention_layers(parts, sizes, sources, mask=_first(call, 17, 19))


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
    made = _projections(parts, call, [columns // 3] * 3, (1, 2), rule)
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
    return attention_layers(parts, sizes, sources, mask=_operand(call, 3))


def _longformer_shapes(call: Call) -> list[Shape]:
    return [(*call.shape(0, 3)[:2], call.shape(1, 2)[1] // 3)]


def _paged_sizes(call: Call) -> tuple[Heads, Lengths]:
    heads = call.integer("num_heads", 0)
    kv_heads = call.integer("kv_num_heads", heads)
    if heads < 1 or kv_heads < 1:
        raise call.error("num_heads and kv_num_heads must be positive")
    if call.text("kv_cache_layout", "SEPARATE") != "SEPARATE" or not call.has(4):
        raise call.error("keys and values in one latent cache are not read")
    tokens, width = call.shape(0, 2)
    batch = call.shape(6, 1)[0]
    if tokens % batch:
        raise call.error(f"{tokens} tokens are not equal shares of {batch} sequences")
    size = width // (heads if call.has(1) else heads + 2 * kv_heads)
    new = tokens // batch
    room = call.shape(7, 2)[1] * call.shape(3, 4)[1]
    past = largest(call.constant(6))
    lengths = cache_lengths(call, new=new, buffer=room, past=past, shared=True)
    window = call.integer("local_window_size", -1)
    causal = call.integer("is_causal", 1)
    left = window - 1 if window > 0 else None
    band = Band(lengths.past, left, 0 if causal else None)
    return Heads(batch, heads, kv_heads, new, lengths.total, size, size, band), lengths


def _paged(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """PagedAttention: the cache is in blocks, of which those in use are read."""
    sizes, lengths = _paged_sizes(call)
    check_heads(call, sizes)
    parts = Parts(call)
    sources = _three(parts, call, replace(sizes, keys=lengths.new))
    for place, index in enumerate((12, 13)):
        weight = _operand(call, index)
        if weight is not None:
            sources[place] = normalized(parts, sources[place], HEADS[place], weight)
    if call.integer("do_rotary", 0):
        tables = [_operand(call, index) for index in (8, 9)]
        sources[:2] = [
            rotated(parts, source, word, tables)
            for source, word in zip(sources[:2], HEADS, strict=False)
        ]
    past = (call.input(3), call.input(4))
    cache = Cache(past, (call.result(1), call.result(2)), lengths)
    capped = bool(call.attributes.get("softcap", 0))
    return attention_layers(parts, sizes, sources, capped=capped, cache=cache)


def _paged_shapes(call: Call) -> list[Shape]:
    sizes, _ = _paged_sizes(call)
    output = (call.shape(0)[0], sizes.heads * sizes.value_size)
    return [output, call.shape(3), call.shape(4)][: len(call.outputs)]


_ONE = _Projected(mask=(5, 3), past=4, length=6)
_QUANTIZED = _Projected(mask=(5,), past=8, scales=(4, 7))
_MANY = _Apart(bias=3, mask=(5, 4), past=(6, 7), length=8)
_MASKED = _Apart(bias=10, mask=(4, 3), past=(5, 6), length=7)

_PRODUCTS = "two products per head, the softmax between them"
_PROJECTED = f"query, key and value by three products, then {_PRODUCTS}"

ATTENTION: dict[str, Operator] = {
    "Attention": Operator("einsum", _PROJECTED, _ONE.layers, shapes=_ONE.shapes),
    "DecoderMaskedSelfAttention": Operator("einsum", _PROJECTED, _ONE.layers, shapes=_ONE.shapes),
    "QAttention": Operator(
        "einsum",
        f"{_PROJECTED}; 2 operations per element of these to rescale it",
        _QUANTIZED.layers,
        2,
        shapes=_QUANTIZED.shapes,
        dtype_of=3,
    ),
    "QOrderedAttention": Operator(
        "einsum",
        f"{_PROJECTED}; 2 operations per element of these to rescale it",
        _ordered,
        2,
        shapes=_ordered_shapes,
    ),
    "PackedAttention": Operator(
        "einsum", f"{_PROJECTED}, without padding", _packed_projected,
        shapes=_packed_projected_shapes,
    ),
    "LongformerAttention": Operator(
        "einsum",
        f"{_PROJECTED}; a window to both sides, tokens of which all are attended to",
        _longformer,
        shapes=_longformer_shapes,
    ),
    "MultiHeadAttention": Operator("einsum", _PRODUCTS, _MANY.layers, shapes=_MANY.shapes),
    "DecoderMaskedMultiHeadAttention": Operator(
        "einsum", _PRODUCTS, _MASKED.layers, shapes=_MASKED.shapes
    ),
    "PackedMultiHeadAttention": Operator(
        "einsum", f"{_PRODUCTS}, without padding", _packed_apart, shapes=_packed_apart_shapes
    ),
    "GroupQueryAttention": Operator(
        "einsum",
        f"{_PRODUCTS}, causal, within the window; rotary embeddings and norms apart",
        _grouped,
        shapes=_grouped_shapes,
        dtype_of=(0, 3, 4, 0),
    ),
    "SparseAttention": Operator(
        "einsum",
        f"{_PRODUCTS}, of the blocks that are not masked",
        _grouped,
        shapes=_grouped_shapes,
        dtype_of=(0, 3, 4),
    ),
    "PagedAttention": Operator(
        "einsum",
        f"{_PRODUCTS}, causal, within the window; the blocks in use are read",
        _paged,
        shapes=_paged_shapes,
        dtype_of=(0, 3, 4),
    ),
}  # fmt: skip
"""Rules by operator, without the domain."""
