"""What a file or an argument may hold, files checked by pydantic; one-line messages otherwise."""

from __future__ import annotations

import difflib
import numbers
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from toolkit.errors import InputError
from toolkit.yaml_files import describe, format_key

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def _check_label(text: str) -> str:
    if not 1 <= len(text) <= 500 or not text.isprintable() or text != text.strip():
        raise ValueError(
            f"expected 1 to 500 printable characters without spaces around, got {describe(text)}"
        )
    return text


Label = Annotated[str, AfterValidator(_check_label)]
"""A name for people: one line of printable text."""


class Record(BaseModel):
    """Base of everything a file may hold: strict types, finite numbers, no unknown keys."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        for key, value in data.items():
            if key not in cls.model_fields:
                raise PydanticCustomError(
                    "unknown_key",
                    "unknown key{hint}; known keys: {known}",
                    {
                        "key": str(key),
                        "hint": suggest(str(key), cls.model_fields),
                        "known": ", ".join(cls.model_fields),
                    },
                )
            if value is None:
                raise PydanticCustomError(
                    "empty_key", "has no value; give one or leave the key out", {"key": str(key)}
                )
        return data


RecordT = TypeVar("RecordT", bound=Record)


def suggest(given: str, known: Iterable[str]) -> str:
    """Name the nearest known word for a message, or nothing.

    Examples
    --------
    >>> suggest("mehs", ["mesh", "name"])
    " (did you mean 'mesh'?)"
    """
    by_lower = {word.lower(): word for word in known}
    close = difflib.get_close_matches(given.lower()[:80], by_lower, n=1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""


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


def validate(
    record: type[RecordT], data: object, *, source: str, error: type[InputError] = InputError
) -> RecordT:
    """Check plain data against `record`.

    Raises
    ------
    InputError
        One line for the first mistake: file, key path, value, and what was expected.
    """
    try:
        return record.model_validate(data)
    except ValidationError as cause:
        details = cause.errors(include_url=False)
        message, key = _explain(details[0])
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        raise error(message + more, source=source, key=key or None) from None


_EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "finite_number": "a finite number",
    "greater_than": "a number greater than {gt:g}",
    "greater_than_equal": "at least {ge:.10g}",
    "less_than_equal": "at most {le:.10g}",
    "literal_error": "{expected}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
}


def _explain(detail: ErrorDetails) -> tuple[str, str]:
    context = detail.get("ctx", {})
    # Parts in parentheses are the tags of a discriminated union, not keys of the file.
    path = [p for p in detail["loc"] if isinstance(p, int) or not re.fullmatch(r"\(\w+\)", p)]
    kind = detail["type"]
    if kind in ("unknown_key", "empty_key"):
        path.append(context["key"])
    key = format_key(path)
    if kind == "missing":
        return "this key is required and missing", key
    if kind == "value_error":
        return str(context["error"]), key
    if kind in _EXPECTED:
        expected = _EXPECTED[kind].format(**context)
        return f"expected {expected}, got {describe(detail['input'])}", key
    return detail["msg"], key


ErrorT = TypeVar("ErrorT", bound=InputError)


def relocated(cause: ErrorT, source: str, key: str | None = None) -> ErrorT:
    """Say of an error where it came from: the file, and the key in it if `cause` names none."""
    own = ": ".join(part for part in (cause.source, cause.key) if part)
    message = str(cause).removeprefix(f"{own}: ") if own else str(cause)
    return type(cause)(message, source=source, key=key or cause.key)
