"""What `toolkit compare` prints: tables for people, or one JSON object."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.cli.output import Record, Report
from toolkit.search import Objective
from toolkit.study.comparison import Comparison
from toolkit.study.runs import problem_name
from toolkit.study.statistics import LEVEL, Significance, rank_table, significance
from toolkit.study.storage import storage_name
from toolkit.study.tables import front_table, references, run_table, summary_table, trace_table

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

Tables = dict[str, "pd.DataFrame"]


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


def comparison_record(
    comparison: Comparison, tables: Tables, storage: str, files: Sequence[Path]
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
        "files": [str(path) for path in files],
    }


def comparison_report(
    comparison: Comparison, tables: Tables, storage: str, files: Sequence[Path]
) -> Report:
    """Lay out a comparison: a table per problem, ranks, where everything is."""
    best = references(comparison)
    report: Report = []
    for problem in comparison.problems:
        name = problem_name(problem)
        rows = tables["summary"][tables["summary"]["problem"] == name]
        found = best[name]
        what = "proved optimum" if found.proved else "best known"
        value = format_value(found.value, problem.objective)
        report += [f"{name}; {what} {value}", _summary(rows, problem.objective), ""]
    report += [_limits(comparison), ""]
    report += [*_failures(comparison)]
    report += _ranks(tables["ranks"], significance(comparison))
    report.append(f"Recorded in {storage_name(storage)}")
    if files:
        report.append(f"Tables in {files[0].parent}: {', '.join(path.name for path in files)}")
    return report


def format_value(value: float, objective: Objective) -> str:
    """Write a value of an objective with its unit.

    Examples
    --------
    >>> from toolkit.search import OBJECTIVES
    >>> format_value(3e12, OBJECTIVES["edp"]), format_value(80.0, OBJECTIVES["latency"])
    ('edp 3 J·cycle', 'latency 80 cycles')
    """
    number, unit = _scaled(value, objective)
    return f"{objective} {number:.6g} {unit}".rstrip()


def _scaled(value: float, objective: Objective) -> tuple[float, str]:
    if objective.unit == "pJ*cycles":
        return value * 1e-12, "J·cycle"
    return value, objective.unit


def _summary(rows: pd.DataFrame, objective: Objective) -> RenderableType:
    unit = _scaled(1.0, objective)[1]
    has_front = bool(rows["hypervolume"].notna().any())
    columns = [
        "strategy",
        *(f"{which}\n{unit}" for which in ("best", "median", "worst")),
        "gap of\nmedian %",
        "within 1 %\nruns",
        "within 1 %\nevaluations",
        "within 1 %\nseconds",
        "within 5 %\nevaluations",
        "evaluations",
        "seconds",
        *(["hyper-\nvolume"] if has_front else []),
    ]
    cells = [
        [
            str(row["strategy"]),
            *(_number(_scaled(row[which], objective)[0], 5) for which in _SPREAD),
            _number(100 * row["gap_median"], 3),
            f"{row['reached_1_percent']} of {row['runs']}",
            _count(row["evaluations_to_1_percent"]),
            _number(row["seconds_to_1_percent"], 3),
            _count(row["evaluations_to_5_percent"]),
            _count(row["evaluations"]),
            _number(row["seconds"], 3),
            *([_number(row["hypervolume"], 4)] if has_front else []),
        ]
        for row in rows.to_dict("records")
    ]
    return _table(columns, cells)


_SPREAD = ("best", "median", "worst")


def _limits(comparison: Comparison) -> str:
    budget = comparison.budget
    limits = [
        *([f"{budget.evaluations:,} evaluations"] if budget.evaluations is not None else []),
        *([f"{budget.seconds:g} s"] if budget.seconds is not None else []),
    ]
    return (
        f"Best, median and worst over {len(comparison.seeds)} seeds of at most "
        f"{' and '.join(limits)} each; evaluations and seconds are medians"
    )


def _failures(comparison: Comparison) -> list[str]:
    """Say of each strategy that failed on a problem why, once."""
    reasons = {
        f"  {problem_name(o.run.problem)}: {o.run.strategy}: {o.error}": None
        for o in comparison.outcomes
        if o.error
    }
    return ["Nothing found", *reasons, ""] if reasons else []


def _ranks(ranks: pd.DataFrame, test: Significance) -> Report:
    """Lay out the ranks over several problems, and what they are worth."""
    if test.problems < 2:
        return []
    cells = [
        [
            str(row["strategy"]),
            f"{row['mean_rank']:.2f}",
            f"{row['first']} of {row['problems']}",
            _number(100 * row["gap"], 3),
            str(row["failed_runs"]),
        ]
        for row in ranks.to_dict("records")
    ]
    columns = (
        "strategy",
        "mean rank",
        "first or\nas good",
        "mean gap\nof median %",
        "failed\nruns",
    )
    pairs = [
        [
            str(row["strategy"]),
            str(row["other"]),
            f"{row['better']} / {row['equal']} / {row['worse']}",
            _number(row["ratio"], 4),
            _number(row["p_holm"], 3),
            "yes" if row["significant"] else "no",
        ]
        for row in test.pairs.to_dict("records")
    ]
    heads = ("strategy", "other", "better / equal\n/ worse", "ratio", "p (Holm)", "significant")
    friedman = ""
    if not math.isnan(test.friedman_p):
        friedman = f"Friedman: p = {test.friedman_p:.3g} that all rank alike. "
    return [
        f"Ranks over {test.problems} problems, of the medians over seeds",
        _table(columns, cells),
        "",
        f"Pairs: on how many problems; Wilcoxon's test, significant below {LEVEL:g}",
        _table(heads, pairs),
        "",
        f"{friedman}{test.note}",
        "",
    ]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> RenderableType:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        left = column in ("strategy", "other")
        table.add_column(column, justify="left" if left else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _number(value: float, digits: int) -> str:
    if math.isnan(value):
        return "-"
    return "none" if math.isinf(value) else f"{value:.{digits}g}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "-"


def _records(table: pd.DataFrame) -> list[Record]:
    return [
        {str(key): _plain(value) for key, value in row.items()} for row in table.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
