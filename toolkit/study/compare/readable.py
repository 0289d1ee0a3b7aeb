"""Tables of a comparison as people read them, and the sentences that explain them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from toolkit.search.objective import Objective
from toolkit.search.registry import STRATEGIES
from toolkit.search.status import COSTED_IN_FULL, STOPPED, describe_status
from toolkit.study.storage.runs import Comparison, problem_name
from toolkit.study.units import scaled

if TYPE_CHECKING:
    import pandas as pd

MARK = " *"
"""After names of strategies whose evaluations are not all mappings costed."""

COSTED_RELAXED = "real-valued tilings count as well as mappings costed"
"""What evaluations of strategies are that descend relaxed mappings."""

_SPREAD = ("best", "median", "worst")


def readable_summary(rows: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Write what `toolkit.study.compare.tables.summary_table` says of one problem.

    Headings are broken into lines.
    """
    import pandas as pd

    unit = scaled(1.0, objective)[1]
    has_front = bool(rows["hypervolume"].notna().any())
    cells = [
        {
            "strategy": f"{row['strategy']}{MARK if uncosted(str(row['strategy'])) else ''}",
            **{
                f"{which}\n{unit}".rstrip(): _number(scaled(row[which], objective)[0], 5)
                for which in _SPREAD
            },
            "median %\nabove best": _gap(row),
            "within 1 %\nruns": f"{row['reached_1_percent']} of {row['runs']}",
            "within 1 %\nevaluations": _count(row["evaluations_to_1_percent"]),
            "within 1 %\nseconds": _seconds(row["seconds_to_1_percent"]),
            "within 5 %\nevaluations": _count(row["evaluations_to_5_percent"]),
            "within 5 %\nseconds": _seconds(row["seconds_to_5_percent"]),
            "evaluations": _count(row["evaluations"]),
            "seconds": _number(row["seconds"], 3),
            "best\npossible": describe_status(
                row["within_fraction"], stopped=row["stopped"], short=True
            ),
            **({"hyper-\nvolume": _number(row["hypervolume"], 4)} if has_front else {}),
        }
        for row in rows.to_dict("records")
    ]
    return pd.DataFrame(cells)


def readable_ranks(ranks: pd.DataFrame) -> pd.DataFrame:
    """Write `toolkit.study.compare.statistics.rank_table`."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "strategy": str(row["strategy"]),
                "mean rank": f"{row['mean_rank']:.2f}",
                "first or\nas good": f"{row['first']} of {row['problems']}",
                "mean of median\n% above best": _number(100 * row["gap"], 3)
                if row["gap"] > 0 or row["proved"]
                else "best here",
                "failed\nruns": str(row["failed_runs"]),
            }
            for row in ranks.to_dict("records")
        ]
    )


def readable_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Write the pairs of `toolkit.study.compare.statistics.significance`."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "strategy": str(row["strategy"]),
                "other": str(row["other"]),
                "better / equal\n/ worse": f"{row['better']} / {row['equal']} / {row['worse']}",
                "ratio": _number(row["ratio"], 4),
                "p (Holm)": _number(row["p_holm"], 3),
                "significant": "yes" if row["significant"] else "no",
            }
            for row in pairs.to_dict("records")
        ]
    )


def describe_limits(comparison: Comparison) -> str:
    """Say what the summaries of problems are over, and what each run was given."""
    budget, seeds = comparison.budget, len(comparison.seeds)
    limits = [
        *([f"{budget.evaluations:,} evaluations"] if budget.evaluations is not None else []),
        *([f"{budget.seconds:g} s"] if budget.seconds is not None else []),
    ]
    return (
        f"Best, median and worst over {seeds} {'seed' if seeds == 1 else 'seeds'} of at most "
        f"{' and '.join(limits)} each; evaluations and seconds are medians"
    )


def describe_columns(comparison: Comparison) -> list[str]:
    """Say what columns of the summaries of problems mean that could be taken for others."""
    notes = [
        "Above best, within 1 % and 5 %: of the lowest value that any run found, of which the "
        "title says whether it is proved",
        "Within 1 % and 5 %: expected running time, which is what all runs spent until they were "
        "there, or to no avail, over those that came there",
        "Best possible: what a strategy itself proves of all its runs; "
        f"{STOPPED}: a limit ended one, and no bound is known",
    ]
    for reason in (COSTED_IN_FULL, COSTED_RELAXED):
        names = [name for name in comparison.strategies if uncosted(name) == reason]
        if names:
            notes.append(
                f"{MARK.strip()} Evaluations of {' and '.join(names)}: {reason}, so that "
                "these counts do not compare with others"
            )
    return notes


def uncosted(strategy: str) -> str:
    """Say what evaluations of a strategy are, if not all mappings that it costed; else nothing."""
    entry = STRATEGIES.get(strategy)
    if entry is None:
        return ""
    return COSTED_IN_FULL if entry.bounds else COSTED_RELAXED if entry.relaxes else ""


def _gap(row: dict[Any, Any]) -> str:
    """A gap; of what is the reference itself, what is known of that."""
    found = row["gap_median"]
    if not math.isnan(found):
        return _number(100 * found, 3)
    within = row["reference_within"]
    return "best here" if math.isnan(within) else f"0 to {100 * within:.3g}"


def describe_failures(comparison: Comparison) -> list[str]:
    """Say of each strategy that failed on a problem why, once."""
    reasons = {
        f"{problem_name(o.run.problem)}: {o.run.strategy}: {o.error}": None
        for o in comparison.outcomes
        if o.error
    }
    return list(reasons)


def _number(value: Any, digits: int) -> str:
    if math.isnan(value):
        return "-"
    return "none" if math.isinf(value) else f"{value:.{digits}g}"


def _seconds(value: float) -> str:
    return _number(value, 3) if math.isfinite(value) else "-"


def _count(value: Any) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "-"
