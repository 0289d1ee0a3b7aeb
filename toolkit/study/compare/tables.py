"""Tables of a comparison: runs, problems and strategies, traces, fronts.

Notes
-----
The reference of a problem is the lowest value that any run found on it, and it is said what that
is: proved to be optimal; within a bound of what is possible; or the best of this field, and nobody
knows how good. A gap is how far above it a value lies, as a fraction of it: that of the reference
itself is zero only where it is proved, and missing otherwise. What it takes to come near the
reference is an expected running time: what all runs spent until they were there, or to no avail,
over those that came there [1]_. What a strategy proves by its own bound is its status, and
``within_fraction``: by which fraction of the optimum the value exceeds that at most
(`toolkit.search.status`). The hypervolume of a front is the share of the box between the lowest
energy and latency that any run met on the problem and `REFERENCE` times the highest ones on any
front, the part that is at most as good as the front.

References
----------
.. [1] N. Hansen, A. Auger, R. Ros, O. Mersmann, T. Tušar and D. Brockhoff, "COCO: a platform for
   comparing continuous optimizers in a black-box setting", Optimization Methods and Software
   36(1), 2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.search.front import nondominated
from toolkit.search.status import describe_status, within_best
from toolkit.study.storage.runs import Comparison, Outcome, problem_name

if TYPE_CHECKING:
    import pandas as pd

NEAR = {"1_percent": 0.01, "5_percent": 0.05}
"""Gaps of which a table says how soon a run came so near."""

_SAME = 1e-12
"""Gaps up to which a value is the reference itself, but for how sums were rounded."""

REFERENCE = 1.1
"""The reference point of hypervolumes, over the highest energy and latency on any front: above
1, so that the ends of fronts count, but little, so that they do not outweigh what is between."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The best value of a problem over all runs; inf if no run found a mapping.

    Parameters
    ----------
    value : float
        In the unit of the objective.
    proved : bool
        Whether a strategy proved that there is none lower.
    bound : float or None
        The highest bound that a strategy proved.
    """

    value: float
    proved: bool
    bound: float | None

    @property
    def kind(self) -> str:
        """What it is: ``proved``, ``bound``, or ``best of this field``."""
        if self.proved:
            return "proved"
        return "best of this field" if self.bound is None else "bound"

    @property
    def within_fraction(self) -> float | None:
        """Fraction of the optimum by which the reference exceeds it at most; None if unknown."""
        return within_best(self.value, self.bound)


def references(comparison: Comparison) -> dict[str, Reference]:
    """Find the best value of each problem, by its name."""
    found = {}
    for name, outcomes in _by_problem(comparison).items():
        value = min(outcome.objective for outcome in outcomes)
        bounds = [outcome.bound for outcome in outcomes if outcome.bound is not None]
        bound = max(bounds, default=None)
        found[name] = Reference(value, bound is not None and value <= bound, bound)
    return found


def run_table(comparison: Comparison) -> pd.DataFrame:
    """Tabulate the runs: costs, counters, gap, how soon near the best, status; a row per run.

    ``evaluations_to_1_percent`` and the like are missing if the run never came so near.
    """
    import pandas as pd

    best, volumes = references(comparison), _hypervolumes(comparison)
    return pd.DataFrame(
        [
            {
                **_facts(outcome),
                "gap": _named_gap(outcome.objective, best[_name(outcome)]),
                **_near(outcome, best[_name(outcome)].value),
                "hypervolume": volumes.get(outcome.run.name, math.nan),
                "front_points": len(outcome.front),
                "bound": math.nan if outcome.bound is None else outcome.bound,
                "proved": outcome.proved,
                "within_fraction": _fraction(outcome),
                "stopped": outcome.stopped,
                "status": outcome.status,
                "error": outcome.error,
            }
            for outcome in comparison.outcomes
        ]
    )


def summary_table(comparison: Comparison) -> pd.DataFrame:
    """Tabulate problems and strategies: best, median and worst over the seeds.

    A run that found nothing counts as inf. How soon runs come near the reference is an expected
    running time, inf if none did, to which runs that failed add the evaluations of the budget;
    ``reached_1_percent`` says how many did. ``status`` and ``within_fraction`` say what a strategy
    proves of each of its runs; ``reference_kind`` says what the reference is, and
    ``reference_within`` by which fraction of the optimum it exceeds that at most.
    """
    import pandas as pd

    best, runs = references(comparison), run_table(comparison)
    rows = []
    for (problem, strategy), group in runs.groupby(["problem", "strategy"], sort=False):
        reference = best[str(problem)]
        row: dict[str, Any] = {
            "problem": problem,
            "strategy": strategy,
            "runs": len(group),
            "failed": int((group["error"] != "").sum()),
        }
        for label, pick in _PICKS.items():
            row[label] = pick(group["objective_value"])
        row |= {f"gap_{label}": _named_gap(row[label], reference) for label in _PICKS}
        # Of runs that failed nobody knows the evaluations: at most the budget's.
        most = math.nan if comparison.budget.evaluations is None else comparison.budget.evaluations
        spent = {
            "evaluations": group["evaluations"].fillna(most).to_numpy(),
            "seconds": group["seconds"].to_numpy(),
        }
        for near in NEAR:
            row[f"reached_{near}"] = int(group[f"evaluations_to_{near}"].notna().sum())
            for unit, amounts in spent.items():
                row[f"{unit}_to_{near}"] = expected_running_time(
                    group[f"{unit}_to_{near}"].to_numpy(), amounts
                )
        row["evaluations"] = group["evaluations"].median()
        row["seconds"] = group["seconds"].median()
        # Older pandas warns of medians of nothing.
        row["hypervolume"] = group["hypervolume"].dropna().median()
        within = reference.within_fraction
        row |= {
            "reference": reference.value,
            "reference_kind": reference.kind,
            "reference_within": math.nan if within is None else within,
            "proved": reference.proved,
            **_weakest(group),
        }
        rows.append(row)
    return pd.DataFrame(rows)


_PICKS: dict[str, Callable[[Any], float]] = {
    "best": lambda values: float(values.min()),
    "median": lambda values: float(values.median()),
    "worst": lambda values: float(values.max()),
}


def _weakest(runs: pd.DataFrame) -> dict[str, Any]:
    """What is known of every run of a strategy on a problem."""
    unknown = runs["within_fraction"].isna().any()
    within = None if unknown else float(runs["within_fraction"].max())
    stopped = bool(runs["stopped"].any())
    return {
        "within_fraction": math.nan if within is None else within,
        "stopped": stopped,
        "status": describe_status(within, stopped=stopped),
    }


def trace_table(comparison: Comparison) -> pd.DataFrame:
    """Tabulate all improvements: evaluations, seconds, value; a row per improvement."""
    import pandas as pd

    columns = [*_KEYS, "evaluations", "seconds", "objective_value"]
    rows = [
        (*_key(outcome), point.evaluations, point.seconds, point.objective)
        for outcome in comparison.outcomes
        for point in outcome.trace
    ]
    return pd.DataFrame(rows, columns=columns)


def front_table(comparison: Comparison) -> pd.DataFrame:
    """Tabulate all fronts, by rising energy; a row per point."""
    import pandas as pd

    columns = [*_KEYS, "energy_total_pj", "latency_cycles"]
    rows = [
        (*_key(outcome), point.energy_pj, point.latency_cycles)
        for outcome in comparison.outcomes
        for point in outcome.front
    ]
    return pd.DataFrame(rows, columns=columns)


def hypervolume(points: NDArray[np.float64], reference: Sequence[float]) -> float:
    """Area that points dominate below a reference point, both coordinates to be minimised.

    Parameters
    ----------
    points : array, shape (points, 2)
    reference : two floats
        What lies beyond it adds nothing.

    Examples
    --------
    >>> hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), (3.0, 3.0))
    3.0
    """
    inside = points[(points < np.asarray(reference)).all(axis=1)]
    front = inside[nondominated(inside)]
    heights = np.concatenate([[reference[1]], front[:, 1]])
    return float(((reference[0] - front[:, 0]) * (heights[:-1] - heights[1:])).sum())


_KEYS = ("problem", "strategy", "seed")


def _fraction(outcome: Outcome) -> float:
    return math.nan if outcome.within_fraction is None else outcome.within_fraction


def _name(outcome: Outcome) -> str:
    return problem_name(outcome.run.problem)


def _key(outcome: Outcome) -> tuple[str, str, int]:
    return _name(outcome), outcome.run.strategy, outcome.run.seed


def _by_problem(comparison: Comparison) -> dict[str, list[Outcome]]:
    groups: dict[str, list[Outcome]] = {problem_name(p): [] for p in comparison.problems}
    for outcome in comparison.outcomes:
        groups[_name(outcome)].append(outcome)
    return groups


def _facts(outcome: Outcome) -> dict[str, Any]:
    problem = outcome.run.problem
    counters = {
        "evaluations": outcome.evaluations,
        "invalid": outcome.invalid,
        "duplicates": outcome.duplicates,
    }
    return {
        **dict(zip(_KEYS, _key(outcome), strict=True)),
        "arch": problem.arch.name,
        "workload": problem.workload.name,
        "conventions": problem.conventions.name,
        "objective": problem.objective.name,
        "objective_value": outcome.objective,
        "objective_unit": problem.objective.unit,
        "energy_total_pj": outcome.energy_pj,
        "latency_cycles": outcome.latency_cycles,
        "utilization_fraction": outcome.utilization,
        **{k: math.nan if count is None else float(count) for k, count in counters.items()},
        "seconds": outcome.seconds,
    }


def gap(value: float, reference: float) -> float:
    """Fraction by which a value lies above the reference; inf if there is none.

    Examples
    --------
    >>> gap(103.0, 100.0), gap(math.inf, 100.0)
    (0.03, inf)
    """
    if value == reference:
        return 0.0 if math.isfinite(value) else math.inf
    return (value - reference) / abs(reference) if reference else math.inf


def _named_gap(value: float, reference: Reference) -> float:
    """A gap; NaN of what is the reference itself, unless that is proved."""
    found = gap(value, reference.value)
    return found if found > _SAME or reference.proved else math.nan


def expected_running_time(reached: NDArray[np.float64], spent: NDArray[np.float64]) -> float:
    """What it takes to reach a target if runs are repeated until one does.

    Parameters
    ----------
    reached : float64 array, shape (runs,)
        What each took, NaN where it never did.
    spent : float64 array, shape (runs,)
        What each spent altogether; NaN if that is unknown, and then it is if that counts.

    Examples
    --------
    >>> expected_running_time(np.array([10.0, np.nan]), np.array([100.0, 100.0]))
    110.0
    >>> expected_running_time(np.array([10.0, np.nan]), np.array([np.nan, np.nan]))
    nan
    """
    there = np.isfinite(reached)
    if not there.any():
        return math.inf
    lost = np.where(there, reached, spent)
    return float(lost.sum() / there.sum())


def _near(outcome: Outcome, reference: float) -> dict[str, float]:
    row = {}
    for name, gap in NEAR.items():
        point = outcome.reached(reference + gap * abs(reference))
        row[f"evaluations_to_{name}"] = math.nan if point is None else float(point.evaluations)
        row[f"seconds_to_{name}"] = math.nan if point is None else point.seconds
    return row


def _hypervolumes(comparison: Comparison) -> dict[str, float]:
    """Hypervolume of each run's front, by the name of the run."""
    found = {}
    for outcomes in _by_problem(comparison).values():
        fronts = {
            outcome.run.name: np.array([(p.energy_pj, p.latency_cycles) for p in outcome.front])
            for outcome in outcomes
            if outcome.front
        }
        if not fronts:
            continue
        points = np.concatenate(list(fronts.values()))
        ideal, reference = points.min(axis=0), REFERENCE * points.max(axis=0)
        box = float(np.prod(reference - ideal))
        for name, front in fronts.items():
            found[name] = hypervolume(front, reference) / box if box else math.nan
    return found
