"""Files that cannot be used, and what their one message says."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tiny_networks import PEAK_KIB, constant, load, model, node, value, weight, write

import toolkit
from toolkit.workload.network.read import read_model
from toolkit.workload.network.wire import LEFT_OUT, read_without_weights

X = value("x", [1, 8, 6, 6])
RELU = model([node("Relu", "x")], [X])
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
STUDIES = Path(__file__).parents[2] / "studies" / "networks"


def refused(path: Path, **options: object) -> str:
    with pytest.raises(toolkit.InputError) as caught:
        toolkit.load_network(path, **options)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message.removeprefix(f"{path}: ")


def refused_model(folder: Path, proto: onnx.ModelProto, **options: object) -> str:
    return refused(write(folder, proto), **options)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    for content in (b"hello, this is text\n", b"\x89PNG\r\n\x1a\n" + bytes(100), bytes(64)):
        (tmp_path / "model.onnx").write_bytes(content)
        assert "not an ONNX model" in refused(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_bytes(b"")
    assert refused(tmp_path / "model.onnx") == "is empty; expected an ONNX model"
    assert refused(tmp_path) == "is a directory; expected an ONNX model"
    assert refused(tmp_path / "absent.onnx") == "no such file"
    os.mkfifo(tmp_path / "fifo")
    assert refused(tmp_path / "fifo") == "is not a regular file; expected an ONNX model"


@given(st.data())
@examples(20)
def test_truncated_and_damaged_files_give_one_message(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray((LIGHT / "light_zfnet512.onnx").read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "model.onnx"
    path.write_bytes(content)
    try:
        toolkit.load_network(path)
    except toolkit.InputError as error:
        assert str(error).startswith(str(path))


def test_cycles_are_named(tmp_path: Path) -> None:
    nodes = [node("Add", "x b", "a"), node("Relu", "a", "b"), node("Exp", "b", "y")]
    message = refused_model(tmp_path, model(nodes, [X]))
    assert "cycle: " in message and "node 'add' (Add)" in message and "'exp'" not in message


def test_nodes_may_stand_in_any_order(tmp_path: Path) -> None:
    graph = load(tmp_path, model([node("Exp", "a"), node("Relu", "x", "a")], [X]))
    assert [layer.name for layer in graph.layers] == ["relu", "exp"]


def test_tensors_that_nobody_or_two_nodes_make(tmp_path: Path) -> None:
    assert refused_model(tmp_path, model([node("Add", "x z")], [X])) == (
        "node 'add' (Add): nothing makes its operand 'z'"
    )
    twice = model([node("Exp", "x"), node("Relu", "x")], [X])
    assert "node 'relu' (Relu): tensor 'y' is made by two nodes" in refused_model(tmp_path, twice)
    assert "output 'z': no node makes this output" in refused_model(
        tmp_path, model([node("Relu", "x")], [X], outputs=["y", "z"])
    )


def test_sizes_of_inputs(tmp_path: Path) -> None:
    relu = [node("Relu", "x")]
    assert refused_model(tmp_path, model(relu, [value("x", [1, 0])])) == (
        "input 'x': axis 1 has size 0; expected at least 1, or the option --dim 'x:1=N'"
    )
    negative = model(relu, [value("x", [-1, 2])])
    assert refused_model(tmp_path, negative) == (
        "input 'x': axis 0 has size -1; expected at least 1, or the option --dim 'x:0=N'"
    )
    assert load(tmp_path, negative, dims={"x:0": 3}).inputs[0].shape == (3, 2)
    assert "has no shape" in refused_model(tmp_path, model(relu, [value("x", None)]))


def test_sizes_that_the_exporter_did_not_know(tmp_path: Path) -> None:
    unknown = model([node("Relu", "x")], [value("x", [1, "?", "?"])])
    assert refused_model(tmp_path, unknown).endswith("--dim 'x:1=N' --dim 'x:2=N')")
    assert load(tmp_path, unknown, dims={"x:1": 2, "x:2": 3}).inputs[0].shape == (1, 2, 3)


def test_dynamic_dimensions(tmp_path: Path) -> None:
    dynamic = model([node("Relu", "x")], [value("x", ["batch", "past + 1", None])])
    assert refused_model(tmp_path, dynamic) == (
        "dims: sizes of dynamic dimensions are not given: batch, past + 1, x:2 "
        "(dims={'batch': N}; --dim 'batch=N' --dim 'past + 1=N' --dim 'x:2=N')"
    )
    given = {"batch": 2, "past": 9, "x:2": 3}
    assert load(tmp_path, dynamic, dims=given).inputs[0].shape == (2, 10, 3)
    assert refused_model(tmp_path, dynamic, dims=given | {"bath": 1}) == (
        "dims['bath']: the model has no such dynamic dimension; it has: batch, past, past + 1"
    )
    for wrong in (-1, 1.5, True, 2**50):
        assert "expected an integer from 0" in refused_model(
            tmp_path, dynamic, dims={"batch": wrong}
        )


def test_fixed_sizes_can_be_replaced_by_place(tmp_path: Path) -> None:
    assert load(tmp_path, RELU, dims={"x:0": 5}).outputs[0].shape == (5, 8, 6, 6)


def test_operands_that_do_not_fit(tmp_path: Path) -> None:
    wrong = model([node("Conv", "x w")], [X], [weight("w", 4, 7, 3, 3)])
    assert "node 'conv' (Conv): 1 groups do not divide 8 input channels" in refused_model(
        tmp_path, wrong
    )
    wrong = model([node("MatMul", "x w")], [X], [weight("w", 5, 5)])
    assert "node 'matmul' (MatMul): " in refused_model(tmp_path, wrong)
    wrong = model([node("Conv", "x w")], [X], [weight("w", 4, 8, 9, 9)])
    assert "node 'conv' (Conv): " in refused_model(tmp_path, wrong)
    wrong = model([node("Slice", "x a b")], [X], [constant("a", [0]), constant("b", [0])])
    assert refused_model(tmp_path, wrong) == (
        "every output is empty, such as 'y', shape [0, 8, 6, 6]; "
        "the first empty tensor is 'y' (Slice), shape [0, 8, 6, 6]"
    )


def test_parts_that_are_empty(tmp_path: Path) -> None:
    nodes = [
        node("Slice", "x zero eight three", "rotated"),
        node("Slice", "x eight nine three", "rest", name="rest"),
        node("Relu", "rotated", "r"),
        node("Relu", "rest", "s", name="of_nothing"),
        node("Concat", "r s", axis=3),
    ]
    given = {"zero": 0, "eight": 8, "nine": 9, "three": 3}
    tensors = [constant(name, [number]) for name, number in given.items()]
    graph = load(tmp_path, model(nodes, [value("x", [1, 2, 4, 8])], tensors))
    assert graph.outputs[0].shape == (1, 2, 4, 8)
    assert [layer.name for layer in graph.layers] == ["slice", "relu", "concat"]
    assert graph.warnings == (
        "nothing is counted for tensors that are empty: 'rest' (Slice), shape [1, 2, 4, 0]",
    )


def test_first_cache_is_empty(tmp_path: Path) -> None:
    nodes = [node("Concat", "past k", "keys", axis=1), node("MatMul", "q keys")]
    inputs = [value("q", [1, 4, 8]), value("k", [1, "new", 4]), value("past", [1, "past", 4])]
    cached = model(nodes, inputs)
    graph = load(tmp_path, cached, dims={"past": 0, "new": 8})
    assert (graph.macs, graph.warnings) == (4 * 8 * 4, ())
    short = model([node("Conv", "x w")], [value("x", [1, 2, "n"])], [weight("w", 4, 2, 5)])
    assert refused_model(tmp_path, short, dims={"n": 4}) == (
        "node 'conv' (Conv): output 'y' is empty: shape [1, 4, 0]"
    )
    whole = model([node("Relu", "x")], [value("x", ["batch", 3])])
    assert "every output is empty" in refused_model(tmp_path, whole, dims={"batch": 0})


def test_errors_name_the_size_that_was_assumed(tmp_path: Path) -> None:
    nodes = [
        node("NonZero", "x", "found"),
        node("Split", "found sizes", "a b", axis=1),
        node("Add", "a b"),
    ]
    unrolled = model(nodes, [value("x", [6])], [constant("sizes", [1, 1])])
    message = refused_model(tmp_path, unrolled)
    assert message.startswith("node 'split' (Split): Mismatch between the sum of 'split' (2)")
    assert message.endswith("depends on data; taken as its largest, 6 (--dim 'found:1=N')")
    assert load(tmp_path, unrolled, dims={"found:1": 2}).outputs[0].shape == (1, 1)


def test_operands_that_the_opset_does_not_allow(tmp_path: Path) -> None:
    numbers = [value("a", [4], "int64"), value("b", [4], "int64")]
    assert refused_model(tmp_path, model([node("Min", "a b")], numbers, opset=11)) == (
        "node 'min' (Min): opset 11 does not allow it: "
        "data_0 typestr: T, has unsupported type: tensor(int64)"
    )
    assert load(tmp_path, model([node("Min", "a b")], numbers, opset=12)).operations == 4


def test_masks_are_no_parameters(tmp_path: Path) -> None:
    mask = constant("mask", np.triu(np.full((1, 4, 4), -1e9), 1), "float")
    bias = constant("bias", [0.0, 0.0, 0.0, 0.0], "float")
    table = constant("table", [[0.0, 0.5, 1.0, 0.0]] * 4, "float")
    chain = [
        node("Add", "x mask", "s", name="masked"),
        node("Add", "s bias", "t", name="biased"),
        node("Add", "t table", name="placed"),
    ]
    graph = load(tmp_path, model(chain, [value("x", [2, 4, 4])], [mask, bias, table]))
    assert [layer.weight_elements for layer in graph.layers] == [16, 4, 16]
    assert graph.parameters == 4 + 16
    swap = constant("swap", np.eye(4), "float")
    product = model([node("MatMul", "x swap")], [value("x", [2, 4, 4])], [swap])
    assert load(tmp_path, product).parameters == 16
    filled = [node("Where", "c zero low", "mask"), node("Add", "x mask")]
    single = [constant(name, number, "float") for name, number in (("zero", 0), ("low", -1e9))]
    causal = constant("c", np.tri(4), "bool")
    graph = load(tmp_path, model(filled, [value("x", [2, 4, 4])], [causal, *single]))
    assert (graph.parameters, graph.layers[0].weight_elements) == (0, 16)


@pytest.mark.parametrize("opset", [1, 6, 99])
def test_unknown_opsets(tmp_path: Path, opset: int) -> None:
    message = refused_model(tmp_path, model([node("Relu", "x")], [X], opset=opset))
    assert f"opset_import: opset {opset} is not known; expected 7 to " in message


@pytest.mark.parametrize("version", [2**31, -1])
def test_versions_that_are_none(tmp_path: Path, version: int) -> None:
    message = refused_model(
        tmp_path, model([node("Relu", "x")], [X], domains={"com.microsoft": version})
    )
    assert f"opset_import of com.microsoft: version {version} is none" in message
    proto = model([node("Relu", "x")], [X])
    proto.ir_version = version
    assert f"ir_version: version {version} is none" in refused_model(tmp_path, proto)


def test_unknown_operators(tmp_path: Path) -> None:
    nodes = [node("Exp", "x", "a"), node("my.domain.Frobnicate", "a", name="f")]
    unknown = model(nodes, [X])
    assert refused_model(tmp_path, unknown) == (
        "node 'f' (my.domain.Frobnicate): operator is not known; "
        "--unknown=free or --unknown=elementwise takes it as such"
    )
    free = load(tmp_path, unknown, unknown="free")
    assert (free.layers[1].cost_class, free.operations) == ("view", 288)
    assert "my.domain.Frobnicate 'f' is not known; taken as free" in free.warnings
    assert any("shape of the output taken" in warning for warning in free.warnings)
    counted = load(tmp_path, unknown, unknown="elementwise")
    assert (counted.layers[1].cost_class, counted.operations) == ("elementwise", 576)
    with pytest.raises(toolkit.InputError, match="expected one of error, free, elementwise"):
        toolkit.load_network(tmp_path / "model.onnx", unknown="ignore")


def test_an_unknown_operator_takes_the_shape_that_the_file_gives(tmp_path: Path) -> None:
    nodes = [node("my.domain.Frobnicate", "x", "a", name="f"), node("Relu", "a")]
    known = model(nodes, [X], values=[value("a", [1, 4])])
    graph = load(tmp_path, known, unknown="elementwise")
    assert graph.outputs[0].shape == (1, 4)
    assert any("taken from the file" in warning for warning in graph.warnings)


def test_shapes_that_depend_on_data(tmp_path: Path) -> None:
    nodes = [node("Reshape", "x s", "a"), node("Relu", "a")]
    inputs = [X, value("s", [2], "int64")]
    assert refused_model(tmp_path, model(nodes, inputs)) == (
        "node 'reshape' (Reshape): axis 0 of output 'a' cannot be inferred; give its size with "
        "dims={'a:0': N} (--dim 'a:0=N')"
    )
    graph = load(tmp_path, model(nodes, inputs), dims={"a:0": 8, "a:1": 36})
    assert graph.outputs[0].shape == (8, 36)


def test_the_most_boxes_are_assumed_with_a_warning(tmp_path: Path) -> None:
    boxes = [value("b", [1, 100, 4]), value("s", [1, 3, 100])]
    nodes = [node("NonMaxSuppression", "b s k", "i"), node("Cast", "i", to=TensorProto.FLOAT)]
    detection = model(nodes, boxes, [constant("k", [20])])
    graph = load(tmp_path, detection)
    assert graph.outputs[0].shape == (60, 3)
    (warning,) = graph.warnings
    assert "depends on data; taken as its largest, 60 (--dim 'i:0=N')" in warning
    assert load(tmp_path, detection, dims={"i:0": 7}).outputs[0].shape == (7, 3)


def external(location: str, **entries: int) -> onnx.ModelProto:
    w = weight("w", 4, 8, 3, 3)
    w.external_data[0].value = location
    for key, number in entries.items():
        w.external_data.add(key=key, value=str(number))
    return model([node("Conv", "x w")], [X], [w])


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "a/../../w.bin", "", "w" * 300])
def test_external_data_outside_of_the_folder(tmp_path: Path, location: str) -> None:
    assert refused_model(tmp_path, external(location)) == (
        f"tensor 'w': external data at {location!r} lie outside of the model's folder; refused"
    )


def test_external_data_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(bytes(2000))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "w.bin").symlink_to(tmp_path / "out")
    assert "outside of the model's folder" in refused_model(tmp_path / "in", external("w.bin"))


def test_sizes_of_external_data(tmp_path: Path) -> None:
    assert load(tmp_path, external("w.bin", offset=64, length=1152)).macs == 4 * 8 * 9 * 16
    assert "takes 1152 bytes, but its external data claim 1151 bytes" in refused_model(
        tmp_path, external("w.bin", length=1151)
    )
    assert "offset -1" in refused_model(tmp_path, external("w.bin", offset=-1))
    (tmp_path / "w.bin").write_bytes(bytes(1000))
    assert refused_model(tmp_path, external("w.bin")) == (
        "tensor 'w': w.bin ends before byte 1152, where the tensor ends"
    )
    (tmp_path / "w.bin").write_bytes(bytes(1152))
    assert load(tmp_path, external("w.bin")).macs == 4 * 8 * 9 * 16


def test_shapes_in_external_data_are_read(tmp_path: Path) -> None:
    shape = weight("s", 2, dtype="int64")
    (tmp_path / "weights.bin").write_bytes(constant("s", [6, 48]).raw_data)
    reshaped = model([node("Reshape", "x s")], [X], [shape])
    assert load(tmp_path, reshaped).outputs[0].shape == (6, 48)


def claimed(dims: list[int], **contents: object) -> onnx.ModelProto:
    w = TensorProto(name="w", dims=dims, data_type=TensorProto.FLOAT, **contents)
    return model([node("MatMul", "x w")], [value("x", [1, dims[0]])], [w])


def test_claimed_sizes_cost_no_memory(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for contents in ({"raw_data": bytes(100)}, {"float_data": [1.0] * 25}):
        message = refused_model(tmp_path, claimed([50_000, 50_000], **contents))
        assert message.startswith(
            "tensor 'w': shape [50000, 50000] of float32 takes 10000000000 bytes; the file holds"
        )
    assert load(tmp_path, claimed([50_000, 50_000])).parameters == 50_000**2
    assert "negative size" in refused_model(tmp_path, claimed([4, -4]))
    for shape in ([50_000, 50_000], [2**26, 2**26]):
        half = constant("half", [0.5], "float")
        made = [node("ConstantOfShape", "s", "w", value=half), node("MatMul", "x w")]
        graph = load(tmp_path, model(made, [value("x", [1, shape[0]])], [constant("s", shape)]))
        assert graph.parameters == shape[0] * shape[1]
    blown = [node("Expand", "c s", "e"), node("Tile", "e s", "t"), node("Add", "x t")]
    tensors = [constant("c", [1.0], "float"), constant("s", [100_000])]
    assert load(tmp_path, model(blown, [value("x", [1])], tensors)).outputs[0].elements == 10**10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_attributes_that_make_no_sense(tmp_path: Path) -> None:
    w = [weight("w", 4, 8, 3, 3)]
    for attributes in (
        {"group": 0},
        {"group": -8},
        {"strides": [0, 1]},
        {"strides": [-1, -1]},
        {"pads": [1]},
        {"dilations": [10**12, 1]},
        {"kernel_shape": "text"},
        {"strides": 2},
    ):
        assert "node 'conv' (Conv): " in refused_model(
            tmp_path, model([node("Conv", "x w", **attributes)], [X], w)
        )
    message = refused_model(tmp_path, model([node("MaxPool", "x", kernel_shape=[0, 1])], [X]))
    assert "node 'maxpool' (MaxPool)" in message
    message = refused_model(tmp_path, model([node("Softmax", "x", axis=9)], [X]))
    assert "node 'softmax' (Softmax)" in message


def test_large_contents_are_left_out(tmp_path: Path) -> None:
    large = helper.make_tensor("w", TensorProto.FLOAT, [8, 1024], bytes(32768), raw=True)
    small = constant("s", [2, 144])
    path = write(
        tmp_path, model([node("Reshape", "x s")], [X], [large, small], outputs=["y", "w"])
    )
    assert len(read_without_weights(str(path))) < 1000 < path.stat().st_size
    first, second = read_model(path).graph.initializer
    assert (first.external_data[0].key, first.external_data[0].value) == (LEFT_OUT, "9:32768")
    assert second == small


def test_files_above_two_gigabytes(tmp_path: Path) -> None:
    def field(number: int, content: bytes, size: int | None = None) -> bytes:
        return bytes([number << 3 | 2]) + varint(len(content) if size is None else size) + content

    def varint(number: int) -> bytes:
        rest = number >> 7
        return bytes([number & 127 | (128 if rest else 0)]) + (varint(rest) if rest else b"")

    elements = 3 * 2**28
    tensor = TensorProto(name="w", dims=[1024, elements // 1024], data_type=TensorProto.FLOAT)
    whole = model([node("MatMul", "x w")], [value("x", [1, 1024])])
    head = tensor.SerializeToString() + field(9, b"", 4 * elements)
    graph = whole.graph.SerializeToString() + field(5, head, len(head) + 4 * elements)
    whole.ClearField("graph")
    path = tmp_path / "model.onnx"
    start = whole.SerializeToString() + field(7, graph, len(graph) + 4 * elements)
    path.write_bytes(start)
    # The file has a hole where the weights would be, and takes no room.
    os.truncate(path, len(start) + 4 * elements)
    assert path.stat().st_size > 2**31
    assert toolkit.load_network(path).parameters == elements
    os.truncate(path, len(start) + 4 * elements - 1)
    assert "ends 1 bytes after the file" in refused(path)


def test_small_files_are_read_as_they_are() -> None:
    path = LIGHT / "light_resnet50.onnx"
    assert read_without_weights(str(path)) == path.read_bytes()


def test_seven_billion_parameters_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "llama.onnx"
    subprocess.run([sys.executable, STUDIES / "llama.py", path], check=True)
    code = PEAK_KIB + (
        "import sys, toolkit; "
        "g = toolkit.load_network(sys.argv[1], {'batch': 1, 'seq': 1, 'past': 1023}); "
        "print(g.parameters, g.macs, peak_kib() * 1024)"
    )
    command = [sys.executable, "-c", code, path]
    root = Path(__file__).parents[2]
    out = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout
    parameters, macs, size = (int(word) for word in out.split())
    assert parameters == 6_738_415_616
    # All matrices but the embedding, and two products with a cache of 1,024 positions.
    assert macs == 6_738_415_616 - 65 * 4096 - 32_000 * 4096 + 32 * 2 * 1024 * 4096
    assert size < 2**30
