"""The entries of Timeloop's mapping YAML, one directive each, and the values they hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from toolkit.mapping.peers.loops import Names, Target
from toolkit.messages import KeyPath, describe, suggest
from toolkit.peer_files import MarkedYaml

_KEYS = ("target", "type", "factors", "permutation", "split", "keep", "bypass")
_KINDS = {
    "temporal": "temporal",
    "spatial": "spatial",
    "bypass": "bypass",
    "datatype": "bypass",
    "dataspace": "bypass",
}
# Commas part factors, but one between digits parts a factor from its last round.
_COMMA = re.compile(r"(?<![0-9]),|,(?![0-9])")


@dataclass(frozen=True, slots=True)
class Entry:
    """A raw entry whose target and type are known to be text."""

    name: str
    kind: str
    path: KeyPath
    data: dict[str, object]
    document: MarkedYaml
    target: Target

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"{self.name} {self.kind}"

    def line(self, *path: str | int) -> int:
        """Line of what lies at `path` in it."""
        return self.document.line(*self.path, *path)


@dataclass(frozen=True, slots=True)
class Factors:
    """Factors of one directive, by our names of dimensions.

    Parameters
    ----------
    factors : dict of str to int
        Iterations; 0 stands for what other levels leave.
    last : dict of str to int
        Iterations in the last round, of those dimensions for which the file tells them.
    """

    factors: dict[str, int]
    last: dict[str, int]


def read_entries(document: MarkedYaml, target: Target) -> list[Entry]:
    """List the directives of a document.

    Raises
    ------
    MappingError
        If it holds no list of them, or a key or a type is unknown.
    """
    path: KeyPath = ()
    data = document.data
    for key in ("mapping", "nodes"):
        if isinstance(data, dict) and key in data:
            data, path = data[key], (*path, key)
    if not isinstance(data, list) or not data:
        found = "an empty list" if data == [] else describe(data)
        raise target.error(
            f"expected a list of directives under mapping, got {found}",
            document.line(*path),
        )
    return [_entry(item, (*path, i), document, target) for i, item in enumerate(data)]


def _entry(item: object, path: KeyPath, document: MarkedYaml, target: Target) -> Entry:
    line = document.line(*path)
    if not isinstance(item, dict):
        raise target.error(f"expected a directive (a mapping), got {describe(item)}", line)
    for key in item:
        if key not in _KEYS:
            # In braces, YAML ends a text at its first comma.
            quote = "; quote factors with last rounds: 'C=51,13'" if key.isdecimal() else ""
            raise target.error(
                f"unknown key {describe(key)}{suggest(key, _KEYS)}; "
                f"a directive has {', '.join(_KEYS)}{quote}",
                document.line(*path, key),
            )
    name, kind = item.get("target"), item.get("type")
    if not isinstance(name, str):
        raise target.error(f"target: expected the name of a level, got {describe(name)}", line)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise target.error(
            f"{name}: type: expected one of {', '.join(_KINDS)}, got {describe(kind)}",
            document.line(*path, "type"),
        )
    return Entry(name, _KINDS[kind], path, item, document, target)


def read_factors(entry: Entry, names: Names) -> Factors:
    """Read the factors of a directive, such as ``C=3 K=51,13``."""
    target, line = entry.target, entry.line("factors")
    found = Factors({}, {})
    for text, name, value in _factor_texts(entry, names):
        place = f"{entry.label} {text}"
        dimension = target.dimension(names, name, place, line)
        last: object = None
        if isinstance(value, str) and "," in value:
            value, _, last = value.partition(",")
        is_rest = value in ("0", 0) and not isinstance(value, bool)
        if dimension is None:
            if not is_rest:
                target.loop(names, name, value, place, line, last)
            continue
        if dimension in found.factors:
            raise target.error(f"{place}: a second factor of {name} there", line)
        found.factors[dimension] = 0 if is_rest else target.factor(value, place, line)
        if last is not None:
            found.last[dimension] = target.factor(last, place, line)
    return found


def _factor_texts(entry: Entry, names: Names) -> Iterator[tuple[str, str, object]]:
    """List text, name and value of every factor."""
    given = entry.data.get("factors")
    if isinstance(given, dict):
        for name, value in given.items():
            yield f"{name}={describe(value)}", name, value
        return
    for item in given if isinstance(given, list) else [] if given is None else [given]:
        if not isinstance(item, str):
            raise entry.target.error(
                f"{entry.label}: factors: expected text such as C=3, got {describe(item)}",
                entry.line("factors"),
            )
        words = "=".join(part.strip() for part in _COMMA.sub(" ", item).split("=")).split()
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                # The longest name first, so that D08 is D0 eight times where there is a D0.
                known = sorted((n for n in names if word.startswith(n)), key=len)
                name = known[-1] if known else re.sub("[0-9,]+$", "", word[:80])
                value = word.removeprefix(name)
            yield describe(word)[1:-1], name, value


def read_permutation(entry: Entry, names: Names) -> tuple[str, ...]:
    """Read the dimensions of a permutation, innermost loop first."""
    target, line = entry.target, entry.line("permutation")
    given = entry.data.get("permutation")
    words: list[str] = []
    if isinstance(given, str):
        words = given.replace(",", " ").split()
        if len(words) == 1 and given not in names:
            words = list(words[0])
    elif isinstance(given, list) and all(isinstance(word, str) for word in given):
        words = given
    elif given is not None:
        raise target.error(
            f"{entry.label}: permutation: expected dimensions such as CKP, got {describe(given)}",
            line,
        )
    found: dict[str, None] = {}
    for word in words:
        text = f"{entry.label} permutation"
        dimension = target.dimension(names, word, text, line)
        if dimension in found:
            raise target.error(f"{text}: {word} appears twice", line)
        if dimension is not None:
            found[dimension] = None
    return tuple(found)


def read_split(entry: Entry) -> int | None:
    """Read how many entries of the permutation unroll along X."""
    split = entry.data.get("split")
    if split is None:
        return None
    if isinstance(split, bool) or not isinstance(split, int) or split < 0:
        raise entry.target.error(
            f"{entry.label}: split: expected a number of dimensions, got {describe(split)}",
            entry.line("split"),
        )
    return split


def read_tensors(entry: Entry, key: str) -> list[str]:
    """Read the words of ``keep`` or ``bypass``."""
    given = entry.data.get(key)
    words = [] if given is None else given
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise entry.target.error(
            f"{entry.label}: {key}: expected a list of tensors, got {describe(words)}",
            entry.line(key),
        )
    return words
