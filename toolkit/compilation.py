"""Compiled functions: machine code made once per user and machine, loaded without the compiler.

A `Kernel` names a function of a module ``compiled*.py``. At its first call its machine code is
read from the user's cache; if it is not there, numba makes it (`toolkit.machine_code`), which is
announced unless `unannounced`. Neither counts for a search's seconds: see `clock`. The code
depends on the sources of all functions that may be compiled, on the compiler and on the
processor, and on nothing else, so that all installations of one version share it.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, cast, get_type_hints

import numpy as np

from toolkit.errors import InputError
from toolkit.text_files import write_bytes_atomically

FORMULA_MODULES = (
    "toolkit.workload.distinct",
    "toolkit.model.nest",
    "toolkit.model.windows",
    "toolkit.model.movers",
    "toolkit.model.repeats",
    "toolkit.model.tiles",
    "toolkit.model.traffic",
    "toolkit.model.sequential",
    "toolkit.model.room",
    "toolkit.model.bursts",
    "toolkit.model.waits",
    "toolkit.model.totals",
)
"""Modules with functions marked by `toolkit.lifted.formula`."""

SOURCES = (
    "compilation.py",
    "machine_code.py",
    "machine_lanes.py",
    "machine_operations.py",
    "machine_tables.py",
    "lifted.py",
    "model/plan_tables.py",
    "model/values.py",
)
"""What else machine code depends on, beside all ``compiled*.py``."""

KERNEL_MODULES = (
    "toolkit.model.compiled",
    "toolkit.search.compiled_anneal",
    "toolkit.search.compiled_check",
    "toolkit.search.compiled_descent",
    "toolkit.search.exact.compiled_labels",
    "toolkit.search.exact.compiled_least",
    "toolkit.search.exact.compiled_relaxed",
    "toolkit.search.exact.compiled_paths",
)
"""Modules that define kernels."""

_ROOT = Path(__file__).parent
SIDES = 6
"""Most indices of an array in a block."""

LANES = 8
"""Mappings whose numbers lie side by side where a block is `SideBySide`."""

_lock = Lock()
_made_seconds = 0.0
_announced = True


def clock() -> float:
    """Seconds of a clock that stands still while something is compiled or loaded."""
    return time.perf_counter() - _made_seconds


def is_announced() -> bool:
    """Whether standard error tells what is compiled."""
    return _announced


@contextmanager
def unannounced() -> Iterator[None]:
    """Compile without a word on standard error while the block runs, whatever thread does."""
    global _announced
    before, _announced = _announced, False
    try:
        yield
    finally:
        _announced = before


class Block:
    """Arrays by name, as a kernel takes them: where each lies and how long its sides are.

    Parameters
    ----------
    arrays : named tuple
        C-contiguous arrays of what the annotations of its class say. They must not be moved.
    """

    def __init__(self, arrays: Any) -> None:
        self.arrays = arrays
        table = []
        for array in arrays:
            row = [0] * (1 + SIDES)
            if isinstance(array, np.ndarray):
                if not array.flags.c_contiguous:
                    raise ValueError("kernels take C-contiguous arrays")
                row[0] = array.ctypes.data
                row[1 : 1 + array.ndim] = array.shape
            table += row
        self._table = np.array(table, dtype=np.int64)
        self.address: int = self._table.ctypes.data


class Kernel:
    """A compiled function; may be called from several threads at once.

    Parameters
    ----------
    entry : str
        ``module:function``. The annotations of the function say what it takes: named tuples (as
        a `Block`), integers and floats.
    what : str
        What it is for, as users read when it is compiled.
    """

    def __init__(self, entry: str, what: str) -> None:
        self.entry = entry
        self.what = what
        self._function: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Call the function with blocks and numbers."""
        function = self._function or self.load()
        return function(*(a.address if isinstance(a, Block) else a for a in arguments))

    @property
    def address(self) -> int:
        """Where the machine code lies, for kernels that call this one."""
        function: Any = self.load()
        return ctypes.cast(function, ctypes.c_void_p).value or 0

    def load(self) -> Callable[..., Any]:
        """Compile the function if that has not been done, and load it."""
        global _made_seconds
        with _lock:
            if self._function is None:
                began = time.perf_counter()
                self._function = self._loaded()
                _made_seconds += time.perf_counter() - began
            return self._function

    @property
    def path(self) -> Path:
        """Where the machine code is kept."""
        return cache_folder() / f"{self.entry.replace(':', '.')}.o"

    @property
    def is_kept(self) -> bool:
        """Whether the machine code is in the cache."""
        return self._kept() is not None

    def _loaded(self) -> Callable[..., Any]:
        code = self._kept()
        if code is not None:
            with suppress(RuntimeError):  # Not what this machine's linker takes.
                return self._linked(code)
        return self._linked(self._compiled())

    def _kept(self) -> bytes | None:
        """Read the machine code, if it is there and whole."""
        try:
            kept = self.path.read_bytes()
        except OSError:
            return None
        code = kept[:-_SEAL_BYTES]
        return code if kept == _sealed(code) else None

    def _linked(self, code: bytes) -> Callable[..., Any]:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        linker = llvm.create_lljit_compiler(_target_machine())
        library = llvm.JITLibraryBuilder().add_object_img(code).export_symbol(SYMBOL)
        linked = library.add_current_process().link(linker, self.entry)
        kinds: list[Any] = [_C_TYPES.get(kind, ctypes.c_void_p) for kind in signature(self.entry)]
        function: Any = ctypes.CFUNCTYPE(*kinds)(linked[SYMBOL])
        function.memory = linked, linker  # The code must lie there for as long as it is called.
        return cast(Callable[..., Any], function)

    def _compiled(self) -> bytes:
        if is_announced():
            print(
                f"toolkit: compiling {self.what} for this machine (some seconds, once; "
                f"kept in {cache_folder()})",
                file=sys.stderr,
                flush=True,
            )
        from toolkit.machine_code import machine_code

        code = machine_code(self.entry, SYMBOL, _target_machine())
        # Another process may be writing the same; if the disk is full, this one has the code.
        with suppress(InputError):
            write_bytes_atomically(self.path, _sealed(code))
        return code


