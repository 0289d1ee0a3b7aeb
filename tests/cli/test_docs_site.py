"""The site: built without a warning, complete, and read without a network."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from study.browser import visit

import toolkit
from toolkit.cli.app import COMMANDS, Commands, main
from toolkit.cli.site.building import (
    PACKAGE,
    build_docs,
    linked,
    pages_folder,
    settings,
    told,
)
from toolkit.cli.site.schemas import sections, what_is

ROOT = PACKAGE.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Warnings are errors: the site is built strictly."""
    pytest.importorskip("material", reason="the extra docs is not installed")
    return build_docs(tmp_path_factory.mktemp("docs") / "site").parent


def nav(entries: list[object]) -> list[str]:
    """Pages of the menu, in its order."""
    found = []
    for entry in entries:
        (value,) = entry.values()
        found += nav(value) if isinstance(value, list) else [value]
    return found


def test_nothing_but_a_site_is_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("material", reason="the extra docs is not installed")
    mine = tmp_path / "thesis.tex"
    mine.write_text("years")
    monkeypatch.chdir(tmp_path)
    for folder in (".", str(tmp_path), "thesis.tex"):
        assert main(["docs", "--out", folder]) == 2
        assert "expected a new folder, an empty one, or a site" in capsys.readouterr().err
    assert mine.read_text() == "years"
    with pytest.raises(toolkit.InputError, match="embedded null"):
        build_docs("a\0b")


def test_every_page_is_in_the_menu_once() -> None:
    listed = nav(settings()["nav"])
    assert len(listed) == len(set(listed))
    pages = {path.name for path in pages_folder().glob("*.md")}
    notebooks = {f"notebooks/{path.stem}.md" for path in pages_folder().rglob("*.ipynb")}
    written = {name for name in listed if not name.startswith("reference/")}
    assert written == pages | notebooks | {"index.md"}


def test_phones_are_shown_narrow_pictures() -> None:
    shown = linked("![A & b](docs/pictures/kernels.svg)", "README.md", "index.md")
    assert shown == (
        '<picture><source media="(max-width: 46rem)" srcset="pictures/kernels_narrow.svg">'
        '<img alt="A &amp; b" src="pictures/kernels.svg"></picture>'
    )
    assert linked("![a](pictures/b.svg)", "docs/c.md", "c.md") == "![a](pictures/b.svg)"
    drawn = {path.stem for path in (pages_folder() / "pictures").glob("*.svg")}
    wide = {name for name in drawn if not name.endswith("_narrow")}
    assert drawn == wide | {f"{name}_narrow" for name in wide}


def test_all_pages_are_built(site: Path) -> None:
    for name in nav(settings()["nav"]):
        assert (site / name).with_suffix(".html").is_file()


def test_no_page_asks_for_anything_on_the_network(site: Path) -> None:
    asked = r'<(?:script|link|img|iframe)[^>]*(?:src|href)="?(?:https?:)?//'
    for path in site.rglob("*.html"):
        found = [tag for tag in re.findall(asked, path.read_text()) if "canonical" not in tag]
        assert not found, path


def test_the_search_works_on_files(site: Path) -> None:
    with visit((site / "reference" / "files.html").as_uri() + "?q=wordline") as visited:
        result = visited.page.locator(".md-search-result__item").first
        result.wait_for(state="attached")
        assert "wordline" in result.inner_text().lower()
        assert not visited.errors
        assert all(url.startswith(("file:", "data:")) for url in visited.requests)


def test_pages_fit_a_small_screen(site: Path) -> None:
    with visit((site / "index.html").as_uri()) as visited:
        visited.page.set_viewport_size({"width": 400, "height": 800})
        width = visited.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 400
        assert visited.page.locator("img").first.evaluate("image => image.naturalWidth") > 0


def test_the_reference_has_every_public_name_command_and_option(site: Path) -> None:
    text = (site / "reference" / "api.html").read_text()
    names = [name for name in toolkit.__all__ if not name.startswith("__")]
    missing = [name for name in names if f'id="toolkit.{name}"' not in text]
    assert not missing
    text = (site / "reference" / "commands.html").read_text()
    for name, command in Commands().items():
        assert f"toolkit {name}" in text
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert parameter.opts[-1] in text


@pytest.mark.parametrize("title", sections())
def test_every_key_of_every_file_is_told(title: str) -> None:
    section, record = sections()[title]
    explained = told()
    assert [key for key in record.model_fields if not what_is(section, key, explained)] == []


def test_the_command_says_where_the_site_is(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.cli.site.building.site_folder", lambda: site)
    assert main(["docs", "--path"]) == 0
    assert capsys.readouterr().out == f"{site / 'index.html'}\n"
    doctest.run_docstring_examples(build_docs, {"toolkit": toolkit})
    assert capsys.readouterr().out == ""


def test_without_the_extra_the_message_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mkdocs.commands.build", None)
    assert main(["docs", "--out", str(tmp_path / "site")]) == 2
    message = capsys.readouterr().err
    assert "pip install 'accel-search-toolkit[docs]'" in message
    assert str(pages_folder()) in message


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_function_of_the_same_kind(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(getattr(toolkit, COMMANDS[name].function))
    for option in ("--help", "-h"):
        assert main([name, option]) == 0
        lines = capsys.readouterr().out.rstrip().splitlines()
        assert lines[-1].strip() == f"In Python: toolkit.{COMMANDS[name].function}(…)"
