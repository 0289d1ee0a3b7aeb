"""What a proof over hardware says: the best point, a bound, and the boxes that it is made of.

A proof of some boxes is a part of one: `join_proofs` puts parts together, in the order in which
they were made, each in the place of the boxes that it was asked about.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol, Self, TypeVar

from toolkit.arch.expressions import Number
from toolkit.arch.ranges import Range
from toolkit.codesign.exact.boxes import Box, whole
from toolkit.display import object_html, table_html

Closing = Literal["area", "power", "DRAM", "unfit", "bound", "point", "open"]
"""What closed a box: its least area, power or bandwidth of DRAM exceeds a budget; a layer does not
even run on its relaxed corner; its bound is no better than the best point; it is a point whose
optimum is known; or nothing did, within the time."""

ROUNDING, PROVED = 1e-12, 1e-10
"""Relative differences: what rounding may take off a bound, and below which a value and its bound
count as the same."""


@dataclass(frozen=True, slots=True)
class ClosedBox:
    """A box, no point of which has a lower objective value than its bound.

    Parameters
    ----------
    box : Box
        Places in the ranges.
    bound : float
        Of the objective; inf where no point is within the budgets, or none runs the networks.
    closing : str
        What closed it.
    """

    box: Box
    bound: float
    closing: Closing


@dataclass(frozen=True)
class TradeOff:
    """What networks cost together on a point, with mappings for one trade-off.

    Parameters
    ----------
    parameters : mapping of str to number
        The point.
    energy_pj, latency_cycles : float
        Weighted sums over the networks.
    area_um2, power_mw : float
        Of the chip; the most power it can draw.
    networks : tuple of (float, float)
        Energy and latency of one run of each network.
    """

    parameters: Mapping[str, Number]
    energy_pj: float
    latency_cycles: float
    area_um2: float
    power_mw: float
    networks: tuple[tuple[float, float], ...]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` made of one."""
        return cls(**{**record, "networks": tuple(map(tuple, record["networks"]))})


@dataclass(frozen=True)
class PointCost(TradeOff):
    """The same with every layer mapped for the sake of all.

    Parameters
    ----------
    value : float
        Of the objective.
    """

    value: float


@dataclass(frozen=True)
class HardwareProof:
    """The best hardware found, and how good any hardware of the space can be.

    Parameters
    ----------
    best : PointCost or None
        None if no point is known to run the networks within the budgets.
    bound : float
        No point of the space within the budgets has a lower objective value.
    boxes : tuple of ClosedBox
        Disjoint; together all of the space.
    proofs : int
        Fronts of layers that were proved.
    seconds : float
        Wall-clock time, that of earlier runs included.
    notes : tuple of str
        Parameters that are given their values one by one, and why; one sentence each.
    """

    best: PointCost | None
    bound: float
    boxes: tuple[ClosedBox, ...]
    proofs: int
    seconds: float
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        known = "proved best" if self.proved else f"within {self.gap:.3%}"
        best = "nothing feasible"
        if self.best is not None:
            best = ", ".join(f"{k}={v}" for k, v in self.best.parameters.items())
        return f"<HardwareProof {best}: {known}, {len(self.boxes):,} boxes>"

    def _repr_html_(self) -> str:
        """For notebooks: what is known of the best point, and what closed the others."""
        facts = [("bound", f"{self.bound:.6g}"), ("effort", f"{self.proofs:,} fronts of layers")]
        if self.best is not None:
            point = ", ".join(f"{k}={v}" for k, v in self.best.parameters.items())
            known = "proved" if self.proved else f"at most {self.gap:.3%} above the best possible"
            facts = [("best", f"{point}: {self.best.value:.6g}, {known}"), *facts]
        facts += [("note", note) for note in self.notes]
        return object_html("What no hardware undercuts", facts, closings_html(self.closings()))

    @property
    def gap(self) -> float:
        """Fraction of the bound by which the best point exceeds it."""
        return gap_to(math.inf if self.best is None else self.best.value, self.bound)

    @property
    def proved(self) -> bool:
        """Whether nothing in the space is better than the best point."""
        return self.gap <= PROVED

    def closings(self) -> dict[str, tuple[int, int]]:
        """Boxes and points by what closed them."""
        return closings_of([(entry.box, entry.closing) for entry in self.boxes])

    def left(self, within: float) -> tuple[ClosedBox, ...]:
        """Boxes that have to be looked at before the best point is proved, to a fraction.

        The most promising first. Those that their bounds closed are among them where less of a
        gap is asked for.
        """
        limit = limit_of(self.best, within)
        left = [x for x in self.boxes if x.closing in ("open", "bound") and x.bound < limit]
        return tuple(sorted(left, key=lambda x: (x.bound, x.box.sides)))

    def of_boxes(self, boxes: Sequence[ClosedBox]) -> HardwareProof:
        """What is known of some boxes alone, all of them open, for somebody to go on with."""
        known = tuple(replace(entry, closing="open") for entry in boxes)
        return replace(self, boxes=known, proofs=0, seconds=0.0)

    def record(self) -> dict[str, Any]:
        """Write the proof as plain data; infinite bounds as null."""
        return {
            "best": None if self.best is None else asdict(self.best),
            "bound": _finite(self.bound),
            "boxes": [
                [list(map(list, b.box.sides)), _finite(b.bound), b.closing] for b in self.boxes
            ],
            "proofs": self.proofs,
            "seconds": self.seconds,
            "notes": list(self.notes),
        }


