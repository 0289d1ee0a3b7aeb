"""Parameters of an architecture file: names with defaults, and the values chosen for them."""

from __future__ import annotations

import graphlib
import keyword
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from toolkit.arch.expressions import FUNCTIONS, Expression, Number, parse_expression, simplest
from toolkit.arch.quantities import Quantity, parse_quantity
from toolkit.arguments import plain_number
from toolkit.errors import ArchitectureError
from toolkit.messages import describe, format_key, suggest

_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Parameters:
    """The parameters of a file.

    Parameters
    ----------
    source : str
        The file, for messages.
    defaults : mapping of str to number or Expression
        In the order of the file.
    order : tuple of str
        The same names, each after those that its default takes.
    """

    source: str
    defaults: Mapping[str, Number | Expression]
    order: tuple[str, ...]

    def resolve(self, given: Mapping[str, Number]) -> tuple[dict[str, Number], str]:
        """Give every parameter its value.

        Parameters
        ----------
        given : mapping of str to number
            Those that shall differ from their defaults; defaults that take them follow.

        Returns
        -------
        values : dict of str to number
            In the order of the file.
        suffix : str
            Those that differ from their defaults, such as ``:side=32``; empty if none does.

        Raises
        ------
        ArchitectureError
            If one is unknown or no number, or a default has no value.
        """
        chosen = self._read(given)
        values: dict[str, Number] = {}
        changed: set[str] = set()
        for name in self.order:
            default = self.defaults[name]
            if isinstance(default, Expression):
                default = value_of(default, values, self.source, _key(name))
            values[name] = chosen.get(name, default)
            if values[name] != default:
                changed.add(name)
        settings = ",".join(f"{name}={values[name]}" for name in self.defaults if name in changed)
        return {name: values[name] for name in self.defaults}, settings and f":{settings}"

    def _read(self, given: object) -> dict[str, Number]:
        if not isinstance(given, Mapping):
            raise ArchitectureError(
                f"expected a mapping of names to numbers, got {describe(given)}",
                source=self.source,
                key="parameters",
            )
        for name in given:
            check_name(name, self.defaults, self.source)
        return {name: _number(value, self.source, _key(name)) for name, value in given.items()}


def read_parameters(section: object, source: str) -> Parameters:
    """Read the ``parameters`` of a file.

    Parameters
    ----------
    section : object
        Names with numbers, or with text such as ``= 2 * side`` that takes other parameters.
        What is no mapping holds no parameters.
    source : str
        The file, for messages.

    Raises
    ------
    ArchitectureError
        Naming the key and what is wrong with it.
    """
    defaults = {
        name: _default(name, value, source)
        for name, value in (section.items() if isinstance(section, dict) else ())
    }
    taken = {
        name: default.names if isinstance(default, Expression) else ()
        for name, default in defaults.items()
    }
    for name, default in defaults.items():
        if isinstance(default, Expression):
            check_names(default, defaults, source, _key(name))
    try:
        order = tuple(graphlib.TopologicalSorter(taken).static_order())
    except graphlib.CycleError as cause:
        # Each name of the circle is taken by the next.
        circle = " -> ".join(reversed(cause.args[1]))
        raise ArchitectureError(
            f"defaults refer to each other in a circle: {circle}", source=source, key="parameters"
        ) from None
    return Parameters(source, defaults, order)


def parse_settings(text: str, source: str) -> dict[str, Number | Quantity]:
    """Read parameters written on one line, such as ``side=32,dram_bandwidth=16GB/s``.

    Raises
    ------
    ArchitectureError
        If it is not a list of ``NAME=NUMBER``, a unit is unknown, or it names one twice.
    """
    values: dict[str, Number | Quantity] = {}
    for item in text.split(","):
        name, equals, number = (part.strip() for part in item.partition("="))
        if not equals or not name:
            raise ArchitectureError(
                f"expected parameters as NAME=NUMBER, separated by commas, got {describe(item)}",
                source=source,
            )
        if name in values:
            raise ArchitectureError("given twice", source=source, key=_key(name))
        try:
            quantity = parse_quantity(number) if len(number) <= 100 else None
        except ValueError as cause:
            raise ArchitectureError(
                f"{describe(number)}: {cause}", source=source, key=_key(name)
            ) from None
        if quantity is not None:
            values[name] = quantity
            continue
        if not _NUMBER.fullmatch(number) or len(number) > 100:
            raise ArchitectureError(
                f"expected a number, got {describe(number)}", source=source, key=_key(name)
            )
        values[name] = int(number) if number.lstrip("+-").isdigit() else float(number)
    return values


