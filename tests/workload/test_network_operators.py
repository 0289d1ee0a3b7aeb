"""What every operator costs, one node at a time."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import defs
from tiny_networks import constant, load, load_one, model, node, value, weight

import toolkit
from toolkit.workload.network.operators import (
    CONSTANT,
    CONTROL,
    LISTS,
    OPERATORS,
    REFUSED,
    operator_table,
)

DATA = Path(__file__).parents[1] / "data"
KNOWN = set(OPERATORS) | set(CONSTANT) | set(CONTROL) | set(LISTS)


def test_every_standard_operator_has_a_cost_or_is_refused_on_purpose() -> None:
    standard = {schema.name for schema in defs.get_all_schemas() if schema.domain == ""}
    assert standard <= KNOWN | set(REFUSED)
    assert not KNOWN & set(REFUSED)


def test_every_operator_of_onnx_runtime_has_a_cost_or_is_refused_on_purpose() -> None:
    version, *names = (DATA / "list_runtime_operators.txt").read_text().splitlines()
    assert version.startswith("onnxruntime ") and len(names) > 150
    # An alias is renamed before it is looked up.
    assert set(names) - {"com.microsoft.Range"} <= KNOWN | set(REFUSED)
    added = {name for name in REFUSED if name.startswith("com.microsoft")}
    assert added <= set(names)


def test_refused_operators_say_why(tmp_path: Path) -> None:
    text = model([node("com.microsoft.Tokenizer", "x", name="t")], [value("x", [1, 4])])
    with pytest.raises(toolkit.InputError) as caught:
        load(tmp_path, text)
    assert "node 't' (com.microsoft.Tokenizer): is refused: it works on text" in str(caught.value)
    assert load(tmp_path, text, unknown="free").layers[0].cost_class == "view"


def test_the_documented_table_is_the_table() -> None:
    text = Path(toolkit.__file__).parent / "workload" / "network" / "OPERATORS.md"
    assert operator_table() in text.read_text()


X = value("x", [1, 8, 14, 10])


def conv(
    folder: Path, *filters: int, inputs: onnx.ValueInfoProto = X, **attributes: object
) -> toolkit.Workload:
    layer = load_one(folder, node("Conv", "x w", **attributes), [inputs], [weight("w", *filters)])
    assert layer.cost_class == "einsum"
    return layer.workload


def test_convolution(tmp_path: Path) -> None:
    found = conv(tmp_path, 16, 8, 3, 5)
    assert found == toolkit.conv2d(16, 8, 12, 6, 3, 5)


@pytest.mark.parametrize(
    ("attributes", "positions"),
    [
        ({"pads": [1, 2, 1, 2]}, (14, 10)),
        ({"pads": [0, 1, 2, 0]}, (14, 7)),
        ({"auto_pad": "SAME_UPPER"}, (14, 10)),
        ({"auto_pad": "SAME_LOWER", "strides": [3, 3]}, (5, 4)),
        ({"auto_pad": "VALID", "strides": [2, 1]}, (6, 6)),
        ({"dilations": [2, 1]}, (10, 6)),
        ({"pads": [1, 2, 1, 2], "strides": [2, 3]}, (7, 4)),
    ],
)
def test_positions_of_a_convolution_are_those_of_its_output(
    tmp_path: Path, attributes: dict[str, object], positions: tuple[int, int]
) -> None:
    found = conv(tmp_path, 16, 8, 3, 5, **attributes)
    stride = tuple(attributes.get("strides", (1, 1)))
    dilation = tuple(attributes.get("dilations", (1, 1)))
    assert found == toolkit.conv2d(16, 8, *positions, 3, 5, stride=stride, dilation=dilation)


def test_grouped_convolutions(tmp_path: Path) -> None:
    pads = {"pads": [1, 1, 1, 1]}
    depthwise = toolkit.depthwise_conv2d(8, 14, 10, 3, 3)
    assert conv(tmp_path, 8, 1, 3, 3, group=8, **pads) == depthwise
    twice = toolkit.grouped_conv2d(8, 2, 1, 14, 10, 3, 3)
    assert conv(tmp_path, 16, 1, 3, 3, group=8, **pads) == twice
    halves = toolkit.grouped_conv2d(2, 3, 4, 14, 10, 3, 3)
    assert conv(tmp_path, 6, 4, 3, 3, group=2, **pads) == halves


def test_convolutions_of_one_and_three_axes(tmp_path: Path) -> None:
    line = value("x", [2, 8, 20])
    assert conv(tmp_path, 4, 8, 3, inputs=line, strides=[2]) == toolkit.conv1d(
        4, 8, 9, 3, n=2, stride=2
    )
    assert conv(tmp_path, 8, 1, 3, inputs=line, group=8) == toolkit.depthwise_conv2d(
        8, 18, 1, 3, 1, n=2
    )
    volume = value("x", [1, 2, 8, 9, 10])
    found = conv(tmp_path, 4, 2, 3, 2, 1, inputs=volume, strides=[2, 1, 1])
    sizes = {"M": 4, "O": 3, "P": 8, "Q": 10, "C": 2, "T": 3, "R": 2, "S": 1}
    assert dict(found.sizes) == sizes
    assert found.tensors[0].dimensions == ("C", "O", "T", "P", "R", "Q", "S")
    assert found.tensors[0].indices[1][0].coefficient == 2
    assert conv(tmp_path, 4, 1, 3, 2, 1, inputs=volume, group=2).sizes["G"] == 2


def test_transposed_convolutions(tmp_path: Path) -> None:
    up = node("ConvTranspose", "x w", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
    layer = load_one(tmp_path, up, [X], [weight("w", 8, 4, 3, 3)])
    assert layer.workload == toolkit.transposed_conv2d(4, 8, 14, 10, 3, 3, stride=2)
    assert layer.outputs[0].shape == (1, 4, 28, 20)
    grouped = node("ConvTranspose", "x w", group=2)
    layer = load_one(tmp_path, grouped, [X], [weight("w", 8, 4, 3, 3)])
    assert layer.workload == toolkit.transposed_conv2d(4, 4, 14, 10, 3, 3)
    assert (layer.repetitions, layer.macs) == (2, 8 * 4 * 14 * 10 * 9)
    volume = value("x", [1, 2, 4, 4, 4])
    layer = load_one(
        tmp_path, node("ConvTranspose", "x w"), [volume], [weight("w", 2, 3, 2, 2, 2)]
    )
    assert layer.macs == 2 * 3 * 64 * 8
    assert layer.workload.output.dimensions == ("M", "O", "T", "P", "R", "Q", "S")


def test_quantized_convolution(tmp_path: Path) -> None:
    q = node("QLinearConv", "x xs xz w ws wz ys yz b")
    scales = [constant(name, 1.0, "float") for name in ("xs", "ws", "ys")]
    zeros = [constant("xz", 0, "uint8"), constant("wz", 0, "int8"), constant("yz", 0, "uint8")]
    weights = [weight("w", 16, 8, 3, 3, dtype="int8"), weight("b", 16, dtype="int32")]
    layer = load_one(tmp_path, q, [value("x", [1, 8, 14, 10], "uint8")], scales + zeros + weights)
    plain = toolkit.conv2d(16, 8, 12, 8, 3, 3)
    assert layer.workload == toolkit.with_bits(plain, 8, sum_bits=32)
    assert [tensor.bytes for tensor in layer.weights] == [16 * 8 * 9, 16 * 4]
    assert sum(tensor.elements for tensor in layer.parameters) == 16 * 8 * 9 + 16
    assert (layer.operations, layer.dtype) == (3 * 16 * 12 * 8, "uint8")
    integer = node("ConvInteger", "x w")
    layer = load_one(tmp_path, integer, [value("x", [1, 8, 14, 10], "uint8")], weights[:1])
    assert (layer.macs, layer.dtype) == (16 * 8 * 12 * 8 * 9, "int32")


def test_deformable_convolution_samples_first(tmp_path: Path) -> None:
    deformed = node("DeformConv", "x w o")
    offsets = value("o", [1, 18, 12, 8])
    graph = load(tmp_path, model([deformed], [X, offsets], [weight("w", 4, 8, 3, 3)]))
    sample, product = graph.layers
    assert product.workload == toolkit.conv2d(4, 8, 12, 8, 3, 3)
    assert (sample.cost_class, sample.elements) == ("elementwise", 8 * 12 * 8 * 9)


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ([6, 4], [4, 3], toolkit.gemm(3, 4, 6)),
        ([2, 5, 6, 4], [4, 3], toolkit.gemm(3, 4, 60)),
        ([2, 5, 6, 4], [2, 5, 4, 3], toolkit.batched_gemm(10, 3, 4, 6)),
        ([2, 5, 6, 4], [5, 4, 3], toolkit.batched_gemm(5, 3, 4, 12)),
        ([2, 1, 6, 4], [1, 5, 4, 3], toolkit.gemm(15, 4, 12)),
        ([1, 1, 6, 4], [2, 5, 4, 3], toolkit.gemm(30, 4, 6)),
        ([4], [4, 3], toolkit.gemm(3, 4, 1)),
        ([2, 6, 4], [4], toolkit.gemm(1, 4, 12)),
        ([4], [4], toolkit.gemm(1, 4, 1)),
    ],
)
def test_matrix_products(
    tmp_path: Path, a: list[int], b: list[int], found: toolkit.Workload
) -> None:
    layer = load_one(tmp_path, node("MatMul", "a b"), [value("a", a), value("b", b)])
    assert layer.workload == found
    assert layer.macs == np.prod((np.zeros(a) @ np.zeros(b)).shape, dtype=int) * a[-1]


def test_a_constant_first_operand_is_the_weight(tmp_path: Path) -> None:
    product = node("MatMul", "w x")
    layer = load_one(tmp_path, product, [value("x", [4, 3])], [weight("w", 6, 4)])
    assert layer.workload == toolkit.gemm(6, 4, 3)


shapes = st.lists(st.integers(1, 4), min_size=0, max_size=3)


@given(shapes, st.data())
def test_macs_of_broadcast_products(batch: list[int], data: st.DataObject) -> None:
    from toolkit.workload.network.operators import Call
    from toolkit.workload.network.operators.products import matmul_workload

    call = Call("m", "MatMul", {}, (), (), 20, "file")
    m, k, n = (data.draw(st.integers(1, 5)) for _ in range(3))
    sides = [
        [size if data.draw(st.booleans()) else 1 for size in batch[data.draw(st.integers(0, 3)) :]]
        for _ in range(2)
    ]
    left, right = (*sides[0], m, k), (*sides[1], k, n)
    result = (np.zeros(left) @ np.zeros(right)).shape
    assert matmul_workload(call, left, right).macs == np.prod(result, dtype=int) * k


@pytest.mark.parametrize(("a", "b"), [*itertools.product((0, 1), repeat=2)])
def test_gemm(tmp_path: Path, a: int, b: int) -> None:
    x, w = ([4, 6] if a else [6, 4]), ((3, 4) if b else (4, 3))
    single = node("Gemm", "x w c", transA=a, transB=b)
    layer = load_one(tmp_path, single, [value("x", x)], [weight("w", *w), weight("c", 3)])
    assert layer.workload == toolkit.gemm(3, 4, 6)
    assert layer.weight_elements == 15


def test_integer_products(tmp_path: Path) -> None:
    x = value("x", [6, 4], "uint8")
    w = weight("w", 4, 3, dtype="int8")
    layer = load_one(tmp_path, node("MatMulInteger", "x w"), [x], [w])
    plain = toolkit.with_bits(toolkit.gemm(3, 4, 6), 8, output_bits=32)
    assert (layer.workload, layer.dtype) == (plain, "int32")
    q = node("QLinearMatMul", "x xs xz w ws wz ys yz")
    scales = [constant(name, 1.0, "float") for name in ("xs", "ws", "ys")]
    zeros = [constant("xz", 0, "uint8"), constant("wz", 0, "int8"), constant("yz", 0, "uint8")]
    layer = load_one(tmp_path, q, [x], [w, *scales, *zeros])
    plain = toolkit.with_bits(toolkit.gemm(3, 4, 6), 8, sum_bits=32)
    assert (layer.workload, layer.operations) == (plain, 3 * 18)
    assert layer.weight_bytes == 12


@pytest.mark.parametrize(
    ("equation", "shapes", "found"),
    [
        ("bhqd,bhkd->bhqk", ([2, 3, 5, 4], [2, 3, 7, 4]), toolkit.batched_gemm(6, 7, 4, 5)),
        ("ij,jk", ([5, 4], [4, 7]), toolkit.gemm(7, 4, 5)),
        ("...d,df->...f", ([2, 3, 4], [4, 7]), toolkit.gemm(7, 4, 6)),
        ("bij,bjk->ik", ([2, 5, 4], [2, 4, 7]), toolkit.gemm(7, 8, 5)),
        ("i,j->ij", ([5], [7]), toolkit.gemm(7, 1, 5)),
        ("...ij,...jk->...ik", ([1, 5, 4], [6, 4, 7]), toolkit.gemm(42, 4, 5)),
    ],
)
def test_einsum(
    tmp_path: Path, equation: str, shapes: tuple[list[int], list[int]], found: toolkit.Workload
) -> None:
    single = node("Einsum", "a b", equation=equation)
    inputs = [value(name, shape) for name, shape in zip("ab", shapes, strict=True)]
    assert load_one(tmp_path, single, inputs).workload == found


def test_einsum_with_an_axis_that_one_operand_sums(tmp_path: Path) -> None:
    single = node("Einsum", "a b", equation="ijs,jk->ik")
    layer = load_one(tmp_path, single, [value("a", [5, 4, 3]), value("b", [4, 7])])
    assert (layer.workload.kernel, layer.macs) == ("einsum", 5 * 4 * 3 * 7)


def test_einsum_of_three_operands_goes_pairwise(tmp_path: Path) -> None:
    single = node("Einsum", "a b c", equation="ij,jk,kl->il")
    inputs = [value("a", [9, 8]), value("b", [8, 2]), value("c", [2, 9])]
    graph = load(tmp_path, model([single], inputs))
    assert [layer.macs for layer in graph.layers] == [9 * 8 * 2, 9 * 2 * 9]
    assert graph.number_of_edges() == 1


def test_einsum_takes_the_order_of_fewest_operations(tmp_path: Path) -> None:
    single = node("Einsum", "a b c", equation="ij,jk,kl->il")
    inputs = [value("a", [2, 50]), value("b", [50, 60]), value("c", [60, 3])]
    graph = load(tmp_path, model([single], inputs))
    assert [layer.macs for layer in graph.layers] == [2 * 50 * 60, 2 * 60 * 3]


def test_einsum_of_one_operand_moves_or_sums(tmp_path: Path) -> None:
    moved = load_one(tmp_path, node("Einsum", "a", equation="ij->ji"), [value("a", [5, 4])])
    assert (moved.cost_class, moved.operations) == ("movement", 0)
    summed = load_one(tmp_path, node("Einsum", "a", equation="ij->i"), [value("a", [5, 4])])
    assert (summed.cost_class, summed.operations) == ("reduction", 20)


@pytest.mark.parametrize(("operator", "gates", "work"), [("LSTM", 4, 22), ("GRU", 3, 17)])
def test_recurrent_networks(tmp_path: Path, operator: str, gates: int, work: int) -> None:
    single = node(operator, "x w r b", "y", hidden_size=16, direction="bidirectional")
    weights = [
        weight("w", 2, gates * 16, 8),
        weight("r", 2, gates * 16, 16),
        weight("b", 2, gates * 32),
    ]
    graph = load(tmp_path, model([single], [value("x", [10, 3, 8])], weights))
    inputs, states, cell = graph.layers
    assert (inputs.workload, inputs.repetitions) == (toolkit.gemm(gates * 16, 8, 30), 2)
    assert (states.workload, states.repetitions) == (toolkit.gemm(gates * 16, 16, 3), 20)
    assert (cell.cost_class, cell.operations) == ("elementwise", work * 3 * 16 * 20)
    assert graph.parameters == 2 * gates * 16 * (8 + 16 + 2)
    assert set(graph.edges) == {(inputs.name, cell.name), (states.name, cell.name)}


def test_attention_of_one_operator(tmp_path: Path) -> None:
    single = node("Attention", "q k v", q_num_heads=8, kv_num_heads=2)
    inputs = [value("q", [1, 5, 64]), value("k", [1, 9, 16]), value("v", [1, 9, 16])]
    graph = load(tmp_path, model([single], inputs, opset=23))
    scores, softmax, context = [layer for layer in graph.layers if layer.cost_class != "view"]
    assert scores.workload == toolkit.batched_gemm(2, 9, 8, 20)
    assert (softmax.cost_class, softmax.elements) == ("reduction", 8 * 5 * 9)
    assert context.workload == toolkit.batched_gemm(2, 8, 9, 20)


FOUR = [value("x", [1, 8, 6, 6])]
TWO = [value("x", [1, 8, 6, 6]), value("z", [8, 1, 1])]
SIZE = 8 * 36

VECTOR = [
    ("Relu", "x", {}, FOUR, "elementwise", SIZE),
    ("LeakyRelu", "x", {}, FOUR, "elementwise", 2 * SIZE),
    ("PRelu", "x z", {}, TWO, "elementwise", 2 * SIZE),
    ("Sigmoid", "x", {}, FOUR, "elementwise", 4 * SIZE),
    ("HardSigmoid", "x", {}, FOUR, "elementwise", 4 * SIZE),
    ("HardSwish", "x", {}, FOUR, "elementwise", 5 * SIZE),
    ("Tanh", "x", {}, FOUR, "elementwise", SIZE),
    ("Erf", "x", {}, FOUR, "elementwise", SIZE),
    ("Exp", "x", {}, FOUR, "elementwise", SIZE),
    ("Sqrt", "x", {}, FOUR, "elementwise", SIZE),
    ("Gelu", "x", {}, FOUR, "elementwise", 5 * SIZE),
    ("Add", "x z", {}, TWO, "elementwise", SIZE),
    ("Sub", "x z", {}, TWO, "elementwise", SIZE),
    ("Mul", "x z", {}, TWO, "elementwise", SIZE),
    ("Div", "x z", {}, TWO, "elementwise", SIZE),
    ("Pow", "x z", {}, TWO, "elementwise", SIZE),
    ("Max", "x z x", {}, TWO, "elementwise", 2 * SIZE),
    ("Min", "x z", {}, TWO, "elementwise", SIZE),
    ("Less", "x z", {}, TWO, "elementwise", SIZE),
    ("Equal", "x z", {}, TWO, "elementwise", SIZE),
    ("Softmax", "x", {}, FOUR, "reduction", 5 * SIZE),
    ("LRN", "x", {"size": 5}, FOUR, "reduction", 10 * SIZE),
    ("ReduceMean", "x", {}, FOUR, "reduction", SIZE),
    ("ReduceSum", "x", {"keepdims": 0}, FOUR, "reduction", SIZE),
    ("ReduceMax", "x", {}, FOUR, "reduction", SIZE),
    ("GlobalAveragePool", "x", {}, FOUR, "reduction", SIZE),
    ("GlobalMaxPool", "x", {}, FOUR, "reduction", SIZE),
    ("GlobalLpPool", "x", {}, FOUR, "reduction", 2 * SIZE),
    ("MaxPool", "x", {"kernel_shape": [3, 3], "strides": [2, 2]}, FOUR, "window", 9 * 8 * 4),
    ("AveragePool", "x", {"kernel_shape": [2, 2]}, FOUR, "window", 4 * 8 * 25),
    ("LpPool", "x", {"kernel_shape": [2, 2]}, FOUR, "window", 8 * 8 * 25),
]


@pytest.mark.parametrize(("operator", "operands", "attributes", "inputs", "kind", "work"), VECTOR)
def test_vector_operators(
    tmp_path: Path,
    operator: str,
    operands: str,
    attributes: dict[str, object],
    inputs: list[onnx.ValueInfoProto],
    kind: str,
    work: int,
) -> None:
    layer = load_one(tmp_path, node(operator, operands, **attributes), inputs)
    assert (layer.cost_class, layer.operations, layer.macs) == (kind, work, 0)
    assert layer.on_vector_unit


@pytest.mark.parametrize(
    ("operator", "tensors", "parameters", "work"),
    [
        ("BatchNormalization", 4, 16, 2),
        ("InstanceNormalization", 2, 16, 7),
        ("LayerNormalization", 2, 16, 7),
        ("GroupNormalization", 2, 16, 7),
    ],
)
def test_normalizations(
    tmp_path: Path, operator: str, tensors: int, parameters: int, work: int
) -> None:
    names = "abcd"[:tensors]
    weights = [weight(name, 8) for name in names]
    attributes = {"GroupNormalization": {"num_groups": 4}, "LayerNormalization": {"axis": 3}}
    x = value("x", [1, 8, 6, 8])
    single = node(operator, " ".join(("x", *names)), **attributes.get(operator, {}))
    opset = 21 if operator == "GroupNormalization" else 17
    layer = load_one(tmp_path, single, [x], weights, opset=opset)
    assert layer.operations == work * 8 * 48
    # Running statistics are weights, though not learned.
    assert layer.weight_elements == 8 * tensors
    assert sum(tensor.elements for tensor in layer.parameters) == parameters


def test_group_normalization_before_it_was_changed(tmp_path: Path) -> None:
    single = node("GroupNormalization", "x s b", num_groups=4)
    weights = [weight("s", 4), weight("b", 4)]
    layer = load_one(tmp_path, single, [value("x", [1, 8, 6, 8])], weights, opset=18)
    assert (layer.outputs[0].shape, layer.operations) == ((1, 8, 6, 8), 7 * 8 * 48)
    assert layer.weight_elements == 8


def test_clip_compares_once_per_bound(tmp_path: Path) -> None:
    bounds = [constant("low", 0.0, "float"), constant("high", 6.0, "float")]
    assert load_one(tmp_path, node("Clip", "x low high"), FOUR, bounds).operations == 2 * SIZE
    assert load_one(tmp_path, node("Clip", "x low"), FOUR, bounds).operations == SIZE
    old = node("Clip", "x", min=0.0, max=6.0)
    assert load_one(tmp_path, old, FOUR, opset=9).operations == 2 * SIZE


def test_where_and_quantization(tmp_path: Path) -> None:
    inputs = [value("c", [8, 1, 1], "bool"), *TWO]
    assert load_one(tmp_path, node("Where", "c x z"), inputs).operations == SIZE
    scale = [constant("s", 0.5, "float"), constant("o", 0, "uint8")]
    down = load_one(tmp_path, node("QuantizeLinear", "x s o"), FOUR, scale)
    assert (down.operations, down.output_bytes, down.weights) == (3 * SIZE, SIZE, ())
    up = load_one(
        tmp_path, node("DequantizeLinear", "x s o"), [value("x", [1, 8, 6, 6], "uint8")], scale
    )
    assert (up.operations, up.output_bytes) == (2 * SIZE, 4 * SIZE)


MOVEMENT = [
    (node("Concat", "x x", axis=1), [], 2 * SIZE, 0),
    (node("Split", "x", "y z", axis=1, num_outputs=2), [], SIZE, 0),
    (node("Slice", "x a b"), [constant("a", [0, 2]), constant("b", [1, 6])], 4 * 36, 0),
    (node("Pad", "x a"), [constant("a", [0, 0, 1, 1, 0, 0, 1, 1])], 8 * 64, 0),
    (node("Gather", "x a", axis=1), [constant("a", [0, 3])], 2 * 36, 0),
    (node("Transpose", "x", perm=[0, 2, 3, 1]), [], SIZE, 0),
    (node("Resize", "x - s"), [constant("s", [1, 1, 2, 2], "float")], 4 * SIZE, 0),
    (
        node("Resize", "x - - s", mode="linear"),
        [constant("s", [1, 8, 12, 12])],
        4 * SIZE,
        8 * 4 * SIZE,
    ),
    (node("Expand", "x a"), [constant("a", [2, 8, 6, 6])], 2 * SIZE, 0),
    (node("Tile", "x a"), [constant("a", [1, 1, 3, 1])], 3 * SIZE, 0),
    (node("DepthToSpace", "x", blocksize=2), [], SIZE, 0),
]


@pytest.mark.parametrize(("single", "tensors", "elements", "work"), MOVEMENT)
def test_movement(
    tmp_path: Path,
    single: onnx.NodeProto,
    tensors: list[onnx.TensorProto],
    elements: int,
    work: int,
) -> None:
    graph = load(tmp_path, model([single], FOUR, tensors, outputs=single.output))
    (layer,) = graph.layers
    assert (layer.cost_class, layer.elements, layer.operations) == ("movement", elements, work)
    # Indices are data, shapes are not.
    assert layer.weight_bytes == (16 if layer.operator == "Gather" else 0)


def test_short_time_fourier_transform_is_one_sided(tmp_path: Path) -> None:
    tensors = [constant("hop", 160), weight("window", 400)]
    signal = [value("x", [1, 16000, 1])]
    layer = load_one(tmp_path, node("STFT", "x hop window"), signal, tensors)
    assert layer.outputs[0].shape == (1, 98, 201, 2)
    assert layer.operations == 98 * 201 * 2 * 5 * 9
    both = node("STFT", "x hop window", onesided=0)
    assert load_one(tmp_path, both, signal, tensors).outputs[0].shape == (1, 98, 400, 2)
    bare = node("STFT", "x hop - length")
    tensors = [constant("hop", 160), constant("length", 512)]
    layer = load_one(tmp_path, bare, signal, tensors)
    assert layer.outputs[0].shape == (1, 97, 257, 2)
    assert layer.operations == 97 * 257 * 2 * 5 * 9


@pytest.mark.parametrize(
    ("opset", "operands", "axes", "steps"),
    [
        (17, "x", {}, 6),
        (17, "x", {"axis": 2}, 2),
        (20, "x", {}, 2),
        (20, "x - axis", {}, 6),
    ],
)
def test_fourier_transform(
    tmp_path: Path, opset: int, operands: str, axes: dict[str, int], steps: int
) -> None:
    tensors = [constant("axis", 1)]
    single = node("DFT", operands, **axes)
    layer = load_one(tmp_path, single, [value("x", [1, 64, 3, 2])], tensors, opset=opset)
    assert layer.operations == 64 * 3 * 2 * 5 * steps


@pytest.mark.parametrize("opset", [7, 9, 13])
def test_concat_along_a_negative_axis(tmp_path: Path, opset: int) -> None:
    joined = model(
        [node("Concat", "a b", axis=-1)], [value("a", [2, 3]), value("b", [2, 4])], opset=opset
    )
    assert load(tmp_path, joined).outputs[0].shape == (2, 7)
    joined.graph.input[1].type.tensor_type.shape.dim[0].dim_value = 5
    with pytest.raises(toolkit.InputError, match="differ off axis 1|do not match|differ"):
        load(tmp_path, joined)


def test_upsample(tmp_path: Path) -> None:
    scales = [constant("s", [1, 1, 2, 2], "float")]
    layer = load_one(tmp_path, node("Upsample", "x s"), FOUR, scales, opset=9)
    assert (layer.cost_class, layer.elements) == ("movement", 4 * SIZE)


def test_embedding_is_a_gather_from_parameters(tmp_path: Path) -> None:
    ids = value("ids", [1, 7], "int64")
    layer = load_one(tmp_path, node("Gather", "w ids"), [ids], [weight("w", 100, 16)])
    assert (layer.elements, layer.weight_elements) == (7 * 16, 1600)
    assert layer.outputs[0].shape == (1, 7, 16)


@pytest.mark.parametrize(
    ("single", "tensors"),
    [
        (node("Reshape", "x a"), [constant("a", [1, -1])]),
        (node("Flatten", "x"), []),
        (node("Squeeze", "x a"), [constant("a", [0])]),
        (node("Unsqueeze", "x a"), [constant("a", [0])]),
        (node("Identity", "x"), []),
        (node("Dropout", "x", "y mask"), []),
        (node("Cast", "x", to=onnx.TensorProto.FLOAT16), []),
    ],
)
def test_views_are_free(
    tmp_path: Path, single: onnx.NodeProto, tensors: list[onnx.TensorProto]
) -> None:
    layer = load_one(tmp_path, single, FOUR, tensors)
    assert (layer.cost_class, layer.operations, layer.elements) == ("view", 0, 0)


U8 = value("x", [1, 8, 6, 6], "uint8")
SCALE = [constant("s", 0.5, "float"), constant("o", 0, "uint8")]
SEQUENCE = value("x", [2, 4, 64])
RUNTIME = [
    ("FastGelu", "x", {}, SEQUENCE, [], "elementwise", (2, 4, 64)),
    ("QuickGelu", "x", {}, SEQUENCE, [], "elementwise", (2, 4, 64)),
    ("QLinearAdd", "x s o x s o s o", {}, U8, SCALE, "elementwise", (1, 8, 6, 6)),
    ("QLinearSigmoid", "x s o s o", {}, U8, SCALE, "elementwise", (1, 8, 6, 6)),
    ("QLinearGlobalAveragePool", "x s o s o", {}, U8, SCALE, "reduction", (1, 8, 1, 1)),
    (
        "QLinearAveragePool",
        "x s o s o",
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
        U8,
        SCALE,
        "window",
        (1, 8, 3, 3),
    ),
    ("QLinearConcat", "s o x s o x s o", {"axis": 1}, U8, SCALE, "movement", (1, 16, 6, 6)),
    (
        "DynamicQuantizeMatMul",
        "x w s",
        {},
        SEQUENCE,
        [weight("w", 64, 32, dtype="int8"), *SCALE[:1]],
        "einsum",
        (2, 4, 32),
    ),
]


@pytest.mark.parametrize(
    ("operator", "operands", "attributes", "x", "tensors", "kind", "shape"), RUNTIME
)
def test_shapes_of_operators_of_onnx_runtime(
    tmp_path: Path,
    operator: str,
    operands: str,
    attributes: dict[str, object],
    x: onnx.ValueInfoProto,
    tensors: list[onnx.TensorProto],
    kind: str,
    shape: tuple[int, ...],
) -> None:
    single = node(f"com.microsoft.{operator}", operands, **attributes)
    layer = load_one(tmp_path, single, [x], tensors)
    assert (layer.cost_class, layer.outputs[0].shape) == (kind, shape)


def test_quantized_concat_keeps_the_data_type(tmp_path: Path) -> None:
    joined = node("com.microsoft.QLinearConcat", "s z a s z b s z", axis=1)
    nodes = [joined, node("DequantizeLinear", "y s z", "d")]
    tensors = [constant("s", 0.5, "float"), constant("z", 3, "int8")]
    inputs = [value("a", [1, 2, 5], "int8"), value("b", [1, 4, 5], "int8")]
    graph = load(tmp_path, model(nodes, inputs, tensors, outputs=["y", "d"]))
    assert [(tensor.shape, tensor.dtype) for tensor in graph.outputs] == [
        ((1, 6, 5), "int8"),
        ((1, 6, 5), "float32"),
    ]


def test_outputs_that_are_left_out_keep_their_places(tmp_path: Path) -> None:
    norm = node("com.microsoft.SkipSimplifiedLayerNormalization", "x x w", "y - - total")
    norm.output[1] = norm.output[2] = ""
    nodes = [norm, node("MatMul", "total m", "z")]
    tensors = [weight("w", 8), weight("m", 8, 3)]
    graph = load(tmp_path, model(nodes, [value("x", [1, 5, 8])], tensors, outputs=["y", "z"]))
    assert [tensor.shape for tensor in graph.outputs] == [(1, 5, 8), (1, 5, 3)]


def test_quantized_lstm_of_onnx_runtime(tmp_path: Path) -> None:
    single = node("com.microsoft.DynamicQuantizeLSTM", "x w r", hidden_size=16)
    weights = [weight("w", 1, 8, 64, dtype="int8"), weight("r", 1, 16, 64, dtype="int8")]
    graph = load(tmp_path, model([single], [value("x", [10, 3, 8])], weights))
    assert graph.macs == 10 * 3 * 64 * (8 + 16)
    assert graph.outputs[0].shape == (10, 1, 3, 16)
