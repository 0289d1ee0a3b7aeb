"""The search below one choice of spatial factors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from toolkit.compilation import Block, record_type
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.orders import OrderRule
from toolkit.search.exact.compiled_course import Course, Shared, Store
from toolkit.search.exact.compiled_labels import UNDOMINATED, Goal, GoalRow, Labels, Sieve
from toolkit.search.exact.compiled_least import EXTEND, LABEL, LabelSet
from toolkit.search.exact.compiled_paths import Least
from toolkit.search.exact.compiled_steps import Step
from toolkit.search.exact.compiled_words import LabelRow
from toolkit.search.exact.nest import NO_FLOORS, NOWHERE, Nest, nothing_of

MOST_LABELS = 1 << 21
"""Most labels at one boundary before undercut ones are removed."""
CHUNK = 1 << 12
"""Labels extended between two looks at the clock."""
MOST_COMPARISONS = 4096
MOST_STATES = 1 << 27
"""Most entries of the tables of least costs of one branch: 1 GiB."""


@dataclass
class Branch:
    """One choice of spatial factors and what is known of it.

    Parameters
    ----------
    nest : Nest
        Its tables.
    powers : tuple of 3 floats
        Exponents of energy, latency and utilization in the objective.
    compulsory_pj : float
        Energy that no loops can avoid, leakage aside.

    Attributes
    ----------
    energy_pj, latency_cycles : float
        No mapping of the branch takes less of either.
    settled : float
        Objective value below which a search found no mapping.
    """

    nest: Nest
    powers: tuple[float, float, float]
    compulsory_pj: float
    energy_pj: float = field(init=False)
    latency_cycles: float = field(init=False)
    settled: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        nest = self.nest
        self.latency_cycles = nest.whole_cycles(nest.spatial.cycles + nest.warm_up)
        until_end, own = nest.leakage_pj_per_cycle
        self._until_end = until_end
        self._own = own
        # Complete outputs save no more than they take, of which less may be known.
        self.energy_pj = max(self.compulsory_pj, 0.0) + own + until_end * self.latency_cycles

    @property
    def scale(self) -> float:
        """Factor of the objective that all mappings of the branch share: the utilization's."""
        return float(self.nest.utilization ** self.powers[2])

    @property
    def bound(self) -> float:
        """No mapping of the branch has a lower objective value."""
        energy, latency = self.energy_pj ** self.powers[0], self.latency_cycles ** self.powers[1]
        return max(float(energy * latency * self.scale), self.settled)

    def entries(self, passes: int) -> int:
        """Size of the tables of least costs, for so many costs."""
        return passes * sum((all_ + top) * flags for all_, top, flags in self.nest.table_sizes)

    def solve_energy(self) -> tuple[IntArray, IntArray] | None:
        """Find the mapping of least energy, memory stalls aside, and raise the bound to it.

        Returns
        -------
        factors, order : int64 arrays, shape (levels, dimensions), or None
            None if no mapping is valid.
        """
        nest = self.nest
        if not nest.steps:
            return None
        ways = [block.arrays for block in nest.least_costs(1, recorded=True)]
        least = ways[-1].least[0, nest.start_state, nest.start]
        if not least < math.inf:
            return None
        self.raise_energy(float(least))
        extent, waiting, path = 0, nest.start, []
        for step, way in zip(reversed(nest.steps), reversed(ways), strict=True):
            extent, waiting, sequence = _follow(step, way, extent, waiting)
            path.append((extent, sequence))
        return self.mapping(path)

    def raise_energy(self, least_pj: float) -> None:
        """No mapping takes less energy beyond what all of them share."""
        leaked = self._own + self._until_end * self.latency_cycles
        least = self.nest.constant.energy_pj + least_pj + leaked
        self.energy_pj = max(self.energy_pj, least)

    def mapping(self, path: list[tuple[int, int]]) -> tuple[IntArray, IntArray]:
        """Write a path, the innermost memory first, as factors and loop orders."""
        nest = self.nest
        space = nest.problem.space
        factors = nest.spatial.factors.copy()
        order = np.tile(np.arange(len(nest.n), dtype=np.int64), (len(factors), 1))
        inside = np.zeros(len(nest.n), dtype=np.int64)
        for k, (extent, sequence) in zip(reversed(range(len(path))), path, strict=True):
            m, along = nest.memories[k], nest.steps[k].dimensions
            digits = extent // along["above_stride"] % along["above"]
            factors[m] = nest.turns(k, digits, inside)
            inside = digits
            order[m] = _complete(space.order_rules[k], sequence)
        return factors, order

    def values(self, costs: FloatArray) -> FloatArray:
        """Objective values of complete labels [n, 1 + ports]; bounds if stalls leak."""
        nest = self.nest
        latency = np.full(len(costs), nest.spatial.cycles)
        if costs.shape[1] > 1:
            latency = np.maximum(latency, costs[:, 1:].max(axis=1))
        latency = nest.whole_cycles(latency + nest.warm_up)
        energy = nest.constant.energy_pj + self._own + costs[:, 0] + self._until_end * latency
        value = energy ** self.powers[0] * latency ** self.powers[1] * self.scale
        return np.asarray(value, dtype=np.float64)

    def goal(self, limit: float, front: FloatArray = NOWHERE) -> Goal:
        """State what a mapping has to reach."""
        nest = self.nest
        numbers = GoalRow(
            self.powers[0],
            self.powers[1],
            self.scale,
            limit,
            nest.spatial.cycles,
            nest.warm_up,
            self._until_end,
            nest.constant.energy_pj + self._own,
            nest.problem.conventions.whole_cycles,
        )
        front = np.ascontiguousarray(front, dtype=np.float64)
        return Goal(np.array([numbers], dtype=record_type(GoalRow)), front, *NO_FLOORS)


