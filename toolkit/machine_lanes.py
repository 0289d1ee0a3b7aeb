"""Numbers of several mappings side by side, as numba takes them in formulas; only to compile.

A formula that is compiled for a block of such numbers (`toolkit.compilation.SideBySide`) works on
`LANES` mappings at once: every number that differs from mapping to mapping is a vector, a
condition on it a vector of bits, and each operation one instruction of the processor, or a few
where its vectors are shorter. What a plan says is looked up once for all of them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import typing
from numba.core.datamodel import models
from numba.core.typeconv import Conversion
from numba.core.typing import templates
from numba.extending import lower_builtin, lower_cast, register_model

from toolkit.compilation import LANES

REALS = ir.VectorType(ir.DoubleType(), LANES)
BITS = ir.VectorType(ir.IntType(1), LANES)


class Lanes(types.Type):  # type: ignore[misc]
    """A number of each mapping; those of the plan are converted."""

    def can_convert_from(self, context: Any, other: Any) -> Any:
        """Say which types are converted."""
        return Conversion.promote if isinstance(other, _NUMBERS) else None

    def unify(self, context: Any, other: Any) -> Any:
        """Say what a variable is that is this or another type."""
        return self if isinstance(other, _NUMBERS) else None


class Choices(types.Type):  # type: ignore[misc]
    """A condition on each mapping; those on the plan are converted."""

    def can_convert_from(self, context: Any, other: Any) -> Any:
        """Say which types are converted."""
        return Conversion.promote if isinstance(other, types.Boolean) else None

    def unify(self, context: Any, other: Any) -> Any:
        """Say what a variable is that is this or another type."""
        return self if isinstance(other, types.Boolean) else None


_NUMBERS = (types.Integer, types.Float, types.Boolean)
SIDE_BY_SIDE, CHOICES = Lanes("lanes"), Choices("choices")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, REALS)


@register_model(Choices)
class _ChoicesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, BITS)


def spread(builder: Any, value: Any) -> Any:
    """Repeat a value in all lanes."""
    kind = ir.VectorType(value.type, LANES)
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(
        first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    )


@lower_cast(types.Boolean, Lanes)
@lower_cast(types.Integer, Lanes)
@lower_cast(types.Float, Lanes)
@lower_cast(types.IntegerLiteral, Lanes)
@lower_cast(types.Boolean, Choices)
@lower_cast(types.BooleanLiteral, Choices)
def _spread(context: Any, builder: Any, given: Any, wanted: Any, value: Any) -> Any:
    if isinstance(given, types.Literal):
        value = context.get_constant_generic(builder, given.literal_type, given.literal_value)
        given = given.literal_type
    single = types.boolean if isinstance(wanted, Choices) else types.float64
    value = context.cast(builder, value, given, single)
    if isinstance(wanted, Choices):
        value = builder.trunc(value, ir.IntType(1)) if value.type.width > 1 else value
    return spread(builder, value)


def _operation(
    operation: Callable[..., Any], kinds: tuple[type, ...], of: Any, result: Any, build: Any
) -> None:
    """Say what an operation does where one of its operands differs from mapping to mapping."""

    class Typed(templates.AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            if not any(isinstance(x, type(of)) for x in args):
                return None
            if not all(isinstance(x, (type(of), *kinds)) for x in args):
                return None
            return typing.signature(result, *(of for _ in args))

    def lowered(context: Any, builder: Any, form: Any, values: Any) -> Any:
        return build(builder, *values)

    templates.infer_global(operation)(Typed)
    lower_builtin(operation, *(type(of),) * (1 if operation is operator.neg else 2))(lowered)


for _function, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
    (operator.neg, "fneg"),
):
    _operation(
        _function,
        _NUMBERS,
        SIDE_BY_SIDE,
        SIDE_BY_SIDE,
        lambda builder, *values, name=_name: getattr(builder, name)(*values),
    )
for _function, _name in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _operation(
        _function,
        _NUMBERS,
        SIDE_BY_SIDE,
        CHOICES,
        lambda builder, x, y, name=_name: builder.fcmp_ordered(name, x, y),
    )
_operation(
    operator.ne,
    _NUMBERS,
    SIDE_BY_SIDE,
    CHOICES,
    lambda builder, x, y: builder.fcmp_unordered("!=", x, y),
)
for _function, _name in ((operator.and_, "and_"), (operator.or_, "or_")):
    _operation(
        _function,
        (types.Boolean,),
        CHOICES,
        CHOICES,
        lambda builder, x, y, name=_name: getattr(builder, name)(x, y),
    )


def some(builder: Any, condition: Any) -> Any:
    """Whether a condition holds for any mapping."""
    bits = builder.bitcast(condition, ir.IntType(LANES))
    return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))


def every(builder: Any, condition: Any) -> Any:
    """Whether a condition holds for all mappings."""
    bits = builder.bitcast(condition, ir.IntType(LANES))
    return builder.icmp_unsigned("==", bits, ir.Constant(bits.type, -1))


def rounded(builder: Any, name: str, x: Any) -> Any:
    """Call one of LLVM's functions of a number, for all lanes."""
    full = f"{name}.v{LANES}f64"
    function = builder.module.globals.get(full)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(REALS, [REALS]), full)
    return builder.call(function, [x])
