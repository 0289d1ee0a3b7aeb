"""What plots show of a comparison: stairs over seeds, gaps, fronts; on outcomes made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study.runs import BUDGET, comparison, outcome, problem

from toolkit.search import FrontPoint, TracePoint
from toolkit.study.compare.comparison import compare
from toolkit.study.pictures.curves import (
    LEAST_GAP,
    convergence,
    gap_ticks,
    problem_plots,
    trade_limits,
    value_limits,
)
from toolkit.study.pictures.look import style
from toolkit.study.storage.runs import Run

RUN = Run(problem(), "random", 0, BUDGET)
TWO = comparison({"a": [[(300.0, 103.0), (100.0,)]], "b": [[(105.0, 104.0), ()]]})


def test_the_median_of_two_runs_steps_where_either_improves() -> None:
    curve = convergence([outcome(RUN, 8.0, 2.0), outcome(RUN, 6.0)], "evaluations")
    assert curve.spent.tolist() == [10, 20, 20, 100, 100]
    assert curve.median.tolist() == [7, 7, 4, 4, 4]
    assert curve.low.tolist() == [6, 6, 2, 2, 2]
    assert curve.high.tolist() == [8, 8, 6, 6, 6]


def test_what_found_nothing_yet_is_infinite() -> None:
    curve = convergence([outcome(RUN, 8.0), replace(outcome(RUN), evaluations=None)], "seconds")
    assert curve.spent.tolist() == [1, 9, 9]
    assert curve.low.tolist() == [8, 8, 8]
    assert curve.high.tolist() == curve.median.tolist() == [math.inf] * 3


@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 50), st.integers(1, 9)), min_size=1, max_size=5),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 60),
)
def test_curves_agree_with_their_definition(runs: list[list[tuple[int, int]]], at: int) -> None:
    outcomes = []
    for points in runs:
        best = np.minimum.accumulate([value for _, value in points])
        spent = sorted(evaluations for evaluations, _ in points)
        trace = tuple(TracePoint(n, 1.0, float(v)) for n, v in zip(spent, best, strict=True))
        outcomes.append(replace(outcome(RUN, 1.0), trace=trace, evaluations=60))
    curve = convergence(outcomes, "evaluations")
    place = np.searchsorted(curve.spent, at, side="right") - 1
    values = [
        min((p.objective for p in o.trace if p.evaluations <= at), default=math.inf)
        for o in outcomes
    ]
    shown = (math.inf,) * 3
    if place >= 0:
        shown = curve.low[place], curve.median[place], curve.high[place]
    assert shown == (min(values), np.median(values), max(values))


def test_gaps_are_percent_of_the_best_known_with_a_floor() -> None:
    (plot,) = problem_plots(TWO)
    a, b = plot.strategies
    assert plot.relative
    assert plot.value_title == "above the best of this field (%)"
    assert plot.title.startswith("gemm2 on tiny, edp, exact, ragged: best of this field: edp ")
    assert a.curves["evaluations"].low.min() == LEAST_GAP
    assert a.curves["evaluations"].high[-1] == pytest.approx(3.0)
    assert b.curves["seconds"].low[-1] == pytest.approx(4.0)
    assert (a.failed, b.failed, b.runs) == (0, 1, 2)


def test_a_proved_optimum_and_a_bound_are_called_so() -> None:
    values = {"a": [[(100.0,)]], "b": [[(100.0,)]]}
    (proved,) = problem_plots(comparison(values, b=100.0))
    assert proved.title.endswith("best edp 1e-10 J·cycle, proved optimal")
    assert proved.value_title == "above the proved optimum (%)"
    (bounded,) = problem_plots(comparison(values, b=95.0))
    assert "best known" in bounded.title
    assert bounded.title.endswith(
        "within 5.27 % of the best possible; bound 9.5e-11 J·cycle, 5 % below"
    )


def test_values_that_have_no_ratio_are_shown_as_they_are() -> None:
    (plot,) = problem_plots(comparison({"a": [[(2.0, -3.0)]]}))
    assert not plot.relative
    assert plot.value_title == "edp pJ*cycles"
    assert value_limits(plot) == (-3.25, 2.25)
    assert plot.strategies[0].curves["evaluations"].median[-1] == -3.0


def test_a_strategy_that_found_nothing_has_no_curves_nor_points() -> None:
    (plot,) = problem_plots(comparison({"a": [[()]], "b": [[(1.0,)]]}))
    assert plot.strategies[0].curves == {}
    assert plot.strategies[0].points.shape == (0, 2)
    (nothing,) = problem_plots(comparison({"a": [[()]]}))
    assert nothing.title.endswith("nothing found")
    assert trade_limits(nothing, 0) == (0.0, 1.0, False)


def test_the_front_of_a_strategy_is_that_of_all_its_seeds() -> None:
    both = compare([problem(objective="energy,latency")], ["random"], BUDGET, 2)
    mapping = both.outcomes[0].mapping
    assert mapping is not None
    fronts = [[(1.0, 4.0), (3.0, 1.0)], [(2.0, 2.0), (3.0, 2.0)]]
    outcomes = tuple(
        replace(o, front=tuple(FrontPoint(*point, mapping) for point in front))
        for o, front in zip(both.outcomes, fronts, strict=True)
    )
    ((strategy,),) = (plot.strategies for plot in problem_plots(replace(both, outcomes=outcomes)))
    assert strategy.front.tolist() == [[1.0, 4.0], [2.0, 2.0], [3.0, 1.0]]
    assert len(strategy.points) == 4


def test_single_objectives_show_the_best_of_each_run() -> None:
    (plot,) = problem_plots(TWO)
    assert plot.strategies[0].points.tolist() == [[103.0, 1.0], [100.0, 1.0]]
    assert plot.strategies[0].front.shape == (0, 2)
    low, high, wide = trade_limits(plot, 1)
    assert low < 1.0 < high
    assert not wide


def test_twenty_strategies_look_different() -> None:
    assert len({(look.color, look.line) for look in map(style, range(20))}) == 20


def test_ticks_reach_the_highest_gap() -> None:
    assert gap_ticks(1.5)[1] == ["≤ 0.01", "0.1", "1"]