def _follow(step: Step, way: Least, extent: int, waiting: int) -> tuple[int, int, int]:
    """Take the cheapest way through a memory.

    From the number of the extents below and the states of the tensors to those above; also
    returns the loops placed while a tensor waited.
    """
    along, flags = step.dimensions, int(step.sizes["flags"][0])
    coordinates = along["above"] + extent // along["below_stride"] % along["below"]
    state, sequence, shift = int(coordinates @ along["stride"]), 0, 0
    while (following := int(way.next[state, waiting])) >= 0:
        new, new_waiting = divmod(following, flags)
        moved = new // along["stride"] % (along["above"] + along["below"])
        d = int(np.flatnonzero(moved != coordinates)[0])
        if waiting:
            sequence |= (d + 1) << shift
            shift += 4
        state, waiting, coordinates = new, new_waiting, moved
    inside = np.maximum(coordinates - along["above"], 0)
    idle = step.idle[np.arange(len(along)), inside]
    top = np.where(coordinates < along["above"], coordinates, idle)
    extent = int(top @ along["above_stride"])
    return extent, int(way.left[extent, waiting]), sequence


def _complete(rule: OrderRule, sequence: int) -> list[int]:
    """Loop order, outermost first, from the innermost loops of a sequence."""
    placed: list[int] = []
    used = 0
    while sequence:
        d = (sequence & 15) - 1
        placed.append(d)
        used |= 1 << d
        sequence >>= 4
    while len(placed) < rule.count:
        d = rule.innermost_choices(used)[0]
        placed.append(d)
        used |= 1 << d
    return placed[::-1]


@dataclass(frozen=True)
class Ends:
    """Complete mappings of a branch that nothing undercuts.

    Parameters
    ----------
    costs : float64 array, shape (n, 1 + ports)
        Energy (pJ) beyond what all mappings share, then cycles of the ports.
    paths : list of list of (int, int)
        Extents and loops, the innermost memory first.
    """

    costs: FloatArray
    paths: list[list[tuple[int, int]]]


