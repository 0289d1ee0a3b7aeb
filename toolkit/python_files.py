"""Architectures and workloads from Python files, which run only where the user says so.

A text such as ``arch.py:mine`` names a value in a file. Reading it runs the file, so text alone is
refused, wherever it comes from: who wants the value says `TrustedPython`.
"""

from __future__ import annotations

import contextlib
import os
import re
import runpy
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.arguments import plain_number
from toolkit.errors import InputError
from toolkit.messages import KeyPath, describe, format_key, shown_path, suggest
from toolkit.text_files import read_bytes

_MOST_DEPTH = 50


@dataclass(frozen=True, slots=True)
class TrustedPython(os.PathLike[str]):
    """A value in a Python file that may be run.

    Parameters
    ----------
    text : str
        The file and the name of the value, such as ``arch.py:mine``, for an architecture with
        its parameters behind: ``arch.py:mine:side=8``.

    Raises
    ------
    InputError
        If the text is of another form.

    Examples
    --------
    >>> spec = TrustedPython("machines/arch.py:mine:side=8")
    >>> spec.path, spec.name, spec.settings
    ('machines/arch.py', 'mine', 'side=8')
    """

    text: str

    def __post_init__(self) -> None:
        if not names_python(self.text) or not self.path or not self.name:
            raise InputError(
                f"expected FILE.py:NAME, a Python file and the name of a value in it, "
                f"got {describe(self.text)}"
            )

    def __fspath__(self) -> str:
        return self.text

    @property
    def path(self) -> str:
        """The file."""
        return self._parts[0]

    @property
    def name(self) -> str:
        """The name of the value; empty if there is none."""
        return self._parts[1]

    @property
    def settings(self) -> str:
        """Parameters of an architecture; empty if there are none."""
        return self._parts[2]

    @property
    def _parts(self) -> tuple[str, str, str]:
        match = _FORM.fullmatch(self.text)
        return (match[1], match[2] or "", match[3] or "") if match else (self.text, "", "")

    def value(self, error: type[InputError]) -> Any:
        """Run the file and return the value; what the file prints goes to standard error.

        Raises
        ------
        InputError
            Of the type `error`, if the file cannot be read, fails, or has no value of that name.
        """
        source = shown_path(self.path)
        read_bytes(self.path, error)  # Nothing but a regular file is run.
        try:
            with contextlib.redirect_stdout(sys.stderr):
                values = runpy.run_path(self.path)
        except (Exception, SystemExit) as cause:
            raise error(_failure(cause, self.path), source=source) from cause
        if self.name not in values:
            known = [name for name in values if not name.startswith("_")]
            raise error(
                f"has no value {describe(self.name)}{suggest(self.name, known)}", source=source
            )
        return values[self.name]


_FORM = re.compile(r"(.*\.py)(?::([^:=]*))?(?::(.*))?", re.IGNORECASE | re.DOTALL)


def names_python(text: str) -> bool:
    """Whether a text names a Python file, alone or with a value in it.

    Examples
    --------
    >>> names_python("arch.py:mine"), names_python("arch.py"), names_python("arch.yaml")
    (True, True, False)
    """
    return _FORM.fullmatch(text) is not None


def refuse_untrusted(text: object, error: type[InputError]) -> None:
    """Refuse text that names a Python file.

    Raises
    ------
    InputError
        Of the type `error`, saying what allows the file to be run.
    """
    if isinstance(text, str) and names_python(text):
        raise error(
            "a Python file, which is only run where --allow-python (in Python: "
            "toolkit.TrustedPython) says so",
            source=shown_path(text),
        )


def plain_data(value: object, source: str, error: type[InputError]) -> object:
    """Copy what a YAML file could hold: mappings, lists, text, numbers, true, false, nothing.

    Raises
    ------
    InputError
        Of the type `error`, naming the key of anything else.
    """
    return _plain(value, (), source, error)


def _plain(value: object, key: KeyPath, source: str, error: type[InputError]) -> object:
    if len(key) > _MOST_DEPTH:
        raise error("nested too deeply", source=source)
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str | int) or isinstance(name, bool):
                raise error(
                    f"expected text for a key, got {describe(name)}",
                    source=source,
                    key=format_key(key) or None,
                )
        return {name: _plain(own, (*key, name), source, error) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own, (*key, i), source, error) for i, own in enumerate(value)]
    number = plain_number(value)
    if number is None or isinstance(number, str | bool | int | float):
        return number
    raise error(
        f"expected plain data, as YAML has it, got {describe(type(value).__name__)}",
        source=source,
        key=format_key(key) or None,
    )


def _failure(cause: BaseException, path: str) -> str:
    """Say what happened and in which line of the file."""
    own = [frame for frame in traceback.extract_tb(cause.__traceback__) if frame.filename == path]
    line = cause.lineno if isinstance(cause, SyntaxError) else own[-1].lineno if own else None
    where = "" if line is None else f"line {line}: "
    said = " ".join(str(cause).split())[:200]
    return f"{where}{type(cause).__name__}{f': {said}' if said else ''}"
