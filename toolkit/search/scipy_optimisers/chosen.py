"""Vectors and boxes that choose bypasses, too: a coordinate for every optional pair.

Coordinates round to 0, where a memory holds a tensor, or 1, where it leaves it out. They come
after those of the mapping itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from toolkit.errors import DoesNotFitError
from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.mapping.tilings import start_point
from toolkit.search.chosen_mappings import fitted, grouped, sample_mappings
from toolkit.search.compiled_moves import MoveSpace
from toolkit.search.evaluator import Evaluator, Start
from toolkit.search.greedy import fill_fanouts
from toolkit.search.moves import move_space
from toolkit.search.problem import Problem
from toolkit.search.scipy_optimisers.relaxed import Relaxed, Tiler, relax
from toolkit.search.scipy_optimisers.vectors import LocalVectors, Vector, local_vectors

Chosen = tuple[IntArray, IntArray, IntArray]
"""Factors and orders [batch, levels, dimensions], and choices [batch]."""

FLIPPED = 0.5
"""Chance that a kick flips a choice: beside all moves of factors, flips would seldom be drawn."""


def written(choice: int, pairs: int) -> FloatArray:
    """Write a choice as coordinates."""
    return np.array([choice >> bit & 1 for bit in range(pairs)], dtype=np.float64)


def read(bits: FloatArray) -> IntArray:
    """Read choices [batch] from coordinates [batch, pairs]."""
    left = np.rint(bits).clip(0, 1).astype(np.int64)
    return np.asarray(left @ (1 << np.arange(bits.shape[1], dtype=np.int64)))


@dataclass(frozen=True)
class FlippingVectors:
    """Vectors of `LocalVectors`, each with its choice; a flip leads to a neighbour, too.

    Parameters
    ----------
    problem : Problem
        Whose mappings.
    plain : LocalVectors
        Of the choice that is possible and leaves out least.
    """

    problem: Problem
    plain: LocalVectors
    _of: dict[int, tuple[LocalVectors, MoveSpace]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def orders(self) -> tuple[IntArray, ...]:
        """Loop orders to choose from, per memory."""
        return self.plain.orders

    @property
    def order_counts(self) -> IntArray:
        """How many there are, per memory."""
        return self.plain.order_counts

    @property
    def width(self) -> int:
        """How many of the variables stand for factors."""
        return self.plain.width

    @property
    def _pairs(self) -> int:
        return len(self.problem.choices.pairs)

    def encode(self, start: Start) -> Vector:
        """Write a mapping as a vector."""
        own = self.plain.encode(start[0], start[1])
        return np.concatenate([own, written(start[2], self._pairs)])

    def decode(self, vectors: Vector) -> Chosen:
        """Read vectors [batch, variables], rounded to integers."""
        factors, order = self.plain.decode(vectors[:, : -self._pairs])
        return factors, order, read(vectors[:, -self._pairs :])

    def reorderings(self, vector: Vector, memory: int) -> Vector:
        """All vectors that differ in the loop order of one memory, [n, variables]."""
        others = self.plain.reorderings(vector[: -self._pairs], memory)
        return self._with_bits(others, vector)

    def neighbours(self, vector: Vector) -> Vector:
        """All valid vectors that are one move or one flip away, [n, variables]."""
        vectors, _ = self._vectors(int(read(vector[None, -self._pairs :])[0]))
        near = self._with_bits(vectors.neighbours(vector[: -self._pairs]), vector)
        return np.concatenate([near, self.flips(vector)])

    def flips(self, vector: Vector) -> Vector:
        """All vectors that are one flip away, with factors that fit there, [n, variables]."""
        (factors,), (order,), (choice,) = self.decode(vector[None])
        rows = [np.empty((0, len(vector)))]
        for other in self.problem.choices.flipped(int(choice)):
            vectors, moves = self._vectors(other)
            moved = fitted(vectors.space, moves, factors)
            if moved is not None:
                rows.append(self.encode((moved, order, other))[None])
        return np.concatenate(rows)

    def _vectors(self, choice: int) -> tuple[LocalVectors, MoveSpace]:
        if choice not in self._of:
            space = self.problem.choices.problem_of(choice).space
            self._of[choice] = replace(self.plain, space=space), move_space(space)
        return self._of[choice]

    def _with_bits(self, rows: Vector, vector: Vector) -> Vector:
        bits = np.tile(vector[-self._pairs :], (len(rows), 1))
        return np.concatenate([rows, bits], axis=1)

    def filled(self) -> Start:
        """Everything outermost but for full fanouts, in the choice that leaves out least."""
        space, choice = self.plain.space, self.problem.choices.first
        factors = fill_fanouts(space, start_point(space))
        _, (order,) = self.plain.decode(np.zeros((1, self.width + len(self.orders))))
        return factors, order, choice

    def random(self, rng: np.random.Generator) -> Vector:
        """Draw a vector."""
        (factors,), (order,), (choice,) = sample_mappings(self.problem, 1, rng)
        vector = self.encode((factors, order, int(choice)))
        end = self.width + len(self.orders)
        vector[self.width : end] = rng.integers(self.order_counts)
        return vector


def flipping_vectors(evaluator: Evaluator) -> FlippingVectors:
    """Write the mappings of a problem and their choices as vectors.

    Raises
    ------
    DoesNotFitError
        If no choice can be made.
    MappingError
        If a memory has too many reuse classes to list.
    """
    problem = evaluator.problem
    space = problem.choices.problem_of(problem.choices.first).space
    known = [(factors, order) for factors, order, _ in evaluator.starts]
    return FlippingVectors(problem, local_vectors(space, known))


@dataclass(frozen=True)
class FlippingBox:
    """A box whose every point is a valid mapping with its choice of bypasses.

    Parameters
    ----------
    problem : Problem
        Whose mappings.
    plain : Relaxed
        Of the choice that is possible and leaves out most, which has the most tilings.
    most : int
        That choice.
    """

    problem: Problem
    plain: Relaxed
    most: int
    _tilers: dict[int, Tiler | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def low(self) -> FloatArray:
        """Least coordinates."""
        return np.concatenate([self.plain.low, np.full(self._pairs, -0.5)])

    @cached_property
    def high(self) -> FloatArray:
        """Largest coordinates."""
        return np.concatenate([self.plain.high, np.full(self._pairs, 1.5)])

    @cached_property
    def integral(self) -> BoolArray:
        """Which variables are rounded to integers."""
        return np.concatenate([self.plain.integral, np.ones(self._pairs, dtype=np.bool_)])

    @property
    def _pairs(self) -> int:
        return len(self.problem.choices.pairs)

    def encode(self, factors: IntArray, order: IntArray, choice: IntArray) -> FloatArray:
        """Write mappings [batch, levels, dimensions] with choices [batch] as points."""
        bits = [written(one, self._pairs) for one in choice.tolist()]
        own = self.plain.encode(factors, order)
        return np.concatenate([own, np.array(bits).reshape(len(own), self._pairs)], axis=1)

    def decode(self, points: FloatArray) -> Chosen:
        """Read points [batch, variables] as valid mappings with their choices."""
        own = points[:, : -self._pairs]
        choice = self.problem.choices.mended(read(points[:, -self._pairs :]))
        wanted, order = self.plain.wanted(own), self.plain.loop_orders(own)
        factors = np.empty_like(order)
        for one, rows in grouped(choice):
            tiler = self._tiler(one)
            if tiler is None:
                choice[rows], tiler = self.most, self.plain.tiler
            factors[rows] = tiler.fit(wanted[rows])
        return factors, order, choice

    def _tiler(self, choice: int) -> Tiler | None:
        """What makes valid tilings of one choice; None if none is found."""
        if choice not in self._tilers:
            try:
                tiler = relax(self.problem.choices.problem_of(choice).space).tiler
                self._tilers[choice] = tiler
            except DoesNotFitError:
                self._tilers[choice] = None
        return self._tilers[choice]

    def population(
        self, starts: Iterable[Start], count: int, rng: np.random.Generator
    ) -> FloatArray:
        """Points of what the user gave and of random mappings, [count, variables]."""
        warm = list(starts)[:count]
        points = [self.encode(f[None], o[None], np.array([c])) for f, o, c in warm]
        drawn = sample_mappings(self.problem, count - len(warm), rng)
        return np.concatenate([*points, self.encode(*drawn)])


def flipping_box(problem: Problem) -> FlippingBox:
    """Write the map spaces of all choices as one box.

    Raises
    ------
    DoesNotFitError
        If there is no valid tiling, or a bounded search found none.
    MappingError
        If a memory has too many reuse classes to list.
    """
    choices = problem.choices
    most = int(choices.mended(np.array([choices.total - 1]))[0])
    return FlippingBox(problem, relax(choices.problem_of(most).space), most)
