"""Convolutional networks as torchvision defines them, images dynamic in batch and size."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from toolkit.workload.network.built_in.builder import GraphBuilder, Precision

CLASSES = 1000

RESNETS = {
    18: (False, (2, 2, 2, 2)),
    34: (False, (3, 4, 6, 3)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
    152: (True, (3, 8, 36, 3)),
}
"""Whether blocks have bottlenecks, and how many blocks each stage has, by number of layers."""

VGGS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Convolutions per stage, by number of layers."""

# Expansion, channels, blocks, stride of the first.
_MOBILENET_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

# Channels, kernel, stride, padding, and whether a pooling follows.
_ALEXNET_LAYERS = (
    (64, 11, 4, 2, True),
    (192, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (256, 3, 1, 1, False),
    (256, 3, 1, 1, True),
)


def resnet(
    precision: Precision,
    *,
    blocks: Sequence[int],
    bottleneck: bool,
    width: int = 64,
    classes: int = CLASSES,
) -> onnx.ModelProto:
    """A residual network (He et al., CVPR 2016).

    Parameters
    ----------
    precision : Precision
        How it is written.
    blocks : sequence of int
        Blocks of each stage, of which every one but the first halves the image.
    bottleneck : bool
        Whether blocks are three convolutions, the outer ones of one tap, rather than two.
    width : int
        Channels of the first stage.
    classes : int
        Outputs.
    """
    g = GraphBuilder("resnet", precision, sequential=True)
    x = g.input("input", ["batch", 3, "height", "width"])
    x = g.normalized_convolution(x, "conv1", "bn1", 3, width, 7, stride=2, padding=3)
    x = g.node("Relu", [x], "relu")
    x = _pool(g, x, "maxpool", 3, 2, padding=1)
    inside = width
    for stage, count in enumerate(blocks):
        channels = width << stage
        outside = 4 * channels if bottleneck else channels
        for i in range(count):
            stride = 2 if stage and not i else 1
            at = f"layer{stage + 1}.{i}"
            x = _residual(g, x, at, inside, channels, outside, stride, bottleneck=bottleneck)
            inside = outside
    return _classified(g, x, "avgpool", "fc", inside, classes)


def _residual(
    g: GraphBuilder,
    x: str,
    at: str,
    inside: int,
    channels: int,
    outside: int,
    stride: int,
    *,
    bottleneck: bool,
) -> str:
    # The kernel and the stride of each convolution, and its outputs.
    first = [(1, 1, channels), (3, stride, channels), (1, 1, outside)]
    plan = first if bottleneck else [(3, stride, channels), (3, 1, outside)]
    y, have = x, inside
    for i, (kernel, step, made) in enumerate(plan, start=1):
        y = g.normalized_convolution(
            y,
            f"{at}.conv{i}",
            f"{at}.bn{i}",
            have,
            made,
            kernel,
            stride=step,
            padding=kernel // 2,
        )
        have = made
        if i < len(plan):
            y = g.node("Relu", [y], f"{at}.relu")
    if stride != 1 or inside != outside:
        down = f"{at}.downsample"
        x = g.normalized_convolution(
            x, f"{down}.0", f"{down}.1", inside, outside, 1, stride=stride
        )
    return g.node("Relu", [g.node("Add", [y, x], at)], f"{at}.relu")


def vgg(
    precision: Precision, *, convolutions: Sequence[int], classes: int = CLASSES
) -> onnx.ModelProto:
    """A network of Simonyan and Zisserman's (ICLR 2015) on images of 224 x 224.

    Parameters
    ----------
    precision : Precision
        How it is written.
    convolutions : sequence of int
        How many each of the five stages has.
    classes : int
        Outputs.
    """
    g = GraphBuilder("vgg", precision, sequential=True)
    x = g.input("input", ["batch", 3, 224, 224])
    inside, place = 3, 0
    for stage, count in enumerate(convolutions):
        outside = min(64 << stage, 512)
        for _ in range(count):
            x = g.convolution(x, f"features.{place}", inside, outside, 3, padding=1)
            x = g.node("Relu", [x], f"features.{place + 1}")
            inside, place = outside, place + 2
        x = _pool(g, x, f"features.{place}", 2, 2)
        place += 1
    return _dense(g, x, (0, 3, 6), inside * 7 * 7, classes)


def alexnet(precision: Precision, *, classes: int = CLASSES) -> onnx.ModelProto:
    """AlexNet without groups (Krizhevsky, 2014) on images of 224 x 224.

    Parameters
    ----------
    precision : Precision
        How it is written.
    classes : int
        Outputs.
    """
    g = GraphBuilder("alexnet", precision, sequential=True)
    x = g.input("input", ["batch", 3, 224, 224])
    inside, place = 3, 0
    for outside, kernel, stride, padding, pooled in _ALEXNET_LAYERS:
        at = f"features.{place}"
        x = g.convolution(x, at, inside, outside, kernel, stride=stride, padding=padding)
        x = g.node("Relu", [x], f"features.{place + 1}")
        inside, place = outside, place + 2
        if pooled:
            x = _pool(g, x, f"features.{place}", 3, 2)
            place += 1
    return _dense(g, x, (1, 4, 6), inside * 6 * 6, classes)


def _dense(
    g: GraphBuilder, x: str, places: Sequence[int], inside: int, classes: int
) -> onnx.ModelProto:
    """Three fully connected layers, of 4096 but for the last."""
    x = g.node("Flatten", [x], "", axis=1)
    for place in places[:2]:
        x = g.classifier(x, f"classifier.{place}", inside, 4096)
        x = g.node("Relu", [x], f"classifier.{place + 1}")
        inside = 4096
    g.classifier(x, f"classifier.{places[2]}", inside, classes, "output")
    g.output("output", ["batch", classes])
    return g.model()


def mobilenet_v2(precision: Precision, *, classes: int = CLASSES) -> onnx.ModelProto:
    """MobileNetV2 (Sandler et al., CVPR 2018).

    Parameters
    ----------
    precision : Precision
        How it is written.
    classes : int
        Outputs.
    """
    g = GraphBuilder("mobilenet_v2", precision, sequential=True)
    x = _capped(g, g.input("input", ["batch", 3, "height", "width"]), "features.0", 3, 32, 3, 2)
    inside, place = 32, 1
    for expansion, outside, blocks, stride in _MOBILENET_STAGES:
        for i in range(blocks):
            step = 1 if i else stride
            x = _inverted(g, x, f"features.{place}", inside, outside, step, expansion)
            inside, place = outside, place + 1
    x = _capped(g, x, f"features.{place}", inside, 1280, 1, 1)
    return _classified(g, x, "", "classifier.1", 1280, classes)


def _inverted(
    g: GraphBuilder, x: str, at: str, inside: int, outside: int, stride: int, expansion: int
) -> str:
    y, hidden, place = x, inside * expansion, 0
    if expansion > 1:
        y = _capped(g, y, f"{at}.conv.{place}", inside, hidden, 1, 1)
        place += 1
    y = _capped(g, y, f"{at}.conv.{place}", hidden, hidden, 3, stride, groups=hidden)
    last = f"{at}.conv.{place + 1}"
    y = g.normalized_convolution(y, last, f"{at}.conv.{place + 2}", hidden, outside, 1)
    return g.node("Add", [x, y], at) if stride == 1 and inside == outside else y


def _capped(
    g: GraphBuilder,
    x: str,
    at: str,
    inside: int,
    outside: int,
    kernel: int,
    stride: int,
    groups: int = 1,
) -> str:
    """A normalized convolution whose outputs are cut off at 0 and 6."""
    x = g.normalized_convolution(
        x,
        f"{at}.0",
        f"{at}.1",
        inside,
        outside,
        kernel,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
    )
    bounds = [g.constant(bound, g.dtype) for bound in (0.0, 6.0)]
    return g.node("Clip", [x, *bounds], f"{at}.2")


def _pool(g: GraphBuilder, x: str, at: str, kernel: int, stride: int, padding: int = 0) -> str:
    return g.node(
        "MaxPool",
        [x],
        at,
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[padding] * 4,
    )


def _classified(
    g: GraphBuilder, x: str, pool: str, at: str, inside: int, classes: int
) -> onnx.ModelProto:
    x = g.node("GlobalAveragePool", [x], pool)
    x = g.node("Flatten", [x], "", axis=1)
    g.classifier(x, at, inside, classes, "output")
    g.output("output", ["batch", classes])
    return g.model()
