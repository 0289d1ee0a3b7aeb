"""Architectures whose figures follow from parameters: one file, many hardware points."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Expression, Number
from toolkit.arch.native_numbers import native_numbers, without_quantities
from toolkit.arch.parameters import (
    Parameters,
    check_names,
    read_expression,
    read_parameters,
    value_of,
    with_names,
)
from toolkit.arch.quantities import Quantity
from toolkit.arch.ranges import Range, read_ranges
from toolkit.arch.schema import ArchitectureFile
from toolkit.errors import ArchitectureError
from toolkit.messages import describe, format_key, relocated
from toolkit.records import validate

# Keys of a level that hold names, and a name may begin with an equals sign.
_NAME_KEYS = (
    "memory",
    "fanout",
    "compute",
    "component",
    "bypasses",
    "may_bypass",
    "dimensions",
    "loop_order",
    "overlap",
    "layout",
)
_UNIT = "vector_unit"
_CONSTRAINT = re.compile(r"(\s*\w+\s*(?:==|<=|>=)\s*)(\S.*?)\s*", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Place:
    """An expression in a file: `levels[level].name`, or the entry `index` of a list there.

    Without a level it is `vector_unit.name`; `inside` are the keys of mappings in `name`.
    """

    expression: Expression
    level: int | None
    name: str
    index: int | None = None
    prefix: str = ""
    inside: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        if self.level is None:
            return format_key((_UNIT, self.name))
        path: tuple[str | int, ...] = ("levels", self.level, self.name, *self.inside)
        return format_key(path if self.index is None else (*path, self.index))

    def put(self, value: Number, entry: dict[str, Any]) -> None:
        """Put a value in place of the expression."""
        if self.inside:
            name = self.name
            for key in self.inside:
                entry[name] = dict(entry[name])
                entry, name = entry[name], key
            entry[name] = value
        elif self.index is None:
            entry[self.name] = value
        else:
            entry[self.name] = list(entry[self.name])
            entry[self.name][self.index] = f"{self.prefix}{value}"


@dataclass(frozen=True, eq=False)
class ArchitectureTemplate:
    """An architecture file whose parameters are still open; `load_template` reads one.

    Examples
    --------
    >>> from toolkit.arch import load_template
    >>> template = load_template("gemmini-ws")
    >>> template.parameters["side"]
    16
    >>> template.architecture({"side": 32}).name
    'gemmini-ws:side=32'
    """

    source: str
    """The file, for messages."""

    _parameters: Parameters = field(repr=False)
    _data: object = field(repr=False)
    _places: tuple[_Place, ...] = field(repr=False)

    ranges: Mapping[str, Range] = field(default_factory=dict)
    """What values a search over hardware may give the parameters, of those that have a range."""

    @property
    def parameters(self) -> dict[str, Number]:
        """The parameters with their defaults, in the order of the file; empty if it has none."""
        return self._parameters.resolve({})[0]

    def taken_by(self, level: int | None, chosen: Collection[str]) -> tuple[str, ...]:
        """Name the parameters, of those `chosen`, that figures of a level follow from.

        Be it through the defaults of others, which are not chosen.

        Parameters
        ----------
        level : int or None
            Outermost first; None is the vector unit.
        chosen : collection of str
            Parameters that are given their values.

        Examples
        --------
        >>> from toolkit.arch import load_template
        >>> load_template("gemmini-ws").taken_by(1, ["side", "scratchpad_words"])
        ('side', 'scratchpad_words')
        """
        defaults = self._parameters.defaults
        found: set[str] = set()
        left = [
            n for place in self._places if place.level == level for n in place.expression.names
        ]
        while left:
            name = left.pop()
            if name in found:
                continue
            found.add(name)
            default = defaults[name]
            if name not in chosen and isinstance(default, Expression):
                left.extend(default.names)
        return tuple(name for name in defaults if name in found and name in chosen)

    def architecture(self, parameters: Mapping[str, Number] | None = None) -> Architecture:
        """Build the architecture of one choice of parameters.

        Parameters
        ----------
        parameters : mapping of str to number, optional
            Those that shall differ from their defaults; defaults that are expressions of them
            follow.

        Returns
        -------
        Architecture
            Its name tells which parameters are not at their defaults, such as
            ``gemmini-ws:side=32``.

        Raises
        ------
        ArchitectureError
            If a parameter is unknown or no number, or a figure that follows from them is not
            what its key may hold.
        """
        return self._build(parameters)[1]

    def file(self, parameters: Mapping[str, Number] | None = None) -> ArchitectureFile:
        """Fill in the parameters as `architecture` does, and keep description and kernel.

        Raises
        ------
        ArchitectureError
            As `architecture` does.
        """
        return self._build(parameters)[0]

    def native(
        self, given: Mapping[str, Number | Quantity], clock_ghz: float | None = None
    ) -> dict[str, Number]:
        """Turn quantities with units, such as 64KiB, into the numbers that parameters take.

        Parameters
        ----------
        given : mapping of str to number or Quantity
            By parameter.
        clock_ghz : float, optional
            That bandwidths per second are meant at; by default the file's.

        Raises
        ------
        ArchitectureError
            If a parameter is no figure of that kind.
        """
        content = self._data if isinstance(self._data, dict) else {}
        return native_numbers(content, self.source, given, clock_ghz)

    def _build(
        self, parameters: Mapping[str, Number] | None
    ) -> tuple[ArchitectureFile, Architecture]:
        values, suffix = self._parameters.resolve({} if parameters is None else parameters)
        source = f"{self.source}{suffix}"
        data = self._filled(values, suffix, source)
        try:
            file = validate(ArchitectureFile, data, source=source, error=ArchitectureError)
        except ArchitectureError as cause:
            raise self._explained(cause, values) from None
        try:
            return file, file.architecture()
        except ArchitectureError as cause:
            raise relocated(cause, source) from None

    def _filled(self, values: dict[str, Number], suffix: str, source: str) -> object:
        """Put values in place of expressions, and the suffix behind the name."""
        if not isinstance(self._data, dict):
            return self._data
        data = dict(self._data)
        if values:
            data["parameters"] = values
        if suffix and isinstance(data.get("name"), str):
            data["name"] += suffix
        if self._places:
            # Whatever else stands there holds no expressions, and is refused by the schema.
            entries = data.get("levels")
            levels: list[Any] = list(entries) if isinstance(entries, list) else []
            levels = [dict(entry) if isinstance(entry, dict) else entry for entry in levels]
            if levels:
                data["levels"] = levels
            if isinstance(data.get(_UNIT), dict):
                data[_UNIT] = dict(data[_UNIT])
            for place in self._places:
                value = value_of(place.expression, values, source, place.key)
                place.put(value, data[_UNIT] if place.level is None else levels[place.level])
        return data

    def _explained(
        self, cause: ArchitectureError, values: Mapping[str, Number]
    ) -> ArchitectureError:
        """Say of a refused value which expression it came from."""
        for place in self._places:
            if place.key == cause.key:
                message = str(cause).removeprefix(f"{cause.source}: {cause.key}: ")
                value = place.expression.value(values)
                return ArchitectureError(
                    f"{message}; {describe(place.expression.text)} is {value}"
                    f"{with_names(place.expression, values)}",
                    source=cause.source,
                    key=cause.key,
                )
        return cause


def make_template(data: object, source: str) -> ArchitectureTemplate:
    """Read the parameters and the expressions of a file; `architecture` checks all the rest.

    Parameters
    ----------
    data : object
        What `toolkit.yaml_files.parse_yaml` made of the file.
    source : str
        The file, for messages.

    Raises
    ------
    ArchitectureError
        Naming file, key and expression, if something is not arithmetic, takes an unknown
        parameter or itself, or if nothing takes a parameter.
    """
    if isinstance(data, dict):
        data = without_quantities(data, source)
    content = data if isinstance(data, dict) else {}
    parameters = read_parameters(content.get("parameters"), source)
    places = (
        *_places(content.get("levels"), source),
        *_unit_places(content.get(_UNIT), source),
    )
    for place in places:
        check_names(place.expression, parameters.defaults, source, place.key)
    expressions = [place.expression for place in places]
    expressions += [d for d in parameters.defaults.values() if isinstance(d, Expression)]
    used = {name for expression in expressions for name in expression.names}
    for name in parameters.defaults:
        if name not in used:
            raise ArchitectureError(
                "no expression takes this parameter", source=source, key=f"parameters.{name}"
            )
    ranges = read_ranges(content.get("ranges"), parameters)
    return ArchitectureTemplate(source, parameters, data, places, ranges)


def _places(levels: object, source: str) -> Iterator[_Place]:
    for i, entry in enumerate(levels if isinstance(levels, list) else ()):
        for name, value in entry.items() if isinstance(entry, dict) else ():
            if name == "constraints" and isinstance(value, list):
                yield from _in_constraints(value, i, source)
            elif isinstance(value, str) and value.startswith("=") and name not in _NAME_KEYS:
                key = format_key(("levels", i, name))
                yield _Place(read_expression(value[1:].strip(), source, key), i, name)
            elif isinstance(value, dict):
                yield from _in_mapping(value, i, name, source)


def _in_mapping(
    entry: dict[Any, Any], level: int, name: str, source: str, inside: tuple[str, ...] = ()
) -> Iterator[_Place]:
    """Find expressions in what a key maps names to, such as the ports of a memory."""
    for key, value in entry.items():
        path = (*inside, str(key))
        if isinstance(value, dict):
            yield from _in_mapping(value, level, name, source, path)
        elif isinstance(value, str) and value.startswith("="):
            place = format_key(("levels", level, name, *path))
            expression = read_expression(value[1:].strip(), source, place)
            yield _Place(expression, level, name, inside=path)


def _unit_places(entry: object, source: str) -> Iterator[_Place]:
    for name, value in entry.items() if isinstance(entry, dict) else ():
        if isinstance(value, str) and value.startswith("=") and name not in _NAME_KEYS:
            expression = read_expression(value[1:].strip(), source, format_key((_UNIT, name)))
            yield _Place(expression, None, name)


def _in_constraints(texts: list[object], level: int, source: str) -> Iterator[_Place]:
    """Find expressions on the right of a relation; a plain number is none."""
    for j, text in enumerate(texts):
        match = _CONSTRAINT.fullmatch(text) if isinstance(text, str) else None
        if match and not re.fullmatch(r"[-+]?[0-9.]+", match[2]):
            key = format_key(("levels", level, "constraints", j))
            expression = read_expression(match[2], source, key)
            yield _Place(expression, level, "constraints", j, match[1])
