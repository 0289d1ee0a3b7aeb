"""Branch and bound over a hardware space: boxes, the most promising first.

**Bounds.** On the relaxed corner of a box (`corners`) every mapping of every point of it is valid
and costs no more. So the fronts of all layers there, as `toolkit.search.exact` proves them, bound
the energies and latencies of all choices of mappings on all points of the box, and the least
objective value of their sums (`hulls`) bounds the box. What was proved of a box holds for its
parts: layers are proved anew one by one, the weightiest first, and only until the box is closed.
The corner of a single point is that point: there the bound is its optimum.

**Meshes.** How many instances a box can have, within the budget for the area, is known without a
corner (`room`). What layers cost at least by the instances that they use stands in tables that
hold for all boxes whose memories are no better (`floors`), and of which only those entries are
bounded closely that would make the bound of a box. So boxes are cut at meshes for next to
nothing, and fronts are proved where meshes have next to no width any more.

**The best point so far.** The mappings that make a bound are also run on the smallest point of
the box that has room for them.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.codesign.exact.box_bounds import BoxBounder, Look
from toolkit.codesign.exact.boxes import Box, whole
from toolkit.codesign.exact.certificate import (
    PROVED,
    ClosedBox,
    HardwareProof,
    PointCost,
    gap_to,
    join_proofs,
    limit_of,
    nothing_proved,
)
from toolkit.codesign.exact.corners import Corners
from toolkit.codesign.exact.first_boxes import each_first_box
from toolkit.codesign.exact.floors import Floors
from toolkit.codesign.exact.layers import Proofs
from toolkit.codesign.exact.mix import Chosen, Mix, mix_of
from toolkit.codesign.exact.points import BestPoint, Tried
from toolkit.codesign.exact.question import Question
from toolkit.codesign.exact.room import Room
from toolkit.codesign.exact.rounding import Known, roomy_point
from toolkit.codesign.exact.tree import Cutter, Node, exceeded, trimmed
from toolkit.compilation import clock
from toolkit.errors import DoesNotFitError, InputError
from toolkit.processes import Jobs

Entry = tuple[float, int, Node]
"""An open box: its bound, a number that settles ties, what is known of it."""

OnProgress = Callable[["Progress"], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a proof is: the best point, the bound, boxes closed and open."""

    best: PointCost | None
    bound: float
    closed: int
    open: int
    seconds: float


