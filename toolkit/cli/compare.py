"""The command `toolkit compare`: strategies side by side on one budget, and what is printed."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.arguments import (
    AllowPython,
    Arch,
    AsJson,
    AsJsonLines,
    BiasRead,
    BypassName,
    ClusterAddress,
    FactorsName,
    ObjectiveName,
    Pad,
    Quiet,
    read_jobs,
    trusted,
)
from toolkit.cli.conventions import ConventionsName, Steady, Switches, read_conventions
from toolkit.cli.output import Record, Report, empty_table
from toolkit.cli.report import ReportFile, check_output, drawings, finish

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from toolkit.cli.progress import Reporter
    from toolkit.search import Problem
    from toolkit.study.compare.comparison import Progress
    from toolkit.study.compare.statistics import Significance
    from toolkit.study.pictures.report import Tables
    from toolkit.study.storage.files import Results
    from toolkit.study.storage.runs import Comparison

EVALUATIONS, SECONDS = 20_000, 5.0
"""Limits of a run if none is given: more would tell strategies apart better, and keep whoever
tries the command for the first time waiting for minutes."""

STRATEGIES = 5
"""Strategies that are compared if none is named: few enough to be told apart in one plot."""

STORAGE = "comparison.journal"
"""Where runs are recorded if nothing is said; inside of the folder for results if there is one."""

# One of each kind first, for those who name none.
_PREFERRED = ("greedy", "anneal", "scipy", "tpe", "random", "nsga2", "gradient")

Workloads = Annotated[
    list[str],
    typer.Argument(
        metavar="WORKLOAD...",
        help="One or more names, specifications such as gemm:M=128,K=768,N=512, or files; "
        "or integers alone, M K N for one GEMM or M P Q C R S for one convolution.",
    ),
]
Strategies = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help=f"Separated by commas; see: toolkit list strategies. By default {STRATEGIES} of "
        "those installed.",
        show_default=False,
    ),
]
Evaluations = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=10**18,
        help=f"Most mappings that a run may cost; {EVALUATIONS:,} if neither this nor --seconds "
        "is given.",
        show_default=False,
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        help=f"Longest time of a run; {SECONDS:g} if neither this nor --evaluations is given.",
        show_default=False,
    ),
]
Seeds = Annotated[int, typer.Option(min=1, max=10_000, help="How many seeds, from 0.")]
Jobs = Annotated[
    int,
    typer.Option(
        min=1, max=1024, help="Runs side by side; times are only fair if each has its own cores."
    ),
]
StorageName = Annotated[
    str | None,
    typer.Option(
        metavar="PATH_OR_URL",
        help="Optuna storage that records each run, and that a killed comparison continues from: "
        f"a journal file, an SQLite file (.db) or a URL. By default {STORAGE} (in --out).",
        show_default=False,
    ),
]
Folder = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Write all tables as CSV and Parquet, plots as PNG and SVG, and report.html with "
        "both.",
        show_default=False,
    ),
]


def compare_strategies(
    context: typer.Context,
    arch: Arch,
    workloads: Workloads,
    strategies: Strategies = None,
    objective: ObjectiveName = "edp",
    conventions: ConventionsName = "exact",
    steady: Steady = False,
    switch: Switches = [],  # noqa: B006 - typer copies it
    evaluations: Evaluations = None,
    seconds: Seconds = None,
    seeds: Seeds = 3,
    jobs: Jobs = 1,
    cluster: ClusterAddress = None,
    storage: StorageName = None,
    out: Folder = None,
    factors: FactorsName = None,
    bypass: BypassName = "permitted",
    pad: Pad = [],  # noqa: B006 - typer copies it
    bias_read: BiasRead = False,
    allow_python: AllowPython = False,
    report: ReportFile = None,
    json: AsJson = False,
    json_lines: AsJsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Run what the storage lacks, tabulate, draw, print."""
    from toolkit.cli.output import NOTHING_FOUND
    from toolkit.cli.problems import read_problem
    from toolkit.cli.progress import Reporter
    from toolkit.search import Budget
    from toolkit.study.compare.comparison import compare
    from toolkit.study.pictures.report import comparison_tables, write_results

    reporter = Reporter.of(quiet, json, json_lines)
    counting = read_conventions(conventions, switch, steady=steady)
    problems = [
        read_problem(
            trusted(arch, allow_python),
            [trusted(word, allow_python) for word in words],
            objective,
            counting,
            pad,
            bias_read,
            factors,
            bypass,
        )
        for words in split_workloads(workloads)
    ]
    names = strategies.split(",") if strategies is not None else default_strategies(problems[0])
    if evaluations is None and seconds is None:
        evaluations, seconds = EVALUATIONS, SECONDS
    budget = Budget(evaluations, seconds)
    check_output(report, out)
    workers = read_jobs(context, jobs, cluster, 1) or 1
    place = storage if storage is not None else os.path.join(out or "", STORAGE)
    with _watched(reporter, place) as on_run:
        comparison = compare(
            problems, names, budget, seeds, storage=place, jobs=workers, on_run=on_run
        )
    tables = comparison_tables(comparison)
    written = None
    if out is not None:
        with _steps(reporter) as on_step:
            written = write_results(comparison, out, tables=tables, on_step=on_step)
    finish(
        reporter,
        report,
        ", ".join(comparison.strategies),
        lambda: drawings().comparison_drawings(comparison),
        partial(comparison_report, comparison, tables, place),
        partial(comparison_record, comparison, tables, place),
        written,
    )
    if all(outcome.error for outcome in comparison.outcomes):
        raise typer.Exit(NOTHING_FOUND)


