"""How results show themselves: figures in units that suit them, tables for notebooks and pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape

_ENERGY_UNITS = (("J", 1e12), ("mJ", 1e9), ("µJ", 1e6), ("nJ", 1e3), ("pJ", 1.0))

_STYLE = """
.toolkit td, .toolkit th { text-align: right; white-space: nowrap; padding: .15em .7em; }
.toolkit .left { text-align: left; white-space: normal; }
.toolkit .scroll, .toolkit pre { overflow-x: auto; } .toolkit pre { line-height: 1.3; }
"""

MOST_ROWS = 60
"""Rows of a table in a notebook; more are told, not shown."""


def short_energy(energy_pj: float, digits: int = 4) -> str:
    """Write an energy in the unit that suits it.

    Examples
    --------
    >>> short_energy(80838500000.0)
    '80.84 mJ'
    """
    unit, scale = energy_unit(energy_pj)
    return f"{energy_pj / scale:.{digits}g} {unit}"


def energy_unit(energy_pj: float) -> tuple[str, float]:
    """Choose the unit that suits an energy, and how many pJ it has.

    Examples
    --------
    >>> energy_unit(2e6)
    ('µJ', 1000000.0)
    """
    return next((u for u in _ENERGY_UNITS if energy_pj >= u[1]), _ENERGY_UNITS[-1])


def shown_unit(value: float, unit: str) -> tuple[float, str]:
    """Convert a value of an objective to the unit that people read.

    Examples
    --------
    >>> shown_unit(3e12, "pJ*cycles"), shown_unit(80.0, "cycles")
    ((3.0, 'J·cycle'), (80.0, 'cycles'))
    """
    return (value * 1e-12, "J·cycle") if unit == "pJ*cycles" else (value, unit)


def format_count(count: int) -> str:
    """Write a count with separators, or shortly if it is long.

    Examples
    --------
    >>> format_count(1234567), format_count(12**30)
    ('1,234,567', '2.374e+32')
    """
    return f"{count:,}" if count < 10**15 else f"{Decimal(count):.3e}"


def shortened(text: str, most: int = 100) -> str:
    """Cut a text to so many characters, and show that it was cut.

    Examples
    --------
    >>> shortened("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def object_html(
    title: str,
    facts: Iterable[tuple[str, str]] = (),
    *tables: str,
) -> str:
    """Write an object for a notebook: a title, names with what is said of them, and tables.

    Parameters
    ----------
    title : str
        What it is.
    facts : iterable of (str, str)
        Names and texts.
    *tables : str
        From `table_html` or `code_html`.
    """
    rows = "".join(
        f"<tr><td class=left style='color:#666'>{escape(name)}</td>"
        f"<td class=left>{escape(text)}</td></tr>"
        for name, text in facts
    )
    listed = f"<table>{rows}</table>" if rows else ""
    return (
        f"<style>{_STYLE}</style><div class=toolkit><b>{escape(title)}</b>{listed}"
        f"{''.join(tables)}</div>"
    )


def code_html(text: str) -> str:
    """Write lines whose spaces matter."""
    return f"<pre>{escape(text)}</pre>"


def table_html(
    heads: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[bool], most: int = 0
) -> str:
    """Write a table, which is moved sideways where it is wider than its place.

    Parameters
    ----------
    heads : sequence of str
        Of the columns; lines are kept.
    rows : sequence of sequence of str
        Cells.
    left : sequence of bool
        Which columns are words rather than numbers.
    most : int
        Rows that are shown; 0 for all.
    """
    shown = rows[:most] if most else rows
    body = "\n".join(_row(cells, left, "td") for cells in shown)
    more = len(rows) - len(shown)
    told = f"<p>and {more:,} more rows</p>" if more else ""
    return (
        "<div class='scroll'><table>\n"
        f"<thead>{_row(heads, left, 'th')}</thead>\n<tbody>\n{body}\n</tbody></table>{told}</div>"
    )


def _row(cells: Sequence[str], left: Sequence[bool], tag: str) -> str:
    written = (
        f"<{tag} class=left>{_breakable(cell)}</{tag}>"
        if words
        else f"<{tag}>{escape(cell)}</{tag}>"
        for cell, words in zip(cells, left, strict=True)
    )
    return f"<tr>{''.join(written)}</tr>"


def _breakable(words: str) -> str:
    """Let long names break behind commas, slashes, dots and colons."""
    return re.sub(r"([,/.:])(?=\S)", r"\1<wbr>", escape(words))
