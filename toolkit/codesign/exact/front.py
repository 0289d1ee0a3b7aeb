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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from toolkit.arch.expressions import Number
from toolkit.codesign.evaluation import HardwareObjective
from toolkit.codesign.exact.box_bounds import Look
from toolkit.codesign.exact.boxes import Box, whole
from toolkit.codesign.exact.certificate import Closing, TradeOff
from toolkit.codesign.exact.front_certificate import (
    FrontProof,
    MissedBox,
    best_of,
    costs_of,
    join_fronts,
    missed_by,
    no_front,
    uncovered,
)
from toolkit.codesign.exact.mix import Item, Mix, TradeOffs
from toolkit.codesign.exact.question import Question
from toolkit.codesign.exact.room import Room
from toolkit.codesign.exact.search import HardwareProver
from toolkit.codesign.exact.tree import Node, exceeded, trimmed
from toolkit.compilation import clock
from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray
from toolkit.processes import Jobs

_LOOKS = 12
"""Places of a hull at which layers are bounded more closely before a box is cut."""


class OpenBox(NamedTuple):
    """A box of a heap: the one that may be missed by most comes first.

    ``negative``: by how much it may be missed, below 0; ``number`` settles ties. Then what is
    known of it, the hull of what it may have, and its least area.
    """

    negative: float
    number: int
    node: Node
    hull: FloatArray
    area_um2: float


@dataclass(frozen=True, slots=True)
class FrontProgress:
    """How far a front is: trade-offs, by how much a box may be missed, boxes closed and open."""

    points: int
    miss: float
    closed: int
    open: int
    seconds: float


