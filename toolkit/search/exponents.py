"""Mappings as vectors: exponents of all prime factors, and reuse classes of loop orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace
from toolkit.search.evaluator import ArrayPair
from toolkit.search.moves import move_space

Vector = NDArray[np.float64]
"""Shape (variables,), or (batch, variables); integers, in SciPy's type."""


@dataclass(frozen=True)
class ExponentVectors:
    """Mappings of a space written as vectors of exponents and order numbers.

    A vector lists, for every prime of every dimension, its exponent at every level, outermost
    first; then, for every memory, the row of `orders` that is its loop order. Use
    `exponent_vectors`.

    Parameters
    ----------
    space : MapSpace
        Whose mappings.
    primes : tuple of (int, int)
        Dimension and prime of every group of exponents.
    moves : float64 array, shape (moves, variables)
        Differences that a single prime factor makes by changing its level.
    orders : tuple of int64 arrays, shape (classes, dimensions)
        Per memory, the loop orders to choose from.
    """

    space: MapSpace
    primes: tuple[tuple[int, int], ...]
    moves: Vector
    orders: tuple[IntArray, ...]

    @property
    def exponents(self) -> int:
        """How many of the variables are exponents."""
        return len(self.primes) * self.space.shape[0]

    @cached_property
    def order_counts(self) -> IntArray:
        """Loop orders to choose from, per memory."""
        return np.array([len(orders) for orders in self.orders], dtype=np.int64)

    def encode(self, factors: IntArray, order: IntArray) -> Vector:
        """Write one mapping, arrays of shape (levels, dimensions), as a vector.

        A loop order that is not among `orders` becomes the first of them.
        """
        parts = []
        for d, prime in self.primes:
            rest, exponents = factors[:, d].copy(), np.zeros(len(factors))
            while (divides := rest % prime == 0).any():
                rest[divides] //= prime
                exponents += divides
            parts.append(exponents)
        rows = [
            np.argmax((orders == order[level]).all(axis=1))
            for orders, level in zip(self.orders, self.space.memory_levels, strict=True)
        ]
        return np.concatenate([*parts, np.array(rows, dtype=np.float64)])

    def decode(self, vectors: Vector) -> ArrayPair:
        """Read vectors [batch, variables], rounded to integers.

        Returns
        -------
        factors, order : int64 arrays, shape (batch, levels, dimensions)
        """
        whole = np.rint(vectors).astype(np.int64)
        levels, dimensions = self.space.shape
        factors = np.ones((len(whole), levels, dimensions), dtype=np.int64)
        for i, (d, prime) in enumerate(self.primes):
            factors[:, :, d] *= prime ** whole[:, i * levels : (i + 1) * levels]
        order = np.tile(np.arange(dimensions, dtype=np.int64), (len(whole), levels, 1))
        for m, orders in enumerate(self.orders):
            order[:, self.space.memory_levels[m]] = orders[whole[:, self.exponents + m]]
        return factors, order

    def neighbours(self, vector: Vector) -> Vector:
        """All valid vectors that are one move away, [n, variables]."""
        near = vector + self.moves
        near = near[(near >= 0).all(axis=1)]
        factors, _ = self.decode(near)
        valid: Vector = near[self.space.check_factors(factors)]
        return valid

    def reorderings(self, vector: Vector, memory: int) -> Vector:
        """All vectors that differ in the loop order of one memory, [n, variables].

        None if at most one of its loops iterates, for then its order does not matter.
        """
        position, count = self.exponents + memory, int(self.order_counts[memory])
        factors, _ = self.decode(vector[None])
        running = int((factors[0, self.space.memory_levels[memory]] > 1).sum())
        others = np.tile(vector, (count if running > 1 else 0, 1))
        others[:, position] = np.arange(len(others))
        different: Vector = others[others[:, position] != vector[position]]
        return different


def exponent_vectors(space: MapSpace, known: Sequence[ArrayPair] = ()) -> ExponentVectors:
    """Write the mappings of a space as vectors.

    Parameters
    ----------
    space : MapSpace
        Whose mappings.
    known : sequence of ArrayPair
        Mappings whose loop orders are listed too, beside one per reuse class.

    Raises
    ------
    MappingError
        If a memory has too many reuse classes to list.
    """
    compiled = move_space(space)
    levels = space.shape[0]
    primes = tuple((d, p) for d, factors in enumerate(space.primes) for p, _ in factors)
    moves = np.zeros((len(compiled.moves), len(primes) * levels + len(space.memory_levels)))
    for row, (d, prime, giver, taker) in zip(moves, compiled.moves.tolist(), strict=True):
        group = primes.index((d, prime)) * levels
        row[group + giver], row[group + taker] = -1, 1
    orders = []
    for level in space.memory_levels:
        rows = compiled.orders[level, : compiled.order_counts[level]]
        for _, order in known:
            if not (rows == order[level]).all(axis=1).any():
                rows = np.concatenate([rows, order[level][None]])
        orders.append(rows)
    return ExponentVectors(space, primes, moves, tuple(orders))
