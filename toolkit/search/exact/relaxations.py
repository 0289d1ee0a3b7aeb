"""Bounds of all choices with the same spatial factors, on a coarse grid and on a fine one."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable

import numpy as np

from toolkit.search.exact.grid import Grid, make_grid
from toolkit.search.exact.limits import LANES
from toolkit.search.exact.listing import FamilyBounds, Listing
from toolkit.search.exact.relaxed import Mix, Relaxation, Relaxed, ToGo

COARSE, FINE, FINEST = range(3)
"""Which grid: the one that is cheap, the one that tables for the search are made of, and one for
families of which there would be too many choices."""
COARSE_CELLS, FINEST_CELLS = 1 << 10, 1 << 16
MOST_BYTES = 1 << 29
"""Of tables that are kept; others are made again when they are needed."""
TRIALS = 8
"""Families after which ports that none of them kept busy are not looked at any more."""
NEARLY = 0.8
"""Share of the lanes' cycles from which on a port is looked at more closely."""


class Relaxations:
    """Makes bounds when they are asked for.

    Parameters
    ----------
    listing : Listing
        Of the choices.
    grid : Grid
        The fine one.
    """

    def __init__(self, listing: Listing, grid: Grid) -> None:
        self.listing = listing
        coarse = make_grid(listing.problem.space, COARSE_CELLS)
        self._relaxation = {
            COARSE: Relaxation(listing.nest, coarse),
            FINE: Relaxation(listing.nest, grid),
            FINEST: Relaxation(listing.nest, make_grid(listing.problem.space, FINEST_CELLS)),
        }
        self._busy: dict[int, list[int]] = {}
        self._often: Counter[int] = Counter()
        self._kept: OrderedDict[int, FamilyBounds] = OrderedDict()
        self._bytes = 0
        self._to_go: OrderedDict[tuple[int, tuple[int, ...]], ToGo] = OrderedDict()

    def bounds(
        self,
        number: int,
        stage: int,
        wanted: Callable[[float, float], bool],
        chord: Callable[[float, float], Mix | None] = lambda _, __: None,
    ) -> FamilyBounds:
        """Bound the choices of a family.

        Parameters
        ----------
        number : int
            Of the family.
        stage : int
            `COARSE`, `FINE` or `FINEST`.
        wanted : function of energy (pJ) and cycles of the busiest port
            Whether such a mapping would be better than the best so far; no more ports are looked
            at if not.
        chord : function of the same
            Weights of energy and cycles whose least sum is worth a look, if any.
        """
        if stage == FINE and number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        relaxation, factors = self._relaxation[stage], self.listing.spatial[number]
        energy = relaxation.tables(factors, through=stage != COARSE)
        energy_pj, stalled = self.listing.floor(number, energy), 0.0
        cycles = float(self.listing.least_steps(number)[0])
        cycles *= self.listing.problem.plan.arch.compute.cycles
        ports, busy = [], []
        for p in self._busy.get(number, self._likely(len(relaxation.limits))):
            if not wanted(energy_pj, stalled):
                break
            table = relaxation.tables(factors, p, through=stage != COARSE)
            slowest = table.least + cycles * table.waits
            stalled = max(stalled, slowest)
            if slowest >= NEARLY * cycles:
                busy.append(p)
                ports.append(table)
        mixed: tuple[tuple[Mix, Relaxed], ...] = ()
        mix = chord(energy_pj, stalled) if stage != COARSE else None
        if mix is not None and relaxation.limits[-1:] and relaxation.limits[-1].port is LANES:
            mixed = ((mix, relaxation.mixed(factors, mix)),)
        found = FamilyBounds(energy_pj, stalled, energy, tuple(ports), mixed)
        if stage == COARSE:
            self._busy[number] = busy
            self._often.update(busy)
        elif stage == FINE:
            self._keep(number, found)
        return found

    def to_go(self, number: int, ports: tuple[int, ...]) -> ToGo:
        """Least costs to come of a family, on the fine grid: of the energy and of some ports.

        Choices of a few families take turns where many of each are looked at.
        """
        key = number, ports
        if key not in self._to_go:
            relaxation, factors = self._relaxation[FINE], self.listing.spatial[number]
            tables = [self.kept(number).energy, *(relaxation.tables(factors, p) for p in ports)]
            stacked = np.stack([table.to_go for table in tables], axis=1)
            self._to_go[key] = ToGo(relaxation.grid, stacked)
            while len(self._to_go) > 1 and self._stacked_bytes() > MOST_BYTES:
                self._to_go.popitem(last=False)
        self._to_go.move_to_end(key)
        return self._to_go[key]

    def _stacked_bytes(self) -> int:
        return sum(x.costs.nbytes for x in self._to_go.values())

    def _likely(self, ports: int) -> list[int]:
        """Ports to look at: after a few families those that some of these kept busy, first.

        The last one may be the lanes, which wait for what any port does.
        """
        if len(self._busy) < TRIALS:
            return list(reversed(range(ports)))
        return [p for p, _ in self._often.most_common()]

    def kept(self, number: int) -> FamilyBounds:
        """Fine bounds of a family, made again if they were dropped."""
        return self.bounds(number, FINE, lambda _, __: True)

    def _keep(self, number: int, found: FamilyBounds) -> None:
        self._kept[number] = found
        self._bytes += _size(found)
        while self._bytes > MOST_BYTES and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= _size(dropped)


def _size(bounds: FamilyBounds) -> int:
    return sum(x.to_go.nbytes + x.through.nbytes for x in (bounds.energy, *bounds.ports))
