"""Plots of a comparison as files for papers and slides, by Matplotlib."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toolkit.extras import missing
from toolkit.study.curves import SPENT, ProblemPlot, StrategyPlot
from toolkit.study.figures import stairs
from toolkit.study.style import Style, gap_ticks, style, trade_limits, value_limits
from toolkit.study.tables import make_folder, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")

_DPI = 150
_INCHES = 14.0, 5.0
_MAX_NAME = 100


def write_drawings(
    plots: Sequence[ProblemPlot], names: Sequence[str], folder: str | os.PathLike[str]
) -> tuple[Path, ...]:
    """Draw each problem as ``plot-NAME.png``, 2,100 by 750 pixels, and ``plot-NAME.svg``.

    Parameters
    ----------
    plots : sequence of ProblemPlot
        From `toolkit.study.curves.problem_plots`.
    names : sequence of str
        What the files are called after, one per plot; what file names cannot hold is replaced.
    folder : path-like
        Created if there is none.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    InputError
        If a file cannot be written.
    """
    target, written = make_folder(folder), []
    for plot, name in zip(plots, file_names(names), strict=True):
        figure = _figure(plot)
        for kind in FORMATS:
            written.append(target / f"plot-{name}.{kind}")
            write_bytes(written[-1], _rendered(figure, kind))
    return tuple(written)


def file_names(names: Sequence[str]) -> list[str]:
    """Make names of files out of any names, all different.

    Examples
    --------
    >>> file_names(["bert-large/KQV on eyeriss", "a/b", "a:b"])
    ['bert-large-KQV-on-eyeriss', 'a-b', 'a-b-2']
    """
    made: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9.=_]+", "-", name).strip("-.")[:_MAX_NAME] or "problem"
        count, unique = 1, plain
        while unique.lower() in (other.lower() for other in made):
            count += 1
            unique = f"{plain}-{count}"
        made.append(unique)
    return made


def _figure(plot: ProblemPlot) -> Figure:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise missing("a picture", "Matplotlib", "study") from None
    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    *convergence, trades = figure.subplots(1, len(SPENT) + 1)
    for i, strategy in enumerate(plot.strategies):
        for axes, spent in zip(convergence, SPENT, strict=True):
            _draw_curve(axes, strategy, spent, style(i))
        _draw_points(trades, strategy, style(i))
    for axes, spent in zip(convergence, SPENT, strict=True):
        _set_convergence_axes(axes, plot, spent)
    _set_trade_axes(trades, plot)
    handles, labels = convergence[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=7, frameon=False)
    # A long name of a problem is broken rather than cut.
    figure.suptitle(plot.title, fontsize=10, wrap=True, parse_math=False)
    return figure


def _draw_curve(axes: Axes, strategy: StrategyPlot, spent: str, look: Style) -> None:
    curve = strategy.curves.get(spent)
    line = {"color": look.color, "linestyle": look.line, "marker": look.marker}
    # Markers on lines only name them in the legend.
    axes.plot([], [], label=strategy.label, fillstyle="none", **line)  # type: ignore[arg-type]
    if curve is None:
        return
    known = np.isfinite(curve.median)
    median = axes.plot(curve.spent[known], curve.median[known], color=look.color)[0]
    # Where curves end: some are no more than that point.
    median.set(linestyle=look.line, marker=".", markersize=9, markevery=[-1] if any(known) else [])
    known = np.isfinite(curve.high)
    band = curve.spent[known], curve.low[known], curve.high[known]
    axes.fill_between(*band, color=look.color, alpha=0.15, linewidth=0)


def _draw_points(axes: Axes, strategy: StrategyPlot, look: Style) -> None:
    if len(strategy.front):
        axes.plot(*stairs(strategy.front), color=look.color, linestyle=look.line, linewidth=1)
    axes.plot(
        strategy.points[:, 0],
        strategy.points[:, 1],
        linestyle="none",
        marker=look.marker,
        markersize=look.size * 0.7,
        fillstyle="none",
        color=look.color,
    )


def _set_convergence_axes(axes: Axes, plot: ProblemPlot, spent: str) -> None:
    low, high = value_limits(plot)
    axes.set(xscale="log", xlabel=spent, ylabel=plot.value_title)
    if plot.relative:
        ticks, texts = gap_ticks(high)
        axes.set_yscale("log")
        axes.set_yticks(ticks, texts)
        axes.minorticks_off()
    axes.set_ylim(low, high)
    axes.grid(alpha=0.3)


def _set_trade_axes(axes: Axes, plot: ProblemPlot) -> None:
    axes.set(xlabel="energy, total (pJ)", ylabel="latency (cycles)")
    scales, limits = (axes.set_xscale, axes.set_yscale), (axes.set_xlim, axes.set_ylim)
    for column in range(2):
        low, high, wide = trade_limits(plot, column)
        scales[column]("log" if wide else "linear")
        limits[column](low, high)
    axes.grid(alpha=0.3)


def _rendered(figure: Figure, kind: str) -> bytes:
    """Render to memory; the same plot gives the same bytes."""
    from matplotlib import rc_context

    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "toolkit"}):
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(stream, format=kind, metadata=metadata)
    return stream.getvalue()
