"""What the command line prints: one JSON object, or a report for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import toolkit
from toolkit.display import format_count
from toolkit.errors import InputError
from toolkit.workload.bits import bits_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

Record = dict[str, Any]
Report = list["RenderableType"]

NOTHING_FOUND = 1
"""Exit status of a command that has printed why none of its searches found anything."""

PLAIN_WIDTH = 200
"""Columns of a report that goes to a file or a pipe: wide enough for most tables not to fold."""


def print_json(record: Record) -> None:
    """Print one JSON object.

    Raises
    ------
    InputError
        If standard output cannot be written.
    """
    print_text(json.dumps(record, indent=2, allow_nan=False) + "\n")


def print_json_line(record: Record) -> None:
    """Print one JSON object on a line of its own.

    Raises
    ------
    InputError
        If standard output cannot be written.
    """
    print_text(json.dumps(record, allow_nan=False) + "\n")


def print_text(text: str) -> None:
    """Print text as it is.

    Raises
    ------
    InputError
        If standard output cannot be written.
    """
    _write(lambda: sys.stdout.write(text))


def print_report(report: Report) -> None:
    """Print a report as wide as the terminal; tables fold their cells where it is narrow.

    Raises
    ------
    InputError
        If standard output cannot be written.
    """
    from rich.console import Console

    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    _write(lambda: console.print(*report, sep="\n"))


def _write(write: Callable[[], object]) -> None:
    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as cause:
        raise InputError(
            f"cannot be written: {cause.strerror}", source="standard output"
        ) from None


def heading(problem: toolkit.Problem) -> str:
    """Say what runs on what."""
    workload = problem.workload
    facts = {d: f"{size:,}" for d, size in workload.sizes.items()}
    facts.update((key, str(bits)) for key, bits in (bits_of(workload) or {}).items())
    sizes = ", ".join(f"{key} = {value}" for key, value in facts.items())
    name = f"{workload.name} ({workload.kernel}: {sizes})"
    return f"{name} on {problem.arch.name}, {format_count(workload.macs)} MACs"


class Fact(str):
    """A line of a report that says something of a label, both of which pages need apart."""

    label: str
    text: str

    @classmethod
    def of(cls, label: str, text: str, width: int) -> Fact:
        """Write a label, as wide as the others are, and a text."""
        line = cls(f"  {label:<{width}}  {text}")
        line.label, line.text = label, text
        return line


def aligned(facts: Sequence[tuple[str, str]]) -> list[str]:
    """Write labels and texts in two columns, as lines that are `Fact`."""
    width = max(len(label) for label, _ in facts)
    return [Fact.of(label, text, width) for label, text in facts]


def empty_table(gap: int = 2) -> Table:
    """Make a table without lines but one below its heads, its columns so far apart."""
    from rich import box
    from rich.table import Table

    padding = (0, gap - 1, 0, 0)
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=padding)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, gap: int = 1
) -> RenderableType:
    """Lay out a table: names of levels and tensors to the left, numbers to the right."""
    laid = empty_table(gap)
    text_columns = ("level", "tensor")
    for column in columns:
        justify = "left" if column in text_columns else "right"
        laid.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        laid.add_row(*row)
    return laid
