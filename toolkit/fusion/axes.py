"""Which part of its inputs a part of a layer's output needs, axis by axis."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from toolkit.fusion.reach import (
    AxisRule,
    Links,
    Reach,
    Shape,
    joined_links,
    new_rule,
    reshape_links,
    split_links,
)
from toolkit.workload.network.layer import Layer

NO_LINKS: Links = MappingProxyType({})


def axis_rule(layer: Layer) -> AxisRule:
    """Tell how a layer can be cut into tiles; operators without a rule cannot be cut at all.

    Examples
    --------
    >>> from toolkit.workload.network.layer import TensorInfo
    >>> x, y = TensorInfo("x", (1, 3, 9), "int8"), TensorInfo("y", (1, 3, 4), "int8")
    >>> kernel = (("kernel_shape", (3,)), ("strides", (2,)))
    >>> axis_rule(Layer("pool", "MaxPool", "window", (x,), (), (y,), attributes=kernel)).links
    ({0: Reach(axis=0, stride=1, extent=1, pad=0, share=1), \
1: Reach(axis=1, stride=1, extent=1, pad=0, share=1), \
2: Reach(axis=2, stride=2, extent=3, pad=0, share=1)},)
    """
    name = layer.operator.rpartition(".")[2]
    rule = _RULES.get(name)
    if layer.cost_class == "view" and name.endswith("Attention"):
        rule = _heads
    if rule is None and layer.cost_class in ("elementwise", "view"):
        rule = _elementwise if layer.cost_class == "elementwise" else _reshaped
    if rule is None or not layer.outputs or not layer.inputs:
        return AxisRule((NO_LINKS,) * len(layer.inputs))
    return rule(layer)


def _attribute(layer: Layer, name: str) -> object:
    return dict(layer.attributes).get(name)


def _integer(layer: Layer, name: str, default: int) -> int:
    value = _attribute(layer, name)
    return value if isinstance(value, int) else default


def _integers(layer: Layer, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    value = _attribute(layer, name)
    if isinstance(value, tuple) and len(value) == len(default):
        return tuple(int(entry) for entry in value)
    return default


def _broadcast(source: Shape, target: Shape) -> Links:
    """Links of an operand that NumPy's rules broadcast; repeated axes are needed whole."""
    shift = len(target) - len(source)
    return {
        axis: Reach(axis - shift)
        for axis, size in enumerate(target)
        if axis >= shift and source[axis - shift] == size
    }


def _elementwise(layer: Layer) -> AxisRule:
    out = layer.outputs[0].shape
    return new_rule(tuple(_broadcast(tensor.shape, out) for tensor in layer.inputs))


def _reshaped(layer: Layer) -> AxisRule:
    out = layer.outputs[0].shape
    links = (
        {
            **joined_links(tensor.shape, out),
            **split_links(tensor.shape, out),
            **reshape_links(tensor.shape, out),
        }
        for tensor in layer.inputs
    )
    return new_rule(tuple(links))


def channels_last(layer: Layer) -> bool:
    """Whether channels are the last axis."""
    name = layer.operator.rpartition(".")[2]
    return name.startswith("Nhwc") or bool(_integer(layer, "channels_last", 0))


def _along(layer: Layer, kernel: Shape, channels: bool) -> AxisRule:
    """Sliding windows over all axes but batch and channels."""
    data, out = layer.inputs[0].shape, layer.outputs[0].shape
    count = len(data) - 2
    first = 1 if channels_last(layer) else 2
    strides = _integers(layer, "strides", (1,) * count)
    dilations = _integers(layer, "dilations", (1,) * count)
    pads = _integers(layer, "pads", (0,) * (2 * count))
    auto = str(_attribute(layer, "auto_pad") or "NOTSET")
    place = len(data) - 1 if first == 1 else 1
    links = {0: Reach(0)} | ({place: Reach(place)} if channels else {})
    for i in range(count):
        extent = dilations[i] * (kernel[i] - 1) + 1
        pad = pads[i]
        if auto.startswith("SAME"):
            total = max((out[i + first] - 1) * strides[i] + extent - data[i + first], 0)
            pad = total // 2 if auto == "SAME_UPPER" else -(-total // 2)
        links[i + first] = Reach(i + first, strides[i], extent, pad)
    others = (NO_LINKS,) * (len(layer.inputs) - 1)
    return new_rule((links, *others))


