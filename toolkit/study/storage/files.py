"""Results as files: tables, folders, and what could not be written for want of a package."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import InputError
from toolkit.extras import missing
from toolkit.text_files import write_bytes_atomically, write_text_atomically

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Results:
    """Files that were written, and what could not be, in words."""

    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def also(self, other: Results) -> Results:
        """Join with what was written elsewhere."""
        return Results((*self.files, *other.files), (*self.notes, *other.notes))

    def lines(self) -> list[str]:
        """Say where the files are, and what there would be with other packages."""
        folders: dict[Path, list[str]] = {}
        for path in self.files:
            folders.setdefault(path.parent, []).append(path.name)
        written = [f"Written to {place}: {', '.join(names)}" for place, names in folders.items()]
        return [*written, *self.notes]

    def asked(self) -> dict[str, list[str]]:
        """The same as JSON-able data, nothing where nothing was asked for."""
        return self.record() if self.files or self.notes else {}

    def record(self) -> dict[str, list[str]]:
        """The same as JSON-able data."""
        return {"files": [str(path) for path in self.files], "not_written": list(self.notes)}


def has_parquet() -> bool:
    """Whether pyarrow is installed, which writes Parquet."""
    return find_spec("pyarrow") is not None


def table_notes() -> list[str]:
    """Say what Parquet needs, where tables are written as CSV alone."""
    return [] if has_parquet() else [str(missing("Parquet", "pyarrow", "study"))]


def picture_notes() -> list[str]:
    """Say what pictures need, where it is not installed."""
    lacking = [name for name in ("Matplotlib", "plotly") if find_spec(name.lower()) is None]
    return [str(missing("a picture", name, "study")) for name in lacking]


def has_pictures() -> bool:
    """Whether what draws pictures is installed."""
    return not picture_notes()


def with_pictures(tables: Iterable[Path], draw: Callable[[], Iterable[Path]]) -> Results:
    """Add pictures to tables where Matplotlib and plotly are installed, or a note where not.

    Parameters
    ----------
    tables : iterable of Path
        Files that are written already.
    draw : callable
        Writes the pictures.
    """
    lacking = picture_notes()
    notes = (*table_notes(), *lacking)
    return Results((*tables, *(() if lacking else draw())), notes)


def write_tables(
    tables: dict[str, pd.DataFrame], folder: str | os.PathLike[str]
) -> tuple[Path, ...]:
    """Write tables as CSV and, where pyarrow is installed, as Parquet.

    Parameters
    ----------
    tables : dict
        By the name of the file.
    folder : path-like
        Created if there is none.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    target, written = make_folder(folder), []
    for name, table in tables.items():
        written.append(target / f"{name}.csv")
        write_text_atomically(written[-1], table.to_csv(index=False))
        if not has_parquet():
            continue
        written.append(target / f"{name}.parquet")
        write_bytes_atomically(written[-1], table.to_parquet(index=False))
    return tuple(written)


def make_folder(folder: str | os.PathLike[str]) -> Path:
    """Create a folder for results, unless it exists.

    Raises
    ------
    InputError
        If it cannot be created or written.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        writable = os.access(path, os.W_OK)
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise InputError(f"cannot be created: {reason}", source=str(path)) from None
    if not writable:
        raise InputError("may not be written", source=str(path))
    return path
