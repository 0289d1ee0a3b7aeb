"""CSV files of published data, row by row; the first thing that is wrong ends the reading."""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from toolkit.errors import InputError
from toolkit.records import suggest
from toolkit.yaml_files import describe

_MAX_INTEGER = 2**31


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row: where it stands, for messages, and its cells by column."""

    place: str
    line: int
    cells: Mapping[str, str]

    def integer(self, column: str) -> int:
        """Read a positive integer, at most 2^31.

        Raises
        ------
        InputError
            If it is none.
        """
        text = self.cells[column]
        if not re.fullmatch(r"[0-9]{1,10}", text) or not 1 <= int(text) <= _MAX_INTEGER:
            raise self.error(f"expected an integer from 1 to 2^31, got {describe(text)}", column)
        return int(text)

    def positive(self, column: str) -> float:
        """Read a finite number above zero.

        Raises
        ------
        InputError
            If it is none.
        """
        text = self.cells[column]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > 0):
            raise self.error(f"expected a number above zero, got {describe(text)}", column)
        return value

    def error(self, message: str, column: str) -> InputError:
        """Build the exception for a mistake in `column`."""
        return InputError(message, source=self.place, key=column)


def read_rows(path: str | os.PathLike[str], columns: Sequence[str]) -> Iterator[CsvRow]:
    """Read the rows of a CSV file whose first line names the columns.

    Parameters
    ----------
    path : path-like
        UTF-8; compressed with gzip if it is named .gz.
    columns : sequence of str
        Those that there must be.

    Raises
    ------
    InputError
        Naming file and line, if the file cannot be read, lacks a column, or a row has more or
        fewer cells than there are columns.
    """
    source = os.fspath(path)
    try:
        with _open(source) as file:
            yield from _rows(file, source, columns)
    except OSError as cause:
        reason = cause.strerror or str(cause)
        raise InputError(f"cannot be read: {reason}", source=source) from None
    except (EOFError, zlib.error, UnicodeDecodeError, ValueError) as cause:
        raise InputError(f"cannot be read: {cause}", source=source) from None


def _open(source: str) -> IO[str]:
    if not source.endswith(".gz"):
        return open(source, encoding="utf-8-sig", newline="")
    return io.TextIOWrapper(gzip.open(source, "rb"), encoding="utf-8-sig", newline="")


def _rows(file: IO[str], source: str, columns: Sequence[str]) -> Iterator[CsvRow]:
    reader = csv.reader(file, strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            place = f"{source}: line {reader.line_num}"
            if not names:
                names = _names(cells, place, columns)
                continue
            if len(cells) != len(names):
                raise InputError(
                    f"expected {len(names)} cells, one per column, got {len(cells)}", source=place
                )
            yield CsvRow(place, reader.line_num, dict(zip(names, cells, strict=True)))
    except csv.Error as cause:
        raise InputError(str(cause), source=f"{source}: line {reader.line_num}") from None


def _names(names: list[str], place: str, columns: Sequence[str]) -> list[str]:
    for column in columns:
        if column not in names:
            raise InputError(
                f"this column is missing{suggest(column, names)}", source=place, key=column
            )
    for column in names:
        if names.count(column) > 1:
            raise InputError("this column is given twice", source=place, key=column)
    return names
