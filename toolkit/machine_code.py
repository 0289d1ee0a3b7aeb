"""How numba makes the machine code of a kernel; loaded only to compile.

The formulas of the cost model are compiled from the very functions that Python calls: what they
say by `toolkit.lifted` becomes an instruction each. Numba translates each function to LLVM's
language by the few of its passes that such functions need; LLVM then sees the whole kernel at
once, and optimises it a single time. Numba's own arrays would make most of that work: they count
references, and take indices from the end. So blocks, tables and their rows are types of our own:
a block is one pointer, whatever it holds, and an entry of a table one address.
"""

from __future__ import annotations

import gc
import importlib
import operator
import types as python
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, compiler, typed_passes, typing, untyped_passes
from numba.core.codegen import CodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.datamodel import models
from numba.core.imputils import lower_constant
from numba.core.registry import cpu_target
from numba.core.typing import templates
from numba.extending import (
    infer_getattr,
    intrinsic,
    lower_builtin,
    lower_cast,
    lower_getattr_generic,
    lower_setattr_generic,
    register_model,
)

from toolkit import lifted
from toolkit.compilation import SIDES, Field, fields_of, record_type, signature

WORD, BYTE, REAL = ir.IntType(64), ir.IntType(8), ir.DoubleType()


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


@global_compiler_lock
def _unoptimised(entry: str, symbol: str) -> Any:
    """Translate a function, and all that it calls, to a module that exports it alone."""
    module, _, name = entry.partition(":")
    result, *kinds = signature(entry)
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
    formula = _formulas()[getattr(importlib.import_module(module), name)]
    compiled = formula.compiled(tuple(_NUMBERS.get(kind) or Opened(kind) for kind in kinds))
    linked = llvm.parse_assembly(str(_exported(compiled, symbol, _NUMBERS[result])))
    apart = set()
    for library in _all_libraries(compiled.library):
        if not isinstance(library, _Library):  # Numba's own, such as of `min`.
            linked.link_in(library._get_module_for_linking(), preserve=True)
            continue
        for text in library.texts:
            linked.link_in(llvm.parse_assembly(text))
        if library.is_apart:
            apart.add(library.function)
    for defined in linked.functions:
        if defined.name != symbol and not defined.is_declaration:
            defined.linkage = "internal"
            if defined.name not in apart:
                defined.add_function_attribute("alwaysinline")
    return linked


def _exported(compiled: Any, symbol: str, result: Any) -> ir.Module:
    """Make a module of one function, as C calls it, that calls a compiled one."""
    context, made, kinds = cpu_target.target_context, ir.Module(), compiled.fndesc.argtypes
    given = [context.get_value_type(kind) for kind in kinds]
    returns = ir.VoidType() if result == types.void else context.get_value_type(result)
    function = ir.Function(made, ir.FunctionType(returns, given), symbol)
    builder = ir.IRBuilder(function.append_basic_block())
    callee = context.declare_function(made, compiled.fndesc)
    _, value = context.call_conv.call_function(
        builder, callee, compiled.fndesc.restype, kinds, function.args
    )
    if result == types.void:
        builder.ret_void()
    else:
        builder.ret(context.cast(builder, value, compiled.fndesc.restype, result))
    return made


class _Library(CodeLibrary):  # type: ignore[misc]
    """LLVM's text of one function, and the libraries of those that it calls."""

    def __init__(self, name: str, is_apart: bool) -> None:
        super().__init__(cpu_target.target_context.codegen(), name)
        self.texts: list[str] = []
        self.calls: list[Any] = []
        self.is_apart = is_apart
        self.function = ""

    def add_ir_module(self, ir_module: Any) -> None:
        self.texts.append(cgutils.normalize_ir_text(str(ir_module)))

    def add_linking_library(self, library: Any) -> None:
        self.calls.append(library)

    def finalize(self) -> None:
        """Do nothing: there is no machine code of a function by itself."""

    def get_function(self, name: str) -> Any:
        raise NotImplementedError

    def get_llvm_str(self) -> str:
        return "\n".join(self.texts)

    def get_asm_str(self) -> str:
        raise NotImplementedError


