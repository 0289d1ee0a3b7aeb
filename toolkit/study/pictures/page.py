"""Reports: one page that opens without a network, built of parts, whatever it reports.

A report is sections, a section is parts: facts, tables, code, words and drawings.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.display import table_html
from toolkit.study.pictures.canvas import Drawing, page_head, png_bytes, svg_text
from toolkit.text_files import write_text_atomically
from toolkit.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

MOST_SVG = 250_000
"""Bytes of a picture as SVG from which on a page takes its PNG, if that is smaller."""

_LETTER = re.compile(r'<path id="DejaVu([^"]*)"( d="[^"]*"[^>]*/>)')

_WRITTEN = re.compile(r'<use xlink:href="#DejaVu([^"]*)"( transform="[^"]*")?/>')

_SHIFT = re.compile(r' transform="translate\((\S+) (\S+)\)"')

_DIGITS = re.compile(r"(\.\d\d)\d+")


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what is said of each."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Parameters
    ----------
    heads : tuple of str
        Of its columns; lines are kept.
    rows : tuple of tuple of str
        Cells.
    left : tuple of bool
        Which columns are words rather than numbers.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Lines whose spaces matter."""

    text: str


Part = Facts | Table | Words | Code | Drawing


@dataclass(frozen=True, slots=True)
class Section:
    """Parts under a heading, which may be empty."""

    title: str
    parts: tuple[Part, ...]


def write_report_page(
    path: str | os.PathLike[str], title: str, sections: Iterable[Section]
) -> Path:
    """Write a report.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    text = "\n".join(_page(title, sections))
    write_text_atomically(path, text)
    return Path(path)


def _page(title: str, sections: Iterable[Section]) -> Iterator[str]:
    yield page_head(title)
    letters: set[str] = set()
    for section in sections:
        if section.title:
            yield f"<h2>{escape(section.title)}</h2>"
        for drawn, parts in groupby(section.parts, lambda part: isinstance(part, Drawing)):
            html = [_html(part, letters) for part in parts]
            yield "\n".join(["<div class='drawn'>", *html, "</div>"] if drawn else html)
    yield f"<p class='aside'>toolkit {escape(__version__)}</p>\n</body>\n</html>\n"


def _html(part: Part, letters: set[str]) -> str:
    if isinstance(part, Facts):
        rows = "\n".join(f"<dt>{escape(n)}</dt><dd>{escape(t)}</dd>" for n, t in part.rows)
        return f"<dl>\n{rows}\n</dl>"
    if isinstance(part, Table):
        return table_html(part.heads, part.rows, part.left)
    if isinstance(part, Words):
        return f"<p>{escape(part.text)}</p>"
    if isinstance(part, Code):
        return f"<pre>{escape(part.text)}</pre>"
    return _figure(part, letters)


def _figure(drawing: Drawing, letters: set[str]) -> str:
    """Embed a picture; where another stands for it on narrow screens, both."""
    shown = _picture(drawing.title, drawing.figure, letters)
    if drawing.narrow is not None:
        # A browser does not find what is defined in a picture that it does not show.
        slim = _picture(drawing.title, drawing.narrow(), letters, salt="-slim")
        shown = f"<div class='broad'>{shown}</div><div class='slim'>{slim}</div>"
    width = f" style='max-width: min(100%, {_pixels(drawing.figure)}px)'"
    words = f"<figcaption>{escape(drawing.words)}</figcaption>" if drawing.words else ""
    title = f"<h3>{escape(drawing.title)}</h3>"
    return f"<figure{width}>{title}{words}{shown}</figure>"


def _picture(title: str, figure: Canvas, letters: set[str], salt: str = "") -> str:
    """Write a picture as SVG, or where that is large as what is smaller."""
    svg = svg_text(figure, salt)
    if len(svg) <= MOST_SVG:
        return compact(svg, letters)
    data = base64.b64encode(png_bytes(figure)).decode("ascii")
    if len(data) >= len(svg):
        return compact(svg, letters)
    source = f"data:image/png;base64,{data}"
    return f"<img alt='{escape(title)}' width='{_pixels(figure)}' src='{source}'>"


def compact(svg: str, letters: set[str]) -> str:
    """Leave out of a picture what a page has no use for, or has already.

    Parameters
    ----------
    svg : str
        As Matplotlib writes it.
    letters : set of str
        Names of the letters that earlier pictures of the page define; those of this one are
        added.
    """

    def once(found: re.Match[str]) -> str:
        if found[1] in letters:
            return ""
        letters.add(found[1])
        return f'<path id="{found[1]}"{found[2]}'

    def shortly(found: re.Match[str]) -> str:
        place = _SHIFT.sub(_place, found[2] or "")
        return f'<use href="#{found[1]}"{place}/>'

    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = _WRITTEN.sub(shortly, _LETTER.sub(once, svg))
    # A hundredth of a point is seen nowhere; letters are drawn in units of their own.
    svg = re.sub(r' d="[^"]*"', lambda path: _DIGITS.sub(r"\1", path[0]), svg)
    return re.sub(r"\s*\n\s*", "\n", svg)


def _place(shift: re.Match[str]) -> str:
    """Write where a letter stands: a tenth of a unit is less than a hundredth of a point."""
    places = (("x", float(shift[1])), ("y", float(shift[2])))
    return "".join(f' {axis}="{round(at, 1):g}"' for axis, at in places if round(at, 1))


def _pixels(figure: Canvas) -> int:
    """Width of a picture, as browsers count it."""
    return round(96 * float(figure.get_figwidth()))
