"""Encoders of images and of text: ViT as torchvision has it, BERT as transformers has it."""

from __future__ import annotations

import onnx

from toolkit.workload.network.built_in.builder import GraphBuilder, Precision, divided
from toolkit.workload.network.values import dtype_number


def vit(
    precision: Precision,
    *,
    layers: int,
    hidden: int,
    heads: int,
    feed_forward: int,
    patch: int = 16,
    image: int = 224,
    classes: int = 1000,
) -> onnx.ModelProto:
    """A vision transformer (Dosovitskiy et al., ICLR 2021), attention as two products.

    Parameters
    ----------
    precision : Precision
        How it is written.
    layers, hidden, heads, feed_forward : int
        Of the encoder.
    patch, image : int
        Pixels of a side.
    classes : int
        Outputs.
    """
    g = GraphBuilder("vit", precision)
    count = divided(image, patch, "pixels in patches") ** 2
    images = g.input("input", ["batch", 3, image, image])
    x = g.convolution(images, "conv_proj", 3, hidden, patch, stride=patch)
    x = g.node("Transpose", [g.reshape(x, "", [0, hidden, count])], "", perm=[0, 2, 1])
    batch = g.node("Gather", [g.node("Shape", [images], ""), g.constant([0])], "", axis=0)
    shape = g.node("Concat", [batch, g.constant([1]), g.constant([hidden])], "", axis=0)
    token = g.node("Expand", [g.weight("class_token", 1, 1, hidden), shape], "")
    x = g.node("Concat", [token, x], "", axis=1)
    positions = g.weight("encoder.pos_embedding", 1, count + 1, hidden)
    x = g.node("Add", [x, positions], "encoder")
    for i in range(layers):
        x = _vit_layer(g, x, f"encoder.layers.encoder_layer_{i}", hidden, heads, feed_forward)
    x = g.layer_norm(x, "encoder.ln", hidden, 1e-6)
    x = g.node("Gather", [x, g.constant(0)], "", axis=1)
    g.classifier(x, "heads.head", hidden, classes, "output")
    g.output("output", ["batch", classes])
    return g.model()


def _vit_layer(
    g: GraphBuilder, x: str, at: str, hidden: int, heads: int, feed_forward: int
) -> str:
    own = f"{at}.self_attention"
    y = g.layer_norm(x, f"{at}.ln_1", hidden, 1e-6)
    y = g.linear(y, f"{own}.in_proj", hidden, 3 * hidden)
    parts = [f"{own}.{word}" for word in ("query", "key", "value")]
    g.node("Split", [y], own, outputs=parts, axis=-1, num_outputs=3)
    y = _attention(g, parts, own, hidden, heads)
    x = g.node("Add", [x, g.linear(y, f"{own}.out_proj", hidden, hidden)], at)
    y = g.layer_norm(x, f"{at}.ln_2", hidden, 1e-6)
    y = g.node("Gelu", [g.linear(y, f"{at}.mlp.0", hidden, feed_forward)], f"{at}.mlp.1")
    return g.node("Add", [x, g.linear(y, f"{at}.mlp.3", feed_forward, hidden)], at)


def bert(
    precision: Precision,
    *,
    layers: int,
    hidden: int,
    heads: int,
    feed_forward: int,
    vocabulary: int = 30522,
    longest: int = 512,
    segments: int = 2,
) -> onnx.ModelProto:
    """BERT with its pooler (Devlin et al., NAACL 2019), attention as two products.

    Parameters
    ----------
    precision : Precision
        How it is written.
    layers, hidden, heads, feed_forward : int
        Of the encoder.
    vocabulary, longest, segments : int
        Entries of the tables of words, positions and segments.
    """
    g = GraphBuilder("bert", precision)
    names = ("input_ids", "attention_mask", "token_type_ids")
    ids, mask, types = (g.input(name, ["batch", "seq"], "int64") for name in names)
    at = "embeddings"
    words = g.embedding(ids, f"{at}.word_embeddings", vocabulary, hidden)
    kinds = g.embedding(types, f"{at}.token_type_embeddings", segments, hidden)
    x = g.node("Add", [words, kinds], at)
    places = _positions(g, ids, longest)
    x = g.node("Add", [x, g.embedding(places, f"{at}.position_embeddings", longest, hidden)], at)
    x = g.layer_norm(x, f"{at}.LayerNorm", hidden, 1e-12)
    hidden_from = _mask(g, mask)
    for i in range(layers):
        x = _bert_layer(g, x, f"encoder.layer.{i}", hidden, heads, feed_forward, hidden_from)
    x = g.node("Identity", [x], "", outputs=["last_hidden_state"])
    first = g.node("Gather", [x, g.constant(0)], "pooler", axis=1)
    pooled = g.classifier(first, "pooler.dense", hidden, hidden)
    g.node("Tanh", [pooled], "pooler.activation", outputs=["pooler_output"])
    g.output("last_hidden_state", ["batch", "seq", hidden])
    g.output("pooler_output", ["batch", hidden])
    return g.model()


def _positions(g: GraphBuilder, ids: str, longest: int) -> str:
    """The first positions of a stored list, as many as there are words."""
    at, one = "embeddings", g.constant([1])
    length = g.node("Gather", [g.node("Shape", [ids], at), one], at, axis=0)
    listed = g.constant([list(range(longest))])
    return g.node("Slice", [listed, g.constant([0]), length, one], at)


def _mask(g: GraphBuilder, mask: str) -> str:
    """What is added to scores: nothing, or a large negative number."""
    wide = g.node("Unsqueeze", [mask, g.constant([1, 2])], "")
    seen = g.node("Cast", [wide], "", to=dtype_number(g.dtype))
    hidden = g.node("Sub", [g.constant(1.0, g.dtype), seen], "")
    return g.node("Mul", [hidden, g.constant(-10000.0, g.dtype)], "")


def _bert_layer(
    g: GraphBuilder, x: str, at: str, hidden: int, heads: int, feed_forward: int, mask: str
) -> str:
    own, out = f"{at}.attention.self", f"{at}.attention.output"
    parts = [g.linear(x, f"{own}.{word}", hidden, hidden) for word in ("query", "key", "value")]
    y = _attention(g, parts, own, hidden, heads, mask)
    y = g.linear(y, f"{out}.dense", hidden, hidden)
    x = g.layer_norm(g.node("Add", [y, x], out), f"{out}.LayerNorm", hidden, 1e-12)
    inner, outer = f"{at}.intermediate", f"{at}.output"
    y = g.linear(x, f"{inner}.dense", hidden, feed_forward)
    y = g.node("Gelu", [y], f"{inner}.intermediate_act_fn")
    y = g.linear(y, f"{outer}.dense", feed_forward, hidden)
    return g.layer_norm(g.node("Add", [y, x], outer), f"{outer}.LayerNorm", hidden, 1e-12)


def _attention(
    g: GraphBuilder, parts: list[str], at: str, hidden: int, heads: int, mask: str = ""
) -> str:
    """Scores, softmax and context, from query, key and value."""
    size = divided(hidden, heads, "elements in heads")
    query, key, value = (g.heads(part, at, heads, size) for part in parts)
    turned = g.node("Transpose", [key], at, perm=[0, 1, 3, 2])
    scores = g.node("MatMul", [query, turned], at)
    scores = g.node("Div", [scores, g.constant(size**0.5, g.dtype)], at)
    if mask:
        scores = g.node("Add", [scores, mask], at)
    weights = g.node("Softmax", [scores], at, axis=-1)
    return g.joined_heads(g.node("MatMul", [weights, value], at), at, hidden)
