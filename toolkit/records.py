"""What a file may hold, checked by pydantic; one line says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from toolkit.errors import InputError
from toolkit.messages import describe, format_key, suggest


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

    # Built when the first file of a kind is read: most runs read few kinds.
    model_config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, frozen=True, defer_build=True
    )

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
