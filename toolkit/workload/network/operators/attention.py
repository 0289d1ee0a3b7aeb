"""Attention as one operator: the same layers as of heads that are written out.

Heads are split where they are read; rotary embeddings, the cache, the scores, the softmax and the
context are ordinary layers, so that fusion sees what it sees in a graph of MatMul and Softmax.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from toolkit.workload.kernel import Workload
from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.operators.band import Band, nearest_rectangle
from toolkit.workload.network.operators.call import (
    Call,
    Operator,
)
from toolkit.workload.network.operators.lengths import Lengths, cache_lengths, largest
from toolkit.workload.network.operators.parts import Parts, Slice, Source, with_shape
from toolkit.workload.network.values import Value
from toolkit.workload.ready_made import batched_gemm, gemm

_SOFTMAX_OPERATIONS, _SCALE, _MASK, _SOFTCAP = 5, 1, 1, 3
_LAST = (("axis", -1),)


@dataclass(frozen=True)
class Heads:
    """Sizes of one attention.

    Parameters
    ----------
    batch, heads, kv_heads : int
        Sequences, heads of the query, and heads of key and value, which the former share.
    queries, keys : int
        Positions of the query, and of key and value, past ones included.
    size, value_size : int
        Elements of one head of query and key, and of the value.
    band : Band
        Which keys a query attends to.
    some_pairs : int, optional
        Pairs that a head of one sequence computes, where `band` cannot say it.
    """

    batch: int
    heads: int
    kv_heads: int
    queries: int
    keys: int
    size: int
    value_size: int
    band: Band = Band()
    some_pairs: int | None = None

    @property
    def share(self) -> int:
        """Heads of the query that share one of the key."""
        return self.heads // self.kv_heads

    @property
    def pairs(self) -> int:
        """Pairs of a query and a key that a head of one sequence computes."""
        if self.some_pairs is not None:
            return self.some_pairs
        return self.band.pairs(self.queries, self.keys)

    @property
    def scores_shape(self) -> tuple[int, ...]:
        """Scores that are computed, spread evenly over the queries."""
        return (self.batch, self.heads, self.queries, -(-self.pairs // self.queries))

    def product(self, *, scores: bool) -> Workload:
        """The workload of the scores, or of the context.

        Heads of the query that share a key are further rows of one product. Where pairs are
        masked, see `nearest_rectangle`.
        """
        groups, rows, keys = self.batch * self.kv_heads, self.queries, self.keys
        if self.pairs < rows * keys:
            touched = self.band.touched(rows, keys)
            groups, rows, keys = nearest_rectangle(groups, self.share, rows, touched, self.pairs)
        m, k = (keys, self.size) if scores else (self.value_size, keys)
        n = rows * self.share
        return batched_gemm(groups, m, k, n) if groups > 1 else gemm(m, k, n)


@dataclass(frozen=True)
class Cache:
    """Keys and values of earlier tokens.

    Parameters
    ----------
    past : tuple of Source or None
        Of keys and of values; one of both together may stand twice.
    present : tuple of TensorInfo or None
        What they become, in the same form.
    lengths : Lengths
        Positions in them.
    dtype : str
        Of a number in them, if that is not the type of the tensor: some pack two into a byte.
    joined : TensorInfo, optional
        Keys and values as one result, where the operator has them together.
    """

    past: tuple[Source | None, Source | None]
    present: tuple[TensorInfo | None, TensorInfo | None]
    lengths: Lengths
    dtype: str = ""
    joined: TensorInfo | None = None


def attention(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """The standard operator, on three or four axes, with or without a cache."""
    query, key, value = call.shape(0), call.shape(1), call.shape(2)
    if len(query) == 4:
        batch, heads, queries, size = query
        kv_heads, new, value_size = key[1], key[2], value[3]
    else:
        batch, queries, _ = call.shape(0, 3)
        heads, kv_heads = call.integer("q_num_heads", 0), call.integer("kv_num_heads", 0)
        if heads < 1 or kv_heads < 1:
            raise call.error("q_num_heads and kv_num_heads must be given for three axes")
        new, size, value_size = key[1], query[2] // heads, value[2] // kv_heads
    parts = Parts(call)
    cache, keys, offset = None, new, 0
    if call.has(4) or call.result(1) or call.result(2):
        buffer = call.shape(4, 4)[2] if call.has(4) else None
        lengths = cache_lengths(call, new=new, buffer=buffer)
        keys, offset = lengths.total, lengths.past
        past = (call.inputs[4], call.inputs[5]) if call.has(5) else (None, None)
        cache = Cache(past, (call.result(1), call.result(2)), lengths)
    elif call.has(6):
        # Of keys and values that were stored elsewhere, a part is used.
        keys = min(_used(call, new), new)
        offset = keys - queries
    band = Band(offset, right=0) if call.integer("is_causal", 0) else Band()
    sizes = Heads(batch, heads, kv_heads, queries, keys, size, value_size, band)
    check_heads(call, sizes)
    full = replace(sizes, keys=new)
    sources = [in_heads(parts, call.input(i), word, full) for i, word in enumerate(HEADS)]
    if cache is None:
        sources[1:] = [some_keys(source, keys) for source in sources[1:]]
    return attention_layers(
        parts,
        sizes,
        sources,
        mask=call.inputs[3] if call.has(3) else None,
        capped=bool(call.attributes.get("softcap", 0)),
        cache=cache,
        written_scores=call.result(3),
    )


def _used(call: Call, most: int) -> int:
    """Positions of stored keys and values that are no padding."""
    known = largest(call.constant(6))
    if known is None:
        known = call.given.size("total")
    if known is None:
        call.given.warn(
            f"{call.operator} {call.name!r}: how many of its {most} keys are in use depends on "
            "data; taken as all of them (--dim total=N)"
        )
        return most
    return max(known, 1)


HEADS = ("query", "key", "value")
"""Names of the three operands."""


def check_heads(call: Call, sizes: Heads) -> None:
    """Refuse heads that cannot be shared, and masks that leave nothing.

    Raises
    ------
    WorkloadError
        Naming the node.
    """
    if sizes.heads < 1 or sizes.kv_heads < 1:
        raise call.error("heads of query and key must be positive")
    if sizes.heads % sizes.kv_heads:
        raise call.error(f"{sizes.kv_heads} heads of the key do not divide {sizes.heads}")
    if min(sizes.size, sizes.value_size) < 1:
        raise call.error(f"{sizes.heads} heads do not divide the width of its operands")
    if sizes.pairs < 1:
        raise call.error("no query attends to any key")


def in_heads(
    parts: Parts, source: Source, word: str, sizes: Heads, *, packed: bool = False
) -> Source:
    """Read an operand head by head, without moving it.

    Parameters
    ----------
    source : Source
        Of four axes (batch, head, position, element) as it is; otherwise with the heads in the
        last axis, or, of five, packed with others between head and element.
    word : {"query", "key", "value"}
        Which one it is.
    packed : bool
        Whether `source` holds query, key and value, or two of them.
    """
    heads = sizes.heads if word == "query" else sizes.kv_heads
    positions = sizes.queries if word == "query" else sizes.keys
    size = sizes.value_size if word == "value" else sizes.size
    shape = (sizes.batch, heads, positions, size)
    if not packed and math.prod(source.shape) != math.prod(shape):
        raise parts.call.mismatch(
            f"its {word} has shape {list(source.shape)}; expected {sizes.batch} x {positions} "
            f"positions of {heads} heads of {size}"
        )
    if isinstance(source, Value) and source.constant:
        return Slice(source, shape)
    info = source.info if isinstance(source, Value) else source
    if len(info.shape) == 4 and not packed:
        return info
    made = parts.tensor(word, shape, info.dtype)
    return parts.add(f"/{word}", parts.call.operator, "view", [info], [made])


def some_keys(source: Source, keys: int) -> Source:
    """The part of keys or values, in heads, that is used."""
    return with_shape(source, (*source.shape[:2], keys, source.shape[3]))


def attention_layers(
    parts: Parts,
    sizes: Heads,
    sources: Sequence[Source],
    *,
    mask: Source | None = None,
    capped: bool = False,
    cache: Cache | None = None,
    written_scores: TensorInfo | None = None,
) -> tuple[Layer, ...]:
    """Cache where there is one, scores, softmax (with scale and mask) and context.

    Parameters
    ----------
    sources : sequence
        Query, key and value, from `in_heads`.
    mask : Source, optional
        What is added to the scores, or says which of them count.
    capped : bool
        Whether the scores pass through ``c * tanh(x / c)``.
    cache : Cache, optional
        Where keys and values of earlier tokens are, and of these go.
    written_scores : TensorInfo, optional
        The result that holds all scores, where it is asked for.
    """
    query, key, value = sources
    call = parts.call
    if cache is not None:
        key, value = _cached(parts, sizes, key, value, cache)
    scores = written_scores or parts.tensor("scores", sizes.scores_shape)
    weights = parts.tensor("softmax", sizes.scores_shape)
    product = sizes.product(scores=True)
    transposed = (("transB", 1),)
    parts.add(
        "/scores", "MatMul", "einsum", [query, key], [scores], workload=product,
        attributes=transposed,
    )  # fmt: skip
    operations = _SOFTMAX_OPERATIONS + _SCALE
    operations += (mask is not None) * _MASK + capped * _SOFTCAP
    parts.add(
        "/softmax",
        "Softmax",
        "reduction",
        [scores, mask],
        [weights],
        elements=sizes.batch * sizes.heads * sizes.pairs,
        operations=operations,
        attributes=_LAST,
    )
    output = call.outputs[0]
    apart = (sizes.batch, sizes.heads, sizes.queries, sizes.value_size)
    context = output if output.shape == apart else parts.tensor("context", apart)
    product = sizes.product(scores=False)
    parts.add("", "MatMul", "einsum", [weights, value], [context], workload=product)
    if context is not output:
        parts.add("/joined", call.operator, "view", [context], [output])
    return tuple(parts.layers)


def _cached(
    parts: Parts, sizes: Heads, key: Source, value: Source, cache: Cache
) -> tuple[Source, Source]:
    """Append keys and values to the cache, and return those that are attended to."""
    lengths, widths = cache.lengths, (sizes.size, sizes.value_size)
    heads = (sizes.batch, sizes.kv_heads)
    stored = [
        made or parts.tensor(word, (*heads, lengths.buffer, width), cache.dtype)
        for made, word, width in zip(cache.present, ("keys", "values"), widths, strict=True)
    ]
    in_place = parts.call.given.kv_cache == "in-place"
    moved = lengths.new if in_place else lengths.buffer
    apart = cache.past[:1] if cache.past[0] is cache.past[1] else cache.past
    past = [source for source in apart if source is not None and 0 not in source.shape]
    parts.add(
        "/cache",
        "Concat",
        "movement",
        [*past, key, value],
        [*stored, *([cache.joined] if cache.joined else [])],
        elements=math.prod(heads) * moved * sum(widths),
        in_place=in_place and bool(past),
    )
    if not lengths.past:
        return key, value
    keys, values = (
        TensorInfo(tensor.name, (*heads, sizes.keys, width), cache.dtype or tensor.dtype)
        for tensor, width in zip(stored, widths, strict=True)
    )
    return keys, values