SYMBOL = "kernel"
"""Name of a kernel's function in its machine code."""

_SEAL_BYTES = hashlib.sha256().digest_size


def _sealed(code: bytes) -> bytes:
    """Add a checksum: machine code that a crash cut short would crash whatever runs it.

    Linkers do not look behind the end of an object file.
    """
    return code + hashlib.sha256(code).digest()


class WarmUp(NamedTuple):
    """What `warm_up` did about one kernel.

    Attributes
    ----------
    name : str
        ``module:function``.
    what : str
        What it is for.
    was_there : bool
        Whether its machine code had been made before.
    seconds : float
        How long it took to make or load.
    """

    name: str
    what: str
    was_there: bool
    seconds: float


def warm_up() -> tuple[WarmUp, ...]:
    """Compile whatever may be needed and has not been, so that nothing waits for it later.

    For images of containers, and before what is timed. What is compiled is announced on
    standard error.

    Returns
    -------
    tuple of WarmUp
        All compiled functions; `toolkit.compilation.cache_folder` says where they are kept.

    Examples
    --------
    >>> import toolkit
    >>> done = toolkit.warm_up()  # doctest: +SKIP
    """
    return tuple(_warmed(kernel) for kernel in kernels())


def _warmed(kernel: Kernel) -> WarmUp:
    began = time.perf_counter()
    was_there = kernel.is_kept
    kernel.load()
    return WarmUp(kernel.entry, kernel.what, was_there, time.perf_counter() - began)


