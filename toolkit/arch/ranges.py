"""Ranges of parameters: which values a search over hardware may give them, in order."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from toolkit.arch.expressions import Expression, Number, simplest
from toolkit.arch.parameters import Parameters, check_name
from toolkit.arguments import plain_integer, plain_number
from toolkit.errors import ArchitectureError
from toolkit.messages import describe, format_key

MAX_VALUES = 100_000
"""Most values of one range: beyond what a search visits, and still a list made in an instant."""

Encoding = Literal["log2", "index"]

_FORMS = "a list of numbers, or from and to with an optional step (an integer, or double)"
_KEYS = ("from", "to", "step")


@dataclass(frozen=True)
class Range:
    """The values a parameter may take.

    Parameters
    ----------
    values : tuple of number
        Positive, ascending, each once.
    encoding : {"log2", "index"}
        What stands for a value in a search: its binary logarithm where each value doubles the
        one before, else its position.

    Examples
    --------
    >>> sizes = Range((4, 8, 16), "log2")
    >>> sizes.encode(8), sizes.decode(3.4), sizes.round_up(5)
    (3.0, 8, 8)
    """

    values: tuple[Number, ...]
    encoding: Encoding = "index"

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest code."""
        return self.encode(self.values[0]), self.encode(self.values[-1])

    def index(self, value: Number) -> int:
        """Find the position of a value.

        Raises
        ------
        ValueError
            If it is none of the values.
        """
        place = bisect.bisect_left(self.values, value)
        if place == len(self.values) or self.values[place] != value:
            raise ValueError(f"{value} is none of {self}")
        return place

    def round_up(self, value: float) -> Number | None:
        """Return the least value that is not below `value`; None if all are."""
        place = bisect.bisect_left(self.values, value)
        return self.values[place] if place < len(self.values) else None

    def encode(self, value: Number) -> float:
        """Return the code of a value."""
        return math.log2(value) if self.encoding == "log2" else float(self.index(value))

    def decode(self, code: float) -> Number:
        """Return the value whose code is nearest, the smaller one of two."""
        low, high = self.bounds
        share = (min(max(code, low), high) - low) / (high - low) if high > low else 0.0
        # Codes of neighbours are equally far apart under both encodings.
        return self.values[math.ceil(share * (len(self.values) - 1) - 0.5)]

    def __str__(self) -> str:
        first, *rest = self.values
        if not rest:
            return f"{first}"
        steps = {b - a for a, b in zip(self.values, rest, strict=False)}
        if self.encoding == "log2":
            return f"{first}..{rest[-1]} doubling"
        if len(self.values) > 3 and len(steps) == 1:
            step = steps.pop()
            return f"{first}..{rest[-1]}" + (f" by {step}" if step != 1 else "")
        return ", ".join(map(str, self.values))


def parse_range(data: object, source: str | None = None, key: str | None = None) -> Range:
    """Read a range as files write it.

    Parameters
    ----------
    data : object
        A list of ascending numbers; or a mapping of ``from`` and ``to`` (both included where
        the steps reach them) and ``step``, an integer (1 by default) or ``double``.
    source, key : str, optional
        Where it stands, for messages.

    Raises
    ------
    ArchitectureError
        If it is empty, reversed or otherwise not a range.

    Examples
    --------
    >>> parse_range({"from": 4, "to": 64, "step": "double"}).values
    (4, 8, 16, 32, 64)
    >>> str(parse_range([1, 2, 3, 8]))
    '1, 2, 3, 8'
    """
    try:
        if isinstance(data, Range):
            return data
        if isinstance(data, list | tuple):
            return _listed(data)
        if isinstance(data, Mapping):
            return _stepped(data)
        raise ValueError(f"expected {_FORMS}, got {describe(data)}")
    except ValueError as cause:
        raise ArchitectureError(str(cause), source=source, key=key) from None


def read_ranges(section: object, parameters: Parameters) -> dict[str, Range]:
    """Read the ``ranges`` of a file.

    Parameters
    ----------
    section : object
        Parameters with their ranges; None if there are none.
    parameters : Parameters
        Those of the file.

    Raises
    ------
    ArchitectureError
        If a parameter is unknown, a range is none, or a default that is a number is not in it.
    """
    source = parameters.source
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise ArchitectureError(
            f"expected a mapping of parameters to ranges, got {describe(section)}",
            source=source,
            key="ranges",
        )
    ranges: dict[str, Range] = {}
    for name, data in section.items():
        key = format_key(("ranges", name))
        check_name(name, parameters.defaults, source, key)
        found = ranges[name] = parse_range(data, source, key)
        default = parameters.defaults[name]
        if not isinstance(default, Expression) and default not in found.values:
            raise ArchitectureError(
                f"the default {default} is not in the range {found}", source=source, key=key
            )
    return ranges


def _number(given: object, what: str) -> Number:
    value = plain_number(given)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{what}: expected a positive number, got {describe(value)}")
    if not 0 < value <= 1e15:
        raise ValueError(f"{what}: expected a positive number up to 1e15, got {describe(value)}")
    return simplest(value)


def _listed(data: Sequence[object]) -> Range:
    if not data:
        raise ValueError("the range is empty; expected at least one value")
    if len(data) > MAX_VALUES:
        raise ValueError(f"{len(data)} values; expected at most {MAX_VALUES}")
    values = tuple(_number(value, f"entry {i}") for i, value in enumerate(data))
    for before, after in zip(values, values[1:], strict=False):
        if after <= before:
            raise ValueError(f"{after} follows {before}; expected ascending values, each once")
    doubling = len(values) > 1 and all(
        after == 2 * before for before, after in zip(values, values[1:], strict=False)
    )
    return Range(values, "log2" if doubling else "index")


def _stepped(data: Mapping[Any, object]) -> Range:
    unknown = [key for key in data if key not in _KEYS]
    if unknown:
        raise ValueError(f"unknown key {describe(unknown[0])}; expected {_FORMS}")
    for key in ("from", "to"):
        if key not in data:
            raise ValueError(f"has no {key}; expected {_FORMS}")
    low, high = _number(data["from"], "from"), _number(data["to"], "to")
    step = plain_integer(data.get("step", 1))
    if low > high:
        raise ValueError(f"reversed: from {low} is larger than to {high}")
    if step == "double":
        count = math.floor(math.log2(high / low) + 1e-9) + 1
        return Range(tuple(low * 2**i for i in range(count)), "log2" if count > 1 else "index")
    if isinstance(step, bool) or not isinstance(step, int) or step < 1:
        raise ValueError(f"step: expected a positive integer or double, got {describe(step)}")
    count = int((high - low) // step) + 1
    if count > MAX_VALUES:
        raise ValueError(f"{count} values; expected at most {MAX_VALUES}, or a larger step")
    return Range(tuple(simplest(low + i * step) for i in range(count)))
