"""What commands print, as a page: ``--report FILE.html``, and pictures as files: ``--out FOLDER``.

A page has all that is printed, and the pictures of it behind the first facts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.output import Fact, Record, Report

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.cli.progress import Reporter
    from toolkit.study.pictures.canvas import Drawing
    from toolkit.study.pictures.page import Part, Section
    from toolkit.study.storage.files import Results

ReportFile = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="FILE.html",
        help="Write all that is printed, and pictures of it, as one page that needs no network.",
        show_default=False,
    ),
]
PictureFolder = Annotated[
    str | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help="Write the pictures of the report as PNG and SVG.",
        show_default=False,
    ),
]


def drawings() -> ModuleType:
    """`toolkit.study.pictures.drawings`, imported when something is drawn."""
    return import_module("toolkit.study.pictures.drawings")


def check_picture(path: str | None) -> None:
    """Refuse what ``--picture`` cannot write, before the work rather than after it.

    Raises
    ------
    InputError
        If the name says neither PNG nor SVG, or the file cannot be written.
    MissingPackageError
        If Matplotlib is not installed.
    """
    if path is None:
        return
    from pathlib import Path

    from toolkit.cli.problems import check_writable
    from toolkit.errors import InputError
    from toolkit.messages import describe
    from toolkit.study.pictures.canvas import FORMATS, check_drawing

    if Path(path).suffix.removeprefix(".") not in FORMATS:
        expected = " or ".join(f".{ending}" for ending in FORMATS)
        raise InputError(
            f"expected a file named {expected}, got {describe(path)}", source="--picture"
        )
    check_writable(path, option="--picture")
    check_drawing()


def check_pictures(report: str | None, out: str | None = None) -> None:
    """Refuse what cannot be drawn or written, before a long search rather than after it.

    Parameters
    ----------
    report : str or None
        The page that is asked for.
    out : str or None
        A folder that is for pictures alone.

    Raises
    ------
    InputError
        If the page or the folder cannot be written.
    MissingPackageError
        If Matplotlib is not installed.
    """
    if report is None and out is None:
        return
    from toolkit.cli.problems import check_writable
    from toolkit.study.pictures.canvas import check_drawing
    from toolkit.study.storage.files import make_folder

    check_drawing()
    if report is not None:
        check_writable(report, option="--report")
    if out is not None:
        make_folder(out)


def check_output(report: str | None, out: str | None) -> None:
    """Refuse before the work a page that cannot be drawn, or files that cannot be written.

    Parameters
    ----------
    report : str or None
        The page that is asked for.
    out : str or None
        The folder of tables and pictures: what it goes without is said on standard error.

    Raises
    ------
    InputError
        If the page or the folder cannot be written.
    MissingPackageError
        If Matplotlib is not installed, for the page.
    """
    check_pictures(report)
    if out is None:
        return
    from toolkit.study.storage.files import make_folder, picture_notes, table_notes

    make_folder(out)
    for note in (*table_notes(), *picture_notes()):
        print(f"toolkit: {note}; {out} goes without", file=sys.stderr)


def write_pictures(
    report: str | None,
    out: str | None,
    title: str,
    draw: Callable[[], Sequence[Drawing]],
    printed: Callable[[], Report],
) -> Results:
    """Write the page and the pictures that are asked for.

    Parameters
    ----------
    report, out : str or None
        The page, and the folder for pictures.
    title : str
        Of the page.
    draw : callable
        Draws the pictures; called if any are asked for.
    printed : callable
        What the command prints.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    from toolkit.study.pictures.canvas import write_drawings
    from toolkit.study.pictures.page import write_report_page
    from toolkit.study.storage.files import Results

    if report is None and out is None:
        return Results()
    files: list[Path] = []
    shown = draw()
    if out is not None:
        files += write_drawings(shown, out)
    if report is not None:
        files.append(write_report_page(report, title, report_sections(printed(), shown)))
    return Results(tuple(files))


def finish(
    reporter: Reporter,
    report: str | None,
    title: str,
    draw: Callable[[], Sequence[Drawing]],
    laid_out: Callable[[Results], Report],
    record: Callable[[Results], Record],
    written: Results | None = None,
) -> None:
    """Write the page that is asked for, and print the result with all files that were written.

    Parameters
    ----------
    reporter : Reporter
        How it is printed.
    report : str or None
        The page.
    title : str
        Of the page.
    draw : callable
        Draws its pictures.
    laid_out, record : callable
        Lay out for people, and as plain data, what was found and which files were written.
    written : Results, optional
        Files that are written already.

    Raises
    ------
    InputError
        If the page cannot be written.
    """
    from toolkit.cli.output import print_report
    from toolkit.study.storage.files import Results

    nothing = Results()
    page = write_pictures(report, None, title, draw, lambda: laid_out(nothing))
    written = (written or nothing).also(page)
    if reporter.json:
        reporter.print_json(record(written))
    else:
        print_report(laid_out(written))


def report_sections(report: Report, shown: Iterable[Drawing]) -> tuple[Section, ...]:
    """Make a page of what is printed: its first section, pictures, all others."""
    from toolkit.study.pictures.page import Section

    first, *others = sections_of(report) or [Section("", ())]
    return (Section("", (*first.parts, *shown)), *others)


def sections_of(report: Report) -> list[Section]:
    """Divide what is printed: a line is a heading if a table or indented lines follow it."""
    from toolkit.study.pictures.page import Section

    found: list[Section] = []
    for title, items in _headed([*report]):
        parts = tuple(_parts(items))
        if parts or title:
            found.append(Section(title, parts))
    return found


def _headed(items: Report) -> Iterator[tuple[str, Report]]:
    """Headings with what follows them; what comes first has none."""
    title, rest = "", Report()
    for item, after in zip(items, [*items[1:], ""], strict=True):
        below = not isinstance(after, str) or after.startswith(" ") or "\n" in after
        plain = isinstance(item, str) and item and not item.startswith(" ")
        if plain and "\n" not in str(item) and below and (rest or title):
            yield title, rest
            title, rest = str(item), []
        else:
            rest.append(item)
    yield title, rest


def _parts(items: Report) -> Iterator[Part]:
    """Make parts of a page: facts and indented lines that follow each other are one."""
    from itertools import groupby

    from rich.table import Table as Printed

    from toolkit.study.pictures.page import Code, Facts, Words

    def kind(item: object) -> str:
        if isinstance(item, Printed):
            return "table"
        if isinstance(item, Fact):
            return "facts"
        text = str(item)
        return "code" if text.startswith(" ") or "\n" in text else "words"

    for what, group in groupby(items, kind):
        if what == "facts":
            rows = [(item.label, item.text) for item in group if isinstance(item, Fact)]
            yield Facts(tuple(rows))
        elif what == "code":
            yield Code("\n".join(str(item).rstrip("\n") for item in group))
        else:
            for item in group:
                if isinstance(item, Printed):
                    yield _table(item)
                elif item:
                    yield Words(str(item))


def _table(printed: object) -> Part:
    """Make a table of a page of one that is printed."""
    from rich.table import Table as Printed

    from toolkit.study.pictures.page import Table

    assert isinstance(printed, Printed)
    columns = [[str(cell) for cell in column.cells] for column in printed.columns]
    return Table(
        tuple(str(column.header) for column in printed.columns),
        tuple(zip(*columns, strict=True)),
        tuple(column.justify == "left" for column in printed.columns),
    )