def _all_libraries(first: _Library) -> Iterator[_Library]:
    """Yield a library, and once each those of all functions that it calls."""
    waiting, met = [first], {id(first)}
    while waiting:
        library = waiting.pop()
        yield library
        for called in getattr(library, "calls", ()):
            if id(called) not in met:
                met.add(id(called))
                waiting.append(called)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(typed_passes.NativeLowering):  # type: ignore[misc]
    """Translation to LLVM's language, without machine code for the function itself."""

    _name = "formula_lowering"

    def run_pass(self, state: Any) -> bool:
        state.type_annotation = None
        return bool(super().run_pass(state))


class _Passes(compiler.CompilerBase):  # type: ignore[misc]
    """The passes of numba that a formula needs."""

    def define_pipelines(self) -> list[Any]:
        passes = PassManager("formula")
        for step in (
            untyped_passes.TranslateByteCode,
            untyped_passes.FixupArgs,
            untyped_passes.IRProcessing,
            untyped_passes.ReconstructSSA,
            typed_passes.NopythonTypeInference,
            typed_passes.PreLowerStripPhis,
            _Lowering,
            typed_passes.NoPythonBackend,
        ):
            passes.add_pass(step, step.__name__)
        passes.finalize()
        return [passes]


class _FormulaType(types.Callable):  # type: ignore[misc]
    """What numba takes a formula for: a function that it compiles where it is called."""

    def __init__(self, formula: _Formula) -> None:
        self.formula = formula
        super().__init__(f"formula {formula.name}")

    def get_call_type(self, context: Any, args: Any, kws: Any) -> Any:
        if kws:
            raise TypeError(f"{self.name} takes no arguments by name")
        return self.formula.compiled(tuple(_taken(kind) for kind in args)).signature

    def get_call_signatures(self) -> tuple[list[Any], bool]:
        return [], True

    def get_impl_key(self, sig: Any) -> Any:
        return self.formula, sig.args


register_model(_FormulaType)(models.OpaqueModel)


@lower_constant(_FormulaType)
def _no_value(context: Any, *_: Any) -> Any:
    return context.get_dummy_value()


class _Formula:
    """A formula, and what has been compiled of it, by the types of its arguments.

    Once for all constants of a type.
    """

    def __init__(self, function: Callable[..., Any], is_apart: bool) -> None:
        self.name = f"{function.__module__}.{function.__name__}"
        self.function = function
        self.is_apart = is_apart
        self._numba_type_ = _FormulaType(self)
        self._compiled: dict[tuple[Any, ...], Any] = {}

    def compiled(self, kinds: tuple[Any, ...]) -> Any:
        if kinds not in self._compiled:
            flags = compiler.Flags()
            # No exceptions, and no reference counts: that makes small functions much faster.
            flags.error_model, flags.nrt = "numpy", False
            flags.no_cpython_wrapper = flags.no_cfunc_wrapper = flags.no_compile = True
            library = _Library(self.name, self.is_apart)
            contexts = cpu_target.typing_context, cpu_target.target_context
            passes = _Passes(*contexts, library, kinds, None, flags, {})
            result = passes.compile_extra(self.function)
            library.function = result.fndesc.mangled_name
            cpu_target.target_context.insert_user_function((self, kinds), result.fndesc, [library])
            self._compiled[kinds] = result
        return self._compiled[kinds]


_FORMULAS: dict[Callable[..., Any], _Formula] = {}
"""What may have been compiled in this process: several kernels share most formulas."""


def _formulas() -> dict[Callable[..., Any], _Formula]:
    """Every formula that is loaded as numba takes it; each calls the others' compiled forms."""
    new = [function for function in lifted.FORMULAS if function not in _FORMULAS]
    scopes = []
    for function in new:
        scope = dict(function.__globals__)
        copy = python.FunctionType(function.__code__, scope, function.__name__)
        copy.__module__ = function.__module__
        _FORMULAS[function] = _Formula(copy, function in lifted.APART)
        scopes.append(scope)
    instead = {function: _FORMULAS[other] for function, other in lifted.INSTEAD.items()}
    compiled = {**_FORMULAS, **_OPERATIONS, **instead}
    for scope in scopes:
        scope.update(
            (name, compiled[value])
            for name, value in list(scope.items())
            if isinstance(value, python.FunctionType) and value in compiled
        )
    return _FORMULAS