def _convolution(layer: Layer) -> AxisRule:
    count = len(layer.inputs[0].shape) - 2
    kernel = layer.weights[0].shape[2:] if layer.weights else ()
    if len(kernel) != count:
        kernel = _integers(layer, "kernel_shape", (0,) * count)
    if count < 1 or not all(kernel):
        return new_rule(({0: Reach(0)}, *((NO_LINKS,) * (len(layer.inputs) - 1))))
    return _along(layer, kernel, channels=False)


def _pooling(layer: Layer) -> AxisRule:
    count = len(layer.inputs[0].shape) - 2
    kernel = _integers(layer, "kernel_shape", (0,) * max(count, 1))
    if count < 1 or not all(kernel):
        return AxisRule((NO_LINKS,) * len(layer.inputs))
    return _along(layer, kernel, channels=True)


def _batch_only(layer: Layer) -> AxisRule:
    others = (NO_LINKS,) * (len(layer.inputs) - 1)
    return new_rule(({0: Reach(0)}, *others))


def _kept_axes(layer: Layer) -> AxisRule:
    """Axes that have the same length before and after."""
    out = layer.outputs[0].shape
    links = []
    for tensor in layer.inputs:
        same = len(tensor.shape) == len(out)
        pairs = enumerate(zip(tensor.shape, out, strict=True)) if same else ()
        links.append({axis: Reach(axis) for axis, (a, b) in pairs if a == b})
    return new_rule(tuple(links))


def _without(default: int | None, *, following: bool = False) -> Callable[[Layer], AxisRule]:
    """All axes but the one that the operator works along, and those after it if `following`."""

    def rule(layer: Layer) -> AxisRule:
        rank = len(layer.outputs[0].shape)
        kept = _kept_axes(layer)
        axis = _attribute(layer, "axis")
        if not isinstance(axis, int):
            axis = default
        if axis is None:
            return new_rule(kept.links, tuple(range(1, rank)))
        first = axis % rank if rank else 0
        closed = tuple(range(first, rank)) if following else (first,)
        return new_rule(kept.links, closed)

    return rule


def _concatenated(layer: Layer) -> AxisRule:
    rank = len(layer.outputs[0].shape)
    return new_rule(_kept_axes(layer).links, (_integer(layer, "axis", 0) % max(rank, 1),))


def _per_channel(layer: Layer) -> AxisRule:
    rank = len(layer.outputs[0].shape)
    return new_rule(_kept_axes(layer).links, tuple(range(2, rank)))


def _across_channels(layer: Layer) -> AxisRule:
    return new_rule(_kept_axes(layer).links, (1,))


def _transposed(layer: Layer) -> AxisRule:
    rank = len(layer.inputs[0].shape)
    order = _integers(layer, "perm", tuple(reversed(range(rank))))
    return new_rule(({axis: Reach(source) for axis, source in enumerate(order)},))


def _matrix_product(layer: Layer) -> AxisRule:
    out = layer.outputs[0].shape
    rank = len(out)
    if any(_integer(layer, f"transBatch{side}", 0) for side in "AB"):
        return AxisRule((NO_LINKS,) * len(layer.inputs))
    # Rows of the first operand and columns of the second, counted from the back.
    row = -1 if _integer(layer, "transA", 0) else -2
    column = -2 if _integer(layer, "transB", 0) else -1
    if len(layer.inputs) == 2:
        left, right = layer.inputs[0].shape, layer.inputs[1].shape
        if min(len(left), len(right)) < 2:
            return AxisRule((NO_LINKS,) * 2)
        rows = {rank - 2: Reach(len(left) + row)}
        keys = len(right) + column
        columns = {rank - 1: spread(keys, right[keys], out[-1])}
        return new_rule((_batch(left, out) | rows, _batch(right, out) | columns))
    data = layer.inputs[0].shape
    if not layer.weights or min(len(data), rank) < 2 or len(layer.weights[0].shape) != 2:
        return AxisRule((NO_LINKS,) * len(layer.inputs))
    weight = layer.weights[0].shape
    kept = {axis: Reach(axis) for axis in range(rank - 2)}
    if data[:-2] == out[:-2] and data[row] == out[-2] and weight[column] == out[-1]:
        return new_rule((kept | {rank - 2: Reach(len(data) + row)},))
    return new_rule(({rank - 1: Reach(len(data) + column)},))


