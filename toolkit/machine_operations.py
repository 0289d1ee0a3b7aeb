"""What stands for the functions of `toolkit.lifted` in compiled code; loaded only to compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from toolkit import lifted
from toolkit.machine_tables import entry_at


def _of_floats(result: Any, build: Callable[..., Any], operands: int) -> Any:
    """Make a function of floating point numbers that is a single instruction."""

    def typed(*kinds: Any) -> Any:
        def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
            pairs = zip(values, form.args, strict=True)
            return build(builder, *(context.cast(builder, v, k, types.float64) for v, k in pairs))

        return result(*kinds), generate

    if operands == 1:
        return intrinsic(lambda typing, x: typed(x))
    return intrinsic(lambda typing, a, b: typed(a, b))


def _rounded(name: str) -> Any:
    def build(builder: Any, x: Any) -> Any:
        return builder.call(builder.module.declare_intrinsic(name, [ir.DoubleType()]), [x])

    return _of_floats(types.float64, build, 1)


@intrinsic
def _where(typing: Any, condition: Any, chosen: Any, other: Any) -> Any:
    kind = typing.unify_types(chosen, other)

    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        wanted = (types.boolean, kind, kind)
        triples = zip(values, form.args, wanted, strict=True)
        return builder.select(*(context.cast(builder, v, k, w) for v, k, w in triples))

    return kind(condition, chosen, other), generate


@intrinsic
def _negated(typing: Any, condition: Any) -> Any:
    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        return builder.not_(context.cast(builder, values[0], form.args[0], types.boolean))

    return types.boolean(condition), generate


@intrinsic
def _never(typing: Any, _: Any) -> Any:
    """Say no, whatever is asked."""

    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        return ir.Constant(ir.IntType(1), 0)

    return types.boolean(_), generate


@intrinsic
def _invoke(typing: Any, address: Any, plan: Any, nest: Any, batch: Any, skip: Any) -> Any:
    """Call a kernel of costs by its address, with the addresses of its blocks."""

    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [word] * 4).as_pointer()
        builder.call(builder.inttoptr(values[0], kind), values[1:])
        return context.get_dummy_value()

    return types.void(address, plan, nest, batch, skip), generate


@intrinsic
def _lookup(typing: Any, table: Any, row: Any, column: Any) -> Any:
    """Look a flag up in a column whose number is a float."""

    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        indices = list(zip(values[1:], form.args[1:], strict=True))
        found = entry_at(context, builder, table, values[0], indices)
        return builder.icmp_signed("!=", found, ir.Constant(found.type, 0))

    return types.boolean(table, row, column), generate


def _is_one(builder: Any, x: Any) -> Any:
    return builder.fcmp_ordered("==", x, ir.Constant(ir.DoubleType(), 1.0))


OPERATIONS: dict[Callable[..., Any], Any] = {
    lifted.where: _where,
    lifted.minimum: _of_floats(
        types.float64, lambda b, x, y: b.select(b.fcmp_ordered("<", x, y), x, y), 2
    ),
    lifted.maximum: _of_floats(
        types.float64, lambda b, x, y: b.select(b.fcmp_ordered("<", x, y), y, x), 2
    ),
    lifted.floor: _rounded("llvm.floor"),
    lifted.ceil: _rounded("llvm.ceil"),
    lifted.nearest: _rounded("llvm.rint"),
    lifted.negated: _negated,
    lifted.is_never: _negated,
    lifted.is_single: _of_floats(types.boolean, _is_one, 1),
    lifted.is_idle: _never,
    lifted.lookup: _lookup,
    lifted.invoke: _invoke,
}
"""What stands for the functions of `toolkit.lifted` in compiled code."""
