"""Copies that graphs have and machines do not make: caches, shared heads, transposes."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from tiny_networks import constant, load, model, node, value, weight

import toolkit
from toolkit.fusion import fold

PAST, BATCH, HEADS, GROUPS, SIZE = 99, 2, 8, 2, 16
TOKEN = BATCH * GROUPS * SIZE


def moved(graph: toolkit.LayerGraph) -> dict[str, int]:
    """Elements that every layer moves."""
    return {layer.name: layer.elements for layer in graph.layers if layer.cost_class == "movement"}


def decode_step(
    update: list[onnx.NodeProto],
    repeat: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    tensors: list[onnx.TensorProto],
    outputs: list[str],
) -> onnx.ModelProto:
    """One token whose heads attend to ``keys`` and ``values``, made by `update` and `repeat`."""
    split = [
        node("MatMul", f"x w{a}", f"{a}0", name=f"project_{a}") for a in "qkv"
    ] + [
        node("Reshape", f"{a}0 s{a}", f"{a}1", name=f"split_{a}") for a in "qkv"
    ] + [
        node("Transpose", f"{a}1", a, perm=[0, 2, 1, 3], name=f"heads_{a}") for a in "qkv"
    ]  # fmt: skip
    attend = [
        node("Transpose", "K", "KT", perm=[0, 1, 3, 2], name="turn"),
        node("MatMul", "q KT", "scores", name="scores"),
        node("Softmax", "scores", "weights", axis=-1),
        node("MatMul", "weights V", "context", name="context"),
        node("Transpose", "context", "joined", perm=[0, 2, 1, 3], name="join"),
        node("Reshape", "joined so", "flat", name="flatten"),
        node("MatMul", "flat wo", "y", name="project_o"),
    ]
    constants = [
        weight("wq", 128, 128), weight("wk", 128, 32), weight("wv", 128, 32),
        weight("wo", 128, 128), constant("sq", [BATCH, -1, HEADS, SIZE]),
        constant("sk", [BATCH, -1, GROUPS, SIZE]), constant("sv", [BATCH, -1, GROUPS, SIZE]),
        constant("so", [BATCH, -1, 128]),
    ]  # fmt: skip
    return model(
        [*split, *update, *repeat, *attend],
        [value("x", [BATCH, 1, 128]), *inputs],
        [*constants, *tensors],
        outputs=["y", *outputs],
        opset=24,
    )


CACHES = [value(name, [BATCH, GROUPS, PAST, SIZE]) for name in ("pk", "pv")]
APPEND = [
    node("Concat", "pk k", "nk", axis=2, name="append_k"),
    node("Concat", "pv v", "nv", axis=2, name="append_v"),
]


def repeated(operator: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Heads of keys and values repeated for those of the query, as exporters write it."""
    nodes, tensors = [], [constant("two", [2])]
    tensors.append(constant("shape", [BATCH, HEADS, -1, SIZE]))
    if operator == "Gather":
        order = [head // (HEADS // GROUPS) for head in range(HEADS)]
        tensors.append(constant("order", order))
        nodes = [node("Gather", f"n{a} order", a.upper(), axis=1, name=f"g{a}") for a in "kv"]
        return nodes, tensors
    if operator == "Concat":
        many = {a: " ".join([f"n{a}"] * (HEADS // GROUPS)) for a in "kv"}
        return [node("Concat", many[a], a.upper(), axis=1, name=f"c{a}") for a in "kv"], []
    if operator == "Tile":
        tensors.append(constant("times", [1, 1, HEADS // GROUPS, 1, 1]))
    else:
        sizes = [BATCH, GROUPS, HEADS // GROUPS, PAST + 1, SIZE]
        tensors.append(constant("times", sizes))
    for a in "kv":
        nodes += [
            node("Unsqueeze", f"n{a} two", f"{a}2", name=f"unsqueeze_{a}"),
            node(operator, f"{a}2 times", f"{a}3", name=f"repeat_{a}"),
            node("Reshape", f"{a}3 shape", a.upper(), name=f"merge_{a}"),
        ]
    return nodes, tensors


@pytest.mark.parametrize("operator", ["Expand", "Tile", "Gather", "Concat"])
def test_a_decode_step_reads_its_cache_and_writes_a_token(tmp_path: Path, operator: str) -> None:
    repeat, tensors = repeated(operator)
    proto = decode_step(APPEND, repeat, CACHES, tensors, ["nk", "nv"])
    graph = load(tmp_path, proto)
    assert moved(graph) == {"append_k": TOKEN, "append_v": TOKEN}
    layers = {layer.name: layer for layer in graph.layers}
    groups = BATCH * GROUPS
    assert layers["scores"].workload == toolkit.batched_gemm(groups, PAST + 1, SIZE, 4)
    assert layers["context"].workload == toolkit.batched_gemm(groups, SIZE, PAST + 1, 4)
    assert layers["scores"].inputs[1].elements == TOKEN * (PAST + 1)
    assert [t.shape for t in graph.outputs[1:]] == [(BATCH, GROUPS, PAST + 1, SIZE)] * 2
    copied = moved(load(tmp_path, proto, kv_cache="copied"))
    assert copied["append_k"] == TOKEN * (PAST + 1)


def test_the_whole_step_equals_the_operator(tmp_path: Path) -> None:
    """Grouped heads by one operator, and written out."""
    repeat, tensors = repeated("Expand")
    apart = load(tmp_path, decode_step(APPEND, repeat, CACHES, tensors, ["nk", "nv"]))
    single = node(
        "com.microsoft.GroupQueryAttention", "q k v pk pv l t", "y nk nv", num_heads=HEADS,
        kv_num_heads=GROUPS,
    )  # fmt: skip
    inputs = [value("q", [BATCH, 1, 128]), value("k", [BATCH, 1, 32]), value("v", [BATCH, 1, 32])]
    inputs += [*CACHES, value("l", [BATCH], "int32")]
    total = constant("t", PAST + 1, "int32")
    graph = load(tmp_path, model([single], inputs, [total], outputs=["y", "nk", "nv"]))
    products = [layer.workload for layer in graph.layers if layer.workload]
    assert products == [layer.workload for layer in apart.layers if layer.workload][-3:-1]
    assert sum(moved(graph).values()) == sum(moved(apart).values())


def test_caches_stacked_into_one_tensor(tmp_path: Path) -> None:
    repeat, tensors = repeated("Expand")
    update = [
        node("Gather", "past zero", "pk", axis=0, name="select_k"),
        node("Gather", "past one", "pv", axis=0, name="select_v"),
        *APPEND,
        node("Unsqueeze", "nk first", "nk2", name="wide_k"),
        node("Unsqueeze", "nv first", "nv2", name="wide_v"),
        node("Concat", "nk2 nv2", "present", axis=0, name="stack"),
    ]
    tensors += [constant("zero", 0), constant("one", 1), constant("first", [0])]
    past = [value("past", [2, BATCH, GROUPS, PAST, SIZE])]
    graph = load(tmp_path, decode_step(update, repeat, past, tensors, ["present"]))
    assert moved(graph) == {"append_k": TOKEN, "append_v": TOKEN}


def test_a_window_drops_the_oldest_token(tmp_path: Path) -> None:
    repeat, tensors = repeated("Expand")
    update = [
        *APPEND,
        *(node("Slice", f"n{a} start end axis", f"o{a}", name=f"keep_{a}") for a in "kv"),
    ]
    tensors += [constant("start", [1]), constant("end", [PAST + 1]), constant("axis", [2])]
    graph = load(tmp_path, decode_step(update, repeat, CACHES, tensors, ["ok", "ov"]))
    assert moved(graph) == {"append_k": TOKEN, "append_v": TOKEN}


SCATTERS = {
    "TensorScatter": ("pk k at", {"axis": 2}, ("at", [BATCH])),
    "ScatterElements": ("pk at k", {"axis": 2}, ("at", [BATCH, GROUPS, 1, SIZE])),
}


@pytest.mark.parametrize("operator", SCATTERS)
def test_a_buffer_is_updated_where_it_is(tmp_path: Path, operator: str) -> None:
    operands, attributes, (name, shape) = SCATTERS[operator]
    nodes = [
        node("MatMul", "x w", "k", name="project"),
        node(operator, operands, "nk", name="update", **attributes),
        node("Transpose", "nk", "kt", perm=[0, 1, 3, 2], name="turn"),
        node("MatMul", "q kt", "y", name="scores"),
    ]
    inputs = [value("x", [BATCH, GROUPS, 1, 8]), value("q", [BATCH, GROUPS, 1, SIZE])]
    inputs += [CACHES[0], value(name, shape, "int64")]
    proto = model(nodes, inputs, [weight("w", 8, SIZE)], outputs=["y", "nk"], opset=24)
    assert moved(load(tmp_path, proto)) == {"update": TOKEN}
    whole = moved(load(tmp_path, proto, kv_cache="copied"))
    assert whole == {"update": TOKEN * PAST}


def test_keys_scaled_by_the_exporter_are_not_read_for_that(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", "x w", "k", name="project"),
        node("Concat", "pk k", "nk", axis=2, name="append"),
        node("Reshape", "nk flat", "k1", name="flatten"),
        node("Transpose", "k1", "k2", perm=[0, 2, 1], name="turn"),
        node("Reshape", "k2 apart", "k3", name="unflatten"),
        node("Mul", "k3 scale", "k4", name="scaled"),
        node("MatMul", "q k4", "y", name="scores"),
    ]
    inputs = [value("x", [BATCH, GROUPS, 1, 8]), value("q", [BATCH, GROUPS, 1, SIZE]), CACHES[0]]
    tensors = [weight("w", 8, SIZE), constant("flat", [-1, PAST + 1, SIZE])]
    tensors += [constant("apart", [BATCH, GROUPS, SIZE, -1]), constant("scale", 0.5, "float")]
    graph = load(tmp_path, model(nodes, inputs, tensors, outputs=["y", "nk"]))
    working = [layer for layer in graph.layers if layer.cost_class != "view"]
    assert [layer.name for layer in working] == ["project", "append", "scores"]
    assert working[-1].operations == BATCH * GROUPS * (PAST + 1)


def test_what_else_is_joined_is_read_side_by_side_unless_it_leaves(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "r"), node("Concat", "r p", "y", axis=1)]
    inputs = [value("x", [1, 4, 8]), value("p", [1, 2, 8])]
    assert moved(load(tmp_path, model(nodes, inputs))) == {"concat": 48}
    inside = [
        node("Concat", "p r", "z", axis=1, name="inside"),
        node("Relu", "x", "r"),
        node("Sigmoid", "z", "y"),
    ]
    inside = [inside[1], inside[0], inside[2]]
    graph = load(tmp_path, model(inside, inputs))
    assert moved(graph) == {}
    assert {layer.name for layer in graph.layers if layer.cost_class == "view"} == {"inside"}


def test_tensors_are_read_side_by_side_as_often_as_they_are_joined(tmp_path: Path) -> None:
    """As in dense blocks: what was joined before is joined with what comes next."""
    nodes = [
        node("MatMul", "x w4", "a", name="first"),
        node("Concat", "x a", "xa", axis=2, name="two"),
        node("MatMul", "xa w8", "b", name="second"),
        node("Concat", "xa b", "xab", axis=2, name="three"),
        node("Sigmoid", "xab", "c", name="all"),
        node("Concat", "a z", "d", axis=2, name="constant"),
        node("Relu", "d", "e"),
        node("Concat", "a b", "y", axis=1, name="leaves"),
    ]
    tensors = [weight("w4", 4, 4), weight("w8", 8, 4), weight("z", 1, 3, 2)]
    outputs = ["c", "e", "y"]
    graph = load(tmp_path, model(nodes, [value("x", [1, 3, 4])], tensors, outputs=outputs))
    assert moved(graph) == {"constant": 18, "leaves": 24}
    folded = fold(graph)
    read = {layer.name: [t.name for t in layer.inputs] for layer in folded.layers}
    assert read["second"] == ["x", "a"] and read["all"] == ["x", "a", "b"]
    assert folded.layer_of("all").output.elements == 36
    assert [rank.axis for rank in folded.layer_of("all").ranks] == [1]


def test_copies_that_others_read_are_made(tmp_path: Path) -> None:
    nodes = [
        node("Expand", "k s", "many"),
        node("Softmax", "many", "y", axis=1),
    ]
    inputs = [value("k", [1, 2, 1, 5, 4])]
    graph = load(tmp_path, model(nodes, inputs, [constant("s", [1, 2, 3, 5, 4])]))
    assert moved(graph) == {"expand": 120}


def test_masked_heads_that_share_keys(tmp_path: Path) -> None:
    nodes = [
        node("Expand", "k s", "k1"),
        node("Reshape", "k1 m", "k2"),
        node("Attention", "q k2 k2", "y", is_causal=1),
    ]
    inputs = [value("q", [1, 8, 7, 16]), value("k", [1, 2, 1, 7, 16])]
    tensors = [constant("s", [1, 2, 4, 7, 16]), constant("m", [1, 8, 7, 16])]
    graph = load(tmp_path, model(nodes, inputs, tensors, opset=23))
    scores, context = [layer.workload for layer in graph.layers if layer.workload]
    assert scores == toolkit.batched_gemm(2, 4, 16, 7 * 4)
    assert context == toolkit.batched_gemm(2, 16, 4, 7 * 4)
    assert not moved(graph)


TRANSPOSES = [
    ([0, 2, 1, 3], "MatMul", "t w", {}),
    ([0, 1, 3, 2], "MatMul", "q t", {}),
    ([0, 1, 3, 2], "MatMul", "t w", {"transpose": 96}),
    ([0, 2, 1, 3], "Softmax", "t", {"transpose": 96}),
    ([3, 2, 1, 0], "MatMul", "q t", {"transpose": 96}),
]


@pytest.mark.parametrize(("order", "operator", "operands", "found"), TRANSPOSES)
def test_products_read_transposed_operands(
    tmp_path: Path, order: list[int], operator: str, operands: str, found: dict[str, int]
) -> None:
    nodes = [node("Transpose", "x", "t", perm=order), node(operator, operands, name="reader")]
    sizes = [2, 3, 4, 4] if order[-1] else [4, 4, 3, 2]
    inputs = [value("x", sizes)]
    if "q" in operands:
        inputs.append(value("q", [2, 3, 5, 4]))
    assert moved(load(tmp_path, model(nodes, inputs, [weight("w", 4, 6)]))) == found


@pytest.mark.parametrize("back", [True, False])
def test_a_buffer_turned_for_its_update(tmp_path: Path, back: bool) -> None:
    nodes = [
        node("Transpose", "pk", "turned", perm=[2, 0, 1, 3], name="turn"),
        node("MatMul", "x w", "k", name="project"),
        node("ScatterND", "turned at k", "nt", name="update"),
        node("Transpose", "nt", "nk", perm=[1, 2, 0, 3], name="turn_back"),
        node("Relu", "nk", "y", name="reader"),
    ]
    inputs = [value("x", [1, BATCH, GROUPS, 8]), CACHES[0], value("at", [1, 1], "int64")]
    proto = model(nodes, inputs, [weight("w", 8, SIZE)], outputs=["y", "nk" if back else "nt"])
    found = moved(load(tmp_path, proto))
    if back:
        assert found == {"update": TOKEN}
    else:
        assert found["turn_back"] == TOKEN * PAST
