"""The best partition, proved: the cheapest way through the down-sets of the graph, as bit sets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.group_model import (
    GroupModel,
    Option,
    ProvedTraffic,
    TrafficModel,
    total_costs,
    value_of,
)
from toolkit.fusion.groups import Group
from toolkit.fusion.partition.merging import greedy_groups
from toolkit.fusion.partition.result import Found

MOST_IDEALS = 20_000
"""Down-sets up to which all are looked at. Chains have one per layer, parallel branches as many
as the product of their lengths; groups are costed from each, so that more take too long."""

MOST_FREE_IDEALS = 100
"""The same where groups may have any length: thousands of them, the longest of which take a second
each."""

SHORT = 4
"""Layers of groups that are looked at before longer ones."""


def exact(model: GroupModel, most_layers: int, seed: int) -> Found:
    """Look at all partitions; beyond `MOST_IDEALS` down-sets, at segments and greedy merging."""
    result = exact_states(model, most_layers)
    if result is None:
        tried = [_best(segment_states(model, most_layers)), greedy_groups(model, most_layers)]
        best = min(tried, key=lambda groups: value_of(total_costs(groups)))
        note = f"more than {MOST_IDEALS:,} down-sets: the best of segments and greedy merging"
        return Found(best, notes=(note,))
    states, down_sets = result
    tried = [greedy_groups(model, most_layers), *([_best(states)] if states else [])]
    groups = min(tried, key=lambda found: value_of(total_costs(found)))
    limited = most_layers < len(model.graph)
    bound = None
    if not limited and model.complete:
        bound = value_of(total_costs(groups))
    elif not limited and isinstance(model, TrafficModel):
        bound = _proved(model, most_layers)
    return Found(groups, bound, down_sets, limited)


def _proved(model: TrafficModel, most_layers: int) -> float:
    """Words that no partition undercuts, where plans of some groups are not proved to be best."""
    least = exact_states(ProvedTraffic(model), most_layers)
    states = [] if least is None else least[0]
    # Partitions that reach no less than greedy merging does are left out.
    merged = total_costs(greedy_groups(ProvedTraffic(model), most_layers))
    return value_of(min([merged, *(state.costs for state in states)]))


def segments(model: GroupModel, most_layers: int, seed: int) -> Found:
    """Cut the graph's own order of layers where that costs least."""
    return Found(_best(segment_states(model, most_layers)))


def _best(states: list[State]) -> tuple[Option, ...]:
    return min(states, key=lambda state: value_of(state.costs)).options()


def best_ways(model: GroupModel, groups: Iterable[Group]) -> tuple[Option, ...]:
    """The ways to run given groups that cost least together; each group must have one."""
    front = [State((0.0, 0.0) if model.objective == "edp" else (0.0,))]
    for group in groups:
        front = hull([state.then(o) for o in model.options(group) for state in front])
    return _best(front)


@dataclass(frozen=True)
class Order:
    """The layers of a graph as bits, in the graph's order.

    Parameters
    ----------
    graph : FoldedGraph
        The network.
    """

    graph: FoldedGraph

    @cached_property
    def sources(self) -> tuple[int, ...]:
        """Per layer, the layers that it reads from."""
        return tuple(self._bits(self.graph.predecessors(name)) for name in self.graph.names)

    @cached_property
    def around(self) -> tuple[int, ...]:
        """Per layer, the layers that it shares a tensor with."""
        return tuple(self._bits(self.graph.neighbourhood[name]) for name in self.graph.names)

    def _bits(self, names: Iterable[str]) -> int:
        return sum(1 << self.graph.positions[name] for name in names)

    @property
    def full(self) -> int:
        """All layers."""
        return (1 << len(self.graph)) - 1

    def group(self, bits: int) -> Group:
        """The layers of a bit set."""
        return frozenset(self.graph.names[i] for i in positions(bits))

    def ready(self, done: int) -> Iterator[int]:
        """Layers, as bits, that can run next after a down-set."""
        for i, sources in enumerate(self.sources):
            if not done >> i & 1 and not sources & ~done:
                yield 1 << i

    @cached_property
    def readers(self) -> tuple[int, ...]:
        """Per layer, the layers that read from it."""
        return tuple(self._bits(self.graph.successors(name)) for name in self.graph.names)

    def last(self, done: int) -> Iterator[int]:
        """Layers of a down-set, as bits, that none of its layers reads from."""
        for i in positions(done):
            if not self.readers[i] & done:
                yield 1 << i

    def connected(self, bits: int) -> bool:
        """Whether tensors connect the layers of a bit set."""
        reached = bits & -bits
        edge = reached
        while edge:
            low = edge & -edge
            edge ^= low
            new = self.around[low.bit_length() - 1] & bits & ~reached
            reached |= new
            edge |= new
        return reached == bits


