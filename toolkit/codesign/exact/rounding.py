"""Mappings that are known, on other hardware than that they were found on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.codesign.exact.boxes import Box
from toolkit.codesign.exact.corners import Corners
from toolkit.codesign.exact.layers import Front, Proofs
from toolkit.codesign.exact.part_figures import CAPACITY, MESH
from toolkit.codesign.minimal import requirements
from toolkit.errors import DoesNotFitError
from toolkit.model.conventions import Conventions
from toolkit.search.evaluator import Evaluator, Start
from toolkit.search.front import nondominated
from toolkit.search.greedy import descents
from toolkit.search.result import Budget
from toolkit.workload.kernel import Workload

SEARCHED = 2_000
"""Mappings that a descent may cost."""
MOST_KNOWN = 512
"""Mappings of a workload that are kept, the latest ones."""


@dataclass(eq=False)
class Known:
    """Mappings of workloads that were the best somewhere.

    Attributes
    ----------
    evaluated : int
        Mappings that were costed so far.
    """

    proofs: Proofs
    evaluated: int = field(default=0, init=False)
    _starts: dict[Workload, dict[bytes, Start]] = field(
        default_factory=dict, init=False, repr=False
    )

    def add(self, fronts: Mapping[Workload, Front | None]) -> None:
        """Keep the mappings of fronts."""
        for workload, front in fronts.items():
            if front is not None:
                self._keep(workload, front.best_starts)

    def _keep(self, workload: Workload, starts: Sequence[Start]) -> None:
        kept = self._starts.setdefault(workload, {})
        for factors, order, choice in starts:
            key = factors.tobytes() + order.tobytes() + choice.to_bytes(8, "little")
            kept.pop(key, None)
            kept[key] = factors, order, choice
        while len(kept) > MOST_KNOWN:
            del kept[next(iter(kept))]

    def front(
        self, arch: Architecture, workload: Workload, *, anew: bool = False, most: int = SEARCHED
    ) -> Front | None:
        """Best trade-offs of the known mappings of a workload; None if there is none at all.

        Parameters
        ----------
        anew : bool
            Whether to descend to one for this hardware in any case, as mappings for smaller
            hardware do not use what it has; otherwise where none that is known is valid.
        most : int
            Mappings that it may cost.
        """
        bare = replace(arch, vector_unit=None)
        try:
            evaluator = Evaluator(self.proofs.fitted(bare, workload), Budget())
            found = None if anew else self._valid_of(evaluator, workload)
            if found is not None:
                return found
            descents(evaluator, 0, most, 1.0)
            self.evaluated += evaluator.evaluations
        except DoesNotFitError:
            return None
        if evaluator.best is not None:
            self._keep(workload, [(*evaluator.best, evaluator.best_choice)])
        return self._valid_of(evaluator, workload)

    def _valid_of(self, evaluator: Evaluator, workload: Workload) -> Front | None:
        return self._valid(evaluator, list(self._starts.get(workload, {}).values()))

    def _valid(self, evaluator: Evaluator, starts: Sequence[Start]) -> Front | None:
        if not starts:
            return None
        factors, orders = (np.stack([start[i] for start in starts]) for i in (0, 1))
        choices = np.array([start[2] for start in starts], dtype=np.int64)
        costs, valid = evaluator.costs(factors, orders, choices)
        self.evaluated += len(starts)
        rows = np.flatnonzero(valid)
        if not len(rows):
            return None
        rows = rows[nondominated(costs[rows, :2])]
        kept = tuple(starts[row] for row in rows.tolist())
        return Front(costs[rows, :2], kept, evaluator.problem, complete=True)


def roomy_point(
    corners: Corners,
    box: Box,
    arch: Architecture,
    uses: Sequence[tuple[Front | None, int]],
    conventions: Conventions,
    near: Mapping[str, Number] | None,
) -> dict[str, Number] | None:
    """The least point of a box that has room for mappings.

    Parameters
    ----------
    arch : Architecture
        On which the mappings run.
    uses : sequence of (Front, int)
        Their fronts, and which corner of each.
    near : mapping of str to number, optional
        What parameters that give no room are as close to as the box allows; by default they have
        their last values.

    Returns
    -------
    dict of str to number or None
        None if no point has room.
    """
    found = [
        (front.mapping(place), front.problem.workload)
        for front, place in uses
        if front is not None and front.problem is not None
    ]
    if not found:
        return None
    needs = {
        (need.level, CAPACITY if need.kind == "words" else MESH): need.amount
        for need in requirements(found, arch, conventions=conventions)
    }

    def fits(sides: Box) -> bool:
        return all(
            (table.figures[figure][table.entries(sides)] >= needs[table.name, figure]).all()
            for table in corners.tables
            for figure in (CAPACITY, MESH)
            if (table.name, figure) in needs and figure in table.figures
        )

    ranges = corners.space.ranges
    places = [last for _, last in box.sides]
    for axis, (name, values) in enumerate(ranges.items()):
        if near is not None and axis not in corners.sizing:
            first, last = box.sides[axis]
            places[axis] = min(max(values.index(near[name]), first), last)
    point = Box(tuple((place, place) for place in places))
    if not fits(point):
        return None
    for axis in corners.sizing:
        first, last = box.sides[axis]
        low, high = first, last
        while low < high:
            middle = (low + high) // 2
            if fits(point.with_side(axis, middle, middle)):
                high = middle
            else:
                low = middle + 1
        point = point.with_side(axis, high, high)
    return point.parameters(ranges, (False,) * len(ranges))
