"""Published results for Gemmini: CSV files with hardware, layer, mapping and what was measured.

The columns are those of DOSA's data (Hong et al., MICRO 2023): ``arch.*`` for the hardware,
``prob.*`` for the convolution, ``mapping.mapping`` on one line, ``target.*`` for the results.
Columns that are not used here are ignored; those that are used are checked.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from toolkit.arch import ArchitectureTemplate, load_template
from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Fanout
from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray, IntArray, to_arrays
from toolkit.mapping.peers.timeloop import is_compact, mapping_from_timeloop
from toolkit.messages import describe, relocated, suggest
from toolkit.workload.kernel import Workload
from toolkit.workload.ready_made import conv2d

_MAX_INTEGER = 2**31
_TEMPLATE = "gemmini-ws"
_MAPPING = "mapping.mapping"
_SIZES = ("prob.K", "prob.C", "prob.P", "prob.Q", "prob.R", "prob.S")
_COEFFICIENTS = ("prob.Wstride", "prob.Hstride", "prob.Wdilation", "prob.Hdilation")
_PARAMETERS = {
    "side": "arch.meshX",
    "accumulator_words": "arch.mem1_entries",
    "scratchpad_words": "arch.mem2_entries",
}
_BANDWIDTHS = {"accumulator_bandwidth": "arch.mem1", "scratchpad_bandwidth": "arch.mem2"}
# What the template takes for granted.
_CONSTANTS = {
    "arch.name": "gemmini",
    "arch.mac": "1",
    "arch.mem1_word-bits": "32",
    "arch.mem2_word-bits": "8",
    "arch.mem2_instances": "1",
    "prob.shape": "cnn-layer",
    "prob.N": "1",
}


@dataclass(frozen=True)
class PublishedGroup:
    """Rows of one layer on one hardware: a batch of mappings.

    Parameters
    ----------
    rows : int array, shape (batch,)
        Positions of the rows in the file, from 0.
    factors, order : int array, shape (batch, levels, dimensions)
        As `toolkit.mapping.to_arrays` describes them.
    """

    arch: Architecture
    workload: Workload
    rows: IntArray
    factors: IntArray
    order: IntArray


@dataclass(frozen=True)
class PublishedResults:
    """A file of published results.

    Parameters
    ----------
    source : str
        The file.
    lines : int array, shape (rows,)
        Where each row stands in the file, from 1.
    measured : mapping of str to float array, shape (rows,)
        By column, such as ``target.cycle``; positive and finite.
    mappings : tuple of str
        As written.
    groups : tuple of PublishedGroup
        All rows, each in one group.
    """

    source: str
    lines: IntArray
    measured: Mapping[str, FloatArray]
    mappings: tuple[str, ...]
    groups: tuple[PublishedGroup, ...]

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """The layer of each row."""
        by_row = {row: group.workload for group in self.groups for row in group.rows.tolist()}
        return tuple(by_row[row] for row in range(len(self)))

    def by_row(self, values: Callable[[PublishedGroup], FloatArray]) -> FloatArray:
        """Work out values group by group and put them in the order of the file.

        Parameters
        ----------
        values : callable
            Returns an array of shape (batch,) or (batch, columns) for a group.
        """
        pieces = [values(group) for group in self.groups]
        result: FloatArray = np.empty((len(self), *pieces[0].shape[1:]))
        for group, piece in zip(self.groups, pieces, strict=True):
            result[group.rows] = piece
        return result


def read_published(
    path: str | os.PathLike[str], measured: Sequence[str] = ("target.cycle", "target.energy")
) -> PublishedResults:
    """Read published results, a CSV file that may be compressed with gzip (named .gz).

    Parameters
    ----------
    path : path-like
        The file.
    measured : sequence of str
        Columns with results.

    Raises
    ------
    InputError
        Naming file, line, column and reason, for the first thing that is wrong.
    """
    source = os.fspath(path)
    columns = (*_CONSTANTS, *_PARAMETERS.values(), *_SIZES, *_COEFFICIENTS, _MAPPING, *measured)
    builder = _Builder(load_template(_TEMPLATE))
    lines, results, mappings = [], [], []
    for row in read_rows(path, columns):
        builder.add(row)
        lines.append(row.line)
        results.append([row.positive(column) for column in measured])
        mappings.append(row.cells[_MAPPING])
    if not lines:
        raise InputError("holds no rows", source=source)
    return PublishedResults(
        source,
        np.array(lines, dtype=np.int64),
        dict(zip(measured, np.array(results).T, strict=True)),
        tuple(mappings),
        builder.groups(),
    )


class _Builder:
    """Gathers rows by hardware and layer, each of which is made once."""

    def __init__(self, template: ArchitectureTemplate) -> None:
        self._template = template
        self._archs: dict[tuple[int, ...], Architecture] = {}
        self._workloads: dict[tuple[int, ...], Workload] = {}
        self._rows: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
        self._tilings: list[tuple[IntArray, IntArray]] = []

    def add(self, row: CsvRow) -> None:
        """Take one row in.

        Raises
        ------
        InputError
            Naming the column that is wrong.
        """
        for column, expected in _CONSTANTS.items():
            if row.cells[column] != expected:
                found = describe(row.cells[column])
                raise row.error(f"expected {expected}, got {found}", column)
        sizes = tuple(row.integer(column) for column in (*_SIZES, *_COEFFICIENTS))
        hardware = _hardware(row)
        if hardware not in self._archs:
            self._archs[hardware] = self._arch(row, hardware)
        if sizes not in self._workloads:
            self._workloads[sizes] = _workload(sizes)
        arch, workload = self._archs[hardware], self._workloads[sizes]
        self._rows.setdefault((hardware, sizes), []).append(len(self._tilings))
        self._tilings.append(_tiling(row, arch, workload))

    def groups(self) -> tuple[PublishedGroup, ...]:
        """Stack what was gathered."""
        return tuple(
            PublishedGroup(
                self._archs[hardware],
                self._workloads[sizes],
                np.array(rows, dtype=np.int64),
                np.stack([self._tilings[row][0] for row in rows]),
                np.stack([self._tilings[row][1] for row in rows]),
            )
            for (hardware, sizes), rows in self._rows.items()
        )

    def _arch(self, row: CsvRow, hardware: tuple[int, ...]) -> Architecture:
        names = (*_PARAMETERS, *_BANDWIDTHS)
        try:
            return self._template.architecture(dict(zip(names, hardware, strict=True)))
        except InputError as cause:
            raise relocated(cause, row.place, "arch") from None


def _hardware(row: CsvRow) -> tuple[int, ...]:
    """Read the template's parameters; bandwidths are shared, or given port by port."""
    values = [row.integer(column) for column in _PARAMETERS.values()]
    for memory in _BANDWIDTHS.values():
        shared = f"{memory}_shared_bandwidth"
        ports = (f"{memory}_read_bandwidth", f"{memory}_write_bandwidth")
        columns = ports if all(port in row.cells for port in ports) else (shared,)
        if shared not in row.cells and columns == (shared,):
            raise row.error(f"this column is missing, and so are {' and '.join(ports)}", shared)
        values.append(sum(row.integer(column) for column in columns))
    return tuple(values)


def _workload(sizes: tuple[int, ...]) -> Workload:
    k, c, p, q, r, s, *coefficients = sizes
    w_stride, h_stride, w_dilation, h_dilation = coefficients
    # Width goes with P and R, height with Q and S.
    return conv2d(k, c, p, q, r, s, stride=(w_stride, h_stride), dilation=(w_dilation, h_dilation))


def _tiling(row: CsvRow, arch: Architecture, workload: Workload) -> tuple[IntArray, IntArray]:
    text = row.cells[_MAPPING]
    if not is_compact(text):
        raise row.error(
            f"expected a mapping such as L3[WIO] K8 ..., got {describe(text)}", _MAPPING
        )
    try:
        mapping = mapping_from_timeloop(text, arch, workload)
    except InputError as cause:
        raise relocated(cause, row.place, _MAPPING) from None
    factors, order = to_arrays(mapping, arch, workload)
    for i, level in enumerate(arch.levels):
        used = int(factors[i].prod())
        if isinstance(level, Fanout) and used > level.mesh:
            message = f"unrolls {used} instances of {level.name}, the row has {level.mesh}"
            raise row.error(message, _MAPPING)
    return factors, order


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
