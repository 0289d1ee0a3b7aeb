"""Labels: partial mappings with all their costs, extended memory by memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from toolkit.compilation import compiled, inlined
from toolkit.model.compiled_plan import Floats, Ints, KernelPlan, Scratch
from toolkit.search.exact.compiled_steps import (
    STRICT,
    Room,
    Step,
    leave,
    place,
    stop_extent,
)
from toolkit.search.exact.compiled_words import Rows


class Labels(NamedTuple):
    """Partial mappings from the innermost memory up to some boundary.

    Attributes
    ----------
    costs : [N, P]
        Costs so far.
    ints : [N, 4]
        Extents at the boundary, states of the tensors, the label this one extends, and the
        loops placed while a tensor waited (four bits each, the innermost lowest).
    """

    costs: Floats
    ints: Ints


EXTENT, WAITING, PARENT, SEQUENCE = range(4)


class Goal(NamedTuple):
    """What makes a partial mapping worth following.

    Attributes
    ----------
    numbers : [8]
        Powers of energy and latency, factor of the value, limit of the value; cycles
        of the lanes, cycles of warm-up, leakage of energy per cycle, energy of all mappings.
    front : [points, 2]
        Energy and latency that others must undercut; may be empty.
    """

    numbers: Floats
    front: Floats


ENERGY_POWER, LATENCY_POWER, SCALE, LIMIT, CYCLES, WARM_UP, LEAKAGE, FIXED = range(8)


@inlined
def power(base: float, exponent: float) -> float:
    """Raise to a power; the usual ones at once."""
    if exponent == 1.0:
        return base
    if exponent == 0.0:
        return 1.0
    result: float = base**exponent
    return result


@inlined
def worthwhile(goal: Goal, costs: Floats, least: Floats, state: int, flags: int) -> bool:
    """Whether costs so far and the least ones to come may still reach the goal."""
    if not least[0, state, flags] < np.inf:
        return False
    latency = goal.numbers[CYCLES]
    for p in range(1, costs.shape[0]):
        latency = max(latency, costs[p] + least[p, state, flags])
    latency += goal.numbers[WARM_UP]
    energy = goal.numbers[FIXED] + costs[0] + least[0, state, flags]
    energy += goal.numbers[LEAKAGE] * latency
    value = power(energy, goal.numbers[ENERGY_POWER]) * power(latency, goal.numbers[LATENCY_POWER])
    if value * goal.numbers[SCALE] >= goal.numbers[LIMIT]:
        return False
    for i in range(goal.front.shape[0]):
        if goal.front[i, 0] <= energy and goal.front[i, 1] <= latency:
            return False
    return True


@inlined
def enter(step: Step, extent: int, room: Room) -> int:
    """Stand below a memory with numbered extents and no loop placed; returns the state."""
    state = 0
    for d in range(room.tau.shape[0] - 1, -1, -1):
        c = step.above[d] + extent % step.below[d]
        extent //= step.below[d]
        room.coordinates[d] = c
        room.tau[d] = step.tau[d, c]
        state += c * step.stride[d]
    return state


DEPTH_D, DEPTH_K, DEPTH_FLAGS, DEPTH_STATE, DEPTH_MASK, DEPTH_SEQUENCE = range(6)


@compiled
def expand(
    plan: KernelPlan,
    rows: Rows,
    step: Step,
    outer: Step,
    n: Floats,
    goal: Goal,
    least: Floats,
    rest: Floats,
    labels: Labels,
    first: int,
    found: Labels,
    counts: Ints,
    room: Room,
    scratch: Scratch,
) -> int:
    """Extend labels below a memory to labels above it, from label `first` on.

    Fills `found` from ``counts[0]`` on; returns the first label that was not extended because
    there was no room left (then its extensions are taken back), or the number of labels.
    ``counts[1]`` adds up what was not worthwhile.
    """
    dimensions, passes = n.shape[0], labels.costs.shape[1]
    stack, costs, coordinates = room.stack, room.costs, room.coordinates
    full = (1 << dimensions) - 1
    for i in range(first, labels.costs.shape[0]):
        start_count = counts[0]
        state = enter(step, labels.ints[i, EXTENT], room)
        for p in range(passes):
            costs[0, p] = labels.costs[i, p]
        depth = 0
        stack[0, DEPTH_D], stack[0, DEPTH_K] = -1, 0
        stack[0, DEPTH_FLAGS], stack[0, DEPTH_STATE] = labels.ints[i, WAITING], state
        stack[0, DEPTH_MASK], stack[0, DEPTH_SEQUENCE] = 0, 0
        if not worthwhile(goal, costs[0], least, state, labels.ints[i, WAITING]):
            counts[1] += 1
            continue
        while depth >= 0:
            flags, mask = stack[depth, DEPTH_FLAGS], stack[depth, DEPTH_MASK]
            state, d = stack[depth, DEPTH_STATE], stack[depth, DEPTH_D]
            if d < 0:
                if flags > 0 or mask == full:
                    a = stop_extent(step, coordinates)
                    if a >= 0 and step.fits[a]:
                        if counts[0] == found.costs.shape[0]:
                            counts[0] = start_count
                            return i
                        for p in range(passes):
                            costs[depth + 1, p] = costs[depth, p]
                        # Idle loops do not change extents, so `room.tau` holds above too.
                        new = leave(
                            plan, rows, step, outer, n, flags, costs[depth + 1], room, scratch
                        )
                        k = counts[0]
                        for p in range(passes):
                            found.costs[k, p] = costs[depth + 1, p]
                        found.ints[k, EXTENT] = a
                        found.ints[k, WAITING] = new
                        found.ints[k, PARENT] = i
                        found.ints[k, SEQUENCE] = stack[depth, DEPTH_SEQUENCE]
                        if worthwhile(goal, costs[depth], rest, a, flags):
                            counts[0] += 1
                        else:
                            counts[1] += 1
                d = 0
                stack[depth, DEPTH_K] = 0
            pushed = False
            while d < dimensions:
                blocked = mask >> d & 1 or (flags > 0 and not step.choices[mask] >> d & 1)
                if flags == 0 and mask & ((1 << d) - 1) != (1 << d) - 1:
                    break
                if blocked:
                    d += 1
                    stack[depth, DEPTH_K] = 0
                    continue
                b = coordinates[d] - step.above[d]
                k = stack[depth, DEPTH_K]
                if k == step.loops[d, b]:
                    d += 1
                    stack[depth, DEPTH_K] = 0
                    continue
                stack[depth, DEPTH_K] = k + 1
                f = step.factor[d, b, k]
                if f == 1.0 and flags > 0 and not step.sizes[STRICT]:
                    continue
                c = step.target[d, b, k]
                new_state = state + (c - coordinates[d]) * step.stride[d]
                for p in range(passes):
                    costs[depth + 1, p] = costs[depth, p]
                new = place(plan, rows, step, n, flags, d, f, costs[depth + 1], room, scratch)
                if not worthwhile(goal, costs[depth + 1], least, new_state, new):
                    counts[1] += 1
                    continue
                stack[depth, DEPTH_D] = d
                sequence = stack[depth, DEPTH_SEQUENCE]
                if flags > 0:
                    place_in, left = 0, sequence
                    while left:
                        left >>= 4
                        place_in += 4
                    sequence |= (d + 1) << place_in
                depth += 1
                stack[depth, DEPTH_D], stack[depth, DEPTH_K] = -1, 0
                stack[depth, DEPTH_FLAGS], stack[depth, DEPTH_STATE] = new, new_state
                stack[depth, DEPTH_MASK] = mask | 1 << d
                stack[depth, DEPTH_SEQUENCE] = sequence
                coordinates[d] = c
                room.tau[d] = step.tau[d, c]
                pushed = True
                break
            if pushed:
                continue
            depth -= 1
            if depth >= 0:
                # Take back the loop that led here.
                d = stack[depth, DEPTH_D]
                state = stack[depth, DEPTH_STATE]
                c = state // step.stride[d] % (step.above[d] + step.below[d])
                coordinates[d] = c
                room.tau[d] = step.tau[d, c]
    count: int = labels.costs.shape[0]
    return count


@compiled
def undominated(costs: Floats, key: Ints, kept: Ints, mark: Ints, most: int) -> int:
    """Mark labels that no other one of equal key undercuts; sorted by key, then by cost 0.

    `kept` is room. Compares with at most `most` kept ones each, so that a few may stay that
    need not. Returns how many are marked.
    """
    total, count = 0, 0
    for i in range(costs.shape[0]):
        if i == 0 or key[i] != key[i - 1]:
            count = 0
        mark[i] = 1
        for j in range(max(count - most, 0), count):
            inside = True
            for p in range(costs.shape[1]):
                if costs[kept[j], p] > costs[i, p]:
                    inside = False
                    break
            if inside:
                mark[i] = 0
                break
        if mark[i]:
            kept[count] = i
            count += 1
            total += 1
    return total


@compiled
def follow(
    plan: KernelPlan,
    rows: Rows,
    step: Step,
    outer: Step,
    n: Floats,
    least: Floats,
    rest: Floats,
    label: Ints,
    room: Room,
    scratch: Scratch,
) -> None:
    """Take the cheapest way through a memory by cost 0; `label` [4] goes from below to above."""
    dimensions, coordinates, into = n.shape[0], room.coordinates, room.costs[0]
    state = enter(step, label[EXTENT], room)
    mask, sequence, length = 0, 0, 0
    flags = label[WAITING]
    while True:
        best, best_d, best_k = np.inf, -1, -1
        stop = stop_extent(step, coordinates)
        if stop >= 0 and (flags > 0 or mask == (1 << dimensions) - 1):
            best = rest[0, stop, flags]
        for d in range(dimensions):
            if mask >> d & 1 or (flags > 0 and not step.choices[mask] >> d & 1):
                continue
            if flags == 0 and mask & ((1 << d) - 1) != (1 << d) - 1:
                break
            b = coordinates[d] - step.above[d]
            for k in range(step.loops[d, b]):
                f = step.factor[d, b, k]
                if f == 1.0 and flags > 0 and not step.sizes[STRICT]:
                    continue
                new_state = state + (step.target[d, b, k] - coordinates[d]) * step.stride[d]
                for p in range(into.shape[0]):
                    into[p] = 0.0
                new = place(plan, rows, step, n, flags, d, f, into, room, scratch)
                total = into[0] + least[0, new_state, new]
                if total < best:
                    best, best_d, best_k = total, d, k
        if best_d < 0:
            break
        d = best_d
        b = coordinates[d] - step.above[d]
        f = step.factor[d, b, best_k]
        if flags > 0:
            sequence |= (d + 1) << (4 * length)
            length += 1
        flags = place(plan, rows, step, n, flags, d, f, into, room, scratch)
        c = step.target[d, b, best_k]
        state += (c - coordinates[d]) * step.stride[d]
        coordinates[d] = c
        room.tau[d] = step.tau[d, c]
        mask |= 1 << d
    label[EXTENT] = stop_extent(step, coordinates)
    label[WAITING] = leave(plan, rows, step, outer, n, flags, into, room, scratch)
    label[SEQUENCE] = sequence
