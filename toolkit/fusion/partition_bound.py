"""What no partition, plan and mapping of a network undercuts: bounds of groups, joined by `exact`.

A group is bounded by three proofs that count nothing twice:

- the words that pass the outermost memory, by the search over its plans (`tile.choice`), which
  knows what the fusion level has room for: mappings of its parts move no fewer, but for what they
  need not read of tensors that may pass by;
- the energy of all else and the cycles, by those of its layers' parts (`large_layers`), in which
  words of the outermost memory are free;
- for a layer on its own both at once: the exact search over its mappings.

The cheapest way through the down-sets then bounds every partition, at fixed weights of energy and
cycles. For their product, each pair of weights is a line that all partitions lie above; what these
lines enclose has its least product at a corner, and the weights that touch there are asked next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from toolkit.arch.levels import Memory
from toolkit.compilation import clock
from toolkit.fusion.dram_port import DramPort, PortWords
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.group_model import FusionObjective, FusionOverhead, Option
from toolkit.fusion.groups import Group, GroupView
from toolkit.fusion.part_bounds import (
    LayerLeast,
    compulsory_words,
    constants_beside,
    words_read,
    words_written,
)
from toolkit.fusion.partition.exact import least_value
from toolkit.fusion.tile.assumptions import Assumptions
from toolkit.fusion.tile.group_plan import least_words, single_plan
from toolkit.fusion.tile.identical import PlanBook

CLOSE = 1.02
"""Ratio of weights between which no further ones are asked."""
MOST_LINES = 12
"""Pairs of weights that are asked at most."""


@dataclass(frozen=True)
class Weights:
    """How much a pJ, a cycle and a word of the outermost memory count."""

    energy: float = 0.0
    cycle: float = 0.0
    word: float = 0.0


class GroupBounds:
    """What groups take at least.

    Parameters
    ----------
    graph : FoldedGraph
        The network.
    given : Assumptions
        What groups may do.
    port : DramPort
        Of the outermost memory.
    memory : Memory
        The fusion level.
    overhead : FusionOverhead
        What fusing costs.
    parts, alone : mapping of str to LayerLeast
        By layer: what its parts take, and what it takes on its own.
    staged : collection of str
        Layers that may run on their own and yet in parts.
    books : sequence of PlanBook
        Plans of groups and what is proved of them; together they hold all plans that are mapped.
    seconds : float
        After which no further group is searched: its words count once each then.
    """

    def __init__(
        self,
        graph: FoldedGraph,
        given: Assumptions,
        port: DramPort,
        memory: Memory,
        overhead: FusionOverhead,
        parts: Mapping[str, LayerLeast],
        alone: Mapping[str, LayerLeast],
        staged: frozenset[str],
        books: Sequence[PlanBook],
        seconds: float,
    ) -> None:
        self.graph, self.given = graph, given
        self.port, self.memory = port, memory
        self.overhead = overhead
        self.parts, self.alone, self.staged = parts, alone, staged
        self.books = tuple(books)
        self._end = clock() + seconds
        self._views: dict[Group, GroupView] = {}
        self._passing: dict[tuple[Group, bool], PortWords] = {}
        self._words: dict[tuple[Group, bool], tuple[float, float]] = {}

    def view(self, group: Group) -> GroupView:
        """Who makes and reads what in a group."""
        if group not in self._views:
            self._views[group] = GroupView(self.graph, group)
        return self._views[group]

    def passing(self, group: Group, *, fused: bool) -> PortWords:
        """Words that a group moves however it runs; fused, it stages its tensors as a whole."""
        if (group, fused) not in self._passing:
            view = self.view(group)
            once = compulsory_words(view, self.port)
            self._passing[group, fused] = once + self._left_out(view) if fused else once
        return self._passing[group, fused]

    def busy_cycles(self, group: Group, passing: PortWords, *, fused: bool) -> float:
        """Cycles in which the outermost memory moves what passes, and nothing passes beside."""
        beside = PortWords() if fused else constants_beside(self.view(group))
        return self.port.cycles(passing + beside * -1)

    def _left_out(self, view: GroupView, *, passing_by: bool = False) -> PortWords:
        """Words of tensors that no layer uses, as strides pass over them.

        Of those that are staged, as a whole; or of those that may pass by the fusion level, of
        which plans count all words and mappings those that they use.
        """
        roles, read, written = self.memory.may_bypass, 0, 0
        if ("input" in roles) is passing_by:
            read = sum(t.elements - words_read(view, t, self.port) for t in view.external)
        if ("output" in roles) is passing_by:
            leaving = {tensor.name for tensor in view.leaving}
            made = (layer for layer in view.layers if layer.output.name in leaving)
            written = sum(layer.output.elements - words_written(layer) for layer in made)
        return PortWords(read, written)

    def words(self, group: Group, most: float, *, double_buffered: bool) -> float:
        """Words that no plan of a group undercuts; `most`, if they are not fewer than that."""
        unused = self._left_out(self.view(group), passing_by=True)
        planned = self._planned_words(group, most + unused.total, double_buffered)
        return planned - unused.total

    def _planned_words(self, group: Group, most: float, double_buffered: bool) -> float:
        """The same as plans count words."""
        key = group, double_buffered
        least, asked = self._words.get(key) or (float(least_words(self.view(group))), 0.0)
        books = [b for b in self.books if b.given.double_buffered is double_buffered]
        if not books:
            return math.inf
        if most <= max(least, asked):
            return least
        if clock() < self._end:
            limit = None if most == math.inf else math.ceil(most)
            plans = [book.best(self.view(group), limit) for book in books]
            asked = most if all(plan is None for plan in plans) else math.inf
        known = min(float(book.least(self.view(group)) or 0) for book in books)
        self._words[key] = max(least, known), asked
        return self._words[key][0]

    def any_cycles(self, words: float) -> float:
        """Cycles in which the outermost memory moves so many words, whatever they are."""
        port = self.port
        read, written, weights = (
            port.cycles(one)
            for one in (PortWords(1.0), PortWords(0.0, 1.0), PortWords(0.0, 0.0, 1.0))
        )
        together = port.cycles(PortWords(1.0, 1.0)) >= read + written
        apart = [min(read, written)] if together else [read, written]
        if port.weights is not None:
            apart.append(weights)
        return words / math.fsum(1 / each for each in apart) if all(apart) else 0.0


class WeightedBounds:
    """A model of groups at the least that they can cost: one sum, at fixed weights.

    Parameters
    ----------
    bounds : GroupBounds
        What groups take.
    weights : Weights
        Of energy, cycles and words.
    """

    objective: FusionObjective = "energy"
    complete = True
    costed = 0

    def __init__(self, bounds: GroupBounds, weights: Weights) -> None:
        self.graph, self.given = bounds.graph, bounds.given
        self._bounds, self._weights = bounds, weights
        self._parts = {name: self._weighted(x) for name, x in bounds.parts.items()}
        self._alone: dict[str, Option] = {}

    @property
    def bound(self) -> tuple[float, ...]:
        """Of the whole network."""
        return self.least(frozenset(self.graph.names))

    def options(self, group: Group, limit: float | None = None) -> Sequence[Option]:
        """What a group costs at least, if that is below a limit."""
        most = math.inf if limit is None else limit
        if len(group) == 1:
            (name,) = group
            options = [self.alone(name)]
            if name in self._bounds.staged:
                options.append(self._option(group, self._fused(group, most)))
            return [min(options, key=lambda option: option.costs)]
        cost = self._fused(group, most)
        return [self._option(group, cost)] if cost < most else []

    def alone(self, name: str) -> Option:
        """What a layer costs at least on its own."""
        if name not in self._alone:
            passing = self._bounds.passing(frozenset((name,)), fused=False)
            own, weights = self._bounds.alone[name], self._weights
            held_up = weights.energy * own.energy_pj
            busy = self._bounds.busy_cycles(frozenset((name,)), passing, fused=False)
            held_up += weights.cycle * busy
            cost = max(self._weighted(own), held_up)
            cost += weights.word * passing.total
            self._alone[name] = self._option(frozenset((name,)), cost)
        return self._alone[name]

    def least(self, group: Group) -> tuple[float, ...]:
        """Every word once, and the parts of all layers."""
        passing = self._bounds.passing(group, fused=False)
        return (self._cost(group, passing, 0.0, fused=False),)

    def _weighted(self, least: LayerLeast) -> float:
        return least.weighted(self._weights.energy, self._weights.cycle)

    def _fused(self, group: Group, most: float) -> float:
        """Of the layers together in parts, which take their operands from the fusion level."""
        bounds, weights = self._bounds, self._weights
        passing = bounds.passing(group, fused=True)
        view = bounds.view(group)
        fusing_pj, fusing_cycles = bounds.overhead.of(len(group))
        entering = sum(tensor.elements for tensor in view.external)
        memory, staging_pj = bounds.memory, 0.0
        if "input" not in memory.may_bypass:
            staging_pj += entering * memory.write_energy_pj
        if "output" not in memory.may_bypass:
            staging_pj += passing.writes * memory.read_energy_pj
        fixed = weights.energy * (fusing_pj + staging_pj) + weights.cycle * fusing_cycles
        compulsory = self._cost(group, passing, 0.0) + fixed
        if not self._per_word or compulsory >= most:
            return compulsory
        once = passing.total
        limit = once + (most - compulsory) / self._per_word
        words = bounds.words(group, limit, double_buffered=True)
        costs = [self._cost(group, passing, words - once)]
        words = bounds.words(group, limit, double_buffered=False)
        if words < math.inf:
            # Layers wait for what is staged; weights may come while they run.
            staged = PortWords(entering, passing.writes)
            waiting = weights.cycle * bounds.port.cycles(staged)
            costs.append(self._cost(group, passing, words - once, waiting=waiting))
        return min(costs) + fixed

    @property
    def _per_word(self) -> float:
        ways = (PortWords(1.0), PortWords(0.0, 1.0), PortWords(0.0, 0.0, 1.0))
        cheaper = min(map(self._bounds.port.energy_pj, ways))
        return self._weights.energy * cheaper + self._weights.word

    def _cost(
        self,
        group: Group,
        passing: PortWords,
        more_words: float,
        *,
        waiting: float = 0.0,
        fused: bool = True,
    ) -> float:
        """Of words that pass, more of them, and all parts, which the port may hold up.

        `waiting` is what it costs that no part runs while some of the words pass.
        """
        bounds, weights = self._bounds, self._weights
        cost = weights.energy * bounds.port.energy_pj(passing) + weights.word * passing.total
        cost += self._per_word * more_words
        parts = math.fsum(self._parts[name] for name in group) + waiting
        if weights.cycle:
            cycles = bounds.busy_cycles(group, passing, fused=fused)
            if more_words:
                cycles = max(cycles, bounds.any_cycles(passing.total + more_words))
            held_up = math.fsum(bounds.parts[name].energy_pj for name in group)
            parts = max(parts, weights.energy * held_up + weights.cycle * cycles)
        return cost + parts

    def _option(self, group: Group, cost: float) -> Option:
        name = next(iter(group))
        return Option((cost,), replace(single_plan(self.graph, name), group=group))


def least_product(
    cheapest: Callable[[float], float], energy_pj: float, latency_cycles: float
) -> tuple[float, float]:
    """Bound a product of energy and latency by lines that all points lie above.

    Parameters
    ----------
    cheapest : callable
        Of a weight w, no point has a lower ``energy + w * latency``.
    energy_pj, latency_cycles : float
        Of no point is either lower.

    Returns
    -------
    energy_pj, latency_cycles : float
        Whose product no point undercuts; single points may have less of one of them.

    Examples
    --------
    >>> from math import sqrt
    >>> energy, latency = least_product(lambda w: 2 * sqrt(w * 8.0), 1.0, 1.0)
    >>> bool(7.8 < energy * latency <= 8.0)
    True
    """
    lines: dict[float, float] = {}
    corner = energy_pj, latency_cycles
    while len(lines) < MOST_LINES and min(corner) > 0:
        weight = corner[0] / corner[1]
        if any(1 / CLOSE < weight / known < CLOSE for known in lines):
            break
        lines[weight] = cheapest(weight)
        corner = _lowest_corner(lines, energy_pj, latency_cycles)
    return corner


def _lowest_corner(
    lines: Mapping[float, float], energy_pj: float, latency_cycles: float
) -> tuple[float, float]:
    """The point above all lines with the least product: one where two of them meet."""

    def latency_above(energy: float) -> float:
        others = ((cost - energy) / weight for weight, cost in lines.items())
        return max(latency_cycles, *others)

    turns = {energy_pj}
    turns |= {cost - weight * latency_cycles for weight, cost in lines.items()}
    for (a, first), (b, second) in combinations(lines.items(), 2):
        turns.add(first - a * (second - first) / (b - a))
    points = [(energy, latency_above(energy)) for energy in turns if energy >= energy_pj]
    return min(points, key=lambda point: point[0] * point[1])


def network_bound(
    bounds: GroupBounds, objective: FusionObjective, most_layers: int
) -> tuple[float, ...] | None:
    """Costs whose objective value no partition undercuts; None if there are too many.

    Parameters
    ----------
    bounds : GroupBounds
        What groups take.
    objective : {"dram", "energy", "latency", "edp"}
        What is minimised.
    most_layers : int
        Of a group.
    """
    if objective != "edp":
        weights = {
            "dram": Weights(word=1.0),
            "energy": Weights(energy=1.0),
            "latency": Weights(cycle=1.0),
        }
        value = least_value(WeightedBounds(bounds, weights[objective]), most_layers)
        return None if value is None else (value,)
    lines: list[float | None] = []

    def cheapest(weight: float) -> float:
        lines.append(least_value(WeightedBounds(bounds, Weights(1.0, weight)), most_layers))
        return lines[-1] or 0.0

    (energy,), (cycles,) = (
        WeightedBounds(bounds, weights).bound for weights in (Weights(1.0), Weights(0.0, 1.0))
    )
    found = least_product(cheapest, energy, cycles)
    return None if None in lines else found
