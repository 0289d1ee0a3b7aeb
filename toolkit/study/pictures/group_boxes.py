"""Groups of layers as boxes in columns, in the order in which they run: where all of it stands.

Lengths are inches from the upper left corner, for text of 6.5 points.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import networkx as nx

from toolkit.study.pictures.layers import Layout, Place

ROW, HEAD = 0.165, 0.14
"""Heights of a layer and of a line of a heading."""

LABEL_INDENT = 0.1
"""From the dot of a layer to its name."""

_GAP, _SIDE = 0.13, 0.1
"""Between boxes of a column, and between columns."""

_LANE, _FIRST_LANE = 0.07, 0.1
"""Between lines that run beside the layers, and from the dots to the first."""

_ASIDE = 0.03
"""From the middle of a dot to lines that leave it, downwards, and that reach it, upwards."""

_LETTER, _BOLD = 0.0555, 0.065
"""Width of a letter, rather too wide, and of one in the first line of a heading."""

_ASPECT = 1.3
"""Width of the picture against its height."""

WIDTH = 5.5
"""Least width, for what stands above the boxes."""


@dataclass(frozen=True)
class Box:
    """A group.

    Parameters
    ----------
    number : int
        Of the group.
    heading : tuple of str
        Lines above its layers.
    alone : bool
        Whether it has one layer.
    left, top, right, bottom : float
        Its edges.
    text : float
        Where its heading begins: above names of layers, right of lines beside them.
    """

    number: int
    heading: tuple[str, ...]
    alone: bool
    left: float
    top: float
    right: float
    bottom: float
    text: float


@dataclass(frozen=True)
class Way:
    """How a tensor goes from one layer to another in the same column.

    Parameters
    ----------
    source, target : str
        The layers.
    inside : bool
        Whether they are in one group.
    places : tuple of places
        Straight down, or beside the layers in between.
    """

    source: str
    target: str
    inside: bool
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Boxes:
    """All groups, layers and tensors.

    Parameters
    ----------
    boxes : tuple of Box
        In their order.
    layout : Layout
        Places of the layers.
    ways : tuple of Way
        Tensors within a column.
    elsewhere : dict of str to (place, str)
        By layer, which groups in other columns it reads from or is read by, and where that is
        written.
    width, height : float
        Of all of it.
    """

    boxes: tuple[Box, ...]
    layout: Layout
    ways: tuple[Way, ...]
    elsewhere: Mapping[str, tuple[Place, str]]
    width: float
    height: float


@dataclass
class _Column:
    """Groups that stand below each other, and the lanes of lines beside them."""

    groups: list[int] = field(default_factory=list)
    rows: dict[str, float] = field(default_factory=dict)
    tops: dict[int, float] = field(default_factory=dict)
    lanes: dict[tuple[str, bool], int] = field(default_factory=dict)
    height: float = 0.0


def boxes_of(
    graph: nx.DiGraph,
    partition: Sequence[frozenset[str]],
    headings: Sequence[tuple[str, ...]],
    labels: Mapping[str, str],
    positions: Mapping[str, int],
    *,
    columns: int | None = None,
    width: float = WIDTH,
) -> Boxes:
    """Lay out groups.

    Parameters
    ----------
    graph : networkx.DiGraph
        Layers and tensors.
    partition : sequence of frozenset of str
        In the order in which groups run.
    headings : sequence of tuple of str
        Lines above the layers of each group.
    labels : mapping of str to str
        What is written beside each layer.
    positions : mapping of str to int
        Of the layers in the order in which they run.
    columns : int, optional
        In which groups stand; by default so many that all is about as wide as it is high.
    width : float
        Of all of it at least.
    """
    group_of = {name: i for i, group in enumerate(partition) for name in group}
    members = [sorted(group, key=positions.__getitem__) for group in partition]
    heights = [len(h) * HEAD + len(m) * ROW + _GAP for h, m in zip(headings, members, strict=True)]
    widest = max(map(len, [*labels.values(), *(line for h in headings for line in h)]))
    even = round(math.sqrt(_ASPECT * sum(heights) / (widest * _LETTER + 0.5)))
    count = columns or max(1, even)
    filled = [_filled(part, heights, headings, members) for part in _parts(heights, count)]
    home = {name: column for column in filled for name in column.rows}
    left, boxes, places = _SIDE, list[Box](), dict[str, Place]()
    ways, elsewhere = list[Way](), dict[str, tuple[Place, str]]()
    for column in filled:
        edges = [e for e in graph.edges if home[e[0]] is column and home[e[1]] is column]
        straight = _straight(column, edges)
        column.lanes = _lanes(column, [e for e in edges if e not in straight], group_of)
        dots = left + _FIRST_LANE + _LANE * (max(column.lanes.values(), default=-1) + 1)
        others = {n: _others(graph, n, home, column, group_of) for n in column.rows}
        texts = [labels[n] + others[n] for n in column.rows]
        heads = [_width(headings[number]) for number in column.groups]
        start = dots + LABEL_INDENT
        wide = max(start + max(map(len, texts)) * _LETTER, start + max(heads)) + _SIDE
        for number in column.groups:
            top = column.tops[number]
            bottom = top + heights[number] - _GAP + 0.04
            alone = len(members[number]) == 1
            boxes.append(Box(number, headings[number], alone, left, top, wide, bottom, start))
        places |= {name: (dots, row) for name, row in column.rows.items()}
        for source, target in edges:
            inside = group_of[source] == group_of[target]
            lane = column.lanes.get((source, inside)) if (source, target) not in straight else None
            way = _way(places[source], places[target], lane)
            ways.append(Way(source, target, inside, way))
        for name, words in others.items():
            if words:
                at = wide - (len(words) + 1) * _LETTER
                elsewhere[name] = ((at, column.rows[name]), words)
        left = wide + _SIDE
    height = max(column.height for column in filled)
    layout = Layout(places, tuple(graph.edges))
    return Boxes(tuple(boxes), layout, tuple(ways), elsewhere, max(left, width), height)


def _width(heading: Sequence[str]) -> float:
    """Of the lines of a heading, the first of which is bold."""
    first, *others = heading
    return max(len(first) * _BOLD, *(len(line) * _LETTER for line in others), 0.0)


def _parts(heights: Sequence[float], count: int) -> Iterator[list[int]]:
    """Numbers of groups, in so many runs of about the same height."""
    most = max(sum(heights) / count, *heights)
    part: list[int] = []
    for number, height in enumerate(heights):
        if part and sum(heights[i] for i in part) + height > most * 1.001:
            yield part
            part = []
        part.append(number)
    yield part


def _filled(
    part: list[int],
    heights: Sequence[float],
    headings: Sequence[tuple[str, ...]],
    members: Sequence[Sequence[str]],
) -> _Column:
    column = _Column(part)
    for number in part:
        column.tops[number] = column.height
        first = column.height + len(headings[number]) * HEAD + ROW * 0.6
        for row, name in enumerate(members[number]):
            column.rows[name] = first + row * ROW
        column.height += heights[number]
    return column


def _straight(column: _Column, edges: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Tensors from one layer to the next one of the same box: no heading is in between."""
    return {(a, b) for a, b in edges if 0 < column.rows[b] - column.rows[a] < ROW * 1.01}


