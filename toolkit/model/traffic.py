"""Values that one tensor moves between a memory and its next holder inwards.

The loops of memories that bypass the tensor (or of all outer memories) belong to the supplier's
nest, and what enters and leaves a memory is counted at its own instances. A transfer stands just
inside the innermost loop of its nest that indexes the tensor, the *mover*, and takes place
whenever the body of that loop runs: once for every combination of the counters of all loops
outside it. Loops of one iteration are no loops; a loop that is cut off after one is.

So the dimensions decide one by one. One that indexes the tensor contributes its iterations:
tiles cover each of them once. Any other contributes the combinations of its counters that occur,
of the loops outside the mover and of the instances that are served apart. Tiles start at
multiples of their extents, and all but the last are complete; `toolkit.model.repeats` follows both
kinds from level to level, and `toolkit.model.tiles` counts the values of tiles. FactorFlow's way
to count is in `toolkit.model.sequential`.
"""

from __future__ import annotations

from typing import Any

from toolkit.lifted import Table, formula, once
from toolkit.model.movers import ENTERING, find_mover, sums_go_on
from toolkit.model.nest import Nest, orthogonal
from toolkit.model.plan_tables import READING, WRITING, PlanTables
from toolkit.model.repeats import count_runs
from toolkit.model.tiles import index_words, values_alone


@once
@formula
def count_per_instance(plan: PlanTables, nest: Nest, t: int) -> None:
    """Fill in what all memories move of one tensor, and what their first instances do.

    Then what crosses fanouts whose wires matter. Outputs start from zero at their first visit,
    unless a bias is read.
    """
    owners = 1
    if nest.ragged[plan.shape.dimensions]:
        owners = 2
    alone = values_alone(plan, nest, t, 0, 0)
    begun, own_begun = 0 * nest.one, 0 * nest.one
    for x in range(plan.tensors[t].transfers, plan.tensors[t].transfers_end):
        transfer, mover = plan.transfers[x], find_mover(plan, nest, t, x)
        # The supplier last: it says how often what lies further in has begun.
        for number in range(transfer.places - 1, -1, -1):
            place = plan.places[x, number]
            for own in range(owners):
                for way in range(ENTERING + 1):
                    nest.words[way] = alone
                    if own:
                        level = transfer.held if way == ENTERING else place
                        nest.words[way] = values_alone(plan, nest, t, level, own)
                for s in range(plan.tensors[t].axes):
                    if plan.axes[t, s].terms > 1:
                        index_words(plan, nest, t, x, s, mover, place, own)
                count_runs(plan, nest, t, x, mover, place, own)
                if number == 0 and x == plan.shape.stationary and own == owners - 1:
                    note_stays(plan, nest, x, own)
                if number > 0:
                    if own:
                        note_crossing(plan, nest, t, x, place, nest.busiest, own_begun)
                    else:
                        note_crossing(plan, nest, t, x, place, nest.moved, begun)
                        if owners == 1:
                            note_even_crossing(plan, nest, t, x, place)
                elif own:
                    own_begun = note_words(plan, nest, t, x, nest.busiest, own_begun)
                else:
                    begun = note_words(plan, nest, t, x, nest.moved, begun)
                    if owners == 1:
                        note_even_words(plan, nest, t, x)


@formula
def note_stays(plan: PlanTables, nest: Nest, x: int, own: int) -> None:
    """Note the values that come to stay in a systolic array, of the first instance."""
    held, entering = plan.transfers[x].held, nest.words[ENTERING] * nest.runs[ENTERING]
    if not own:
        entering = entering / nest.levels[held].active
    nest.levels[held].entering = entering


@formula
def from_zero(plan: PlanTables, nest: Nest, t: int, x: int, begun: Any) -> Any:
    """How often a value starts from zero where it might come from the supplier, by `count_runs`.

    The supplier's tiles have `begun` from zero so often, by every value, if it is not the
    outermost holder.
    """
    if sums_go_on(plan, t) and x > plan.tensors[t].transfers:
        return begun
    return nest.first[READING]


