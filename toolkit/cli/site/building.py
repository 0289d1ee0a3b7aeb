"""From pages in Markdown to a site that is read without a network."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable
from html import escape
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

import toolkit
from toolkit.errors import MissingPackageError
from toolkit.extras import load
from toolkit.yaml_files import parse_yaml

PACKAGE = Path(toolkit.__file__).parent
ROOT = PACKAGE.parent

_SETTINGS = Path(__file__).with_name("mkdocs.yml")

_FROM_CODE = {
    "toolkit/workload/network/OPERATORS.md": "reference/operators.md",
    "toolkit/workload/peers/FORMATS.md": "reference/workload_formats.md",
    "toolkit/arch/peers/FORMATS.md": "reference/architecture_formats.md",
}
"""Pages that lie beside the code which they tell of, and where the site has them."""

_KINDS: dict[str, Callable[[str], bool]] = {
    "Functions": str.islower,
    "Classes": lambda name: name[0].isupper() and not name.isupper(),
    "Tables": str.isupper,
}
"""Names of `toolkit` by how they are written."""


def pages_folder() -> Path:
    """Where the pages lie: in the repository, or in the installed package.

    Examples
    --------
    >>> (pages_folder() / "concepts.md").is_file()
    True
    """
    beside = ROOT / "docs"
    return beside if (beside / "concepts.md").is_file() else PACKAGE / "docs"


def site_folder() -> Path:
    """Where the site of this version is kept: in the user's cache.

    Its name changes with the pages and with the code that the reference is written from.
    """
    from platformdirs import user_cache_path

    digest = hashlib.sha256()
    for path in sorted([*pages_folder().rglob("*.[mi]*"), *PACKAGE.rglob("*.py")]):
        digest.update(path.read_bytes())
    return user_cache_path("accel-search-toolkit") / "site" / digest.hexdigest()[:16]


def build_docs(folder: str | Path | None = None) -> Path:
    """Build the site of the documentation, unless it is there.

    Parameters
    ----------
    folder : path-like, optional
        Where to write it, replacing what is there; by default into the user's cache, once for
        each version.

    Returns
    -------
    Path
        Its first page, which needs no network and no server.

    Raises
    ------
    MissingPackageError
        If the extra ``docs`` is not installed.

    Examples
    --------
    >>> toolkit.build_docs("site").name  # doctest: +SKIP
    'index.html'
    """
    target = site_folder() if folder is None else Path(folder)
    first = target / "index.html"
    if folder is None and first.is_file():
        return first
    try:
        build: Any = load("mkdocs.commands.build:build", "the site", "docs", "docs", _PACKAGES)
        load_config: Any = load("mkdocs.config:load_config", "the site", "docs", "docs")
    except MissingPackageError as cause:
        raise MissingPackageError(f"{cause}; its pages, in Markdown: {pages_folder()}") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        staged, made = Path(scratch) / "pages", Path(scratch) / "site"
        stage(staged)
        config = load_config(
            config_file=str(_settings(Path(scratch))),
            docs_dir=str(staged),
            site_dir=str(made),
            strict=True,
        )
        build(config)
        if target.exists():
            shutil.rmtree(target)
        shutil.move(made, target)
    return first


_PACKAGES = ("material", "mkdocstrings", "mkdocstrings_handlers.python")


def _settings(scratch: Path) -> Path:
    """Write the settings of MkDocs, which say where the code lies that is read."""
    text = _SETTINGS.read_text(encoding="utf-8").replace("PACKAGE_PARENT", ROOT.as_posix())
    path = scratch / "mkdocs.yml"
    path.write_text(text, encoding="utf-8")
    return path


def stage(folder: Path) -> None:
    """Write all pages of the site in Markdown, those of the reference from the code."""
    from toolkit.cli.site.commands import command_page
    from toolkit.cli.site.schemas import schema_page

    pages = pages_folder()
    shutil.copytree(pages, folder, ignore=shutil.ignore_patterns("*.py", "*.ipynb", "__pycache__"))
    for path in pages.glob("notebooks/*.ipynb"):
        text = notebook_page(path.read_text(encoding="utf-8"))
        (folder / "notebooks" / f"{path.stem}.md").write_text(text, encoding="utf-8")
    sources = {path.name: f"docs/{path.name}" for path in pages.glob("*.md")}
    sources |= {to: source for source, to in _FROM_CODE.items()}
    (folder / "javascript").mkdir()
    shutil.copy(_SETTINGS.with_name("iframe-worker.js"), folder / "javascript")
    (folder / "reference").mkdir()
    for name, source in {**sources, "index.md": "README.md"}.items():
        (folder / name).write_text(linked(_text(source), source, name), encoding="utf-8")
    files = schema_page(told())
    made = {
        "api": api_page(),
        "commands": command_page(),
        "files": linked(files, "docs/own_architecture.md", "reference/files.md"),
    }
    for name, text in made.items():
        (folder / "reference" / f"{name}.md").write_text(text, encoding="utf-8")


def notebook_page(text: str) -> str:
    r"""Write a notebook as a page: its cells, and what they printed.

    Examples
    --------
    >>> cell = {"cell_type": "code", "source": ["f()"], "outputs": [{"text": ["1\n"]}]}
    >>> notebook_page(json.dumps({"cells": [cell]}))
    '```python\nf()\n```\n\n```text\n1\n```\n'
    """
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        printed = "".join(line for output in cell["outputs"] for line in output["text"])
        if printed:
            parts.append(f"```text\n{printed.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def told() -> dict[tuple[str, str], str]:
    """Read what the pages tell of keys of files."""
    from toolkit.cli.site.schemas import told_keys

    return {key: what for page in _OF_KEYS for key, what in told_keys(_text(page)).items()}


_OF_KEYS = ("docs/own_workload.md", "docs/other_tools.md", "docs/own_architecture.md")
"""Pages with tables of keys."""


def _text(source: str) -> str:
    """Read a page by its path in the repository, wherever it is installed."""
    if source == "README.md":
        beside = ROOT / source
        if pages_folder() == ROOT / "docs":
            return beside.read_text(encoding="utf-8")
        return str(metadata.metadata("accel-search-toolkit").json["description"])
    room, _, rest = source.partition("/")
    folder = pages_folder() if room == "docs" else PACKAGE
    return (folder / rest).read_text(encoding="utf-8")


def linked(text: str, source: str, name: str) -> str:
    """Lead the links of a page to pages of the site; what is no page is named in parentheses.

    Parameters
    ----------
    text : str
        The page.
    source, name : str
        Its path in the repository, and in the site.

    Examples
    --------
    >>> linked("[a](../README.md#b), [c](../archs/x.yaml), [d](bits.md)", "docs/e.md", "e.md")
    '[a](index.md#b), c (`archs/x.yaml`), [d](bits.md)'
    """
    up = "../" * name.count("/")

    def moved(match: re.Match[str]) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target or not target:
            return match[0]
        path = _normal(PurePosixPath(source).parent / target)
        if path == "README.md":
            return f"[{words}]({up}index.md{anchor})"
        if path in _FROM_CODE:
            return f"[{words}]({up}{_FROM_CODE[path]}{anchor})"
        if path.startswith("docs/"):
            return f"[{words}]({up}{path.removeprefix('docs/')}{anchor})"
        return f"{words} (`{path}`)"

    text = re.sub(r"\[([^\]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)", moved, text)
    return re.sub(r"!\[([^\]]*)\]\((\S*)\.svg\)", _drawn, text)


def _drawn(match: re.Match[str]) -> str:
    """Show a picture; where there is a narrow one, that on phones."""
    words, place = match[1], match[2]
    if not (pages_folder() / f"{place}_narrow.svg").is_file():
        return match[0]
    return (
        f'<picture><source media="(max-width: 46rem)" srcset="{place}_narrow.svg">'
        f'<img alt="{escape(words)}" src="{place}.svg"></picture>'
    )


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def api_page() -> str:
    """Write what `toolkit` exports, each with what its docstring says."""
    modules = [name for name in toolkit.__all__ if name in ("errors", "objectives")]
    parts = ["# Python\n\nEverything public is a name of `toolkit`."]
    for title, belongs in _KINDS.items():
        names = [n for n in sorted(toolkit.__all__) if belongs(n) and n not in modules]
        parts += [f"## {title}", *(f"::: toolkit.{n}" for n in names if not n.startswith("__"))]
    parts += ["## Errors", "::: toolkit.errors", "## Objectives for optimisers"]
    return "\n\n".join([*parts, "::: toolkit.objectives"]) + "\n"


def settings() -> Any:
    """The settings of MkDocs as plain data, for tests of the list of pages."""
    return parse_yaml(_SETTINGS.read_bytes(), source=str(_SETTINGS))
