"""The best trade-offs of energy, latency and area over a hardware space, and what they may miss.

Branch and bound as for one objective (`search`), but a box is closed where trade-offs that are
known come close to all that it can have: for every sum of energies and of latencies on or above
its lower hull, and its least area, there is one that exceeds none of the three by more than some
fraction. The largest fraction that any box needs bounds what the front may miss
(epsilon-dominance: Laumanns, Thiele, Deb and Zitzler, 2002).
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.expressions import Number
from toolkit.codesign.evaluation import HardwareObjective
from toolkit.codesign.exact.box_bounds import Look
from toolkit.codesign.exact.boxes import Box
from toolkit.codesign.exact.certificate import Closing
from toolkit.codesign.exact.mix import Hulls, Item, Mix
from toolkit.codesign.exact.question import Question
from toolkit.codesign.exact.room import Room
from toolkit.codesign.exact.search import HardwareProver
from toolkit.codesign.exact.tree import Node, exceeded, trimmed
from toolkit.compilation import clock

FloatArray = NDArray[np.float64]

_HALVINGS = 40
"""Of the fraction that a box is missed by, in logarithms."""
_LOOKS = 12
"""Places of a hull at which layers are bounded more closely before a box is cut."""


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
    """

    box: Box
    miss: float
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
    """

    parameters: Mapping[str, Number]
    energy_pj: float
    latency_cycles: float
    area_um2: float
    power_mw: float


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

    @property
    def miss(self) -> float:
        """Whatever hardware of the space and mappings cost, some point costs at most this more.

        As a fraction, of each of the three.
        """
        return max((entry.miss for entry in self.boxes), default=0.0)


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
    if high <= 0 or _uncovered(hull, area, known, 0.0) is None:
        return 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _uncovered(hull, area, known, middle) is None:
            high = middle
        else:
            low = middle
    return round(high, 12)


def _uncovered(
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


class FrontProver:
    """Finds trade-offs and proves what they may miss; see `prove_front`."""

    def __init__(self, question: Question, layer_seconds: float | None = None) -> None:
        edp = HardwareObjective("edp", (1.0, 1.0, 0.0))
        self._prover = HardwareProver(replace(question, objective=edp), layer_seconds)
        self._known: list[TradeOff] = []
        self._costs = np.zeros((0, 3))
        self._tried: set[tuple[Number, ...]] = set()
        self._open: list[tuple[float, int, Node, FloatArray, float]] = []
        self._closed: list[tuple[Box, FloatArray | None, float, Closing]] = []
        self._numbers = itertools.count()

    def run(self, within: float, seconds: float | None) -> FrontProof:
        """Look at boxes, those that may be missed by most first."""
        start = clock()
        end = math.inf if seconds is None else start + seconds
        prover = self._prover
        self._try(prover.question.space.smallest)
        for box in prover._first_boxes():
            self._push(Node(0.0, box))
        prover._end = end
        while self._open and clock() < end:
            negative, _, node, hull, area = heapq.heappop(self._open)
            miss = missed_by(hull, area, self._costs) if node.seen else math.inf
            if miss <= within:
                self._closed.append((node.box, hull, area, "bound"))
            elif miss < -negative:  # Other points have come closer meanwhile.
                self._reopen(node, hull, area, miss)
            elif not node.seen:
                self._look(node, within)
            elif node.box.is_point:
                self._closed.append((node.box, hull, area, "point"))
            else:
                for part in prover._cutter.cut(node):
                    self._push(part)
        left = [(node.box, hull, area, "open") for _, _, node, hull, area in self._open]
        return self._proof([*self._closed, *left], clock() - start, within)  # type: ignore[list-item]

    def _proof(
        self,
        boxes: list[tuple[Box, FloatArray | None, float, Closing]],
        seconds: float,
        within: float,
    ) -> FrontProof:
        missed = []
        for box, hull, area, closing in boxes:
            miss = 0.0
            if hull is not None:
                miss = missed_by(hull, area, self._costs) if len(hull) else math.inf
            closed: Closing = "bound" if closing == "open" and miss <= within else closing
            missed.append(MissedBox(box, miss, closed))
        points = sorted(self._known, key=lambda x: (x.area_um2, x.energy_pj, x.latency_cycles))
        return FrontProof(tuple(points), tuple(missed), self._prover.proofs.proofs, seconds)

    def _reopen(self, node: Node, hull: FloatArray, area: float, miss: float) -> None:
        heapq.heappush(self._open, (-miss, next(self._numbers), node, hull, area))

    def _push(self, node: Node) -> None:
        """Open a box, without what exceeds the budgets in any case."""
        prover = self._prover
        beyond = exceeded(prover.corners, node.box, prover._budgets)
        if beyond:
            self._closed.append((node.box, None, 0.0, beyond))  # type: ignore[arg-type]
            return
        if prover._budgets:
            node.box, off = trimmed(prover.corners, node.box, prover._budgets)
            self._closed += [(away, None, 0.0, reason) for away, reason in off]  # type: ignore[misc]
        self._reopen(node, np.zeros((0, 2)), 0.0, math.inf)

    def _look(self, node: Node, within: float) -> None:
        """Bound a box, try a point of it, and open it again with what it may be missed by."""
        prover = self._prover
        corner = prover.corners.corner(node.box)
        mix = prover._mix(corner.arch)
        node.seen = True
        for at_last in (prover.corners.lean_at_last, (True,) * len(prover.corners.names)):
            self._try(node.box.parameters(prover.question.space.ranges, at_last))
        if mix is None:
            self._closed.append((node.box, None, 0.0, "unfit"))
            return
        items = mix.items(corner.arch, prover.question.conventions)
        room = Room(prover.corners, node.box, prover.question.space.area_budget_um2)
        look = Look(node, corner, mix, items, room, math.inf)
        bounder = prover._bounder
        bounder.begin(look)
        if node.box.is_point:
            self._prove(look)
        total = mix.total(items, look.lower)
        for _ in range(_LOOKS):
            if total is None:
                break
            miss = missed_by(total.corners, corner.area_um2, self._costs)
            free = _uncovered(total.corners, corner.area_um2, self._costs, miss * (1 - 1e-6))
            if miss <= within or free is None or node.box.is_point:
                break
            if not bounder.settle_along(look, _normal(total.corners, free[0])):
                break
            total = mix.total(items, look.lower)
        if total is None:
            self._closed.append((node.box, None, 0.0, "unfit"))
            return
        miss = missed_by(total.corners, corner.area_um2, self._costs)
        self._reopen(node, total.corners, corner.area_um2, miss)

    def _prove(self, look: Look) -> None:
        """Prove the fronts of all layers on a point, and keep its trade-offs."""
        prover, arch = self._prover, look.corner.arch
        for workload in look.mix.workloads:
            known = prover._known.front(arch, workload)
            front = prover.proofs.front(arch, workload, () if known is None else known.starts)
            look.lower[workload] = None if front is None else front.hull
            if front is not None and not front.complete:
                return  # What was cut short is no trade-off.
        parameters = look.node.box.parameters(
            prover.question.space.ranges, prover.corners.lean_at_last
        )
        self._keep(parameters, look.mix, look.items, look.lower)

    def _try(self, parameters: Mapping[str, Number]) -> None:
        """Keep the trade-offs of known mappings on a point."""
        prover = self._prover
        space = prover.question.space
        key = tuple(parameters[name] for name in space.ranges)
        if key in self._tried:
            return
        self._tried.add(key)
        point = space.build(parameters)
        mix = None if space.excess(point) else prover._mix(point.arch)
        if mix is None:
            return
        fronts = {w: prover._known.front(point.arch, w, anew=True) for w in mix.workloads}
        hulls = {w: None if front is None else front.hull for w, front in fronts.items()}
        self._keep(parameters, mix, mix.items(point.arch, prover.question.conventions), hulls)

    def _keep(
        self, parameters: Mapping[str, Number], mix: Mix, items: Sequence[Item], hulls: Hulls
    ) -> None:
        """Keep what nothing known is as good as; drop what is no better than it."""
        point = self._prover.question.space.build(parameters)
        total = mix.total(items, hulls)
        if total is None:
            return
        for energy, latency in total.corners.tolist():
            costs = np.array([energy, latency, point.area_um2])
            if (self._costs <= costs * (1 + 1e-12)).all(axis=1).any():
                continue
            kept = np.flatnonzero((self._costs < costs).any(axis=1))
            self._known = [self._known[i] for i in kept.tolist()]
            self._costs = np.concatenate([self._costs[kept], costs[None]])
            self._known.append(
                TradeOff(point.parameters, energy, latency, point.area_um2, point.power_mw)
            )


def _normal(hull: FloatArray, energy: float) -> FloatArray:
    """Weights of energy and latency whose sum is least along the edge of a hull at an energy."""
    right = int(np.searchsorted(hull[:, 0], energy))
    if right <= 0:
        return np.array([1.0, 0.0])
    if right >= len(hull):
        return np.array([0.0, 1.0])
    step = hull[right] - hull[right - 1]
    return np.array([-step[1], step[0]])


def prove_front(
    question: Question,
    *,
    within: float,
    seconds: float | None = None,
    layer_seconds: float | None = None,
) -> FrontProof:
    """Find the best trade-offs of energy, latency and area, and bound what is missed.

    Parameters
    ----------
    question : Question
        What is asked; its objective does not matter.
    within : float
        Fraction that no trade-off may be missed by; more than 0.
    seconds : float, optional
        Longest time; boxes that are open by then say by how much they may be missed.
    layer_seconds : float, optional
        Longest time for the front of one layer on one point.

    Raises
    ------
    InputError
        As `prove_hardware` does.
    """
    return FrontProver(question, layer_seconds).run(within, seconds)
