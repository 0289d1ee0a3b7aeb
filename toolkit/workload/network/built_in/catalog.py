"""Networks that have a name: sizes as published, and how they are run unless told otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx

from toolkit.errors import WorkloadError
from toolkit.messages import describe, shown_path, suggest
from toolkit.workload.network.built_in.builder import Precision
from toolkit.workload.network.built_in.convolutional import (
    RESNETS,
    VGGS,
    alexnet,
    mobilenet_v2,
    resnet,
    vgg,
)
from toolkit.workload.network.built_in.decoders import DecoderSizes, gpt2, llama
from toolkit.workload.network.built_in.encoders import bert, vit

_DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}

PRECISIONS = (*_DTYPES, "int8", "int4")
"""What may follow a name after a colon."""

_FILE_SUFFIXES = (".onnx", ".ort", ".pb", ".yaml", ".yml")

_IMAGE = {"batch": 1, "height": 224, "width": 224}


@dataclass(frozen=True)
class BuiltIn:
    """A network that has a name.

    Parameters
    ----------
    make : callable
        Builds it in a `Precision`.
    dims : mapping of str to int
        Sizes of its dynamic dimensions unless told otherwise.
    precision : {"fp32", "fp16"}
        In which it is built unless told otherwise.
    precisions : tuple of str
        In which it can be built.
    """

    make: Callable[[Precision], onnx.ModelProto]
    dims: Mapping[str, int]
    precision: str = "fp32"
    precisions: tuple[str, ...] = PRECISIONS


def _images(
    make: Callable[[Precision], onnx.ModelProto], dims: Mapping[str, int] = _IMAGE
) -> BuiltIn:
    # Blocks of four bits are for products of matrices.
    return BuiltIn(make, dims, precisions=PRECISIONS[:-1])


def _resnet(layers: int) -> BuiltIn:
    bottleneck, blocks = RESNETS[layers]
    return _images(partial(resnet, blocks=blocks, bottleneck=bottleneck))


def _vgg(layers: int) -> BuiltIn:
    return _images(partial(vgg, convolutions=VGGS[layers]), {"batch": 1})


# Sizes are layers, hidden, heads; then, for decoders with gates, heads of keys, the width of the
# feed-forward network, the vocabulary, and the positions of rotary embeddings.


def _vit(layers: int, hidden: int, heads: int, patch: int) -> BuiltIn:
    make = partial(
        vit, layers=layers, hidden=hidden, heads=heads, feed_forward=4 * hidden, patch=patch
    )
    return BuiltIn(make, {"batch": 1})


def _bert(layers: int, hidden: int, heads: int) -> BuiltIn:
    make = partial(bert, layers=layers, hidden=hidden, heads=heads, feed_forward=4 * hidden)
    return BuiltIn(make, {"batch": 1, "seq": 128})


def _gpt2(layers: int, hidden: int, heads: int) -> BuiltIn:
    make = partial(gpt2, layers=layers, hidden=hidden, heads=heads)
    return BuiltIn(make, {"batch": 1, "seq": 1, "past": 1023})


def _llama(sizes: DecoderSizes) -> BuiltIn:
    dims = {"batch": 1, "seq": 1, "past": 2047}
    return BuiltIn(partial(llama, sizes=sizes), dims, "fp16")


NETWORKS: Mapping[str, BuiltIn] = {
    "alexnet": _images(alexnet, {"batch": 1}),
    "vgg16": _vgg(16),
    "vgg19": _vgg(19),
    "resnet18": _resnet(18),
    "resnet34": _resnet(34),
    "resnet50": _resnet(50),
    "resnet101": _resnet(101),
    "resnet152": _resnet(152),
    "mobilenet-v2": _images(mobilenet_v2),
    "vit-b16": _vit(12, 768, 12, 16),
    "vit-b32": _vit(12, 768, 12, 32),
    "vit-l16": _vit(24, 1024, 16, 16),
    "bert-base": _bert(12, 768, 12),
    "bert-large": _bert(24, 1024, 16),
    "gpt2": _gpt2(12, 768, 12),
    "gpt2-medium": _gpt2(24, 1024, 16),
    "gpt2-large": _gpt2(36, 1280, 20),
    "gpt2-xl": _gpt2(48, 1600, 25),
    "tinyllama-1.1b": _llama(DecoderSizes(22, 2048, 32, 4, 5632, 32000, 2048)),
    "llama2-7b": _llama(DecoderSizes(32, 4096, 32, 32, 11008, 32000, 4096)),
    "llama3-8b": _llama(DecoderSizes(32, 4096, 32, 8, 14336, 128256, 8192)),
    "llama3-70b": _llama(DecoderSizes(80, 8192, 64, 8, 28672, 128256, 8192)),
    "llama3.2-1b": _llama(DecoderSizes(16, 2048, 32, 8, 8192, 128256, 131072, tied=True)),
    "mistral-7b": _llama(DecoderSizes(32, 4096, 32, 8, 14336, 32000, 32768, window=4096)),
    "qwen2-7b": _llama(DecoderSizes(28, 3584, 28, 4, 18944, 152064, 131072, qkv_bias=True)),
    "mixtral-8x7b": _llama(
        DecoderSizes(32, 4096, 32, 8, 14336, 32000, 32768, experts=8, experts_per_token=2)
    ),
}
"""Networks by name."""

COUNTS: Mapping[str, tuple[int, int]] = {
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
    "bert-base": (109_482_240, 11_174_215_680),
    "bert-large": (335_141_888, 39_461_060_608),
    "gpt2": (124_439_808, 142_406_400),
    "gpt2-medium": (354_823_168, 403_784_704),
    "gpt2-large": (774_030_080, 866_489_600),
    "gpt2-xl": (1_557_611_200, 1_712_257_600),
    "tinyllama-1.1b": (1_100_048_384, 1_218_969_600),
    "llama2-7b": (6_738_415_616, 7_143_948_288),
    "llama3-8b": (8_030_261_248, 8_041_529_344),
    "llama3-70b": (70_553_706_496, 72_186_068_992),
    "llama3.2-1b": (1_235_814_400, 1_369_964_544),
    "mistral-7b": (7_241_732_096, 7_647_264_768),
    "qwen2-7b": (7_615_616_512, 7_481_327_616),
    "mixtral-8x7b": (46_702_792_704, 13_285_457_920),
}
"""Parameters, and multiply-accumulates of one run with `BuiltIn.dims`: written down, because a
list of all networks would have to read each of them. Tests count them anew."""


def network_names() -> tuple[str, ...]:
    """List the networks that need no file.

    Examples
    --------
    >>> network_names()[:2]
    ('alexnet', 'vgg16')
    """
    return tuple(NETWORKS)


def is_built_in(text: str) -> bool:
    """Whether a text means a network by name: no path, and no file of that name.

    Examples
    --------
    >>> is_built_in("resnet18"), is_built_in("resnet18.onnx"), is_built_in("models/resnet18")
    (True, False, False)
    """
    if text != Path(text).name or Path(text).suffix.lower() in _FILE_SUFFIXES:
        return False
    # A folder, such as one of results, may be called as a network.
    named = text.partition(":")[0] in NETWORKS
    return not os.path.lexists(text) or (named and os.path.isdir(text))


def find_network(name: str) -> tuple[BuiltIn, Precision]:
    """Look a network up, and the precision that its name goes on with.

    Parameters
    ----------
    name : str
        One of `network_names`, or with a precision behind it, such as ``llama3-8b:int4``.

    Raises
    ------
    WorkloadError
        If there is none of that name, or not in that precision.
    """
    plain, colon, suffix = name.partition(":")
    network = NETWORKS.get(plain)
    if network is None:
        raise WorkloadError(
            f"no such file, and no built-in network of that name{suggest(plain, NETWORKS)}; "
            "toolkit list networks names all",
            source=shown_path(name),
        )
    asked = suffix if colon else network.precision
    if asked not in network.precisions:
        raise WorkloadError(
            f"precision {describe(suffix)} is not known for {plain}; expected "
            f"{', '.join(network.precisions)}",
            source=shown_path(name),
        )
    return network, precision_named(asked, network.precision)


def precision_named(asked: str, usual: str = "fp32") -> Precision:
    """How a network is written in one of `PRECISIONS`.

    Parameters
    ----------
    asked : str
        The precision.
    usual : {"fp32", "fp16", "bf16"}
        Floats of what int8 leaves as it is.
    """
    if asked == "int8":
        return Precision(_DTYPES[usual], "qdq")
    if asked == "int4":
        return Precision("float16", "blocks")
    return Precision(_DTYPES[asked])


def network_model(name: str) -> onnx.ModelProto:
    """Build a network by name as an ONNX model whose weights have shapes only.

    Parameters
    ----------
    name : str
        One of `network_names`, or with a precision behind it, such as ``llama3-8b:int4``.

    Raises
    ------
    WorkloadError
        If there is none of that name, or not in that precision.

    Examples
    --------
    >>> network_model("resnet18").graph.node[0].name
    '/conv1/Conv'
    """
    network, precision = find_network(name)
    return network.make(precision)
