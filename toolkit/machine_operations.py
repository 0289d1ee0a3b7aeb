"""What stands for the functions of `toolkit.lifted` in compiled code; loaded only to compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from toolkit import lifted
from toolkit.compilation import LANES
from toolkit.machine_lanes import BITS, CHOICES, SIDE_BY_SIDE, Choices, Lanes, every, rounded, some
from toolkit.machine_tables import Grid, entry_at, of_lane

WORD, REAL = ir.IntType(64), ir.DoubleType()


def _of_floats(result: Any, build: Callable[..., Any], operands: int) -> Any:
    """Make a function of floating point numbers that is a single instruction."""

    def typed(*kinds: Any) -> Any:
        wide = any(isinstance(kind, Lanes) for kind in kinds)
        form = (SIDE_BY_SIDE if result is types.float64 else result) if wide else result
        taken = (SIDE_BY_SIDE if wide else types.float64,) * len(kinds)

        def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
            return build(builder, *values)

        return form(*taken), generate

    if operands == 1:
        return intrinsic(lambda typing, x: typed(x))
    return intrinsic(lambda typing, a, b: typed(a, b))


def _rounded(name: str) -> Any:
    def build(builder: Any, x: Any) -> Any:
        if x.type != REAL:
            return rounded(builder, name, x)
        return builder.call(builder.module.declare_intrinsic(name, [REAL]), [x])

    return _of_floats(types.float64, build, 1)


@intrinsic
def _where(typing: Any, condition: Any, chosen: Any, other: Any) -> Any:
    kind, asked = typing.unify_types(chosen, other), types.boolean
    if isinstance(condition, Choices):
        kind, asked = CHOICES if kind == types.boolean else SIDE_BY_SIDE, condition

    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        wanted = (asked, kind, kind)
        triples = zip(values, form.args, wanted, strict=True)
        return builder.select(*(context.cast(builder, v, k, w) for v, k, w in triples))

    return kind(condition, chosen, other), generate


@intrinsic
def _negated(typing: Any, condition: Any) -> Any:
    kind = condition if isinstance(condition, Choices) else types.boolean

    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        if isinstance(condition, Choices):
            return builder.xor(values[0], ir.Constant(BITS, [1] * LANES))
        return builder.not_(context.cast(builder, values[0], form.args[0], types.boolean))

    return kind(condition), generate


@intrinsic
def _holds_never(typing: Any, condition: Any) -> Any:
    """Whether a condition holds for no mapping."""

    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        if isinstance(condition, Choices):
            return builder.not_(some(builder, values[0]))
        return builder.not_(context.cast(builder, values[0], form.args[0], types.boolean))

    return types.boolean(condition), generate


@intrinsic
def _lanes(typing: Any, x: Any) -> Any:
    """Of how many mappings a number is."""
    count = LANES if isinstance(x, Lanes) else 1

    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        return ir.Constant(WORD, count)

    return types.int64(x), generate


@intrinsic
def _in_lane(typing: Any, table: Grid, lane: Any) -> Any:
    """Numbers of one mapping in a table."""

    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        return of_lane(builder, table, values[0], values[1])

    return table.in_lane()(table, types.int64), generate


@intrinsic
def _lane(typing: Any, x: Any, lane: Any) -> Any:
    """Read the number of one mapping."""
    kind = types.float64 if isinstance(x, Lanes) else types.boolean
    if not isinstance(x, Lanes | Choices):
        kind = x

    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        if kind is x:
            return values[0]
        return builder.extract_element(values[0], values[1])

    return kind(x, types.int64), generate


@intrinsic
def _with_lane(typing: Any, x: Any, lane: Any, value: Any) -> Any:
    """Write the number of one mapping."""

    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        if not isinstance(x, Lanes):
            return values[2]
        return builder.insert_element(values[0], values[2], values[1])

    return x(x, types.int64, types.float64), generate


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
        kind = ir.FunctionType(ir.VoidType(), [WORD] * 4).as_pointer()
        builder.call(builder.inttoptr(values[0], kind), values[1:])
        return context.get_dummy_value()

    return types.void(address, plan, nest, batch, skip), generate


@intrinsic
def _lookup(typing: Any, table: Any, row: Any, column: Any) -> Any:
    """Look a flag up in a column whose number is a float."""

    def found(context: Any, builder: Any, values: Any, column: Any) -> Any:
        indices = [(values[1], row), (column, types.float64)]
        entry = entry_at(context, builder, table, values[0], indices)
        return builder.icmp_signed("!=", entry, ir.Constant(entry.type, 0))

    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        if not isinstance(column, Lanes):
            return found(context, builder, values, values[2])
        flags = ir.Constant(BITS, ir.Undefined)
        for lane in range(LANES):
            number = ir.Constant(WORD, lane)
            one = found(context, builder, values, builder.extract_element(values[2], number))
            flags = builder.insert_element(flags, one, number)
        return flags

    if isinstance(column, Lanes):
        return CHOICES(table, row, column), generate
    return types.boolean(table, row, types.float64), generate


def _is_one(builder: Any, x: Any) -> Any:
    if x.type == REAL:
        return builder.fcmp_ordered("==", x, ir.Constant(REAL, 1.0))
    return every(builder, builder.fcmp_ordered("==", x, ir.Constant(x.type, [1.0] * LANES)))


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
    lifted.is_never: _holds_never,
    lifted.is_single: _of_floats(types.boolean, _is_one, 1),
    lifted.is_idle: _never,
    lifted.lookup: _lookup,
    lifted.invoke: _invoke,
    lifted.lanes: _lanes,
    lifted.in_lane: _in_lane,
    lifted.lane: _lane,
    lifted.with_lane: _with_lane,
}
"""What stands for the functions of `toolkit.lifted` in compiled code."""
