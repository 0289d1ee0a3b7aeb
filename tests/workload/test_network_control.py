"""If, Loop and Scan: bodies that are counted, and those that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from tiny_networks import assumptions, constant, load, model, node, value, weight, write

import toolkit

X = value("x", [1, 8])


def body(
    nodes: list[onnx.NodeProto], inputs: list[onnx.ValueInfoProto], outputs: list[str]
) -> onnx.GraphProto:
    results = [onnx.ValueInfoProto(name=name) for name in outputs]
    return helper.make_graph(nodes, "body", inputs, results)


LARGE = body([node("MatMul", "x w", "a", name="large")], [], ["a"])
SMALL = body([node("Relu", "x", "b", name="small")], [], ["b"])
CHOICE = node("If", "c", then_branch=LARGE, else_branch=SMALL, name="choice")
W = weight("w", 8, 8)


@pytest.mark.parametrize(("condition", "name"), [(True, "large"), (False, "small")])
def test_if_with_a_known_condition_is_its_branch(
    tmp_path: Path, condition: bool, name: str
) -> None:
    given = constant("c", condition, "bool")
    graph = load(tmp_path, model([CHOICE], [X], [W, given]))
    assert [layer.name for layer in graph.layers] == [f"choice/{name}"]
    assert assumptions(graph) == ()


def test_if_that_depends_on_data_is_its_larger_branch(tmp_path: Path) -> None:
    nodes = [CHOICE, node("Exp", "y", "z")]
    graph = load(tmp_path, model(nodes, [X, value("c", [], "bool")], [W], outputs=["z"]))
    assert [layer.operator for layer in graph.layers] == ["MatMul", "Exp"]
    assert graph.number_of_edges() == 1
    (warning,) = assumptions(graph)
    assert "If 'choice' depends on data; its then_branch is taken, with 64 MACs" in warning


def test_a_branch_for_other_sizes_is_not_taken(tmp_path: Path) -> None:
    choice = node("If", "c", then_branch=LARGE, else_branch=SMALL, name="choice")
    narrow = model([choice], [value("x", [1, 7]), value("c", [], "bool")], [W])
    graph = load(tmp_path, narrow)
    assert [layer.operator for layer in graph.layers] == ["Relu"]
    (warning,) = assumptions(graph)
    assert "its else_branch is taken, with 0 MACs (the then_branch cannot be: " in warning
    assert "'choice/then/large' (MatMul): Incompatible dimensions" in warning
    neither = node("If", "c", then_branch=LARGE, else_branch=LARGE, name="choice")
    with pytest.raises(toolkit.InputError, match="Incompatible dimensions"):
        load(tmp_path, model([neither], narrow.graph.input, [W]))


def test_an_unknown_operator_in_a_branch_is_refused(tmp_path: Path) -> None:
    odd = body([node("Odd", "x", "a", name="odd")], [], ["a"])
    choice = node("If", "c", then_branch=odd, else_branch=SMALL, name="choice")
    proto = model([choice], [X, value("c", [], "bool")])
    with pytest.raises(toolkit.InputError, match="'choice/then/odd' .Odd.: operator is not known"):
        load(tmp_path, proto)
    assert load(tmp_path, proto, unknown="elementwise").layers


def test_a_condition_on_shapes_is_known(tmp_path: Path) -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s one", "d"),
        node("Equal", "d eight", "c"),
        CHOICE,
    ]
    tensors = [W, constant("one", 1), constant("eight", 8)]
    assert load(tmp_path, model(nodes, [X], tensors)).macs == 64


STEP = body(
    [
        node("MatMul", "h w", "p", name="product"),
        node("Tanh", "p", "g", name="tanh"),
        node("Identity", "going", "still", name="same"),
    ],
    [value("i", [], "int64"), value("going", [], "bool"), value("h", [1, 8])],
    ["still", "g", "g"],
)
LOOP = node("Loop", "n c x", "y ys", body=STEP, name="loop")


def test_loop_is_its_body_many_times(tmp_path: Path) -> None:
    tensors = [W, constant("n", 10), constant("c", True, "bool")]
    graph = load(tmp_path, model([LOOP], [X], tensors, outputs=["y", "ys"]))
    product, tanh = graph.layers
    assert (product.name, product.repetitions, product.macs) == ("loop/product", 10, 640)
    assert tanh.operations == 80
    assert [tensor.shape for tensor in graph.outputs] == [(1, 8), (10, 1, 8)]
    assert (graph.parameters, graph.workloads()[0].count) == (64, 10)


def test_loops_that_are_not_static_are_refused(tmp_path: Path) -> None:
    def message(proto: onnx.ModelProto) -> str:
        with pytest.raises(toolkit.InputError) as caught:
            toolkit.load_network(write(tmp_path, proto))
        return str(caught.value)

    go, ten = constant("c", True, "bool"), constant("n", 10)
    found = message(model([LOOP], [X, value("n", [], "int64")], [W, go]))
    assert "node 'loop' (Loop): its number of iterations is not a constant" in found
    found = message(model([LOOP], [X], [W, go, constant("n", 0)]))
    assert "node 'loop' (Loop): its number of iterations is 0; expected at least 1" in found
    found = message(model([LOOP], [X], [W, go, constant("n", 2**63 - 1)]))
    assert "node 'loop' (Loop): its number of iterations is not a constant" in found
    found = message(model([LOOP], [X, value("c", [], "bool")], [W, ten]))
    assert "node 'loop' (Loop): its condition depends on data" in found
    growing = body(
        [node("Concat", "h h", "g", axis=0)],
        [value("i", [], "int64"), value("going", [], "bool"), value("h", [1, 8])],
        ["going", "g"],
    )
    found = message(model([node("Loop", "n c x", body=growing, name="grow")], [X], [ten, go]))
    assert "node 'grow' (Loop): the shape of its state 'x' changes from [1, 8] to [2, 8]" in found


def test_how_often_a_loop_runs_can_be_said(tmp_path: Path) -> None:
    inputs = [X, value("n", [], "int64"), value("c", [], "bool")]
    graph = load(tmp_path, model([LOOP], inputs, [W]), dims={"loop:iterations": 7})
    assert graph.macs == 7 * 64
    with pytest.raises(toolkit.InputError, match="--dim 'loop:iterations=N'"):
        load(tmp_path, model([LOOP], inputs, [W]))
    with pytest.raises(toolkit.InputError, match="expected at least 1 iteration, got 0"):
        load(tmp_path, model([LOOP], inputs, [W]), dims={"loop:iterations": 0})


def test_loops_that_may_end_early(tmp_path: Path) -> None:
    nodes = [node("ReduceSum", "h", "sum", keepdims=0), node("Less", "sum limit", "still")]
    inputs = [value("i", [], "int64"), value("going", [], "bool"), value("h", [1, 8])]
    step = body([*nodes, node("Tanh", "h", "g")], inputs, ["still", "g"])
    loop = model([node("Loop", "n c x", body=step, name="loop")], [X])
    loop.graph.initializer.extend(
        [constant("n", 10), constant("c", True, "bool"), constant("limit", 1, "float")]
    )
    (warning,) = load(tmp_path, loop).warnings
    assert warning == "Loop 'loop' may end early; taken with all its 10 iterations"
    said = load(tmp_path, loop, dims={"loop:iterations": 4})
    assert (said.warnings, {layer.repetitions for layer in said.layers}) == ((), {4})


def test_weights_that_a_loop_hands_on_are_weights(tmp_path: Path) -> None:
    step = body(
        [node("MatMul", "h v", "g", name="product"), node("Identity", "v", "u", name="same")],
        [
            value("i", [], "int64"),
            value("going", [], "bool"),
            value("h", [1, 8]),
            value("v", [8, 8]),
        ],
        ["going", "g", "u"],
    )
    loop = node("Loop", "n c x w", "y z", body=step, name="loop")
    tensors = [W, constant("n", 10), constant("c", True, "bool")]
    graph = load(tmp_path, model([loop], [X], tensors))
    (product,) = graph.layers
    assert [tensor.name for tensor in product.weights] == ["w"]
    assert (graph.parameters, graph.macs) == (64, 640)


def test_a_state_that_settles_after_one_iteration(tmp_path: Path) -> None:
    step = body(
        [node("Reshape", "h one", "r", name="reshape"), node("Exp", "r", "g", name="exp")],
        [value("i", [], "int64"), value("going", [], "bool"), value("h", None)],
        ["going", "g"],
    )
    loop = node("Loop", "n c x", body=step, name="loop")
    tensors = [constant("one", [1]), constant("n", 10), constant("c", True, "bool")]
    graph = load(tmp_path, model([loop], [value("x", [])], tensors))
    assert [layer.name for layer in graph.layers] == ["loop/reshape", "loop/exp"]
    assert graph.outputs[0].shape == (1,)
    assert assumptions(graph) == (
        "Loop 'loop': the shape of its state 'x' changes from [] to [1]; taken as the latter "
        "all along",
    )


def test_scan_runs_once_per_slice(tmp_path: Path) -> None:
    step = body(
        [node("MatMul", "s w", "p", name="product"), node("Add", "h p", "g", name="add")],
        [value("h", [8]), value("s", [8])],
        ["g", "g"],
    )
    scan = node("Scan", "x xs", "y ys", body=step, num_scan_inputs=1, name="scan")
    inputs = [value("x", [8]), value("xs", [5, 8])]
    graph = load(tmp_path, model([scan], inputs, [W], outputs=["y", "ys"]))
    assert graph.macs == 5 * 64
    assert [tensor.shape for tensor in graph.outputs] == [(8,), (5, 8)]


def test_functions_of_the_model_are_expanded(tmp_path: Path) -> None:
    function = helper.make_function(
        "my.domain",
        "Twice",
        ["a", "b"],
        ["d"],
        [node("MatMul", "a b", "c"), node("MatMul", "c b", "d")],
        [helper.make_opsetid("", 20)],
    )
    proto = model([node("my.domain.Twice", "x w")], [X], [W])
    proto.functions.append(function)
    assert load(tmp_path, proto).macs == 2 * 64


def test_shape_arithmetic_leaves_no_layers(tmp_path: Path) -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Slice", "s zero one", "batch"),
        node("Concat", "batch rest", "shape", axis=0),
        node("Reshape", "x shape", "y"),
        node("Exp", "x", "dead", name="dead"),
    ]
    tensors = [constant("zero", [0]), constant("one", [1]), constant("rest", [2, 4])]
    graph = load(tmp_path, model(nodes, [X], tensors))
    assert [layer.operator for layer in graph.layers] == ["Reshape"]
    assert graph.outputs[0].shape == (1, 2, 4)


def test_prepared_weights_are_weights(tmp_path: Path) -> None:
    nodes = [
        node("DequantizeLinear", "w s", "f"),
        node("Transpose", "f", "t", perm=[1, 0]),
        node("MatMul", "x t"),
    ]
    tensors = [weight("w", 16, 8, dtype="int8"), constant("s", 0.5, "float")]
    (layer,) = load(tmp_path, model(nodes, [X], tensors)).layers
    assert layer.workload == toolkit.with_bits(toolkit.gemm(16, 8, 1), weight_bits=8)
    assert (layer.weights[0].shape, layer.weight_bytes) == ((8, 16), 128)
    assert [tensor.name for tensor in layer.parameters] == ["w"]


def test_a_quantized_bias_is_a_parameter(tmp_path: Path) -> None:
    nodes = [node("DequantizeLinear", "b s", "f"), node("Gemm", "x w f")]
    tensors = [weight("b", 8, dtype="int32"), constant("s", 0.5, "float"), weight("w", 8, 8)]
    graph = load(tmp_path, model(nodes, [X], tensors))
    assert [tensor.name for tensor in graph.layers[0].parameters] == ["w", "b"]
    assert graph.layers[0].weight_bytes == 4 * 64 + 4 * 8


def test_a_bias_of_zeros_is_constant_whatever_its_type_is_taken_from(tmp_path: Path) -> None:
    nodes = [
        node("CastLike", "zero x", "z"),
        node("Expand", "z shape", "b"),
        node("Gemm", "x w b"),
    ]
    tensors = [constant("zero", 0.0, "half"), constant("shape", [8]), W]
    graph = load(tmp_path, model(nodes, [X], tensors))
    (layer,) = graph.layers
    assert [tensor.name for tensor in layer.inputs] == ["x"]
    assert (layer.weights[1].shape, layer.weights[1].dtype) == ((8,), "float32")
    assert [tensor.name for tensor in layer.parameters] == ["w"]


def test_constants_follow_the_reference_implementation(tmp_path: Path) -> None:
    nodes = [
        node("NonZero", "m", "i"),
        node("Shape", "i", "s"),
        node("Reshape", "x r", "a"),
        node("Expand", "a s", "y"),
    ]
    tensors = [constant("m", np.eye(3), "float"), constant("r", [8, 1, 1])]
    graph = load(tmp_path, model(nodes, [X], tensors))
    assert graph.outputs[0].shape == (8, 2, 3)
    assert assumptions(graph) == ()


def test_constants_of_old_opsets_are_computed(tmp_path: Path) -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n"),
        node("Unsqueeze", "n", "u", axes=[0]),
        node("Concat", "u eight", "c", axis=0),
        node("ConstantOfShape", "c", "z"),
        node("Add", "x z"),
    ]
    tensors = [constant("zero", 0), constant("eight", [8])]
    (layer,) = load(tmp_path, model(nodes, [X], tensors, opset=9)).layers
    assert layer.outputs[0].shape == (1, 8)
    # Zeros are a mask or a first state, not learned.
    assert (layer.weight_elements, layer.parameters) == (8, ())


def test_indices_of_constants_are_computed(tmp_path: Path) -> None:
    nodes = [
        node("Constant", "", "a", value_ints=[0, 2, 4]),
        node("ReduceMax", "a", "m", keepdims=0),
        node("Range", "zero m one", "r"),
        node("Gather", "x r", "y", axis=1),
    ]
    tensors = [constant("zero", 0), constant("one", 1)]
    graph = load(tmp_path, model(nodes, [X], tensors, opset=18))
    assert graph.outputs[0].shape == (1, 4)


def test_large_weights_may_be_constant_nodes(tmp_path: Path) -> None:
    filters = constant("filters", np.ones((64, 3, 7, 7)), "float")
    nodes = [node("Constant", "", "w", value=filters), node("Conv", "x w")]
    graph = load(tmp_path, model(nodes, [value("x", [1, 3, 32, 32])]))
    (layer,) = graph.layers
    assert [(t.name, t.shape) for t in layer.weights] == [("w", (64, 3, 7, 7))]
    assert graph.parameters == 64 * 3 * 7 * 7


@pytest.mark.parametrize("operator", ["GreaterOrEqual", "LessOrEqual"])
@pytest.mark.parametrize("opset", [12, 15, 16])
def test_comparisons_that_onnx_describes_by_others(
    tmp_path: Path, operator: str, opset: int
) -> None:
    inputs = [value("x", [4, 1]), value("b", [3])]
    graph = load(tmp_path, model([node(operator, "x b")], inputs, opset=opset))
    assert (graph.outputs[0].shape, graph.outputs[0].dtype) == ((4, 3), "bool")


def test_a_slice_that_depends_on_data_is_taken_as_its_largest(tmp_path: Path) -> None:
    inputs = [value("x", [4, 9, 5]), value("start", [1], "int64"), value("end", [1], "int64")]
    middle = model([node("Slice", "x start end axes")], inputs, [constant("axes", [-2])])
    graph = load(tmp_path, middle)
    assert graph.outputs[0].shape == (4, 9, 5)
    assert assumptions(graph) == (
        "axis 1 of 'y' (Slice 'slice') depends on data; taken as its largest, 9 (--dim 'y:1=N')",
    )
    assert load(tmp_path, middle, dims={"y:1": 2}).outputs[0].shape == (4, 2, 5)
    first = load(tmp_path, model([node("Slice", "x start end")], inputs), dims={"y:0": 3})
    assert (first.outputs[0].shape, first.warnings) == ((3, 9, 5), ())
