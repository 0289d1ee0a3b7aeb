"""A comparison as one HTML page that needs nothing else: plots and tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.study.curves import LEAST_GAP, ProblemPlot, problem_plots
from toolkit.study.figures import problem_figure
from toolkit.study.readable import (
    describe_failures,
    describe_limits,
    describe_test,
    readable_pairs,
    readable_ranks,
    readable_summary,
)
from toolkit.study.runs import Comparison, problem_name
from toolkit.study.statistics import LEVEL, rank_table, significance
from toolkit.study.tables import summary_table
from toolkit.version import __version__
from toolkit.yaml_files import write_text_atomically

if TYPE_CHECKING:
    import pandas as pd

STYLE = """
body { font-family: system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 90rem;
       padding: 0 1rem; line-height: 1.45; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
th, td { padding: .2rem .7rem; text-align: right; }
td { white-space: nowrap; } th { vertical-align: bottom; }
th { border-bottom: 1px solid #888; white-space: pre-line; font-weight: 600; }
tr:nth-child(even) td { background: #f5f5f5; }
.names1 td:first-child, .names1 th:first-child, .names2 td:nth-child(-n+2),
.names2 th:nth-child(-n+2) { text-align: left; }
.scroll { overflow-x: auto; } .aside { color: #555; font-size: .85rem; }
"""


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
    yield f"<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n<title>{title}"
    yield f"</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>"
    yield f"<p>{escape(describe_limits(comparison))}.</p>"
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
        parts.append(f"Gaps of up to {LEAST_GAP:g} %, and none at all, are at {LEAST_GAP:g} %.")
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
