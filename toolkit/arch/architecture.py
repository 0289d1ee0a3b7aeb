"""An accelerator: an ordered list of levels, outermost first, and its vector unit."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from toolkit.arch.levels import Compute, Fanout, Layout, Level, Memory, impossible_figures
from toolkit.arguments import store_plain_numbers
from toolkit.display import object_html, table_html
from toolkit.errors import ArchitectureError
from toolkit.messages import describe, suggest
from toolkit.workload.kernel import ROLES, Tensor, Workload

ONE_LAYOUT = "only the outermost memory has a layout"
"""Why no other one may speak of bursts."""


@dataclass(frozen=True, slots=True)
class VectorUnit:
    """A unit for elementwise operations, pooling, reductions and normalizations.

    Parameters
    ----------
    lanes : int
        Operations per cycle.
    operation_energy_pj : float
        Energy of one operation on one element.
    memory : str
        The memory level that feeds it: operands come from there, results go there.
    lane_bits : int, optional
        Width of a lane: narrower values share one, wider ones take several. None: a lane takes a
        value of any width.
    energies_by_bits : tuple of (int, float)
        Energies of one operation by the bits of its widest value, in rising order; empty if it
        is the same for all.
    area_um2 : float, optional
        Of the whole unit.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.VectorUnit(lanes=16, operation_energy_pj=0.2, memory="Buffer").lanes
    16
    """

    lanes: int
    operation_energy_pj: float
    memory: str
    lane_bits: int | None = None
    energies_by_bits: tuple[tuple[int, float], ...] = ()
    area_um2: float | None = None

    def __post_init__(self) -> None:
        store_plain_numbers(self)


@dataclass(frozen=True, slots=True)
class Leakage:
    """What leaks of an accelerator.

    Parameters
    ----------
    instances : {"used", "all"}, optional
        Whether idle instances leak; None leaves it to every fanout's `power_gating`.
    macs : bool
        Whether the compute level leaks.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.Leakage(instances="used").macs
    True
    """

    instances: Literal["used", "all"] | None = None
    macs: bool = True


@dataclass(frozen=True, slots=True)
class Architecture:
    """An accelerator.

    Parameters
    ----------
    name : str
        How results refer to it.
    levels : tuple of Level
        Outermost first: level 0 is a memory, the last one is the only compute level.
    vector_unit : VectorUnit, optional
        What computes the layers of a network that are no sums of products; mappings do not
        depend on it. None if the architecture does not say.
    clock_mhz : float, optional
        Cycles per microsecond; costs are in cycles, whatever it is.
    leakage : Leakage
        Whose instances leak.

    Raises
    ------
    ArchitectureError
        If that order does not hold, two levels share a name, the outermost memory may bypass
        something, another one has bursts or a layout, no memory has the name of the one that feeds
        the vector unit, or all instances shall leak although a fanout gates their power.

    Examples
    --------
    >>> import toolkit
    >>> arch = toolkit.load_arch("eyeriss")
    >>> [level.name for level in arch.levels][:3], arch.compute.name
    (['DRAM', 'GlobalBuffer', 'SACols'], 'Compute')
    """

    name: str
    levels: tuple[Level, ...]
    vector_unit: VectorUnit | None = None
    clock_mhz: float | None = None
    leakage: Leakage = Leakage()

    def __post_init__(self) -> None:
        store_plain_numbers(self)
        if self.clock_mhz is not None and not self.clock_mhz > 0:
            raise ArchitectureError(
                f"expected more than 0, got {describe(self.clock_mhz)}",
                source=self.name,
                key="clock_mhz",
            )
        if not self.levels or not isinstance(self.levels[0], Memory):
            raise ArchitectureError(
                "the outermost level must be a memory", source=self.name, key="levels[0]"
            )
        if self.levels[0].may_bypass:
            raise ArchitectureError(
                f"{self.levels[0].name} is the outermost memory, so nothing could supply "
                f"{self.levels[0].may_bypass[0]}; leave the key out there",
                source=self.name,
                key="levels[0].may_bypass",
            )
        for i, level in enumerate(self.levels[1:], 1):
            if isinstance(level, Memory) and (level.burst_words != 1 or level.layout != Layout()):
                raise ArchitectureError(
                    f"{level.name} lies inside of {self.levels[0].name}, and {ONE_LAYOUT}",
                    source=self.name,
                    key=f"levels[{i}].{'layout' if level.burst_words == 1 else 'burst_words'}",
                )
        computes = [i for i, level in enumerate(self.levels) if isinstance(level, Compute)]
        if computes != [len(self.levels) - 1]:
            found = f"found them at positions {computes}" if computes else "found none"
            raise ArchitectureError(
                f"exactly one compute level must come last, {found}",
                source=self.name,
                key="levels",
            )
        names = [level.name for level in self.levels]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ArchitectureError(
                f"level names repeat: {', '.join(repeated)}", source=self.name, key="levels"
            )
        memories = [memory.name for memory in self.memories]
        if self.vector_unit is not None and self.vector_unit.memory not in memories:
            raise ArchitectureError(
                f"unknown memory {self.vector_unit.memory!r}; "
                f"expected one of {', '.join(memories)}",
                source=self.name,
                key="vector_unit.memory",
            )
        gated = [fanout.name for fanout in self.fanouts if fanout.power_gating]
        if self.leakage.instances == "all" and gated:
            raise ArchitectureError(
                f"'all' although {gated[0]} has power_gating: true; expected one of them",
                source=self.name,
                key="leakage.instances",
            )

    def __repr__(self) -> str:
        return f"<Architecture {self.name}: {len(self.levels)} levels, {self.lanes:,} lanes>"

    def _repr_html_(self) -> str:
        """For notebooks: a row per level, outermost first."""
        heads = ("level", "instances", "words", "pJ per read", "pJ per write", "words per cycle")
        rows, instances = [], 1
        for level in self.levels:
            if isinstance(level, Fanout):
                over = ", ".join(level.dimensions)
                rows.append((f"{level.name}, fanout over {over}", f"× {level.mesh:,}", *[""] * 4))
                instances *= level.mesh
            elif isinstance(level, Memory):
                room = level.capacity_words
                words = "unlimited" if room is None else f"{room:,}"
                figures = level.read_energy_pj, level.write_energy_pj, level.bandwidth
                cells = [f"{figure:,.4g}" for figure in figures]
                rows.append((level.name, f"{instances:,}", words, *cells))
            else:
                count, energy = instances * level.mesh, f"{level.mac_energy_pj:.4g} per MAC"
                rows.append((level.name, f"{count:,}", "", energy, "", ""))
        left = [True] + [False] * 5
        return object_html(f"{self.name}: {self.lanes:,} lanes", (), table_html(heads, rows, left))

    @property
    def lanes(self) -> int:
        """Multiply-accumulates at a time, of all instances."""
        return prod(level.mesh for level in self.fanouts) * self.compute.mesh

    @property
    def compute(self) -> Compute:
        """The innermost level."""
        level = self.levels[-1]
        if not isinstance(level, Compute):  # pragma: no cover - excluded by __post_init__
            raise ArchitectureError("no compute level", source=self.name)
        return level

    @property
    def memories(self) -> tuple[Memory, ...]:
        """Memory levels, outermost first."""
        return tuple(level for level in self.levels if isinstance(level, Memory))

    @property
    def fanouts(self) -> tuple[Fanout, ...]:
        """Fanout levels, outermost first."""
        return tuple(level for level in self.levels if isinstance(level, Fanout))

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Every dimension that a fanout, a constraint or a loop order names."""
        named: dict[str, None] = {}
        for level in self.levels:
            if not isinstance(level, Memory):
                named.update(dict.fromkeys(level.dimensions))
            else:
                named.update(dict.fromkeys(d for d in level.loop_order if d != "_"))
            named.update(dict.fromkeys(c.dimension for c in level.constraints))
        return tuple(named)


