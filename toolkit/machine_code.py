"""How numba makes the machine code of a kernel; loaded only to compile.

The formulas of the cost model are compiled from the very functions that Python calls. Numba
translates each of them to LLVM's language, by the few of its passes that such functions need,
with blocks and tables of our own kinds (`toolkit.machine_tables`) and an instruction for each
operation of `toolkit.lifted` (`toolkit.machine_operations`). LLVM then sees a whole kernel at
once, and optimises it a single time; there is no machine code of any function by itself.
"""

from __future__ import annotations

import gc
import importlib
import types as python
from collections.abc import Callable, Iterator
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils, compiler, typed_passes, untyped_passes
from numba.core.codegen import CodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager
from numba.core.datamodel import models
from numba.core.imputils import lower_constant
from numba.core.registry import cpu_target
from numba.extending import register_model

from toolkit import lifted
from toolkit.compilation import signature
from toolkit.machine_operations import OPERATIONS
from toolkit.machine_tables import Opened, taken


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


class _Passes(compiler.CompilerBase):  # type: ignore[misc]
    """The passes of numba that a formula needs.

    Nothing in it is rewritten, pruned or inlined: that is left to LLVM.
    """

    def define_pipelines(self) -> list[Any]:
        passes = PassManager("formula")
        for step in (
            untyped_passes.TranslateByteCode,
            untyped_passes.FixupArgs,
            untyped_passes.IRProcessing,
            untyped_passes.ReconstructSSA,
            typed_passes.NopythonTypeInference,
            typed_passes.PreLowerStripPhis,
            typed_passes.NativeLowering,
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
        return self.formula.compiled(tuple(taken(kind) for kind in args)).signature

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
    compiled = {**_FORMULAS, **OPERATIONS, **instead}
    for scope in scopes:
        scope.update(
            (name, compiled[value])
            for name, value in list(scope.items())
            if isinstance(value, python.FunctionType) and value in compiled
        )
    return _FORMULAS


_NUMBERS = {int: types.int64, float: types.float64, type(None): types.void}
