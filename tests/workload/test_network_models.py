"""Whole networks against published counts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

import toolkit

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
EXPORTED = Path(__file__).parent.parent / "data" / "networks"
STUDIES = Path(__file__).parents[2] / "studies" / "networks"

# MACs and parameters. AlexNet with two groups, GoogLeNet, SqueezeNet 1.1 and VGG-19 have the
# parameters of their authors' models, ResNet-50 those of torchvision. ShuffleNet, DenseNet and
# Inception v2 follow from the graphs: Caffe writes a batch normalization and a scale where there
# is one layer, and DenseNet-121 so has 83,648 parameters more than the published 7,978,856.
LIGHT_MODELS = {
    "bvlc_alexnet": (654_560_384, 60_965_224, 8),
    "densenet121": (2_834_161_664, 7_978_856 + 83_648, 121),
    "inception_v1": (1_431_556_352, 6_998_552, 58),
    "inception_v2": (2_018_851_840, 11_214_888, 70),
    "resnet50": (4_089_184_256, 25_557_032, 54),
    "shufflenet": (124_664_528, 1_393_320, 50),
    "squeezenet": (349_151_936, 1_235_496, 26),
    "vgg19": (19_632_062_464, 143_667_240, 19),
    "zfnet512": (1_481_727_008, 87_250_536, 8),
}

# Published: ResNet-18 1.814 G and 11,689,512 parameters, MobileNetV2 0.30 G and 3,504,872,
# ViT-B/16 17.56 G (16.85 G without the two products of attention) and 86,567,656 (torchvision);
# BERT-base 109,482,240 (Devlin et al.), a layer of it 7,087,872, as has a block of GPT-2.
TORCH_MODELS = {
    "resnet18": ({}, 1_814_073_344, 11_689_512),
    "mobilenet_v2": ({}, 300_774_272, 3_504_872),
    "vit_b16": ({"batch": 1}, 17_563_828_224, 86_567_656),
    "bert_layer": ({"batch": 1, "seq": 128}, 128 * 7_077_888 + 2 * 128 * 128 * 768, 7_087_872),
    "bert_base": (
        {"batch": 1, "seq": 128},
        12 * (128 * 7_077_888 + 2 * 128 * 128 * 768) + 768 * 768,
        109_482_240,
    ),
    "gpt2_block": ({"batch": 1, "past": 1023}, 7_077_888 + 2 * 1024 * 768, 7_087_872),
}


@pytest.mark.parametrize("name", LIGHT_MODELS)
def test_light_models(name: str) -> None:
    graph = toolkit.load_network(LIGHT / f"light_{name}.onnx")
    macs, parameters, heavy = LIGHT_MODELS[name]
    assert (graph.macs, graph.parameters) == (macs, parameters)
    assert sum(layer.cost_class == "einsum" for layer in graph.layers) == heavy
    assert graph.warnings == ()


@pytest.mark.parametrize("name", TORCH_MODELS)
def test_models_exported_by_torch(name: str) -> None:
    dims, macs, parameters = TORCH_MODELS[name]
    graph = toolkit.load_network(EXPORTED / f"{name}.onnx", dims)
    assert (graph.macs, graph.parameters) == (macs, parameters)
    (note,) = graph.warnings
    assert re.fullmatch(
        r"contents of \d+ tensors \([\d,]+ bytes\) are not there; read by shape", note
    )


def test_vision_transformer_without_the_products_of_attention() -> None:
    graph = toolkit.load_network(EXPORTED / "vit_b16.onnx", {"batch": 1})
    assert sum(layer.macs for layer in graph.layers if layer.weights) == 16_848_500_736


def test_batch_scales_activations_and_not_parameters() -> None:
    one, four = (toolkit.load_network(EXPORTED / "vit_b16.onnx", {"batch": n}) for n in (1, 4))
    assert (four.macs, four.parameters) == (4 * one.macs, one.parameters)


def test_folded_batch_norms_become_biases() -> None:
    plain = toolkit.load_network(EXPORTED / "resnet18.onnx")
    folded = toolkit.load_network(EXPORTED / "resnet18.onnx", fold_batch_norm=True)
    assert sum(layer.operator == "BatchNormalization" for layer in plain.layers) == 20
    assert not any(layer.operator == "BatchNormalization" for layer in folded.layers)
    # Scale and shift of 4,800 channels before, one bias per channel after.
    assert plain.parameters - folded.parameters == 4_800
    assert folded.workloads()[0].workload == plain.workloads()[0].workload


def test_resnet18_has_the_workloads_of_the_library() -> None:
    graph = toolkit.load_network(EXPORTED / "resnet18.onnx")
    uses = {(*use.workload.sizes.items(), use.workload.tensors): use for use in graph.workloads()}
    for member, count in (("L0", 1), ("L1", 4), ("L5", 1), ("L6", 3), ("L7", 1)):
        named = toolkit.load_workload(f"resnet18/{member}")
        assert uses[(*named.sizes.items(), named.tensors)].count == count


def test_the_study_writes_the_models_of_these_tests(tmp_path: Path) -> None:
    command = [sys.executable, STUDIES / "export.py", tmp_path, "gpt2_block"]
    subprocess.run(command, check=True, capture_output=True)
    dims = {"batch": 1, "past": 7}
    made, kept = (
        toolkit.load_network(folder / "gpt2_block.onnx", dims) for folder in (tmp_path, EXPORTED)
    )
    assert (made.macs, made.parameters) == (kept.macs, kept.parameters)
    assert [layer.workload for layer in made.layers] == [layer.workload for layer in kept.layers]
