"""What parameters do near the best hardware, and trade-offs of energy, latency and area."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.codesign.near_best import ParameterCurve
from toolkit.codesign.scoring import Score
from toolkit.study.hardware.comparison import HardwareComparison
from toolkit.study.pictures.canvas import FloatArray, canvas, page
from toolkit.study.pictures.look import COLORS, NARROW, TINY, drawn, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

_WIDE = 5.0
"""Ratio of values from which on an axis is logarithmic."""

_DECADE = 10.0

AXES = ("energy (mJ)", "latency (Mcycles)", "area (mm²)")


@dataclass(frozen=True)
class Tradeoffs:
    """Feasible points of one strategy in all three costs.

    Parameters
    ----------
    name : str
        Of the strategy.
    points : array, shape (points, 3)
        Energy in mJ, latency in million cycles, area in mm².
    labels : tuple of str
        Parameters of each.
    front : bool array, shape (points,)
        Those that no point of any strategy beats or equals in all three.
    """

    name: str
    points: FloatArray
    labels: tuple[str, ...]
    front: tuple[bool, ...]


def tradeoffs(comparison: HardwareComparison) -> tuple[Tradeoffs, ...]:
    """Work out the trade-offs of all strategies together."""
    scores = {
        name: [
            score
            for run in comparison.runs
            if run.plan.strategy == name
            for score in run.scores
            if score.feasible
        ]
        for name in comparison.strategies
    }
    every = np.array([_costs(s) for found in scores.values() for s in found]).reshape(-1, 3)
    return tuple(
        Tradeoffs(
            name,
            np.array([_costs(s) for s in found]).reshape(-1, 3),
            tuple(", ".join(f"{k}={v}" for k, v in s.parameters.items()) for s in found),
            tuple(not _is_beaten(_costs(s), every) for s in found),
        )
        for name, found in scores.items()
    )


def _costs(score: Score) -> tuple[float, float, float]:
    return score.energy_pj * 1e-9, score.latency_cycles * 1e-6, score.area_um2 * 1e-6


def _is_beaten(point: tuple[float, float, float], every: FloatArray) -> bool:
    """Whether some point is no worse in all costs and better in one."""
    own = np.array(point)
    return bool(((every <= own).all(axis=1) & (every < own).any(axis=1)).any())


@drawn
def draw_tradeoffs(
    shown: Sequence[Tradeoffs], miss: float | None = None, *, narrow: bool = False
) -> Canvas:
    """Draw the points from three sides and the best in space; rings are those nothing beats.

    Parameters
    ----------
    shown : sequence of Tradeoffs
        Of all strategies.
    miss : float, optional
        Fraction by which a proved front may be improved upon at most.
    narrow : bool
        Whether plots stand below each other.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    figure = canvas(NARROW, 13.6) if narrow else canvas(10, 8.4)
    rows, columns = (4, 1) if narrow else (2, 2)
    sides = list(itertools.combinations(range(3), 2))
    some = any(len(strategy.points) for strategy in shown)
    for number, (x, y) in enumerate(sides, start=1):
        axes = figure.add_subplot(rows, columns, number)
        for i, strategy in enumerate(shown):
            _draw_side(axes, strategy, i, x, y)
        axes.set(xlabel=AXES[x], ylabel=AXES[y])
        if some:
            axes.set(xscale="log", yscale="log")
            plain_logarithms(axes.xaxis, axes.yaxis)
        axes.grid(alpha=0.3, which="both")
    handles, labels = axes.get_legend_handles_labels()
    _draw_turned(figure.add_subplot(rows, columns, 4, projection="3d"), shown)
    figure.legend(handles, labels, loc="outside lower center", ncols=3 if narrow else 7)
    if miss is not None and miss < math.inf:
        figure.suptitle(f"proved: nothing is missed by more than {miss:.2%}")
    return figure


def _draw_side(axes: Axes, strategy: Tradeoffs, place: int, x: int, y: int) -> None:
    """Draw the points of a strategy in two of the costs, and rings around those of the front."""
    look, front = style(place), np.array(strategy.front, dtype=np.bool_)
    own = strategy.points
    axes.scatter(own[:, x], own[:, y], s=14, color=look.color, alpha=0.35, linewidths=0)
    axes.scatter(
        own[front, x],
        own[front, y],
        s=look.size**2 / 2,
        marker=look.marker,
        facecolors="none",
        edgecolors=look.color,
        label=strategy.name,
    )


def _draw_turned(axes: Any, shown: Sequence[Tradeoffs]) -> None:
    """Draw all three costs at once; Matplotlib has no logarithmic axes in space, so names are."""
    for i, strategy in enumerate(shown):
        look, front = style(i), np.array(strategy.front, dtype=np.bool_)
        x, y, z = np.log10(strategy.points[~front]).T
        axes.scatter(x, y, z, s=9, color=look.color, alpha=0.35, linewidths=0)
        if not front.any():
            continue
        x, y, z = np.log10(strategy.points[front]).T
        axes.scatter(x, y, z, s=22, color=look.color, marker=look.marker, depthshade=False)
        # How high each lies is told by the ground.
        floor = min(float(np.log10(s.points[:, 2]).min()) for s in shown if len(s.points))
        for a, b, c in zip(x, y, z, strict=True):
            axes.plot([a, a], [b, b], [floor, c], color=look.color, linewidth=0.5, alpha=0.6)
    for axis, label in zip((axes.xaxis, axes.yaxis, axes.zaxis), AXES, strict=True):
        axis.set_major_formatter(lambda v, _: f"{10**v:,.3g}")
        axis.get_major_locator().set_params(nbins=4)
        axis.set_label_text(label, fontsize=TINY)
        axis.set_tick_params(labelsize=TINY - 1, pad=2)
    axes.view_init(elev=22, azim=-55)
    # Names of axes lie outside of the box.
    axes.set_box_aspect(None, zoom=0.85)


