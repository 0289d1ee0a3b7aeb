"""A comparison as files: tables, plots, and one HTML page with both that needs nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import MissingPackageError
from toolkit.study.compare.readable import (
    describe_columns,
    describe_failures,
    describe_limits,
    readable_pairs,
    readable_ranks,
    readable_summary,
)
from toolkit.study.compare.statistics import LEVEL, describe_test, rank_table, significance
from toolkit.study.compare.tables import front_table, run_table, summary_table, trace_table
from toolkit.study.pictures.canvas import page_head, write_drawings
from toolkit.study.pictures.comparison import problem_drawings, problem_figure
from toolkit.study.pictures.curves import LEAST_GAP, ProblemPlot, problem_plots
from toolkit.study.storage.files import Results, make_folder, table_notes, write_tables
from toolkit.study.storage.runs import Comparison, problem_name
from toolkit.text_files import write_text_atomically
from toolkit.version import __version__

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
        ("drawing plots", lambda: write_drawings(problem_drawings(plots, names), target)),
    ]
    for words, write in steps:
        if on_step is not None:
            on_step(words)
        try:
            files += write()
        except MissingPackageError as error:
            notes.append(str(error))
    return Results(tuple(files), tuple(notes))


def write_report(
    path: str | os.PathLike[str],
    comparison: Comparison,
    plots: tuple[ProblemPlot, ...] | None = None,
) -> Path:
    """Write the report of a comparison; it opens in any browser and loads nothing.

    Parameters
    ----------
    path : path-like
        The file, about 5 MB: plotly itself is inside.
    comparison : Comparison
        What to report.
    plots : tuple of ProblemPlot, optional
        Those of the comparison, if they are worked out already.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    InputError
        If the file cannot be written.
    """
    shown = problem_plots(comparison) if plots is None else plots
    write_text_atomically(path, "\n".join(_page(comparison, shown)))
    return Path(path)


def _page(comparison: Comparison, plots: tuple[ProblemPlot, ...]) -> Iterator[str]:
    title = f"{len(comparison.strategies)} strategies on {_count(len(comparison.problems))}"
    yield page_head(title)
    for note in (describe_limits(comparison), *describe_columns(comparison)):
        yield f"<p>{escape(note)}.</p>"
    yield from _ranks(comparison)
    yield f"<p class='aside'>{escape(_explain(plots))}</p>"
    summary = summary_table(comparison)
    for i, (problem, plot) in enumerate(zip(comparison.problems, plots, strict=True)):
        rows = summary[summary["problem"] == problem_name(problem)]
        yield f"<h2>{escape(plot.title)}</h2>"
        # The first plot brings plotly along.
        yield problem_figure(plot).to_html(
            full_html=False,
            include_plotlyjs=i == 0,
            config={"responsive": True, "displaylogo": False},
        )
        yield _table(readable_summary(rows, problem.objective), names=1)
    yield from _end(comparison)


def _ranks(comparison: Comparison) -> Iterator[str]:
    test = significance(comparison)
    if test.problems < 2:
        return
    yield f"<h2>Ranks over {test.problems} problems, of the medians over seeds</h2>"
    yield _table(readable_ranks(rank_table(comparison)), names=1)
    yield "<h2>Pairs: on how many problems which is better</h2>"
    yield _table(readable_pairs(test.pairs), names=2)
    yield "<p class='aside'>Ratio: geometric mean of that of their values. p: Wilcoxon's "
    yield f"signed-rank test, after Holm's correction; significant below {LEVEL:g}. "
    yield f"{escape(describe_test(test))}</p>"


def _explain(plots: tuple[ProblemPlot, ...]) -> str:
    parts = [
        "Plots, left and middle: lines are medians over the seeds; bands reach from the best to "
        "the worst seed, once all have found a mapping."
    ]
    if any(plot.relative for plot in plots):
        parts.append(
            f"Values up to {LEAST_GAP:g} % above, or not above at all, are at {LEAST_GAP:g} %."
        )
    if any(plot.has_front for plot in plots):
        parts.append(
            "The value of a mapping is energy times latency. Right: the fronts of all seeds, and "
            "a line around what they dominate together. Hypervolume: the share of the box around "
            "all fronts of a problem that a front dominates, the median over the seeds."
        )
    else:
        parts.append("Right: the best mapping of each seed.")
    return " ".join(parts)


def _end(comparison: Comparison) -> Iterator[str]:
    failures = describe_failures(comparison)
    if failures:
        items = "".join(f"<li>{escape(text)}</li>" for text in failures)
        yield f"<h2>Nothing found</h2>\n<ul>{items}</ul>"
    yield f"<p class='aside'>toolkit {escape(__version__)}</p>\n</body>\n</html>\n"


def _table(table: pd.DataFrame, names: int) -> str:
    """Write a table whose first columns, so many, are names."""
    text = table.to_html(index=False, border=0, classes=f"names{names}")
    return f"<div class='scroll'>{text}</div>"


def _count(problems: int) -> str:
    return f"{problems} problem" if problems == 1 else f"{problems} problems"
