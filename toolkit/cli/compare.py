"""The command `toolkit compare`: strategies side by side on one budget."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.options import Arch, AsJson, BiasRead, ConventionsName, ObjectiveName, Pad

if TYPE_CHECKING:
    from toolkit.search import Problem
    from toolkit.study.compare.comparison import Progress

EVALUATIONS, SECONDS = 20_000, 5.0
"""Limits of a run if none is given."""

STRATEGIES = 5
"""Strategies that are compared if none is named."""

STORAGE = "comparison.journal"
"""Where runs are recorded if nothing is said; inside of the folder for results if there is one."""

# One of each kind first, for those who name none.
_PREFERRED = ("greedy", "anneal", "scipy", "tpe", "random", "nsga2", "gradient")

Workloads = Annotated[
    list[str],
    typer.Argument(
        metavar="WORKLOAD...",
        help="One or more names, specifications such as gemm:M=128,K=768,N=512, or YAML files; "
        "or three integers M K N for one GEMM.",
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
    arch: Arch,
    workloads: Workloads,
    strategies: Strategies = None,
    objective: ObjectiveName = "edp",
    conventions: ConventionsName = "exact",
    evaluations: Evaluations = None,
    seconds: Seconds = None,
    seeds: Seeds = 3,
    jobs: Jobs = 1,
    storage: StorageName = None,
    out: Folder = None,
    pad: Pad = [],  # noqa: B006 - typer copies it
    bias_read: BiasRead = False,
    json: AsJson = False,
) -> None:
    """Run what the storage lacks, tabulate, print."""
    from toolkit.cli.compare_output import comparison_record, comparison_report
    from toolkit.cli.input import read_problem
    from toolkit.cli.output import NOTHING_FOUND, print_json, print_report
    from toolkit.search import Budget
    from toolkit.study.compare.comparison import compare
    from toolkit.study.pictures.report import comparison_tables, write_results
    from toolkit.study.storage.files import Results, make_folder

    problems = [
        read_problem(arch, words, objective, conventions, pad, bias_read)
        for words in split_workloads(workloads)
    ]
    names = strategies.split(",") if strategies is not None else default_strategies(problems[0])
    if evaluations is None and seconds is None:
        evaluations, seconds = EVALUATIONS, SECONDS
    budget = Budget(evaluations, seconds)
    if out is not None:
        make_folder(out)
    place = storage if storage is not None else os.path.join(out or "", STORAGE)
    with _watched(place) as on_run:
        comparison = compare(
            problems, names, budget, seeds, storage=place, jobs=jobs, on_run=on_run
        )
    tables = comparison_tables(comparison)
    results = Results()
    if out is not None:
        with _steps() as on_step:
            results = write_results(comparison, out, tables=tables, on_step=on_step)
    if json:
        print_json(comparison_record(comparison, tables, place, results))
    else:
        print_report(comparison_report(comparison, tables, place, results))
    if all(outcome.error for outcome in comparison.outcomes):
        raise typer.Exit(NOTHING_FOUND)


def split_workloads(words: Sequence[str]) -> list[list[str]]:
    """Take words as one workload each, or three integers as the sizes of one GEMM.

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
def _watched(storage: str) -> Iterator[Callable[[Progress], None]]:
    """Show progress on standard error: a bar on a terminal, else a line per run.

    An interruption is followed by how to go on.
    """
    from toolkit.study.storage.opening import storage_name

    done = total = 0

    def count(progress: Progress) -> None:
        nonlocal done, total
        done, total = progress.done, progress.total

    try:
        with _bar() if sys.stderr.isatty() else _lines() as show:

            def on_run(progress: Progress) -> None:
                count(progress)
                show(progress)

            yield on_run
    except KeyboardInterrupt:
        if total:
            kept = storage_name(storage)
            print(
                f"toolkit: {done} of {total} runs are kept in {kept}; the same command goes on",
                file=sys.stderr,
            )
        raise


@contextmanager
def _steps() -> Iterator[Callable[[str], None]]:
    """Show on a terminal what is being written."""
    if not sys.stderr.isatty():
        yield lambda words: None
        return
    from rich.console import Console

    with Console(stderr=True, markup=False).status("writing tables") as status:
        yield lambda words: status.update(words)


@contextmanager
def _lines() -> Iterator[Callable[[Progress], None]]:
    def show(progress: Progress) -> None:
        print(f"{progress.done}/{progress.total} {_ended(progress)}", file=sys.stderr, flush=True)

    yield show


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    from toolkit.cli.progress import compiled_before

    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    if not compiled_before():
        console.print(
            "First run on this machine: the cost model is compiled once, "
            "which takes up to a minute."
        )
    # Where it is narrow, what is said of a run is cut rather than numbers.
    columns = (
        BarColumn(20, table_column=Column(min_width=20)),
        MofNCompleteColumn(table_column=Column(min_width=7)),
        TimeElapsedColumn(table_column=Column(min_width=7)),
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
    )
    with Bar(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.done,
                total=progress.total,
                description=_ended(progress),
            )

        yield show


def _ended(progress: Progress) -> str:
    """Say which run ended, and how."""
    from toolkit.study.units import format_value

    outcome = progress.outcome
    if outcome.error:
        how = f"failed: {outcome.error}"
    else:
        value = format_value(outcome.objective, outcome.run.problem.objective)
        how = f"{value}, {outcome.evaluations or 0:,} evaluations, {outcome.seconds:.2f} s"
    return f"{outcome.run.name}: {how}{' (read back)' if progress.resumed else ''}"
