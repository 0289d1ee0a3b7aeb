"""Where the energy and the cycles of a mapping go: parts that add up, and why they are there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toolkit.arch.levels import Memory, Spatial
from toolkit.model.breakdown import hop_cycles
from toolkit.model.evaluate import Evaluation
from toolkit.model.lanes import CutOff, costed, cut_offs
from toolkit.model.reasons import feeds_lanes, why
from toolkit.model.reuse import Movement, movements

_NOTHING = 1e-6
"""Cycles that are none."""


@dataclass(frozen=True, slots=True)
class Action:
    """Accesses of one kind to one tensor at one memory.

    Parameters
    ----------
    movement : Movement
        How many words, and which loops move them again.
    energy_pj : float
        Total of all instances and the whole run.
    why : str
        Why so many, in words.
    """

    movement: Movement
    energy_pj: float
    why: str


@dataclass(frozen=True, slots=True)
class EnergyPart:
    """A share of the energy; all parts of an evaluation together are its energy.

    Parameters
    ----------
    level : str
        A memory, a fanout with wires or the compute level.
    what : {"accesses", "network", "multiply-accumulates", "leakage"}
        What costs the energy.
    tensor : str or None
        What is accessed, or crosses the network.
    energy_pj : float
        Total of all instances and the whole run.
    share : float
        Fraction of the energy of the run.
    actions : tuple of Action
        Of accesses, kind by kind.
    """

    level: str
    what: str
    tensor: str | None
    energy_pj: float
    share: float
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class IdleInstances:
    """Cycles of the run lost because a spatial level is not used to its full mesh.

    Parameters
    ----------
    level : str
        A fanout or the compute level.
    used, mesh : int
        Instances used and present, of each instance of what lies outside.
    cycles : float
        Added by this level if all levels outside it are used as they are, and all inside it
        fully; what cut-off tiles add to that is apart (`CutOff`).
    """

    level: str
    used: int
    mesh: int
    cycles: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Cycles of the run by which a memory or a network delays the levels inside it.

    Parameters
    ----------
    level, port : str
        The memory or fanout, and its slowest port.
    traffic : str
        What passes the port.
    cycles : float
        Beyond what the levels inside need, their own stalls included.
    needed_bandwidth, available_bandwidth : float
        Words per cycle and instance: for no stall here, and what there is.
    """

    level: str
    port: str
    traffic: str
    cycles: float
    needed_bandwidth: float
    available_bandwidth: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Cycles of the run that the levels inside a memory wait for its transfers.

    Parameters
    ----------
    level : str
        The memory.
    what : {"first fill", "last drain", "fills and drains"}
        Which ones: what comes first, leaves last, or all of it, as it is not hidden.
    cycles : float
        All of them together.
    """

    level: str
    what: str
    cycles: float


@dataclass(frozen=True, slots=True)
class CycleParts:
    """The latency taken apart: all cycles below it add up to it.

    Parameters
    ----------
    latency_cycles : float
        Of the whole run.
    ideal_cycles : float
        If every instance computed all the time.
    lanes : int
        Multiply-accumulates that all instances together can do per step.
    cycles_per_step : int
        Cycles of one step.
    idle : tuple of IdleInstances
        Per spatial level, outermost first: instances that are not used at all.
    cut_off : tuple of CutOff
        Per dimension whose last tiles leave instances without work that are used.
    waits : tuple of Wait
        Per memory whose transfers nothing hides, innermost first.
    stalls : tuple of Stall
        Per memory or network that stalls, innermost first.
    warm_up_cycles : float
        Hops from instance to instance, before the last one starts or for every tile that stays
        in a systolic array.
    rounding_cycles : float
        Up to the next whole cycle, where the conventions count whole cycles.
    """

    latency_cycles: float
    ideal_cycles: float
    lanes: int
    cycles_per_step: int
    idle: tuple[IdleInstances, ...]
    cut_off: tuple[CutOff, ...]
    waits: tuple[Wait, ...]
    stalls: tuple[Stall, ...]
    warm_up_cycles: float
    rounding_cycles: float

    @property
    def lost(self) -> dict[str, float]:
        """Cycles beyond ideal work, by what they are lost to; causes of none are left out."""
        lost = {
            "idle instances": sum(entry.cycles for entry in self.idle),
            "cut-off tiles": sum(entry.cycles for entry in self.cut_off),
            "waits": sum(entry.cycles for entry in self.waits),
            "stalls": sum(entry.cycles for entry in self.stalls),
            "hops": self.warm_up_cycles,
            "rounded up": self.rounding_cycles,
        }
        # What rounding of numbers alone leaves over is nothing.
        return {name: cycles for name, cycles in lost.items() if cycles > _NOTHING}


def energy_parts(evaluation: Evaluation) -> tuple[EnergyPart, ...]:
    """Divide the energy by level and tensor, the largest part first.

    Raises
    ------
    PrecisionError
        If the words of a tensor are too many to be counted.
    """
    moved: dict[tuple[str, str], list[Movement]] = {}
    for movement in movements(evaluation):
        moved.setdefault((movement.level, movement.tensor), []).append(movement)
    total = evaluation.energy_pj
    memories = {memory.name: memory for memory in evaluation.arch.memories}

    def part(level: str, what: str, pj: float, tensor: str | None = None) -> EnergyPart:
        share = pj / total if total else 0.0
        actions = _actions(evaluation, memories.get(level), moved.get((level, tensor or ""), []))
        return EnergyPart(level, what, tensor, pj, share, actions)

    parts = [part(a.level, "accesses", a.energy_pj, a.tensor) for a in evaluation.accesses]
    networks = {network.level: network.crossings for network in evaluation.networks}
    for entry in evaluation.energies:
        for crossing in networks.get(entry.level, ()):
            parts.append(part(entry.level, "network", crossing.energy_pj, crossing.tensor))
        if entry.level not in memories and entry.level not in networks:
            parts.append(part(entry.level, "multiply-accumulates", entry.access_pj))
        if entry.leakage_pj:
            parts.append(part(entry.level, "leakage", entry.leakage_pj))
    return tuple(sorted(parts, key=lambda p: -p.energy_pj))


def cycle_parts(evaluation: Evaluation) -> CycleParts:
    """Divide the latency into ideal cycles and what is lost."""
    arch = evaluation.arch
    spatial = [level for level in arch.levels if not isinstance(level, Memory)]
    used = {level.name: _used(evaluation, level) for level in spatial}
    lanes = math.prod(level.mesh for level in spatial)
    ideal = evaluation.macs * arch.compute.cycles / lanes
    idle, cycles = [], ideal
    for level in spatial:
        longer = cycles * level.mesh / used[level.name]
        idle.append(IdleInstances(level.name, used[level.name], level.mesh, longer - cycles))
        cycles = longer
    given = evaluation.mapping, arch, evaluation.workload, evaluation.conventions
    cost, factors = costed(*given)
    cut_off = cut_offs(cost, factors, cycles)
    cycles = math.fsum((cycles, *(cut.cycles for cut in cut_off)))
    stalls = []
    for use in reversed(evaluation.movers):
        if use.stall_cycles > 0:
            slowest = use.slowest_port
            port = slowest.port
            stalls.append(
                Stall(
                    use.level,
                    port.name,
                    port.traffic,
                    use.stall_cycles,
                    slowest.needed_bandwidth,
                    port.bandwidth,
                )
            )
    waits, warm_up = _waits(evaluation), hop_cycles(cost)
    # `cycles` has become what the instances need that are used.
    lost = math.fsum((*(w.cycles for w in waits), *(s.cycles for s in stalls), warm_up))
    rounding = evaluation.latency_cycles - cycles - lost
    return CycleParts(
        evaluation.latency_cycles,
        ideal,
        lanes,
        arch.compute.cycles,
        tuple(idle),
        cut_off,
        waits,
        tuple(stalls),
        warm_up,
        rounding if evaluation.conventions.whole_cycles else 0.0,
    )


def _waits(evaluation: Evaluation) -> tuple[Wait, ...]:
    parts = [
        Wait(use.level, what, cycles)
        for use in reversed(evaluation.memories)
        for what, cycles in (
            ("first fill", use.fill_cycles),
            ("last drain", use.drain_cycles),
            ("fills and drains", use.exposed_cycles),
        )
    ]
    return tuple(part for part in parts if part.cycles > 0)


def _used(evaluation: Evaluation, level: Spatial) -> int:
    entry = next(entry for entry in evaluation.mapping.levels if entry.level == level.name)
    return math.prod(factor for _, factor in entry.factors)


def _actions(
    evaluation: Evaluation, memory: Memory | None, moved: list[Movement]
) -> tuple[Action, ...]:
    if memory is None:
        return ()
    actions, explained = [], set()
    for movement in moved:
        outgoing = movement.kind in ("reads", "drains")
        per_word = memory.read_energy_pj if outgoing else memory.write_energy_pj
        again = movement.repetitions in explained
        text = why(evaluation, movement, again=again)
        actions.append(Action(movement, movement.charged_words * per_word, text))
        if not feeds_lanes(movement):
            explained.add(movement.repetitions)
    return tuple(actions)
