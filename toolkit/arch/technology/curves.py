"""Figures between published points: straight lines, or straight lines in logarithms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIZE_POWER = 0.78
"""Power of the size by which energy shrinks below the smallest size that CACTI accepts."""


def node_factor(
    nm: Sequence[float], values: Sequence[float], to_nm: float, from_nm: float, power: float
) -> float:
    """Scale a figure between nodes.

    Parameters
    ----------
    nm, values : sequence of float
        Published figures by node, the largest node first; linear in between.
    to_nm, from_nm : float
        Nodes not above the largest.
    power : float
        Of the node, below the smallest published one.
    """

    def at(node: float) -> float:
        inside = max(node, nm[-1])
        figure = float(np.interp(inside, nm[::-1], values[::-1]))
        return figure * math.pow(node / inside, power)

    return at(to_nm) / at(from_nm)


@dataclass(frozen=True)
class Curve:
    """A power law between neighbouring points, and with the outermost two powers beyond.

    Parameters
    ----------
    x, y : float64 array, shape (points,)
        Positive, `x` ascending.
    clamped : bool
        Whether the outermost values hold beyond the points instead.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    clamped: bool = False

    def __call__(self, x: float) -> float:
        """Evaluate at `x`."""
        logs, values = np.log(self.x), np.log(self.y)
        where = float(np.log(x))
        if self.clamped or len(logs) == 1:
            return float(np.exp(np.interp(where, logs, values)))
        i = int(np.clip(np.searchsorted(logs, where) - 1, 0, len(logs) - 2))
        slope = (values[i + 1] - values[i]) / (logs[i + 1] - logs[i])
        return float(np.exp(values[i] + slope * (where - logs[i])))


@dataclass(frozen=True)
class Surface:
    """A figure over two quantities, a `Curve` along each.

    Parameters
    ----------
    rows : float64 array, shape (rows,)
    columns : float64 array, shape (columns,)
    values : float64 array, shape (rows, columns)
    clamped : bool
        As of `Curve`.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    values: NDArray[np.float64]
    clamped: bool = False

    def __call__(self, row: float, column: float) -> float:
        """Evaluate at one place."""
        along = [Curve(self.columns, line, self.clamped)(column) for line in self.values]
        return Curve(self.rows, np.array(along), self.clamped)(row)


def monotone_surface(
    rows: Sequence[float],
    columns: Sequence[float],
    table: Sequence[Sequence[float]],
    anchor: float,
    linear: bool,
) -> Surface:
    """Make a surface that grows along both quantities from a table that nearly does.

    CACTI picks the organisation that suits each size and width best, so that a wider port
    sometimes comes out cheaper. The column `anchor` stands as published; wider ones cost at least
    as much as their narrower neighbour, narrower ones at most as much as their wider one.

    Parameters
    ----------
    rows, columns : sequence of float
        Sizes and widths.
    table : sequence of sequence of float
        Rows may end early: a column begins at its smallest published size, below which figures
        shrink with the power 0.78 of the size, or in proportion to it if `linear`.
    anchor : float
        One of the columns.
    linear : bool
        See `table`.
    """
    values = np.full((len(rows), len(columns)), np.nan)
    for i, line in enumerate(table):
        values[i, : len(line)] = line
    power = 1.0 if linear else _SIZE_POWER
    for j in range(len(columns)):
        first = int(np.flatnonzero(~np.isnan(values[:, j]))[0])
        values[:first, j] = values[first, j] * (np.array(rows[:first]) / rows[first]) ** power
    fixed = list(columns).index(anchor)
    values[:, fixed:] = np.maximum.accumulate(values[:, fixed:], axis=1)
    narrow = values[:, : fixed + 1][:, ::-1]
    values[:, : fixed + 1] = np.minimum.accumulate(narrow, axis=1)[:, ::-1]
    values = np.maximum.accumulate(values, axis=0)
    return Surface(np.array(rows, dtype=float), np.array(columns, dtype=float), values)
