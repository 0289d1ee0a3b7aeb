"""Attention of ONNX Runtime: how each operator has its operands, and where its cache is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators.attention import (
    HEADS,
    Cache,
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
from toolkit.workload.network.operators.grouped_attention import GROUPED
from toolkit.workload.network.operators.lengths import (
    Lengths,
    cache_lengths,
    largest,
)
from toolkit.workload.network.operators.parts import Parts
from toolkit.workload.network.operators.rotary import rotated
from toolkit.workload.network.operators.special_attention import SPECIAL

Shape = tuple[int, ...]


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
        query, _, value = (width // heads for width in widths_of(call))
        return Heads(batch, heads, heads, queries, lengths.total, query, value, causal), lengths

    def layers(self, call: Call, rule: Operator) -> tuple[Layer, ...]:
        """Three products with the weights, then attention on what they make."""
        sizes, lengths = self.sizes(call)
        check_heads(call, sizes)
        parts = Parts(call)
        made = projections(parts, call, widths_of(call), (1, 2, *self.scales), rule)
        new = replace(sizes, keys=lengths.new)
        sources = [in_heads(parts, t, word, new) for t, word in zip(made, HEADS, strict=True)]
        if call.integer("do_rotary", 0):
            rotating = call.integer("rotary_embedding_dim", 0)
            sources[:2] = [
                rotated(parts, source, word, (), rotating)
                for source, word in zip(sources[:2], HEADS, strict=False)
            ]
        past, present = operand_of(call, self.past), call.result(1)
        cache = None
        if past is not None or present is not None:
            cache = Cache((past, past), (None, None), lengths, joined=present)
        return attention_layers(
            parts, sizes, sources, mask=first_of(call, *self.mask), cache=cache
        )

    def shapes(self, call: Call) -> list[Shape]:
        """Of the output and the cache."""
        sizes, lengths = self.sizes(call)
        output = (sizes.batch, sizes.queries, sizes.heads * sizes.value_size)
        present = (2, sizes.batch, sizes.heads, lengths.buffer, sizes.size)
        return [output, present][: len(call.outputs)]


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
        sources = three_in_heads(parts, call, new, operand_of(call, self.bias))
        cache = None
        present = (call.result(1), call.result(2))
        if lengths is not None and (call.has(self.past[0]) or any(present)):
            past = (operand_of(call, self.past[0]), operand_of(call, self.past[1]))
            cache = Cache(past, present, lengths)
        return attention_layers(
            parts,
            sizes,
            sources,
            mask=first_of(call, *self.mask),
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


_ONE = _Projected(mask=(5, 3), past=4, length=6)
_QUANTIZED = _Projected(mask=(5,), past=8, scales=(4, 7))
_MANY = _Apart(bias=3, mask=(5, 4), past=(6, 7), length=8)
_MASKED = _Apart(bias=10, mask=(4, 3), past=(5, 6), length=7)


_RULES: dict[str, Operator] = {
    "Attention": Operator("einsum", PROJECTED, _ONE.layers, shapes=_ONE.shapes),
    "DecoderMaskedSelfAttention": Operator("einsum", PROJECTED, _ONE.layers, shapes=_ONE.shapes),
    "QAttention": Operator(
        "einsum",
        f"{PROJECTED}; 2 operations per element of these to rescale it",
        _QUANTIZED.layers,
        2,
        shapes=_QUANTIZED.shapes,
        dtype_of=3,
    ),
    "MultiHeadAttention": Operator("einsum", PRODUCTS, _MANY.layers, shapes=_MANY.shapes),
    "DecoderMaskedMultiHeadAttention": Operator(
        "einsum", PRODUCTS, _MASKED.layers, shapes=_MASKED.shapes
    ),
}  # fmt: skip

ATTENTION = _RULES | GROUPED | SPECIAL
"""Rules by operator, without the domain."""
