"""Joint search over hardware and mappings by gradients, as a sampler of Optuna's.

From the mappings of one hardware point the tilings of all layers descend together; the hardware
follows from them (`descent`). Its rounded sizes are the next points, which are scored by
the true model with the mapper that all strategies share, and the best becomes the next point to
descend from. The first descent begins where an architect would, at the best of some points that a
written rule gives (`toolkit.codesign.filled_points`). Where a descent leads nowhere new, another
start is made: at random, or near the best.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from toolkit.arch.expressions import Number
from toolkit.codesign.filled_points import FIRST_POINTS, filled_points
from toolkit.codesign.joint_gradient.descent import STEPS, NetworkDescent, Proposal, points_near
from toolkit.codesign.samplers import PointSampler
from toolkit.codesign.scoring import Scorer
from toolkit.errors import DoesNotFitError

PATIENCE = 4
"""Points without improvement after which another start is made: what is left of a descent's
proposals is worth less than a descent from elsewhere."""

AREA_POWERS = (0.0, 0.25, 0.5, 1.0)
"""Weights of the area's logarithm, one for each start, where a front is asked for: none, and up to
as much as energy and delay have, so that starts end at chips of different sizes."""

Point = dict[str, Number]


def joint_gradient(scorer: Scorer, seed: int) -> BaseSampler:
    """Descend hardware, mappings and, where the job fuses, fusion together."""
    return GradientSampler(scorer, seed, fused=True)


def two_step(scorer: Scorer, seed: int) -> BaseSampler:
    """Descend hardware and mappings of layers that are not fused."""
    return GradientSampler(scorer, seed, fused=False)


class GradientSampler(PointSampler):
    """Proposes hardware points; it remembers where it stands, so a worker keeps one.

    Parameters
    ----------
    scorer : Scorer
        Maps layers, and knows what points were worth.
    seed : int
        Of starts and shaken variants.
    fused : bool
        Whether points are worth what they are with fused layers.
    """

    def __init__(self, scorer: Scorer, seed: int, *, fused: bool) -> None:
        super().__init__(scorer, seed)
        self._scorer = scorer
        self._fused = fused and scorer.job.settings.fusion != "none"
        self._seen: set[tuple[Number, ...]] = set()
        self._queue: list[Point] = []
        self._here: Point | None = None
        self._last: Point | None = None
        self._best: Point | None = None
        self._failures, self._starts = 0, 0
        self._rule = itertools.islice(filled_points(self._space), FIRST_POINTS)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose the next point."""
        names = set(self._encoding.distributions)
        states = (TrialState.COMPLETE, TrialState.RUNNING)
        for other in study.get_trials(deepcopy=False, states=states):
            if names <= set(other.params):
                self._seen.add(self._key(self._encoding.decode(other.params)))
        point = self.propose()
        return dict(self._encoding.encode(point))

    def propose(self) -> Point:
        """Choose the next point to score."""
        self._learn()
        given = next((p for p in self._rule if self._key(p) not in self._seen), None)
        if given is not None:
            # The descent begins at the best of them: none of them counts as a failure.
            point, self._failures = given, -1
        elif self._here is None or self._failures >= PATIENCE:
            point = self._start()
        else:
            point = self._next(self._here)
        self._seen.add(self._key(point))
        self._last = point
        return point

    def _key(self, point: Mapping[str, Number]) -> tuple[Number, ...]:
        return tuple(point[name] for name in self._space.ranges)

    def _value(self, point: Point | None) -> float:
        if point is None:
            return math.inf
        score = self._scorer.score(point, fused=self._fused)
        value = self._scorer.job.objective.value(
            score.energy_pj, score.latency_cycles, score.area_um2
        )
        # What breaks a budget is worse than all that does not, and the more, the worse.
        broken = sum(max(excess, 0.0) for excess in score.constraints.values())
        return value * 1e30 * math.exp(min(broken, 50.0)) if broken else value

    def _learn(self) -> None:
        """Take the last point for the next start if it was better."""
        if self._last is None:
            return
        if self._here is None or self._value(self._last) < self._value(self._here):
            self._here, self._failures = self._last, 0
            self._queue = []
        else:
            self._failures += 1
        if self._value(self._here) < self._value(self._best):
            self._best = self._here

    def _start(self) -> Point:
        """Set out anew, in turns near the best and at random."""
        self._here, self._failures, self._queue = None, 0, []
        self._starts += 1
        for _ in range(100):
            drawn = dict(self._space.sample(self._rng).parameters)
            if self._best is not None and self._starts % 2 == 0:
                drawn = self._near(self._best, 2)
            if self._key(drawn) not in self._seen:
                return drawn
        return drawn

    def _next(self, here: Point) -> Point:
        if not self._queue and self._failures == 0:
            self._queue = self._descended(here)
        while self._queue:
            point = self._queue.pop(0)
            if self._key(point) not in self._seen:
                return point
        for _ in range(20):
            point = self._near(here, 1)
            if self._key(point) not in self._seen:
                return point
        return self._start()

    def _descended(self, here: Point) -> list[Point]:
        """Round where a descent from a point leads to, the most promising first."""
        job = self._scorer.job
        try:
            cost = self._scorer.mapped(here)
        except DoesNotFitError:
            return []
        powers = job.objective.powers
        if job.objective.front:
            powers = (*powers[:2], AREA_POWERS[self._starts % len(AREA_POWERS)])
        # What fusion saves is relaxed more coarsely than what layers cost: both views lead.
        graphs = [self._scorer.folded(i) for i in range(len(job.networks))] if self._fused else []
        views = [graphs, []] if self._fused else [[]]
        ways: list[list[Proposal]] = []
        for graphs in views:
            descent = NetworkDescent(self._space, cost, job.networks, powers, self._rng, graphs)
            self._scorer.descended += STEPS * descent.mappings
            ways.append(descent.run(STEPS))
        found: dict[tuple[Number, ...], Point] = {}
        for proposals in zip(*ways, strict=True):
            for proposal in proposals:
                for point in points_near(self._space, proposal):
                    within = self._within(here, point)
                    found.setdefault(self._key(within), within)
        return list(found.values())

    def _within(self, here: Point, there: Point) -> Point:
        """Go from one point as far towards another as the budgets allow."""
        space = self._space
        for share in (1.0, 0.85, 0.7, 0.55, 0.4, 0.25):
            point = {
                name: found.values[
                    round(
                        found.index(here[name])
                        + share * (found.index(there[name]) - found.index(here[name]))
                    )
                ]
                for name, found in space.ranges.items()
            }
            if not space.excess(space.build(point)):
                return point
        return here

    def _near(self, point: Point, most: int) -> Point:
        """Move one or two sizes by at most some places, within the budgets where that is easy."""
        moved = dict(point)
        for _ in range(20):
            moved = dict(point)
            names = list(self._space.ranges)
            count = int(self._rng.integers(1, min(2, len(names)) + 1))
            for j in self._rng.choice(len(names), count, replace=False).tolist():
                found = self._space.ranges[names[j]]
                step = int(self._rng.integers(1, most + 1)) * int(self._rng.choice([-1, 1]))
                place = found.index(point[names[j]]) + step
                moved[names[j]] = found.values[min(max(place, 0), len(found.values) - 1)]
            if moved != point and not self._space.excess(self._space.build(moved)):
                break
        return moved
