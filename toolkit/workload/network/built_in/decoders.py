"""Decoders with a KV cache: GPT-2 by standard operators, Llama and its like by ONNX Runtime's.

A graph takes `seq` tokens after `past` ones, whose keys and values are inputs and outputs: seq of
many with past 0 is a prefill, seq of 1 a step of decoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx

from toolkit.workload.network.built_in.builder import (
    BLOCK,
    MICROSOFT,
    GraphBuilder,
    Precision,
    Size,
    divided,
)
from toolkit.workload.network.values import dtype_number

_ALL = "past + seq"


@dataclass(frozen=True)
class DecoderSizes:
    """Sizes of a decoder like Llama's.

    Parameters
    ----------
    layers, hidden, heads, kv_heads, feed_forward, vocabulary : int
        As published.
    longest : int
        Positions that the tables of rotary embeddings hold.
    head_size : int, optional
        Elements of one head; ``hidden / heads`` by default.
    window : int
        Positions that a query sees; all before it by default.
    qkv_bias : bool
        Whether query, key and value have a bias.
    tied : bool
        Whether the table of words is the last weight, too.
    experts, experts_per_token : int
        Feed-forward networks per layer, and how many of them each token goes through; 0 where
        there is one.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    feed_forward: int
    vocabulary: int
    longest: int
    head_size: int = 0
    window: int = -1
    qkv_bias: bool = False
    tied: bool = False
    experts: int = 0
    experts_per_token: int = 0

    def __post_init__(self) -> None:
        divided(self.heads, self.kv_heads, "heads that share a key")

    @property
    def size(self) -> int:
        """Elements of one head."""
        return self.head_size or divided(self.hidden, self.heads, "elements in heads")


