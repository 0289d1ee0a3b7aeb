"""Mappings as vectors to be minimised over: values, bounds, constraints and starts for anyone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, NonlinearConstraint

from toolkit.arguments import check_integer
from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray, IntArray, Mapping
from toolkit.search.chosen_mappings import checked_start, sample_mappings
from toolkit.search.evaluator import Evaluator, Start
from toolkit.search.objective import log_scale
from toolkit.search.result import SearchResult
from toolkit.search.scipy_optimisers.chosen import (
    FlippingBox,
    FlippingVectors,
    flipping_box,
    flipping_vectors,
)
from toolkit.search.scipy_optimisers.constraints import (
    constraints_of,
    lane_weights,
    limits_of,
)
from toolkit.search.scipy_optimisers.functions import BoundedFunction, Limits, VectorFunction
from toolkit.search.scipy_optimisers.relaxed import Relaxed, relax
from toolkit.search.scipy_optimisers.steps import GreedyStep, Kick
from toolkit.search.scipy_optimisers.vectors import Decoder, LocalVectors, local_vectors

AnyVectors = Relaxed | FlippingBox | LocalVectors | FlippingVectors

ENCODINGS = ("box", "moves")
"""``box``: real variables, every point a valid mapping; ``moves``: integers that stand for the
factors, most points invalid, neighbours one move apart."""


@dataclass(frozen=True)
class Landscape(VectorFunction):
    """Values over vectors that stand for mappings.

    Parameters
    ----------
    evaluator : Evaluator
        Costs and counts.
    decoder : Decoder
        Reads vectors.
    """

    evaluator: Evaluator
    decoder: Decoder


@dataclass(frozen=True)
class VectorObjective(Landscape, BoundedFunction):
    """A problem as a function of vectors. Use `toolkit.objectives.for_vectors`.

    Call it with a vector, or with a batch [variables, batch] as SciPy's ``vectorized=True`` does;
    `rows` takes a batch [batch, variables] as most other packages do. What is no valid mapping is
    inf, and so is NaN. A front's costs come apart: [2, batch], and [batch, 2] of `rows`.

    Parameters
    ----------
    vectors : AnyVectors
        What vectors mean.
    logarithms : bool
        Whether values are natural logarithms.
    """

    vectors: AnyVectors
    logarithms: bool = False

    def rows(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values [batch], or [batch, costs] of a front, for vectors [batch, variables]."""
        given = self.checked(vectors)
        if np.isnan(given.min(initial=0.0)):
            return self._where_defined(given)
        arrays = self.decoder.decode(given)
        values = self.evaluator.evaluate(*arrays)
        if self.evaluator.problem.objective.front:
            values = self._apart(values, arrays)
        return log_scale(values) if self.logarithms else values

    def _where_defined(self, given: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of vectors of which some hold NaN."""
        front = self.evaluator.problem.objective.front
        found = np.full((len(given), 2) if front else len(given), np.inf)
        rows = np.flatnonzero(~np.isnan(given).any(axis=1))
        found[rows] = self.rows(given[rows])
        return found

    def _apart(
        self, values: NDArray[np.float64], arrays: Sequence[IntArray]
    ) -> NDArray[np.float64]:
        rows = np.flatnonzero(np.isfinite(values))
        factors, order, *choice = (array[rows] for array in arrays)
        chosen = choice[0] if choice else np.zeros(len(rows), dtype=np.int64)
        costs = np.full((len(values), 2), np.inf)
        if len(rows):
            apart, _ = self.evaluator.costs(factors, order, chosen)
            costs[rows] = apart[:, :2]
        return costs

    @cached_property
    def limits(self) -> Limits:
        """Least and largest variables, and which are integers."""
        return limits_of(self.vectors)

    @property
    def constraints(self) -> tuple[LinearConstraint | NonlinearConstraint, ...]:
        """What else valid mappings keep; nothing in the box, whose every point is valid.

        Linear ones first (products and meshes, where factors multiply to the sizes), then
        capacities, and what is not linear where sizes are ragged.
        """
        return constraints_of(self.vectors)

    @property
    def lanes(self) -> FloatArray:
        """Weights [variables] that sum up to the binary logarithm of the instances at work.

        For linear programs over exponents, see `scipy.optimize.milp`.

        Raises
        ------
        InputError
            If variables are no exponents.
        """
        return lane_weights(self.vectors)

    @property
    def greedy_step(self) -> GreedyStep:
        """A local minimiser: ``minimize(objective, x, method=objective.greedy_step)``.

        Raises
        ------
        InputError
            If vectors have no neighbours, or there is a front.
        """
        return GreedyStep(self, self._neighbours())

    def kick(self, seed: int = 0) -> Kick:
        """A step for `scipy.optimize.basinhopping`: a few random moves, a new loop order.

        Raises
        ------
        InputError
            If vectors have no neighbours, there is a front, or the seed is no integer from 0.
        """
        return Kick(self._neighbours(), _drawing(0, seed)[1])

    def _neighbours(self) -> LocalVectors | FlippingVectors:
        if not isinstance(self.vectors, LocalVectors | FlippingVectors):
            raise InputError(
                "points of a box have no neighbours; expected an objective made with "
                "encoding='moves'",
                key="encoding",
            )
        if self.evaluator.problem.objective.front:
            raise InputError(
                "a front has no steepest descent; expected one value", key="objective"
            )
        return self.vectors

    def starts(self, count: int, seed: int = 0) -> FloatArray:
        """Vectors of random valid mappings, [count, variables].

        Raises
        ------
        InputError
            If the count or the seed is no integer from 0.
        """
        count, rng = _drawing(count, seed)
        factors, order, choice = sample_mappings(self.evaluator.problem, count, rng)
        return np.array(
            [self._written((f, o, int(c))) for f, o, c in zip(factors, order, choice, strict=True)]
        ).reshape(count, len(self.integrality))

    def vector(self, mapping: Mapping) -> FloatArray:
        """Write a valid mapping as a vector; loop orders that are no choice become the first.

        Raises
        ------
        InputError
            If it is not valid.
        """
        return self._written(checked_start(self.evaluator.problem, mapping, "mapping"))

    def _written(self, start: Start) -> FloatArray:
        factors, order, choice = start
        vectors = self.vectors
        if isinstance(vectors, FlippingVectors):
            return vectors.encode(start)
        if isinstance(vectors, FlippingBox):
            points = vectors.encode(factors[None], order[None], np.array([choice]))
            return np.asarray(points[0])
        if isinstance(vectors, Relaxed):
            return np.asarray(vectors.encode(factors[None], order[None])[0])
        return vectors.encode(factors, order)

    def mapping(self, x: NDArray[np.float64]) -> Mapping:
        """Read the mapping that a vector [variables] stands for, valid or not.

        Raises
        ------
        InputError
            If it is of another length, or holds NaN.
        """
        given = self.checked_one(x)
        factors, order, *choice = (array[0] for array in self.decoder.decode(given[None]))
        problem = self.evaluator.problem
        return problem.choices.mapping(factors, order, int(choice[0]) if choice else 0)

    def result(self, strategy: str, seed: int = 0) -> SearchResult:
        """Wrap up what this objective has costed until now, for `toolkit.study` to compare.

        Raises
        ------
        DoesNotFitError
            If no valid mapping was found.
        """
        return self.evaluator.result(strategy, seed, None)


def _drawing(count: object, seed: object) -> tuple[int, np.random.Generator]:
    """Read how many are to be drawn, and by what."""
    rng = np.random.default_rng(check_integer(seed, 0, "seed"))
    return check_integer(count, 0, "count"), rng


def vectors_of(evaluator: Evaluator, encoding: str) -> AnyVectors:
    """Write the mappings of a problem as vectors.

    Raises
    ------
    InputError
        If the encoding is none of `ENCODINGS`.
    DoesNotFitError
        If no valid mapping is found.
    """
    problem = evaluator.problem
    if encoding == "box":
        return flipping_box(problem) if problem.choices else relax(problem.space)
    if encoding == "moves":
        if problem.choices:
            return flipping_vectors(evaluator)
        return local_vectors(problem.space, evaluator.warm_starts)
    raise InputError(
        f"unknown encoding {encoding!r}; expected one of {', '.join(ENCODINGS)}", key="encoding"
    )
