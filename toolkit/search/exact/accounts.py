"""What the values of a transfer cost, for one choice of spatial factors: energy, words by port."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from toolkit.arch.levels import Fanout
from toolkit.mapping.mapping import FloatArray
from toolkit.model.movers import sums_go_on
from toolkit.model.nest import orthogonal
from toolkit.model.plan import Plan, Transfer, wire_energies
from toolkit.model.plan_ports import Port
from toolkit.model.plan_tables import NEVER
from toolkit.model.waits import stay_cycles
from toolkit.search.exact.limits import LANES, Limit
from toolkit.search.exact.spatial_factors import Spatial

READ, WRITE, FILL, ENTER, RAW, WAITED, TILES, MORE_READ, MORE_WRITTEN = range(9)
"""Kinds of words of a transfer: raw ones are reads with all first visits. Then what is waited for,
in cycles, the tiles that a memory gets, and words that bursts move beside those wanted."""
NOTHING = np.zeros(9)
"""None of any kind."""


@dataclass
class Account:
    """Costs of a value of one transfer, by kinds of words, [9].

    Attributes
    ----------
    place : int
        Where its words are counted: at the supplier, or at a fanout further in or right inside
        of one, whose words have an account of their own.
    energy : float64 array
        In pJ; of outputs also what others save or spend for it (see `_continued`).
    cheapest : float64 array
        The same at the cheapest way over wires, whichever the spatial factors are.
    least : float64 array
        The cheapest where only sums over all transfers matter and nothing is below 0.
    words : dict of (int, str) to float64 array
        Words at the ports that it passes, by memory or fanout and traffic.
    together : float64 array
        Values of all instances that cost energy together, by kind.
    copies : float
        Instances between the supplier and the place among which the first gets all old sums.
    exposed : bool
        Whether levels inside of the child wait for it.
    tile_cycles : float
        Cycles that they wait, and no port outside of the child, for each tile that it gets.
    """

    transfer: Transfer
    place: int
    energy: FloatArray
    cheapest: FloatArray
    least: FloatArray
    words: dict[tuple[int, str], FloatArray]
    together: FloatArray
    copies: float = 1.0
    exposed: bool = False
    tile_cycles: float = 0.0

    def add(self, spatial: Spatial, memory: int, kind: str, word: int, times: float) -> None:
        """Charge `times` words for each value of a kind to a memory's traffic."""
        level, line = spatial.plan.memory(memory), spatial.plan.charged_together(memory)
        if line > 1 and word < RAW:
            self.together[word] = spatial.active[memory] * line / times
        pj = level.read_energy_pj if kind in ("reads", "drains") else level.write_energy_pj
        self.energy[word] += pj * times
        self.words.setdefault((memory, kind), NOTHING.copy())[word] += times

    def passing(self, memory: int, port: Port) -> FloatArray:
        """How often each kind of words passes a port of a memory, [9]."""
        found = NOTHING.copy()
        for kind in port.kinds:
            found += self.words.get((memory, kind), NOTHING)
        return found

    def per_instance(self, memory: int, port: Port) -> FloatArray:
        """The same over all instances if all tiles are of one size, as the first one sees it."""
        found = self.passing(memory, port)
        found[READ] *= self.copies
        return found

    def costs(self, limit: Limit) -> FloatArray:
        """Cycles of a limit for each kind of words, [9]: of one instance, with its waits."""
        found = self.passing(limit.level, limit.port) / limit.port.bandwidth
        child = self.transfer.child
        if child is not None and child < limit.outside:
            found[WAITED] = float(self.exposed)
        if limit.port is LANES:
            found[TILES] = self.tile_cycles
        return found


def account(spatial: Spatial, t: int, number: int) -> Account:
    """Say which ports the values of a tensor's transfer pass, and what they cost.

    Outputs count as partial sums (see `CompleteOutputs`).
    """
    actual = _account(spatial, t, number, cheapest=False)
    if len(spatial.plan.tensors[t].transfers[number].places) == 1:
        return actual
    bound = _account(spatial, t, number, cheapest=True)
    return replace(actual, cheapest=bound.energy, least=bound.least)


def _account(spatial: Spatial, t: int, number: int, *, cheapest: bool) -> Account:
    result = _words_of(spatial, t, number, cheapest=cheapest)
    result = _with_waits(spatial, t, number, result)
    if _begins_anew(spatial, t):
        return _continued(spatial, t, number, result)
    return replace(result, cheapest=result.energy, least=result.energy)


