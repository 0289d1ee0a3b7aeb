"""Where a transfer stands in its nest: the loop that moves it, and which way old sums go."""

from __future__ import annotations

from typing import Any, NamedTuple

from toolkit.lifted import formula, is_never, is_single, once, where
from toolkit.model.nest import Nest
from toolkit.model.plan_tables import PlanTables

ENTERING = 2
"""A third way, beside `READING` and `WRITING`: into the child, where no two instances share.

The words of the other two are counted at a *place*: instances of spatial levels outside of it
count apart, those from there inwards share what they can. At the supplier these are the words it
moves, at a fanout those that its networks take in and hand back, and right inside of it those of
all its instances.
"""


class Mover(NamedTuple):
    """The innermost loop of a transfer's nest that indexes the tensor.

    Attributes
    ----------
    slides : bool or array
        Whether there is one whose steps leave the rest of a window in place.
    place : number or array
        Where it stands among the loops of all levels, outermost first; -1 if there is none, and
        beyond all loops for lanes, which every loop supplies anew.
    dimension, factor : number or array
        What it iterates (-1 and 1 where there is none).
    """

    slides: Any
    place: Any
    dimension: Any
    factor: Any


@once
@formula
def find_mover(plan: PlanTables, nest: Nest, t: int, x: int) -> Mover:
    """Find the loop inside of which a transfer stands.

    Each memory's loops are asked by dimension, for where they stand: the innermost one counts.
    """
    transfer, nothing, width = plan.transfers[x], 0 * nest.one - 1, plan.shape.dimensions
    place, idle, dimension, factor = nothing, nothing, nothing, nest.one
    if transfer.child < 0:
        place = nest.one * (plan.shape.levels * width)
    for i in range(transfer.nested - 1 if transfer.child >= 0 else -1, -1, -1):
        m = plan.nests[x, i]
        if is_single(nest.levels[m].iterations):
            continue
        waits = place < m * width
        if is_never(waits):
            break
        for d in range(width):
            f = nest.factors[m, d]
            if is_single(f):
                continue
            stands = m * width * nest.one + nest.places[m, d]
            if plan.indexes[t, d]:
                inner = waits & (f > 1) & (stands > place)
                place, factor = where(inner, stands, place), where(inner, f, factor)
                dimension = where(inner, d * nest.one, dimension)
            else:
                idle = where((f > 1) & (stands > idle), stands, idle)
    found = dimension >= 0
    if not plan.levels[transfer.supplier].multiple_reuses:
        found = found & (idle < place)
    return Mover(found, place, dimension, factor)


@formula
def sums_go_on(plan: PlanTables, t: int) -> bool:
    """Whether old values go to one of the instances that sum them up apart, wherever it stands."""
    return bool(plan.tensors[t].is_output != 0 and plan.switches.seeds_all == 0)


@formula
def enters_child(plan: PlanTables, x: int, place: int) -> bool:
    """Whether what enters the child is asked for: once for all places, at the supplier."""
    return bool(plan.transfers[x].child >= 0 and plan.transfers[x].supplier == place)
