"""Bounds of boxes: what is carried from larger ones, and proofs where these would close a box."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from toolkit.codesign.exact.carried import Carried, Least, prices_of, ratio
from toolkit.codesign.exact.certificate import ROUNDING
from toolkit.codesign.exact.corners import Corner
from toolkit.codesign.exact.floors import RELAXED, SOLVED, Floors, Rows
from toolkit.codesign.exact.hulls import above_both, cut_hull
from toolkit.codesign.exact.layers import Front, Proofs
from toolkit.codesign.exact.mix import Chosen, Item, Mix
from toolkit.codesign.exact.room import Room
from toolkit.codesign.exact.rounding import Known
from toolkit.codesign.exact.tree import Node
from toolkit.errors import DoesNotFitError
from toolkit.mapping.mapping import FloatArray
from toolkit.model.floor import least_cycles, least_energy_pj
from toolkit.search.evaluator import Start
from toolkit.search.exact.families import unit_priced
from toolkit.workload.kernel import Workload

WORTH = 0.25
"""Part of a box's distance from being closed, in logarithms, that proofs must be able to gain."""
FAR = 0.5
"""Distance from being closed, in logarithms, from which on a box is cut before anything of it is
proved: hardly any of it will hold for parts that are much closer."""
WIDE, WIDE_WITH_TABLES = 0.8, 0.05
"""Width of meshes, in logarithms, from which on a box is cut before anything of it is proved; and
where tables know about all meshes, so that cutting is cheap."""
NEAR = 0.12
"""Distance from being closed, in logarithms, from which on families are solved."""
SLOW, PATIENCE = 0.01, 4
"""Part of a box's distance from being closed that families have to gain, and how often in a row
they may fail to before the box is cut instead."""
NARROWER = 0.25
"""Part of the width of meshes from which on the least words of memories are proved anew."""


@dataclass(eq=False)
class Look:
    """One look at a box.

    Parameters
    ----------
    node : Node
        The box; its bound is raised, and what is proved is added to it.
    corner : Corner
        Its relaxed hardware.
    mix : Mix
        The layers.
    items : sequence of Item
        The same together where they cost the same.
    room : Room
        Its meshes.
    limit : float
        Bounds from here on close the box.
    """

    node: Node
    corner: Corner
    mix: Mix
    items: Sequence[Item]
    room: Room
    limit: float
    rows: dict[Workload, Rows] = field(default_factory=dict, init=False)
    carried: dict[Workload, FloatArray] = field(default_factory=dict, init=False)
    lower: dict[Workload, FloatArray | None] = field(default_factory=dict, init=False)
    known: dict[Workload, Front | None] = field(default_factory=dict, init=False)
    proved: set[Workload] = field(default_factory=set, init=False)
    complete: set[Workload] = field(default_factory=set, init=False)

    @property
    def closed(self) -> bool:
        """Whether the bound is reached."""
        return self.node.bound >= self.limit

    @property
    def below(self) -> set[Workload]:
        """Workloads of which `lower` is a hull below all mappings, not what mappings cost."""
        return self.lower.keys() - self.complete

    def take(self, workload: Workload, front: Front) -> None:
        """Take all trade-offs of a workload as what is known of it."""
        self.lower[workload] = front.costs
        if front.complete:
            self.complete.add(workload)


