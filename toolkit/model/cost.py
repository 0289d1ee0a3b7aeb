"""What a batch of mappings costs, with everything that moves: the cost model on arrays."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.levels import Memory
from toolkit.errors import InputError
from toolkit.lifted import namespace
from toolkit.mapping.mapping import FloatArray
from toolkit.model.nest import Accesses, Cut, LevelState, Loop, Nest, Parts, measure_tiles
from toolkit.model.plan import Plan
from toolkit.model.plan_tables import PlanTables
from toolkit.model.tabulate import plan_tables
from toolkit.model.totals import Totals, charged, count_accesses, fill_bursts, pack_words, totals
from toolkit.workload.distinct import Progression

Array = Any
"""A NumPy or torch array of shape [batch]."""


AccessTable = Mapping[tuple[int, int], Accesses]
"""Accesses by (level number of a memory or of a fanout with wires, position of the tensor)."""


@dataclass(frozen=True)
class BatchCost:
    """Costs of a batch of mappings; arrays of shape [batch].

    Parameters
    ----------
    plan : Plan
        What was costed.
    tables : PlanTables
        The plan as the formulas see it.
    nest : Nest
        Everything on the way: words, cycles and energies by level, port and tensor.
    totals : Totals
        Of the run; utilization is the fraction of instances used, over all spatial levels.
    accesses : AccessTable
        Values by memory, or fanout with wires, and tensor, whatever words they take.
    used : AccessTable, optional
        Words that these take, where bursts move others with them.
    """

    plan: Plan
    tables: PlanTables
    nest: Nest
    totals: Totals
    accesses: AccessTable
    used: AccessTable | None = None

    @property
    def energy_pj(self) -> Array:
        """Energy of the run."""
        return self.totals.energy_pj

    @property
    def latency_cycles(self) -> Array:
        """Latency of the run."""
        return self.totals.latency_cycles

    @property
    def utilization(self) -> Array:
        """Fraction of instances used."""
        return self.totals.utilization

    @property
    def edp_pj_cycles(self) -> Array:
        """Energy-delay product."""
        return self.energy_pj * self.latency_cycles

    def charged(self, memory: int, tensor: int, kind: str) -> Array:
        """Words of one kind that cost energy: those that move, or what fills whole wordlines."""
        words = getattr(self.nest.moved[memory, tensor], kind)
        return charged(self.tables, self.nest, memory, words)

    def wanted(self, memory: int, tensor: int, kind: str) -> Array | None:
        """The same as if bursts moved no others with them; None where there are no bursts."""
        if memory or self.used is None or not self.tables.bursts[tensor].burst:
            return None
        return charged(self.tables, self.nest, memory, getattr(self.used[memory, tensor], kind))


def batch_cost(
    plan: Plan,
    factors: Any,
    order: Any,
    *,
    clips: bool | None = None,
    sizes: FloatArray | None = None,
) -> BatchCost:
    """Cost a batch of mappings.

    Parameters
    ----------
    factors : floating array, shape (batch, levels, dimensions)
        NumPy or torch. Counts stay exact up to 2^53.
    order : int array, shape (batch, levels, dimensions)
        Per level a permutation of dimension numbers, outermost loop first.
    clips : bool, optional
        Whether factors may multiply to more than a size, so that last tiles are cut off; False
        takes their products as they are, for factors that are no integers. By default of NumPy
        arrays only, where the conventions cover it.
    sizes : float64 array, shape (batch, dimensions), optional
        Iterations of the workload, where they are not the same for all mappings.

    Raises
    ------
    InputError
        If `factors` are machine integers.

    Notes
    -----
    Validity is not looked at: see `toolkit.mapping.MapSpace.check`.
    """
    tables, nest = plan_tables(plan), make_nest(plan, factors, order)
    if clips is None:
        clips = tables.switches.clips and isinstance(factors, np.ndarray)
    if clips != tables.switches.clips:
        tables = tables._replace(switches=tables.switches._replace(clips=clips))
    if sizes is not None:
        tables = tables._replace(sizes=list(sizes.T))
    measure_tiles(tables, nest)
    count_accesses(tables, nest)
    counted = accesses(plan, nest)
    used = None
    if tables.switches.packs or tables.switches.bursts:
        counted = {place: replace(values) for place, values in counted.items()}
    if tables.switches.packs:
        pack_words(tables, nest)
    if tables.switches.bursts:
        used = {place: replace(words) for place, words in accesses(plan, nest).items()}
        fill_bursts(tables, nest)
    return BatchCost(plan, tables, nest, totals(tables, nest), counted, used)


def access_counts(plan: Plan, nest: Nest) -> AccessTable:
    """Count the accesses of a nest whose factors alone are filled in."""
    tables = plan_tables(plan)
    measure_tiles(tables, nest)
    count_accesses(tables, nest)
    return accesses(plan, nest)


def accesses(plan: Plan, nest: Nest) -> AccessTable:
    """Leave out the levels that move nothing: all but memories and fanouts with wires."""
    levels = plan.arch.levels
    moving = {
        i for i, x in enumerate(levels) if isinstance(x, Memory) or getattr(x, "wires", None)
    }
    return {place: moved for place, moved in nest.moved.items() if place[0] in moving}


def make_nest(plan: Plan, factors: Any, order: Any) -> Nest:
    """Split batch arrays into one array per level and dimension.

    Parameters
    ----------
    factors, order : arrays, shape (batch, levels, dimensions)
        As in `batch_cost`.

    Raises
    ------
    InputError
        If `factors` are machine integers.
    """
    xp = namespace(factors)
    # Machine integers wrap around; an array of Python's own numbers is exact.
    if factors.dtype != object and not xp.isdtype(factors.dtype, "real floating"):
        raise InputError(
            f"factors of type {factors.dtype}; expected floating point, such as float64",
            key="factors",
        )
    one = xp.ones_like(factors[:, 0, 0])
    device = getattr(one, "device", None)
    indexes = [xp.asarray(tensor.relevant, device=device) for tensor in plan.tensors]
    nest = _empty_nest(plan, one, indexes)
    memories = list(plan.memories)
    order = order[:, memories]
    ranked = _by_place(xp.take_along_axis(factors[:, memories], order, axis=2))
    factors, order, places = (_by_place(x) for x in (factors, order, xp.argsort(order, axis=2)))
    for i in range(factors.shape[0]):
        for d in range(factors.shape[1]):
            nest.factors[i, d] = factors[i, d]
    for number, m in enumerate(memories):
        for d in range(factors.shape[1]):
            nest.loops[m, d] = Loop(ranked[number, d], order[number, d])
            nest.places[m, d] = places[number, d]
    return nest


def _by_place(batch: Any) -> Any:
    """Put the mappings of a batch last, and in NumPy's memory next to each other."""
    turned = namespace(batch).moveaxis(batch, 0, -1)
    return np.ascontiguousarray(turned) if isinstance(turned, np.ndarray) else turned


