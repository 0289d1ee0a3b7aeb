"""How strategies look in plots, whichever library draws them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.study.curves import LEAST_GAP, ProblemPlot

_COLORS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
    "#8c6d1f",
)
"""Okabe and Ito's, which all readers can tell apart, with brown for their yellow."""

_MARKERS = ("o", "s", "D", "^", "v", "p", "*", "h")
_LINES = ("solid", "dashed", "dotted")
_WIDE, _LONG = 5.0, 50.0


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
    turn = place // len(_COLORS)
    return Style(
        _COLORS[place % len(_COLORS)],
        _LINES[turn % len(_LINES)],
        _MARKERS[place % len(_MARKERS)],
        max(13.0 - 1.5 * place, 5.0),
    )


def value_limits(plot: ProblemPlot) -> tuple[float, float]:
    """Find the limits of the values of all curves, with some room."""
    curves = [curve for strategy in plot.strategies for curve in strategy.curves.values()]
    every = np.concatenate([[LEAST_GAP], *([c.low] + [c.median] + [c.high] for c in curves)], None)
    every = every[np.isfinite(every)]
    if plot.relative:
        return LEAST_GAP / 1.5, max(float(every.max()), 1.0) * 1.5
    values = every[1:] if len(every) > 1 else every
    room = 0.05 * (float(np.ptp(values)) or 1.0)
    return float(values.min()) - room, float(values.max()) + room


def is_long(plot: ProblemPlot, spent: str) -> bool:
    """Whether curves reach over so many decades of what was spent that each needs one label."""
    ends = [
        c[spent].spent[[0, -1]] for c in (strategy.curves for strategy in plot.strategies) if c
    ]
    return bool(ends) and float(np.max(ends)) > _LONG * float(np.min(ends))


def gap_ticks(highest: float) -> tuple[list[float], list[str]]:
    """Choose ticks of a logarithmic axis of gaps in percent; the lowest one stands for less, too.

    Examples
    --------
    >>> gap_ticks(15.0)
    ([0.01, 0.1, 1.0, 10.0], ['≤ 0.01', '0.1', '1', '10'])
    """
    decades = int(np.log10(highest / LEAST_GAP) + 1e-9)
    ticks = [float(f"{LEAST_GAP * 10**i:.3g}") for i in range(decades + 1)]
    return ticks, [f"≤ {ticks[0]:g}", *(f"{tick:g}" for tick in ticks[1:])]


def trade_limits(plot: ProblemPlot, column: int) -> tuple[float, float, bool]:
    """Find the limits of energy (column 0) or latency (1), with some room.

    Returns
    -------
    low, high : float
    is_wide : bool
        Whether points differ so much that a logarithmic axis shows them better.
    """
    every = np.concatenate([strategy.points[:, column] for strategy in plot.strategies])
    if not len(every):
        return 0.0, 1.0, False
    low, high = float(every.min()), float(every.max())
    if 0 < _WIDE * low < high:
        return low / 1.3, high * 1.3, True
    # Equal points shall not be torn apart by their last digits.
    room = max(0.08 * (high - low), 0.02 * abs(high))
    return low - room, high + room, False