class BoxBounder:
    """Bounds boxes of one question.

    Parameters
    ----------
    powers : tuple of float
        Exponents of energy, latency and area in the objective.
    proofs : Proofs
        Of fronts.
    known : Known
        Mappings.
    floors : Floors
        Least costs by the instances that are used.
    spreads : mapping of str to (float, float)
        Of every memory how much dearer words can become in the space, read and written.
    late : function
        Whether the time is over.
    """

    def __init__(
        self,
        powers: tuple[float, float, float],
        proofs: Proofs,
        known: Known,
        floors: Floors,
        spreads: Mapping[str, tuple[float, float]],
        late: Callable[[], bool],
    ) -> None:
        self.powers, self.proofs, self.known = powers, proofs, known
        self.floors, self.spreads, self.late = floors, spreads, late

    def look(self, look: Look) -> Chosen | None:
        """Raise the bound of a box; returns the best known choice of mappings on its corner.

        None if some layer has no mapping, or none is known yet; the box is unfit if its bound is
        infinite.
        """
        # Fronts of boxes whose meshes have no width are carried further than tables.
        narrow = look.node.mesh_width <= WIDE_WITH_TABLES
        self.begin(look, anew=not narrow)
        if self._raise(look) is None or look.closed:
            return None
        if not narrow and not self._settle(look) or look.closed:
            return None
        for workload in look.mix.workloads:
            front = self.known.front(look.corner.arch, workload, anew=True)
            look.known[workload] = front
        return self._prove(look)

    def begin(self, look: Look, *, anew: bool = True) -> None:
        """Find what is known of all layers in a box without a proof.

        Parameters
        ----------
        anew : bool
            Whether tables are made for its own figures, if there are none.
        """
        if anew:
            self._list_rows(look)
        for workload in look.mix.workloads:
            look.lower[workload] = self._carried(look, workload)

    def settle_along(self, look: Look, line: FloatArray) -> bool:
        """Bound families closely whose weighted sum of energy and latency is least.

        Returns
        -------
        bool
            Whether there were any.
        """
        changed = False
        for workload, rows in look.rows.items():
            hull = look.lower[workload]
            if hull is None:
                continue
            corner = np.asarray(hull[(hull @ line).argmin()])
            if rows.settle(line, corner, SOLVED):
                look.lower[workload] = self._joined(look, workload)
                changed = True
        return changed

    def _list_rows(self, look: Look) -> None:
        """Make tables for the figures of a box, or find those that there are."""
        node = look.node
        number, arch = self.floors.figures(look.corner.arch)
        if number not in node.figures:
            for workload in look.mix.workloads:
                if self.late():
                    return
                self.floors.table(workload, number, arch)
            node.figures = (*node.figures, number)

    def _carried(self, look: Look, workload: Workload) -> FloatArray | None:
        """What is known without a proof: floors, and what larger boxes have left."""
        arch, node = look.corner.arch, look.node
        try:
            problem = self.proofs.fitted(arch, workload)
            rows = self.floors.rows(look.corner, look.room, workload, node.figures)
        except DoesNotFitError:
            return None
        loose = [memory.name for memory in problem.arch.memories if memory.may_bypass]
        floor = (
            least_energy_pj(
                problem.arch, problem.workload, self.proofs.conventions, anywhere=loose
            ),
            least_cycles(problem.arch, problem.workload),
        )
        hull, carried = np.array([floor]), node.carried.get(workload)
        if carried is not None:
            prices = prices_of(arch, workload, self.proofs.conventions)
            proved = carried.on(prices, node.least.get(workload, {}))
            if proved is None:
                return None
            hull = cut_hull(proved, *floor)
        if rows is None:
            return hull
        look.carried[workload], look.rows[workload] = hull, rows
        return self._joined(look, workload)

    @staticmethod
    def _joined(look: Look, workload: Workload) -> FloatArray | None:
        """What is above what was proved and above all rows; None if these are impossible."""
        rows = look.rows[workload].hull()
        return above_both(look.carried[workload], rows) if len(rows) else None

    def _settle(self, look: Look) -> bool:
        """Bound the spatial factors closely that make the bound; False if a layer has none."""
        least, slow = self._raise(look), 0
        while least is not None and not look.closed and not self.late() and slow < PATIENCE:
            before = look.node.bound
            stage = SOLVED if ratio(look.limit, before) < NEAR else RELAXED
            line = self._line(least)
            corners = {way: self._corner(look, way, place) for way, place in least.places}
            changed = [
                way
                for way, corner in corners.items()
                if way in look.rows and look.rows[way].settle(line, corner, stage)
            ]
            if not changed:
                break
            for way in changed:
                look.lower[way] = self._joined(look, way)
            least = self._raise(look)
            missing, gain = ratio(look.limit, before), ratio(look.node.bound, before)
            slow = slow + 1 if gain < SLOW * missing else 0
        return least is not None

    @staticmethod
    def _corner(look: Look, workload: Workload, place: int) -> FloatArray:
        hull = look.lower[workload]
        assert hull is not None
        return np.asarray(hull[place])

    def _line(self, chosen: Chosen) -> FloatArray:
        """Weights of energy and latency with which the objective rises at a choice."""
        return np.array(
            [
                self.powers[0] / max(chosen.energy_pj, 1e-300),
                self.powers[1] / max(chosen.latency_cycles, 1e-300),
            ]
        )

    def _raise(self, look: Look) -> Chosen | None:
        """Combine the layers; None if one has no mapping."""
        least = look.mix.least(look.items, look.lower, self.powers[:2], below=look.below)
        if least is None:
            look.node.bound = np.inf
            return None
        area = look.corner.area_um2 ** self.powers[2]
        look.node.bound = max(look.node.bound, least.value * area * (1 - ROUNDING))
        return least

    def _prove(self, look: Look) -> Chosen | None:
        """Prove fronts of layers, those whose bounds may be furthest off first, while it helps."""
        area = look.corner.area_um2 ** self.powers[2]
        wide = WIDE_WITH_TABLES if len(look.rows) == len(look.mix.workloads) else WIDE
        while True:
            known = {w: None if f is None else f.costs for w, f in look.known.items()}
            best = look.mix.least(look.items, known, self.powers[:2])
            if look.closed or self.late() or look.node.mesh_width > wide:
                return best
            if best is not None:
                # What proofs can gain, against what would close the box.
                gain = ratio(best.value * area, look.node.bound)
                missing = 0.0 if look.node.box.is_point else ratio(look.limit, best.value * area)
                if gain <= 2 * ROUNDING or gain <= WORTH * missing or missing > FAR:
                    return best
            left = [w for w in look.mix.workloads if w not in look.proved]
            if not left:
                return best
            gaps = self._gaps(look, best)
            # Of equal gaps the first one comes first, as `max` has it.
            left.sort(key=gaps.__getitem__, reverse=True)
            workload = left[0]
            self.proofs.prepare(
                look.corner.arch,
                [(w, () if (k := look.known[w]) is None else k.best_starts) for w in left],
            )
            if not self._prove_one(look, workload):
                return best

    def _prove_one(self, look: Look, workload: Workload) -> bool:
        """Prove one front; False if a layer has no mapping for that."""
        arch, node = look.corner.arch, look.node
        known = look.known[workload]
        front = self.proofs.front(arch, workload, () if known is None else known.best_starts)
        look.proved.add(workload)
        if front is None:
            look.lower[workload] = None
        else:
            self.known.add({workload: front})
            own = look.lower[workload]
            assert own is not None
            if front.complete:
                look.known[workload] = front
            elif front.costs.min(axis=0).prod() < own.min(axis=0).prod():
                return True  # What was carried says more.
            look.take(workload, front)
            prices = prices_of(arch, workload, self.proofs.conventions)
            node.carried = {**node.carried, workload: Carried(front, prices)}
            if front.complete:  # Otherwise bounds take their time on this hardware.
                self._prove_words(look, workload, front.best_starts)
        return self._raise(look) is not None

    def _prove_words(self, look: Look, workload: Workload, starts: Sequence[Start]) -> None:
        """Prove the least words of memories that may become dearer, unless it was done nearby."""
        node = look.node
        before = node.least_widths.get(workload, np.inf)
        if node.box.is_point or node.mesh_width > NARROWER * before or before == 0:
            return
        found = {}
        for name, (read, written) in self.spreads.items():
            arch = unit_priced(look.corner.arch, name, read, written)
            energy = self.proofs.least_energy_pj(arch, workload, starts)
            if 0 < energy < np.inf:
                found[name] = Least(read, written, energy)
        node.least = {**node.least, workload: found}
        node.least_widths = {**node.least_widths, workload: node.mesh_width}

    def _gaps(self, look: Look, best: Chosen | None) -> dict[Workload, float]:
        """By how much the bound of the box may rise, at most, by a proof of each workload."""
        counts = dict.fromkeys(look.mix.workloads, 0.0)
        for item in look.items:
            for way in item.ways:
                counts[way] += float(np.dot(item.counts, look.mix.weights))
        found = {}
        for workload, count in counts.items():
            lower, known = look.lower[workload], look.known[workload]
            if lower is None:
                found[workload] = np.inf
                continue
            if best is None or known is None:
                # Heavy layers first, among those of which no mapping is known.
                found[workload] = np.inf if known is None else count * float(lower[:, 1].min())
                continue
            line = self._line(best)
            found[workload] = count * float((known.costs @ line).min() - (lower @ line).min())
        return found
