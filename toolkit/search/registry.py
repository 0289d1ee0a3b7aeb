"""All strategies by name, and the one function that runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.arguments import check_integer, check_kind
from toolkit.errors import InputError
from toolkit.extras import LateEntry
from toolkit.messages import suggest

if TYPE_CHECKING:
    from toolkit.mapping.mapping import IntArray, Mapping
    from toolkit.search.evaluator import Evaluator
    from toolkit.search.problem import Problem
    from toolkit.search.result import Budget, SearchResult, TracePoint

Strategy = Callable[["Evaluator", int], "float | None"]
"""Spends the evaluator's budget under a seed; returns a proved bound of the objective, if any."""


@dataclass(frozen=True, slots=True)
class Entry(LateEntry[Strategy]):
    """A strategy, loaded as `toolkit.extras.LateEntry` says.

    Parameters
    ----------
    fronts : bool
        Whether it looks for all trade-offs where the objective asks for them, instead of for
        the best product alone.
    bounds : bool
        Whether it covers mappings by bounds and costs few in full, so that its evaluations are
        not to be compared with those of others.
    proves : bool
        Whether it ends by itself, with a proof that nothing is better.
    relaxes : bool
        Whether real-valued tilings are among its evaluations, each as dear as a mapping or more.
    """

    fronts: bool = False
    bounds: bool = False
    proves: bool = False
    relaxes: bool = False


STRATEGIES: dict[str, Entry] = {
    "greedy": Entry(
        "toolkit.search.greedy:greedy",
        "Descends by single prime factors and loop orders from many starts, kicks and repeats.",
    ),
    "anneal": Entry(
        "toolkit.search.anneal:anneal",
        "Simulated annealing over the same moves, several chains side by side.",
    ),
    "exact": Entry(
        "toolkit.search.exact:exact",
        "Proves the optimum, or a bound at a time limit: shortest paths over tiles, pruned.",
        fronts=True,
        bounds=True,
        proves=True,
    ),
    "exhaustive": Entry(
        "toolkit.search.exhaustive:exhaustive",
        "Costs every mapping of a small space, one loop order per reuse class.",
        fronts=True,
        proves=True,
    ),
    "evolution": Entry(
        "toolkit.search.evolution:evolution",
        "A population under moves and crossover, evaluated as whole batches.",
        fronts=True,
    ),
    "scipy": Entry(
        "toolkit.search.scipy_optimisers.optimisers:scipy_search",
        "SciPy's basin hopping around FactorFlow's steepest descent.",
    ),
    "dual_annealing": Entry(
        "toolkit.search.scipy_optimisers.optimisers:annealing_search",
        "SciPy's dual annealing on a relaxed encoding.",
    ),
    "differential_evolution": Entry(
        "toolkit.search.scipy_optimisers.optimisers:evolution_search",
        "SciPy's differential evolution on a relaxed encoding.",
    ),
    "gradient": Entry(
        "toolkit.search.gradient:gradient",
        "DOSA's path: gradient descent over real-valued tilings by torch, rounded and polished.",
        extra="torch",
        relaxes=True,
    ),
    "tpe": Entry(
        "toolkit.search.optuna_samplers.samplers:tpe",
        "Optuna's tree-structured Parzen estimator.",
        fronts=True,
    ),
    "nsga2": Entry(
        "toolkit.search.optuna_samplers.samplers:nsga2",
        "Optuna's NSGA-II.",
        fronts=True,
    ),
    "qmc": Entry(
        "toolkit.search.optuna_samplers.samplers:qmc",
        "Optuna's quasi-Monte Carlo sequence: covers the space evenly.",
    ),
    "cmaes": Entry(
        "toolkit.search.optuna_samplers.samplers:cmaes",
        "Optuna's covariance matrix adaptation (CMA-ES) with margins for integers.",
        extra="cmaes",
    ),
    "gp": Entry(
        "toolkit.search.optuna_samplers.samplers:gp",
        "Optuna's Gaussian process: for budgets of some hundred evaluations.",
        extra="torch",
    ),
    "random": Entry(
        "toolkit.search.random:random_search",
        "Draws valid mappings at random: the baseline.",
        fronts=True,
    ),
}


