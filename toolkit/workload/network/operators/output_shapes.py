"""Shapes of what operators make of which ONNX itself knows nothing."""

from __future__ import annotations

from toolkit.workload.network.operators.call import Call, Shapes

Shape = tuple[int, ...]


def same(call: Call) -> list[Shape]:
    """Every output has the shape of the first operand."""
    return [call.shape(0)] * len(call.outputs)


def broadcast(*operands: int) -> Shapes:
    """The output has the shape of operands broadcast together."""

    def shapes(call: Call) -> list[Shape]:
        shape: Shape = ()
        for operand in operands:
            if call.has(operand):
                shape = broadcast_shape(call, shape, call.shape(operand))
        return [shape] * len(call.outputs)

    return shapes


def broadcast_shape(call: Call, left: Shape, right: Shape) -> Shape:
    """The shape of two broadcast together.

    Raises
    ------
    WorkloadError
        Naming the node, if they cannot be.
    """
    rank = max(len(left), len(right))
    padded = [(1,) * (rank - len(shape)) + shape for shape in (left, right)]
    if any(1 != x != y != 1 for x, y in zip(*padded, strict=True)):
        raise call.error(f"shapes {list(left)} and {list(right)} cannot be broadcast together")
    return tuple(max(x, y) for x, y in zip(*padded, strict=True))


def oriented(call: Call, shape: Shape, side: str) -> Shape:
    """An operand of a matrix product as it is multiplied.

    ``transBatchA`` (or B) moves the first axis behind those of the batch, ``transA`` swaps the
    last two.
    """
    if len(shape) < 2:
        return shape
    if call.integer(f"transBatch{side}", 0):
        shape = (*shape[1:-1], shape[0], shape[-1])
    if call.integer(f"trans{side}", 0):
        shape = (*shape[:-2], shape[-1], shape[-2])
    return shape


def product_shapes(a: int, b: int) -> Shapes:
    """The output has the shape of a matrix product, with ONNX Runtime's transpositions."""

    def shapes(call: Call) -> list[Shape]:
        left, right = oriented(call, call.shape(a), "A"), oriented(call, call.shape(b), "B")
        if len(left) < 2 or len(right) < 2:
            raise call.error("expected operands of two or more axes")
        return [(*broadcast_shape(call, left[:-2], right[:-2]), left[-2], right[-1])]

    return shapes


def convolved(filter_operand: int) -> Shapes:
    """The output has the shape of a convolution with explicit padding."""

    def shapes(call: Call) -> list[Shape]:
        return [convolved_shape(call, filter_operand)]

    return shapes


def convolved_shape(call: Call, filter_operand: int) -> Shape:
    """Batch, filters and positions of a convolution."""
    data, weight = call.shape(0), call.shape(filter_operand)
    if len(data) != len(weight) or len(data) < 3:
        raise call.error(f"input {list(data)} and filter {list(weight)} do not fit")
    return (data[0], weight[0], *window_positions(call, data[2:], weight[2:]))


def transposed_convolved(call: Call) -> list[Shape]:
    """The output of a transposed convolution whose pads are attributes or nothing."""
    data, weight = call.shape(0), call.shape(1)
    count = len(data) - 2
    strides = call.integers("strides", [1] * count)
    dilations = call.integers("dilations", [1] * count)
    pads = call.integers("pads", [0] * (2 * count))
    extra = call.integers("output_padding", [0] * count)
    positions = tuple(
        (size - 1) * strides[i] + dilations[i] * (taps - 1) + 1
        - pads[i] - pads[i + count] + extra[i]
        for i, (size, taps) in enumerate(zip(data[2:], weight[2:], strict=True))
    )  # fmt: skip
    return [(data[0], weight[1] * call.integer("group", 1), *positions)]


def pooled(call: Call) -> list[Shape]:
    """The output has the shape of a pooling with explicit padding."""
    data = call.shape(0)
    last = call.integer("channels_last", 0)
    axes = data[1:-1] if last else data[2:]
    kernel = tuple(call.integers("kernel_shape", [1] * len(axes)))
    positions = window_positions(call, axes, kernel, ceil=bool(call.integer("ceil_mode", 0)))
    return [(data[0], *positions, data[-1]) if last else (*data[:2], *positions)]


