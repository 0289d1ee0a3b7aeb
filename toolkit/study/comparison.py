"""Strategies side by side: every strategy on every problem under every seed, on one budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from toolkit.errors import InputError
from toolkit.processes import in_processes
from toolkit.records import check_integer, plain_integer, suggest
from toolkit.search import STRATEGIES
from toolkit.search.problem import Problem
from toolkit.search.result import Budget
from toolkit.study.falsify import check_bounds
from toolkit.study.runs import Comparison, Outcome, Run, execute, problem_name

if TYPE_CHECKING:
    from toolkit.study.storage import Storage


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
    jobs: int = 1,
    on_run: Callable[[Progress], None] | None = None,
) -> Comparison:
    """Run every strategy on every problem under every seed.

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
        `toolkit.study.storage.open_storage`). Runs that it holds already are read back, not
        done again, so that a killed comparison continues. By default nothing is recorded.
    jobs : int
        Processes; results under a budget of evaluations alone do not depend on it.
    on_run : callable, optional
        Called with the `Progress` after each run, in the order they end.

    Raises
    ------
    InputError
        Before any run if something of the above is not as expected, a strategy needs a package
        that is not installed, or the storage cannot be used or holds another problem under the
        name of a run; and if the storage fails later. What was recorded stays.
    BoundError
        After all runs, if a strategy found what another proved to be impossible.
    KeyboardInterrupt
        If interrupted; what was recorded stays.
    """
    count = plain_integer(seeds)
    numbers = tuple(range(count)) if isinstance(count, int) else tuple(count)
    numbers = tuple(check_integer(seed, 0, "seeds") for seed in numbers)
    jobs = check_integer(jobs, 1, "jobs")
    _check(problems, strategies, budget, numbers)
    runs = [Run(p, s, seed, budget) for p in problems for s in strategies for seed in numbers]
    outcomes: dict[str, Outcome] = {}

    def finish(outcome: Outcome, resumed: bool) -> None:
        outcomes[outcome.run.name] = outcome
        if on_run is not None:
            on_run(Progress(len(outcomes), len(runs), outcome, resumed))

    with ExitStack() as stack:
        keep: Callable[[Outcome], None] | None = None
        if storage is not None:
            from toolkit.study.recording import record, recorded_outcomes
            from toolkit.study.storage import open_storage, storage_name

            opened = stack.enter_context(open_storage(storage))
            name = storage_name(storage)
            keep = partial(record, opened, name=name)
            for outcome in recorded_outcomes(opened, runs, name=name):
                finish(outcome, True)
        waiting = [run for run in runs if run.name not in outcomes]
        for place, ended in in_processes(execute, waiting, jobs):
            outcome = replace(ended, run=waiting[place])  # Its own copy would be another object.
            if keep is not None:
                keep(outcome)
            finish(outcome, False)
    ordered = tuple(outcomes[run.name] for run in runs)
    check_bounds(ordered)
    return Comparison(tuple(problems), tuple(strategies), numbers, budget, ordered)


def _check(
    problems: Sequence[Problem],
    strategies: Sequence[str],
    budget: Budget,
    seeds: Sequence[int],
) -> None:
    names = [problem_name(problem) for problem in problems]
    for key, values in (("problems", names), ("strategies", strategies), ("seeds", seeds)):
        if not values:
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
