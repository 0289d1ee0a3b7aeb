"""From access counts to energy, latency and utilization, for a whole batch of mappings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from toolkit.arch.levels import Fanout, Memory
from toolkit.model.counts import Accesses, AccessTable, access_counts
from toolkit.model.loops import Array, Loops, make_loops, product
from toolkit.model.plan import ROUNDING, Plan


@dataclass(frozen=True, slots=True)
class MemoryTiming:
    """How one memory keeps up with the levels inside it; arrays of shape [batch].

    Parameters
    ----------
    cycles_per_tile : array
        Cycles of one iteration of the memory's own loops.
    read_drain_cycles, fill_update_cycles : array
        Cycles of the run if only the levels inside and the read (write) port limited it; equal
        where ports are shared.
    stall_cycles : array
        Cycles by which the slower port exceeds the levels inside, over the whole run.
    ideal_bandwidth : dict of str to array
        Words per cycle and instance of ``read``, ``update``, ``fill`` and ``drain`` traffic
        without any stall.
    """

    cycles_per_tile: Array
    read_drain_cycles: Array
    fill_update_cycles: Array
    stall_cycles: Array
    ideal_bandwidth: dict[str, Array]


@dataclass(frozen=True)
class BatchCost:
    """Costs of a batch of mappings; arrays of shape [batch].

    Parameters
    ----------
    energy_pj, latency_cycles, utilization : array
        Totals of the run; utilization is the fraction of instances used, over all spatial
        levels.
    access_energy_pj, leakage_pj : dict of int to array
        Energy by level number.
    accesses : AccessTable
        Counts by memory and tensor.
    timing : dict of int to MemoryTiming
        By level number of the memory.
    """

    loops: Loops
    energy_pj: Array
    latency_cycles: Array
    utilization: Array
    access_energy_pj: dict[int, Array]
    leakage_pj: dict[int, Array]
    accesses: AccessTable
    timing: dict[int, MemoryTiming]

    @property
    def edp_pj_cycles(self) -> Array:
        """Energy-delay product."""
        return self.energy_pj * self.latency_cycles


def batch_cost(plan: Plan, factors: Any, order: Any) -> BatchCost:
    """Cost a batch of mappings.

    Parameters
    ----------
    factors : floating array, shape (batch, levels, dimensions)
        NumPy or torch. Counts stay exact up to 2^53.
    order : int array, shape (batch, levels, dimensions)
        Per level a permutation of dimension numbers, outermost loop first.

    Notes
    -----
    Validity is not looked at: see `toolkit.mapping.MapSpace.check`. Formulas: reference
    section 3 (FactorFlow); energy is a sum over accesses, latency a maximum over memories whose
    ports overlap perfectly with the levels inside.
    """
    loops = make_loops(plan, factors, order)
    accesses = access_counts(loops)
    timing = _timing(loops, accesses)
    latency = _latency(loops, timing)
    access_energy = {m: _access_energy(loops, accesses, m) for m in plan.memories}
    compute = len(plan.arch.levels) - 1
    access_energy[compute] = plan.arch.compute.mac_energy_pj * (
        loops.iterations[compute] * loops.temporal[compute] * loops.active[compute]
    )
    leakage = _leakage(loops, timing, latency)
    energy = sum(access_energy.values()) + sum(leakage.values())
    return BatchCost(
        loops,
        energy,
        latency,
        _utilization(loops),
        access_energy,
        leakage,
        accesses,
        timing,
    )


def _access_energy(loops: Loops, accesses: AccessTable, m: int) -> Array:
    memory = loops.plan.memory(m)
    zero = loops.one - loops.one
    reads, writes = zero, zero
    for t in range(len(loops.plan.tensors)):
        entry = accesses[m, t]
        reads = reads + charged(loops, m, entry.reads) + charged(loops, m, entry.drains)
        writes = writes + charged(loops, m, entry.fills) + charged(loops, m, entry.updates)
    return memory.read_energy_pj * reads + memory.write_energy_pj * writes


def charged(loops: Loops, m: int, words: Array) -> Array:
    """Words of memory `m` that cost energy if all its instances move `words` of one kind."""
    together = loops.plan.charged_together(m)
    if together == 1:
        return words
    lines = loops.xp.ceil(words / (loops.active[m] * together))
    return lines * loops.active[m] * together


def _timing(loops: Loops, accesses: AccessTable) -> dict[int, MemoryTiming]:
    timing: dict[int, MemoryTiming] = {}
    cycles = loops.plan.arch.compute.cycles * loops.one
    for m in reversed(loops.plan.memories):
        entries = [accesses[m, t] for t in range(len(loops.plan.tensors))]
        timing[m], cycles = _port_timing(loops, m, entries, cycles)
    return dict(sorted(timing.items()))


def _port_timing(
    loops: Loops, m: int, entries: list[Accesses], cycles: Array
) -> tuple[MemoryTiming, Array]:
    """Time the two ports of a memory; also returns its cycles per tile for the level outside."""
    xp, memory = loops.xp, loops.plan.memory(m)
    moved = {
        "read": sum(entry.reads for entry in entries),
        "update": sum(entry.updates for entry in entries),
        "fill": sum(entry.fills for entry in entries),
        "drain": sum(entry.drains for entry in entries),
    }
    repeats = loops.active[m] * loops.temporal[m]
    inside = cycles * loops.iterations[m]
    ideal = {kind: values / (repeats * inside) for kind, values in moved.items()}

    def limited(kinds: tuple[str, ...], bandwidth: float) -> Array:
        """Cycles of the tile if a port moves these kinds, or `inside` where it keeps up."""
        words = sum(moved[kind] for kind in kinds)
        keeps_up = sum(ideal[kind] for kind in kinds) <= bandwidth
        return xp.where(keeps_up, inside, words / repeats / bandwidth)

    if loops.plan.conventions.shared_ports:
        both = memory.read_bandwidth + memory.write_bandwidth
        reading = writing = limited(("read", "drain", "fill", "update"), both)
    else:
        reading = limited(("read", "drain"), memory.read_bandwidth)
        writing = limited(("fill", "update"), memory.write_bandwidth)
    slower = xp.maximum(reading, writing)
    report = MemoryTiming(
        cycles,
        reading * loops.temporal[m],
        writing * loops.temporal[m],
        (slower - inside) * loops.temporal[m],
        ideal,
    )
    return report, slower


def _latency(loops: Loops, timing: dict[int, MemoryTiming]) -> Array:
    plan, xp = loops.plan, loops.xp
    latency = plan.arch.compute.cycles * loops.temporal[-1]
    for entry in timing.values():
        latency = xp.maximum(latency, entry.read_drain_cycles)
        latency = xp.maximum(latency, entry.fill_update_cycles)
    if plan.conventions.pe_to_pe_warm_up:
        for i, level in enumerate(plan.arch.levels):
            if isinstance(level, Fanout) and level.pe_to_pe:
                latency = latency + (loops.iterations[i] - 1)
    if not plan.conventions.whole_cycles:
        return latency
    # A whole number of cycles stays as it is where only divisions have rounded it.
    nearest = xp.round(latency)
    whole = xp.abs(latency - nearest) <= latency * ROUNDING
    return xp.where(whole, nearest, xp.ceil(latency))


def _leakage(loops: Loops, timing: dict[int, MemoryTiming], latency: Array) -> dict[int, Array]:
    """Leaked energy by level; idle instances leak too unless a fanout gates their power."""
    plan, xp = loops.plan, loops.xp
    leaked: dict[int, Array] = {}
    powered = loops.one
    for i, level in enumerate(plan.arch.levels):
        if isinstance(level, Fanout):
            powered = powered * (loops.iterations[i] if level.power_gating else level.mesh)
            continue
        if plan.conventions.leakage_until_end:
            busy = latency
        elif isinstance(level, Memory):
            busy = xp.maximum(timing[i].read_drain_cycles, timing[i].fill_update_cycles)
        else:
            busy = level.cycles * loops.one
        leaked[i] = level.leakage_pj_per_cycle * busy * powered
    return leaked


def _utilization(loops: Loops) -> Array:
    fractions = [
        loops.iterations[i] / level.mesh
        for i, level in enumerate(loops.plan.arch.levels)
        if not isinstance(level, Memory)
    ]
    return product(fractions, loops.one)
