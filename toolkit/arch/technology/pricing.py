"""Architectures with energies, leakage and areas that follow from a technology."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from toolkit.arch.architecture import Architecture, VectorUnit
from toolkit.arch.components import (
    COMPUTES,
    MEMORIES,
    OFF_CHIP,
    VECTOR_UNIT,
    Component,
    LevelEstimate,
)
from toolkit.arch.levels import Compute, Fanout, Level, Memory
from toolkit.arch.technology.technology import InterfaceEstimate, Technology
from toolkit.arguments import check_kind
from toolkit.errors import ArchitectureError

_OPERAND_BITS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Of operands that energies are estimated for."""


@dataclass(frozen=True, slots=True)
class LevelArea:
    """The area of one level.

    Parameters
    ----------
    level : str
        Its name.
    instances : int
        Physical ones, used or not.
    area_um2_per_instance, area_total_um2 : float
        Of one and of all.
    """

    level: str
    instances: int
    area_um2_per_instance: float
    area_total_um2: float


def priced(
    arch: Architecture,
    components: Mapping[str, Component],
    technology: Technology,
    *,
    energies: bool = True,
    interfaces: bool = False,
) -> Architecture:
    """Give every level its energies, leakage and area.

    Memories pay for the wires of the fanout that follows them: each word travels the side of the
    square that the instances fill. A fanout takes the area of one link per instance, as wide as a
    word and as long as the side of an instance.

    Parameters
    ----------
    arch : Architecture
        Sizes and bandwidths stay; a level without a component keeps what it has.
    components : mapping of str to Component
        By level name (`ArchitectureFile.components`).
    technology : Technology
        Its `estimates` come last and replace everything.
    energies : bool
        Whether energies and leakage follow too; otherwise areas alone.
    interfaces : bool
        Whether the chip has interfaces of its own to memories off it, as large as their
        bandwidths ask for (`Technology.dram_interface`). Otherwise these belong to the rest of a
        system.

    Raises
    ------
    ArchitectureError
        If a component does not suit its level, or estimates name no level at all.
    """
    _check_estimates(arch, technology.estimates)
    levels: list[Level] = list(arch.levels)
    bits = _link_bits(arch, components)
    inside_um2, span_mm = 0.0, 0.0
    for i in reversed(range(len(levels))):
        level = levels[i]
        component = components.get(level.name)
        where = f"{arch.name}: levels[{i}] ({level.name})"
        if isinstance(level, Fanout):
            links = technology.wires(bits[i], math.sqrt(inside_um2) / 1000)
            if level.area_um2 is None:
                level = replace(level, area_um2=level.mesh * links.area_um2)
            span_mm = math.sqrt(level.mesh * inside_um2) / 1000
        elif component is not None:
            level = _with_figures(level, component, technology, span_mm, energies, where)
            if interfaces and isinstance(level, Memory):
                level = _with_interface(level, component, technology, energies)
        level = _with_estimate(level, technology.estimates.get(level.name.casefold()))
        repeated = level.mesh if isinstance(level, Fanout) else 1
        inside_um2 = inside_um2 * repeated + (level.area_um2 or 0.0)
        span_mm = span_mm if isinstance(level, Fanout) else 0.0
        levels[i] = level
    unit = _vector_unit(arch, components, technology, energies)
    return replace(arch, levels=tuple(levels), vector_unit=unit)


def area_table(arch: Architecture) -> tuple[LevelArea, ...]:
    """Break the area of an architecture down by levels, outermost first.

    A vector unit comes last, where its area is given.

    Raises
    ------
    ArchitectureError
        If a level does not give its area; the outermost memory, if unlimited, takes none.

    Examples
    --------
    >>> import toolkit
    >>> space = toolkit.hardware_space("gemmini-ws")
    >>> sizes = {"side": 16, "scratchpad_words": 65536, "accumulator_words": 256}
    >>> rows = toolkit.area_table(space.build(sizes).arch)
    >>> rows[-1].area_total_um2 > 0
    True
    """
    check_kind(arch, Architecture, "arch")
    rows: list[LevelArea] = []
    instances = 1
    for i, level in enumerate(arch.levels):
        off_chip = isinstance(level, Memory) and level.capacity_words is None
        area = level.area_um2
        if area is None and not off_chip:
            raise ArchitectureError(
                "gives no area; expected area_um2, or a component to estimate it from",
                source=arch.name,
                key=f"levels[{i}] ({level.name})",
            )
        rows.append(LevelArea(level.name, instances, area or 0.0, instances * (area or 0.0)))
        if isinstance(level, Fanout):
            instances *= level.mesh
    unit = arch.vector_unit
    if unit is not None and unit.area_um2 is not None:
        rows.append(LevelArea("vector_unit", 1, unit.area_um2, unit.area_um2))
    return tuple(rows)