_NUMBERS = {int: types.int64, float: types.float64, type(None): types.void}


HEAD = "where arrays lie"
"""What kernels load and store beside entries of arrays."""


class Opened(types.Type):  # type: ignore[misc]
    """A `toolkit.compilation.Block` of a named tuple of arrays."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        super().__init__(kind.__name__)


class Grid(types.Type):  # type: ignore[misc]
    """A table of a block, or a part of one: entries of one kind by so many indices."""

    def __init__(self, dtype: np.dtype[Any], indices: int) -> None:
        self.dtype, self.indices = dtype, indices
        self.entry = _entry(dtype)
        super().__init__(f"Grid({self.entry}, {dtype}, {indices})")


class Row(types.Type):  # type: ignore[misc]
    """A record of 64-bit numbers, where it lies."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        super().__init__(f"Row({dtype})")


class Sides(types.Type):  # type: ignore[misc]
    """The shape of a grid."""

    def __init__(self, indices: int) -> None:
        self.indices = indices
        super().__init__(f"Sides({indices})")


def _taken(kind: Any) -> Any:
    """As what a formula takes an argument: not as one of its values, and blocks alike.

    Formulas are compiled once for the blocks that kernels take and for those that they make.
    """
    made = getattr(kind, "instance_class", None)
    if made is not None and all(hasattr(x, "__metadata__") for x in _hints(made)):
        return Opened(made)
    return types.unliteral(kind)


def _hints(made: type) -> list[Any]:
    return list(get_type_hints(made, include_extras=True).values())


@lower_cast(types.NamedTuple, Opened)
def _close(context: Any, builder: Any, given: Any, block: Opened, values: Any) -> Any:
    """Write the block of a named tuple of tables that a formula makes for another one."""
    fields = fields_of(block.kind)
    table = cgutils.alloca_once(builder, WORD, (1 + SIDES) * len(fields))
    for number, (field, kind) in enumerate(zip(fields.values(), given.types, strict=True)):
        if field.kind == 1:
            continue
        value = builder.extract_value(values, number)
        words = [value]
        if isinstance(kind, Grid):
            words = [builder.extract_value(value, i) for i in range(1 + kind.indices)]
        words[0] = builder.ptrtoint(words[0], WORD)
        for column, word in enumerate(words):
            place = builder.gep(table, [ir.Constant(WORD, (1 + SIDES) * number + column)])
            _apart(builder, builder.store(word, place), HEAD)
    return table


def _entry(dtype: np.dtype[Any]) -> Any:
    """What an entry is once it is loaded."""
    if dtype.fields is not None:
        return Row(dtype)
    return {"f": types.float64, "b": types.boolean}.get(dtype.kind, types.int64)


@register_model(Opened)
class _OpenedModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, WORD.as_pointer())


@register_model(Row)
class _RowModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, BYTE.as_pointer())


@register_model(Grid)
class _GridModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        sides = [(f"side{i}", types.int64) for i in range(kind.indices)]
        super().__init__(manager, kind, [("data", types.voidptr), *sides])


@register_model(Sides)
class _SidesModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, [(f"side{i}", types.int64) for i in range(kind.indices)])


@infer_getattr
class _OpenedFields(templates.AttributeTemplate):  # type: ignore[misc]
    key = Opened

    def generic_resolve(self, kind: Opened, name: str) -> Any:
        field = fields_of(kind.kind).get(name)
        if field is None:
            return None
        if field.kind == 1:
            return types.float64
        dtype = record_type(field.kind)
        return Grid(dtype, field.indices) if field.indices else Row(dtype)


@lower_getattr_generic(Opened)
def _open(context: Any, builder: Any, kind: Opened, block: Any, name: str) -> Any:
    """Read where an array lies and how long its sides are."""
    fields = fields_of(kind.kind)
    field: Field = fields[name]
    if field.kind == 1:
        return ir.Constant(REAL, 1.0)
    first = (1 + SIDES) * list(fields).index(name)

    def load(column: int) -> Any:
        place = builder.gep(block, [ir.Constant(WORD, first + column)])
        return _apart(builder, builder.load(place), HEAD)

    data = builder.inttoptr(load(0), BYTE.as_pointer())
    if not field.indices:
        return data
    sides = [load(1 + side) for side in range(field.indices)]
    return _packed(builder, [data, *sides])


