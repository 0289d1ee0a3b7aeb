"""What came out of a run as trials of Optuna's, made so that optuna-dashboard can show them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from toolkit.mapping.files import mapping_to_dict
from toolkit.mapping.mapping import Mapping, to_arrays
from toolkit.search.front import FrontPoint
from toolkit.search.problem import Problem
from toolkit.study.runs import Outcome

MAPPING, BEST, ON_FRONT = "mapping", "best", "on_front"
EVALUATIONS, SECONDS = "evaluations", "seconds"

# Optuna 5 keeps constraints one by one; optuna-dashboard 0.21 reads only this older list.
_LEGACY_CONSTRAINTS = "constraints"
_CONSTRAINT = "broken rules"

Parameters = dict[str, tuple[int, BaseDistribution]]


def make_trials(outcome: Outcome, best: dict[str, Any]) -> tuple[list[str], list[FrozenTrial]]:
    """Name the values of the trials of an outcome and make them.

    Every trial has parameters, as optuna-dashboard 0.21 divides by their number: tile factors
    where mappings are known, else how many evaluations were spent until then.

    Parameters
    ----------
    outcome : Outcome
        Its front becomes the trials where the objective asks for one, else its trace.
    best : dict
        Attributes of the trial of the best mapping.
    """
    objective = outcome.run.problem.objective
    if objective.front:
        return ["energy (pJ)", "latency (cycles)"], list(_front_trials(outcome, best))
    unit = f" ({objective.unit})" if objective.unit else ""
    return [f"{objective.name}{unit}"], list(_trace_trials(outcome, best))


def _trace_trials(outcome: Outcome, best: dict[str, Any]) -> Iterator[FrozenTrial]:
    """Make a trial of each improvement; the last one is the best."""
    most = max((point.evaluations for point in outcome.trace), default=1)
    spent = IntDistribution(1, max(most, 1), log=True)
    for i, point in enumerate(outcome.trace, start=1):
        attributes: dict[str, Any] = {EVALUATIONS: point.evaluations, SECONDS: point.seconds}
        yield _trial(
            [point.objective],
            {EVALUATIONS: (max(point.evaluations, 1), spent)},
            {**attributes, **(best if i == len(outcome.trace) else {})},
        )


def _front_trials(outcome: Outcome, best: dict[str, Any]) -> Iterator[FrozenTrial]:
    """Make a trial of each point of the front, and of the best mapping if it is not on it."""
    points = list(outcome.front)
    if outcome.mapping is not None:
        own = FrontPoint(outcome.energy_pj, outcome.latency_cycles, outcome.mapping)
        points += [] if own in points else [own]
    parameters = _tile_factors([point.mapping for point in points], outcome.run.problem)
    for i, (point, factors) in enumerate(zip(points, parameters, strict=True)):
        attributes: dict[str, Any] = {MAPPING: mapping_to_dict(point.mapping)}
        if point.mapping == outcome.mapping:
            attributes = {**best, BEST: True}
        attributes[ON_FRONT] = i < len(outcome.front)
        yield _trial([point.energy_pj, point.latency_cycles], factors, attributes)


def _tile_factors(mappings: list[Mapping], problem: Problem) -> list[Parameters]:
    """Take tile factors as parameters, of those levels and dimensions that any mapping tiles."""
    if not mappings:
        return []
    workload, levels = problem.workload, problem.arch.levels
    factors = np.array([to_arrays(mapping, problem.arch, workload)[0] for mapping in mappings])
    names = workload.dimensions
    tiled = [(int(i), int(d)) for i, d in np.argwhere((factors > 1).any(axis=0))] or [(0, 0)]
    distributions = {d: IntDistribution(1, workload.sizes[names[d]], log=True) for _, d in tiled}
    return [
        {f"{levels[i].name} {names[d]}": (int(row[i, d]), distributions[d]) for i, d in tiled}
        for row in factors
    ]


def _trial(values: list[float], parameters: Parameters, attributes: dict[str, Any]) -> FrozenTrial:
    return create_trial(
        values=values,
        params={name: value for name, (value, _) in parameters.items()},
        distributions={name: distribution for name, (_, distribution) in parameters.items()},
        user_attrs=attributes,
        system_attrs={_LEGACY_CONSTRAINTS: [0.0]},
        constraints={_CONSTRAINT: 0.0},
    )
