"""How numba makes the machine code of a kernel; loaded only to compile.

The formulas of the cost model are compiled from the very functions that Python calls: what they
say by `toolkit.lifted` becomes an instruction each.
"""

from __future__ import annotations

import gc
import importlib
import re
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
from toolkit.compilation import SIDES, fields_of, record_type, signature

OPTIONS = {"error_model": "numpy", "_nrt": False}
"""No exceptions, and no reference counts: that makes small functions ten times faster."""


def machine_code(entry: str, symbol: str, target: Any) -> bytes:
    """Compile a function to an object file that exports it as `symbol`."""
    collects = gc.isenabled()
    gc.disable()  # Hardly anything of what numba makes becomes garbage: a tenth of the time.
    try:
        module = _unoptimised(entry, symbol)
    finally:
        if collects:
            gc.enable()
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    # Loops over levels and dimensions are short: unrolled or vectorised, they are slower.
    options.loop_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(target, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(target.emit_object(module))


def _unoptimised(entry: str, symbol: str) -> Any:
    """Translate a function, and all that it calls, to a module that exports it alone."""
    module, _, name = entry.partition(":")
    result, *kinds = signature(entry)
    opened = [_opener(kind) for kind in kinds]
    taken = ", ".join(f"a{i}" for i in range(len(kinds)))
    given = ", ".join(f"open{i}(a{i})" if x else f"a{i}" for i, x in enumerate(opened))
    source = f"def call({taken}):\n    return function({given})\n"
    names: dict[str, Any] = {f"open{i}": x for i, x in enumerate(opened)}
    names["function"] = _compilable()[getattr(importlib.import_module(module), name)]
    exec(source, names)
    numbers = {int: types.int64, float: types.float64, type(None): types.void}
    form = numbers[result](*(numbers.get(kind, types.intp) for kind in kinds))
    built = numba.cfunc(form, **OPTIONS)(names["call"])
    translated = llvm.parse_assembly(built.inspect_llvm())
    # In a mangled name stands the length of each part, and a B after the function's own.
    names_apart = (f"{len(f.__name__)}{f.__name__}" for f in lifted.APART)
    apart = re.compile(f"({'|'.join(names_apart)})B")
    for defined in translated.functions:
        if defined.name == built.native_name:
            defined.name = symbol
        elif not defined.is_declaration:
            defined.linkage = "internal"
            if not apart.search(defined.name):
                defined.add_function_attribute("alwaysinline")
    return translated


_COMPILED: dict[Callable[..., Any], Any] = {}
"""What has been compiled in this process: several kernels share most formulas."""


def _compilable() -> dict[Callable[..., Any], Any]:
    """Compiled form of every formula that is loaded; each calls the others' compiled forms."""
    new = [function for function in lifted.FORMULAS if function not in _COMPILED]
    scopes = []
    for function in new:
        scope = dict(function.__globals__)
        copy = python.FunctionType(function.__code__, scope, function.__name__)
        _COMPILED[function] = _for_any_value(
            numba.njit(
                inline="always" if function in lifted.ONCE else "never",
                no_cpython_wrapper=True,
                no_cfunc_wrapper=True,
                **OPTIONS,
            )(copy)
        )
        scopes.append(scope)
    instead = {function: _COMPILED[other] for function, other in lifted.INSTEAD.items()}
    compiled = {**_COMPILED, **_OPERATIONS, **instead}
    for scope in scopes:
        scope.update(
            (name, compiled[value])
            for name, value in list(scope.items())
            if isinstance(value, python.FunctionType) and value in compiled
        )
    return compiled


def _for_any_value(dispatcher: Any) -> Any:
    """Compile a function once, not again for every constant that it is called with."""
    resolve = dispatcher.get_call_template

    def resolve_kinds(kinds: Any, named: Any) -> Any:
        return resolve(tuple(types.unliteral(kind) for kind in kinds), named)

    dispatcher.get_call_template = resolve_kinds
    return dispatcher


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
                place = ir.Constant(word, (1 + SIDES) * row + column)
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


def _is_one(builder: Any, x: Any) -> Any:
    return builder.fcmp_ordered("==", x, ir.Constant(ir.DoubleType(), 1.0))


_OPERATIONS: dict[Callable[..., Any], Any] = {
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
    lifted.lookup: _lookup,
    lifted.invoke: invoke,
}
"""What stands for the functions of `toolkit.lifted` in compiled code."""
