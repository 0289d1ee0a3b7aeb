"""What long searches show on standard error while they run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import toolkit
from toolkit.study.units import format_value

REFRESH_SECONDS = 0.1
"""Between two changes of what a terminal shows: more are not seen, and cost the search time."""


class Show(Protocol):
    """Shows that one more search has ended."""

    def __call__(self, done: int, total: int, text: str, *, read_back: bool = False) -> None:
        """Show how many of all are done, and which was last; those read back have no line."""


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
    with console.status(f"{strategy}: searching") as status:
        shown = -REFRESH_SECONDS

        def show(point: toolkit.TracePoint) -> None:
            nonlocal shown
            if point.seconds - shown >= REFRESH_SECONDS:
                shown = point.seconds
                status.update(f"{strategy}: {describe_point(point, problem.objective)}")

        yield show


@contextmanager
def counted(kept: str | None) -> Iterator[Show]:
    """Show how many of all searches are done: by a bar on a terminal, else by a line per search.

    Parameters
    ----------
    kept : str or None
        What is kept of searches that are done, and where: said after how many these are when the
        block is interrupted. None if nothing is.

    Yields
    ------
    Show
        What is called whenever a search has ended.
    """
    ended: tuple[int, int] | None = None
    try:
        with _bar() if sys.stderr.isatty() else _lines() as show:

            def count(done: int, total: int, text: str, *, read_back: bool = False) -> None:
                nonlocal ended
                ended = done, total
                show(done, total, text, read_back=read_back)

            yield count
    except KeyboardInterrupt:
        if ended is not None and kept is not None:
            how = f"{ended[0]} of {ended[1]} {kept}; the same command goes on"
            print(f"toolkit: {how}", file=sys.stderr)
        raise


@contextmanager
def _lines() -> Iterator[Show]:
    def show(done: int, total: int, text: str, *, read_back: bool = False) -> None:
        if not read_back:
            print(f"{done}/{total} {text}", file=sys.stderr, flush=True)

    yield show


@contextmanager
def _bar() -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.table import Column

    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    # Where it is narrow, what is said of a search is cut rather than numbers.
    columns = (
        BarColumn(20, table_column=Column(min_width=20)),
        MofNCompleteColumn(table_column=Column(min_width=7)),
        Elapsed(table_column=Column(min_width=7)),
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(done: int, total: int, text: str, *, read_back: bool = False) -> None:
            bar.update(task, completed=done, total=total, description=text)

        yield show


def describe_point(point: toolkit.TracePoint, objective: toolkit.Objective) -> str:
    """Write one improvement as a line.

    Examples
    --------
    >>> describe_point(toolkit.TracePoint(1200, 0.5, 3e12), toolkit.OBJECTIVES["edp"])
    'edp 3 J·cycle after 1,200 evaluations, 0.5 s'
    """
    value = format_value(point.objective, objective)
    return f"{value} after {point.evaluations:,} evaluations, {point.seconds:.1f} s"
