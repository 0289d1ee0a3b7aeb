"""Files of other tools: their keys read one by one, with messages that say where and what."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import AfterValidator

from toolkit.errors import InputError
from toolkit.yaml_files import KeyPath, describe, format_key


@dataclass(frozen=True, slots=True)
class Node:
    """A value in a file of another tool, and where it stands.

    Keys may be spelt with ``-`` or ``_``: both mean the same.

    Parameters
    ----------
    value : object
        Plain data.
    source : str
        The file, for messages.
    error : type of InputError
        The class to raise.
    path : tuple of str or int
        Keys and positions on the way to it.
    """

    value: object
    source: str
    error: type[InputError]
    path: KeyPath = ()

    def refuse(self, message: str) -> InputError:
        """Build the exception for a mistake here."""
        return self.error(message, source=self.source, key=format_key(self.path) or None)

    def _mapping(self) -> dict[str, object]:
        if not isinstance(self.value, dict):
            raise self.refuse(f"expected a mapping, got {describe(self.value)}")
        return self.value

    def keys(self) -> list[str]:
        """The keys, as they are written."""
        return list(self._mapping())

    def find(self, *names: str) -> Node | None:
        """Look up a key under any of its names, the first one that is given.

        A key without a value counts as left out.
        """
        mapping = self._mapping()
        spelt = {_folded(key): key for key in mapping}
        for name in names:
            key = spelt.get(_folded(name))
            if key is not None and mapping[key] is not None:
                return Node(mapping[key], self.source, self.error, (*self.path, key))
        return None

    def get(self, *names: str) -> Node:
        """Look up a key that must be there."""
        found = self.find(*names)
        if found is None:
            missing = Node(None, self.source, self.error, (*self.path, names[0]))
            raise missing.refuse("this key is required and missing")
        return found

    def items(self) -> Iterator[Node]:
        """Entries of a list."""
        if not isinstance(self.value, list):
            raise self.refuse(f"expected a list, got {describe(self.value)}")
        for i, value in enumerate(self.value):
            yield Node(value, self.source, self.error, (*self.path, i))

    def text(self) -> str:
        """Read text."""
        if not isinstance(self.value, str) or not self.value:
            raise self.refuse(f"expected text, got {describe(self.value)}")
        return self.value

    def name(self) -> str:
        """Read the name of a dimension or a tensor."""
        text = self.text()
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", text):
            raise self.refuse(
                f"expected a name of letters, digits and _, a letter first, got {describe(text)}"
            )
        return text

    def integer(self, least: int = 1, most: int = 2**62) -> int:
        """Read an integer; 16.0 will do."""
        value = self.value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            limits = f"from {least}" if most == 2**62 else f"from {least} to {most}"
            raise self.refuse(f"expected an integer {limits}, got {describe(self.value)}")
        return value

    def number(self, least: float = 0.0, most: float = 1e15) -> float:
        """Read a finite number."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refuse(f"expected a number, got {describe(value)}")
        if not least <= value <= most:
            raise self.refuse(
                f"expected a number from {least:g} to {most:g}, got {describe(value)}"
            )
        return float(value)

    def flag(self) -> bool:
        """Read true or false."""
        if not isinstance(self.value, bool):
            raise self.refuse(f"expected true or false, got {describe(self.value)}")
        return self.value

    def check_keys(self, known: Iterable[str], what: str = "known keys") -> None:
        """Refuse keys that are not known."""
        names = list(known)
        folded = {_folded(name) for name in names}
        for key in self._mapping():
            if _folded(key) not in folded:
                close = difflib.get_close_matches(key[:80], names, n=1)
                hint = f" (did you mean {close[0]!r}?)" if close else ""
                place = Node(None, self.source, self.error, (*self.path, key))
                raise place.refuse(f"unknown key{hint}; {what}: {', '.join(names)}")


def matching(pattern: str, expected: str) -> AfterValidator:
    """Make a validator of text for a record: refuse what `pattern` does not match as a whole.

    Parameters
    ----------
    pattern : str
        A regular expression.
    expected : str
        What to expect, for the message.
    """

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(f"expected {expected}, got {describe(text)}")
        return text

    return AfterValidator(check)


def _folded(key: str) -> str:
    return key.replace("-", "_")
