"""Boxes of a hardware space: for every parameter the values between two of its range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.arch.expressions import Number
from toolkit.arch.ranges import Range

Sides = tuple[tuple[int, int], ...]
"""Of every parameter the first and the last place in its range that belong to a box."""


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a space: of every range some neighbouring values.

    Parameters
    ----------
    sides : tuple of (int, int)
        First and last place of each, both included, in the order of the ranges.

    Examples
    --------
    >>> box = Box(((0, 3), (2, 2)))
    >>> box.points, box.is_point, box.cut(0, 1)
    (4, False, (Box(sides=((0, 1), (2, 2))), Box(sides=((2, 3), (2, 2)))))
    """

    sides: Sides

    @property
    def points(self) -> int:
        """How many points lie in it."""
        return math.prod(last - first + 1 for first, last in self.sides)

    @property
    def is_point(self) -> bool:
        """Whether one is all there is."""
        return all(first == last for first, last in self.sides)

    def with_side(self, place: int, first: int, last: int) -> Box:
        """The box with other values of one parameter."""
        return Box((*self.sides[:place], (first, last), *self.sides[place + 1 :]))

    def cut(self, place: int, at: int) -> tuple[Box, Box]:
        """Cut one side behind the value at place `at` of its range."""
        first, last = self.sides[place]
        return self.with_side(place, first, at), self.with_side(place, at + 1, last)

    def parameters(
        self, ranges: Mapping[str, Range], at_last: tuple[bool, ...]
    ) -> dict[str, Number]:
        """A corner: of every parameter the last value or the first."""
        pairs = zip(ranges.items(), self.sides, at_last, strict=True)
        return {name: found.values[side[last]] for (name, found), side, last in pairs}

    def values(self, ranges: Mapping[str, Range]) -> dict[str, tuple[Number, Number]]:
        """First and last value of every parameter, by name."""
        return {
            name: (found.values[first], found.values[last])
            for (name, found), (first, last) in zip(ranges.items(), self.sides, strict=True)
        }


def whole(ranges: Mapping[str, Range]) -> Box:
    """All of a space."""
    return Box(tuple((0, len(found.values) - 1) for found in ranges.values()))
