"""All strategies by name, and the one function that runs them."""

from __future__ import annotations

from collections.abc import Callable

from toolkit.errors import InputError
from toolkit.search.evaluator import Evaluator
from toolkit.search.greedy import greedy
from toolkit.search.problem import Problem
from toolkit.search.random import random_search
from toolkit.search.result import Budget, SearchResult, TracePoint

Strategy = Callable[[Evaluator, int], float | None]
"""Spends the evaluator's budget under a seed; returns a proved bound of the objective, if any."""

STRATEGIES: dict[str, Strategy] = {
    "greedy": greedy,
    "random": random_search,
}


def search(
    problem: Problem,
    strategy: str = "greedy",
    *,
    budget: Budget | None = None,
    seed: int = 0,
    on_improvement: Callable[[TracePoint], None] | None = None,
) -> SearchResult:
    """Look for the best mapping of a problem.

    Parameters
    ----------
    problem : Problem
        See `toolkit.search.make_problem`.
    strategy : str
        One of `STRATEGIES`.
    budget : Budget, optional
        Limits; by default the strategy ends when it has nothing left to try.
    seed : int
        Seed of all randomness: the same seed gives the same result under a budget of
        evaluations.
    on_improvement : callable, optional
        Called with every new best.

    Raises
    ------
    InputError
        If the strategy is unknown, the seed negative, or a limit missing that it needs.
    DoesNotFitError
        If no valid mapping was found at all.
    """
    if strategy not in STRATEGIES:
        raise InputError(
            f"unknown strategy {strategy!r}; expected one of {', '.join(STRATEGIES)}",
            key="strategy",
        )
    if seed < 0:
        raise InputError(f"{seed} is negative; expected an integer from 0", key="seed")
    evaluator = Evaluator(problem, budget or Budget(), on_improvement)
    bound = STRATEGIES[strategy](evaluator, seed)
    return evaluator.result(strategy, seed, bound)
