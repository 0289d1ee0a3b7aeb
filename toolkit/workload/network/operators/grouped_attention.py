"""Attention of ONNX Runtime whose heads share keys: caches in buffers, blocks or pages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators.attention import (
    HEADS,
    Cache,
    Heads,
    attention_layers,
    check_heads,
)
from toolkit.workload.network.operators.attention_operands import (
    PRODUCTS,
    operand_of,
    three_in_heads,
)
from toolkit.workload.network.operators.band import Band
from toolkit.workload.network.operators.call import Call, Operator
from toolkit.workload.network.operators.lengths import (
    Lengths,
    cache_lengths,
    keeps_its_size,
    largest,
)
from toolkit.workload.network.operators.parts import Parts
from toolkit.workload.network.operators.rotary import normalized, rotated

Shape = tuple[int, ...]


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
    sources = three_in_heads(parts, call, replace(sizes, keys=lengths.new))
    norms = () if sparse else (14, 15)
    for place, index in enumerate(norms):
        weight = operand_of(call, index)
        if weight is not None:
            sources[place] = normalized(parts, sources[place], HEADS[place], weight)
    if call.integer("do_rotary", 0):
        tables = [operand_of(call, index) for index in ((9, 10) if sparse else (7, 8))]
        rotating = 2 * tables[0].shape[-1] if tables[0] is not None else 0
        sources[:2] = [
            rotated(parts, source, word, tables, min(rotating, sizes.size))
            for source, word in zip(sources[:2], HEADS, strict=False)
        ]
    past, present = (operand_of(call, 3), operand_of(call, 4)), (call.result(1), call.result(2))
    cache = None
    if any(entry is not None for entry in (*past, *present)):
        packed = not sparse and call.integer("kv_cache_bit_width", 0) == 4
        cache = Cache(past, present, lengths, dtype="int4" if packed else "")
    return attention_layers(
        parts,
        sizes,
        sources,
        mask=None if sparse else operand_of(call, 10),
        capped=bool(call.attributes.get("softcap", 0)),
        cache=cache,
        written_scores=None if sparse else call.result(3),
    )


def _grouped_shapes(call: Call) -> list[Shape]:
    sizes, lengths = _grouped_sizes(call)
    past = operand_of(call, 3)
    present = (sizes.batch, sizes.kv_heads, lengths.buffer)
    # Two numbers of four bits are one of the tensor.
    width = past.shape[3] if past is not None else sizes.size
    value = operand_of(call, 4)
    value_width = value.shape[3] if value is not None else sizes.value_size
    shapes = [
        (sizes.batch, sizes.queries, sizes.heads * sizes.value_size),
        (*present, width),
        (*present, value_width),
        (sizes.batch, sizes.heads, sizes.queries, sizes.keys),
    ]
    return shapes[: len(call.outputs)]


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
    sources = three_in_heads(parts, call, replace(sizes, keys=lengths.new))
    for place, index in enumerate((12, 13)):
        weight = operand_of(call, index)
        if weight is not None:
            sources[place] = normalized(parts, sources[place], HEADS[place], weight)
    if call.integer("do_rotary", 0):
        tables = [operand_of(call, index) for index in (8, 9)]
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


GROUPED: dict[str, Operator] = {
    "GroupQueryAttention": Operator(
        "einsum",
        f"{PRODUCTS}, causal, within the window; rotary embeddings and norms apart",
        _grouped,
        shapes=_grouped_shapes,
        dtype_of=(0, 3, 4, 0),
    ),
    "SparseAttention": Operator(
        "einsum",
        f"{PRODUCTS}, of the blocks that are not masked",
        _grouped,
        shapes=_grouped_shapes,
        dtype_of=(0, 3, 4),
    ),
    "PagedAttention": Operator(
        "einsum",
        f"{PRODUCTS}, causal, within the window; the blocks in use are read",
        _paged,
        shapes=_paged_shapes,
        dtype_of=(0, 3, 4),
    ),
}  # fmt: skip
"""Rules by operator, without the domain."""