def _empty_nest(plan: Plan, one: Any, indexes: Any) -> Nest:
    levels, tensors = range(len(plan.arch.levels)), range(len(plan.tensors))
    cuts = range(len(levels) + 1), range(len(plan.workload.dimensions))
    terms = max((len(terms) for tensor in plan.tensors for terms in tensor.sums), default=1)
    return Nest(
        one,
        factors={},
        loops={},
        places={},
        indexes=indexes,
        extents={},
        cuts={place: Cut() for place in itertools.product(*cuts)},
        ragged={},
        levels=[LevelState() for _ in levels],
        moved={(m, t): Accesses() for t in tensors for m in levels},
        busiest={(m, t): Accesses() for t in tensors for m in levels},
        limited={},
        # Instances that share a window add a term for each of their levels and dimensions.
        terms=[Progression() for _ in range(terms * (1 + len(levels)))],
        parts=[Parts() for _ in range(terms)],
        words={},
        runs={},
        first={},
        marks=(),
    )


def number_nest(plan: Plan, factors: NDArray[np.int64]) -> Nest:
    """Make a nest of plain numbers, of factors alone: [levels, dimensions], no loop orders."""
    indexes = [tensor.relevant for tensor in plan.tensors]
    nest = _empty_nest(plan, 1.0, indexes)
    for (i, d), factor in np.ndenumerate(factors):
        nest.factors[i, d] = float(factor)
    return nest


def converted(plan: Plan, nest: Nest, number: Callable[[Any], Any]) -> Nest:
    """Make a nest of the same loops whose numbers are of another kind."""
    other = _empty_nest(plan, number(nest.one), nest.indexes)
    for place, factor in nest.factors.items():
        other.factors[place] = number(factor)
    for place, loop in nest.loops.items():
        other.loops[place] = Loop(number(loop.factor), loop.dimension)
        other.places[place] = nest.places[place]
    return other