class LabelSearch:
    """Extends labels through all memories, from the innermost outwards."""

    def __init__(self, branch: Branch) -> None:
        self.branch = branch
        nest = branch.nest
        self.passes = 1 + len(nest.limits)
        self.ways, self.floors = nest.costs_to_come(self.passes)
        self.first = np.concatenate([[0.0], nest.constant.cycles])
        if self.floors:
            least = np.maximum(self.floors[-1].floor[0], self.floors[-1].to_go[:, 0, 0])
        else:
            least = self.ways[-1].arrays.least[:, nest.start_state, nest.start]
        latency = max(nest.spatial.cycles, *(self.first + least)[1:], 0.0)
        self.least_latency = float(nest.whole_cycles(latency + nest.warm_up))
        self.not_worthwhile = 0
        self.labels = 0
        self.undercut = 0

    def run(self, goal: Goal, late: Callable[[], bool]) -> Ends | None:
        """Find all mappings worth looking at; None if there are too many or time is up."""
        nest = self.branch.nest
        history: list[Labels] = []
        first = LabelRow(extent=0, waiting=nest.start, parent=-1, sequence=0)
        labels = Labels(self.first[None].copy(), np.array([first], dtype=record_type(LabelRow)))
        history.append(labels)
        for k in reversed(range(len(nest.steps))):
            grown = self._through(k, labels, goal, late)
            if grown is None:
                return None
            labels = grown
            history.append(labels)
        return Ends(labels.costs, self._paths(history))

    def _through(
        self, k: int, labels: Labels, goal: Goal, late: Callable[[], bool]
    ) -> Labels | None:
        nest = self.branch.nest
        if self.floors:
            goal = goal._replace(**self.floors[k]._asdict())
        room, sought = nest.room(self.passes), Block(goal)
        outcome = room.arrays.state
        parts: list[Labels] = []
        first, capacity = 0, 1 << 14
        while first < len(labels.costs):
            if late():
                return None
            found = Labels(
                np.empty((capacity, self.passes)), np.empty(capacity, dtype=record_type(LabelRow))
            )
            outcome["found"] = outcome["dropped"] = 0
            chunk = Labels(labels.costs[first : first + CHUNK], labels.rows[first : first + CHUNK])
            done = LABEL(
                EXTEND,
                nest.windows,
                nest.window_room,
                nest.row_block,
                sought,
                room,
                self.ways[k],
                nest.step_blocks[k],
                Block(chunk),
                Block(found),
                *_NOTHING,
            )
            self.not_worthwhile += int(outcome["dropped"][0])
            if done == 0:
                if capacity >= MOST_LABELS:
                    return None
                capacity *= 4
                continue
            count = int(outcome["found"][0])
            part = Labels(found.costs[:count], found.rows[:count].copy())
            part.rows["parent"] += first
            parts.append(self._undominated(k, part))
            first += done
            if len(parts) > 1 and sum(len(p.costs) for p in parts) > MOST_LABELS // 4:
                parts = [self._undominated(k, _joined(parts))]
                if len(parts[0].costs) > MOST_LABELS:
                    return None
        merged = _joined(parts) if parts else Labels(labels.costs[:0], labels.rows[:0])
        return self._undominated(k, merged) if len(parts) > 1 else merged

    def _undominated(self, k: int, labels: Labels) -> Labels:
        """Keep the labels that no other with the same future undercuts in all costs."""
        if len(labels.costs) == 0:
            return labels
        self.labels += len(labels.costs)
        costs = self._settled(k, labels.costs)
        if len(costs) == 1:
            return Labels(costs, labels.rows)
        waiting = labels.rows["waiting"]
        key = labels.rows["extent"] * (waiting.max() + 1) + waiting
        order = np.lexsort((*costs.T[::-1], key))
        kept, mark = np.empty_like(key), np.empty_like(key)
        sieve = Sieve(np.ascontiguousarray(costs[order]), key[order], kept, mark)
        UNDOMINATED(Block(sieve), MOST_COMPARISONS)
        chosen = order[mark == 1]
        self.undercut += len(order) - len(chosen)
        return Labels(np.ascontiguousarray(costs[chosen]), labels.rows[chosen])

    def _settled(self, k: int, costs: FloatArray) -> FloatArray:
        """Leave out of costs what cannot make a difference any more.

        Ports that nothing passes from here on count by their maximum; energy does not count if
        the objective is latency alone.
        """
        nest = self.branch.nest
        costs = costs.copy()
        if self.branch.powers[0] == 0:
            costs[:, 0] = 0.0
        settled = [1 + p for p, limit in enumerate(nest.limits) if not nest.is_open(limit, k)]
        if settled and not nest.stalls_leak:
            most = np.maximum(costs[:, settled].max(axis=1), nest.spatial.cycles)
            costs[:, settled] = most[:, None]
        return costs

    def _paths(self, history: list[Labels]) -> list[list[tuple[int, int]]]:
        paths = []
        for end in range(len(history[-1].costs)):
            path, i = [], end
            for labels in reversed(history[1:]):
                path.append((int(labels.rows["extent"][i]), int(labels.rows["sequence"][i])))
                i = int(labels.rows["parent"][i])
            paths.append(path[::-1])
        return paths


_NOTHING = tuple(Block(nothing_of(kind)) for kind in (Store, Shared, Course, *[LabelSet] * 3))
"""What labels of a single memory do without."""


def _joined(parts: list[Labels]) -> Labels:
    return Labels(
        np.concatenate([p.costs for p in parts]), np.concatenate([p.rows for p in parts])
    )
