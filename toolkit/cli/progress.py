"""What a long search shows on a terminal while it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import toolkit
from toolkit.model.compiled import cost_batch

REFRESH_SECONDS = 0.1


@contextmanager
def watched(
    problem: toolkit.Problem, strategy: str
) -> Iterator[Callable[[toolkit.TracePoint], None] | None]:
    """Show progress on standard error while the block runs, if that is a terminal.

    Yields
    ------
    callable or None
        What a search calls with every new best.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    if not compiled_before():
        console.print(
            "First run on this machine: the cost model is compiled once, "
            "which takes up to a minute."
        )
    with console.status(f"{strategy}: searching") as status:
        shown = -REFRESH_SECONDS

        def show(point: toolkit.TracePoint) -> None:
            nonlocal shown
            if point.seconds - shown >= REFRESH_SECONDS:
                shown = point.seconds
                status.update(f"{strategy}: {describe_point(point, problem.objective)}")

        yield show


def describe_point(point: toolkit.TracePoint, objective: toolkit.Objective) -> str:
    """Write one improvement as a line.

    Examples
    --------
    >>> describe_point(toolkit.TracePoint(1200, 0.5, 3e12), toolkit.OBJECTIVES["edp"])
    'edp 3 J·cycle after 1,200 evaluations, 0.5 s'
    """
    in_joules = objective.unit == "pJ*cycles"
    unit, scale = ("J·cycle", 1e-12) if in_joules else (objective.unit, 1.0)
    value = f"{objective} {point.objective * scale:.6g} {unit}"
    return f"{value} after {point.evaluations:,} evaluations, {point.seconds:.1f} s"


def compiled_before() -> bool:
    """Whether the compiled cost model of this installation lies on the disk."""
    statistics = cast(Any, cost_batch).stats
    return any(Path(statistics.cache_path).glob("*.nbc"))
