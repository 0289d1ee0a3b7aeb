"""What one value of a tensor takes in a memory or on wires: room, and words that pass.

An output is a partial sum as long as it may be incomplete, and has the bits of one. It is complete
when a memory receives it from inside for the last time, and when it leaves that memory for good,
if no instances of it sum up the same output (where tiles of outputs overlap, in the outermost
memory that holds it alone). So of all that a
memory receives from inside, and of all that it sends outwards, as many values are complete as
there are outputs; the rest, and all that comes back, are partial sums. On the wires of a fanout
all of them count as partial sums: the adders on the way out are as wide as these.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from toolkit.arch.levels import Fanout, Memory
from toolkit.arch.packing import footing, sum_bits, words_per_value
from toolkit.model.plan import Plan


class ValueRow(NamedTuple):
    """One value of a tensor in a memory.

    ``units``: what it takes of the capacity, see `toolkit.arch.packing.Footing`. ``words``: those
    of a value, of a partial sum as long as it may be incomplete. ``less_updated``,
    ``less_drained``: by how much a complete output is less, of those that the memory receives from
    inside and sends outwards in the end.
    """

    units: float
    words: float
    less_updated: float
    less_drained: float


WHOLE_WORD = ValueRow(1, 1, 0, 0)
"""Of a value that nobody knows the bits of."""


def value_row(plan: Plan, t: int, i: int) -> ValueRow:
    """Say what values of tensor number `t` take in the memory or on the wires of level `i`."""
    memory, tensor = plan.arch.levels[i], plan.tensors[t]
    if isinstance(memory, Fanout):
        bits = sum_bits(tensor.tensor)
        word_bits = None if memory.wires is None else memory.wires.word_bits
        if bits is None or word_bits is None:
            return WHOLE_WORD
        return ValueRow(1, float(Fraction(bits, word_bits)), 0, 0)
    if not isinstance(memory, Memory) or memory.word_bits is None:
        return WHOLE_WORD
    words = words_per_value(memory, sum_bits(tensor.tensor))
    less = float(words - words_per_value(memory, tensor.tensor.bits))
    updated = any(x.supplier == i for x in tensor.transfers)
    # What passes a supplier that does not hold it is not counted where it comes from.
    counted = plan.conventions.transfers != "sequential"
    drained = not plan.conventions.free_drains and any(
        x.child == i and (counted or x.supplier in tensor.holders) for x in tensor.transfers
    )
    if any(len(terms) > 1 for terms in tensor.sums):
        # Sums of overlapping tiles start apart, and are added up where all of the output is.
        updated, drained = updated and i == tensor.transfers[0].supplier, False
    return ValueRow(
        footing(plan.arch, plan.workload, memory).units[t],
        float(words),
        less * updated,
        less * drained,
    )
