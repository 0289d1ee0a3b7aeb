"""Every mapping that is one step away from a mapping: what the step does, what rules it breaks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Compute, Memory
from toolkit.errors import MappingError
from toolkit.mapping.factors import prime_factors
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.orders import OrderRule, order_classes
from toolkit.mapping.reaching import reached
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import changed, factor_changes

FACTOR, ORDER = "factor", "order"
"""Kinds of steps."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step changes.

    Parameters
    ----------
    kind : {"factor", "order"}
        Whether a factor changes, or a memory's loop order.
    source, target : int
        Levels that give and take a factor, or of which the first makes up for a change of the
        second; both the memory that is reordered.
    dimension, factor : int
        Number of the dimension, and the prime that moves, or the new factor of a ragged one;
        -1 and 1 for an order.
    is_new : bool
        Whether a loop is new at the target.
    """

    kind: str
    source: int
    target: int
    dimension: int
    factor: int
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps and where they lead.

    Parameters
    ----------
    steps : tuple of Step
        Steps that differ only in where a new loop stands are repeated.
    factors, order : int64 arrays, shape (steps, levels, dimensions)
        The mappings they lead to.
    """

    steps: tuple[Step, ...]
    factors: IntArray
    order: IntArray


def single_steps(space: MapSpace, factors: IntArray, order: IntArray) -> Steps:
    """List all steps from one mapping, whatever capacities, meshes and constraints say.

    A step moves one prime factor of a dimension to any other level that lists the dimension, or
    changes a factor of a ragged one while another level makes up for it
    (a loop that is new in a memory is tried at every place of its order), or gives one memory
    another loop order (one per reuse class, those that its constraint excludes too).

    Parameters
    ----------
    factors, order : int64 arrays, shape (levels, dimensions)
        The mapping to leave.
    """
    found: list[tuple[Step, IntArray, IntArray]] = []
    for step in _factor_steps(space, factors):
        moved = _changed(space, step, factors)
        rows = [order[step.target]]
        if step.is_new and step.target in space.memory_levels:
            running = _running(order[step.target], factors[step.target])
            rows = _placements(_rule(space, step.target), running, step.dimension)
        for row in rows:
            placed = order.copy()
            placed[step.target] = row
            found.append((step, moved, placed))
    for m in space.memory_levels.tolist():
        for row in _other_orders(space, m, factors[m], order[m]):
            reordered = order.copy()
            reordered[m] = row
            found.append((Step(ORDER, m, m, -1, 1), factors, reordered))
    shape = (len(found), *space.shape)
    return Steps(
        tuple(step for step, _, _ in found),
        np.array([f for _, f, _ in found], dtype=np.int64).reshape(shape),
        np.array([o for _, _, o in found], dtype=np.int64).reshape(shape),
    )


def _factor_steps(space: MapSpace, factors: IntArray) -> Iterator[Step]:
    levels, dimensions = space.shape
    seen = [{factors[:, d].tobytes()} for d in range(dimensions)]
    for source in range(levels):
        for d in range(dimensions):
            targets = [t for t in range(levels) if t != source and space.allowed[t, d]]
            if space.ragged[d]:
                yield from _ragged_steps(space, factors, source, d, targets, seen[d])
                continue
            for prime, _ in prime_factors(int(factors[source, d])):
                for target in targets:
                    is_new = bool(factors[target, d] == 1)
                    yield Step(FACTOR, source, target, d, prime, is_new)


