from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper
from tiny_networks import constant, load, model, node, value

import toolkit

X = value("x", [3, 2, 4])


def refused(folder: Path, nodes: list[object], *tensors: object, outputs: str = "y") -> str:
    with pytest.raises(toolkit.InputError) as caught:
        load(folder, model(nodes, [X], tensors, outputs=[outputs]))
    return str(caught.value).removeprefix(f"{folder / 'model.onnx'}: ")


@pytest.mark.parametrize("opset", [11, 13, 20])
def test_an_unrolled_loop_takes_its_steps_from_a_list(tmp_path: Path, opset: int) -> None:
    nodes = [
        node("SplitToSequence", "x", "steps", axis=0, keepdims=0, name="unbind"),
        node("SequenceAt", "steps first", "a"),
        node("SequenceAt", "steps last", "b", name="at_last"),
        node("MatMul", "a b"),
    ]
    nodes[3].op_type = "Add"
    places = [constant("first", 0), constant("last", -1)]
    graph = load(tmp_path, model(nodes, [X], places, opset=opset))
    assert [layer.operator for layer in graph.layers] == ["Split", "Squeeze", "Squeeze", "Add"]
    assert graph.layers[0].name == "unbind/Split"
    assert graph.outputs[0].shape == (2, 4)
    assert graph.warnings == ()


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [([1, 2], [1, 2]), (2, [2, 1]), (3, [3])],
)
def test_lengths_of_the_parts(tmp_path: Path, lengths: object, sizes: list[int]) -> None:
    split = node("SplitToSequence", "x n", "parts", axis=0)
    graph = load(tmp_path, model([split], [X], [constant("n", lengths)], outputs=["parts"]))
    assert [tensor.shape for tensor in graph.outputs] == [(size, 2, 4) for size in sizes]


def test_lists_are_joined(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "x", "r"),
        node("SequenceConstruct", "x r", "two"),
        node("SequenceInsert", "two r front", "three"),
        node("SequenceErase", "three back", "rest"),
        node("Identity", "rest", "same"),
        node("ConcatFromSequence", "same", "flat", axis=-1, name="join"),
        node("ConcatFromSequence", "three", "stacked", axis=1, new_axis=1, name="stack"),
        node("SequenceLength", "three", "count"),
        node("Reshape", "flat count2", "y"),
        node("Concat", "count two2", "count2", axis=0),
    ]
    nodes[7:8] = [node("SequenceLength", "three", "n"), node("Unsqueeze", "n axes", "count")]
    tensors = [constant("front", 0), constant("back", -1), constant("axes", [0])]
    tensors.append(constant("two2", [16]))
    made = model(nodes, [X], tensors, outputs=["y", "stacked"])
    graph = load(tmp_path, made)
    assert [tensor.shape for tensor in graph.outputs] == [(3, 16), (3, 3, 2, 4)]
    assert {"join/Concat", "stack/Concat", "relu"} <= {layer.name for layer in graph.layers}


def test_lists_that_are_not_static_are_refused(tmp_path: Path) -> None:
    split = node("SplitToSequence", "x", "parts", axis=0)
    at = node("SequenceAt", "parts i", "y")
    assert refused(tmp_path, [split, at], constant("i", 3)) == (
        "node 'sequenceat' (SequenceAt): position 3 is outside of a list of 3 tensors"
    )
    index = node("ArgMax", "x", "many", axis=0)
    where = node("ReduceMax", "many", "i", keepdims=0)
    assert "is not a constant" in refused(tmp_path, [index, where, split, at])
    assert "(Relu): takes a list of tensors" in refused(tmp_path, [split, node("Relu", "parts")])
    assert "expected a list" in refused(tmp_path, [node("SequenceAt", "x i")], constant("i", 0))
    joined = [node("SequenceEmpty", "", "none"), node("ConcatFromSequence", "none", axis=0)]
    assert "joins a list without tensors" in refused(tmp_path, joined)


def test_lists_as_states_of_a_loop_are_refused(tmp_path: Path) -> None:
    kept = helper.make_tensor_sequence_value_info("kept", TensorProto.FLOAT, None)
    made = helper.make_tensor_sequence_value_info("made", TensorProto.FLOAT, None)
    insert = node("SequenceInsert", "kept x", "made")
    body = helper.make_graph(
        [node("Identity", "going", "on", name="on"), insert],
        "body",
        [value("i", [], "int64"), value("going", [], "bool"), kept],
        [value("on", [], "bool"), made],
    )
    loop = node("Loop", "n - start", "grown", body=body)
    nodes = [node("SequenceEmpty", "", "start"), loop, node("SequenceAt", "grown n")]
    message = "node 'loop' (Loop): hands lists of tensors from one iteration to the next; not read"
    assert refused(tmp_path, nodes, constant("n", 2)) == message
