"""What an architecture file may hold, and the step from there to an `Architecture`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from toolkit.arch.architecture import ONE_LAYOUT, Architecture, Leakage, VectorUnit
from toolkit.arch.components import COMPUTES, VECTOR_UNIT, Component
from toolkit.arch.forms import Amount, FigureByBits, Mesh
from toolkit.arch.level_entries import (
    ComputeEntry,
    FanoutEntry,
    LevelEntry,
    MemoryEntry,
    component_of,
    known_component,
)
from toolkit.arch.levels import Level, Memory
from toolkit.arch.ports import MemoryPort, port_mistakes
from toolkit.messages import describe, suggest
from toolkit.records import Label, Record
from toolkit.workload.kernel import ROLES
from toolkit.workload.kinds import KINDS

_MAX_LEVELS = 64


class VectorUnitEntry(Record):
    """The vector unit; the energy is one figure, or a table by the bits of the widest value."""

    lanes: Mesh
    operation_energy_pj: FigureByBits
    memory: Label
    lane_bits: Annotated[int, Field(ge=1, le=128)] | None = None
    area_um2: Amount | None = None
    component: Annotated[str, AfterValidator(partial(known_component, known=COMPUTES))] | None = (
        None
    )

    @model_validator(mode="after")
    def _check_component(self) -> VectorUnitEntry:
        if self.component is not None and self.lane_bits is None:
            raise ValueError("component: expected lane_bits with it")
        return self

    def unit(self) -> VectorUnit:
        """Build the unit; without bits, the widest entry of a table counts."""
        table = self.operation_energy_pj
        by_bits = tuple(sorted(table.items())) if isinstance(table, dict) else ()
        energy = by_bits[-1][1] if isinstance(table, dict) else table
        return VectorUnit(self.lanes, energy, self.memory, self.lane_bits, by_bits, self.area_um2)


class LeakageEntry(Record):
    """What leaks."""

    instances: Literal["used", "all"] | None = None
    macs: bool = True

    def leakage(self) -> Leakage:
        """Build the rule."""
        return Leakage(self.instances, self.macs)


class ArchitectureFile(Record):
    """A whole file.

    Parameters
    ----------
    name : str
        How results refer to the architecture.
    description : str, optional
        One line on what it is and where its figures come from.
    clock_mhz : float, optional
        What bandwidths per second are turned into words per cycle by.
    kernel : str, optional
        The ready-made kernel whose dimensions the file speaks of: it may name no others.
    parameters : dict of str to number
        What the figures of the levels were computed from, in a template.
    ranges : dict of str to range
        What values parameters may take in a search over hardware (`toolkit.arch.ranges`).
    levels : list
        Outermost first, as `Architecture` demands.
    vector_unit : mapping, optional
        Lanes, energy per operation and feeding memory of what computes elementwise layers.
    leakage : mapping, optional
        Whether idle instances and multiply-accumulates leak.
    """

    name: Label
    description: Label | None = None
    clock_mhz: Annotated[float, Field(ge=1e-6, le=1e9)] | None = None
    kernel: Label | None = None
    parameters: dict[str, int | float] = {}
    ranges: dict[str, Any] = {}
    levels: Annotated[list[LevelEntry], Field(min_length=2, max_length=_MAX_LEVELS)]
    vector_unit: VectorUnitEntry | None = None
    leakage: LeakageEntry = LeakageEntry()

    @model_validator(mode="after")
    def _check_bypasses(self) -> ArchitectureFile:
        memories = [entry for entry in self.levels if isinstance(entry, MemoryEntry)]
        for role in ROLES:
            if memories and all(role in memory.bypasses for memory in memories):
                raise ValueError(f"levels: every memory bypasses {role}; expected one to hold it")
        return self

    @model_validator(mode="after")
    def _check_ports(self) -> ArchitectureFile:
        for i, entry in enumerate(self.levels):
            if not isinstance(entry, MemoryEntry):
                continue
            ports = [MemoryPort(k, tuple(p.serves), 1) for k, p in entry.port_entries.items()]
            for key, mistake in port_mistakes(ports, entry.bypasses, outermost=i == 0):
                raise ValueError(f"levels[{i}].ports{key}: {mistake}")
        return self

    @model_validator(mode="after")
    def _check_bursts(self) -> ArchitectureFile:
        for i, entry in enumerate(self.levels):
            if i == 0 or not isinstance(entry, MemoryEntry):
                continue
            for key in (*entry.burst_keys(), *(["layout"] if entry.layout is not None else [])):
                raise ValueError(f"levels[{i}].{key}: {ONE_LAYOUT}")
        return self

    @model_validator(mode="after")
    def _check_clock(self) -> ArchitectureFile:
        for i, entry in enumerate(self.levels):
            for key in () if isinstance(entry, ComputeEntry) else entry.per_second():
                if self.clock_mhz is None:
                    raise ValueError(
                        f"levels[{i}].{key}: expected clock_mhz of the architecture with it"
                    )
        return self

    @model_validator(mode="after")
    def _check_vector_unit(self) -> ArchitectureFile:
        names = [entry.memory for entry in self.levels if isinstance(entry, MemoryEntry)]
        unit = self.vector_unit
        if unit is not None and unit.memory not in names:
            raise ValueError(
                f"vector_unit.memory: unknown memory {describe(unit.memory)}"
                f"{suggest(unit.memory, names)}; expected one of {', '.join(names)}"
            )
        return self

    @model_validator(mode="after")
    def _check_dimensions(self) -> ArchitectureFile:
        if self.kernel is None:
            return self
        if self.kernel not in KINDS:
            raise ValueError(
                f"kernel: unknown kernel {describe(self.kernel)}{suggest(self.kernel, KINDS)}; "
                f"ready-made kernels: {', '.join(KINDS)} (leave the key out for any other)"
            )
        kind = KINDS[self.kernel]
        known = (*kind.dimensions, "N") if kind.strides else kind.dimensions
        for i, entry in enumerate(self.levels):
            level = self._level(entry)
            named = [c.dimension for c in level.constraints]
            if isinstance(level, Memory):
                named += level.loop_order + level.layout.input + level.layout.weight
                named += level.layout.output
            else:
                named += level.dimensions
            for dimension in named:
                if dimension not in known and dimension != "_":
                    raise ValueError(
                        f"levels[{i}] ({level.name}): unknown dimension {describe(dimension)}"
                        f"{suggest(dimension, known)}; {self.kernel} has {', '.join(known)}"
                    )
        return self

    def components(self) -> dict[str, Component]:
        """Tell by level name what levels are made of, and a vector unit, of those that say."""
        entries = [e for e in self.levels if not isinstance(e, FanoutEntry)]
        found = {self._level(entry).name: component_of(entry) for entry in entries}
        unit = self.vector_unit
        if unit is not None and unit.component is not None and unit.lane_bits is not None:
            bits = unit.lane_bits
            found[VECTOR_UNIT] = Component(unit.component, bits, accumulator_bits=bits)
        return {name: component for name, component in found.items() if component is not None}

    def architecture(self) -> Architecture:
        """Build the architecture.

        Raises
        ------
        ArchitectureError
            If the order of the levels does not hold or two share a name.
        """
        levels: tuple[Level, ...] = tuple(self._level(entry) for entry in self.levels)
        unit = self.vector_unit.unit() if self.vector_unit is not None else None
        leakage = self.leakage.leakage()
        return Architecture(self.name, levels, unit, self.clock_mhz, leakage)

    def _level(self, entry: MemoryEntry | FanoutEntry | ComputeEntry) -> Level:
        return entry.level() if isinstance(entry, ComputeEntry) else entry.level(self.clock_mhz)