def holds(memory: Memory, tensor: Tensor) -> bool:
    """Whether `memory` stores `tensor`: it bypasses neither its name nor its role."""
    return tensor.name not in memory.bypasses and tensor.role not in memory.bypasses


def may_bypass(memory: Memory, tensor: Tensor) -> bool:
    """Whether a mapping may choose that `memory`, which stores `tensor`, leaves it out."""
    named = tensor.name in memory.may_bypass or tensor.role in memory.may_bypass
    return named and holds(memory, tensor)


def check_figures(arch: Architecture) -> None:
    """Refuse figures that no hardware has, such as a negative energy or no bandwidth at all.

    Files are read with care; whoever writes levels in Python may slip.

    Raises
    ------
    ArchitectureError
        Naming the level, the figure and what was expected.
    """
    for i, level in enumerate(arch.levels):
        for figure, value, expected in impossible_figures(level):
            raise ArchitectureError(
                f"{level.name} has {figure} {describe(value)}; expected {expected}",
                source=arch.name,
                key=f"levels[{i}].{figure}",
            )


def check_bypasses(arch: Architecture, workload: Workload) -> None:
    """Refuse bypasses that mean nothing for a workload.

    A role that the workload lacks is no mistake: an element-wise operation has no weight.

    Raises
    ------
    ArchitectureError
        Naming the level, the tensor and the names that would have been understood.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.check_bypasses(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    """
    known = (*ROLES, *(tensor.name for tensor in workload.tensors))
    for i, level in enumerate(arch.levels):
        if not isinstance(level, Memory):
            continue
        written = [("bypasses", "bypasses", name) for name in level.bypasses]
        written += [("may_bypass", "may bypass", name) for name in level.may_bypass]
        for key, verb, name in written:
            if name not in known:
                raise ArchitectureError(
                    f"{level.name} {verb} {name!r}{suggest(name, known)}, which is neither a "
                    f"role nor a tensor of {workload.name}; known: "
                    f"{', '.join(dict.fromkeys(known))}",
                    source=arch.name,
                    key=f"levels[{i}].{key}",
                )
