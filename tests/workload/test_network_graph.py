"""The layer graph as a networkx graph and as a table."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest
from tiny_networks import constant, load, model, node, value, weight

import toolkit

X = value("x", [1, 8, 6, 6])


@pytest.fixture
def residual(tmp_path: Path) -> toolkit.LayerGraph:
    nodes = [
        node("Conv", "x w b", "a", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "a g h m v", "n", name="norm"),
        node("Relu", "n", "r"),
        node("Split", "r", "s t", axis=1, num_outputs=2),
        node("Mul", "s t", "p"),
        node("Concat", "p p", "q", axis=1),
        node("Add", "q x", "y"),
    ]
    tensors = [weight("w", 8, 8, 3, 3), *(weight(name, 8) for name in "bghmv")]
    return load(tmp_path, model(nodes, [X], tensors))


def test_it_is_a_directed_acyclic_graph(residual: toolkit.LayerGraph) -> None:
    assert isinstance(residual, nx.DiGraph)
    assert nx.is_directed_acyclic_graph(residual)
    assert nx.dag_longest_path(residual) == [layer.name for layer in residual.layers]
    assert nx.ancestors(residual, "relu") == {"conv", "norm"}
    assert residual.nodes["conv"]["layer"].macs == 8 * 8 * 36 * 9


def test_edges_carry_tensors(residual: toolkit.LayerGraph) -> None:
    (tensor,) = residual.edges["conv", "norm"]["tensors"]
    assert (tensor.name, tensor.shape, tensor.dtype, tensor.bytes) == (
        "a",
        (1, 8, 6, 6),
        "float32",
        1152,
    )
    both = residual.edges["split", "mul"]
    assert ([tensor.name for tensor in both["tensors"]], both["bytes"]) == (["s", "t"], 1152)
    assert residual.edges["mul", "concat"]["bytes"] == 576
    assert [tensor.name for tensor in residual.inputs] == ["x"]
    assert [tensor.name for tensor in residual.outputs] == ["y"]


def test_copies_and_subgraphs_are_layer_graphs(residual: toolkit.LayerGraph) -> None:
    part = residual.subgraph(["conv", "norm"])
    assert isinstance(part, toolkit.LayerGraph)
    assert (part.macs, part.parameters) == (residual.macs, 8 * 8 * 9 + 8 + 16)
    assert residual.copy().outputs == residual.outputs
    assert pickle.loads(pickle.dumps(residual)).layers == residual.layers


def test_table(residual: toolkit.LayerGraph) -> None:
    table = residual.table().set_index("layer")
    assert table.macs.sum() == residual.macs
    assert table.loc["norm", "class"] == "elementwise"
    assert table.loc["conv", "workload"] == "conv:M=8,P=6,Q=6,C=8,R=3,S=3"
    assert table.loc["conv", "weight_bytes"] == 4 * (8 * 8 * 9 + 8)
    assert table.operations.sum() == residual.operations


def test_batch_norm_is_folded_on_request(tmp_path: Path, residual: toolkit.LayerGraph) -> None:
    folded = toolkit.load_network(tmp_path / "model.onnx", fold_batch_norm=True)
    assert "norm" not in folded
    assert list(folded.successors("conv")) == ["relu"]
    assert (folded.macs, residual.parameters - folded.parameters) == (residual.macs, 16)


@pytest.mark.parametrize("reader", ["a", "y"])
def test_batch_norm_stays_where_others_read_its_input(tmp_path: Path, reader: str) -> None:
    nodes = [
        node("Conv", "x w", "a"),
        node("BatchNormalization", "a g h m v", "n", name="norm"),
        node("Add", "n a", "y"),
    ]
    tensors = [weight("w", 8, 8, 3, 3), *(weight(name, 8) for name in "ghmv")]
    outputs = ["y"] if reader == "y" else ["n", "a"]
    proto = model(nodes, [X], tensors, outputs=outputs)
    assert "norm" in load(tmp_path, proto, fold_batch_norm=True)


def test_shared_weights_count_once(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x w", "a", name="one"), node("MatMul", "a w", name="two")]
    graph = load(tmp_path, model(nodes, [value("x", [4, 8])], [weight("w", 8, 8)]))
    (use,) = graph.workloads()
    assert (use.count, use.layers, graph.parameters) == (2, ("one", "two"), 64)
    assert graph.macs == 2 * use.workload.macs


def test_names_are_unique_even_where_the_file_repeats_or_omits_them(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "x", "a", name="same"),
        node("Exp", "a", "b", name="same"),
        node("Tanh", "b", name=""),
    ]
    graph = load(tmp_path, model(nodes, [X]))
    assert [layer.name for layer in graph.layers] == ["same", "same.2", "Tanh_y"]


LSTM = [weight("w", 1, 12, 6), weight("r", 1, 12, 3)]


@pytest.mark.parametrize("first", [True, False])
def test_parts_of_a_node_are_not_called_like_other_nodes(tmp_path: Path, first: bool) -> None:
    cell = node("LSTM", "s w r", "- h", hidden_size=3, name="cell")
    product = node("MatMul", "m v", "o", name="cell/input")
    inputs = [value("s", [5, 2, 6]), value("m", [4, 6])]
    nodes = [product, cell] if first else [cell, product]
    proto = model(nodes, inputs, [*LSTM, weight("v", 6, 8)], outputs=("h", "o"))
    graph = load(tmp_path, proto)
    assert {layer.name for layer in graph.layers} == (
        {"cell", "cell/input", "cell/input.2", "cell/recurrent"}
    )
    assert graph.macs == 5 * 2 * 12 * (6 + 3) + 4 * 6 * 8


def test_tensors_between_parts_of_a_node_are_not_those_of_the_file(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "s", "cell/input", name="relu"),
        node("LSTM", "cell/input w r", "- h", hidden_size=3, name="cell"),
        node("Exp", "cell/input", "o", name="exp"),
    ]
    graph = load(tmp_path, model(nodes, [value("s", [5, 2, 6])], LSTM, outputs=("h", "o")))
    assert set(graph.successors("relu")) == {"cell/input", "exp"}
    assert set(graph.predecessors("cell")) == {"cell/input", "cell/recurrent"}


def test_layers_of_one_name_are_refused() -> None:
    x, y, z = (toolkit.TensorInfo(name, (4,), "int8") for name in "xyz")
    layers = [
        toolkit.Layer("same", "Relu", "elementwise", (x,), (), (y,)),
        toolkit.Layer("same", "Relu", "elementwise", (y,), (), (z,)),
    ]
    with pytest.raises(toolkit.InputError, match="layer 'same': two layers have this name"):
        toolkit.LayerGraph.from_layers(layers)


def test_layers_keep_the_order_of_the_file(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "x", "a", name="first"),
        node("Exp", "a", "b", name="second"),
        node("Tanh", "x", "c", name="third"),
        node("Add", "b c", name="last"),
    ]
    graph = load(tmp_path, model(nodes, [X]))
    assert [layer.name for layer in graph.layers] == ["first", "second", "third", "last"]


def test_masks_are_weights_and_not_parameters(tmp_path: Path) -> None:
    nodes = [node("Where", "m x low")]
    mask = constant("m", [[True] * 6] * 6, "bool")
    graph = load(tmp_path, model(nodes, [X], [mask, constant("low", -1e4, "float")]))
    assert (graph.parameters, graph.layers[0].weight_bytes) == (0, 36)


def test_importing_the_package_loads_neither_onnx_nor_networkx() -> None:
    code = "import sys, toolkit, toolkit.workload; print(*sys.modules)"
    root = Path(__file__).parents[2]
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root
    )
    assert not {"onnx", "networkx", "pandas"} & set(process.stdout.split())
