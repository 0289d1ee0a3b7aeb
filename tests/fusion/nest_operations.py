"""What operations compute, as the list of their terms: nothing here knows of tiles or windows.

A term adds one product (or value) to one element of the output; an operation is all of its terms,
what it starts from and what is done in the end. Elements are numbered as in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from toolkit.fusion import FoldedGraph, FoldedLayer
from toolkit.workload.network import TensorInfo

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


NONE = -1
"""Where a term reads none of a tensor, as the other tensors beside it have the element."""


@dataclass(frozen=True)
class Operation:
    """The terms of a layer.

    Parameters
    ----------
    kind : str
        ``sum`` of products, ``max``, ``sum of inputs``, ``softmax``, ``layer norm``, ``rms norm``.
    out : int array, shape (terms,)
        Elements of the output.
    reads : tuple of int array
        Elements of each input, `NONE` where a term takes nothing from it.
    weight : int array or None
        Elements of the weights.
    coordinates : mapping of int or str to int array
        Positions along output axes and summed dimensions.
    row : int
        Elements of a row, along which softmax and norms run.
    taps : int
        Weights that are only ever loaded together: those of a kernel's window.
    """

    kind: str
    out: Ints
    reads: tuple[Ints, ...]
    weight: Ints | None
    coordinates: Mapping[int | str, Ints]
    row: int = 1
    taps: int = 1


def taken(done: Operation, values: Floats, at: Ints) -> Floats:
    """What terms read of a tensor, or what changes no result."""
    nothing = {"max": -np.inf, "sum of inputs": 0.0}.get(done.kind, 1.0)
    return np.where(at == NONE, nothing, values[at])


def _beside(layer: FoldedLayer, read: Ints) -> tuple[Ints, ...]:
    """Elements of tensors side by side, from those of them as one."""
    shapes, whole = [tensor.shape for tensor in layer.inputs], layer.layer.inputs[0].shape
    axis = next((i for i, size in enumerate(whole) if size != shapes[0][i]), 0)
    places, first, found = list(np.unravel_index(read, whole)), 0, []
    for shape in shapes:
        inside = (places[axis] >= first) & (places[axis] < first + shape[axis])
        here = [np.where(inside, p - first * (i == axis), 0) for i, p in enumerate(places)]
        found.append(np.where(inside, np.ravel_multi_index(here, shape), NONE))
        first += shape[axis]
    return tuple(found)


def operation(layer: FoldedLayer) -> Operation:
    """The terms of a layer."""
    operator = layer.layer.operator
    if operator == "MatMul":
        return _product(layer) if len(layer.layer.inputs) == 2 else _projection(layer)
    if operator in ("Conv", "MaxPool"):
        return _windows(layer)
    shape = layer.output.shape
    every = np.arange(prod(shape))
    kinds = {
        "Softmax": "softmax",
        "LayerNormalization": "layer norm",
        "RMSNormalization": "rms norm",
        "Add": "sum of inputs",
        "Mul": "product of inputs",
        "Relu": "sum of inputs",
    }
    kind, row = kinds[operator], shape[-1]
    return Operation(kind, every, (every,) * len(layer.inputs), None, _axes(shape, every), row)


def _axes(shape: tuple[int, ...], elements: Ints) -> dict[int | str, Ints]:
    return dict(enumerate(np.unravel_index(elements, shape)))


def _projection(layer: FoldedLayer) -> Operation:
    (source,), out = layer.layer.inputs, layer.output
    summed, columns = source.shape[-1], out.shape[-1]
    if len(layer.layer.weights[0].shape) == 3:
        return _experts(source, out)
    r, k, c = (a.ravel() for a in np.indices((source.elements // summed, summed, columns)))
    elements = r * columns + c
    coordinates = _axes(out.shape, elements) | {"K": k}
    reads = _beside(layer, r * summed + k)
    return Operation("sum", elements, reads, k * columns + c, coordinates)


def _experts(source: TensorInfo, out: TensorInfo) -> Operation:
    """A matrix each: of rows of their own, or of all, as any may be a router's choice."""
    (count, each, columns), summed = out.shape, source.shape[-1]
    own = source.shape == (count, each, summed)
    rows = 1 if own else source.elements // summed
    shape = (count, each, rows, summed, columns)
    e, n, r, k, c = (a.ravel() for a in np.indices(shape))
    elements = np.ravel_multi_index((e, n, c), out.shape)
    read = ((e * each + n) if own else r) * summed + k
    coordinates = _axes(out.shape, elements) | {"K": k}
    return Operation("sum", elements, (read,), (e * summed + k) * columns + c, coordinates)


def _product(layer: FoldedLayer) -> Operation:
    left, right = layer.inputs
    heads, rows, summed = left.shape
    columns = layer.output.shape[2]
    b, r, k, c = (a.ravel() for a in np.indices((heads, rows, summed, columns)))
    shared = b // (heads // right.shape[0])
    place = (c, k) if dict(layer.layer.attributes).get("transB") else (k, c)
    reads = (
        np.ravel_multi_index((b, r, k), left.shape),
        np.ravel_multi_index((shared, *place), right.shape),
    )
    elements = np.ravel_multi_index((b, r, c), layer.output.shape)
    coordinates = _axes(layer.output.shape, elements) | {"K": k}
    return Operation("sum", elements, reads, None, coordinates)


