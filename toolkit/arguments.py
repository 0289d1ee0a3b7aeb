"""Arguments of the Python API: of the right kind, their numbers Python's own."""

from __future__ import annotations

import numbers
import operator
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from toolkit.errors import InputError
from toolkit.messages import describe

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_MADE_BY = {
    "Architecture": "toolkit.load_arch",
    "Budget": "toolkit.Budget",
    "Conventions": "toolkit.CONVENTIONS",
    "LayerGraph": "toolkit.load_network",
    "Mapping": "toolkit.read_mapping",
    "Problem": "toolkit.make_problem",
    "Workload": "toolkit.load_workload",
}


def check_kind(value: object, kind: type, key: str) -> None:
    """Refuse what is not of a kind, such as the name of an architecture instead of it.

    Raises
    ------
    InputError
        Saying where one comes from.

    Examples
    --------
    >>> from toolkit.arch import Architecture
    >>> check_kind("eyeriss", Architecture, "arch")
    Traceback (most recent call last):
    toolkit.errors.InputError: arch: expected Architecture (see toolkit.load_arch), got 'eyeriss'
    """
    if isinstance(value, kind):
        return
    see = f" (see {_MADE_BY[kind.__name__]})" if kind.__name__ in _MADE_BY else ""
    raise InputError(f"expected {kind.__name__}{see}, got {describe(value)}", key=key)


ValueT = TypeVar("ValueT")

_PLAIN_KINDS = frozenset((bool, float, int, str, tuple, type(None)))
"""Of what nothing has to be tried: almost all that `plain_number` is given."""


def plain_integer(value: ValueT) -> ValueT | int:
    """Write an integer of NumPy or another library as Python's own; leave all else as it is.

    Examples
    --------
    >>> import numpy as np
    >>> plain_integer(np.int64(3)), plain_integer(True), plain_integer(3.0), plain_integer("3")
    (3, True, 3.0, '3')
    """
    if type(value) is int or isinstance(value, bool):
        return value
    try:
        return operator.index(value)  # type: ignore[arg-type]  # What is none is refused.
    except TypeError:
        return value


def plain_number(value: ValueT) -> ValueT | int | float:
    """Write a real number of NumPy or another library as Python's own; leave all else as it is.

    Examples
    --------
    >>> import numpy as np
    >>> plain_number(np.float32(0.5)), plain_number(np.int8(3)), plain_number(True)
    (0.5, 3, True)
    """
    if type(value) in _PLAIN_KINDS:
        return value
    number = plain_integer(value)
    if isinstance(number, int) or not isinstance(number, numbers.Real):
        return number
    try:
        return float(number)
    except OverflowError:
        return value


def store_plain_numbers(record: DataclassInstance) -> None:
    """Turn the numbers of a frozen dataclass that was just made into Python's own.

    They then compute exactly, and can be written to files, whatever library they came from.
    """
    for field in fields(record):
        given: Any = getattr(record, field.name)
        plain = plain_number(given)
        if plain is not given:
            object.__setattr__(record, field.name, plain)


def check_integer(value: object, least: int, key: str) -> int:
    """Read an integer argument of any library.

    Raises
    ------
    InputError
        If it is none (true and false are none), or below `least`.

    Examples
    --------
    >>> check_integer(0, 1, "jobs")
    Traceback (most recent call last):
    toolkit.errors.InputError: jobs: 0 is not an integer from 1
    """
    number = plain_integer(value)
    if type(number) is not int or number < least:
        raise InputError(f"{number!r} is not an integer from {least}", key=key)
    return number
