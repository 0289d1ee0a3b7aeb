"""Architectures as YAML files: reading, writing, and those that come with the package."""

from __future__ import annotations

import os
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Compute, Fanout, Level, Memory
from toolkit.arch.schema import ArchitectureFile
from toolkit.errors import ArchitectureError
from toolkit.records import relocated, suggest, validate
from toolkit.yaml_files import describe, dump_yaml, parse_yaml, read_yaml


def arch_names() -> tuple[str, ...]:
    """List the architectures that come with the package, sorted.

    Examples
    --------
    >>> "eyeriss" in arch_names()
    True
    """
    files = (Path(entry.name) for entry in _folder().iterdir())
    return tuple(sorted(file.stem for file in files if file.suffix == ".yaml"))


def load_arch(name_or_path: str | os.PathLike[str]) -> Architecture:
    """Load an architecture.

    Parameters
    ----------
    name_or_path : str or path-like
        A name that `arch_names` lists, or a YAML file (a path object, text ending in .yaml or
        .yml, or an existing file).

    Raises
    ------
    ArchitectureError
        Naming file, key, value and expectation, if it is unknown, unreadable or malformed.

    Examples
    --------
    >>> load_arch("eyeriss").compute.mac_energy_pj
    0.21
    """
    file, source = _read(name_or_path)
    return _build(file, source)


def load_arch_file(name_or_path: str | os.PathLike[str]) -> ArchitectureFile:
    """Load what `load_arch` loads, with the file's description and kernel.

    Examples
    --------
    >>> load_arch_file("eyeriss-conv").kernel
    'conv'
    """
    file, source = _read(name_or_path)
    _build(file, source)
    return file


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
    """
    head = {"name": arch.name, "description": description, "kernel": kernel}
    data: dict[str, object] = {key: value for key, value in head.items() if value is not None}
    data["levels"] = [_entry(level) for level in arch.levels]
    text = dump_yaml(data)
    written = parse_yaml(text.encode(), source=arch.name, error=ArchitectureError)
    file = validate(ArchitectureFile, written, source=arch.name, error=ArchitectureError)
    if file.architecture() != arch:
        raise ArchitectureError("a name or figure cannot be written to a file", source=arch.name)
    return text


def _folder() -> Traversable:
    """Find the packaged files; in a checkout that is not installed they lie next to `toolkit`."""
    try:
        return resources.files("toolkit.archs")
    except ModuleNotFoundError:
        return Path(__file__).parents[2] / "archs"


def _read(name_or_path: str | os.PathLike[str]) -> tuple[ArchitectureFile, str]:
    name = os.fspath(name_or_path)
    is_path = not isinstance(name_or_path, str) or Path(name).suffix.lower() in (".yaml", ".yml")
    names = () if is_path else arch_names()
    if name in names:
        source = f"archs/{name}.yaml"
        packaged = _folder().joinpath(f"{name}.yaml").read_bytes()
        data = parse_yaml(packaged, source=source, error=ArchitectureError)
    elif is_path or _is_file(name):
        source = name
        data = read_yaml(name, error=ArchitectureError)
    else:
        raise ArchitectureError(
            f"unknown architecture {describe(name)}{suggest(name, names)}; "
            f"expected a YAML file or one of {', '.join(names)}"
        )
    return validate(ArchitectureFile, data, source=source, error=ArchitectureError), source


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def _build(file: ArchitectureFile, source: str) -> Architecture:
    try:
        return file.architecture()
    except ArchitectureError as cause:
        raise relocated(cause, source) from None


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
    if level.read_bandwidth == level.write_bandwidth:
        entry["bandwidth_words_per_cycle"] = 2 * float(level.read_bandwidth)
    else:
        entry["read_bandwidth_words_per_cycle"] = float(level.read_bandwidth)
        entry["write_bandwidth_words_per_cycle"] = float(level.write_bandwidth)
    if level.leakage_pj_per_cycle:
        entry["leakage_pj_per_cycle"] = float(level.leakage_pj_per_cycle)
    if level.bypasses:
        entry["bypasses"] = list(level.bypasses)
    if level.multiple_buffering != 1:
        entry["multiple_buffering"] = float(level.multiple_buffering)
    if not level.multiple_reuses:
        entry["multiple_reuses"] = False
    if level.loop_order:
        entry["loop_order"] = list(level.loop_order)
    return entry


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
    }


def _compute_entry(level: Compute) -> dict[str, object]:
    entry: dict[str, object] = {
        "compute": level.name,
        "mac_energy_pj": float(level.mac_energy_pj),
    }
    if level.cycles != 1:
        entry["cycles"] = level.cycles
    if level.mesh != 1:
        entry["mesh"] = level.mesh
    if level.dimensions:
        entry["dimensions"] = list(level.dimensions)
    if level.leakage_pj_per_cycle:
        entry["leakage_pj_per_cycle"] = float(level.leakage_pj_per_cycle)
    return entry
