"""YAML whose lines and trailing comments are known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from toolkit.errors import MappingError
from toolkit.workload.peers import TIMELOOP_TAGS
from toolkit.yaml_files import KeyPath, parse_yaml

# What YAML counts as the end of a line.
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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


def parse_marked(text: str, source: str | None) -> MarkedYaml:
    """Parse YAML as `toolkit.yaml_files.parse_yaml` does, and remember the lines.

    Raises
    ------
    MappingError
        As `parse_yaml` raises.
    """
    data = parse_yaml(
        text.encode("utf-8", "surrogatepass"),
        source=source or "mapping",
        error=MappingError,
        tags=TIMELOOP_TAGS,
    )
    lines: dict[KeyPath, int] = {(): 1}
    root = yaml.compose(text.removeprefix("\ufeff"), Loader=_LOADER)
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
