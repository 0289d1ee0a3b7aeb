"""Pictures of agreement: computed against measured, and how far they are apart.

Each picture is a small record first (`comparison`), which is what tests look at, and is then
drawn twice: by plotly as a HTML page that opens without a network, by Matplotlib as a PNG.
Neither is imported before it draws.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import InputError
from toolkit.study.fidelity.validation import agreement, relative_errors
from toolkit.study.pictures.canvas import canvas, page, write_canvas, write_page
from toolkit.study.pictures.look import color, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from plotly.graph_objects import Figure

FloatArray = NDArray[np.float64]

# Odd, so that perfect agreement is the middle of a bin.
_BINS = 61


@dataclass(frozen=True)
class Series:
    """One way of computing the measured quantity.

    Parameters
    ----------
    name : str
        With the statistics that the legend shows.
    computed : array, shape (rows,)
        In the unit of the comparison.
    counts : array, shape (bins,)
        Rows per bin of the histogram of errors.
    """

    name: str
    computed: FloatArray
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class Comparison:
    """A picture of computed against measured numbers.

    Parameters
    ----------
    quantity, unit, measured_by : str
        Such as ``latency``, ``cycles``, ``Timeloop``.
    measured : array, shape (rows,)
    labels : tuple of str
        What a row is called when pointed at.
    series : tuple of Series
    edges : array, shape (bins + 1,)
        Of the histogram, in percent of relative error if `percent`, else as ratios, evenly
        spaced in logarithm.
    percent : bool
        Whether all errors are so small that they are shown in percent.
    """

    quantity: str
    unit: str
    measured_by: str
    measured: FloatArray
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    edges: FloatArray
    percent: bool

    @property
    def title(self) -> str:
        """What is compared, and how many rows."""
        count = f"{len(self.measured):,}".replace(",", "\u2009")
        return f"{self.quantity.capitalize()}: computed against {self.measured_by}, {count} rows"

    @property
    def error_limits(self) -> tuple[float, float]:
        """Edges of the first and of the last bin of errors that holds rows."""
        filled = np.flatnonzero(np.sum([entry.counts for entry in self.series], axis=0))
        return float(self.edges[filled[0]]), float(self.edges[filled[-1] + 1])

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest number on the axes, with some room."""
        every = np.concatenate([self.measured, *(entry.computed for entry in self.series)])
        return float(every.min()) / 1.5, float(every.max()) * 1.5


def comparison(
    quantity: str,
    unit: str,
    measured_by: str,
    measured: ArrayLike,
    computed: Mapping[str, ArrayLike],
    labels: tuple[str, ...],
) -> Comparison:
    """Work out a picture of computed against measured numbers.

    Parameters
    ----------
    quantity, unit, measured_by : str
        See `Comparison`.
    measured : array, shape (rows,)
        Positive.
    computed : mapping of str to array, shape (rows,)
        By the name of how they were computed; positive.
    labels : tuple of str
        One per row.

    Raises
    ------
    InputError
        If nothing is computed, or lengths differ, or a number is not positive and finite.
    """
    theirs = np.asarray(measured, np.float64)
    if not computed or len(labels) != len(theirs):
        raise InputError(
            f"expected something computed and a label for each of {len(theirs)} rows, "
            f"got {len(computed)} ways and {len(labels)} labels"
        )
    errors = {name: relative_errors(values, theirs) for name, values in computed.items()}
    widest = max(float(np.abs(error).max()) for error in errors.values())
    percent = widest <= 0.5
    edges = _edges(errors, widest, percent)
    series = tuple(
        Series(
            _legend(name, np.asarray(computed[name], np.float64), theirs),
            np.asarray(computed[name], np.float64),
            np.histogram(100 * error if percent else error + 1, edges)[0],
        )
        for name, error in errors.items()
    )
    return Comparison(quantity, unit, measured_by, theirs, labels, series, edges, percent)


def _edges(errors: Mapping[str, FloatArray], widest: float, percent: bool) -> FloatArray:
    if percent:
        reach = max(100 * widest, 0.1)
        return np.linspace(-reach, reach, _BINS + 1)
    ratios = np.concatenate(list(errors.values())) + 1
    reach = float(np.abs(np.log10(ratios)).max()) * (1 + 1e-9)
    return np.logspace(-reach, reach, _BINS + 1, dtype=np.float64)


def _legend(name: str, computed: FloatArray, measured: FloatArray) -> str:
    found = agreement(computed, measured)
    return (
        f"{name}: {100 * found.within:.2f} % within 1 %, {100 * found.within_factor_two:.2f} % "
        f"within a factor of 2, Spearman {found.spearman:.4f}, Kendall {found.kendall:.4f}"
    )


