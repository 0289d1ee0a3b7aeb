"""Which box comes next, and where it is cut."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from toolkit.arch.ranges import Range
from toolkit.codesign.exact.boxes import Box
from toolkit.codesign.exact.carried import Carried, Least
from toolkit.codesign.exact.corners import Corners
from toolkit.workload.kernel import Workload


@dataclass(eq=False)
class Node:
    """A box that is open.

    Parameters
    ----------
    bound : float
        No point of it has a lower objective value.
    box : Box
        Its points.
    carried : mapping of Workload to Carried
        What was proved of workloads on it, or on larger boxes.
    least : mapping of Workload to mapping of str to Least
        Least words of memories, by name.
    least_widths : mapping of Workload to float
        How wide meshes were where these were proved (`mesh_width`).
    mesh_width : float
        Sum of the widths of the parameters that change meshes.
    axis : int or None
        The parameter at which it was cut off the box before.
    cut_width, before : float
        By how much that has become less wide (`Cutter.width`), and the bound of the box before.
    seen : bool
        Whether it was looked at.
    figures : tuple of int
        Numbers of the figures of which tables were asked, the box's own last (`Floors`).
    """

    bound: float
    box: Box
    carried: Mapping[Workload, Carried] = field(default_factory=dict)
    least: Mapping[Workload, Mapping[str, Least]] = field(default_factory=dict)
    least_widths: Mapping[Workload, float] = field(default_factory=dict)
    mesh_width: float = math.inf
    axis: int | None = None
    cut_width: float = 0.0
    before: float = 0.0
    seen: bool = False
    figures: tuple[int, ...] = ()


@dataclass(eq=False)
class Cutter:
    """Cuts boxes where it has raised bounds most so far.

    Parameters
    ----------
    ranges : mapping of str to Range
        Of the space.
    first : set of int
        Places of parameters that are cut before others of which nothing is known yet.
    """

    ranges: Mapping[str, Range]
    first: frozenset[int] = frozenset()
    _gains: dict[int, tuple[float, float]] = field(default_factory=dict, init=False)

    def width(self, box: Box, axis: int) -> float:
        """Natural logarithm of the last value over the first."""
        values = list(self.ranges.values())[axis].values
        first, last = box.sides[axis]
        return math.log(values[last] / values[first])

    def mesh_width(self, box: Box) -> float:
        """Sum of the widths of the parameters that change meshes."""
        return math.fsum(self.width(box, axis) for axis in sorted(self.first))

    def learn(self, node: Node) -> None:
        """Take down by how much a cut has raised the bound of a part."""
        before = node.before
        if node.axis is None or not 0 < before < math.inf or not node.bound < math.inf:
            return
        gain, width = self._gains.get(node.axis, (0.0, 0.0))
        self._gains[node.axis] = gain + math.log(node.bound / before), width + node.cut_width

    def cut(self, node: Node) -> tuple[Node, Node]:
        """Cut a box in two, at the parameter that promises most."""
        box = node.box
        axis = max(
            (a for a, (first, last) in enumerate(box.sides) if first < last),
            key=lambda a: (
                self._rate(a) * self.width(box, a),
                a in self.first,
                self.width(box, a),
                -a,
            ),
        )
        values = list(self.ranges.values())[axis].values
        first, last = box.sides[axis]
        middle = math.sqrt(values[first] * values[last])
        at = max(i for i in range(first, last) if i == first or values[i] <= middle)
        parts = box.cut(axis, at)
        width = self.width(box, axis)
        lower, upper = (
            replace(
                node,
                box=part,
                mesh_width=self.mesh_width(part),
                axis=axis,
                cut_width=width - self.width(part, axis),
                before=node.bound,
                seen=False,
            )
            for part in parts
        )
        return lower, upper

    def _rate(self, axis: int) -> float:
        gain, width = self._gains.get(axis, (0.0, 0.0))
        return gain / width if width > 0 else math.inf


def trimmed(
    corners: Corners, box: Box, budgets: Mapping[str, float]
) -> tuple[Box, list[tuple[Box, str]]]:
    """Take off a box what exceeds the budgets whatever the other parameters are.

    Returns
    -------
    box : Box
        What is left.
    off : list of (Box, str)
        What is taken off, and which budget it exceeds; disjoint.
    """
    off: list[tuple[Box, str]] = []
    for axis, at_last in enumerate(corners.lean_at_last):
        first, last = box.sides[axis]
        low, high = 0, last - first
        # The least distance from the lean end that still is within the budgets at all.
        while low < high:
            step = (low + high + 1) // 2
            side = (first, last - step) if at_last else (first + step, last)
            if exceeded(corners, box.with_side(axis, *side), budgets):
                high = step - 1
            else:
                low = step
        if low < last - first:
            kept = (last - low, last) if at_last else (first, first + low)
            lost = (first, last - low - 1) if at_last else (first + low + 1, last)
            away = box.with_side(axis, *lost)
            off.append((away, exceeded(corners, away, budgets)))
            box = box.with_side(axis, *kept)
    return box, off


def exceeded(corners: Corners, box: Box, budgets: Mapping[str, float]) -> str:
    """Which budget all points of a box exceed; empty if none is known to be."""
    if not budgets:
        return ""
    least = dict(zip(("area", "power"), corners.area_and_power(box), strict=True))
    least["DRAM"] = corners.dram_gb_per_s(box)
    return next((name for name, budget in budgets.items() if least[name] > budget), "")
