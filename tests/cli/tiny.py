"""A network of three layers."""

from __future__ import annotations


def tiny_network() -> bytes:
    """Two convolutions, and a sum with what comes in, as an ONNX file."""
    from onnx import TensorProto, helper

    def weight(name: str) -> object:
        return helper.make_tensor(name, TensorProto.FLOAT, (2, 2, 3, 3), [0.5] * 36)

    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"], name="one", pads=[1] * 4),
        helper.make_node("Conv", ["a", "w"], ["b"], name="two", pads=[1] * 4),
        helper.make_node("Add", ["x", "b"], ["y"], name="sum"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "tiny",
        [value("x", TensorProto.FLOAT, (1, 2, 8, 8))],
        [value("y", TensorProto.FLOAT, (1, 2, 8, 8))],
        [weight("v"), weight("w")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    written: bytes = proto.SerializeToString()
    return written