class FrontProver:
    """Finds trade-offs and proves what they may miss; see `prove_front`."""

    def __init__(
        self, question: Question, layer_seconds: float | None = None, *, jobs: Jobs = 1
    ) -> None:
        edp = HardwareObjective("edp", (1.0, 1.0, 0.0))
        self._prover = HardwareProver(replace(question, objective=edp), layer_seconds, jobs=jobs)
        self._known: list[TradeOff] = []
        self._costs = np.zeros((0, 3))
        self._tried: set[tuple[Number, ...]] = set()
        self._open: list[OpenBox] = []
        self._known_boxes: dict[Box, OpenBox] = {}
        self._closed: list[MissedBox] = []
        self._numbers = itertools.count()
        self._start, self._within, self._earlier = clock(), 0.0, (0, 0.0)
        self._begun = False
        self._settled: tuple[int, list[OpenBox]] = 0, []

    def run(
        self,
        seconds: float | None,
        within: float,
        on_progress: Callable[[FrontProgress], None] | None = None,
        pause: Callable[[], bool] = lambda: False,
    ) -> FrontProof:
        """Look at boxes, those that may be missed by most first.

        Parameters
        ----------
        seconds : float or None
            Longest time of this call.
        within : float
            See `prove_front`.
        on_progress : callable, optional
            Called after every box that was looked at.
        pause : callable, optional
            Asked after every box whether that is enough for now.
        """
        self._start, self._within = clock(), within
        end = math.inf if seconds is None else self._start + seconds
        prover = self._prover
        if not self._begun:
            self.resume(no_front(prover.question.space.ranges))
        self.try_point(prover.question.space.smallest)
        prover._end = end
        while self._open and clock() < end:
            # What is cut or looked at meanwhile belongs to the box as a whole.
            self._settle()
            negative, _, node, hull, area = heapq.heappop(self._open)
            miss = missed_by(hull, area, self._costs) if node.seen else math.inf
            if miss <= within:
                self._close(node, "bound", hull, area)
            elif miss < -negative:  # Other points have come closer meanwhile.
                self._reopen(node, hull, area, miss)
            elif not node.seen:
                self._look(node, within)
                self._settle()
                if on_progress is not None:
                    on_progress(self._progress())
                if pause():
                    break
            elif node.box.is_point:
                self._close(node, "point", hull, area)
            else:
                for part in prover._cutter.cut(node):
                    self._push(part)
        self._settle()
        return self.proof()

    def _progress(self) -> FrontProgress:
        # Boxes that are closed are missed by no more than they shall be.
        miss = max(-self._open[0].negative if self._open else 0.0, self._within)
        seconds = clock() - self._start + self._earlier[1]
        return FrontProgress(len(self._known), miss, len(self._closed), len(self._open), seconds)

    def _settle(self) -> None:
        self._settled = len(self._closed), list(self._open)

    def _close(self, node: Node, closing: Closing, hull: FloatArray, area: float) -> None:
        self._closed.append(MissedBox(node.box, 0.0, closing, _plain(hull), area))

    def proof(self) -> FrontProof:
        """What is proved so far."""
        closed, left = self._settled
        open_ = [
            MissedBox(x.node.box, -x.negative, "open", _plain(x.hull), x.area_um2)
            for x in sorted(left, key=lambda x: (x.negative, x.number))
        ]
        proofs, seconds = self._earlier
        proofs, seconds = proofs + self._prover.proofs.proofs, seconds + clock() - self._start
        boxes = (*self._closed[:closed], *open_)
        return join_fronts(
            [], FrontProof(tuple(self._known), boxes, proofs, seconds), self._within
        )

    def resume(self, before: FrontProof) -> None:
        """Go on from what was proved before, of the space or of some of its boxes.

        What this prover knows of boxes that it left open is not found anew.
        """
        space = whole(self._prover.question.space.ranges)
        self._known_boxes |= {entry.node.box: entry for entry in self._open}
        self._open, self._closed, self._begun = [], [], True
        self._earlier = before.proofs - self._prover.proofs.proofs, before.seconds
        self._known = best_of([*self._known, *before.points])
        self._costs = costs_of(self._known)
        for box in before.boxes:
            if box.closing not in ("open", "bound"):
                self._closed.append(box)
            elif box.box in self._known_boxes:
                heapq.heappush(self._open, self._known_boxes.pop(box.box))
            elif box.box == space:
                for part in self._prover.first_boxes:
                    self._push(Node(0.0, part))
            else:
                self._reopen(Node(0.0, box.box), np.zeros((0, 2)), 0.0, math.inf)
        self._settle()

    @property
    def left(self) -> frozenset[Box]:
        """Boxes that are open."""
        return frozenset(entry.node.box for entry in self._open)

    @property
    def known(self) -> frozenset[Box]:
        """Boxes that this prover ever left open, and knows more of."""
        return self.left.union(self._known_boxes)

    def _reopen(self, node: Node, hull: FloatArray, area: float, miss: float) -> None:
        heapq.heappush(self._open, OpenBox(-miss, next(self._numbers), node, hull, area))

    def _push(self, node: Node) -> None:
        """Open a box, without what exceeds the budgets in any case."""
        prover = self._prover
        beyond = exceeded(prover.corners, node.box, prover._budgets)
        if beyond:
            self._closed.append(MissedBox(node.box, 0.0, beyond))  # type: ignore[arg-type]
            return
        if prover._budgets:
            node.box, off = trimmed(prover.corners, node.box, prover._budgets)
            self._closed += [MissedBox(away, 0.0, reason) for away, reason in off]  # type: ignore[arg-type]
        self._reopen(node, np.zeros((0, 2)), 0.0, math.inf)

    def _look(self, node: Node, within: float) -> None:
        """Bound a box, try a point of it, and open it again with what it may be missed by."""
        prover = self._prover
        corner = prover.corners.corner(node.box)
        mix = prover._mix(corner.arch)
        node.seen = True
        for at_last in (prover.corners.lean_at_last, (True,) * len(prover.corners.names)):
            self.try_point(node.box.parameters(prover.question.space.ranges, at_last))
        if mix is None:
            self._closed.append(MissedBox(node.box, 0.0, "unfit"))
            return
        items = mix.items(corner.arch, prover.question.conventions)
        room = Room(prover.corners, node.box, prover.question.space.area_budget_um2)
        look = Look(node, corner, mix, items, room, math.inf)
        bounder = prover._bounder
        bounder.begin(look)
        if node.box.is_point:
            self._prove(look)
        total = mix.total(items, look.lower, look.below)
        for _ in range(_LOOKS):
            if total is None:
                break
            miss = missed_by(total.corners, corner.area_um2, self._costs)
            free = uncovered(total.corners, corner.area_um2, self._costs, miss * (1 - 1e-6))
            if miss <= within or free is None or node.box.is_point:
                break
            if not bounder.settle_along(look, _normal(total.corners, free[0])):
                break
            total = mix.total(items, look.lower, look.below)
        if total is None:
            self._closed.append(MissedBox(node.box, 0.0, "unfit"))
            return
        miss = missed_by(total.corners, corner.area_um2, self._costs)
        self._reopen(node, total.corners, corner.area_um2, miss)

    def _prove(self, look: Look) -> None:
        """Prove the fronts of all layers on a point, and keep its trade-offs."""
        prover, arch = self._prover, look.corner.arch
        for workload in look.mix.workloads:
            known = prover._known.front(arch, workload)
            front = prover.proofs.front(arch, workload, () if known is None else known.best_starts)
            if front is None:
                look.lower[workload] = None
                continue
            look.take(workload, front)
            if not front.complete:
                return  # What was cut short is no trade-off.
        parameters = look.node.box.parameters(
            prover.question.space.ranges, prover.corners.lean_at_last
        )
        self._keep(parameters, look.mix, look.items, look.lower)

    def try_point(self, parameters: Mapping[str, Number]) -> None:
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
        costs = {w: None if front is None else front.costs for w, front in fronts.items()}
        self._keep(parameters, mix, mix.items(point.arch, prover.question.conventions), costs)

    def _keep(
        self, parameters: Mapping[str, Number], mix: Mix, items: Sequence[Item], known: TradeOffs
    ) -> None:
        """Keep what nothing known is as good as; drop what is no better than it."""
        point = self._prover.question.space.build(parameters)
        for chosen in mix.trade_offs(items, known):
            costs = np.array([chosen.energy_pj, chosen.latency_cycles, point.area_um2])
            if (self._costs <= costs * (1 + 1e-12)).all(axis=1).any():
                continue
            kept = np.flatnonzero((self._costs < costs).any(axis=1))
            self._known = [self._known[i] for i in kept.tolist()]
            self._costs = np.concatenate([self._costs[kept], costs[None]])
            self._known.append(
                TradeOff(
                    point.parameters,
                    chosen.energy_pj,
                    chosen.latency_cycles,
                    point.area_um2,
                    point.power_mw,
                    chosen.networks,
                )
            )


def _plain(hull: FloatArray) -> tuple[tuple[float, float], ...]:
    return tuple((energy, latency) for energy, latency in hull.tolist())


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
        As `prove_hardware` does, and if the fraction is 0.
    """
    check_within(within)
    return FrontProver(question, layer_seconds).run(seconds, within)


def check_within(within: float) -> None:
    """Refuse a front that shall miss nothing, of which there is no end.

    Raises
    ------
    InputError
        If the fraction is 0.
    """
    if not within > 0:
        raise InputError(
            f"a front is proved to a fraction of more than 0 that it may miss, got {within:g}; "
            "expected such as 0.05",
            key="within",
        )
