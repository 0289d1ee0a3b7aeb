"""Untrusted YAML in, readable YAML out.

The reader accepts plain data only: no repeated keys, nor tags but those that the caller knows, and
aliases, anchors and merged mappings only where the caller says so; limited size and depth. Plain
scalars follow YAML 1.2 (``true``/``false``, decimal numbers, ``null``), so that dimensions may be
called ``N``, ``Y`` or ``NO``; keys are always text.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Collection
from typing import Any

import yaml

from toolkit.errors import InputError
from toolkit.messages import KeyPath, describe, format_key, shown_path
from toolkit.text_files import decode, read_bytes

MAX_DEPTH = 32
"""Deepest nesting of lists and mappings that is read: several times what any format needs, and far
from the recursion limit of the reader below."""

MAX_ALIASED = 20_000
"""Most values that all aliases of a document together may stand for: without a limit, aliases of
aliases grow from a few bytes to what no memory holds."""

NO_MERGE = "!nomerge"
"""Timeloop's tag of what a deep merge (``<<<``) leaves as it is, accepted where aliases are."""

_MERGES = ("<<", "<<<")

YAML_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The fast reader where PyYAML was built with it."""

_INTEGER = r"[-+]?[0-9]+"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
_NAN = r"\.(?:nan|NaN|NAN)"
# A double written out in full has 309 digits; longer numbers only cost time.
_MAX_DIGITS = 400


def read_yaml(
    path: str | os.PathLike[str],
    *,
    error: type[InputError] = InputError,
    tags: Collection[str] = (),
) -> object:
    """Read one YAML document from a file that nobody vouches for.

    Parameters
    ----------
    path : path-like
        A regular file of at most 1 MiB, UTF-8.
    error : type of InputError
        The class to raise.
    tags : collection of str
        Tags that are accepted, see `parse_yaml`.

    Returns
    -------
    object
        Mappings, lists, text, numbers, booleans and None.

    Raises
    ------
    InputError
        Naming the file and, where there is one, the key, if the file cannot be read or holds
        anything but plain data.
    """
    source = os.fspath(path)
    data = read_bytes(source, error)
    return parse_yaml(data, source=shown_path(source), error=error, tags=tags)


def parse_yaml(
    data: bytes,
    *,
    source: str,
    error: type[InputError] = InputError,
    tags: Collection[str] = (),
    repeats: bool = False,
    aliases: bool = False,
) -> object:
    """Parse bytes as `read_yaml` does.

    Parameters
    ----------
    data : bytes
        One document.
    source : str
        How messages call them.
    error : type of InputError
        The class to raise.
    tags : collection of str
        Tags that are accepted, such as ``!Component``; what bears one is read as a mapping of
        the tag to it.
    repeats : bool
        Whether a key may appear twice; the last one counts then.
    aliases : bool
        Whether values may be anchored (``&name``) and stand again elsewhere (``*name``), up to
        `MAX_ALIASED` of them, and whether ``<<`` merges mappings into the one it stands in, the
        first that has a key counting; ``<<<`` does so in the mappings inside, too.
    """
    text = decode(data, source, error)
    known = frozenset((*tags, NO_MERGE) if aliases else tags)
    try:
        return _Builder(text, source, error, known, repeats, aliases).document()
    except yaml.YAMLError as cause:
        raise error(_explain_syntax(cause), source=source) from None


def _explain_syntax(cause: yaml.YAMLError) -> str:
    problem = str(getattr(cause, "problem", None) or getattr(cause, "reason", None) or cause)
    mark = getattr(cause, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"not valid YAML: {place}{' '.join(problem.split())}"


class _Builder:
    """Turn the parser's events into plain data, refusing everything that is not."""

    def __init__(
        self,
        text: str,
        source: str,
        error: type[InputError],
        tags: frozenset[str],
        repeats: bool,
        aliases: bool,
    ) -> None:
        self._loader = YAML_LOADER(text)
        self._source = source
        self._error = error
        self._tags = tags
        self._repeats = repeats
        self._aliases = aliases
        self._anchored: dict[str, object] = {}
        self._aliased = 0

    def document(self) -> object:
        loader = self._loader
        try:
            loader.get_event()
            if loader.check_event(yaml.StreamEndEvent):
                return None
            loader.get_event()
            value = self._node(())
            loader.get_event()
            if not loader.check_event(yaml.StreamEndEvent):
                second = loader.peek_event()
                raise self._refuse("a second document begins; expected one", (), second)
            return value
        finally:
            loader.dispose()

    def _refuse(self, message: str, path: KeyPath, event: Any) -> InputError:
        return self._error(
            f"line {event.start_mark.line + 1}: {message}",
            source=self._source,
            key=format_key(path[:8]) or None,
        )

    def _node(self, path: KeyPath) -> object:
        event = self._loader.get_event()
        if event.anchor is None:
            return self._tagged(event, path)
        if not self._aliases:
            raise self._refuse("anchors and aliases (& and *) are not accepted", path, event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        value = self._tagged(event, path)
        self._anchored[event.anchor] = value
        return value

    def _tagged(self, event: Any, path: KeyPath) -> object:
        if event.tag is None:
            return self._value(event, path)
        if event.tag not in self._tags:
            raise self._refuse(f"tag {describe(event.tag)} is not accepted", path, event)
        value = self._value(event, path)
        if event.tag == NO_MERGE:
            return _kept(value)
        return {event.tag: value}

    def _alias(self, event: Any, path: KeyPath) -> object:
        if event.anchor not in self._anchored:
            raise self._refuse(f"no value is anchored as &{event.anchor[:80]}", path, event)
        value = self._anchored[event.anchor]
        count, depth = _extent(value)
        self._aliased += count
        if self._aliased > MAX_ALIASED:
            raise self._refuse(f"aliases stand for more than {MAX_ALIASED} values", path, event)
        if len(path) + depth > MAX_DEPTH:
            raise self._refuse(f"nested more than {MAX_DEPTH} levels deep", path, event)
        return copy.deepcopy(value)

    def _value(self, event: Any, path: KeyPath) -> object:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if len(path) >= MAX_DEPTH:
            raise self._refuse(f"nested more than {MAX_DEPTH} levels deep", path, event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _scalar(self, event: Any, path: KeyPath) -> object:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in ("", "~", "null", "Null", "NULL"):
            return None
        if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
            return text.lower() == "true"
        if re.fullmatch(f"{_FLOAT}|{_NAN}", text):
            if len(text) > _MAX_DIGITS:
                raise self._refuse(f"a number of {len(text)} characters", path, event)
            is_integer = re.fullmatch(_INTEGER, text) is not None
            return int(text) if is_integer else float(re.sub(r"\.(?=[a-zA-Z])", "", text))
        return text

    def _sequence(self, path: KeyPath) -> list[object]:
        items: list[object] = []
        while not self._loader.check_event(yaml.SequenceEndEvent):
            items.append(self._node((*path, len(items))))
        self._loader.get_event()
        return items

    def _mapping(self, path: KeyPath) -> dict[str, object]:
        entries: dict[str, object] = {}
        while not self._loader.check_event(yaml.MappingEndEvent):
            event = self._loader.get_event()
            if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag:
                raise self._refuse("a key must be plain text", path, event)
            key = (*path, event.value)
            if event.value in entries and not self._repeats:
                raise self._refuse("this key appears twice", key, event)
            entries[event.value] = self._node(key)
        end = self._loader.get_event()
        return self._merged(entries, path, end) if self._aliases else entries

    def _merged(self, entries: dict[str, object], path: KeyPath, end: Any) -> dict[str, object]:
        """Carry out the merges that a mapping asks for."""
        for key in _MERGES:
            if key not in entries:
                continue
            given = entries.pop(key)
            for source in given if isinstance(given, list) else [given]:
                if not isinstance(source, dict):
                    place = (*path, key)
                    raise self._refuse(
                        f"expected mappings to merge, got {describe(source)}", place, end
                    )
                try:
                    _merge(entries, source, deep=key == "<<<")
                except ValueError as cause:
                    raise self._refuse(str(cause), (*path, key), end) from None
        return entries


class _KeptList(list[object]):
    """A list that stays as it is where mappings are merged."""


class _KeptMapping(dict[str, object]):
    """A mapping that stays as it is where mappings are merged."""


def _kept(value: object) -> object:
    if isinstance(value, dict):
        return _KeptMapping(value)
    return _KeptList(value) if isinstance(value, list) else value


def _extent(value: object) -> tuple[int, int]:
    """Count the values in a value, itself included, and the levels of containers."""
    if isinstance(value, dict):
        inside = [_extent(item) for item in value.values()]
    elif isinstance(value, list):
        inside = [_extent(item) for item in value]
    else:
        return 1, 0
    return 1 + sum(n for n, _ in inside), 1 + max((depth for _, depth in inside), default=0)


def _merge(into: dict[str, object], source: dict[str, object], *, deep: bool) -> None:
    for key, value in source.items():
        own = into.setdefault(key, value)
        if not deep or own is value or isinstance(own, _KeptList | _KeptMapping):
            continue
        if isinstance(own, dict) and isinstance(value, dict):
            _merge(own, value, deep=True)
        elif isinstance(own, list) and isinstance(value, list):
            # Timeloop's documentation appends one to the other, its front end does not always.
            raise ValueError(
                f"both give a list for {describe(key)}, which can mean several things; write "
                f"{NO_MERGE} before the list that counts"
            )


class Inline(dict[str, object]):
    """A mapping that `dump_yaml` writes on one line."""


class _Dumper(yaml.SafeDumper):
    """Block style, with lists of plain values on one line; never aliases."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def ignore_aliases(self, data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_list(dumper: yaml.SafeDumper, data: list[object]) -> yaml.Node:
    flat = not any(isinstance(item, dict | list) for item in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flat)


def _represent_inline(dumper: yaml.SafeDumper, data: Inline) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=True)


def _represent_text(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
    # Line breaks of all kinds survive only as escapes.
    style = None if data.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(Inline, _represent_inline)
# Quoted to stay text: what this reader takes for something else, and YAML 1.1's boolean words.
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(r"(?:yes|no|on|off|true|false)\Z", re.IGNORECASE),
    list("yYnNoOtTfF"),
)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]
)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(rf"(?:{_INTEGER})\Z"), list("-+0123456789")
)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(rf"(?:{_FLOAT}|{_NAN})\Z"), list("-+.0123456789")
)


def dump_yaml(value: object) -> str:
    """Write plain data as YAML that `read_yaml` reads back unchanged, keys in their order."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=99, indent=2
    )
    return text


class _InlineDumper(_Dumper):
    """Flow style throughout."""


_InlineDumper.add_representer(
    list,
    lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True),
)


def dump_inline(value: object) -> str:
    """Write plain data on one line, to stand as a value in other YAML."""
    text: str = yaml.dump(
        value,
        Dumper=_InlineDumper,
        sort_keys=False,
        allow_unicode=True,
        width=float("inf"),
        default_flow_style=True,
    )
    return text.removesuffix("...\n").strip()
