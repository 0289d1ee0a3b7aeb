"""True sizes of networks that ONNX Runtime saved with channels in blocks.

Its convolutions of the domain ``com.microsoft.nchwc`` take channels in blocks of 8 or 16, and
filters and biases are stored with zeros for channels that do not exist: 24 channels become 32.
Here filters and biases get their true shapes back, so that a network costs what it computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import networkx as nx
import numpy as np
import onnx
from onnx import numpy_helper

from toolkit.workload.network.read import left_out, mark_absent, small_contents

_Stored = onnx.TensorProto | onnx.ValueInfoProto
"""A weight: with its contents, or as an input."""

BLOCKED_DOMAIN = "com.microsoft.nchwc"

LARGEST_BLOCK = 16
"""Channels of the largest block; 8 on processors with shorter vectors."""

_KEEPS_CHANNELS = frozenset(
    ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "Upsample", "Add", "Mul")
    + ("Sum", "Clip", "HardSigmoid", "LeakyRelu", "QuickGelu", "Relu", "Sigmoid", "Tanh")
)
"""Operators whose operands and results have the same channels."""


def without_padded_channels(graph: onnx.GraphProto, source: str) -> list[str]:
    """Cut filters and biases of blocked convolutions to the channels that exist, in place.

    How many there are is said where blocks end (``ReorderOutput``), or seen at a bias: it ends in
    zeros there. Where neither is known, all channels of the blocks are taken.

    Returns
    -------
    list of str
        The warning that this had to be assumed, if it had.
    """
    convolutions = [node for node in graph.node if _is_convolution(node)]
    if not convolutions:
        return []
    stored: dict[str, _Stored] = {tensor.name: tensor for tensor in graph.initializer}
    # Weights of a graph that was saved without them.
    stored |= {e.name: e for e in graph.input if e.name not in stored and _sizes(e)}
    same = _tensors_of_equal_channels(graph, stored)
    channels = _true_channels(graph, convolutions, stored, same, source)
    for node in convolutions:
        weight = stored.get(node.input[1])
        shape = _sizes(weight) if weight is not None else []
        if weight is None or len(shape) < 3:
            continue
        depthwise = _is_depthwise(node, shape)
        out = min(channels.get(node.output[0], shape[0]), shape[0])
        inner = shape[1]
        if _group(node) == 1:
            inner = min(channels.get(node.input[0], inner), inner)
        _resize(weight, [out, inner, *shape[2:]])
        if len(node.input) > 2 and node.input[2] in stored:
            _resize(stored[node.input[2]], [out])
        if depthwise:
            _set_group(node, out)
    # Only whole blocks are joined.
    joined = {same[name] for node in graph.node if node.op_type == "Concat" for name in node.input}
    open_ended = sum(
        node.output[0] not in channels and same[node.output[0]] not in joined
        for node in convolutions
    )
    if not open_ended:
        return []
    return [
        f"{open_ended} blocked convolutions have no bias to be read: channels of whole blocks are "
        "taken, of which the last may not exist"
    ]


def _tensors_of_equal_channels(
    graph: onnx.GraphProto, stored: Mapping[str, _Stored]
) -> dict[str, int]:
    """Number of the set of tensors with the same channels, by tensor."""
    weights = {name for node in graph.node if _is_convolution(node) for name in node.input[1:3]}
    links = nx.Graph()
    for node in graph.node:
        names: list[str] = []
        if _is_convolution(node):
            names = [node.output[0], *node.input[3:4]]
            weight = stored.get(node.input[1])
            if weight is not None and _is_depthwise(node, _sizes(weight)):
                names.append(node.input[0])
        elif node.op_type in _KEEPS_CHANNELS:
            names = [*node.output[:1], *node.input]
        links.add_nodes_from((*node.input, *node.output))
        kept = [name for name in names if name and name not in weights]
        links.add_edges_from(zip(kept, kept[1:], strict=False))
    return {name: i for i, part in enumerate(nx.connected_components(links)) for name in part}


def _true_channels(
    graph: onnx.GraphProto,
    convolutions: Iterable[onnx.NodeProto],
    stored: Mapping[str, _Stored],
    same: dict[str, int],
    source: str,
) -> dict[str, int]:
    """Channels of blocked tensors, where they are said or seen."""
    by_set: dict[int, int] = {}
    for node in convolutions:
        bias = stored.get(node.input[2]) if len(node.input) > 2 else None
        tensor = bias if isinstance(bias, onnx.TensorProto) else None
        seen = _channels_of_bias(tensor, source) if tensor is not None else None
        if seen is not None:
            place = same[node.output[0]]
            # One convolution may end in zeros by chance; all of a set end where blocks are padded.
            by_set[place] = max(by_set.get(place, 0), seen)
    for node in graph.node:
        if node.domain == BLOCKED_DOMAIN and node.op_type == "ReorderOutput" and node.input:
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


def _is_convolution(node: onnx.NodeProto) -> bool:
    """Whether a node is a blocked convolution; one without a filter is refused elsewhere."""
    whole = len(node.input) > 1 and len(node.output) > 0
    return node.domain == BLOCKED_DOMAIN and node.op_type == "Conv" and whole


def _is_depthwise(node: onnx.NodeProto, filters: Sequence[int]) -> bool:
    return len(filters) > 2 and filters[1] == 1 and _group(node) == filters[0] > 1


def _group(node: onnx.NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "group"), 1)


def _set_group(node: onnx.NodeProto, group: int) -> None:
    for attribute in node.attribute:
        if attribute.name == "group":
            attribute.i = group


def _sizes(tensor: _Stored) -> list[int]:
    """The shape of a weight; of an input only if it is fixed."""
    if isinstance(tensor, onnx.TensorProto):
        return list(tensor.dims)
    dims = tensor.type.tensor_type.shape.dim
    return [dim.dim_value for dim in dims] if all(dim.dim_value > 0 for dim in dims) else []


def _resize(tensor: _Stored, sizes: list[int]) -> None:
    """Give a weight another shape; its contents are no longer asked for."""
    if _sizes(tensor) == sizes:
        return
    if isinstance(tensor, onnx.TensorProto):
        tensor.dims[:] = sizes
        mark_absent(tensor)
        return
    for dim, size in zip(tensor.type.tensor_type.shape.dim, sizes, strict=True):
        dim.dim_value = size
