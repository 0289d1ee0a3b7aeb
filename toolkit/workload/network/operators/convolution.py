"""Convolutions of one, two and three axes, plain, grouped, depthwise and transposed.

Output positions come from the inferred output shape, which has padding, strides and dilations in
it already; a layer's MACs therefore include those on padding, as published counts do.
"""

from __future__ import annotations

import math

from toolkit.workload.kernel import Index, Role, Tensor, Term, Workload
from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.operators.call import Call, Operator, make_layer
from toolkit.workload.ready_made import (
    conv1d,
    conv2d,
    depthwise_conv2d,
    grouped_conv2d,
    transposed_conv2d,
)

# Output positions and filter taps of three axes.
_POSITIONS, _TAPS = ("O", "P", "Q"), ("T", "R", "S")


def convolution(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """Conv and ConvInteger."""
    return _convolution(call, rule, 1)


def qlinear_convolution(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """QLinearConv: the filter stands after the scales of the input."""
    return _convolution(call, rule, 3)


def _convolution(call: Call, rule: Operator, filter_operand: int) -> tuple[Layer, ...]:
    data, weight, output = call.shape(0), call.shape(filter_operand), call.outputs[0].shape
    axes = len(data) - 2
    groups = call.integer("group", 1)
    if axes not in (1, 2, 3) or len(weight) != len(data):
        raise call.error(
            f"expected an input and a filter of 3 to 5 axes, got {list(data)} and {list(weight)}"
        )
    if groups < 1 or data[1] != weight[1] * groups or weight[0] % groups:
        raise call.error(
            f"{groups} groups do not divide {data[1]} input channels and {weight[0]} filters "
            f"of {weight[1]} channels"
        )
    strides = call.integers("strides", [1] * axes)
    dilations = call.integers("dilations", [1] * axes)
    channels = (groups, weight[0] // groups, weight[1])
    workload = _workload(data[0], channels, output[2:], weight[2:], strides, dilations)
    return (_layer(call, rule, workload),)


def _layer(call: Call, rule: Operator, workload: Workload, repetitions: int = 1) -> Layer:
    return make_layer(
        call,
        rule,
        workload=workload,
        repetitions=repetitions,
        elements=call.outputs[0].elements // repetitions,
        operations_per_element=rule.operations_of(call),
    )


def _workload(
    batch: int,
    channels: tuple[int, int, int],
    positions: tuple[int, ...],
    taps: tuple[int, ...],
    strides: list[int],
    dilations: list[int],
) -> Workload:
    """The kernel for groups, output channels and input channels of one group."""
    n = batch if batch > 1 else None
    groups, m, c = channels
    if len(positions) == 3:
        return _volume(batch, channels, positions, taps, strides, dilations)
    if len(positions) == 1 and groups == 1:
        return conv1d(m, c, positions[0], taps[0], n=n, stride=strides[0], dilation=dilations[0])
    if len(positions) == 1:
        positions, taps = (*positions, 1), (*taps, 1)
        strides, dilations = [*strides, 1], [*dilations, 1]
    (p, q), (r, s) = positions, taps
    stride, dilation = (strides[0], strides[1]), (dilations[0], dilations[1])
    if groups == 1:
        return conv2d(m, c, p, q, r, s, n=n, stride=stride, dilation=dilation)
    if m == c == 1:
        return depthwise_conv2d(groups, p, q, r, s, n=n, stride=stride, dilation=dilation)
    return grouped_conv2d(groups, m, c, p, q, r, s, n=n, stride=stride, dilation=dilation)


def _volume(
    batch: int,
    channels: tuple[int, int, int],
    positions: tuple[int, ...],
    taps: tuple[int, ...],
    strides: list[int],
    dilations: list[int],
    *,
    transposed: bool = False,
) -> Workload:
    """A convolution over three axes: positions O, P, Q and taps T, R, S."""
    sizes = {"N": batch, "G": channels[0], "M": channels[1]}
    sizes |= dict(zip(_POSITIONS, positions, strict=True))
    sizes |= {"C": channels[2]} | dict(zip(_TAPS, taps, strict=True))
    sizes = {d: size for d, size in sizes.items() if size > 1 or d not in "NG"}
    window: list[Index] = [
        (Term(p, stride), Term(r, dilation))
        for p, r, stride, dilation in zip(_POSITIONS, _TAPS, strides, dilations, strict=True)
    ]
    places: list[Index] = [(Term(p),) for p in _POSITIONS]
    filters = [*"GMC", *_TAPS]

    def tensor(role: Role, letters: str, rest: list[Index]) -> Tensor:
        plain: list[Index] = [(Term(d),) for d in letters if d in sizes]
        return Tensor(role, role, (*plain, *rest))

    tensors = (
        tensor("input", "NGC", places if transposed else window),
        Tensor("weight", "weight", tuple((Term(d),) for d in filters if d in sizes)),
        tensor("output", "NGM", window if transposed else places),
    )
    kernel = "transposed-conv3d" if transposed else "conv3d"
    moves = [("stride", strides), ("dilation", dilations)]
    extents = ",".join(f"{d}={size}" for d, size in sizes.items())
    shown = "".join(f",{word}={'x'.join(map(str, v))}" for word, v in moves if set(v) != {1})
    return Workload(f"{kernel}:{extents}{shown}", kernel, sizes, tensors)


def transposed_convolution(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """ConvTranspose: every input position adds a filter to the output, once per group."""
    data, weight = call.shape(0), call.shape(1)
    axes = len(data) - 2
    groups = call.integer("group", 1)
    if axes not in (1, 2, 3) or len(weight) != len(data):
        raise call.error(
            f"expected an input and a filter of 3 to 5 axes, got {list(data)} and {list(weight)}"
        )
    if groups < 1 or data[1] != weight[0] or data[1] % groups:
        raise call.error(f"{data[1]} input channels, {weight[0]} in the filter, {groups} groups")
    strides = call.integers("strides", [1] * axes)
    dilations = call.integers("dilations", [1] * axes)
    positions, taps = data[2:], weight[2:]
    m, c = weight[1], data[1] // groups
    if axes == 3:
        channels = (1, m, c)
        workload = _volume(data[0], channels, positions, taps, strides, dilations, transposed=True)
        return (_layer(call, rule, workload, groups),)
    if axes == 1:
        positions, taps = (*positions, 1), (*taps, 1)
        strides, dilations = [*strides, 1], [*dilations, 1]
    workload = transposed_conv2d(
        m,
        c,
        *positions,
        *taps,
        n=data[0] if data[0] > 1 else None,
        stride=(strides[0], strides[1]),
        dilation=(dilations[0], dilations[1]),
    )
    return (_layer(call, rule, workload, groups),)


def deformable_convolution(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """DeformConv: a convolution, and four products and three sums per tap for interpolation."""
    (layer,) = _convolution(call, rule, 1)
    taps = math.prod(call.shape(1)[2:])
    gathered = call.shape(0)[0] * call.shape(0)[1] * math.prod(call.outputs[0].shape[2:]) * taps
    sampling = make_layer(
        call,
        rule,
        cost_class="elementwise",
        suffix="/sample",
        operands=[value for i, value in enumerate(call.inputs) if i not in (1, 3)],
        outputs=[TensorInfo(f"{layer.name}/sample", (gathered,), call.outputs[0].dtype)],
        elements=gathered,
        operations_per_element=7,
    )
    product = make_layer(
        call,
        rule,
        operands=[value for i, value in enumerate(call.inputs) if i in (1, 3)],
        extra_inputs=sampling.outputs,
        workload=layer.workload,
        elements=layer.elements,
    )
    return sampling, product
