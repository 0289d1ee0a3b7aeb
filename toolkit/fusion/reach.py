"""How axes of tensors reach each other through an operator."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """What the positions of an output axis read along one axis of an input.

    Position `i` reads ``stride * i - pad`` up to ``stride * i - pad + extent``, excluded.

    Parameters
    ----------
    axis : int
        Of the input.
    stride : int
        Positions of the input from one position of the output to the next.
    extent : int
        Positions that one of the output needs: taps, spread by the dilation.
    pad : int
        Positions before the first.
    share : int
        Positions of the output in a row that read the same: heads of the query that share a key.
        Position `i` then stands for ``i // share`` above, and tiles hold whole shares.
    """

    axis: int
    stride: int = 1
    extent: int = 1
    pad: int = 0
    share: int = 1


Links = Mapping[int, Reach]
"""Output axis to what it needs of one input; an axis left out needs all of it."""


@dataclass(frozen=True)
class AxisRule:
    """How one layer can be cut into tiles.

    Parameters
    ----------
    links : tuple of mapping of int to Reach
        One entry per input (activations only).
    open_axes : frozenset of int
        Output axes that can be tiled without cutting the weights or repeating a reduction.
    """

    links: tuple[Links, ...]
    open_axes: frozenset[int] = field(default_factory=frozenset)


def reshape_links(source: Shape, target: Shape) -> Links:
    """Axes that a reshape keeps: equally long, with as many positions before them.

    Examples
    --------
    >>> sorted(reshape_links((1, 128, 768), (1, 128, 12, 64)))
    [0, 1]
    """
    before = _places(source)
    links = {}
    for axis, size in enumerate(target):
        key = (math.prod(target[:axis]), size)
        if key in before:
            links[axis] = Reach(before[key])
    return links


def split_links(source: Shape, target: Shape) -> Links:
    """Axes that a reshape splits: the first part is cut as whole runs of the others.

    Examples
    --------
    >>> split_links((1, 128, 768), (1, 128, 12, 64))
    {2: Reach(axis=2, stride=64, extent=64, pad=0, share=1)}
    """
    before = _places(source)
    links: dict[int, Reach] = {}
    for axis, size in enumerate(target):
        run = 1
        for following in target[axis + 1 :] if size > 1 else ():
            run *= following
            split = before.get((math.prod(target[:axis]), size * run))
            if run > 1 and split is not None:
                links.setdefault(axis, Reach(split, run, run))
    return links


def joined_links(source: Shape, target: Shape) -> Links:
    """Axes that a reshape joins: positions share one of the first part, in whole runs.

    Examples
    --------
    >>> joined_links((1, 128, 12, 64), (1, 128, 768))
    {2: Reach(axis=2, stride=1, extent=1, pad=0, share=64)}
    """
    links: dict[int, Reach] = {}
    for axis, reach in split_links(target, source).items():
        if reach.stride == reach.extent and reach.axis not in links:
            links[reach.axis] = Reach(axis, share=reach.stride)
    return links


def _places(shape: Shape) -> dict[tuple[int, int], int]:
    """Axes by the number of positions before them and their length."""
    places: dict[tuple[int, int], int] = {}
    for axis, size in enumerate(shape):
        places.setdefault((math.prod(shape[:axis]), size), axis)
    return places


def new_rule(links: tuple[Links, ...], closed: tuple[int, ...] = ()) -> AxisRule:
    """Make a rule of what an output axis needs of each input; `closed` axes may not be cut."""
    axes = {axis for entry in links for axis in entry} - set(closed)
    kept = tuple({a: r for a, r in entry.items() if a in axes} for entry in links)
    return AxisRule(kept, frozenset(axes))
