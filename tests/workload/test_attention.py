"""Attention in one operator against the same heads written out, masks against pairs counted."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_networks import constant, load, model, node, value, weight

import toolkit
from toolkit.errors import WorkloadError
from toolkit.workload.network.operators.band import Band, nearest_rectangle

GROUPED = "com.microsoft.GroupQueryAttention"
MANY = "com.microsoft.MultiHeadAttention"


def working(graph: toolkit.LayerGraph) -> list[toolkit.Layer]:
    """Layers that cost something."""
    return [layer for layer in graph.layers if layer.cost_class != "view"]


def heads_written_out(folder: Path, heads: int, queries: int, keys: int) -> toolkit.LayerGraph:
    nodes = [
        node("Transpose", "k", "kt", perm=[0, 1, 3, 2]),
        node("MatMul", "q kt", "s", name="scores"),
        node("Softmax", "s", "p", axis=-1),
        node("MatMul", "p v", "y", name="context"),
    ]
    shapes = {"q": queries, "k": keys, "v": keys}
    inputs = [value(name, [2, heads, size, 16]) for name, size in shapes.items()]
    return load(folder, model(nodes, inputs))


def one_operator(folder: Path, heads: int, queries: int, keys: int) -> toolkit.LayerGraph:
    inputs = [value("q", [2, queries, heads * 16])]
    inputs += [value(name, [2, keys, heads * 16]) for name in "kv"]
    return load(folder, model([node(MANY, "q k v", num_heads=heads)], inputs))


def test_heads_of_one_operator_are_those_written_out(tmp_path: Path) -> None:
    apart = [la for la in working(heads_written_out(tmp_path, 4, 6, 9)) if la.name != "transpose"]
    found = working(one_operator(tmp_path, 4, 6, 9))
    assert [la.workload for la in found] == [la.workload for la in apart]
    assert [la.operator for la in found] == [la.operator for la in apart]
    assert [la.outputs[0].shape for la in found] == [la.outputs[0].shape for la in apart]


PACKED = {
    "five axes": (MANY, "q", [("q", [1, 6, 4, 3, 16])]),
    "keys and values": (MANY, "q k", [("q", [1, 6, 64]), ("k", [1, 6, 4, 2, 16])]),
    "other sequence": (
        MANY,
        "q k v",
        [("q", [1, 6, 64]), ("k", [1, 4, 6, 16]), ("v", [1, 4, 6, 16])],
    ),
    "tokens": (
        "com.microsoft.PackedMultiHeadAttention",
        "q k v - o c",
        [(name, [6, 64]) for name in "qkv"] + [("o", [1, 6]), ("c", [2])],
    ),
    "tokens in four axes": (
        "com.microsoft.PackedMultiHeadAttention",
        "q - - - o c",
        [("q", [6, 4, 3, 16]), ("o", [1, 6]), ("c", [2])],
    ),
}


@pytest.mark.parametrize("form", PACKED)
def test_packed_operands_are_the_same_heads(tmp_path: Path, form: str) -> None:
    operator, operands, shapes = PACKED[form]
    inputs = [value(n, shape, "int32" if n in "oc" else "float") for n, shape in shapes]
    graph = load(tmp_path, model([node(operator, operands, num_heads=4)], inputs))
    scores, softmax, context = working(graph)
    assert scores.workload == toolkit.batched_gemm(4, 6, 16, 6)
    assert (softmax.elements, context.workload) == (144, toolkit.batched_gemm(4, 16, 6, 6))
    assert math.prod(graph.outputs[0].shape) == 6 * 64


def test_packed_projections_of_grouped_heads(tmp_path: Path) -> None:
    packed = node(GROUPED, "q - - - - l t", num_heads=8, kv_num_heads=2, causal=0)
    inputs = [value("q", [1, 5, 96]), value("l", [1], "int32")]
    graph = load(tmp_path, model([packed], inputs, [constant("t", 5, "int32")]))
    scores, _, context = working(graph)
    assert scores.workload == toolkit.batched_gemm(2, 5, 8, 20)
    assert context.workload == toolkit.batched_gemm(2, 8, 5, 20)
    assert graph.outputs[0].shape == (1, 5, 64)


def test_biases_are_added_before(tmp_path: Path) -> None:
    inputs = [value(name, [1, 6, 64]) for name in "qkv"]
    single = node(MANY, "q k v b", num_heads=4)
    graph = load(tmp_path, model([single], inputs, [weight("b", 192)]))
    added = working(graph)[:3]
    assert [la.operations for la in added] == [6 * 64] * 3
    assert graph.parameters == 192


def test_packed_sequences_attend_to_their_own_tokens(tmp_path: Path) -> None:
    single = node("com.microsoft.PackedMultiHeadAttention", "q k v - o c", num_heads=4)
    inputs = [value(name, [12, 64]) for name in "qkv"] + [value("o", [2, 8], "int32")]
    ends = constant("c", [0, 4, 12], "int32")
    graph = load(tmp_path, model([single], inputs, [ends]))
    assert graph.macs == 2 * 4 * 16 * (4 * 4 + 8 * 8)


def test_rotary_embeddings_read_the_rows_of_their_positions(tmp_path: Path) -> None:
    rotary = {"do_rotary": 1, "num_heads": 8, "kv_num_heads": 2}
    single = node(GROUPED, "q k v - - l t c s", **rotary)
    inputs = [value("q", [1, 5, 256]), value("k", [1, 5, 64]), value("v", [1, 5, 64])]
    tables = [weight(name, 4096, 16) for name in "cs"] + [constant("t", 5, "int32")]
    graph = load(tmp_path, model([single], [*inputs, value("l", [1], "int32")], tables))
    query, key = [la for la in graph.layers if la.operator == "RotaryEmbedding"]
    assert (query.operations, key.operations) == (3 * 5 * 256, 3 * 5 * 64)
    assert query.weight_elements == 2 * 5 * 16
    assert graph.parameters == 0


def attended(queries: int, keys: int, band: Band) -> set[tuple[int, int]]:
    """Pairs counted one by one."""
    return {
        (i, j)
        for i in range(queries)
        for j in range(keys)
        if (band.left is None or j >= i + band.offset - band.left)
        and (band.right is None or j <= i + band.offset + band.right)
    }


reach = st.none() | st.integers(0, 6)


@given(st.integers(1, 9), st.integers(1, 9), st.builds(Band, st.integers(-3, 9), reach, reach))
def test_pairs_are_those_counted_one_by_one(queries: int, keys: int, band: Band) -> None:
    pairs = attended(queries, keys, band)
    assert band.pairs(queries, keys) == len(pairs)
    if band.offset >= 0:
        assert band.touched(queries, keys) == len({j for _, j in pairs})


@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 300), st.integers(0, 5000), reach)
def test_the_rectangle_has_just_as_many_pairs(
    groups: int, share: int, queries: int, past: int, left: int | None
) -> None:
    band, keys = Band(past, left, 0), past + queries
    pairs = band.pairs(queries, keys)
    found = nearest_rectangle(groups, share, queries, band.touched(queries, keys), pairs)
    assert math.prod(found) == groups * pairs
    whole = nearest_rectangle(groups, share, queries, keys, queries * keys)
    assert whole == (groups, queries, keys)


CAUSAL = {
    "standard": ("Attention", "q k v", {"is_causal": 1, "q_num_heads": 4, "kv_num_heads": 4}),
    "runtime": (MANY, "q k v", {"unidirectional": 1, "num_heads": 4}),
    "grouped": (GROUPED, "q k v - - l t", {"num_heads": 4, "kv_num_heads": 4}),
}


@pytest.mark.parametrize("form", CAUSAL)
@pytest.mark.parametrize("tokens", [1, 2, 7, 64])
def test_a_causal_prefill_computes_the_triangle(tmp_path: Path, form: str, tokens: int) -> None:
    operator, operands, attributes = CAUSAL[form]
    inputs = [value(name, [1, tokens, 64]) for name in "qkv"]
    if "l" in operands:
        inputs += [value("l", [1], "int32"), value("t", [], "int32")]
    single = model([node(operator, operands, **attributes)], inputs, opset=23)
    graph = load(tmp_path, single)
    scores, softmax, context = working(graph)
    pairs = tokens * (tokens + 1) // 2
    assert scores.macs == context.macs == 4 * 16 * pairs
    assert softmax.elements == 4 * pairs
    stored = softmax.inputs[0].elements
    assert 4 * pairs <= stored <= 4 * pairs + 4 * tokens


@pytest.mark.parametrize("window", [1, 3, 100])
@pytest.mark.parametrize(("past", "new"), [(0, 10), (40, 1), (40, 6)])
def test_windows_limit_what_a_query_attends_to(
    tmp_path: Path, window: int, past: int, new: int
) -> None:
    single = node(
        GROUPED, "q k v pk pv l t", num_heads=4, kv_num_heads=2, local_window_size=window
    )
    inputs = [value("q", [1, new, 64]), value("k", [1, new, 32]), value("v", [1, new, 32])]
    inputs += [value(name, [1, 2, "past", 16]) for name in ("pk", "pv")]
    inputs += [value("l", [1], "int32")]
    proto = model([single], inputs, [constant("t", past + new, "int32")])
    graph = load(tmp_path, proto, dims={"past": past})
    band = Band(past, window - 1, 0)
    pairs = len(attended(new, past + new, band))
    assert graph.macs == 2 * 4 * 16 * pairs


def test_both_sides_of_a_window(tmp_path: Path) -> None:
    single = node("com.microsoft.LongformerAttention", "x w b m gw gb g", num_heads=2, window=3)
    inputs = [value("x", [1, 12, 32]), value("m", [1, 12])]
    tensors = [weight("w", 32, 96), weight("b", 96), weight("gw", 32, 96), weight("gb", 96)]
    marks = constant("g", np.zeros((1, 12)), "int32")
    graph = load(tmp_path, model([single], inputs, [*tensors, marks]))
    pairs = len(attended(12, 12, Band(0, 3, 3)))
    products = [la for la in working(graph) if la.name.endswith("/scores")]
    assert [la.macs for la in products] == [2 * 16 * pairs]


def decode(
    operator: str, operands: str, past: int, extra: list[onnx.ValueInfoProto], **attributes: object
) -> onnx.ModelProto:
    """One token, a cache of 8 heads of 128."""
    single = node(operator, operands, "y pk2 pv2", **attributes)
    inputs = [value("q", [1, 1, 4096])]
    inputs += [value(name, [1, 1, 1024]) for name in "kv"]
    inputs += [value(name, [1, 8, past, 128]) for name in ("pk", "pv")]
    return model([single], [*inputs, *extra], outputs=["y", "pk2", "pv2"], opset=23)


def test_a_decode_step_writes_a_token(tmp_path: Path) -> None:
    attributes = {"q_num_heads": 32, "kv_num_heads": 8}
    proto = decode("Attention", "q k v - pk pv", 131_071, [], **attributes)
    cache, scores, _, context = working(load(tmp_path, proto))
    assert (cache.elements, cache.in_place, cache.operations) == (2048, True, 0)
    assert scores.workload == toolkit.batched_gemm(8, 131_072, 128, 4)
    assert context.workload == toolkit.batched_gemm(8, 128, 131_072, 4)
    whole = working(load(tmp_path, proto, kv_cache="copied"))[0]
    assert (whole.elements, whole.in_place) == (2 * 8 * 131_072 * 128, False)
    with pytest.raises(WorkloadError, match="kv_cache: expected one of in-place, copied"):
        load(tmp_path, proto, kv_cache="moved")


LENGTHS = [value("l", [1], "int32"), value("t", [], "int32")]
SHARED = {"num_heads": 32, "kv_num_heads": 8}


def test_a_growing_cache_of_grouped_heads(tmp_path: Path) -> None:
    proto = decode(GROUPED, "q k v pk pv l t", 99, LENGTHS, **SHARED)
    graph = load(tmp_path, proto)
    assert graph.outputs[1].shape == (1, 8, 100, 128)
    assert graph.macs == 2 * 32 * 100 * 128
    assert not graph.warnings


def test_a_shared_buffer_is_used_in_part(tmp_path: Path) -> None:
    proto = decode(GROUPED, "q k v pk pv l t", 4096, LENGTHS, **SHARED)
    graph = load(tmp_path, proto, dims={"t": 1000})
    assert graph.outputs[1].shape == (1, 8, 4096, 128)
    cache, scores, *_ = working(graph)
    assert (cache.elements, scores.workload) == (2048, toolkit.batched_gemm(8, 1000, 128, 4))
    assert scores.inputs[1].shape == (1, 8, 1000, 128)


def test_a_shared_buffer_that_the_file_declares(tmp_path: Path) -> None:
    proto = decode(GROUPED, "q k v pk pv l t", 4096, LENGTHS, **SHARED)
    for output in list(proto.graph.output)[1:]:
        output.CopyFrom(value(output.name, [1, 8, 4096, 128]))
    assert load(tmp_path, proto, dims={"total": 1000}).macs == 2 * 32 * 1000 * 128
    assert load(tmp_path, proto, dims={"past": 999}).macs == 2 * 32 * 1000 * 128
    graph = load(tmp_path, proto)
    assert graph.macs == 2 * 32 * 4096 * 128
    assert "how much of its cache of 4096 positions is in use" in graph.warnings[0]
    with pytest.raises(WorkloadError, match="cannot be 9000 in total"):
        load(tmp_path, proto, dims={"total": 9000})


def test_a_buffer_of_keys_and_values_in_one(tmp_path: Path) -> None:
    single = node(
        "com.microsoft.Attention", "x w b - p - l", "y p2", num_heads=4, unidirectional=1,
        past_present_share_buffer=1,
    )  # fmt: skip
    inputs = [value("x", [1, 1, 64]), value("p", [2, 1, 4, 512, 16])]
    tensors = [weight("w", 64, 192), weight("b", 192), constant("l", 99, "int32")]
    graph = load(tmp_path, model([single], inputs, tensors, outputs=["y", "p2"]))
    cache = next(layer for layer in graph.layers if layer.in_place)
    assert cache.elements == 2 * 64
    assert graph.outputs[1].shape == (2, 1, 4, 512, 16)
    assert graph.macs == 64 * 192 + 2 * 4 * 100 * 16


def test_used_keys_of_a_buffer_stored_elsewhere(tmp_path: Path) -> None:
    single = node("Attention", "q k v - - - n", is_causal=1)
    inputs = [value("q", [1, 8, 4, 16])]
    inputs += [value(name, [1, 2, 256, 16]) for name in "kv"]
    proto = model([single], inputs, [constant("n", [100])], opset=24)
    graph = load(tmp_path, proto)
    assert graph.macs == 2 * 16 * 8 * (4 * 96 + 10)
    unknown = model([single], [*inputs, value("n", [1], "int64")], opset=24)
    assert load(tmp_path, unknown, dims={"n": 100}).macs == graph.macs
    assert load(tmp_path, unknown, dims={"total": 100}).macs == graph.macs
    assert "how many of its 256 keys" in load(tmp_path, unknown).warnings[0]


def test_quantized_projections_and_scales(tmp_path: Path) -> None:
    single = node("com.microsoft.QAttention", "x w b xs ws - xz wz", num_heads=4)
    tensors = [weight("w", 64, 192, dtype="int8"), weight("b", 192), weight("ws", 192)]
    tensors += [constant("xs", 1.0, "float"), constant("xz", 0, "uint8")]
    tensors += [weight("wz", 192, dtype="int8")]
    graph = load(tmp_path, model([single], [value("x", [1, 5, 64], "uint8")], tensors))
    product = graph.layers[0]
    plain = toolkit.gemm(64, 64, 5)
    assert product.workload == toolkit.with_bits(plain, input_bits=8, weight_bits=8)
    assert [(t.elements, t.dtype) for t in product.weights] == [
        (64 * 64, "int8"), (64, "float32"), (64, "float32"), (64, "int8"),
    ]  # fmt: skip
    assert graph.parameters == 64 * 192 + 192
    assert graph.outputs[0].dtype == "float32"


def test_keys_in_four_bits_are_read_as_such(tmp_path: Path) -> None:
    single = node(
        GROUPED, "q k v pk pv l t", "y pk2 pv2", num_heads=8, kv_num_heads=2, kv_cache_bit_width=4,
        k_quant_type="PER_TENSOR", v_quant_type="PER_TENSOR",
    )  # fmt: skip
    inputs = [value("q", [1, 1, 128]), value("k", [1, 1, 32]), value("v", [1, 1, 32])]
    inputs += [value(name, [1, 2, 63, 8], "uint8") for name in ("pk", "pv")]
    tensors = [constant("t", 64, "int32")]
    proto = model([single], [*inputs, LENGTHS[0]], tensors, outputs=["y", "pk2", "pv2"])
    graph = load(tmp_path, proto)
    scores = next(la for la in graph.layers if la.name.endswith("/scores"))
    assert scores.inputs[1].bytes == 2 * 64 * 16 // 2
    assert [(t.shape, t.dtype) for t in graph.outputs[1:]] == [((1, 2, 64, 8), "uint8")] * 2


def test_blocks_that_are_not_masked(tmp_path: Path) -> None:
    single = node(
        "com.microsoft.SparseAttention", "q k v pk pv r c t l", "y pk2 pv2", num_heads=4,
        kv_num_heads=4, sparse_block_size=16,
    )  # fmt: skip
    inputs = [value(name, [1, 64, 64]) for name in "qkv"]
    inputs += [value(name, [1, 4, 64, 16]) for name in ("pk", "pv")] + [value("l", [1], "int32")]
    rows = constant("r", [[0, 1, 3, 5, 7]], "int32")
    columns = constant("c", [[0, 0, 1, 1, 2, 2, 3]], "int32")
    tensors = [rows, columns, constant("t", 64, "int32")]
    graph = load(tmp_path, model([single], inputs, tensors, outputs=["y", "pk2", "pv2"]))
    # Four blocks on the diagonal, half of each masked, and three whole ones.
    assert graph.macs == 2 * 4 * 16 * (4 * 136 + 3 * 256)


def test_a_cache_in_blocks(tmp_path: Path) -> None:
    single = node(
        "com.microsoft.PagedAttention", "q k v kc vc e p b", "y kc2 vc2", num_heads=8,
        kv_num_heads=2,
    )  # fmt: skip
    inputs = [value("q", [3, 128]), value("k", [3, 32]), value("v", [3, 32])]
    inputs += [value(name, [99, 16, 2, 16]) for name in ("kc", "vc")]
    inputs += [value("e", [4], "int32"), value("b", [3, 8], "int32")]
    lengths = constant("p", [40, 40, 40], "int32")
    graph = load(tmp_path, model([single], inputs, [lengths], outputs=["y", "kc2", "vc2"]))
    assert graph.macs == 2 * 3 * 8 * 41 * 16
    cache = next(layer for layer in graph.layers if layer.in_place)
    assert cache.elements == 3 * 2 * 32
    assert [t.shape for t in graph.outputs] == [(3, 128), *[(99, 16, 2, 16)] * 2]


WRONG = [
    (node("Attention", "q q q", q_num_heads=3, kv_num_heads=2), "do not divide 3"),
    (node(MANY, "q q q"), "num_heads must be positive"),
    (node(GROUPED, "q q q - - l t", num_heads=0), "must be positive"),
    (
        node(GROUPED, "q q q - - l t", num_heads=4, kv_num_heads=2),
        r"its key has shape \[1, 4, 24\]; expected 1 x 4 positions of 2 heads of 6",
    ),
]


@pytest.mark.parametrize(("single", "message"), WRONG)
def test_heads_that_cannot_be(tmp_path: Path, single: onnx.NodeProto, message: str) -> None:
    inputs = [value("q", [1, 4, 24])] + (LENGTHS if "l" in single.input else [])
    with pytest.raises(WorkloadError, match=message):
        load(tmp_path, model([single], inputs, opset=23))


@pytest.mark.parametrize(
    ("operator", "operands"),
    [("RotaryEmbedding", "x c s p"), ("com.microsoft.RotaryEmbedding", "x p c s")],
)
def test_rotary_embeddings_on_their_own(tmp_path: Path, operator: str, operands: str) -> None:
    inputs = [value("x", [1, 4, 5, 32]), value("p", [1, 5], "int64")]
    tensors = [weight("c", 9000, 16), weight("s", 9000, 16)]
    graph = load(tmp_path, model([node(operator, operands)], inputs, tensors, opset=23))
    (layer,) = graph.layers
    assert (layer.operator, layer.operations) == (operator, 3 * 4 * 5 * 32)
    assert (layer.weight_elements, graph.parameters) == (2 * 5 * 16, 0)
    partly = node(operator, operands, rotary_embedding_dim=8, num_heads=4)
    assert load(tmp_path, model([partly], inputs, tensors, opset=23)).operations == 3 * 4 * 5 * 8
