"""What a vector unit costs: operations, and the words that they move between the memories.

Layers run one after the other, so that operands come from the outermost memory that holds them
and results return there. On their way they pass every memory down to the one that feeds the
unit and holds tensors of their role; each passage costs what it costs in the model of mappings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.arch.architecture import Architecture, VectorUnit
from toolkit.arch.levels import Fanout, Memory
from toolkit.arch.packing import words_per_value
from toolkit.arch.ports import TRAFFIC
from toolkit.errors import ArchitectureError
from toolkit.model.conventions import EXACT, Conventions
from toolkit.model.plan import gates_idle_instances, leakage_pj_per_cycle
from toolkit.model.plan_ports import port_cycles
from toolkit.model.tables import LevelEnergy
from toolkit.workload.kernel import Role

DEFAULT_LANES = 16
"""Operations per cycle of a vector unit that the architecture does not describe."""

_ACTIVATIONS: tuple[Role, ...] = ("input", "output")

UNIT = "VectorUnit"
"""What tables call the unit."""


@dataclass(frozen=True, slots=True)
class Values:
    """Values of one kind: how many, and of how many bits (None: each takes a word)."""

    count: int
    bits: int | None = None


Moved = Mapping[Role, Sequence[Values]]
"""What is read (``input``, ``weight``) and written (``output``), each value once."""


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
    (VectorUnit(lanes=16, operation_energy_pj=0.21, memory='GlobalBuffer', lane_bits=None, \
energies_by_bits=(), area_um2=None), True)
    """
    if arch.vector_unit is not None:
        return arch.vector_unit, False
    memory = _outermost(arch, "input")
    for level in arch.levels:
        if not isinstance(level, Memory):
            break
        memory = level if _holds(level, "input") else memory
    compute = arch.compute
    unit = VectorUnit(
        DEFAULT_LANES,
        compute.mac_energy_pj,
        memory.name,
        energies_by_bits=compute.energies_by_bits,
    )
    return unit, True


def vector_cost(
    arch: Architecture,
    unit: VectorUnit,
    operations: int,
    moved: Moved,
    *,
    bits: int | None = None,
    conventions: Conventions = EXACT,
) -> VectorCost:
    """Cost operations of the vector unit, with their operands and results.

    Its figures are for the widest input or output (`operation_energy_pj`, `lanes_of`).

    Parameters
    ----------
    arch : Architecture
        Where the words are.
    unit : VectorUnit
        What computes; see `vector_unit_of`.
    operations : int
        On single elements.
    moved : mapping of role to values
        What is read (``input``, ``weight``) and written (``output``), each once. None at all for
        operations on what passes by, such as rescaling the outputs of an array.
    bits : int, optional
        Of the values that pass by, if any.
    conventions : Conventions
        Whether memories have one port for everything.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> arch = load_arch("eyeriss")
    >>> unit, _ = vector_unit_of(arch)
    >>> values = (Values(100),)
    >>> vector_cost(arch, unit, 100, {"input": values, "output": values}).latency_cycles
    25.0
    """
    # Constants such as biases may be wider than what is computed.
    widths = [bits, *(v.bits for role in _ACTIVATIONS for v in moved.get(role, ()))]
    widest = max((width for width in widths if width is not None), default=None)
    paths = {role: _path(arch, role, unit.memory) for role, values in moved.items() if values}
    energy = operations * operation_energy_pj(unit, widest)
    cycles = operations / lanes_of(unit, widest)
    return _cost(arch, conventions, operations, cycles, energy, moved, paths)


def operation_energy_pj(unit: VectorUnit, bits: int | None) -> float:
    """Energy of one operation on values of so many bits.

    Where the unit has no figure for so many, that of the next wider ones counts, or the widest.

    Examples
    --------
    >>> unit = VectorUnit(16, 0.8, "Buffer", energies_by_bits=((8, 0.1), (32, 0.8)))
    >>> [operation_energy_pj(unit, bits) for bits in (8, 16, None)]
    [0.1, 0.8, 0.8]
    """
    if bits is None or not unit.energies_by_bits:
        return unit.operation_energy_pj
    fitting = [energy for width, energy in unit.energies_by_bits if width >= bits]
    return fitting[0] if fitting else unit.energies_by_bits[-1][1]


