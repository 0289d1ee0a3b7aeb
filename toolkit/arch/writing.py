"""Architectures written back as YAML, from which the same ones are read."""

from __future__ import annotations

import math

from toolkit.arch.architecture import Architecture, Leakage, VectorUnit
from toolkit.arch.levels import Compute, Fanout, Layout, Level, Memory
from toolkit.arch.schema import ArchitectureFile
from toolkit.arch.wires import Wires
from toolkit.arguments import check_kind
from toolkit.errors import ArchitectureError
from toolkit.records import validate
from toolkit.workload.kernel import ROLES
from toolkit.yaml_files import dump_yaml, parse_yaml


def arch_to_yaml(
    arch: Architecture, *, description: str | None = None, kernel: str | None = None
) -> str:
    """Write an architecture as YAML that `load_arch` reads back as the same architecture.

    Parameters
    ----------
    arch : Architecture
        Figures at their defaults are left out.
    description, kernel : str, optional
        What the file shall say of itself.

    Raises
    ------
    ArchitectureError
        If the architecture holds something that a file may not, such as a negative energy.

    Examples
    --------
    >>> import toolkit
    >>> print(toolkit.arch_to_yaml(toolkit.load_arch("eyeriss")).splitlines()[0])
    name: eyeriss
    """
    check_kind(arch, Architecture, "arch")
    head = {
        "name": arch.name,
        "description": description,
        "clock_mhz": None if arch.clock_mhz is None else float(arch.clock_mhz),
        "kernel": kernel,
    }
    data: dict[str, object] = {key: value for key, value in head.items() if value is not None}
    data["levels"] = [_entry(level) for level in arch.levels]
    if arch.vector_unit is not None:
        data["vector_unit"] = _unit_entry(arch.vector_unit)
    if arch.leakage != Leakage():
        data["leakage"] = _leakage_entry(arch.leakage)
    text = dump_yaml(data)
    written = parse_yaml(text.encode(), source=arch.name, error=ArchitectureError)
    file = validate(ArchitectureFile, written, source=arch.name, error=ArchitectureError)
    if file.architecture() != arch:
        raise ArchitectureError("a name or figure cannot be written to a file", source=arch.name)
    return text


def _unit_entry(unit: VectorUnit) -> dict[str, object]:
    table = {bits: float(energy) for bits, energy in unit.energies_by_bits}
    entry: dict[str, object] = {
        "lanes": unit.lanes,
        "operation_energy_pj": table or float(unit.operation_energy_pj),
        "memory": unit.memory,
    }
    if unit.lane_bits is not None:
        entry["lane_bits"] = unit.lane_bits
    if unit.area_um2 is not None:
        entry["area_um2"] = float(unit.area_um2)
    return entry


def _entry(level: Level) -> dict[str, object]:
    if isinstance(level, Memory):
        entry = _memory_entry(level)
    elif isinstance(level, Fanout):
        entry = _fanout_entry(level)
    else:
        entry = _compute_entry(level)
    if level.constraints:
        entry["constraints"] = [str(constraint) for constraint in level.constraints]
    if level.area_um2 is not None:
        entry["area_um2"] = float(level.area_um2)
    return entry


