"""Small networks for fusion, and random ones."""

from __future__ import annotations

import random
from collections.abc import Sequence

from toolkit.fusion import FoldedGraph, fold
from toolkit.workload import conv2d
from toolkit.workload.network import Layer, LayerGraph, TensorInfo


def tensor(name: str, channels: int, rows: int, columns: int | None = None) -> TensorInfo:
    return TensorInfo(name, (1, channels, rows, columns or rows), "int8")


def conv(
    name: str,
    source: TensorInfo,
    channels: int,
    kernel: int = 3,
    stride: int = 1,
    pad: int | None = None,
) -> Layer:
    """A square convolution; padded so that it keeps the size at stride 1 by default."""
    pad = kernel // 2 if pad is None else pad
    _, c, rows, columns = source.shape
    p, q = ((size + 2 * pad - kernel) // stride + 1 for size in (rows, columns))
    out = TensorInfo(f"{name}.out", (1, channels, p, q), "int8")
    weight = TensorInfo(f"{name}.w", (channels, c, kernel, kernel), "int8")
    workload = conv2d(channels, c, p, q, kernel, kernel, stride=stride)
    attributes = (("pads", (pad,) * 4), ("strides", (stride, stride)))
    return Layer(
        name,
        "Conv",
        "einsum",
        (source,),
        (weight,),
        (out,),
        workload=workload,
        elements=out.elements,
        attributes=attributes,
    )


def pool(name: str, source: TensorInfo, kernel: int = 2, stride: int = 2) -> Layer:
    _, c, rows, columns = source.shape
    p, q = ((size - kernel) // stride + 1 for size in (rows, columns))
    out = TensorInfo(f"{name}.out", (1, c, p, q), "int8")
    attributes = (("kernel_shape", (kernel, kernel)), ("strides", (stride, stride)))
    return Layer(
        name,
        "MaxPool",
        "window",
        (source,),
        (),
        (out,),
        elements=out.elements,
        operations_per_element=kernel * kernel,
        attributes=attributes,
    )


def add(name: str, *sources: TensorInfo) -> Layer:
    out = TensorInfo(f"{name}.out", sources[0].shape, "int8")
    return Layer(
        name,
        "Add",
        "elementwise",
        sources,
        (),
        (out,),
        elements=out.elements,
        operations_per_element=1,
    )


def beside(name: str, axis: int, *sources: TensorInfo) -> Layer:
    """Tensors side by side, which nobody copies."""
    shape = list(sources[0].shape)
    shape[axis] = sum(source.shape[axis] for source in sources)
    out = TensorInfo(f"{name}.out", tuple(shape), "int8")
    return Layer(name, "Concat", "view", sources, (), (out,), attributes=(("axis", axis),))


def relu(name: str, source: TensorInfo) -> Layer:
    out = TensorInfo(f"{name}.out", source.shape, "int8")
    return Layer(
        name,
        "Relu",
        "elementwise",
        (source,),
        (),
        (out,),
        elements=out.elements,
        operations_per_element=1,
    )


def network(layers: Sequence[Layer], outputs: Sequence[TensorInfo] | None = None) -> LayerGraph:
    made = {t.name for layer in layers for t in layer.outputs}
    read = {t.name: t for layer in layers for t in layer.inputs}
    inputs = [t for name, t in read.items() if name not in made]
    if outputs is None:
        outputs = [layer.outputs[0] for layer in layers if layer.outputs[0].name not in read]
    return LayerGraph.from_layers(layers, name="small", inputs=inputs, outputs=outputs)


def residual(rows: int = 8, channels: int = 2) -> FoldedGraph:
    """Two convolutions and the addition of what they started from, and a third before it."""
    stem = conv("stem", tensor("x", channels, rows), channels)
    one = conv("one", stem.outputs[0], channels)
    two = conv("two", one.outputs[0], channels)
    return fold(network([stem, one, two, add("sum", two.outputs[0], stem.outputs[0])]))


def random_network(seed: int, most: int = 9) -> FoldedGraph:
    """A random graph of convolutions, poolings and additions."""
    draw = random.Random(seed)
    start = tensor("x", draw.choice((1, 2, 3)), draw.choice((6, 8, 9)))
    layers: list[Layer] = []
    tensors = [start]
    for i in range(draw.randint(2, most)):
        source = draw.choice(tensors[-4:])
        like = [t for t in tensors if t.shape == source.shape and t is not source]
        kind = draw.random()
        if like and kind < 0.35:
            layers.append(add(f"n{i}", source, draw.choice(like)))
        elif source.shape[2] >= 4 and kind < 0.45:
            layers.append(pool(f"n{i}", source))
        else:
            kernel = draw.choice((1, 3, 3, 5))
            stride = 2 if source.shape[2] >= 6 and draw.random() < 0.2 else 1
            channels = source.shape[1] if draw.random() < 0.7 else draw.choice((1, 2, 4))
            layers.append(conv(f"n{i}", source, channels, kernel, stride))
        tensors.append(layers[-1].outputs[0])
    return fold(network(layers))
