"""Pattern search over hardware (Hooke and Jeeves, 1961), mappings of all layers chosen together.

From the best points of the written rule it steps along parameters, exchanges one for another, and
tries arrays of as many units in other shapes (`toolkit.codesign.exact.points`). On every point
the layers take those of the mappings known so far, and of a short descent, whose sums of energies
and of latencies are best together: a layer's own best need not be part of that. A point that is
scored comes with these mappings; what they cost to find counts, on points not proposed, too.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.arch.packing import accumulator_bits, operand_bits
from toolkit.codesign.brought import BROUGHT, NetworkMappings, write_brought
from toolkit.codesign.exact.points import Tried
from toolkit.codesign.exact.question import Question
from toolkit.codesign.exact.search import HardwareProver
from toolkit.codesign.filled_points import FIRST_POINTS, filled_points
from toolkit.codesign.samplers import PointSampler
from toolkit.codesign.scoring import Scorer
from toolkit.errors import InputError
from toolkit.search.network.workloads import work_of
from toolkit.workload.network import LayerGraph
from toolkit.workload.network.elementwise import fold_elementwise

TRIES = 6
"""Points that are tried for each that is proposed: with so many, and twenty proposed, the search
ends where none of its steps leads any further."""

_DRAWS = 1000


def pattern_search(scorer: Scorer, seed: int) -> BaseSampler:
    """Step from the best points of the written rule; a point comes with its mappings."""
    return PatternSampler(scorer, seed)


class PatternSampler(PointSampler):
    """Proposes the best of the points that it has tried and not proposed yet.

    Parameters
    ----------
    scorer : Scorer
        Knows the job.
    seed : int
        Of points that are drawn where no step is left.

    Raises
    ------
    InputError
        If the job chooses padded sizes, of which mappings would be others.
    """

    def __init__(self, scorer: Scorer, seed: int) -> None:
        super().__init__(scorer, seed)
        job = scorer.job
        if job.settings.pad:
            raise InputError(
                "pattern-search maps the sizes that layers have, got padded ones "
                f"({', '.join(job.settings.pad)}); expected none, or other strategies",
                key="pad",
            )
        self._scorer = scorer
        self._tried: dict[tuple[Number, ...], Tried] = {}
        self._proposed: set[tuple[Number, ...]] = set()
        objective = replace(job.objective, front=False)
        question = Question(self._space, job.networks, objective, factors=job.settings.factors)
        self._prover = HardwareProver(question)
        try:
            self._prover.first_boxes  # noqa: B018  # Looks whether layers have one fit everywhere.
        except InputError:
            self._prover.proofs.fits_vary = True
        self._until = 0
        self._points = self._prover.search_points(self._is_enough, self._keep)
        self._rule = itertools.islice(filled_points(self._space), FIRST_POINTS)

    def _is_enough(self) -> bool:
        return len(self._tried) >= self._until

    def _keep(self, tried: Tried) -> None:
        self._tried[self._key(tried.parameters)] = tried

    def _key(self, point: Mapping[str, Number]) -> tuple[Number, ...]:
        return tuple(point[name] for name in self._space.ranges)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose the next point, and leave its mappings with the trial."""
        if BROUGHT in trial.user_attrs:
            return {}  # Taken over from a worker that died, with its point and its mappings.
        names = set(self._encoding.distributions)
        states = (TrialState.COMPLETE, TrialState.RUNNING)
        for other in study.get_trials(deepcopy=False, states=states):
            if names <= set(other.params):
                self._proposed.add(self._key(self._encoding.decode(other.params)))
        tried = self.propose()
        text = write_brought(self._mappings(tried))
        study._storage.set_trial_user_attr(trial._trial_id, BROUGHT, text)
        return dict(self._encoding.encode(tried.parameters))

    def propose(self) -> Tried:
        """Choose the next point to score: the best that was tried, and not proposed yet."""
        before = self._prover.evaluated
        self._until = len(self._tried) + TRIES
        for point in self._rule:
            self._points.try_point(point)
        self._points.go_on()
        for _ in range(_DRAWS):
            left = [key for key in self._tried if key not in self._proposed]
            if left:
                break
            self._points.try_point(self._space.sample(self._rng).parameters)
        else:
            raise InputError(
                f"none of {_DRAWS} points drawn within the budgets runs all layers",
                source=self._space.template.source,
            )
        key = min(left, key=lambda key: self._tried[key].value)
        self._proposed.add(key)
        self._scorer.descended += self._prover.evaluated - before
        return self._tried[key]

    def _mappings(self, tried: Tried) -> tuple[NetworkMappings, ...]:
        """The mappings of all networks on a point."""
        arch, known = self._space.build(tried.parameters).arch, tried.mappings()
        return tuple(
            tuple(
                known.get(workload) for workload in work_of(_folded(use.graph, arch), arch).first
            )
            for use in self._scorer.job.networks
        )


def _folded(graph: LayerGraph, arch: Architecture) -> LayerGraph:
    return fold_elementwise(graph, operand_bits(arch), accumulator_bits(arch))
