"""The packaged figures of components, each block with its source, and curves between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.records import Label, Record, validate
from toolkit.yaml_files import parse_yaml

_SIZE_POWER = 0.78
"""Power of the size by which energy shrinks below the smallest size that CACTI accepts."""


Row = list[float]


class SramNodes(Record):
    """SRAM of one size at several nodes."""

    source: Label
    nm: Row
    read_energy: Row
    write_energy: Row
    area: Row
    access_time: Row
    cycle_time: Row


class Nodes(Record):
    """Energy and area of one kind of circuit at several nodes, in any unit."""

    source: Label
    nm: Row
    energy: Row
    area: Row


class AllNodes(Record):
    """How figures scale between nodes."""

    sram: SramNodes
    logic: Nodes
    wire: Nodes


class Sram(Record):
    """SRAM over sizes (rows) and port widths (columns), pJ per access and um^2."""

    source: Label
    node_nm: float
    kib: Row
    width_bits: Row
    read_energy_pj: list[Row]
    write_energy_pj: list[Row]
    area_um2: list[Row]
    access_time_ns: Row
    cycle_time_ns: Row
    leakage_uw_per_kib: float


class SramPorts(Record):
    """What more ports multiply, over sizes (rows) and numbers of ports (columns)."""

    source: Label
    kib: Row
    ports: Row
    read_energy: list[Row]
    write_energy: list[Row]
    area: list[Row]


class RegisterFile(Record):
    """Registers: figures of one bit, and how energy grows with the words to choose from."""

    source: Label
    node_nm: float
    energy_pj_per_bit: float
    area_um2_per_bit: float
    words_exponent: float


class Dram(Record):
    """One kind of DRAM, off the chip."""

    source: Label
    energy_pj_per_bit: float
    peak_gb_per_s: float
    data_pins: int
    interface: Literal["ddr", "hbm"]


class DramInterface(Record):
    """The chip's side of the buses of one family of DRAM; its energy scales if it has a node."""

    source: Label
    node_nm: float
    pad_um2_per_pin: float
    circuit_um2_per_pin: float
    energy_pj_per_bit: float
    energy_node_nm: float | None = None


class Operator(Record):
    """A multiplier or an adder by bits."""

    bits: Row
    energy_pj: Row
    area_um2: Row
    leakage_uw: Row
    exponent: float


class Arithmetic(Record):
    """Operators of one kind of number."""

    multiply: Operator
    add: Operator


class Operators(Record):
    """Operators of one publication."""

    source: Label
    node_nm: float
    integer: Arithmetic
    floating_point: Arithmetic | None = None


class Wires(Record):
    """Wires over a distance."""

    source: Label
    node_nm: float
    energy_pj_per_bit_mm: float
    area_um2_per_bit_mm: float
    activity: float


class Published(Record):
    """Everything."""

    nodes: AllNodes
    sram: Sram
    sram_ports: SramPorts
    register_file: RegisterFile
    dram: dict[str, Dram]
    dram_interface: dict[str, DramInterface]
    operators: dict[str, Operators]
    wires: Wires


@cache
def published() -> Published:
    """Read the packaged figures, once."""
    file = resources.files("toolkit.arch.technology").joinpath("published.yaml")
    data = parse_yaml(file.read_bytes(), source="published.yaml")
    return validate(Published, data, source="published.yaml")


def node_factor(
    nm: Sequence[float], values: Sequence[float], to_nm: float, from_nm: float, power: float
) -> float:
    """Scale a figure between nodes.

    Parameters
    ----------
    nm, values : sequence of float
        Published figures by node, the largest node first; linear in between.
    to_nm, from_nm : float
        Nodes not above the largest.
    power : float
        Of the node, below the smallest published one.
    """

    def at(node: float) -> float:
        inside = max(node, nm[-1])
        figure = float(np.interp(inside, nm[::-1], values[::-1]))
        return figure * math.pow(node / inside, power)

    return at(to_nm) / at(from_nm)


@dataclass(frozen=True)
class Curve:
    """A power law between neighbouring points, and with the outermost two powers beyond.

    Parameters
    ----------
    x, y : float64 array, shape (points,)
        Positive, `x` ascending.
    clamped : bool
        Whether the outermost values hold beyond the points instead.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    clamped: bool = False

    @cached_property
    def _logs(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.log(self.x), np.log(self.y)

    def __call__(self, x: float) -> float:
        """Evaluate at `x`."""
        logs, values = self._logs
        where = float(np.log(x))
        if self.clamped or len(logs) == 1:
            return float(np.exp(np.interp(where, logs, values)))
        i = min(max(int(np.searchsorted(logs, where)) - 1, 0), len(logs) - 2)
        slope = (values[i + 1] - values[i]) / (logs[i + 1] - logs[i])
        return float(np.exp(values[i] + slope * (where - logs[i])))


@dataclass(frozen=True)
class Surface:
    """A figure over two quantities, a `Curve` along each.

    Parameters
    ----------
    rows : float64 array, shape (rows,)
    columns : float64 array, shape (columns,)
    values : float64 array, shape (rows, columns)
    clamped : bool
        As of `Curve`.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    values: NDArray[np.float64]
    clamped: bool = False

    @cached_property
    def _lines(self) -> tuple[Curve, ...]:
        return tuple(Curve(self.columns, line, self.clamped) for line in self.values)

    def __call__(self, row: float, column: float) -> float:
        """Evaluate at one place."""
        along = [line(column) for line in self._lines]
        return Curve(self.rows, np.array(along), self.clamped)(row)


def monotone_surface(
    rows: Sequence[float],
    columns: Sequence[float],
    table: Sequence[Sequence[float]],
    anchor: float,
    linear: bool,
) -> Surface:
    """Make a surface that grows along both quantities from a table that nearly does.

    CACTI picks the organisation that suits each size and width best, so that a wider port
    sometimes comes out cheaper. The column `anchor` stands as published; wider ones cost at least
    as much as their narrower neighbour, narrower ones at most as much as their wider one.

    Parameters
    ----------
    rows, columns : sequence of float
        Sizes and widths.
    table : sequence of sequence of float
        Rows may end early: a column begins at its smallest published size, below which figures
        shrink with the power 0.78 of the size, or in proportion to it if `linear`.
    anchor : float
        One of the columns.
    linear : bool
        See `table`.
    """
    values = np.full((len(rows), len(columns)), np.nan)
    for i, line in enumerate(table):
        values[i, : len(line)] = line
    power = 1.0 if linear else _SIZE_POWER
    for j in range(len(columns)):
        first = int(np.flatnonzero(~np.isnan(values[:, j]))[0])
        values[:first, j] = values[first, j] * (np.array(rows[:first]) / rows[first]) ** power
    fixed = list(columns).index(anchor)
    values[:, fixed:] = np.maximum.accumulate(values[:, fixed:], axis=1)
    narrow = values[:, : fixed + 1][:, ::-1]
    values[:, : fixed + 1] = np.minimum.accumulate(narrow, axis=1)[:, ::-1]
    values = np.maximum.accumulate(values, axis=0)
    return Surface(np.array(rows, dtype=float), np.array(columns, dtype=float), values)
