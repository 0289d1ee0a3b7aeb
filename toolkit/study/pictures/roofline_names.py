"""Which names of layers a roofline has room for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.study.pictures.roofline import RooflinePoint

# More names than this hide the points, and each other.
_LABELLED = 12
# Degrees by which names are slanted, inches of a line of them and of a letter.
SLANT = 35
_LINE, _LETTER = 0.11, 0.058
# Decades below which two points are one to the eye, and share their name.
_NEAR = 0.1


Range = tuple[float, float]
"""The first and the last value that an axis shows."""


@dataclass(frozen=True)
class Name:
    """The name of a layer in the picture, or of several at one place.

    Parameters
    ----------
    point : RooflinePoint
        Where it is written.
    text : str
        The layer, and how many others there are.
    leftwards : bool
        Whether it runs to the left, as names do on the right half.
    """

    point: RooflinePoint
    text: str
    leftwards: bool


@dataclass(frozen=True)
class Plot:
    """A plot of logarithmic axes.

    Parameters
    ----------
    span, height : (float, float)
        What its axes show.
    inches : (float, float)
        How wide and how high it is.
    """

    span: Range
    height: Range
    inches: tuple[float, float]

    def place(self, point: RooflinePoint, aside: tuple[float, float]) -> tuple[float, float]:
        """Inches from the lower left corner, so far aside of a point."""
        (left, right), (low, high) = self.span, self.height
        x = self.inches[0] * math.log(point.intensity / left) / math.log(right / left)
        y = self.inches[1] * math.log(point.performance / low) / math.log(high / low)
        return x + aside[0], y + aside[1]


def names(points: Sequence[RooflinePoint], plot: Plot) -> list[Name]:
    """Choose names: the slowest layers, once where several lie at one place, none over another.

    Parameters
    ----------
    points : sequence of RooflinePoint
        All layers.
    plot : Plot
        Where they are written.
    """
    groups: list[list[RooflinePoint]] = []
    for point in sorted(points, key=lambda point: -point.latency_cycles):
        near = (group for group in groups if _near(group[0], point))
        group = next(near, None)
        if group is None:
            groups.append([point])
        else:
            group.append(point)
    low, high = plot.span
    chosen: list[Name] = []
    for among in groups:
        # Names run inwards, so that none leaves the picture.
        leftwards = math.log(among[0].intensity / low) > 0.5 * math.log(high / low)
        more = f" ({len(among)} layers)" if len(among) > 1 else ""
        name = Name(among[0], among[0].layer + more, leftwards)
        if len(chosen) == _LABELLED:
            break
        if _fits(plot, name) and not any(_meet(plot, name, old) for old in chosen):
            chosen.append(name)
    return chosen


def _fits(plot: Plot, name: Name) -> bool:
    """Whether a name ends within the plot."""
    x, y = plot.place(name.point, _along(name)[-1])
    return 0 <= x <= plot.inches[0] and y >= 0


def _meet(plot: Plot, one: Name, other: Name) -> bool:
    """Whether two names would be written over each other."""
    corners = [[plot.place(name.point, at) for at in _along(name)] for name in (one, other)]
    return any(math.dist(a, b) < 1.6 * _LINE for a in corners[0] for b in corners[1])


def _along(name: Name) -> list[tuple[float, float]]:
    """Places on a name, in inches from where it begins."""
    way = -1.0 if name.leftwards else 1.0
    angle = math.radians(SLANT)
    return [
        (way * s * math.cos(angle), -s * math.sin(angle))
        for s in (_LETTER * i for i in range(len(name.text)))
    ]


def _near(one: RooflinePoint, other: RooflinePoint) -> bool:
    if one.label != other.label:
        return False
    apart = math.log10(one.intensity / other.intensity)
    above = math.log10(one.performance / other.performance)
    return abs(apart) < _NEAR and abs(above) < _NEAR
