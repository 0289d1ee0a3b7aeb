"""Operands that a node cannot have, though ONNX infers a shape from them."""

from __future__ import annotations

import math
from collections.abc import Callable

from toolkit.workload.network.operators import Call

Check = Callable[[Call], None]


def check_operands(call: Call) -> None:
    """Check that operands fit each other and the attributes, outputs being known.

    Raises
    ------
    WorkloadError
        Naming the node, and what does not fit.
    """
    check = _CHECKS.get(call.operator)
    # What follows from an assumed size need not fit.
    plain = all(v is None or (v.items is None and not v.assumed) for v in call.inputs)
    if check is not None and plain:
        check(call)


def _reshape(call: Call) -> None:
    before, after = call.shape(0), call.outputs[0].shape
    if math.prod(before) != math.prod(after):
        raise call.mismatch(f"shape {list(before)} cannot become {list(after)}")


def _convolution(filter_operand: int, bias_operand: int, filters_axis: int) -> Check:
    def check(call: Call) -> None:
        weight = call.shape(filter_operand)
        kernel = [int(size) for size in call.attributes.get("kernel_shape") or weight[2:]]
        if kernel != list(weight[2:]):
            raise call.error(f"kernel_shape {kernel} is not that of its filters, {list(weight)}")
        filters = weight[filters_axis] * (call.integer("group", 1) if filters_axis else 1)
        if call.has(bias_operand) and call.input(bias_operand).info.elements != filters:
            bias = list(call.shape(bias_operand))
            raise call.error(f"a bias of shape {bias} does not fit {filters} filters")

    return check


def _pooling(call: Call) -> None:
    kernel = [int(size) for size in call.attributes.get("kernel_shape") or ()]
    pads = [int(pad) for pad in call.attributes.get("pads") or ()]
    if pads and any(pad >= size for pad, size in zip(pads, kernel * 2, strict=False)):
        raise call.error(f"pads {pads} are as large as the window, {kernel}")


def _blocks(channels: bool) -> Check:
    def check(call: Call) -> None:
        size, shape = call.integer("blocksize", 1), call.shape(0, 4)
        if channels and shape[1] % size**2:
            raise call.error(f"blocks of {size} by {size} do not divide {shape[1]} channels")
        if not channels and any(axis % size for axis in shape[2:]):
            raise call.error(f"blocks of {size} do not divide positions {list(shape[2:])}")

    return check


def _gather(call: Call) -> None:
    data = call.input(1).data
    axis = call.integer("axis", 0)
    size = call.shape(0)[axis]
    if data is not None and data.size and not (-size <= data.min() and data.max() < size):
        worst = int(data.max() if data.max() >= size else data.min())
        raise call.mismatch(f"index {worst} is outside of axis {axis}, which has {size}")


def _broadcast_into(*operands: int) -> Check:
    """Factors and shifts broadcast into the first operand, along its last axes."""

    def check(call: Call) -> None:
        shape = call.shape(0)
        for i in operands:
            own = call.shape(i) if call.has(i) else ()
            pairs = zip(own[::-1], shape[::-1], strict=False)
            if len(own) > len(shape) or any(a not in (1, b) for a, b in pairs):
                raise call.error(
                    f"operand {i} of shape {list(own)} does not fit into {list(shape)}"
                )

    return check


def _groups(call: Call) -> None:
    groups, channels = call.integer("num_groups", 1), call.shape(0)[1]
    if channels % groups:
        raise call.error(f"num_groups {groups} do not divide {channels} channels")


def _sampling(call: Call) -> None:
    ratio = call.integer("sampling_ratio", 0)
    if ratio < 0:
        raise call.error(f"sampling_ratio {ratio} must not be negative")


def _quantization(call: Call) -> None:
    block = call.integer("block_size", 0)
    if block < 0:
        raise call.error(f"block_size {block} must not be negative")


def _packed(call: Call) -> None:
    """Codes fill as many bytes as K, N and the blocks say, unless another layout is said."""
    codes, block = call.input(1), call.integer("block_size", 0)
    if block < 1:
        raise call.error(f"block_size {block} must be positive")
    if codes.info.dtype != "uint8" or call.integer("weight_prepacked", 0) or 0 in codes.shape:
        return
    blocks = -(-call.integer("K", 0) // block)
    expected = call.integer("N", 0) * blocks * (block * call.integer("bits", 4) // 8)
    if codes.info.elements != expected:
        raise call.error(
            f"weights of shape {list(codes.shape)} are {codes.info.elements} bytes; "
            f"K, N, bits and block_size take {expected}"
        )


_CHECKS: dict[str, Check] = {
    "AveragePool": _pooling,
    "Conv": _convolution(1, 2, 0),
    "ConvTranspose": _convolution(1, 2, 1),
    "DepthToSpace": _blocks(channels=True),
    "DequantizeLinear": _quantization,
    "Gather": _gather,
    "GroupNormalization": _groups,
    "LayerNormalization": _broadcast_into(1, 2),
    "LpPool": _pooling,
    "MaxPool": _pooling,
    "PRelu": _broadcast_into(1),
    "QLinearConv": _convolution(3, 8, 0),
    "QuantizeLinear": _quantization,
    "RMSNormalization": _broadcast_into(1),
    "Reshape": _reshape,
    "RoiAlign": _sampling,
    "SpaceToDepth": _blocks(channels=False),
    "com.microsoft.FusedConv": _convolution(1, 2, 0),
    "com.microsoft.MatMulNBits": _packed,
    "com.microsoft.SkipLayerNormalization": _broadcast_into(1, 2, 3, 4),
    "com.microsoft.SkipSimplifiedLayerNormalization": _broadcast_into(1, 2, 3),
    "com.microsoft.nchwc.Conv": _convolution(1, 2, 0),
}
