"""Labels: partial mappings with all their costs, extended memory by memory."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np

from toolkit.compilation import Kernel
from toolkit.lifted import Table, apart, formula, once
from toolkit.model.totals import in_whole_cycles
from toolkit.search.compiled_moves import power
from toolkit.search.exact.compiled_steps import (
    Least,
    Step,
    has_room,
    leave,
    place,
    stop_extent,
    tiles_fit,
)
from toolkit.search.exact.compiled_words import LabelRow, Room, Rows, WindowPlan, WindowRoom


class Labels(NamedTuple):
    """Partial mappings from the innermost memory up to some boundary.

    Attributes
    ----------
    costs : [N, P]
        Costs so far.
    rows : `LabelRow` [N]
        What they are.
    """

    costs: Annotated[Table, float, 2]
    rows: Annotated[Table, LabelRow, 1]


class Sieve(NamedTuple):
    """Labels sorted by key, then by cost 0.

    Attributes
    ----------
    costs : [N, P]
        Costs so far.
    key : [N]
        What decides the costs to come.
    kept : [N]
        Room.
    mark : [N]
        Filled in: 1 for those that nothing undercuts.
    """

    costs: Annotated[Table, float, 2]
    key: Annotated[Table, int, 1]
    kept: Annotated[Table, int, 1]
    mark: Annotated[Table, int, 1]


class GoalRow(NamedTuple):
    """Powers of energy and latency, factor of the value and its limit; what all mappings share.

    Cycles of the lanes and of warm-up, leakage of energy per cycle, energy of all mappings, and
    whether cycles are rounded up.
    """

    energy_power: float
    latency_power: float
    scale: float
    limit: float
    cycles: float
    warm_up: float
    leakage: float
    fixed: float
    whole_cycles: int


class Goal(NamedTuple):
    """What makes a partial mapping worth following.

    Attributes
    ----------
    numbers : `GoalRow`
        The objective.
    front : [points, 2]
        Energy and latency that others must undercut; may be empty.
    floor : [flags, P]
        Costs that are yet to come by the states of the tensors at one memory, where nothing
        better is known; may be empty.
    to_go : [P, subsets, cells]
        The same by the tensors that wait and the extents: see `Relaxed`.
    subset : [flags]
        Tensors that wait, as bits, by their states.
    cells : [D, C]
        `Grid.cells` by coordinate.
    """

    numbers: Annotated[Any, GoalRow, 0]
    front: Annotated[Table, float, 2]
    floor: Annotated[Table, float, 2]
    to_go: Annotated[Table, float, 3]
    subset: Annotated[Table, int, 1]
    cells: Annotated[Table, int, 2]


@formula
def worthwhile(goal: Goal, costs: Table, least: Table, state: int, flags: int, cell: int) -> bool:
    """Whether costs so far and the least ones to come may still reach the goal.

    These are known by the state, or else by the extents' cell.
    """
    latency, energy = goal.numbers.cycles, goal.numbers.fixed + costs[0]
    if goal.floor.shape[0] > 0:
        subset = goal.subset[flags]
        for p in range(1, costs.shape[0]):
            rest = max(goal.floor[flags, p], goal.to_go[p, subset, cell])
            latency = max(latency, costs[p] + rest)
        energy += max(goal.floor[flags, 0], goal.to_go[0, subset, cell])
    else:
        if not least[0, state, flags] < np.inf:
            return False
        for p in range(1, costs.shape[0]):
            latency = max(latency, costs[p] + least[p, state, flags])
        energy += least[0, state, flags]
    return reaches(goal, energy, latency)


@formula
def reaches(goal: Goal, energy: float, latency: float) -> bool:
    """Whether a mapping of some energy and latency, leakage and warm-up aside, is wanted."""
    latency += goal.numbers.warm_up
    if goal.numbers.whole_cycles:
        latency = in_whole_cycles(latency)
    # What complete outputs save may exceed what is known of the energy so far.
    energy = max(energy, 0.0) + goal.numbers.leakage * latency
    value = power(energy, goal.numbers.energy_power) * power(latency, goal.numbers.latency_power)
    if value * goal.numbers.scale >= goal.numbers.limit:
        return False
    for i in range(goal.front.shape[0]):
        if goal.front[i, 0] <= energy and goal.front[i, 1] <= latency:
            return False
    return True


@formula
def cell_of(goal: Goal, room: Room) -> int:
    """Number of the cell of the extents of ``room.along``; 0 where cells do not matter."""
    cell = 0
    if goal.cells.shape[0] > 0:
        for d in range(room.along.shape[0]):
            cell += goal.cells[d, room.along[d].coordinate]
    return cell


@formula
def enter(step: Step, extent: int, room: Room) -> int:
    """Stand below a memory with numbered extents and no loop placed; returns the state."""
    state = 0
    for d in range(room.along.shape[0] - 1, -1, -1):
        c = step.dimensions[d].above + extent % step.dimensions[d].below
        extent //= step.dimensions[d].below
        room.along[d].coordinate = c
        room.along[d].tau = step.tau[d, c]
        state += c * step.dimensions[d].stride
    return state


@apart
@formula
def expand(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    step: Step,
    goal: Goal,
    own: Least,
    labels: Labels,
    found: Labels,
    room: Room,
) -> int:
    """Extend labels below a memory to labels above it.

    Fills `found` from ``room.state.found`` on; returns the first label that was not extended
    because there was no room left (then its extensions are taken back), or the number of labels.
    ``room.state.dropped`` adds up what was not worthwhile.
    """
    least, rest, outcome = own.least, own.rest, room.state
    dimensions, passes = room.along.shape[0], labels.costs.shape[1]
    stack, costs, along = room.stack, room.costs, room.along
    full = (1 << dimensions) - 1
    for i in range(labels.costs.shape[0]):
        start_count = outcome.found
        state = enter(step, labels.rows[i].extent, room)
        for p in range(passes):
            costs[0, p] = labels.costs[i, p]
        depth = 0
        stack[0].d, stack[0].k = -1, 0
        stack[0].flags, stack[0].state = labels.rows[i].waiting, state
        stack[0].mask, stack[0].sequence = 0, 0
        cell = cell_of(goal, room)
        if not worthwhile(goal, costs[0], least, state, labels.rows[i].waiting, cell):
            outcome.dropped += 1
            continue
        while depth >= 0:
            flags, mask = stack[depth].flags, stack[depth].mask
            state, d = stack[depth].state, stack[depth].d
            if d < 0:
                if flags > 0 or mask == full:
                    a = stop_extent(step, along)
                    if a >= 0 and tiles_fit(plan, nest, step, room, a):
                        if outcome.found == found.costs.shape[0]:
                            outcome.found = start_count
                            return i
                        for p in range(passes):
                            costs[depth + 1, p] = costs[depth, p]
                        # Idle loops do not change extents, so `room.along` holds above too.
                        into = costs[depth + 1]
                        new = leave(plan, nest, rows, step, flags, into, room)
                        k = outcome.found
                        for p in range(passes):
                            found.costs[k, p] = costs[depth + 1, p]
                        found.rows[k].extent = a
                        found.rows[k].waiting = new
                        found.rows[k].parent = i
                        found.rows[k].sequence = stack[depth].sequence
                        cell = cell_of(goal, room)
                        if worthwhile(goal, costs[depth], rest, a, flags, cell):
                            outcome.found += 1
                        else:
                            outcome.dropped += 1
                d = 0
                stack[depth].k = 0
            pushed = False
            while d < dimensions:
                blocked = mask >> d & 1 or (flags > 0 and not step.choices[mask] >> d & 1)
                if flags == 0 and mask & ((1 << d) - 1) != (1 << d) - 1:
                    break
                if blocked:
                    d += 1
                    stack[depth].k = 0
                    continue
                b = along[d].coordinate - step.dimensions[d].above
                k = stack[depth].k
                if k == step.counts[d, b]:
                    d += 1
                    stack[depth].k = 0
                    continue
                stack[depth].k = k + 1
                f = step.loops[d, b, k].factor
                if f == 1.0 and flags > 0 and not step.sizes.strict:
                    continue
                c = step.loops[d, b, k].target
                if step.fits.shape[0] == 0:
                    room.along[d].tau = step.tau[d, c]
                    fits = has_room(plan, nest, step, room)
                    room.along[d].tau = step.tau[d, along[d].coordinate]
                    if not fits:  # Nor do the larger ones.
                        stack[depth].k = step.counts[d, b]
                        continue
                higher = c - along[d].coordinate
                new_state = state + higher * step.dimensions[d].stride
                for p in range(passes):
                    costs[depth + 1, p] = costs[depth, p]
                new = place(plan, nest, rows, step, flags, d, f, c, costs[depth + 1], room)
                before = along[d].coordinate
                along[d].coordinate = c
                cell = cell_of(goal, room)
                along[d].coordinate = before
                if not worthwhile(goal, costs[depth + 1], least, new_state, new, cell):
                    outcome.dropped += 1
                    continue
                stack[depth].d = d
                sequence = stack[depth].sequence
                if flags > 0:
                    place_in, left = 0, sequence
                    while left:
                        left >>= 4
                        place_in += 4
                    sequence |= (d + 1) << place_in
                depth += 1
                stack[depth].d, stack[depth].k = -1, 0
                stack[depth].flags, stack[depth].state = new, new_state
                stack[depth].mask = mask | 1 << d
                stack[depth].sequence = sequence
                along[d].coordinate = c
                room.along[d].tau = step.tau[d, c]
                pushed = True
                break
            if pushed:
                continue
            depth -= 1
            if depth >= 0:
                # Take back the loop that led here.
                d = stack[depth].d
                state = stack[depth].state
                c = (
                    state
                    // step.dimensions[d].stride
                    % (step.dimensions[d].above + step.dimensions[d].below)
                )
                along[d].coordinate = c
                room.along[d].tau = step.tau[d, c]
    count: int = labels.costs.shape[0]
    return count


@once
@formula
def undominated(sieve: Sieve, most: int) -> int:
    """Mark labels that no other one of equal key undercuts.

    Compares with at most `most` kept ones each, so that a few may stay that
    need not. Returns how many are marked.
    """
    costs, key, kept, mark = sieve.costs, sieve.key, sieve.kept, sieve.mark
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


UNDOMINATED = Kernel(
    "toolkit.search.exact.compiled_labels:undominated", "the exact search's sieve"
)
