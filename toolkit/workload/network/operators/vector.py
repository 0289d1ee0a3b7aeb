"""Rules of the vector unit and of data movement, and what their operations are."""

from __future__ import annotations

import math
from collections.abc import Callable

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators.call import Call, Operator, Shapes, make_layer

Count = int | Callable[[Call], int]


def elementwise(
    operations: Count,
    formula: str,
    *,
    data: tuple[int, ...] | None = None,
    learned: tuple[int, ...] | None = None,
    shapes: Shapes | None = None,
) -> Operator:
    """A rule that computes every element of the output on its own."""
    return Operator(
        "elementwise",
        formula,
        per_output,
        operations,
        data=data,
        learned=learned,
        shapes=shapes,
    )


def reduction(
    operations: Count,
    formula: str,
    *,
    data: tuple[int, ...] | None = (0,),
    learned: tuple[int, ...] | None = None,
    shapes: Shapes | None = None,
    bound: Shapes | None = None,
) -> Operator:
    """A rule that needs many or all elements of the input before the first output."""
    return Operator(
        "reduction",
        formula,
        _per_input,
        operations,
        data=data,
        learned=learned,
        shapes=shapes,
        bound=bound,
    )


def window(operations: Count, formula: str, *, shapes: Shapes | None = None) -> Operator:
    """A rule that slides a window without multiplying by weights."""
    return Operator("window", formula, per_output, operations, data=(0,), shapes=shapes)


def movement(
    formula: str,
    *,
    data: tuple[int, ...] | None = (0,),
    learned: tuple[int, ...] | None = None,
    operations: Count = 0,
    shapes: Shapes | None = None,
    bound: Shapes | None = None,
    scales: tuple[int, ...] = (),
    dtype_of: int = 0,
) -> Operator:
    """A rule that reads and writes elements in another place."""
    return Operator(
        "movement",
        formula,
        per_output,
        operations,
        data=data,
        scales=scales,
        learned=learned,
        shapes=shapes,
        bound=bound,
        dtype_of=dtype_of,
    )


def view(formula: str, *, shapes: Shapes | None = None) -> Operator:
    """A rule that names the same elements anew."""
    return Operator("view", formula, _free, data=(0,), shapes=shapes)


