"""Architectures as YAML files: reading, writing, and those that come with the package."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path

from toolkit.arch.architecture import Architecture, Leakage, VectorUnit
from toolkit.arch.expressions import Number
from toolkit.arch.levels import Compute, Fanout, Layout, Level, Memory
from toolkit.arch.native_numbers import native_numbers
from toolkit.arch.packaged import arch_names, packaged_data, packaged_file
from toolkit.arch.parameters import parse_settings
from toolkit.arch.peers import own_form, read_arch_data
from toolkit.arch.quantities import Quantity
from toolkit.arch.schema import ArchitectureFile
from toolkit.arch.template import ArchitectureTemplate, make_template
from toolkit.arch.wires import Wires
from toolkit.arguments import check_kind
from toolkit.errors import ArchitectureError
from toolkit.messages import describe, shown_path, suggest
from toolkit.python_files import TrustedPython, plain_data, refuse_untrusted
from toolkit.records import validate
from toolkit.text_files import is_file, lies_there
from toolkit.workload.kernel import ROLES
from toolkit.yaml_files import dump_yaml, parse_yaml


def load_arch(
    name_or_path: str | os.PathLike[str], parameters: Mapping[str, Number] | None = None
) -> Architecture:
    """Load an architecture.

    Parameters
    ----------
    name_or_path : str or path-like
        A name that `arch_names` lists, or a YAML file (a path object, text ending in .yaml or
        .yml, or an existing file), also an accelerator of ZigZag or an architecture of Timeloop
        (`toolkit.arch.peers`; several files of Timeloop's may be joined, as in
        ``arch.yaml+ERT.yaml``). As text it may go on with parameters, such as
        ``gemmini-ws:side=32,dram_bandwidth=16``. `toolkit.TrustedPython` names an architecture
        in a Python file, or a mapping with the keys of a YAML file.
    parameters : mapping of str to number, optional
        Parameters of the architecture that shall differ from their defaults.

    Raises
    ------
    ArchitectureError
        Naming file, key, value and expectation, if it is unknown, unreadable or malformed, or
        has no such parameters.

    Examples
    --------
    >>> load_arch("eyeriss").compute.mac_energy_pj
    0.21
    >>> load_arch("gemmini-ws", {"side": 32}) == load_arch("gemmini-ws:side=32")
    True
    """
    template, given = _open(name_or_path, parameters)
    return template.architecture(given)


def load_arch_file(
    name_or_path: str | os.PathLike[str], parameters: Mapping[str, Number] | None = None
) -> ArchitectureFile:
    """Load what `load_arch` loads, with the file's description, kernel and parameters.

    Examples
    --------
    >>> load_arch_file("eyeriss-conv").kernel
    'conv'
    """
    template, given = _open(name_or_path, parameters)
    return template.file(given)


def load_template(name_or_path: str | os.PathLike[str]) -> ArchitectureTemplate:
    """Load an architecture with its parameters left open, to build many hardware points from.

    Parameters
    ----------
    name_or_path : str or path-like
        As `load_arch` takes it, without parameters.

    Raises
    ------
    ArchitectureError
        As `load_arch` does: the defaults must make a valid architecture.

    Examples
    --------
    >>> template = load_template("gemmini-ws")
    >>> [template.architecture({"side": side}).fanouts[0].mesh for side in (8, 64)]
    [8, 64]
    """
    template, given = _open(name_or_path, None)
    if given:
        raise ArchitectureError(
            f"{describe(os.fspath(name_or_path))} gives parameters; expected a name or a file "
            "alone"
        )
    template.architecture()
    return template


def arch_definition(name_or_path: str | os.PathLike[str]) -> str:
    """Write an architecture as YAML that is ready to be copied and changed.

    A file with parameters comes back as it was written, with its expressions and comments; if
    `name_or_path` gives parameters, or the file has none, with all figures filled in.

    Raises
    ------
    ArchitectureError
        As `load_arch` does.
    """
    template, given = _open(name_or_path, None)
    file = template.file(given)
    if template.parameters and not given:
        if isinstance(name_or_path, TrustedPython):
            return dump_yaml(_python_data(name_or_path))
        written = _packaged(name_or_path) or Path(name_or_path)
        return written.read_text(encoding="utf-8-sig")
    return arch_to_yaml(file.architecture(), description=file.description, kernel=file.kernel)


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


def _open(
    name_or_path: str | os.PathLike[str], parameters: Mapping[str, Number] | None
) -> tuple[ArchitectureTemplate, Mapping[str, Number]]:
    """Read a file, and the parameters that stand behind its name or beside it."""
    place, settings = _split(name_or_path)
    given: Mapping[str, Number] = {} if parameters is None else parameters
    if not isinstance(given, Mapping):  # which the template refuses
        data, source = _read(place, {})[:2]
        return make_template(data, source), given
    written: Mapping[str, Number | Quantity] = {}
    if settings is not None:
        shown = f"archs/{place}.yaml" if _packaged(place) else _shown(place)
        written = parse_settings(settings, shown)
        _check_given_once(written, given, name_or_path, shown)
    numbers = {name: value for name, value in written.items() if isinstance(value, int | float)}
    data, source, used = _read(place, {**given, **numbers})
    content = data if isinstance(data, dict) else {}
    given = {**given, **native_numbers(content, source, written)}
    data, given = own_form(data, source, given, used)
    return make_template(data, source), given


def _check_given_once(
    written: Mapping[str, object],
    given: Mapping[str, Number],
    name_or_path: str | os.PathLike[str],
    source: str,
) -> None:
    for name in written:
        if name in given:
            raise ArchitectureError(
                f"given as {describe(name_or_path)} and again in parameters; expected one of them",
                source=source,
                key=f"parameters.{name}",
            )


def _split(name_or_path: str | os.PathLike[str]) -> tuple[str | os.PathLike[str], str | None]:
    """Take parameters off the end of a text; what exists or ends like a file has none."""
    refuse_untrusted(name_or_path, ArchitectureError)
    if isinstance(name_or_path, TrustedPython):
        return name_or_path, name_or_path.settings or None
    if not isinstance(name_or_path, str) or _is_path(name_or_path) or is_file(name_or_path):
        return name_or_path, None
    place, colon, settings = name_or_path.rpartition(":")
    found = "=" in settings or _is_path(place) or _packaged(place) or is_file(place)
    return (place, settings) if colon and found else (name_or_path, None)


def _read(
    name_or_path: str | os.PathLike[str], given: Mapping[str, Number]
) -> tuple[object, str, frozenset[str]]:
    """Read the data of a file, how messages call it, and which parameters were used for that."""
    name = os.fspath(name_or_path)
    if isinstance(name_or_path, TrustedPython):
        return _python_data(name_or_path), _shown(name_or_path), frozenset()
    if _packaged(name_or_path):
        return *packaged_data(name), frozenset()
    if _is_path(name_or_path) or is_file(name):
        document = read_arch_data(name_or_path, given)
        return document.data, document.source, document.used
    names = arch_names()
    raise ArchitectureError(
        f"unknown architecture {describe(name)}{lies_there(name) or suggest(name, names)}; "
        f"expected a YAML file or one of {', '.join(names)}"
    )


def _shown(place: str | os.PathLike[str]) -> str:
    return shown_path(place.path if isinstance(place, TrustedPython) else os.fspath(place))


def _python_data(spec: TrustedPython) -> object:
    """The architecture in a Python file, or its plain data, as a YAML file would have it."""
    value = spec.value(ArchitectureError)
    source = _shown(spec)
    if isinstance(value, Architecture):
        return parse_yaml(arch_to_yaml(value).encode(), source=source, error=ArchitectureError)
    if not isinstance(value, Mapping):
        raise ArchitectureError(
            f"expected an Architecture, or a mapping with the keys of a YAML file, got "
            f"{describe(type(value).__name__)}",
            source=source,
            key=spec.name,
        )
    return plain_data(value, source, ArchitectureError)


def _packaged(name_or_path: str | os.PathLike[str]) -> Traversable | None:
    if _is_path(name_or_path) or name_or_path not in arch_names():
        return None
    return packaged_file(os.fspath(name_or_path))


def _is_path(name_or_path: str | os.PathLike[str]) -> bool:
    """Whether it can be nothing but a file, be it there or not."""
    if not isinstance(name_or_path, str):
        return True
    return Path(name_or_path).suffix.lower() in (".yaml", ".yml")


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
