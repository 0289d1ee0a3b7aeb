"""Starts of DOSA's descents, and the points that they arrive at, as a sampler of Optuna's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from toolkit.arch.expressions import Number
from toolkit.arch.ranges import Range
from toolkit.codesign.brought import BROUGHT, NetworkMappings, write_brought
from toolkit.codesign.dosa.descent import DosaDescent
from toolkit.codesign.evaluation import HardwareCost
from toolkit.codesign.joint_gradient.figures import local_figures
from toolkit.codesign.minimal import minimal_hardware
from toolkit.codesign.samplers import PointSampler
from toolkit.codesign.scoring import Scorer
from toolkit.errors import DoesNotFitError
from toolkit.search.network import NetworkResult, mappings_of

STARTS = 7
"""Random hardware points from which mappings descend, as published; then all begins again."""

ROUNDS = (500, 500, 490)
"""Steps of Adam before each rounding: 1,490, as published."""

WORST_START = 10.0
"""Times the best start so far beyond which another start is drawn instead, as published."""

_DRAWS = 100
"""Points that are drawn for a start, at most, before one is taken that is worse than that."""

Point = dict[str, Number]


def dosa(scorer: Scorer, seed: int) -> BaseSampler:
    """Descend from random hardware as DOSA does; a point comes with its mappings."""
    return DosaSampler(scorer, seed)


class DosaSampler(PointSampler):
    """Proposes the least hardware of mappings, of starts and at every rounding.

    All starts of a turn descend side by side, and are rounded at the same time: what is proposed
    is what descents one after the other propose, in another order. Where DOSA takes CoSA's
    mappings to start with, it takes those of the job's mapper, and what these cost counts.

    Parameters
    ----------
    scorer : Scorer
        Maps layers of starts.
    seed : int
        Of starts.
    """

    def __init__(self, scorer: Scorer, seed: int) -> None:
        super().__init__(scorer, seed)
        self._scorer = scorer
        self._starts: list[HardwareCost] = []
        self._descent: DosaDescent | None = None
        self._round = 0
        self._lowest = math.inf
        self._queue: list[tuple[Point, tuple[NetworkMappings, ...]]] = []

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose the next point, and leave its mappings with the trial."""
        if BROUGHT in trial.user_attrs:
            return {}  # Taken over from a worker that died, with its point and its mappings.
        point, mappings = self.propose()
        study._storage.set_trial_user_attr(trial._trial_id, BROUGHT, write_brought(mappings))
        return dict(self._encoding.encode(point))

    def propose(self) -> tuple[Point, tuple[NetworkMappings, ...]]:
        """Choose the next point to score, and the mappings of all networks on it."""
        while not self._queue:
            self._queue = [self._started()] if len(self._starts) < STARTS else self._descended()
        return self._queue.pop(0)

    def _started(self) -> tuple[Point, tuple[NetworkMappings, ...]]:
        """Draw a start that is not much worse than the best one so far."""
        for draw in range(_DRAWS):
            try:
                cost = self._scorer.mapped(self._drawn())
            except DoesNotFitError:
                if draw == _DRAWS - 1:
                    raise
                continue
            self._scorer.descended += cost.evaluations
            value = self._value(cost)
            if value <= WORST_START * self._lowest:
                break
        self._lowest = min(self._lowest, value)
        self._starts.append(cost)
        return self._least(cost.point.parameters, cost.networks)

    def _value(self, cost: HardwareCost) -> float:
        return self._scorer.job.objective.value(cost.energy_pj, cost.latency_cycles, cost.area_um2)

    def _drawn(self) -> Point:
        """Draw sizes by their logarithms, as DOSA draws powers of two, within the budgets."""
        for _ in range(_DRAWS):
            point = {name: self._size(found) for name, found in self._space.ranges.items()}
            if not self._space.excess(self._space.build(point)):
                return point
        return dict(self._space.sample(self._rng).parameters)

    def _size(self, found: Range) -> Number:
        low, high = (math.log(found.values[i]) for i in (0, -1))
        wanted = self._rng.uniform(low, high)
        return min(found.values, key=lambda value: abs(math.log(value) - wanted))

    def _descended(self) -> list[tuple[Point, tuple[NetworkMappings, ...]]]:
        """Go on to the next rounding of all starts."""
        job = self._scorer.job
        if self._descent is None:
            weights = [network.weight for network in job.networks]
            self._descent = DosaDescent(self._space, self._starts, weights, job.objective.powers)
            self._round = 0
        steps = ROUNDS[self._round]
        self._descent.run(steps)
        self._scorer.descended += steps * self._descent.mappings + self._descent.round()
        found = [self._rounded(start) for start in range(len(self._starts))]
        self._round += 1
        if self._round == len(ROUNDS):
            self._starts, self._descent = [], None
        return found

    def _rounded(self, start: int) -> tuple[Point, tuple[NetworkMappings, ...]]:
        assert self._descent is not None
        cost, networks = self._starts[start], []
        for network in cost.networks:
            layers = [
                layer
                if layer.cost is None
                else replace(
                    layer,
                    cost=replace(layer.cost, mapping=self._descent.mapping(start, layer.cost)),
                )
                for layer in network.layers
            ]
            networks.append(replace(network, layers=tuple(layers)))
        return self._least(cost.point.parameters, networks)

    def _least(
        self, parameters: Mapping[str, Number], networks: Sequence[NetworkResult]
    ) -> tuple[Point, tuple[NetworkMappings, ...]]:
        """The least hardware that runs mappings; parameters that size nothing stay as given."""
        costs = [x.cost for network in networks for x in network.layers if x.cost is not None]
        uses = {(x.mapping, replace(x.workload, name="")): x.workload for x in costs}
        sized = set(local_figures(self._space, parameters).sizing().values())
        ranges = {
            name: found if place in sized else Range((parameters[name],))
            for place, (name, found) in enumerate(self._space.ranges.items())
        }
        least = minimal_hardware(
            replace(self._space, ranges=ranges),
            [(mapping, workload) for (mapping, _), workload in uses.items()],
        )
        return dict(least.point.parameters), tuple(mappings_of(each) for each in networks)
