"""Writes a Llama 2 graph (Touvron et al., 2023; 7 billion parameters by default) without weights.

    python studies/networks/llama.py FILE [LAYERS]

The graph is what exporters make of it, shape arithmetic included; its weights are external data
that do not exist. Reading it takes the memory of its graph:

    toolkit.load_network(FILE, dims={"batch": 1, "seq": 128, "past": 896})
"""

from __future__ import annotations

import argparse

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HIDDEN, HEADS, FEED_FORWARD, VOCABULARY, LAYERS = 4096, 32, 11008, 32000, 32
SIZE = HIDDEN // HEADS


class Graph:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def __call__(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, *shape: int) -> str:
        tensor = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT16)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")
        self.tensors.append(tensor)
        return name

    def constant(self, *values: float, dtype: type = np.int64, scalar: bool = False) -> str:
        name = f"constant_{len(self.tensors)}"
        array = np.array(values[0] if scalar else values, dtype=dtype)
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def size(self, tensor: str, axis: int) -> str:
        return self("Gather", self("Shape", tensor), self.constant(axis), axis=0)

    def norm(self, x: str, name: str) -> str:
        square = self("Pow", x, self.constant(2, dtype=np.float16, scalar=True))
        mean = self("ReduceMean", square, axes=[-1], keepdims=1)
        root = self("Sqrt", self("Add", mean, self.constant(1e-5, dtype=np.float16, scalar=True)))
        return self("Mul", self("Div", x, root), self.weight(name, HIDDEN))

    def project(self, x: str, name: str, inside: int, outside: int) -> str:
        return self("MatMul", x, self.weight(name, inside, outside))

    def heads(self, x: str, ids: str) -> str:
        shape = [self.size(ids, 0), self.size(ids, 1), self.constant(HEADS), self.constant(SIZE)]
        split = self("Reshape", x, self("Concat", *shape, axis=0))
        return self("Transpose", split, perm=[0, 2, 1, 3])

    def rotate(self, x: str, cos: str, sin: str) -> str:
        half, axis = self.constant(SIZE // 2), self.constant(-1)
        left = self("Slice", x, self.constant(0), half, axis)
        right = self("Slice", x, half, self.constant(SIZE), axis)
        turned = self("Concat", self("Neg", right), left, axis=-1)
        return self("Add", self("Mul", x, cos), self("Mul", turned, sin))

    def layer(self, x: str, i: int, ids: str, cos: str, sin: str) -> tuple[str, str, str]:
        y, p = self.norm(x, f"{i}.input_norm"), f"{i}.attention."
        query, key, value = (
            self.heads(self.project(y, p + part, HIDDEN, HIDDEN), ids) for part in "qkv"
        )
        query, key = self.rotate(query, cos, sin), self.rotate(key, cos, sin)
        key = self("Concat", f"past_key.{i}", key, axis=2)
        value = self("Concat", f"past_value.{i}", value, axis=2)
        scores = self("MatMul", query, self("Transpose", key, perm=[0, 1, 3, 2]))
        scores = self("Div", scores, self.constant(SIZE**0.5, dtype=np.float16, scalar=True))
        context = self("MatMul", self("Softmax", scores, axis=-1), value)
        shape = [self.size(ids, 0), self.size(ids, 1), self.constant(HIDDEN)]
        context = self("Transpose", context, perm=[0, 2, 1, 3])
        context = self("Reshape", context, self("Concat", *shape, axis=0))
        x = self("Add", x, self.project(context, p + "out", HIDDEN, HIDDEN))
        y, p = self.norm(x, f"{i}.feed_forward_norm"), f"{i}.feed_forward."
        gate = self.project(y, p + "gate", HIDDEN, FEED_FORWARD)
        gate = self("Mul", gate, self("Sigmoid", gate))
        inner = self("Mul", gate, self.project(y, p + "up", HIDDEN, FEED_FORWARD))
        return self("Add", x, self.project(inner, p + "down", FEED_FORWARD, HIDDEN)), key, value


def make(layers: int = LAYERS) -> onnx.ModelProto:
    g, half = Graph(), TensorProto.FLOAT16
    x = g("Gather", g.weight("embedding", VOCABULARY, HIDDEN), "ids", axis=0)
    positions = g("Unsqueeze", g("Cast", "positions", to=half), g.constant(1, 3))
    angles = g("Mul", positions, g.weight("frequencies", SIZE // 2))
    angles = g("Concat", angles, angles, axis=-1)
    cos, sin = g("Cos", angles), g("Sin", angles)
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "seq"])]
    inputs += [helper.make_tensor_value_info("positions", TensorProto.INT64, ["batch", "seq"])]
    outputs = []
    for i in range(layers):
        shape = ["batch", HEADS, "past", SIZE]
        for kind in ("key", "value"):
            inputs.append(helper.make_tensor_value_info(f"past_{kind}.{i}", half, shape))
        x, *cache = g.layer(x, i, "ids", cos, sin)
        outputs += [helper.make_tensor_value_info(name, half, None) for name in cache]
    logits = g.project(g.norm(x, "norm"), "head", HIDDEN, VOCABULARY)
    outputs.insert(0, helper.make_tensor_value_info(logits, half, None))
    graph = helper.make_graph(g.nodes, "llama", inputs, outputs, g.tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("layers", nargs="?", type=int, default=LAYERS)
    given = parser.parse_args()
    if given.layers < 1:
        parser.error(f"argument layers: {given.layers} is not an integer from 1")
    try:
        onnx.save(make(given.layers), given.file)
    except OSError as error:
        parser.error(str(error))
