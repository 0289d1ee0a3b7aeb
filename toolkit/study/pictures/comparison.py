"""Plots of a comparison: by plotly, to zoom and point at runs, and by Matplotlib, for papers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.display import energy_unit
from toolkit.study.pictures.canvas import Drawing, canvas, page, stairs
from toolkit.study.pictures.curves import (
    SPENT,
    Curve,
    ProblemPlot,
    StrategyPlot,
    gap_ticks,
    is_long,
    trade_limits,
    value_limits,
)
from toolkit.study.pictures.look import LARGE, MEDIUM, NARROW, Style, drawn, heading_lines, style
from toolkit.study.units import cycles_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

_HEIGHT, _END_SIZE = 460, 7.0
_DASHES = {"solid": "solid", "dashed": "dash", "dotted": "dot"}
_SYMBOLS = {
    "o": "circle-open",
    "s": "square-open",
    "D": "diamond-open",
    "^": "triangle-up-open",
    "v": "triangle-down-open",
    "p": "pentagon-open",
    "*": "star-open",
    "h": "hexagon-open",
}
_TRADES = len(SPENT) + 1
_INCHES = 14.0, 5.0
_MAX_NAME = 100
"""Characters of a file's name; file systems take 255 bytes."""


def problem_figure(plot: ProblemPlot) -> Figure:
    """Draw a problem: convergence over evaluations and over seconds, energy against latency.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    figure = page(_TRADES, horizontal_spacing=0.09)
    for i, strategy in enumerate(plot.strategies):
        look = style(i)
        for trace, column in _traces(strategy, look):
            figure.add_trace(trace, row=1, col=column)
    _set_axes(figure, plot)
    figure.update_layout(
        height=_HEIGHT,
        margin={"t": 20, "r": 10, "b": 60, "l": 60},
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
        hovermode="closest",
    )
    return figure


def _traces(strategy: StrategyPlot, look: Style) -> Iterator[tuple[dict[str, Any], int]]:
    """Make the traces of a strategy, and the columns where they belong."""
    shared = {"legendgroup": strategy.name, "name": strategy.label}
    line = {"color": look.color, "dash": _DASHES[look.line]}
    for column, spent in enumerate(SPENT, start=1):
        curve = strategy.curves.get(spent)
        # The legend names strategies that found nothing as well.
        drawn = _line([None], [None], line)
        if curve is not None:
            yield {**_band(curve, look), **shared}, column
            known = np.isfinite(curve.median)
            if known.any():
                drawn = _line(curve.spent[known].tolist(), curve.median[known].tolist(), line)
                # Where curves end: some are no more than that point.
                sizes = [0.0] * (int(known.sum()) - 1) + [_END_SIZE]
                drawn |= {"mode": "lines+markers", "marker": {"size": sizes, "opacity": 1}}
        hover = "%{x:.6g} " + spent + ": %{y:.4g}"
        yield {**drawn, **shared, "showlegend": column == 1, "hovertemplate": hover}, column
    if len(strategy.front):
        xs, ys = stairs(strategy.front)
        yield {**_line(xs.tolist(), ys.tolist(), line), **shared, "showlegend": False}, _TRADES
    yield (
        {
            "type": "scatter",
            "mode": "markers",
            "x": strategy.points[:, 0].tolist(),
            "y": strategy.points[:, 1].tolist(),
            "marker": {"color": look.color, "symbol": _SYMBOLS[look.marker], "size": look.size},
            "showlegend": False,
            "hovertemplate": "%{x:.6g} pJ, %{y:.6g} cycles",
            **shared,
        },
        _TRADES,
    )


def _line(xs: list[Any], ys: list[Any], line: dict[str, Any]) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "x": xs, "y": ys, "line": line}


def _band(curve: Curve, look: Style) -> dict[str, Any]:
    """Make the area between the best and the worst seed, once all have found something."""
    known = np.isfinite(curve.high)
    xs, low, high = curve.spent[known], curve.low[known], curve.high[known]
    red, green, blue = (int(look.color[i : i + 2], 16) for i in (1, 3, 5))
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*xs.tolist(), *xs[::-1].tolist()],
        "y": [*low.tolist(), *high[::-1].tolist()],
        "fill": "toself",
        "fillcolor": f"rgba({red},{green},{blue},0.15)",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _set_axes(figure: Figure, plot: ProblemPlot) -> None:
    low, high = value_limits(plot)
    for column, spent in enumerate(SPENT, start=1):
        step = 1 if is_long(plot, spent) else "D2"
        scale = {"type": "log", "exponentformat": "power", "dtick": step}
        figure.update_xaxes(title=spent, **scale, row=1, col=column)
        if plot.relative:
            ticks, texts = gap_ticks(high)
            named = {"tickvals": ticks, "ticktext": texts}
            figure.update_yaxes(type="log", range=np.log10([low, high]), row=1, col=column)
            figure.update_yaxes(**named, row=1, col=column)
        else:
            figure.update_yaxes(range=[low, high], row=1, col=column)
        figure.update_yaxes(title=plot.value_title, row=1, col=column)
    titles = "energy, total (pJ)", "latency (cycles)"
    for i, update in enumerate((figure.update_xaxes, figure.update_yaxes)):
        least, most, wide = trade_limits(plot, i)
        ends = np.array([least, most])
        kind, limits = ("log", np.log10(ends)) if wide else ("linear", ends)
        update(title=titles[i], type=kind, range=limits, row=1, col=_TRADES)
    figure.update_xaxes(exponentformat="power", row=1, col=_TRADES)
    figure.update_yaxes(exponentformat="power", row=1, col=_TRADES)


def problem_drawings(plots: Sequence[ProblemPlot], names: Sequence[str]) -> tuple[Drawing, ...]:
    """Draw each problem: 2,100 by 750 pixels, as ``plot-NAME``.

    Parameters
    ----------
    plots : sequence of ProblemPlot
        From `toolkit.study.pictures.curves.problem_plots`.
    names : sequence of str
        What the files are called after, one per plot; what file names cannot hold is replaced.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    return tuple(
        Drawing(
            f"plot-{name}",
            "How fast strategies converge",
            "Over evaluations and seconds: medians over the seeds, and bands from the best to the "
            "worst seed. Energy and latency: the best mapping of each seed, or its front.",
            _drawing(plot),
            partial(_drawing, plot, narrow=True),
        )
        for plot, name in zip(plots, file_names(names), strict=True)
    )


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


