"""What all pictures share: colours and markers, canvases to draw on, and files.

Neither plotly nor Matplotlib is imported before something is drawn.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.extras import missing
from toolkit.text_files import write_bytes_atomically, write_text_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

FloatArray = NDArray[np.float64]

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which all readers can tell apart."""

# Of comparisons, which have no black lines of another meaning; brown stands for Okabe and Ito's
# yellow, which is hard to see on white.
_STRATEGY_COLORS = (*COLORS, "#000000", "#8c6d1f")
_MARKERS = ("o", "s", "D", "^", "v", "p", "*", "h")
_LINES = ("solid", "dashed", "dotted")

_PAGE_STYLE = """
body { font-family: system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 90rem;
       padding: 0 1rem; line-height: 1.45; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
th, td { padding: .2rem .7rem; text-align: right; }
td { white-space: nowrap; } th { vertical-align: bottom; }
th { border-bottom: 1px solid #888; white-space: pre-line; font-weight: 600; }
tr:nth-child(even) td { background: #f5f5f5; }
.names1 td:first-child, .names1 th:first-child, .names2 td:nth-child(-n+2),
.names2 th:nth-child(-n+2) { text-align: left; }
.scroll { overflow-x: auto; } .aside { color: #555; font-size: .85rem; }
"""

# Sharp in print at the size of a page, at a few hundred kB per picture.
_DPI = 150


@dataclass(frozen=True, slots=True)
class Style:
    """A colour as ``#rrggbb``, a line and a marker as Matplotlib names them, a size in points."""

    color: str
    line: str
    marker: str
    size: float


def style(place: int) -> Style:
    """Choose how the strategy at a place in the list of all looks.

    Later markers are smaller, so that those of equal points are all seen.
    """
    turn = place // len(_STRATEGY_COLORS)
    return Style(
        _STRATEGY_COLORS[place % len(_STRATEGY_COLORS)],
        _LINES[turn % len(_LINES)],
        _MARKERS[place % len(_MARKERS)],
        max(13.0 - 1.5 * place, 5.0),
    )


def color(place: int) -> str:
    """Choose the colour of a series, an operator or a group by its place; six recur."""
    return COLORS[place % len(COLORS)]


def stairs(front: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the corners of the border of what a front dominates.

    Examples
    --------
    >>> xs, ys = stairs(np.array([[1.0, 4.0], [2.0, 3.0]]))
    >>> xs.tolist(), ys.tolist()
    ([1.0, 2.0, 2.0], [4.0, 4.0, 3.0])
    """
    return np.repeat(front[:, 0], 2)[1:], np.repeat(front[:, 1], 2)[:-1]


def canvas(width: float, height: float) -> Canvas:
    """Make an empty figure of Matplotlib's, so many inches large, for files alone.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Canvas
    except ImportError:
        raise missing("a picture", "Matplotlib", "study") from None
    figure = Canvas(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def page(columns: int = 1, rows: int = 1, **options: Any) -> Figure:
    """Make an empty figure of plotly's, of plots side by side and below each other if several.

    Parameters
    ----------
    columns, rows : int
        How many.
    **options
        As ``plotly.subplots.make_subplots`` takes them.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    try:
        from plotly.graph_objects import Figure
        from plotly.subplots import make_subplots
    except ImportError:
        raise missing("a picture", "plotly", "study") from None
    return make_subplots(rows, columns, **options) if columns * rows > 1 else Figure()


def write_canvas(path: str | os.PathLike[str], figure: Canvas) -> None:
    """Write a figure of Matplotlib's as what its file is named after: ``.png`` or ``.svg``.

    The same figure gives the same bytes.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    from matplotlib import rc_context

    target, stream = Path(path), io.BytesIO()
    kind = target.suffix.removeprefix(".")
    with rc_context({"svg.hashsalt": "toolkit"}):
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(stream, format=kind, metadata=metadata)
    write_bytes_atomically(target, stream.getvalue())


def write_page(path: str | os.PathLike[str], figure: Figure) -> None:
    """Write a figure of plotly's as a page that opens without a network, about 5 MB.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    write_text_atomically(path, figure.to_html(include_plotlyjs=True))


def page_head(title: str) -> str:
    """Begin an HTML page of plots and tables, up to its heading."""
    shown = escape(title)
    return (
        f"<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n<title>{shown}\n"
        f"</title>\n<style>{_PAGE_STYLE}</style>\n</head>\n<body>\n<h1>{shown}</h1>"
    )
