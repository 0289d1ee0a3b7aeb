"""Whatever the README and the pages of `docs/` tell to type runs, and prints what they show."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path
from typing import Any

import pages
import pytest
from pages import PAGES, ROOT, Block, agrees, blocks, of_language

import toolkit
from toolkit.cli.app import Commands, main
from toolkit.fusion import MappedModel
from toolkit.search.network import cache

RENDERED = {"README.md", "pictures.md"}
"""Pages whose pictures are what users get; those of the others are drawn and not rendered."""

FILES = r"^(?:# (\S+)\.yaml$|name: (\S+)$)"
"""How a file that a page shows says what it is called."""


def named(page: Path) -> str:
    return page.name


def sessions() -> list[Any]:
    """Blocks of commands of this toolkit, with the page that each stands on."""
    return [
        pytest.param(page, block, id=f"{page.stem}: {toolkit_commands(block)[0]}")
        for page in PAGES
        for block in of_language(page, "sh")
        if toolkit_commands(block)
    ]


def toolkit_commands(block: Block) -> list[str]:
    return [command for command in block.commands() if command.startswith("toolkit ")]


def written(page: Path, folder: Path) -> list[Path]:
    """Write the files that a page shows, called as they say."""
    paths = []
    for number, block in enumerate(of_language(page, "yaml")):
        match = re.search(FILES, block.text, flags=re.MULTILINE)
        name = match[1] or match[2] if match else f"file{number}"
        paths.append(folder / f"{name}.yaml")
        paths[-1].write_text(block.text)
    for block in of_language(page, "python"):
        if (first := block.text.partition("\n")[0]).endswith(".py"):
            (folder / first.removeprefix("# ")).write_text(block.text)
    return paths


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands run: as in the repository's, with an empty cache; bounds without proofs."""
    monkeypatch.chdir(tmp_path)
    for name in ("tests", "studies"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.setattr(cache, "user_cache_path", lambda name: tmp_path / name)
    # Up to 4 s for each layer, twice, which other tests wait for.
    monkeypatch.setitem(MappedModel.__init__.__kwdefaults__, "proof_seconds", 0.0)
    toolkit.warm_up()
    return tmp_path


@pytest.mark.parametrize(("page", "block"), sessions())
def test_commands_print_what_pages_show(
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    page: Path,
    block: Block,
) -> None:
    if page.name not in RENDERED:
        request.getfixturevalue("unrendered")
    written(page, folder)
    make_saved(page, block)
    capsys.readouterr()
    for command in toolkit_commands(block):
        command, _, file = command.partition(" > ")
        assert main(shlex.split(command)[1:]) == 0, command
        printed = capsys.readouterr()
        assert "toolkit:" not in printed.err
        for picture in re.findall(r"--(?:report|picture) (\S+)", command):
            least = 2_000 if page.name in RENDERED else 1
            assert least <= Path(picture).stat().st_size < 1_000_000
        if file:
            Path(file).write_text(printed.out)
    if block.shown is not None:
        assert agrees(block.shown, printed.out), printed.out


def make_saved(page: Path, block: Block) -> None:
    """Make the mappings that commands further up on the page save, and these ones read."""
    for earlier in of_language(page, "sh"):
        if earlier == block:
            return
        for command in toolkit_commands(earlier):
            _, saves, file = command.partition(" --save ")
            if saves and file in block.text:
                assert main(shlex.split(command)[1:]) == 0, command


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(of_language(page, "python"))],
    ids=named,
)
def test_python_prints_what_pages_show(
    capsys: pytest.CaptureFixture[str], folder: Path, page: Path
) -> None:
    """All parts of a page are one program."""
    import optuna

    written(page, folder)
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names: dict[str, object] = {"__name__": "__page__"}
    capsys.readouterr()
    try:
        for block in of_language(page, "python"):
            exec(compile(block.text, str(page), "exec"), names)
            printed = capsys.readouterr().out
            assert block.shown is None or agrees(block.shown, printed), printed
    finally:
        optuna.logging.set_verbosity(level)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(of_language(page, "yaml"))], ids=named
)
def test_files_can_be_loaded(tmp_path: Path, page: Path) -> None:
    for path in written(page, tmp_path):
        if "levels:" in path.read_text():
            assert toolkit.load_arch(path).levels
        else:
            assert toolkit.load_workload(path).tensors


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_all_that_is_shown_is_known(page: Path) -> None:
    """Nothing passes untested because of how it is written."""
    for block in blocks(page.read_text()):
        assert block.language in ("sh", "python", "yaml", "text")
        if block.language == "sh":
            for command in block.commands():
                check_kind(command)


def check_kind(command: str) -> None:
    """Commands are the toolkit's, or scripts that are there, or what CI and other tests run."""
    words = shlex.split(command)
    script = next((word for word in words if word.endswith(".py")), None)
    if script is not None:
        assert re.fullmatch(r"(?:[.\w]+/bin/)?python", words[0])
        text = (ROOT / script).read_text()
        for option in (word.partition("=")[0] for word in words if word.startswith("--")):
            assert option in text or option.strip("-").replace("-", "_") in text, command
    elif words[0] == ".venv/bin/toolkit":
        # What takes hours: its options are there.
        known = {name for option in Commands()[words[1]].params for name in option.opts}
        assert {word for word in words if word.startswith("--")} <= known
    else:
        known = r"toolkit|python3(\.\d+)?|\.venv/bin/(pip|pytest)"
        assert re.fullmatch(known, words[0]), command


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for target, _, anchor in re.findall(r"\]\(([^)#\s]*)(#?)([^)\s]*)\)", page.read_text()):
        if "://" in target:
            continue
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), target
        if anchor:
            assert anchor in anchors(place.read_text())


def anchors(text: str) -> list[str]:
    """What headings of a page are called in links."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


def test_every_page_is_reached_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 200
    for page in PAGES[1:]:
        assert f"](docs/{page.name})" in text


def test_there_are_many_commands() -> None:
    assert len(sessions()) >= 15


def test_pages_are_taken_apart_as_said() -> None:
    assert doctest.testmod(pages).failed == 0