def find_strategy(name: str) -> Entry:
    """Look a strategy up.

    Raises
    ------
    InputError
        If there is none of that name; the message lists those there are.
    """
    if str(name) not in STRATEGIES:
        raise InputError(
            f"unknown strategy {name!r}{suggest(str(name), STRATEGIES)}; "
            f"expected one of {', '.join(STRATEGIES)}",
            key="strategy",
        )
    return STRATEGIES[name]


def search_mappings(
    problem: Problem,
    strategy: str | Strategy = "greedy",
    *,
    budget: Budget | None = None,
    seed: int = 0,
    on_improvement: Callable[[TracePoint], None] | None = None,
    warm_starts: Sequence[Mapping] = (),
) -> SearchResult:
    """Look for the best mapping of a problem.

    Parameters
    ----------
    problem : Problem
        See `toolkit.search.make_problem`.
    strategy : str or Strategy
        One of `STRATEGIES`, or a function of your own, such as
        ``functools.partial(gradient, device="cuda")``.
    budget : Budget, optional
        Limits; by default the strategy ends when it has nothing left to try.
    seed : int
        Seed of all randomness: the same seed gives the same result under a budget of
        evaluations, whatever the number of threads.
    on_improvement : callable, optional
        Called with every new best.
    warm_starts : sequence of Mapping
        Valid mappings to set out from, such as another strategy's result. They are costed
        first, within the budget.

    Returns
    -------
    SearchResult
        Also of a search that was interrupted from the keyboard, if it had found a mapping.

    Raises
    ------
    InputError
        If the strategy is unknown, the seed no integer from 0, a warm start not valid, a limit
        missing that the strategy needs, or another argument of another kind.
    MissingPackageError
        If the strategy needs a package that is not installed.
    DoesNotFitError
        If no valid mapping was found at all.

    Examples
    --------
    >>> import toolkit
    >>> problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    >>> toolkit.search_mappings(problem, "exact").proved
    True
    """
    # What is read for names alone, such as by `toolkit list`, does not wait for the rest.
    import numpy as np

    from toolkit.search.chosen_mappings import checked_start
    from toolkit.search.evaluator import Evaluator
    from toolkit.search.problem import Problem
    from toolkit.search.result import Budget

    check_kind(problem, Problem, "problem")
    if budget is not None:
        check_kind(budget, Budget, "budget")
    check_kind(warm_starts, Sequence, "warm_starts")
    run = strategy if callable(strategy) else find_strategy(strategy).load()
    name = _name(strategy) if callable(strategy) else strategy
    seed = check_integer(seed, 0, "seed")
    starts = [checked_start(problem, mapping, "warm_starts") for mapping in warm_starts]
    evaluator = Evaluator(problem, budget or Budget(), on_improvement, starts)
    for factors, order, choice in starts:
        evaluator.evaluate(factors[None], order[None], np.array([choice]))
    try:
        bound = run(evaluator, seed)
        if not evaluator.evaluations:  # The time was over before the first mapping.
            evaluator.evaluate(*_any_mapping(problem, seed))
    except KeyboardInterrupt:
        if evaluator.best is None:
            raise
        return evaluator.result(name, seed, None, interrupted=True)
    return evaluator.result(name, seed, bound)


def _name(strategy: Strategy) -> str:
    """Name of a function, also of one with some of its arguments filled in."""
    return str(getattr(getattr(strategy, "func", strategy), "__name__", repr(strategy)))


def _any_mapping(problem: Problem, seed: int) -> tuple[IntArray, IntArray, IntArray]:
    import numpy as np

    from toolkit.search.chosen_mappings import sample_mappings

    return sample_mappings(problem, 1, np.random.default_rng(seed))
