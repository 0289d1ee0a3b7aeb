"""Models that would end the process, take all memory or never end: one message, at once."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto
from tiny_networks import PEAK_KIB, constant, model, node, value, weight, write

import toolkit

X = value("x", [2, 3, 5])
IMAGE = value("i", [1, 8, 6, 6])
LARGEST = 2**63 - 1


def refused(folder: Path, proto: onnx.ModelProto | bytes, **options: object) -> str:
    path = folder / "model.onnx"
    path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
    start = time.perf_counter()
    with pytest.raises(toolkit.InputError) as caught:
        toolkit.load_network(path, **options)
    assert time.perf_counter() - start < 5
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message.removeprefix(f"{path}: ")


RANGES = [
    (
        "LayerNormalization",
        "x w",
        {"axis": LARGEST},
        "axis 9223372036854775807 is outside of ±2",
    ),
    ("LayerNormalization", "x w", {"axis": 3}, "axis 3 is outside of the 3 axes"),
    ("Softmax", "x", {"axis": -4}, "axis -4 is outside of the 3 axes .* expected -3 to 2"),
    ("Concat", "x x", {"axis": 7}, "axis 7 is outside"),
    ("Gather", "x k", {"axis": 3}, "axis 3 is outside"),
    ("Flatten", "x", {"axis": 4}, "axis 4 is outside .* expected -3 to 3"),
    ("Split", "x", {"axis": 1, "num_outputs": 2**40}, "num_outputs 1099511627776 does not fit 1"),
    ("Split", "x parts", {"axis": 1}, "gives 2 sizes for 1 outputs"),
    ("ReduceMean", "x far", {}, "axes 9 is outside"),
    ("Squeeze", "x far", {}, "axes 9 is outside"),
    ("Unsqueeze", "x far", {}, "axes 9 is outside of the 4 axes"),
    ("CumSum", "x far", {}, "axes 9 is outside"),
    ("Slice", "x parts parts far", {}, "axes 9 is outside"),
    ("ArgMax", "x", {"axis": 2**33}, "axis 8589934592 is outside"),
    ("TopK", "x k", {"axis": 5}, "axis 5 is outside"),
    ("Transpose", "x", {"perm": [0, 1, 1]}, "perm .* is no order of the 3 axes"),
    ("Transpose", "x", {"perm": [0, 1]}, "perm .* is no order of the 3 axes"),
    ("Einsum", "x x", {"equation": "b\u00e9ij,\n\n"}, "equation .* is none, such as"),
    ("Einsum", "x x", {"equation": "ij..,ij"}, "equation 'ij..,ij' is none"),
    ("Conv", "i f", {"group": 0}, "group 0 must be positive"),
    ("Conv", "i f", {"dilations": [1, -1]}, "dilations .* must be positive"),
    ("Conv", "i f", {"strides": [0, 1]}, "strides .* must be positive"),
    ("Conv", "i f", {"pads": [-(2**50), 0, 0, 0]}, "pads .* is outside of ±2"),
    ("MaxPool", "i", {"kernel_shape": [0, 1]}, "kernel_shape .* must be positive"),
    ("DepthToSpace", "i", {"blocksize": 0}, "blocksize 0 must be positive"),
    (
        "GatherND",
        "x pair",
        {"batch_dims": -(2**31)},
        "batch_dims -2147483648 is outside of 0 to 1",
    ),
    ("QuantizeLinear", "x w3", {"axis": 9}, "axis 9 is outside"),
    ("com.microsoft.QLinearReduceMean", "u s u8 s u8", {"axes": [5]}, "axes 5 is outside"),
    ("com.microsoft.FusedConv", "i f", {"group": -1}, "group -1 must be positive"),
    ("com.microsoft.MatMulNBits", "x b s", {"K": 5, "N": 0}, "N 0 must be positive"),
    (
        "com.microsoft.MatMulNBits",
        "x b s",
        {"K": 5, "N": 4, "bits": 9, "block_size": 16},
        "weights of shape|bits 9 is outside",
    ),
    ("com.microsoft.UnfoldTensor", "x", {"dim": 1, "size": 9}, "size 9 and step 1 do not fit"),
]


@pytest.mark.parametrize(("operator", "operands", "attributes", "expected"), RANGES)
def test_attributes_out_of_range(
    tmp_path: Path, operator: str, operands: str, attributes: dict[str, object], expected: str
) -> None:
    tensors = [
        weight("w", 5),
        weight("w3", 3),
        weight("f", 4, 8, 3, 3),
        weight("b", 4, 1, 16, dtype="uint8"),
        weight("pair", 2, 1, dtype="int64"),
        constant("k", [1]),
        constant("far", [9]),
        constant("parts", [1, 2]),
        constant("s", 0.5, "float"),
        constant("u8", 0, "uint8"),
    ]
    inputs = [X, IMAGE, value("u", [2, 3], "uint8")]
    named = [entry for entry in inputs if entry.name in operands.split()]
    single = node(operator, operands, name="wrong", **attributes)
    message = refused(tmp_path, model([single], named, tensors))
    assert re.match(rf"node 'wrong' \({re.escape(operator)}\): {expected}", message), message


UNFIT = [
    ("Reshape", "x seven", {}, r"shape \[2, 3, 5\] cannot become \[7, 6\]"),
    ("Conv", "i f", {"kernel_shape": [5, 5]}, r"kernel_shape \[5, 5\] is not that of its filters"),
    ("Conv", "i f w3", {}, r"a bias of shape \[3\] does not fit 4 filters"),
    (
        "MaxPool",
        "i",
        {"kernel_shape": [2, 2], "pads": [2, 0, 0, 0]},
        "pads .* as large as the win",
    ),
    ("DepthToSpace", "i", {"blocksize": 3}, "blocks of 3 by 3 do not divide 8 channels"),
    ("SpaceToDepth", "i", {"blocksize": 4}, "blocks of 4 do not divide positions"),
    ("Gather", "x far", {"axis": 1}, "index 9 is outside of axis 1, which has 3"),
    ("LayerNormalization", "x w3", {}, r"operand 1 of shape \[3\] does not fit into"),
    ("PRelu", "x w3", {}, r"operand 1 of shape \[3\] does not fit into"),
    ("GroupNormalization", "i w8 w8", {"num_groups": 3}, "num_groups 3 do not divide 8 channels"),
    ("com.microsoft.SkipLayerNormalization", "x i w", {}, "operand 1 of shape"),
    (
        "com.microsoft.MatMulNBits",
        "x b s",
        {"K": 5, "N": 400, "bits": 4, "block_size": 32},
        "weights of shape .* are 64 bytes; K, N, bits and block_size take 6400",
    ),
]


@pytest.mark.parametrize(("operator", "operands", "attributes", "expected"), UNFIT)
def test_operands_that_do_not_fit(
    tmp_path: Path, operator: str, operands: str, attributes: dict[str, object], expected: str
) -> None:
    tensors = [
        weight("w", 5),
        weight("w3", 3),
        weight("w8", 8),
        weight("f", 4, 8, 3, 3),
        weight("b", 4, 1, 16, dtype="uint8"),
        constant("s", 0.5, "float"),
        constant("seven", [7, 6]),
        constant("far", [9]),
    ]
    named = [entry for entry in (X, IMAGE) if entry.name in operands.split()]
    single = node(operator, operands, name="wrong", **attributes)
    message = refused(tmp_path, model([single], named, tensors))
    assert re.match(rf"node 'wrong' \({re.escape(operator)}\): {expected}", message), message


def test_axes_of_one_scale_say_nothing(tmp_path: Path) -> None:
    single = node("QuantizeLinear", "x s", axis=9)
    graph = toolkit.load_network(
        write(tmp_path, model([single], [X], [constant("s", 0.5, "float")]))
    )
    assert graph.operations == 3 * 30


def test_large_numbers_that_mean_to_the_end(tmp_path: Path) -> None:
    last = node("Slice", "x", starts=[1], ends=[LARGEST], axes=[1])
    graph = toolkit.load_network(write(tmp_path, model([last], [X], opset=9)))
    assert graph.outputs[0].shape == (2, 2, 5)


def test_names_that_are_not_text(tmp_path: Path) -> None:
    whole = model([node("MatMul", "a weight", "y", name="product")], [value("a", [2, 2])],
                  [weight("weight", 2, 2)]).SerializeToString()  # fmt: skip
    assert refused(tmp_path, whole.replace(b"product", b"produc\xff")) == (
        r"node 'produc\xff' (MatMul): its name 'produc\xff' is not UTF-8"
    )
    message = refused(tmp_path, whole.replace(b"product", b"pro\nuc\xff"))
    assert message.startswith(r"node 'pro\nuc\xff' (MatMul): ")
    assert refused(tmp_path, whole.replace(b"weight", b"weigh\xff")) == (
        r"node 'product' (MatMul): its input 'weigh\xff' is not UTF-8"
    )


def test_more_elements_than_there_can_be(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    starts = [value("starts", [2**62], "int64"), value("ends", [2], "int64"), X]
    message = refused(tmp_path, model([node("Slice", "x starts ends")], starts))
    assert message == "input 'starts': shape [4611686018427387904] has more than 2^53 elements"
    starts[0] = value("starts", [2**40], "int64")
    message = refused(tmp_path, model([node("Slice", "x starts ends")], starts))
    assert message.startswith("node 'slice' (Slice): ")
    large = TensorProto(name="w", dims=[2**30, 2**30], data_type=TensorProto.FLOAT)
    message = refused(tmp_path, model([node("Add", "x w")], [X], [large]))
    assert message.startswith("tensor 'w': shape [1073741824, 1073741824] has more than 2^53")
    blown = node("Expand", "x to", name="blown")
    tensors = [constant("to", [2**30, 2**30, 1, 1, 1])]
    message = refused(tmp_path, model([blown], [value("x", [1])], tensors))
    assert message.startswith("node 'blown' (Expand): output 'y' has the shape")
    parts = node("SplitToSequence", "x", "q", axis=0, name="parts")
    nodes = [parts, node("ConcatFromSequence", "q", axis=0)]
    message = refused(tmp_path, model(nodes, [value("x", [2**35])]))
    assert message.startswith("node 'parts' (SplitToSequence): splits into 34359738368 tensors")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_constants_that_take_for_ever_are_not_computed(tmp_path: Path) -> None:
    far = constant("far", [[-(2**63)] * 3] * 2)
    nodes = [node("GatherElements", "t far", "g", axis=1), node("Add", "x g")]
    table = constant("t", [[0.5, 1.0, 2.0]] * 2, "float")
    path = write(tmp_path, model(nodes, [value("x", [2, 3])], [table, far]))
    start = time.perf_counter()
    assert toolkit.load_network(path).outputs[0].shape == (2, 3)
    assert time.perf_counter() - start < 5


FUZZ = """
import random, resource, sys, time
import onnx, toolkit
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
draw = random.Random(int(sys.argv[2]))
ODD = [2**63 - 1, -2**63, -1, 0, 1, -2, 7, 2**31, 2**40, 2**53]
originals = [onnx.load(path, load_external_data=False) for path in sys.argv[3:]]
for count in range(int(sys.argv[1])):
    proto = onnx.ModelProto()
    proto.CopyFrom(draw.choice(originals))
    for _ in range(draw.choice([1, 1, 2])):
        node = draw.choice(proto.graph.node)
        integers = [a for a in node.attribute if a.type in (2, 7)]
        if integers and draw.random() < 0.7:
            attribute = draw.choice(integers)
            if attribute.type == 2:
                attribute.i = draw.choice(ODD)
            elif attribute.ints:
                attribute.ints[draw.randrange(len(attribute.ints))] = draw.choice(ODD)
        else:
            dims = draw.choice(proto.graph.input).type.tensor_type.shape.dim
            if dims:
                draw.choice(dims).dim_value = draw.choice(ODD)
    content = bytearray(proto.SerializeToString())
    if draw.random() < 0.3:
        content[draw.randrange(len(content))] = draw.randrange(256)
    open("mutated.onnx", "wb").write(content)
    start = time.perf_counter()
    try:
        toolkit.load_network("mutated.onnx")
    except toolkit.InputError as error:
        assert "\\n" not in str(error), str(error)
    assert time.perf_counter() - start < 20