def _ragged_steps(
    space: MapSpace, factors: IntArray, source: int, d: int, targets: list[int], seen: set[bytes]
) -> Iterator[Step]:
    """Changes of one ragged dimension that one level makes up for, outcomes not `seen` yet."""
    if not space.allowed[source, d]:
        return
    for target in targets:
        old = int(factors[target, d])
        # Beside what searches try: all there is, and as much of it as there are instances for.
        most = -(-int(space.sizes[d]) // int(np.prod(factors[target + 1 :, d])))
        room = int(space.mesh[target] // np.delete(factors[target], d).prod())
        tried = {int(changed(np.array(old), change)) for change in factor_changes(space, d)}
        for factor in sorted(f for f in tried | {most, min(most, room)} if f > 0):
            step = Step(FACTOR, source, target, d, factor, old == 1)
            outcome = _changed(space, step, factors)[:, d]
            if factor == outcome[target] and outcome.tobytes() not in seen:
                seen.add(outcome.tobytes())
                yield step


def _changed(space: MapSpace, step: Step, factors: IntArray) -> IntArray:
    """Factors after a step that changes them."""
    moved, d = factors.copy(), step.dimension
    if space.ragged[d]:
        moved[step.target, d] = step.factor
        moved[:, d] = reached(moved[None, :, d], int(space.sizes[d]), step.source)[0]
    else:
        moved[step.source, d] //= step.factor
        moved[step.target, d] *= step.factor
    return moved


def _rule(space: MapSpace, m: int) -> OrderRule:
    rule: OrderRule = space.order_rules[space.memory_levels.tolist().index(m)]
    return rule


def _running(order: IntArray, factors: IntArray) -> tuple[int, ...]:
    """Loops with more than one iteration, outermost first."""
    return tuple(int(d) for d in order if factors[d] > 1)


def _placements(rule: OrderRule, running: tuple[int, ...], dimension: int) -> list[IntArray]:
    """Put a new loop at every place among those that run, innermost first."""
    return [
        np.array(rule.complete((*running[:i], dimension, *running[i:])), dtype=np.int64)
        for i in range(len(running), -1, -1)
    ]


def _other_orders(
    space: MapSpace, m: int, factors: IntArray, order: IntArray
) -> Iterator[IntArray]:
    seen = {_running(order, factors)}
    for arch in (space.arch, _without_loop_order(space.arch, m)):
        for row in _orders(arch, m, space, factors, order):
            running = _running(row, factors)
            if running not in seen:
                seen.add(running)
                yield np.array(_rule(space, m).complete(running), dtype=np.int64)


def _orders(
    arch: Architecture, m: int, space: MapSpace, factors: IntArray, order: IntArray
) -> list[IntArray]:
    """One order per reuse class; where these are too many, swaps of two neighbouring loops."""
    try:
        return list(order_classes(arch, m, space.workload, active=(factors > 1).tolist()))
    except MappingError:
        running = list(_running(order, factors))
        idle = [int(d) for d in order if factors[d] == 1]
        return [
            np.array([*idle, *running[:i], running[i + 1], running[i], *running[i + 2 :]])
            for i in range(len(running) - 1)
        ]


def _without_loop_order(arch: Architecture, m: int) -> Architecture:
    memory = arch.levels[m]
    if not isinstance(memory, Memory) or not memory.loop_order:
        return arch
    levels = (*arch.levels[:m], replace(memory, loop_order=()), *arch.levels[m + 1 :])
    return replace(arch, levels=levels)


def describe_step(space: MapSpace, step: Step, factors: IntArray, order: IntArray) -> str:
    """Say what a step does, given the mapping that it leads to.

    Parameters
    ----------
    factors, order : int64 arrays, shape (levels, dimensions)
        The mapping after the step.
    """
    names = [level.name for level in space.arch.levels]
    loops = [d for d in order[step.target] if factors[step.target, d] > 1]
    if step.kind == ORDER:
        listed = ", ".join(space.dimensions[d].lower() for d in loops)
        return f"order the loops at {names[step.target]} as {listed} (outermost first)"
    dimension = space.dimensions[step.dimension]
    if space.ragged[step.dimension]:
        turns = factors[:, step.dimension]
        text = (
            f"iterate {dimension} {_times(turns[step.target])} at {names[step.target]} and "
            f"{_times(turns[step.source])} at {names[step.source]}"
        )
    else:
        text = (
            f"move a factor {step.factor} of {dimension} from {names[step.source]} "
            f"to {names[step.target]}"
        )
    if step.is_new and step.target in space.memory_levels and len(loops) > 1:
        place = loops.index(step.dimension)
        inside = loops[place + 1 :]
        where = f"outside {space.dimensions[inside[0]].lower()}" if inside else "innermost"
        text += f", as a new loop there, {where}"
    return text


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A rule that forbids a mapping.

    Parameters
    ----------
    kind : {"capacity", "mesh", "constraint", "loop order"}
        What sort of rule.
    level : str
        Where.
    needed, available : float or None
        Words per instance (all copies), or instances, of a capacity or a mesh.
    text : str
        The rule and what it would take, in words.
    """

    kind: str
    level: str
    needed: float | None
    available: float | None
    text: str


def obstacles(
    space: MapSpace, step: Step, factors: IntArray, order: IntArray
) -> tuple[Obstacle, ...]:
    """Name the rules that the mapping after a step breaks; the one before it broke none.

    Parameters
    ----------
    factors, order : int64 arrays, shape (levels, dimensions)
        The mapping after the step.
    """
    found = [
        *_constraints(space, factors),
        *(rule for i, row in enumerate(factors) for rule in _mesh(space, i, row)),
        *capacity_obstacles(space, factors),
        *_loop_order(space, step.target, order[step.target]),
    ]
    return tuple(found)


def _constraints(space: MapSpace, factors: IntArray) -> list[Obstacle]:
    found = []
    for i, level in enumerate(space.arch.levels):
        for rule in level.constraints:
            if rule.dimension not in space.dimensions:
                continue
            factor = int(factors[i, space.dimensions.index(rule.dimension)])
            if not rule.allows(factor):
                text = f"{level.name} would iterate {rule.dimension} {factor} times, but {rule}"
                found.append(Obstacle("constraint", level.name, None, None, text))
    return found


def _mesh(space: MapSpace, i: int, row: IntArray) -> list[Obstacle]:
    level = space.arch.levels[i]
    if isinstance(level, Memory):
        return []
    used = math.prod(row.tolist())
    if used <= level.mesh:
        return []
    what = "lanes per instance" if isinstance(level, Compute) else "instances"
    text = (
        f"{level.name} would need {used:,} {what}, {used - level.mesh:,} more than its mesh "
        f"of {level.mesh:,}"
    )
    return [Obstacle("mesh", level.name, used, level.mesh, text)]


def capacity_obstacles(space: MapSpace, factors: IntArray) -> list[Obstacle]:
    """Name the memories whose capacities factors [levels, dimensions] exceed."""
    found = []
    words = space.footprints(factors[None])[0]
    for memory, usable, used in zip(space.arch.memories, space.capacity, words, strict=True):
        if used <= usable or memory.capacity_words is None:
            continue
        needed = math.ceil(used * memory.multiple_buffering)
        copies = memory.multiple_buffering
        times = f" ({copies:g} copies of {used:,.0f})" if copies != 1 else ""
        text = (
            f"{memory.name} would need {needed:,} words per instance{times}, "
            f"{needed - memory.capacity_words:,} more than its {memory.capacity_words:,}"
        )
        found.append(Obstacle("capacity", memory.name, needed, memory.capacity_words, text))
    return found


def _loop_order(space: MapSpace, i: int, row: IntArray) -> list[Obstacle]:
    memory = space.arch.levels[i]
    if not isinstance(memory, Memory):
        return []
    rule = space.order_rules[space.memory_levels.tolist().index(i)]
    if rule.check(row[None])[0]:
        return []
    text = f"{memory.name} fixes its loop order: {', '.join(memory.loop_order)}"
    return [Obstacle("loop order", memory.name, None, None, text)]