@formula
def note_words(plan: PlanTables, nest: Nest, t: int, x: int, moved: Table, begun: Any) -> Any:
    """Note who moves the words of a transfer.

    The supplier's tiles have `begun` from zero so often (see `from_zero`); returns how often
    those of the child have. Old sums are read by one of the instances that sum up a value apart,
    and all others start from zero, unless all are to get it.
    """
    supplier, child = plan.transfers[x].supplier, plan.transfers[x].child
    words, runs, first = nest.words, nest.runs, nest.first
    entered, begun = runs[ENTERING], from_zero(plan, nest, t, x, begun)
    read = runs[READING] - begun
    if plan.tensors[t].is_output:
        moved[supplier, t].updates = words[WRITING] * runs[WRITING]
        filled = entered - first[ENTERING]
        if sums_go_on(plan, t):
            filled = read
            begun = begun + (entered - runs[READING])
        if not plan.switches.zero_fills:
            entered = filled
        if child >= 0 and not plan.switches.free_drains:
            moved[child, t].drains = words[ENTERING] * runs[ENTERING]
    moved[supplier, t].reads = words[READING] * read
    if child >= 0:
        moved[child, t].fills = words[ENTERING] * entered
    return begun


@formula
def note_even_words(plan: PlanTables, nest: Nest, t: int, x: int) -> None:
    """Note the words of first instances where all of them have tiles of the same size.

    Of the instances that sum up a value apart, the first one goes on with old sums.
    """
    supplier, child = plan.transfers[x].supplier, plan.transfers[x].child
    words, runs, first = nest.words, nest.runs, nest.first
    active = nest.levels[supplier].active
    nest.busiest[supplier, t].reads = words[READING] * (runs[READING] - first[READING]) / active
    if plan.tensors[t].is_output:
        nest.busiest[supplier, t].updates = nest.moved[supplier, t].updates / active
    if child >= 0:
        active, entered = nest.levels[child].active, runs[ENTERING] - first[ENTERING]
        if plan.switches.zero_fills:
            entered = runs[ENTERING]
        nest.busiest[child, t].fills = words[ENTERING] * entered / active
        if plan.tensors[t].is_output:
            nest.busiest[child, t].drains = nest.moved[child, t].drains / active


@formula
def note_crossing(
    plan: PlanTables, nest: Nest, t: int, x: int, place: int, moved: Table, begun: Any
) -> None:
    """Note what crosses a fanout: what its networks take in and hand back, or its instances.

    Nothing comes in where a value starts from zero (see `from_zero`).
    """
    outwards = 0 * nest.one
    inwards = nest.words[READING] * (nest.runs[READING] - from_zero(plan, nest, t, x, begun))
    if plan.tensors[t].is_output:
        outwards = nest.words[WRITING] * nest.runs[WRITING]
    note_at(plan, moved, t, place, inwards, outwards)


@formula
def note_even_crossing(plan: PlanTables, nest: Nest, t: int, x: int, place: int) -> None:
    """Note what crosses the first network where all tiles have the same size.

    Old sums on their way inwards all pass the first of the networks that sum up a value apart.
    """
    active, outwards = nest.levels[place].active, 0 * nest.one
    inwards = nest.words[READING] * (nest.runs[READING] - nest.first[READING])
    if plan.tensors[t].is_output:
        outwards = nest.words[WRITING] * nest.runs[WRITING] / active
    if sums_go_on(plan, t):
        for i in range(plan.transfers[x].spatial):
            if plan.between[x, i] < place:
                inwards = inwards * orthogonal(plan, nest, t, plan.between[x, i])
    note_at(plan, nest.busiest, t, place, inwards / active, outwards)


@formula
def note_at(
    plan: PlanTables, moved: Table, t: int, place: int, inwards: Any, outwards: Any
) -> None:
    """Note values that pass a place with the fanouts on either side of it."""
    if plan.levels[place].wired:
        moved[place, t].reads, moved[place, t].updates = inwards, outwards
    if plan.levels[place - 1].wired:
        moved[place - 1, t].fills, moved[place - 1, t].drains = inwards, outwards
