"""Ranges of parameters as they are written on a command line."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.arch.expressions import Number
from toolkit.arch.quantities import Quantity, parse_quantity
from toolkit.arch.ranges import parse_range
from toolkit.arch.template import ArchitectureTemplate
from toolkit.errors import ArchitectureError, InputError
from toolkit.messages import describe

_FORMS = "expected NAME=8..64, NAME=8,12,16 or, of capacities and bandwidths, NAME=8KiB..1MiB"


def read_ranges(
    words: Sequence[str],
    template: ArchitectureTemplate | None = None,
    clock_ghz: float | None = None,
) -> dict[str, list[Number]]:
    """Read ranges from a command line: ``side=8..64``, doubling, or ``side=8,12,16``.

    Parameters
    ----------
    words : sequence of str
        Each ``NAME=VALUES``.
    template : ArchitectureTemplate, optional
        Whose parameters take values with units, such as ``dram_bandwidth=8..64GB/s``; a unit
        behind the last value is that of all that have none.
    clock_ghz : float, optional
        That bandwidths per second are meant at.

    Raises
    ------
    InputError
        If a word is of neither form, a range is empty or reversed, a name comes twice, or a unit
        is unknown or does not suit the parameter.

    Examples
    --------
    >>> read_ranges(["side=8..64", "dram_bandwidth=8,12"])
    {'side': [8, 16, 32, 64], 'dram_bandwidth': [8, 12]}
    >>> from toolkit.arch import load_template
    >>> read_ranges(["dram_bandwidth=8..16GB/s"], load_template("gemmini-ws"), clock_ghz=0.5)
    {'dram_bandwidth': [16, 32]}
    """
    given: dict[str, tuple[str, list[Number | Quantity], bool]] = {}
    for word in words:
        name, equals, text = (part.strip() for part in word.partition("="))
        if not (name and equals and text) or name in given:
            raise InputError(
                f"{describe(word)}: {'given twice' if name in given else _FORMS}",
                source="--range",
            )
        low, dots, high = text.partition("..")
        values = _values([low, high] if dots else text.split(","), word)
        given[name] = word, values, bool(dots)
    plain = {name: values for name, (_, values, _) in given.items() if not _has_quantity(values)}
    found: dict[str, list[Number]] = {}
    for name, (word, values, doubling) in given.items():
        numbers = [_number(name, value, word, plain, template, clock_ghz) for value in values]
        data: object = (
            {"from": numbers[0], "to": numbers[1], "step": "double"} if doubling else numbers
        )
        found[name] = list(parse_range(data, "--range", name).values)
    return found


def _has_quantity(values: Sequence[Number | Quantity]) -> bool:
    return any(isinstance(value, Quantity) for value in values)


def _values(texts: Sequence[str], word: str) -> list[Number | Quantity]:
    """Read values; those without a unit have that of the last one."""
    values = [_value(text, word) for text in texts]
    last = values[-1]
    if not isinstance(last, Quantity):
        return values
    unit = last.text.lstrip("+-.0123456789eE ")
    return [
        value if isinstance(value, Quantity) else _value(f"{value}{unit}", word)
        for value in values
    ]


def _value(text: str, word: str) -> Number | Quantity:
    try:
        quantity = parse_quantity(text)
    except ValueError as cause:
        raise InputError(f"{describe(word)}: {cause}", source="--range") from None
    if quantity is not None:
        return quantity
    try:
        return int(text) if text.strip().isdigit() else float(text)
    except ValueError:
        raise InputError(
            f"{describe(word)}: {describe(text)} is no number", source="--range"
        ) from None


def _number(
    name: str,
    value: Number | Quantity,
    word: str,
    plain: dict[str, list[Number | Quantity]],
    template: ArchitectureTemplate | None,
    clock_ghz: float | None,
) -> Number:
    if not isinstance(value, Quantity):
        return value
    if template is None:
        raise InputError(f"{describe(word)}: {_FORMS}", source="--range")
    others = {other: values for other, values in plain.items() if other in template.parameters}
    try:
        numbers = {
            template.native(
                {**{other: values[i] for other, values in others.items()}, name: value}, clock_ghz
            )[name]
            for i in (0, -1)
        }
    except ArchitectureError as cause:
        told = str(cause).removeprefix(f"{cause.source}: ")
        raise InputError(f"{describe(word)}: {told}", source="--range") from None
    if len(numbers) > 1:
        raise InputError(
            f"{describe(word)}: expected plain numbers, for the bits of a word are chosen, too",
            source="--range",
        )
    return numbers.pop()
