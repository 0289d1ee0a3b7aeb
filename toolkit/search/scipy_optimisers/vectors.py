"""Mappings as vectors of integers whose neighbours are single moves, for local searches.

Where factors multiply to the sizes, a vector lists exponents of prime factors; where these only
have to reach them, the factors themselves. Many vectors are no valid mapping.
"""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace
from toolkit.search.compiled_moves import MoveSpace
from toolkit.search.evaluator import ArrayPair
from toolkit.search.moves import move_space, moved_factors

MOST_COMBINATIONS = 4096
"""Combinations of loop orders up to which all are listed."""

Vector = NDArray[np.float64]
"""Shape (variables,), or (batch, variables); integers, in SciPy's type."""


class Decoder(Protocol):
    """Reads mappings from vectors."""

    def decode(self, vectors: NDArray[np.float64], /) -> tuple[IntArray, ...]:
        """Read vectors [batch, variables] as factors, orders and, if any, choices of bypasses."""
        ...


class Neighbours(Decoder, Protocol):
    """Vectors of mappings, and which of them are one move apart; see `LocalVectors`."""

    @property
    def orders(self) -> tuple[IntArray, ...]:
        """Loop orders to choose from, per memory."""
        ...

    @property
    def order_counts(self) -> IntArray:
        """How many there are, per memory."""
        ...

    @property
    def width(self) -> int:
        """How many of the variables stand for factors."""
        ...

    def neighbours(self, vector: Vector, /) -> Vector:
        """All valid vectors that are one move away, [n, variables]."""
        ...

    def reorderings(self, vector: Vector, memory: int, /) -> Vector:
        """All vectors that differ in the loop order of one memory, [n, variables]."""
        ...


@dataclass(frozen=True)
class LocalVectors(ABC):
    """Mappings of a space written as vectors, and their neighbours. Use `local_vectors`.

    A vector lists numbers that stand for the factors; then, for every memory, the row of
    `orders` that is its loop order.

    Parameters
    ----------
    space : MapSpace
        Whose mappings.
    orders : tuple of int64 arrays, shape (classes, dimensions)
        Per memory, the loop orders to choose from.
    """

    space: MapSpace
    orders: tuple[IntArray, ...]

    @property
    @abstractmethod
    def width(self) -> int:
        """How many of the variables stand for factors."""

    @abstractmethod
    def neighbours(self, vector: Vector) -> Vector:
        """All valid vectors that are one move away, [n, variables]."""

    @abstractmethod
    def _written(self, factors: IntArray) -> Vector:
        """Write factors [levels, dimensions] as `width` numbers."""

    @abstractmethod
    def _factors(self, numbers: IntArray) -> IntArray:
        """Read factors [batch, levels, dimensions] from integers [batch, width] of any kind."""

    @cached_property
    def order_counts(self) -> IntArray:
        """Loop orders to choose from, per memory."""
        return np.array([len(orders) for orders in self.orders], dtype=np.int64)

    def encode(self, factors: IntArray, order: IntArray) -> Vector:
        """Write one mapping, arrays of shape (levels, dimensions), as a vector.

        A loop order that is not among `orders` becomes the first of them.
        """
        rows = [
            np.argmax((orders == order[level]).all(axis=1))
            for orders, level in zip(self.orders, self.space.memory_levels, strict=True)
        ]
        return np.concatenate([self._written(factors), np.array(rows, dtype=np.float64)])

    def decode(self, vectors: Vector) -> ArrayPair:
        """Read vectors [batch, variables], rounded to integers.

        Numbers of loop orders beyond their bounds are those at these; factors beyond are none.

        Returns
        -------
        factors, order : int64 arrays, shape (batch, levels, dimensions)
        """
        # Of 32 bits, integers are made in a twentieth of the time; what exceeds them becomes
        # negative, and is no mapping either.
        small = self.space.sizes.max() < 2**31
        whole: NDArray[Any] = np.rint(vectors, order="C").astype(np.int32 if small else np.int64)
        return self._factors(whole[:, : self.width]), self._read_orders(whole[:, self.width :])

    def _read_orders(self, rows: IntArray) -> IntArray:
        """Read loop orders [batch, levels, dimensions] from their rows [batch, memories]."""
        if self._all_orders is not None:
            # Column by column, integers stay as short as they are.
            place = np.zeros(len(rows), dtype=rows.dtype)
            for m, stride in enumerate(self._strides):
                place += rows[:, m].clip(0, len(self.orders[m]) - 1) * stride
            return self._all_orders.take(place, axis=0)
        levels, dimensions = self.space.shape
        order = np.tile(np.arange(dimensions, dtype=np.int64), (len(rows), levels, 1))
        for m, orders in enumerate(self.orders):
            found = orders.take(rows[:, m], axis=0, mode="clip")
            order[:, self.space.memory_levels[m]] = found
        return order

    @cached_property
    def _strides(self) -> list[int]:
        """Distances of a memory's orders in the list of all combinations."""
        after = np.append(self.order_counts[1:], 1)
        found: list[int] = np.cumprod(after[::-1])[::-1].tolist()
        return found

    @cached_property
    def _all_orders(self) -> IntArray | None:
        """Every combination of loop orders [combinations, levels, dimensions], if they are few.

        One look-up then does for all memories: half of the time that reading a vector takes.
        """
        if math.prod(self.order_counts.tolist()) > MOST_COMBINATIONS:
            return None
        levels, dimensions = self.space.shape
        chosen = np.indices(tuple(self.order_counts.tolist())).reshape(len(self.orders), -1)
        order = np.tile(np.arange(dimensions, dtype=np.int64), (chosen.shape[1], levels, 1))
        for m, orders in enumerate(self.orders):
            order[:, self.space.memory_levels[m]] = orders[chosen[m]]
        return order

    def reorderings(self, vector: Vector, memory: int) -> Vector:
        """All vectors that differ in the loop order of one memory, [n, variables].

        None if at most one of its loops iterates, for then its order does not matter.
        """
        position, count = self.width + memory, int(self.order_counts[memory])
        factors, _ = self.decode(vector[None])
        running = int((factors[0, self.space.memory_levels[memory]] > 1).sum())
        others = np.tile(vector, (count if running > 1 else 0, 1))
        others[:, position] = np.arange(len(others))
        different: Vector = others[others[:, position] != vector[position]]
        return different


