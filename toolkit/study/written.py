"""Files that a command wrote, and what it could not write for want of a package."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from toolkit.extras import missing


@dataclass(frozen=True, slots=True)
class Results:
    """Files that were written, and what could not be, in words."""

    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Say where the files are, and what there would be with other packages."""
        if not self.files:
            return list(self.notes)
        names = ", ".join(path.name for path in self.files)
        return [f"Written to {self.files[0].parent}: {names}", *self.notes]

    def record(self) -> dict[str, list[str]]:
        """The same as JSON-able data."""
        return {"files": [str(path) for path in self.files], "not_written": list(self.notes)}


def has_parquet() -> bool:
    """Whether pyarrow is installed, which writes Parquet."""
    return find_spec("pyarrow") is not None


def table_notes() -> list[str]:
    """Say what Parquet needs, where tables are written as CSV alone."""
    return [] if has_parquet() else [str(missing("Parquet", "pyarrow", "study"))]


def with_pictures(tables: Iterable[Path], draw: Callable[[], Iterable[Path]]) -> Results:
    """Add pictures to tables where Matplotlib and plotly are installed, or a note where not.

    Parameters
    ----------
    tables : iterable of Path
        Files that are written already.
    draw : callable
        Writes the pictures.
    """
    notes = table_notes()
    lacking = [name for name in ("Matplotlib", "plotly") if find_spec(name.lower()) is None]
    if lacking:
        notes += [str(missing("a picture", name, "study")) for name in lacking]
        return Results(tuple(tables), tuple(notes))
    return Results((*tables, *draw()), tuple(notes))