def _packed(builder: Any, values: list[Any]) -> Any:
    packed = ir.Constant(ir.LiteralStructType([value.type for value in values]), ir.Undefined)
    for place, value in enumerate(values):
        packed = builder.insert_value(packed, value, place)
    return packed


@infer_getattr
class _GridFields(templates.AttributeTemplate):  # type: ignore[misc]
    key = Grid

    def resolve_shape(self, kind: Grid) -> Any:
        return Sides(kind.indices)


@lower_getattr_generic(Grid)
def _shape(context: Any, builder: Any, kind: Grid, grid: Any, name: str) -> Any:
    sides = [builder.extract_value(grid, 1 + side) for side in range(kind.indices)]
    return _packed(builder, sides)


@infer_getattr
class _RowFields(templates.AttributeTemplate):  # type: ignore[misc]
    key = Row

    def generic_resolve(self, kind: Row, name: str) -> Any:
        fields = kind.dtype.fields or {}
        return _entry(fields[name][0]) if name in fields else None


def _place(builder: Any, data: Any, offset: Any, dtype: np.dtype[Any]) -> Any:
    stored = REAL if dtype.kind == "f" else ir.IntType(8 * dtype.itemsize)
    return builder.bitcast(builder.gep(data, [offset]), stored.as_pointer())


def _loaded(builder: Any, data: Any, offset: Any, dtype: np.dtype[Any], what: str) -> Any:
    """Load an entry; of a record, say where it lies."""
    if dtype.fields is not None:
        return builder.gep(data, [offset])
    value = _apart(builder, builder.load(_place(builder, data, offset, dtype)), what)
    if dtype.kind == "b":
        return builder.icmp_unsigned("!=", value, ir.Constant(value.type, 0))
    if value.type in (REAL, WORD):
        return value
    return builder.zext(value, WORD) if dtype.kind == "u" else builder.sext(value, WORD)


def _stored(
    builder: Any, data: Any, offset: Any, dtype: np.dtype[Any], value: Any, what: str
) -> None:
    place = _place(builder, data, offset, dtype)
    if dtype.kind == "b":
        value = builder.zext(value, place.type.pointee)
    elif value.type != place.type.pointee:
        value = builder.trunc(value, place.type.pointee)
    _apart(builder, builder.store(value, place), what)


def _apart(builder: Any, access: Any, what: str) -> Any:
    """Tell LLVM that different fields, and entries of different kinds, never overlap."""
    module = builder.module
    root = module.add_metadata(["arrays of a block"])
    leaf = module.add_metadata([what, root, ir.Constant(WORD, 0)])
    access.set_metadata("tbaa", module.add_metadata([leaf, leaf, ir.Constant(WORD, 0)]))
    return access


@lower_getattr_generic(Row)
def _get_field(context: Any, builder: Any, kind: Row, row: Any, name: str) -> Any:
    dtype, offset = (kind.dtype.fields or {})[name][:2]
    return _loaded(builder, row, ir.Constant(WORD, offset), dtype, f"{kind}.{name}")


@lower_setattr_generic(Row)
def _set_field(context: Any, builder: Any, form: Any, values: Any, name: str) -> None:
    kind = form.args[0]
    dtype, offset = (kind.dtype.fields or {})[name][:2]
    value = context.cast(builder, values[1], form.args[1], _entry(dtype))
    _stored(builder, values[0], ir.Constant(WORD, offset), dtype, value, f"{kind}.{name}")