def positions(bits: int) -> Iterator[int]:
    """Numbers of the bits that are set, ascending."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def all_ideals(order: Order, limit: int) -> list[int] | None:
    """All down-sets by rising size, or None if there are more than `limit`."""
    found = [0]
    level = {0}
    while level:
        level = {done | bit for done in level for bit in order.ready(done)}
        found += sorted(level)
        if len(found) > limit:
            return None
    return found


@dataclass(frozen=True, slots=True)
class State:
    """A way to have run a down-set: its total costs, its last group, and the way before it."""

    costs: tuple[float, ...]
    option: Option | None = None
    before: State | None = None

    def then(self, option: Option) -> State:
        """One more group that runs."""
        costs = tuple(a + b for a, b in zip(self.costs, option.costs, strict=True))
        return State(costs, option, self)

    def options(self) -> tuple[Option, ...]:
        """Options of all groups, in the order in which they run."""
        found: list[Option] = []
        state: State | None = self
        while state is not None and state.option is not None:
            found.append(state.option)
            state = state.before
        return tuple(reversed(found))


def hull(states: Sequence[State]) -> list[State]:
    """States that some weighting of their costs prefers.

    The product of two sums is quasi-concave, so that its minimum is among them; and a state of
    the final hull consists of states of earlier hulls.

    Examples
    --------
    >>> [s.costs for s in hull([State((0, 9)), State((4, 8)), State((5, 0)), State((6, 0))])]
    [(0, 9), (5, 0)]
    """
    if not states or len(states[0].costs) == 1:
        return [min(states, key=lambda state: state.costs)] if states else []
    kept: list[State] = []
    for state in sorted(states, key=lambda entry: entry.costs):
        if kept and state.costs[1] >= kept[-1].costs[1]:
            continue
        while len(kept) > 1 and _above(kept[-2].costs, kept[-1].costs, state.costs):
            kept.pop()
        kept.append(state)
    return kept


def _above(a: tuple[float, ...], b: tuple[float, ...], c: tuple[float, ...]) -> bool:
    """Whether b lies on or above the line from a to c."""
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])


def least_value(model: GroupModel, most_layers: int) -> float | None:
    """Cost that no partition into groups of limited length undercuts.

    Parameters
    ----------
    model : GroupModel
        With one cost, of which its options are the least.

    Returns
    -------
    float or None
        None if there are too many down-sets for groups of that length.
    """
    order = Order(model.graph)
    found = all_ideals(order, MOST_FREE_IDEALS if most_layers >= len(model.graph) else MOST_IDEALS)
    if found is None:
        return None
    most = math.inf
    for length in sorted({min(SHORT, most_layers), most_layers}):
        # What short groups reach shows that most of the longer ones are hopeless.
        states = cheapest(order, model, found, exact_predecessors(order, length), most)
        most = min([most, *(state.costs[0] for state in states)])
    return most


Predecessors = Callable[[int], Iterable[int]]
"""The down-sets that may come before one, the nearest first."""


def cheapest(
    order: Order,
    model: GroupModel,
    ideals: Sequence[int],
    predecessors: Predecessors,
    most: float = math.inf,
) -> list[State]:
    """Best ways to run all layers, one group after the other, from down-set to down-set.

    Parameters
    ----------
    ideals : sequence of int
        Down-sets by rising size, the empty and the full one included.
    predecessors : callable
        Which of them a group leads from.
    most : float
        Objective value that is known to be possible: only better ones are of interest.

    Returns
    -------
    list of State
        The hull of costs.
    """
    size = 2 if model.objective == "edp" else 1
    fronts: dict[int, list[State]] = {0: [State((0.0,) * size)]}
    for after in ideals[1:]:
        known: list[State] = []
        # What follows costs as much as it does in a single group, or more.
        left = order.full & ~after
        rest = model.least(order.group(left)) if left else (0.0,) * size
        # Small groups first: they are cheap to cost, and show that many large ones are hopeless.
        for before in predecessors(after):
            if before in fronts:
                known = _extended(order, model, fronts[before], known, after & ~before, rest, most)
        if known:
            fronts[after] = known
    return fronts.get(order.full, [])


def _extended(
    order: Order,
    model: GroupModel,
    front: list[State],
    known: list[State],
    bits: int,
    rest: tuple[float, ...],
    most: float,
) -> list[State]:
    group = order.group(bits)
    least = model.least(group)
    if known and _hopeless(front, least, known):
        return known
    front = [state for state in front if _total(state.costs, least, rest) < most]
    if not front:
        return known
    limit = None
    if len(rest) == 1:
        limit = most - rest[0] - front[0].costs[0]
        if known:
            limit = min(limit, known[0].costs[0] - front[0].costs[0])
    new = [state.then(option) for option in model.options(group, limit) for state in front]
    return hull([*known, *new]) if new else known


def _total(*costs: tuple[float, ...]) -> float:
    """Objective value of costs that add up."""
    return value_of([sum(column) for column in zip(*costs, strict=True)])


def _hopeless(front: list[State], least: tuple[float, ...], known: list[State]) -> bool:
    """Whether even the least costs would not improve any of what is known."""
    for state in front:
        costs = [a + b for a, b in zip(state.costs, least, strict=True)]
        if not any(all(k <= c for k, c in zip(s.costs, costs, strict=True)) for s in known):
            return False
    return True


def exact_predecessors(order: Order, most_layers: int) -> Predecessors:
    """All down-sets with one group of up to `most_layers` layers less.

    Sets shrink by any layer that is last: whether a group is connected shows only once it is
    complete, as two branches may be joined by a later layer.
    """

    def predecessors(after: int) -> Iterator[int]:
        level = {after}
        for _ in range(most_layers):
            level = {before & ~bit for before in level for bit in order.last(before)}
            for before in sorted(level, reverse=True):
                if order.connected(after & ~before):
                    yield before

    return predecessors


def segment_predecessors(order: Order, most_layers: int) -> Predecessors:
    """All shorter beginnings of the graph's own order."""

    def predecessors(after: int) -> Iterator[int]:
        end = after.bit_length()
        for start in range(end - 1, max(-1, end - 1 - most_layers), -1):
            before = (1 << start) - 1
            if order.connected(after & ~before):
                yield before

    return predecessors


def exact_states(model: GroupModel, most_layers: int) -> tuple[list[State], int] | None:
    """Hull of the costs of all partitions into groups of limited length.

    Returns
    -------
    tuple or None
        The hull and the number of down-sets; None if there are more than `MOST_IDEALS`.
    """
    order = Order(model.graph)
    found = all_ideals(order, MOST_IDEALS)
    if found is None:
        return None
    most = value_of(total_costs(greedy_groups(model, most_layers)))
    ways = exact_predecessors(order, most_layers)
    return cheapest(order, model, found, ways, most), len(found)


def segment_states(model: GroupModel, most_layers: int) -> list[State]:
    """Hull of the costs of all partitions into segments of the graph's own order."""
    order = Order(model.graph)
    prefixes = [(1 << end) - 1 for end in range(len(model.graph) + 1)]
    return cheapest(order, model, prefixes, segment_predecessors(order, most_layers))