def _begins_anew(spatial: Spatial, t: int) -> bool:
    """Whether first visits of a transfer depend on those of the transfers outside of it.

    Outputs in windows come here only if no sum begins anew (see `decomposes`).
    """
    wide = any(len(terms) > 1 for terms in spatial.plan.tensors[t].sums)
    return sums_go_on(spatial.tables, t) and not wide


def _continued(spatial: Spatial, t: int, number: int, alone: Account) -> Account:
    """Charge a transfer of outputs with what its visits change further in.

    Of the instances of its child that sum up a value apart, only one goes on with an old sum;
    further in, nothing is read at the first visit after the others have begun anew. So of each
    transfer count all reads, each as a fill, too, less those of tiles that began from zero: all
    that entered one (``ENTER``) but those that came as old sums (``RAW`` of the transfer
    outside). What begins in the outermost holder was never there. All this is the same at every
    place that an old sum passes, so that what it costs on wires belongs here, too.
    """
    transfers = spatial.plan.tensors[t].transfers
    back = [_back_pj(spatial, t, transfer) for transfer in transfers]
    further_in, is_for_lanes = sum(back[number + 1 :]), number + 1 == len(back)
    energy, least = NOTHING.copy(), NOTHING.copy()
    energy[WRITE] = least[WRITE] = alone.energy[WRITE]
    energy[MORE_READ:] = alone.energy[MORE_READ:]
    energy[RAW if number else READ] = back[number] + further_in
    entering = alone.energy[ENTER]
    if spatial.plan.conventions.zero_fills:
        entering += alone.energy[FILL]
    energy[ENTER] = entering - further_in
    # All reads for lanes count, less what has been drained where they come from: at no more than
    # draining costs, for there may be as much of that as of reads.
    read = min(back[-1], _drained_pj(spatial, t)) if len(back) > 1 else back[-1]
    if is_for_lanes:
        least[RAW if number else READ] = read
    else:
        least[ENTER] = entering - read * (number + 2 == len(back))
    return replace(alone, energy=energy, cheapest=energy, least=least)


def _drained_pj(spatial: Spatial, t: int) -> float:
    """Energy of a partial sum that leaves the innermost holder."""
    plan, supplier = spatial.plan, spatial.plan.tensors[t].transfers[-1].supplier
    if plan.conventions.free_drains:
        return 0.0
    return float(plan.memory(supplier).read_energy_pj * spatial.tables.values[t, supplier].words)


def _with_waits(spatial: Spatial, t: int, number: int, account: Account) -> Account:
    tables, transfer = spatial.tables, spatial.plan.tensors[t].transfers[number]
    if transfer.child is None:
        return account
    x = tables.tensors[t].transfers + number
    cycles = stay_cycles(tables, spatial.nest) if x == tables.shape.stationary else 0.0
    exposed = tables.levels[transfer.child].overlap == NEVER
    return replace(account, exposed=exposed, tile_cycles=float(cycles))


def in_bursts(plan: Plan, t: int, number: int) -> bool:
    """Whether a transfer leaves the outermost memory, and in bursts of several words."""
    return number == 0 and plan.has_bursts(plan.tensors[t])


def _back_pj(spatial: Spatial, t: int, transfer: Transfer) -> float:
    """Energy of an old sum on its way inwards, beyond that of zeros."""
    plan, values = spatial.plan, spatial.tables.values
    supplier, child = transfer.supplier, transfer.child
    energy: float = plan.memory(supplier).read_energy_pj * values[t, supplier].words
    if child is not None and not plan.conventions.zero_fills:
        energy += plan.memory(child).write_energy_pj * values[t, child].words
    for flags in transfer.reading:
        level = plan.arch.levels[flags.level]
        if isinstance(level, Fanout) and level.wires is not None:
            energy += wire_energies(level)[0] * values[t, flags.level].words
    return energy


