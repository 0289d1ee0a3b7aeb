"""The search below one choice of spatial factors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.mapping import IntArray
from toolkit.mapping.orders import OrderRule
from toolkit.search.exact.compiled_labels import (
    EXTENT,
    PARENT,
    SEQUENCE,
    WAITING,
    Goal,
    Labels,
    expand,
    follow,
    undominated,
)
from toolkit.search.exact.nest import NOWHERE, Nest
from toolkit.search.exact.spatial import compulsory_energy_pj

FloatArray = NDArray[np.float64]

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

    Attributes
    ----------
    energy_pj, latency_cycles : float
        No mapping of the branch takes less of either.
    """

    nest: Nest
    powers: tuple[float, float, float]
    energy_pj: float = field(init=False)
    latency_cycles: float = field(init=False)

    def __post_init__(self) -> None:
        nest = self.nest
        self.latency_cycles = nest.spatial.cycles + nest.warm_up
        until_end, own = nest.leakage_pj_per_cycle
        self._until_end = until_end
        self._own = own
        self.energy_pj = compulsory_energy_pj(nest) + own + until_end * self.latency_cycles

    @property
    def scale(self) -> float:
        """Factor of the objective that all mappings of the branch share: the utilization's."""
        used = 1.0
        space = self.nest.problem.space
        for i in space.spatial_levels.tolist():
            used *= float(self.nest.spatial.used[i]) / float(space.mesh[i])
        return float(used ** self.powers[2])

    @property
    def bound(self) -> float:
        """No mapping of the branch has a lower objective value."""
        energy, latency = self.energy_pj ** self.powers[0], self.latency_cycles ** self.powers[1]
        return float(energy * latency * self.scale)

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
        states, tops = nest.least_costs(1)
        room, start = nest.room(1), nest.start_state
        least = states[-1][0, start, nest.start]
        if not least < math.inf:
            return None
        self.energy_pj = max(
            self.energy_pj,
            nest.constant.energy_pj
            + float(least)
            + self._own
            + self._until_end * self.latency_cycles,
        )
        label = np.array([0, nest.start, -1, 0], dtype=np.int64)
        path = []
        for k in reversed(range(len(nest.steps))):
            outer = nest.steps[k - 1] if k else nest.beyond
            follow(
                nest.kernel,
                nest.rows,
                nest.steps[k],
                outer,
                nest.n,
                states[k],
                tops[k],
                label,
                room,
                nest.scratch,
            )
            path.append((int(label[EXTENT]), int(label[SEQUENCE])))
        return self.mapping(path)

    def mapping(self, path: list[tuple[int, int]]) -> tuple[IntArray, IntArray]:
        """Write a path, the innermost memory first, as factors and loop orders."""
        nest = self.nest
        space = nest.problem.space
        factors = nest.spatial.factors.copy()
        order = np.tile(np.arange(len(nest.n), dtype=np.int64), (len(factors), 1))
        inside = np.ones(len(nest.n), dtype=np.int64)
        for k, (extent, sequence) in zip(reversed(range(len(path))), path, strict=True):
            m, step = nest.memories[k], nest.steps[k]
            digits = extent // step.above_stride % step.above
            outside = step.tau[np.arange(len(nest.n)), digits].astype(np.int64)
            factors[m] = outside // inside
            inside = outside
            order[m] = _complete(space.order_rules[k], sequence)
        return factors, order

    def values(self, costs: FloatArray) -> FloatArray:
        """Objective values of complete labels [n, 1 + ports]; bounds if stalls leak."""
        nest = self.nest
        latency = np.full(len(costs), nest.spatial.cycles)
        if costs.shape[1] > 1:
            latency = np.maximum(latency, costs[:, 1:].max(axis=1))
        latency = latency + nest.warm_up
        energy = nest.constant.energy_pj + self._own + costs[:, 0] + self._until_end * latency
        value = energy ** self.powers[0] * latency ** self.powers[1] * self.scale
        return np.asarray(value, dtype=np.float64)

    def goal(self, limit: float, front: FloatArray = NOWHERE) -> Goal:
        """State what a mapping has to reach."""
        nest = self.nest
        return Goal(
            np.array(
                [
                    self.powers[0],
                    self.powers[1],
                    self.scale,
                    limit,
                    nest.spatial.cycles,
                    nest.warm_up,
                    self._until_end,
                    nest.constant.energy_pj + self._own,
                ]
            ),
            front,
        )


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
        self.passes = 1 + len(nest.ports)
        self.states, self.tops = nest.least_costs(self.passes)
        start = nest.start_state
        least = self.states[-1][:, start, nest.start]
        self.feasible = bool(least[0] < math.inf)
        self.first = np.concatenate([[0.0], nest.constant.cycles])
        latency = max(nest.spatial.cycles, *(self.first + least)[1:], 0.0)
        self.least_latency = float(latency + nest.warm_up)
        self.not_worthwhile = 0
        self.labels = 0
        self.undercut = 0

    def run(self, goal: Goal, late: Callable[[], bool]) -> Ends | None:
        """Find all mappings worth looking at; None if there are too many or time is up."""
        nest = self.branch.nest
        history: list[Labels] = []
        labels = Labels(
            self.first[None].copy(), np.array([[0, nest.start, -1, 0]], dtype=np.int64)
        )
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
        outer = nest.steps[k - 1] if k else nest.beyond
        room = nest.room(self.passes)
        parts: list[Labels] = []
        first, capacity = 0, 1 << 14
        while first < len(labels.costs):
            if late():
                return None
            found = Labels(
                np.empty((capacity, self.passes)), np.empty((capacity, 4), dtype=np.int64)
            )
            counts = np.zeros(2, dtype=np.int64)
            chunk = Labels(labels.costs[first : first + CHUNK], labels.ints[first : first + CHUNK])
            done = expand(
                nest.kernel,
                nest.rows,
                nest.steps[k],
                outer,
                nest.n,
                goal,
                self.states[k],
                self.tops[k],
                chunk,
                0,
                found,
                counts,
                room,
                nest.scratch,
            )
            self.not_worthwhile += int(counts[1])
            if done == 0:
                if capacity >= MOST_LABELS:
                    return None
                capacity *= 4
                continue
            part = Labels(found.costs[: counts[0]], found.ints[: counts[0]].copy())
            part.ints[:, PARENT] += first
            parts.append(self._undominated(k, part))
            first += done
            if len(parts) > 1 and sum(len(p.costs) for p in parts) > MOST_LABELS // 4:
                parts = [self._undominated(k, _joined(parts))]
                if len(parts[0].costs) > MOST_LABELS:
                    return None
        merged = _joined(parts) if parts else Labels(labels.costs[:0], labels.ints[:0])
        return self._undominated(k, merged) if len(parts) > 1 else merged

    def _undominated(self, k: int, labels: Labels) -> Labels:
        """Keep the labels that no other with the same future undercuts in all costs."""
        if len(labels.costs) == 0:
            return labels
        self.labels += len(labels.costs)
        costs = self._settled(k, labels.costs)
        if len(costs) == 1:
            return Labels(costs, labels.ints)
        key = labels.ints[:, EXTENT] * (1 << 20) + labels.ints[:, WAITING]
        order = np.lexsort((*costs.T[::-1], key))
        kept, mark = np.empty(len(order), dtype=np.int64), np.empty(len(order), dtype=np.int64)
        undominated(np.ascontiguousarray(costs[order]), key[order], kept, mark, MOST_COMPARISONS)
        chosen = order[mark == 1]
        self.undercut += len(order) - len(chosen)
        return Labels(np.ascontiguousarray(costs[chosen]), labels.ints[chosen])

    def _settled(self, k: int, costs: FloatArray) -> FloatArray:
        """Leave out of costs what cannot make a difference any more.

        Ports that nothing passes from here on count by their maximum; energy does not count if
        the objective is latency alone.
        """
        nest = self.branch.nest
        costs = costs.copy()
        if self.branch.powers[0] == 0:
            costs[:, 0] = 0.0
        settled = [1 + p for p, port in enumerate(nest.ports) if not nest.is_open(port, k)]
        if settled and not nest.stalls_leak:
            most = np.maximum(costs[:, settled].max(axis=1), nest.spatial.cycles)
            costs[:, settled] = most[:, None]
        return costs

    def _paths(self, history: list[Labels]) -> list[list[tuple[int, int]]]:
        paths = []
        for end in range(len(history[-1].costs)):
            path, i = [], end
            for labels in reversed(history[1:]):
                path.append((int(labels.ints[i, EXTENT]), int(labels.ints[i, SEQUENCE])))
                i = int(labels.ints[i, PARENT])
            paths.append(path[::-1])
        return paths


def _joined(parts: list[Labels]) -> Labels:
    return Labels(
        np.concatenate([p.costs for p in parts]), np.concatenate([p.ints for p in parts])
    )