def area_um2(arch: Architecture) -> float:
    """Sum the area of all levels (see `area_table`).

    Examples
    --------
    >>> import toolkit
    >>> space = toolkit.hardware_space("gemmini-ws")
    >>> sizes = {"side": 16, "scratchpad_words": 65536, "accumulator_words": 256}
    >>> toolkit.area_um2(space.build(sizes).arch) > 1e5
    True
    """
    return math.fsum(row.area_total_um2 for row in area_table(arch))


def known_area_um2(arch: Architecture) -> float | None:
    """Sum the area of all levels; None where one does not give it."""
    try:
        return area_um2(arch)
    except ArchitectureError:
        return None


def peak_power_mw(
    arch: Architecture,
    components: Mapping[str, Component],
    technology: Technology,
    *,
    interfaces: bool = False,
) -> float:
    """Estimate the most power the chip can draw: all units busy, all ports moving words, leakage.

    A vector unit counts, too. DRAM is off the chip and does not count, but for the chip's side of
    its bus if the chip has `interfaces`, as for `priced`. Ports are charged for the dearer of
    reading and writing.
    """
    pj_per_cycle, instances = 0.0, 1
    for i, level in enumerate(arch.levels):
        if isinstance(level, Fanout):
            instances *= level.mesh
            continue
        if isinstance(level, Compute):
            busy = level.mesh * level.mac_energy_pj / level.cycles
        elif i == 0 or components.get(level.name, Component("")).kind in OFF_CHIP:
            component = components.get(level.name)
            if not interfaces or component is None:
                continue
            interface = _interface(level, component, technology)
            if interface is None:
                continue
            busy = interface.energy_pj
        else:
            dearer = max(level.read_energy_pj, level.write_energy_pj)
            busy = dearer * level.bandwidth
        leaks = arch.leakage.macs or not isinstance(level, Compute)
        pj_per_cycle += instances * (busy + (level.leakage_pj_per_cycle if leaks else 0.0))
    unit = arch.vector_unit
    pj_per_cycle += unit.lanes * unit.operation_energy_pj if unit is not None else 0.0
    return pj_per_cycle * technology.clock_ghz


def _with_figures(
    level: Memory | Compute,
    component: Component,
    technology: Technology,
    span_mm: float,
    energies: bool,
    where: str,
) -> Memory | Compute:
    known = MEMORIES if isinstance(level, Memory) else COMPUTES
    if component.kind not in known:
        raise ArchitectureError(
            f"component {component.kind} does not suit it; expected one of {', '.join(known)}",
            source=where,
        )
    if isinstance(level, Compute):
        mac = technology.mac(component.word_bits, component.accumulator_bits, component.kind)
        level = replace(level, area_um2=level.mesh * mac.area_um2)
        leakage = technology.pj_per_cycle(level.mesh * mac.leakage_uw)
        return (
            replace(
                level,
                mac_energy_pj=mac.energy_pj,
                leakage_pj_per_cycle=leakage,
                energies_by_bits=_energies_by_bits(component, technology),
            )
            if energies
            else level
        )
    bits = component.word_bits
    words = _words_per_access(level, component)
    estimate = technology.memory(
        component.kind, level.capacity_words, bits, words * bits, component.ports
    )
    level = replace(level, area_um2=estimate.area_um2)
    if not energies:
        return level
    travel = technology.wires(bits, span_mm).energy_pj
    # A register file moves one word at a time, whatever its bandwidth.
    words = 1 if component.kind == "register-file" else words
    return replace(
        level,
        read_energy_pj=estimate.read_energy_pj / words + travel,
        write_energy_pj=estimate.write_energy_pj / words + travel,
        leakage_pj_per_cycle=technology.pj_per_cycle(estimate.leakage_uw),
    )