class HardwareProver:
    """Proves which point of a space is best; see `prove_hardware`."""

    def __init__(
        self, question: Question, layer_seconds: float | None = None, *, jobs: Jobs = 1
    ) -> None:
        objective = question.objective
        if objective.front or min(objective.powers) < 0:
            raise InputError(
                f"{objective.name}: expected one value, a product of powers of at least 0, to "
                "prove the least of",
                key="objective",
            )
        self.question = question
        self.corners = Corners(question.space, question.conventions)
        self.proofs = Proofs(question.conventions, question.factors, layer_seconds, jobs=jobs)
        self.closed: list[ClosedBox] = []
        self._cutter = Cutter(question.space.ranges, self.corners.meshing)
        self._known = Known(self.proofs)
        self._start, self._end, self._within = clock(), math.inf, 0.0
        self._begun = False
        self._earlier = 0, 0.0
        self._settled: tuple[int, list[Entry]] = 0, []
        self._bounder = BoxBounder(
            objective.powers,
            self.proofs,
            self._known,
            Floors(self.proofs, self.corners.widest),
            self.corners.spreads,
            self._late,
        )
        self._mixes: dict[tuple[object, ...], Mix] = {}
        self._open: list[Entry] = []
        self._known_nodes: dict[Box, Node] = {}
        self._numbers = itertools.count()
        self.points = self.search_points(self._late)
        self.notes = dict(self.corners.one_by_one)

    @property
    def bound(self) -> float:
        """No point has a lower objective value."""
        left = min((x.bound for x in self.closed), default=math.inf)
        return min(left, self._open[0][0] if self._open else math.inf)

    def _late(self) -> bool:
        return clock() >= self._end

    def _parameters(self, point: Box) -> dict[str, Number]:
        return point.parameters(self.question.space.ranges, self.corners.lean_at_last)

    @property
    def best(self) -> PointCost | None:
        """The best point so far."""
        return self.points.best

    def run(
        self,
        seconds: float | None,
        within: float,
        on_progress: OnProgress | None = None,
        pause: Callable[[], bool] = lambda: False,
    ) -> HardwareProof:
        """Look at boxes until the best point is proved, to a fraction, or the time is over.

        Parameters
        ----------
        seconds : float or None
            Longest time of this call.
        within : float
            See `prove_hardware`.
        on_progress : callable, optional
            Called after every box that was looked at.
        pause : callable, optional
            Asked after every box whether that is enough for now.
        """
        self._start = clock()
        self._end, self._within = math.inf if seconds is None else self._start + seconds, within
        if not self._begun:
            self.resume(nothing_proved(self.question.space.ranges))
        if self.best is None:
            self.points.first_points()
        while self._open and not self._late():
            # What is cut or looked at meanwhile belongs to the box as a whole.
            self._settle()
            if self._open[0][0] >= self._limit:
                break
            _, _, node = heapq.heappop(self._open)
            if not self._look_at(node):
                continue
            self._settle()
            if on_progress is not None:
                on_progress(self._progress())
            if pause():
                break
        self._settle()
        return self.proof()

    def search_points(
        self,
        late: Callable[[], bool],
        on_tried: Callable[[Tried], None] | None = None,
    ) -> BestPoint:
        """Begin a search for good points, by the mappings that this prover knows (`BestPoint`)."""
        meshes = [self.corners.names[axis] for axis in sorted(self.corners.meshing)]
        return BestPoint(self.question, self._known, self._mix, late, meshes, on_tried)

    @property
    def evaluated(self) -> int:
        """Mappings that were costed to score points."""
        return self._known.evaluated

    def try_point(self, parameters: Mapping[str, Number]) -> float:
        """Score a point that may be a good one by mappings that are known."""
        return self.points.try_point(parameters)

    def _settle(self) -> None:
        self._settled = len(self.closed), list(self._open)

    @property
    def _limit(self) -> float:
        """The bound from which on boxes are closed."""
        return limit_of(self.best, self._within)

    def proof(self) -> HardwareProof:
        """What is proved so far; boxes that are not settled are open."""
        closed, left = self._settled
        open_ = [ClosedBox(x.box, bound, "open") for bound, _, x in sorted(left, key=_by_bound)]
        notes = tuple(
            f"the values of {name} are taken one by one: {reason}"
            for name, reason in self.notes.items()
        )
        spent = self.proofs.proofs + self._earlier[0], clock() - self._start + self._earlier[1]
        known = HardwareProof(self.best, 0.0, (*self.closed[:closed], *open_), *spent, notes)
        return join_proofs([], known, self._within)

    def resume(self, before: HardwareProof) -> None:
        """Go on from what was proved before, of the space or of some of its boxes.

        Those that are closed stay closed. Those closed by their bounds are open again, in case
        that less of a gap is asked for. What this prover knows of boxes that it left open is
        not found anew.
        """
        self._known_nodes |= {node.box: node for _, _, node in self._open}
        space = whole(self.question.space.ranges)
        self.points.best, self.closed, self._open = before.best, [], []
        self._begun = True
        self._earlier = before.proofs - self.proofs.proofs, before.seconds
        for entry in before.boxes:
            if entry.closing not in ("open", "bound"):
                self.closed.append(entry)
            elif entry.box == space and space not in self._known_nodes:
                for part in self.first_boxes:
                    self._push(Node(0.0, part, mesh_width=self._cutter.mesh_width(part)))
            else:
                width = self._cutter.mesh_width(entry.box)
                fresh = Node(entry.bound, entry.box, mesh_width=width)
                node = self._known_nodes.pop(entry.box, fresh)
                node.bound = max(node.bound, entry.bound)
                heapq.heappush(self._open, (node.bound, next(self._numbers), node))
        self._settle()

    @property
    def left(self) -> frozenset[Box]:
        """Boxes that are open."""
        return frozenset(node.box for _, _, node in self._open)

    @property
    def known(self) -> frozenset[Box]:
        """Boxes that this prover ever left open, and knows more of than their bounds."""
        return self.left.union(self._known_nodes)

    def _progress(self) -> Progress:
        seconds = clock() - self._start + self._earlier[1]
        return Progress(self.best, self.bound, len(self.closed), len(self._open), seconds)

    @cached_property
    def first_boxes(self) -> tuple[Box, ...]:
        """The space, or its parts where some parameters are given their values one by one."""
        return tuple(each_first_box(self))

    @property
    def _budgets(self) -> Mapping[str, float]:
        space = self.question.space
        budgets = {
            "area": space.area_budget_um2,
            "power": space.power_budget_mw,
            "DRAM": space.dram_budget_gb_per_s,
        }
        return {name: budget for name, budget in budgets.items() if budget is not None}

    def _push(self, node: Node) -> None:
        """Open a box, without what exceeds the budgets in any case."""
        budgets = self._budgets
        beyond = exceeded(self.corners, node.box, budgets)
        if beyond:
            self._close(node.box, math.inf, beyond)
            return
        if budgets:
            node.box, off = trimmed(self.corners, node.box, budgets)
            node.mesh_width = self._cutter.mesh_width(node.box)
            for away, reason in off:
                self._close(away, math.inf, reason)
        heapq.heappush(self._open, (node.bound, next(self._numbers), node))

    def _close(self, box: Box, bound: float, closing: str) -> None:
        self.closed.append(ClosedBox(box, bound, closing))  # type: ignore[arg-type]

    def _look_at(self, node: Node) -> bool:
        """Bound a box by its own corner, or cut it; tells whether it was bounded."""
        if node.seen:
            for part in self._cutter.cut(node):
                self._push(part)
            return False
        corner = self.corners.corner(node.box)
        mix = self._mix(corner.arch)
        if mix is None:
            self._close(node.box, math.inf, "unfit")
            return False
        items = mix.items(corner.arch, self.question.conventions)
        room = Room(self.corners, node.box, self.question.space.area_budget_um2)
        look = Look(node, corner, mix, items, room, self._limit)
        chosen = self._bounder.look(look)
        if math.isinf(node.bound):
            self._close(node.box, math.inf, "unfit")
            return True
        node.seen = not self._late()
        self._cutter.learn(node)
        if chosen is not None:
            self._round(look, chosen)
        if node.box.is_point and node.seen:
            self._close_point(look, chosen)
        elif node.bound >= self._limit:
            self._close(node.box, node.bound, "bound")
        else:
            heapq.heappush(self._open, (node.bound, next(self._numbers), node))
        return True

    def _close_point(self, look: Look, chosen: Chosen | None) -> None:
        """Take down the optimum of a point, or the bound of it where proofs were cut short."""
        node = look.node
        if chosen is not None:
            self.points.offer(look.corner.arch, self._parameters(node.box), chosen)
        value = math.inf
        if chosen is not None:
            area = look.corner.area_um2 ** self.question.objective.powers[2]
            value = chosen.value * area
        if gap_to(value, node.bound) <= PROVED:
            self._close(node.box, node.bound, "point")
        else:
            beaten = node.bound >= self._limit
            self._close(node.box, node.bound, "bound" if beaten else "open")

    def _mix(self, arch: Architecture) -> Mix | None:
        """The layers as hardware of this kind runs them; None if one cannot be lowered."""
        key = (
            arch.dimensions,
            arch.compute.energies_by_bits and arch.compute.energies_by_bits[-1][0],
            tuple((m.name, m.word_bits, m.bypasses, m.packed) for m in arch.memories),
        )
        if key not in self._mixes:
            try:
                self._mixes[key] = mix_of(self.question.networks, arch)
            except DoesNotFitError:
                return None
        return self._mixes[key]

    def _round(self, look: Look, chosen: Chosen) -> None:
        """Run mappings that are good on a corner on a point of the box that has room for them."""
        box = look.node.box
        if box.is_point:
            return
        uses = [(look.known[way], place) for way, place in chosen.places]
        near = None if self.best is None else self.best.parameters
        parameters = roomy_point(
            self.corners, box, look.corner.arch, uses, self.question.conventions, near
        )
        before = self.points.value
        if parameters is not None and self.points.try_point(parameters) < before:
            self.points.descend()


def _by_bound(entry: Entry) -> tuple[float, int]:
    return entry[:2]


def prove_hardware(
    question: Question,
    *,
    seconds: float | None = None,
    within: float = 0.0,
    layer_seconds: float | None = None,
    jobs: Jobs = 1,
    on_progress: OnProgress | None = None,
) -> HardwareProof:
    """Prove which point of a hardware space is best, or bound how good one can be.

    Mappings of all layers are chosen together, for the sake of the whole mix: the objective takes
    the sums of their energies and of their latencies.

    Parameters
    ----------
    question : Question
        What is asked.
    seconds : float, optional
        Longest time; the bound by then is returned.
    within : float
        Fraction of the bound by which the best point may exceed it in the end; 0 proves it.
    layer_seconds : float, optional
        Longest time for the front of one layer on one corner.
    jobs : int or Cluster
        Processes in which fronts are proved that the next steps are likely to ask for. The result
        does not depend on it, unless the time is limited.
    on_progress : callable, optional
        Called after every box.

    Raises
    ------
    InputError
        If the objective is a front, or parameters have too many values to be looked at.
    """
    prover = HardwareProver(question, layer_seconds, jobs=jobs)
    return prover.run(seconds, within, on_progress)
