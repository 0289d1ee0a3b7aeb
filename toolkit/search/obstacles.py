"""Which rules a step breaks, and by how much they would have to give."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toolkit.arch.levels import Compute, Memory
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace
from toolkit.search.single_moves import Step


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
        *_constraints(space, step, factors),
        *_mesh(space, step.target, factors[step.target]),
        *_capacities(space, factors),
        *_loop_order(space, step.target, order[step.target]),
    ]
    return tuple(found)


def _constraints(space: MapSpace, step: Step, factors: IntArray) -> list[Obstacle]:
    found = []
    for i in {step.source, step.target}:
        level = space.arch.levels[i]
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


def _capacities(space: MapSpace, factors: IntArray) -> list[Obstacle]:
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
