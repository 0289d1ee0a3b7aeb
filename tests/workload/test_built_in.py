"""Networks by name: published counts, names of exporters, precisions, and what names mean."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import shape_inference
from workload.tiny_networks import PEAK_KIB, constant, model, node, value, weight

import toolkit
from toolkit.errors import WorkloadError
from toolkit.workload.network.built_in import COUNTS, NETWORKS, find_network

ROOT = Path(__file__).parents[2]
EXPORTED = ROOT / "tests" / "data" / "networks"
STUDIES = ROOT / "studies" / "networks"


def bert_macs(layers: int, hidden: int, seq: int) -> int:
    return layers * (12 * seq * hidden**2 + 2 * seq * seq * hidden) + hidden**2


def gpt2_macs(parameters: int, layers: int, hidden: int, keys: int) -> int:
    """All matrices but the table of positions once per token, and two products per layer."""
    vectors = layers * 13 * hidden + 2 * hidden + 1024 * hidden
    return parameters - vectors + layers * 2 * keys * hidden


def llama_macs(parameters: int, layers: int, hidden: int, vocabulary: int, width: int) -> int:
    """All matrices but the table of words, and two products with 2,048 keys."""
    vectors = (2 * layers + 1) * hidden
    return parameters - vectors - vocabulary * hidden + layers * 2 * 2048 * width


# Parameters as published (torchvision; Devlin et al. with the pooler; Radford et al. by what
# Hugging Face counts; the Llama models' cards), and MACs: those of torchvision's tables, 0.30 G,
# 1.81 G, 4.09 G, 15.47 G, 17.56 G, ..., exactly; of the others, as the matrices have them.
PUBLISHED = {
    "alexnet": (61_100_840, 714_188_480),
    "vgg16": (138_357_544, 15_470_264_320),
    "vgg19": (143_667_240, 19_632_062_464),
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet34": (21_797_672, 3_663_761_408),
    "resnet50": (25_557_032, 4_089_184_256),
    "resnet101": (44_549_160, 7_801_405_440),
    "resnet152": (60_192_808, 11_513_626_624),
    "mobilenet-v2": (3_504_872, 300_774_272),
    "vit-b16": (86_567_656, 17_563_828_224),
    "vit-b32": (88_224_232, 4_409_186_304),
    "vit-l16": (304_326_632, 61_554_712_576),
    "bert-base": (109_482_240, bert_macs(12, 768, 128)),
    "bert-large": (335_141_888, bert_macs(24, 1024, 128)),
    "gpt2": (124_439_808, gpt2_macs(124_439_808, 12, 768, 1024)),
    "gpt2-medium": (354_823_168, gpt2_macs(354_823_168, 24, 1024, 1024)),
    "gpt2-large": (774_030_080, gpt2_macs(774_030_080, 36, 1280, 1024)),
    "gpt2-xl": (1_557_611_200, gpt2_macs(1_557_611_200, 48, 1600, 1024)),
    "tinyllama-1.1b": (1_100_048_384, llama_macs(1_100_048_384, 22, 2048, 32_000, 2048)),
    "llama2-7b": (6_738_415_616, llama_macs(6_738_415_616, 32, 4096, 32_000, 4096)),
    "llama3-8b": (8_030_261_248, llama_macs(8_030_261_248, 32, 4096, 128_256, 4096)),
    "llama3-70b": (70_553_706_496, llama_macs(70_553_706_496, 80, 8192, 128_256, 8192)),
    # The table of words is the last matrix, too.
    "llama3.2-1b": (1_235_814_400, llama_macs(1_235_814_400, 16, 2048, 0, 2048)),
    "mistral-7b": (7_241_732_096, llama_macs(7_241_732_096, 32, 4096, 32_000, 4096)),
    # Biases of query, key and value are no matrices.
    "qwen2-7b": (
        7_615_616_512,
        llama_macs(7_615_616_512, 28, 3584, 152_064, 3584) - 28 * (3584 + 2 * 512),
    ),
    # A token goes through two of eight experts.
    "mixtral-8x7b": (
        46_702_792_704,
        llama_macs(46_702_792_704, 32, 4096, 32_000, 4096) - 32 * 6 * 3 * 4096 * 14_336,
    ),
}


def test_every_network_is_held_against_what_is_published() -> None:
    assert set(PUBLISHED) == set(toolkit.network_names())


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str) -> None:
    graph = toolkit.load_network(name)
    assert (graph.parameters, graph.macs) == PUBLISHED[name] == COUNTS[name]
    assert graph.warnings == ()
    assert graph.graph["name"] == name


@pytest.mark.parametrize(
    ("name", "exported", "dims"),
    [
        ("resnet18", "resnet18", {}),
        ("mobilenet-v2", "mobilenet_v2", {}),
        ("vit-b16", "vit_b16", {"batch": 1}),
        ("bert-base", "bert_base", {"batch": 1, "seq": 128}),
    ],
)
def test_workloads_are_those_that_torch_exports(
    name: str, exported: str, dims: dict[str, int]
) -> None:
    def counts(graph: toolkit.LayerGraph) -> dict[Any, int]:
        found: dict[Any, int] = {}
        for use in graph.workloads():
            key = tuple(sorted(use.workload.sizes.values())), use.workload.macs
            found[key] = found.get(key, 0) + use.count
        return found

    mine, torchs = (
        toolkit.load_network(name),
        toolkit.load_network(EXPORTED / f"{exported}.onnx", dims),
    )
    # Exporters write query, key and value, and heads of attention, in more than one way.
    if name != "vit-b16":
        assert counts(mine) == counts(torchs)
    assert (mine.macs, mine.parameters) == (torchs.macs, torchs.parameters)
    assert mine.workloads()[0].workload.sizes == torchs.workloads()[0].workload.sizes


def test_layers_are_called_as_exporters_call_them() -> None:
    for name, layers in {
        "resnet18": ("/conv1/Conv", "/layer2/layer2.0/downsample/downsample.0/Conv", "/fc/Gemm"),
        "mobilenet-v2": ("/features/features.1/conv/conv.0/conv.0.0/Conv",),
        "bert-base": ("/encoder/layer.11/attention/self/query/MatMul",),
        "gpt2": ("/transformer/h.3/mlp/c_fc/MatMul",),
        "llama3-8b": ("/model/layers.31/mlp/down_proj/MatMul", "/lm_head/MatMul"),
    }.items():
        assert set(layers) <= set(toolkit.load_network(name))
    weights = {t.name for t in toolkit.load_network("resnet18").layers[0].weights}
    assert weights == {"conv1.weight"}


@pytest.mark.parametrize("name", [n for n in PUBLISHED if "llama" not in n and "7b" not in n])
def test_networks_of_standard_operators_are_valid_onnx(name: str) -> None:
    inferred = shape_inference.infer_shapes(toolkit.network_model(name), strict_mode=True)
    dims = [
        d.dim_param or d.dim_value for d in inferred.graph.output[0].type.tensor_type.shape.dim
    ]
    assert dims[0] == "batch"


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("resnet18:int8", ("resnet18", 4_800)),
        ("vgg16:int8", ("vgg16", 0)),
        ("vit-b16:int8", ("vit-b16", 0)),
        ("bert-base:fp16", ("bert-base", 0)),
        ("gpt2:int8", ("gpt2", 0)),
        ("llama3-8b:int8", ("llama3-8b", 0)),
        ("llama3-8b:bf16", ("llama3-8b", 0)),
    ],
)
def test_precisions_have_the_same_macs_and_parameters(name: str, same: tuple[str, int]) -> None:
    graph, plain = toolkit.load_network(name), toolkit.load_network(same[0])
    # Scales of batch normalizations go into the weights before they are quantized.
    assert (graph.macs, graph.parameters) == (plain.macs, plain.parameters - same[1])
    assert graph.warnings == ()


def test_bytes_of_weights_follow_the_precision() -> None:
    def size(name: str) -> int:
        graph = toolkit.load_network(name)
        return sum(layer.weight_bytes for layer in graph.layers if layer.macs)

    assert size("resnet18:fp16") * 2 == size("resnet18")
    assert size("resnet18:bf16") == size("resnet18:fp16")
    assert size("vgg16:int8") < 0.2502 * size("vgg16")
    # Four bits, and a half-precision scale for each 32 weights.
    packed = {t.name: t for t in _stored("llama3-8b:int4")}
    name = "model.layers.0.mlp.up_proj"
    assert packed[f"{name}.qweight"].dims == [14336, 128, 16]
    assert packed[f"{name}.scales"].dims == [14336, 128]
    assert packed[f"{name}.scales"].data_type == onnx.TensorProto.FLOAT16


def _stored(name: str) -> list[onnx.TensorProto]:
    return list(toolkit.network_model(name).graph.initializer)


def test_eight_bits_are_quantized_before_every_product() -> None:
    nodes = toolkit.network_model("resnet18:int8").graph.node
    made = {name: node.op_type for node in nodes for name in node.output}
    products = [node for node in nodes if node.op_type in ("Conv", "Gemm")]
    assert len(products) == 21
    for product in products:
        assert [made[name] for name in product.input] == ["DequantizeLinear"] * 3
    # Batch normalizations are in the weights.
    assert "BatchNormalization" not in made.values()
    weights = [x for x in toolkit.load_network("resnet18:int8").layers if x.macs]
    assert {layer.weights[0].dtype for layer in weights} == {"int8"}


def test_dimensions_have_sizes_that_can_be_changed() -> None:
    plain = toolkit.load_network("resnet18")
    assert toolkit.load_network("resnet18", {"batch": 4}).macs == 4 * plain.macs
    larger = toolkit.load_network("resnet18", {"height": 448, "width": 448})
    assert larger.macs - 512_000 == 4 * (plain.macs - 512_000)
    prefill = toolkit.load_network("llama3-8b", {"seq": 512, "past": 0})
    assert prefill.inputs[0].shape == (1, 512)
    assert prefill.outputs[1].shape == (1, 8, 512, 128)
    step = toolkit.load_network("llama3-8b", {"past": 4095})
    assert step.outputs[1].shape == (1, 8, 4096, 128)
    with pytest.raises(WorkloadError, match=r"it has: batch, .*past \+ seq, seq"):
        toolkit.load_network("llama3-8b", {"total": 5})


def test_a_file_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet18").mkdir()
    assert toolkit.load_network("resnet18").parameters == 11_689_512
    tiny = model([node("Relu", "x")], [value("x", [3])])
    Path("resnet34").write_bytes(tiny.SerializeToString())
    assert len(toolkit.load_network("resnet34")) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet81", r"^resnet81: no such file, and no built-in .* mean 'resnet18'\?\)"),
        ("llama", "toolkit list networks names all"),
        ("", "no built-in network"),
        ("resnet18:int4", "'int4' is not known for resnet18; expected fp32, fp16, bf16, int8"),
        ("gpt2:", "precision '' is not known for gpt2"),
        ("gpt2:int8:int8", "'int8:int8' is not known"),
        ("resnet18.onnx", r"^resnet18\.onnx: no such file$"),
        ("models/resnet18", r"^models/resnet18: no such file$"),
    ],
)
def test_names_that_mean_nothing(name: str, message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        toolkit.load_network(name)


def test_models_in_memory_are_read_and_left_as_they_are() -> None:
    proto = model(
        [node("MatMul", "x w", "h"), node("Reshape", "h s")],
        [value("x", ["batch", 8])],
        [weight("w", 8, 4), constant("s", [-1])],
    )
    before = proto.SerializeToString()
    graph = toolkit.load_network(proto, {"batch": 2})
    assert (graph.macs, graph.parameters, graph.graph["name"]) == (64, 32, "tiny")
    assert graph.outputs[0].shape == (8,)
    assert proto.SerializeToString() == before
    with pytest.raises(WorkloadError, match="^model 'tiny': dims: sizes of dynamic dimensions"):
        toolkit.load_network(proto)


def test_a_large_network_is_read_at_once_and_in_little_memory() -> None:
    code = PEAK_KIB + (
        "import time, toolkit; start = time.process_time(); "
        "toolkit.load_network('llama3-70b'); "
        "print(time.process_time() - start, peak_kib())"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, kibibytes = (float(word) for word in done.stdout.split())
    assert seconds < 10
    assert kibibytes < 2**19


@pytest.mark.parametrize(
    ("words", "dims", "parameters"),
    [
        (("resnet.py", "--blocks", "3", "4", "6", "3", "--bottleneck"), "resnet50", 25_557_032),
        (("vit.py",), "vit-b16", 86_567_656),
        (("llama.py", "--layers", "2", "--kv-heads", "8", "--precision", "fp32"), "llama2-7b", 0),
    ],
)
def test_studies_write_networks_of_any_size(
    tmp_path: Path, words: tuple[str, ...], dims: str, parameters: int
) -> None:
    path = tmp_path / "made.onnx"
    command = [sys.executable, STUDIES / words[0], path, *words[1:]]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    graph = toolkit.load_network(path, find_network(dims)[0].dims)
    layer = 4096 * (2 * 4096 + 2 * 1024 + 3 * 11008) + 2 * 4096
    assert graph.parameters == (parameters or 2 * layer + 2 * 32_000 * 4096 + 4096)


def test_sizes_that_do_not_divide(tmp_path: Path) -> None:
    command = [sys.executable, STUDIES / "vit.py", tmp_path / "v.onnx", "--heads", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "elements in heads: 768 is not a multiple of 5" in done.stderr


def test_default_sizes_name_all_dynamic_dimensions() -> None:
    for name, network in NETWORKS.items():
        named = {
            dim.dim_param
            for entry in toolkit.network_model(name).graph.input
            for dim in entry.type.tensor_type.shape.dim
            if dim.dim_param
        }
        assert named - {"past + seq"} == set(network.dims)
