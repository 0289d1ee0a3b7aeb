"""The best point so far: scored by mappings that are known, improved by steps."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.codesign.exact.certificate import PointCost
from toolkit.codesign.exact.layers import Front
from toolkit.codesign.exact.mix import Chosen, Mix
from toolkit.codesign.exact.question import Question
from toolkit.codesign.exact.rounding import SEARCHED, Known
from toolkit.codesign.filled_points import FIRST_POINTS as FILLED_POINTS
from toolkit.codesign.filled_points import filled_points
from toolkit.errors import InputError
from toolkit.mapping.mapping import Mapping as LoopMapping
from toolkit.workload.kernel import Workload

DRAWN_POINTS = 8
"""Points that are drawn to begin with."""
SEARCHED_CLOSELY, NEARLY = 40_000, 0.03
"""Mappings that descents of a layer may cost on points that are about as good as the best one."""
FIRST_STEPS, MOST_STEPS = 200, 32
"""Steps from the best of these, and from a point that has become the best later on, after which
the search for a better one goes on elsewhere, give or take a round."""


@dataclass(frozen=True, eq=False)
class Tried:
    """A point within the budgets that was scored by known mappings.

    Parameters
    ----------
    parameters : mapping of str to number
        The point.
    value : float
        Of the objective.
    uses : tuple of (Workload, Front, int)
        Fronts of known mappings, and which trade-off of each makes that value.
    """

    parameters: Mapping[str, Number]
    value: float
    uses: tuple[tuple[Workload, Front, int], ...]

    def mappings(self) -> dict[Workload, LoopMapping]:
        """The mapping of every workload."""
        return {workload: front.mapping(place) for workload, front, place in self.uses}


class BestPoint:
    """Tries points and keeps the best.

    Parameters
    ----------
    question : Question
        What makes a point better.
    known : Known
        Mappings.
    mix : function
        Lists the layers as hardware of some kind runs them; None if it does not.
    late : function
        Whether the time is over.
    meshes : sequence of str
        Parameters that change meshes.
    on_tried : callable, optional
        Called with every point that was scored.
    """

    def __init__(
        self,
        question: Question,
        known: Known,
        mix: Callable[[Architecture], Mix | None],
        late: Callable[[], bool],
        meshes: Sequence[str],
        on_tried: Callable[[Tried], None] | None = None,
    ) -> None:
        self.question = question
        self.best: PointCost | None = None
        self._known, self._mix, self._late, self._meshes = known, mix, late, tuple(meshes)
        self._on_tried = on_tried
        self._step = self._longest
        self._tried: set[tuple[Number, ...]] = set()

    @property
    def value(self) -> float:
        """Of the best point so far; inf if there is none."""
        return math.inf if self.best is None else self.best.value

    def first_points(self) -> None:
        """Begin with the smallest hardware and the rule's, whichever is best; draw some more."""
        space = self.question.space
        for point in [space.smallest, *filled_points(space, FILLED_POINTS)]:
            if not self._late():
                self.try_point(point)
        self.descend(FIRST_STEPS)
        rng, before = np.random.default_rng(0), self.value
        for _ in range(DRAWN_POINTS):
            if self._late():
                return
            with suppress(InputError):  # Budgets may leave next to nothing.
                self.try_point(space.sample(rng).parameters)
        if self.value < before:
            self.descend(FIRST_STEPS)

    def descend(self, most: int = MOST_STEPS) -> None:
        """Improve the best point by steps, first long ones.

        Along single parameters; and where none is better, one up for another one down, for at
        the limit of a budget nothing else is left. Where no step helps, an array of as many
        instances is tried in other shapes.
        """
        self._step = self._longest
        self.go_on(len(self._tried) + most)

    def go_on(self, last: int = sys.maxsize) -> None:
        """Go on with steps until none is better, so many points are tried, or it is late."""
        while self._step >= 1:
            self._step_down(last)
            if self._step < 1 and len(self._tried) < last and self._reshaped():
                self._step = 1
            elif self._step >= 1:
                return

    @property
    def _longest(self) -> int:
        return max(len(found.values) for found in self.question.space.ranges.values()) // 4

    def _step_down(self, last: int) -> None:
        """Step as far as that helps, then half as far, until so many points are tried."""
        ranges = self.question.space.ranges
        alone = [{name: sign} for name in ranges for sign in (-1, 1)]
        exchanged = [{more: 1, less: -1} for more in ranges for less in ranges if more != less]
        while self._step >= 1 and self.best is not None and len(self._tried) < last:
            improved = any([self._steps(move, self._step) for move in alone])
            improved = improved or any(self._steps(move, self._step) for move in exchanged)
            if self._late():
                return
            if not improved:
                self._step //= 2

    def _reshaped(self) -> bool:
        """Try one mesh twice as large, and another one half; tells if that is better."""
        if self.best is None:
            return False
        before, ranges = self.value, self.question.space.ranges
        for more, less in itertools.permutations(self._meshes, 2):
            point = dict(self.best.parameters)
            for name, factor in ((more, 2.0), (less, 0.5)):
                values, wanted = ranges[name].values, float(point[name]) * factor
                point[name] = min(values, key=lambda x: abs(math.log(x / wanted)))
            if not self._late():
                self.try_point(point)
        return self.value < before

    def _steps(self, move: Mapping[str, int], step: int) -> bool:
        """Try the point so many places away from the best; tells if it is better."""
        if self.best is None or self._late():
            return False
        point, ranges = dict(self.best.parameters), self.question.space.ranges
        for name, sign in move.items():
            values = ranges[name].values
            # Ranges are of all lengths: a step is a part of each.
            places = -(-step * len(values) // max(len(x.values) for x in ranges.values()))
            place = values.index(point[name]) + sign * places
            if not 0 <= place < len(values):
                return False
            point[name] = values[place]
        before = self.value
        return self.try_point(point) < before

    def try_point(self, parameters: Mapping[str, Number]) -> float:
        """Score a point by mappings known already; returns its value, inf if it is none."""
        space, powers = self.question.space, self.question.objective.powers
        key = tuple(parameters[name] for name in space.ranges)
        if key in self._tried:
            return math.inf
        self._tried.add(key)
        point = space.build(parameters)
        if space.excess(point):
            return math.inf
        mix = self._mix(point.arch)
        if mix is None:
            return math.inf
        items = mix.items(point.arch, self.question.conventions)
        value = math.inf
        uses: tuple[tuple[Workload, Front, int], ...] = ()
        for most in (SEARCHED, SEARCHED_CLOSELY):
            fronts = {
                w: self._known.front(point.arch, w, anew=True, most=most) for w in mix.workloads
            }
            known = {w: None if front is None else front.costs for w, front in fronts.items()}
            chosen = mix.least(items, known, powers[:2])
            if chosen is None:
                break
            before, value = self.value, self.offer(point.arch, parameters, chosen)
            uses = tuple(
                (workload, front, place)
                for workload, place in chosen.places
                if (front := fronts[workload]) is not None
            )
            if value > before * (1 + NEARLY):
                break
        if self._on_tried is not None and value < math.inf:
            self._on_tried(Tried(point.parameters, value, uses))
        return value

    def offer(self, arch: Architecture, parameters: Mapping[str, Number], chosen: Chosen) -> float:
        """Take a point with its mappings if it is the best so far; returns its value."""
        point = self.question.space.build(parameters)
        if self.question.space.excess(point):
            return math.inf
        value: float = chosen.value * point.area_um2 ** self.question.objective.powers[2]
        if value < self.value:
            self.best = PointCost(
                point.parameters,
                chosen.energy_pj,
                chosen.latency_cycles,
                point.area_um2,
                point.power_mw,
                chosen.networks,
                value,
            )
        return value