def split_workloads(words: Sequence[str]) -> list[list[str]]:
    """Take words as one workload each, or integers alone as the sizes of one.

    Examples
    --------
    >>> split_workloads(["8", "4", "2"]), split_workloads(["a.yaml", "b.yaml"])
    ([['8', '4', '2']], [['a.yaml'], ['b.yaml']])
    """
    if all(re.fullmatch(r"-?[0-9.]+", word) for word in words):
        return [list(words)]
    return [[word] for word in words]


def default_strategies(problem: Problem) -> list[str]:
    """Choose strategies of different kinds among those installed, for fronts where one is asked.

    Returns
    -------
    list of str
        At most `STRATEGIES`.
    """
    from toolkit.errors import MissingPackageError
    from toolkit.search import STRATEGIES as REGISTERED

    known = [name for name in _PREFERRED if name in REGISTERED]
    if problem.objective.front:
        known.sort(key=lambda name: not REGISTERED[name].fronts)
    chosen: list[str] = []
    for name in known:
        try:
            if REGISTERED[name].extra:
                REGISTERED[name].load()
        except MissingPackageError:
            continue
        chosen.append(name)
    return chosen[:STRATEGIES]


@contextmanager
def _watched(reporter: Reporter, storage: str) -> Iterator[Callable[[Progress], None]]:
    """Tell of every run that ended; an interruption is followed by how to go on."""
    from toolkit.study.storage.opening import storage_name

    with reporter.counted(f"runs are kept in {storage_name(storage)}") as show:

        def ended(progress: Progress) -> None:
            show(progress.done, progress.total, _ended(progress), read_back=progress.resumed)
            reporter.event("run", _run_record(progress))

        yield ended


@contextmanager
def _steps(reporter: Reporter) -> Iterator[Callable[[str], None]]:
    """Show what is being written."""
    step = ["writing tables"]
    with reporter.live(lambda: step[-1]):
        yield step.append


def _run_record(progress: Progress) -> Record:
    from toolkit.study.storage.runs import problem_name

    outcome = progress.outcome
    return {
        "done": progress.done,
        "total": progress.total,
        "problem": problem_name(outcome.run.problem),
        "strategy": outcome.run.strategy,
        "seed": outcome.run.seed,
        "objective_value": outcome.objective,
        "evaluations": outcome.evaluations,
        "search_seconds": outcome.seconds,
        "status": outcome.status,
        "error": outcome.error,
        "read_back": progress.resumed,
    }


