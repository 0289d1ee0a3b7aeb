"""True sizes of networks that ONNX Runtime saved with channels in blocks.

Its convolutions of the domain ``com.microsoft.nchwc`` take channels in blocks of 8 or 16, and
filters and biases are stored with zeros for channels that do not exist: 24 channels become 32.
Here filters and biases get their true shapes back, so that a network costs what it computes.
"""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx
import numpy as np
import onnx
from onnx import numpy_helper

from toolkit.workload.network.read import left_out, mark_absent, small_contents

BLOCKED_DOMAIN = "com.microsoft.nchwc"

LARGEST_BLOCK = 16
"""Channels of the largest block; 8 on processors with shorter vectors."""

_KEEPS_CHANNELS = frozenset(
    ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "Upsample", "Add", "Mul")
    + ("Sum", "Clip", "HardSigmoid", "LeakyRelu", "QuickGelu", "Relu", "Sigmoid", "Tanh")
)
"""Operators whose operands and results have the same channels."""


def without_padded_channels(graph: onnx.GraphProto, source: str) -> None:
    """Cut filters and biases of blocked convolutions to the channels that exist, in place.

    How many there are is said where blocks end (``ReorderOutput``), or seen at a bias: it ends in
    zeros there. Where neither is known, all channels of the blocks are taken.
    """
    convolutions = [n for n in graph.node if n.domain == BLOCKED_DOMAIN and n.op_type == "Conv"]
    if not convolutions:
        return
    stored = {tensor.name: tensor for tensor in graph.initializer}
    same = _tensors_of_equal_channels(graph, stored)
    channels = _true_channels(graph, convolutions, stored, same, source)
    for node in convolutions:
        weight = stored.get(node.input[1])
        made = channels.get(node.output[0])
        if weight is None or len(weight.dims) < 3:
            continue
        depthwise = _group(node) > 1 and weight.dims[1] == 1
        before = weight.dims[0]
        out = before if made is None or made > before else made
        taken = channels.get(node.input[0])
        inner = weight.dims[1]
        if _group(node) == 1 and taken is not None and taken < inner:
            inner = taken
        _resize(weight, [out, inner, *weight.dims[2:]])
        if len(node.input) > 2 and node.input[2] in stored:
            _resize(stored[node.input[2]], [out])
        if depthwise and out != before:
            _set_group(node, out)


def _tensors_of_equal_channels(
    graph: onnx.GraphProto, stored: dict[str, onnx.TensorProto]
) -> dict[str, int]:
    """Number of the set of tensors with the same channels, by tensor."""
    links = nx.Graph()
    for node in graph.node:
        names: list[str] = []
        if node.domain == BLOCKED_DOMAIN and node.op_type == "Conv":
            names = [node.output[0], *node.input[3:4]]
            if _group(node) > 1:
                names.append(node.input[0])
        elif node.op_type in _KEEPS_CHANNELS:
            names = [*node.output[:1], *node.input]
        links.add_nodes_from((*node.input, *node.output))
        kept = [name for name in names if name and name not in stored]
        links.add_edges_from(zip(kept, kept[1:], strict=False))
    return {name: i for i, part in enumerate(nx.connected_components(links)) for name in part}


def _true_channels(
    graph: onnx.GraphProto,
    convolutions: Iterable[onnx.NodeProto],
    stored: dict[str, onnx.TensorProto],
    same: dict[str, int],
    source: str,
) -> dict[str, int]:
    """Channels of blocked tensors, where they are said or seen."""
    by_set: dict[int, int] = {}
    for node in convolutions:
        bias = stored.get(node.input[2]) if len(node.input) > 2 else None
        seen = _channels_of_bias(bias, source) if bias is not None else None
        if seen is not None:
            place = same[node.output[0]]
            # One convolution may end in zeros by chance; all of a set end where blocks are padded.
            by_set[place] = max(by_set.get(place, 0), seen)
    for node in graph.node:
        if node.domain == BLOCKED_DOMAIN and node.op_type == "ReorderOutput":
            said = next((a.i for a in node.attribute if a.name == "channels"), 0)
            if said > 0:
                by_set[same[node.input[0]]] = said
    return {name: by_set[place] for name, place in same.items() if place in by_set}


def _channels_of_bias(bias: onnx.TensorProto, source: str) -> int | None:
    """Channels up to the zeros at the end; None where they cannot be seen."""
    contents = small_contents(bias, source) if left_out(bias) is None else None
    if contents is None or len(bias.dims) != 1:
        return None
    try:
        values = numpy_helper.to_array(contents)
    except (TypeError, ValueError):
        return None
    used = np.flatnonzero(values)
    count = int(used[-1]) + 1 if used.size else len(values)
    return count if len(values) - count < LARGEST_BLOCK else len(values)


def _group(node: onnx.NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "group"), 1)


def _set_group(node: onnx.NodeProto, group: int) -> None:
    for attribute in node.attribute:
        if attribute.name == "group":
            attribute.i = group


def _resize(tensor: onnx.TensorProto, dims: list[int]) -> None:
    """Give a stored tensor another shape; its contents are no longer asked for."""
    if list(tensor.dims) != dims:
        del tensor.dims[:]
        tensor.dims.extend(dims)
        mark_absent(tensor)
