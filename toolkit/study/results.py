"""A comparison as files: tables, plots, and a report with both."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import MissingPackageError
from toolkit.study.curves import problem_plots
from toolkit.study.drawings import write_drawings
from toolkit.study.report import write_report
from toolkit.study.runs import Comparison, problem_name
from toolkit.study.statistics import rank_table, significance
from toolkit.study.tables import (
    front_table,
    make_folder,
    run_table,
    summary_table,
    trace_table,
    write_tables,
)
from toolkit.study.written import Results, table_notes

if TYPE_CHECKING:
    import pandas as pd

Tables = dict[str, "pd.DataFrame"]

REPORT = "report.html"
"""The report, in the folder of results."""


def comparison_tables(comparison: Comparison) -> Tables:
    """Make all tables of a comparison, by the names of their files."""
    tables = {
        "runs": run_table(comparison),
        "summary": summary_table(comparison),
        "ranks": rank_table(comparison),
        "pairs": significance(comparison).pairs,
        "traces": trace_table(comparison),
    }
    if any(outcome.front for outcome in comparison.outcomes):
        tables["fronts"] = front_table(comparison)
    return tables


def write_results(
    comparison: Comparison,
    folder: str | os.PathLike[str],
    *,
    tables: Tables | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Results:
    """Write tables as CSV and Parquet, a report as HTML, and plots as PNG and SVG.

    What needs a package that is not installed is left out and noted.

    Parameters
    ----------
    comparison : Comparison
        What to write.
    folder : path-like
        Created if there is none.
    tables : dict, optional
        From `comparison_tables`, if they are made already.
    on_step : callable, optional
        Called with a few words before anything that takes a while.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    target, notes = make_folder(folder), table_notes()
    files = [*write_tables(comparison_tables(comparison) if tables is None else tables, target)]
    plots = problem_plots(comparison)
    names = [problem_name(problem) for problem in comparison.problems]
    steps: list[tuple[str, Callable[[], Sequence[Path]]]] = [
        (f"writing {REPORT}", lambda: [write_report(target / REPORT, comparison, plots)]),
        ("drawing plots", lambda: write_drawings(plots, names, target)),
    ]
    for words, write in steps:
        if on_step is not None:
            on_step(words)
        try:
            files += write()
        except MissingPackageError as error:
            notes.append(str(error))
    return Results(tuple(files), tuple(notes))