def _ended(progress: Progress) -> str:
    """Say which run ended, and how."""
    from toolkit.study.units import format_value

    outcome = progress.outcome
    if outcome.error:
        how = f"failed: {outcome.error}"
    else:
        value = format_value(outcome.objective, outcome.run.problem.objective)
        how = f"{value}, {outcome.evaluations or 0:,} evaluations, {outcome.seconds:.2f} s"
        how += f", {outcome.status}" if outcome.status else ""
    return f"{outcome.run.name}: {how}{' (read back)' if progress.resumed else ''}"


def comparison_record(
    comparison: Comparison, tables: Tables, storage: str, results: Results
) -> Record:
    """Describe a comparison; None stands for infinite, unknown or not reached."""
    from toolkit.study.compare.statistics import significance
    from toolkit.study.storage.opening import storage_name
    from toolkit.study.storage.runs import problem_name

    test = significance(comparison)
    return {
        "budget": {
            "evaluations": comparison.budget.evaluations,
            "seconds": comparison.budget.seconds,
        },
        "seeds": list(comparison.seeds),
        "strategies": list(comparison.strategies),
        "problems": [problem_name(problem) for problem in comparison.problems],
        "objective_unit": comparison.problems[0].objective.unit,
        "summary": _records(tables["summary"]),
        "ranks": _records(tables["ranks"]),
        "significance": {
            "problems": test.problems,
            "friedman_statistic": _plain(test.friedman_statistic),
            "iman_davenport_statistic": _plain(test.iman_davenport_statistic),
            "iman_davenport_p": _plain(test.iman_davenport_p),
            "pairs": _records(test.pairs),
            "note": test.note,
        },
        "runs": _records(tables["runs"]),
        "storage": storage_name(storage),
        **results.record(),
    }


def comparison_report(
    comparison: Comparison, tables: Tables, storage: str, results: Results
) -> Report:
    """Lay out a comparison: a table per problem, ranks, where everything is."""
    from toolkit.study.compare.readable import describe_columns, describe_limits, readable_summary
    from toolkit.study.compare.statistics import significance
    from toolkit.study.compare.tables import references
    from toolkit.study.pictures.curves import describe_reference
    from toolkit.study.storage.opening import storage_name
    from toolkit.study.storage.runs import problem_name

    best = references(comparison)
    report: Report = []
    for problem in comparison.problems:
        name = problem_name(problem)
        rows = tables["summary"][tables["summary"]["problem"] == name]
        title = f"{name}; {describe_reference(best[name], problem)}"
        report += [title, _table(readable_summary(rows, problem.objective)), ""]
    report += [describe_limits(comparison), *describe_columns(comparison), ""]
    report += _failures(comparison)
    report += _ranks(tables["ranks"], significance(comparison))
    place = storage_name(storage)
    report.append(f"Recorded in {place}; to look at it: toolkit dashboard {place}")
    return [*report, *results.lines()]


def _failures(comparison: Comparison) -> list[str]:
    from toolkit.study.compare.readable import describe_failures

    reasons = describe_failures(comparison)
    return ["Nothing found", *(f"  {reason}" for reason in reasons), ""] if reasons else []


def _ranks(ranks: pd.DataFrame, test: Significance) -> Report:
    """Lay out the ranks over several problems, and what they are worth."""
    from toolkit.study.compare.readable import readable_pairs, readable_ranks
    from toolkit.study.compare.statistics import LEVEL, describe_test

    if test.problems < 2:
        return []
    return [
        f"Ranks over {test.problems} problems, of the medians over seeds",
        _table(readable_ranks(ranks)),
        "",
        f"Pairs: on how many problems; Wilcoxon's test, significant below {LEVEL:g}",
        _table(readable_pairs(test.pairs)),
        "",
        describe_test(test),
        "",
    ]


def _table(cells: pd.DataFrame) -> RenderableType:
    table = empty_table()
    for column in cells.columns:
        left = column in ("strategy", "other")
        table.add_column(column, justify="left" if left else "right", overflow="fold")
    for row in cells.itertuples(index=False):
        table.add_row(*row)
    return table


def _records(table: pd.DataFrame) -> list[Record]:
    return [
        {str(key): _plain(value) for key, value in row.items()} for row in table.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
