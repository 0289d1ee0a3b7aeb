"""One mapping's cost taken apart into plain records, every number of which is checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from toolkit.arch.levels import Fanout, Memory
from toolkit.arch.ports import EXCHANGED
from toolkit.errors import PrecisionError
from toolkit.mapping.bounds import usable_words
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace
from toolkit.messages import shown
from toolkit.model.cost import AccessTable, BatchCost, access_counts, converted
from toolkit.model.plan_ports import Port
from toolkit.model.tables import (
    Crossing,
    LevelEnergy,
    MemoryUse,
    NetworkUse,
    PortUse,
    TensorAccesses,
)
from toolkit.model.totals import wire_energy_pj
from toolkit.model.waits import array_cycles
from toolkit.workload.kernel import Workload

EXACT_LIMIT = 2**53
"""Counts up to here are exact in double precision."""

_FIELDS = {"read": "reads", "drain": "drains", "update": "updates", "fill": "fills"}

_ROUNDING = 2.0**-44
"""Share of the cycles of a run that divisions may round off."""


def tensor_accesses(cost: BatchCost) -> tuple[TensorAccesses, ...]:
    """List what every memory moves of every tensor that it holds or is charged for.

    Raises
    ------
    PrecisionError
        If a count exceeds 2^53.
    """
    plan, rows, exact = cost.plan, [], exact_accesses(cost)
    has_bits = any(t.bits is not None for t in plan.workload.tensors)
    for m, t in sorted(cost.accesses):
        memory, tensor = plan.arch.levels[m], plan.tensors[t]
        if not isinstance(memory, Memory):
            continue
        counts = {
            kind: _count(cost, getattr(exact[m, t], kind), f"{kind} of {tensor.tensor.name}", m)
            for kind in ("reads", "updates", "fills", "drains")
        }
        if m not in tensor.holders and not any(counts.values()):
            continue
        words = {kind: cost.charged(m, t, kind) for kind in counts}
        wanted = {kind: cost.wanted(m, t, kind) for kind in counts}
        fetched = _sum(words) if wanted["reads"] is not None else None
        energy = memory.read_energy_pj * float((words["reads"] + words["drains"])[0])
        energy += memory.write_energy_pj * float((words["updates"] + words["fills"])[0])
        instances = _count(cost, cost.nest.levels[m].active, "instances", m)
        rows.append(
            TensorAccesses(
                memory.name,
                tensor.tensor.name,
                instances,
                **counts,
                energy_pj=energy,
                bits=tensor.tensor.bits,
                sum_bits=tensor.tensor.sum_bits,
                words=_sum(words if fetched is None else wanted) if has_bits else None,
                fetched_words=fetched,
            )
        )
    return tuple(rows)


def _sum(words: Mapping[str, Any]) -> float:
    return float(sum(words.values())[0])


def memory_uses(cost: BatchCost, space: MapSpace, factors: IntArray) -> tuple[MemoryUse, ...]:
    """Tell how every memory is used; `factors` has shape (levels, dimensions).

    Raises
    ------
    PrecisionError
        If a footprint exceeds 2^53, or a number of cycles or a bandwidth is not finite.
    """
    return tuple(
        _memory_use(
            cost,
            m,
            memory,
            space.needed_words(i, factors),
        )
        for i, (m, memory) in enumerate(
            zip(cost.plan.memories, cost.plan.arch.memories, strict=True)
        )
    )


def _moved(cost: BatchCost, i: int) -> tuple[dict[str, float], dict[str, float]]:
    """Words that one instance of a level moves by kind, and words per cycle without any stall."""
    nest, name = cost.nest, cost.plan.arch.levels[i].name
    alike = cost.tables.switches.sequential
    table = nest.moved if alike else nest.busiest
    instances = nest.levels[i].active if alike else 1
    moved = {
        kind: sum(getattr(table[i, t], field) for t in range(len(cost.plan.tensors))) / instances
        for kind, field in _FIELDS.items()
    }
    inside = nest.levels[i].inside_cycles
    working = inside - sum(_waits(cost, i))
    ideal = {
        kind: finite_cost(
            cost,
            values / (working if _FIELDS[kind] in EXCHANGED else inside),
            f"the ideal bandwidth of {name}",
        )
        for kind, values in moved.items()
    }
    return moved, ideal


def _memory_use(cost: BatchCost, m: int, memory: Memory, words: int) -> MemoryUse:
    nest, name = cost.nest, memory.name
    moved, ideal = _moved(cost, m)
    usable = usable_words(memory)
    return MemoryUse(
        name,
        _count(cost, nest.levels[m].active, "instances", m),
        _count(cost, words, "footprint", m),
        memory.capacity_words,
        usable if math.isfinite(usable) else None,
        *_waits(cost, m),
        _stall(cost, m),
        _port_uses(cost, m, moved),
        ideal,
    )


def _port_uses(cost: BatchCost, i: int, moved: Mapping[str, float]) -> tuple[PortUse, ...]:
    """Tell how the ports of a level are used, from what one instance moves."""
    nest, name = cost.nest, cost.plan.arch.levels[i].name

    def use(p: int, port: Port) -> PortUse:
        words = {field: moved[kind] for kind, field in _FIELDS.items() if field in port.kinds}
        what = f"of the {port.name} of {name}"
        return PortUse(
            name,
            port,
            finite_cost(cost, _needed_bandwidth(cost, p, words), f"the ideal bandwidth {what}"),
            finite_cost(cost, sum(words.values()) / port.bandwidth, f"the cycles {what}"),
            finite_cost(cost, nest.limited[p], f"the cycles {what}"),
        )

    return tuple(use(p, port) for p, (level, port) in enumerate(cost.plan.ports) if level == i)


def _needed_bandwidth(cost: BatchCost, p: int, words: Mapping[str, float]) -> Any:
    """Words per cycle with which a port would not be in the way (`totals.note_ports`)."""
    port = cost.tables.ports[p]
    inside = cost.nest.levels[port.memory].inside_cycles
    needed = sum(words.values()) / inside
    if not cost.tables.switches.waits:
        return needed
    states = {m: cost.nest.levels[m] for m in cost.plan.memories if m >= port.memory}
    own = states.pop(port.memory, None)
    first = sum(state.first_cycles for state in states.values())
    last = sum(state.last_cycles for state in states.values())
    if not (port.updates or port.drains):
        needed = sum(words.values()) / (inside - last - (own.last_cycles if own else 0))
    elif not (port.reads or port.fills):
        needed = sum(words.values()) / (inside - first - (own.first_cycles if own else 0))
    if own:
        working = inside - sum(_waits(cost, port.memory))
        if not port.updates:
            working = working - last
        elif not port.reads:
            working = working - first
        exchanged = sum(x for kind, x in words.items() if kind in EXCHANGED)
        needed = np.maximum(needed, exchanged / working)
    return needed


def network_uses(cost: BatchCost) -> tuple[NetworkUse, ...]:
    """Tell what crosses every fanout with wires, and how its networks keep up.

    Raises
    ------
    PrecisionError
        If a count exceeds 2^53, or a number of cycles or an energy is not finite.
    """
    exact = exact_accesses(cost)
    return tuple(
        _network_use(cost, i, exact)
        for i, level in enumerate(cost.plan.arch.levels)
        if isinstance(level, Fanout) and level.wires is not None
    )


def _network_use(cost: BatchCost, i: int, exact: AccessTable) -> NetworkUse:
    level, rows = cost.plan.arch.levels[i], []
    has_bits = any(t.bits is not None for t in cost.plan.workload.tensors)
    for t, plan in enumerate(cost.plan.tensors):
        name, entry = plan.tensor.name, exact[i, t]
        kinds = {
            "sent": entry.reads,
            "delivered": entry.fills,
            "collected": entry.drains,
            "returned": entry.updates,
        }
        counts = {k: _count(cost, x, f"{name} {k}", i) for k, x in kinds.items()}
        if any(counts.values()):
            energy = wire_energy_pj(cost.tables, cost.nest, i, t)
            energy = finite_cost(cost, energy, f"the energy of {name} on {level.name}")
            moved = cost.nest.moved[i, t]
            words = float((moved.fills + moved.drains)[0]) if has_bits else None
            rows.append(Crossing(level.name, name, **counts, energy_pj=energy, words=words))
    ports: tuple[PortUse, ...] = ()
    stall = 0.0
    if any(place == i for place, _ in cost.plan.ports):
        ports, stall = _port_uses(cost, i, _moved(cost, i)[0]), _stall(cost, i)
    return NetworkUse(level.name, stall, ports, tuple(rows))


def _waits(cost: BatchCost, m: int) -> tuple[float, float, float]:
    """Cycles that the levels inside a memory wait: for first tiles, last ones, and all of it."""
    state, what = cost.nest.levels[m], f"what waits at {cost.plan.arch.levels[m].name}"
    waits = (state.fill_cycles, state.drain_cycles, state.exposed_cycles)
    fill, drain, exposed = (0.0 if x is None else finite_cost(cost, x, what) for x in waits)
    return fill, drain, exposed


def hop_cycles(cost: BatchCost) -> float:
    """Cycles in which operands hop from instance to instance while nothing else happens."""
    return finite_cost(cost, array_cycles(cost.tables, cost.nest), "the hops of operands")


def _stall(cost: BatchCost, m: int) -> float:
    """Stall cycles of a level; none if they are no more than what divisions round off."""
    what = f"the stall cycles of {cost.plan.arch.levels[m].name}"
    stall = finite_cost(cost, cost.nest.levels[m].stall_cycles, what)
    return (
        stall
        if stall > _ROUNDING * finite_cost(cost, cost.nest.levels[m].busy_cycles, what)
        else 0.0
    )


def level_energies(cost: BatchCost) -> tuple[LevelEnergy, ...]:
    """Divide the energy among the memories, the fanouts with wires and the compute level.

    Raises
    ------
    PrecisionError
        If an energy is not finite.
    """
    levels, nest = cost.plan.arch.levels, cost.nest
    parts = {
        i: (
            finite_cost(cost, nest.levels[i].energy_pj, f"the energy of {levels[i].name}"),
            finite_cost(cost, nest.levels[i].leakage_pj, f"the leakage of {levels[i].name}"),
        )
        for i, state in enumerate(nest.levels)
        if state.energy_pj is not None
    }
    total = energy_sum([access + leakage for access, leakage in parts.values()])
    return tuple(
        LevelEnergy(levels[i].name, access, leakage, (access + leakage) / total if total else 0.0)
        for i, (access, leakage) in parts.items()
    )


def energy_sum(energies_pj: list[float]) -> float:
    """Add energies and round once; inf if the sum overflows."""
    try:
        return math.fsum(energies_pj)
    except OverflowError:
        return math.inf


def finite_cost(cost: BatchCost, value: Any, what: str) -> float:
    """Return a cost of the only mapping in a batch.

    Raises
    ------
    PrecisionError
        If it is not finite.
    """
    return finite(float(np.asarray(value).reshape(())), what, cost.plan.workload)


def finite(number: float, what: str, workload: Workload) -> float:
    """Return `number`.

    Raises
    ------
    PrecisionError
        If it is not finite.
    """
    if not math.isfinite(number):
        raise PrecisionError(f"{workload.name}: {what} is not a finite number ({number})")
    return number


def check_magnitude(workload: Workload) -> None:
    """Refuse workloads of which not even the size can be counted exactly.

    Raises
    ------
    PrecisionError
        If the multiply-accumulates or the span of an index exceed 2^53.
    """
    if workload.macs > EXACT_LIMIT:
        raise _inexact("the multiply-accumulates", workload.macs, workload)
    for tensor in workload.tensors:
        for index in tensor.indices:
            reach = sum(t.coefficient * (workload.sizes[t.dimension] - 1) for t in index)
            # The values of one dimension are its iterations, however far they lie apart.
            if len(index) > 1 and reach >= EXACT_LIMIT:
                raise _inexact(f"positions along an axis of {tensor.name}", reach + 1, workload)


def check_outermost(space: MapSpace) -> None:
    """Refuse spaces of which no mapping can be evaluated, for what the outermost memory holds.

    Raises
    ------
    PrecisionError
        If whole tensors take more than 2^53 words there.
    """
    words = space.exact_words(0, list(space.workload.sizes.values()))
    if words > EXACT_LIMIT:
        raise _inexact(f"footprint at {space.arch.levels[0].name}", words, space.workload)


def _count(cost: BatchCost, value: Any, what: str, level: int) -> int:
    workload, name = cost.plan.workload, cost.plan.arch.levels[level].name
    number = np.asarray(value).reshape(()).item()
    if isinstance(number, float):
        number = finite(number, f"{what} at {name}", workload)
    if number > EXACT_LIMIT:
        raise _inexact(f"{what} at {name}", int(number), workload)
    return int(number)


def _inexact(what: str, number: int, workload: Workload) -> PrecisionError:
    return PrecisionError(
        f"{workload.name}: {what} number {shown(number)}, more than the 2^53 that are exact"
    )


def exact_accesses(cost: BatchCost) -> AccessTable:
    """Return the accesses of the only mapping in a batch without rounding.

    Returns
    -------
    AccessTable
        Arrays of shape [1] of floats, or of fractions where floats may have rounded.

    Notes
    -----
    Where what is moved is counted at each instance, no number on the way exceeds the
    multiply-accumulates, so floats are exact as long as those are. Conventions that count
    windows with gaps, or one copy of a value several times, can pass 2^53 on the way to a smaller
    count.
    """
    if not _may_round(cost):
        return cost.accesses
    return access_counts(cost.plan, converted(cost.plan, cost.nest, _fractions))


def _may_round(cost: BatchCost) -> bool:
    """Whether a number on the way to some count may exceed 2^53."""
    conventions, workload = cost.plan.conventions, cost.plan.workload
    if conventions.transfers != "sequential" and not conventions.overestimate_windows:
        return workload.macs > EXACT_LIMIT
    # A tensor's copies may be counted once on the way in, and twice on the way out at spatial
    # levels that cannot share; its fills count among its drains, and its gaps at two levels.
    copies, gaps = 2, 1
    for i, level in enumerate(cost.plan.arch.levels):
        if not isinstance(level, Memory):
            instances = int(cost.nest.levels[i].iterations[0])
            shares = isinstance(level, Fanout) and level.multicast and level.reduction
            copies *= instances if shares else instances**3
    if conventions.overestimate_windows:
        sums = [terms for tensor in cost.plan.tensors for terms in tensor.sums]
        gaps = math.prod(sum(c for _, c in terms) for terms in sums if len(terms) > 1)
    return workload.macs * copies * gaps**2 > EXACT_LIMIT


def _fractions(values: Any) -> Any:
    exact = np.empty(len(values), dtype=object)
    exact[:] = [Fraction(int(value)) for value in values]
    return exact
