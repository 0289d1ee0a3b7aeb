"""The packaged figures of components, each block with its source, as checked records."""

from __future__ import annotations

from functools import cache
from importlib import resources

from toolkit.records import Label, Record, validate
from toolkit.yaml_files import parse_yaml

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
    operators: dict[str, Operators]
    wires: Wires


@cache
def published() -> Published:
    """Read the packaged figures, once."""
    file = resources.files("toolkit.arch.technology").joinpath("published.yaml")
    data = parse_yaml(file.read_bytes(), source="published.yaml")
    return validate(Published, data, source="published.yaml")
