from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InputError, WorkloadError
from toolkit.text_files import MAX_BYTES
from toolkit.yaml_files import dump_yaml, parse_yaml, read_yaml

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | TEXT
    | st.sampled_from(["NO", "y", "1e5", "0x10", "1_0", "1:30", "=", "<<", ".inf", "2020-01-01"])
)
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=10
)


@given(PLAIN)
def test_what_is_dumped_reads_back_the_same(value: object) -> None:
    again = parse_yaml(dump_yaml(value).encode(), source="x")
    assert again == value
    assert repr(again) == repr(value)


@given(st.binary(max_size=60) | TEXT.map(str.encode))
def test_any_bytes_give_plain_data_or_an_input_error(data: bytes) -> None:
    try:
        parse_yaml(data, source="x")
    except InputError as error:
        assert error.source == "x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("N: 4", {"N": 4}),
        ("NO: on", {"NO": "on"}),
        ("1: 2", {"1": 2}),
        ("a: 010", {"a": 10}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: -.inf", {"a": float("-inf")}),
        ("a: 0x10", {"a": "0x10"}),
        ("a: 2020-01-01", {"a": "2020-01-01"}),
        ("<<: 1", {"<<": 1}),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text: str, expected: object) -> None:
    assert parse_yaml(text.encode(), source="x") == expected


@pytest.mark.parametrize(
    ("data", "key", "message"),
    [
        (b"a: [1, {b: &x 1}]", "a[1].b", "anchors and aliases"),
        (b"a: *x", "a", "anchors and aliases"),
        (b"&x a: 1", None, "a key must be plain text"),
        (b"? [a]\n: 1", None, "a key must be plain text"),
        (b"a: !!python/object/apply:os.getcwd []", "a", "is not accepted"),
        (b"a: {b: 1, b: 2}", "a.b", "line 1: this key appears twice"),
        (b"a: 1\n---\nb: 2", None, "a second document"),
        (b"[" * 100_000, "[0][0][0][0][0][0][0][0]", "more than 32 levels deep"),
        (b"- " * 100_000, "[0][0][0][0][0][0][0][0]", "more than 32 levels deep"),
        (b"a: " + b"9" * 5000, "a", "a number of 5000 characters"),
        (b"a: [1,", None, "not valid YAML: line [12], column"),
        (b"a: \x00", None, "not valid YAML"),
        (b"name: \xe9", None, "not UTF-8 text: byte 0xe9 at offset 6"),
        (b"a" * (MAX_BYTES + 1), None, "larger than 1048576 bytes"),
    ],
)
def test_everything_but_plain_data_is_refused(data: bytes, key: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_yaml(data, source="x.yaml")
    assert caught.value.source == "x.yaml"
    assert caught.value.key == key


def test_nesting_up_to_the_limit_is_read() -> None:
    value = parse_yaml(b"[" * 32 + b"]" * 32, source="x")
    for _ in range(31):
        assert isinstance(value, list)
        (value,) = value
    assert value == []


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    cases: list[tuple[str | Path, str]] = [
        (tmp_path, "is a directory"),
        (tmp_path / "missing", "no such file"),
        (tmp_path / "fifo", "not a regular file"),
        ("a\0b", "cannot be read"),
        ("x" * 5000, "cannot be read"),
    ]
    for path, message in cases:
        with pytest.raises(WorkloadError, match=message):
            read_yaml(path, error=WorkloadError)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_yaml(tmp_path / "a.yaml") == {"a": 1}