def window_positions(call: Call, axes: Shape, kernel: Shape, *, ceil: bool = False) -> Shape:
    """Positions of a window along each axis."""
    count = len(axes)
    strides = call.integers("strides", [1] * count)
    dilations = call.integers("dilations", [1] * count)
    pads = call.integers("pads", [0] * (2 * count))
    if call.text("auto_pad", "NOTSET").startswith("SAME"):
        return tuple(-(-size // stride) for size, stride in zip(axes, strides, strict=True))
    out = []
    for i, (size, taps) in enumerate(zip(axes, kernel, strict=True)):
        room = size + pads[i] + pads[i + count] - dilations[i] * (taps - 1) - 1
        out.append((-(-room // strides[i]) if ceil else room // strides[i]) + 1)
    return tuple(out)


def globally_pooled(call: Call) -> list[Shape]:
    """One position per channel."""
    data = call.shape(0)
    last = call.integer("channels_last", 0)
    ones = (1,) * (len(data) - 2)
    return [(data[0], *ones, data[-1]) if last else (*data[:2], *ones)]


def reduced(call: Call) -> list[Shape]:
    """Axes given as an attribute become one, or vanish."""
    shape = call.shape(0)
    axes = [int(axis) for axis in call.attributes.get("axes") or range(len(shape))]
    if any(not -len(shape) <= axis < len(shape) for axis in axes):
        raise call.error(f"axes {axes} are outside of the {len(shape)} axes of its operand")
    gone = {axis % len(shape) for axis in axes}
    if call.integer("keepdims", 1):
        return [tuple(1 if axis in gone else size for axis, size in enumerate(shape))]
    return [tuple(size for axis, size in enumerate(shape) if axis not in gone)]


def concatenated(call: Call) -> list[Shape]:
    """Every third operand from the second on is joined along an axis."""
    parts = [list(call.shape(i)) for i in range(2, len(call.inputs), 3)]
    axis = axis_of(call, "axis", 0, len(parts[0]))
    if any(len(part) != len(parts[0]) for part in parts):
        raise call.error(f"shapes {parts} differ in their number of axes")
    parts[0][axis] = sum(part[axis] for part in parts)
    return [tuple(parts[0])]


def axis_of(call: Call, name: str, default: int, rank: int) -> int:
    """An attribute that names an axis, counted from the front.

    Raises
    ------
    WorkloadError
        Naming the node, if there is no such axis.
    """
    axis = call.integer(name, default)
    if not -rank <= axis < max(rank, 1):
        raise call.error(f"{name} {axis} is outside of the {rank} axes of its operand")
    return axis % max(rank, 1)


def normalized(call: Call) -> list[Shape]:
    """The result, two statistics, and the sum that was normalized."""
    data = call.shape(0)
    return [data, (*data[:-1], 1), (*data[:-1], 1), data][: len(call.outputs)]


def embedded(call: Call) -> list[Shape]:
    """Rows of a table per index, positions of the mask, and the sum that was normalized."""
    batch, length = call.shape(0, 2)
    hidden = call.shape(2, 2)[1]
    return [(batch, length, hidden), (batch,), (batch, length, hidden)][: len(call.outputs)]


def gathered(call: Call) -> list[Shape]:
    """Rows of a table in place of indices."""
    return [(*call.shape(1), *call.shape(0)[1:])]


def halved(call: Call) -> list[Shape]:
    """The last axis in two halves, of which one gates the other."""
    shape = call.shape(0)
    if not shape or shape[-1] % 2:
        raise call.error(f"shape {list(shape)} has no last axis of even size")
    return [(*shape[:-1], shape[-1] // 2)]


def unfolded(call: Call) -> list[Shape]:
    """All windows along one axis, each on a new last axis."""
    shape = list(call.shape(0))
    axis = axis_of(call, "dim", -1, len(shape))
    size, step = call.integer("size", 0), call.integer("step", 1)
    if size < 1 or step < 1 or size > shape[axis]:
        raise call.error(f"size {size} and step {step} do not fit an axis of {shape[axis]}")
    shape[axis] = (shape[axis] - size) // step + 1
    return [(*shape, size)]


def rows_by(name: str) -> Shapes:
    """The last axis of the first operand is replaced by as many as an attribute says."""

    def shapes(call: Call) -> list[Shape]:
        width = call.integer(name, 0)
        if width < 1:
            raise call.error(f"{name} {width} must be positive")
        return [(*call.shape(0)[:-1], width)]

    return shapes


def transformed(call: Call) -> list[Shape]:
    """A Fourier transform of real numbers: pairs on a new last axis, the last one halved."""
    shape = call.shape(0)
    if not call.integer("onesided", 1):
        return [(*shape, 2)]
    return [(*shape[:-1], shape[-1] // 2 + 1, 2)]


def transformed_back(call: Call) -> list[Shape]:
    """The inverse: the pairs vanish, the axis before them is doubled."""
    shape = call.shape(0)
    if len(shape) < 2:
        raise call.error(f"shape {list(shape)} does not end in pairs")
    if not call.integer("onesided", 1):
        return [shape[:-1]]
    return [(*shape[:-2], 2 * (shape[-2] - 1))]