def _lanes(
    column: _Column, edges: Sequence[tuple[str, str]], group_of: Mapping[str, int]
) -> dict[tuple[str, bool], int]:
    """A lane beside the layers for each tensor, shared where no two are side by side.

    All readers of a tensor in its group are served by one line, and all others by another.
    """
    ends: dict[tuple[str, bool], float] = {}
    for source, target in edges:
        key = source, group_of[source] == group_of[target]
        ends[key] = max(ends.get(key, 0.0), column.rows[target])
    taken: list[list[tuple[float, float]]] = []
    lanes = {}
    for key, end in sorted(ends.items(), key=lambda item: item[1] - column.rows[item[0][0]]):
        start = column.rows[key[0]]
        free = (
            i
            for i, among in enumerate(taken)
            if all(end < first or last < start for first, last in among)
        )
        lane = next(free, len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((start, end))
        lanes[key] = lane
    return lanes


def _way(start: Place, end: Place, lane: int | None) -> tuple[Place, ...]:
    if lane is None:
        return start, end
    side = start[0] - _FIRST_LANE - _LANE * lane
    # What comes in and what goes out of a layer is seen side by side.
    out, into = start[1] + _ASIDE, end[1] - _ASIDE
    return (start[0], out), (side, out), (side, into), (end[0], into)


def _others(
    graph: nx.DiGraph,
    name: str,
    home: Mapping[str, _Column],
    column: _Column,
    group_of: Mapping[str, int],
) -> str:
    """Say which groups in other columns a layer reads from and is read by."""
    words = ""
    for arrow, names in (("←", graph.predecessors(name)), ("→", graph.successors(name))):
        numbers = sorted({group_of[n] for n in names if home[n] is not column})
        if numbers:
            words += f"  {arrow} {', '.join(map(str, numbers))}"
    return words
