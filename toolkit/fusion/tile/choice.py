"""The best way to run one group: its nest, what is kept where, what becomes of halos.

The plans of a group are all nests of up to `Assumptions.loops` loops over its shared ranks, with
every tile size that can matter (the smallest for its number of steps), every depth at which
inputs, weights and outputs can be kept, and tensors between layers where the layers that make and
read them run side by side. Operators without multiply-accumulates may run again in loops that do
not cut them, all of them or none; tensors from outside with several readers may be loaded once for
all or by each, unless nothing else connects these: then they are groups of their own. Groups of
many ranks have shorter nests, over the ranks that cut most layers (`Assumptions.nests`). Halos are
treated alike first, then tensor by tensor while that helps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from math import ceil, perm

import networkx as nx
import numpy as np

from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.assumptions import Assumptions, Halo
from toolkit.fusion.tile.depths import Point, solve
from toolkit.fusion.tile.group_plan import GroupPlan, constant_words, least_words
from toolkit.fusion.tile.nest import Nest
from toolkit.fusion.tile.planned import plan_at, waiting
from toolkit.fusion.tile.residency import choose_homes, words_held
from toolkit.fusion.tile.search import best_point, least_words_within
from toolkit.fusion.tile.shared import SharedRank, shared_ranks
from toolkit.fusion.tile.windows import (
    Cut,
    Ints,
    Spans,
    make_cut,
    places_of,
    spans,
    whole_positions,
)

LONG = 8
"""Layers of a group beyond which it is cut only along ranks that a third of them share."""

MOST_APART = 3
"""Tensors from outside with several readers up to which all choices of who loads are tried."""

AXES_REPEATED: Mapping[Halo, tuple[bool, bool]] = {
    "retain": (False, False),
    "mixed": (True, False),
    "recompute": (True, True),
}
"""Whether halos are made again along the outermost windowed loop, and along those inside."""


def best_plan(
    view: GroupView, given: Assumptions, limit: float | None = None, share: float = 1.0
) -> GroupPlan | None:
    """Find the plan of a group with the least DRAM traffic, then with the fewest steps.

    Parameters
    ----------
    limit : float, optional
        Only plans that move fewer words are of interest.
    share : float
        Part of the fusion level within which traffic is made least; tiles then grow into all of
        it, as long as they move no more. Below 1, what is found need not move the least.

    Returns
    -------
    GroupPlan or None
        None if no tile fits the fusion level, or none stays below the limit.
    """
    return search_plans(view, given, limit, share)[0]


def search_plans(
    view: GroupView, given: Assumptions, limit: float | None = None, share: float = 1.0
) -> tuple[GroupPlan | None, int]:
    """As `best_plan`, with a bound: no plan moves fewer words, up to the limit."""
    within = replace(given, capacity_words=max(int(given.capacity_words * share), 1))
    return _Search(view, within).best(limit, given.capacity_words)


@dataclass
class _Best:
    point: Point | None
    order: tuple[int, ...]
    halo: Mapping[str, Halo]
    limit: int
    bound: int


class _Search:
    def __init__(self, view: GroupView, given: Assumptions) -> None:
        self.view = view
        self.given = given
        self.floor = least_words(view)
        self.constants = constant_words(view)
        ranks = shared_ranks(view)
        if not given.sums_cut:
            ranks = tuple(rank for rank in ranks if not rank.reduces and not rank.recurrent)
        if not given.weights_cut:
            ranks = tuple(rank for rank in ranks if not _cuts_weights(rank))
        self.ranks, self.most = _within(ranks, given.loops, given.nests)
        profiles = [_profile(rank) for rank in self.ranks]
        self.alike = [
            {j for j in range(i) if profiles[j] == profile} for i, profile in enumerate(profiles)
        ]
        self._cuts: dict[int, Cut] = {}
        self._spans: dict[tuple[int, frozenset[str]], Spans] = {}

    def best(self, limit: float | None, capacity_words: int) -> tuple[GroupPlan | None, int]:
        start = ceil(min(limit if limit is not None else 2**60, 2**60))
        found = _Best(None, (), {}, start - self.constants, start - self.constants)
        self._visit(found)
        self._refine(found)
        bound = min(found.bound, found.limit) + self.constants
        if found.point is None:
            return None, bound
        given = replace(self.given, capacity_words=capacity_words)
        point = _enlarged(found.point, given)
        plan = replace(plan_at(point, found.halo), bound_words=bound)
        return _placed(point, plan, given), bound

    def _visit(self, found: _Best) -> None:
        """Look at all nests, shorter ones first: these show which longer ones are hopeless."""
        orders: list[tuple[int, ...]] = [()]
        for _ in range(self.most + 1):
            for order in orders:
                if found.limit + self.constants <= self.floor:
                    return
                self._look(order, found)
            orders = [longer for order in orders for longer in self._longer(order, found)]

    def _longer(self, order: tuple[int, ...], found: _Best) -> Iterator[tuple[int, ...]]:
        """Orders with one loop more, if any nest that goes on like this could be better."""
        if len(order) == self.most:
            return
        if order and all(
            least_words_within(below, self.given.capacity_words, found.limit) >= found.limit
            for apart in self._aparts()
            for below in (self._nest(order, {}, again=False, apart=apart, free_halos=True),)
        ):
            return
        for number in range(len(self.ranks)):
            if number in order or (order and self._exchanged(order[-1], number)):
                continue
            if any(self.ranks[number].key & self.ranks[other].key for other in order):
                # Nothing is cut twice along the same rank.
                continue
            if self.alike[number] <= set(order) and len(self._spans_of(number, frozenset()).steps):
                yield (*order, number)

    def _exchanged(self, outer: int, inner: int) -> bool:
        """Whether two neighbouring loops that do not touch stand in the order left out."""
        if outer < inner:
            return False
        a, b = set(self.ranks[outer].members), set(self.ranks[inner].members)
        near = {n for name in a for n in self.view.graph.neighbourhood[name]}
        return not (a | near) & b

    def _look(self, order: tuple[int, ...], found: _Best) -> None:
        halos = list(self._halos(order))
        for again in self._agains(order):
            for apart in self._aparts():
                if halos != [{}]:
                    ideal = self._nest(order, {}, again=again, apart=apart, free_halos=True)
                    able, bound = best_point(ideal, self.given.capacity_words, found.limit)
                    found.bound = min(found.bound, bound)
                    if able is None:
                        continue
                for halo in halos:
                    nest = self._nest(order, halo, again=again, apart=apart)
                    self._solve(order, nest, halo, found, alone=halos == [{}])

    def _solve(
        self,
        order: tuple[int, ...],
        nest: Nest,
        halo: Mapping[str, Halo],
        found: _Best,
        *,
        alone: bool = False,
    ) -> bool:
        """Keep the best point of a nest, if it is better than what is known.

        Where halos may be treated in several ways, `_look` has a bound for all of them.
        """
        able = partial(_is_able, given=self.given)
        point, bound = best_point(nest, self.given.capacity_words, found.limit, able)
        if alone:
            found.bound = min(found.bound, bound)
        if point is None:
            return False
        found.point, found.halo, found.limit, found.order = point, halo, point.words, order
        return True

    def _refine(self, found: _Best) -> None:
        """Change the halo of one tensor at a time while that lowers the traffic."""
        if found.point is None or len(self.given.halos) < 2:
            return
        nest, order = found.point.nest, found.order
        windowed = [loop for loop in nest.loops if loop.windowed]
        cut = set.intersection(*(set(places_of(loop)) for loop in windowed)) if windowed else set()
        modes = [m for m in self.given.halos if m != "mixed" or len(windowed) > 1]
        changed = True
        while changed:
            changed = False
            for name in sorted(cut):
                for mode in modes:
                    halo = {k: m for k, m in found.halo.items() if k != name}
                    halo |= {name: mode} if mode != "retain" else {}
                    if halo == found.halo or found.limit <= found.bound:
                        continue
                    trial = self._nest(order, halo, again=nest.again, apart=nest.apart)
                    changed |= self._solve(order, trial, halo, found)

    def _nest(
        self,
        order: tuple[int, ...],
        halo: Mapping[str, Halo],
        *,
        again: bool,
        apart: frozenset[str],
        free_halos: bool = False,
    ) -> Nest:
        windowed = [n for n in order if self.ranks[n].windowed]
        found = []
        for number in order:
            which = 0 if number in windowed[:1] else 1
            repeated = frozenset(
                name
                for name, mode in halo.items()
                if AXES_REPEATED[mode][which] or (len(windowed) < 2 and mode != "retain")
            )
            found.append(self._spans_of(number, repeated))
        return Nest(
            self.view,
            [self.ranks[number] for number in order],
            found,
            [self._cuts[number].tile for number in order],
            again=again,
            apart=apart,
            pipelined=self.given.schedule == "pipelined",
            weights_stay=self.given.weights_stay,
            ahead=self.given.double_buffered,
            pass_by=self.given.pass_by,
            elsewhere=bool(self.given.inner),
            free_halos=free_halos,
        )

    def _spans_of(self, number: int, repeated: frozenset[str]) -> Spans:
        rank = self.ranks[number]
        if number not in self._cuts:
            self._cuts[number] = make_cut(rank, tile_sizes(rank.size, whole_positions(rank)))
        key = (number, repeated if rank.windowed else frozenset())
        if key not in self._spans:
            self._spans[key] = spans(self._cuts[number], dict.fromkeys(repeated, True))
        return self._spans[key]

    def _halos(self, order: tuple[int, ...]) -> Iterator[Mapping[str, Halo]]:
        """Treat the halos of all tensors alike, in every way that differs."""
        windowed = [self.ranks[n] for n in order if self.ranks[n].windowed]
        if not windowed:
            yield {}
            return
        cut = set.intersection(*(set(places_of(rank)) for rank in windowed))
        for mode in self.given.halos:
            if mode == "retain":
                yield {}
            elif cut and (mode != "mixed" or len(windowed) > 1):
                yield dict.fromkeys(sorted(cut), mode)

    def _agains(self, order: tuple[int, ...]) -> Iterator[bool]:
        yield False
        if len(order) > 1 and any(not layer.macs for layer in self.view.layers):
            empty: frozenset[str] = frozenset()
            kept, made = (
                self._nest(order, {}, again=again, apart=empty) for again in (False, True)
            )
            if kept.inside != made.inside:
                yield True

    def _shared_inputs(self) -> frozenset[str]:
        return frozenset(
            n for n, r in self.view.readings.items() if len(r) > 1 and n not in self.view.makers
        )

    def _aparts(self) -> Iterator[frozenset[str]]:
        several = sorted(self._shared_inputs())
        counts = range(len(several) + 1) if len(several) <= MOST_APART else (0, len(several))
        for count in counts:
            for names in combinations(several, count):
                if self._connected_without(names):
                    yield frozenset(names)

    def _connected_without(self, names: Sequence[str]) -> bool:
        """Whether layers are still a group if each of some tensors is loaded by every reader."""
        parts = self.view.side_by_side
        if len(parts) == 1 or not names:
            return True
        home = {name: i for i, part in enumerate(parts) for name in part}
        joined = nx.empty_graph(len(parts))
        for tensor in self._shared_inputs() - frozenset(names):
            nx.add_path(joined, {home[la.name] for la in self.view.readers[tensor]})
        return bool(nx.is_connected(joined))


def _profile(rank: SharedRank) -> tuple[object, ...]:
    """All that tiles of a rank depend on: columns of square windows are like rows."""
    return tuple(
        (
            name,
            member.rate,
            member.rank.size,
            member.rank.axis is None,
            member.rank.weights,
            member.rank.recurrent,
            tuple(
                reach and (tensor.shape[reach.axis], reach.stride, reach.extent, reach.pad)
                for tensor, reach in zip(
                    rank.view.graph.layer_of(name).inputs, member.rank.reads, strict=True
                )
            ),
        )
        for name, member in sorted(rank.members.items())
    )


def _cuts_weights(rank: SharedRank) -> bool:
    return any(member.rank.weights for member in rank.members.values())


def _within(
    ranks: Sequence[SharedRank], loops: int, nests: int
) -> tuple[tuple[SharedRank, ...], int]:
    """Ranks to look at, those that cut most layers first, and how many loops a nest has."""
    order = sorted(ranks, key=lambda rank: -len(rank.members))
    if ranks and len(ranks[0].view.layers) > LONG:
        order = [r for r in order if len(r.members) * 3 >= len(r.view.layers)]
    for most in range(loops, 1, -1):
        if sum(perm(len(order), k) for k in range(most + 1)) <= nests:
            return tuple(order), most
    kept = order
    while sum(perm(len(kept), k) for k in range(min(loops, 2) + 1)) > nests:
        kept = kept[:-1]
    return tuple(kept), min(loops, 2)


def tile_sizes(size: int, whole: int = 1) -> Ints:
    """Tile sizes worth a look: the smallest for every number of steps, of whole units.

    Examples
    --------
    >>> tile_sizes(7).tolist()
    [1, 2, 3, 4, 7]
    >>> tile_sizes(16, 4).tolist()
    [4, 8, 16]
    """
    units = -(-size // whole)
    steps = np.arange(1, units + 1)
    return whole * np.unique(-(-units // steps))


def _homes(point: Point, given: Assumptions) -> dict[str, str] | None:
    """The cheapest memories that have room for tensors between layers, None if not for all."""
    if given.outer is None:
        return {}
    free = given.capacity_words - point.footprint_words
    outer = replace(given.outer, capacity_words=free)
    return choose_homes(waiting(point), (outer, *given.inner))


def _is_able(point: Point, given: Assumptions) -> bool:
    return point.steps >= given.least_steps and _homes(point, given) is not None


def _placed(point: Point, plan: GroupPlan, given: Assumptions) -> GroupPlan:
    """The plan of a point that has room, with what waits on the outer memory counted there."""
    homes = _homes(point, given)
    if given.outer is None or homes is None:
        return plan
    here = given.outer.name
    held = words_held([tensor for tensor in waiting(point) if homes[tensor.name] == here])
    return replace(
        plan,
        homes={name: home for name, home in homes.items() if home != here},
        footprint_words=plan.footprint_words + held,
        peak_words=plan.peak_words + held,
    )


def _enlarged(point: Point, given: Assumptions) -> Point:
    """The largest tiles, outermost loops first, that move no more words and still fit."""
    for number in range(len(point.at)):
        low, high = point.at[number], len(point.nest.spans[number].steps) - 1
        while low < high:
            middle = (low + high + 1) // 2
            at = (*point.at[:number], middle, *point.at[number + 1 :])
            larger, _ = solve(point.nest, at, given.capacity_words, point.words + 1)
            if larger is None or not _is_able(larger, given):
                high = middle - 1
            else:
                low, point = middle, larger
    return point
