"""What long commands tell while they run: people on standard error, scripts on standard output."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import toolkit
from toolkit.cli.output import Record, print_json, print_json_line
from toolkit.compilation import clock
from toolkit.errors import InputError
from toolkit.study.units import format_value

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

LOG_SECONDS = 30.0
"""Between two lines that say how far a long search is, where no terminal shows it."""
LEAST_LEFT = 1.0
"""Seconds left that are worth saying."""


class Pace:
    """How long what is left takes, if it goes on as it did."""

    def __init__(self) -> None:
        self._began, self._searched = time.monotonic(), 0

    def left(self, done: int, total: int, *, read_back: bool = False) -> float | None:
        """Seconds, once one more is done; those read back say nothing of others."""
        self._searched += not read_back
        if not self._searched:
            return None
        return (total - done) * (time.monotonic() - self._began) / self._searched


class Show(Protocol):
    """Shows that one more search has ended."""

    def __call__(
        self, done: int, total: int, text: str, *, read_back: bool = False, silent: bool = False
    ) -> None:
        """Show how many of all are done, and which was last.

        Those read back say nothing of the time that others take; silent ones have no line.
        """


Display = Callable[[int, int, str, str, bool], None]
"""Shows how many of all are done, which was last, what time is left; or not if it is silent."""


@dataclass(frozen=True)
class Reporter:
    """Whom a command tells of its progress, and how it prints its result.

    Parameters
    ----------
    quiet : bool
        Whether standard error stays without progress.
    json : bool
        Whether the result is printed as JSON.
    lines : bool
        Whether all events are, too, each on a line of its own.
    """

    quiet: bool = False
    json: bool = False
    lines: bool = False

    @classmethod
    def of(cls, quiet: bool, json: bool, json_lines: bool) -> Reporter:
        """Take what the options say.

        Raises
        ------
        InputError
            If both forms of JSON are asked for.
        """
        if json and json_lines:
            raise InputError("given with --json; expected one of them", source="--json-lines")
        return cls(quiet, json or json_lines, json_lines)

    def event(self, kind: str, facts: Record) -> None:
        """Print what has happened, if scripts listen; numbers that JSON lacks are null."""
        if self.lines:
            plain = {
                key: None if isinstance(value, float) and not math.isfinite(value) else value
                for key, value in facts.items()
            }
            print_json_line({"event": kind, **plain})

    def say(self, line: str) -> None:
        """Write a line on standard error, unless it is to be quiet."""
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)

    def print_json(self, record: Record) -> None:
        """Print the result as the one JSON object, or as the last of many."""
        if self.lines:
            print_json_line({"event": "result", **record})
        else:
            print_json(record)

    @contextmanager
    def live(self, text: Callable[[], str]) -> Iterator[None]:
        """Show on standard error what is under way while the block runs.

        On a terminal always, else by a line now and then.

        Parameters
        ----------
        text : callable
            Says it, whenever it is asked, from another thread.
        """
        if self.quiet:
            yield
        elif sys.stderr.isatty():
            with _console().status(_Now(text)):
                yield
        else:
            with self._now_and_then(text):
                yield

    @contextmanager
    def _now_and_then(self, text: Callable[[], str]) -> Iterator[None]:
        ended = threading.Event()

        def tell() -> None:
            while not ended.wait(LOG_SECONDS):
                self.say(text())

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    @contextmanager
    def counted(self, kept: str | None) -> Iterator[Show]:
        """Show how many of all searches are done: by a bar on a terminal, else by their lines.

        Parameters
        ----------
        kept : str or None
            What is kept of searches that are done, and where: said after how many these are when
            the block is interrupted. None if nothing is.

        Yields
        ------
        Show
            What is called whenever a search has ended.
        """
        ended: tuple[int, int] | None = None
        pace = Pace()
        try:
            with self._display() as show:

                def count(
                    done: int,
                    total: int,
                    text: str,
                    *,
                    read_back: bool = False,
                    silent: bool = False,
                ) -> None:
                    nonlocal ended
                    ended = done, total
                    left = pace.left(done, total, read_back=read_back)
                    show(done, total, text, describe_left(left), silent)

                yield count
        except KeyboardInterrupt:
            if ended is not None and kept is not None:
                how = f"{ended[0]} of {ended[1]} {kept}; the same command goes on"
                self.say(f"toolkit: {how}")
            raise

    @contextmanager
    def _display(self) -> Iterator[Display]:
        if not self.quiet and sys.stderr.isatty():
            with _bar() as show:
                yield show
            return

        def line(done: int, total: int, text: str, left: str, silent: bool) -> None:
            if not silent:
                self.say(f"{done}/{total} {', '.join(filter(None, (text, left)))}")

        yield line


@contextmanager
def watched(
    reporter: Reporter, problem: toolkit.Problem, strategy: str, budget: toolkit.Budget
) -> Iterator[Callable[[toolkit.TracePoint], None]]:
    """Tell of a search while the block runs: its best so far, and the time that is left.

    Yields
    ------
    callable
        What a search calls with every new best.
    """
    began, last = clock(), list[toolkit.TracePoint]()

    def improved(point: toolkit.TracePoint) -> None:
        last[:] = [point]
        reporter.event("improvement", point_record(point))

    def text() -> str:
        seconds = clock() - began
        best = describe_point(last[0], problem.objective) if last else "searching"
        left = describe_left(_left(budget, seconds, last[0] if last else None))
        parts = [f"{strategy}: {best}", left or f"{seconds:.0f} s so far"]
        return ", ".join(parts)

    with reporter.live(text):
        yield improved


def _left(budget: toolkit.Budget, seconds: float, last: toolkit.TracePoint | None) -> float | None:
    """Seconds until a budget is spent, as far as its limits tell."""
    limits = [] if budget.seconds is None else [budget.seconds - seconds]
    if budget.evaluations is not None and last is not None and last.evaluations:
        # As fast as until the last improvement.
        whole = budget.evaluations * last.seconds / last.evaluations
        limits.append(whole - seconds)
    return max(min(limits), 0.0) if limits else None


def point_record(point: toolkit.TracePoint) -> Record:
    """One improvement as events and results have it."""
    return {
        "evaluations": point.evaluations,
        "seconds_since_start": point.seconds,
        "objective_value": point.objective,
    }


def describe_point(point: toolkit.TracePoint, objective: toolkit.Objective) -> str:
    """Write one improvement as a line.

    Examples
    --------
    >>> describe_point(toolkit.TracePoint(1200, 0.5, 3e12), toolkit.OBJECTIVES["edp"])
    'edp 3 J·cycle after 1,200 evaluations, 0.5 s'
    """
    value = format_value(point.objective, objective)
    return f"{value} after {point.evaluations:,} evaluations, {point.seconds:.1f} s"


def describe_left(seconds: float | None) -> str:
    """Write how long something still takes; nothing if that is unknown or no time.

    Examples
    --------
    >>> [describe_left(seconds) for seconds in (None, 0.3, 42.4, 200, 9000)]
    ['', '', 'about 42 s left', 'about 3 min left', 'about 2.5 h left']
    """
    if seconds is None or not LEAST_LEFT <= seconds < math.inf:
        return ""
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} min left"
    return f"about {seconds / 3600:.1f} h left"


class _Now:
    """A text that is made whenever a terminal shows it."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text

    def __rich__(self) -> Text:
        from rich.text import Text

        return Text(self._text())


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False, highlight=False)


@contextmanager
def _bar() -> Iterator[Display]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed
    from rich.table import Column

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
    with Progress(*columns, console=_console(), transient=True, expand=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(done: int, total: int, text: str, left: str, silent: bool) -> None:
            said = ", ".join(filter(None, (left, text)))
            bar.update(task, completed=done, total=total, description=said)

        yield show
