"""Strategies side by side: every strategy on every problem under every seed, on one budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from toolkit.arguments import check_integer, plain_integer
from toolkit.compilation import clock
from toolkit.errors import BoundError, InputError, MissingPackageError
from toolkit.mapping.loop_nest import render
from toolkit.messages import suggest
from toolkit.processes import Jobs, check_jobs, in_processes
from toolkit.search import STRATEGIES
from toolkit.search.problem import Problem
from toolkit.search.registry import search_mappings
from toolkit.search.result import Budget, SearchResult, TracePoint
from toolkit.study.storage.runs import Comparison, Outcome, Run, problem_name

if TYPE_CHECKING:
    from toolkit.study.storage.opening import Storage

MAX_TRACE = 500
"""Improvements that a run keeps: the first, the last, and evenly many between them. Each becomes a
trial of a storage, which takes milliseconds."""

ROUNDING = 1e-9
"""Relative difference that two ways to add up one cost may have: far above the rounding of
sums in double precision, far below any difference that matters."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One more outcome: how many there are, of how many, and whether it was read back."""

    done: int
    total: int
    outcome: Outcome
    resumed: bool


def compare(
    problems: Sequence[Problem],
    strategies: Sequence[str],
    budget: Budget,
    seeds: int | Sequence[int] = 3,
    *,
    storage: Storage | None = None,
    jobs: Jobs = 1,
    on_run: Callable[[Progress], None] | None = None,
    results: Sequence[SearchResult] = (),
) -> Comparison:
    """Run every strategy on every problem under every seed, and put others' results beside them.

    Parameters
    ----------
    problems : sequence of Problem
        Of different names: workload, architecture, objective or conventions differ.
    strategies : sequence of str
        Keys of `toolkit.STRATEGIES`.
    budget : Budget
        Of each run; at least one limit. Seconds are wall-clock time, so that they are only fair
        as long as every run has a core for each of its threads.
    seeds : int or sequence of int
        How many, from 0, or which.
    storage : path-like, str or BaseStorage, optional
        Where each run is recorded as an Optuna study as soon as it ends (see
        `toolkit.study.storage.opening.open_storage`). Runs that it holds already are read back,
        not done again, so that a killed comparison continues. By default nothing is recorded.
    jobs : int or Cluster
        Processes, or those of a `toolkit.Cluster`; results under a budget of evaluations alone do
        not depend on it.
    on_run : callable, optional
        Called with the `Progress` after each run, in the order they end.
    results : sequence of SearchResult
        Of searches made otherwise, such as ``objective.result_of(study, "my sampler")`` of
        `toolkit.objectives`: their names are those of more strategies, each with a result on every
        problem. They are recorded like all others.

    Raises
    ------
    InputError
        Before any run if something of the above is not as expected, a strategy needs a package
        that is not installed, a result spent more than the budget, or the storage cannot be used
        or holds another problem under the name of a run; and if the storage fails later. What was
        recorded stays.
    BoundError
        After all runs, if a strategy found what another proved to be impossible.
    KeyboardInterrupt
        If interrupted; what was recorded stays.

    Examples
    --------
    >>> import toolkit
    >>> problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    >>> few = toolkit.Budget(evaluations=50)
    >>> rows = toolkit.compare([problem], ["greedy", "random"], few, seeds=2)
    >>> len(rows.outcomes), rows.strategies
    (4, ('greedy', 'random'))
    """
    count = plain_integer(seeds)
    numbers = tuple(range(count)) if isinstance(count, int) else tuple(count)
    numbers = tuple(check_integer(seed, 0, "seeds") for seed in numbers)
    jobs = check_jobs(jobs)
    others = outcomes_of(results, problems, strategies, budget)
    _check(problems, strategies, budget, numbers, results=bool(others))
    runs = [Run(p, s, seed, budget) for p in problems for s in strategies for seed in numbers]
    outcomes: dict[str, Outcome] = {}

    def finish(outcome: Outcome, resumed: bool) -> None:
        outcomes[outcome.run.name] = outcome
        if on_run is not None:
            on_run(Progress(len(outcomes), len(runs), outcome, resumed))

    with ExitStack() as stack:
        keep: Callable[[Outcome], None] | None = None
        if storage is not None:
            from toolkit.study.storage.opening import open_storage, storage_name
            from toolkit.study.storage.recording import record, recorded_outcomes

            opened = stack.enter_context(open_storage(storage))
            name = storage_name(storage)
            keep = partial(record, opened, name=name)
            for outcome in recorded_outcomes(opened, runs, name=name):
                finish(outcome, True)
            # Refuses to replace what is somebody else's.
            recorded_outcomes(opened, [outcome.run for outcome in others], name=name)
        waiting = [run for run in runs if run.name not in outcomes]
        for place, ended in in_processes(execute, waiting, jobs):
            outcome = replace(ended, run=waiting[place])  # Its own copy would be another object.
            if keep is not None:
                keep(outcome)
            finish(outcome, False)
        for outcome in others:
            if keep is not None:
                keep(outcome)
    ordered = (*(outcomes[run.name] for run in runs), *others)
    check_bounds(ordered)
    names = (*strategies, *dict.fromkeys(outcome.run.strategy for outcome in others))
    return Comparison(tuple(problems), names, numbers, budget, ordered)


