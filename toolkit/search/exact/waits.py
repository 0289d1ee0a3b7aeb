"""What values of a transfer wait for at some spatial factors (`toolkit.model.waits`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import record_type
from toolkit.model.plan_tables import NEVER, READING, WRITING, PlanTables
from toolkit.model.tiles import parts
from toolkit.model.waits import DRAINS, FILLS, READS, UPDATES, comes_in, passing_cycles
from toolkit.search.exact.accounts import in_bursts
from toolkit.search.exact.compiled_steps import FirstRow
from toolkit.search.exact.compiled_words import BY_DRAINS, BY_FILLS
from toolkit.search.exact.limits import Limit
from toolkit.search.exact.spatial_factors import Spatial
from toolkit.search.problem import Problem


def how_it_stays(tables: PlanTables, x: int) -> int:
    """How tiles of a transfer that stay in a systolic array are told, as `RowRow` has it."""
    if x != tables.shape.stationary:
        return 0
    return BY_DRAINS if tables.tensors[tables.shape.stationary_tensor].is_output else BY_FILLS


@dataclass(frozen=True)
class Wait:
    """Cycles per value of a transfer that nothing hides, at the slower end.

    Parameters
    ----------
    read, fill, write, drain : float
        Of a value that leaves the supplier, arrives, returns to it, or leaves the child: the
        words of the busiest instance alone pass the ports.
    first : FirstRow
        Of every value of the first tile, and of the last one.
    """

    read: float
    fill: float
    write: float
    drain: float
    first: FirstRow

    @property
    def come(self) -> float:
        """Of every value of the first tile, if bursts move no others."""
        return max(self.first.come_far, self.first.come_near)

    @property
    def back(self) -> float:
        """Of every value of the last tile, if bursts move no others."""
        return max(self.first.back_far, self.first.back_near)


NO_FIRST = FirstRow(0.0, 0.0, 0.0, 0.0, 0)
NO_WAIT = Wait(0.0, 0.0, 0.0, 0.0, NO_FIRST)


def wait_of(spatial: Spatial, t: int, number: int) -> Wait:
    """Say how long values of a tensor's transfer take if nothing hides them."""
    tables, nest, tensor = spatial.tables, spatial.nest, spatial.plan.tensors[t]
    supplier, child = tensor.transfers[number].supplier, tensor.transfers[number].child
    if child is None or not tables.switches.waits:
        return NO_WAIT
    x = tables.tensors[t].transfers + number

    def cycles(memory: int, kind: int) -> float:
        return float(passing_cycles(tables, nest, memory, kind, tables.values[t, memory].words))

    read, fill = cycles(supplier, READS), cycles(child, FILLS)
    write, drain = cycles(supplier, UPDATES), cycles(child, DRAINS)
    if not tensor.is_output:
        write = drain = 0.0
    first = NO_FIRST
    if tables.switches.first_and_last:
        far = near = 0.0
        if comes_in(tables, t):
            far, near = read * float(parts(tables, nest, t, x, READING, supplier)), fill
        back = write * float(parts(tables, nest, t, x, WRITING, supplier))
        first = FirstRow(far, near, back, drain, int(in_bursts(spatial.plan, t, number)))
    return Wait(read, fill, write, drain, first)


def ends_in(limit: Limit, problem: Problem, memory: int) -> tuple[float, float]:
    """Whether a memory's first tiles are a part of their own of a limit, and its last ones.

    Those of a memory that hides nothing are among all that levels inside wait for.
    """
    if memory < limit.outside and problem.tables.levels[memory].overlap == NEVER:
        return 0.0, 0.0
    return float(memory < limit.first), float(memory < limit.last)


def first_and_last(spatial: Spatial, memory: int) -> NDArray[Any]:
    """Cycles of a value of a memory's first tiles, and of its last ones, `FirstRow` by tensor."""
    tensors = spatial.plan.tensors
    found = np.zeros(len(tensors), dtype=record_type(FirstRow))
    for t, tensor in enumerate(tensors):
        for number, transfer in enumerate(tensor.transfers):
            if transfer.child == memory:
                found[t] = wait_of(spatial, t, number).first
    return found


def takes_time(entry: NDArray[Any]) -> bool:
    """Whether first or last tiles do, `FirstRow` by tensor."""
    return any(entry[name].any() for name in FirstRow._fields[:-1])