def closings_html(closings: Mapping[str, tuple[int, int]]) -> str:
    """Write how many boxes and points each rule closed, for notebooks."""
    rows = [(name, f"{boxes:,}", f"{points:,}") for name, (boxes, points) in closings.items()]
    return table_html(("closed by", "boxes", "points"), rows, (True, False, False))


def closings_of(closed: Sequence[tuple[Box, Closing]]) -> dict[str, tuple[int, int]]:
    """Count boxes and their points by what closed them."""
    boxes: Counter[str] = Counter(closing for _, closing in closed)
    points: Counter[str] = Counter()
    for box, closing in closed:
        points[closing] += box.points
    return {closing: (boxes[closing], points[closing]) for closing in sorted(boxes)}


def nothing_proved(ranges: Mapping[str, Range]) -> HardwareProof:
    """Say what is known of a space to begin with: all of it is one open box."""
    return HardwareProof(None, 0.0, (ClosedBox(whole(ranges), 0.0, "open"),), 0, 0.0)


def limit_of(best: PointCost | None, within: float) -> float:
    """The bound from which on a box holds nothing better than a point, but for a fraction."""
    return math.inf if best is None else best.value / (1 + max(within, PROVED))


class LookedAt(Protocol):
    """A box of a proof."""

    @property
    def box(self) -> Box:
        """Places in the ranges."""


E = TypeVar("E", bound=LookedAt, covariant=True)


class BoxProof(Protocol[E]):
    """A proof that is made of boxes, or a part of one."""

    @property
    def boxes(self) -> tuple[E, ...]:
        """Disjoint ones."""

    @property
    def proofs(self) -> int:
        """Fronts of layers that were proved."""

    @property
    def seconds(self) -> float:
        """Wall-clock time."""


def joined(
    parts: Iterable[tuple[Sequence[Box], BoxProof[E]]], whole: BoxProof[E]
) -> tuple[list[E], int, float]:
    """Put boxes of parts in the place of those that they tell of, and add up what all took."""
    boxes = {entry.box: entry for entry in whole.boxes}
    proofs, seconds = whole.proofs, whole.seconds
    for asked, part in parts:
        for box in asked:
            del boxes[box]
        boxes |= {entry.box: entry for entry in part.boxes}
        proofs, seconds = proofs + part.proofs, seconds + part.seconds
    return list(boxes.values()), proofs, seconds


def join_proofs(
    parts: Iterable[tuple[Sequence[Box], HardwareProof]], whole: HardwareProof, within: float
) -> HardwareProof:
    """Put parts of a proof together.

    Parameters
    ----------
    parts : iterable of (sequence of Box, HardwareProof)
        Of which boxes, all of them of the proof so far, each part tells.
    whole : HardwareProof
        What is known to begin with.
    within : float
        Fraction of the bound by which the best point may exceed it.
    """
    given = list(parts)
    boxes, proofs, seconds = joined(given, whole)
    best, notes = whole.best, dict.fromkeys(whole.notes)
    for _, part in given:
        if part.best is not None and (best is None or part.best.value < best.value):
            best = part.best
        notes |= dict.fromkeys(part.notes)
    limit = limit_of(best, within)
    closed = tuple(
        replace(entry, closing="bound")
        if entry.closing == "open" and entry.bound >= limit
        else entry
        for entry in boxes
    )
    bound = min((entry.bound for entry in closed), default=math.inf)
    bound = bound if best is None else min(best.value, bound)
    return HardwareProof(best, bound, closed, proofs, seconds, tuple(notes))


def gap_to(value: float, bound: float) -> float:
    """Fraction of a bound by which a value exceeds it.

    Examples
    --------
    >>> gap_to(150.0, 100.0), gap_to(5.0, 0.0), gap_to(float("inf"), float("inf"))
    (0.5, inf, 0.0)
    """
    if value <= bound:
        return 0.0
    return value / bound - 1 if 0 < bound < math.inf and value < math.inf else math.inf


def proof_from_record(record: Mapping[str, Any]) -> HardwareProof:
    """Read what `HardwareProof.record` wrote."""
    best = record["best"]
    boxes = tuple(
        ClosedBox(Box(tuple(map(tuple, sides))), _read(bound), closing)
        for sides, bound, closing in record["boxes"]
    )
    return HardwareProof(
        None if best is None else PointCost.from_record(best),
        _read(record["bound"]),
        boxes,
        record["proofs"],
        record["seconds"],
        tuple(record["notes"]),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _read(value: float | None) -> float:
    return math.inf if value is None else value
