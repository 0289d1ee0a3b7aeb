"""The best point so far: scored by mappings that are known, improved by steps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.codesign.exact.certificate import PointCost
from toolkit.codesign.exact.mix import Chosen, Mix
from toolkit.codesign.exact.question import Question
from toolkit.codesign.exact.rounding import SEARCHED, Known
from toolkit.codesign.filled_points import FIRST_POINTS as FILLED_POINTS
from toolkit.codesign.filled_points import filled_points
from toolkit.errors import InputError

DRAWN_POINTS = 8
"""Points that are drawn to begin with."""
SEARCHED_CLOSELY, NEARLY = 40_000, 0.03
"""Mappings that descents of a layer may cost on points that are about as good as the best one."""
FIRST_STEPS, MOST_STEPS = 200, 32
"""Steps from the best of these, and from a point that has become the best later on, after which
the search for a better one goes on elsewhere, give or take a round."""


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
    """

    def __init__(
        self,
        question: Question,
        known: Known,
        mix: Callable[[Architecture], Mix | None],
        late: Callable[[], bool],
        meshes: Sequence[str],
    ) -> None:
        self.question = question
        self.best: PointCost | None = None
        self._known, self._mix, self._late, self._meshes = known, mix, late, tuple(meshes)
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
        last = len(self._tried) + most
        longest = max(len(found.values) for found in self.question.space.ranges.values()) // 4
        self._step_down(longest, last)
        while self._reshaped() and len(self._tried) < last:
            self._step_down(1, last)

    def _step_down(self, step: int, last: int) -> None:
        """Go on with steps until none is better, or so many points are tried."""
        ranges = self.question.space.ranges
        alone = [{name: sign} for name in ranges for sign in (-1, 1)]
        exchanged = [{more: 1, less: -1} for more in ranges for less in ranges if more != less]
        while step >= 1 and self.best is not None and len(self._tried) < last:
            if not any([self._steps(move, step) for move in alone]):
                improved = any(self._steps(move, step) for move in exchanged)
                step = step if improved else step // 2

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
        for most in (SEARCHED, SEARCHED_CLOSELY):
            fronts = {
                w: self._known.front(point.arch, w, anew=True, most=most) for w in mix.workloads
            }
            hulls = {w: None if front is None else front.hull for w, front in fronts.items()}
            chosen = mix.least(items, hulls, powers[:2])
            if chosen is None:
                break
            known, value = self.value, self.offer(point.arch, parameters, chosen)
            if value > known * (1 + NEARLY):
                break
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
                value,
                chosen.energy_pj,
                chosen.latency_cycles,
                point.area_um2,
                point.power_mw,
                chosen.networks,
            )
        return value