def _windows(layer: FoldedLayer) -> Operation:
    """Convolutions, depthwise ones too, and poolings; taps on padding are left out."""
    (source,), out, first = layer.layer.inputs, layer.output, layer.layer
    attributes = dict(first.attributes)
    pooled = first.operator == "MaxPool"
    kernel = attributes["kernel_shape"] if pooled else first.weights[0].shape[2:]
    depthwise = pooled or attributes.get("group", 1) > 1
    channels = 1 if depthwise else source.shape[1]
    (sr, sc), (pr, pc) = attributes["strides"], attributes.get("pads", (0, 0))[:2]
    dr, dc = attributes.get("dilations", (1, 1))
    _, m, rows, columns = out.shape
    o, y, x, c, r, s = (a.ravel() for a in np.indices((m, rows, columns, channels, *kernel)))
    top, left = y * sr - pr + r * dr, x * sc - pc + s * dc
    inside = (top >= 0) & (top < source.shape[2]) & (left >= 0) & (left < source.shape[3])
    o, y, x, c, r, s, top, left = (a[inside] for a in (o, y, x, c, r, s, top, left))
    read = np.ravel_multi_index((0 * o, o if depthwise else c, top, left), source.shape)
    elements = np.ravel_multi_index((0 * o, o, y, x), out.shape)
    weight = None
    if not pooled:
        weight = np.ravel_multi_index((o, c, r, s), first.weights[0].shape)
    coordinates = _axes(out.shape, elements) | {"C": c}
    kind, taps = "max" if pooled else "sum", int(np.prod(kernel))
    reads = _beside(layer, read)
    return Operation(kind, elements, reads, weight, coordinates, taps=taps)


@dataclass(frozen=True)
class Data:
    """Values of a network: its inputs, weights, and what becomes of them layer by layer."""

    tensors: Mapping[str, Floats]
    weights: Mapping[str, Floats]
    scales: Mapping[str, tuple[Floats, Floats]]


def random_data(graph: FoldedGraph, seed: int = 0) -> Data:
    draw = np.random.default_rng(seed)
    tensors = {
        name: draw.integers(-3, 4, t.elements).astype(float) for name, t in graph.inputs.items()
    }
    weights, scales = {}, {}
    for layer in graph.layers:
        if layer.weight_words:
            count = layer.layer.weights[0].elements
            weights[layer.name] = draw.integers(-2, 3, count).astype(float)
        elif layer.layer.weights:
            size = layer.output.shape[-1]
            bias = draw.integers(-1, 2, size) * ("Layer" in layer.layer.operator)
            scales[layer.name] = draw.integers(1, 4, size).astype(float), bias.astype(float)
    return Data(tensors, weights, scales)


EPSILON = 1e-5


def reference(graph: FoldedGraph, data: Data) -> dict[str, Floats]:
    """All tensors of the network, one layer after the other as a whole."""
    values = dict(data.tensors)
    for layer in graph.layers:
        done = operation(layer)
        inputs = [
            taken(done, values[t.name], at) for t, at in zip(layer.inputs, done.reads, strict=True)
        ]
        values[layer.output.name] = after(layer, _whole(layer, done, inputs, data))
    return values


def _whole(layer: FoldedLayer, done: Operation, inputs: list[Floats], data: Data) -> Floats:
    size = layer.output.elements
    if done.kind == "max":
        result = np.full(size, -np.inf)
        np.maximum.at(result, done.out, np.max(inputs, axis=0))
        return result
    if done.kind in ("sum", "sum of inputs", "product of inputs"):
        result = np.zeros(size)
        join = np.sum if done.kind == "sum of inputs" else np.prod
        parts = join(inputs, axis=0)
        if done.weight is not None:
            parts = parts * data.weights[layer.name][done.weight]
        np.add.at(result, done.out, parts)
        return result
    x = inputs[0].reshape(-1, done.row)
    if done.kind == "softmax":
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True)).ravel()
    scale, bias = data.scales[layer.name]
    mean = x.mean(axis=1, keepdims=True) if done.kind == "layer norm" else 0.0
    spread = np.sqrt(((x - mean) ** 2).mean(axis=1, keepdims=True) + EPSILON)
    return np.asarray((x - mean) / spread * scale + bias).ravel()


def after(layer: FoldedLayer, values: Floats) -> Floats:
    """What is folded into a layer."""
    for operator in layer.operators[1:]:
        if operator != "Relu":
            raise NotImplementedError(operator)
        values = np.maximum(values, 0)
    return np.maximum(values, 0) if layer.layer.operator == "Relu" else values


def all_read(graph: FoldedGraph) -> bool:
    """Whether every position of every tensor is read, where any is."""
    read: dict[str, set[int]] = {}
    for layer in graph.layers:
        for tensor, elements in zip(layer.inputs, operation(layer).reads, strict=True):
            read.setdefault(tensor.name, set()).update(elements[elements != NONE].tolist())
    tensors = {t.name: t for layer in graph.layers for t in layer.inputs}
    return all(len(read[name]) == tensor.elements for name, tensor in tensors.items())
