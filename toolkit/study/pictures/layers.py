"""Graphs of layers laid out in rows and columns, and how their edges run.

A layout is a record, which is what tests look at; the pictures of networks and of fusion draw
their layers at its places, and their edges by `draw_edge` (Matplotlib) and `lines` (plotly).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Place = tuple[float, float]

_GAP = 1.4
"""Columns from the layers of one column of a long graph to those of the next: room for the edges
that pass beside them."""

_ABOVE = 0.6
"""Rows in which an edge that leaves rows out moves aside, and back."""


@dataclass(frozen=True)
class Layout:
    """Where layers stand, and which are joined.

    Parameters
    ----------
    places : dict of str to (float, float)
        Column and row of each layer, the first row on top.
    edges : tuple of (str, str)
        Which layer is read by which.
    """

    places: dict[str, Place]
    edges: tuple[tuple[str, str], ...]

    @property
    def left(self) -> float:
        """The first column."""
        return min((x for x, _ in self.places.values()), default=0.0)

    @property
    def extent(self) -> tuple[float, float]:
        """Columns and rows."""
        xs = [x for x, _ in self.places.values()] or [0.0]
        ys = [y for _, y in self.places.values()] or [0.0]
        return max(xs) - min(xs) + 1, max(ys) + 1

    def way(self, before: str, after: str, aside: float) -> list[Place]:
        """Places that an edge passes: beside all rows that it leaves out.

        Parameters
        ----------
        before, after : str
            The layers that it joins.
        aside : float
            Columns to the right of both, negative ones to the left.
        """
        start, end = self.places[before], self.places[after]
        if end[1] - start[1] <= 1 or abs(start[0] - end[0]) > 0.25:
            return [start, end]
        outermost = max if aside > 0 else min
        side = outermost(start[0], end[0]) + aside
        return [start, (side, start[1] + _ABOVE), (side, end[1] - _ABOVE), end]

    def goes_on(self, before: str, after: str) -> bool:
        """Whether an edge goes on in a further column."""
        return self.places[after][1] <= self.places[before][1]


def lay_out(graph: nx.DiGraph, rows: int) -> Layout:
    """Stand each layer below all that it reads from, as late as those allow that read it.

    Within a row layers are ordered by where those stand that they read from. Graphs of more than
    about so many `rows` go on in a further column.
    """
    heights: dict[str, int] = {}
    for name in reversed(list(nx.topological_sort(graph))):
        heights[name] = max((heights[after] + 1 for after in graph.successors(name)), default=0)
    depth = max(heights.values(), default=0)
    layers: dict[int, list[str]] = {}
    for name in nx.topological_sort(graph):
        layers.setdefault(depth - heights[name], []).append(name)
    places: dict[str, Place] = {}
    for row in sorted(layers):
        above = {
            name: [places[before][0] for before in graph.predecessors(name)]
            for name in layers[row]
        }
        layers[row].sort(key=lambda n: sum(above[n]) / len(above[n]) if above[n] else 0.0)
        middle = (len(layers[row]) - 1) / 2
        for place, name in enumerate(layers[row]):
            places[name] = (place - middle, float(row))
    return Layout(_in_columns(places, rows), tuple(graph.edges))


def _in_columns(places: dict[str, Place], most: int) -> dict[str, Place]:
    """Cut a long layout into columns side by side, of `most` rows or about as high as wide."""
    if not places:
        return {}
    depth = int(max(y for _, y in places.values())) + 1
    width = max(x for x, _ in places.values()) - min(x for x, _ in places.values()) + _GAP
    count = max(1, round(depth / max(most, math.sqrt(2 * depth * width))))
    rows = -(-depth // count)
    return {
        n: (x + width * (int(y) // rows), float(int(y) % rows)) for n, (x, y) in places.items()
    }


def draw_edge(
    axes: Axes,
    way: Sequence[Place],
    *,
    color: str,
    line: str,
    head: str,
    width: float,
    room: float,
) -> None:
    """Draw an edge by Matplotlib, below all that stands at its ends.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    way : sequence of places
        From `Layout.way`.
    color, line, head : str
        As Matplotlib names colours, styles of lines and of arrows.
    width, room : float
        Points: how wide, and how far before the last place the arrow ends.
    """
    for start, end in zip(way, way[1:-1], strict=False):
        xs, ys = zip(start, end, strict=True)
        axes.plot(xs, ys, color=color, linestyle=line, linewidth=width, zorder=1)
    arrow = {
        "arrowstyle": head,
        "color": color,
        "linestyle": line,
        "linewidth": width,
        "shrinkA": 0,
        "shrinkB": room,
    }
    axes.annotate("", xy=way[-1], xytext=way[-2], arrowprops=arrow, zorder=1)


def lines(ways: Iterable[Sequence[Place]]) -> dict[str, list[float | None]]:
    """Join ways to one trace of plotly's, whose line is interrupted between them."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for way in ways:
        xs += [*(x for x, _ in way), None]
        ys += [*(y for _, y in way), None]
    return {"x": xs, "y": ys}
