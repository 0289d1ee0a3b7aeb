"""What all pictures are drawn on, and how they become files; `look` says how they look.

Neither plotly nor Matplotlib is imported before something is drawn.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.extras import missing
from toolkit.study.pictures.look import PAGE_STYLE, PLOTLY
from toolkit.study.storage.files import make_folder
from toolkit.text_files import write_bytes_atomically, write_text_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

FloatArray = NDArray[np.float64]

# Sharp in print at the size of a page, at a few hundred kB per picture.
_DPI = 150

FORMATS = ("png", "svg")
"""Of pictures by Matplotlib."""


@dataclass(frozen=True)
class Drawing:
    """A picture by Matplotlib, and what stands beside it.

    Parameters
    ----------
    name : str
        Of its files, without an ending.
    title, words : str
        What it shows, and how it is read.
    figure : matplotlib.figure.Figure
        The picture.
    narrow : callable, optional
        Draws what stands for a wide picture where the screen is narrow: `look.NARROW` inches.
    """

    name: str
    title: str
    words: str
    figure: Canvas
    narrow: Callable[[], Canvas] | None = None


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
    target = Path(path)
    write_bytes_atomically(target, _bytes(figure, target.suffix.removeprefix(".")))


def svg_text(figure: Canvas, salt: str = "") -> str:
    """Write a figure of Matplotlib's as the element that an HTML page takes.

    The same figure gives the same text.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The picture.
    salt : str
        Makes what is defined in it, such as markers, another than what others define.
    """
    text = _bytes(figure, "svg", salt).decode("utf-8")
    return text[text.index("<svg") :]


def png_bytes(figure: Canvas) -> bytes:
    """Write a figure of Matplotlib's as a PNG."""
    return _bytes(figure, "png")


def _bytes(figure: Canvas, kind: str, salt: str = "") -> bytes:
    from matplotlib import rc_context

    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": f"toolkit{salt}"}):
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(stream, format=kind, metadata=metadata)
    return stream.getvalue()


def write_drawings(
    drawings: Iterable[Drawing], folder: str | os.PathLike[str]
) -> tuple[Path, ...]:
    """Write pictures as PNG and SVG into a folder, which is made.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    target, written = make_folder(folder), []
    for drawing in drawings:
        for kind in FORMATS:
            written.append(target / f"{drawing.name}.{kind}")
            write_canvas(written[-1], drawing.figure)
    return tuple(written)


def check_drawing() -> None:
    """Refuse to draw where Matplotlib is missing, before a long search rather than after it.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise missing("a picture", "Matplotlib", "study")


def write_page(path: str | os.PathLike[str], figure: Figure) -> None:
    """Write a figure of plotly's as a page that opens without a network, about 5 MB.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    write_text_atomically(path, figure.to_html(include_plotlyjs=True))


def write_figures(
    folder: str | os.PathLike[str], name: str, figure: Canvas, web: Figure
) -> tuple[Path, ...]:
    """Write the same picture by both libraries: as PNG, as SVG and as a page.

    Parameters
    ----------
    folder : path-like
        It exists.
    name : str
        Of the files, without an ending.
    figure, web : Figure
        Of Matplotlib's and of plotly's.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    drawn = [Path(folder, f"{name}.{kind}") for kind in FORMATS]
    for path in drawn:
        write_canvas(path, figure)
    html = Path(folder, f"{name}.html")
    write_page(html, web)
    return (*drawn, html)


def page_head(title: str) -> str:
    """Begin an HTML page of plots and tables, up to its heading."""
    shown = escape(title)
    sized = "<meta name='viewport' content='width=device-width, initial-scale=1'>"
    return (
        f"<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n{sized}\n"
        f"<title>{shown}</title>\n<style>{PAGE_STYLE}</style>\n</head>\n<body>\n<h1>{shown}</h1>"
    )
