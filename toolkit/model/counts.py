"""Access counts of every memory: totals over all instances and the whole run."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.model.loops import Array, Loops, product
from toolkit.model.plan import TensorPlan, Transfer
from toolkit.model.traffic import Traffic, transfer_traffic


@dataclass(slots=True)
class Accesses:
    """Values that one memory moves for one tensor, in the Buffets view; arrays [batch].

    Parameters
    ----------
    reads : array
        Sent inwards (for outputs: partial sums that come back).
    updates : array
        Outputs received from inside.
    fills : array
        Received from outside (for outputs: partial sums that come back).
    drains : array
        Outputs sent outwards.
    """

    reads: Array
    updates: Array
    fills: Array
    drains: Array


AccessTable = dict[tuple[int, int], Accesses]
"""Accesses by (level number of the memory, position of the tensor)."""


def access_counts(loops: Loops) -> AccessTable:
    """Count the accesses of all memories for all tensors.

    Formulas: reference section 3; unless transfers are sequential, what enters and leaves a
    memory is counted at its own instances instead of being carried inwards.
    """
    zero = loops.one - loops.one
    table: AccessTable = {}
    for t, tensor in enumerate(loops.plan.tensors):
        for m in loops.plan.memories:
            table[m, t] = Accesses(zero, zero, zero, zero)
        for transfer in tensor.transfers:
            traffic = transfer_traffic(loops, tensor, transfer)
            _add_supply(loops, table, t, transfer, traffic)
            if loops.plan.conventions.transfers != "sequential":
                _add_receipt(loops, table, t, transfer, traffic)
        if loops.plan.conventions.transfers == "sequential":
            _carry(loops, table, t, tensor)
    return table


def _add_supply(
    loops: Loops, table: AccessTable, t: int, transfer: Transfer, traffic: Traffic
) -> None:
    """Scale what the supplier reads and is written to the whole run."""
    tensor, supplier = loops.plan.tensors[t], transfer.supplier
    scale = loops.temporal[transfer.nest[0]] * loops.active[supplier]
    entry = table[supplier, t]
    entry.reads = traffic.reads * scale
    if tensor.is_output:
        entry.updates = traffic.writes * scale
        entry.reads = _without_first_visits(loops, tensor, transfer, traffic, entry.reads)


def _without_first_visits(
    loops: Loops, tensor: TensorPlan, transfer: Transfer, traffic: Traffic, values: Array
) -> Array:
    """Outputs start from zero at their first visit, unless a bias is read."""
    if loops.plan.bias_read:
        return values
    outer = [m for m in loops.plan.memories if m < transfer.nest[0]]
    visits = product([loops.orthogonal(tensor, m) for m in outer], traffic.revisits)
    first = values / visits
    if loops.plan.conventions.transfers == "sequential":
        first = loops.xp.ceil(first)
    return values - first


def _add_receipt(
    loops: Loops, table: AccessTable, t: int, transfer: Transfer, traffic: Traffic
) -> None:
    """Count fills and drains at the instances of the child."""
    if transfer.child is None:
        return
    tensor = loops.plan.tensors[t]
    entering = traffic.entering * loops.temporal[transfer.nest[0]] * loops.active[transfer.child]
    entry = table[transfer.child, t]
    entry.fills = entering
    if tensor.is_output:
        if not loops.plan.conventions.free_drains:
            entry.drains = entering
        if not loops.plan.conventions.zero_fills:
            entry.fills = _without_first_visits(loops, tensor, transfer, traffic, entering)


def _carry(loops: Loops, table: AccessTable, t: int, tensor: TensorPlan) -> None:
    """Carry fills inwards and drains outwards, level by level (reference section 3)."""
    zero = loops.one - loops.one
    reads, writes = zero, zero
    for level in range(len(loops.factors)):
        if level in tensor.holders:
            entry = table[level, t]
            entry.fills = reads
            if tensor.is_output:
                entry.drains = writes
                if not loops.plan.conventions.free_drains:
                    writes = entry.updates + entry.fills
            reads = entry.reads
        elif level not in loops.plan.memories:
            copies = loops.orthogonal(tensor, level)
            reads, writes = reads * copies, writes * copies
