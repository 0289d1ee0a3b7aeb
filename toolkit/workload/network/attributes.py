"""Attributes that a node cannot have, found before ONNX sees them.

ONNX's own shape inference trusts some of them, and ends the process where they are out of range,
or does not end itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from toolkit.messages import describe
from toolkit.workload.network.operators import Call

LARGEST_INTEGER = 1 << 40
"""Largest magnitude of an integer that says how much or where; beyond it ONNX may overflow."""

_UNBOUNDED = {
    "Constant": ("value_int", "value_ints"),
    "Shape": ("start", "end"),
    "Slice": ("starts", "ends"),
}
"""Attributes in which a very large number means to the end, or is data."""

_POSITIVE = frozenset(
    ("strides", "dilations", "kernel_shape", "group", "blocksize", "num_outputs", "output_shape")
    + ("hidden_size", "num_heads", "kv_num_heads", "q_num_heads", "num_groups", "groups", "size")
    + ("pooled_shape", "output_height", "output_width", "num_scan_inputs", "K", "N")
)
"""Attributes that count something, of which there is at least one."""

_AXES = ("axis", "axes", "batch_axis", "time_axis", "gather_axis", "quantize_axis")

_AXIS_OPERANDS = {
    "CumProd": 1,
    "CumSum": 1,
    "DFT": 2,
    "Pad": 3,
    "Slice": 3,
    "Squeeze": 1,
    "Unsqueeze": 1,
}
"""Operands that name axes; those of reductions are their second."""

_ONE_MORE = frozenset(("Flatten", "OneHot"))
"""Operators whose axis may lie behind the last one."""

_PER_TENSOR = frozenset(("DequantizeLinear", "QuantizeLinear"))
"""Operators whose axis says nothing where their scale is a single number."""


_LEAST_AXES = {
    "Attention": 3,
    "Concat": 1,
    "DepthToSpace": 4,
    "Gather": 1,
    "GatherElements": 1,
    "GatherND": 1,
    "LayerNormalization": 1,
    "RMSNormalization": 1,
    "ScatterElements": 1,
    "ScatterND": 1,
    "SpaceToDepth": 4,
    "Split": 1,
    "SplitToSequence": 1,
    "TopK": 1,
    "Trilu": 2,
}
"""Axes that the first operand has at least; ONNX does not check these."""

_TERM = r"[A-Za-z]*(?:\.{3}[A-Za-z]*)?"
_EQUATION = re.compile(rf"{_TERM}(?:,{_TERM})*(?:->{_TERM})?")
"""Of an Einsum, without blanks. On other characters ONNX looks for the next term forever."""


def check_attributes(call: Call, outputs: int) -> None:
    """Check integers, counts, axes and permutations of a node of a known domain.

    Parameters
    ----------
    call : Call
        The node.
    outputs : int
        How many outputs it lists.

    Raises
    ------
    WorkloadError
        Naming the node, the attribute, its value and what was expected.
    """
    operator = call.operator.rpartition(".")[2]
    unbounded = _UNBOUNDED.get(operator, ())
    for name, value in call.attributes.items():
        numbers = value if isinstance(value, list) else [value]
        if any(type(n) is int and abs(n) > LARGEST_INTEGER for n in numbers):
            if name not in unbounded:
                raise call.error(f"{name} {value} is outside of ±2^40")
        elif name in _POSITIVE and any(type(n) is int and n < 1 for n in numbers):
            raise call.error(f"{name} {value} must be positive")
        elif name == "num_outputs" and value != outputs:
            raise call.error(f"{name} {value} does not fit {outputs} outputs")
        elif name == "batch_dims":
            _check_batch(call, value)
        elif name == "scales" and any(not _is_scale(n) for n in numbers):
            raise call.error(f"{name} {value} must be positive numbers")
    if any(value is not None and value.items is not None for value in call.inputs[:1]):
        return
    least = _LEAST_AXES.get(operator, 0)
    if call.has(0) and len(call.shape(0)) < least:
        raise call.error(
            f"operand 0 has shape {list(call.shape(0))}; expected {least} axes or more"
        )
    _check_axes(call, operator)
    if operator == "Einsum":
        _check_equation(call)
    if operator == "Split":
        _check_parts(call, outputs)
    if operator == "Transpose" and call.has(0) and "perm" in call.attributes:
        _check_order(call, call.attributes["perm"])


def _check_batch(call: Call, count: Any) -> None:
    """Axes that data and indices share at the front: fewer than each has."""
    most = min((len(call.shape(i)) for i in range(2) if call.has(i)), default=0)
    if not isinstance(count, int) or not 0 <= count < max(most, 1):
        raise call.error(f"batch_dims {count} is outside of 0 to {max(most, 1) - 1}")


def _check_equation(call: Call) -> None:
    """Letters for axes, in terms for operands."""
    equation = call.text("equation", "")
    if not _EQUATION.fullmatch(equation.replace(" ", "")):
        raise call.error(f"equation {describe(equation)} is none, such as bij,bjk->bik")


def _check_parts(call: Call, outputs: int) -> None:
    """As many sizes as there are parts."""
    given = call.attributes.get("split")
    sizes = len(given) if isinstance(given, list) else outputs
    if call.has(1):
        (sizes,) = call.shape(1, 1)
    if sizes != outputs:
        raise call.error(f"gives {sizes} sizes for {outputs} outputs")


def _is_scale(number: Any) -> bool:
    return isinstance(number, int | float) and math.isfinite(number) and number > 0


def _check_axes(call: Call, operator: str) -> None:
    if not call.has(0) or (operator in _PER_TENSOR and not _is_per_axis(call)):
        return
    for name in _AXES:
        value = call.attributes.get(name)
        if isinstance(value, int):
            _check_range(call, operator, name, [value])
        elif isinstance(value, list) and all(type(n) is int for n in value):
            _check_range(call, operator, name, value)
    place = _AXIS_OPERANDS.get(operator, 1 if operator.startswith("Reduce") else None)
    if place is not None and call.has(place):
        data = call.input(place).data
        if data is not None and data.dtype.kind == "i" and call.input(place).info.elements:
            _check_range(call, operator, "axes", [int(axis) for axis in data.reshape(-1)])


def _is_per_axis(call: Call) -> bool:
    return call.has(1) and call.input(1).info.elements > 1


def _check_range(call: Call, operator: str, name: str, axes: Sequence[int]) -> None:
    # Lists of tensors to be joined along a new axis have one axis less than the result.
    rank = len(call.shape(_data_operand(operator)))
    if operator == "Unsqueeze":
        rank += len(axes)
    last = max(rank, 1) + (operator in _ONE_MORE)
    wrong = [axis for axis in axes if not -max(rank, 1) <= axis < last]
    if wrong:
        raise call.error(
            f"{name} {wrong[0]} is outside of the {rank} axes of its operand; expected "
            f"{-max(rank, 1)} to {last - 1}"
        )


def _data_operand(operator: str) -> int:
    return 2 if operator == "QLinearConcat" else 0


def _check_order(call: Call, order: Any) -> None:
    rank = len(call.shape(0))
    if not isinstance(order, list) or sorted(order) != list(range(rank)):
        raise call.error(f"perm {order} is no order of the {rank} axes of its operand")