def tradeoff_page(shown: Sequence[Tradeoffs]) -> Figure:
    """Draw the same in three axes that can be turned, by plotly.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    figure = page()
    for i, strategy in enumerate(shown):
        front = np.array(strategy.front, dtype=np.bool_)
        for chosen, size, opacity in ((front, 6, 1.0), (~front, 3, 0.4)):
            if not chosen.any():
                continue
            x, y, z = strategy.points[chosen].T
            figure.add_scatter3d(
                x=x.tolist(),
                y=y.tolist(),
                z=z.tolist(),
                mode="markers",
                name=strategy.name,
                legendgroup=strategy.name,
                showlegend=chosen is front or not front.any(),
                text=[label for label, take in zip(strategy.labels, chosen, strict=True) if take],
                hovertemplate="%{text}<br>%{x:.4g} mJ, %{y:.4g} Mcycles, %{z:.4g} mm²",
                marker={"color": style(i).color, "size": size, "opacity": opacity},
            )
    axes = {
        f"{axis}axis": {"title": {"text": title}, "type": "log"}
        for axis, title in zip("xyz", AXES, strict=True)
    }
    figure.update_layout(height=640, scene=axes)
    return figure


@drawn
def draw_curves(curves: Sequence[ParameterCurve], best: float, *, narrow: bool = False) -> Canvas:
    """Draw one plot for each parameter: what is found, what cannot be undercut, the budget.

    Parameters
    ----------
    curves : sequence of ParameterCurve
        At least one.
    best : float
        Objective value of the point, as the strategy that chose it found it.
    narrow : bool
        Whether plots stand below each other.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    columns = 1 if narrow else min(len(curves), 3)
    rows = math.ceil(len(curves) / columns)
    figure = (
        canvas(NARROW, 3.2 * rows + 0.8) if narrow else canvas(4.4 * columns, 3.8 * rows + 0.4)
    )
    plots = figure.subplots(rows, columns, squeeze=False).flat
    for axes in plots[len(curves) :]:
        axes.set_visible(False)
    for axes, curve in zip(plots, curves, strict=False):
        objective = curve.objective
        values = np.array(curve.values, dtype=np.float64)
        found = np.array([objective.shown(value) for value in curve.found])
        within = np.array([score.feasible for score in curve.scores])
        fits = np.isfinite(found)
        axes.plot(values[fits], found[fits], color=COLORS[0], linewidth=1.2)
        for chosen, face, label in (
            (fits & within, COLORS[0], "found"),
            (fits & ~within, "white", "found, beyond a budget"),
        ):
            axes.scatter(values[chosen], found[chosen], s=28, facecolors=face,
                         edgecolors=COLORS[0], zorder=3, label=label)  # fmt: skip
        known = [(v, objective.shown(b)) for v, b in zip(values, curve.bounds, strict=True) if b]
        if known:
            axes.plot(*zip(*known, strict=True), color=COLORS[1], linestyle="none", marker="_",
                      markersize=12, markeredgewidth=2, label="nothing is below")  # fmt: skip
        axes.scatter(values[curve.at], objective.shown(best), s=110, marker="*", color=COLORS[2],
                     zorder=4, label="best of all strategies")  # fmt: skip
        axes.axvline(values[curve.at], color="#888888", linestyle="dotted", linewidth=1.0)
        axes.set_xscale("log", base=2)
        shown = [*found[fits], *(bound for _, bound in known), objective.shown(best)]
        if max(shown) > _WIDE * min(shown):
            axes.set_yscale("log")
            plain_logarithms(axes.yaxis)
        else:
            axes.yaxis.set_major_formatter(lambda x, _: f"{x:,.10g}")
        axes.set_xticks(values, [f"{value:,}" for value in curve.values], rotation=60, fontsize=7)
        axes.tick_params(axis="x", which="minor", bottom=False)
        axes.set_xlabel(curve.name)
        axes.grid(alpha=0.3)
    for axes in figure.axes if narrow else figure.axes[:1]:
        axes.set_ylabel(f"{curves[0].objective.heading} ({curves[0].objective.shown_unit})")
    handles = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    columns = 2 if narrow else 4
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=columns)
    return figure


def plain_logarithms(*axes: Axis) -> None:
    """Label logarithmic axes by plain numbers: powers of ten, and some multiples of these.

    Where an axis shows less than a decade, which may hold no power of ten, more of them.
    """
    for axis in axes:
        low, high = axis.get_view_interval()
        digits = "25" if high > _DECADE * low else "23456789" if high < 3 * low else "23457"
        axis.set_major_formatter(lambda x, _: f"{x:,.10g}")
        axis.set_minor_formatter(_chosen(digits))


def _chosen(digits: str) -> Callable[[float, object], str]:
    """Write numbers that begin with some digits."""
    return lambda x, _: f"{x:,.10g}" if f"{x:e}"[0] in digits else ""
