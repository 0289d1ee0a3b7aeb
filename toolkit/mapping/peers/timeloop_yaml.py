"""Timeloop's YAML: a list of directives, each about one level.

A directive names its level (``target``) and what it speaks of (``type``): ``temporal`` and
``spatial`` give ``factors`` (``C=3 K=4``, ``C3 K4``, or a list of either) and a ``permutation``,
innermost loop first; ``bypass``, ``datatype`` or ``dataspace`` give the tensors to ``keep`` and to
``bypass``. ``mapping:`` holds the list, or ``{version, nodes}``; a bare list will do.

Targets are names of our memories, upper or lower case, in any order; a spatial directive may also
name the fanout itself. Other names are taken to list all memories, outermost first. The ``split``
of a spatial directive tells how many entries of its permutation unroll along X.

A factor of 0 is what the other factors of that dimension leave, at one level at most. A dimension
whose factors do not yet multiply to its size gets the rest at the one memory that does not mention
it, if there is only one. Apart from that, factors left out are 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from toolkit.arch.architecture import holds
from toolkit.arch.levels import Memory
from toolkit.errors import MappingError
from toolkit.mapping.peers.loops import (
    Loop,
    Names,
    Target,
    check_kept,
    match_memories,
    memory_positions,
    tensors_called,
)
from toolkit.mapping.peers.spatial import check_spatial, place_spatial
from toolkit.messages import KeyPath, describe, shown, suggest
from toolkit.peer_files import MarkedYaml, parse_marked

_KEYS = ("target", "type", "factors", "permutation", "split", "keep", "bypass")
_KINDS = {
    "temporal": "temporal",
    "spatial": "spatial",
    "bypass": "bypass",
    "datatype": "bypass",
    "dataspace": "bypass",
}


@dataclass(frozen=True, slots=True)
class _Directive:
    """What one entry says of the loops of a level.

    Parameters
    ----------
    label : str
        How messages call it.
    kind : {"temporal", "spatial"}
        Which loops.
    position : int
        Of the level: a memory, or for spatial loops also a spatial level.
    line : int
        Where it begins.
    factors : mapping of str to int
        By our names of dimensions; 0 stands for what other levels leave.
    permutation : tuple of str
        Our names of dimensions, innermost loop first.
    split : int or None
        How many entries of the permutation unroll along X, the others along Y.
    """

    label: str
    kind: str
    position: int
    line: int
    factors: Mapping[str, int]
    permutation: tuple[str, ...] = ()
    split: int | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    """A raw entry whose target and type are known to be text."""

    name: str
    kind: str
    path: KeyPath
    data: dict[str, object]
    document: MarkedYaml
    target: Target

    @property
    def label(self) -> str:
        return f"{self.name} {self.kind}"

    def line(self, *path: str | int) -> int:
        return self.document.line(*self.path, *path)


def yaml_rows(text: str, target: Target, names: Names) -> list[list[Loop]]:
    """Read the loops of every level, outermost first.

    Parameters
    ----------
    text : str
        A YAML document.
    target : Target
        What is read.
    names : mapping
        Timeloop's names of dimensions and ours.

    Raises
    ------
    MappingError
        Naming source, line and directive.
    """
    directives = _read_directives(
        parse_marked(text, source=target.source or "mapping", error=MappingError), target, names
    )
    rows: list[list[Loop]] = [[] for _ in target.arch.levels]
    for directive in _complete(directives, target):
        loops = _ordered(directive, target)
        if directive.kind == "temporal":
            rows[directive.position].extend(loops)
        elif isinstance(target.arch.levels[directive.position], Memory):
            along_x = directive.permutation[: directive.split]
            by_axis = {
                "X": [loop for loop in loops if loop.dimension in along_x],
                "Y": [loop for loop in loops if loop.dimension not in along_x],
            }
            if directive.split is None:
                by_axis = {"": loops}
            place_spatial(target, rows, directive.position, by_axis, directive.label)
        else:
            for loop in loops:
                check_spatial(target, directive.position, loop, directive.label)
            rows[directive.position].extend(loops)
    return rows


def _complete(directives: Sequence[_Directive], target: Target) -> list[_Directive]:
    """Replace factors of 0, and factors that only one memory leaves out, by what is left."""
    spoken = {d.position for d in directives if d.kind == "temporal"}
    silent = [
        _Directive(f"{target.arch.levels[i].name} temporal", "temporal", i, 1, {})
        for i in memory_positions(target.arch)
        if i not in spoken
    ]
    everything = [*directives, *silent]
    factors = [dict(directive.factors) for directive in everything]
    for dimension, size in target.workload.sizes.items():
        rest = [i for i, given in enumerate(factors) if given.get(dimension) == 0]
        known = prod(given.get(dimension, 1) or 1 for given in factors)
        if len(rest) > 1:
            first, second = (everything[i] for i in rest[:2])
            raise target.error(
                f"{second.label}: the factor 0 of {dimension} stands for the rest, which "
                f"{first.label} on line {first.line} already has",
                second.line,
            )
        if rest and size % known:
            place = everything[rest[0]]
            raise target.error(
                f"{place.label}: the other factors of {dimension} multiply to "
                f"{shown(known)}, which does not divide {dimension} = {size}",
                place.line,
            )
        if not rest and known < size and size % known == 0:
            rest = [
                i
                for i, directive in enumerate(everything)
                if directive.kind == "temporal" and dimension not in factors[i]
            ]
        if len(rest) == 1:
            factors[rest[0]][dimension] = size // known
    return [replace(d, factors=given) for d, given in zip(everything, factors, strict=True)]


def _ordered(directive: _Directive, target: Target) -> list[Loop]:
    """List the loops of more than one iteration, outermost first."""
    given = {d: factor for d, factor in directive.factors.items() if factor > 1}
    missing = [d for d in given if d not in directive.permutation]
    if missing and len(given) > 1 and directive.kind == "temporal":
        raise target.error(
            f"{directive.label}: {', '.join(missing)} missing from the permutation, but every "
            "dimension that iterates more than once must be listed, innermost first",
            directive.line,
        )
    order = [*directive.permutation, *missing]
    return [
        Loop(d, given[d], f"{directive.label} {d}={given[d]}", directive.line)
        for d in reversed(order)
        if d in given
    ]


def _read_directives(document: MarkedYaml, target: Target, names: Names) -> list[_Directive]:
    """Read all directives on loops, and check those on bypasses against the architecture."""
    entries = [e for e in _entries(document, target) if not _only_shapes(e, names)]
    fanouts, memories = _positions(entries, target)
    found: list[_Directive] = []
    seen: dict[tuple[int, str], int] = {}
    for entry in entries:
        position = memories.get(entry.name, -1)
        if entry.kind == "spatial":
            position = fanouts.get(entry.name.casefold(), position)
        level = target.arch.levels[position]
        line = entry.line()
        if (position, entry.kind) in seen:
            raise target.error(
                f"{entry.label}: a second {entry.kind} directive for {level.name}, after line "
                f"{seen[position, entry.kind]}",
                line,
            )
        seen[position, entry.kind] = line
        if entry.kind == "bypass":
            if isinstance(level, Memory):
                _check_bypass(entry, level)
            continue
        found.append(
            _Directive(
                entry.label,
                entry.kind,
                position,
                line,
                _factors(entry, names),
                _permutation(entry, names),
                _split(entry),
            )
        )
    return found


def _entries(document: MarkedYaml, target: Target) -> list[_Entry]:
    path: KeyPath = ()
    data = document.data
    for key in ("mapping", "nodes"):
        if isinstance(data, dict) and key in data:
            data, path = data[key], (*path, key)
    if not isinstance(data, list) or not data:
        raise target.error(
            f"expected a list of directives under mapping, got {describe(data)}",
            document.line(*path),
        )
    return [_entry(item, (*path, i), document, target) for i, item in enumerate(data)]


def _entry(item: object, path: KeyPath, document: MarkedYaml, target: Target) -> _Entry:
    line = document.line(*path)
    if not isinstance(item, dict):
        raise target.error(f"expected a directive (a mapping), got {describe(item)}", line)
    for key in item:
        if key not in _KEYS:
            raise target.error(
                f"unknown key {describe(key)}{suggest(key, _KEYS)}; "
                f"a directive has {', '.join(_KEYS)}",
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
    return _Entry(name, _KINDS[kind], path, item, document, target)


def _positions(entries: list[_Entry], target: Target) -> tuple[dict[str, int], dict[str, int]]:
    """Find the positions of the fanouts named, in lower case, and of the memories named."""
    fanouts = {
        level.name.casefold(): i
        for i, level in enumerate(target.arch.levels)
        if not isinstance(level, Memory)
    }
    names: dict[str, int] = {}
    for entry in entries:
        if entry.kind != "spatial" or entry.name.casefold() not in fanouts:
            names.setdefault(entry.name, entry.line())
    return fanouts, match_memories(target, list(names.items()))


def _only_shapes(entry: _Entry, names: Names) -> bool:
    """Whether a directive says of a fanout that it holds nothing and loops over nothing.

    Timeloop's front end has a storage without tensors for every fanout of its own.
    """
    target = entry.target
    of_name = [x for x in target.arch.levels if x.name.casefold() == entry.name.casefold()]
    if entry.kind == "spatial" or not of_name or any(isinstance(x, Memory) for x in of_name):
        return False
    if entry.kind == "temporal":
        return all(factor == 1 for factor in _factors(entry, names).values())
    return not entry.data.get("keep")


def _check_bypass(entry: _Entry, memory: Memory) -> None:
    target = entry.target
    for key in ("keep", "bypass"):
        line = entry.line(key)
        given = entry.data.get(key)
        words = [] if given is None else given
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise target.error(
                f"{entry.label}: {key}: expected a list of tensors, got {describe(words)}", line
            )
        if key == "keep":
            check_kept(target, memory, words, entry.label, line)
            continue
        for word in words:
            if all(holds(memory, t) for t in tensors_called(target, word, entry.label, line)):
                raise target.error(
                    f"{entry.label}: bypasses {word} at {memory.name}, which holds it in "
                    f"{target.arch.name}",
                    line,
                )


def _factors(entry: _Entry, names: Names) -> dict[str, int]:
    target, line = entry.target, entry.line("factors")
    factors: dict[str, int] = {}
    for text, name, value in _factor_texts(entry, names):
        place = f"{entry.label} {text}"
        dimension = target.dimension(names, name, place, line)
        is_rest = value in ("0", 0) and not isinstance(value, bool)
        if dimension is None:
            if not is_rest:
                target.loop(names, name, value, place, line)
            continue
        if dimension in factors:
            raise target.error(f"{place}: a second factor of {name} there", line)
        factors[dimension] = 0 if is_rest else target.factor(value, place, line)
    return factors


def _factor_texts(entry: _Entry, names: Names) -> list[tuple[str, str, object]]:
    """List text, name and value of every factor."""
    given = entry.data.get("factors")
    if isinstance(given, dict):
        return [(f"{name}={describe(value)}", name, value) for name, value in given.items()]
    items = given if isinstance(given, list) else [] if given is None else [given]
    found: list[tuple[str, str, object]] = []
    for item in items:
        if not isinstance(item, str):
            raise entry.target.error(
                f"{entry.label}: factors: expected text such as C=3, got {describe(item)}",
                entry.line("factors"),
            )
        for word in "=".join(part.strip() for part in item.replace(",", " ").split("=")).split():
            name, equals, value = word.partition("=")
            if not equals:
                # The longest name first, so that D08 is D0 eight times where there is a D0.
                known = sorted((n for n in names if word.startswith(n)), key=len)
                name = known[-1] if known else re.sub("[0-9]+$", "", word[:80])
                value = word.removeprefix(name)
            found.append((describe(word)[1:-1], name, value))
    return found


def _permutation(entry: _Entry, names: Names) -> tuple[str, ...]:
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


def _split(entry: _Entry) -> int | None:
    split = entry.data.get("split")
    if split is None:
        return None
    if isinstance(split, bool) or not isinstance(split, int) or split < 0:
        raise entry.target.error(
            f"{entry.label}: split: expected a number of dimensions, got {describe(split)}",
            entry.line("split"),
        )
    return split
