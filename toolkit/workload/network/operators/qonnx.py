"""Quantizers of QONNX, which leave a network in floats and say how few bits its values have.

Brevitas and FINN write them under domains of their own. What they make is of a type of as many
bits, and stays so where it is only moved or the largest of it is taken.
"""

from __future__ import annotations

import math

from toolkit.workload.network.layer import TensorInfo
from toolkit.workload.network.operators import vector as v
from toolkit.workload.network.operators.call import Call, Operator
from toolkit.workload.network.operators.output_shapes import Shape, same

DOMAIN = "qonnx"

_MOST_BITS = 64

_FLOATS = {
    (2, 1): "float4e2m1",
    (2, 3): "float6e2m3",
    (3, 2): "float6e3m2",
    (4, 3): "float8e4m3fn",
    (5, 2): "float8e5m2",
    (5, 10): "float16",
    (8, 7): "bfloat16",
    (8, 23): "float32",
}
"""Types by bits of the exponent and of the mantissa."""


def _quantizer(formula: str, operations: int, scales: tuple[int, ...]) -> Operator:
    return Operator(
        "elementwise", formula, v.per_output, operations, data=(0,), scales=scales, shapes=same
    )


def _pool_steps(call: Call) -> int:
    return call.integer("kernel", 1) ** 2


def _pooled(call: Call) -> list[Shape]:
    data = call.shape(0, 4)
    last = call.text("data_layout", "NCHW") == "NHWC"
    kernel, stride = call.integer("kernel", 0), call.integer("stride", 0)
    if kernel < 1 or stride < 1:
        raise call.error(f"kernel {kernel} and stride {stride} must be positive")
    axes = data[1:3] if last else data[2:]
    positions = tuple((size - kernel) // stride + 1 for size in axes)
    return [(data[0], *positions, data[3]) if last else (*data[:2], *positions)]


_RULES = {
    "Quant": _quantizer("scale, zero point, clip", 3, (1, 2)),
    "IntQuant": _quantizer("scale, zero point, clip", 3, (1, 2)),
    "FloatQuant": _quantizer("scale, round, clip", 3, (1,)),
    "BipolarQuant": _quantizer("compare, scale", 2, (1,)),
    "Trunc": _quantizer("scale, zero point, round", 3, (1, 2)),
    "MultiThreshold": _quantizer("compared with every threshold at once", 1, (1,)),
    "QuantAvgPool2d": v.window(
        _pool_steps, "an addition per element of the window", shapes=_pooled
    ),
}

QONNX = {f"{DOMAIN}.{name}": rule for name, rule in _RULES.items()}
"""Rules of QONNX's operators."""


def narrow_dtype(call: Call) -> str | None:
    """Data type of what a quantizer makes; None if it does not say, and for any other operator.

    Raises
    ------
    WorkloadError
        Naming the node, if its bits are not constant, or more than 64.
    """
    kind = call.operator.removeprefix(f"{DOMAIN}.")
    if kind == call.operator or kind not in _RULES:
        return None
    if kind == "BipolarQuant":
        return "int1"
    if kind == "FloatQuant":
        exponent, mantissa = _bits(call, 2), _bits(call, 3)
        if exponent is None or mantissa is None:
            return None
        return _FLOATS.get((exponent, mantissa)) or _integer(call, 1 + exponent + mantissa)
    if kind == "MultiThreshold":
        given = call.text("out_dtype", "").lower()
        return "int1" if given == "bipolar" else given if _is_integer(given) else None
    if kind == "QuantAvgPool2d":
        return _integer(call, call.integer("obits", 8), signed=bool(call.integer("signed", 0)))
    # Older Trunc has no scale of its result before the bits.
    operand = len(call.inputs) - 1 if kind == "Trunc" else 3
    return _integer(call, _bits(call, operand), signed=bool(call.integer("signed", 1)))


def _is_integer(name: str) -> bool:
    digits = name.removeprefix("uint").removeprefix("int")
    return digits.isdigit() and 1 <= int(digits) <= _MOST_BITS


def _integer(call: Call, bits: int | None, *, signed: bool = True) -> str | None:
    if bits is None:
        return None
    if not 1 <= bits <= _MOST_BITS:
        raise call.error(f"has {bits} bits; expected 1 to {_MOST_BITS}")
    return f"{'int' if signed else 'uint'}{bits}"


def _bits(call: Call, operand: int) -> int | None:
    """A number of bits, in a float that may be a fraction; None where contents are blank."""
    value = call.input(operand)
    if value.data is None and value.stored:
        return None
    if value.data is None or not value.data.size:
        raise call.error(f"its bits (operand {operand}) are not a constant")
    most = float(value.data.max())
    if not math.isfinite(most):
        raise call.error(f"has {most} bits; expected 1 to {_MOST_BITS}")
    # Zeros stand where contents were left out.
    return math.ceil(most) if most else None


KEEPS_VALUES = frozenset(("MaxPool",))
"""Operators besides views and movements whose results are values of their first operand."""

_CHANGES_TYPE = frozenset(("Cast", "CastLike", "BitCast"))


def kept_dtype(call: Call, rule: Operator | None, info: TensorInfo) -> str | None:
    """Data type of values that an operator hands on from quantizers; None if it has no such."""
    if rule is None or call.operator in _CHANGES_TYPE:
        return None
    if rule.cost_class not in ("view", "movement") and call.operator not in KEEPS_VALUES:
        return None
    # Indices say where to; they are not moved.
    moved = [
        value for value in call.inputs if value is not None and value.onnx_dtype == info.dtype
    ]
    types = {value.info.dtype for value in moved}
    found = next(iter(types), info.dtype)
    return found if len(types) == 1 and found != info.dtype else None
