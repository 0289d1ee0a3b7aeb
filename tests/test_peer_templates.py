"""What templates of Timeloop's are expanded to, and what is never carried out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.peer_files import read_document
from toolkit.peer_templates import MAX_INCLUDES, expand_template


def expand(folder: Path, text: str, **values: object) -> str:
    return expand_template(text, str(folder / "a.yaml"), InputError, values)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {{ n|default(3) }}", "a: 3"),
        ("a: {{ given }}", "a: 7"),
        ("{% set n = 2 %}a: {{ n }}", "a: 2"),
        ("{% set n = given|default(2) %}a: {{ n }}", "a: 7"),
        ("a: {{ 'x' ~ given ~ '.yaml' }}", "a: x7.yaml"),
        ("{% if n|default(True) %}a: 1{% else %}a: 2{% endif %}", "a: 1"),
        ("{% if not given %}a: 1{% elif given %}a: 3{% endif %}", "a: 3"),
        ("{# not read #}a: 1", "a: 1"),
        ("{% if path_exists('b.yaml') %}b: 1{% endif %}", "b: 1"),
        ("{% if path_exists('c.yaml') %}c: 1{% else %}c: 2{% endif %}", "c: 2"),
        ("{{ include_text('b.yaml') }}", "x: {y: [1, 2]}"),
        ("z: {{ include('b.yaml', 'x.y') }}", "z: [1, 2]"),
        ("z: {{ include_all('parts/*.yaml', 'list') }}", "z: [1, {'!Container': {name: 'n,}'}}]"),
        ("{{ add_to_path('parts') }}a: {{ include('one.yaml', 'list') }}", "a: [1]"),
    ],
)
def test_expanded(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "b.yaml").write_text("x: {y: [1, 2]}")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "one.yaml").write_text("list: [1]")
    (tmp_path / "parts" / "two.yaml").write_text("list: [!Container {name: 'n,}'}]")
    assert expand(tmp_path, text, given=7) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {{ n }}", "line 1: 'n' has no value"),
        ("\n{{ include_text('c.yaml') }}", "line 2: no file 'c.yaml' beside it"),
        ("{{ include_text('../../c.yaml') }}", "lies outside of"),
        ("{{ include_text('/etc/passwd') }}", "lies outside of"),
        ("{{ include_text('b.png') }}", "expected a file that ends in .yaml"),
        ("{{ include('b.yaml', 'x.z') }}", "b.yaml' has no 'x.z'"),
        ("{{ include('b.yaml'", "line 1: not a template"),
        ("{% for i in range(9) %}{% endfor %}", "for is not expanded here"),
        ("{% macro f() %}{% endmacro %}", "macro is not expanded here"),
        ("{{ ''.__class__ }}", "getattr in a template is not expanded here"),
        ("{{ 9 ** 9 ** 9 }}", "pow in a template is not expanded here"),
        ("{{ 'a' * 99999999 }}", "mul in a template is not expanded here"),
        ("{{ setenv('A', 'b') }}", "'setenv' is no such function"),
        ("{{ include_text(1) }}", "'include_text' is no such function"),
        ("{{ 'a'|upper }}", "filter in a template is not expanded here"),
        ("{{ " + "(" * 9999 + " }}", "not a template"),
        ("{{ " + "1" * 9999 + " }}", "not a template"),
        ("{{ include_text('loop.yaml') }}", "deeper than 8"),
        ("{{ include_text('many.yaml') }}", f"more than {MAX_INCLUDES} files"),
        ("{{ include_text('large.yaml') }}", "expands to more than 1048576 bytes"),
        ("{% set a = 'xy' %}" + "{% set a = a ~ a %}" * 40, "makes more than 1048576 bytes"),
        ("{% if 1 %}" * 3000 + "{% endif %}" * 3000, "not a template|nested more than 50 deep"),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    (folder / "b.yaml").write_text("x: {y: [1, 2]}")
    (folder / "b.png").write_text("x")
    (folder / "loop.yaml").write_text("{{ include_text('loop.yaml') }}")
    (folder / "many.yaml").write_text("{{ include_text('b.yaml') }}" * (MAX_INCLUDES + 1))
    (folder / "big.yaml").write_text("x" * 600_000)
    (folder / "large.yaml").write_text("{{ include_text('big.yaml') }}" * 2)
    with pytest.raises(InputError, match=message):
        expand(folder, text)


def test_links_do_not_lead_outside(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    (tmp_path / "secret.yaml").write_text("a: 1")
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    with pytest.raises(InputError, match="lies outside of"):
        expand(folder, "{{ include_text('link.yaml') }}")


PIECES = st.sampled_from(
    ("{{", "}}", "{%", "%}", "if", "else", "endif", "set", "n", "=", "'a'", "(", ")", "|", "~",
     "default", "include_text", "cwd", "1", " ", "\n", "not", "[", "]", ".", "{#", "#}", "-")
)  # fmt: skip


@given(st.lists(PIECES, max_size=30))
def test_anything_is_expanded_or_refused(pieces: list[str]) -> None:
    try:
        expand(Path("/nowhere"), "".join(pieces), n=1)
    except InputError as cause:
        assert str(cause).startswith("/nowhere/a.yaml: line ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("problem: {a: &x [1, 2], b: *x}", {"a": [1, 2], "b": [1, 2]}),
        ("problem: {a: &x {c: 1, d: 2}, b: {<<: *x, c: 3}}", {"c": 3, "d": 2}),
        ("problem: {a: &x {c: {e: 1, f: 2}}, b: {<<: *x, c: {e: 9}}}", {"c": {"e": 9}}),
        ("problem: {a: &x {c: {e: 1, f: 2}}, b: {<<<: *x, c: {e: 9}}}", {"c": {"e": 9, "f": 2}}),
        ("problem: {a: &x {c: [1]}, b: {<<<: *x, c: !nomerge [2]}}", {"c": [2]}),
        ("problem: {a: &x {c: 1}, d: &y {c: 2, e: 3}, b: {<<: [*x, *y]}}", {"c": 1, "e": 3}),
    ],
)
def test_aliases_and_merges(tmp_path: Path, text: str, expected: object) -> None:
    (tmp_path / "a.yaml").write_text(text)
    data = read_document(str(tmp_path / "a.yaml"), InputError).data
    assert isinstance(data, dict)
    found = data["problem"]
    assert expected in (found, found["b"])


LAUGHS = "problem:\n  a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"  {new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in ("ab", "bc", "cd", "de")
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "aliases stand for more than 20000 values"),
        ("problem: {a: *x}", "no value is anchored as &x"),
        ("problem: {a: &x {b: *x}}", "no value is anchored as &x"),
        ("problem: {a: &x 1, b: {<<: *x}}", "expected mappings to merge, got 1"),
        ("problem: {a: &x {c: [1]}, b: {<<<: *x, c: [2]}}", "both give a list for 'c'"),
        ("a: &x 1", "anchors and aliases"),
    ],
)
def test_aliases_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_document(str(tmp_path / "a.yaml"), InputError)
