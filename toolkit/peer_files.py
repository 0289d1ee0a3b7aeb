"""What all readers of other tools' files share: keys and lines, for messages that say where.

Each room reads what is its own. Timeloop's problems are read by `toolkit.workload.peers.timeloop`,
its architectures by `toolkit.arch.peers.timeloop`, its mappings by
`toolkit.mapping.peers.timeloop`; ZigZag's layers, accelerators and mappings by the modules
`zigzag` beside them. ``FORMATS.md`` there says what carries over and what does not.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import yaml
from pydantic import AfterValidator

from toolkit.errors import InputError
from toolkit.messages import KeyPath, describe, format_key, shown_path
from toolkit.peer_templates import expand_template, is_template
from toolkit.text_files import decode, read_bytes
from toolkit.yaml_files import YAML_LOADER, parse_yaml

TIMELOOP_TAGS = (
    "!Component",
    "!Container",
    "!Hierarchical",
    "!Nothing",
    "!Parallel",
    "!Pipelined",
)
"""Tags in Timeloop's files of version 0.4."""

ACCELFORGE_TAGS = ("!Compute", "!Memory", "!Toll", "!Fork", "!Array", "!Network")
"""Tags in AccelForge's files, beside those that Timeloop has, too."""

ACCELFORGE_NODES = (
    "!Storage",
    "!Temporal",
    "!Spatial",
    "!Compute",
    "!Nested",
    "!Sequential",
    "!Pipeline",
    "!Split",
    "!Toll",
    "!Reservation",
    "!TextBox",
)
"""Tags of nodes in AccelForge's mappings."""

PEER_TAGS = (*TIMELOOP_TAGS, *ACCELFORGE_TAGS, *ACCELFORGE_NODES)
"""All of them."""

_TIMELOOP_FILE = re.compile(
    rb"(?m)^(?:arch|architecture|architecture_constraints|constraints|mapspace|mapping|problem"
    rb"|components|variables|ERT|ART|workload)[ \t]*:"
)
_ZIGZAG_FILE = re.compile(rb"(?m)^operational_array[ \t]*:")


@dataclass(frozen=True, slots=True)
class Document:
    """A file as plain data.

    Parameters
    ----------
    data : object
        Plain data.
    source : str
        How messages call the file.
    used : frozenset of str
        Names whose values its templates took.
    """

    data: object
    source: str
    used: frozenset[str] = frozenset()


def read_document(
    path: str, error: type[InputError], values: Mapping[str, object] | None = None
) -> Document:
    """Read a YAML file that may be ours or another tool's, with what its syntax allows there.

    Parameters
    ----------
    path : str
        A file. One of Timeloop's may hold templates, aliases and merged mappings.
    error : type of InputError
        The class to raise.
    values : mapping, optional
        Values of the names that its templates leave open.

    Raises
    ------
    InputError
        Naming the file, the key or line, and what was expected.
    """
    data, source = read_bytes(path, error), shown_path(path)
    used: frozenset[str] = frozenset()
    theirs = _TIMELOOP_FILE.search(data) is not None
    if theirs and is_template(data):
        text, used = expand_template(decode(data, source, error), path, error, values or {})
        data, source = text.encode(), f"{source} (templates expanded)"
    found = parse_yaml(
        data,
        source=source,
        error=error,
        tags=PEER_TAGS if theirs else (),
        # ZigZag's own examples repeat keys; its reader takes the last one, too.
        repeats=_ZIGZAG_FILE.search(data) is not None,
        aliases=theirs,
    )
    return Document(found, source, used)


# What YAML counts as the end of a line.
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


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


def _folded(key: str) -> str:
    return key.replace("-", "_")


@dataclass(frozen=True, slots=True)
class MarkedYaml:
    """A document, and where its parts stand.

    Parameters
    ----------
    data : object
        Plain data.
    lines : dict
        Line number, from 1, by key path; of every value and of the document itself (``()``).
    texts : tuple of str
        The lines.
    """

    data: object
    lines: dict[KeyPath, int]
    texts: tuple[str, ...]

    def line(self, *path: str | int) -> int:
        """Line of the value at `path`, or of the innermost value around it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def text(self, *path: str | int) -> str:
        """The whole line on which the value at `path` begins, comment included."""
        return self.texts[self.line(*path) - 1]


def parse_marked(text: str, *, source: str, error: type[InputError]) -> MarkedYaml:
    """Parse YAML as `toolkit.yaml_files.parse_yaml` does, and remember the lines.

    Parameters
    ----------
    text : str
        One document, which may bear `PEER_TAGS`.
    source : str
        How messages call it.
    error : type of InputError
        The class to raise.
    """
    data = parse_yaml(
        text.encode("utf-8", "surrogatepass"), source=source, error=error, tags=PEER_TAGS
    )
    lines: dict[KeyPath, int] = {(): 1}
    root = yaml.compose(text.removeprefix("\ufeff"), Loader=YAML_LOADER)
    if root is not None:
        _mark(root, (), lines)
    return MarkedYaml(data, lines, tuple(_BREAK.split(text)))


def _mark(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _mark(item, (*path, i), lines)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _mark(value, (*path, key.value), lines)
            # A value may begin below its key, where nobody looks for a mistake.
            lines[(*path, key.value)] = key.start_mark.line + 1


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
