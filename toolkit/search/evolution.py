"""Evolution of a population by the map space's own moves, in whole batches.

Each generation, as many children as parents: picked by tournament, crossed (a dimension's
factors over all levels, or a memory's loop order, come whole from one parent), moved by a few
factors, as annealing moves them, and now and then by a choice of bypasses. The better half of
parents and children lives on. With two costs to trade, better is meant as in NSGA-II (Deb et
al., IEEE TEVC 2002): first by the front a mapping lies on, then by how lonely it is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import changed
from toolkit.search.chosen_mappings import check_mappings, sample_mappings
from toolkit.search.compiled_moves import MoveSpace
from toolkit.search.evaluator import Evaluator
from toolkit.search.front import nondominated
from toolkit.search.moves import make_moves, move_space
from toolkit.search.objective import log_scale
from toolkit.search.problem import Problem

MEMBERS = 100
"""Parents, and children, of a generation: more keep variety, fewer have more generations."""
FIRST = 4
"""Times as many mappings are drawn for the first generation."""
CROSSED = 0.5
"""Share of the children with two parents."""
REORDERED = 0.4
"""Chance that a child gets a new loop order at one memory."""
RETURNED = 0.5
"""Chance that a factor goes where the one before it came from, and comes from there."""
FLIPPED = 0.3
"""Chance that a child flips one choice of a bypass, where there are any."""
MOVES = 4
"""A child is moved by up to so many factors."""
PATIENCE = 30
"""Generations without a new best after which the population starts anew: more refine one, fewer
try more of them."""


@dataclass(frozen=True, slots=True)
class Population:
    """Mappings and what they cost.

    Parameters
    ----------
    factors, order : int64 arrays, shape (members, levels, dimensions)
        The mappings.
    choice : int64 array, shape (members,)
        Their choices of bypasses (`toolkit.search.choices`).
    costs : float64 array, shape (members, 1 or 2)
        What is minimised, on a logarithmic scale.
    """

    factors: IntArray
    order: IntArray
    choice: IntArray
    costs: FloatArray

    def __len__(self) -> int:
        return len(self.factors)

    def take(self, rows: NDArray[np.intp]) -> Population:
        """Keep some members, in the order given."""
        return Population(
            self.factors[rows], self.order[rows], self.choice[rows], self.costs[rows]
        )

    def join(self, other: Population) -> Population:
        """Put two populations together."""
        return Population(
            np.concatenate((self.factors, other.factors)),
            np.concatenate((self.order, other.order)),
            np.concatenate((self.choice, other.choice)),
            np.concatenate((self.costs, other.costs)),
        )


def evolution(evaluator: Evaluator, seed: int) -> None:
    """Evolve one population after the other until the budget is spent; one without a budget."""
    rng = np.random.default_rng(seed)
    problem = evaluator.problem
    breeding = _Breeding(problem, problem.space, move_space(problem.space), rng)
    unlimited = evaluator.budget.unlimited
    while True:
        people = survivors(_first(evaluator, rng), MEMBERS)
        best, idle = people.costs.min(axis=0, initial=np.inf), 0
        while idle < PATIENCE and len(people) and not evaluator.exhausted:
            children = breeding.children(people, MEMBERS)
            people = survivors(people.join(_costed(evaluator, *children)), MEMBERS)
            reached = people.costs.min(axis=0)
            idle = 0 if (reached < best - 1e-12).any() else idle + 1
            best = np.minimum(best, reached)
        if unlimited or evaluator.exhausted:
            return


def _first(evaluator: Evaluator, rng: np.random.Generator) -> Population:
    factors, order, choice = sample_mappings(evaluator.problem, FIRST * MEMBERS, rng)
    for i, start in enumerate(evaluator.starts[: len(factors)]):
        factors[i], order[i], choice[i] = start
    return _costed(evaluator, factors, order, choice)


def _costed(
    evaluator: Evaluator, factors: IntArray, order: IntArray, choice: IntArray
) -> Population:
    """Evaluate mappings; those that the budget leaves out or without a finite cost are dropped."""
    values = evaluator.evaluate(factors, order, choice)
    rows = np.flatnonzero(np.isfinite(values))
    factors, order, choice = factors[rows], order[rows], choice[rows]
    if evaluator.front is None:
        return Population(factors, order, choice, log_scale(values[rows])[:, None])
    # The same costs once more, for the evaluator keeps only their product.
    costs, _ = evaluator.costs(factors, order, choice)
    return Population(factors, order, choice, log_scale(costs[:, :2]))


def survivors(people: Population, count: int) -> Population:
    """Keep the best members, one for each distinct cost, best first."""
    _, distinct = np.unique(people.costs.round(12), axis=0, return_index=True)
    people = people.take(distinct)
    if people.costs.shape[1] == 1:
        return people.take(np.argsort(people.costs[:, 0], kind="stable")[:count])
    return people.take(by_front(people.costs)[:count])


def by_front(costs: FloatArray) -> NDArray[np.intp]:
    """Sort rows of two costs: front by front, lonely ones first within each.

    Parameters
    ----------
    costs : float64 array, shape (members, 2)
        Distinct and finite.
    """
    left = np.arange(len(costs))
    ranked = []
    while len(left):
        front = nondominated(costs[left])
        ranked.append(left[front][np.argsort(-crowding(costs[left[front]]), kind="stable")])
        left = np.delete(left, front)
    return np.concatenate([np.empty(0, dtype=np.intp), *ranked])


def crowding(front: FloatArray) -> FloatArray:
    """Distance between the neighbours of every point of a front, by rising first cost.

    Parameters
    ----------
    front : float64 array, shape (points, 2)
        None better than another in both costs.

    Returns
    -------
    float64 array, shape (points,)
        Sum over both costs, each as a share of the front's whole range; inf at both ends.
    """
    distance = np.full(len(front), np.inf)
    if len(front) > 2:
        spread = np.abs(front[2:] - front[:-2]) / np.ptp(front, axis=0)
        distance[1:-1] = spread.sum(axis=1)
    return distance


@dataclass(frozen=True)
class _Breeding:
    """Makes children; no loop over them, only over levels of randomness."""

    problem: Problem
    space: MapSpace
    moves: MoveSpace
    rng: np.random.Generator

    def children(self, people: Population, count: int) -> tuple[IntArray, IntArray, IntArray]:
        """Cross and move members, best first; all children are valid."""
        first, second = self._tournament(len(people), count), self._tournament(len(people), count)
        factors, order = people.factors[first], people.order[first]
        choice = self._flipped(people, first, second, factors)
        crossed = self.rng.random(count) < CROSSED
        whole = crossed[:, None] & (self.rng.random((count, self.space.shape[1])) < 0.5)
        mixed = np.where(whole[:, None, :], people.factors[second], factors)
        valid = check_mappings(self.problem, mixed, choice)
        factors[valid] = mixed[valid]
        whole = crossed[:, None] & (self.rng.random((count, self.space.shape[0])) < 0.5)
        order = np.where(whole[:, :, None], people.order[second], order)
        self._reorder(order, self.rng.random(count) < REORDERED)
        return self._moved(factors, choice), order, choice

    def _flipped(
        self, people: Population, first: IntArray, second: IntArray, factors: IntArray
    ) -> IntArray:
        """Choices of children, [batch]: bits of both parents, some of them flipped.

        Where the factors do not fit that, those of the first parent.
        """
        kept: IntArray = people.choice[first]
        pairs = len(self.problem.choices.pairs)
        if not pairs:
            return kept
        crossed = np.where(self.rng.random(len(first)) < CROSSED, -1, 0)
        mixed = self.rng.integers(1 << pairs, size=len(first)) & crossed
        choice = kept & ~mixed | people.choice[second] & mixed
        chosen = self.rng.random(len(first)) < FLIPPED
        choice = choice ^ np.where(chosen, 1 << self.rng.integers(pairs, size=len(first)), 0)
        fits = check_mappings(self.problem, factors, choice)
        return np.asarray(np.where(fits, choice, kept))

    def _tournament(self, members: int, count: int) -> IntArray:
        """Pick the better of two, `count` times; members are sorted."""
        better: IntArray = self.rng.integers(members, size=(count, 2)).min(axis=1)
        return better

    def _reorder(self, order: IntArray, chosen: BoolArray) -> None:
        """Redraw the loop order of one memory of the chosen mappings, in place."""
        rows = np.flatnonzero(chosen)
        level = self.rng.choice(self.space.memory_levels, len(rows))
        row = (self.rng.random(len(rows)) * self.moves.order_counts[level]).astype(np.int64)
        order[rows, level] = self.moves.orders[level, row]

    def _moved(self, factors: IntArray, choice: IntArray) -> IntArray:
        """Make one to `MOVES` moves of every mapping, as far as the results fit."""
        factors = factors.copy()
        if not len(self.moves.moves):
            return factors
        count = self.rng.integers(1, MOVES + 1, len(factors))
        last = np.full(len(factors), -1)
        tried = factors.copy()
        for i in range(MOVES):
            rows = np.flatnonzero(count > i)
            chosen = self._choose(tried[rows], last[rows])
            rows, chosen = rows[chosen >= 0], chosen[chosen >= 0]
            tried[rows] = make_moves(self.space, self.moves.moves[chosen], tried[rows])
            last[rows] = chosen
            fits = rows[check_mappings(self.problem, tried[rows], choice[rows])]
            factors[fits] = tried[fits]
        return factors

    def _choose(self, factors: IntArray, last: IntArray) -> IntArray:
        """Number of a random move for every mapping, -1 where there is none."""
        d, change, giver, taker = self.moves.moves.T
        possible = self._possible(factors)
        # A returning factor may need the room that the one before has not left yet.
        returning = (self.rng.random(len(factors)) < RETURNED) & (last >= 0)
        back = (giver == taker[last][:, None]) & (taker == giver[last][:, None])
        back &= (d != d[last][:, None]) | (change != change[last][:, None])
        preferred = possible & (back | ~returning[:, None])
        possible = np.where(preferred.any(axis=1)[:, None], preferred, possible)
        draw = np.where(possible, self.rng.random(possible.shape), -1.0)
        chosen = draw.argmax(axis=1)
        return np.asarray(np.where(possible.any(axis=1), chosen, -1))

    def _possible(self, factors: IntArray) -> BoolArray:
        """Whether moves keep bounds of the taker and, unless ragged, the giver, [batch, moves]."""
        d, change, giver, taker = self.moves.moves.T
        given, old = factors[:, giver, d], factors[:, taker, d]
        new = changed(old, change)
        prime = np.maximum(change, 1)
        divides = (given % prime == 0) & (given // prime >= self.moves.lower[giver, d])
        differs = (new != old) & (new >= self.moves.lower[taker, d])
        possible = np.where(self.space.ragged[d], differs, divides)
        return np.asarray(possible & (new <= self.moves.upper[taker, d]))
