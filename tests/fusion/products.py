"""Layers of transformers for tests of fusion, and random groups of all kinds."""

from __future__ import annotations

import random

from fusion.networks import add, beside, conv, network, pool, relu, tensor

from toolkit.fusion import FoldedGraph, fold
from toolkit.workload import batched_gemm, conv2d, depthwise_conv2d, gemm
from toolkit.workload.network import Layer, TensorInfo


def rows(name: str, *shape: int) -> TensorInfo:
    return TensorInfo(name, shape, "int8")


def project(name: str, source: TensorInfo, columns: int) -> Layer:
    """A product with weights."""
    *before, summed = source.shape
    out = rows(f"{name}.out", *before, columns)
    return Layer(
        name,
        "MatMul",
        "einsum",
        (source,),
        (rows(f"{name}.w", summed, columns),),
        (out,),
        workload=gemm(columns, summed, source.elements // summed),
        elements=out.elements,
    )


def experts(name: str, source: TensorInfo, count: int, tokens: int, columns: int) -> Layer:
    """A matrix for each of several inputs, which are rows of one tensor or its own."""
    summed = source.shape[-1]
    out = rows(f"{name}.out", count, tokens, columns)
    return Layer(
        name,
        "MatMul",
        "einsum",
        (source,),
        (rows(f"{name}.w", count, summed, columns),),
        (out,),
        workload=batched_gemm(count, columns, summed, tokens),
        elements=out.elements,
    )


def mixture(tokens: int = 5, count: int = 3, each: int = 4, inner: int = 6) -> FoldedGraph:
    """Experts between a projection and nothing: every one with its share of the rows."""
    x = rows("x", 1, tokens, 4)
    before = project("before", x, 5)
    first = experts("first", made(before), count, each, inner)
    act = relu("act", made(first))
    second = experts("second", made(act), count, each, 3)
    return fold(network([before, first, act, second]))


def joined(seed: int) -> FoldedGraph:
    """Blocks that read all that was made before them, side by side; or rows and columns so."""
    draw = random.Random(seed)
    if seed % 3 == 0:
        x = rows("x", 1, draw.randint(2, 4), draw.randint(2, 4))
        one = project("one", x, draw.randint(1, 4))
        two = project("two", x, one.outputs[0].shape[2] if draw.random() < 0.5 else 2)
        same = made(one).shape == made(two).shape
        side = beside("side", draw.choice((1, 2)) if same else 2, made(one), made(two))
        return fold(network([one, two, side, project("last", made(side), draw.randint(1, 4))]))
    x = tensor("x", draw.randint(1, 2), draw.choice((2, 4)))
    layers, parts = list[Layer](), [x]
    for number in range(draw.randint(2, 3)):
        source = parts[0]
        if len(parts) > 1:
            # As graphs write it: what is joined is joined with what comes next.
            layers.append(beside(f"join {number}", 1, *parts))
            source = made(layers[-1])
            parts = [source]
        kernel = draw.choice((1, 3))
        layers.append(conv(f"conv {number}", source, draw.randint(1, 3), kernel))
        parts.append(made(layers[-1]))
    layers.append(beside("all", 1, *parts))
    layers.append(pool("pool", made(layers[-1])))
    return fold(network(layers))


def multiply(name: str, left: TensorInfo, right: TensorInfo, *, transposed: bool = False) -> Layer:
    """A batched product of activations; heads of the right operand may be shared."""
    heads, m, k = left.shape
    n = right.shape[1 if transposed else 2]
    out = rows(f"{name}.out", heads, m, n)
    attributes = (("transB", 1),) if transposed else ()
    workload = batched_gemm(heads, n, k, m) if heads > 1 else gemm(n, k, m)
    return Layer(
        name,
        "MatMul",
        "einsum",
        (left, right),
        (),
        (out,),
        workload=workload,
        elements=out.elements,
        attributes=attributes,
    )


def along(name: str, operator: str, source: TensorInfo) -> Layer:
    """A softmax or a normalisation along the last axis."""
    out = rows(f"{name}.out", *source.shape)
    weights: tuple[TensorInfo, ...] = ()
    if operator != "Softmax":
        weights = (rows(f"{name}.scale", source.shape[-1]),)
    if operator == "LayerNormalization":
        weights += (rows(f"{name}.bias", source.shape[-1]),)
    return Layer(
        name,
        operator,
        "reduction",
        (source,),
        weights,
        (out,),
        elements=out.elements,
        operations_per_element=3,
        attributes=(("axis", -1),),
    )


def depthwise(name: str, source: TensorInfo, kernel: int = 3, stride: int = 1) -> Layer:
    _, channels, p, q = source.shape
    pad = kernel // 2
    p, q = ((size + 2 * pad - kernel) // stride + 1 for size in (p, q))
    out = rows(f"{name}.out", 1, channels, p, q)
    return Layer(
        name,
        "Conv",
        "einsum",
        (source,),
        (rows(f"{name}.w", channels, 1, kernel, kernel),),
        (out,),
        workload=depthwise_conv2d(channels, p, q, kernel, kernel, stride=stride),
        elements=out.elements,
        attributes=(("group", channels), ("pads", (pad,) * 4), ("strides", (stride,) * 2)),
    )


def dilated(name: str, source: TensorInfo, channels: int, dilation: int = 2) -> Layer:
    _, c, p, q = source.shape
    out = rows(f"{name}.out", 1, channels, p, q)
    attributes = (("dilations", (dilation,) * 2), ("pads", (dilation,) * 4), ("strides", (1, 1)))
    return Layer(
        name,
        "Conv",
        "einsum",
        (source,),
        (rows(f"{name}.w", channels, c, 3, 3),),
        (out,),
        workload=conv2d(channels, c, p, q, 3, 3, dilation=dilation),
        elements=out.elements,
        attributes=attributes,
    )


def made(layer: Layer) -> TensorInfo:
    return layer.outputs[0]


def attention(
    heads: int = 2,
    queries: int = 4,
    keys: int = 5,
    size: int = 3,
    *,
    shared: int = 1,
    mask: bool = False,
) -> FoldedGraph:
    """Scores, softmax and context, in heads of which several share keys and values."""
    q = rows("q", heads, queries, size)
    k, v = (rows(name, heads // shared, keys, size) for name in "kv")
    scores = multiply("scores", q, k, transposed=True)
    layers, last = [scores], made(scores)
    if mask:
        layers.append(add("mask", last, rows("m", heads, queries, keys)))
        last = made(layers[-1])
    layers.append(along("softmax", "Softmax", last))
    layers.append(multiply("context", made(layers[-1]), v))
    return fold(network(layers))


def mlp(
    tokens: int = 5, width: int = 4, hidden: int = 6, norm: str = "", *, gated: bool = False
) -> FoldedGraph:
    """Two or three products, after a normalisation, with a residual."""
    x = rows("x", tokens, width)
    layers: list[Layer] = []
    source = x
    if norm:
        layers.append(along("norm", norm, x))
        source = made(layers[-1])
    up = project("up", source, hidden)
    act = relu("act", made(up))
    layers += [up, act]
    middle = made(act)
    if gated:
        gate = project("gate", source, hidden)
        both = multiplied("both", middle, made(gate))
        layers += [gate, both]
        middle = made(both)
    down = project("down", middle, width)
    layers += [down, add("residual", made(down), x)]
    return fold(network(layers))


def multiplied(name: str, *sources: TensorInfo) -> Layer:
    out = rows(f"{name}.out", *sources[0].shape)
    return Layer(
        name,
        "Mul",
        "elementwise",
        sources,
        (),
        (out,),
        elements=out.elements,
        operations_per_element=1,
    )


def products(seed: int, most: int = 4, largest: int = 6) -> FoldedGraph:
    """A random graph of products, softmaxes, normalisations and additions of matrices."""
    draw = random.Random(seed)
    tensors = [rows("x", draw.randint(2, largest), draw.randint(2, largest))]
    layers: list[Layer] = []
    for i in range(draw.randint(2, most)):
        source = draw.choice(tensors[-3:])
        like = [t for t in tensors if t.shape == source.shape and t is not source]
        kind = draw.random()
        if like and kind < 0.25:
            layers.append(add(f"n{i}", source, draw.choice(like)))
        elif kind < 0.4 and source.shape[1] > 1:
            operators = ("Softmax", "LayerNormalization", "RMSNormalization")
            layers.append(along(f"n{i}", draw.choice(operators), source))
        else:
            layers.append(project(f"n{i}", source, draw.randint(1, largest)))
        tensors.append(made(layers[-1]))
    return fold(network(layers))


def images(seed: int, most: int = 4, largest: int = 6) -> FoldedGraph:
    """A random graph of convolutions of all kinds, poolings and additions."""
    draw = random.Random(seed)
    tensors = [rows("x", 1, draw.choice((1, 2)), draw.randint(3, largest), draw.randint(1, 4))]
    layers: list[Layer] = []
    for i in range(draw.randint(2, most)):
        source = draw.choice(tensors[-3:])
        like = [t for t in tensors if t.shape == source.shape and t is not source]
        kind = draw.random()
        name = f"n{i}"
        if like and kind < 0.25:
            layers.append(add(name, source, draw.choice(like)))
        elif kind < 0.35 and min(source.shape[2:]) >= 2:
            layers.append(pool(name, source))
        elif kind < 0.5:
            layers.append(depthwise(name, source, stride=draw.choice((1, 1, 2))))
        elif kind < 0.6 and min(source.shape[2:]) >= 3:
            layers.append(dilated(name, source, draw.choice((1, 2))))
        else:
            kernel, stride = draw.choice(((1, 1), (3, 1), (3, 1), (3, 2)))
            layers.append(conv(name, source, draw.choice((1, 2, 3)), kernel, stride))
        tensors.append(made(layers[-1]))
    return fold(network(layers))


def unpadded(seed: int, most: int = 3, largest: int = 6) -> FoldedGraph:
    """A random graph of convolutions and poolings all of whose windows are inside of the image."""
    draw = random.Random(seed)
    first = rows("x", 1, draw.choice((1, 2)), draw.randint(3, largest), draw.choice((1, 2, 4)))
    tensors, layers = [first], list[Layer]()
    for i in range(draw.randint(2, most)):
        source, name, kind = draw.choice(tensors[-2:]), f"n{i}", draw.random()
        like = [t for t in tensors if t.shape == source.shape and t is not source]
        height, width = source.shape[2:]
        if like and kind < 0.3:
            layers.append(add(name, source, draw.choice(like)))
        elif height % 2 == width % 2 == 0 and kind < 0.4:
            layers.append(pool(name, source))
        elif min(height, width) >= 3 and kind < 0.8:
            stride = 2 if height % 2 and width % 2 and kind < 0.5 else 1
            layers.append(conv(name, source, draw.choice((1, 2)), 3, stride, pad=0))
        else:
            layers.append(conv(name, source, draw.choice((1, 2)), 1))
        tensors.append(made(layers[-1]))
    return fold(network(layers))


def small(seed: int) -> FoldedGraph:
    """A random graph of two to six operators, small enough to look at all of its plans."""
    draw = random.Random(seed)
    kind = seed % 6
    if kind == 0:
        shared = draw.choice((1, 1, 2))
        sizes = (draw.randint(2, 3), draw.randint(2, 3), draw.randint(1, 2))
        return attention(shared * draw.choice((1, 2)), *sizes, shared=shared)
    if kind == 1:
        return mlp(
            draw.randint(2, 3), 2, draw.randint(2, 3), draw.choice(("", "RMSNormalization"))
        )
    if kind in (2, 3):
        return products(seed, 6 if kind == 2 else 3, 3 if kind == 2 else 4)
    return unpadded(seed, 3 if kind == 4 else 4, 5 if kind == 4 else 4)


def sharing(seed: int) -> FoldedGraph:
    """A random graph of two to four operators that read one tensor, and what follows some."""
    draw = random.Random(seed)
    layers: list[Layer] = []
    if seed % 3:
        x = rows("x", draw.randint(2, 4), draw.randint(2, 3))
        for i in range(draw.randint(2, 3)):
            layers.append(project(f"n{i}", x, draw.choice((1, 2, 3, 4))))
        if draw.random() < 0.5:
            source = made(draw.choice(layers))
            kinds = ("Softmax", "RMSNormalization")
            after = project("after", source, 2)
            layers.append(along("along", draw.choice(kinds), source) if seed % 2 else after)
    else:
        x = rows("x", 1, draw.choice((1, 2)), draw.choice((3, 4, 5)), draw.choice((1, 3)))
        layers.append(conv("n0", x, draw.choice((1, 2)), 1))
        pick = draw.random()
        if pick < 0.4 and min(x.shape[2:]) >= 3:
            layers.append(conv("n1", x, 1, 3, pad=0))
        else:
            layers.append(conv("n1", x, draw.choice((1, 2, 3)), 1))
        if draw.random() < 0.4:
            layers.append(conv("after", made(layers[0]), 1, 1))
    return fold(network(layers))
