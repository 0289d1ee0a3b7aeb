"""The mapping of least energy of one choice of a ragged space, in one call.

Memory by memory, the innermost first, loops are placed one by one, and of the labels with the
same future only the cheapest is kept. What may still reach the goal is judged by the tables of
`toolkit.search.exact.relaxed`.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from toolkit.compilation import Kernel
from toolkit.lifted import Table, formula, once
from toolkit.search.exact.compiled_course import Course, Shared, Store, load
from toolkit.search.exact.compiled_labels import (
    Goal,
    Labels,
    enter,
    expand,
    may_stand,
    reaches,
    stand,
    with_loop,
)
from toolkit.search.exact.compiled_paths import Least
from toolkit.search.exact.compiled_steps import Step, charge, has_room, leave, place, stop_extent
from toolkit.search.exact.compiled_words import LabelRow, Room, Rows, WindowPlan, WindowRoom

NONE, FOUND, TOO_MANY, BEATEN = range(4)
"""What became of a choice: no mapping reaches the goal, one does, there are too many partial
mappings to tell, or what all mappings share is too much already."""


class LabelSet(NamedTuple):
    """Labels, the cheapest of each future.

    Attributes
    ----------
    costs, rows : [N, 1], `LabelRow` [N]
        Labels. Inside a memory ``extent`` is the number of a state.
    slots, holders : [slots]
        Futures of the labels that were added last, and the labels.
    """

    costs: Annotated[Table, float, 2]
    rows: Annotated[Table, LabelRow, 1]
    slots: Annotated[Table, int, 1]
    holders: Annotated[Table, int, 1]


STATES = 1 << 20
"""More than tensors have states at any memory."""


@formula
def slot_of(set_: LabelSet, extent: int, waiting: int) -> int:
    """Slot of the label with a future, or the empty one where it would lie."""
    key, slots = extent * STATES + waiting + 1, set_.slots.shape[0]
    slot = int((key * 2654435761 >> 12) & (slots - 1))
    while set_.slots[slot] != 0 and set_.slots[slot] != key:
        slot = (slot + 1) & (slots - 1)
    return slot


@formula
def settle(
    set_: LabelSet,
    begin: int,
    end: int,
    cost: float,
    extent: int,
    waiting: int,
    parent: int,
    sequence: int,
) -> int:
    """Add a label to those from `begin` to `end`, the cheapest of each future; their new end.

    One past the room if there are too many.
    """
    slot = slot_of(set_, extent, waiting)
    if set_.slots[slot] != 0:
        j = int(set_.holders[slot])
        if set_.costs[j, 0] <= cost:
            return end
    else:
        room: int = set_.costs.shape[0]
        if end >= room or (end - begin) * 2 > set_.slots.shape[0]:
            return room + 1
        j = end
        end += 1
        set_.slots[slot], set_.holders[slot] = extent * STATES + waiting + 1, j
    set_.costs[j, 0] = cost
    set_.rows[j].extent, set_.rows[j].waiting = extent, waiting
    set_.rows[j].parent, set_.rows[j].sequence = parent, sequence
    return end


@formula
def forget(set_: LabelSet, begin: int, end: int) -> None:
    """Empty the slots of the labels from `begin` to `end`."""
    slots, room = set_.slots.shape[0], set_.costs.shape[0]
    if (end - begin) * 8 > slots or end > room:
        for slot in range(slots):
            set_.slots[slot] = 0
        return
    # The last one first, so that no slot that is emptied hides one further on.
    for j in range(begin, end):
        i = end - 1 - (j - begin)
        set_.slots[slot_of(set_, set_.rows[i].extent, set_.rows[i].waiting)] = 0


@formula
def may_reach(
    shared: Shared, course: Course, k: int, flags: int, cell: int, goal: Goal, cost: float
) -> bool:
    """Whether a label inside a memory, with the extents of a cell, may still reach the goal."""
    least = max(course.floor[k, flags], shared.to_go[k, shared.subset[k, flags], cell])
    return reaches(goal, goal.numbers.fixed + cost + least, goal.numbers.cycles)


@once
@formula
def pass_memory(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    step: Step,
    shared: Shared,
    course: Course,
    k: int,
    goal: Goal,
    kept: LabelSet,
    begin: int,
    layer: LabelSet,
    grown: LabelSet,
    size: int,
    room: Room,
) -> int:
    """Extend the first `size` labels of a layer, inside a memory, by a loop each.

    Those that need no more are added to `kept`, from ``room.state.found`` on, the others to the
    next layer, `grown`, whose size is returned: more than there is room for if there are too many.
    """
    dimensions, along = room.along.shape[0], room.along
    full, count, end = (1 << dimensions) - 1, 0, room.state.found
    for i in range(size):
        label, into = layer.rows[i], room.costs[1]
        state, flags, mask, cell = label.extent, label.waiting, 0, 0
        for d in range(dimensions):
            c = stand(step, room, state, d)
            mask |= (c < step.dimensions[d].above) << d
            cell += course.cell[k, d, c]
        if mask == 0 and not has_room(plan, nest, step, room):
            continue
        if not may_reach(shared, course, k, flags, cell, goal, layer.costs[i, 0]):
            continue
        if flags > 0 or mask == full:
            a = stop_extent(step, along)
            if a >= 0:
                into[0] = layer.costs[i, 0]
                new = leave(plan, nest, rows, step, flags, into, room)
                parent, sequence = label.parent, label.sequence
                end = settle(kept, begin, end, into[0], a, new, parent, sequence)
        for d in range(dimensions):
            if flags == 0 and mask & ((1 << d) - 1) != (1 << d) - 1:
                break
            if mask >> d & 1 or (flags > 0 and not step.choices[mask] >> d & 1):
                continue
            c = along[d].coordinate
            b = c - step.dimensions[d].above
            for j in range(step.counts[d, b]):
                loop = step.loops[d, b, j]
                f, target = loop.factor, loop.target
                if f == 1.0 and flags > 0 and not step.sizes.strict:
                    continue
                if not may_stand(plan, nest, step, room, d, target):
                    break  # Nor do the larger ones.
                into[0] = layer.costs[i, 0]
                new = place(plan, nest, rows, step, flags, d, f, target, into, room)
                further = cell - course.cell[k, d, c] + course.cell[k, d, target]
                if not may_reach(shared, course, k, new, further, goal, into[0]):
                    continue
                new_state = state + (target - c) * step.dimensions[d].stride
                sequence = label.sequence
                if flags > 0:
                    sequence = with_loop(sequence, d)
                count = settle(grown, 0, count, into[0], new_state, new, label.parent, sequence)
        if count > grown.costs.shape[0] or end > kept.costs.shape[0]:
            break
    room.state.found = end
    return count


@once
@formula
def enter_memory(
    step: Step, kept: LabelSet, begin: int, end: int, layer: LabelSet, room: Room
) -> int:
    """Make labels inside a memory of those below it; returns how many, be there room or not."""
    for i in range(begin, end):
        size = i - begin
        if size < layer.costs.shape[0]:
            row = layer.rows[size]
            layer.costs[size, 0] = kept.costs[i, 0]
            row.extent, row.waiting = enter(step, kept.rows[i].extent, room), kept.rows[i].waiting
            row.parent, row.sequence = i, 0
    return end - begin


@once
@formula
def follow(kept: LabelSet, begin: int, end: int, course: Course, room: Room) -> None:
    """Write down the cheapest label from `begin` to `end`, and the way that led to it."""
    best, count = begin, course.path.shape[0]
    for i in range(begin, end):
        if kept.costs[i, 0] < kept.costs[best, 0]:
            best = i
    room.costs[0, 0] = kept.costs[best, 0]
    for j in range(count):
        path = course.path[count - 1 - j]
        path.extent, path.sequence = kept.rows[best].extent, kept.rows[best].sequence
        best = kept.rows[best].parent


@once
@formula
def climb(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    shared: Shared,
    course: Course,
    k: int,
    goal: Goal,
    kept: LabelSet,
    begin: int,
    end: int,
    layer: LabelSet,
    grown: LabelSet,
    room: Room,
) -> int:
    """Extend the labels below memory number `k`, from `begin` to `end`, to those above it.

    These are added to `kept` up to ``room.state.found``. Returns the size of the last layer of
    labels inside: more than there is room for if there are too many.
    """
    step = Step(
        course.sizes[k],
        course.dimensions[k],
        shared.waiting[k],
        course.tau[k],
        course.idle[k],
        course.counts[k],
        course.loops[k],
        shared.choices[k],
        course.nothing,
        course.inside[k],
        course.seen[k],
        course.nothing,
        course.unseen,
        course.first,
        course.ends,
        course.ends,
    )
    size = enter_memory(step, kept, begin, end, layer, room)
    room.state.found = end
    for depth in range(room.along.shape[0] + 1):
        if size <= layer.costs.shape[0]:
            take, give = layer, grown
            if depth % 2 == 1:
                take, give = grown, layer
            size = pass_memory(
                plan, nest, rows, step, shared, course, k, goal, kept, end, take, give, size, room
            )
            forget(give, 0, size)
    return size


@once
@formula
def solve(
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    store: Store,
    shared: Shared,
    course: Course,
    kept: LabelSet,
    layer: LabelSet,
    grown: LabelSet,
    goal: Goal,
    room: Room,
) -> int:
    """Find the mapping of least energy of the picked choice, if it reaches the goal.

    Fills in ``course.path`` and its cost, ``room.costs[0, 0]``. Lanes are added to what the goal
    says all mappings share.
    """
    load(store, shared, course, rows)
    count, dimensions = shared.memories.shape[0], course.picked.shape[0]
    room.costs[0, 0] = 0.0
    for d in range(dimensions):
        room.along[d].coordinate, room.along[d].tau = 0, 1.0
    for i in range(shared.fixed.shape[0]):
        charge(plan, nest, rows, shared.fixed[i], room, -1, 1.0, 0, 1, room.costs[0])
    goal.numbers.fixed += room.costs[0, 0]
    kept.costs[0, 0] = 0.0
    kept.rows[0].extent, kept.rows[0].waiting = 0, 0
    kept.rows[0].parent, kept.rows[0].sequence = -1, 0
    if not may_reach(shared, course, count - 1, 0, 0, goal, 0.0):
        return BEATEN
    begin, end = 0, 1
    for j in range(count):
        k = count - 1 - j
        size = climb(
            plan, nest, rows, shared, course, k, goal, kept, begin, end, layer, grown, room
        )
        begin = end
        end = room.state.found
        forget(kept, begin, end)
        if size > layer.costs.shape[0] or end > kept.costs.shape[0]:
            return TOO_MANY
        if begin == end:
            return NONE
    follow(kept, begin, end, course, room)
    return FOUND


EXTEND, SOLVE = range(2)
"""What `label` does."""


@once
@formula
def label(
    task: int,
    plan: WindowPlan,
    nest: WindowRoom,
    rows: Rows,
    goal: Goal,
    room: Room,
    own: Least,
    step: Step,
    labels: Labels,
    found: Labels,
    store: Store,
    shared: Shared,
    course: Course,
    kept: LabelSet,
    layer: LabelSet,
    grown: LabelSet,
) -> int:
    """Do one task; they are one kernel, for they share most of its machine code."""
    if task == SOLVE:
        return solve(plan, nest, rows, store, shared, course, kept, layer, grown, goal, room)
    count: int = expand(plan, nest, rows, step, goal, own, labels, found, room)
    return count


LABEL = Kernel("toolkit.search.exact.compiled_least:label", "the exact search's labels")
