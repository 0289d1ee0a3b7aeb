from __future__ import annotations

import pytest

from toolkit.errors import InputError
from toolkit.records import Label, Record, validate


class Inner(Record):
    size: int
    ratio: float = 1.0
    on: bool = False


class Outer(Record):
    name: Label
    parts: list[Inner] = []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "f: expected a mapping, got nothing"),
        ([], "f: expected a mapping, got a list"),
        ({}, "f: name: this key is required and missing"),
        (
            {"nmae": "x"},
            r"f: nmae: unknown key \(did you mean 'name'\?\); known keys: name, parts",
        ),
        ({"name": None}, "f: name: has no value"),
        ({"name": 5}, "f: name: expected text, got 5"),
        ({"name": ""}, "f: name: expected 1 to 500 printable characters"),
        ({"name": "a\x1b[31m"}, "f: name: expected 1 to 500 printable characters"),
        ({"name": "x", "parts": {}}, r"f: parts: expected a list, got a mapping"),
        ({"name": "x", "parts": [1]}, r"f: parts\[0\]: expected a mapping, got 1"),
        (
            {"name": "x", "parts": [{"size": 1.5}]},
            r"parts\[0\]\.size: expected an integer, got 1.5",
        ),
        ({"name": "x", "parts": [{"size": True}]}, r"parts\[0\]\.size: expected an integer"),
        ({"name": "x", "parts": [{"size": "1"}]}, r"size: expected an integer, got '1'"),
        (
            {"name": "x", "parts": [{"size": 1, "ratio": float("nan")}]},
            "expected a finite number, got nan",
        ),
        ({"name": "x", "parts": [{"size": 1, "ratio": "2"}]}, "expected a number, got '2'"),
        ({"name": "x", "parts": [{"size": 1, "on": 1}]}, "on: expected true or false, got 1"),
        ({"parts": [{}]}, r"\(and 1 more\)"),
    ],
)
def test_messages_name_file_key_value_and_expectation(data: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(Outer, data, source="f")
