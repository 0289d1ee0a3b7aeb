"""What is known of a result, in words and numbers that are proved themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.mapping.sampling import sample
from toolkit.search.evaluator import Evaluator
from toolkit.search.status import (
    describe_proof,
    describe_status,
    describe_statuses,
    within_best,
)

POSITIVE = st.floats(1e-300, 1e300)


@pytest.mark.parametrize(
    ("value", "bound", "stopped", "words"),
    [
        (100.0, 100.0, False, "proved optimal"),
        (100.0, 100.0, True, "proved optimal"),
        (0.0, 0.0, False, "proved optimal"),
        (-2.0, -2.0, False, "proved optimal"),
        (210.0, 100.0, True, "within 110 % of the best possible"),
        (107.0, 100.0, False, "within 7 % of the best possible"),
        (112.341, 100.0, False, "within 12.4 % of the best possible"),
        (1e9, 1.0, False, "within 100,000,000,000 % of the best possible"),
        (1.0 + 1e-15, 1.0, False, "within 0.001 % of the best possible"),
        (math.nextafter(3e18, 4e18), 3e18, False, "within 0.001 % of the best possible"),
        (5.0, None, True, "stopped"),
        (5.0, None, False, ""),
        # Of what may be nothing, or less, there are no percent.
        (5.0, 0.0, True, "stopped"),
        (5.0, -1.0, False, ""),
        (-1.0, -2.0, True, "stopped"),
        (5.0, -math.inf, True, "stopped"),
        (5.0, math.nan, True, "stopped"),
        (5.0, 5e-324, True, "stopped"),
        (math.inf, 5.0, True, "stopped"),
        (math.inf, None, False, ""),
    ],
)
def test_one_of_three_or_nothing(
    value: float, bound: float | None, stopped: bool, words: str
) -> None:
    within = within_best(value, bound)
    assert describe_status(within, stopped=stopped) == words
    short = describe_status(within, stopped=stopped, short=True)
    assert words in (short, f"{short} of the best possible")


@pytest.mark.parametrize(
    ("value", "bound", "stopped", "words"),
    [
        (5.0, 5.0, False, "proved optimal"),
        (210.0, 100.0, True, "within 110 % of the best possible; bound B, 52.4 % below"),
        (5.0, None, True, "stopped; no bound known"),
        (5.0, None, False, ""),
        (5.0, 0.0, True, "stopped; bound B, 100 % below"),
        (5.0, 0.0, False, "bound B, 100 % below"),
        (5.0, -1.0, True, "stopped; bound B"),
        (-1.0, -2.0, False, "bound B"),
        (5.0, -math.inf, False, ""),
    ],
)
def test_the_bound_stands_beside(
    value: float, bound: float | None, stopped: bool, words: str
) -> None:
    assert describe_proof(value, bound, "B", stopped=stopped) == words


@given(POSITIVE, POSITIVE)
def test_what_is_written_is_proved(one: float, other: float) -> None:
    bound, value = sorted((one, other))
    within = within_best(value, bound)
    if within is None or within == 0 or within > 1e9:
        return
    status, _, below = describe_proof(value, bound, "B").partition("; ")
    percent = float(status.split()[1].replace(",", ""))
    room = float(below.split()[2])
    assert 0 < room <= 100
    assert value <= bound * (1 + percent / 100) * (1 + 1e-9)
    assert bound >= value * (1 - room / 100) - 1e-9 * value
    # And not much more.
    assert percent <= max(100 * within * 1.0101, 0.0011)


def test_several_results() -> None:
    assert describe_statuses([]) == ""
    assert describe_statuses([(None, False)] * 3) == ""
    assert describe_statuses([(0.0, True)] * 1200) == "1,200 proved optimal"
    mixed = [(0.0, False), (0.2, True), (0.03, True), (None, True), (None, False)]
    words = "1 proved optimal, 2 within 20 % of the best possible, 1 stopped, 1 without a bound"
    assert describe_statuses(mixed) == words


def found(strategy: Any, **limits: Any) -> toolkit.SearchResult:
    problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(12, 8, 4))
    return toolkit.search_mappings(problem, strategy, budget=toolkit.Budget(**limits))


def halfway(evaluator: Evaluator, seed: int) -> float:
    """Knows a bound without looking for it."""
    evaluator.evaluate(*sample(evaluator.problem.space, 1, np.random.default_rng(seed)))
    return evaluator.best_objective / 1.5


def test_results_say_it() -> None:
    proved = found("exact")
    assert (proved.status, proved.within_fraction, proved.stopped) == (
        "proved optimal",
        0.0,
        False,
    )
    stopped = found("random", evaluations=50)
    assert (stopped.status, stopped.within_fraction, stopped.stopped) == ("stopped", None, True)
    ended = found("greedy")
    assert (ended.status, ended.within_fraction, ended.stopped) == ("", None, False)
    bounded = found(halfway, evaluations=50)
    assert bounded.status == "within 50 % of the best possible"
    assert bounded.within_fraction == pytest.approx(0.5)
    assert not bounded.stopped


def test_an_interrupted_search_is_stopped() -> None:
    def interrupted(evaluator: Evaluator, seed: int) -> float:
        halfway(evaluator, seed)
        raise KeyboardInterrupt

    result = found(interrupted)
    assert (result.status, result.stopped, result.interrupted) == ("stopped", True, True)