def write(folder: str | os.PathLike[str], name: str, picture: Comparison) -> None:
    """Draw a comparison as ``NAME.png`` and ``NAME.html`` in a folder, which is made.

    Raises
    ------
    MissingPackageError
        If plotly or Matplotlib is not installed.
    InputError
        If a file cannot be written.
    """
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as cause:
        place = os.fspath(folder)
        raise InputError(f"cannot be made: {cause.strerror}", source=place) from None
    write_png(os.path.join(folder, f"{name}.png"), picture)
    write_html(os.path.join(folder, f"{name}.html"), picture)


def write_html(path: str | os.PathLike[str], picture: Comparison) -> None:
    """Draw a comparison as a page with everything in it: zoom, point at rows, hide series.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    InputError
        If the file cannot be written.
    """
    write_page(path, plotly_figure(picture))


def plotly_figure(picture: Comparison) -> Figure:
    """Draw a comparison with plotly.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    figure = page(2, column_widths=[0.55, 0.45], horizontal_spacing=0.1)
    low, high = picture.limits
    diagonal = {"x": [low, high], "y": [low, high], "name": "computed = measured"}
    black = {"color": "black", "width": 1}
    figure.add_scatter(**diagonal, mode="lines", line=black, row=1, col=1)
    middles = _middles(picture)
    for entry, shade in zip(picture.series, _cycle(picture), strict=True):
        figure.add_scattergl(
            x=picture.measured,
            y=entry.computed,
            mode="markers",
            marker={"color": shade, "size": 4, "opacity": 0.5},
            name=entry.name,
            legendgroup=entry.name,
            text=picture.labels,
            hovertemplate="measured %{x:.6g}<br>computed %{y:.6g}<br>%{text}",
            row=1,
            col=1,
        )
        figure.add_scatter(
            x=middles,
            y=np.where(entry.counts > 0, entry.counts, np.nan),
            mode="lines+markers",
            line={"color": shade, "shape": "hvh"},
            name=entry.name,
            legendgroup=entry.name,
            showlegend=False,
            row=1,
            col=2,
        )
    x, y, error = _axis_titles(picture)
    figure.update_xaxes(type="log", title=x, exponentformat="power", row=1, col=1)
    figure.update_yaxes(type="log", title=y, exponentformat="power", row=1, col=1)
    figure.update_xaxes(type="linear" if picture.percent else "log", title=error, row=1, col=2)
    figure.update_yaxes(type="log", title="rows", dtick=1, row=1, col=2)
    figure.update_layout(
        title=picture.title,
        legend={"orientation": "v", "y": -0.15, "x": 0, "yanchor": "top"},
    )
    return figure


def _middles(picture: Comparison) -> FloatArray:
    """Find the middle of every bin, on the axis that the errors are drawn on."""
    low, high = picture.edges[:-1], picture.edges[1:]
    middles: FloatArray = (low + high) / 2 if picture.percent else np.sqrt(low * high)
    return middles


@drawn
def write_png(path: str | os.PathLike[str], picture: Comparison) -> None:
    """Draw a comparison as a picture of 1,800 by 900 pixels.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    InputError
        If the file cannot be written.
    """
    figure = canvas(12, 6)
    left, right = figure.subplots(1, 2, width_ratios=[1.1, 1])
    _draw_scatter(left, picture)
    _draw_histogram(right, picture)
    figure.suptitle(picture.title)
    figure.legend(loc="outside lower center")
    write_canvas(path, figure)


def _draw_scatter(axes: Axes, picture: Comparison) -> None:
    low, high = picture.limits
    for entry, shade in zip(picture.series, _cycle(picture), strict=True):
        axes.scatter(
            picture.measured,
            entry.computed,
            s=5,
            alpha=0.35,
            color=shade,
            linewidths=0,
            rasterized=True,
        )
    axes.plot([low, high], [low, high], color="black", linewidth=0.8, label="computed = measured")
    x, y, _ = _axis_titles(picture)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)


def _draw_histogram(axes: Axes, picture: Comparison) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    for entry, shade in zip(picture.series, _cycle(picture), strict=True):
        axes.stairs(entry.counts, picture.edges, color=shade, linewidth=1.5, label=entry.name)
    axes.axvline(0 if picture.percent else 1, color="black", linewidth=0.8)
    *_, error = _axis_titles(picture)
    scale = "linear" if picture.percent else "log"
    axes.set(xlabel=error, ylabel="rows", yscale="log", xscale=scale, xlim=picture.error_limits)
    if not picture.percent:
        low, high = picture.error_limits
        # A label per decade, and more where there are few decades.
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)


def _axis_titles(picture: Comparison) -> tuple[str, str, str]:
    return (
        f"{picture.quantity} by {picture.measured_by}, total ({picture.unit})",
        f"{picture.quantity} computed, total ({picture.unit})",
        "computed / measured - 1 (%)" if picture.percent else "computed / measured",
    )


def _cycle(picture: Comparison) -> list[str]:
    return [color(i) for i in range(len(picture.series))]