@drawn
def _drawing(plot: ProblemPlot, *, narrow: bool = False) -> Canvas:
    """Draw plots side by side, or where that is narrow below each other."""
    figure = canvas(NARROW, 3.0 * _TRADES + 1.2) if narrow else canvas(*_INCHES)
    *convergence, trades = figure.subplots(_TRADES, 1) if narrow else figure.subplots(1, _TRADES)
    for i, strategy in enumerate(plot.strategies):
        for axes, spent in zip(convergence, SPENT, strict=True):
            _draw_curve(axes, strategy, spent, style(i))
        _draw_points(trades, strategy, style(i))
    for axes, spent in zip(convergence, SPENT, strict=True):
        _set_convergence_axes(axes, plot, spent)
    _set_trade_axes(trades, plot)
    handles, labels = convergence[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2 if narrow else 7)
    # A long name of a problem is broken rather than cut.
    if narrow:
        heading = "\n".join(heading_lines(plot.title, NARROW))
        figure.suptitle(heading, fontsize=MEDIUM, x=0.02, ha="left", parse_math=False)
    else:
        figure.suptitle(plot.title, fontsize=LARGE, wrap=True, parse_math=False)
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
    scales, limits = (axes.set_xscale, axes.set_yscale), (axes.set_xlim, axes.set_ylim)
    units, names = (energy_unit, cycles_unit), ("energy, total ({})", "latency ({})")
    for column, axis in enumerate((axes.xaxis, axes.yaxis)):
        low, high, wide = trade_limits(plot, column)
        scales[column]("log" if wide else "linear")
        limits[column](low, high)
        unit, scale = units[column](high)
        axis.set_label_text(names[column].format(unit))
        axis.set_major_formatter(partial(_in_unit, scale))
        if wide:
            axis.set_minor_formatter("")
    axes.grid(alpha=0.3)


def _in_unit(scale: float, value: float, _: object) -> str:
    return f"{value / scale:,.6g}"
