"""Compiled functions: numba with a disk cache that can never be stale.

Numba keys its cache by the file that defines a function, but not by the files of the functions
it calls. A change in the compiled cost model would then leave searches running on the old one.
So the cache lives in a folder named after the contents of all compiled modules together.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar, cast

import numba
from platformdirs import user_cache_path

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile a function for the machine; it may run without the interpreter lock.

    Only modules named ``compiled*.py`` may use it, since their contents name the cache folder.
    Compiled functions cannot allocate arrays: their callers hand working memory in.
    """
    return _compile(function)


def inlined(function: F) -> F:
    """Like `compiled`, and the machine code goes into every compiled function that calls it."""
    return _compile(function, forceinline=True)


def merged(function: F) -> F:
    """Like `compiled`, and the source goes into every compiled function that calls it.

    That spares the optimiser a round, so it is for long functions with a single caller.
    """
    return _compile(function, inline="always")


def _compile(function: F, *, forceinline: bool = False, inline: str = "never") -> F:
    previous = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_cache_folder())
    try:
        # Without numba's run time (`_nrt`) no array is reference-counted on the way, which
        # makes the small functions of the cost model about ten times faster.
        decorate = numba.njit(
            cache=True,
            nogil=True,
            error_model="numpy",
            _nrt=False,
            forceinline=forceinline,
            inline=inline,
        )
        return cast(F, decorate(function))
    finally:
        numba.config.CACHE_DIR = previous


@cache
def _cache_folder() -> Path:
    digest = hashlib.sha256(numba.__version__.encode())
    sources = [Path(__file__), *sorted(Path(__file__).parent.rglob("compiled*.py"))]
    for path in sources:
        digest.update(path.read_bytes())
    name = digest.hexdigest()[:16]
    folder = user_cache_path("accel-search-toolkit") / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
    except OSError:
        # Nobody else may write where compiled code is read from, so a shared folder will not do.
        folder = Path(tempfile.mkdtemp(prefix="accel-search-toolkit-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
