"""What a vector unit costs: operations, and the words that they move between the memories.

Layers run one after the other, so that operands come from the outermost memory that holds them
and results return there. On their way they pass every memory down to the one that feeds the
unit and holds tensors of their role; each passage costs what it costs in the model of mappings.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.arch.architecture import Architecture, VectorUnit
from toolkit.arch.levels import Fanout, Memory
from toolkit.errors import ArchitectureError
from toolkit.model.conventions import EXACT, Conventions
from toolkit.model.plan import gates_idle_instances, leakage_pj_per_cycle, port_cycles
from toolkit.model.tables import LevelEnergy
from toolkit.workload.kernel import Role

DEFAULT_LANES = 16
"""Operations per cycle of a vector unit that the architecture does not describe."""

UNIT = "VectorUnit"
"""What tables call the unit."""


@dataclass(frozen=True, slots=True)
class VectorCost:
    """Cost of one layer on the vector unit, or of moving its elements.

    Parameters
    ----------
    operations : int
        On single elements; 0 if elements are only moved.
    energy_pj : float
        The sum of `levels`.
    latency_cycles : float
        The longest of the operations on all lanes and of what each port has to move.
    operation_cycles : float
        Cycles of the operations alone.
    dram_reads, dram_writes : int
        Words at the outermost memories that hold the operands and the results.
    levels : tuple of LevelEnergy
        Energy of the memories that move words, and of the unit.
    """

    operations: int
    energy_pj: float
    latency_cycles: float
    operation_cycles: float
    dram_reads: int
    dram_writes: int
    levels: tuple[LevelEnergy, ...]


def vector_unit_of(arch: Architecture) -> tuple[VectorUnit, bool]:
    """Return an architecture's vector unit, and whether it had to be assumed.

    An architecture that describes none is taken to have `DEFAULT_LANES` lanes, whose operations
    cost as much as a multiply-accumulate of its array, fed by the innermost memory outside of
    all fanouts that holds inputs (the outermost memory that holds them, if there is none).

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> vector_unit_of(load_arch("eyeriss"))
    (VectorUnit(lanes=16, operation_energy_pj=0.21, memory='GlobalBuffer'), True)
    """
    if arch.vector_unit is not None:
        return arch.vector_unit, False
    memory = _outermost(arch, "input")
    for level in arch.levels:
        if not isinstance(level, Memory):
            break
        memory = level if _holds(level, "input") else memory
    return VectorUnit(DEFAULT_LANES, arch.compute.mac_energy_pj, memory.name), True


def vector_cost(
    arch: Architecture,
    unit: VectorUnit,
    operations: int,
    words: Mapping[Role, int],
    *,
    conventions: Conventions = EXACT,
) -> VectorCost:
    """Cost operations of the vector unit, with their operands and results.

    Parameters
    ----------
    arch : Architecture
        Where the words are.
    unit : VectorUnit
        What computes; see `vector_unit_of`.
    operations : int
        On single elements.
    words : mapping of role to int
        Words read (``input``, ``weight``) and written (``output``), each once. None at all for
        operations on what passes by, such as rescaling the outputs of an array.
    conventions : Conventions
        Whether memories have one port for everything.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> arch = load_arch("eyeriss")
    >>> unit, _ = vector_unit_of(arch)
    >>> vector_cost(arch, unit, 100, {"input": 100, "output": 100}).latency_cycles
    25.0
    """
    paths = {role: _path(arch, role, unit.memory) for role, count in words.items() if count}
    moved = _moved(words, paths)
    energy = operations * unit.operation_energy_pj
    return _cost(arch, conventions, operations, operations / unit.lanes, energy, words, moved)


def movement_cost(
    arch: Architecture, words: Mapping[Role, int], *, conventions: Conventions = EXACT
) -> VectorCost:
    """Cost elements that are only moved: read and written where the outermost memory holds them.

    Parameters
    ----------
    arch : Architecture
        Where the words are.
    words : mapping of role to int
        Words read (``input``, ``weight``) and written (``output``).
    conventions : Conventions
        Whether memories have one port for everything.
    """
    paths = {role: [_outermost(arch, role)] for role, count in words.items() if count}
    return _cost(arch, conventions, 0, 0.0, 0.0, words, _moved(words, paths))


def _moved(
    words: Mapping[Role, int], paths: Mapping[Role, Sequence[Memory]]
) -> dict[str, Counter[str]]:
    """Words of every kind of traffic by the name of the memory."""
    moved: dict[str, Counter[str]] = {}
    for role, memories in paths.items():
        inside, outside = ("updates", "drains") if role == "output" else ("reads", "fills")
        for place, memory in enumerate(memories):
            own = moved.setdefault(memory.name, Counter())
            own[inside] += words[role]
            own[outside] += words[role] if place else 0
    return moved


def _cost(
    arch: Architecture,
    conventions: Conventions,
    operations: int,
    operation_cycles: float,
    operation_pj: float,
    words: Mapping[Role, int],
    moved: Mapping[str, Counter[str]],
) -> VectorCost:
    access: dict[str, float] = {}
    latency, instances = operation_cycles, 1
    for level in arch.levels:
        if isinstance(level, Fanout):
            instances *= level.mesh
        if isinstance(level, Memory) and level.name in moved:
            own = moved[level.name]
            sent, received = own["reads"] + own["drains"], own["updates"] + own["fills"]
            access[level.name] = level.read_energy_pj * sent + level.write_energy_pj * received
            cycles = port_cycles(level, conventions, own)
            latency = max(latency, cycles / instances)
    if operation_pj or operations:
        access[UNIT] = operation_pj
    if conventions.whole_cycles:
        latency = float(math.ceil(latency))
    levels = _levels(access, _leakage(arch, latency, conventions))
    return VectorCost(
        operations,
        math.fsum(level.energy_pj for level in levels),
        latency,
        operation_cycles,
        words.get("input", 0) + words.get("weight", 0),
        words.get("output", 0),
        levels,
    )


def _leakage(arch: Architecture, cycles: float, conventions: Conventions) -> dict[str, float]:
    """Leakage in pJ by level: the array idles, so that what can be gated is."""
    leaked, instances = {}, 1
    for level in arch.levels:
        if isinstance(level, Fanout):
            instances *= 0 if gates_idle_instances(arch, level, conventions) else level.mesh
        elif (pj := leakage_pj_per_cycle(arch, level, conventions)) and instances:
            leaked[level.name] = cycles * instances * pj
    return leaked


def _levels(access: Mapping[str, float], leakage: Mapping[str, float]) -> tuple[LevelEnergy, ...]:
    total = math.fsum([*access.values(), *leakage.values()])
    names = dict.fromkeys([*access, *leakage])
    parts = ((name, access.get(name, 0.0), leakage.get(name, 0.0)) for name in names)
    return tuple(
        LevelEnergy(name, used, leaked, (used + leaked) / total if total else 0.0)
        for name, used, leaked in parts
    )


def _path(arch: Architecture, role: Role, last: str) -> list[Memory]:
    """Memories that hold a role, from the outermost down to the one named `last`."""
    passed: list[Memory] = []
    for memory in arch.memories:
        if _holds(memory, role):
            passed.append(memory)
        if memory.name == last:
            return passed or [_outermost(arch, role)]
    raise ArchitectureError(
        f"the vector unit is fed by {last!r}, which is no memory", source=arch.name
    )


def _outermost(arch: Architecture, role: Role) -> Memory:
    for memory in arch.memories:
        if _holds(memory, role):
            return memory
    raise ArchitectureError(f"no memory holds the role {role!r}", source=arch.name)


def _holds(memory: Memory, role: Role) -> bool:
    return role not in memory.bypasses