@templates.infer_global(operator.getitem)
class _GetItem(templates.AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        whole, place = args
        if isinstance(whole, Sides):
            return typing.signature(types.int64, whole, types.int64)
        if not isinstance(whole, Grid):
            return None
        if isinstance(place, types.SliceType):
            return typing.signature(whole, whole, place)
        given = len(place) if isinstance(place, types.BaseTuple) else 1
        if given == whole.indices:
            return typing.signature(whole.entry, whole, place)
        return typing.signature(Grid(whole.dtype, whole.indices - given), whole, place)


@templates.infer_global(operator.setitem)
class _SetItem(templates.AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        whole, place, _ = args
        if not isinstance(whole, Grid) or isinstance(whole.entry, Row):
            return None
        return typing.signature(types.void, whole, place, whole.entry)


def _offset(context: Any, builder: Any, kind: Grid, grid: Any, form: Any, place: Any) -> Any:
    """How many bytes from a grid's first entry the one at some indices lies."""
    if isinstance(form, types.BaseTuple):
        indices = list(zip(cgutils.unpack_tuple(builder, place), form, strict=True))
    else:
        indices = [(place, form)]
    offset = None
    for side in range(kind.indices):
        if offset is not None:
            offset = builder.mul(offset, builder.extract_value(grid, 1 + side), flags=["nsw"])
        if side < len(indices):
            index = context.cast(builder, *indices[side], types.int64)
            offset = index if offset is None else builder.add(offset, index, flags=["nsw"])
    return builder.mul(offset, ir.Constant(WORD, kind.dtype.itemsize), flags=["nsw"])


@lower_builtin(operator.getitem, Grid, types.Integer)
@lower_builtin(operator.getitem, Grid, types.BaseTuple)
def _get_item(context: Any, builder: Any, form: Any, values: Any) -> Any:
    kind, given = form.args
    offset = _offset(context, builder, kind, values[0], given, values[1])
    data = builder.extract_value(values[0], 0)
    if not isinstance(form.return_type, Grid):
        return _loaded(builder, data, offset, kind.dtype, str(kind.entry))
    rest = range(kind.indices - form.return_type.indices, kind.indices)
    sides = [builder.extract_value(values[0], 1 + side) for side in rest]
    return _packed(builder, [builder.gep(data, [offset]), *sides])


@lower_builtin(operator.getitem, Grid, types.SliceType)
def _get_slice(context: Any, builder: Any, form: Any, values: Any) -> Any:
    """Entries from one index to before another, which is at least as large."""
    kind, part = form.args[0], context.make_helper(builder, form.args[1], values[1])
    data, first, *sides = (builder.extract_value(values[0], i) for i in range(1 + kind.indices))
    size = ir.Constant(WORD, kind.dtype.itemsize)
    for side in sides:
        size = builder.mul(size, side, flags=["nsw"])
    beyond = builder.icmp_signed(">", part.stop, first)
    stop = builder.select(beyond, first, part.stop)
    start = builder.gep(data, [builder.mul(part.start, size, flags=["nsw"])])
    return _packed(builder, [start, builder.sub(stop, part.start), *sides])


@lower_builtin(operator.setitem, Grid, types.Integer, types.Any)
@lower_builtin(operator.setitem, Grid, types.BaseTuple, types.Any)
def _set_item(context: Any, builder: Any, form: Any, values: Any) -> Any:
    kind, given, _ = form.args
    offset = _offset(context, builder, kind, values[0], given, values[1])
    data = builder.extract_value(values[0], 0)
    _stored(builder, data, offset, kind.dtype, values[2], str(kind.entry))
    return context.get_dummy_value()


@lower_builtin(operator.getitem, Sides, types.Integer)
def _side(context: Any, builder: Any, form: Any, values: Any) -> Any:
    sides = [builder.extract_value(values[0], side) for side in range(form.args[0].indices)]
    chosen = sides[-1]
    for number, side in reversed(list(enumerate(sides[:-1]))):
        is_it = builder.icmp_signed("==", values[1], ir.Constant(WORD, number))
        chosen = builder.select(is_it, side, chosen)
    return chosen


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
def invoke(typing: Any, address: Any, plan: Any, nest: Any, batch: Any, skip: Any) -> Any:
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
        indices = [
            context.cast(builder, v, k, types.int64)
            for v, k in zip(values[1:], form.args[1:], strict=True)
        ]
        pair = types.UniTuple(types.int64, 2)
        packed = context.make_tuple(builder, pair, indices)
        offset = _offset(context, builder, table, values[0], pair, packed)
        data = builder.extract_value(values[0], 0)
        found = _loaded(builder, data, offset, table.dtype, str(table.entry))
        return builder.icmp_signed("!=", found, ir.Constant(found.type, 0))

    return types.boolean(table, row, column), generate


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
    lifted.is_idle: _never,
    lifted.lookup: _lookup,
    lifted.invoke: invoke,
}
"""What stands for the functions of `toolkit.lifted` in compiled code."""