print("done", peak_kib())
"""


@pytest.mark.parametrize("seed", range(2))
def test_mutated_models_neither_crash_nor_hang(tmp_path: Path, seed: int) -> None:
    tensors = [
        weight("f", 4, 8, 3, 3),
        weight("w", 5),
        constant("k", [1]),
        constant("two", [1, 2]),
    ]
    singles = [
        (node("Conv", "i f", pads=[1, 1, 1, 1], strides=[1, 1], dilations=[1, 1], group=1), IMAGE),
        (node("MaxPool", "i", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0]), IMAGE),
        (node("LayerNormalization", "x w", axis=-1), X),
        (node("Split", "x", "y z", axis=1, num_outputs=2), X),
        (node("Split", "x two", "y z", axis=1), X),
        (node("Transpose", "x", perm=[0, 2, 1]), X),
        (node("GatherND", "x k", batch_dims=0), X),
        (node("Gather", "x k", axis=1), X),
        (node("DepthToSpace", "i", blocksize=2), IMAGE),
        (node("TopK", "x k", "y z", axis=1), X),
        (node("ReduceSum", "x k", keepdims=1), X),
        (node("ConvTranspose", "i f2", strides=[2, 2], output_padding=[1, 1], group=1), IMAGE),
        (node("LRN", "i", size=3), IMAGE),
        (node("OneHot", "k2 k2 values", axis=-1), value("k2", [1], "int64")),
        (node("SplitToSequence", "x", axis=0), X),
        (node("com.microsoft.QLinearAveragePool", "u s z s z", kernel_shape=[2, 2]),
         value("u", [1, 8, 6, 6], "uint8")),
    ]  # fmt: skip
    tensors += [weight("f2", 8, 4, 3, 3), constant("values", [0.0, 1.0], "float")]
    tensors += [constant("s", 0.5, "float"), constant("z", 0, "uint8")]
    paths = []
    for i, (single, entry) in enumerate(singles):
        (tmp_path / str(i)).mkdir()
        proto = model([single], [entry], tensors, single.output)
        paths.append(write(tmp_path / str(i), proto))
    command = [sys.executable, "-c", PEAK_KIB + FUZZ, "400", str(seed), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) < 1_000_000


def test_blocked_nodes_without_operands(tmp_path: Path) -> None:
    nodes = [
        node("com.microsoft.nchwc.Conv", "x", "c", name="bare"),
        node("com.microsoft.nchwc.ReorderOutput", "c", name="end", channels=4),
    ]
    message = refused(tmp_path, model(nodes, [IMAGE], outputs=["y"]).SerializeToString())
    assert message.startswith("node 'bare' (com.microsoft.nchwc.Conv): nothing makes its operand")
    nodes[0].input[:] = ["i"]
    message = refused(tmp_path, model(nodes, [IMAGE], outputs=["y"]))
    assert message == "node 'bare' (com.microsoft.nchwc.Conv): operand 1 is missing"
    del nodes[1].input[:]
    message = refused(tmp_path, model(nodes[1:], [IMAGE], outputs=["y"]))
    assert message == "node 'end' (com.microsoft.nchwc.ReorderOutput): operand 0 is missing"
