"""Files that nobody vouches for, read with care; files of ours, written whole or not at all."""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path

from toolkit.errors import InputError
from toolkit.messages import shown_path

MAX_BYTES = 1 << 20
"""Largest file that is read. What people write is a few kilobytes; a file of a gigabyte taken for
one is refused before it costs memory and minutes."""

_HERE = re.sub(r"\W", "", platform.node())[:20] or "here"
"""This machine, in names of files that are being written: others know nothing of its processes."""

_LEFTOVER = re.compile(r"\..+\.(?P<machine>\w+)-(?P<process>\d+)-[0-9a-f]{12}\.tmp")


def is_file(text: str) -> bool:
    """Whether a text that may be a name is the path of a file that is there."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def lies_there(name: str) -> str:
    """Say for a message what lies where a name might mean a file, or nothing.

    Examples
    --------
    >>> lies_there(".")
    ' (a folder)'
    """
    try:
        if name and Path(name).is_dir():
            return " (a folder)"
    except (OSError, ValueError):
        return ""
    found = next((f"{name}{end}" for end in (".yaml", ".yml") if is_file(f"{name}{end}")), None)
    return f" (did you mean the file {found}?)" if found else ""


def read_bytes(path: str, error: type[InputError]) -> bytes:
    """Read a regular file, up to one byte more than `MAX_BYTES`.

    Raises
    ------
    InputError
        Of the type `error`, if it cannot be read.
    """
    source = shown_path(path)
    try:
        # A fifo or a device could block or never end.
        if not stat.S_ISREG(os.stat(path).st_mode):
            kind = "a directory" if os.path.isdir(path) else "not a regular file"
            raise error(f"is {kind}; expected a file", source=source)
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise error("no such file", source=source) from None
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise error(f"cannot be read: {reason}", source=source) from None


def decode(data: bytes, source: str, error: type[InputError]) -> str:
    """Turn the bytes of a file into text, without a byte-order mark.

    Raises
    ------
    InputError
        Of the type `error`, if there are more than `MAX_BYTES` or they are not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise error(f"larger than {MAX_BYTES} bytes, the largest accepted", source=source)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise error(
            f"not UTF-8 text: byte 0x{data[cause.start]:02x} at offset {cause.start}",
            source=source,
        ) from None


def write_text_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Write a file so that readers see either the old content or all of the new one.

    Raises
    ------
    InputError
        If the file cannot be written; an existing one is then unchanged.
    """
    try:
        data = text.encode("utf-8")
    except ValueError as cause:
        raise _unwritten(path, cause) from None
    write_bytes_atomically(path, data)


def write_bytes_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file as `write_text_atomically` does: through links, keeping the mode of the file.

    Raises
    ------
    InputError
        As there.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            raise InputError(
                "is not a regular file; choose another path", source=shown_path(os.fspath(path))
            )
        _clear_leftovers(target.parent)
        mark = f"{_HERE}-{os.getpid()}-{secrets.token_hex(6)}"
        temporary = target.with_name(f".{target.name[:100]}.{mark}.tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as cause:
        raise _unwritten(path, cause) from None


@cache
def _clear_leftovers(folder: Path) -> None:
    """Remove what processes of this machine left when they were killed while writing, once."""
    names = list[str]()
    with suppress(OSError):  # A folder that may be written need not be read.
        names = os.listdir(folder) if hasattr(os, "getuid") else names
    for name in names:
        left = _LEFTOVER.fullmatch(name)
        if left and left["machine"] == _HERE and not _is_running(int(left["process"])):
            with suppress(OSError):
                (folder / name).unlink()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def _unwritten(path: str | os.PathLike[str], cause: Exception) -> InputError:
    reason = getattr(cause, "strerror", None) or str(cause)
    return InputError(f"cannot be written: {reason}", source=shown_path(os.fspath(path)))