def kernels() -> tuple[Kernel, ...]:
    """Find all kernels of the package."""
    found: dict[str, Kernel] = {}
    for module in KERNEL_MODULES:
        for value in vars(importlib.import_module(module)).values():
            for kernel in value.values() if isinstance(value, dict) else [value]:
                if isinstance(kernel, Kernel):
                    found.setdefault(kernel.entry, kernel)
    return tuple(found.values())


_C_TYPES = {int: ctypes.c_int64, float: ctypes.c_double, type(None): None}


def signature(entry: str) -> tuple[Any, ...]:
    """What a function returns, and what it takes."""
    module, _, name = entry.partition(":")
    hints = get_type_hints(getattr(importlib.import_module(module), name))
    return hints.pop("return"), *hints.values()


def _target_machine() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="pic",
        codemodel="jitdefault",
    )


@cache
def cache_folder() -> Path:
    """Folder of this user for what is compiled from these sources for this processor.

    In the temporary directory if the user's cache cannot be written. Nobody else may write
    where machine code is read from.
    """
    from platformdirs import user_cache_path

    private = Path(tempfile.gettempdir()) / f"accel-search-toolkit-{_user()}"
    for parent in (user_cache_path("accel-search-toolkit"), private):
        folder = parent / _digest()
        try:
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Anybody may make folders of any name in the temporary directory.
            if parent == private and not _is_private(parent):
                continue
            folder.mkdir(mode=0o700, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError:
            continue
        if _is_private(folder):
            return folder
    return Path(tempfile.mkdtemp(prefix="accel-search-toolkit-"))


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")


def _is_private(folder: Path) -> bool:
    """Whether a folder is the user's own, and writable by nobody else."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return False
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def _digest() -> str:
    import llvmlite.binding as llvm

    digest = hashlib.sha256()
    for part in (
        version("numba"),
        version("llvmlite"),
        version("numpy"),
        llvm.get_default_triple(),
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
    ):
        digest.update(f"{part}\n".encode())
    for path in sources():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def sources() -> Iterable[Path]:
    """Files that decide what machine code is made."""
    formulas = ("/".join(name.split(".")[1:]) + ".py" for name in FORMULA_MODULES)
    yield from (_ROOT / name for name in (*SOURCES, *formulas))
    yield from sorted(_ROOT.rglob("compiled*.py"))


class SideBySide:
    """Marks named tuples whose numbers are of several mappings each.

    All floats and records of them, but no integers: `LANES` numbers in the place of one.
    """

    __slots__ = ()


class Field(NamedTuple):
    """One field of a named tuple for kernels: what its entries are, and how many indices.

    ``lanes``: how many numbers lie in the place of one.
    """

    kind: Any
    indices: int
    lanes: int


@cache
def fields_of(arrays: type) -> dict[str, Field]:
    """Read what a named tuple holds from its annotations, ``Annotated[Table, kind, indices]``."""
    hints = get_type_hints(arrays, include_extras=True)
    wide = LANES if issubclass(arrays, SideBySide) else 1
    return {
        name: Field(kind, indices, 1 if kind in _ALIKE else wide)
        for name, (kind, indices) in ((name, hint.__metadata__) for name, hint in hints.items())
    }


_ALIKE = (int, np.uint8)
"""Kinds of entries that are the same for all mappings."""


@cache
def record_type(row: type, lanes: int = 1) -> np.dtype[Any]:
    """Type of one entry of an array: a number, or a record of 64-bit numbers."""
    if row in (int, float) or issubclass(row, np.generic):
        return np.dtype(row) if lanes == 1 else np.dtype((row, (lanes,)))
    kinds: dict[Any, Any] = {int: np.int64}
    fields = [(name, kinds.get(kind, np.float64)) for name, kind in get_type_hints(row).items()]
    if lanes > 1:
        fields = [(name, (kind, (lanes,))) for name, kind in fields]
    return np.dtype(fields, align=True)
