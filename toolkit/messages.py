"""What messages say: values and keys in one line, the word that was meant, where a mistake is."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from toolkit.errors import InputError

KeyPath = tuple[str | int, ...]


def format_key(path: Sequence[str | int]) -> str:
    """Write a key path the way messages show it.

    Examples
    --------
    >>> format_key(("levels", 2, "mesh"))
    'levels[2].mesh'
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"\w{1,60}", part):
            text += f".{part}" if text else part
        else:
            text += f"[{describe(part)}]"
    return text


def describe(value: object) -> str:
    """Name a value in a message: text and numbers as they are, containers by their kind.

    Examples
    --------
    >>> describe({"a": 1}), describe(None), describe(0.5)
    ('a mapping', 'nothing', '0.5')
    """
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def shown_path(path: str) -> str:
    """Write the path of a file for a message: as it is, unless it is very long or not printable.

    Examples
    --------
    >>> shown_path("archs/eyeriss.yaml")
    'archs/eyeriss.yaml'
    """
    # No file system takes a path of more than 4096 bytes; whoever gives such text means no path.
    return path if path.isprintable() and len(path) <= 1000 else describe(path)


def shown(number: int) -> str:
    """Write an integer for a message, of any magnitude.

    Examples
    --------
    >>> shown(2**93), shown(10**5000)
    ('9903520314283042199192993792', 'about 10^5000')
    """
    return str(number) if number < 10**40 else f"about 10^{round(math.log10(number))}"


def suggest(given: str, known: Iterable[str]) -> str:
    """Name the nearest known word for a message, or nothing.

    Examples
    --------
    >>> suggest("mehs", ["mesh", "name"])
    " (did you mean 'mesh'?)"
    """
    by_lower = {word.lower(): word for word in known}
    close = difflib.get_close_matches(given.lower()[:80], by_lower, n=1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""


ErrorT = TypeVar("ErrorT", bound=InputError)


def relocated(cause: ErrorT, source: str, key: str | None = None) -> ErrorT:
    """Say of an error where it came from: the file, and the key in it if `cause` names none."""
    own = ": ".join(part for part in (cause.source, cause.key) if part)
    message = str(cause).removeprefix(f"{own}: ") if own else str(cause)
    return type(cause)(message, source=source, key=key or cause.key)
