"""Plots of a comparison by plotly: zoom, point at runs, hide strategies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.extras import missing
from toolkit.study.curves import SPENT, Curve, FloatArray, ProblemPlot, StrategyPlot
from toolkit.study.style import Style, gap_ticks, is_long, style, trade_limits, value_limits

if TYPE_CHECKING:
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


def problem_figure(plot: ProblemPlot) -> Figure:
    """Draw a problem: convergence over evaluations and over seconds, energy against latency.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    try:
        from plotly.subplots import make_subplots
    except ImportError:
        raise missing("a picture", "plotly", "study") from None
    figure = make_subplots(1, _TRADES, horizontal_spacing=0.09)
    for i, strategy in enumerate(plot.strategies):
        look = style(i)
        for trace, column in _traces(strategy, look):
            figure.add_trace(trace, row=1, col=column)
    _set_axes(figure, plot)
    figure.update_layout(
        template="plotly_white",
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


def stairs(front: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the corners of the border of what a front dominates.

    Examples
    --------
    >>> xs, ys = stairs(np.array([[1.0, 4.0], [2.0, 3.0]]))
    >>> xs.tolist(), ys.tolist()
    ([1.0, 2.0, 2.0], [4.0, 4.0, 3.0])
    """
    return np.repeat(front[:, 0], 2)[1:], np.repeat(front[:, 1], 2)[:-1]
