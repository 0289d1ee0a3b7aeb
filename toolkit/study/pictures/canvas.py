"""What all pictures are drawn on, and how they become files; `look` says how they look.

Neither plotly nor Matplotlib is imported before something is drawn.
"""

from __future__ import annotations

import io
import os
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.extras import missing
from toolkit.study.pictures.look import PAGE_STYLE, PLOTLY
from toolkit.text_files import write_bytes_atomically, write_text_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

FloatArray = NDArray[np.float64]

# Sharp in print at the size of a page, at a few hundred kB per picture.
_DPI = 150


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
    figure = make_subplots(rows, columns, **options) if columns * rows > 1 else Figure()
    figure.update_layout(PLOTLY)
    return figure


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
        f"</title>\n<style>{PAGE_STYLE}</style>\n</head>\n<body>\n<h1>{shown}</h1>"
    )