def llama(precision: Precision, sizes: DecoderSizes, *, name: str = "llama") -> onnx.ModelProto:
    """Llama (Touvron et al., 2023), Mistral, Qwen2, Mixtral: as ONNX Runtime's exporter has them.

    Parameters
    ----------
    precision : Precision
        How it is written.
    sizes : DecoderSizes
        Of the network.
    name : str
        Of the graph.
    """
    g = GraphBuilder(name, precision)
    ids = g.input("input_ids", ["batch", "seq"], "int64")
    mask = g.input("attention_mask", ["batch", _ALL], "int64")
    table = "model.embed_tokens"
    x = g.embedding(ids, table, sizes.vocabulary, sizes.hidden)
    lengths = _lengths(g, mask)
    rotary = [g.weight(f"{word}_cache", sizes.longest, sizes.size // 2) for word in ("cos", "sin")]
    y = ""
    for i in range(sizes.layers):
        x, y = _llama_layer(g, x, y, i, sizes, lengths, rotary)
    _, y = _skip_norm(g, x, y, "model.norm", sizes.hidden)
    if sizes.tied:
        g.tied_head(y, "lm_head", f"{table}.weight", "logits")
    else:
        g.linear(y, "lm_head", sizes.hidden, sizes.vocabulary, bias=False, output="logits")
    g.output("logits", ["batch", "seq", sizes.vocabulary])
    _cache_outputs(g, sizes.layers, sizes.kv_heads, sizes.size)
    return g.model()


def _lengths(g: GraphBuilder, mask: str) -> list[str]:
    """The last position of every sequence, and the length of the longest, from the mask."""
    at = "model.attn_mask_reformat"
    counted = g.node("ReduceSum", [mask, g.constant([1])], at)
    last = g.node(
        "Cast", [g.node("Sub", [counted, g.constant([1])], at)], at, to=dtype_number("int32")
    )
    whole = g.node("Gather", [g.node("Shape", [mask], at), g.constant(1)], at, axis=0)
    return [last, g.node("Cast", [whole], at, to=dtype_number("int32"))]


def _skip_norm(g: GraphBuilder, x: str, y: str, at: str, hidden: int) -> tuple[str, str]:
    """The sum that goes on, and that sum normalized; `y` is empty before the first layer."""
    scale = g.weight(f"{at}.weight", hidden)
    if not y:
        # ONNX Runtime has it in the standard domain.
        norm = g.node("SimplifiedLayerNormalization", [x, scale], at, axis=-1, epsilon=1e-5)
        return x, norm
    total, norm = f"{at}.sum", f"{at}.output"
    g.node(
        "SkipSimplifiedLayerNormalization",
        [x, y, scale],
        at,
        outputs=[norm, "", "", total],
        domain=MICROSOFT,
        epsilon=1e-5,
    )
    return total, norm


def _llama_layer(
    g: GraphBuilder,
    x: str,
    y: str,
    i: int,
    sizes: DecoderSizes,
    lengths: list[str],
    rotary: list[str],
) -> tuple[str, str]:
    """The sum before the feed-forward network, and what that adds to it."""
    at, hidden = f"model.layers.{i}", sizes.hidden
    x, norm = _skip_norm(g, x, y, f"{at}.input_layernorm", hidden)
    width, narrow = sizes.heads * sizes.size, sizes.kv_heads * sizes.size
    query, key, value = (
        g.linear(norm, f"{at}.attn.{word}_proj", hidden, outside, bias=sizes.qkv_bias)
        for word, outside in (("q", width), ("k", narrow), ("v", narrow))
    )
    past = _cache_inputs(g, i, sizes.kv_heads, sizes.size)
    context = g.node(
        "GroupQueryAttention",
        [query, key, value, *past, *lengths, *rotary],
        f"{at}.attn",
        outputs=[f"{at}.attn.output", *_present(i)],
        domain=MICROSOFT,
        num_heads=sizes.heads,
        kv_num_heads=sizes.kv_heads,
        do_rotary=1,
        local_window_size=sizes.window,
    )
    y = g.linear(context, f"{at}.attn.o_proj", width, hidden, bias=False)
    x, norm = _skip_norm(g, x, y, f"{at}.post_attention_layernorm", hidden)
    if sizes.experts:
        return x, _experts(g, norm, f"{at}.moe", sizes)
    return x, _gated(g, norm, f"{at}.mlp", sizes)


def _gated(g: GraphBuilder, x: str, at: str, sizes: DecoderSizes) -> str:
    gate, up = (
        g.linear(x, f"{at}.{word}_proj", sizes.hidden, sizes.feed_forward, bias=False)
        for word in ("gate", "up")
    )
    active = g.node("Mul", [gate, g.node("Sigmoid", [gate], f"{at}.act_fn")], f"{at}.act_fn")
    inner = g.node("Mul", [active, up], at)
    return g.linear(inner, f"{at}.down_proj", sizes.feed_forward, sizes.hidden, bias=False)


def _experts(g: GraphBuilder, x: str, at: str, sizes: DecoderSizes) -> str:
    """All experts as one operator, weights of all in one tensor; quantized, with scales."""
    router = g.linear(x, f"{at}.gate", sizes.hidden, sizes.experts, bias=False)
    router = g.reshape(router, at, [-1, sizes.experts])
    bits = {"float": 0, "qdq": 8, "blocks": 4}[g.precision.form]
    operands = [x, router]
    for word, inside, outside in (
        ("fc1", sizes.hidden, sizes.feed_forward),
        ("fc2", sizes.feed_forward, sizes.hidden),
        ("fc3", sizes.hidden, sizes.feed_forward),
    ):
        name = f"{at}.experts.{word}"
        if bits:
            packed = (sizes.experts, outside, inside * bits // 8)
            operands.append(g.weight(f"{name}.qweight", *packed, dtype="uint8"))
            operands.append(
                g.weight(f"{name}.scales", sizes.experts, outside, -(-inside // BLOCK))
            )
        else:
            operands.append(g.weight(f"{name}.weight", sizes.experts, outside, inside))
        operands.append("")  # No bias.
    attributes: dict[str, Any] = {"activation_type": "silu", "normalize_routing_weights": 1}
    if bits:
        attributes |= {"expert_weight_bits": bits, "block_size": BLOCK}
    return g.node(
        "QMoE" if bits else "MoE",
        operands[:-1],
        at,
        domain=MICROSOFT,
        k=sizes.experts_per_token,
        **attributes,
    )


def gpt2(
    precision: Precision,
    *,
    layers: int,
    hidden: int,
    heads: int,
    vocabulary: int = 50257,
    longest: int = 1024,
) -> onnx.ModelProto:
    """GPT-2 (Radford et al., 2019), attention as the standard operator.

    Parameters
    ----------
    precision : Precision
        How it is written.
    layers, hidden, heads : int
        Of the decoder; the feed-forward network is four times as wide.
    vocabulary, longest : int
        Entries of the tables of words and positions.
    """
    size = divided(hidden, heads, "elements in heads")
    g = GraphBuilder("gpt2", precision, opset=23)
    ids = g.input("input_ids", ["batch", "seq"], "int64")
    places = g.input("position_ids", ["batch", "seq"], "int64")
    words = g.embedding(ids, "transformer.wte", vocabulary, hidden)
    x = g.node(
        "Add", [words, g.embedding(places, "transformer.wpe", longest, hidden)], "transformer"
    )
    for i in range(layers):
        x = _gpt2_layer(g, x, i, hidden, heads)
    x = g.layer_norm(x, "transformer.ln_f", hidden)
    g.tied_head(x, "lm_head", "transformer.wte.weight", "logits")
    g.output("logits", ["batch", "seq", vocabulary])
    _cache_outputs(g, layers, heads, size)
    return g.model()


def _gpt2_layer(g: GraphBuilder, x: str, i: int, hidden: int, heads: int) -> str:
    at = f"transformer.h.{i}"
    y = g.layer_norm(x, f"{at}.ln_1", hidden)
    y = g.linear(y, f"{at}.attn.c_attn", hidden, 3 * hidden)
    parts = [f"{at}.attn.{word}" for word in ("query", "key", "value")]
    g.node("Split", [y], f"{at}.attn", outputs=parts, axis=-1, num_outputs=3)
    y = g.node(
        "Attention",
        [*parts, "", *_cache_inputs(g, i, heads, hidden // heads)],
        f"{at}.attn",
        outputs=[f"{at}.attn.output", *_present(i)],
        is_causal=1,
        q_num_heads=heads,
        kv_num_heads=heads,
    )
    x = g.node("Add", [x, g.linear(y, f"{at}.attn.c_proj", hidden, hidden)], at)
    y = g.layer_norm(x, f"{at}.ln_2", hidden)
    y = g.linear(y, f"{at}.mlp.c_fc", hidden, 4 * hidden)
    y = g.node("Gelu", [y], f"{at}.mlp.act", approximate="tanh")
    return g.node("Add", [x, g.linear(y, f"{at}.mlp.c_proj", 4 * hidden, hidden)], at)


def _cache_inputs(g: GraphBuilder, layer: int, heads: int, size: int) -> list[str]:
    shape: list[Size] = ["batch", heads, "past", size]
    return [g.input(f"past_key_values.{layer}.{word}", shape) for word in ("key", "value")]


def _present(layer: int) -> list[str]:
    return [f"present.{layer}.{word}" for word in ("key", "value")]


def _cache_outputs(g: GraphBuilder, layers: int, heads: int, size: int) -> None:
    for layer in range(layers):
        for name in _present(layer):
            g.output(name, ["batch", heads, _ALL, size])