def _check(
    problems: Sequence[Problem],
    strategies: Sequence[str],
    budget: Budget,
    seeds: Sequence[int],
    *,
    results: bool,
) -> None:
    names = [problem_name(problem) for problem in problems]
    for key, values in (("problems", names), ("strategies", strategies), ("seeds", seeds)):
        if not values and not (results and key == "strategies"):
            raise InputError("expected at least one", key=key)
        twice = next((value for value in values if list(values).count(value) > 1), None)
        if twice is not None:
            raise InputError(f"{twice!r} is given twice", key=key)
    if budget.evaluations is None and budget.seconds is None:
        raise InputError("expected a limit of evaluations or of seconds", key="budget")
    for strategy in strategies:
        if strategy not in STRATEGIES:
            raise InputError(
                f"unknown strategy {strategy!r}{suggest(str(strategy), STRATEGIES)}; "
                f"expected some of {', '.join(STRATEGIES)}",
                key="strategies",
            )
        if STRATEGIES[strategy].extra:
            STRATEGIES[strategy].load()


def execute(run: Run) -> Outcome:
    """Search, and turn what the strategy says into an outcome, also that it found nothing.

    Raises
    ------
    MissingPackageError
        If the strategy needs a package that is not installed.
    KeyboardInterrupt
        If the search was interrupted: half a run is no result to compare.
    """
    start = clock()
    try:
        result = search_mappings(run.problem, run.strategy, budget=run.budget, seed=run.seed)
    except MissingPackageError:
        raise
    except InputError as cause:
        return failed(run, str(cause), clock() - start)
    if result.interrupted:
        raise KeyboardInterrupt
    return _outcome(run, result)


def outcomes_of(
    results: Sequence[SearchResult],
    problems: Sequence[Problem],
    strategies: Sequence[str],
    budget: Budget,
) -> tuple[Outcome, ...]:
    """Take results of others into a comparison, in the order of the problems.

    Raises
    ------
    InputError
        If one has the name of a strategy, is of another problem or given twice, spent more than
        the budget, or lacks on some problem.
    """
    places = {problem_name(problem): place for place, problem in enumerate(problems)}
    found: dict[str, tuple[int, Outcome]] = {}
    for result in results:
        name, own = problem_name(result.problem), f"{result.strategy}, seed {result.seed}"
        if result.strategy in STRATEGIES or result.strategy in strategies:
            raise InputError(
                f"{result.strategy!r} is a strategy of the toolkit; give the result another name",
                key="results",
            )
        if name not in places:
            raise InputError(f"{own} is of {name}, which is not compared", key="results")
        spent = ((result.evaluations, budget.evaluations), (result.seconds, budget.seconds))
        for (amount, most), unit in zip(spent, ("evaluations", "seconds"), strict=True):
            if most is not None and amount > most:
                raise InputError(
                    f"{own} spent {amount:,.6g} {unit}, more than the budget of {most:,.6g}; "
                    "expected results on equal budgets",
                    key="results",
                )
        run = Run(problems[places[name]], result.strategy, result.seed, budget)
        if run.name in found:
            raise InputError(f"{own} is given twice on {name}", key="results")
        found[run.name] = places[name], _outcome(run, result)
    for strategy in dict.fromkeys(result.strategy for result in results):
        there = {place for place, o in found.values() if o.run.strategy == strategy}
        lacking = [name for name, place in places.items() if place not in there]
        if lacking:
            raise InputError(f"{strategy!r} has no result on {lacking[0]}", key="results")
    return tuple(outcome for _, outcome in sorted(found.values(), key=lambda entry: entry[0]))


def _outcome(run: Run, result: SearchResult) -> Outcome:
    """Keep of a result what is compared."""
    return Outcome(
        run,
        result.objective,
        result.energy_pj,
        result.latency_cycles,
        result.utilization,
        result.evaluations,
        result.invalid,
        result.duplicates,
        result.seconds,
        thinned(result.trace),
        result.mapping,
        result.front,
        result.bound,
        stopped=result.stopped,
    )


def failed(run: Run, error: str, seconds: float) -> Outcome:
    """Make the outcome of a run that found no mapping."""
    nothing = math.nan
    return Outcome(
        run, math.inf, nothing, nothing, nothing, None, None, None, seconds, (), None, error=error
    )


def thinned(trace: Sequence[TracePoint], most: int = MAX_TRACE) -> tuple[TracePoint, ...]:
    """Keep at most `most` points, evenly spaced, the first and the last among them.

    Examples
    --------
    >>> points = [TracePoint(n, 0.0, 10.0 - n) for n in range(1, 8)]
    >>> [point.evaluations for point in thinned(points, 3)]
    [1, 4, 7]
    """
    if len(trace) <= most:
        return tuple(trace)
    return tuple(trace[i * (len(trace) - 1) // (most - 1)] for i in range(most))


def check_bounds(outcomes: Sequence[Outcome]) -> None:
    """Hold every result against every bound proved for its problem.

    Raises
    ------
    BoundError
        If a mapping is better than a bound; the message shows it.
    """
    proofs: dict[str, Outcome] = {}
    for outcome in outcomes:
        name = problem_name(outcome.run.problem)
        if outcome.bound is not None and (
            name not in proofs or outcome.bound > (proofs[name].bound or 0.0)
        ):
            proofs[name] = outcome
    for outcome in outcomes:
        proof = proofs.get(problem_name(outcome.run.problem))
        if proof is None or proof.bound is None or outcome.mapping is None:
            continue
        if outcome.objective < proof.bound - ROUNDING * abs(proof.bound):
            problem = outcome.run.problem
            supplies = problem.conventions.charge_bypassing_outermost
            nest = render(
                outcome.mapping, problem.arch, problem.workload, outermost_supplies=supplies
            )
            raise BoundError(
                f"{problem_name(problem)}: {outcome.run.strategy} (seed {outcome.run.seed}) found "
                f"{outcome.objective:.17g}, below {proof.bound:.17g}, which "
                f"{proof.run.strategy} proved to be impossible; please report this:\n{nest}"
            )
