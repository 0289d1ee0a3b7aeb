"""What ONNX Runtime writes: the layers of what was fused, true types of what was quantized."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from tiny_networks import DTYPES, assumptions, constant, load, model, node, value, weight

import toolkit

SAVED = Path(__file__).parents[1] / "data" / "networks" / "runtime"
NETWORKS = ("clip", "efficientnet", "llama", "mobilenet_v2", "swin", "unet")
MICROSOFT = "com.microsoft."
BLOCKED = "com.microsoft.nchwc."


def layers_of(graph: toolkit.LayerGraph) -> list[tuple[object, ...]]:
    """What layers cost and read, without their names; views are free."""
    return [
        (
            layer.operator,
            layer.workload,
            layer.elements,
            layer.operations,
            sorted((tensor.shape, tensor.dtype) for tensor in layer.inputs),
            sorted((tensor.shape, tensor.dtype) for tensor in layer.weights),
            [(tensor.shape, tensor.dtype) for tensor in layer.outputs],
        )
        for layer in graph.layers
        if layer.cost_class != "view"
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_saved_with_all_optimisations(name: str) -> None:
    plain, optimised = (
        toolkit.load_network(SAVED / f"{name}_{kind}.onnx") for kind in ("plain", "optimised")
    )
    assert optimised.macs == plain.macs
    assert optimised.parameters == pytest.approx(plain.parameters, rel=5e-4)
    # Biases are a part of fused products, factors of queries a part of weights.
    assert 0.75 * plain.operations < optimised.operations <= plain.operations
    macs = [
        sorted(layer.macs for layer in graph.layers if layer.macs) for graph in (plain, optimised)
    ]
    assert macs[0] == macs[1]


def test_convolutional_networks_are_the_same_layer_by_layer() -> None:
    for name in ("efficientnet", "mobilenet_v2"):
        plain, optimised = (
            toolkit.load_network(SAVED / f"{name}_{kind}.onnx") for kind in ("plain", "optimised")
        )
        kinds = [
            Counter(
                (layer.operator, layer.operations) for layer in graph.layers if layer.operations
            )
            for graph in (plain, optimised)
        ]
        assert kinds[0] == kinds[1]
        assert not any(layer.operator.startswith("com.") for layer in optimised.layers)


X = value("x", [2, 4, 16])
S = value("s", [2, 4, 16])
IMAGE = value("x", [1, 8, 10, 6])
VECTOR = [weight("g", 16), weight("h", 16), weight("b", 16)]
FILTER = [weight("w", 12, 8, 3, 3), weight("v", 12)]
PADS = {"pads": [1, 1, 1, 1], "strides": [2, 2]}
POOL = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
# A fused node, then the nodes that it stands for.
FUSED = {
    "FusedConv": (
        [node(MICROSOFT + "FusedConv", "x w v", activation="Relu", **PADS)],
        [node("Conv", "x w v", "c", **PADS), node("Relu", "c")],
    ),
    "FusedConv with a sum": (
        [node(MICROSOFT + "FusedConv", "x w v z", activation="Relu", **PADS)],
        [node("Conv", "x w v", "c", **PADS), node("Add", "c z", "a"), node("Relu", "a")],
    ),
    "FusedConv with bounds": (
        [node(MICROSOFT + "FusedConv", "x w v", activation="Clip", activation_params=[0.0, 6.0])],
        [node("Conv", "x w v", "c"), node("Clip", "c low high")],
    ),
    "blocked convolution": (
        [
            node(BLOCKED + "ReorderInput", "x", "i"),
            node(BLOCKED + "Conv", "i w v", "c", activation="HardSigmoid", **PADS),
            node(BLOCKED + "MaxPool", "c", "p", **POOL),
            node(BLOCKED + "ReorderOutput", "p", channels=12),
        ],
        [
            node("Conv", "x w v", "c", **PADS),
            node("HardSigmoid", "c", "h"),
            node("MaxPool", "h", **POOL),
        ],
    ),
    "blocked pooling": (
        [
            node(BLOCKED + "ReorderInput", "x", "i"),
            node(BLOCKED + "AveragePool", "i", "p", **POOL),
            node(BLOCKED + "Upsample", "p", "u", scales=[1, 1, 2, 2]),
            node(BLOCKED + "GlobalAveragePool", "u", "q"),
            node(BLOCKED + "ReorderOutput", "q", channels=8),
        ],
        [
            node("AveragePool", "x", "p", **POOL),
            node("Resize", "p - twice", "u"),
            node("GlobalAveragePool", "u"),
        ],
    ),
    "blocked normalization": (
        [node(BLOCKED + "Conv", "x one eight", group=8)],
        [node("BatchNormalization", "x other eight eight eight")],
    ),
    "blocked factors": (
        [node(BLOCKED + "Conv", "x one", group=8)],
        [node("Mul", "x three")],
    ),
    "channels last": (
        [node(BLOCKED + "ReorderOutput", "x", channels=8, channels_last=1)],
        [node("Transpose", "x", perm=[0, 2, 3, 1])],
    ),
    "FusedGemm": (
        [node(MICROSOFT + "FusedGemm", "r n b", activation="Tanh")],
        [node("Gemm", "r n b", "c"), node("Tanh", "c")],
    ),
    "FusedMatMul": (
        [node(MICROSOFT + "FusedMatMul", "t s", transB=1, alpha=0.25)],
        [
            node("Transpose", "s", "u", perm=[0, 2, 1]),
            node("MatMul", "t u", "c"),
            node("Mul", "c low"),
        ],
    ),
    "GemmFastGelu": (
        [node(MICROSOFT + "GemmFastGelu", "t n b")],
        [
            node("MatMul", "t n", "c"),
            node("Add", "c b", "a"),
            node("Gelu", "a", approximate="tanh"),
        ],
    ),
    "SkipLayerNormalization": (
        [node(MICROSOFT + "SkipLayerNormalization", "t s g h b", "y - - o")],
        [
            node("Add", "t s", "a", name="one"),
            node("Add", "a b", "o"),
            node("LayerNormalization", "o g h"),
        ],
    ),
    "SkipSimplifiedLayerNormalization": (
        [node(MICROSOFT + "SkipSimplifiedLayerNormalization", "t s g", "y - - o")],
        [node("Add", "t s", "o"), node("RMSNormalization", "o g")],
    ),
    "SimplifiedLayerNormalization": (
        [node("SimplifiedLayerNormalization", "t g", axis=-1)],
        [node("RMSNormalization", "t g", axis=-1)],
    ),
    "BiasGelu": (
        [node(MICROSOFT + "BiasGelu", "t b")],
        [node("Add", "t b", "a"), node("Gelu", "a")],
    ),
    "FastGelu": (
        [node(MICROSOFT + "FastGelu", "t")],
        [node("Gelu", "t", approximate="tanh")],
    ),
    "QuickGelu": (
        [node(MICROSOFT + "QuickGelu", "t", alpha=1.702)],
        [node("Sigmoid", "t", "a"), node("Mul", "t a")],
    ),
    "BiasSplitGelu": (
        [node(MICROSOFT + "BiasSplitGelu", "t b")],
        [
            node("Add", "t b", "a"),
            node("Split", "a", "l r1", axis=2, num_outputs=2),
            node("Gelu", "r1", "k"),
            node("Mul", "l k"),
        ],
    ),
    "GroupNorm": (
        [node(MICROSOFT + "GroupNorm", "x eight eight", activation=1, groups=4)],
        [
            node("GroupNormalization", "x eight eight", "n1", num_groups=4),
            node("Sigmoid", "n1", "k"),
            node("Mul", "n1 k"),
        ],
    ),
}
GIVEN = {
    "x": IMAGE,
    "t": value("t", [2, 4, 16]),
    "s": S,
    "r": value("r", [4, 16]),
    "z": value("z", [1, 12, 5, 3]),
}
TENSORS = [
    *VECTOR,
    *FILTER,
    weight("n", 16, 16),
    weight("one", 8, 1, 1, 1),
    weight("eight", 8),
    weight("other", 8),
    weight("three", 8, 1, 1),
    constant("low", 0.0, "float"),
    constant("high", 6.0, "float"),
    constant("twice", [1.0, 1.0, 2.0, 2.0], "float"),
]


@pytest.mark.parametrize("name", FUSED)
def test_fused_nodes_are_the_layers_of_their_parts(tmp_path: Path, name: str) -> None:
    found = []
    for nodes in FUSED[name]:
        for entry in nodes:
            entry.output[:] = ["" if made == "-" else made for made in entry.output]
        outputs = ["y"] if "o" not in {made for n in nodes for made in n.output} else ["y", "o"]
        read = {operand for n in nodes for operand in n.input}
        inputs = [entry for key, entry in GIVEN.items() if key in read]
        # RMSNormalization came with opset 23.
        found.append(load(tmp_path, model(nodes, inputs, TENSORS, outputs, opset=23)))
    fused, plain = found
    assert [tensor.shape for tensor in fused.outputs] == [t.shape for t in plain.outputs]
    assert (fused.macs, fused.parameters) == (plain.macs, plain.parameters)
    # A transposed operand is read as it lies.
    skipped = {"Transpose"} if name == "FusedMatMul" else set()
    kept = [
        Counter(map(str, (entry[:4] for entry in layers_of(g) if entry[0] not in skipped)))
        for g in found
    ]
    assert kept[0] == kept[1]


def test_parts_are_called_after_their_node(tmp_path: Path) -> None:
    fused = node(MICROSOFT + "FusedConv", "x w v z", name="block", activation="Relu", **PADS)
    graph = load(tmp_path, model([fused], [IMAGE, GIVEN["z"]], FILTER))
    assert [layer.name for layer in graph.layers] == ["block", "block/Add", "block/Relu"]
    assert graph.layers[0].parameters == graph.layers[0].weights


def test_unknown_activations_are_named(tmp_path: Path) -> None:
    fused = node(MICROSOFT + "FusedConv", "x w", activation="Sparkle")
    with pytest.raises(
        toolkit.InputError, match="node 'fusedconv' .* activation 'Sparkle' is not"
    ):
        load(tmp_path, model([fused], [IMAGE], FILTER))


def blocked(filters: int, bias: list[float]) -> onnx.ModelProto:
    """Two convolutions whose channels are in blocks of 16; `filters` exist of the first."""
    nodes = [
        node(BLOCKED + "Conv", "x w b", "c", name="one"),
        node(BLOCKED + "Conv", "c d e", "f", name="two", group=len(bias), kernel_shape=[3, 3]),
        node(BLOCKED + "Conv", "f v", "g", name="three"),
        node(BLOCKED + "ReorderOutput", "g", channels=filters),
    ]
    size = len(bias)
    tensors = [
        weight("w", size, 3, 3, 3),
        constant("b", bias, "float"),
        weight("d", size, 1, 3, 3),
        constant("e", bias, "float"),
        weight("v", 16, size, 1, 1),
    ]
    return model(nodes, [value("x", [1, 3, 12, 12])], tensors)


def test_channels_of_blocks_that_do_not_exist(tmp_path: Path) -> None:
    bias = [0.5] * 24 + [0.0] * 8
    graph = load(tmp_path, blocked(10, bias))
    one, two, three, _ = graph.layers
    assert one.workload == toolkit.conv2d(24, 3, 10, 10, 3, 3)
    assert two.workload == toolkit.depthwise_conv2d(24, 8, 8, 3, 3)
    assert three.workload == toolkit.conv2d(10, 24, 8, 8, 1, 1)
    assert graph.parameters == 24 * 27 + 24 + 24 * 9 + 24 + 10 * 24
    assert graph.outputs[0].shape == (1, 10, 8, 8)
    assert assumptions(graph) == ()


def test_groups_of_blocks(tmp_path: Path) -> None:
    nodes = [
        node(BLOCKED + "Conv", "x w b", "c", name="one"),
        node(BLOCKED + "Conv", "c d e", "f", name="two", group=2, kernel_shape=[1, 1]),
        node(BLOCKED + "ReorderOutput", "f", channels=32),
    ]
    biases = [constant("b", [0.5] * 64, "float"), constant("e", [0.5] * 32, "float")]
    filters = [weight("w", 64, 3, 3, 3), weight("d", 32, 32, 1, 1)]
    graph = load(tmp_path, model(nodes, [value("x", [1, 3, 12, 12])], [*filters, *biases]))
    assert graph.layers[1].workload == toolkit.grouped_conv2d(2, 16, 32, 10, 10, 1, 1)


def test_blocks_without_biases_are_taken_whole(tmp_path: Path) -> None:
    proto = blocked(10, [0.5] * 24 + [0.0] * 8)
    for tensor in proto.graph.initializer:
        tensor.ClearField("raw_data")
    graph = load(tmp_path, proto)
    assert graph.layers[0].workload == toolkit.conv2d(32, 3, 10, 10, 3, 3)
    (warning,) = assumptions(graph)
    assert warning.startswith("2 blocked convolutions have no bias to be read")


QUANTIZED = {
    "MatMulNBits": ("x w s z", {"K": 64, "N": 32, "bits": 4, "block_size": 32}, "uint4"),
    "MatMulNBits of 2 bits": ("x w2 s", {"K": 64, "N": 32, "bits": 2, "block_size": 32}, "uint2"),
    "MatMulBnb4": ("x flat a", {"K": 64, "N": 32, "block_size": 64, "quant_type": 1}, "uint4"),
    "MatMulBnb4 of floats": (
        "x flat a",
        {"K": 64, "N": 32, "block_size": 64, "quant_type": 0},
        "float4e2m1",
    ),
    "MatMulBlockQuantizedFp4Weight": ("x half s16 low", {}, "float4e2m1"),
}
CODES = [
    weight("w", 32, 2, 16, dtype="uint8"),
    weight("w2", 32, 2, 8, dtype="uint8"),
    weight("s", 64, dtype="half"),
    weight("z", 32, dtype="uint8"),
    weight("flat", 1024, dtype="uint8"),
    weight("a", 32),
    weight("half", 32, 32, dtype="uint8"),
    weight("s16", 32, 4, dtype="uint8"),
    constant("low", 1.0, "float"),
]


@pytest.mark.parametrize("name", QUANTIZED)
def test_packed_weights_have_their_bits_and_their_shape(tmp_path: Path, name: str) -> None:
    operands, attributes, dtype = QUANTIZED[name]
    single = node(MICROSOFT + name.partition(" ")[0], operands, **attributes)
    graph = load(tmp_path, model([single], [value("x", [2, 4, 64])], CODES))
    (layer,) = graph.layers
    assert layer.workload.sizes == toolkit.gemm(32, 64, 8).sizes
    codes, scales, *points = layer.weights
    assert (codes.shape, codes.dtype) == ((64, 32), dtype)
    assert scales.name in ("s", "a", "s16")
    assert [(tensor.shape, tensor.dtype) for tensor in points] == (
        [((32, 2), "uint4")] if "z" in operands.split() else []
    )
    assert graph.parameters == 64 * 32
    assert graph.outputs[0].shape == (2, 4, 32)


def test_packed_products_of_a_block(tmp_path: Path) -> None:
    sizes = {"K": 64, "bits": 4, "block_size": 32}
    single = node(MICROSOFT + "MatMulNBitsMlp", "x s0 g w s - w s -", "y o", N=32,
                  activation="silu", **sizes)  # fmt: skip
    inputs = [value("x", [1, 4, 64]), value("s0", [1, 4, 64])]
    graph = load(tmp_path, model([single], inputs, [*CODES, weight("g", 64)], ["y", "o"]))
    assert [layer.operator for layer in graph.layers] == [
        "Add",
        "RMSNormalization",
        *["com.microsoft.MatMulNBits"] * 2,
        "Swish",
        "Mul",
    ]
    assert [tensor.shape for tensor in graph.outputs] == [(1, 4, 32), (1, 4, 64)]
    # Both products read the same codes here.
    assert graph.parameters == 64 * 32 + 64


def test_quantized_tables(tmp_path: Path) -> None:
    tensors = [weight("t", 1000, 32, dtype="uint8"), weight("s", 1000, 2), weight("z", 1000, 1,
               dtype="uint8")]  # fmt: skip
    single = node(
        MICROSOFT + "GatherBlockQuantized", "t i s z", bits=4, block_size=32, quantize_axis=1
    )
    graph = load(tmp_path, model([single], [value("i", [1, 5], "int64")], tensors))
    rows, numbers = graph.layers
    assert (rows.operator, rows.elements, numbers.operator) == (
        "Gather",
        5 * 64,
        "DequantizeLinear",
    )
    assert [(t.shape, t.dtype) for t in rows.weights[:1]] == [((1000, 64), "uint4")]
    assert (rows.outputs[0].dtype, graph.outputs[0].dtype) == ("uint4", "float32")
    assert (graph.parameters, graph.outputs[0].shape) == (64_000, (1, 5, 64))


def test_tables_of_bert(tmp_path: Path) -> None:
    single = node(MICROSOFT + "EmbedLayerNormalization", "i k words places kinds g h", "y m o")
    tensors = [weight("words", 100, 16), weight("places", 32, 16), weight("kinds", 2, 16)]
    inputs = [value(name, [2, 4], "int32") for name in "ik"]
    graph = load(tmp_path, model([single], inputs, [*tensors, *VECTOR], ["y", "o"]))
    assert [layer.operator for layer in graph.layers] == [
        *["Gather"] * 2,
        *["Add"] * 2,
        "LayerNormalization",
    ]
    assert graph.parameters == 100 * 16 + 32 * 16 + 2 * 16 + 2 * 16
    assert [tensor.shape for tensor in graph.outputs] == [(2, 4, 16)] * 2


def test_quantized_attention(tmp_path: Path) -> None:
    single = node(MICROSOFT + "QAttention", "x w b s s - z z", num_heads=4)
    tensors = [weight("w", 64, 192, dtype="int8"), weight("b", 192), constant("s", 0.1, "float")]
    tensors += [constant("z", 0, "int8")]
    plain = node(MICROSOFT + "Attention", "f w b", num_heads=4)
    found = load(tmp_path, model([single], [value("x", [2, 5, 64], "int8")], tensors))
    floats = load(tmp_path, model([plain], [value("f", [2, 5, 64])], tensors))
    assert [layer.macs for layer in found.layers] == [layer.macs for layer in floats.layers]
    assert found.layers[0].weights[0].dtype == "int8"
    assert found.outputs[0].dtype == "float32"


def test_channels_may_be_last(tmp_path: Path) -> None:
    data = value("x", [1, 10, 6, 8])
    last = node(MICROSOFT + "NhwcFusedConv", "x w v", activation="Relu", **PADS)
    conv, relu = load(tmp_path, model([last], [data], FILTER)).layers
    assert conv.workload == toolkit.conv2d(12, 8, 5, 3, 3, 3, stride=2)
    assert (conv.outputs[0].shape, relu.outputs[0].shape) == ((1, 5, 3, 12),) * 2
    scales = [constant("s", 0.5, "float"), constant("z", 0, "uint8"), weight("p", 12)]
    quantized = node(MICROSOFT + "QLinearConv", "q s z k p z s z", channels_last=1, **PADS)
    tensors = [*scales, weight("k", 12, 8, 3, 3, dtype="uint8")]
    (layer,) = load(tmp_path, model([quantized], [value("q", [1, 10, 6, 8], "uint8")],
                                    tensors)).layers  # fmt: skip
    assert layer.workload.sizes == conv.workload.sizes
    # The scale of every filter is read beside the filters, and is no parameter.
    assert [tensor.name for tensor in layer.weights] == ["k", "p"]
    assert [tensor.name for tensor in layer.parameters] == ["k"]
    pool = node(MICROSOFT + "NhwcMaxPool", "q", **POOL)
    found = load(tmp_path, model([pool], [value("q", [1, 10, 6, 8], "uint8")]))
    assert found.outputs[0].shape == (1, 5, 3, 8)


F8 = value("x", [2, 4, 16])
FURTHER = [
    ("BiasAdd", "x b x", {}, [weight("b", 16)], (2, 4, 16)),
    ("BiasDropout", "x b", {}, [weight("b", 16)], (2, 4, 16)),
    ("BitmaskDropout", "x", {}, [], (2, 4, 16)),
    ("BiasSoftmax", "x x", {"axis": 2, "is_inner_broadcast": 0}, [], (2, 4, 16)),
    ("BranchwiseRMSNorm", "x b", {}, [weight("b", 16)], (2, 4, 16)),
    ("CausalConvWithState", "x w", {"activation": "silu"}, [weight("w", 4, 1, 3)], (2, 4, 16)),
    ("ComplexMul", "x x", {}, [], (2, 4, 16)),
    ("CropAndResize", "i r n c", {}, [], (5, 8, 7, 7)),
    ("ExpandDims", "x a", {}, [constant("a", 1, "int32")], (2, 1, 4, 16)),
    ("FusedMatMulActivation", "x x", {"transB": 1, "activation": "Relu"}, [], (2, 4, 4)),
    ("GatedAdd", "x x g", {}, [], (2, 4, 16)),
    ("GatedRMSNorm", "x b x", {}, [weight("b", 16)], (2, 4, 16)),
    ("GatherND", "x k", {}, [], (3, 16)),
    ("GemmFloat8", "m m", {"transB": 1}, [], (6, 6)),
    ("GridSample", "i grid", {}, [], (1, 8, 3, 3)),
    ("Inverse", "sq", {}, [], (2, 5, 5)),
    ("Irfft", "spectrum", {"signal_ndim": 1}, [], (2, 8)),
    ("IsAllFinite", "x", {}, [], ()),
    ("MatMulInteger16", "j j", {"transB": 1}, [], (6, 6)),
    ("MaxpoolWithMask", "i mask", {"kernel_shape": [2, 2], "strides": [2, 2]}, [], (1, 8, 5, 3)),
    ("MulInteger", "u - u -", {}, [], (4, 4)),
    ("Pad", "m p", {}, [constant("p", [1, 0, 2, 0])], (9, 4)),
    ("QLinearReduceMean", "u s z s z", {"axes": [1], "keepdims": 0}, [], (4,)),
    ("QLinearWhere", "q u s z u s z s z", {}, [], (4, 4)),
    ("QOrderedGelu", "u s s", {"order_X": 1, "order_Y": 1}, [], (4, 4)),
    ("QuantizeWithOrder", "m s", {"order_input": 1, "order_output": 1}, [], (6, 4)),
    ("ReduceSumInteger", "u", {"axes": [0], "keepdims": 1}, [], (1, 4)),
    ("Rfft", "m", {"signal_ndim": 1}, [], (6, 3, 2)),
    ("RouterGateUpProj", "m w", {"router_size": 2}, [weight("w", 4, 12)], (6, 2)),
    ("ScaledSiLU", "x", {}, [], (2, 4, 16)),
    ("SwiGLU", "x", {}, [], (2, 4, 8)),
    ("TorchEmbedding", "w ids", {}, [weight("w", 100, 16)], (3, 16)),
    ("TransposeMatMul", "x x", {"transA": 1}, [], (2, 16, 16)),
    ("Trilu", "x", {}, [], (2, 4, 16)),
    ("UnfoldTensor", "x", {"dim": 2, "size": 4, "step": 2}, [], (2, 4, 7, 4)),
    ("CDist", "m m", {}, [], (6, 6)),
]
FURTHER_INPUTS = {
    "x": ([2, 4, 16], "float"),
    "i": ([1, 8, 10, 6], "float"),
    "r": ([5, 4], "float"),
    "n": ([5], "int32"),
    "g": ([2, 4, 1], "float"),
    "k": ([3, 2], "int64"),
    "m": ([6, 4], "float"),
    "j": ([6, 4], "int32"),
    "grid": ([1, 3, 3, 2], "float"),
    "sq": ([2, 5, 5], "float"),
    "spectrum": ([2, 5, 2], "float"),
    "mask": ([1, 8, 10, 6], "int32"),
    "u": ([4, 4], "uint8"),
    "q": ([4, 4], "bool"),
    "ids": ([3], "int64"),
}
NUMBERS = [constant("s", 0.5, "float"), constant("z", 0, "uint8"), constant("c", [7, 7], "int32")]


@pytest.mark.parametrize(("operator", "operands", "attributes", "tensors", "shape"), FURTHER)
def test_shapes_of_further_operators(
    tmp_path: Path,
    operator: str,
    operands: str,
    attributes: dict[str, object],
    tensors: list[onnx.TensorProto],
    shape: tuple[int, ...],
) -> None:
    single = node(MICROSOFT + operator, operands, **attributes)
    if operator == "RouterGateUpProj":
        single.output.append("more")
    inputs = [
        value(name, *FURTHER_INPUTS[name])
        for name in dict.fromkeys(operands.split())
        if name in FURTHER_INPUTS
    ]
    graph = load(tmp_path, model([single], inputs, [*NUMBERS, *tensors], single.output))
    assert graph.outputs[0].shape == shape
    assert graph.layers[-1].outputs


def test_absent_contents_are_said_once(tmp_path: Path) -> None:
    stripped = [helper.make_tensor_value_info("x", DTYPES["float"], [1, 4])]
    tensors = [onnx.TensorProto(name="w", dims=[4, 8], data_type=DTYPES["float"])]
    tensors.append(onnx.TensorProto(name="v", dims=[8, 2], data_type=DTYPES["half"]))
    nodes = [node("MatMul", "x w", "a", name="one"), node("Cast", "v", "u", to=1)]
    nodes.append(node("MatMul", "a u", name="two"))
    graph = load(tmp_path, model(nodes, stripped, tensors))
    assert graph.warnings == ("contents of 2 tensors (160 bytes) are not there; read by shape",)
    assert (graph.macs, graph.parameters) == (32 + 16, 48)
    whole = [numpy_helper.from_array(np.ones((4, 8), np.float32), "w")]
    assert load(tmp_path, model([node("MatMul", "x w")], stripped, whole)).warnings == ()


def test_values_that_matter_must_be_there(tmp_path: Path) -> None:
    shape = onnx.TensorProto(name="where_to", dims=[2], data_type=DTYPES["int64"])
    nodes = [node("Reshape", "x where_to")]
    with pytest.raises(toolkit.InputError) as caught:
        load(tmp_path, model(nodes, [value("x", [4, 4])], [shape]))
    message = str(caught.value)
    assert "node 'reshape' (Reshape): axis 0 of output 'y' cannot be inferred" in message
    assert "since the contents of 'where_to' are not there" in message


def test_inputs_that_are_weights(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w b", "c"),
        node("Flatten", "c", "f"),
        node("Transpose", "m", "t", perm=[1, 0]),
        node("MatMul", "f t", "d"),
        node("Add", "d v"),
    ]
    sizes = {"w": [4, 3, 3, 3], "b": [4], "m": [10, 64], "v": [10]}
    tensors = [weight(name, *shape) for name, shape in sizes.items()]
    stored = load(tmp_path, model(nodes, [value("x", [1, 3, 6, 6])], tensors))
    inputs = [value("x", [1, 3, 6, 6]), *(value(name, shape) for name, shape in sizes.items())]
    given = load(tmp_path, model(nodes, inputs))
    assert layers_of(given) == layers_of(stored)
    assert (given.parameters, [t.name for t in given.inputs]) == (stored.parameters, ["x"])
    assert given.warnings == (
        "inputs that are used as weights alone are taken as weights: 'w', 'b', 'm' and 1 more",
    )


@pytest.mark.parametrize(
    ("nodes", "inputs"),
    [
        ([node("MatMul", "x k")], {"x": [1, 4, 8, 16], "k": [1, 4, 16, 8]}),
        ([node("MatMul", "x k", "a"), node("Add", "a k")], {"x": [8, 8], "k": [8, 8]}),
        ([node("Add", "x k")], {"x": [4, 8], "k": [8]}),
        ([node("Conv", "x k")], {"x": [1, 3, 8, 8], "k": ["filters", 3, 3, 3]}),
    ],
)
def test_activations_are_no_weights(
    tmp_path: Path, nodes: list[onnx.NodeProto], inputs: dict[str, list[int | str]]
) -> None:
    entries = [value(name, shape) for name, shape in inputs.items()]
    dims = {"filters": 4} if "filters" in inputs["k"] else None
    graph = load(tmp_path, model(nodes, entries), dims=dims)
    assert ([t.name for t in graph.inputs], graph.parameters) == (["x", "k"], 0)
    assert graph.warnings == ()
