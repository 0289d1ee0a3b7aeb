"""The levels of an accelerator: memories, spatial fanouts and the compute level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toolkit.records import store_plain_numbers

Relation = Literal["==", "<=", ">="]


@dataclass(frozen=True, slots=True)
class FactorConstraint:
    """A bound on the iterations of one dimension at one level, such as ``M == 16``."""

    dimension: str
    relation: Relation
    value: int

    def __post_init__(self) -> None:
        store_plain_numbers(self)

    def allows(self, factor: int) -> bool:
        """Whether `factor` satisfies the constraint."""
        if self.relation == "==":
            return factor == self.value
        return factor <= self.value if self.relation == "<=" else factor >= self.value

    def __str__(self) -> str:
        return f"{self.dimension} {self.relation} {self.value}"


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory level; figures are per instance, a word holds one value.

    Parameters
    ----------
    name : str
        Unique within the architecture.
    capacity_words : int or None
        Words of one instance; None is unlimited.
    read_energy_pj, write_energy_pj : float
        Energy of one access to one word.
    read_bandwidth, write_bandwidth : float
        Words per cycle.
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
        Words that the memory can only access together; matters under conventions with
        ``whole_wordlines`` alone. Energies and bandwidths are per word all the same.
    """

    name: str
    capacity_words: int | None
    read_energy_pj: float
    write_energy_pj: float
    read_bandwidth: float
    write_bandwidth: float
    leakage_pj_per_cycle: float = 0.0
    bypasses: tuple[str, ...] = ()
    multiple_buffering: float = 1.0
    multiple_reuses: bool = True
    constraints: tuple[FactorConstraint, ...] = ()
    loop_order: tuple[str, ...] = ()
    area_um2: float | None = None
    values_per_wordline: int = 1

    def __post_init__(self) -> None:
        store_plain_numbers(self)


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
        Energy of one multiply-accumulate.
    cycles : int
        Cycles of one step, in which all concurrent multiply-accumulates finish.
    mesh : int
        Multiply-accumulates per step.
    dimensions : tuple of str
        Dimensions that may be unrolled over them.
    leakage_pj_per_cycle : float
        Static energy of one powered instance.
    constraints : tuple of FactorConstraint
        Bounds on the iterations here.
    area_um2 : float or None
        Area of one instance.
    """

    name: str
    mac_energy_pj: float
    cycles: int = 1
    mesh: int = 1
    dimensions: tuple[str, ...] = ()
    leakage_pj_per_cycle: float = 0.0
    constraints: tuple[FactorConstraint, ...] = ()
    area_um2: float | None = None

    def __post_init__(self) -> None:
        store_plain_numbers(self)


Level = Memory | Fanout | Compute
Spatial = Fanout | Compute
