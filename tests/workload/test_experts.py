"""Mixtures of experts: what runs, what is read, and what is learned."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_networks import constant, load, model, node, value, weight

import toolkit
from toolkit.errors import WorkloadError
from toolkit.workload.network.operators.experts import expert_shares

EXPERTS, HIDDEN, INNER = 8, 32, 64


@given(st.integers(1, 5000), st.integers(1, 200))
def test_every_token_runs_on_its_experts(assignments: int, experts: int) -> None:
    shares = expert_shares(assignments, experts)
    assert sum(share.experts * share.tokens for share in shares) == assignments
    assert sum(share.experts for share in shares) == min(assignments, experts)


def mixture(
    tokens: int, operands: str = "x r w1 - w2 - w3", **attributes: object
) -> onnx.ModelProto:
    tensors = [
        weight("w1", EXPERTS, INNER, HIDDEN),
        weight("w2", EXPERTS, HIDDEN, INNER),
        weight("w3", EXPERTS, INNER, HIDDEN),
    ]
    single = node("com.microsoft.MoE", "x r w1 - w2 - w3", k=2, activation_type="silu")
    inputs = [value("x", [1, tokens, HIDDEN]), value("r", [tokens, EXPERTS])]
    return model([single], inputs, tensors)


PER_TOKEN = 3 * HIDDEN * INNER


@pytest.mark.parametrize(("tokens", "running"), [(1, 2), (3, 6), (4, 8), (5, 8), (100, 8)])
def test_experts_that_run_are_read(tmp_path: Path, tokens: int, running: int) -> None:
    graph = load(tmp_path, mixture(tokens))
    assert graph.macs == 2 * tokens * PER_TOKEN
    assert sum(layer.weight_elements for layer in graph.layers) == running * PER_TOKEN
    assert graph.parameters == EXPERTS * PER_TOKEN
    assert graph.outputs[0].shape == (1, tokens, HIDDEN)


def test_experts_per_token_of_the_user(tmp_path: Path) -> None:
    assert load(tmp_path, mixture(5), experts=3).macs == 3 * 5 * PER_TOKEN
    with pytest.raises(WorkloadError, match=r"moe.*9 experts per token of 8"):
        load(tmp_path, mixture(5), experts=9)


def test_workloads_are_batches_of_experts(tmp_path: Path) -> None:
    graph = load(tmp_path, mixture(8))
    products = {layer.name: layer.workload for layer in graph.layers if layer.workload}
    assert products == {
        "moe/fc1": toolkit.batched_gemm(8, INNER, HIDDEN, 2),
        "moe/fc3": toolkit.batched_gemm(8, INNER, HIDDEN, 2),
        "moe/fc2": toolkit.batched_gemm(8, HIDDEN, INNER, 2),
    }


@pytest.mark.parametrize("bits", [4, 8])
def test_quantized_experts_have_their_scales(tmp_path: Path, bits: int) -> None:
    single = node(
        "com.microsoft.QMoE", "x r w1 s1 - w2 s2", k=2, expert_weight_bits=bits, block_size=16,
        swiglu_fusion=1, activation_type="swiglu",
    )  # fmt: skip
    tensors = [
        weight("w1", EXPERTS, 2 * INNER, HIDDEN * bits // 8, dtype="uint8"),
        weight("s1", EXPERTS, 2 * INNER, HIDDEN // 16, dtype="half"),
        weight("w2", EXPERTS, HIDDEN, INNER * bits // 8, dtype="uint8"),
        weight("s2", EXPERTS, HIDDEN, INNER // 16, dtype="half"),
    ]
    inputs = [value("x", [3, HIDDEN], "half"), value("r", [3, EXPERTS], "half")]
    graph = load(tmp_path, model([single], inputs, tensors))
    assert graph.macs == 2 * 3 * PER_TOKEN
    assert graph.parameters == EXPERTS * PER_TOKEN
    assert graph.parameter_bytes == EXPERTS * PER_TOKEN * bits // 8
    read = sum(layer.weight_bytes for layer in graph.layers)
    assert read == 6 * (PER_TOKEN * bits // 8 + 2 * PER_TOKEN // 16)
    assert {t.dtype for la in graph.layers for t in la.weights} == {f"uint{bits}", "float16"}


def test_weights_of_unheard_of_bits(tmp_path: Path) -> None:
    single = node("com.microsoft.QMoE", "x r w1 s - w2 s", k=2, expert_weight_bits=77)
    tensors = [weight(name, 4, 32, 20, dtype="uint8") for name in ("w1", "w2")]
    inputs = [value("x", [3, 32]), value("r", [3, 4])]
    with pytest.raises(WorkloadError, match=r"qmoe.*weights of 77 bits are not read"):
        load(tmp_path, model([single], inputs, [*tensors, weight("s", 4, 32)]))


TOKENS = 6


def router() -> list[onnx.NodeProto]:
    """Scores of the experts, of which the two largest are chosen."""
    return [
        node("MatMul", "x g", "scores", name="gate"),
        node("TopK", "scores two", "values chosen", name="router", axis=-1),
    ]


def named(*tensors: onnx.TensorProto) -> list[onnx.TensorProto]:
    every = [weight("g", HIDDEN, EXPERTS), constant("two", [2])]
    return [*every, *tensors]


def apart(tokens: int) -> onnx.ModelProto:
    """A body for every expert, as exporters unroll it: NonZero says which tokens are its own."""
    nodes, tensors = router(), named()
    nodes += [
        node("OneHot", "chosen experts on_off", "hot", axis=-1, name="hot"),
        node("Transpose", "hot", "mask", perm=[2, 1, 0], name="mask"),
    ]
    total = "zeros"
    for i in range(EXPERTS):
        nodes += [
            node("Gather", f"mask i{i}", f"m{i}", axis=0, name=f"mask_of_{i}"),
            node("NonZero", f"m{i}", f"n{i}", name=f"tokens_of_{i}"),
            node("Split", f"n{i} halves", f"slot{i} row{i}", axis=0, name=f"split_{i}"),
            node("Squeeze", f"row{i} zero", f"rows{i}", name=f"squeeze_{i}"),
            node("Gather", f"x rows{i}", f"x{i}", axis=0, name=f"gather_{i}"),
            node("MatMul", f"x{i} a{i}", f"h{i}", name=f"up_{i}"),
            node("Relu", f"h{i}", f"r{i}", name=f"relu_{i}"),
            node("MatMul", f"r{i} b{i}", f"o{i}", name=f"down_{i}"),
            node("Unsqueeze", f"rows{i} one", f"at{i}", name=f"at_{i}"),
            node("ScatterND", f"{total} at{i} o{i}", f"t{i}", reduction="add", name=f"add_{i}"),
        ]
        tensors += [weight(f"a{i}", HIDDEN, INNER), weight(f"b{i}", INNER, HIDDEN)]
        tensors.append(constant(f"i{i}", i))
        total = f"t{i}"
    tensors += [
        constant("experts", EXPERTS), constant("on_off", [0, 1]), constant("halves", [1, 1]),
        constant("zero", [0]), constant("one", [1]), weight("zeros", tokens, HIDDEN),
    ]  # fmt: skip
    return model(nodes, [value("x", [tokens, HIDDEN])], tensors, outputs=[total])


def gathered(tokens: int) -> onnx.ModelProto:
    """A matrix for every token and expert it goes to."""
    nodes = [
        *router(),
        node("Gather", "a chosen", "wa", axis=0, name="gather_a"),
        node("Unsqueeze", "x twice", "xx", name="unsqueeze"),
        node("MatMul", "wa xx", "h", name="up"),
        node("Relu", "h", "r", name="relu"),
        node("Gather", "b chosen", "wb", axis=0, name="gather_b"),
        node("MatMul", "wb r", "o", name="down"),
        node("ReduceSum", "o sum", "y", keepdims=0, name="sum"),
    ]
    tensors = named(weight("a", EXPERTS, INNER, HIDDEN), weight("b", EXPERTS, HIDDEN, INNER))
    tensors += [constant("twice", [1, 3]), constant("sum", [1, 3])]
    return model(nodes, [value("x", [tokens, HIDDEN])], tensors)


def masked(tokens: int) -> onnx.ModelProto:
    """All experts on all tokens, what they make weighed with scores that are mostly zero."""
    nodes = [
        *router(),
        node("ScatterElements", "none chosen values", "sparse", axis=1, name="scatter"),
        node("Transpose", "sparse", "turned", perm=[1, 0], name="turn"),
        node("Unsqueeze", "turned last", "scale", name="unsqueeze"),
        node("Tile", "x times", "many", name="tile"),
        node("Reshape", "many shape", "each", name="reshape"),
        node("MatMul", "each a", "h", name="up"),
        node("Relu", "h", "r", name="relu"),
        node("MatMul", "r b", "o", name="down"),
        node("Mul", "o scale", "weighed", name="weigh"),
        node("ReduceSum", "weighed first", "y", keepdims=0, name="sum"),
    ]
    tensors = named(weight("a", EXPERTS, HIDDEN, INNER), weight("b", EXPERTS, INNER, HIDDEN))
    tensors += [
        constant("none", [[0.0] * EXPERTS] * tokens, "float"), constant("last", [2]),
        constant("times", [EXPERTS, 1]), constant("shape", [EXPERTS, tokens, HIDDEN]),
        constant("first", [0]),
    ]  # fmt: skip
    return model(nodes, [value("x", [tokens, HIDDEN])], tensors)


def masked_before(tokens: int) -> onnx.ModelProto:
    """All experts on all tokens, which are weighed before."""
    proto = masked(tokens)
    kept = [n for n in proto.graph.node if n.name not in ("reshape", "weigh", "sum", "unsqueeze")]
    nodes = [
        *kept[: kept.index(next(n for n in kept if n.name == "up"))],
        node("Reshape", "turned column", "scale", name="column"),
        node("Mul", "many scale", "weighed", name="weigh"),
        node("Reshape", "weighed shape", "each", name="reshape"),
        *kept[kept.index(next(n for n in kept if n.name == "up")) :],
        node("ReduceSum", "o first", "y", keepdims=0, name="sum"),
    ]
    tensors = [*proto.graph.initializer, constant("column", [-1, 1])]
    return model(nodes, [value("x", [tokens, HIDDEN])], tensors)


FORMS = {
    "apart": apart, "gathered": gathered, "masked": masked, "masked before": masked_before,
}  # fmt: skip
MATRICES = 2 * HIDDEN * INNER


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("tokens", "running"), [(1, 2), (TOKENS, 8), (16, 8)])
def test_experts_written_out(tmp_path: Path, form: str, tokens: int, running: int) -> None:
    gate = HIDDEN * EXPERTS
    graph = load(tmp_path, FORMS[form](tokens))
    assert graph.macs == tokens * (gate + 2 * MATRICES)
    read = sum(layer.weight_elements for layer in graph.layers if layer.workload)
    assert read == gate + running * MATRICES
    assert graph.parameters == gate + EXPERTS * MATRICES
    # No layer goes over more than the tokens that all experts get together.
    most = 2 * tokens * INNER
    assert max(la.elements for la in graph.layers if la.cost_class == "elementwise") <= most


@pytest.mark.parametrize("form", FORMS)
def test_experts_of_the_user_in_graphs(tmp_path: Path, form: str) -> None:
    graph = load(tmp_path, FORMS[form](TOKENS), experts=3)
    assert graph.macs == TOKENS * (HIDDEN * EXPERTS + 3 * MATRICES)


def test_how_tokens_are_spread_is_said(tmp_path: Path) -> None:
    warning = load(tmp_path, apart(TOKENS)).warnings[-1]
    assert warning == (
        "the 6 tokens that 'router' routes are spread evenly over its 8 experts, of which 8 run"
    )


def test_sums_over_experts_are_written_in_place(tmp_path: Path) -> None:
    graph = load(tmp_path, apart(16))
    sums = [layer.elements for layer in graph.layers if layer.operator == "ScatterND"]
    assert sums == [16 * HIDDEN] + [4 * HIDDEN] * (EXPERTS - 1)


def test_all_experts_run_where_nothing_is_masked(tmp_path: Path) -> None:
    proto = masked(TOKENS)
    weigh = next(n for n in proto.graph.node if n.name == "weigh")
    weigh.op_type = "Add"
    graph = load(tmp_path, proto)
    assert graph.macs == TOKENS * EXPERTS * (HIDDEN + MATRICES)


@pytest.mark.parametrize(("tokens", "running"), [(1, 2), (TOKENS, 6), (16, 8)])
def test_a_loop_over_experts(tmp_path: Path, tokens: int, running: int) -> None:
    body = [
        node("Gather", "mask i", "m", axis=0, name="mask_of"),
        node("NonZero", "m", "n", name="tokens_of"),
        node("Split", "n halves", "slot row", axis=0, name="split"),
        node("Squeeze", "row zero", "rows", name="squeeze"),
        node("Gather", "x rows", "xs", axis=0, name="gather"),
        node("Gather", "a i", "wa", axis=0, name="gather_a"),
        node("MatMul", "xs wa", "h", name="up"),
        node("Gather", "b i", "wb", axis=0, name="gather_b"),
        node("MatMul", "h wb", "o", name="down"),
        node("Unsqueeze", "rows one", "at", name="at"),
        node("ScatterND", "total at o", "more", reduction="add", name="add"),
        node("Identity", "going", "still", name="still"),
    ]
    graph = onnx.helper.make_graph(
        body,
        "body",
        [value("i", [], "int64"), value("going", [], "bool"), value("total", [tokens, HIDDEN])],
        [value("still", [], "bool"), value("more", [tokens, HIDDEN])],
    )
    nodes = [
        *router(),
        node("OneHot", "chosen experts on_off", "hot", axis=-1, name="hot"),
        node("Transpose", "hot", "mask", perm=[2, 1, 0], name="mask"),
        node("Loop", "experts - zeros", "y", name="loop", body=graph),
    ]
    tensors = named(weight("a", EXPERTS, HIDDEN, INNER), weight("b", EXPERTS, INNER, HIDDEN))
    tensors += [
        constant("experts", EXPERTS), constant("on_off", [0, 1]), constant("halves", [1, 1]),
        constant("zero", [0]), constant("one", [1]), weight("zeros", tokens, HIDDEN),
    ]  # fmt: skip
    found = load(tmp_path, model(nodes, [value("x", [tokens, HIDDEN])], tensors))
    assert found.macs == tokens * (HIDDEN * EXPERTS + 2 * MATRICES)
    read = sum(la.weight_elements * la.repetitions for la in found.layers if la.workload)
    assert read == HIDDEN * EXPERTS + running * MATRICES
    assert found.parameters == HIDDEN * EXPERTS + EXPERTS * MATRICES