@dataclass(frozen=True)
class ExponentVectors(LocalVectors):
    """Vectors that list, for every prime of every dimension, its exponent at every level.

    Parameters
    ----------
    primes : tuple of (int, int)
        Dimension and prime of every group of exponents, outermost levels first.
    moves : float64 array, shape (moves, variables)
        Differences that a single prime factor makes by changing its level.
    """

    primes: tuple[tuple[int, int], ...]
    moves: Vector

    @property
    def width(self) -> int:
        """How many of the variables are exponents."""
        return len(self.primes) * self.space.shape[0]

    def _written(self, factors: IntArray) -> Vector:
        parts = [np.zeros(0)]
        for d, prime in self.primes:
            rest, exponents = factors[:, d].copy(), np.zeros(len(factors))
            while (divides := rest % prime == 0).any():
                rest[divides] //= prime
                exponents += divides
            parts.append(exponents)
        return np.concatenate(parts)

    def _factors(self, numbers: IntArray) -> IntArray:
        levels, dimensions = self.space.shape
        factors = np.empty((len(numbers), levels, dimensions), dtype=np.int64)
        for d in range(dimensions):
            own = [i for i, (of, _) in enumerate(self.primes) if of == d]
            powers = [self._power(i, numbers[:, i * levels : (i + 1) * levels]) for i in own]
            factors[:, :, d] = reduce(operator.mul, powers) if powers else 1
        return factors

    def _power(self, group: int, exponents: IntArray) -> IntArray:
        """Powers of the prime of a group; 0, or what is too large, where there are none."""
        prime = self.primes[group][1]
        if prime == 2:
            return np.asarray(np.int64(1) << exponents)
        return self._powers[group].take(exponents + 1, mode="clip")

    @cached_property
    def _powers(self) -> list[IntArray]:
        """All powers of each prime that its dimension may have, and 0 before and beyond."""
        most = [dict(self.space.primes[d])[p] for d, p in self.primes]
        return [
            np.array([0, *(p**e for e in range(count + 1)), 0], dtype=np.int64)
            for (_, p), count in zip(self.primes, most, strict=True)
        ]

    def neighbours(self, vector: Vector) -> Vector:
        """All valid vectors that are one move away, [n, variables]."""
        near = vector + self.moves
        near = near[(near >= 0).all(axis=1)]
        factors, _ = self.decode(near)
        valid: Vector = near[self.space.check_factors(factors)]
        return valid


@dataclass(frozen=True)
class FactorVectors(LocalVectors):
    """Vectors that list the factors that bounds leave open, level by level.

    Parameters
    ----------
    moves : MoveSpace
        What leads from one to its neighbours.
    """

    moves: MoveSpace

    @property
    def width(self) -> int:
        """How many of the variables are factors."""
        return len(self.free)

    @cached_property
    def free(self) -> IntArray:
        """Which of all factors, level by level, are variables.

        Not those that bounds fix: SciPy has optimisers that refuse bounds without room between.
        """
        return np.flatnonzero(self.space.lower < self.space.upper)

    def _written(self, factors: IntArray) -> Vector:
        return factors.ravel()[self.free].astype(np.float64)

    def _factors(self, numbers: IntArray) -> IntArray:
        levels, dimensions = self.space.shape
        factors = np.empty((len(numbers), levels * dimensions), dtype=np.int64)
        factors[:] = self.space.lower.ravel()
        factors[:, self.free] = numbers
        return factors.reshape(-1, levels, dimensions)

    def neighbours(self, vector: Vector) -> Vector:
        """All valid vectors that are one move away, [n, variables]."""
        factors, _ = self.decode(vector[None])
        near = moved_factors(self.space, self.moves, factors[0])
        near = near[self.space.check_factors(near)]
        rows = np.tile(vector, (len(near), 1))
        rows[:, : self.width] = near.reshape(len(near), math.prod(self.space.shape))[:, self.free]
        return rows


def local_vectors(space: MapSpace, known: Sequence[ArrayPair] = ()) -> LocalVectors:
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
    orders = _orders(space, compiled, known)
    if space.ragged.any():
        return FactorVectors(space, orders, compiled)
    levels = space.shape[0]
    primes = tuple((d, p) for d, factors in enumerate(space.primes) for p, _ in factors)
    moves = np.zeros((len(compiled.moves), len(primes) * levels + len(space.memory_levels)))
    for row, (d, prime, giver, taker) in zip(moves, compiled.moves.tolist(), strict=True):
        group = primes.index((d, prime)) * levels
        row[group + giver], row[group + taker] = -1, 1
    return ExponentVectors(space, orders, primes, moves)


def _orders(space: MapSpace, moves: MoveSpace, known: Sequence[ArrayPair]) -> tuple[IntArray, ...]:
    """Loop orders per memory, one per reuse class and those that are known."""
    orders = []
    for level in space.memory_levels:
        rows = moves.orders[level, : moves.order_counts[level]]
        for _, order in known:
            if not (rows == order[level]).all(axis=1).any():
                rows = np.concatenate([rows, order[level][None]])
        orders.append(rows)
    return tuple(orders)