def lanes_of(unit: VectorUnit, bits: int | None) -> float:
    """Operations per cycle on values of so many bits.

    Where lanes have a width, narrower values share one, and wider ones take several.

    Examples
    --------
    >>> lanes_of(VectorUnit(16, 0.8, "Buffer", lane_bits=32), 8)
    64.0
    """
    if bits is None or unit.lane_bits is None:
        return float(unit.lanes)
    if bits > unit.lane_bits:
        return unit.lanes / -(-bits // unit.lane_bits)
    return float(unit.lanes * (unit.lane_bits // bits))


def movement_cost(
    arch: Architecture, moved: Moved, *, conventions: Conventions = EXACT
) -> VectorCost:
    """Cost elements that are only moved: read and written where the outermost memory holds them.

    Parameters
    ----------
    arch : Architecture
        Where the words are.
    moved : mapping of role to values
        What is read (``input``, ``weight``) and written (``output``).
    conventions : Conventions
        Whether memories have one port for everything.
    """
    paths = {role: [_outermost(arch, role)] for role, values in moved.items() if values}
    return _cost(arch, conventions, 0, 0.0, 0.0, moved, paths)


def words_in(memory: Memory, values: Sequence[Values]) -> float:
    """Words that values take in a memory, packed where its words are."""
    packed = (v.count * words_per_value(memory, v.bits) for v in values)
    return float(sum(packed))


def _traffic(moved: Moved, paths: Mapping[Role, Sequence[Memory]]) -> dict[str, dict[str, float]]:
    """Words of every kind of traffic by the name of the memory."""
    traffic: dict[str, dict[str, float]] = {}
    for role, memories in paths.items():
        inside, outside = ("updates", "drains") if role == "output" else ("reads", "fills")
        for place, memory in enumerate(memories):
            own = traffic.setdefault(memory.name, dict.fromkeys(TRAFFIC, 0.0))
            words = words_in(memory, moved[role])
            own[inside] += words
            own[outside] += words if place else 0.0
    return traffic


def _cost(
    arch: Architecture,
    conventions: Conventions,
    operations: int,
    operation_cycles: float,
    operation_pj: float,
    moved: Moved,
    paths: Mapping[Role, Sequence[Memory]],
) -> VectorCost:
    traffic = _traffic(moved, paths)
    access: dict[str, float] = {}
    latency, instances = operation_cycles, 1
    for level in arch.levels:
        if isinstance(level, Fanout):
            instances *= level.mesh
        if isinstance(level, Memory) and level.name in traffic:
            own = traffic[level.name]
            sent, received = own["reads"] + own["drains"], own["updates"] + own["fills"]
            access[level.name] = level.read_energy_pj * sent + level.write_energy_pj * received
            cycles = port_cycles(level, conventions, own)
            latency = max(latency, cycles / instances)
    if operation_pj or operations:
        access[UNIT] = operation_pj
    if conventions.whole_cycles:
        latency = float(math.ceil(latency))
    levels = _levels(access, idle_leakage_pj(arch, latency, conventions))
    return VectorCost(
        operations,
        math.fsum(level.energy_pj for level in levels),
        latency,
        operation_cycles,
        _outermost_words(moved, paths, "input") + _outermost_words(moved, paths, "weight"),
        _outermost_words(moved, paths, "output"),
        levels,
    )


def _outermost_words(moved: Moved, paths: Mapping[Role, Sequence[Memory]], role: Role) -> int:
    return math.ceil(words_in(paths[role][0], moved[role])) if role in paths else 0


def idle_leakage_pj(
    arch: Architecture, cycles: float, conventions: Conventions
) -> dict[str, float]:
    """Leakage in pJ by level while the array idles, so that what can be gated is.

    Examples
    --------
    >>> from toolkit.arch import Architecture, Compute, Memory
    >>> dram = Memory("DRAM", None, 64.0, 64.0, 4.0, 4.0, leakage_pj_per_cycle=2.0)
    >>> idle_leakage_pj(Architecture("small", (dram, Compute("MAC", 0.2))), 10.0, EXACT)
    {'DRAM': 20.0}
    """
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
