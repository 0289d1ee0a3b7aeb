"""What an evaluator asks of every batch: which mappings break a rule, and which it has met.

Capacities are left to the cost model, which tells them.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.compilation import Block, Kernel
from toolkit.lifted import Table, apart, formula, once
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace


class Rules(NamedTuple):
    """What a map space asks of factors and loop orders; L levels, D dimensions.

    Attributes
    ----------
    sizes, ragged : [D]
        Products of the factors, and whether these may be larger.
    lower, upper : [L, D]
        Bounds of the factors.
    mesh : [L]
        Most instances of spatial levels, 0 for memories.
    slots : [L, D]
        Dimension required at a position of the loop order, -1 for any.
    ranks : [L, D]
        Relative order of the dimensions that a memory's constraint names, -1 for the others.
    """

    sizes: Annotated[Table, int, 1]
    ragged: Annotated[Table, int, 1]
    lower: Annotated[Table, int, 2]
    upper: Annotated[Table, int, 2]
    mesh: Annotated[Table, int, 1]
    slots: Annotated[Table, int, 2]
    ranks: Annotated[Table, int, 2]


def make_rules(space: MapSpace) -> Rules:
    """Write a map space's rules as arrays."""
    mesh = np.zeros(space.shape[0], dtype=np.int64)
    mesh[space.spatial_levels] = space.mesh[space.spatial_levels]
    slots = np.full(space.shape, -1, dtype=np.int64)
    ranks = np.full(space.shape, -1, dtype=np.int64)
    for rule, level in zip(space.order_rules, space.memory_levels, strict=True):
        if rule.slots:
            slots[level] = rule.slots
        for rank, d in enumerate(rule.sequence):
            ranks[level, d] = rank
    ragged = space.ragged.astype(np.int64)
    return Rules(
        space.sizes.copy(), ragged, space.lower.copy(), space.upper.copy(), mesh, slots, ranks
    )


@apart
@formula
def admits_factors(rules: Rules, factors: Table) -> bool:
    """Whether factors keep their bounds, products and meshes.

    Products are floats, which cannot wrap around and are exact up to 2^53, the largest size and
    mesh.
    """
    for d in range(factors.shape[1]):
        product = 1.0
        for level in range(factors.shape[0]):
            f = factors[level, d]
            if f < rules.lower[level, d] or f > rules.upper[level, d]:
                return False
            product *= float(f)
        size = float(rules.sizes[d])
        if product < size or (product > size and rules.ragged[d] == 0):
            return False
        if product > size and has_idle_iteration(factors, d, product, size):
            return False
    for level in range(factors.shape[0]):
        if rules.mesh[level] == 0:
            continue
        instances = 1.0
        for d in range(factors.shape[1]):
            instances *= float(factors[level, d])
        if instances > float(rules.mesh[level]):
            return False
    return True


@formula
def has_idle_iteration(factors: Table, d: int, product: float, size: float) -> bool:
    """Whether the last iteration of the outermost loop of a dimension has nothing to do."""
    for level in range(factors.shape[0]):
        if factors[level, d] > 1:
            return bool(product - product / factors[level, d] >= size)
    return False


@apart
@formula
def admits_order(rules: Rules, order: Table, level: int) -> bool:
    """Whether a memory's loop order is a permutation that its constraint admits."""
    used, last = 0, -1
    for k in range(order.shape[1]):
        d = order[level, k]
        if d < 0 or d >= order.shape[1] or used >> d & 1:
            return False
        used |= 1 << d
        if rules.slots[level, k] >= 0 and rules.slots[level, k] != d:
            return False
        if rules.ranks[level, d] >= 0:
            if rules.ranks[level, d] < last:
                return False
            last = rules.ranks[level, d]
    return True


class Asked(NamedTuple):
    """Mappings, and which of them are admitted.

    Attributes
    ----------
    factors, order : [B, L, D]
        Of any kind: they need not be mappings at all.
    admitted : [B]
        Filled in.
    """

    factors: Annotated[Table, int, 3]
    order: Annotated[Table, int, 3]
    admitted: Annotated[Table, np.bool_, 1]


