"""Further operators of ONNX Runtime: images, transforms, gates, and older forms of ONNX's own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators import convolution, products
from toolkit.workload.network.operators import output_shapes as shapes
from toolkit.workload.network.operators import vector as v
from toolkit.workload.network.operators.call import Call, Handler, Operator, Shapes, make_layer
from toolkit.workload.network.operators.composition import (
    Composition,
    as_operator,
    optional_operands,
)
from toolkit.workload.network.operators.output_shapes import Shape
from toolkit.workload.network.operators.rotary import rotary_embedding
from toolkit.workload.network.operators.vector import (
    elementwise,
    movement,
    reduction,
    view,
    window,
)


def _channels_last(call: Call, filter_operand: int) -> Call:
    """The call as one with channels before positions, as rules of convolutions have it."""
    data = call.input(0)
    weight = call.input(filter_operand)
    moved = replace(data, info=replace(data.info, shape=channels_first(data.shape)), data=None)
    shape = weight.shape
    groups = call.integer("group", 1)
    if len(shape) > 2 and shape[1] * groups != data.shape[-1] == shape[-1] * groups:
        weight = replace(weight, info=replace(weight.info, shape=channels_first(shape)), data=None)
    inputs = [*call.inputs]
    inputs[0], inputs[filter_operand] = moved, weight
    return replace(call, inputs=tuple(inputs))


def channels_first(shape: Shape) -> Shape:
    """A shape with its last axis behind the first."""
    return (shape[0], shape[-1], *shape[1:-1])


def _convolved(filter_operand: int) -> Shapes:
    def found(call: Call) -> list[Shape]:
        if not _is_last(call):
            return [shapes.convolved_shape(call, filter_operand)]
        shape = shapes.convolved_shape(_channels_last(call, filter_operand), filter_operand)
        return [(shape[0], *shape[2:], shape[1])]

    return found


def _is_last(call: Call) -> bool:
    return "Nhwc" in call.operator or bool(call.integer("channels_last", 0))


def _convolution(filter_operand: int) -> Handler:
    """A convolution whose tensors keep their channels last where they have them there."""
    plain = convolution.qlinear_convolution if filter_operand == 3 else convolution.convolution

    def handler(call: Call, rule: Operator) -> tuple[Layer, ...]:
        if not _is_last(call):
            return plain(call, rule)
        inner = _channels_last(call, filter_operand)
        first = replace(call.outputs[0], shape=channels_first(call.outputs[0].shape))
        (layer,) = plain(replace(inner, outputs=(first,)), rule)
        own = {value.info.name: value.info for value in call.inputs if value is not None}
        inputs = tuple(own.get(tensor.name, tensor) for tensor in layer.inputs)
        return (replace(layer, inputs=inputs, outputs=call.outputs),)

    return handler


def _fused_convolution(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """NhwcFusedConv: NhwcConv, a sum, an activation."""
    steps = Composition(call)
    shape = call.outputs[0].shape
    made = steps.step(
        "com.microsoft.NhwcConv", call.inputs[:3], shape, attributes=call.attributes, main=True
    )
    if call.has(3):
        made = steps.step("Add", [made, call.inputs[3]], shape)
    parameters = call.attributes.get("activation_params") or ()
    return steps.layers(steps.activation(made, call.text("activation", ""), parameters))


def _causal_convolution(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """CausalConvWithState: a convolution per channel over what was before, which is kept."""
    steps = Composition(call)
    data, weight, bias, past = call.inputs[0], call.inputs[1], *optional_operands(call, 2, 3)
    channels, taps = call.shape(1, 3)[0], call.shape(1, 3)[2]
    shape, dilation = call.outputs[0].shape, call.integer("dilation", 1)
    state = (taps - 1) * dilation
    known = data if past is None else steps.step(
        "Concat", [past, data], (*shape[:-1], shape[-1] + state), attributes={"axis": 2}
    )  # fmt: skip
    pads = [state if past is None else 0, 0]
    made = steps.step(
        "Conv",
        [known, weight, bias],
        shape,
        attributes={"group": channels, "dilations": [dilation], "pads": pads},
        main=True,
    )
    made = steps.activation(made, call.text("activation", "none"))
    kept = steps.step("Slice", [known], (*shape[:-1], state))
    return steps.layers(made, kept)


def _causal_shapes(call: Call) -> list[Shape]:
    batch, channels, length = call.shape(0, 3)
    if call.integer("channels_last", 0) or call.integer("ndim", 1) != 1:
        raise call.error("is read with one axis of positions, behind the channels")
    state = (call.shape(1, 3)[2] - 1) * call.integer("dilation", 1)
    made: list[Shape] = [(batch, channels, length), (batch, channels, state)]
    return made[: len(call.outputs)]


def _pooled_last(call: Call) -> list[Shape]:
    return shapes.pooled(replace(call, attributes={**call.attributes, "channels_last": 1}))


def _distances(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """CDist: differences of all pairs of rows, squared and summed, as many as a product has."""
    left, right = call.shape(0, 2), call.shape(1, 2)
    layer = make_layer(
        call,
        rule,
        workload=products.matmul_workload(call, left, right[::-1]),
        elements=call.outputs[0].elements,
        operations_per_element=rule.operations_of(call),
    )
    return (layer,)


def _pair_shapes(call: Call) -> list[Shape]:
    return [(call.shape(0, 2)[0], call.shape(1, 2)[0])]


def _row_steps(call: Call) -> int:
    """Operations per element of an elimination: two per row."""
    return 2 * call.shape(0)[-1]


def _transform_steps(call: Call) -> int:
    """Operations per element of a fast Fourier transform over the last axes."""
    axes = call.integer("signal_ndim", 1)
    shape = call.shape(0)
    sizes = shape[-axes:] if call.operator.endswith("Rfft") else shape[:-1][-axes:]
    return 5 * max((math.prod(sizes) - 1).bit_length(), 1)


def _rotary_pair(call: Call) -> list[Shape]:
    return [call.shape(1), call.shape(3)][: len(call.outputs)]


def _gated_width(call: Call) -> list[Shape]:
    return [call.shape(0)] if call.has(1) else shapes.halved(call)


def _projected(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """RouterGateUpProj: one product, of which a part is a gated activation."""
    steps = Composition(call)
    rows, columns = call.shape(0)[:-1], call.shape(1, 2)[1]
    router, width = call.integer("router_size", 0), (columns - call.integer("router_size", 0)) // 2
    whole = steps.step("MatMul", call.inputs[:2], (*rows, columns), main=True)
    scores, gate, up = steps.split(whole, [router, width, width])
    return steps.layers(scores, steps.step("SwiGLU", [gate, up], up.shape))


def _projected_shapes(call: Call) -> list[Shape]:
    rows, columns = call.shape(0)[:-1], call.shape(1, 2)[1]
    router = call.integer("router_size", 0)
    if not 0 < router < columns:
        raise call.error(f"router_size {router} does not fit {columns} columns")
    return [(*rows, router), (*rows, (columns - router) // 2)]


def _cropped(call: Call) -> list[Shape]:
    size = call.input(3).data
    if size is None or size.size != 2:
        raise call.error("the size of the crops is not a constant of two numbers")
    height, width = (int(n) for n in size.reshape(-1))
    return [(call.shape(1, 2)[0], call.shape(0, 4)[1], height, width)]


def _biases(call: Call) -> list[Shape]:
    lengths = [call.input(i).data for i in (1, 2)]
    if any(length is None or length.size != 1 for length in lengths):
        raise call.error("query_length and key_length are not constants")
    queries, keys = (int(np.asarray(length).reshape(-1)[0]) for length in lengths)
    return [(1, call.shape(0, 2)[1], queries, keys)]


def _padded(call: Call) -> list[Shape]:
    pads = call.input(1).data
    shape = call.shape(0)
    if pads is None or pads.size != 2 * len(shape):
        raise call.error("the pads are not constants, two per axis")
    before, after = np.asarray(pads).reshape(2, -1).tolist()
    return [tuple(size + a + b for size, a, b in zip(shape, before, after, strict=True))]


def _sampled(call: Call) -> list[Shape]:
    return [(*call.shape(0, 4)[:2], *call.shape(1, 4)[1:3])]


def _picked(call: Call) -> list[Shape]:
    data, indices = call.shape(0), call.shape(1)
    if not indices or indices[-1] > len(data):
        raise call.error(f"indices {list(indices)} do not fit data {list(data)}")
    return [(*indices[:-1], *data[indices[-1] :])]


def _inserted(call: Call) -> list[Shape]:
    axis = call.input(1).data
    if axis is None or axis.size != 1:
        raise call.error("the axis is not a constant")
    shape = list(call.shape(0))
    place = int(np.asarray(axis).reshape(-1)[0])
    if not -len(shape) - 1 <= place <= len(shape):
        raise call.error(f"axis {place} is outside of the {len(shape) + 1} axes of its output")
    shape.insert(place if place >= 0 else len(shape) + 1 + place, 1)
    return [tuple(shape)]


def _packed_tokens(call: Call) -> list[Shape]:
    """Most tokens that are no padding, their places, and how many there are per sequence."""
    batch, length, width = call.shape(0, 3)
    every = (batch * length, width)
    return [every, (batch, length), (batch + 1,), (1,)][: len(call.outputs)]


def _unpacked_tokens(call: Call) -> list[Shape]:
    return [(*call.shape(1, 2), call.shape(0, 2)[1])]


_RULES: dict[str, Operator] = {
    "NhwcConv": Operator(
        "einsum", "as Conv", _convolution(1), data=(0, 1, 2), learned=(1, 2), shapes=_convolved(1)
    ),
    "NhwcFusedConv": Operator(
        "einsum", "NhwcConv, Add, activation", _fused_convolution, shapes=_convolved(1)
    ),
    "QLinearConv": Operator(
        "einsum",
        "as Conv; scale, zero point and clip per output",
        _convolution(3),
        3,
        data=(0, 3, 8),
        learned=(3, 8),
        scales=(1, 2, 4, 5, 6, 7),
        shapes=_convolved(3),
        dtype_of=7,
    ),
    "CausalConvWithState": Operator(
        "einsum",
        "Concat with the state, Conv, activation, Slice of the next state",
        _causal_convolution,
        shapes=_causal_shapes,
    ),
    "CDist": Operator(
        "einsum",
        "a multiply-accumulate per pair and column, a square root per pair",
        _distances,
        1,
        shapes=_pair_shapes,
    ),
    "RouterGateUpProj": Operator(
        "einsum", "MatMul, Split, SwiGLU", _projected, shapes=_projected_shapes
    ),
    "Gelu": Operator("elementwise", "Gelu", as_operator("Gelu", 1), shapes=shapes.same),
    "QuickGelu": Operator("elementwise", "Swish", as_operator("Swish", 1), shapes=shapes.same),
    "ScaledSiLU": elementwise(6, "scale, then Swish", data=(0,), shapes=shapes.same),
    "SwiGLU": elementwise(6, "x / (1 + exp(-a * x)) * y", shapes=_gated_width),
    "RotaryEmbedding": Operator(
        "elementwise",
        "two products and a sum; rows of the tables that are read",
        rotary_embedding,
        3,
        shapes=shapes.same,
    ),
    "MRotaryEmbedding": elementwise(3, "two products and a sum", learned=(), shapes=shapes.same),
    "GemmaRotaryEmbedding": elementwise(
        5, "sine, cosine, two products and a sum", learned=(), shapes=_rotary_pair
    ),
    "ComplexMul": elementwise(
        3, "three per real number, of two each", shapes=shapes.broadcast(0, 1)
    ),
    "ComplexMulConj": elementwise(
        3, "three per real number, of two each", shapes=shapes.broadcast(0, 1)
    ),
    "Inverse": reduction(_row_steps, "two per element and row", shapes=shapes.same),
    "IsAllFinite": reduction(1, "compare", data=None, shapes=lambda call: [()]),
    "Rfft": reduction(
        _transform_steps, "5 log2(size), a fast Fourier transform", shapes=shapes.transformed
    ),
    "Irfft": reduction(
        _transform_steps, "5 log2(size), a fast Fourier transform", shapes=shapes.transformed_back
    ),
    "Unique": Operator(
        "reduction", "Unique", as_operator("Unique", 1), bound=lambda c: v.unique_elements(c)
    ),
    "NhwcMaxPool": window(v.taps, "a comparison per element of the window", shapes=_pooled_last),
    "MaxpoolWithMask": window(
        v.taps, "a comparison per element of the window", shapes=shapes.pooled
    ),
    "GatherND": movement("elements of the output", data=(0, 1), shapes=_picked),
    "TorchEmbedding": Operator(
        "movement", "Gather", as_operator("Gather", 2), shapes=shapes.gathered
    ),  # fmt: skip
    "UnfoldTensor": movement("elements of the output", shapes=shapes.unfolded),
    "Pad": movement("elements of the output", shapes=_padded),
    "Trilu": movement("every element", shapes=shapes.same),
    "RelativePositionBias": movement("elements of the output", shapes=_biases),
    "RemovePadding": movement("elements of the output", bound=_packed_tokens),
    "RestorePadding": movement("elements of the output", shapes=_unpacked_tokens),
    "GridSample": movement(
        "elements of the output; 2 operations per neighbour",
        data=(0, 1),
        operations=v.sampling,
        shapes=_sampled,
    ),
    "CropAndResize": movement(
        "elements of the output; 8 operations to interpolate",
        data=(0, 1),
        operations=8,
        shapes=_cropped,
    ),
    "ExpandDims": view("the same elements", shapes=_inserted),
    "BitmaskDropout": view("the identity in inference", shapes=shapes.same),
}

RUNTIME = {f"com.microsoft.{name}": rule for name, rule in _RULES.items()}
"""Rules of further operators of ONNX Runtime."""