def complete_settings(
    given: Mapping[str, object], known: Mapping[str, int], source: str
) -> dict[str, int]:
    """Complete the parameters of a translation from another tool's file by their defaults.

    Raises
    ------
    ArchitectureError
        If one is unknown or no integer from 0.
    """
    for name, value in given.items():
        if name not in known:
            raise ArchitectureError(
                f"unknown parameter{suggest(name, known)}; expected some of "
                f"{', '.join(f'{key} (default {value})' for key, value in known.items())}",
                source=source,
                key=name,
            )
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ArchitectureError(
                f"expected an integer from 0, got {describe(value)}", source=source, key=name
            )
    return {**known, **{name: value for name, value in given.items() if isinstance(value, int)}}


def read_expression(text: str, source: str, key: str) -> Expression:
    """Read an expression at `key` of a file.

    Raises
    ------
    ArchitectureError
        If it is none.
    """
    try:
        return parse_expression(text)
    except ValueError as cause:
        shown = describe(text.strip())
        raise ArchitectureError(f"{shown}: {cause}", source=source, key=key) from None


def value_of(
    expression: Expression, values: Mapping[str, Number], source: str, key: str
) -> Number:
    """Compute an expression at `key` of a file.

    Raises
    ------
    ArchitectureError
        If it has no value.
    """
    try:
        return expression.value(values)
    except ValueError as cause:
        raise ArchitectureError(
            f"{describe(expression.text)} has no value{with_names(expression, values)}: {cause}",
            source=source,
            key=key,
        ) from None


def with_names(expression: Expression, values: Mapping[str, Number]) -> str:
    """Say for a message what an expression takes, such as `` with side = 16``."""
    taken = ", ".join(f"{name} = {values[name]}" for name in expression.names)
    return f" with {taken}" if taken else ""


def check_names(
    expression: Expression, known: Mapping[str, object], source: str, key: str
) -> None:
    """Refuse an expression at `key` of a file that takes what is no parameter of it.

    Raises
    ------
    ArchitectureError
        Naming the parameters there are.
    """
    for name in expression.names:
        check_name(name, known, source, key, f"{describe(expression.text)}: ")


def check_name(
    name: object,
    known: Mapping[str, object],
    source: str,
    key: str | None = None,
    context: str = "",
) -> None:
    """Refuse what is no parameter of a file; `context` comes first in the message.

    Raises
    ------
    ArchitectureError
        Naming the parameters there are.
    """
    if name in known:
        return
    hint = suggest(name, known) if isinstance(name, str) else ""
    choices = f"known: {', '.join(known)}" if known else "this architecture has no parameters"
    raise ArchitectureError(
        f"{context}unknown parameter {describe(name)}{hint}; {choices}", source=source, key=key
    )


def _key(name: str) -> str:
    return format_key(("parameters", name))


def _default(name: str, value: object, source: str) -> Number | Expression:
    valid = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", name)
    if not valid or keyword.iskeyword(name) or name in FUNCTIONS:
        raise ArchitectureError(
            "expected a name of letters, digits and _, a letter first, and no reserved word or "
            f"function ({', '.join(FUNCTIONS)}), got {describe(name)}",
            source=source,
            key=_key(name),
        )
    if isinstance(value, str) and value.startswith("="):
        return read_expression(value[1:].strip(), source, _key(name))
    return _number(value, source, _key(name), " or text such as = 2 * side")


def _number(value: object, source: str, key: str, alternative: str = "") -> Number:
    number = plain_number(value)
    if isinstance(number, int | float) and not isinstance(number, bool):
        with suppress(ValueError):
            return simplest(number)
    raise ArchitectureError(
        f"expected a number from -1e30 to 1e30{alternative}, got {describe(value)}",
        source=source,
        key=key,
    )
