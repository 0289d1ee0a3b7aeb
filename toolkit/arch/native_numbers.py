"""Quantities with units in an architecture file, or given for its parameters, as plain numbers.

What a parameter is follows from the one figure that takes it as it is, such as
``capacity_words: = buffer_words``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.arch.expressions import Number, parse_expression
from toolkit.arch.parameters import check_name
from toolkit.arch.quantities import (
    Figure,
    Quantity,
    is_figure,
    native_number,
    parse_quantity,
)
from toolkit.errors import ArchitectureError
from toolkit.messages import describe, format_key

_RANGE_ENDS = ("from", "to")


def native_numbers(
    content: Mapping[str, Any],
    source: str,
    given: Mapping[str, Number | Quantity],
    clock_ghz: float | None = None,
) -> dict[str, Number]:
    """Turn quantities that parameters are given as into the numbers that the file takes.

    Parameters
    ----------
    content : mapping
        Of an architecture file.
    source : str
        The file, for messages.
    given : mapping of str to number or Quantity
        By parameter; numbers stay.
    clock_ghz : float, optional
        Instead of the file's.

    Raises
    ------
    ArchitectureError
        Naming the parameter, if no figure is the parameter, or it is of another kind.
    """
    if not any(isinstance(value, Quantity) for value in given.values()):
        return {name: value for name, value in given.items() if not isinstance(value, Quantity)}
    mhz = content.get("clock_mhz")
    if clock_ghz is None and isinstance(mhz, int | float) and not isinstance(mhz, bool):
        clock_ghz = mhz / 1000
    plain = {name: value for name, value in given.items() if not isinstance(value, Quantity)}
    defaults = content.get("parameters")
    numbers = {**(defaults if isinstance(defaults, dict) else {}), **plain}
    return {
        name: _native(content, source, name, value, numbers, clock_ghz)
        if isinstance(value, Quantity)
        else value
        for name, value in given.items()
    }


def without_quantities(content: dict[str, Any], source: str) -> dict[str, Any]:
    """Replace quantities among the parameters and the ranges of a file.

    Raises
    ------
    ArchitectureError
        As `native_numbers` does.
    """
    parameters, ranges = content.get("parameters"), content.get("ranges")
    if isinstance(parameters, dict):
        read = {k: _read(v, source, ("parameters", k)) for k, v in parameters.items()}
        quantities = {k: v for k, v in read.items() if isinstance(v, Quantity)}
        if quantities:
            found = native_numbers(content, source, quantities)
            content = {**content, "parameters": {**parameters, **found}}
    if isinstance(ranges, dict):
        plain = {k: _plain_range(content, source, k, v) for k, v in ranges.items()}
        if plain != ranges:
            content = {**content, "ranges": plain}
    return content


def _plain_range(content: Mapping[str, Any], source: str, name: str, data: object) -> object:
    def number(value: object, *place: str | int) -> object:
        read = _read(value, source, ("ranges", name, *place))
        if not isinstance(read, Quantity):
            return value
        return native_numbers(content, source, {name: read})[name]

    if isinstance(data, list):
        return [number(value, i) for i, value in enumerate(data)]
    if isinstance(data, dict):
        return {k: number(v, k) if k in _RANGE_ENDS else v for k, v in data.items()}
    return data


def _read(value: object, source: str, place: tuple[str | int, ...]) -> Quantity | None:
    if not isinstance(value, str) or value.startswith("="):
        return None
    try:
        return parse_quantity(value)
    except ValueError as cause:
        raise ArchitectureError(
            f"{describe(value)}: {cause}", source=source, key=format_key(place)
        ) from None


def _native(
    content: Mapping[str, Any],
    source: str,
    name: str,
    quantity: Quantity,
    parameters: Mapping[str, Any],
    clock_ghz: float | None,
) -> Number:
    key = format_key(("parameters", name))
    check_name(name, parameters, source)
    figures = list(_figures(content, name, parameters))
    if not figures:
        raise ArchitectureError(
            f"{quantity.text}: expected a plain number, for it is no capacity, no bandwidth and "
            "no number of lanes of a vector unit",
            source=source,
            key=key,
        )
    try:
        numbers = {native_number(quantity, figure, clock_ghz) for figure in figures}
    except ValueError as cause:
        raise ArchitectureError(str(cause), source=source, key=key) from None
    if len(numbers) > 1:
        levels = ", ".join(figure.level for figure in figures)
        raise ArchitectureError(
            f"{quantity.text}: expected a plain number, for words of {levels} differ",
            source=source,
            key=key,
        )
    return numbers.pop()


def _figures(
    content: Mapping[str, Any], name: str, parameters: Mapping[str, Any]
) -> Iterator[Figure]:
    """Find the figures that are a parameter as it is."""
    levels = content.get("levels")
    entries = [entry for entry in levels if isinstance(entry, dict)] if levels else []
    named = [(str(entry.get("memory", "?")), entry) for entry in entries]
    unit = content.get("vector_unit")
    if isinstance(unit, dict):
        named.append(("vector_unit", unit))
    for level, entry in named:
        bits = _bits(entry.get("word_bits"), parameters)
        for key, value in _leaves(entry):
            alone = isinstance(value, str) and value.startswith("=") and value[1:].strip() == name
            if alone and is_figure(level, key):
                yield Figure(level, key, bits)


def _leaves(entry: Mapping[Any, Any]) -> Iterator[tuple[str, object]]:
    for key, value in entry.items():
        if isinstance(value, dict):
            yield from _leaves(value)
        else:
            yield str(key), value


def _bits(given: object, parameters: Mapping[str, Any]) -> int | None:
    """Bits of a word, where they are a number or follow from parameters that are."""
    if isinstance(given, str) and given.startswith("="):
        try:
            expression = parse_expression(given[1:].strip())
            given = expression.value({name: parameters[name] for name in expression.names})
        except (ValueError, KeyError, TypeError):
            return None
    return given if type(given) is int and given > 0 else None
