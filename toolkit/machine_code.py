"""How numba makes the machine code of a kernel; loaded only to compile.

The formulas of the cost model are compiled from the very functions that Python calls: what they
say by `toolkit.lifted` becomes an instruction each.
"""

from __future__ import annotations

import importlib
import types as python
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import numpy_support
from numba.np.arrayobj import make_array, populate_array

from toolkit import lifted
from toolkit.compilation import FORMULA_MODULES, fields_of, record_type, signature

OPTIONS = {"error_model": "numpy", "_nrt": False, "nogil": True}
"""No exceptions, and no reference counts: that makes small functions ten times faster."""


def machine_code(entry: str, symbol: str, target: Any) -> bytes:
    """Compile a function to an object file that exports it as `symbol`."""
    module, _, name = entry.partition(":")
    function = _compilable([*FORMULA_MODULES, module])[name]
    result, *kinds = signature(entry)
    opened = [_opener(kind) for kind in kinds]
    source = "def call({0}):\n    return function({1})\n".format(
        ", ".join(f"a{i}" for i in range(len(kinds))),
        ", ".join(f"open{i}(a{i})" if x else f"a{i}" for i, x in enumerate(opened)),
    )
    names = {"function": function, **{f"open{i}": x for i, x in enumerate(opened)}}
    exec(source, names)
    numbers = {int: types.int64, float: types.float64, type(None): types.void}
    form = numbers[result](*(numbers.get(kind, types.intp) for kind in kinds))
    built = numba.cfunc(form, **{k: v for k, v in OPTIONS.items() if k != "nogil"})(names["call"])
    parsed = llvm.parse_assembly(built.inspect_llvm())
    for other in parsed.functions:
        if other.name == built.native_name:
            other.name = symbol
    return bytes(target.emit_object(parsed))


def _compilable(modules: list[str]) -> dict[str, Any]:
    """All formulas and compiled functions of modules, calling each other as compiled ones."""
    found, scopes = {}, []
    for name in modules:
        for function in vars(importlib.import_module(name)).values():
            if function in lifted.FORMULAS:
                scope = {**function.__globals__, **_OPERATIONS}
                scopes.append(scope)
                copy = python.FunctionType(function.__code__, scope, function.__name__)
                found[function.__name__] = numba.njit(
                    forceinline=not getattr(function, "is_large", False),
                    no_cpython_wrapper=True,
                    no_cfunc_wrapper=True,
                    **OPTIONS,
                )(copy)
    for scope in scopes:
        scope.update(found)
    return found


def _opener(kind: Any) -> Any:
    """Make the function that reads a named tuple of arrays from a `Block`; None for numbers."""
    if not hasattr(kind, "_fields"):
        return None
    parts, names = [], {"kind": kind}
    for row, (name, field) in enumerate(fields_of(kind).items()):
        if field.kind == 1:
            parts.append("1.0")
            continue
        names[name] = _reader(row, record_type(field.kind), field.indices)
        parts.append(f"{name}(block)")
    exec(f"def opened(block):\n    return kind({', '.join(parts)})\n", names)
    return numba.njit(inline="always", **OPTIONS)(names["opened"])


def _reader(row: int, dtype: np.dtype[Any], indices: int) -> Any:
    """Make an array, or a single record, of one row of a block."""
    entry = numpy_support.from_dtype(dtype)
    member = types.Array(entry, indices, "C", aligned=True) if indices else entry

    @intrinsic
    def read(typing: Any, block: Any) -> Any:
        def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            word = ir.IntType(64)
            table = builder.inttoptr(arguments[0], word.as_pointer())

            def load(column: int) -> Any:
                place = ir.Constant(word, 4 * row + column)
                return builder.load(builder.gep(table, [place]))

            if not indices:
                return builder.inttoptr(load(0), context.get_value_type(member))
            array = make_array(member)(context, builder)
            sides = [load(1 + side) for side in range(indices)]
            size = ir.Constant(word, dtype.itemsize)
            strides = [size]
            for side in reversed(sides[1:]):
                strides.append(builder.mul(strides[-1], side))
            populate_array(
                array,
                data=builder.inttoptr(load(0), array.data.type),
                shape=cgutils.pack_array(builder, sides),
                strides=cgutils.pack_array(builder, strides[::-1]),
                itemsize=size,
                meminfo=None,
            )
            return array._getvalue()

        return member(block), generate

    return read


def _operation(result: Any, build: Callable[..., Any]) -> Any:
    """Make a function of numbers that is one instruction; `result` None: as the operands are."""

    def typed(typing: Any, operands: Any) -> Any:
        kind = result or typing.unify_types(*operands[-2:])

        def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
            wanted = [kind] * len(operands) if result is types.float64 else None
            if result is None:
                wanted = [types.boolean, kind, kind][-len(operands) :]
            if wanted:
                pairs = zip(values, form.args, wanted, strict=True)
                values = [context.cast(builder, v, a, w) for v, a, w in pairs]
            return build(builder, *values)

        return kind(*operands), generate

    return typed


def _unary(result: Any, build: Callable[..., Any]) -> Any:
    typed = _operation(result, build)

    @intrinsic
    def operation(typing: Any, x: Any) -> Any:
        return typed(typing, (x,))

    return operation


def _binary(build: Callable[..., Any]) -> Any:
    typed = _operation(types.float64, build)

    @intrinsic
    def operation(typing: Any, a: Any, b: Any) -> Any:
        return typed(typing, (a, b))

    return operation


@intrinsic
def _where(typing: Any, condition: Any, chosen: Any, other: Any) -> Any:
    return _operation(None, lambda builder, *values: builder.select(*values))(
        typing, (condition, chosen, other)
    )


def _rounded(name: str) -> Any:
    double = ir.DoubleType()
    return _unary(
        types.float64,
        lambda builder, x: builder.call(builder.module.declare_intrinsic(name, [double]), [x]),
    )


@intrinsic
def invoke(typing: Any, address: Any, plan: Any, nest: Any, batch: Any, skip: Any) -> Any:
    """Call a kernel of costs by its address, with the addresses of its blocks."""

    def generate(context: Any, builder: Any, form: Any, values: Any) -> Any:
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [word] * 4).as_pointer()
        builder.call(builder.inttoptr(values[0], kind), values[1:])
        return context.get_dummy_value()

    return types.void(address, plan, nest, batch, skip), generate


@numba.njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)
def _lookup(table: Any, row: int, column: float) -> bool:
    return bool(table[row, int(column)] != 0)


_OPERATIONS: dict[str, Any] = {
    "where": _where,
    "minimum": _binary(lambda b, x, y: b.select(b.fcmp_ordered("<", x, y), x, y)),
    "maximum": _binary(lambda b, x, y: b.select(b.fcmp_ordered("<", x, y), y, x)),
    "floor": _rounded("llvm.floor"),
    "ceil": _rounded("llvm.ceil"),
    "nearest": _rounded("llvm.rint"),
    "negated": _unary(types.boolean, lambda builder, x: builder.not_(x)),
    "is_never": _unary(types.boolean, lambda builder, x: builder.not_(x)),
    "is_single": _unary(
        types.boolean,
        lambda b, x: b.fcmp_ordered("==", x, ir.Constant(ir.DoubleType(), 1.0)),
    ),
    "lookup": _lookup,
    "invoke": invoke,
}
"""What stands for the functions of `toolkit.lifted` in compiled code."""
