"""Quantities with units, and the plain numbers that parameters of a template take instead.

A parameter that is the capacity of a memory may be given in bytes, one that is a bandwidth in
bytes per second, and one that is a number of operations per cycle in operations per second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from toolkit.arch.bitwise import BANDWIDTH_FORMS
from toolkit.arch.expressions import Number, simplest
from toolkit.messages import suggest

Kind = Literal["bytes", "bytes per second", "operations per second", "hertz", "watts", "mm²"]

_DECIMAL = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}

UNITS: dict[str, tuple[Kind, float]] = {
    **{f"{p}B": ("bytes", scale) for p, scale in (_DECIMAL | _BINARY).items()},
    **{f"{p}B/s": ("bytes per second", scale) for p, scale in (_DECIMAL | _BINARY).items()},
    **{f"{p}OPS": ("operations per second", scale) for p, scale in _DECIMAL.items() if p},
    **{f"{p}Hz": ("hertz", scale) for p, scale in _DECIMAL.items()},
    **{f"{p}W": ("watts", scale) for p, scale in {"m": 1e-3, "": 1.0}.items()},
    **{unit: ("mm²", 1.0) for unit in ("mm2", "mm^2", "mm²")},
    **{unit: ("mm²", 1e-6) for unit in ("um2", "um^2", "um²", "µm²")},
}
"""Kind and size of every unit; operations are additions and multiplications, each one."""

_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_QUANTITY = re.compile(rf"({_NUMBER})\s*([^\W\d_][^\s]*)")
_PLAIN = re.compile(_NUMBER)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of some unit.

    Parameters
    ----------
    text : str
        As it was given.
    kind : str
        What it is an amount of.
    value : float
        In bytes, bytes or operations per second, hertz, watts or mm².
    """

    text: str
    kind: Kind
    value: float


def parse_quantity(text: str) -> Quantity | None:
    """Read a quantity with a unit; None if the text is none, such as a plain number.

    Raises
    ------
    ValueError
        If a number is followed by no unit that is known.

    Examples
    --------
    >>> parse_quantity("64KiB").value, parse_quantity("12.8 GB/s").kind
    (65536.0, 'bytes per second')
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None or _PLAIN.fullmatch(text.strip()):
        return None
    number, unit = match.groups()
    if unit not in UNITS:
        known = "B, KiB, MB, GB/s, GOPS and the like"
        raise ValueError(f"{unit} is no unit{suggest(unit, UNITS)}; expected {known}")
    kind, scale = UNITS[unit]
    return Quantity(text.strip(), kind, float(number) * scale)


def in_unit(text: str, kind: Kind, plain: float) -> float:
    """Read a number or a quantity of one kind.

    Parameters
    ----------
    plain : float
        How much a plain number stands for.

    Raises
    ------
    ValueError
        If it is no number, or one of another kind.

    Examples
    --------
    >>> in_unit("800MHz", "hertz", 1e9), in_unit("1.5", "hertz", 1e9)
    (800000000.0, 1500000000.0)
    """
    quantity = parse_quantity(text)
    if quantity is not None:
        if quantity.kind != kind:
            raise ValueError(f"expected {kind}, got {quantity.text}: {quantity.kind}")
        return quantity.value
    if not _PLAIN.fullmatch(text.strip()):
        raise ValueError(f"expected a number, or one with a unit, got {text.strip()!r}")
    return float(text) * plain


@dataclass(frozen=True, slots=True)
class Figure:
    """What a parameter of a template is, figure by figure.

    Parameters
    ----------
    level : str
        Name of the level; ``vector_unit`` of that.
    key : str
        Of the level in the file.
    word_bits : int or None
        Of its words.
    """

    level: str
    key: str
    word_bits: int | None


_CAPACITIES = {"capacity_words": None, "capacity_bits": 1.0, "capacity_bytes": 8.0}
"""Keys for room, and bits of their units; words have their own."""
_BANDWIDTHS = {key for form in BANDWIDTH_FORMS for key in form}
_OPERATIONS = {("vector_unit", "lanes"): 1.0}
"""Operations per cycle of what is counted there."""


def is_figure(level: str, key: str) -> bool:
    """Whether what a key of a level says is an amount that units are known of."""
    return key in _CAPACITIES or key in _BANDWIDTHS or (level, key) in _OPERATIONS


def native_number(quantity: Quantity, figure: Figure, clock_ghz: float | None) -> Number:
    """Turn a quantity into what a parameter that is a figure takes.

    Raises
    ------
    ValueError
        If the figure is of another kind, its words have no bits, or there is no clock.

    Examples
    --------
    >>> buffer = Figure("Buffer", "capacity_words", 16)
    >>> native_number(Quantity("1KiB", "bytes", 1024.0), buffer, None)
    512
    """
    if quantity.kind == "bytes" and figure.key in _CAPACITIES:
        unit_bits = _CAPACITIES[figure.key] or _word_bits(figure)
        return _whole(quantity, 8 * quantity.value / unit_bits, figure)
    if quantity.kind == "bytes per second" and figure.key in _BANDWIDTHS:
        return _bandwidth(quantity, figure, clock_ghz)
    if quantity.kind == "operations per second" and (figure.level, figure.key) in _OPERATIONS:
        per_cycle = quantity.value / 1e9 / _clock(quantity, clock_ghz)
        return _whole(quantity, per_cycle / _OPERATIONS[figure.level, figure.key], figure)
    raise ValueError(
        f"{quantity.text} is {quantity.kind}, but it is {figure.key} of {figure.level}"
    )


def _bandwidth(quantity: Quantity, figure: Figure, clock_ghz: float | None) -> Number:
    gb_per_s = quantity.value / 1e9
    if figure.key.endswith("gb_per_s"):
        return simplest(gb_per_s)
    bytes_per_cycle = gb_per_s / _clock(quantity, clock_ghz)
    if figure.key.endswith("bytes_per_cycle"):
        return simplest(bytes_per_cycle)
    bits = 1 if figure.key.endswith("bits_per_cycle") else _word_bits(figure)
    return simplest(8 * bytes_per_cycle / bits)


def _word_bits(figure: Figure) -> int:
    if figure.word_bits is None:
        raise ValueError(f"{figure.level} has no word_bits to turn it into words")
    return figure.word_bits


def _clock(quantity: Quantity, clock_ghz: float | None) -> float:
    if clock_ghz is None:
        raise ValueError(f"{quantity.text} needs a clock; expected clock_mhz in the file")
    return clock_ghz


def _whole(quantity: Quantity, value: float, figure: Figure) -> int:
    if value != int(value) or value < 1:
        raise ValueError(
            f"{quantity.text} is {value:g} in {figure.key} of {figure.level}; "
            "expected a whole number"
        )
    return int(value)