def _memory_entry(level: Memory) -> dict[str, object]:
    unlimited = level.capacity_words is None
    entry: dict[str, object] = {
        "memory": level.name,
        "capacity_words": "unlimited" if unlimited else level.capacity_words,
    }
    if level.read_energy_pj == level.write_energy_pj:
        entry["access_energy_pj"] = float(level.read_energy_pj)
    else:
        entry["read_energy_pj"] = float(level.read_energy_pj)
        entry["write_energy_pj"] = float(level.write_energy_pj)
    if level.values_per_wordline != 1:
        entry["values_per_wordline"] = level.values_per_wordline
    if level.ports:
        entry["ports"] = {
            port.name: {
                "serves": list(port.serves),
                "bandwidth_words_per_cycle": float(port.bandwidth),
            }
            for port in level.ports
        }
    elif level.read_bandwidth == level.write_bandwidth:
        entry["bandwidth_words_per_cycle"] = 2 * float(level.read_bandwidth)
    else:
        entry["read_bandwidth_words_per_cycle"] = float(level.read_bandwidth)
        entry["write_bandwidth_words_per_cycle"] = float(level.write_bandwidth)
    if level.leakage_pj_per_cycle:
        entry["leakage_pj_per_cycle"] = float(level.leakage_pj_per_cycle)
    if level.bypasses:
        entry["bypasses"] = list(level.bypasses)
    if level.may_bypass:
        entry["may_bypass"] = list(level.may_bypass)
    if level.multiple_buffering != 1:
        entry["multiple_buffering"] = float(level.multiple_buffering)
    if not level.multiple_reuses:
        entry["multiple_reuses"] = False
    if level.loop_order:
        entry["loop_order"] = list(level.loop_order)
    if level.shared_port:
        entry["ports"] = "shared"
    if level.word_bits is not None:
        entry["word_bits"] = level.word_bits
    if not level.packed:
        entry["packed"] = False
    if level.overlap != "always":
        entry["overlap"] = level.overlap
    if level.whole_wordlines:
        entry["whole_wordlines"] = True
        entry["values_per_wordline"] = level.values_per_wordline
    if level.burst_words != 1 or level.layout != Layout():
        entry["burst_words"] = level.burst_words
    if level.layout != Layout():
        entry["layout"] = _orders(level.layout)
    return entry


def _orders(layout: Layout) -> object:
    by_role = {role: list(layout.of(role)) for role in ROLES if layout.of(role)}
    alike = len(by_role) == len(ROLES) and len({layout.of(role) for role in ROLES}) == 1
    return list(layout.input) if alike else by_role


def _leakage_entry(leakage: Leakage) -> dict[str, object]:
    entry: dict[str, object] = {"macs": leakage.macs}
    return entry if leakage.instances is None else {"instances": leakage.instances, **entry}


def _fanout_entry(level: Fanout) -> dict[str, object]:
    defaults = Fanout(level.name, level.mesh, level.dimensions)
    switches = (
        "multicast",
        "reduction",
        "selective_multicast",
        "selective_reduction",
        "pe_to_pe",
        "power_gating",
    )
    return {
        "fanout": level.name,
        "mesh": level.mesh,
        "dimensions": list(level.dimensions),
        **{s: getattr(level, s) for s in switches if getattr(level, s) != getattr(defaults, s)},
        **(_wire_figures(level) if level.wires is not None else {}),
    }


def _wire_figures(level: Fanout) -> dict[str, object]:
    wires, figures = level.wires or Wires(), dict[str, object]()
    figures["unicast_energy_pj"] = float(wires.unicast_energy_pj)
    for way in ("multicast", "reduction"):
        if getattr(level, way):
            figures[f"{way}_energy_pj"] = float(getattr(wires, f"{way}_energy_pj"))
    for way in ("read", "write"):
        bandwidth = float(getattr(wires, f"{way}_bandwidth"))
        if bandwidth < math.inf:
            figures[f"{way}_bandwidth_words_per_cycle"] = bandwidth
    if wires.word_bits is not None:
        figures["word_bits"] = wires.word_bits
    return figures


def _compute_entry(level: Compute) -> dict[str, object]:
    table = {bits: float(energy) for bits, energy in level.energies_by_bits}
    entry: dict[str, object] = {
        "compute": level.name,
        "mac_energy_pj": table or float(level.mac_energy_pj),
    }
    if table and level.word_bits is not None:
        entry["word_bits"] = level.word_bits
    if level.cycles != 1:
        entry["cycles"] = level.cycles
    if level.mesh != 1:
        entry["mesh"] = level.mesh
    if level.dimensions:
        entry["dimensions"] = list(level.dimensions)
    if level.leakage_pj_per_cycle:
        entry["leakage_pj_per_cycle"] = float(level.leakage_pj_per_cycle)
    for switch in ("multicast", "reduction"):
        if not getattr(level, switch):
            entry[switch] = False
    return entry
