"""Which memory holds which tensor: as the architecture says, or as a mapping chooses.

An architecture fixes what its memories bypass, and names what a mapping may leave out beyond that
(`Memory.may_bypass`). A mapping that chooses is costed on the architecture with its choice written
in, so the model knows nothing of choices.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from toolkit.arch.architecture import Architecture, holds, may_bypass
from toolkit.arch.levels import Memory
from toolkit.errors import InputError, MappingError
from toolkit.mapping.mapping import BoolArray, LevelMapping, Mapping, check_levels
from toolkit.messages import describe, suggest
from toolkit.workload.kernel import ROLES, Workload

Bypass = Literal["permitted", "free", "fixed"]
"""What mappings may leave out: what the architecture permits, whatever a memory but the outermost
holds, or nothing."""


def check_bypass_rule(rule: str) -> None:
    """Raise InputError unless `rule` says what mappings may leave out."""
    if rule not in get_args(Bypass):
        raise InputError(
            f"{describe(rule)} says nothing of bypasses; "
            f"expected one of {', '.join(get_args(Bypass))}",
            key="bypass",
        )


def with_bypass_rule(arch: Architecture, rule: Bypass) -> Architecture:
    """Write what mappings may leave out into an architecture.

    Parameters
    ----------
    arch : Architecture
        What it bypasses itself stays as it is.
    rule : {"permitted", "free", "fixed"}
        As `Bypass` says; permitted is the architecture as it is.

    Raises
    ------
    InputError
        If `rule` is none of these.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> simba = with_bypass_rule(load_arch("simba"), "free")
    >>> {memory.name: memory.may_bypass for memory in simba.memories[:3]}
    {'DRAM': (), 'GlobalBuffer': ('input', 'output'), 'PEInputBuffer': ('input',)}
    """
    check_bypass_rule(rule)
    if rule == "permitted":
        return arch
    outermost, *inner = arch.levels
    free = ROLES if rule == "free" else ()
    levels = [
        replace(x, may_bypass=tuple(r for r in free if r not in x.bypasses))
        if isinstance(x, Memory)
        else x
        for x in inner
    ]
    return replace(arch, levels=(outermost, *levels))


def chosen_arch(arch: Architecture, workload: Workload, mapping: Mapping) -> Architecture:
    """Write the bypasses that a mapping chooses into an architecture.

    Returns
    -------
    Architecture
        `arch` itself if the mapping chooses nothing.

    Raises
    ------
    MappingError
        Naming level and tensor, if the mapping does not describe the architecture, or chooses
        what that does not permit.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> from toolkit.workload import gemm
    >>> arch, workload = load_arch("gemmini"), gemm(4, 2, 3)
    >>> silent = Mapping(tuple(LevelMapping(level.name, ()) for level in arch.levels))
    >>> chosen_arch(arch, workload, silent) is arch
    True
    """
    return arch_with_holds(arch, workload, chosen_holds(mapping, arch, workload))


def chosen_holds(mapping: Mapping, arch: Architecture, workload: Workload) -> BoolArray:
    """Tell which memory holds which tensor in a mapping.

    Returns
    -------
    bool array, shape (memories, tensors)
        Memories outermost first, tensors in the workload's order.

    Raises
    ------
    MappingError
        As `chosen_arch` does.
    """
    check_levels(mapping, arch)
    for entry, level in zip(mapping.levels, arch.levels, strict=True):
        if entry.bypasses is not None:
            _check_choice(entry, level if isinstance(level, Memory) else None, arch, workload)
    chosen = {entry.level: entry.bypasses for entry in mapping.levels}
    found = held(arch, workload)
    for row, memory in zip(found, arch.memories, strict=True):
        names = chosen[memory.name]
        if names is not None:
            row[:] = [tensor.name not in names for tensor in workload.tensors]
    return found


def held(arch: Architecture, workload: Workload) -> BoolArray:
    """Tell which memory holds which tensor where mappings choose nothing, as `chosen_holds`."""
    return np.array([[holds(m, t) for t in workload.tensors] for m in arch.memories])


def may_leave_out(arch: Architecture, workload: Workload) -> BoolArray:
    """Tell what a mapping may choose: which memory may leave out a tensor that it holds otherwise.

    Returns
    -------
    bool array, shape (memories, tensors)
    """
    return np.array([[may_bypass(m, t) for t in workload.tensors] for m in arch.memories])


def with_holds(
    mapping: Mapping, chosen: BoolArray, arch: Architecture, workload: Workload
) -> Mapping:
    """Write into a mapping which memory holds which tensor; the inverse of `chosen_holds`.

    Parameters
    ----------
    mapping : Mapping
        Of `workload` on `arch`; what it chose before is forgotten.
    chosen : bool array, shape (memories, tensors)
        Who holds what. Memories that hold what the architecture says are left without a choice.

    Raises
    ------
    MappingError
        As `chosen_arch` does, for the new mapping.
    """
    names = {
        memory.name: tuple(
            t.name for t, kept in zip(workload.tensors, row, strict=True) if not kept
        )
        for memory, row, usual in zip(arch.memories, chosen, held(arch, workload), strict=True)
        if not np.array_equal(row, usual)
    }
    found = Mapping(tuple(replace(x, bypasses=names.get(x.level)) for x in mapping.levels))
    chosen_holds(found, arch, workload)
    return found


def with_bypasses_of(mapping: Mapping, other: Mapping) -> Mapping:
    """Choose the bypasses of another mapping on the same architecture."""
    pairs = zip(mapping.levels, other.levels, strict=True)
    return Mapping(tuple(replace(entry, bypasses=own.bypasses) for entry, own in pairs))


def arch_with_holds(arch: Architecture, workload: Workload, chosen: BoolArray) -> Architecture:
    """Write who holds what into an architecture, whatever it permits.

    Parameters
    ----------
    arch, workload : Architecture, Workload
        Memories and tensors.
    chosen : bool array, shape (memories, tensors)
        As `chosen_holds` tells it.

    Returns
    -------
    Architecture
        `arch` itself if it says so already.

    Raises
    ------
    MappingError
        If a tensor is called by the role of another one, so that a file could not tell them apart.
    """
    usual = held(arch, workload)
    if np.array_equal(usual, chosen):
        return arch
    memories = {
        memory.name: memory if np.array_equal(old, row) else _bypassing(memory, workload, row)
        for memory, old, row in zip(arch.memories, usual, chosen, strict=True)
    }
    found = replace(arch, levels=tuple(memories.get(x.name, x) for x in arch.levels))
    if not np.array_equal(held(found, workload), chosen):
        raise MappingError(
            f"a tensor of {workload.name} is called by the role of another one, so it cannot be "
            "left out alone",
            key="bypasses",
        )
    return found


def _bypassing(memory: Memory, workload: Workload, row: BoolArray) -> Memory:
    names = tuple(t.name for t, kept in zip(workload.tensors, row, strict=True) if not kept)
    left = tuple(name for name in memory.may_bypass if name not in names)
    return replace(memory, bypasses=names, may_bypass=left)


def _check_choice(
    entry: LevelMapping, memory: Memory | None, arch: Architecture, workload: Workload
) -> None:
    """Refuse bypasses of one level that mean nothing, or that the architecture forbids."""
    key = f"{entry.level}.bypasses"
    if memory is None:
        raise MappingError(f"{entry.level} is not a memory, so it holds no tensor", key=key)
    chosen, known = entry.bypasses or (), [tensor.name for tensor in workload.tensors]
    for name in chosen:
        if name not in known:
            raise MappingError(
                f"unknown tensor {describe(name)}{suggest(str(name), known)}; {workload.name} has "
                f"{', '.join(known)}",
                key=key,
            )
    permitted = [tensor.name for tensor in workload.tensors if may_bypass(memory, tensor)]
    for tensor in workload.tensors:
        kept = tensor.name not in chosen
        if kept and not holds(memory, tensor):
            raise MappingError(
                f"{entry.level} cannot hold {tensor.name}, which it bypasses in {arch.name}",
                key=key,
            )
        if not kept and holds(memory, tensor) and tensor.name not in permitted:
            raise MappingError(
                f"{entry.level} cannot leave out {tensor.name}: {arch.name} lets a mapping leave "
                f"out {', '.join(permitted) or 'nothing'} there (may_bypass)",
                key=key,
            )