def _words_of(spatial: Spatial, t: int, number: int, *, cheapest: bool) -> Account:
    plan, tensor = spatial.plan, spatial.plan.tensors[t]
    transfer, free = tensor.transfers[number], plan.conventions.free_drains
    result = _empty_account(transfer, transfer.supplier)

    def add(memory: int, kind: str, value: int, copies: float = 1.0) -> None:
        words = spatial.tables.values[t, memory].words
        result.add(spatial, memory, kind, value, copies * words)

    bursts = in_bursts(plan, t, number)
    add(transfer.supplier, "reads", READ)
    if bursts:
        add(transfer.supplier, "reads", MORE_READ)
    if tensor.is_output:
        add(transfer.supplier, "updates", WRITE)
    if tensor.is_output and bursts:
        add(transfer.supplier, "updates", MORE_WRITTEN)
    between, apart = [flags.level for flags in transfer.reading], crossings(plan, transfer)
    for place in transfer.places[1:]:
        if place not in apart:
            # All instances are served on their own where none lies further in: their words enter.
            ways = (READ, WRITE) if place <= between[-1] else (FILL, ENTER)
            _cross(result, spatial, t, place, ways, cheapest=cheapest)
    child = transfer.child
    if child is None:
        return result
    if plan.conventions.transfers != "sequential":
        add(child, "fills", FILL)
        if tensor.is_output and not free:
            add(child, "drains", ENTER)
        return result
    if transfer.supplier not in tensor.holders:
        return result
    copies = _copies(spatial, t, transfer)
    add(child, "fills", READ, copies)
    if tensor.is_output and not free:
        add(child, "drains", WRITE, copies)
        inner = tensor.transfers[number + 1]
        if inner.child is not None:
            copies *= _copies(spatial, t, inner)
            add(inner.child, "drains", READ, copies)
    return result


def crossings(plan: Plan, transfer: Transfer) -> list[int]:
    """Places of a transfer whose words are counted there alone.

    Those with instances on either side. Others pass as many words as the supplier or the child
    moves, which is of use where wires cost what memories do: word by word, and nothing for zeros.
    """
    between = [flags.level for flags in transfer.reading]
    ends = [m for m in (transfer.supplier, transfer.child) if m is not None]
    if plan.rounds_wordlines(ends) or plan.conventions.zero_fills:
        return list(transfer.places[1:])
    return [p for p in transfer.places[1:] if between[0] < p <= between[-1]]


def crossing(spatial: Spatial, t: int, number: int, place: int) -> Account:
    """Say what the words of a transfer cost at one of its `crossings`: read and written there."""
    copies, transfer = 1.0, spatial.plan.tensors[t].transfers[number]
    actual, bound = _empty_account(transfer, place), _empty_account(transfer, place)
    _cross(actual, spatial, t, place, (READ, WRITE), cheapest=False)
    _cross(bound, spatial, t, place, (READ, WRITE), cheapest=True)
    if sums_go_on(spatial.tables, t):
        between = (flags.level for flags in transfer.reading if flags.level < place)
        copies = math.prod(float(orthogonal(spatial.tables, spatial.nest, t, i)) for i in between)
    return replace(actual, cheapest=bound.energy, least=bound.energy, copies=copies)


def _empty_account(transfer: Transfer, place: int) -> Account:
    return Account(transfer, place, NOTHING.copy(), NOTHING, NOTHING, {}, np.ones(RAW))


def _cross(
    result: Account,
    spatial: Spatial,
    t: int,
    place: int,
    ways: tuple[int, int],
    *,
    cheapest: bool,
) -> None:
    """Charge what passes a place, inwards and outwards, to the fanouts on either side of it."""
    levels, is_output = spatial.plan.arch.levels, spatial.plan.tensors[t].is_output
    for i, kinds in ((place, ("reads", "updates")), (place - 1, ("fills", "drains"))):
        level = levels[i]
        if not isinstance(level, Fanout) or level.wires is None:
            continue
        words, energies = spatial.tables.values[t, i].words, (0.0, 0.0)
        if i < place:
            energies = _wire_energies(spatial, t, i, cheapest=cheapest)
        for way, kind, pj in zip(ways[: 1 + is_output], kinds, energies, strict=False):
            result.words.setdefault((i, kind), NOTHING.copy())[way] += words
            result.energy[way] += pj * words


def _wire_energies(spatial: Spatial, t: int, i: int, *, cheapest: bool) -> tuple[float, float]:
    """Energies (pJ) of a word inwards and outwards; old sums inwards count in `_continued`."""
    level = spatial.plan.arch.levels[i]
    assert isinstance(level, Fanout)
    alone, together, summed = wire_energies(level)
    ways = (alone if sums_go_on(spatial.tables, t) else together), summed
    if cheapest:
        inwards, outwards = (min(each, alone) for each in ways)
    elif orthogonal(spatial.tables, spatial.nest, t, i) > 1:
        inwards, outwards = ways
    else:
        inwards = outwards = alone
    return (0.0 if _begins_anew(spatial, t) else inwards), outwards


def _copies(spatial: Spatial, t: int, transfer: Transfer) -> float:
    levels = (x.level for x in transfer.reading)
    return float(math.prod(orthogonal(spatial.tables, spatial.nest, t, level) for level in levels))