def spread(axis: int, size: int, positions: int) -> Reach:
    """What positions that stand for more of an axis read: masked attention has fewer scores.

    Examples
    --------
    >>> spread(2, 512, 257)
    Reach(axis=2, stride=2, extent=2, pad=0, share=1)
    """
    stride = -(-size // positions)
    return Reach(axis, stride, stride)


def _batch(source: Shape, target: Shape) -> dict[int, Reach]:
    """Axes before the matrices; heads of an operand may be shared by several of the product."""
    rank, shift = len(target), len(target) - len(source)
    links = {a: r for a, r in _broadcast(source, target).items() if a < rank - 2}
    for axis in range(max(shift, 0), rank - 2):
        own, all_heads = source[axis - shift], target[axis]
        if 1 < own < all_heads and all_heads % own == 0:
            links[axis] = Reach(axis - shift, share=all_heads // own)
    return links


def _general_product(layer: Layer) -> AxisRule:
    if len(layer.inputs) != 1:
        return AxisRule((NO_LINKS,) * len(layer.inputs))
    data, out = layer.inputs[0].shape, layer.outputs[0].shape
    transposed = bool(_integer(layer, "transA", 0))
    row_axis = 1 if transposed else 0
    if data[row_axis] != out[0]:
        return AxisRule((NO_LINKS,))
    return new_rule(({0: Reach(row_axis)},))


def _heads(layer: Layer) -> AxisRule:
    """Heads split where they are read, or joined where they are written.

    Apart they are (batch, head, position, element); together the elements of all heads are the
    last axis, or, packed with others, there are five axes or the tokens of all sequences in one.
    """
    data, out = layer.inputs[0].shape, layer.outputs[0].shape
    first = 1 if len(data) in (3, 5) else 0
    if len(data) == 4 and len(out) < 4:
        links = ({0: Reach(0)} if len(out) == 3 else {}) | {len(out) - 2: Reach(2)}
        if out[-1] == data[1] * data[3]:
            links[len(out) - 1] = Reach(1, share=data[3])
        return new_rule((links,))
    if len(out) != 4 or (not first and out[0] > 1):
        return AxisRule((NO_LINKS,) * len(layer.inputs))
    links = ({0: Reach(0)} if first else {}) | {2: Reach(first)}
    heads, size = out[1], out[3]
    if len(data) > first + 2:
        links[1] = Reach(first + 1)
    elif data[-1] == heads * size:
        links[1] = Reach(first + 1, stride=size, extent=size)
    return new_rule((links,))


# The axis of a cumulated sum is an operand, which rules do not see.

# Softmax worked along axis 1 before opset 13 and along the last one since: without an attribute,
# only the batch is certain.

_RULES: dict[str, Callable[[Layer], AxisRule]] = {
    **dict.fromkeys(("Conv", "ConvInteger", "QLinearConv", "NhwcConv"), _convolution),
    **dict.fromkeys(
        ("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool", "NhwcMaxPool"), _pooling
    ),
    **dict.fromkeys(("ConvTranspose", "DeformConv", "DepthToSpace", "SpaceToDepth"), _batch_only),
    **dict.fromkeys(
        ("MatMul", "MatMulInteger", "MatMulInteger16", "MatMulIntegerToFloat", "QLinearMatMul")
        + ("DynamicQuantizeMatMul", "MatMulNBits", "MatMulBnb4", "QOrderedMatMul"),
        _matrix_product,
    ),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _without(None, following=True)),
    **dict.fromkeys(
        ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
        + ("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"),
        _without(-1, following=True),
    ),
    **dict.fromkeys(("LpNormalization", "ArgMax", "ArgMin"), _without(-1)),
    **dict.fromkeys(("Slice", "Pad", "Expand", "Tile", "Resize", "Upsample"), _kept_axes),
    **dict.fromkeys(
        (
            "ReduceMax",
            "ReduceMin",
            "ReduceSum",
            "ReduceMean",
            "ReduceProd",
            "ReduceL1",
            "ReduceL2",
            "ReduceSumSquare",
            "ReduceLogSum",
            "ReduceLogSumExp",
            "GlobalAveragePool",
            "GlobalMaxPool",
            "GlobalLpPool",
            "QLinearGlobalAveragePool",
            "QLinearReduceMean",
            "ReduceSumInteger",
        ),
        _kept_axes,
    ),
    **dict.fromkeys(("Gemm", "QGemm", "GemmFloat8"), _general_product),
    **dict.fromkeys(("Concat", "QLinearConcat"), _concatenated),
    "Split": _concatenated,
    "Transpose": _transposed,
    "LRN": _across_channels,
    "InstanceNormalization": _per_channel,
}