def per_output(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """One layer whose work grows with the output: all outputs where elements only move."""
    elements = sum(output.elements for output in call.outputs)
    if rule.cost_class != "movement":
        elements = call.outputs[0].elements
    layer = make_layer(
        call, rule, elements=elements, operations_per_element=rule.operations_of(call)
    )
    return (layer,)


def _per_input(call: Call, rule: Operator) -> tuple[Layer, ...]:
    layer = make_layer(
        call,
        rule,
        elements=call.input(0).info.elements,
        operations_per_element=rule.operations_of(call),
    )
    return (layer,)


def _free(call: Call, rule: Operator) -> tuple[Layer, ...]:
    return (make_layer(call, rule),)


def window_size(call: Call) -> list[tuple[int, ...]]:
    """Length of a window function, which must be constant."""
    data = call.input(0).data
    if data is None or data.size != 1:
        raise call.error("the size of the window is not a constant")
    return [(int(data.reshape(-1)[0]),)]


def all_operands(call: Call) -> int:
    """Operations per element of a sum or maximum of any number of tensors."""
    return max(sum(value is not None for value in call.inputs) - 1, 1)


def bounds(call: Call) -> int:
    """Comparisons per element of Clip: one for every bound."""
    given = call.has(1) + call.has(2) + ("min" in call.attributes) + ("max" in call.attributes)
    return max(given, 1)


def taps(call: Call) -> int:
    """Elements of a pooling window."""
    kernel = [int(size) for size in call.attributes.get("kernel_shape") or ()]
    if not kernel or any(size < 1 for size in kernel):
        raise call.error(f"kernel_shape {kernel} must hold positive integers")
    return math.prod(kernel)


def interpolation(call: Call) -> int:
    """Operations per element of Resize: a multiplication and an addition per neighbour used."""
    mode = call.text("mode", "nearest")
    if mode == "nearest":
        return 0
    resized = sum(a != b for a, b in zip(call.shape(0), call.outputs[0].shape, strict=False))
    neighbours = {"linear": 2, "bilinear": 2, "cubic": 4, "bicubic": 4}
    return int(2 * neighbours.get(mode, 2) ** resized)


def sampling(call: Call) -> int:
    """Operations per element of GridSample, whose modes have had two names each."""
    neighbours = {"nearest": 1, "cubic": 4, "bicubic": 4}.get(call.text("mode", "linear"), 2)
    axes = len(call.shape(0)) - 2
    return 0 if neighbours == 1 else int(2 * neighbours**axes)


def roi_samples(call: Call) -> int:
    """Operations per element of RoiAlign: eight per sample, two by two samples by default."""
    ratio = call.integer("sampling_ratio", 0) or 2
    return 8 * ratio * ratio


def neighbourhood(call: Call) -> int:
    """Operations per element of LRN: a sum of squares over channels, then five more."""
    return call.integer("size", 1) + 5


def logarithm_steps(call: Call) -> int:
    """Comparisons per element of a sort along the axis of TopK."""
    shape = call.shape(0)
    axis = call.integer("axis", -1)
    size = shape[axis] if shape and -len(shape) <= axis < len(shape) else 1
    return max((size - 1).bit_length(), 1)


def transform_steps(call: Call) -> int:
    """Operations per element of a fast Fourier transform: five per halving of its axis."""
    if call.operator == "STFT":
        # The window is as long as a frame; without one, the length stands alone.
        frame = call.inputs[3].data if call.has(3) else None  # type: ignore[union-attr]
        given = int(frame.reshape(-1)[0]) if frame is not None else call.outputs[0].shape[-2]
        size = call.shape(2)[0] if call.has(2) else given
    else:
        axis = call.inputs[2].data if call.has(2) else None  # type: ignore[union-attr]
        default = -2 if call.opset >= 20 else 1
        place = int(axis.reshape(-1)[0]) if axis is not None else call.integer("axis", default)
        size = call.shape(0)[place]
    return 5 * max((size - 1).bit_length(), 1)


def selected_boxes(call: Call) -> list[tuple[int, ...]]:
    """Most boxes that NonMaxSuppression can select."""
    batch, classes, boxes = call.shape(1, 3)
    limit = call.inputs[2] if call.has(2) else None
    most = boxes
    if limit is not None and limit.data is not None and limit.data.size == 1:
        most = min(boxes, int(limit.data.reshape(-1)[0]))
    return [(max(batch * classes * most, 1), 3)]


def nonzero_positions(call: Call) -> list[tuple[int, ...]]:
    """Most positions that NonZero can find."""
    return [(max(len(call.shape(0)), 1), call.input(0).info.elements)]


def compressed(call: Call) -> list[tuple[int, ...]]:
    """Most elements that Compress can keep."""
    shape = list(call.shape(0))
    if "axis" not in call.attributes:
        return [(call.input(0).info.elements,)]
    shape[call.integer("axis", 0)] = min(shape[call.integer("axis", 0)], call.shape(1, 1)[0])
    return [tuple(shape)]


def unique_elements(call: Call) -> list[tuple[int, ...]]:
    """Most elements that Unique can keep."""
    shape = list(call.shape(0))
    if "axis" in call.attributes:
        count = shape[call.integer("axis", 0)]
        return [tuple(shape), (count,), (count,), (count,)][: len(call.outputs)]
    count = call.input(0).info.elements
    return [(count,)] * len(call.outputs)


def joined(call: Call) -> list[tuple[int, ...]]:
    """What Concat makes; before opset 11, ONNX leaves it open where the axis is negative."""
    shape = list(call.shape(0))
    axis = call.integer("axis", 1) % len(shape)
    shapes = [call.shape(i, len(shape)) for i in range(len(call.inputs))]
    if len({other[:axis] + other[axis + 1 :] for other in shapes}) > 1:
        raise call.error(f"shapes {[list(other) for other in shapes]} differ off axis {axis}")
    shape[axis] = sum(other[axis] for other in shapes)
    return [tuple(shape)]


def sliced(call: Call) -> list[tuple[int | None, ...]]:
    """What Slice leaves alone: all axes but those that it is given."""
    shape = call.shape(0)
    named = call.input(3).data if call.has(3) else None
    if named is not None:
        axes = {int(axis) % len(shape) for axis in named.reshape(-1)}
    elif call.has(1) and not call.has(3):
        count = call.input(1).info.elements
        if count > len(shape):
            raise call.error(f"has {count} starts for an operand of {len(shape)} axes")
        axes = set(range(count))
    else:
        axes = set(range(len(shape)))
    return [tuple(None if axis in axes else size for axis, size in enumerate(shape))]


def operand_shape(call: Call) -> list[tuple[int, ...]]:
    """All elements of the first operand, where data say which are kept."""
    return [call.shape(0)]


def largest_kept(call: Call) -> list[tuple[int, ...]]:
    """All elements along the axis, where TopK's k depends on data."""
    return [call.shape(0)] * len(call.outputs)


def gelu_steps(call: Call) -> int:
    """Operations per element of Gelu, by the error function or by its approximation."""
    return 8 if call.text("approximate", "none") == "tanh" else 5
