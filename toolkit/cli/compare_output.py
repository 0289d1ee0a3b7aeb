"""What `toolkit compare` prints: tables for people, or one JSON object."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from toolkit.cli.output import Record, Report
from toolkit.study.compare.readable import (
    describe_failures,
    describe_limits,
    describe_test,
    readable_pairs,
    readable_ranks,
    readable_summary,
)
from toolkit.study.compare.statistics import LEVEL, Significance, significance
from toolkit.study.compare.tables import references
from toolkit.study.pictures.curves import describe_reference
from toolkit.study.pictures.report import Tables
from toolkit.study.storage.files import Results
from toolkit.study.storage.opening import storage_name
from toolkit.study.storage.runs import Comparison, problem_name

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


def comparison_record(
    comparison: Comparison, tables: Tables, storage: str, results: Results
) -> Record:
    """Describe a comparison; None stands for infinite, unknown or not reached."""
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
            "friedman_p": _plain(test.friedman_p),
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
    best = references(comparison)
    report: Report = []
    for problem in comparison.problems:
        name = problem_name(problem)
        rows = tables["summary"][tables["summary"]["problem"] == name]
        title = f"{name}; {describe_reference(best[name], problem)}"
        report += [title, _table(readable_summary(rows, problem.objective)), ""]
    report += [describe_limits(comparison), "", *_failures(comparison)]
    report += _ranks(tables["ranks"], significance(comparison))
    place = storage_name(storage)
    report.append(f"Recorded in {place}; to look at it: toolkit dashboard {place}")
    return [*report, *results.lines()]


def _failures(comparison: Comparison) -> list[str]:
    reasons = describe_failures(comparison)
    return ["Nothing found", *(f"  {reason}" for reason in reasons), ""] if reasons else []


def _ranks(ranks: pd.DataFrame, test: Significance) -> Report:
    """Lay out the ranks over several problems, and what they are worth."""
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
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
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
