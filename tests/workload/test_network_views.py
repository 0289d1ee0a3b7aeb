"""Elementwise layers stand before changes of shape."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from tiny_networks import constant, load, model, node, value, weight

import toolkit

TENSORS = [weight("w", 16, 32), constant("flat", [8, 32]), constant("cube", [2, 4, 32])]
TENSORS += [constant("axis", [0]), weight("b", 32)]
PRODUCT = node("MatMul", "x w", "p", name="product")


def kinds(folder: Path, nodes: list[onnx.NodeProto], outputs: tuple[str, ...] = ("y",)) -> str:
    graph = load(folder, model([PRODUCT, *nodes], [value("x", [2, 4, 16])], TENSORS, outputs))
    for layer in graph.layers:
        made = {tensor.name for source in graph.predecessors(layer.name)
                for tensor in graph.nodes[source]["layer"].outputs}  # fmt: skip
        assert {tensor.name for tensor in layer.inputs} <= made | {"x"}
    return " ".join(layer.operator for layer in graph.layers)


def test_an_activation_passes_a_chain_of_views(tmp_path: Path) -> None:
    nodes = [
        node("Reshape", "p flat", "a"),
        node("Unsqueeze", "a axis", "b1"),
        node("Sigmoid", "b1", "s"),
        node("Mul", "b1 s", "m"),
        node("Tanh", "m", "y"),
    ]
    assert kinds(tmp_path, nodes) == "MatMul Swish Tanh Reshape Unsqueeze"
    graph = toolkit.load_network(tmp_path / "model.onnx")
    assert [t.shape for t in graph.outputs] == [graph.layers[-1].outputs[0].shape] == [(1, 8, 32)]
    assert graph.layers[1].outputs[0].shape == (2, 4, 32)


@pytest.mark.parametrize(
    ("nodes", "outputs", "order"),
    [
        # Others read what the view makes.
        ("Reshape(p,flat)=a Relu(a)=y", ("y", "a"), "MatMul Reshape Relu"),
        # The constant has the shape of the view.
        ("Reshape(p,flat)=a Add(a,b)=y", ("y",), "MatMul Reshape Add"),
        # Elements change their places.
        ("Transpose(p)=a Relu(a)=y", ("y",), "MatMul Transpose Relu"),
        # Two activations meet.
        ("Reshape(p,flat)=a Relu(p)=c Reshape(c,flat)=d Add(a,d)=y", ("y",),
         "MatMul Reshape Relu Reshape Add"),
        ("Reshape(p,flat)=a Softmax(a)=y", ("y",), "MatMul Reshape Softmax"),
    ],
)  # fmt: skip
def test_views_stay_where_they_matter(
    tmp_path: Path, nodes: str, outputs: tuple[str, ...], order: str
) -> None:
    made = []
    for entry in nodes.split():
        operator, _, rest = entry.partition("(")
        operands, _, output = rest.partition(")=")
        made.append(node(operator, operands.replace(",", " "), output, name=output))
    assert sorted(kinds(tmp_path, made, outputs).split()) == sorted(order.split())
    if "c" not in nodes:
        assert kinds(tmp_path, made, outputs) == order
