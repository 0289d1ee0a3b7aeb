"""Pictures of a search over hardware: trade-offs of EDP and area, and how fast each one found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.search.front import nondominated
from toolkit.study.hardware.comparison import HardwareComparison
from toolkit.study.pictures.canvas import FloatArray, canvas, page, page_head, stairs
from toolkit.study.pictures.look import (
    LARGE,
    MEDIUM,
    NARROW,
    SMALL,
    drawn,
    heading_lines,
    style,
)
from toolkit.study.pictures.near_best import plain_logarithms, tradeoff_page, tradeoffs
from toolkit.study.storage.files import make_folder
from toolkit.text_files import write_text_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

_AREA, _EDP, _SAMPLES = "area (mm²)", "EDP (J·cycle)", "hardware points scored"


@dataclass(frozen=True)
class StrategyPoints:
    """What is drawn of one strategy.

    Parameters
    ----------
    name : str
        Of the strategy.
    points : array, shape (points, 2)
        Area in mm² and EDP in J·cycle of its feasible samples and choices, all seeds.
    labels : tuple of str
        Parameters of each.
    front : array, shape (front, 2)
        Best trade-offs among them, by rising area.
    median, low, high : array, shape (samples,)
        Best objective value after each sample over seeds; inf before a seed has found a feasible
        point.
    value_title : str
        What that is, with its unit.
    """

    name: str
    points: FloatArray
    labels: tuple[str, ...]
    front: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray
    value_title: str


def strategy_points(comparison: HardwareComparison) -> tuple[StrategyPoints, ...]:
    """Work out what is drawn."""
    return tuple(_points(comparison, name) for name in comparison.strategies)


def _points(comparison: HardwareComparison, name: str) -> StrategyPoints:
    objective = comparison.job.objective
    runs = [run for run in comparison.runs if run.plan.strategy == name]
    scores = [score for run in runs for score in run.scores if score.feasible]
    scores += [run.choice for run in runs if run.choice is not None]
    points = np.array([[s.area_um2 * 1e-6, s.edp_pj_cycles * 1e-12] for s in scores])
    points = points.reshape(-1, 2)
    front = points[nondominated(points)] if len(points) else points
    length = max((len(run.scores) for run in runs), default=0)
    traces = np.full((max(len(runs), 1), length), np.inf)
    for row, run in zip(traces, runs, strict=False):
        best = np.array(
            [objective.shown(value) for value in run.trace(comparison.job)] or [np.inf]
        )
        row[: len(best)] = best[:length]
        row[len(best) :] = best[-1]
    return StrategyPoints(
        name,
        points,
        tuple(", ".join(f"{k}={v}" for k, v in s.parameters.items()) for s in scores),
        front,
        np.sort(traces, axis=0)[(len(traces) - 1) // 2],
        traces.min(axis=0),
        traces.max(axis=0),
        f"{objective.heading} ({objective.shown_unit})",
    )


def write_codesign_page(comparison: HardwareComparison, folder: str | os.PathLike[str]) -> Path:
    """Write ``codesign.html``: plots to zoom, point at and turn; it needs nothing else.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    InputError
        If the file cannot be written.
    """
    html = make_folder(folder) / "codesign.html"
    write_text_atomically(html, "\n".join(_page(comparison, strategy_points(comparison))))
    return html


@drawn
def draw_codesign(
    shown: tuple[StrategyPoints, ...], title: str, *, narrow: bool = False
) -> Canvas:
    """Draw both plots by Matplotlib: side by side, or where that is narrow below each other.

    Raises
    ------
    MissingPackageError
        If it is not installed.
    """
    figure = canvas(NARROW, 8.2) if narrow else canvas(13, 5.5)
    trades, traces = figure.subplots(2, 1) if narrow else figure.subplots(1, 2)
    for i, strategy in enumerate(shown):
        look = style(i)
        own = {"color": look.color, "linestyle": look.line}
        trades.scatter(*strategy.points.T, s=14, color=look.color, alpha=0.3, linewidths=0)
        if len(strategy.front):
            trades.plot(*stairs(strategy.front), **own, linewidth=1.4)
            trades.scatter(
                *strategy.front.T,
                s=look.size**2 / 2,
                marker=look.marker,
                facecolors="none",
                edgecolors=look.color,
            )
        samples = np.arange(1, len(strategy.median) + 1)
        known = np.isfinite(strategy.median)
        band = np.isfinite(strategy.high)
        traces.fill_between(
            samples[band],
            strategy.low[band],
            strategy.high[band],
            color=look.color,
            alpha=0.12,
            step="post",
        )
        traces.plot(
            samples[known],
            strategy.median[known],
            **own,
            drawstyle="steps-post",
            label=strategy.name,
        )
    trades.set(xlabel=_AREA, ylabel=_EDP)
    trades.set_title("feasible points and their best trade-offs")
    traces.set(xlabel=_SAMPLES, ylabel=shown[0].value_title if shown else _EDP)
    traces.set_title("best so far: median seed, band from best to worst")
    for axes in (trades, traces):
        axes.title.set_fontsize(SMALL if narrow else LARGE)
    traces.xaxis.get_major_locator().set_params(integer=True)
    if any(len(strategy.points) for strategy in shown):
        # Nothing cannot be drawn on a logarithmic axis.
        trades.set(xscale="log", yscale="log")
        traces.set(yscale="log")
        plain_logarithms(trades.xaxis, trades.yaxis, traces.yaxis)
    for axes in (trades, traces):
        axes.grid(alpha=0.3, which="both")
    if narrow:
        figure.suptitle("\n".join(heading_lines(title, NARROW)), fontsize=MEDIUM)
    else:
        figure.suptitle(title)
    handles, labels = traces.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3 if narrow else 7)
    return figure


def codesign_page(shown: tuple[StrategyPoints, ...]) -> Figure:
    """Draw both plots by plotly.

    Raises
    ------
    MissingPackageError
        If it is not installed.
    """
    figure = page(2, horizontal_spacing=0.1)
    for i, strategy in enumerate(shown):
        for column, trace in _traces(strategy, style(i).color):
            figure.add_trace(trace, row=1, col=column)
    figure.update_xaxes(title=_AREA, type="log", row=1, col=1)
    figure.update_yaxes(title=_EDP, type="log", exponentformat="power")
    if shown:
        figure.update_yaxes(title=shown[0].value_title, row=1, col=2)
    figure.update_xaxes(title=_SAMPLES, row=1, col=2)
    figure.update_layout(
        height=520,
        legend={"orientation": "h", "y": -0.15, "yanchor": "top"},
    )
    return figure


def _traces(strategy: StrategyPoints, color: str) -> list[tuple[int, dict[str, Any]]]:
    shared = {"type": "scatter", "legendgroup": strategy.name, "name": strategy.name}
    front = stairs(strategy.front) if len(strategy.front) else strategy.front.T
    known = np.isfinite(strategy.median)
    samples = np.arange(1, len(strategy.median) + 1)[known]
    return [
        (
            1,
            {
                **shared,
                "mode": "markers",
                "x": strategy.points[:, 0].tolist(),
                "y": strategy.points[:, 1].tolist(),
                "text": list(strategy.labels),
                "hovertemplate": "%{text}<br>%{x:.4g} mm², %{y:.5g} J·cycle",
                "marker": {"color": color, "opacity": 0.5, "size": 7},
                "showlegend": False,
            },
        ),
        (
            1,
            {
                **shared,
                "mode": "lines",
                "x": front[0].tolist(),
                "y": front[1].tolist(),
                "line": {"color": color},
                "showlegend": False,
                "hoverinfo": "skip",
            },
        ),
        (
            2,
            {
                **shared,
                "mode": "lines",
                "x": samples.tolist(),
                "y": strategy.median[known].tolist(),
                "line": {"color": color, "shape": "hv"},
            },
        ),
    ]


def _page(comparison: HardwareComparison, shown: tuple[StrategyPoints, ...]) -> list[str]:
    table = comparison.strategy_table().to_html(
        index=False, border=0, classes="names1", float_format=lambda x: f"{x:.5g}"
    )
    plots = codesign_page(shown).to_html(full_html=False, include_plotlyjs=True)
    return [
        page_head(comparison.job.title),
        plots,
        "<p class='aside'>Left: feasible points of all seeds, and a line around what they "
        "dominate. Right: the median seed's best so far. Costs in the table are those of the "
        "median seed's choice.</p>",
        "<h2>Energy, latency and area</h2>",
        tradeoff_page(tradeoffs(comparison)).to_html(full_html=False, include_plotlyjs=False),
        f"<h2>Strategies</h2><div class='scroll'>{table}</div>",
        "</body>\n</html>\n",
    ]
