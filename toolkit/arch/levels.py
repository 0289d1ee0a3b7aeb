"""The levels of an accelerator: memories, spatial fanouts and the compute level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

from toolkit.arch.constraints import FactorConstraint
from toolkit.arch.ports import MemoryPort
from toolkit.arch.wires import Wires, impossible_wires
from toolkit.arguments import store_plain_numbers

UNLIMITED_BANDWIDTH = 5e14
"""Words per cycle of a port that a file of another tool does not limit: far beyond any hardware,
and half of what a file of ours may say, so that a read and a write port together stay below it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Order of the dimensions in which tensors lie in a memory, by role, outermost first.

    Parameters
    ----------
    input, weight, output : tuple of str
        Empty: in the order in which the workload writes a tensor's indices.
    """

    input: tuple[str, ...] = ()
    weight: tuple[str, ...] = ()
    output: tuple[str, ...] = ()

    def of(self, role: str) -> tuple[str, ...]:
        """Order of the tensors of one role."""
        return {"input": self.input, "weight": self.weight, "output": self.output}[role]


Overlap = Literal["always", "double-buffered", "never"]
"""When transfers from and to the outside take place while the levels inside work."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory level; figures are per instance.

    Parameters
    ----------
    name : str
        Unique within the architecture.
    capacity_words : int or None
        Words of one instance; None is unlimited.
    read_energy_pj, write_energy_pj : float
        Energy of one access to one word.
    read_bandwidth, write_bandwidth : float
        Words per cycle of what it sends and of what it receives; 0 where `ports` say it.
    leakage_pj_per_cycle : float
        Static energy of one powered instance.
    bypasses : tuple of str
        Tensors (or roles) that this memory does not hold.
    multiple_buffering : float
        Copies of a tile that must fit at once; divides the usable capacity.
    multiple_reuses : bool
        Whether one tensor may enjoy stationarity and sliding-window reuse at the same time.
    constraints : tuple of FactorConstraint
        Bounds on the temporal iterations here.
    loop_order : tuple of str
        Outermost loop first. Without placeholders the relative order of the named dimensions
        must hold; with ``_`` placeholders every position must match.
    area_um2 : float or None
        Area of one instance.
    values_per_wordline : int
        Words that the memory can only access together; matters with `whole_wordlines`, or under
        conventions of that name. Energies and bandwidths are per word all the same.
    shared_port : bool
        Whether one port, of both bandwidths together, serves what the memory sends and what it
        receives; otherwise each has a port of its own.
    may_bypass : tuple of str
        Tensors (or roles), beyond `bypasses`, that a mapping may choose not to hold here.
    ports : tuple of MemoryPort
        Any number of ports instead of one or two, each with its own bandwidth.
    word_bits : int or None
        Bits of a word; None if a word holds one value of any tensor.
    packed : bool
        Whether values fill words without gaps, so that one may take a part of a word or several;
        otherwise each has a word of its own. Matters to values that have bits.
    overlap : {"always", "double-buffered", "never"}
        What it gets from outside and sends there takes place while the levels inside work: always,
        where its tiles fit twice, or never.
    whole_wordlines : bool
        Whether what an instance moves of a tensor costs energy in whole wordlines, whatever the
        conventions say.
    burst_words : int
        Words that the outermost memory moves at once, from multiples of as many on; 1: any word.
    layout : Layout
        How tensors lie in the outermost memory, densely and each from a burst's first word on.

    Examples
    --------
    >>> import toolkit
    >>> memory = toolkit.Memory("Buffer", 1024, 1.5, 2.0, read_bandwidth=8, write_bandwidth=8)
    >>> memory.capacity_words, memory.multiple_buffering
    (1024, 1.0)
    """

    name: str
    capacity_words: int | None
    read_energy_pj: float
    write_energy_pj: float
    read_bandwidth: float = 0.0
    write_bandwidth: float = 0.0
    leakage_pj_per_cycle: float = 0.0
    bypasses: tuple[str, ...] = ()
    multiple_buffering: float = 1.0
    multiple_reuses: bool = True
    constraints: tuple[FactorConstraint, ...] = ()
    loop_order: tuple[str, ...] = ()
    area_um2: float | None = None
    values_per_wordline: int = 1
    shared_port: bool = False
    may_bypass: tuple[str, ...] = ()
    ports: tuple[MemoryPort, ...] = ()
    word_bits: int | None = None
    packed: bool = True
    overlap: Overlap = "always"
    whole_wordlines: bool = False
    burst_words: int = 1
    layout: Layout = Layout()

    def __post_init__(self) -> None:
        store_plain_numbers(self)

    @property
    def bandwidth(self) -> float:
        """Words per cycle of all ports together."""
        return self.read_bandwidth + self.write_bandwidth + sum(p.bandwidth for p in self.ports)


@dataclass(frozen=True, slots=True)
class Fanout:
    """A spatial fanout: `mesh` instances of everything inside it.

    Parameters
    ----------
    name : str
        Unique within the architecture.
    mesh : int
        Instances; the product of the factors here may not exceed it.
    dimensions : tuple of str
        Dimensions that may be unrolled here; all others iterate once.
    multicast, reduction : bool
        Whether one read serves all instances that need the same tile, and whether their
        partial outputs are summed on the way out.
    selective_multicast, selective_reduction : bool
        Whether that also holds value by value for windows that overlap only in part.
    pe_to_pe : bool
        Operands hop from instance to instance, which costs a warm-up of one cycle per hop.
    power_gating : bool
        Unused instances do not leak.
    constraints : tuple of FactorConstraint
        Bounds on the spatial iterations here.
    area_um2 : float or None
        Area of the fanout's network, once.
    wires : Wires or None
        What its network costs; None costs nothing and is never in the way.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.Fanout("Rows", mesh=4, dimensions=("M",)).multicast
    True
    """

    name: str
    mesh: int
    dimensions: tuple[str, ...]
    multicast: bool = True
    reduction: bool = True
    selective_multicast: bool = False
    selective_reduction: bool = False
    pe_to_pe: bool = False
    power_gating: bool = False
    constraints: tuple[FactorConstraint, ...] = ()
    area_um2: float | None = None
    wires: Wires | None = None

    def __post_init__(self) -> None:
        store_plain_numbers(self)


@dataclass(frozen=True, slots=True)
class Compute:
    """The compute level, innermost: `mesh` concurrent multiply-accumulates per instance.

    Parameters
    ----------
    name : str
        Unique within the architecture.
    mac_energy_pj : float
        Energy of one multiply-accumulate of operands that have no bits.
    cycles : int
        Cycles of one step, in which all concurrent multiply-accumulates finish.
    mesh : int
        Multiply-accumulates per step.
    dimensions : tuple of str
        Dimensions that may be unrolled over them.
    multicast, reduction : bool
        Whether one read serves all of them that need the same value, and whether partial
        outputs are summed on the way out, as at a `Fanout`.
    word_bits : int or None
        For how many bits `mac_energy_pj` is the energy, where that depends on them.
    energies_by_bits : tuple of (int, float)
        Bits of an operand and energy (pJ) of one multiply-accumulate of operands as wide, in
        rising order (`toolkit.arch.packing.mac_energy_pj`); empty if it is the same for all.
    leakage_pj_per_cycle : float
        Static energy of one powered instance.
    constraints : tuple of FactorConstraint
        Bounds on the iterations here.
    area_um2 : float or None
        Area of one instance.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.Compute("MAC", mac_energy_pj=0.2).mesh
    1
    """

    name: str
    mac_energy_pj: float
    cycles: int = 1
    mesh: int = 1
    dimensions: tuple[str, ...] = ()
    leakage_pj_per_cycle: float = 0.0
    constraints: tuple[FactorConstraint, ...] = ()
    area_um2: float | None = None
    multicast: bool = True
    reduction: bool = True
    word_bits: int | None = None
    energies_by_bits: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        store_plain_numbers(self)


Level = Memory | Fanout | Compute
Spatial = Fanout | Compute


_LEAST: dict[str, int] = {
    "capacity_words": 1,
    "read_energy_pj": 0,
    "write_energy_pj": 0,
    "mac_energy_pj": 0,
    "leakage_pj_per_cycle": 0,
    "area_um2": 0,
    "multiple_buffering": 1,
    "values_per_wordline": 1,
    "burst_words": 1,
    "word_bits": 1,
    "mesh": 1,
    "cycles": 1,
}
"""Least that figures of levels can be; less would make hardware that gives for nothing."""

_ABOVE_ZERO = ("read_bandwidth", "write_bandwidth")


def impossible_figures(level: Level) -> Iterator[tuple[str, float, str]]:
    """Name the figures of a level that no hardware has, with their values and what to expect."""
    for name in (field.name for field in fields(level)):
        value = getattr(level, name)
        # Negated, so that what is not a number does not pass.
        if value is not None and name in _LEAST and not value >= _LEAST[name]:
            yield name, value, f"{_LEAST[name]} or more"
        elif name in _ABOVE_ZERO and isinstance(level, Memory) and level.ports:
            if value:
                yield name, value, "0 beside ports, which have bandwidths of their own"
        elif name in _ABOVE_ZERO and not value > 0:
            yield name, value, "more than 0"
    if isinstance(level, Fanout) and level.wires is not None:
        yield from impossible_wires(level.wires)
    if isinstance(level, Memory) and level.ports and level.shared_port:
        yield "shared_port", True, "False beside ports"
    for port in level.ports if isinstance(level, Memory) else ():
        if not port.bandwidth > 0:
            yield f"ports.{port.name}.bandwidth", port.bandwidth, "more than 0"
