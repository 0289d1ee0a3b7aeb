"""Labels: partial mappings with all their costs, extended memory by memory."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np

from toolkit.compilation import Kernel
from toolkit.lifted import Table, apart, formula, once
from toolkit.model.totals import in_whole_cycles
from toolkit.search.compiled_moves import power
from toolkit.search.exact.compiled_paths import Least
from toolkit.search.exact.compiled_steps import (
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
def stand(step: Step, room: Room, state: int, d: int) -> int:
    """Stand along a dimension where a state of a memory says; returns the coordinate."""
    row = step.dimensions[d]
    c: int = state // row.stride % (row.above + row.below)
    room.along[d].coordinate, room.along[d].tau = c, step.tau[d, c]
    return c


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


@formula
def with_loop(sequence: int, d: int) -> int:
    """Loops placed while a tensor waited, with one more, of dimension `d`, outside of them."""
    place_in, left = 0, sequence
    while left:
        left >>= 4
        place_in += 4
    return sequence | (d + 1) << place_in


@formula
def may_stand(plan: WindowPlan, nest: WindowRoom, step: Step, room: Room, d: int, c: int) -> bool:
    """Whether tiles fit once the loop of `d` leads to a coordinate, if nothing else is placed."""
    before = room.along[d].tau
    room.along[d].tau = step.tau[d, c]
    fits = has_room(plan, nest, step, room)
    room.along[d].tau = before
    return fits


@once
@formula
def leave_branch(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    step: Step,
    goal: Goal,
    own: Least,
    found: Labels,
    room: Room,
    parent: int,
    depth: int,
) -> bool:
    """Add the label above a memory that no more loops of a branch lead to, if it is worthwhile.

    Returns whether there was room for it. Idle loops do not change extents, so that those of
    ``room.along`` hold above, too.
    """
    branch, k = room.stack[depth], room.state.found
    a, into = stop_extent(step, room.along), room.costs[depth + 1]
    if a < 0 or not tiles_fit(plan, nest, step, room, a):
        return True
    if k == found.costs.shape[0]:
        return False
    for p in range(into.shape[0]):
        into[p] = room.costs[depth, p]
    new, row = leave(plan, nest, rows, step, branch.flags, into, room), found.rows[k]
    for p in range(into.shape[0]):
        found.costs[k, p] = into[p]
    row.extent, row.waiting, row.parent, row.sequence = a, new, parent, branch.sequence
    if worthwhile(goal, room.costs[depth], own.rest, a, branch.flags, cell_of(goal, room)):
        room.state.found += 1
    else:
        room.state.dropped += 1
    return True


@once
@formula
def branch_off(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    step: Step,
    goal: Goal,
    own: Least,
    room: Room,
    depth: int,
) -> bool:
    """Place the next loop of a branch that is worthwhile; returns whether there is one left."""
    branch, along, into = room.stack[depth], room.along, room.costs[depth + 1]
    flags, mask = branch.flags, branch.mask
    while branch.d < along.shape[0]:
        d, k = branch.d, branch.k
        if flags == 0 and mask & ((1 << d) - 1) != (1 << d) - 1:
            return False
        blocked = mask >> d & 1 or (flags > 0 and not step.choices[mask] >> d & 1)
        before = along[d].coordinate
        b = before - step.dimensions[d].above
        if blocked or k == step.counts[d, b]:
            branch.d, branch.k = d + 1, 0
            continue
        branch.k = k + 1
        f, c = step.loops[d, b, k].factor, step.loops[d, b, k].target
        if f == 1.0 and flags > 0 and not step.sizes.strict:
            continue
        if step.fits.shape[0] == 0 and not may_stand(plan, nest, step, room, d, c):
            branch.k = step.counts[d, b]  # Nor do the larger ones.
            continue
        state = branch.state + (c - before) * step.dimensions[d].stride
        for p in range(into.shape[0]):
            into[p] = room.costs[depth, p]
        new = place(plan, nest, rows, step, flags, d, f, c, into, room)
        along[d].coordinate = c
        if not worthwhile(goal, into, own.least, state, new, cell_of(goal, room)):
            along[d].coordinate = before
            room.state.dropped += 1
            continue
        along[d].tau = step.tau[d, c]
        further = room.stack[depth + 1]
        further.d, further.k, further.flags, further.state = -1, 0, new, state
        further.mask, further.sequence = mask | 1 << d, branch.sequence
        if flags > 0:
            further.sequence = with_loop(branch.sequence, d)
        return True
    return False


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
    count: int = labels.costs.shape[0]
    full = (1 << room.along.shape[0]) - 1
    for i in range(count):
        begin, label, branch = room.state.found, labels.rows[i], room.stack[0]
        state = enter(step, label.extent, room)
        for p in range(labels.costs.shape[1]):
            room.costs[0, p] = labels.costs[i, p]
        branch.d, branch.k, branch.flags, branch.state = -1, 0, label.waiting, state
        branch.mask, branch.sequence = 0, 0
        cell = cell_of(goal, room)
        if not worthwhile(goal, room.costs[0], own.least, state, label.waiting, cell):
            room.state.dropped += 1
            continue
        depth = 0
        while depth >= 0:
            branch = room.stack[depth]
            if branch.d < 0:
                branch.d, branch.k = 0, 0
                ends = branch.flags > 0 or branch.mask == full
                if ends and not leave_branch(
                    plan, nest, rows, step, goal, own, found, room, i, depth
                ):
                    room.state.found = begin
                    return i
            if branch_off(plan, nest, rows, step, goal, own, room, depth):
                depth += 1
                continue
            depth -= 1
            if depth >= 0:  # Take back the loop that led here.
                stand(step, room, room.stack[depth].state, room.stack[depth].d)
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