def _vector_unit(
    arch: Architecture,
    components: Mapping[str, Component],
    technology: Technology,
    energies: bool,
) -> VectorUnit | None:
    """Price the lanes: each one a multiplier and an adder of its width."""
    unit, component = arch.vector_unit, components.get(VECTOR_UNIT)
    if unit is None or component is None:
        return unit
    lane = technology.mac(component.word_bits, component.accumulator_bits, component.kind)
    unit = replace(unit, area_um2=unit.lanes * lane.area_um2)
    if not energies:
        return unit
    return replace(unit, operation_energy_pj=lane.energy_pj, energies_by_bits=())


def _with_interface(
    memory: Memory, component: Component, technology: Technology, energies: bool
) -> Memory:
    """Add what a memory off the chip takes on it."""
    interface = _interface(memory, component, technology)
    if interface is None:
        return memory
    leakage = technology.pj_per_cycle(interface.leakage_uw) if energies else 0.0
    return replace(
        memory,
        area_um2=(memory.area_um2 or 0.0) + interface.area_um2,
        leakage_pj_per_cycle=memory.leakage_pj_per_cycle + leakage,
    )


def _interface(
    memory: Memory, component: Component, technology: Technology
) -> InterfaceEstimate | None:
    if component.kind not in OFF_CHIP:
        return None
    return technology.dram_interface(component.kind, memory.bandwidth * component.word_bits)


def _energies_by_bits(
    component: Component, technology: Technology
) -> tuple[tuple[int, float], ...]:
    """Energies of operands as wide as the unit's, and of narrower ones that leave bits at rest."""
    widths = [bits for bits in _OPERAND_BITS if bits < component.word_bits]
    return tuple(
        (bits, technology.mac(bits, component.accumulator_bits, component.kind).energy_pj)
        for bits in (*widths, component.word_bits)
    )


def _words_per_access(memory: Memory, component: Component) -> int:
    """Words side by side in one port, so that all ports together keep up with the bandwidth."""
    wanted = math.ceil(memory.bandwidth / component.ports)
    most = memory.capacity_words if memory.capacity_words is not None else wanted
    return max(1, min(wanted, most))


def _with_estimate(level: Level, estimate: LevelEstimate | None) -> Level:
    if estimate is None:
        return level
    if estimate.area_um2 is not None:
        level = replace(level, area_um2=estimate.area_um2)
    if isinstance(level, Fanout):
        return level
    if estimate.leakage_pj_per_cycle is not None:
        level = replace(level, leakage_pj_per_cycle=estimate.leakage_pj_per_cycle)
    if isinstance(level, Compute):
        energy = estimate.read_energy_pj
        if energy is None:
            return level
        return replace(level, mac_energy_pj=energy, energies_by_bits=())
    words = level.values_per_wordline
    if estimate.read_energy_pj is not None:
        level = replace(level, read_energy_pj=estimate.read_energy_pj / words)
    if estimate.write_energy_pj is not None:
        level = replace(level, write_energy_pj=estimate.write_energy_pj / words)
    return level


def with_estimates(arch: Architecture, estimates: Mapping[str, LevelEstimate]) -> Architecture:
    """Put a user's own figures in the place of an architecture's.

    Parameters
    ----------
    arch : Architecture
        What estimates say nothing of stays.
    estimates : mapping of str to LevelEstimate
        By level name in lower case, as `read_accelergy` makes them.

    Raises
    ------
    ArchitectureError
        If there are estimates, and none is for a level.
    """
    _check_estimates(arch, estimates)
    levels = (_with_estimate(each, estimates.get(each.name.casefold())) for each in arch.levels)
    return replace(arch, levels=tuple(levels))


def _check_estimates(arch: Architecture, given: Mapping[str, LevelEstimate]) -> None:
    names = [level.name for level in arch.levels]
    if given and not any(name.casefold() in given for name in names):
        raise ArchitectureError(
            f"estimates are for {', '.join(given)}; expected some for {', '.join(names)}",
            source=arch.name,
        )


def _link_bits(arch: Architecture, components: Mapping[str, Component]) -> list[int]:
    """Bits of a word that passes each level, as the nearest memory outside has them."""
    bits, found = 8, []
    for level in arch.levels:
        component = components.get(level.name)
        if isinstance(level, Memory) and component is not None:
            bits = component.word_bits
        found.append(bits)
    return found