@once
@formula
def admit(rules: Rules, asked: Asked) -> None:
    """Tell which mappings of a batch break no rule but, perhaps, capacities."""
    for b in range(asked.factors.shape[0]):
        asked.admitted[b] = admits_factors(rules, asked.factors[b])
        if not asked.admitted[b]:
            continue
        for level in range(asked.factors.shape[1]):
            if rules.mesh[level] == 0 and not admits_order(rules, asked.order[b], level):
                asked.admitted[b] = False
                break


class Met(NamedTuple):
    """Mappings, and a table of fingerprints of those met before.

    Attributes
    ----------
    factors, order : [B, L * D]
        A mapping a row.
    weights : [L * D]
        Odd random numbers.
    marks : [B]
        Room for fingerprints.
    table : [slots]
        A power of two of them.
    """

    factors: Annotated[Table, int, 2]
    order: Annotated[Table, int, 2]
    weights: Annotated[Table, int, 1]
    marks: Annotated[Table, int, 1]
    table: Annotated[Table, int, 1]


@once
@formula
def count_seen(met: Met) -> int:
    """Count the mappings whose fingerprints the table holds, and put all of them there.

    A fingerprint is a sum, modulo 2^64, of odd random multiples of all entries, mixed so that
    its low bits depend on all of them; a loop order stands in the upper half of its factor, so
    that one multiplication does for both. All fingerprints come before the first look-up, so
    that the table's cache misses overlap.
    """
    for b in range(met.factors.shape[0]):
        mark = np.int64(0)
        for i in range(met.factors.shape[1]):
            mark += (met.factors[b, i] ^ met.order[b, i] << 32) * met.weights[i]
        mark ^= mark >> 29
        met.marks[b] = mark * 0x1E3779B97F4A7C15 | 1
    slots, known = met.table.shape[0], 0
    for b in range(met.factors.shape[0]):
        place = (met.marks[b] >> 40) & (slots - 1)
        known += met.table[place] == met.marks[b]
        met.table[place] = met.marks[b]
    return known


ADMIT = Kernel("toolkit.search.compiled_check:admit", "checks of mappings")
COUNT_SEEN = Kernel("toolkit.search.compiled_check:count_seen", "counts of repeated mappings")

SLOTS = 1 << 16
"""Fingerprints kept; a later one with the same last 16 bits displaces the older one."""


class Seen:
    """Fingerprints of the mappings met lately.

    Parameters
    ----------
    levels, dimensions : int
        Shape of one mapping's factors.

    Notes
    -----
    Fingerprints have 64 bits, of which loop orders decide the upper 32, so that two mappings are
    practically never mistaken for one; mappings met long ago may be forgotten, so that the count
    is a lower bound.
    """

    def __init__(self, levels: int, dimensions: int) -> None:
        random = np.random.default_rng(0)
        self._weights = random.integers(1, 2**62, size=levels * dimensions) * 2 + 1
        self._marks: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._table: NDArray[np.int64] = np.zeros(SLOTS, dtype=np.int64)

    def count(self, factors: IntArray, order: IntArray, choice: IntArray) -> int:
        """Count the mappings of a batch met before, in it or earlier, and remember all.

        Parameters
        ----------
        factors, order : int64 arrays, shape (batch, levels, dimensions)
            Mappings.
        choice : int64 array, shape (batch,)
            Their choices of bypasses.
        """
        if choice.any():
            # Above all numbers of dimensions, so that it enters the same fingerprint.
            order = order.copy()
            order[:, 0, 0] += choice * 64
        if len(self._marks) < len(factors):
            self._marks = np.zeros(len(factors), dtype=np.int64)
        rows = len(factors), self._weights.size
        met = Met(
            factors.reshape(rows), order.reshape(rows), self._weights, self._marks, self._table
        )
        return int(COUNT_SEEN(Block(met)))
