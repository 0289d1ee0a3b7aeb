"""What plots of a comparison show: how fast strategies converge, and what they trade.

These are records only, and the limits and ticks of their axes, which is what tests look at;
`toolkit.study.pictures.comparison` draws them with plotly and with Matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.search.front import nondominated
from toolkit.search.problem import Problem
from toolkit.study.compare.tables import Reference, gap, references
from toolkit.study.storage.runs import Comparison, Outcome, problem_name
from toolkit.study.units import format_value, proof_of

FloatArray = NDArray[np.float64]

SPENT = ("evaluations", "seconds")
"""What convergence is drawn against."""

LEAST_GAP = 0.01
"""Percent; gaps are drawn on a logarithmic axis, where smaller ones, and none, lie here: less
than any cost model can promise."""

# Clocks tell shorter times apart badly, and a logarithmic axis needs some beginning.
_LEAST_SECONDS = 1e-5
# More steps than a screen has columns cannot be told apart.
_MAX_STEPS = 2000
# How many times as large the largest energy or latency is for a logarithmic axis to show more.
_WIDE = 5.0
# Where a decade is a tenth of the axis or less, labels between decades would overlap.
_LONG = 50.0


BEST_NAMES = {
    "proved": "proved optimum",
    "bound": "best known",
    "best of this field": "best of this field",
}
"""What gaps are measured from, by kind of reference."""


@dataclass(frozen=True)
class Curve:
    """How far the runs of one strategy have come, over its seeds.

    Parameters
    ----------
    spent : array, shape (points,)
        Evaluations or seconds, rising; where a value changes there are two points, so that lines
        through all points are stairs.
    median, low, high : array, shape (points,)
        Median, best and worst over the seeds; inf while a run has found nothing.
    """

    spent: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class StrategyPlot:
    """What the plots of a problem show of one strategy.

    Parameters
    ----------
    name : str
        A key of `toolkit.STRATEGIES`.
    runs, failed : int
        How many there are, and how many of them found nothing.
    curves : dict of str to Curve
        By what is spent: ``evaluations`` and ``seconds``. Empty if all runs failed.
    points : array, shape (points, 2)
        Energy in pJ and latency in cycles, total: of each run its best mapping, or its front
        where the objective asks for one.
    front : array, shape (points, 2)
        What of `points` no other of them beats in both, by rising energy. Empty for an objective
        without a front.
    """

    name: str
    runs: int
    failed: int
    curves: dict[str, Curve]
    points: FloatArray
    front: FloatArray

    @property
    def label(self) -> str:
        """The name, and how many runs found nothing if any did."""
        if not self.failed:
            return self.name
        failed = "found nothing"
        if self.failed < self.runs:
            failed = f"{self.failed} of {self.runs} runs {failed}"
        return f"{self.name} ({failed})"


@dataclass(frozen=True)
class ProblemPlot:
    """What the plots of one problem show.

    Parameters
    ----------
    title : str
        The problem, and what gaps are measured from.
    value_title : str
        What the values of curves are, with their unit.
    relative : bool
        Whether they are gaps in percent, at least `LEAST_GAP`, for a logarithmic axis; else
        values of an objective that have no ratio.
    has_front : bool
        Whether the objective asks for fronts.
    strategies : tuple of StrategyPlot
        In the order asked.
    """

    title: str
    value_title: str
    relative: bool
    has_front: bool
    strategies: tuple[StrategyPlot, ...]


def problem_plots(comparison: Comparison) -> tuple[ProblemPlot, ...]:
    """Work out the plots of every problem, in the order asked."""
    best = references(comparison)
    outcomes: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in comparison.outcomes:
        key = problem_name(outcome.run.problem), outcome.run.strategy
        outcomes.setdefault(key, []).append(outcome)
    plots = []
    for problem in comparison.problems:
        name = problem_name(problem)
        reference = best[name]
        relative = reference.value > 0
        best_name = BEST_NAMES[reference.kind]
        value_title = f"above the {best_name} (%)"
        if not relative:
            value_title = " ".join(filter(None, (str(problem.objective), problem.objective.unit)))
        strategies = tuple(
            _strategy_plot(strategy, outcomes[name, strategy], reference.value, relative)
            for strategy in comparison.strategies
        )
        has_front = bool(problem.objective.front)
        title = f"{name}: {describe_reference(reference, problem)}"
        plots.append(ProblemPlot(title, value_title, relative, has_front, strategies))
    return tuple(plots)


def describe_reference(reference: Reference, problem: Problem) -> str:
    """Say what gaps are measured from, and how near the best possible that is.

    Examples
    --------
    >>> import toolkit
    >>> arch, workload = toolkit.load_arch("eyeriss"), toolkit.load_workload("gemm:M=8,K=4,N=2")
    >>> problem = toolkit.make_problem(arch, workload, objective="latency")
    >>> describe_reference(Reference(80.0, False, 72.0), problem)
    'best known latency 80 cycles, within 11.2 % of the best possible; bound 72 cycles, 10 % below'
    """
    if not math.isfinite(reference.value):
        return "nothing found"
    value = format_value(reference.value, problem.objective)
    proof = proof_of(reference.value, reference.bound, problem.objective)
    names = {**BEST_NAMES, "proved": "best", "best of this field": "best of this field:"}
    return ", ".join(filter(None, (f"{names[reference.kind]} {value}", proof)))


def convergence(outcomes: Sequence[Outcome], spent: str) -> Curve:
    """Follow the best objective value of runs, over what they spent.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Runs of one strategy on one problem.
    spent : {"evaluations", "seconds"}
        What they spent. A run that ended keeps its value until the last one ends.

    Returns
    -------
    Curve
        In the unit of the objective.
    """
    least = _LEAST_SECONDS if spent == "seconds" else 1.0
    traces = [
        (
            np.array([max(getattr(point, spent), least) for point in outcome.trace]),
            np.array([point.objective for point in outcome.trace]),
        )
        for outcome in outcomes
    ]
    ends = [float(getattr(outcome, spent) or 0.0) for outcome in outcomes]
    steps = np.unique(np.concatenate([*(xs for xs, _ in traces), [max(*ends, least)]]))
    if len(steps) > _MAX_STEPS:
        steps = steps[np.linspace(0, len(steps) - 1, _MAX_STEPS).astype(int)]
    values = np.full((len(traces), len(steps)), np.inf)
    for row, (xs, ys) in zip(values, traces, strict=True):
        done = np.searchsorted(xs, steps, side="right")
        row[done > 0] = ys[done[done > 0] - 1]
    return Curve(
        np.repeat(steps, 2)[1:],
        *(
            np.repeat(line, 2)[:-1]
            for line in (np.median(values, axis=0), values.min(axis=0), values.max(axis=0))
        ),
    )


def _strategy_plot(
    name: str, outcomes: Sequence[Outcome], reference: float, relative: bool
) -> StrategyPlot:
    found = [outcome for outcome in outcomes if not outcome.error]
    curves = {spent: convergence(outcomes, spent) for spent in SPENT} if found else {}
    if relative:
        curves = {spent: _gaps(curve, reference) for spent, curve in curves.items()}
    has_front = any(outcome.front for outcome in found)
    costs = [
        (point.energy_pj, point.latency_cycles)
        for outcome in found
        for point in (outcome.front if has_front else (outcome,))
    ]
    points = np.array(costs, dtype=np.float64).reshape(-1, 2)
    front = points[nondominated(points)] if has_front else points[:0]
    return StrategyPlot(name, len(outcomes), len(outcomes) - len(found), curves, points, front)


def _gaps(curve: Curve, reference: float) -> Curve:
    lines = (
        np.array([max(100 * gap(value, reference), LEAST_GAP) for value in line])
        for line in (curve.median, curve.low, curve.high)
    )
    return Curve(curve.spent, *lines)


def value_limits(plot: ProblemPlot) -> tuple[float, float]:
    """Find the limits of the values of all curves, with some room."""
    curves = [curve for strategy in plot.strategies for curve in strategy.curves.values()]
    every = np.concatenate([[LEAST_GAP], *([c.low] + [c.median] + [c.high] for c in curves)], None)
    every = every[np.isfinite(every)]
    if plot.relative:
        return LEAST_GAP / 1.5, max(float(every.max()), 1.0) * 1.5
    values = every[1:] if len(every) > 1 else every
    room = 0.05 * (float(np.ptp(values)) or 1.0)
    return float(values.min()) - room, float(values.max()) + room


def is_long(plot: ProblemPlot, spent: str) -> bool:
    """Whether curves reach over so many decades of what was spent that each needs one label."""
    ends = [
        c[spent].spent[[0, -1]] for c in (strategy.curves for strategy in plot.strategies) if c
    ]
    return bool(ends) and float(np.max(ends)) > _LONG * float(np.min(ends))


def gap_ticks(highest: float) -> tuple[list[float], list[str]]:
    """Choose ticks of a logarithmic axis of gaps in percent; the lowest one stands for less, too.

    Examples
    --------
    >>> gap_ticks(15.0)
    ([0.01, 0.1, 1.0, 10.0], ['≤ 0.01', '0.1', '1', '10'])
    """
    decades = int(np.log10(highest / LEAST_GAP) + 1e-9)
    ticks = [float(f"{LEAST_GAP * 10**i:.3g}") for i in range(decades + 1)]
    return ticks, [f"≤ {ticks[0]:g}", *(f"{tick:g}" for tick in ticks[1:])]


def trade_limits(plot: ProblemPlot, column: int) -> tuple[float, float, bool]:
    """Find the limits of energy (column 0) or latency (1), with some room.

    Returns
    -------
    low, high : float
    is_wide : bool
        Whether points differ so much that a logarithmic axis shows them better.
    """
    every = np.concatenate([strategy.points[:, column] for strategy in plot.strategies])
    if not len(every):
        return 0.0, 1.0, False
    low, high = float(every.min()), float(every.max())
    if 0 < _WIDE * low < high:
        return low / 1.3, high * 1.3, True
    # Equal points shall not be torn apart by their last digits.
    room = max(0.08 * (high - low), 0.02 * abs(high))
    return low - room, high + room, False
