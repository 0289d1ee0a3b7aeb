"""The page about the house says what is so, and imports run the one way that it names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "toolkit"
PAGE = (ROOT / "docs" / "house.md").read_text()
SUFFIXES = {".cfg", ".md", ".py", ".txt", ".yaml"}

ENTRIES = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}
"""Files of the package that lie in no room, but open the house to users."""


def section(heading: str) -> str:
    """Text under a heading of the page."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def rows(heading: str) -> dict[str, str]:
    """First and second column of the table under a heading."""
    cells = re.findall(r"^\| (.+?) \| (.+) \|$", section(heading), flags=re.MULTILINE)
    return dict(cells[1:])


def paths(text: str) -> list[str]:
    """What looks like the path of a file or a folder of ours, of all that stands in backticks."""
    quoted = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    return [
        name
        for name in quoted
        if re.fullmatch(r"[\w.*/-]+", name) and ("/" in name or Path(name).suffix in SUFFIXES)
    ]


ORDER = re.search(r"^```text\n(.*?)\n```$", section("Rooms"), flags=re.MULTILINE)[1].split(" -> ")
"""The rooms as the page lets them import."""

TO_ADD = rows("To add something")


@pytest.mark.parametrize("path", sorted(set(paths(PAGE))))
def test_every_path_exists(path: str) -> None:
    anywhere = "*" in path and "/" not in path
    found = list(PACKAGE.rglob(path) if anywhere else ROOT.glob(path))
    assert found
    assert not path.endswith("/") or all(place.is_dir() for place in found)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).is_file()
    assert "](docs/house.md)" in (ROOT / "README.md").read_text()


def test_the_rooms_are_the_packages() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(ORDER) == packages
    assert list(rows("Rooms")) == [f"`toolkit/{room}/`" for room in ORDER]


def test_modules_outside_of_rooms_are_all_named() -> None:
    named = {ROOT / path for path in paths(section("Rooms"))}
    assert set(PACKAGE.glob("*.py")) - ENTRIES <= named


def test_the_page_says_what_to_touch_for_everything_that_is_added() -> None:
    kinds = (
        "strategy",
        "Optuna sampler",
        "encoding of mappings",
        "question for optimisers",
        "variable to learn",
        "objective",
        "convention",
        "work for many processes",
        "physical effect",
        "rule of validity",
        "memory key",
        "compute key",
        "fanout key",
        "ONNX operator",
        "activation in several operators",
        "fold of layers",
        "figure of serving",
        "built-in network",
        "fusion pattern",
        "fusion strategy",
        "hardware strategy",
        "picture",
        "peer format",
        "command",
        "what other packages may add",
        "page of the documentation",
        "priced component",
        "architecture",
        "workload",
        "fitted latency",
        "kernel",
    )
    begun = [re.sub("^an? ", "", row) for row in TO_ADD]
    assert len(begun) == len(kinds)
    for kind, row in zip(kinds, begun, strict=True):
        assert row.startswith(kind)


@pytest.mark.parametrize("kind", TO_ADD)
def test_every_row_names_files_and_tests(kind: str) -> None:
    named = paths(TO_ADD[kind])
    assert any(not path.startswith("tests/") for path in named)
    assert any(path.startswith("tests/") for path in named)


ENTRY = r"toolkit(\.\w+)+:\w+"
"""How registries name what they load late."""


def imported(tree: ast.Module) -> Iterator[str]:
    """Modules of ours that a module imports anywhere, be it late or for types alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and re.fullmatch(ENTRY, str(node.value)):
            yield str(node.value).partition(":")[0]


def rooms_imported(path: Path) -> set[str]:
    """Rooms that a module imports from."""
    modules = [name.split(".") for name in imported(ast.parse(path.read_text()))]
    return {parts[1] for parts in modules if parts[0] == "toolkit" and len(parts) > 1} & set(ORDER)


@pytest.mark.parametrize("room", ORDER)
def test_no_room_imports_a_later_one(room: str) -> None:
    later = set(ORDER[ORDER.index(room) + 1 :])
    for path in (PACKAGE / room).rglob("*.py"):
        assert not rooms_imported(path) & later, path


def test_modules_outside_of_rooms_import_none() -> None:
    modules = set(PACKAGE.glob("*.py")) - ENTRIES
    assert modules
    for path in modules:
        assert not rooms_imported(path), path
