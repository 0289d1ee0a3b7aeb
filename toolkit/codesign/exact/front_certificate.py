"""What a proof of a front says: trade-offs, and by how much every box may have better ones.

A proof of some boxes is a part of one; `join_fronts` puts parts together. As what a box may have
stands beside it, trade-offs that were found in other parts count for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from toolkit.arch.ranges import Range
from toolkit.codesign.exact.boxes import Box, whole
from toolkit.codesign.exact.certificate import (
    Closing,
    TradeOff,
    closings_html,
    closings_of,
    joined,
)
from toolkit.display import MOST_ROWS, object_html, short_energy, table_html
from toolkit.mapping.mapping import FloatArray

_HALVINGS = 40
"""Of the fraction that a box is missed by, in logarithms."""
_NOTHING: tuple[Closing, ...] = ("area", "power", "DRAM", "unfit")
"""Closings of boxes that have no trade-offs at all."""


@dataclass(frozen=True, slots=True)
class MissedBox:
    """A box, and what the front may miss of it.

    Parameters
    ----------
    box : Box
        Places in the ranges.
    miss : float
        Of every trade-off in it, the front has one that exceeds no cost by more than this
        fraction; 0 where nothing is within the budgets, or nothing runs.
    closing : str
        As of `ClosedBox`; ``bound`` where the front comes close enough.
    hull : tuple of (float, float)
        Energies and latencies by rising energy; every trade-off of the box lies on or above these
        corners and the lines between them. Empty where nothing is known, or there is none.
    area_um2 : float
        Least area of the box.
    """

    box: Box
    miss: float
    closing: Closing
    hull: tuple[tuple[float, float], ...] = ()
    area_um2: float = 0.0


@dataclass(frozen=True)
class FrontProof:
    """Trade-offs of energy, latency and area that were found, and what they may miss.

    Parameters
    ----------
    points : tuple of TradeOff
        By rising area, then energy; none is as good as another in all three.
    boxes : tuple of MissedBox
        Disjoint; together all of the space.
    proofs : int
        Fronts of layers that were proved.
    seconds : float
        Wall-clock time.
    """

    points: tuple[TradeOff, ...]
    boxes: tuple[MissedBox, ...]
    proofs: int
    seconds: float

    def __repr__(self) -> str:
        found = f"{len(self.points):,} trade-offs"
        return f"<FrontProof {found}, others missed by {self.miss:.3%}, {len(self.boxes):,} boxes>"

    def _repr_html_(self) -> str:
        """For notebooks: the trade-offs, and what closed the rest of the space."""
        heads = ("hardware", "energy", "cycles", "area")
        rows = [
            (
                ", ".join(f"{k}={v}" for k, v in point.parameters.items()),
                short_energy(point.energy_pj),
                f"{point.latency_cycles:,.0f}",
                f"{point.area_um2 * 1e-6:.4g} mm²",
            )
            for point in self.points
        ]
        facts = [("others missed", f"by {self.miss:.3%} at most")]
        points = table_html(heads, rows, (True, False, False, False), MOST_ROWS)
        return object_html("Trade-offs", facts, points, closings_html(self.closings()))

    @property
    def miss(self) -> float:
        """Whatever hardware of the space and mappings cost, some point costs at most this more.

        As a fraction, of each of the three.
        """
        return max((entry.miss for entry in self.boxes), default=0.0)

    def closings(self) -> dict[str, tuple[int, int]]:
        """Boxes and points by what closed them."""
        return closings_of([(entry.box, entry.closing) for entry in self.boxes])

    def left(self, within: float) -> tuple[MissedBox, ...]:
        """Boxes that may be missed by more than a fraction, those by most first.

        Of a point nothing more is to be found out.
        """
        left = [x for x in self.boxes if x.closing in ("open", "bound") and x.miss > within]
        return tuple(sorted(left, key=lambda x: (-x.miss, x.box.sides)))

    def of_boxes(self, boxes: Sequence[MissedBox]) -> FrontProof:
        """What is known of some boxes alone, all of them open, for somebody to go on with."""
        known = tuple(replace(entry, closing="open") for entry in boxes)
        return replace(self, boxes=known, proofs=0, seconds=0.0)

    def record(self) -> dict[str, Any]:
        """Write the proof as plain data; what may be missed follows from it."""
        return {
            "points": [asdict(point) for point in self.points],
            "boxes": [
                [list(map(list, x.box.sides)), x.closing, list(map(list, x.hull)), x.area_um2]
                for x in self.boxes
            ],
            "proofs": self.proofs,
            "seconds": self.seconds,
        }


def front_from_record(record: Mapping[str, Any]) -> FrontProof:
    """Read what `FrontProof.record` wrote."""
    points = tuple(map(TradeOff.from_record, record["points"]))
    boxes = tuple(
        MissedBox(Box(tuple(map(tuple, sides))), math.inf, closing, tuple(map(tuple, hull)), area)
        for sides, closing, hull, area in record["boxes"]
    )
    read = FrontProof(points, boxes, record["proofs"], record["seconds"])
    return join_fronts([], read, 0.0)


def no_front(ranges: Mapping[str, Range]) -> FrontProof:
    """Say what is known of a space to begin with: all of it is one open box."""
    return FrontProof((), (MissedBox(whole(ranges), math.inf, "open"),), 0, 0.0)


def join_fronts(
    parts: Iterable[tuple[Sequence[Box], FrontProof]], known: FrontProof, within: float
) -> FrontProof:
    """Put parts of a proof together.

    Parameters
    ----------
    parts : iterable of (sequence of Box, FrontProof)
        Of which boxes, all of them of the proof so far, each part tells.
    known : FrontProof
        What is known to begin with.
    within : float
        Fraction that no trade-off may be missed by.
    """
    given = list(parts)
    boxes, proofs, seconds = joined(given, known)
    points = best_of([*known.points, *(point for _, part in given for point in part.points)])
    costs = costs_of(points)
    missed = tuple(_missed(entry, costs, within) for entry in boxes)
    return FrontProof(tuple(points), missed, proofs, seconds)


def _missed(entry: MissedBox, costs: FloatArray, within: float) -> MissedBox:
    """Work out anew by how much a box may be missed."""
    miss = 0.0
    if entry.closing not in _NOTHING:
        hull = np.array(entry.hull).reshape(-1, 2)
        miss = missed_by(hull, entry.area_um2, costs) if len(hull) else math.inf
    closed = "bound" if entry.closing == "open" and miss <= within else entry.closing
    return replace(entry, miss=miss, closing=closed)


def costs_of(points: Sequence[TradeOff]) -> FloatArray:
    """Energies, latencies and areas, shape (points, 3)."""
    rows = [(x.energy_pj, x.latency_cycles, x.area_um2) for x in points]
    return np.array(rows).reshape(-1, 3)


def best_of(points: Sequence[TradeOff]) -> list[TradeOff]:
    """Trade-offs that nothing is as good as in all three costs, by rising area, then energy."""
    ordered = sorted(points, key=lambda x: (x.area_um2, x.energy_pj, x.latency_cycles))
    found: list[TradeOff] = []
    costs = np.zeros((0, 3))
    for point, own in zip(ordered, costs_of(ordered), strict=True):
        # Whatever is as good comes first in this order.
        if not (costs <= own * (1 + 1e-12)).all(axis=1).any():
            found.append(point)
            costs = np.concatenate([costs, own[None]])
    return found


def missed_by(hull: FloatArray, area: float, known: FloatArray) -> float:
    """Fraction by which known trade-offs exceed the nearest ones on or above a hull, at most.

    Parameters
    ----------
    hull : float64 array, shape (corners, 2)
        Convex, by rising energy and falling latency.
    area : float
        Least area of what is above it.
    known : float64 array, shape (points, 3)
        Energies, latencies and areas.

    Examples
    --------
    >>> hull = np.array([[1.0, 4.0], [4.0, 1.0]])
    >>> missed_by(hull, 1.0, np.array([[1.0, 4.0, 1.0], [4.0, 1.0, 1.0]])) > 0.5
    True
    >>> round(missed_by(np.array([[1.0, 2.0]]), 1.0, np.array([[1.0, 2.0, 1.5]])), 9)
    0.5
    """
    if not len(known):
        return math.inf
    least = [*hull.min(axis=0), area]
    if min(least) <= 0:
        return math.inf
    # A single known point suffices from here on.
    high = float(np.max(known / least, axis=1).min()) - 1
    low = 0.0
    if high <= 0 or uncovered(hull, area, known, 0.0) is None:
        return 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if uncovered(hull, area, known, middle) is None:
            high = middle
        else:
            low = middle
    return round(high, 12)


def uncovered(
    hull: FloatArray, area: float, known: FloatArray, miss: float
) -> tuple[float, float] | None:
    """A corner below which known points, made so much better, leave a part of a hull free."""
    reach = (1 + miss) * (1 + 1e-12)
    known = known[known[:, 2] <= area * reach]
    stairs = known[np.lexsort((known[:, 1], known[:, 0])), :2] / reach
    steps = np.concatenate([[math.inf], np.minimum.accumulate(stairs[:, 1])])
    energies = np.concatenate([stairs[:, 0], [math.inf]])
    for energy, latency in zip(energies.tolist(), steps.tolist(), strict=True):
        if energy > hull[0, 0] and np.interp(energy, *hull.T) < latency:
            return energy, latency
    return None
